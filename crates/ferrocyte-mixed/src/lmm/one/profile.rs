//! One variance component: the exact profile problem in γ = s₁/s₀.
//!
//! With h = 1/(1 + γλ), s₀(γ) = (rss - γ Σ w²h)/ν and the profile gradient
//! g(γ) = ½ [Σ w²h²/s₀ - Σ μ/(1 + γμ)] (μ = λ, ν = n - p for REML; μ = eig(Z'Z), ν = n for ML), the estimate is the
//! first stationary point that is reached from γ = 0 in the direction of the gradient. It may be negative. Beyond it,
//! on the negative side, lie a minimum and then a region where the gradient points to the boundary all the way (for
//! ML the likelihood is unbounded there); so that the search never walks past half of what is left to the boundary
//! until it has met a point of rising likelihood.

use crate::lmm::options::Method;
use crate::lmm::status::Outcome;

/// Lanes of the inner loops: arrays are padded with zeros to a multiple of it, which adds nothing to any sum.
const LANES: usize = 8;

/// Newton and bisection steps; the hardest genes need about 50.
const MAX_STEPS: usize = 300;

/// Relative size of the last step; convergence is quadratic, so that the answer is exact after it.
const STEP_TOLERANCE: f64 = 1e-11;

/// What the genes share, padded for the lanes.
#[derive(Debug, Clone)]
pub(in crate::lmm) struct Profile {
    lambda: Vec<f64>,
    mu: Vec<f64>,
    /// ν: degrees of freedom of the likelihood.
    nu: f64,
    /// γ must stay above this.
    limit: f64,
    /// Below this γ the covariance of the cells is not positive definite.
    v_limit: f64,
    sum_mu: f64,
    sum_mu2: f64,
    /// No eigenvalue is positive.
    degenerate: bool,
    share_divisions: bool,
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

/// Sums over the spectrum at one γ.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// Σ w²h
    w2h: f64,
    /// Σ w²h²
    w2h2: f64,
    /// Σ w²h³λ
    w2h3l: f64,
    /// Σ μ/(1 + γμ)
    trace: f64,
    /// Σ (μ/(1 + γμ))²
    trace2: f64,
}

fn padded(values: &[f64]) -> Vec<f64> {
    let mut out = values.to_vec();
    out.resize(values.len().next_multiple_of(LANES), 0.0);
    out
}

impl Profile {
    /// From the eigenvalues of A (`lambda`) and of Z'Z (`mu`), `n` cells and `p` fixed effects.
    pub(in crate::lmm) fn new(method: Method, lambda: &[f64], mu: &[f64], n: f64, p: usize) -> Self {
        let largest = |v: &[f64]| v.iter().copied().fold(0.0, f64::max);
        let (trace_values, nu) = match method {
            Method::Reml => (lambda, n - p as f64),
            Method::Ml => (mu, n),
        };
        Self {
            lambda: padded(lambda),
            mu: padded(trace_values),
            nu,
            limit: -1.0 / largest(trace_values),
            v_limit: -1.0 / largest(mu),
            sum_mu: trace_values.iter().sum(),
            sum_mu2: trace_values.iter().map(|m| m * m).sum(),
            degenerate: largest(lambda) == 0.0,
            share_divisions: method == Method::Reml,
        }
    }

    /// ν: n - p for REML, n for ML.
    pub(in crate::lmm) fn nu(&self) -> f64 {
        self.nu
    }

    fn terms(&self, gamma: f64, w2: &[f64]) -> Terms {
        if self.share_divisions {
            terms_reml(gamma, w2, &self.lambda)
        } else {
            let y = terms_reml(gamma, w2, &self.lambda);
            let t = terms_reml(gamma, w2, &self.mu);
            Terms { trace: t.trace, trace2: t.trace2, ..y }
        }
    }

    /// s₀, g and g' at γ.
    fn gradient(&self, gamma: f64, w2: &[f64], rss: f64) -> (f64, f64, f64) {
        let t = self.terms(gamma, w2);
        let s0 = (rss - gamma * t.w2h) / self.nu;
        let g = 0.5 * (t.w2h2 / s0 - t.trace);
        let slope = 0.5 * (-2.0 * t.w2h3l / s0 + t.w2h2 * t.w2h2 / (self.nu * s0 * s0) + t.trace2);
        (s0, g, slope)
    }

