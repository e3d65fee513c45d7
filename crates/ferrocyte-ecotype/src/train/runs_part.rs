//! [`Runs`] as a part: names and reasons in the header, features and weights of every run as arrays.

use ferrocyte_base::{Fault, Result, Value};
use ferrocyte_data::Part;
use ferrocyte_math::linalg::Matrix;

use super::ensemble::{Made, OfType};
use super::runs::Runs;
use super::{Mode, Skipped};
use crate::collate::Index;
use crate::model::{Feature, Model, Sign};

/// The word by which such parts are known, and their layout.
const KIND: &str = "ecotype.runs";
const LAYOUT: i64 = 1;

const SIGNS: [Sign; 3] = [Sign::None, Sign::Positive, Sign::Negative];

pub(super) fn to_part(runs: &Runs) -> Part {
    let pairs = |(name, word): &(String, String)| (name.clone(), Value::from(word.as_str()));
    let skipped = runs.skipped.iter().map(|s| (s.cell_type.clone(), Value::from(s.reason.as_str())));
    let mut arrays = Part::new(KIND, LAYOUT, Value::Null);
    let types = runs.types.iter().enumerate().map(|(t, of)| type_out(&mut arrays, t, of)).collect();
    arrays.header = Value::map([
        // Seeds have 64 bits, whole numbers of a header 63.
        ("seeds", Value::list(runs.seeds.iter().map(u64::to_string))),
        ("numbers", Value::list(runs.numbers.iter().copied())),
        ("mode", Value::from(runs.mode.word())),
        ("logged", Value::from(runs.logged)),
        ("origin", Value::Map(runs.origin.iter().map(pairs).collect())),
        ("skipped", Value::Map(skipped.collect())),
        ("types", Value::List(types)),
    ]);
    arrays
}

fn type_out(part: &mut Part, t: usize, of: &OfType) -> Value {
    let models = of.made.iter().flatten().map(|made| &made.model);
    let genes = Index::of(models.flat_map(|model| model.features.iter().map(|f| &f.gene)));
    let run_out = |(r, made): (usize, &std::result::Result<Made, String>)| match made {
        Ok(Made { model, kept, warning }) => {
            let place = |f: &Feature| {
                let sign = SIGNS.iter().position(|sign| *sign == f.sign).unwrap_or(0);
                (SIGNS.len() * genes.get(&f.gene).unwrap_or(0) + sign) as i64
            };
            let n = model.features.len();
            part.push_i64(name(t, r, "features"), &[n], model.features.iter().map(place).collect());
            part.push_i64(name(t, r, "kept"), &[kept.len()], kept.iter().map(|&row| row as i64).collect());
            part.push_f64(name(t, r, "weights"), &[n, model.classes.len()], model.weights.entries().to_vec());
            Value::map([
                ("classes", Value::list(model.classes.iter().map(String::as_str))),
                ("n_features", Value::from(n)),
                ("n_kept", Value::from(kept.len())),
                ("warning", Value::from(warning.as_deref())),
            ])
        }
        Err(reason) => Value::map([("reason", Value::from(reason.as_str()))]),
    };
    let runs = of.made.iter().enumerate().map(run_out).collect();
    Value::map([
        ("cell_type", Value::from(of.cell_type.as_str())),
        ("genes", Value::list(genes.0.iter().map(String::as_str))),
        ("runs", Value::List(runs)),
    ])
}

/// The name of an array of run `r` of type `t`.
fn name(t: usize, r: usize, what: &str) -> String {
    format!("{what}_{t}_{r}")
}

pub(super) fn from_part(part: &Part) -> Result<Runs> {
    part.expect(KIND, LAYOUT)?;
    let seeds = part.texts("seeds")?.into_iter().map(|word| word.parse().map_err(|_| damaged("seeds")));
    let numbers = list(&part.header, "numbers")?.iter().map(|v| whole(v, "numbers"));
    let types = list(&part.header, "types")?.iter().enumerate().map(|(t, of)| type_in(part, t, of));
    let skipped = pairs(&part.header, "skipped")?;
    Ok(Runs {
        seeds: seeds.collect::<Result<_>>()?,
        numbers: numbers.collect::<Result<_>>()?,
        mode: Mode::from_word(part.text("mode")?)?,
        logged: part.header.get("logged").and_then(Value::as_bool).ok_or_else(|| damaged("logged"))?,
        origin: pairs(&part.header, "origin")?,
        skipped: skipped.into_iter().map(|(cell_type, reason)| Skipped { cell_type, reason }).collect(),
        types: types.collect::<Result<_>>()?,
    })
}

