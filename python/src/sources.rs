//! Matrices on their way in: arrays of numpy and scipy (borrowed, never copied), matrices of files, and
//! matrices that only Python can read, asked for block by block.
//!
//! The package describes a matrix by an object with the attributes of [`Matrix`]; [`Held`] keeps the borrowed arrays
//! for the time of a call, and [`Held::open`] makes the stream that the crates read.

use std::ops::Range;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Csc, Csr, Dense, Index, Number, RowBlock, RowChunks, SelectGenes, SelectRows};
use ferrocyte_io::AnnotatedSource;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;

use crate::faults::{OrRaise, from_exception};
use crate::io::study::Study;

/// The description of a matrix, cells × genes: `ferrocyte._sources.Matrix`.
#[derive(FromPyObject)]
pub(crate) struct Matrix<'py> {
    /// What it is called in messages and provenance.
    name: String,
    /// Shape before any selection.
    shape: (usize, usize),
    content: Content<'py>,
    /// The rows that are used, in order; all if absent.
    rows: Option<Rows>,
    /// The genes that are used, in order; all if absent.
    genes: Option<Vec<usize>>,
}

/// Where the values are. The tags are the first entries of the tuples.
enum Content<'py> {
    /// scipy's `data`, `indices`, `indptr`.
    Csr(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>),
    /// The same of a matrix by columns.
    Csc(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>),
    /// The entries in memory order, and whether rows are contiguous.
    Dense(Bound<'py, PyAny>, bool),
    /// An open study and a matrix in it.
    Study(Py<Study>, String),
    /// `read(start, stop)` gives `data, indices, indptr` of these rows; and the number of stored values, if known.
    Blocks(Py<PyAny>, Option<u64>),
}

impl<'py> FromPyObject<'_, 'py> for Content<'py> {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let item = |i: usize| object.get_item(i);
        let tag: String = item(0)?.extract()?;
        Ok(match tag.as_str() {
            "csr" => Self::Csr(item(1)?, item(2)?, item(3)?),
            "csc" => Self::Csc(item(1)?, item(2)?, item(3)?),
            "dense" => Self::Dense(item(1)?, item(2)?.extract()?),
            "study" => Self::Study(item(1)?.extract()?, item(2)?.extract()?),
            "blocks" => Self::Blocks(item(1)?.unbind(), item(2)?.extract()?),
            other => {
                return Err(Fault::internal(format!("matrices of kind `{other}` are unknown"))).or_raise(object.py());
            }
        })
    }
}

#[derive(FromPyObject)]
enum Rows {
    Range(usize, usize),
    List(Vec<usize>),
}

/// Declares the borrowed arrays of one kind, and the match over their types.
macro_rules! arrays {
    ($(#[$meta:meta])* $name:ident, $visit:ident, $what:literal: $($variant:ident($t:ty)),+) => {
        $(#[$meta])*
        #[derive(FromPyObject)]
        enum $name<'py> { $($variant(PyReadonlyArray1<'py, $t>)),+ }

        impl<'py> $name<'py> {
            /// The array, if it has one dimension and a type that is read.
            fn of(array: &Bound<'py, PyAny>) -> PyResult<Self> {
                array.extract().map_err(|_| {
                    let dtype = array.getattr("dtype").map_or_else(|_| "no numpy array".to_owned(), |d| d.to_string());
                    crate::faults::to_exception(array.py(), &Fault::bad_input(format!("{} cannot be {dtype}", $what)))
                })
            }
        }

        macro_rules! $visit {
            ($array:expr, $slice:ident => $body:expr) => {
                match $array { $($name::$variant(array) => array.as_slice().map_err(not_contiguous).and_then(|$slice| $body)),+ }
            };
        }
    };
}

arrays!(
    /// Values of any type that scipy and numpy hold counts in.
    Values, with_values, "values":
    F32(f32), F64(f64), I32(i32), I64(i64), U8(u8), U16(u16), I8(i8), I16(i16), U32(u32), U64(u64)
);
arrays!(
    /// Indices or pointers, of either width.
    Indices, with_indices, "indices": I32(i32), I64(i64)
);

fn not_contiguous(_: impl std::fmt::Debug) -> Fault {
    Fault::internal("an array is not contiguous")
}

/// A matrix with its arrays borrowed: they cannot be written through numpy until it is dropped.
pub(crate) struct Held<'py> {
    name: String,
    shape: (usize, usize),
    arrays: Arrays<'py>,
    rows: Option<Rows>,
    genes: Option<Vec<usize>>,
}

