//! [`Store`]: the narrow door to a hierarchical file format, and the plain data that pass through it.
//!
//! A store is a tree of groups and arrays with attributes. Everything that knows what a data frame or a sparse
//! matrix looks like in a file is written against this trait; only [`crate::hdf5`] knows HDF5. The way back is
//! [`Sink`](crate::Sink).

pub(crate) mod below;
pub(crate) mod numbers;
pub(crate) mod open;
pub(crate) mod sink;
pub(crate) mod window;

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};

use crate::element::Field;
pub(crate) use numbers::Numbers;

/// A tree of groups and arrays. Paths are relative to the root and separated by `/`; the root is the empty path.
pub trait Store: Send + Sync {
    /// The file as the user named it, for messages.
    fn place(&self) -> &str;

    /// What stands at a path; `None` if nothing does.
    fn node(&self, path: &str) -> Result<Option<Node>>;

    /// The names of the children of a group, sorted.
    fn list(&self, group: &str) -> Result<Vec<String>>;

    /// An attribute of a group or array; `None` if it has none of that name.
    fn attr(&self, path: &str, name: &str) -> Result<Option<Attr>>;

    /// Opens an array. Fails when its elements cannot be decoded: an unknown type, a filter that is not built in.
    fn array(&self, path: &str) -> Result<Box<dyn StoredArray>>;

    /// Bytes of the whole file; `None` where that is not cheap to tell. What is read at once is held against it.
    fn bytes(&self) -> Option<u64> {
        None
    }

    /// The store itself, for a sink of the same format that takes over nodes untouched
    /// ([`Sink::adopt`](crate::Sink::adopt)); `None` where nothing can be taken over.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }
}

/// What stands at a path of a [`Store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A folder of nodes.
    Group,
    /// An array.
    Array,
}

/// An opened array. Ranges are along its first axis; a scalar has one row.
pub trait StoredArray: Send {
    /// Shape, type and storage.
    fn info(&self) -> &ArrayInfo;

    /// The numbers of a range of rows, in row-major order and in the type in which they are stored.
    fn numbers(&self, rows: Range<usize>) -> Result<Numbers>;

    /// The same, with the threads of a run where that is faster.
    fn numbers_with(&self, _run: &Run, rows: Range<usize>) -> Result<Numbers> {
        self.numbers(rows)
    }

    /// Numbers that are known already and behind them those of a range of rows: one block of a stream, without a copy of
    /// what is read where that can be avoided.
    fn numbers_behind(&self, run: &Run, mut known: Numbers, rows: Range<usize>) -> Result<Numbers> {
        known.append(self.numbers_with(run, rows)?)?;
        Ok(known)
    }

    /// The numbers of several ranges of rows, which rise, with the threads of a run where that is faster.
    fn numbers_of(&self, _run: &Run, ranges: &[Range<usize>]) -> Result<Vec<Numbers>> {
        ranges.iter().map(|rows| self.numbers(rows.clone())).collect()
    }

    /// The texts of a range of rows.
    fn texts(&self, rows: Range<usize>) -> Result<Vec<String>>;

    /// Bytes that its elements take in the file, compressed as they are; `None` where that is not known.
    fn stored_bytes(&self) -> Option<u64> {
        None
    }

    /// The room of a text, where all have the same (`n` of the types `Sn` and `Un` of numpy); `None` where each has its
    /// own length.
    fn text_width(&self) -> Option<usize> {
        None
    }

    /// The fields of an array of records, in their order; none where elements are no records.
    fn fields(&self) -> Vec<FieldInfo> {
        Vec::new()
    }

    /// One field of a range of records.
    fn field(&self, name: &str, _rows: Range<usize>) -> Result<Field> {
        Err(Fault::unsupported(format!("field `{name}` of records is not read")).at(self.info().path.as_str()))
    }
}

/// A field of an array of records, told without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// The extents of one element: empty for a plain number or text.
    pub shape: Vec<usize>,
}

/// Shape, type and storage of an array.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayInfo {
    /// Its path in the store.
    pub path: String,
    /// Its extents; empty for a scalar.
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub dtype: Dtype,
    /// The extents of a chunk, where it is stored in chunks.
    pub chunk: Option<Vec<usize>>,
    /// The names of its filters (`gzip`, `shuffle`, `lzf`), in the order in which they were applied.
    pub filters: Vec<String>,
}

impl ArrayInfo {
    /// The length of the first axis; 1 for a scalar.
    pub fn n_rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// How many elements one row has.
    pub fn width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// The filters as one word: `gzip+shuffle`, or `none`.
    pub fn compression(&self) -> String {
        if self.filters.is_empty() { "none".to_owned() } else { self.filters.join("+") }
    }
}

/// The type of the elements of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the numeric variants are the types that they name")]
pub enum Dtype {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    /// Text of any encoding, of fixed or variable length.
    Text,
    /// Anything else, in the words of the format.
    Other(String),
}

impl Dtype {
    /// The name of the type, as numpy has it; `text` for texts.
    pub fn name(&self) -> &str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::Text => "text",
            Self::Other(words) => words,
        }
    }

    /// Whether [`Numbers::into_values`] of this type gives 64-bit floats.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self, Self::F64 | Self::I32 | Self::U32 | Self::I64 | Self::U64)
    }

    /// Bytes of an element; 0 for texts and what is not a number.
    pub const fn size(&self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
            Self::Text | Self::Other(_) => 0,
        }
    }

    /// Whether the elements are numbers or truth values.
    pub fn is_numeric(&self) -> bool {
        !matches!(self, Self::Text | Self::Other(_))
    }
}

/// An attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attr {
    /// One text.
    Text(String),
    /// An array of texts.
    Texts(Vec<String>),
    /// One number or an array of numbers.
    Numbers(Numbers),
    /// Nothing.
    Empty,
    /// The path of another node.
    Reference(String),
    /// Anything else, in the words of the format: a compound.
    Other(String),
}
