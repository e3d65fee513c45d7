//! [`Coefficients`]: the names of the fixed effects, and what stands behind each.
//!
//! A coefficient has one printed name, R's (`cell_typeB cells:conditionstim`), and answers to the bracket spellings
//! (`cell_type[B cells]:condition[stim]`, `condition[T.stim]`), whatever the order of an interaction's parts. The
//! table is small and becomes plain data, so that saved sums can be asked for contrasts without cells or formula.

use ferrocyte_base::{Fault, Result, Value, listing, nearest};

use crate::alias::{self, Alias, AliasReport};
use crate::source::{continues_name, written};
use crate::why::combination;

/// One factor in the product that a column of the design is. The intercept has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// 1 in the cells with this level, else 0.
    Level {
        /// The factor: a column of obs.
        variable: String,
        /// The level.
        level: String,
    },
    /// A number, by its text in the formula (`log(libsize)`).
    Number(String),
}

/// A column that was left out because it depends on columns before it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dropped {
    pub(crate) name: String,
    pub(crate) parts: Vec<Part>,
    pub(crate) why: String,
    /// Its combination of the columns kept (position among these, weight).
    pub(crate) depends_on: Vec<(usize, f64)>,
}

/// What a name in an expression turned out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known<'a> {
    /// The coefficient at this position.
    Kept(usize),
    /// A column that was left out.
    Dropped(&'a Dropped),
}

/// The coefficients of a model, in the order of the columns of X.
///
/// ```
/// use ferrocyte_design::Coefficients;
/// let names = ["(Intercept)", "log(libsize)", "conditionstim"].map(String::from);
/// let coefficients = Coefficients::from_names(&names)?;
/// assert_eq!(coefficients.resolve("conditionstim")?, 2);
/// assert_eq!(coefficients.contrast("conditionstim/2 - 3*log(libsize)")?, [0.0, -3.0, 0.5]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients {
    pub(crate) names: Vec<String>,
    /// What stands behind each name; `None` if only names are known.
    pub(crate) parts: Option<Vec<Vec<Part>>>,
    /// The factors of the fixed terms with their levels, the reference level first.
    pub(crate) factors: Vec<(String, Vec<String>)>,
    pub(crate) dropped: Vec<Dropped>,
}

impl Coefficients {
    /// Coefficients of which only the names are known (a design given as an array). Names must differ.
    pub fn from_names(names: &[String]) -> Result<Self> {
        let coefficients = Self { names: names.to_vec(), parts: None, factors: Vec::new(), dropped: Vec::new() };
        coefficients.refuse_twins()?;
        Ok(coefficients)
    }

    /// The coefficients of a design.
    pub(crate) fn new(names: Vec<String>, parts: Vec<Vec<Part>>, factors: Vec<(String, Vec<String>)>) -> Self {
        Self { names, parts: Some(parts), factors, dropped: Vec::new() }
    }

    fn refuse_twins(&self) -> Result<()> {
        match twins(&self.names).as_slice() {
            [] => Ok(()),
            twins => Err(Fault::bad_input(format!("coefficient names must differ: {} twice", listing(twins, 5)))),
        }
    }

    /// The names, in R's spelling and order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of coefficients, p.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The position of the coefficient of that name or spelling; else a fault with the nearest names.
    pub fn resolve(&self, spelling: &str) -> Result<usize> {
        let wanted = spelling.trim();
        if let Some(exact) = self.names.iter().position(|n| n == wanted) {
            return Ok(exact);
        }
        let whole = |parts: &[Part]| spelled_at(parts, wanted) == Some(wanted.len());
        let all = self.parts.as_deref().unwrap_or_default();
        if let Some(found) = all.iter().position(|parts| whole(parts)) {
            return Ok(found);
        }
        match self.dropped.iter().find(|d| d.name == wanted || whole(&d.parts)) {
            Some(dropped) => Err(dropped.fault()),
            None => Err(self.unknown(wanted)),
        }
    }

