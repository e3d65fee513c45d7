//! Several variance components: damped Fisher scoring with dense algebra, gene by gene.
//!
//! With A = C C' (C of full column rank) and Γ = diag(γ), everything follows from the symmetric matrix
//! S = I + C'ΓC, whose Cholesky factor exists exactly where the restricted likelihood is defined:
//! u = (I + AΓ)⁻¹z = C S⁻¹w with w = C⁺z, K = (I + AΓ)⁻¹A = C S⁻¹C', |I + AΓ| = |S|. Then, with t_i = tr K_ii and
//! f_ij = |K_ij|² (blocks of components i, j; for ML, K and S are made of Z'Z instead of A):
//!
//! * ∂l/∂s_i = ½ (|u_i|²/s₀² - t_i/s₀), ∂l/∂s₀ = ½ ((Q - u'Γu)/s₀² - (ν - q + tr M)/s₀), Q = rss - z'Γu
//! * F_ij = f_ij/(2s₀²), F_i0 = (t_i - Σ γ_j f_ij)/(2s₀²), F_00 = (ν - q + tr M²)/(2s₀²)
//! * tr M = q - Σ γ_i t_i, tr M² = q - 2 Σ γ_i t_i + Σ γ_i γ_j f_ij
//!
//! Negative components are allowed; then the likelihood has several stationary points and unbounded directions, and
//! the estimate is the point that damped scoring reaches from zero.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{
    Matrix, cholesky_in_place, dot, scaled_inverse, solve_lower, solve_lower_transposed, symmetric_eigen,
};

use crate::lmm::canonical::Canonical;
use crate::lmm::options::Method;
use crate::lmm::status::Outcome;

const MAX_STEPS: u32 = 500;
const MAX_HALVINGS: u32 = 60;
/// Newton decrement at which the estimate is exact.
const DECREMENT: f64 = 1e-20;
/// A step that was halved away counts as converged below this decrement: rounding hides the rest.
const DECREMENT_HALVED: f64 = 1e-12;
const RANK_TOLERANCE: f64 = 1e-10;
const PIVOT_TOLERANCE: f64 = 1e-13;

/// What the genes share.
#[derive(Debug, Clone)]
pub(in crate::lmm) struct Dense {
    /// C with A = C C', q × r.
    c: Matrix,
    /// C⁺', q × r, so that w = C⁺z is the row z times it.
    c_inverse: Matrix,
    /// The factor of Z'Z, for ML and for the check of the cells' covariance.
    c_z: Matrix,
    dims: Vec<usize>,
    nu: f64,
    /// n - p, whatever the method.
    residual_df: f64,
    method: Method,
}

/// The likelihood and its derivatives at one point.
#[derive(Debug, Clone)]
pub(in crate::lmm) struct Point {
    /// s_1, .., s_k, s_0.
    pub(in crate::lmm) theta: Vec<f64>,
    /// Log-likelihood at this point.
    pub(in crate::lmm) log_likelihood: f64,
    /// Gradient.
    pub(in crate::lmm) score: Vec<f64>,
    /// Expected information.
    pub(in crate::lmm) information: Matrix,
    /// u = (I + AΓ)⁻¹z.
    pub(in crate::lmm) u: Vec<f64>,
    /// Q = s₀ y'Py.
    pub(in crate::lmm) quadratic: f64,
    /// ln|I + TΓ|.
    pub(in crate::lmm) ln_det: f64,
}

/// The estimate of one gene.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lmm) struct SeveralFit {
    /// s_1, .., s_k, s_0.
    pub(in crate::lmm) theta: Vec<f64>,
    /// Log-likelihood, s₀ at its profile value.
    pub(in crate::lmm) log_likelihood: f64,
    /// What became of the gene.
    pub(in crate::lmm) outcome: Outcome,
    /// Evaluations of the gradient.
    pub(in crate::lmm) evaluations: u32,
}

/// C with a = C C' and C⁺': eigenvectors times the roots of the positive eigenvalues, and divided by them.
fn factor(a: &Matrix) -> Result<(Matrix, Matrix)> {
    let n = a.n_rows();
    let (values, vectors) = symmetric_eigen(a)?;
    let largest = values.last().copied().unwrap_or(0.0);
    let positive: Vec<usize> = (0..n).filter(|&l| values[l] > RANK_TOLERANCE * largest && values[l] > 0.0).collect();
    let (mut c, mut inverse) = (Matrix::zeros(n, positive.len()), Matrix::zeros(n, positive.len()));
    for i in 0..n {
        for (j, &l) in positive.iter().enumerate() {
            c[(i, j)] = vectors[(i, l)] * values[l].sqrt();
            inverse[(i, j)] = vectors[(i, l)] / values[l].sqrt();
        }
    }
    Ok((c, inverse))
}

