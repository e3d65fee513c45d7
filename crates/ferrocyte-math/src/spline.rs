//! Natural cubic splines: cubic between knots, straight beyond the outer ones.

use ferrocyte_base::{Fault, Result};

use crate::linalg::{Matrix, dot};
use crate::trend::sorted_quantile;

/// A column counts as dependent on those before it when less than this part of its norm is left.
const DEPENDENT: f64 = 1e-7;

/// A basis of the natural cubic splines with given knots; the constant is its first function.
///
/// In `z = (x - low) / (high - low)` the functions are `1`, `z` and, for an interior knot `t`, the truncated power that
/// meets the condition of a straight end, `(z - t)_+^3 - (1 - t) z^3`; they vanish below 0 and go on straight above 1. A
/// knot that comes twice lets the second derivative jump too: `(z - t)_+^2 - z^3 / 3`.
#[derive(Debug, Clone, PartialEq)]
pub struct NaturalSpline {
    low: f64,
    high: f64,
    /// Interior knots on the scale of `z`, rising.
    knots: Vec<f64>,
}

impl NaturalSpline {
    /// Splines of dimension `df >= 2`: the boundary knots are the ends of `x`, and `df - 2` interior knots stand at its
    /// quantiles `i / (df - 1)` (type 7).
    ///
    /// # Errors
    /// Where there is no `x`, one is not finite, or `df < 2`.
    pub fn over(x: &[f64], df: usize) -> Result<Self> {
        if df < 2 || x.is_empty() {
            return Err(Fault::bad_input(format!("a natural spline of dimension {df} over {} values", x.len()))
                .hint("give at least one value and a dimension of at least 2"));
        }
        if let Some(i) = x.iter().position(|x| !x.is_finite()) {
            return Err(Fault::bad_input(format!("value {} of the covariate is {}, expected a number", i + 1, x[i])));
        }
        let mut sorted = x.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        let width = if high > low { high - low } else { 1.0 };
        let knots = (1..df - 1).map(|i| (sorted_quantile(&sorted, i as f64 / (df - 1) as f64) - low) / width).collect();
        Ok(Self { low, high: low + width, knots })
    }

    /// The dimension.
    pub fn df(&self) -> usize {
        self.knots.len() + 2
    }

    /// The basis functions at `x`, into `row`.
    pub fn at(&self, x: f64, row: &mut [f64]) {
        let z = (x - self.low) / (self.high - self.low);
        let inside = z.min(1.0);
        row[0] = 1.0;
        row[1] = z;
        for (j, &knot) in self.knots.iter().enumerate() {
            let above = (inside - knot).max(0.0);
            let twice = j > 0 && self.knots[j - 1] == knot;
            let (value, slope) = if inside <= 0.0 {
                (0.0, 0.0)
            } else if twice {
                (above * above - inside.powi(3) / 3.0, 2.0 * above - inside * inside)
            } else {
                let rest = 1.0 - knot;
                (above.powi(3) - rest * inside.powi(3), 3.0 * (above * above - rest * inside * inside))
            };
            row[2 + j] = value + slope * (z - inside).max(0.0);
        }
    }
}

/// What least squares on a spline gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Smooth {
    spline: NaturalSpline,
    /// One per basis function; 0 where the function depends on those before it.
    coefficients: Vec<f64>,
    /// Residual sum of squares.
    pub rss: f64,
    /// Number of basis functions that are independent over the data.
    pub rank: usize,
}

impl Smooth {
    /// Least squares of `y` on the spline at `x`; the basis is orthogonalised twice, so that nothing is lost to its
    /// condition. `O(n df^2)`.
    pub fn fit(spline: NaturalSpline, x: &[f64], y: &[f64]) -> Self {
        let df = spline.df();
        let mut rows = Matrix::zeros(x.len(), df);
        for (i, &x) in x.iter().enumerate() {
            spline.at(x, rows.row_mut(i));
        }
        let basis = rows.transpose();
        let mut q: Vec<Vec<f64>> = Vec::with_capacity(df);
        // Column j of the basis is the sum over m of r[m][j] q_m.
        let mut r = Matrix::zeros(df, df);
        let mut kept = Vec::with_capacity(df);
        for j in 0..df {
            let mut column = basis.row(j).to_vec();
            let norm = dot(&column, &column).sqrt();
            for _ in 0..2 {
                for (m, direction) in q.iter().enumerate() {
                    let share = dot(direction, &column);
                    r[(m, j)] += share;
                    column.iter_mut().zip(direction).for_each(|(c, d)| *c -= share * d);
                }
            }
            let left = dot(&column, &column).sqrt();
            if left > DEPENDENT * norm {
                r[(q.len(), j)] = left;
                column.iter_mut().for_each(|c| *c /= left);
                kept.push(j);
                q.push(column);
            }
        }
        let mut residual = y.to_vec();
        let mut effects = vec![0.0; q.len()];
        for _ in 0..2 {
            for (effect, direction) in effects.iter_mut().zip(&q) {
                let share = dot(direction, &residual);
                *effect += share;
                residual.iter_mut().zip(direction).for_each(|(e, d)| *e -= share * d);
            }
        }
        let mut coefficients = vec![0.0; df];
        for m in (0..q.len()).rev() {
            let known: f64 = kept[m + 1..].iter().map(|&j| r[(m, j)] * coefficients[j]).sum();
            coefficients[kept[m]] = (effects[m] - known) / r[(m, kept[m])];
        }
        Self { spline, coefficients, rss: dot(&residual, &residual), rank: q.len() }
    }