    /// The fault for a name that no coefficient has.
    pub(crate) fn unknown(&self, wanted: &str) -> Fault {
        Fault::missing(format!("there is no coefficient `{wanted}`")).hint(self.near(wanted))
    }

    /// The nearest names, as a hint.
    pub(crate) fn near(&self, wanted: &str) -> String {
        match nearest(wanted, &self.names, 3).as_slice() {
            [] => format!("the coefficients are {}", listing(&self.names, 20)),
            near => format!("did you mean {}?", near.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ")),
        }
    }

    /// The longest name or spelling that `text` begins with: whose it is, and its length in bytes. A name that reads
    /// as a number is only known in quotes.
    pub(crate) fn prefix(&self, text: &str) -> Option<(Known<'_>, usize)> {
        let literal = |name: &str| {
            let fits = text.starts_with(name) && ends_there(text, name.len()) && name.parse::<f64>().is_err();
            (fits && !name.is_empty()).then_some(name.len())
        };
        let names = self.names.iter().enumerate().map(|(j, name)| (Known::Kept(j), literal(name)));
        let spellings = self.parts.iter().flatten().enumerate();
        let spellings = spellings.map(|(j, parts)| (Known::Kept(j), spelled_at(parts, text)));
        let dropped = self.dropped.iter();
        let dropped = dropped.map(|d| (Known::Dropped(d), literal(&d.name).max(spelled_at(&d.parts, text))));
        let mut best: Option<(Known<'_>, usize)> = None;
        for (who, length) in names.chain(spellings).chain(dropped) {
            if let Some(length) = length
                && best.as_ref().is_none_or(|(_, longest)| length > *longest)
            {
                best = Some((who, length));
            }
        }
        best
    }

    /// The longest level that `text` begins with and that only one factor has: factor, level, length in bytes.
    pub(crate) fn bare_level(&self, text: &str) -> Option<(usize, usize, usize)> {
        let levels = self.factors.iter().enumerate();
        let levels = levels.flat_map(|(f, (_, levels))| levels.iter().enumerate().map(move |(l, level)| (f, l, level)));
        let fits = levels.filter(|(_, _, level)| {
            let stands = text.starts_with(level.as_str()) && ends_there(text, level.len());
            stands && !level.is_empty() && level.parse::<f64>().is_err()
        });
        let found: Vec<(usize, usize, usize)> = fits.map(|(f, l, level)| (f, l, level.len())).collect();
        let longest = found.iter().map(|f| f.2).max()?;
        let mut best = found.into_iter().filter(|f| f.2 == longest);
        best.next().filter(|_| best.next().is_none())
    }

    /// The columns of the levels of a factor that stands in the model by itself, and its reference level if it has one
    /// (whose column is not to be looked at); `None` where it interacts with other variables, or is not there.
    pub(crate) fn columns_of_levels(&self, factor: usize) -> Option<(Vec<usize>, Option<usize>)> {
        let (variable, levels) = self.factors.get(factor)?;
        let parts = self.parts.as_deref()?;
        let has = |part: &Part| matches!(part, Part::Level { variable: v, .. } if v == variable);
        if parts.iter().any(|p| p.len() > 1 && p.iter().any(has)) {
            return None;
        }
        let column = |level: &String| {
            parts.iter().position(
                |p| matches!(p.as_slice(), [Part::Level { variable: v, level: l }] if v == variable && l == level),
            )
        };
        let columns: Vec<Option<usize>> = levels.iter().map(column).collect();
        let mut absent = (0..columns.len()).filter(|&l| columns[l].is_none());
        match (absent.next(), absent.next()) {
            (reference, None) => Some((columns.into_iter().map(|c| c.unwrap_or(usize::MAX)).collect(), reference)),
            _ => None,
        }
    }

    /// Leaves out aliased columns; `aliases` count the columns as they are before, `reports` say why, one for each.
    pub(crate) fn drop_columns(&mut self, aliases: &[Alias], reports: &[AliasReport]) {
        let kept: Vec<usize> = (0..self.names.len()).filter(|j| aliases.iter().all(|a| a.column != *j)).collect();
        let place = |old: usize| kept.iter().position(|&k| k == old);
        let parts = self.parts.take().unwrap_or_default();
        let drop = |(alias, report): (&Alias, &AliasReport)| Dropped {
            name: report.name.clone(),
            parts: parts[alias.column].clone(),
            why: report.why.clone(),
            depends_on: alias.depends_on.iter().filter_map(|&(j, w)| place(j).map(|j| (j, w))).collect(),
        };
        self.dropped = aliases.iter().zip(reports).map(drop).collect();
        self.names = kept.iter().map(|&j| self.names[j].clone()).collect();
        self.parts = Some(kept.iter().map(|&j| parts[j].clone()).collect());
    }

    /// The columns that depend on columns before them, by their cross-products `xx` (X'X, p x p, row-major), and why.
    pub fn find_aliases(&self, xx: &[f64]) -> Vec<(Alias, AliasReport)> {
        let name = |&(j, w): &(usize, f64)| (self.names[j].clone(), w);
        let report = |alias: &Alias| {
            let depends_on: Vec<(String, f64)> = alias.depends_on.iter().map(name).collect();
            let why = if depends_on.is_empty() { "is 0 in every cell".to_owned() } else { combination(&depends_on) };
            AliasReport { name: self.names[alias.column].clone(), why, depends_on }
        };
        let found = alias::find(xx, self.len());
        found.into_iter().map(|alias| (report(&alias), alias)).map(|(report, alias)| (alias, report)).collect()
    }

    /// Leaves out columns that [`Coefficients::find_aliases`] found.
    pub fn leave_out(&mut self, aliases: &[(Alias, AliasReport)]) {
        let (aliases, reports): (Vec<Alias>, Vec<AliasReport>) = aliases.iter().cloned().unzip();
        self.drop_columns(&aliases, &reports);
    }

    /// The table as plain data, for headers.
    pub fn to_value(&self) -> Value {
        let part_lists = |parts: &[Part]| Value::list(parts.iter().map(Part::to_value));
        Value::map([
            ("names", Value::list(self.names.iter().map(String::as_str))),
            ("parts", Value::from(self.parts.as_ref().map(|all| Value::list(all.iter().map(|p| part_lists(p)))))),
            (
                "factors",
                Value::list(self.factors.iter().map(|(name, levels)| {
                    Value::map([
                        ("name", Value::from(name.as_str())),
                        ("levels", Value::list(levels.iter().map(String::as_str))),
                    ])
                })),
            ),
            (
                "dropped",
                Value::list(self.dropped.iter().map(|d| {
                    Value::map([
                        ("name", Value::from(d.name.as_str())),
                        ("parts", part_lists(&d.parts)),
                        ("why", Value::from(d.why.as_str())),
                        ("columns", Value::list(d.depends_on.iter().map(|&(j, _)| j))),
                        ("weights", Value::list(d.depends_on.iter().map(|&(_, w)| w))),
                    ])
                })),
            ),
        ])
    }

    /// The table from plain data; a fault says which entry is not as [`Coefficients::to_value`] writes it.
    pub fn from_value(value: &Value) -> Result<Self> {
        let parts = match value.get("parts") {
            None | Some(Value::Null) => None,
            Some(all) => Some(entries(all, "parts", Part::list_from)?),
        };
        let factors = entries(value.get("factors").unwrap_or(&Value::Null), "factors", |v| {
            Some((v.get("name")?.as_str()?.to_owned(), v.get("levels")?.as_texts()?))
        })?;
        let dropped = entries(value.get("dropped").unwrap_or(&Value::Null), "dropped", Dropped::from_value)?;
        let names = value.get("names").and_then(Value::as_texts).ok_or_else(|| damaged("names"))?;
        let n = names.len();
        if parts.as_ref().is_some_and(|p| p.len() != n)
            || dropped.iter().flat_map(|d| &d.depends_on).any(|&(j, _)| j >= n)
        {
            return Err(damaged("parts"));
        }
        let coefficients = Self { names, parts, factors, dropped };
        coefficients.refuse_twins()?;
        Ok(coefficients)
    }
}

impl Part {
    fn to_value(&self) -> Value {
        match self {
            Self::Level { variable, level } => Value::list([variable.as_str(), level.as_str()]),
            Self::Number(text) => Value::from(text.as_str()),
        }
    }

    fn from_value(value: &Value) -> Option<Self> {
        if let Some(text) = value.as_str() {
            return Some(Self::Number(text.to_owned()));
        }
        let [variable, level] = <[String; 2]>::try_from(value.as_texts()?).ok()?;
        Some(Self::Level { variable, level })
    }

    fn list_from(value: &Value) -> Option<Vec<Self>> {
        value.as_list()?.iter().map(Self::from_value).collect()
    }

    /// As R prints it in a coefficient's name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Level { variable, level } => format!("{}{level}", written(variable)),
            Self::Number(text) => text.clone(),
        }
    }

