//! Matrices in memory that are changed where they stand: scaled and logged cell by cell ([`normalize_in_place`]), or
//! divided and clipped gene by gene ([`divide_in_place`]). Sparse or dense, no second matrix is made.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::Index;
use ferrocyte_math::wide::{self, Kernel};

use crate::normalize::{SizeFactors, Target, Then, warn_of_logarithms};
use crate::scan::{Looked, Need, look, look_here};

/// Values that a thread changes in one go.
const CHUNK: usize = 1 << 16;

/// A type of stored values that can be changed in place.
#[allow(private_bounds, reason = "how values are looked at is nobody else's business")]
pub trait Float: Looked + Send + 'static {
    /// As a 64-bit float.
    fn wide(self) -> f64;
    /// Rounded once.
    fn rounded(x: f64) -> Self;
    /// ln(1 + x) of a number that is not negative, with the digits that this type has, and more.
    fn ln_1p(x: f64) -> f64;
}

impl Float for f32 {
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn rounded(x: f64) -> Self {
        x as Self
    }
    #[inline(always)]
    fn ln_1p(x: f64) -> f64 {
        ln_1p_single(x)
    }
}

impl Float for f64 {
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
    #[inline(always)]
    fn rounded(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn ln_1p(x: f64) -> f64 {
        wide::ln_1p(x)
    }
}

/// `ln(1 + x)` for `x >= 0`, relative error below 6e-11: a thousandth of what rounding to 32 bits may be off by, and in less
/// than half the time of [`wide::ln_1p`]. NaN and infinity give NaN.
///
/// With `1 + x = 2^k (1 + f)`, `1 + f` between the roots of 1/2 and 2, and `s = f / (2 + f)`: `ln(1 + f) = 2 artanh s`, and
/// the powers of `s` from the 13th on are left out, as `s < 0.172`.
#[inline(always)]
fn ln_1p_single(x: f64) -> f64 {
    const TWO_52: f64 = 4_503_599_627_370_496.0;
    const MANTISSA: u64 = 0x000f_ffff_ffff_ffff;
    let y = 1.0 + x;
    // What rounding took from 1 + x; it matters where x is small, and there the derivative is 1. Elsewhere 0, or NaN.
    let lost = if y >= 2.0 { x * 0.0 } else { x - (y - 1.0) };
    // The exponent of `y` in steps that begin at the root of 1/2 instead of 1, biased by 1023.
    let stepped = y.to_bits().wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits()).wrapping_add(1.0_f64.to_bits());
    let exponent = (stepped & !MANTISSA).wrapping_sub(1.0_f64.to_bits());
    let k = f64::from_bits(TWO_52.to_bits() | (stepped >> 52)) - (TWO_52 + 1023.0);
    let f = f64::from_bits(y.to_bits().wrapping_sub(exponent)) - 1.0;
    let s = f / (2.0 + f);
    let t = s * s;
    let series = 2.0 / 3.0 + t * (2.0 / 5.0 + t * (2.0 / 7.0 + t * (2.0 / 9.0 + t * (2.0 / 11.0))));
    k * std::f64::consts::LN_2 + (s * (2.0 + t * series) + lost)
}

