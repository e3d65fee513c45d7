//! [`Summary`] and [`Additive`]: what a method learns of the cells and keeps; and the one driver that feeds summaries.

use std::ops::Range;

use ferrocyte_base::{Result, Run};

use crate::{CUT, Part, RowBlock, RowChunks, rows_per_block};

/// What learns from rows as they pass.
///
/// Contract: rows come in order and are added in order, so that the bits depend on neither threads nor block size; what
/// is kept does not grow with rows. No block reaches over a multiple of [`CUT`], where studies are cut into shards.
pub trait Summary: Send {
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
///
/// A source that [`RowChunks::reads_ahead`] is read on while the block before is observed, if the run has threads for
/// both; two blocks are then in memory. Blocks come in order all the same, and a fault of an earlier block goes before
/// those of later ones.
pub fn fold_rows(
    run: &Run,
    source: &mut dyn RowChunks,
    rows: Range<usize>,
    summaries: &mut [&mut dyn Summary],
) -> Result<()> {
    let step = rows_per_block(run, source);
    let task = run.task("reading", rows.len() as u64);
    let (mut start, end) = (rows.start, rows.end);
    let mut ranges = std::iter::from_fn(|| {
        let range = start..(start + step).min(end).min((start / CUT + 1) * CUT);
        start = range.end;
        (!range.is_empty()).then_some(range)
    });
    if source.reads_ahead() && run.n_threads() > 1 {
        let mut read = |range: Option<Range<usize>>| {
            range.map(|range| source.read(run, range).map(RowBlock::into_owned)).transpose()
        };
        let mut next = read(ranges.next())?;
        while let Some(block) = next {
            run.check()?;
            let range = ranges.next();
            let (observed, following) = run.both(|| observe(run, summaries, &block), || read(range))?;
            observed?;
            task.advance(block.n_rows() as u64);
            next = following?;
        }
    } else {
        for range in ranges {
            run.check()?;
            let n = range.len() as u64;
            observe(run, summaries, &source.read(run, range)?)?;
            task.advance(n);
        }
    }
    summaries.iter_mut().try_for_each(|summary| summary.finish(run))
}

fn observe(run: &Run, summaries: &mut [&mut dyn Summary], block: &RowBlock<'_>) -> Result<()> {
    summaries.iter_mut().try_for_each(|summary| summary.observe(run, block))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ferrocyte_base::{Fault, Kind, Monitor};

    use super::*;
    use crate::Values;

    /// Row i holds i in its only column; reading fails at `broken`.
    struct Made {
        n_rows: usize,
        broken: usize,
        ahead: bool,
    }

    impl RowChunks for Made {
        fn n_rows(&self) -> usize {
            self.n_rows
        }
        fn n_cols(&self) -> usize {
            1
        }
        fn n_stored(&self) -> Option<u64> {
            Some(self.n_rows as u64)
        }
        fn name(&self) -> String {
            "made".to_owned()
        }
        fn reads_ahead(&self) -> bool {
            self.ahead
        }
        fn read(&mut self, _run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
            if rows.contains(&self.broken) {
                return Err(Fault::bad_file("broken"));
            }
            let values: Vec<f64> = rows.clone().map(|i| i as f64).collect();
            let (pointers, indices) = ((0..=rows.len()).collect(), vec![0; rows.len()]);
            RowBlock::new(rows.start, 1, pointers, Cow::Owned(indices), Values::F64(Cow::Owned(values)))
        }
    }

    /// The rows seen, in order; refuses the block with row `refused`.
    struct Seen {
        rows: Vec<usize>,
        refused: usize,
        finished: bool,
    }

    impl Summary for Seen {
        fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
            let rows = (0..block.n_rows()).flat_map(|i| block.row(i)).map(|(_, v)| v as usize);
            self.rows.extend(rows);
            if self.rows.contains(&self.refused) { Err(Fault::bad_input("refused")) } else { Ok(()) }
        }
        fn finish(&mut self, _run: &Run) -> Result<()> {
            self.finished = true;
            Ok(())
        }
    }

    fn seen(refused: usize) -> Seen {
        Seen { rows: Vec::new(), refused, finished: false }
    }

    const NEVER: usize = usize::MAX;

    #[test]
    fn rows_come_in_order_however_they_are_read() -> Result<()> {
        for (threads, ahead) in [(1, false), (1, true), (4, false), (4, true)] {
            // Little memory: blocks of 256 rows.
            let run = Run::new().threads(threads).memory(1);
            for rows in [0..1000, 300..301, 17..913, 5..5] {
                let mut summary = seen(NEVER);
                let mut source = Made { n_rows: 1000, broken: NEVER, ahead };
                fold_rows(&run, &mut source, rows.clone(), &mut [&mut summary])?;
                assert!(summary.finished && summary.rows == rows.collect::<Vec<_>>(), "{threads} {ahead}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_first_fault_is_the_one_that_is_told() {
        for (threads, ahead) in [(1, true), (4, true), (4, false)] {
            let run = Run::new().threads(threads).memory(1);
            for (broken, refused, told) in [(600, NEVER, "broken"), (600, 300, "refused"), (300, 600, "broken")] {
                let mut source = Made { n_rows: 1000, broken, ahead };
                let mut summary = seen(refused);
                let fault = fold(&run, &mut source, &mut [&mut summary]).err().map(|f| f.to_string());
                assert_eq!(fault.as_deref(), Some(told), "{threads} {ahead} {broken} {refused}");
                assert!(!summary.finished);
            }
        }
    }

    /// Asks to stop once something was reported.
    #[derive(Default)]
    struct Impatient(AtomicUsize);

    impl Monitor for Impatient {
        fn tick(&self, _done: u64) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn cancelled(&self) -> bool {
            self.0.load(Ordering::Relaxed) > 0
        }
    }

    #[test]
    fn stops_between_blocks() {
        for ahead in [false, true] {
            let run = Run::new().threads(2).memory(1).monitor(Arc::new(Impatient::default()));
            let mut summary = seen(NEVER);
            let mut source = Made { n_rows: 1000, broken: NEVER, ahead };
            let outcome = fold(&run, &mut source, &mut [&mut summary]);
            assert!(outcome.is_err_and(|f| f.kind() == Kind::Cancelled));
            assert_eq!(summary.rows.len(), 256);
        }
    }
}