enum Arrays<'py> {
    Csr(Values<'py>, Indices<'py>, Vec<i64>),
    Csc(Values<'py>, Indices<'py>, Vec<i64>),
    Dense(Values<'py>, bool),
    Study(Arc<dyn AnnotatedSource>, String),
    Blocks(Py<PyAny>, Option<u64>),
}

impl<'py> Held<'py> {
    /// Borrows the arrays of a matrix.
    pub(crate) fn new(matrix: Matrix<'py>) -> PyResult<Self> {
        let arrays = match matrix.content {
            Content::Csr(data, indices, indptr) => {
                Arrays::Csr(Values::of(&data)?, Indices::of(&indices)?, pointers(&indptr)?)
            }
            Content::Csc(data, indices, indptr) => {
                Arrays::Csc(Values::of(&data)?, Indices::of(&indices)?, pointers(&indptr)?)
            }
            Content::Dense(entries, by_rows) => Arrays::Dense(Values::of(&entries)?, by_rows),
            Content::Study(study, element) => Arrays::Study(Arc::clone(&study.get().source), element),
            Content::Blocks(read, n_stored) => Arrays::Blocks(read, n_stored),
        };
        Ok(Self { name: matrix.name, shape: matrix.shape, arrays, rows: matrix.rows, genes: matrix.genes })
    }

    /// The stream of its rows, selections applied.
    pub(crate) fn open(&self, py: Python<'_>) -> Result<Box<dyn RowChunks + '_>> {
        let (n_rows, n_cols) = self.shape;
        let source: Box<dyn RowChunks + '_> = match &self.arrays {
            Arrays::Csr(data, indices, indptr) => {
                with_values!(data, values => with_indices!(indices, indices => csr(n_rows, n_cols, values, indices, indptr)))
            }
            Arrays::Csc(data, indices, indptr) => {
                with_values!(data, values => with_indices!(indices, indices => csc(n_rows, n_cols, values, indices, indptr)))
            }
            Arrays::Dense(entries, by_rows) => with_values!(entries, values => dense(n_rows, n_cols, values, *by_rows)),
            Arrays::Study(study, element) => study.matrix(element).map(|rows| rows as Box<dyn RowChunks + '_>),
            Arrays::Blocks(read, n_stored) => {
                let blocks = Blocks { read: read.clone_ref(py), shape: self.shape, n_stored: *n_stored };
                Ok(Box::new(blocks) as Box<dyn RowChunks + '_>)
            }
        }
        .map_err(|fault| fault.at(self.name.clone()))?;
        let mut source: Box<dyn RowChunks + '_> = match self.arrays {
            Arrays::Study(..) => source,
            _ => Box::new(Named { source, name: &self.name }),
        };
        if let Some(rows) = &self.rows {
            source = match rows {
                Rows::Range(start, end) => Box::new(SelectRows::range(source, *start..*end)?),
                Rows::List(list) => Box::new(SelectRows::list(source, list.clone())?),
            };
        }
        if let Some(genes) = &self.genes {
            source = Box::new(SelectGenes::new(source, genes)?);
        }
        Ok(source)
    }
}

fn pointers(indptr: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    Ok(match Indices::of(indptr)? {
        Indices::I32(array) => array.as_array().iter().map(|&p| i64::from(p)).collect(),
        Indices::I64(array) => array.as_array().to_vec(),
    })
}

fn csr<'a, V: Number, I: Index>(
    n_rows: usize,
    n_cols: usize,
    values: &'a [V],
    indices: &'a [I],
    pointers: &[i64],
) -> Result<Box<dyn RowChunks + 'a>> {
    Ok(Box::new(Csr::new(n_rows, n_cols, values, indices, pointers)?))
}

fn csc<'a, V: Number, I: Index>(
    n_rows: usize,
    n_cols: usize,
    values: &'a [V],
    indices: &'a [I],
    pointers: &[i64],
) -> Result<Box<dyn RowChunks + 'a>> {
    Ok(Box::new(Csc::new(n_rows, n_cols, values, indices, pointers)?))
}

fn dense<V: Number>(n_rows: usize, n_cols: usize, values: &[V], by_rows: bool) -> Result<Box<dyn RowChunks + '_>> {
    let matrix =
        if by_rows { Dense::row_major(n_rows, n_cols, values)? } else { Dense::column_major(n_rows, n_cols, values)? };
    Ok(Box::new(matrix))
}

/// A stream under the name that its owner has for it.
struct Named<'a> {
    source: Box<dyn RowChunks + 'a>,
    name: &'a str,
}

