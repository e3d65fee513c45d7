//! The distribution of the donor effect w, in logarithms of the mean.
//!
//! * log-normal: `w ~ N(0, s2)`;
//! * gamma: `e^w` has a gamma distribution of shape `a = 1 / (e^{s2} - 1)` and mean `e^{s2/2}`, so that mean and variance
//!   of `e^w` are those of the log-normal and coefficients mean the same.

#![allow(clippy::inline_always)]

use std::f64::consts::PI;

use ferrocyte_math::gamma::{exp_m1_excess, ln_minus_digamma, stirling_error, trigamma};

use crate::nbmm::options::Effect;
use crate::nbmm::sweep::{LANES, Lanes};

/// ln g(w) at one w, with derivatives.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Density {
    /// ln g.
    pub(in crate::nbmm) value: f64,
    /// First and second derivative in w.
    pub(in crate::nbmm) slope: f64,
    /// Minus the second derivative in w.
    pub(in crate::nbmm) curvature: f64,
}

/// Derivatives of ln g(w) in ln s2.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Score {
    pub(in crate::nbmm) first: f64,
    pub(in crate::nbmm) second: f64,
}

/// The distribution at one s2 > 0: what does not depend on w, computed once.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct EffectLaw {
    pub(in crate::nbmm) kind: Effect,
    pub(in crate::nbmm) s2: f64,
    /// Shape of the gamma.
    pub(in crate::nbmm) shape: f64,
    /// The normalising term of ln g.
    constant: f64,
    /// Derivatives of the gamma's shape and normalising term in s2.
    pub(in crate::nbmm) shape_slope: f64,
    pub(in crate::nbmm) shape_curve: f64,
    pub(in crate::nbmm) constant_slope: f64,
    pub(in crate::nbmm) constant_curve: f64,
}

impl EffectLaw {
    pub(in crate::nbmm) fn new(kind: Effect, s2: f64) -> Self {
        let blank = Self {
            kind,
            s2,
            shape: 0.0,
            constant: -0.5 * (2.0 * PI * s2).ln(),
            shape_slope: 0.0,
            shape_curve: 0.0,
            constant_slope: 0.0,
            constant_curve: 0.0,
        };
        match kind {
            Effect::Lognormal => blank,
            Effect::Gamma => {
                let a = 1.0 / s2.exp_m1();
                // a ln a - a - ln Gamma(a), by Stirling's formula; its derivatives in a are ln a - psi(a), 1/a - psi'(a).
                let (slope, curve) = (ln_minus_digamma(a), 1.0 / a - trigamma(a));
                let (a_1, a_2) = (-a * (a + 1.0), (2.0 * a + 1.0) * a * (a + 1.0));
                Self {
                    shape: a,
                    constant: 0.5 * (a / (2.0 * PI)).ln() - stirling_error(a),
                    shape_slope: a_1,
                    shape_curve: a_2,
                    constant_slope: slope * a_1,
                    constant_curve: curve * a_1 * a_1 + slope * a_2,
                    ..blank
                }
            }
        }
    }

    /// ln g(w).
    pub(in crate::nbmm) fn density(&self, w: f64) -> Density {
        match self.kind {
            Effect::Lognormal => {
                Density { value: self.constant - 0.5 * w * w / self.s2, slope: -w / self.s2, curvature: 1.0 / self.s2 }
            }
            Effect::Gamma => {
                let v = w - 0.5 * self.s2;
                Density {
                    value: self.constant - self.shape * excess(v),
                    slope: -self.shape * v.exp_m1(),
                    curvature: self.shape * v.exp(),
                }
            }
        }
    }

    /// ln g at several w, and its first and second derivative in ln s2.
    #[inline(always)]
    pub(in crate::nbmm) fn at_nodes(&self, w: &Lanes) -> [Lanes; 3] {
        let mut out = [[0.0; LANES]; 3];
        match self.kind {
            Effect::Lognormal => {
                let inverse = 1.0 / self.s2;
                for q in 0..LANES {
                    let half_square = 0.5 * w[q] * w[q] * inverse;
                    out[0][q] = self.constant - half_square;
                    out[1][q] = half_square - 0.5;
                    out[2][q] = -half_square;
                }
            }
            Effect::Gamma => {
                for q in 0..LANES {
                    let score = self.score(w[q]);
                    (out[0][q], out[1][q], out[2][q]) = (self.density(w[q]).value, score.first, score.second);
                }
            }
        }
        out
    }

    /// Derivatives of ln g(w) in ln s2.
    pub(in crate::nbmm) fn score(&self, w: f64) -> Score {
        match self.kind {
            Effect::Lognormal => {
                let half_square = 0.5 * w * w / self.s2;
                Score { first: half_square - 0.5, second: -half_square }
            }
            Effect::Gamma => {
                let v = w - 0.5 * self.s2;
                let (e, e_1, e_2) = (excess(v), v.exp_m1(), v.exp());
                let first = self.constant_slope - self.shape_slope * e + 0.5 * self.shape * e_1;
                let second =
                    self.constant_curve - self.shape_curve * e + self.shape_slope * e_1 - 0.25 * self.shape * e_2;
                Score { first: self.s2 * first, second: self.s2 * first + self.s2 * self.s2 * second }
            }
        }
    }
}

/// `e^v - 1 - v` without cancellation.
fn excess(v: f64) -> f64 {
    exp_m1_excess(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_differences() {
        for kind in [Effect::Lognormal, Effect::Gamma] {
            for s2 in [1e-5, 0.02, 0.7, 6.0] {
                let law = EffectLaw::new(kind, s2);
                for w in [-1.3_f64, 0.0, 0.4].map(|x| x * s2.sqrt()) {
                    let h = 1e-4 * s2.sqrt();
                    let slope = (law.density(w + h).value - law.density(w - h).value) / (2.0 * h);
                    let curvature = -(law.density(w + h).slope - law.density(w - h).slope) / (2.0 * h);
                    let at = law.density(w);
                    assert!((at.slope - slope).abs() < 1e-5 * (1.0 + slope.abs()), "{kind:?} {s2} {w}");
                    assert!((at.curvature / curvature - 1.0).abs() < 1e-5, "{kind:?} {s2} {w}");
                    let along = |t: f64| EffectLaw::new(kind, s2 * t.exp());
                    let first = (along(1e-4).density(w).value - along(-1e-4).density(w).value) / 2e-4;
                    let second = (along(1e-4).score(w).first - along(-1e-4).score(w).first) / 2e-4;
                    let score = law.score(w);
                    assert!((score.first - first).abs() < 1e-5, "{kind:?} {s2} {w} {} {first}", score.first);
                    assert!((score.second - second).abs() < 1e-5, "{kind:?} {s2} {w} {} {second}", score.second);
                }
            }
        }
    }

    #[test]
    fn both_have_the_same_mean_and_variance() {
        let s2 = 0.4_f64;
        for kind in [Effect::Lognormal, Effect::Gamma] {
            let law = EffectLaw::new(kind, s2);
            let mut moments = [0.0; 3];
            for i in -4000..4000 {
                let w = f64::from(i) * 5e-3;
                let density = law.density(w).value.exp() * 5e-3;
                for (k, moment) in moments.iter_mut().enumerate() {
                    *moment += density * (w * k as f64).exp();
                }
            }
            let mean = (0.5 * s2).exp();
            assert!((moments[0] - 1.0).abs() < 1e-9 && (moments[1] - mean).abs() < 1e-9, "{kind:?} {moments:?}");
            assert!((moments[2] - (2.0 * s2).exp()).abs() < 1e-8, "{kind:?}");
        }
    }
}
