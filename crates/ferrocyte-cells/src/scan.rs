//! One reading of a matrix that looks at every value first: what is missing, infinite or negative is refused by name.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use std::ops::{Add, Mul, Sub};

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
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let look = match block.values() {
            Values::F32(v) => look(run, v, self.need)?,
            Values::F64(v) => look(run, v, self.need)?,
        };
        self.seen.largest = self.seen.largest.max(look.largest);
        self.seen.whole &= look.whole;
        self.n_bad += look.n_bad;
        if look.n_bad > 0 && self.first.is_none() {
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

/// What some values are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Look {
    /// The largest of them.
    pub(crate) largest: f64,
    /// How many cannot be worked with.
    pub(crate) n_bad: usize,
    /// Whether all are whole numbers that are not negative.
    pub(crate) whole: bool,
}

impl Look {
    /// Of nothing.
    pub(crate) const NOTHING: Self = Self { largest: f64::MIN, n_bad: 0, whole: true };

    /// Of these and others.
    #[must_use]
    pub(crate) fn and(self, other: &Self) -> Self {
        Self {
            largest: self.largest.max(other.largest),
            n_bad: self.n_bad + other.n_bad,
            whole: self.whole && other.whole,
        }
    }
}

/// A type of values that are looked at without being widened.
pub(crate) trait Looked:
    Copy + Default + PartialOrd + Into<f64> + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Sync
{
    /// The least and the largest finite value.
    const FINITE: (Self, Self);
    /// From here on there are whole numbers only; below, adding this rounds to one.
    const WHOLE: Self;
}

impl Looked for f32 {
    const FINITE: (Self, Self) = (Self::MIN, Self::MAX);
    const WHOLE: Self = 8_388_608.0;
}

impl Looked for f64 {
    const FINITE: (Self, Self) = (Self::MIN, Self::MAX);
    const WHOLE: Self = 4_503_599_627_370_496.0;
}

/// Values that a thread looks at in one go.
const VALUES: usize = 1 << 16;

/// Looks at values, on all threads.
pub(crate) fn look<T: Looked>(run: &Run, values: &[T], need: Need) -> Result<Look> {
    let parts = run.map_quietly(values.len(), VALUES, |range| Ok(look_here(&values[range], need)))?;
    Ok(parts.iter().fold(Look::NOTHING, Look::and))
}

/// Looks at values; what is not stored is 0.
pub(crate) fn look_here<T: Looked>(values: &[T], need: Need) -> Look {
    let least = if need == Need::NotNegative { T::default() } else { T::FINITE.0 };
    let parts = values.chunks(VALUES).map(|values| {
        // Only where something is wrong must it be counted.
        wide::widest(Glance { values, least }).unwrap_or_else(|| wide::widest(Count { values, least }))
    });
    parts.fold(Look::NOTHING, |all, part| all.and(&part))
}

/// Values that are looked at together.
const LANES: usize = 16;

/// Looks at values among which none is wrong, nor so large that adding [`Looked::WHOLE`] tells nothing; else `None`.
struct Glance<'a, T> {
    values: &'a [T],
    least: T,
}

impl<T: Looked> Kernel for Glance<'_, T> {
    type Output = Option<Look>;

    #[inline(always)]
    fn run(self) -> Option<Look> {
        let zero = T::default();
        let (mut largest, mut smallest, mut nothing, mut broken) =
            ([zero; LANES], [zero; LANES], [zero; LANES], [0_u32; LANES]);
        let (chunks, tail) = self.values.as_chunks::<LANES>();
        let mut last = [zero; LANES];
        last[..tail.len()].copy_from_slice(tail);
        for chunk in chunks.iter().chain([&last]) {
            for l in 0..LANES {
                let v = chunk[l];
                largest[l] = if v > largest[l] { v } else { largest[l] };
                smallest[l] = if v < smallest[l] { v } else { smallest[l] };
                // NaN for what is not finite.
                nothing[l] = nothing[l] + v * zero;
                broken[l] |= u32::from((v + T::WHOLE) - T::WHOLE != v);
            }
        }
        let largest = largest.iter().fold(zero, |m, &v| if v > m { v } else { m });
        let smallest = smallest.iter().fold(zero, |m, &v| if v < m { v } else { m });
        let finite = nothing.iter().all(|&v| v == zero);
        let fine = finite && smallest >= self.least && largest < T::WHOLE;
        let whole = smallest == zero && broken == [0; LANES];
        fine.then(|| Look { largest: largest.into(), n_bad: 0, whole })
    }
}

/// Counts what is wrong among any values.
struct Count<'a, T> {
    values: &'a [T],
    least: T,
}

impl<T: Looked> Kernel for Count<'_, T> {
    type Output = Look;

    #[inline(always)]
    fn run(self) -> Look {
        let (mut largest, mut n_bad, mut whole) = (T::default(), 0, true);
        for &v in self.values {
            largest = if v > largest { v } else { largest };
            // NaN is neither.
            n_bad += usize::from(!(v >= self.least && v <= T::FINITE.1));
            let is_whole = v >= T::WHOLE || (v + T::WHOLE) - T::WHOLE == v;
            whole &= v >= T::default() && v <= T::FINITE.1 && is_whole;
        }
        Look { largest: largest.into(), n_bad, whole }
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
        for (values, largest, whole) in [
            (vec![1.0_f32, 3e7, 0.0], 3e7_f32, true),
            (vec![0.5; 40], 0.5, false),
            ((0..70).map(|i| i as f32).collect(), 69.0, true),
        ] {
            let expected = Look { largest: f64::from(largest), n_bad: 0, whole };
            assert_eq!(look(&Run::new(), &values, Need::NotNegative)?, expected);
        }
        let values = [1.0, -2.0, 0.0, 0.5];
        let seen = scan(&Run::new(), &mut Dense::row_major(2, 2, &values)?, &names, Need::Finite, &mut [])?;
        assert_eq!(seen, Seen { whole: false, largest: 1.0 });
        Ok(())
    }
}
