//! [`SparseRows`]: a matrix of compressed sparse rows that is written as its rows come.
//!
//! Memory does not grow with what is written but for 8 bytes per row (the row pointers). The same rows give the same
//! bytes, into however many blocks they were cut and whatever the number of threads: chunks stand in the file in the
//! order of their rows, those of the values and of the indices in turn.

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, Values};

use crate::element::borrowed::join;
use crate::element::write::{BATCH, Elements, encode_chunk};
use crate::h5ad::matrix::MatrixKind;
use crate::h5ad::write::MatrixType;
use crate::store::sink::{ArraySpec, CHUNK, SinkArray, Storage};
use crate::store::{Dtype, Numbers};

/// A sparse matrix in the making.
pub(crate) struct SparseRows {
    data: Filled,
    indices: Filled,
    path: String,
    values: MatrixType,
    shape: (usize, usize),
    pointers: Vec<i64>,
}

impl SparseRows {
    /// Makes the group of a matrix and the arrays that are to grow.
    pub(crate) fn begin(
        elements: &Elements<'_>,
        path: &str,
        shape: (usize, usize),
        values: MatrixType,
        storage: Storage,
    ) -> Result<Self> {
        if i32::try_from(shape.1).is_err() {
            return Err(Fault::too_large(format!("{} columns, at most {} are written", shape.1, i32::MAX)));
        }
        elements.sparse_group(path, MatrixKind::Csr, shape)?;
        let array = |name, dtype| elements.sink.array(&join(path, name), &ArraySpec::growing(dtype, storage));
        let data = Filled::new(array("data", values.dtype())?);
        let indices = Filled::new(array("indices", Dtype::I32)?);
        let mut pointers = Vec::with_capacity(shape.0 + 1);
        pointers.push(0);
        Ok(Self { data, indices, path: path.to_owned(), values, shape, pointers })
    }

    /// Rows that came.
    pub(crate) fn n_rows(&self) -> usize {
        self.pointers.len() - 1
    }

    /// Appends the next rows. Blocks come in the order of their rows, the first at row 0.
    pub(crate) fn append(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let done = self.n_rows();
        let (n_rows, n_cols) = self.shape;
        if block.start() != done || block.n_cols() != n_cols || done + block.n_rows() > n_rows {
            let (start, end) = (block.start(), block.start() + block.n_rows());
            return Err(Fault::bad_input(format!(
                "rows {start}..{end} of {} columns, expected rows from {done} up to {n_rows} of {n_cols} columns",
                block.n_cols()
            )));
        }
        let stored = self.pointers[done];
        self.pointers.extend(block.pointers()[1..].iter().map(|&p| stored + p as i64));
        // Slabs, so that a large block is not held twice.
        let (n, slab) = (block.values().len(), BATCH * CHUNK);
        let mut start = 0;
        while start < n {
            let end = (start + slab).min(n);
            add_values(block, start..end, self.values, &mut self.data.bytes)?;
            self.indices.bytes.extend_from_slice(bytemuck::cast_slice(&block.indices()[start..end]));
            self.flush(run, false)?;
            start = end;
        }
        Ok(())
    }

    /// Writes the chunks that are full, and at the end the last one.
    fn flush(&mut self, run: &Run, last: bool) -> Result<()> {
        let (bytes, chunk) = (self.indices.bytes.len(), self.indices.array.spec().chunk_bytes());
        let n = if last { bytes.div_ceil(chunk) } else { bytes / chunk };
        if n == 0 || (n < BATCH && !last) {
            return Ok(());
        }
        let streams = [&self.data, &self.indices];
        let encoded = run.map_quietly(2 * n, 1, |task| {
            let stream = streams[task.start % 2];
            encode_chunk(&*stream.array, &stream.bytes, task.start / 2)
        })?;
        for (k, bytes) in encoded.iter().enumerate() {
            let stream = streams[k % 2];
            stream.array.write(stream.written + k / 2, bytes)?;
        }
        drop(encoded);
        self.data.forget(n);
        self.indices.forget(n);
        Ok(())
    }

