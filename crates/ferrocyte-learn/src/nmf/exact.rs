//! Non-negative least squares for many rows on one Gram matrix, solved to rounding.
//!
//! Cyclic coordinate descent finds which entries are positive; given these the optimum solves linear equations. Where its
//! solution is positive and no gradient pulls another entry up, it is the optimum of the whole problem, which is convex.
//! Where components depend on one another descent goes on until nothing moves.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, solve_lower, solve_lower_transposed};

/// Sweeps between two trials of the equations.
const SWEEPS: usize = 8;

/// Trials before a row is given up.
const TRIALS: usize = 25_000;

/// A step is nothing below this share of the row's largest entry.
const NOTHING: f64 = 1e-15;

/// A gradient is nothing below this share of the terms that it is the sum of.
const ROUNDING: f64 = 1e-12;

/// Moves `row` to the non-negative minimum of `row' Q row / 2 - p' row`; false if the trials did not suffice.
pub(super) fn solve(row: &mut [f64], p: &[f64], gram: &[f64]) -> bool {
    for _ in 0..TRIALS {
        for _ in 0..SWEEPS {
            if sweep(row, p, gram) <= NOTHING * row.iter().copied().fold(0.0, f64::max) {
                return true;
            }
        }
        if polish(row, p, gram) {
            return true;
        }
    }
    false
}

/// One sweep of coordinate descent; the largest step.
fn sweep(row: &mut [f64], p: &[f64], gram: &[f64]) -> f64 {
    let k = row.len();
    let mut moved = 0.0_f64;
    for t in 0..k {
        let q = &gram[t * k..(t + 1) * k];
        if q[t] <= 0.0 {
            continue;
        }
        let gradient = q.iter().zip(&*row).map(|(q, w)| q * w).sum::<f64>() - p[t];
        let new = (row[t] - gradient / q[t]).max(0.0);
        moved = moved.max((new - row[t]).abs());
        row[t] = new;
    }
    moved
}

/// Solves for the entries that are positive; true, and the row is its optimum, if they stay so and no other is pulled up.
fn polish(row: &mut [f64], p: &[f64], gram: &[f64]) -> bool {
    let k = row.len();
    let support: Vec<usize> = (0..k).filter(|&t| row[t] > 0.0).collect();
    let mut factor = Matrix::zeros(support.len(), support.len());
    for (a, &t) in support.iter().enumerate() {
        support.iter().enumerate().for_each(|(b, &s)| factor[(a, b)] = gram[t * k + s]);
    }
    let least = support.iter().map(|&t| ROUNDING * gram[t * k + t]).fold(f64::INFINITY, f64::min);
    if cholesky_in_place(&mut factor).is_err() || factor.diagonal().iter().any(|d| d * d <= least) {
        return false;
    }
    let mut found = vec![0.0; k];
    // The second round takes back what the first lost to rounding.
    for _ in 0..2 {
        let mut rest: Vec<f64> = support.iter().map(|&t| p[t] - along(&gram[t * k..(t + 1) * k], &found)).collect();
        solve_lower(&factor, &mut rest);
        solve_lower_transposed(&factor, &mut rest);
        support.iter().zip(rest).for_each(|(&t, x)| found[t] += x);
    }
    let pulled_up = |t: usize| {
        let q = &gram[t * k..(t + 1) * k];
        let size = p[t].abs() + q.iter().zip(&found).map(|(q, w)| (q * w).abs()).sum::<f64>();
        row[t] == 0.0 && along(q, &found) - p[t] < -ROUNDING * size
    };
    if support.iter().any(|&t| !(found[t] > 0.0)) || (0..k).any(pulled_up) {
        return false;
    }
    row.copy_from_slice(&found);
    true
}

fn along(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_optima_with_and_without_bounds() {
        let gram = [2.0, 1.0, 1.0, 2.0];
        let mut row = [0.0; 2];
        assert!(solve(&mut row, &[4.0, 5.0], &gram));
        assert!((row[0] - 1.0).abs() < 1e-15 && (row[1] - 2.0).abs() < 1e-15);
        // Without the bound the second would be -1.
        assert!(solve(&mut row, &[4.0, 1.0], &gram));
        assert!((row[0] - 2.0).abs() < 1e-15 && row[1] == 0.0);
        // A component of zeros is left alone.
        let mut row = [0.0; 2];
        assert!(solve(&mut row, &[4.0, 0.0], &[2.0, 0.0, 0.0, 0.0]));
        assert_eq!(row, [2.0, 0.0]);
        // Nothing to fit.
        assert!(solve(&mut row, &[0.0, 0.0], &gram));
        assert_eq!(row, [0.0, 0.0]);
    }

    #[test]
    fn components_that_are_nearly_or_quite_the_same() {
        // Descent alone would need some 1e8 sweeps.
        let near = 1.0 - 1e-8;
        let mut row = [0.0; 2];
        assert!(solve(&mut row, &[1.0 + 2.0 * near, near + 2.0], &[1.0, near, near, 1.0]));
        assert!((row[0] - 1.0).abs() < 1e-6 && (row[1] - 2.0).abs() < 1e-6, "{row:?}");
        let mut row = [0.0; 2];
        assert!(solve(&mut row, &[3.0, 3.0], &[1.0; 4]));
        assert!((row[0] + row[1] - 3.0).abs() < 1e-14);
    }
}
