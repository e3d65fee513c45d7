//! [`ItemRef`]: an [`Item`] that is borrowed. What is written is not copied for it, whoever owns it.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::Factor;

use crate::element::columns::{ColumnData, NaValue};
use crate::element::{Entries, FrameData, Item, Records, Sparse};
use crate::h5ad::matrix::MatrixKind;
use crate::store::numbers::NumbersRef;
use crate::store::{Attr, Dtype, Store};

/// One element of an annotated file, borrowed from whoever has it in memory.
#[derive(Clone)]
pub enum ItemRef<'a> {
    /// Nothing (`None` in Python).
    Null,
    /// One number, truth value or text.
    Scalar(EntriesRef<'a>),
    /// An array: its extents, and its elements in row-major order.
    Array(Vec<usize>, EntriesRef<'a>),
    /// Categories, or values of which some are missing.
    Column(ColumnRef<'a>),
    /// A compressed sparse matrix.
    Sparse(SparseRef<'a>),
    /// A data frame.
    Frame(FrameRef<'a>),
    /// An array of records.
    Records(Cow<'a, Records>),
    /// Named items.
    Folder(Folder<'a>),
    /// What stands in a store at a path: it passes through, whatever its size.
    Stored(&'a dyn Store, &'a str),
}

/// Named items, and what they are together.
#[derive(Clone)]
pub struct Folder<'a> {
    /// What the folder is.
    pub kind: FolderKind,
    /// Attributes beside those that tell the kind.
    pub attrs: Vec<(String, Attr)>,
    /// The items in the order in which they are written.
    pub entries: Vec<(Cow<'a, str>, ItemRef<'a>)>,
}

/// What named items are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderKind {
    /// A dictionary.
    Dict,
    /// `X`, `var` and `varm` of a wider set of genes.
    Raw,
    /// An annotated matrix.
    AnnData,
    /// Annotated matrices of several modalities.
    MuData,
    /// A group that says nothing of itself, as the groups of an .h5mu file.
    Plain,
}

impl FolderKind {
    /// Its encoding type and version.
    pub(crate) const fn encoding(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Dict => Some(("dict", "0.1.0")),
            Self::Raw => Some(("raw", "0.1.0")),
            Self::AnnData => Some(("anndata", "0.1.0")),
            Self::MuData => Some(("MuData", "0.1.0")),
            Self::Plain => None,
        }
    }
}

/// Borrowed [`Entries`].
#[derive(Debug, Clone, Copy)]
pub enum EntriesRef<'a> {
    /// Numbers or truth values.
    Numbers(NumbersRef<'a>),
    /// Texts.
    Texts(TextsRef<'a>),
}

impl EntriesRef<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Borrowed texts, of which some may be missing.
#[derive(Debug, Clone, Copy)]
pub enum TextsRef<'a> {
    /// All are there.
    Strings(&'a [String]),
    /// All are there, and borrowed themselves.
    Strs(&'a [&'a str]),
    /// Some may be missing.
    Options(&'a [Option<String>]),
    /// Some may be missing; whoever has them gives them one by one.
    Lent(&'a dyn Texts),
}

/// Texts that something else than Rust holds.
pub trait Texts: std::fmt::Debug + Sync {
    /// How many rows there are.
    fn n_rows(&self) -> usize;

    /// The text of a row, if it is not missing.
    fn text(&self, row: usize) -> Option<&str>;
}

impl<'a> TextsRef<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Self::Strings(v) => v.len(),
            Self::Strs(v) => v.len(),
            Self::Options(v) => v.len(),
            Self::Lent(v) => v.n_rows(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The text of a row, if it is not missing.
    pub fn get(self, row: usize) -> Option<&'a str> {
        match self {
            Self::Strings(v) => Some(&v[row]),
            Self::Strs(v) => Some(v[row]),
            Self::Options(v) => v[row].as_deref(),
            Self::Lent(v) => v.text(row),
        }
    }

    /// The first row without a text.
    pub fn first_missing(self) -> Option<usize> {
        match self {
            Self::Strings(_) | Self::Strs(_) => None,
            _ => (0..self.len()).find(|&row| self.get(row).is_none()),
        }
    }

    /// All of them, empty where they are missing.
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = &'a str> {
        (0..self.len()).map(move |row| self.get(row).unwrap_or_default())
    }
}

/// Borrowed [`ColumnData`].
#[derive(Debug, Clone)]
pub enum ColumnRef<'a> {
    /// Numbers or truth values, all present (a float may be NaN).
    Numbers(NumbersRef<'a>),
    /// Numbers or truth values of which some are missing.
    NullableNumbers(NumbersRef<'a>, &'a [bool]),
    /// Texts, and what stands for a missing one if the column has a type of its own for that. Without such a type the
    /// texts become a plain array if none is missing.
    Texts(TextsRef<'a>, Option<NaValue>),
    /// Categories.
    Categorical {
        /// One code per row.
        codes: Codes<'a>,
        /// The categories in their order.
        levels: Box<ColumnRef<'a>>,
        /// Whether their order has a meaning.
        ordered: bool,
    },
}

/// Borrowed codes of categories.
#[derive(Debug, Clone, Copy)]
pub enum Codes<'a> {
    /// [`Factor::MISSING`] for no category.
    Factor(&'a [u32]),
    /// Integers of the type in which they are written, -1 for no category.
    Stored(NumbersRef<'a>),
}

impl Codes<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Factor(codes) => codes.len(),
            Self::Stored(codes) => codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ColumnRef<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::NullableNumbers(values, _) => values.len(),
            Self::Texts(values, _) => values.len(),
            Self::Categorical { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Borrowed [`Sparse`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are those of `Sparse`")]
pub struct SparseRef<'a> {
    pub kind: MatrixKind,
    pub shape: (usize, usize),
    pub data: NumbersRef<'a>,
    pub indices: NumbersRef<'a>,
    pub indptr: NumbersRef<'a>,
}

/// Borrowed [`FrameData`].
#[derive(Debug, Clone)]
pub struct FrameRef<'a> {
    /// What the index is called; `_index` if it has no name.
    pub index_name: Cow<'a, str>,
    /// The names of the rows.
    pub index: ColumnRef<'a>,
    /// The columns in their order.
    pub columns: Vec<(Cow<'a, str>, ColumnRef<'a>)>,
}

impl std::fmt::Debug for ItemRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Scalar(entries) => f.debug_tuple("Scalar").field(entries).finish(),
            Self::Array(shape, _) => f.debug_tuple("Array").field(shape).finish_non_exhaustive(),
            Self::Column(column) => f.debug_tuple("Column").field(&column.len()).finish_non_exhaustive(),
            Self::Sparse(sparse) => f.debug_tuple("Sparse").field(&sparse.shape).finish_non_exhaustive(),
            Self::Frame(frame) => f.debug_tuple("Frame").field(&frame.index.len()).finish_non_exhaustive(),
            Self::Records(records) => f.debug_tuple("Records").field(&records.n_rows).finish_non_exhaustive(),
            Self::Folder(folder) => f.debug_list().entries(folder.entries.iter().map(|(name, _)| name)).finish(),
            Self::Stored(store, path) => f.debug_tuple("Stored").field(&store.place()).field(path).finish(),
        }
    }
}

impl<'a> From<&'a Entries> for EntriesRef<'a> {
    fn from(entries: &'a Entries) -> Self {
        match entries {
            Entries::Numbers(numbers) => Self::Numbers(numbers.borrowed()),
            Entries::Texts(texts) | Entries::Fixed { texts, .. } => Self::Texts(TextsRef::Strings(texts)),
        }
    }
}

impl<'a> From<&'a ColumnData> for ColumnRef<'a> {
    fn from(column: &'a ColumnData) -> Self {
        match column {
            ColumnData::Numbers(values) => Self::Numbers(values.borrowed()),
            ColumnData::NullableNumbers { values, missing } => Self::NullableNumbers(values.borrowed(), missing),
            ColumnData::Texts { values, na } => Self::Texts(TextsRef::Options(values), *na),
            ColumnData::Categorical { codes, levels, ordered } => Self::Categorical {
                codes: Codes::Factor(codes),
                levels: Box::new(Self::from(&**levels)),
                ordered: *ordered,
            },
        }
    }
}

