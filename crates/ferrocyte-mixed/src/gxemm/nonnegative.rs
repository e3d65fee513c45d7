//! The least of a quadratic function of few numbers that may not be negative.

use ferrocyte_math::linalg::{Matrix, scaled_inverse};

/// The `x ≥ 0` that minimises ½ x'Hx - c'x for a positive definite H, by Lawson & Hanson's active set (1974, chapter 23).
///
/// `None` where H is not positive definite.
pub(super) fn minimum(h: &Matrix, c: &[f64]) -> Option<Vec<f64>> {
    let k = c.len();
    let mut free = vec![false; k];
    let mut x = vec![0.0; k];
    // Every turn frees one more number, and no set of free numbers comes back.
    for _ in 0..3 * k + 10 {
        let pull = |j: usize, x: &[f64]| c[j] - (0..k).map(|i| h[(j, i)] * x[i]).sum::<f64>();
        let size = |j: usize| c[j].abs() + (0..k).map(|i| (h[(j, i)] * x[i]).abs()).sum::<f64>();
        let next = (0..k)
            .filter(|&j| !free[j] && pull(j, &x) > 1e-12 * size(j))
            .max_by(|&a, &b| pull(a, &x).total_cmp(&pull(b, &x)));
        let Some(next) = next else { return Some(x) };
        free[next] = true;
        loop {
            let trial = solve(h, c, &free)?;
            if (0..k).all(|j| !free[j] || trial[j] > 0.0) {
                x = trial;
                break;
            }
            let mut step = 1.0_f64;
            for j in (0..k).filter(|&j| free[j] && trial[j] <= 0.0) {
                let room = x[j] / (x[j] - trial[j]);
                step = step.min(if room.is_finite() { room } else { 0.0 });
            }
            for j in 0..k {
                x[j] += step * (trial[j] - x[j]);
                if free[j] && trial[j] <= 0.0 && x[j] <= 1e-15 * (1.0 + trial[j].abs()) {
                    x[j] = 0.0;
                    free[j] = false;
                }
            }
            if !free.contains(&true) {
                break;
            }
        }
    }
    Some(x)
}

/// The minimum over the free numbers, the others zero.
fn solve(h: &Matrix, c: &[f64], free: &[bool]) -> Option<Vec<f64>> {
    let of: Vec<usize> = (0..c.len()).filter(|&j| free[j]).collect();
    let mut small = Matrix::zeros(of.len(), of.len());
    for (a, &i) in of.iter().enumerate() {
        for (b, &j) in of.iter().enumerate() {
            small[(a, b)] = h[(i, j)];
        }
    }
    let inverse = scaled_inverse(&small, 0.0).ok()?;
    let mut out = vec![0.0; c.len()];
    for (a, &i) in of.iter().enumerate() {
        out[i] = of.iter().zip(inverse.row(a)).map(|(&j, x)| x * c[j]).sum();
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_has_no_way_down() {
        let h = Matrix::from_rows(3, 3, vec![2.0, 0.8, -0.3, 0.8, 1.0, 0.4, -0.3, 0.4, 1.5]);
        for c in [[1.0, 1.0, 1.0], [1.0, -2.0, 0.5], [-1.0, -1.0, -1.0], [3.0, 0.1, -4.0]] {
            let x = minimum(&h, &c).unwrap_or_default();
            for j in 0..3 {
                let slope = (0..3).map(|i| h[(j, i)] * x[i]).sum::<f64>() - c[j];
                assert!(x[j] >= 0.0);
                assert!(if x[j] > 0.0 { slope.abs() < 1e-12 } else { slope > -1e-12 }, "{c:?}: {x:?}");
            }
        }
    }
}