impl Dense {
    /// Factors A and Z'Z.
    pub(in crate::lmm) fn new(shared: &Canonical, method: Method) -> Result<Self> {
        let (c, c_inverse) = factor(&shared.a)?;
        let (c_z, _) = factor(&shared.zz)?;
        let nu = match method {
            Method::Reml => shared.n - shared.p() as f64,
            Method::Ml => shared.n,
        };
        Ok(Self { c, c_inverse, c_z, dims: shared.dims.clone(), nu, residual_df: shared.n - shared.p() as f64, method })
    }

    /// The rank of A.
    pub(in crate::lmm) fn rank(&self) -> usize {
        self.c.n_cols()
    }

    /// w = C⁺z of one gene.
    pub(in crate::lmm) fn whiten(&self, z: &[f64]) -> Vec<f64> {
        let mut w = vec![0.0; self.rank()];
        ferrocyte_math::linalg::product(z, z.len(), &self.c_inverse, &mut w);
        w
    }

    /// γ per random effect.
    fn spread(&self, theta: &[f64]) -> Vec<f64> {
        let s0 = theta[self.dims.len()];
        self.dims.iter().zip(theta).flat_map(|(&d, &s)| std::iter::repeat_n(s / s0, d)).collect()
    }

    /// Cholesky factor of I + C'ΓC, where it exists.
    fn factor_s(c: &Matrix, gamma: &[f64]) -> Option<Matrix> {
        let r = c.n_cols();
        let mut scaled = c.clone();
        for (i, &g) in gamma.iter().enumerate() {
            scaled.row_mut(i).iter_mut().for_each(|x| *x *= g);
        }
        let mut s = c.transpose().times(&scaled);
        for i in 0..r {
            s[(i, i)] += 1.0;
        }
        cholesky_in_place(&mut s).ok().map(|()| s)
    }

    /// K = C S⁻¹C' and ln|S|.
    fn k_matrix(c: &Matrix, s: &Matrix) -> (Matrix, f64) {
        let mut rows = c.clone();
        for i in 0..rows.n_rows() {
            solve_lower(s, rows.row_mut(i));
        }
        let ln_det = 2.0 * s.diagonal().iter().map(|d| d.ln()).sum::<f64>();
        (rows.times(&rows.transpose()), ln_det)
    }

    /// Whether the covariance of the cells is positive definite there.
    pub(in crate::lmm) fn v_is_positive(&self, theta: &[f64]) -> bool {
        theta[self.dims.len()] > 0.0 && Self::factor_s(&self.c_z, &self.spread(theta)).is_some()
    }

    /// Everything at one point; `None` outside the region where the likelihood is defined.
    pub(in crate::lmm) fn evaluate(&self, theta: &[f64], w: &[f64], rss: f64) -> Option<Point> {
        let k = self.dims.len();
        let s0 = theta[k];
        if !(s0 > 0.0) {
            return None;
        }
        let gamma = self.spread(theta);
        let s_a = Self::factor_s(&self.c, &gamma)?;
        let mut y = w.to_vec();
        solve_lower(&s_a, &mut y);
        solve_lower_transposed(&s_a, &mut y);
        let u: Vec<f64> = (0..self.c.n_rows()).map(|i| dot(self.c.row(i), &y)).collect();
        let z_gamma_u: f64 = (0..u.len()).map(|i| dot(self.c.row(i), w) * gamma[i] * u[i]).sum();
        let quadratic = rss - z_gamma_u;
        if !(quadratic > 0.0) {
            return None;
        }
        let (k_matrix, ln_det) = match self.method {
            Method::Reml => Self::k_matrix(&self.c, &s_a),
            Method::Ml => Self::k_matrix(&self.c_z, &Self::factor_s(&self.c_z, &gamma)?),
        };
        let (t, f) = self.block_sums(&k_matrix);
        let g: Vec<f64> = theta[..k].iter().map(|s| s / s0).collect();
        let q = u.len() as f64;
        let gt: f64 = dot(&g, &t);
        let mut gfg = 0.0;
        let mut information = Matrix::zeros(k + 1, k + 1);
        for i in 0..k {
            let fg: f64 = (0..k).map(|j| f[(i, j)] * g[j]).sum();
            gfg += g[i] * fg;
            for j in 0..k {
                information[(i, j)] = f[(i, j)] / (2.0 * s0 * s0);
            }
            information[(i, k)] = (t[i] - fg) / (2.0 * s0 * s0);
            information[(k, i)] = information[(i, k)];
        }
        information[(k, k)] = (self.nu - q + (q - 2.0 * gt + gfg)) / (2.0 * s0 * s0);
        let u_gamma_u: f64 = u.iter().zip(&gamma).map(|(u, g)| u * g * u).sum();
        let mut score = Vec::with_capacity(k + 1);
        let mut from = 0;
        for (i, &d) in self.dims.iter().enumerate() {
            let part = &u[from..from + d];
            score.push(0.5 * (dot(part, part) / (s0 * s0) - t[i] / s0));
            from += d;
        }
        score.push(0.5 * ((quadratic - u_gamma_u) / (s0 * s0) - (self.nu - gt) / s0));
        let log_likelihood = -0.5 * (self.nu * (2.0 * std::f64::consts::PI * s0).ln() + ln_det + quadratic / s0);
        Some(Point { theta: theta.to_vec(), log_likelihood, score, information, u, quadratic, ln_det })
    }