impl<'a> From<&'a Sparse> for SparseRef<'a> {
    fn from(sparse: &'a Sparse) -> Self {
        Self {
            kind: sparse.kind,
            shape: sparse.shape,
            data: sparse.data.borrowed(),
            indices: sparse.indices.borrowed(),
            indptr: sparse.indptr.borrowed(),
        }
    }
}

impl<'a> From<&'a FrameData> for FrameRef<'a> {
    fn from(frame: &'a FrameData) -> Self {
        let column = |(name, column): &'a (String, ColumnData)| (Cow::Borrowed(name.as_str()), column.into());
        Self {
            index_name: Cow::Borrowed(&frame.index_name),
            index: (&frame.index).into(),
            columns: frame.columns.iter().map(column).collect(),
        }
    }
}

impl<'a> TryFrom<&'a Item> for ItemRef<'a> {
    type Error = Fault;

    /// Fails for what was not read: it can only be taken over.
    fn try_from(item: &'a Item) -> Result<Self> {
        Ok(match item {
            Item::Null => Self::Null,
            Item::Scalar(entries) => Self::Scalar(entries.into()),
            Item::Array(array) => Self::Array(array.shape.clone(), (&array.cells).into()),
            Item::Column(column) => Self::Column(column.into()),
            Item::Sparse(sparse) => Self::Sparse(sparse.into()),
            Item::Frame(frame) => Self::Frame(frame.into()),
            Item::Records(records) => Self::Records(Cow::Borrowed(records)),
            Item::Dict(entries) => {
                let entry = |(name, item): &'a (String, Item)| {
                    let item = Self::try_from(item).map_err(|f| f.at(name.as_str()))?;
                    Ok((Cow::Borrowed(name.as_str()), item))
                };
                let entries = entries.iter().map(entry).collect::<Result<_>>()?;
                Self::Folder(Folder { kind: FolderKind::Dict, attrs: Vec::new(), entries })
            }
            Item::Opaque { encoding, why } => {
                return Err(Fault::unsupported(format!("encoding `{encoding}` is not written: {why}")));
            }
        })
    }
}