fn type_in(part: &Part, t: usize, of: &Value) -> Result<OfType> {
    let cell_type = text(of, "cell_type")?;
    let genes = of.get("genes").and_then(Value::as_texts).ok_or_else(|| damaged("genes"))?;
    let made = list(of, "runs")?.iter().enumerate().map(|(r, of)| run_in(part, (t, r), of, &cell_type, &genes));
    let made = made.collect::<Result<_>>()?;
    Ok(OfType { cell_type, made })
}

fn run_in(
    part: &Part,
    (t, r): (usize, usize),
    of: &Value,
    cell_type: &str,
    genes: &[String],
) -> Result<std::result::Result<Made, String>> {
    if let Some(reason) = of.get("reason").and_then(Value::as_str) {
        return Ok(Err(reason.to_owned()));
    }
    let classes = of.get("classes").and_then(Value::as_texts).ok_or_else(|| damaged("classes"))?;
    let size = |key: &str| of.get(key).ok_or_else(|| damaged(key)).and_then(|v| whole(v, key));
    let (n, n_kept) = (size("n_features")?, size("n_kept")?);
    let feature = |&place: &i64| {
        let place = usize::try_from(place).map_err(|_| damaged("features"))?;
        let gene = genes.get(place / SIGNS.len()).ok_or_else(|| damaged("features"))?.clone();
        Ok(Feature { gene, sign: SIGNS[place % SIGNS.len()] })
    };
    let row = |&row: &i64| usize::try_from(row).ok().filter(|row| *row < n).ok_or_else(|| damaged("kept"));
    let features = part.i64(&name(t, r, "features"), &[n])?.iter().map(feature).collect::<Result<Vec<_>>>()?;
    let kept = part.i64(&name(t, r, "kept"), &[n_kept])?.iter().map(row).collect::<Result<Vec<_>>>()?;
    let weights = part.f64(&name(t, r, "weights"), &[n, classes.len()])?.to_vec();
    let (model, _) = Model::new(cell_type, classes.clone(), features, Matrix::from_rows(n, classes.len(), weights))?;
    let warning = of.get("warning").and_then(Value::as_str).map(str::to_owned);
    Ok(Ok(Made { model, kept, warning }))
}

fn list<'a>(of: &'a Value, key: &str) -> Result<&'a [Value]> {
    of.get(key).and_then(Value::as_list).ok_or_else(|| damaged(key))
}

fn text(of: &Value, key: &str) -> Result<String> {
    of.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| damaged(key))
}

fn whole(value: &Value, key: &str) -> Result<usize> {
    value.as_i64().and_then(|i| usize::try_from(i).ok()).ok_or_else(|| damaged(key))
}

fn pairs(of: &Value, key: &str) -> Result<Vec<(String, String)>> {
    let Some(Value::Map(pairs)) = of.get(key) else { return Err(damaged(key)) };
    let word = |(name, value): &(String, Value)| Some((name.clone(), value.as_str()?.to_owned()));
    pairs.iter().map(|pair| word(pair).ok_or_else(|| damaged(key))).collect()
}

fn damaged(what: &str) -> Fault {
    Fault::bad_file(format!("`{what}` is missing or out of range"))
        .at(format!("part of kind `{KIND}`"))
        .hint("the file is damaged or was not written by ferrocyte")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One type, one run with a model and one without.
    fn runs() -> Runs {
        let model = Model {
            cell_type: "B".into(),
            classes: vec!["SE1".into(), "SE2".into()],
            features: ["a__pos", "a__neg", "odd_name"].map(Feature::parse).to_vec(),
            weights: Matrix::from_rows(3, 2, vec![1.0, 2.0, 0.5, 0.25, 3.0, 4.0]),
        };
        let made = Made { model, kept: vec![1, 0], warning: Some("few cells".into()) };
        Runs {
            seeds: vec![7, u64::MAX, 9],
            numbers: vec![0, 2],
            mode: Mode::Compat,
            origin: vec![("mode".into(), "compat".into())],
            skipped: vec![Skipped { cell_type: "T".into(), reason: "too few".into() }],
            logged: true,
            types: vec![OfType { cell_type: "B".into(), made: vec![Ok(made), Err("one class".into())] }],
        }
    }

    #[test]
    fn what_is_stored_is_what_comes_back() -> Result<()> {
        assert_eq!(from_part(&to_part(&runs()))?, runs());
        Ok(())
    }

    #[test]
    fn damage_is_told() {
        let mut part = to_part(&runs());
        part.arrays.retain(|array| array.name != "kept_0_0");
        assert!(from_part(&part).is_err_and(|f| f.message().contains("`kept_0_0` is absent")));
        let mut part = to_part(&runs());
        part.header = Value::Null;
        assert!(from_part(&part).is_err());
        assert!(from_part(&Part::new("lmm.sums", 1, Value::Null)).is_err());
    }
}