impl RowChunks for Named<'_> {
    fn n_rows(&self) -> usize {
        self.source.n_rows()
    }
    fn n_cols(&self) -> usize {
        self.source.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        self.source.n_stored()
    }
    fn name(&self) -> String {
        self.name.to_owned()
    }
    fn reads_ahead(&self) -> bool {
        self.source.reads_ahead()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        self.source.read(run, rows).map_err(|fault| fault.at(self.name.to_owned()))
    }
    fn gene_blocks(&self, run: &Run) -> Option<Vec<Range<usize>>> {
        self.source.gene_blocks(run)
    }
    fn read_genes(&mut self, run: &Run, genes: Range<usize>) -> Result<Box<dyn RowChunks + '_>> {
        self.source.read_genes(run, genes).map_err(|fault| fault.at(self.name.to_owned()))
    }
}

/// A matrix that only Python can read.
struct Blocks {
    read: Py<PyAny>,
    shape: (usize, usize),
    n_stored: Option<u64>,
}

impl Blocks {
    fn ask(&self, py: Python<'_>, rows: &Range<usize>) -> PyResult<Result<RowBlock<'static>>> {
        let (data, indices, indptr): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
            self.read.bind(py).call1((rows.start, rows.end))?.extract()?;
        let (data, indices, pointers) = (Values::of(&data)?, Indices::of(&indices)?, pointers(&indptr)?);
        let found = pointers.len().saturating_sub(1);
        if found != rows.len() {
            return Ok(Err(Fault::bad_input(format!("{found} rows were given, {} were asked for", rows.len()))));
        }
        Ok(with_values!(&data, values => with_indices!(&indices, indices => {
            csr_block(rows.clone(), self.shape.1, values, indices, &pointers)
        })))
    }
}

/// Rows as an owned block.
fn csr_block<V: Number, I: Index>(
    rows: Range<usize>,
    n_cols: usize,
    values: &[V],
    indices: &[I],
    pointers: &[i64],
) -> Result<RowBlock<'static>> {
    // The checks of `Csr` first, on what is borrowed.
    let mut block = Csr::new(rows.len(), n_cols, values, indices, pointers)?;
    let whole = block.read(&Run::new(), 0..rows.len())?;
    Ok(whole.into_owned().renumbered(rows.start))
}

impl RowChunks for Blocks {
    fn n_rows(&self) -> usize {
        self.shape.0
    }
    fn n_cols(&self) -> usize {
        self.shape.1
    }
    fn n_stored(&self) -> Option<u64> {
        self.n_stored
    }
    fn name(&self) -> String {
        "blocks of rows".to_owned()
    }
    fn read(&mut self, _run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        Python::attach(|py| self.ask(py, &rows).map_err(|exception| from_exception(py, exception))?)
    }
}

/// The values of all columns of a matrix, such as some genes of it: cells × columns, row after row.
pub(crate) fn columns(run: &Run, mut source: Box<dyn RowChunks + '_>) -> Result<Vec<f64>> {
    let (n_rows, n_columns) = (source.n_rows(), source.n_cols());
    let mut out = vec![0.0; n_rows * n_columns];
    let step = ferrocyte_data::rows_per_block(run, &source);
    let task = run.task("reading", n_rows as u64);
    for first in (0..n_rows).step_by(step.max(1)) {
        run.check()?;
        let rows = first..(first + step).min(n_rows);
        let length = rows.len();
        let block = source.read(run, rows)?;
        for (row, bounds) in block.pointers().windows(2).enumerate() {
            let to = &mut out[(first + row) * n_columns..][..n_columns];
            for k in bounds[0]..bounds[1] {
                to[block.indices()[k] as usize] = block.values().get(k);
            }
        }
        task.advance(length as u64);
    }
    Ok(out)
}

/// The values of one column of a matrix, cell by cell.
pub(crate) fn column(run: &Run, source: Box<dyn RowChunks + '_>, gene: usize) -> Result<Vec<f64>> {
    let mut one = SelectGenes::new(source, &[gene])?;
    let n_rows = one.n_rows();
    let mut out = Vec::with_capacity(n_rows);
    let step = ferrocyte_data::rows_per_block(run, &one);
    let task = run.task("reading", n_rows as u64);
    while out.len() < n_rows {
        run.check()?;
        let rows = out.len()..(out.len() + step).min(n_rows);
        let length = rows.len();
        let block = one.read(run, rows)?;
        out.extend(block.row_sums());
        task.advance(length as u64);
    }
    Ok(out)
}