impl ItemRef<'_> {
    /// Bytes of its numbers, for progress.
    pub(crate) fn bytes(&self) -> u64 {
        let of = |numbers: NumbersRef<'_>| numbers.bytes().len() as u64;
        match self {
            Self::Array(_, EntriesRef::Numbers(numbers)) => of(*numbers),
            Self::Sparse(sparse) => of(sparse.data) + of(sparse.indices) + of(sparse.indptr),
            Self::Folder(folder) => folder.entries.iter().map(|(_, item)| item.bytes()).sum(),
            _ => 0,
        }
    }

    /// Whether it can be written: names that are names, lengths that fit, codes and pointers that stay inside. Faults
    /// name the place.
    pub(crate) fn check(&self, path: &str) -> Result<()> {
        let here = |checked: Result<()>| if path.is_empty() { checked } else { checked.map_err(|f| f.at(path)) };
        match self {
            Self::Null | Self::Records(_) | Self::Stored(..) => Ok(()),
            Self::Scalar(entries) => here(check_length(entries.len(), 1)),
            Self::Array(shape, entries) => here(check_length(entries.len(), shape.iter().product())),
            Self::Column(column) => here(column.check(column.len())),
            Self::Sparse(sparse) => here(sparse.check()),
            Self::Frame(frame) => here(frame.check()),
            Self::Folder(folder) => {
                here(check_names("node", folder.entries.iter().map(|(name, _)| &**name)))?;
                folder.entries.iter().try_for_each(|(name, item)| item.check(&join(path, name)))
            }
        }
    }
}

impl ColumnRef<'_> {
    fn check(&self, n_rows: usize) -> Result<()> {
        if self.len() != n_rows {
            return Err(Fault::bad_input(format!("{} values for {n_rows} rows", self.len())));
        }
        match self {
            Self::Numbers(_) | Self::Texts(..) => Ok(()),
            Self::NullableNumbers(values, missing) => {
                if matches!(values.dtype(), Dtype::F32 | Dtype::F64) {
                    return Err(Fault::unsupported("floats with a mask are not written").hint("use NaN"));
                }
                check_length(missing.len(), values.len())
            }
            Self::Categorical { codes, levels, .. } => {
                if matches!(**levels, Self::Categorical { .. }) {
                    return Err(Fault::unsupported("categories that are categorical themselves are not written"));
                }
                levels.check(levels.len())?;
                codes.check(levels.len())
            }
        }
    }
}

impl Codes<'_> {
    fn check(&self, n_levels: usize) -> Result<()> {
        let bad = |row: usize, code: String| {
            Err(Fault::bad_input(format!("row {row} has code {code}, but there are {n_levels} levels")))
        };
        macro_rules! stored {
            ($v:expr) => {
                match $v.iter().position(|&code| code < -1 || code as i64 >= n_levels as i64) {
                    Some(row) => bad(row, $v[row].to_string()),
                    None => Ok(()),
                }
            };
        }
        match self {
            Self::Factor(codes) => match codes.iter().position(|&c| c != Factor::MISSING && c as usize >= n_levels) {
                Some(row) => bad(row, codes[row].to_string()),
                None => Ok(()),
            },
            Self::Stored(NumbersRef::I8(v)) => stored!(v),
            Self::Stored(NumbersRef::I16(v)) => stored!(v),
            Self::Stored(NumbersRef::I32(v)) => stored!(v),
            Self::Stored(NumbersRef::I64(v)) => stored!(v),
            Self::Stored(other) => Err(Fault::bad_input(format!("codes of type {}", other.dtype().name()))),
        }
    }
}