    /// t_i = tr K_ii and f_ij = |K_ij|².
    fn block_sums(&self, k_matrix: &Matrix) -> (Vec<f64>, Matrix) {
        let k = self.dims.len();
        let owner: Vec<usize> = self.dims.iter().enumerate().flat_map(|(i, &d)| std::iter::repeat_n(i, d)).collect();
        let (mut t, mut f) = (vec![0.0; k], Matrix::zeros(k, k));
        for (a, &i) in owner.iter().enumerate() {
            t[i] += k_matrix[(a, a)];
            for (b, &j) in owner.iter().enumerate() {
                f[(i, j)] += k_matrix[(a, b)] * k_matrix[(a, b)];
            }
        }
        (t, f)
    }

    /// Moves s₀ to its profile value at the same ratios and reports (components, s₀) as they then stand.
    fn finish(&self, point: &Point, outcome: Outcome, evaluations: u32) -> SeveralFit {
        let k = self.dims.len();
        let mut theta = point.theta.clone();
        theta[k] = point.quadratic / self.nu;
        let log_likelihood = -0.5 * (self.nu * (1.0 + (2.0 * std::f64::consts::PI * theta[k]).ln()) + point.ln_det);
        SeveralFit { theta, log_likelihood, outcome, evaluations }
    }

    /// Components held at zero, for genes without estimate.
    fn at_zero(&self, rss: f64, outcome: Outcome, evaluations: u32) -> SeveralFit {
        let k = self.dims.len();
        let mut theta = vec![0.0; k + 1];
        theta[k] = rss / self.nu;
        let log_likelihood = -0.5 * self.nu * (1.0 + (2.0 * std::f64::consts::PI * theta[k]).ln());
        SeveralFit { theta, log_likelihood, outcome, evaluations }
    }

    /// Fits one gene from w (r numbers) and its residual sum of squares, components of either sign.
    pub(in crate::lmm) fn fit(&self, run: &Run, w: &[f64], rss: f64) -> Result<SeveralFit> {
        if self.rank() == 0 {
            return Ok(self.at_zero(rss, Outcome::NotIdentifiable, 0));
        }
        self.climb(run, w, rss, false)
    }

    /// Fits one gene with components that are not negative.
    pub(in crate::lmm) fn fit_non_negative(&self, run: &Run, w: &[f64], rss: f64) -> Result<SeveralFit> {
        if self.rank() == 0 {
            return Ok(self.at_zero(rss, Outcome::NotIdentifiable, 0));
        }
        self.climb(run, w, rss, true)
    }

    fn climb(&self, run: &Run, w: &[f64], rss: f64, non_negative: bool) -> Result<SeveralFit> {
        let k = self.dims.len();
        let mut start = vec![0.0; k + 1];
        start[k] = rss / self.nu;
        let Some(mut point) = self.evaluate(&start, w, rss) else {
            return Ok(self.at_zero(rss, Outcome::NoStationary, 1));
        };
        let mut evaluations = 1;
        while evaluations < MAX_STEPS {
            let free: Vec<usize> =
                (0..=k).filter(|&i| !non_negative || i == k || point.theta[i] > 0.0 || point.score[i] > 0.0).collect();
            let Some(step) = newton_step(&point, &free) else {
                return Ok(self.at_zero(rss, Outcome::NoStationary, evaluations));
            };
            let decrement: f64 = free.iter().zip(&step).map(|(&i, d)| point.score[i] * d).sum();
            if decrement < DECREMENT {
                return Ok(self.judge(&point, non_negative, evaluations));
            }
            let mut shrink = 1.0;
            let mut halvings = 0;
            let next = loop {
                let mut theta = point.theta.clone();
                for (&i, d) in free.iter().zip(&step) {
                    theta[i] += shrink * d;
                    if non_negative && i < k {
                        theta[i] = theta[i].max(0.0);
                    }
                }
                // With hundreds of random effects one evaluation takes a tenth of a second.
                run.check()?;
                evaluations += 1;
                let slack = 1e-12 * (1.0 + point.log_likelihood.abs());
                match self.evaluate(&theta, w, rss) {
                    Some(next) if next.log_likelihood >= point.log_likelihood - slack => break Some(next),
                    _ if halvings == MAX_HALVINGS => break None,
                    _ => {
                        shrink *= 0.5;
                        halvings += 1;
                    }
                }
            };
            match next {
                Some(next) => point = next,
                None if decrement > DECREMENT_HALVED => {
                    return Ok(self.at_zero(rss, Outcome::NoStationary, evaluations));
                }
                None => return Ok(self.judge(&point, non_negative, evaluations)),
            }
        }
        let outcome = if non_negative { Outcome::MaxIter } else { Outcome::NoStationary };
        Ok(if non_negative {
            self.finish(&point, outcome, evaluations)
        } else {
            self.at_zero(rss, outcome, evaluations)
        })
    }

