//! [`Summary`] and [`Additive`]: what a method learns of the cells and keeps; and the one driver that feeds summaries.

use std::ops::Range;

use ferrocyte_base::{Result, Run};

use crate::{CUT, Part, RowBlock, RowChunks, rows_per_block};

/// What learns from rows as they pass.
///
/// Contract: rows come in order and are added in order, so that the bits depend on neither threads nor block size; what
/// is kept does not grow with rows. No block reaches over a multiple of [`CUT`], where studies are cut into shards.
pub trait Summary {
    /// Adds the rows of a block.
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()>;

    /// Called once after the last block: the place for findings that need all rows.
    fn finish(&mut self, _run: &Run) -> Result<()> {
        Ok(())
    }
}

/// What a summary leaves behind: knowledge about rows that adds, and can be stored and sent.
///
/// Contract: summaries of disjoint sets of rows merge to that of all of them, up to rounding.
pub trait Additive: Sized {
    /// Adds knowledge of the same kind and header about other rows. Refuses strangers by name.
    fn merge(&mut self, other: &Self) -> Result<()>;

    /// Header and arrays, for storing and sending.
    fn to_part(&self) -> Part;

    /// Back from [`Additive::to_part`].
    fn from_part(part: &Part) -> Result<Self>;
}

/// Feeds all rows of `source` to all `summaries` in one reading.
pub fn fold(run: &Run, source: &mut dyn RowChunks, summaries: &mut [&mut dyn Summary]) -> Result<()> {
    let rows = 0..source.n_rows();
    fold_rows(run, source, rows, summaries)
}

/// Feeds some rows of `source`, numbered as in the source, to all `summaries` in one reading, in blocks that end at
/// every multiple of [`CUT`].
pub fn fold_rows(
    run: &Run,
    source: &mut dyn RowChunks,
    rows: Range<usize>,
    summaries: &mut [&mut dyn Summary],
) -> Result<()> {
    let step = rows_per_block(run, source);
    let task = run.task("reading", rows.len() as u64);
    let mut start = rows.start;
    while start < rows.end {
        run.check()?;
        let end = (start + step).min(rows.end).min((start / CUT + 1) * CUT);
        let block = source.read(run, start..end)?;
        for summary in summaries.iter_mut() {
            summary.observe(run, &block)?;
        }
        task.advance((end - start) as u64);
        start = end;
    }
    summaries.iter_mut().try_for_each(|summary| summary.finish(run))
}