impl FrameRef<'_> {
    fn check(&self) -> Result<()> {
        let names = || self.columns.iter().map(|(name, _)| &**name);
        check_names("column", std::iter::once(&*self.index_name).chain(names()))?;
        let n_rows = self.index.len();
        self.index.check(n_rows).map_err(|f| f.at("its index"))?;
        self.columns
            .iter()
            .try_for_each(|(name, column)| column.check(n_rows).map_err(|f| f.at(format!("column `{name}`"))))
    }
}

impl SparseRef<'_> {
    /// Type and extents of its arrays. The indices themselves are those of their owner: as they are, they are stored.
    fn check(&self) -> Result<()> {
        let lines = match self.kind {
            MatrixKind::Csr => self.shape.0,
            MatrixKind::Csc => self.shape.1,
            MatrixKind::Dense => return Err(Fault::internal("a dense matrix among sparse ones")),
        };
        if self.indptr.len() != lines + 1 {
            let message = format!("{} pointers for {lines} rows, expected one more", self.indptr.len());
            return Err(Fault::bad_input(message).at("indptr"));
        }
        for (name, numbers) in [("indices", self.indices), ("indptr", self.indptr)] {
            if !matches!(numbers.dtype(), Dtype::I32 | Dtype::I64) {
                let message = format!("type {}, expected int32 or int64", numbers.dtype().name());
                return Err(Fault::bad_input(message).at(name));
            }
        }
        let stored = match self.indptr {
            NumbersRef::I32(v) => v.last().map(|&n| i64::from(n)),
            NumbersRef::I64(v) => v.last().copied(),
            _ => None,
        };
        if stored != i64::try_from(self.data.len()).ok() || self.indices.len() != self.data.len() {
            let message = format!(
                "{} values, {} indices and pointers up to {}",
                self.data.len(),
                self.indices.len(),
                stored.unwrap_or(0)
            );
            return Err(Fault::bad_input(message));
        }
        Ok(())
    }
}

fn check_length(found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Fault::bad_input(format!("{found} values for {expected} places")))
}

/// Names become parts of paths, and each stands once.
pub(crate) fn check_names<'n>(what: &str, names: impl Iterator<Item = &'n str>) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(Fault::bad_input(format!("`{}` cannot be the name of a {what}", name.escape_debug()))
                .hint("names are not empty and have no `/`: rename it"));
        }
        if !seen.insert(name) {
            return Err(Fault::bad_input(format!("there are two {what}s `{name}`")).hint("rename one of them"));
        }
    }
    Ok(())
}

/// The path of a child.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths_and_stand_once() {
        for bad in ["", "a/b", ".", "a\0"] {
            assert!(check_names("node", [bad].into_iter()).is_err(), "{bad:?}");
        }
        assert!(check_names("node", ["T cells (CD4+)", "ünïcode 🧬", "a.b"].into_iter()).is_ok());
        assert!(
            check_names("node", ["a", "b", "a"].into_iter()).is_err_and(|f| f.to_string().contains("two nodes `a`"))
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_by_its_place() {
        let levels = || Box::new(ColumnRef::Texts(TextsRef::Strs(&["x"]), None));
        let column = |codes| ColumnRef::Categorical { codes, levels: levels(), ordered: false };
        assert!(column(Codes::Factor(&[0, Factor::MISSING])).check(2).is_ok());
        assert!(column(Codes::Stored(NumbersRef::I8(&[0, -1]))).check(2).is_ok());
        assert!(column(Codes::Factor(&[1])).check(1).is_err());
        assert!(column(Codes::Stored(NumbersRef::I8(&[-2]))).check(1).is_err());
        let sparse = SparseRef {
            kind: MatrixKind::Csr,
            shape: (2, 3),
            data: NumbersRef::F32(&[1.0]),
            indices: NumbersRef::I32(&[2]),
            indptr: NumbersRef::I64(&[0, 0, 1]),
        };
        assert!(sparse.check().is_ok());
        assert!(SparseRef { shape: (3, 3), ..sparse }.check().is_err());
        assert!(SparseRef { data: NumbersRef::F32(&[]), ..sparse }.check().is_err());
        let entries = vec![(Cow::Borrowed("X"), ItemRef::Sparse(SparseRef { shape: (3, 3), ..sparse }))];
        let folder = ItemRef::Folder(Folder { kind: FolderKind::Dict, attrs: Vec::new(), entries });
        assert!(folder.check("layers").unwrap_err().to_string().starts_with("layers/X: indptr: 3 pointers"));
    }
}
