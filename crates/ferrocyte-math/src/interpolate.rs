//! [`Interpolator`]: straight lines between knots, constant beyond them, looked up in constant time.

use crate::lowess::rising;

/// A piecewise linear function. Beyond its knots it is constant (rule 2 of R's `approx`).
///
/// ```
/// use ferrocyte_math::interpolate::Interpolator;
/// let line = Interpolator::new(&[2.0, 1.0, 2.0], &[4.0, 0.0, 6.0]);
/// assert_eq!((line.at(1.5), line.at(0.0), line.at(3.0)), (2.5, 0.0, 5.0));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Interpolator {
    /// Strictly rising.
    knots: Vec<Knot>,
    /// Of each cell of a uniform grid over the range: the last knot in an earlier cell, or the first of all.
    cells: Vec<u32>,
    /// Cells per unit of x.
    scale: f64,
}

/// A point, and the line to the right of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Knot {
    x: f64,
    y: f64,
    slope: f64,
    /// Where the next knot is.
    end: f64,
}

/// Cells of the grid per knot: so many that most hold none, and a look-up mostly finds its knot at once.
const CELLS_PER_KNOT: usize = 16;

/// More cells than this leave the nearest cache.
const FEW_CELLS: usize = 4096;

impl Interpolator {
    /// A function through points in any order; those at the same `x` become one at their mean. Points with NaN are
    /// left out.
    ///
    /// # Panics
    /// When lengths differ: a mistake in the code, not in data.
    pub fn new(x: &[f64], y: &[f64]) -> Self {
        assert_eq!(x.len(), y.len(), "as many x as y");
        let order = rising(x).into_iter().filter(|&i| !x[i].is_nan() && !y[i].is_nan());
        Self::of_sorted(order.map(|i| (x[i], y[i])))
    }

    /// A function through points whose `x` never falls.
    pub fn of_sorted(points: impl Iterator<Item = (f64, f64)>) -> Self {
        let (mut x, mut y) = (Vec::new(), Vec::<f64>::new());
        let mut tied = 0.0;
        for (at, value) in points {
            if x.last() == Some(&at) {
                tied += 1.0;
                if let Some(mean) = y.last_mut() {
                    *mean += (value - *mean) / tied;
                }
            } else {
                x.push(at);
                y.push(value);
                tied = 1.0;
            }
        }
        Self::of_knots(&x, &y)
    }

    fn of_knots(x: &[f64], y: &[f64]) -> Self {
        let n = x.len();
        let knot = |i: usize| {
            let end = x.get(i + 1).copied().unwrap_or(f64::INFINITY);
            let slope = if i + 1 < n { (y[i + 1] - y[i]) / (end - x[i]) } else { 0.0 };
            Knot { x: x[i], y: y[i], slope, end }
        };
        let n_cells = (CELLS_PER_KNOT * n).min(FEW_CELLS).max(4 * n).next_power_of_two();
        let range = if n > 1 { x[n - 1] - x[0] } else { 0.0 };
        let scale = n_cells as f64 / range;
        let scale = if scale.is_finite() { scale } else { 0.0 };
        let mut cells = Vec::with_capacity(n_cells + 1);
        let mut last = 0;
        for cell in 0..=n_cells {
            // The same arithmetic as in the look-up decides in which cell a knot lies.
            while last + 1 < n && cell_at((x[last + 1] - x[0]) * scale) < cell {
                last += 1;
            }
            cells.push(last as u32);
        }
        Self { knots: (0..n).map(knot).collect(), cells, scale }
    }

    /// The value at `x`; NaN for NaN, and everywhere if there are no knots.
    #[inline]
    pub fn at(&self, x: f64) -> f64 {
        let (Some(first), Some(last)) = (self.knots.first(), self.knots.last()) else { return f64::NAN };
        // Not `clamp`: NaN passes through.
        let v = if x < first.x { first.x } else { x };
        let v = if v > last.x { last.x } else { v };
        let cell = cell_at((v - first.x) * self.scale);
        let mut place = self.cells[cell.min(self.cells.len() - 1)] as usize;
        // The next knot may lie in the same cell: one step without a branch, which nobody could foretell.
        place += usize::from(v >= self.knots[place].end);
        let mut knot = self.knots[place];
        while v >= knot.end {
            place += 1;
            knot = self.knots[place];
        }
        knot.y + knot.slope * (v - knot.x)
    }

    /// The knots, `x` strictly rising, as x and y.
    pub fn knots(&self) -> (Vec<f64>, Vec<f64>) {
        self.knots.iter().map(|knot| (knot.x, knot.y)).unzip()
    }
}

/// The nearest whole number, by the last bits of a sum; any for what is not in the range of cells. Never falls.
#[inline]
fn cell_at(scaled: f64) -> usize {
    const WHOLE: f64 = (1_u64 << 52) as f64;
    (scaled + WHOLE).to_bits() as u32 as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_looked_up_right() {
        let x: Vec<f64> = (0..60).map(|i| f64::from(i * i) * 0.013 - 3.0).collect();
        let y: Vec<f64> = x.iter().map(|x| (x * 1.7).sin()).collect();
        let line = Interpolator::new(&x, &y);
        for i in -300..5000 {
            let v = f64::from(i) * 0.01;
            let k = x.partition_point(|&k| k <= v);
            let expected = if k == 0 {
                y[0]
            } else if k == 60 {
                y[59]
            } else {
                y[k - 1] + (y[k] - y[k - 1]) * ((v - x[k - 1]) / (x[k] - x[k - 1]))
            };
            assert!((line.at(v) - expected).abs() < 1e-14, "{v}");
        }
        for (x, y) in x.iter().zip(&y) {
            assert!((line.at(*x) - y).abs() < 1e-15);
        }
    }

    #[test]
    fn odd_knots() {
        assert!(Interpolator::new(&[], &[]).at(1.0).is_nan());
        assert_eq!(Interpolator::new(&[3.0], &[7.0]).at(-1.0), 7.0);
        let line = Interpolator::new(&[1.0, f64::NAN, 2.0], &[1.0, 5.0, f64::NAN]);
        assert_eq!(line.knots(), (vec![1.0], vec![1.0]));
        assert!(line.at(f64::NAN).is_nan());
        // Knots that are far closer to one another than to the rest.
        let line = Interpolator::new(&[0.0, 1e-12, 1.0], &[0.0, 1.0, 1.0]);
        assert_eq!((line.at(0.5e-12), line.at(0.5)), (0.5, 1.0));
    }
}