/// To which line (cell or gene) each value of a matrix belongs.
#[derive(Debug, Clone, Copy)]
pub enum Lines<'a, I> {
    /// Line after line: where each begins, and the end of all. The pointers of a compressed matrix.
    Runs(&'a [usize]),
    /// The line of each value. The indices of a compressed matrix.
    Each(&'a [I]),
    /// Line after line of so many values. Rows of a dense matrix by rows.
    Long(usize),
    /// So many lines in turn. Columns of a dense matrix by rows.
    Turns(usize),
}

impl<I: Index> Lines<'_, I> {
    /// Refuses lines that are not among `n_lines`, or do not fit `n_values`.
    fn check(&self, n_lines: usize, n_values: usize) -> Result<()> {
        let fits = match self {
            Self::Runs(bounds) => {
                bounds.len() == n_lines + 1
                    && bounds[0] == 0
                    && bounds[n_lines] == n_values
                    && bounds.windows(2).all(|w| w[0] <= w[1])
            }
            Self::Each(lines) => {
                lines.len() == n_values && lines.iter().all(|l| l.to_usize().is_some_and(|l| l < n_lines))
            }
            Self::Long(length) => length * n_lines == n_values,
            Self::Turns(n) => *n == n_lines && (n_lines == 0 || n_values.is_multiple_of(n_lines)),
        };
        if fits { Ok(()) } else { Err(Fault::bad_input(format!("{n_values} values do not lie in {n_lines} lines"))) }
    }

    /// Calls `f` with each of `values`, which begin at place `start`, and its line.
    fn visit(&self, start: usize, values: &mut [f64], mut f: impl FnMut(&mut f64, usize)) {
        match self {
            Self::Runs(bounds) => {
                let end = start + values.len();
                let (mut line, mut from) = (bounds.partition_point(|&b| b <= start).saturating_sub(1), start);
                while from < end {
                    let to = bounds[line + 1].min(end);
                    values[from - start..to - start].iter_mut().for_each(|v| f(v, line));
                    (line, from) = (line + 1, to);
                }
            }
            Self::Each(lines) => {
                let lines = &lines[start..start + values.len()];
                values.iter_mut().zip(lines).for_each(|(v, l)| f(v, l.to_usize().unwrap_or(0)));
            }
            Self::Long(length) => values.iter_mut().enumerate().for_each(|(k, v)| f(v, (start + k) / length)),
            Self::Turns(n) => values.iter_mut().enumerate().for_each(|(k, v)| f(v, (start + k) % n)),
        }
    }
}

/// Multiplies the values of each cell by its factor (`None`: by 1), and takes the logarithm if asked for. Computed in 64
/// bits, rounded once.
///
/// Values that have no logarithm are looked for before, by [`crate::normalize::check_log1p`].
///
/// # Errors
/// Lines that do not fit the values; a base that is not above 1.
pub fn normalize_in_place<T: Float, I: Index>(
    run: &Run,
    values: &mut [T],
    cells: Lines<'_, I>,
    factors: Option<&[f64]>,
    then: Then,
) -> Result<()> {
    then.check()?;
    if let Some(factors) = factors {
        cells.check(factors.len(), values.len())?;
    }
    match (cells, factors) {
        (_, None) => {
            run.for_each_chunk(values, CHUNK, |_, chunk| wide::widest(Change { values: chunk, factor: 1.0, then }))
        }
        (Lines::Runs(bounds), Some(factors)) => change_runs(run, values, bounds, factors, then),
        (_, Some(factors)) => by_piece(run, values, |start, piece| {
            cells.visit(start, piece, |v, cell| *v *= factors[cell]);
            then.apply::<T>(piece);
        }),
    }
}

/// Changes the values of each cell, where those of a cell stand together: no piece is needed.
fn change_runs<T: Float>(run: &Run, values: &mut [T], bounds: &[usize], factors: &[f64], then: Then) -> Result<()> {
    run.for_each_chunk(values, CHUNK, |index, chunk| {
        let start = index * CHUNK;
        let end = start + chunk.len();
        let (mut cell, mut from) = (bounds.partition_point(|&b| b <= start).saturating_sub(1), start);
        while from < end {
            let to = bounds[cell + 1].min(end);
            wide::widest(Change { values: &mut chunk[from - start..to - start], factor: factors[cell], then });
            (cell, from) = (cell + 1, to);
        }
    })
}

/// Values times a factor, logged or not, in 64 bits, rounded once.
struct Change<'a, T> {
    values: &'a mut [T],
    factor: f64,
    then: Then,
}

impl<T: Float> Kernel for Change<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.then {
            Then::Stop => {
                for v in self.values {
                    *v = T::rounded(v.wide() * self.factor);
                }
            }
            Then::Log1p { base: None } => {
                for v in self.values {
                    *v = T::rounded(T::ln_1p(v.wide() * self.factor));
                }
            }
            Then::Log1p { base: Some(base) } => {
                let scale = base.ln();
                for v in self.values {
                    *v = T::rounded(T::ln_1p(v.wide() * self.factor) / scale);
                }
            }
        }
    }
}

