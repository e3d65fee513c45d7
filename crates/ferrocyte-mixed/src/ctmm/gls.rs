//! Generalised least squares at given variances, also where the covariance is not positive definite.
//!
//! Moment estimates may imply such a covariance. The formula of the fixed effects has a value nonetheless, and the
//! reference reports it, so that blocks are inverted here without asking for a sign.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;

use super::design::{ABSENT, Design};
use super::likelihood::{add_outer, add_sums, add_vector};

/// Fixed effects at given variances.
pub(super) struct Weighted {
    /// Their coefficients, for the values that were given.
    pub(super) beta: Vec<f64>,
    /// Whether some block has a negative eigenvalue, or the random covariates make one.
    pub(super) singular: bool,
}

/// The coefficients of `y` at the variances `theta`, without the individual `skip`; fails where the covariance cannot be
/// inverted at all.
pub(super) fn weighted(
    design: &Design,
    y: &[f64],
    noise: &[f64],
    theta: &[f64],
    skip: Option<usize>,
) -> Result<Weighted> {
    let n = design.n_columns;
    let mut k = Matrix::zeros(n, n);
    let mut v = vec![0.0; n];
    let mut singular = false;
    let room = if design.op { 2 } else { design.c + 1 };
    let (mut s, mut sy) = (vec![0.0; room * room], vec![0.0; room]);
    for i in (0..design.n).filter(|&i| Some(i) != skip) {
        let rows = design.rows(i);
        let (m, e) = (rows.len(), rows.len() + 1);
        fill(design, i, theta, &noise[rows.clone()], &mut s[..e * e]);
        singular |= !invert(&mut s[..e * e], m, e)?;
        add_sums(&mut s[..e * e], m);
        add_outer(design, i, &s[..e * e], 1.0, &mut k);
        for (a, out) in sy[..e].iter_mut().enumerate() {
            *out = s[a * e..a * e + m].iter().zip(&y[rows.clone()]).map(|(s, y)| s * y).sum();
        }
        add_vector(design, i, &sy[..e], &mut v);
    }
    singular |= absorb_random(design, theta, &mut k, &mut v)?;
    let p = design.n_fixed;
    let mut g = vec![0.0; p * (p + 1)];
    for i in 0..p {
        for j in 0..p {
            g[i * (p + 1) + j] = k[(i, j)];
        }
        g[i * (p + 1) + p] = v[i];
    }
    eliminate(&mut g, p, p + 1).ok_or_else(|| not_invertible("X'V^-1X"))?;
    Ok(Weighted { beta: (0..p).map(|i| g[i * (p + 1) + p]).collect(), singular })
}

fn not_invertible(what: &str) -> Fault {
    Fault::internal(format!("{what} cannot be inverted at these variances"))
}

/// S = Σ θ_k F_k + diag(noise) of one individual.
fn fill(design: &Design, i: usize, theta: &[f64], noise: &[f64], s: &mut [f64]) {
    let (m, e) = (noise.len(), noise.len() + 1);
    s.fill(0.0);
    for (number, (kernel, &value)) in design.kernels.iter().zip(theta).enumerate() {
        if design.op {
            s[0] += design.weight(i, number) * value;
            continue;
        }
        for &(x, y) in &kernel.terms {
            if x == design.c {
                (0..m).for_each(|a| (0..m).for_each(|b| s[a * e + b] += value));
                continue;
            }
            let (x, y) = (design.local(i, x), design.local(i, y));
            if x != ABSENT && y != ABSENT {
                s[x * e + y] += value;
            }
        }
    }
    (0..m).for_each(|a| s[a * e + a] += noise[a]);
}

