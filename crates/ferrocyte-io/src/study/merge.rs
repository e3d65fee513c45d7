//! Columns of several studies as one: what follows each other ([`stacked`]), and what says the same of one gene several
//! times ([`Rule`]).

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_data::Factor;

use crate::element::columns::{ColumnData, NaValue};
use crate::store::{Dtype, Numbers};
use crate::tenx::features::texts;

/// A column of several tables, one after the other: the number of rows of each, and its column where it has one.
///
/// Columns of one type keep it. Numbers of several types become 64-bit floats, and so do integers where a table lacks the
/// column, so that missing ones are NaN. Of categories all are kept, in order of appearance, ordered only where all
/// tables have the same ones in the same order. Texts with missing ones stay texts. Columns of different kinds become texts.
pub(crate) fn stacked(parts: &[(usize, Option<ColumnData>)]) -> ColumnData {
    let known: Vec<&ColumnData> = parts.iter().filter_map(|(_, column)| column.as_ref()).collect();
    let complete = known.len() == parts.len();
    if complete && let Some(numbers) = same_numbers(&known) {
        return ColumnData::Numbers(numbers);
    }
    let all = |test: fn(&ColumnData) -> bool| known.iter().all(|column| test(column));
    if all(|column| matches!(column, ColumnData::Categorical { .. })) {
        return categories(parts);
    }
    if all(is_truth) {
        return truths(parts);
    }
    if complete && let Some(nullable) = nullable_integers(&known) {
        return nullable;
    }
    if all(is_number) {
        return floats(parts);
    }
    let values: Vec<Option<String>> = parts
        .iter()
        .flat_map(|(n, column)| column.as_ref().map_or_else(|| vec![None; *n], ColumnData::to_texts))
        .collect();
    let na = known.iter().find_map(|column| match column {
        ColumnData::Texts { na, .. } => *na,
        _ => None,
    });
    let missing = values.iter().any(Option::is_none);
    ColumnData::Texts { values, na: if missing { na.or(Some(NaValue::Nan)) } else { na } }
}

fn is_truth(column: &ColumnData) -> bool {
    match column {
        ColumnData::Numbers(values) | ColumnData::NullableNumbers { values, .. } => values.dtype() == Dtype::Bool,
        _ => false,
    }
}

fn is_number(column: &ColumnData) -> bool {
    matches!(column, ColumnData::Numbers(_) | ColumnData::NullableNumbers { .. }) && !is_truth(column)
}

/// Numbers that are all there and all of one type.
fn same_numbers(columns: &[&ColumnData]) -> Option<Numbers> {
    let mut all: Option<Numbers> = None;
    for column in columns {
        let ColumnData::Numbers(values) = column else { return None };
        match &mut all {
            None => all = Some(values.clone()),
            Some(these) => these.append(values.clone()).ok()?,
        }
    }
    all
}

/// Integers of one type of which some may be missing.
fn nullable_integers(columns: &[&ColumnData]) -> Option<ColumnData> {
    let mut all: Option<(Numbers, Vec<bool>)> = None;
    for column in columns {
        let (values, gone) = match column {
            ColumnData::NullableNumbers { values, missing } => (values.clone(), missing.clone()),
            ColumnData::Numbers(values) => (values.clone(), vec![false; values.len()]),
            _ => return None,
        };
        match &mut all {
            None => all = Some((values, gone)),
            Some((these, missing)) => {
                these.append(values).ok()?;
                missing.extend(gone);
            }
        }
    }
    all.map(|(values, missing)| ColumnData::NullableNumbers { values, missing })
}

/// Truth values of which some may be missing.
fn truths(parts: &[(usize, Option<ColumnData>)]) -> ColumnData {
    let (mut values, mut missing) = (Vec::new(), Vec::new());
    for (n, column) in parts {
        match column {
            Some(ColumnData::Numbers(found)) => {
                missing.resize(missing.len() + found.len(), false);
                values.extend_from_slice(found.as_bools().unwrap_or_default());
            }
            Some(ColumnData::NullableNumbers { values: found, missing: gone }) => {
                missing.extend_from_slice(gone);
                values.extend_from_slice(found.as_bools().unwrap_or_default());
            }
            _ => {
                missing.resize(missing.len() + n, true);
                values.resize(values.len() + n, false);
            }
        }
    }
    ColumnData::NullableNumbers { values: Numbers::Bool(values), missing }
}

