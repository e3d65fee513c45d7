//! Matrices in memory that are changed where they stand: scaled and logged cell by cell ([`normalize_in_place`]), or
//! divided and clipped gene by gene ([`divide_in_place`]). Sparse or dense, no second matrix is made.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::Index;
use ferrocyte_math::wide::{self, Kernel};

use crate::normalize::Then;

/// A type of stored values that can be changed in place.
pub trait Float: Copy + Send + Sync + 'static {
    /// As a 64-bit float.
    fn wide(self) -> f64;
    /// Rounded once.
    fn rounded(x: f64) -> Self;
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
    if let (Lines::Runs(bounds), Some(factors), Then::Stop) = (cells, factors, then) {
        return scale_runs(run, values, bounds, factors);
    }
    by_piece(run, values, |start, piece| {
        if let Some(factors) = factors {
            cells.visit(start, piece, |v, cell| *v *= factors[cell]);
        }
        then.apply(piece);
    })
}

/// Multiplies the values of each cell by its factor, where those of a cell stand together: no piece is needed.
fn scale_runs<T: Float>(run: &Run, values: &mut [T], bounds: &[usize], factors: &[f64]) -> Result<()> {
    const CHUNK: usize = 1 << 16;
    run.for_each_chunk(values, CHUNK, |index, chunk| {
        let start = index * CHUNK;
        let end = start + chunk.len();
        let (mut cell, mut from) = (bounds.partition_point(|&b| b <= start).saturating_sub(1), start);
        while from < end {
            let to = bounds[cell + 1].min(end);
            wide::widest(Scale { values: &mut chunk[from - start..to - start], factor: factors[cell] });
            (cell, from) = (cell + 1, to);
        }
    })
}

/// Values times a factor, in 64 bits, rounded once.
struct Scale<'a, T> {
    values: &'a mut [T],
    factor: f64,
}

impl<T: Float> Kernel for Scale<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for v in self.values {
            *v = T::rounded(v.wide() * self.factor);
        }
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
    const CHUNK: usize = 1 << 16;
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
    use crate::normalize::Normalized;
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