    /// The lengths in bytes of the spellings of this part that `text` begins with.
    fn spellings(&self, text: &str) -> Vec<usize> {
        let after = |pieces: &[&str]| {
            let mut rest = text;
            for piece in pieces {
                rest = rest.strip_prefix(piece)?;
            }
            Some(text.len() - rest.len())
        };
        match self {
            Self::Number(number) => after(&[number]).into_iter().collect(),
            Self::Level { variable, level } => {
                let quoted = written(variable);
                let mut lengths = Vec::new();
                for prefix in [&["", variable, ""], &["", &quoted, ""], &["factor(", &quoted, ")"]] {
                    for bracket in [["", level, ""], ["[", level, "]"], ["[T.", level, "]"]] {
                        lengths.extend(after(&[prefix.as_slice(), &bracket].concat()));
                    }
                }
                lengths
            }
        }
    }
}

impl Dropped {
    pub(crate) fn fault(&self) -> Fault {
        Fault::bad_input(format!("`{}` has no estimate, its column was dropped: {}", self.name, self.why))
    }

    fn from_value(value: &Value) -> Option<Self> {
        let columns = value.get("columns")?.as_list()?;
        let weights = value.get("weights")?.as_list()?;
        let pairs = columns.iter().zip(weights).map(|(c, w)| Some((usize::try_from(c.as_i64()?).ok()?, w.as_f64()?)));
        Some(Self {
            name: value.get("name")?.as_str()?.to_owned(),
            parts: Part::list_from(value.get("parts")?)?,
            why: value.get("why")?.as_str()?.to_owned(),
            depends_on: pairs.collect::<Option<_>>()?,
        })
    }
}