    /// Completes the matrix. All rows must have come.
    pub(crate) fn finish(mut self, elements: &Elements<'_>) -> Result<()> {
        let rows = self.n_rows();
        if rows != self.shape.0 {
            return Err(Fault::bad_input(format!("{rows} rows came, expected {}", self.shape.0)).at(self.path));
        }
        self.flush(elements.run, true)?;
        let Self { data, indices, path, pointers, .. } = self;
        let stored = pointers.last().copied().unwrap_or(0);
        data.array.finish(stored as usize)?;
        indices.array.finish(stored as usize)?;
        let pointers = if i32::try_from(stored).is_ok() {
            Numbers::I32(pointers.into_iter().map(|p| p as i32).collect())
        } else {
            Numbers::I64(pointers)
        };
        elements.array(&join(&path, "indptr"), &[pointers.len()], pointers.borrowed())
    }
}

/// An array and the bytes that wait until their chunk is full.
struct Filled {
    array: Box<dyn SinkArray>,
    /// Chunks that are in the file.
    written: usize,
    bytes: Vec<u8>,
}

impl Filled {
    fn new(array: Box<dyn SinkArray>) -> Self {
        Self { array, written: 0, bytes: Vec::new() }
    }

    fn forget(&mut self, chunks: usize) {
        self.written += chunks;
        let written = (chunks * self.array.spec().chunk_bytes()).min(self.bytes.len());
        self.bytes.drain(..written);
    }
}

/// Adds a range of the values of a block in the type of the file. A value that the type cannot hold is a fault that
/// names its row and column.
fn add_values(block: &RowBlock<'_>, range: Range<usize>, wanted: MatrixType, bytes: &mut Vec<u8>) -> Result<()> {
    match (wanted, block.values()) {
        (MatrixType::F32, Values::F32(v)) => bytes.extend_from_slice(bytemuck::cast_slice(&v[range])),
        (MatrixType::F64, Values::F64(v)) => bytes.extend_from_slice(bytemuck::cast_slice(&v[range])),
        (MatrixType::F64, Values::F32(v)) => v[range].iter().for_each(|&x| bytes.extend(f64::from(x).to_ne_bytes())),
        (MatrixType::F32, Values::F64(v)) => {
            for (k, &x) in range.clone().zip(&v[range]) {
                let narrow = x as f32;
                if f64::from(narrow) != x && !x.is_nan() {
                    return Err(refused(block, k, x, "32-bit floats", "write 64-bit floats"));
                }
                bytes.extend(narrow.to_ne_bytes());
            }
        }
        (MatrixType::I32, values) => {
            for k in range {
                let x = values.get(k);
                if x.fract() != 0.0 || x.abs() > f64::from(i32::MAX) || x.is_nan() {
                    return Err(refused(block, k, x, "32-bit integers", "write floats"));
                }
                bytes.extend((x as i32).to_ne_bytes());
            }
        }
    }
    Ok(())
}

fn refused(block: &RowBlock<'_>, k: usize, x: f64, kind: &str, hint: &str) -> Fault {
    let row = block.start() + block.pointers().partition_point(|&p| p <= k) - 1;
    Fault::bad_input(format!("{x} cannot be stored exactly among {kind}"))
        .at(format!("row {row}, column {}", block.indices()[k]))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn values_keep_their_value_or_are_refused() {
        let block = |x: f64| RowBlock::new(3, 9, vec![0, 0, 1], Cow::Owned(vec![7]), Values::F64(Cow::Owned(vec![x])));
        let add = |x: f64, wanted| {
            let mut bytes = Vec::new();
            block(x).and_then(|block| add_values(&block, 0..1, wanted, &mut bytes)).map(|()| bytes)
        };
        assert_eq!(add(2.0, MatrixType::I32).ok(), Some(2_i32.to_ne_bytes().to_vec()));
        assert_eq!(add(0.5, MatrixType::F32).ok(), Some(0.5_f32.to_ne_bytes().to_vec()));
        for (x, wanted) in [(0.1, MatrixType::F32), (0.5, MatrixType::I32), (1e10, MatrixType::I32)] {
            assert!(add(x, wanted).is_err_and(|f| f.to_string().starts_with("row 4, column 7: ")), "{x}");
        }
    }
}
