//! What the jackknife over people counts twice.
//!
//! Moments are sums over pairs. With ψ_il = G⁻¹ a_il (r_i r_l - θ'a_il) the pull of a pair, the variance of the estimate is
//! that of Σ_i Σ_l ψ_il, and Σ_{i<l} ψ_ilψ_il' is the part that belongs to pairs alone. Leaving out one person at a time takes that
//! part out twice (Efron & Stein, Annals of Statistics 1981): among unrelated people, where it is nearly all, the
//! jackknife's variance is nearly twice the true one. Taking it off once leaves an estimate that is right in both cases.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, solve_lower, symmetric_eigen};

use super::ground::Ground;
use super::kinship::ROWS;
use super::moments::{Kernel, Rows};

/// Σ_{i<l} a_il a_il' (r_i r_l - θ'a_il)² for each trait and its estimate.
pub(super) fn squares(
    run: &Run,
    ground: &Ground,
    kernels: &[Kernel],
    traits: &[(&[f64], &[f64])],
) -> Result<Vec<Matrix>> {
    let (n, k) = (ground.n(), kernels.len());
    let every = Rows::new(run, ground, kernels)?;
    let parts = run.map_quietly(n, ROWS, |rows| {
        let mut buffer = Vec::new();
        let kinship = ground.kinship.rows(rows.clone(), &mut buffer);
        let mut out = vec![Matrix::zeros(k, k); traits.len()];
        let (mut a, mut left, mut pull) = (vec![0.0; k * n], vec![0.0; n], vec![0.0; n]);
        for (i, kin) in rows.zip(kinship.chunks_exact(n)) {
            every.fill(ground, kernels, i, kin, &mut a);
            for ((r, theta), out) in traits.iter().zip(&mut out) {
                left[..i].iter_mut().zip(*r).for_each(|(x, other)| *x = r[i] * other);
                for (row, t) in a.chunks_exact(n).zip(*theta) {
                    left[..i].iter_mut().zip(row).for_each(|(x, a)| *x -= t * a);
                }
                left[..i].iter_mut().for_each(|x| *x *= *x);
                for j in 0..k {
                    pull[..i].iter_mut().zip(&left).zip(&a[j * n..]).for_each(|((p, x), a)| *p = x * a);
                    for l in 0..=j {
                        out[(j, l)] += dot(&pull[..i], &a[l * n..l * n + i]);
                    }
                }
            }
        }
        Ok(out)
    })?;
    let mut out = vec![Matrix::zeros(k, k); traits.len()];
    for part in &parts {
        for (all, part) in out.iter_mut().zip(part) {
            all.entries_mut().iter_mut().zip(part.entries()).for_each(|(x, y)| *x += y);
        }
    }
    for of in &mut out {
        for j in 0..k {
            (0..j).for_each(|l| of[(l, j)] = of[(j, l)]);
        }
    }
    Ok(out)
}

/// The covariance of the jackknife less what it counts twice, but no less than half of it in any direction: more than half
/// cannot have been counted twice.
pub(super) fn corrected(jackknife: &Matrix, doubled: &Matrix) -> Matrix {
    let k = jackknife.n_rows();
    let share = largest(jackknife, doubled).map_or(0.0, |largest| (0.5 / largest).min(1.0));
    let entries = jackknife.entries().iter().zip(doubled.entries()).map(|(x, y)| x - share * y).collect();
    Matrix::from_rows(k, k, entries)
}

/// The largest ratio x'Bx / x'Ax; `None` where A is not positive definite, or there is none above zero.
fn largest(a: &Matrix, b: &Matrix) -> Option<f64> {
    let k = a.n_rows();
    // Variances may differ by orders of magnitude: to a unit diagonal first.
    let scale: Vec<f64> = a.diagonal().iter().map(|x| 1.0 / x.sqrt()).collect();
    let scaled = |of: &Matrix| {
        let entries = of.entries().iter().enumerate().map(|(at, x)| x * scale[at / k] * scale[at % k]).collect();
        Matrix::from_rows(k, k, entries)
    };
    let mut factor = scaled(a);
    cholesky_in_place(&mut factor).ok()?;
    let mut inner = scaled(b);
    for _ in 0..2 {
        // L⁻¹B, then the same of its transpose.
        let mut columns = inner.transpose();
        (0..k).for_each(|j| solve_lower(&factor, columns.row_mut(j)));
        inner = columns;
    }
    let (values, _) = symmetric_eigen(&inner).ok()?;
    values.last().copied().filter(|x| *x > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_half_is_taken_off() {
        let jackknife = Matrix::from_rows(2, 2, vec![2.0, 0.6, 0.6, 1.0]);
        let little = Matrix::from_rows(2, 2, vec![0.5, 0.1, 0.1, 0.2]);
        assert_eq!(corrected(&jackknife, &little).entries(), [1.5, 0.5, 0.5, 0.8]);
        let much = Matrix::from_rows(2, 2, jackknife.entries().iter().map(|x| 0.8 * x).collect());
        for (x, y) in corrected(&jackknife, &much).entries().iter().zip(jackknife.entries()) {
            assert!((x - 0.5 * y).abs() < 1e-12);
        }
        // Half in the worst direction, more in others.
        let one = Matrix::from_rows(2, 2, vec![1.5, 0.0, 0.0, 0.0]);
        let left = corrected(&jackknife, &one);
        assert!(left[(0, 0)] > 0.9 && left[(0, 0)] < 1.5 && left[(1, 1)] == 1.0);
    }
}