    /// The fitted curve at `x`.
    pub fn at(&self, x: f64) -> f64 {
        let mut row = [0.0; 8];
        let df = self.spline.df();
        if df <= row.len() {
            self.spline.at(x, &mut row[..df]);
            return dot(&row[..df], &self.coefficients);
        }
        let mut row = vec![0.0; df];
        self.spline.at(x, &mut row);
        dot(&row, &self.coefficients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found} should be {expected}");
    }

    #[test]
    fn goes_through_as_many_points_as_it_has_dimensions() -> Result<()> {
        // Four points at the knots of a spline of dimension 4.
        let x = [0.0, 1.0, 2.0, 3.0];
        let y = [1.0, -1.0, 0.5, 2.0];
        let smooth = Smooth::fit(NaturalSpline::over(&x, 4)?, &x, &y);
        assert!(smooth.rank == 4 && smooth.rss < 1e-25);
        for (x, y) in x.iter().zip(y) {
            close(smooth.at(*x), y, 1e-13);
        }
        // By hand: the second derivatives M of the interpolating spline solve [4 1; 1 4] M = 6 second differences.
        let (d1, d2) = (6.0 * (1.0 + 2.0 + 0.5), 6.0 * (-1.0 - 1.0 + 2.0));
        let (m1, m2) = ((4.0 * d1 - d2) / 15.0, (4.0 * d2 - d1) / 15.0);
        close(smooth.at(1.5), 0.5 * (y[1] + y[2]) - (m1 + m2) / 16.0, 1e-13);
        close(smooth.at(0.5), 0.5 * (y[0] + y[1]) - m1 / 16.0, 1e-13);
        Ok(())
    }

    #[test]
    fn is_straight_outside_and_smooth_at_the_ends() -> Result<()> {
        let x: Vec<f64> = (0..50).map(|i| f64::from(i) * 0.2).collect();
        let y: Vec<f64> = x.iter().map(|x| x.sin()).collect();
        let smooth = Smooth::fit(NaturalSpline::over(&x, 5)?, &x, &y);
        for end in [0.0, 9.8] {
            let (a, b, c) = (smooth.at(end - 1e-3), smooth.at(end), smooth.at(end + 1e-3));
            close(a - 2.0 * b + c, 0.0, 1e-8);
        }
        for t in [-3.0, 12.0] {
            close(smooth.at(t - 1.0) + smooth.at(t + 1.0), 2.0 * smooth.at(t), 1e-11);
        }
        Ok(())
    }

    #[test]
    fn knots_that_coincide_lose_rank_only_at_the_ends() -> Result<()> {
        let mut x: Vec<f64> = (0..30).map(f64::from).collect();
        x[10..20].fill(15.0);
        x[15] = 15.5;
        let twice = NaturalSpline { low: 0.0, high: 29.0, knots: vec![0.5, 0.5] };
        let y: Vec<f64> = x.iter().map(|x| (x - 14.5).max(0.0)).collect();
        assert_eq!(Smooth::fit(twice, &x, &y).rank, 4);
        let at_the_end = NaturalSpline { low: 0.0, high: 29.0, knots: vec![0.0, 0.5] };
        assert_eq!(Smooth::fit(at_the_end, &x, &y).rank, 3);
        let constant = Smooth::fit(NaturalSpline::over(&[2.0; 5], 4)?, &[2.0; 5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!(constant.rank == 1 && (constant.rss - 10.0).abs() < 1e-12 && (constant.at(2.0) - 3.0).abs() < 1e-14);
        assert!(NaturalSpline::over(&[1.0], 1).is_err() && NaturalSpline::over(&[f64::NAN], 2).is_err());
        Ok(())
    }
}
