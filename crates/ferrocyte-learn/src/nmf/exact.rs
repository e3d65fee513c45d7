//! Non-negative least squares for many rows on one Gram matrix, solved to rounding.
//!
//! Cyclic coordinate descent, row by row, until no projected gradient is left beyond rounding. The problem is convex, so
//! that this is its optimum; unlike the stopping rule of an iteration over all rows, no row is left half-way.

/// Sweeps of a row before it is given up.
const SWEEPS: usize = 200_000;

/// A projected step is nothing below this share of the row's largest entry.
const NOTHING: f64 = 1e-14;

/// Moves `row` to the non-negative minimum of `row' Q row / 2 - p' row`; false if sweeps did not suffice.
pub(super) fn solve(row: &mut [f64], p: &[f64], gram: &[f64]) -> bool {
    let k = row.len();
    for _ in 0..SWEEPS {
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
        let largest = row.iter().copied().fold(0.0, f64::max);
        if moved <= NOTHING * largest {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_optima_with_and_without_bounds() {
        let gram = [2.0, 1.0, 1.0, 2.0];
        let mut row = [0.0; 2];
        assert!(solve(&mut row, &[4.0, 5.0], &gram));
        assert!((row[0] - 1.0).abs() < 1e-13 && (row[1] - 2.0).abs() < 1e-13);
        // Without the bound the second would be -1.
        assert!(solve(&mut row, &[4.0, 1.0], &gram));
        assert!((row[0] - 2.0).abs() < 1e-13 && row[1] == 0.0);
        // A component of zeros is left alone.
        let mut row = [0.0; 2];
        assert!(solve(&mut row, &[4.0, 0.0], &[2.0, 0.0, 0.0, 0.0]));
        assert_eq!(row, [2.0, 0.0]);
    }
}
