//! [`RowChunks`]: the seam between data and algorithms.

use std::ops::Range;

use ferrocyte_base::{Result, Run};

use crate::RowBlock;

/// A matrix, cells × genes, that gives any range of its rows as a [`RowBlock`].
///
/// Contract:
/// * `read(rows)` gives exactly these rows, numbered as in the source, for any range within `0..n_rows`, any
///   number of times, in any order; ranges that rise are the fast case.
/// * The values of a row do not depend on the range through which it was read.
/// * Memory is bounded by the block that is asked for, not by the matrix.
/// * A damaged or impossible source is a [`ferrocyte_base::Fault`] that names the element and row.
pub trait RowChunks: Send {
    /// Number of rows (cells).
    fn n_rows(&self) -> usize;

    /// Number of columns (genes).
    fn n_cols(&self) -> usize;

    /// Number of stored values, where it is known without reading them.
    fn n_stored(&self) -> Option<u64>;

    /// What this is, for messages and provenance: `X of study.h5ad`.
    fn name(&self) -> String;

    /// The given rows.
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>>;
}

impl<T: RowChunks + ?Sized> RowChunks for Box<T> {
    fn n_rows(&self) -> usize {
        (**self).n_rows()
    }
    fn n_cols(&self) -> usize {
        (**self).n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        (**self).n_stored()
    }
    fn name(&self) -> String {
        (**self).name()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        (**self).read(run, rows)
    }
}

/// How many rows to read at once so that a block takes about an eighth of the memory of `run`, within
/// 256 to 16,384 rows. Changes time, never the answer.
pub fn rows_per_block(run: &Run, source: &dyn RowChunks) -> usize {
    let n_rows = source.n_rows().max(1);
    let per_row = match source.n_stored() {
        Some(stored) => stored / n_rows as u64 + 1,
        None => source.n_cols() as u64,
    };
    // 12 bytes for a stored value and its column, and as much again while it is decoded.
    let rows = run.memory_bytes() / 8 / (24 * per_row.max(1));
    (rows as usize).clamp(256, 16_384)
}
