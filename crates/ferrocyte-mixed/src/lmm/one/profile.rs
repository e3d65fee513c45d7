//! One variance component: the exact profile problem in γ = s₁/s₀.
//!
//! With h = 1/(1 + γλ), s₀(γ) = (rss - γ Σ w²h)/ν and the profile gradient
//! g(γ) = ½ [Σ w²h²/s₀ - Σ μ/(1 + γμ)] (μ = λ, ν = n - p for REML; μ = eig(Z'Z), ν = n for ML), the estimate is the
//! first stationary point that is reached from γ = 0 in the direction of the gradient. It may be negative. Beyond it,
//! on the negative side, lie a minimum and then a region where the gradient points to the boundary all the way (for
//! ML the likelihood is unbounded there); so that the search never walks past half of what is left to the boundary
//! until it has met a point of rising likelihood.

#![allow(clippy::inline_always)]

use ferrocyte_math::wide;

use crate::lmm::one::search::{Gene, search};
use crate::lmm::options::Method;
use crate::lmm::status::Outcome;

/// Factors of the determinant between 1 and this, or its inverse, may be multiplied eight at a time.
const MODEST: f64 = 1e30;

/// What the genes share.
#[derive(Debug, Clone)]
pub(in crate::lmm) struct Profile {
    /// λ, rising.
    pub(super) lambda: Vec<f64>,
    /// How many λ are zero.
    n_zero: usize,
    /// μ where it is not λ: for ML.
    pub(super) mu: Option<Vec<f64>>,
    /// ν: degrees of freedom of the likelihood.
    pub(super) nu: f64,
    /// γ must stay above this.
    pub(super) limit: f64,
    /// Below this γ the covariance of the cells is not positive definite.
    pub(super) v_limit: f64,
    pub(super) sum_mu: f64,
    pub(super) sum_mu2: f64,
    /// No eigenvalue is positive.
    pub(super) degenerate: bool,
}

/// The estimate of one gene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::lmm) struct OneFit {
    /// γ = s₁/s₀.
    pub(in crate::lmm) gamma: f64,
    /// The residual variance s₀.
    pub(in crate::lmm) s0: f64,
    /// What became of the gene.
    pub(in crate::lmm) outcome: Outcome,
    /// Evaluations of the gradient.
    pub(in crate::lmm) evaluations: u32,
}

impl Profile {
    /// From the eigenvalues of A (`lambda`, rising) and of Z'Z (`mu`), `n` cells and `p` fixed effects.
    pub(in crate::lmm) fn new(method: Method, lambda: &[f64], mu: &[f64], n: f64, p: usize) -> Self {
        let largest = |v: &[f64]| v.iter().copied().fold(0.0, f64::max);
        let (trace_values, nu) = match method {
            Method::Reml => (lambda, n - p as f64),
            Method::Ml => (mu, n),
        };
        Self {
            lambda: lambda.to_vec(),
            n_zero: lambda.iter().take_while(|&&l| l == 0.0).count(),
            mu: (method == Method::Ml).then(|| mu.to_vec()),
            nu,
            limit: -1.0 / largest(trace_values),
            v_limit: -1.0 / largest(mu),
            sum_mu: trace_values.iter().sum(),
            sum_mu2: trace_values.iter().map(|m| m * m).sum(),
            degenerate: largest(lambda) == 0.0,
        }
    }

    /// ν: n - p for REML, n for ML.
    pub(in crate::lmm) fn nu(&self) -> f64 {
        self.nu
    }

    /// The positive λ.
    #[inline]
    pub(super) fn positive(&self) -> &[f64] {
        &self.lambda[self.n_zero..]
    }

    /// μ: what traces and determinants are made of.
    pub(super) fn traces(&self) -> &[f64] {
        self.mu.as_deref().unwrap_or(self.positive())
    }

    /// A gene whose component is held at zero.
    #[inline]
    pub(super) fn at_zero(&self, rss: f64, outcome: Outcome, evaluations: u32) -> OneFit {
        OneFit { gamma: 0.0, s0: rss / self.nu, outcome, evaluations }
    }

    /// s₀(γ).
    #[cold]
    pub(super) fn s0_of(&self, gamma: f64, w: &[f64], rss: f64) -> f64 {
        let w2h: f64 = w.iter().zip(&self.lambda).map(|(w, l)| w * w / (1.0 + gamma * l)).sum();
        (rss - gamma * w2h) / self.nu
    }