/// Numbers, NaN where there are none: 32-bit floats if all of them are, else 64-bit ones.
fn floats(parts: &[(usize, Option<ColumnData>)]) -> ColumnData {
    let narrow = parts.iter().all(|(_, column)| matches!(column, None | Some(ColumnData::Numbers(Numbers::F32(_)))));
    let mut all: Vec<f64> = Vec::new();
    for (n, column) in parts {
        match column {
            Some(ColumnData::Numbers(values)) => all.extend(values.to_f64()),
            Some(ColumnData::NullableNumbers { values, missing }) => {
                all.extend(values.to_f64().iter().zip(missing).map(|(&x, &gone)| if gone { f64::NAN } else { x }));
            }
            _ => all.resize(all.len() + n, f64::NAN),
        }
    }
    ColumnData::Numbers(if narrow {
        Numbers::F32(all.into_iter().map(|x| x as f32).collect())
    } else {
        Numbers::F64(all)
    })
}

/// The union of categories, in order of appearance.
fn categories(parts: &[(usize, Option<ColumnData>)]) -> ColumnData {
    let (mut union, mut places): (Vec<String>, HashMap<String, u32>) = (Vec::new(), HashMap::new());
    let (mut codes, mut first): (Vec<u32>, Option<Vec<Option<String>>>) = (Vec::new(), None);
    let (mut alike, mut all_ordered, mut kept) = (true, true, None);
    for (n, column) in parts {
        let Some(ColumnData::Categorical { codes: these, levels, ordered }) = column else {
            codes.resize(codes.len() + n, Factor::MISSING);
            continue;
        };
        let names = levels.to_texts();
        all_ordered &= *ordered;
        alike &= first.as_ref().is_none_or(|first| *first == names);
        let new: Vec<u32> = names
            .iter()
            .map(|name| {
                let Some(name) = name else { return Factor::MISSING };
                *places.entry(name.clone()).or_insert_with(|| {
                    union.push(name.clone());
                    union.len() as u32 - 1
                })
            })
            .collect();
        codes.extend(these.iter().map(|&code| new.get(code as usize).copied().unwrap_or(Factor::MISSING)));
        kept.get_or_insert_with(|| levels.clone());
        first.get_or_insert(names);
    }
    // Categories that are numbers stay numbers where nothing is added to them.
    let levels = kept.filter(|_| alike).unwrap_or_else(|| Box::new(texts(union)));
    ColumnData::Categorical { codes, levels, ordered: alike && all_ordered }
}

/// How what several studies say of one gene becomes one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Truth values: whether any is true.
    Or,
    /// Truth values: whether all are true.
    And,
    /// Numbers: their mean.
    Mean,
    /// Numbers: their variance, over n.
    Var,
    /// Numbers: their standard deviation, over n.
    Sd,
    /// Numbers: the largest.
    Max,
    /// Numbers: the smallest.
    Min,
    /// Numbers: the median.
    Median,
    /// Texts: the distinct ones in order of appearance, joined by `;`.
    UniqueConcat,
    /// Texts: all of them, joined by `;`.
    Concat,
}

