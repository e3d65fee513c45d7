//! Columns of data frames, as anndata encodes them, and the table of readers that decode them.
//!
//! Every element of a modern file says what it is by two attributes, `encoding-type` and `encoding-version`. Each
//! such pair of a column has its reader in [`READERS`]; a pair that is not there is refused by its name.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Factor, ObsColumn};

use crate::store::{Attr, Dtype, Node, Numbers, Store};

/// The values of one column, as rich as the file has them.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnData {
    /// Numbers or truth values, all present (a float may be NaN).
    Numbers(Numbers),
    /// Numbers or truth values of which some are missing.
    NullableNumbers {
        /// One number per row; without meaning where it is missing.
        values: Numbers,
        /// Whether the row has no value.
        missing: Vec<bool>,
    },
    /// Text; `None` where there is none.
    Texts {
        /// One text per row.
        values: Vec<Option<String>>,
        /// What stands for a missing text, if the file has a place for such (`nullable-string-array`).
        na: Option<NaValue>,
    },
    /// Categories.
    Categorical {
        /// One code per row, [`Factor::MISSING`] for none.
        codes: Vec<u32>,
        /// The categories in their order, used or not: texts, numbers or truth values.
        levels: Box<ColumnData>,
        /// Whether their order has a meaning.
        ordered: bool,
    },
}

impl ColumnData {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::NullableNumbers { values, .. } => values.len(),
            Self::Texts { values, .. } => values.len(),
            Self::Categorical { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every row as text, `None` where it is missing; truth values are `FALSE` and `TRUE`.
    pub fn to_texts(&self) -> Vec<Option<String>> {
        match self {
            Self::Numbers(values) => values.to_texts().into_iter().map(Some).collect(),
            Self::NullableNumbers { values, missing } => {
                values.to_texts().into_iter().zip(missing).map(|(text, &gone)| (!gone).then_some(text)).collect()
            }
            Self::Texts { values, .. } => values.clone(),
            Self::Categorical { codes, levels, .. } => {
                let levels = levels.to_texts();
                codes.iter().map(|&code| levels.get(code as usize).cloned().flatten()).collect()
            }
        }
    }

    /// The column as a model sees it: numbers with NaN for missing ones, or a factor. Text has its distinct values
    /// as levels, sorted; truth values have `FALSE` and `TRUE`; categories keep their order and unused levels.
    pub fn to_obs(&self) -> ObsColumn {
        match self {
            Self::Numbers(values) => match values.as_bools() {
                Some(bools) => truth(bools, None),
                None => ObsColumn::Number(values.to_f64()),
            },
            Self::NullableNumbers { values, missing } => {
                if let Some(bools) = values.as_bools() {
                    return truth(bools, Some(missing));
                }
                let present = |(number, &gone): (f64, &bool)| if gone { f64::NAN } else { number };
                ObsColumn::Number(values.to_f64().into_iter().zip(missing).map(present).collect())
            }
            Self::Texts { values, .. } => ObsColumn::Factor(Factor::from_texts(values.iter().map(Option::as_ref))),
            Self::Categorical { codes, levels, .. } => {
                let levels = levels.to_texts().into_iter().map(|l| l.unwrap_or_else(|| "NA".to_owned())).collect();
                ObsColumn::Factor(Factor { levels, codes: codes.iter().copied().collect() })
            }
        }
    }
}

fn truth(values: &[bool], missing: Option<&[bool]>) -> ObsColumn {
    let gone = |i: usize| missing.is_some_and(|m| m[i]);
    let codes = values.iter().enumerate().map(|(i, &b)| if gone(i) { Factor::MISSING } else { u32::from(b) }).collect();
    ObsColumn::Factor(Factor { levels: vec!["FALSE".to_owned(), "TRUE".to_owned()], codes })
}

/// What pandas shows in the place of a missing text; it makes two types of column of one encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NaValue {
    /// `NaN`: the type `str` of pandas 3.
    Nan,
    /// `pandas.NA`: the type `string`.
    Na,
}

/// What a column holds, told without reading its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnKind {
    /// Numbers of a type, by numpy's name (`int64`); pandas' name (`Int64`) where values may be missing.
    Number(String),
    /// Truth values.
    Bool,
    /// Text.
    Text,
    /// Categories.
    Category {
        /// How many there are, used or not.
        n_levels: usize,
        /// Whether their order has a meaning.
        ordered: bool,
    },
    /// Something that cannot be read, and why.
    Unreadable(String),
}