    /// Fits genes.
    pub(super) fn fit(&self, genes: &[Gene<'_>], non_negative: bool) -> Vec<OneFit> {
        search(self, genes, non_negative)
    }

    /// The log-likelihood at its profile value of s₀ (REML: of the residuals, so that it compares only between
    /// fits with the same fixed effects).
    #[inline(always)]
    pub(in crate::lmm) fn log_likelihood(&self, gamma: f64, s0: f64) -> f64 {
        -0.5 * self.nu * (1.0 + (2.0 * std::f64::consts::PI * s0).ln()) - 0.5 * self.ln_det(gamma)
    }

    /// Σ ln |1 + γμ|.
    #[inline(always)]
    fn ln_det(&self, gamma: f64) -> f64 {
        let mu = self.traces();
        // All factors lie between 1 and that of the largest μ.
        let extreme = 1.0 + gamma * mu.iter().copied().fold(0.0, f64::max);
        if !(extreme > 1.0 / MODEST && extreme < MODEST) {
            return mu.iter().map(|m| (1.0 + gamma * m).abs().ln()).sum();
        }
        let mut sum = 0.0;
        for many in mu.chunks(64) {
            let mut products = [1.0; 8];
            for few in many.chunks(8) {
                for (product, m) in products.iter_mut().zip(few) {
                    *product *= 1.0 + gamma * m;
                }
            }
            let [a, b, c, d, e, f, g, h] = products.map(wide::ln);
            sum += ((a + e) + (b + f)) + ((c + g) + (d + h));
        }
        sum
    }

    /// Expected information of (s₁, s₀): F₁₁, F₁₀, F₀₀.
    pub(in crate::lmm) fn expected_information(&self, gamma: f64, s0: f64) -> (f64, f64, f64) {
        let s1 = gamma * s0;
        let (mut f11, mut f10, mut f00) = (0.0, 0.0, 0.0);
        let mut positive = 0.0;
        for &m in self.traces().iter().filter(|&&m| m > 0.0) {
            let v2 = (s0 + m * s1) * (s0 + m * s1);
            f11 += m * m / v2;
            f10 += m / v2;
            f00 += 1.0 / v2;
            positive += 1.0;
        }
        (0.5 * f11, 0.5 * f10, 0.5 * (f00 + (self.nu - positive) / (s0 * s0)))
    }

    /// Standard errors of (s₁, s₀) by the expected information, and the gradient there; `None` where it is singular.
    pub(in crate::lmm) fn errors(&self, theta: &[f64], w: &[f64], rss: f64) -> Option<(Vec<f64>, Vec<f64>)> {
        let (gamma, s0) = (theta[0] / theta[1], theta[1]);
        let (f11, f10, f00) = self.expected_information(gamma, s0);
        // F₁₁ - F₁₀²/F₀₀ as a weighted sum of squares around the mean of μ, which loses nothing where one μ dominates.
        let mean = f10 / f00;
        let (mut squares, mut rest) = (0.0, self.nu);
        for &m in self.traces().iter().filter(|&&m| m > 0.0) {
            let d = (m - mean) / (s0 + m * theta[0]);
            squares += d * d;
            rest -= 1.0;
        }
        let v1 = 0.5 * (squares + rest * (mean / s0) * (mean / s0));
        let v0 = v1 * f00 / f11;
        let (d1, d0) = self.score(gamma, s0, w, rss);
        (v1 > 0.0 && v0 > 0.0).then(|| (vec![1.0 / v1.sqrt(), 1.0 / v0.sqrt()], vec![d1, d0]))
    }

    /// Gradient of the (restricted) log-likelihood in (s₁, s₀).
    pub(in crate::lmm) fn score(&self, gamma: f64, s0: f64, w: &[f64], rss: f64) -> (f64, f64) {
        let s1 = gamma * s0;
        let (mut d1, mut d0) = (0.0, 0.0);
        let (mut residual, mut positive) = (rss, 0.0);
        for (w, &l) in w.iter().zip(&self.lambda) {
            if l > 0.0 {
                let (c, v) = (w * w / l, s0 + l * s1);
                residual -= c;
                d1 += l * c / (v * v);
                d0 += c / (v * v);
            }
        }
        for &m in self.traces().iter().filter(|&&m| m > 0.0) {
            let v = s0 + m * s1;
            d1 -= m / v;
            d0 -= 1.0 / v;
            positive += 1.0;
        }
        d0 += residual / (s0 * s0) - (self.nu - positive) / s0;
        (0.5 * d1, 0.5 * d0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]

    use super::*;

    const LAMBDA: [f64; 5] = [0.0, 20.0, 35.0, 40.0, 60.0];
    const MU: [f64; 5] = [22.0, 30.0, 38.0, 45.0, 65.0];

    fn fit(method: Method, w: [f64; 5], rss: f64) -> (Profile, OneFit) {
        let profile = Profile::new(method, &LAMBDA, &MU, 200.0, 3);
        let fit = profile.fit(&[Gene { w: &w, rss }], false)[0];
        (profile, fit)
    }

    /// The log-likelihood at any (s₁, s₀), from its definition.
    fn likelihood(profile: &Profile, s1: f64, s0: f64, w: &[f64], rss: f64) -> f64 {
        let q: f64 = rss - (s1 / s0) * w.iter().zip(&LAMBDA).map(|(w, l)| w * w / (1.0 + s1 / s0 * l)).sum::<f64>();
        let ln_det: f64 = profile.traces().iter().map(|m| (1.0 + s1 / s0 * m).ln()).sum();
        -0.5 * (profile.nu * (2.0 * std::f64::consts::PI * s0).ln() + ln_det + q / s0)
    }

    #[test]
    fn the_score_is_the_derivative_of_the_likelihood() {
        let (w, rss) = ([0.0, 9.0, -4.0, 12.0, 20.0], 180.0);
        for method in [Method::Reml, Method::Ml] {
            let profile = Profile::new(method, &LAMBDA, &MU, 200.0, 3);
            let (s1, s0, step) = (0.07, 0.9, 1e-5);
            let (d1, d0) = profile.score(s1 / s0, s0, &w, rss);
            let n1 = (likelihood(&profile, s1 + step, s0, &w, rss) - likelihood(&profile, s1 - step, s0, &w, rss))
                / (2.0 * step);
            let n0 = (likelihood(&profile, s1, s0 + step, &w, rss) - likelihood(&profile, s1, s0 - step, &w, rss))
                / (2.0 * step);
            assert!((d1 - n1).abs() < 1e-5 * (1.0 + n1.abs()), "{d1} {n1}");
            assert!((d0 - n0).abs() < 1e-5 * (1.0 + n0.abs()), "{d0} {n0}");
        }
    }

    #[test]
    fn the_estimate_is_stationary_on_either_side() {
        for method in [Method::Reml, Method::Ml] {
            for (w, rss, outcome) in [
                ([0.0, 9.0, -14.0, 12.0, 20.0], 180.0, Outcome::Ok),
                ([0.0, 4.5, 5.5, -5.0, 7.0], 195.0, Outcome::Negative),
            ] {
                let (profile, fit) = fit(method, w, rss);
                assert_eq!(fit.outcome, outcome, "{fit:?}");
                let (d1, d0) = profile.score(fit.gamma, fit.s0, &w, rss);
                let scale = profile.expected_information(fit.gamma, fit.s0);
                assert!(d1.abs() < 1e-9 * scale.0 && d0.abs() < 1e-9 * scale.2, "{d1} {d0}");
            }
        }
    }

    #[test]
    fn a_gene_without_stationary_point_is_held_at_zero() {
        let (_, fit) = fit(Method::Ml, [0.0; 5], 195.0);
        assert_eq!((fit.outcome, fit.gamma), (Outcome::NoStationary, 0.0));
    }

    #[test]
    fn non_negative_fits_stop_at_zero() {
        let profile = Profile::new(Method::Reml, &LAMBDA, &MU, 200.0, 3);
        let fit = profile.fit(&[Gene { w: &[0.0, 4.5, 5.5, -5.0, 7.0], rss: 195.0 }], true)[0];
        assert_eq!((fit.outcome, fit.gamma), (Outcome::Boundary, 0.0));
    }

    #[test]
    fn errors_are_those_of_the_inverse_information() {
        let (w, rss) = ([0.0, 9.0, -14.0, 12.0, 20.0], 180.0);
        for method in [Method::Reml, Method::Ml] {
            let (profile, fit) = fit(method, w, rss);
            let theta = [fit.gamma * fit.s0, fit.s0];
            let (f11, f10, f00) = profile.expected_information(fit.gamma, fit.s0);
            let det = f11 * f00 - f10 * f10;
            let Some((se, _)) = profile.errors(&theta, &w, rss) else { panic!("no errors") };
            assert!((se[0] * se[0] * det / f00 - 1.0).abs() < 1e-12 && (se[1] * se[1] * det / f11 - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn neighbours_and_their_number_change_no_bit() {
        for method in [Method::Reml, Method::Ml] {
            let profile = Profile::new(method, &LAMBDA, &MU, 200.0, 3);
            let w: Vec<[f64; 5]> = (0..37)
                .map(|i| [1, 2, 3, 4].map(|l| (f64::from(i * l) * 1.7).sin() * f64::from(i + 3)))
                .map(|[a, b, c, d]| [0.0, a, b, c, d])
                .collect();
            let genes: Vec<Gene<'_>> = w.iter().map(|w| Gene { w, rss: 250.0 }).collect();
            let together = profile.fit(&genes, false);
            let alone: Vec<OneFit> = genes.iter().flat_map(|&gene| profile.fit(&[gene], false)).collect();
            assert_eq!(together, alone);
            assert!(together.iter().any(|f| f.gamma > 0.0) && together.iter().any(|f| f.gamma < 0.0));
        }
    }

    #[test]
    fn determinants_by_products() {
        let mu: Vec<f64> = (0..150).map(|i| f64::from(i) * 1.3).collect();
        let profile = Profile::new(Method::Reml, &mu, &mu, 2000.0, 3);
        for gamma in [-1.0 / 195.0, -0.004, 0.0, 1e-3, 2.0, 1e12, 1e90] {
            let plain: f64 = mu.iter().map(|m| (1.0 + gamma * m).ln()).sum();
            assert!((profile.ln_det(gamma) - plain).abs() <= 1e-14 * plain.abs(), "{gamma}");
        }
    }
}