    /// The status of a stationary point.
    fn judge(&self, point: &Point, non_negative: bool, evaluations: u32) -> SeveralFit {
        let k = self.dims.len();
        let components = &point.theta[..k];
        let outcome = if non_negative {
            if components.contains(&0.0) { Outcome::Boundary } else { Outcome::Ok }
        } else if components.iter().all(|&s| s >= 0.0) {
            Outcome::Ok
        } else if self.v_is_positive(&point.theta) {
            Outcome::Negative
        } else {
            Outcome::VNotPd
        };
        self.finish(point, outcome, evaluations)
    }

    /// Fisher scoring as published, without damping, for parity with a peer's numbers after few iterations: from
    /// `start` (or zero), until the largest absolute gradient is at most `epsilon` or `max_iter` evaluations were made.
    pub(in crate::lmm) fn score_undamped(
        &self,
        w: &[f64],
        rss: f64,
        start: Option<&[f64]>,
        max_iter: u32,
        epsilon: f64,
    ) -> SeveralFit {
        let k = self.dims.len();
        let mut theta = start.map_or_else(
            || {
                let mut zero = vec![0.0; k + 1];
                // The published start divides by n - p for ML, too.
                zero[k] = rss / self.residual_df;
                zero
            },
            <[f64]>::to_vec,
        );
        let all: Vec<usize> = (0..=k).collect();
        let mut largest = f64::INFINITY;
        let mut evaluations = 0;
        while largest > epsilon && evaluations < max_iter {
            evaluations += 1;
            let Some(point) = self.evaluate(&theta, w, rss) else {
                return self.at_zero(rss, Outcome::NoStationary, evaluations);
            };
            let Some(step) = newton_step(&point, &all) else {
                return self.at_zero(rss, Outcome::NoStationary, evaluations);
            };
            largest = point.score.iter().fold(0.0, |a, d| f64::max(a, d.abs()));
            theta.iter_mut().zip(&step).for_each(|(t, d)| *t += d);
        }
        let Some(point) = self.evaluate(&theta, w, rss) else {
            return self.at_zero(rss, Outcome::NoStationary, evaluations);
        };
        let mut fit = self.judge(&point, false, evaluations);
        // The published log-likelihood takes the determinant at the new ratios, which matters before convergence only.
        if let Some(moved) = self.evaluate(&fit.theta, w, rss) {
            fit.log_likelihood += 0.5 * (point.ln_det - moved.ln_det);
        }
        if largest > epsilon && fit.outcome != Outcome::VNotPd {
            fit.outcome = Outcome::MaxIter;
        }
        fit
    }

    /// K_A = (I + AΓ)⁻¹A at a point, for the quantities of tests.
    pub(in crate::lmm) fn k_of_a(&self, theta: &[f64]) -> Option<Matrix> {
        let s = Self::factor_s(&self.c, &self.spread(theta))?;
        Some(Self::k_matrix(&self.c, &s).0)
    }

    /// K of Z'Z at a point: the traces of ML.
    pub(in crate::lmm) fn k_of_zz(&self, theta: &[f64]) -> Option<Matrix> {
        let s = Self::factor_s(&self.c_z, &self.spread(theta))?;
        Some(Self::k_matrix(&self.c_z, &s).0)
    }

    /// γ of each random effect and the block that owns it.
    pub(in crate::lmm) fn gammas(&self, theta: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let owner = self.dims.iter().enumerate().flat_map(|(i, &d)| std::iter::repeat_n(i, d)).collect();
        (self.spread(theta), owner)
    }
}

/// F⁻¹ · score over the free parameters, F scaled by its diagonal; `None` where F is singular.
fn newton_step(point: &Point, free: &[usize]) -> Option<Vec<f64>> {
    let mut information = Matrix::zeros(free.len(), free.len());
    for (a, &i) in free.iter().enumerate() {
        for (b, &j) in free.iter().enumerate() {
            information[(a, b)] = point.information[(i, j)];
        }
    }
    let inverse = scaled_inverse(&information, PIVOT_TOLERANCE).ok()?;
    let score: Vec<f64> = free.iter().map(|&i| point.score[i]).collect();
    Some((0..free.len()).map(|a| dot(inverse.row(a), &score)).collect())
}
