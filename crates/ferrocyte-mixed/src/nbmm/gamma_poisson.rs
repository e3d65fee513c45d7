//! The one integral over a donor that is closed: Poisson counts and a gamma effect.
//!
//! With Y counts where M are expected at w = 0, the effect e^w of a donor has after the counts a gamma distribution of
//! shape `A = a + Y` and rate `B = r + M`. Its moments, and those of its logarithm, give value and derivatives.

use ferrocyte_math::gamma::{digamma, stirling_error, trigamma};

use crate::nbmm::effect::EffectLaw;

/// What the counts of a donor give.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Closed {
    /// The log-likelihood, without what does not depend on s2 or M.
    pub(in crate::nbmm) value: f64,
    /// Mean and variance of e^w.
    pub(in crate::nbmm) mean: f64,
    pub(in crate::nbmm) variance: f64,
    /// Mean and variance of w.
    pub(in crate::nbmm) mean_ln: f64,
    pub(in crate::nbmm) variance_ln: f64,
    /// Score in ln s2: its mean, its derivative's mean, its variance, its covariance with e^w.
    pub(in crate::nbmm) score: f64,
    pub(in crate::nbmm) score_slope: f64,
    pub(in crate::nbmm) score_variance: f64,
    pub(in crate::nbmm) score_covariance: f64,
}

impl Closed {
    pub(in crate::nbmm) fn new(law: &EffectLaw, total: f64, expected: f64) -> Self {
        let (s2, a) = (law.s2, law.shape);
        let shift = (-0.5 * s2).exp();
        let (shape, rate) = (a + total, a * shift + expected);
        // a ln r - ln Gamma(a) + ln Gamma(A) - A ln B by Stirling's formula, whose large terms cancel on paper.
        let value = shape * (shape / rate).ln() - 0.5 * (shape / a).ln() - 0.5 * a * s2 - total + stirling_error(shape)
            - stirling_error(a);
        let (mean, variance) = (shape / rate, shape / (rate * rate));
        let mean_ln = digamma(shape) - rate.ln();
        // The score is linear in g = e^{w - s2/2} and v = w - s2/2: c + p g + q v.
        let (g, v) = (mean * shift, mean_ln - 0.5 * s2);
        let (p, q) = (0.5 * a - law.shape_slope, law.shape_slope);
        let first = law.constant_slope + law.shape_slope - 0.5 * a + p * g + q * v;
        let second = law.constant_curve + law.shape_curve * (1.0 + v - g) + law.shape_slope * (g - 1.0) - 0.25 * a * g;
        let (var_g, var_v, both) = (variance * shift * shift, trigamma(shape), shift / rate);
        Self {
            value,
            mean,
            variance,
            mean_ln,
            variance_ln: var_v,
            score: s2 * first,
            score_slope: s2 * first + s2 * s2 * second,
            score_variance: s2 * s2 * (p * p * var_g + q * q * var_v + 2.0 * p * q * both),
            score_covariance: s2 * (p * variance * shift + q / rate),
        }
    }
}
