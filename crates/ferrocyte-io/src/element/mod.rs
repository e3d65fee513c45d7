//! [`Item`]: what stands in an annotated file, as rich as the file has it.
//!
//! An item is what one element of a file becomes when it is read: an array, a sparse matrix, a data frame, a dict of
//! further items. It knows no file format. Matrices that may be large are streamed instead
//! ([`H5adMatrix`](crate::H5adMatrix)).

pub(crate) mod borrowed;
pub(crate) mod columns;
pub(crate) mod copy;
pub(crate) mod frame;
pub(crate) mod read;
pub(crate) mod rows;
pub(crate) mod select;
pub(crate) mod sparse;
pub(crate) mod stream;
pub(crate) mod tree;
pub(crate) mod write;

use crate::element::columns::ColumnData;
use crate::h5ad::matrix::MatrixKind;
use crate::store::Numbers;

/// One element of an annotated file.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Nothing (`None` in Python).
    Null,
    /// One number, truth value or text that says that it is no array.
    Scalar(Entries),
    /// An array of any number of axes; none for a single value of a file before anndata 0.8.
    Array(NdArray),
    /// Categories, or values of which some are missing.
    Column(ColumnData),
    /// A compressed sparse matrix, exactly as it is stored.
    Sparse(Sparse),
    /// A data frame.
    Frame(FrameData),
    /// An array of records.
    Records(Records),
    /// Named items, in the order of their names in the file.
    Dict(Vec<(String, Item)>),
    /// Something that is not read. Rewriting a file takes it over untouched, or refuses.
    Opaque {
        /// What it says it is: encoding type and version.
        encoding: String,
        /// Why it is not read.
        why: String,
    },
}

/// The elements of an array.
#[derive(Debug, Clone, PartialEq)]
pub enum Entries {
    /// Numbers or truth values.
    Numbers(Numbers),
    /// Texts.
    Texts(Vec<String>),
    /// Texts of which each has the same room, as anndata wrote them before 0.7.
    Fixed {
        /// The texts.
        texts: Vec<String>,
        /// The length of the longest that would fit: `n` of the types `Sn` and `Un` of numpy.
        width: usize,
    },
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) | Self::Fixed { texts, .. } => texts.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An array of any number of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct NdArray {
    /// Its extents; their product is the number of elements.
    pub shape: Vec<usize>,
    /// Its elements in row-major order.
    pub cells: Entries,
}

/// A compressed sparse matrix as it is stored: indices may be in any order, doubled, and zeros may be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Sparse {
    /// [`MatrixKind::Csr`] or [`MatrixKind::Csc`].
    pub kind: MatrixKind,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// The stored values.
    pub data: Numbers,
    /// The column (of CSR; the row of CSC) of each value: 32-bit or 64-bit integers, in range.
    pub indices: Numbers,
    /// Where the values of each row (column) begin, and the end: integers that rise from 0.
    pub indptr: Numbers,
}

/// A data frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameData {
    /// What its index is called; `_index` if it has no name.
    pub index_name: String,
    /// The names of the rows.
    pub index: ColumnData,
    /// The columns in their order.
    pub columns: Vec<(String, ColumnData)>,
}

impl FrameData {
    /// How many rows there are.
    pub fn n_rows(&self) -> usize {
        self.index.len()
    }
}

/// An array of records: fields of the same number of rows, each with a type and extents of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// How many records there are.
    pub n_rows: usize,
    /// The fields in their order.
    pub fields: Vec<(String, Field)>,
}

/// A field of [`Records`].
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The extents of one element: empty for a plain number or text.
    pub shape: Vec<usize>,
    /// The elements, record after record.
    pub cells: Entries,
}