/// What [`crate::normalize::size_factors`] finds of a matrix whose rows stand in `bounds`, from its values alone; `None`
/// where some of them are missing, infinite or negative, which that function says by name.
///
/// # Errors
/// A target that is not positive; bounds that do not fit the values.
pub fn size_factors_in_place<T: Float>(
    run: &Run,
    values: &[T],
    bounds: &[usize],
    target: Target,
) -> Result<Option<SizeFactors>> {
    const ROWS: usize = 64;
    target.check()?;
    let n_rows = bounds.len().saturating_sub(1);
    Lines::<i32>::Runs(bounds).check(n_rows, values.len())?;
    let parts = run.map_quietly(n_rows, ROWS, |rows| {
        let seen = look_here(&values[bounds[rows.start]..bounds[rows.end]], Need::NotNegative);
        let of_row =
            |row: usize| wide::widest(Total { values: &values[bounds[row]..bounds[row + 1]], whole: seen.whole });
        Ok((seen, rows.map(of_row).collect::<Vec<f64>>()))
    })?;
    if parts.iter().any(|(seen, _)| seen.n_bad > 0) {
        return Ok(None);
    }
    let totals = parts.into_iter().flat_map(|(_, totals)| totals).collect();
    Ok(Some(SizeFactors::of_totals(run, totals, target, Vec::new())))
}

/// The sum of some values, as [`ferrocyte_data::RowBlock::row_sums`] has it.
struct Total<'a, T> {
    values: &'a [T],
    /// Whether all are whole: then their order does not matter.
    whole: bool,
}

impl<T: Float> Kernel for Total<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        const LANES: usize = 16;
        // Up to here sums of whole numbers are exact.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.whole {
            let (chunks, tail) = self.values.as_chunks::<LANES>();
            let mut lanes = [0.0; LANES];
            for chunk in chunks {
                for l in 0..LANES {
                    lanes[l] += chunk[l].wide();
                }
            }
            let mut total: f64 = lanes.iter().sum();
            for v in tail {
                total += v.wide();
            }
            if total < EXACT {
                return total;
            }
        }
        let mut total = 0.0;
        for v in self.values {
            total += v.wide();
        }
        total
    }
}

/// What [`crate::normalize::check_log1p`] does, for all stored values of the matrix `name`; `false` where some of them are
/// missing, infinite or negative, which that function says by name.
///
/// # Errors
/// Only the wish to stop.
pub fn check_log1p_in_place<T: Float>(run: &Run, values: &[T], name: &str) -> Result<bool> {
    let seen = look(run, values, Need::NotNegative)?;
    if seen.n_bad == 0 {
        warn_of_logarithms(run, seen.whole, seen.largest, name);
    }
    Ok(seen.n_bad == 0)
}

/// Whether the indices of each run rise, so that no place has two values.
///
/// # Errors
/// Bounds that do not fit the indices.
pub fn rises<I: Index + PartialOrd>(run: &Run, indices: &[I], bounds: &[usize]) -> Result<bool> {
    Lines::<i32>::Runs(bounds).check(bounds.len().saturating_sub(1), indices.len())?;
    let pairs = indices.len().saturating_sub(1);
    let falls = run.map_quietly(pairs, CHUNK, |range| {
        Ok(wide::widest(Falls { before: &indices[range.clone()], after: &indices[range.start + 1..=range.end] }))
    })?;
    // Between one run and the next they may fall.
    let mut between = 0;
    let mut last = 0;
    for &bound in bounds {
        if bound > last && bound < indices.len() {
            between += usize::from(indices[bound - 1] >= indices[bound]);
            last = bound;
        }
    }
    Ok(falls.iter().sum::<usize>() == between)
}