/// The names that occur more than once.
pub(crate) fn twins(names: &[String]) -> Vec<String> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    let mut twins: Vec<String> = sorted.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0].clone()).collect();
    twins.dedup();
    twins
}

/// The length of the longest spelling of a product of parts that `text` begins with: the parts in any order, joined
/// by `:`.
fn spelled_at(parts: &[Part], text: &str) -> Option<usize> {
    if parts.is_empty() {
        return ["(Intercept)", "Intercept"].iter().find(|n| text.starts_with(**n)).map(|n| n.len());
    }
    let left: Vec<&Part> = parts.iter().collect();
    spelled(&left, text).filter(|&length| ends_there(text, length))
}

fn spelled(left: &[&Part], text: &str) -> Option<usize> {
    let mut longest = None;
    for (i, part) in left.iter().enumerate() {
        for length in part.spellings(text) {
            let end = if left.len() == 1 {
                Some(length)
            } else {
                let others: Vec<&Part> = left.iter().enumerate().filter(|&(j, _)| j != i).map(|(_, p)| *p).collect();
                colon(&text[length..]).and_then(|gap| Some(length + gap + spelled(&others, &text[length + gap..])?))
            };
            longest = longest.max(end);
        }
    }
    longest
}

/// The length of a `:` with blanks around it.
fn colon(text: &str) -> Option<usize> {
    let rest = text.trim_start().strip_prefix(':')?.trim_start();
    Some(text.len() - rest.len())
}