impl Rule {
    /// The words by which fronts name them, with the rules.
    const ALL: [(&'static str, Self); 10] = [
        ("or", Self::Or),
        ("and", Self::And),
        ("mean", Self::Mean),
        ("var", Self::Var),
        ("sd", Self::Sd),
        ("max", Self::Max),
        ("min", Self::Min),
        ("median", Self::Median),
        ("unique_concat", Self::UniqueConcat),
        ("concat", Self::Concat),
    ];

    /// The rule of a word.
    pub fn from_word(word: &str) -> Result<Self> {
        Self::ALL.iter().find(|(known, _)| *known == word).map(|&(_, rule)| rule).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|&(known, _)| known).collect();
            Fault::bad_input(format!("there is no rule `{word}`")).hint(format!("it is one of {}", listing(&words, 10)))
        })
    }

    /// What is taken of a column unless something else is asked for: `or`, `mean`, `unique_concat`.
    pub fn usual(column: &ColumnData) -> Self {
        match column {
            column if is_truth(column) => Self::Or,
            column if is_number(column) => Self::Mean,
            _ => Self::UniqueConcat,
        }
    }

    /// One value for each of `n` genes, of columns and of where their rows go (`u32::MAX`: nowhere). A gene that no
    /// column has is false, NaN or `NA`.
    ///
    /// # Errors
    /// A rule for other values than the columns hold.
    pub fn apply(self, n: usize, columns: &[(&ColumnData, &[u32])]) -> Result<ColumnData> {
        let fits: fn(&ColumnData) -> bool = match self {
            Self::Or | Self::And => is_truth,
            Self::Mean | Self::Var | Self::Sd | Self::Max | Self::Min | Self::Median => is_number,
            Self::UniqueConcat | Self::Concat => |_| true,
        };
        if !columns.iter().all(|(column, _)| fits(column)) {
            let kind = if matches!(self, Self::Or | Self::And) { "truth values" } else { "numbers" };
            return Err(Fault::bad_input(format!("this rule takes {kind}, the column holds others in some study")));
        }
        Ok(match self {
            Self::Or | Self::And => {
                let all = gathered(n, columns, |column| match column {
                    ColumnData::Numbers(values) | ColumnData::NullableNumbers { values, .. } => {
                        values.as_bools().unwrap_or_default().iter().map(|&truth| Some(truth)).collect()
                    }
                    _ => Vec::new(),
                });
                let one = |truths: &Vec<bool>| {
                    let test = if self == Self::Or { truths.contains(&true) } else { !truths.contains(&false) };
                    !truths.is_empty() && test
                };
                ColumnData::Numbers(Numbers::Bool(all.iter().map(one).collect()))
            }
            Self::UniqueConcat | Self::Concat => {
                let all = gathered(n, columns, ColumnData::to_texts);
                let one = |mut texts: Vec<String>| {
                    if self == Self::UniqueConcat {
                        let mut seen = std::collections::HashSet::new();
                        texts.retain(|text| seen.insert(text.clone()));
                    }
                    if texts.is_empty() { "NA".to_owned() } else { texts.join(";") }
                };
                texts(all.into_iter().map(one).collect())
            }
            _ => {
                let all = gathered(n, columns, |column| match column {
                    ColumnData::Numbers(values) => values.to_f64().into_iter().map(Some).collect(),
                    ColumnData::NullableNumbers { values, missing } => {
                        values.to_f64().into_iter().zip(missing).map(|(x, &gone)| (!gone).then_some(x)).collect()
                    }
                    _ => Vec::new(),
                });
                ColumnData::Numbers(Numbers::F64(all.into_iter().map(|numbers| self.number(numbers)).collect()))
            }
        })
    }

    /// One number of several; NaN of none.
    fn number(self, mut numbers: Vec<f64>) -> f64 {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let variance = || numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        match self {
            Self::Var => variance(),
            Self::Sd => variance().sqrt(),
            Self::Max => numbers.into_iter().reduce(f64::max).unwrap_or(f64::NAN),
            Self::Min => numbers.into_iter().reduce(f64::min).unwrap_or(f64::NAN),
            Self::Median => {
                numbers.sort_by(f64::total_cmp);
                match numbers.len() {
                    0 => f64::NAN,
                    n => f64::midpoint(numbers[(n - 1) / 2], numbers[n / 2]),
                }
            }
            _ => mean,
        }
    }
}

