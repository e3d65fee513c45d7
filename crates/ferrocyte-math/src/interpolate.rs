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
    /// Knots, strictly rising.
    x: Vec<f64>,
    y: Vec<f64>,
    /// Slope to the right of each knot; 0 at the last.
    slope: Vec<f64>,
    /// Of each cell of a uniform grid over the range: the last knot in an earlier cell, or the first of all.
    cells: Vec<u32>,
    /// Cells per unit of x.
    scale: f64,
}

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
        Self::of_knots(x, y)
    }

    fn of_knots(x: Vec<f64>, y: Vec<f64>) -> Self {
        let n = x.len();
        let mut slope: Vec<f64> = (1..n).map(|i| (y[i] - y[i - 1]) / (x[i] - x[i - 1])).collect();
        slope.push(0.0);
        let n_cells = (4 * n).next_power_of_two();
        let range = if n > 1 { x[n - 1] - x[0] } else { 0.0 };
        let scale = n_cells as f64 / range;
        let scale = if scale.is_finite() { scale } else { 0.0 };
        let mut cells = Vec::with_capacity(n_cells + 1);
        let mut knot = 0;
        for cell in 0..=n_cells {
            // The same arithmetic as in the look-up decides in which cell a knot lies.
            while knot + 1 < n && (((x[knot + 1] - x[0]) * scale) as usize) < cell {
                knot += 1;
            }
            cells.push(knot as u32);
        }
        Self { x, y, slope, cells, scale }
    }

    /// The value at `x`; NaN for NaN, and everywhere if there are no knots.
    #[inline]
    pub fn at(&self, x: f64) -> f64 {
        let Some(&last) = self.x.last() else { return f64::NAN };
        let first = self.x[0];
        // Not `clamp`: NaN passes through.
        let v = if x < first { first } else { x };
        let v = if v > last { last } else { v };
        let cell = ((v - first) * self.scale) as usize;
        let mut knot = self.cells[cell.min(self.cells.len() - 1)] as usize;
        while knot + 1 < self.x.len() && self.x[knot + 1] <= v {
            knot += 1;
        }
        self.y[knot] + self.slope[knot] * (v - self.x[knot])
    }

    /// Knots and values, `x` strictly rising.
    pub fn knots(&self) -> (&[f64], &[f64]) {
        (&self.x, &self.y)
    }
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
        assert_eq!(line.knots(), (&[1.0][..], &[1.0][..]));
        assert!(line.at(f64::NAN).is_nan());
        // Knots that are far closer to one another than to the rest.
        let line = Interpolator::new(&[0.0, 1e-12, 1.0], &[0.0, 1.0, 1.0]);
        assert_eq!((line.at(0.5e-12), line.at(0.5)), (0.5, 1.0));
    }
}