/// Whether a name that ends at byte `end` is not followed by more of a name.
fn ends_there(text: &str, end: usize) -> bool {
    let inside = |c: Option<char>| c.is_some_and(continues_name);
    !(inside(text[..end].chars().next_back()) && inside(text[end..].chars().next()))
}

fn entries<T>(value: &Value, key: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    value.as_list().and_then(|all| all.iter().map(read).collect()).ok_or_else(|| damaged(key))
}

fn damaged(key: &str) -> Fault {
    Fault::bad_file(format!("the entry `{key}` of the coefficients is missing or damaged"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn level(variable: &str, level: &str) -> Part {
        Part::Level { variable: variable.into(), level: level.into() }
    }

    /// `~ log(libsize) + cell_type + cell_type:condition`, two types, a dose.
    pub(crate) fn example() -> Coefficients {
        let stim = || level("condition", "stim");
        let parts = vec![
            vec![],
            vec![Part::Number("log(libsize)".into())],
            vec![level("cell_type", "CD14+ Monocytes")],
            vec![level("cell_type", "B cells"), stim()],
            vec![level("cell_type", "CD14+ Monocytes"), stim()],
        ];
        let names = parts
            .iter()
            .map(|p: &Vec<Part>| {
                if p.is_empty() { "(Intercept)".into() } else { p.iter().map(Part::name).collect::<Vec<_>>().join(":") }
            })
            .collect();
        let texts = |all: [&str; 2]| all.map(str::to_owned).to_vec();
        let factors = vec![
            ("cell_type".to_owned(), texts(["B cells", "CD14+ Monocytes"])),
            ("condition".to_owned(), texts(["ctrl", "stim"])),
        ];
        Coefficients::new(names, parts, factors)
    }

    pub(crate) fn drop(table: &mut Coefficients, column: usize, why: &str, depends_on: &[(usize, f64)]) {
        let report = AliasReport { name: table.names[column].clone(), why: why.to_owned(), depends_on: Vec::new() };
        table.drop_columns(&[Alias { column, depends_on: depends_on.to_vec() }], &[report]);
    }

    #[test]
    fn every_spelling_finds_its_coefficient() {
        let table = example();
        let cases = [
            ("(Intercept)", 0),
            ("Intercept", 0),
            (" log(libsize) ", 1),
            ("cell_typeCD14+ Monocytes:conditionstim", 4),
            ("cell_type[CD14+ Monocytes]:condition[stim]", 4),
            ("condition[T.stim]:cell_type[T.CD14+ Monocytes]", 4),
            ("condition[stim] : cell_typeB cells", 3),
            ("factor(cell_type)[T.CD14+ Monocytes]", 2),
        ];
        for (spelling, expected) in cases {
            assert_eq!(table.resolve(spelling).unwrap(), expected, "{spelling}");
        }
    }

    #[test]
    fn an_unknown_name_comes_with_near_ones() {
        let fault = example().resolve("cell_typeB cell:conditionstim").unwrap_err();
        assert_eq!(fault.to_string(), "there is no coefficient `cell_typeB cell:conditionstim`");
        assert!(fault.way_out().unwrap().starts_with("did you mean `cell_typeB cells:conditionstim`"));
    }

    #[test]
    fn equal_names_are_refused() {
        let fault = Coefficients::from_names(&["A", "B", "A"].map(String::from)).unwrap_err();
        assert_eq!(fault.to_string(), "coefficient names must differ: `A` twice");
    }

    #[test]
    fn the_table_survives_a_round_trip() {
        let mut table = example();
        drop(&mut table, 4, "no cell", &[(3, 2.5), (0, -1.0)]);
        assert_eq!(Coefficients::from_value(&table.to_value()).unwrap(), table);
        let plain = Coefficients::from_names(&["a b".to_owned()]).unwrap();
        assert_eq!(Coefficients::from_value(&plain.to_value()).unwrap(), plain);
        let fault = Coefficients::from_value(&Value::Null).unwrap_err();
        assert_eq!(fault.to_string(), "the entry `factors` of the coefficients is missing or damaged");
    }
}