impl std::fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(dtype) => f.write_str(dtype),
            Self::Bool => f.write_str("bool"),
            Self::Text => f.write_str("text"),
            Self::Category { n_levels, ordered } => {
                let word = if *ordered { "ordered category" } else { "category" };
                write!(f, "{word}, {n_levels} {}", if *n_levels == 1 { "level" } else { "levels" })
            }
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

type Reader = fn(&dyn Store, &str) -> Result<ColumnData>;
type Teller = fn(&dyn Store, &str) -> Result<ColumnKind>;

/// The readers of columns, by encoding type and version: one that reads, one that tells what would be read.
const READERS: [(&str, &str, Reader, Teller); 6] = [
    ("array", "0.2.0", read_array, tell_array),
    ("string-array", "0.2.0", read_array, tell_array),
    ("categorical", "0.2.0", read_categorical, tell_categorical),
    ("nullable-integer", "0.1.0", read_nullable_numbers, tell_nullable_numbers),
    ("nullable-boolean", "0.1.0", read_nullable_numbers, tell_nullable_numbers),
    ("nullable-string-array", "0.1.0", read_nullable_texts, |_, _| Ok(ColumnKind::Text)),
];

/// What an element says it is: its encoding type and version, where it says so.
pub(crate) fn encoding(store: &dyn Store, path: &str) -> Result<Option<(String, String)>> {
    Ok(match (store.attr(path, "encoding-type")?, store.attr(path, "encoding-version")?) {
        (Some(Attr::Text(kind)), Some(Attr::Text(version))) => Some((kind, version)),
        (Some(Attr::Text(kind)), _) => Some((kind, String::new())),
        _ => None,
    })
}

fn reader_of(store: &dyn Store, path: &str) -> Result<(Reader, Teller)> {
    let place = |fault: Fault| fault.at(path).at(store.place());
    let Some((kind, version)) = encoding(store, path)? else {
        // Before anndata 0.8 plain arrays carried no attributes; what else had none is told apart here.
        return match store.node(path)? {
            Some(Node::Array) if store.attr(path, "categories")?.is_some() => {
                Ok((read_referring_categorical, tell_referring_categorical))
            }
            Some(Node::Array) => Ok((read_array, tell_array)),
            Some(Node::Group) => Err(place(Fault::unsupported("a group without encoding-type cannot be a column"))),
            None => Err(place(Fault::missing("there is no such element"))),
        };
    };
    match READERS.iter().find(|(k, v, ..)| (*k, *v) == (kind.as_str(), version.as_str())) {
        Some(&(_, _, read, tell)) => Ok((read, tell)),
        None => {
            Err(place(Fault::unsupported(format!("encoding `{kind}` version `{version}` is not read as a column"))))
        }
    }
}

/// Reads a column, whatever its encoding.
pub(crate) fn read_column(store: &dyn Store, path: &str) -> Result<ColumnData> {
    (reader_of(store, path)?.0)(store, path)
}

/// Tells what a column holds.
pub(crate) fn tell_column(store: &dyn Store, path: &str) -> ColumnKind {
    let told = reader_of(store, path).and_then(|(_, tell)| tell(store, path));
    told.unwrap_or_else(|fault| ColumnKind::Unreadable(fault.message().to_owned()))
}

/// Reads an array of one dimension as a column.
pub(crate) fn read_array(store: &dyn Store, path: &str) -> Result<ColumnData> {
    let array = store.array(path)?;
    let info = array.info();
    let at = |fault: Fault| fault.at(store.place());
    if info.shape.len() != 1 {
        let message = format!("a column has one dimension, this one has shape {:?}", info.shape);
        return Err(at(Fault::bad_file(message).at(path)));
    }
    let rows = 0..info.n_rows();
    match &info.dtype {
        Dtype::Text => {
            let values = array.texts(rows).map_err(at)?.into_iter().map(Some).collect();
            Ok(ColumnData::Texts { values, na: None })
        }
        Dtype::Other(words) => Err(at(Fault::unsupported(format!("elements of type {words} are not read")).at(path))),
        _ => Ok(ColumnData::Numbers(array.numbers(rows).map_err(at)?)),
    }
}

fn tell_array(store: &dyn Store, path: &str) -> Result<ColumnKind> {
    let array = store.array(path)?;
    Ok(match &array.info().dtype {
        Dtype::Bool => ColumnKind::Bool,
        Dtype::Text => ColumnKind::Text,
        Dtype::Other(words) => ColumnKind::Unreadable(format!("elements of type {words}")),
        dtype => ColumnKind::Number(dtype.name().to_owned()),
    })
}