    /// The log-likelihood at its profile value of s₀ (REML: of the residuals, so that it compares only between
    /// fits with the same fixed effects).
    pub(in crate::lmm) fn log_likelihood(&self, gamma: f64, s0: f64) -> f64 {
        let ln_det: f64 = self.mu.iter().map(|m| (1.0 + gamma * m).abs().ln()).sum();
        -0.5 * self.nu * (1.0 + (2.0 * std::f64::consts::PI * s0).ln()) - 0.5 * ln_det
    }

    /// Expected information of (s₁, s₀): F₁₁, F₁₀, F₀₀.
    pub(in crate::lmm) fn expected_information(&self, gamma: f64, s0: f64) -> (f64, f64, f64) {
        let s1 = gamma * s0;
        let (mut f11, mut f10, mut f00) = (0.0, 0.0, 0.0);
        let mut positive = 0.0;
        for &m in self.mu.iter().filter(|&&m| m > 0.0) {
            let v2 = (s0 + m * s1) * (s0 + m * s1);
            f11 += m * m / v2;
            f10 += m / v2;
            f00 += 1.0 / v2;
            positive += 1.0;
        }
        (0.5 * f11, 0.5 * f10, 0.5 * (f00 + (self.nu - positive) / (s0 * s0)))
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
        for &m in self.mu.iter().filter(|&&m| m > 0.0) {
            let v = s0 + m * s1;
            d1 -= m / v;
            d0 -= 1.0 / v;
            positive += 1.0;
        }
        d0 += residual / (s0 * s0) - (self.nu - positive) / s0;
        (0.5 * d1, 0.5 * d0)
    }

    /// Fits one gene from w (q numbers, unpadded) and its residual sum of squares. `buffer` is scratch.
    pub(in crate::lmm) fn fit(&self, w: &[f64], rss: f64, non_negative: bool, buffer: &mut Vec<f64>) -> OneFit {
        let at_zero = |outcome, evaluations| OneFit { gamma: 0.0, s0: rss / self.nu, outcome, evaluations };
        if self.degenerate {
            return at_zero(Outcome::NotIdentifiable, 0);
        }
        buffer.clear();
        buffer.extend(w.iter().map(|w| w * w));
        buffer.resize(self.lambda.len(), 0.0);
        let (s0, g, _) = self.gradient(0.0, buffer, rss);
        if g == 0.0 {
            return at_zero(Outcome::Ok, 1);
        }
        // One step of Fisher scoring from γ = 0, in γ.
        let first = g * 2.0 * self.nu / (self.nu * self.sum_mu2 - self.sum_mu * self.sum_mu);
        debug_assert!(s0 >= 0.0);
        if g > 0.0 {
            self.search_above(first, buffer, rss)
        } else if non_negative {
            at_zero(Outcome::Boundary, 1)
        } else {
            self.search_below(first.max(0.25 * self.limit), buffer, rss)
        }
    }

    fn search_above(&self, start: f64, w2: &[f64], rss: f64) -> OneFit {
        let (mut low, mut high) = (0.0_f64, f64::INFINITY);
        let mut gamma = if start.is_finite() && start > 0.0 { start } else { 1.0 };
        for step in 2..MAX_STEPS as u32 {
            let (s0, g, slope) = self.gradient(gamma, w2, rss);
            if g > 0.0 {
                low = gamma;
            } else {
                high = gamma;
            }
            let newton = gamma - g / slope;
            let next = if slope < 0.0 && newton > low && newton < high {
                newton
            } else if high.is_infinite() {
                2.0 * gamma
            } else {
                0.5 * (low + high)
            };
            if (next - gamma).abs() <= STEP_TOLERANCE * gamma || g == 0.0 {
                let gamma = if g == 0.0 { gamma } else { next };
                return OneFit { gamma, s0: self.s0_of(gamma, w2, rss), outcome: Outcome::Ok, evaluations: step };
            }
            if !s0.is_finite() || gamma > 1e100 {
                break;
            }
            gamma = next;
        }
        OneFit { gamma, s0: self.s0_of(gamma, w2, rss), outcome: Outcome::MaxIter, evaluations: MAX_STEPS as u32 }
    }