/// Inverts the m × m head of `s` in place; whether it was positive definite.
fn invert(s: &mut [f64], m: usize, e: usize) -> Result<bool> {
    let mut work = vec![0.0; m * 2 * m];
    for a in 0..m {
        work[a * 2 * m..a * 2 * m + m].copy_from_slice(&s[a * e..a * e + m]);
        work[a * 2 * m + m + a] = 1.0;
    }
    let mut copy: Vec<f64> = (0..m).flat_map(|a| s[a * e..a * e + m].to_vec()).collect();
    let definite = super::block::cholesky(&mut copy, m).is_some();
    eliminate(&mut work, m, 2 * m).ok_or_else(|| not_invertible("the covariance of an individual"))?;
    for a in 0..m {
        for b in 0..m {
            s[a * e + b] = 0.5 * (work[a * 2 * m + m + b] + work[b * 2 * m + m + a]);
        }
    }
    Ok(definite)
}

/// Takes the random covariates out of K = A'B⁻¹A and v = A'B⁻¹y, one after the other:
/// K - K_u r2 (I + r2 K_uu)⁻¹ K_u'. Whether one of them makes the covariance indefinite.
fn absorb_random(design: &Design, theta: &[f64], k: &mut Matrix, v: &mut [f64]) -> Result<bool> {
    let n = design.n_columns;
    let mut indefinite = false;
    for (term, &r2) in design.random.iter().zip(&theta[design.kernels.len()..]) {
        let (first, levels) = (term.first, term.n_levels);
        let width = levels + n + 1;
        let mut work = vec![0.0; levels * width];
        let mut inner = vec![0.0; levels * levels];
        for a in 0..levels {
            for b in 0..levels {
                let entry = r2 * k[(first + a, first + b)] + if a == b { 1.0 } else { 0.0 };
                work[a * width + b] = entry;
                inner[a * levels + b] = entry;
            }
            (0..n).for_each(|j| work[a * width + levels + j] = r2 * k[(first + a, j)]);
            work[a * width + levels + n] = r2 * v[first + a];
        }
        indefinite |= super::block::cholesky(&mut inner, levels).is_none();
        eliminate(&mut work, levels, width).ok_or_else(|| not_invertible("the covariance of a random covariate"))?;
        let columns: Vec<Vec<f64>> = (0..n).map(|j| (0..levels).map(|a| k[(j, first + a)]).collect()).collect();
        for (j, column) in columns.iter().enumerate() {
            for l in 0..n {
                k[(j, l)] -= (0..levels).map(|a| column[a] * work[a * width + levels + l]).sum::<f64>();
            }
            v[j] -= (0..levels).map(|a| column[a] * work[a * width + levels + n]).sum::<f64>();
        }
    }
    Ok(indefinite)
}

/// Gauss-Jordan elimination with row pivots: the right part of `a` (n rows of length `width`) becomes the solution.
fn eliminate(a: &mut [f64], n: usize, width: usize) -> Option<()> {
    for column in 0..n {
        let size = |a: &[f64], row: usize| a[row * width + column].abs();
        let pivot = (column..n).max_by(|&x, &y| size(a, x).total_cmp(&size(a, y)))?;
        if !(size(a, pivot) > 0.0) || !size(a, pivot).is_finite() {
            return None;
        }
        if pivot != column {
            (0..width).for_each(|j| a.swap(pivot * width + j, column * width + j));
        }
        let inverse = 1.0 / a[column * width + column];
        (0..width).for_each(|j| a[column * width + j] *= inverse);
        for row in (0..n).filter(|&row| row != column) {
            let factor = a[row * width + column];
            if factor != 0.0 {
                (0..width).for_each(|j| a[row * width + j] -= factor * a[column * width + j]);
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indefinite_matrix_is_inverted_and_told() -> Result<()> {
        let mut s = vec![1.0, 2.0, 0.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        assert!(!invert(&mut s, 2, 3)?);
        let third = 1.0 / 3.0;
        for (found, expected) in s.iter().zip([-third, 2.0 * third, 0.0, 2.0 * third, -third]) {
            assert!((found - expected).abs() < 1e-15);
        }
        assert!(invert(&mut [0.0; 9], 2, 3).is_err());
        Ok(())
    }
}
