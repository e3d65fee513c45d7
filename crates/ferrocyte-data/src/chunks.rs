//! [`RowChunks`]: the seam between data and algorithms.

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};

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

    /// Whether reading takes long enough to go on while the rows before are worked on: files do. Blocks of such a
    /// source are kept beyond the next read, as copies where they borrow.
    fn reads_ahead(&self) -> bool {
        false
    }

    /// Whether rows are made when they are read, in memory of their own, from a source in memory. Blocks of such a source
    /// are small: that memory is used again and again then, instead of being asked for and given back block by block.
    fn makes_rows(&self) -> bool {
        false
    }

    /// The given rows.
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>>;

    /// Ranges of genes, all of them in order, each of which fits the memory of `run`; `None` where reading by rows costs
    /// less. For what is stored gene by gene and does not fit as a whole, so that reading by rows would take many passes.
    fn gene_blocks(&self, _run: &Run) -> Option<Vec<Range<usize>>> {
        None
    }

    /// All rows of some genes, which are numbered from 0, in memory: asked for with the ranges of
    /// [`RowChunks::gene_blocks`].
    fn read_genes(&mut self, _run: &Run, _genes: Range<usize>) -> Result<Box<dyn RowChunks + '_>> {
        Err(Fault::internal("this matrix is not read by genes").at(self.name()))
    }
}

/// What owns or borrows a matrix is one.
macro_rules! delegate {
    ($($holder:ty),*) => { $(
        impl<T: RowChunks + ?Sized> RowChunks for $holder {
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
            fn reads_ahead(&self) -> bool {
                (**self).reads_ahead()
            }
            fn makes_rows(&self) -> bool {
                (**self).makes_rows()
            }
            fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
                (**self).read(run, rows)
            }
            fn gene_blocks(&self, run: &Run) -> Option<Vec<Range<usize>>> {
                (**self).gene_blocks(run)
            }
            fn read_genes(&mut self, run: &Run, genes: Range<usize>) -> Result<Box<dyn RowChunks + '_>> {
                (**self).read_genes(run, genes)
            }
        }
    )* };
}

delegate!(Box<T>, &mut T);

/// How many rows to read at once, within 256 to 16,384, so that what is in memory of them stays within a quarter of
/// that of `run`: a block, the next one where reading goes ahead, and what it is decoded from. Changes time, never the
/// answer.
pub fn rows_per_block(run: &Run, source: &dyn RowChunks) -> usize {
    // Enough to keep a thread busy; with more, the first block and the last, which nothing overlaps, would take longer,
    // and the buffers of blocks would be most of the memory of a pass.
    const AHEAD: u64 = 256 << 10;
    // The buffers stay below what allocators ask of the system anew each time, which has to clear it.
    const MADE: u64 = 2 << 20;
    let n_rows = source.n_rows().max(1);
    let per_row = match source.n_stored() {
        Some(stored) => stored / n_rows as u64 + 1,
        None => source.n_cols() as u64,
    };
    // 12 bytes for a stored value and its column, and as much again for the next one or while it is decoded.
    let fitting = run.memory_bytes() / 8 / 24;
    let ahead = AHEAD * run.n_threads() as u64;
    let values = match (source.reads_ahead(), source.makes_rows()) {
        (true, _) => fitting.min(ahead),
        (false, true) => fitting.min(ahead.max(MADE)),
        (false, false) => fitting,
    };
    ((values / per_row.max(1)) as usize).clamp(256, 16_384)
}