/// Counts places that do not rise.
struct Falls<'a, I> {
    before: &'a [I],
    after: &'a [I],
}

impl<I: Copy + PartialOrd> Kernel for Falls<'_, I> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let mut n = 0_u32;
        for (before, after) in self.before.iter().zip(self.after) {
            n += u32::from(before >= after);
        }
        n as usize
    }
}

/// Divides the values of each gene by its deviation, and clips those above `most`. Computed in 64 bits, rounded once.
///
/// # Errors
/// Lines that do not fit the values.
pub fn divide_in_place<T: Float, I: Index>(
    run: &Run,
    values: &mut [T],
    genes: Lines<'_, I>,
    sd: &[f64],
    most: Option<f64>,
) -> Result<()> {
    genes.check(sd.len(), values.len())?;
    let most = most.unwrap_or(f64::INFINITY);
    by_piece(run, values, |start, piece| genes.visit(start, piece, |v, gene| *v = (*v / sd[gene]).min(most)))
}

/// Changes values, some at a time, as 64-bit floats.
fn by_piece<T: Float>(run: &Run, values: &mut [T], change: impl Fn(usize, &mut [f64]) + Sync) -> Result<()> {
    const PIECE: usize = 1 << 10;
    run.for_each_chunk(values, CHUNK, |index, chunk| {
        let mut room = Vec::with_capacity(PIECE);
        for (i, piece) in chunk.chunks_mut(PIECE).enumerate() {
            room.resize(piece.len(), 0.0);
            wide::widest(Widen { from: piece, to: &mut room });
            change(index * CHUNK + i * PIECE, &mut room);
            wide::widest(Round { from: &room, to: piece });
        }
    })
}

/// Values as 64-bit floats.
struct Widen<'a, T> {
    from: &'a [T],
    to: &'a mut [f64],
}

impl<T: Float> Kernel for Widen<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = from.wide();
        }
    }
}

/// 64-bit floats rounded to values.
struct Round<'a, T> {
    from: &'a [f64],
    to: &'a mut [T],
}