/// What the columns say of each gene, in their order.
fn gathered<T>(
    n: usize,
    columns: &[(&ColumnData, &[u32])],
    values: impl Fn(&ColumnData) -> Vec<Option<T>>,
) -> Vec<Vec<T>> {
    let mut all: Vec<Vec<T>> = std::iter::repeat_with(Vec::new).take(n).collect();
    for (column, places) in columns {
        for (value, &place) in values(column).into_iter().zip(*places) {
            if let (Some(value), Some(slot)) = (value, all.get_mut(place as usize)) {
                slot.push(value);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(codes: &[u32], levels: &[&str]) -> ColumnData {
        let levels = Box::new(texts(levels.iter().map(|&l| l.to_owned()).collect()));
        ColumnData::Categorical { codes: codes.to_vec(), levels, ordered: true }
    }

    #[test]
    fn columns_of_one_type_keep_it() {
        let ints = |v: &[i32]| Some(ColumnData::Numbers(Numbers::I32(v.to_vec())));
        let whole = stacked(&[(1, ints(&[1])), (2, ints(&[2, 3]))]);
        assert_eq!(whole, ColumnData::Numbers(Numbers::I32(vec![1, 2, 3])));
        let ColumnData::Numbers(Numbers::F64(gaps)) = stacked(&[(1, ints(&[1])), (2, None)]) else {
            unreachable!("integers with missing ones are floats")
        };
        assert!(gaps[0] == 1.0 && gaps[1].is_nan() && gaps.len() == 3);
        let mixed = stacked(&[(1, ints(&[1])), (1, Some(ColumnData::Numbers(Numbers::U8(vec![7]))))]);
        assert_eq!(mixed, ColumnData::Numbers(Numbers::F64(vec![1.0, 7.0])));
        let narrow = stacked(&[(1, Some(ColumnData::Numbers(Numbers::F32(vec![0.5])))), (1, None)]);
        assert!(matches!(narrow, ColumnData::Numbers(Numbers::F32(_))));
        let truth = stacked(&[(1, Some(ColumnData::Numbers(Numbers::Bool(vec![true])))), (1, None)]);
        let expected = Numbers::Bool(vec![true, false]);
        assert_eq!(truth, ColumnData::NullableNumbers { values: expected, missing: vec![false, true] });
        let words = stacked(&[(1, Some(texts(vec!["a".into()]))), (1, ints(&[3])), (1, None)]);
        assert_eq!(words.to_texts(), [Some("a".to_owned()), Some("3".to_owned()), None]);
    }

    #[test]
    fn categories_are_united_in_order_of_appearance() {
        let (a, b) = (labels(&[1, 0, Factor::MISSING], &["x", "y"]), labels(&[0, 1], &["z", "x"]));
        let whole = stacked(&[(3, Some(a.clone())), (1, None), (2, Some(b))]);
        let ColumnData::Categorical { codes, levels, ordered } = &whole else { unreachable!("categories stay") };
        assert_eq!(codes[..], [1, 0, Factor::MISSING, Factor::MISSING, 2, 0]);
        assert_eq!((levels.to_texts().into_iter().flatten().collect::<String>(), *ordered), ("xyz".to_owned(), false));
        assert!(matches!(
            stacked(&[(3, Some(a.clone())), (3, Some(a))]),
            ColumnData::Categorical { ordered: true, .. }
        ));
    }

    #[test]
    fn rules_make_one_value_of_several() {
        let (first, second) = (Numbers::I64(vec![1, 2]), Numbers::F64(vec![4.0, 9.0, 7.0]));
        let (first, second) = (ColumnData::Numbers(first), ColumnData::Numbers(second));
        // Genes 0, 1 and 1, 2, and one that is left out; nothing says anything of gene 3.
        let columns = [(&first, &[0, 1][..]), (&second, &[1, 2, u32::MAX][..])];
        for (rule, expected) in [
            (Rule::Mean, [1.0, 3.0, 9.0]),
            (Rule::Var, [0.0, 1.0, 0.0]),
            (Rule::Sd, [0.0, 1.0, 0.0]),
            (Rule::Max, [1.0, 4.0, 9.0]),
            (Rule::Min, [1.0, 2.0, 9.0]),
            (Rule::Median, [1.0, 3.0, 9.0]),
        ] {
            let Ok(ColumnData::Numbers(Numbers::F64(found))) = rule.apply(4, &columns) else {
                unreachable!("numbers become floats")
            };
            assert!(found[..3] == expected && found[3].is_nan(), "{rule:?}: {found:?}");
        }
        let truths = |v: &[bool]| ColumnData::Numbers(Numbers::Bool(v.to_vec()));
        let (a, b) = (truths(&[true, false]), truths(&[false, false]));
        let both = [(&a, &[0, 1][..]), (&b, &[0, 1][..])];
        let outcome = |rule: Rule| rule.apply(3, &both).ok();
        assert_eq!(outcome(Rule::Or), Some(truths(&[true, false, false])));
        assert_eq!(outcome(Rule::And), Some(truths(&[false, false, false])));
        let (a, b) = (texts(vec!["p".into(), "q".into()]), texts(vec!["p".into(), "r".into()]));
        let both = [(&a, &[0, 1][..]), (&b, &[0, 1][..])];
        let joined = |rule: Rule| rule.apply(3, &both).ok().map(|c| c.to_texts().into_iter().flatten().collect());
        assert_eq!(joined(Rule::UniqueConcat), Some(["p", "q;r", "NA"].map(str::to_owned).to_vec()));
        assert_eq!(joined(Rule::Concat), Some(["p;p", "q;r", "NA"].map(str::to_owned).to_vec()));
        assert!(Rule::Mean.apply(3, &both).is_err() && Rule::from_word("sum").is_err());
        assert_eq!(Rule::from_word("sd").ok(), Some(Rule::Sd));
    }
}