    fn search_below(&self, start: f64, w2: &[f64], rss: f64) -> OneFit {
        let limit = self.limit;
        let (mut low, mut high) = (limit, 0.0_f64);
        let mut met_rise = false;
        let mut gamma = start;
        for step in 2..MAX_STEPS as u32 {
            let (_, g, slope) = self.gradient(gamma, w2, rss);
            if g > 0.0 {
                low = gamma;
                met_rise = true;
            } else {
                high = gamma;
            }
            let newton = gamma - g / slope;
            let halfway = 0.5 * (gamma + limit);
            let next = if slope < 0.0 && newton > low && newton < high {
                if met_rise { newton } else { newton.max(halfway) }
            } else if met_rise {
                0.5 * (low + high)
            } else {
                halfway
            };
            if (next - gamma).abs() <= STEP_TOLERANCE * gamma.abs() || g == 0.0 {
                let gamma = if g == 0.0 { gamma } else { next };
                let outcome = if gamma > self.v_limit { Outcome::Negative } else { Outcome::VNotPd };
                return OneFit { gamma, s0: self.s0_of(gamma, w2, rss), outcome, evaluations: step };
            }
            if !met_rise && gamma - limit < 1e-9 * limit.abs() {
                return OneFit { gamma: 0.0, s0: rss / self.nu, outcome: Outcome::NoStationary, evaluations: step };
            }
            gamma = next;
        }
        OneFit { gamma: 0.0, s0: rss / self.nu, outcome: Outcome::NoStationary, evaluations: MAX_STEPS as u32 }
    }

    fn s0_of(&self, gamma: f64, w2: &[f64], rss: f64) -> f64 {
        (rss - gamma * self.terms(gamma, w2).w2h) / self.nu
    }
}

/// All sums that need 1/(1 + γλ), in one pass. Lanes are added in a fixed order: the same bits on every machine.
fn terms_reml(gamma: f64, w2: &[f64], lambda: &[f64]) -> Terms {
    let mut sums = [[0.0_f64; LANES]; 5];
    for (w2, lambda) in w2.chunks_exact(LANES).zip(lambda.chunks_exact(LANES)) {
        for lane in 0..LANES {
            let l = lambda[lane];
            let h = 1.0 / (1.0 + gamma * l);
            let lh = l * h;
            let a = w2[lane] * h;
            let b = a * h;
            sums[0][lane] += a;
            sums[1][lane] += b;
            sums[2][lane] += b * lh;
            sums[3][lane] += lh;
            sums[4][lane] += lh * lh;
        }
    }
    let total = |k: usize| sums[k].iter().sum::<f64>();
    Terms { w2h: total(0), w2h2: total(1), w2h3l: total(2), trace: total(3), trace2: total(4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAMBDA: [f64; 5] = [0.0, 20.0, 35.0, 40.0, 60.0];
    const MU: [f64; 5] = [22.0, 30.0, 38.0, 45.0, 65.0];

    fn fit(method: Method, w: [f64; 5], rss: f64) -> (Profile, OneFit) {
        let profile = Profile::new(method, &LAMBDA, &MU, 200.0, 3);
        let fit = profile.fit(&w, rss, false, &mut Vec::new());
        (profile, fit)
    }

    /// The log-likelihood at any (s₁, s₀), from its definition.
    fn likelihood(profile: &Profile, s1: f64, s0: f64, w: &[f64], rss: f64) -> f64 {
        let q: f64 = rss - (s1 / s0) * w.iter().zip(&LAMBDA).map(|(w, l)| w * w / (1.0 + s1 / s0 * l)).sum::<f64>();
        let ln_det: f64 = profile.mu.iter().map(|m| (1.0 + s1 / s0 * m).ln()).sum();
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
        let fit = profile.fit(&[0.0, 4.5, 5.5, -5.0, 7.0], 195.0, true, &mut Vec::new());
        assert_eq!((fit.outcome, fit.gamma), (Outcome::Boundary, 0.0));
    }
}