fn read_categorical(store: &dyn Store, path: &str) -> Result<ColumnData> {
    let place = |fault: Fault| fault.at(path).at(store.place());
    let levels = read_column(store, &format!("{path}/categories"))?;
    if matches!(levels, ColumnData::Categorical { .. }) {
        return Err(place(Fault::bad_file("its categories are categorical themselves")));
    }
    let ColumnData::Numbers(codes) = read_array(store, &format!("{path}/codes"))? else {
        return Err(place(Fault::bad_file("its codes are not numbers")));
    };
    let codes = factor_codes(codes, levels.len()).map_err(place)?;
    Ok(ColumnData::Categorical { codes, levels: Box::new(levels), ordered: is_ordered(store, path)? })
}

/// Where anndata 0.7 keeps the levels of a column of codes: behind a reference (a path, where a format knows none), which
/// leads to the group of levels beside the column.
fn referred_levels(store: &dyn Store, path: &str) -> Result<String> {
    let (frame, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut places = match store.attr(path, "categories")? {
        Some(Attr::Reference(target)) => vec![target],
        Some(Attr::Text(target)) => vec![format!("{frame}/{target}"), target.trim_start_matches('/').to_owned()],
        _ => Vec::new(),
    };
    places.push(format!("{frame}/__categories/{name}"));
    for levels in places {
        if store.node(&levels)? == Some(Node::Array) {
            return Ok(levels);
        }
    }
    Err(Fault::bad_file("attribute `categories` leads to no array of levels").at(path).at(store.place()))
}

fn read_referring_categorical(store: &dyn Store, path: &str) -> Result<ColumnData> {
    let place = |fault: Fault| fault.at(path).at(store.place());
    let target = referred_levels(store, path)?;
    let levels = read_array(store, &target)?;
    let ColumnData::Numbers(codes) = read_array(store, path)? else {
        return Err(place(Fault::bad_file("its codes are not numbers")));
    };
    let codes = factor_codes(codes, levels.len()).map_err(place)?;
    Ok(ColumnData::Categorical { codes, levels: Box::new(levels), ordered: is_ordered(store, &target)? })
}

fn tell_referring_categorical(store: &dyn Store, path: &str) -> Result<ColumnKind> {
    let levels = referred_levels(store, path)?;
    Ok(ColumnKind::Category { n_levels: n_rows(store, &levels)?, ordered: is_ordered(store, &levels)? })
}

/// Codes with -1 for missing; any other that names no level is a fault.
pub(crate) fn factor_codes(codes: Numbers, n_levels: usize) -> Result<Vec<u32>> {
    fn convert<T: Copy + TryInto<i64> + ToString>(codes: &[T], n_levels: usize) -> Result<Vec<u32>> {
        let code = |(row, &c): (usize, &T)| match c.try_into() {
            Ok(-1) => Ok(Factor::MISSING),
            Ok(c) if c >= 0 && (c as u64) < n_levels as u64 => Ok(c as u32),
            _ => Err(Fault::bad_file(format!(
                "row {row} has code {}, but there are {n_levels} categories",
                c.to_string()
            ))
            .hint("the file is damaged")),
        };
        codes.iter().enumerate().map(code).collect()
    }
    match codes {
        Numbers::I8(v) => convert(&v, n_levels),
        Numbers::I16(v) => convert(&v, n_levels),
        Numbers::I32(v) => convert(&v, n_levels),
        Numbers::I64(v) => convert(&v, n_levels),
        Numbers::U8(v) => convert(&v, n_levels),
        Numbers::U16(v) => convert(&v, n_levels),
        Numbers::U32(v) => convert(&v, n_levels),
        Numbers::U64(v) => convert(&v, n_levels),
        other => Err(Fault::bad_file(format!("its codes are of type {}", other.dtype().name()))),
    }
}

fn is_ordered(store: &dyn Store, path: &str) -> Result<bool> {
    Ok(match store.attr(path, "ordered")? {
        Some(Attr::Numbers(flag)) => flag.to_f64().first().is_some_and(|&f| f != 0.0),
        _ => false,
    })
}

fn tell_categorical(store: &dyn Store, path: &str) -> Result<ColumnKind> {
    let n_levels = n_rows(store, &format!("{path}/categories"))?;
    Ok(ColumnKind::Category { n_levels, ordered: is_ordered(store, path)? })
}

fn read_mask(store: &dyn Store, path: &str, n_rows: usize) -> Result<Vec<bool>> {
    let mask = format!("{path}/mask");
    let place = |fault: Fault| fault.at(mask.as_str()).at(store.place());
    match read_array(store, &mask)? {
        ColumnData::Numbers(Numbers::Bool(missing)) if missing.len() == n_rows => Ok(missing),
        ColumnData::Numbers(Numbers::Bool(missing)) => {
            Err(place(Fault::bad_file(format!("{} flags for {n_rows} values", missing.len()))))
        }
        _ => Err(place(Fault::bad_file("truth values were expected"))),
    }
}

fn read_nullable_numbers(store: &dyn Store, path: &str) -> Result<ColumnData> {
    match read_array(store, &format!("{path}/values"))? {
        ColumnData::Numbers(values) => {
            let missing = read_mask(store, path, values.len())?;
            Ok(ColumnData::NullableNumbers { values, missing })
        }
        _ => Err(Fault::bad_file("numbers were expected").at(format!("{path}/values")).at(store.place())),
    }
}

fn tell_nullable_numbers(store: &dyn Store, path: &str) -> Result<ColumnKind> {
    Ok(match tell_array(store, &format!("{path}/values"))? {
        ColumnKind::Number(dtype) => ColumnKind::Number(nullable_name(&dtype)),
        other => other,
    })
}

/// pandas' name of a type whose values may be missing: `Int64` for `int64`, `UInt8` for `uint8`.
fn nullable_name(dtype: &str) -> String {
    match dtype.strip_prefix("uint") {
        Some(bits) => format!("UInt{bits}"),
        None => dtype[..1].to_uppercase() + &dtype[1..],
    }
}

fn read_nullable_texts(store: &dyn Store, path: &str) -> Result<ColumnData> {
    match read_array(store, &format!("{path}/values"))? {
        ColumnData::Texts { values, .. } => {
            let missing = read_mask(store, path, values.len())?;
            let values = values.into_iter().zip(missing).map(|(text, gone)| text.filter(|_| !gone)).collect();
            let na = match store.attr(path, "na-value")? {
                Some(Attr::Text(word)) if word == "NaN" => NaValue::Nan,
                _ => NaValue::Na,
            };
            Ok(ColumnData::Texts { values, na: Some(na) })
        }
        _ => Err(Fault::bad_file("texts were expected").at(format!("{path}/values")).at(store.place())),
    }
}

/// The number of rows of a column, told without reading it.
pub(crate) fn n_rows(store: &dyn Store, path: &str) -> Result<usize> {
    for candidate in [path.to_owned(), format!("{path}/values"), format!("{path}/codes")] {
        if store.node(&candidate)? == Some(Node::Array) {
            return Ok(store.array(&candidate)?.info().n_rows());
        }
    }
    Err(Fault::missing("there is no such column").at(path).at(store.place()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_name_a_level_or_none() {
        let codes = factor_codes(Numbers::I8(vec![0, -1, 1]), 2);
        assert!(codes.is_ok_and(|c| c == [0, Factor::MISSING, 1]));
        for bad in [Numbers::I8(vec![0, 2]), Numbers::I16(vec![0, -2])] {
            let fault = factor_codes(bad, 2).err().map(|f| f.to_string());
            assert!(fault.is_some_and(|f| f.starts_with("row 1 has code")), "a code without a level");
        }
    }

    #[test]
    fn columns_become_what_a_model_sees() {
        let flags = Numbers::Bool(vec![true, false, true]);
        let column = ColumnData::NullableNumbers { values: flags, missing: vec![false, false, true] };
        let ObsColumn::Factor(factor) = column.to_obs() else { unreachable!("truth values are a factor") };
        assert_eq!((factor.levels.join(" "), factor.codes), ("FALSE TRUE".into(), vec![1, 0, Factor::MISSING].into()));
        let levels = Box::new(ColumnData::Numbers(Numbers::I64(vec![10, 2])));
        let column = ColumnData::Categorical { codes: vec![1, 0, 1], levels, ordered: true };
        let ObsColumn::Factor(factor) = column.to_obs() else { unreachable!("categories are a factor") };
        assert_eq!((factor.levels.join(" "), factor.codes), ("10 2".into(), vec![1, 0, 1].into()));
    }

    #[test]
    fn types_with_missing_values_have_the_name_that_pandas_gives_them() {
        assert_eq!([nullable_name("int64"), nullable_name("uint8")], ["Int64", "UInt8"]);
    }
}
