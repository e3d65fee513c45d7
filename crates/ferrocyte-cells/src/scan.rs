//! One reading of a matrix that looks at every value first: what is missing, infinite or negative is refused by name.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Summary, Values, fold};
use ferrocyte_math::wide::{self, Kernel};

use crate::Names;

/// What the values must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Neither missing nor infinite.
    Finite,
    /// Finite and not negative: counts, or logarithms of counts.
    NotNegative,
}

/// What was seen on the way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// Whether all values are whole numbers that are not negative.
    pub(crate) whole: bool,
    /// The largest value, 0 for what is not stored.
    pub(crate) largest: f64,
}

/// Feeds all rows to `summaries`, as [`fold`] does, and refuses the matrix if it has values other than `need`: the
/// fault counts them and names the first.
///
/// The summaries see refused values too, and must get over them without a panic.
pub(crate) fn scan(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    need: Need,
    summaries: &mut [&mut dyn Summary],
) -> Result<Seen> {
    let name = source.name();
    let mut guard = Guard { names, need, name, n_bad: 0, first: None, seen: Seen { whole: true, largest: f64::MIN } };
    let mut all: Vec<&mut dyn Summary> = vec![&mut guard];
    all.extend(summaries.iter_mut().map(|summary| &mut **summary as &mut dyn Summary));
    fold(run, source, &mut all)?;
    Ok(guard.seen)
}

struct Guard<'a> {
    names: &'a Names<'a>,
    need: Need,
    name: String,
    n_bad: usize,
    first: Option<(usize, usize, f64)>,
    seen: Seen,
}

impl Summary for Guard<'_> {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let (largest, n_bad) = match block.values() {
            Values::F32(v) => look(v, self.need),
            Values::F64(v) => look(v, self.need),
        };
        self.seen.largest = self.seen.largest.max(largest);
        // One value that is not whole settles it.
        self.seen.whole = self.seen.whole && block.values().are_counts();
        self.n_bad += n_bad;
        if n_bad > 0 && self.first.is_none() {
            let bad = |v: f64| !v.is_finite() || (self.need == Need::NotNegative && v < 0.0);
            if let Some(k) = (0..block.values().len()).find(|&k| bad(block.values().get(k))) {
                let row = block.pointers().partition_point(|&p| p <= k) - 1;
                self.first = Some((block.start() + row, block.indices()[k] as usize, block.values().get(k)));
            }
        }
        Ok(())
    }

    fn finish(&mut self, _run: &Run) -> Result<()> {
        let Some((row, column, value)) = self.first else { return Ok(()) };
        let what = match self.need {
            Need::Finite => "missing or infinite",
            Need::NotNegative => "missing, infinite or negative",
        };
        let (cell, gene) = (self.names.cell(row), self.names.gene(column));
        let n = self.n_bad;
        let message = format!("{n} values are {what}, the first ({value}) in {cell}, {gene}");
        Err(Fault::bad_input(message)
            .at(self.name.clone())
            .hint("give counts, or a layer that holds them, and leave out cells or genes whose values are missing"))
    }
}

/// The largest value, and how many cannot be worked with.
fn look<T: Copy + Into<f64> + Default>(values: &[T], need: Need) -> (f64, usize) {
    wide::widest(Look { values, least: if need == Need::NotNegative { 0.0 } else { f64::MIN } })
}

/// Looks at several values at a time, without branches.
struct Look<'a, T> {
    values: &'a [T],
    least: f64,
}

impl<T: Copy + Into<f64> + Default> Kernel for Look<'_, T> {
    type Output = (f64, usize);

    #[inline(always)]
    fn run(self) -> (f64, usize) {
        const LANES: usize = 16;
        let (mut largest, mut bad) = ([f64::MIN; LANES], [0_u64; LANES]);
        let (chunks, tail) = self.values.as_chunks::<LANES>();
        let mut last = [T::default(); LANES];
        last[..tail.len()].copy_from_slice(tail);
        for chunk in chunks.iter().chain([&last]) {
            for ((largest, bad), &v) in largest.iter_mut().zip(&mut bad).zip(chunk) {
                let v: f64 = v.into();
                *largest = if v > *largest { v } else { *largest };
                // NaN is neither.
                *bad += u64::from(!(v >= self.least && v <= f64::MAX));
            }
        }
        let mut found = (f64::MIN, 0);
        for (&largest, &bad) in largest.iter().zip(&bad) {
            found = (found.0.max(largest), found.1 + bad as usize);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;

    #[test]
    fn values_are_refused_by_name_and_number() -> Result<()> {
        let (cells, genes) = (["c0".to_owned(), "c1".to_owned()], ["g0".to_owned(), "g1".to_owned()]);
        let names = Names { cells: &cells, genes: &genes };
        for (values, need, told) in [
            (
                [1.0, 2.0, 3.0, f64::NAN],
                Need::Finite,
                "1 values are missing or infinite, the first (NaN) in cell `c1`, gene `g1`",
            ),
            (
                [1.0, -2.0, f64::INFINITY, 0.5],
                Need::NotNegative,
                "2 values are missing, infinite or negative, the first (-2) in cell `c0`, gene `g1`",
            ),
        ] {
            let mut source = Dense::row_major(2, 2, &values)?;
            let fault = scan(&Run::new(), &mut source, &names, need, &mut []).err().map(|f| f.message().to_owned());
            assert_eq!(fault.as_deref(), Some(told));
        }
        let values = [1.0, -2.0, 0.0, 0.5];
        let seen = scan(&Run::new(), &mut Dense::row_major(2, 2, &values)?, &names, Need::Finite, &mut [])?;
        assert_eq!(seen, Seen { whole: false, largest: 1.0 });
        Ok(())
    }
}