impl<T: Float> Kernel for Round<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to = T::rounded(*from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Names;
    use crate::normalize::{NormalizeOptions, Normalized, size_factors};
    use ferrocyte_testkit::{Counts, all_values};

    #[test]
    fn the_bits_are_those_of_the_stream() -> Result<()> {
        let counts = Counts::random(4, 500, 40, 0.3)?;
        let factors: Vec<f64> = (0..500).map(|i| 0.1 + f64::from(i) / 70.0).collect();
        let then = Then::Log1p { base: Some(10.0) };
        let mut stream = Normalized::new(counts.source()?, Some(factors.clone()), then)?;
        let expected: Vec<f64> = all_values(&mut stream, 100)?.iter().flatten().map(|&(_, v)| v).collect();
        let pointers: Vec<usize> = counts.pointers.iter().map(|&p| p as usize).collect();
        let rows: Vec<i32> = (0..500).flat_map(|i| vec![i; pointers[i as usize + 1] - pointers[i as usize]]).collect();
        for lines in [Lines::Runs(&pointers), Lines::Each(&rows)] {
            for threads in [1, 2] {
                let mut values = counts.values.clone();
                normalize_in_place(&Run::new().threads(threads), &mut values, lines, Some(&factors), then)?;
                assert_eq!(values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(), expected);
            }
        }
        Ok(())
    }

    #[test]
    fn logarithms_of_single_values_are_rounded_once() {
        // From the smallest to the largest, and around the places where the exponent steps.
        let mut n_off = 0;
        for i in 0..400_000 {
            let x = (f64::from(i) / 400_000.0 * 190.0 - 100.0).exp();
            let (quick, exact) = (ln_1p_single(x), x.ln_1p());
            assert!((quick - exact).abs() <= 6e-11 * exact, "{x}: {quick}, {exact}");
            n_off += usize::from(quick as f32 != exact as f32);
        }
        assert!(n_off < 200, "{n_off}");
        assert!(ln_1p_single(0.0) == 0.0 && ln_1p_single(f64::NAN).is_nan() && ln_1p_single(f64::INFINITY).is_nan());
    }

    #[test]
    fn factors_from_values_alone_are_those_of_the_rows() -> Result<()> {
        let counts = Counts::random(5, 300, 90, 0.4)?;
        let bounds: Vec<usize> = counts.pointers.iter().map(|&p| p as usize).collect();
        let options = NormalizeOptions { target: Target::Median, exclude_highly_expressed: None };
        let expected = size_factors(&Run::new(), &mut counts.source()?, &Names::default(), &options)?;
        for threads in [1, 2] {
            let run = Run::new().threads(threads);
            assert_eq!(size_factors_in_place(&run, &counts.values, &bounds, Target::Median)?, Some(expected.clone()));
            let parts: Vec<f64> = counts.values.iter().map(|&v| f64::from(v) * 0.37).collect();
            let found = size_factors_in_place(&run, &parts, &bounds, Target::To(5.0))?.map(|found| found.totals);
            let row = |w: &[usize]| parts[w[0]..w[1]].iter().fold(0.0, |sum, v| sum + v);
            assert_eq!(found, Some(bounds.windows(2).map(row).collect()));
            for bad in [-1.0, f32::NAN, f32::INFINITY] {
                let mut values = counts.values.clone();
                let last = values.len() - 1;
                values[last] = bad;
                assert_eq!(size_factors_in_place(&run, &values, &bounds, Target::Median)?, None);
                assert!(!check_log1p_in_place(&run, &values, "X")?);
            }
            assert!(check_log1p_in_place(&run, &counts.values, "X")?);
        }
        assert!(size_factors_in_place(&Run::new(), &counts.values, &bounds, Target::To(0.0)).is_err());
        assert!(size_factors_in_place(&Run::new(), &counts.values, &[0, 3], Target::Median).is_err());
        Ok(())
    }

    #[test]
    fn indices_that_rise_have_no_place_twice() -> Result<()> {
        let run = Run::new();
        assert!(rises(&run, &[0, 2, 5, 1, 2, 0], &[0, 3, 3, 5, 6, 6])?);
        assert!(!rises(&run, &[0, 2, 2, 1, 2, 0], &[0, 3, 3, 5, 6])?);
        assert!(!rises(&run, &[0, 5, 2, 1, 2, 0], &[0, 3, 5, 6])?);
        assert!(rises::<i64>(&run, &[], &[0])?);
        assert!(rises(&run, &[0, 1], &[0, 3]).is_err());
        Ok(())
    }

    #[test]
    fn dense_either_way_and_clipped() -> Result<()> {
        let run = Run::new();
        let mut values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        normalize_in_place(&run, &mut values, Lines::<i32>::Long(3), Some(&[1.0, 2.0]), Then::Stop)?;
        assert_eq!(values, [1.0, 2.0, 3.0, 8.0, 10.0, 12.0]);
        divide_in_place(&run, &mut values, Lines::<i32>::Turns(3), &[1.0, 2.0, 3.0], Some(4.5))?;
        assert_eq!(values, [1.0, 1.0, 1.0, 4.5, 4.5, 4.0]);
        Ok(())
    }

    #[test]
    fn lines_that_do_not_fit_are_refused() {
        let run = Run::new();
        let refused = |lines: Lines<'_, i32>| {
            normalize_in_place(&run, &mut [1.0_f32; 4], lines, Some(&[1.0, 1.0]), Then::Stop).is_err()
        };
        assert!(refused(Lines::Runs(&[0, 2, 3])) && refused(Lines::Runs(&[0, 5, 4])) && refused(Lines::Turns(3)));
        assert!(refused(Lines::Each(&[0, 1, 2, 0])) && refused(Lines::Each(&[0, -1, 1, 0])) && refused(Lines::Long(3)));
        let then = Then::Log1p { base: Some(1.0) };
        assert!(normalize_in_place(&run, &mut [1.0_f64], Lines::<i32>::Long(1), None, then).is_err());
    }
}
