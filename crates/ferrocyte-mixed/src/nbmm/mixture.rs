//! Tests and intervals that average over what is plausible for the donor variance.
//!
//! Given weights r_k over the grid of ln s2, and estimates b_k with variances f_k, the p-value is the weighted mean of the
//! normal tails `2 Φ(-|b_k| / sqrt f_k)`. For people there is the t that comes close: precision `E = sum r/f`, estimate
//! `sum (r b/f) / E`, `df = 2 E² / (sum r/f² - E²)`.

#![allow(clippy::inline_always)]

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use ferrocyte_math::wide::{self, Kernel};
use ferrocyte_math::{normal, student_t};

/// The largest number of degrees of freedom that is told.
const MOST_DF: f64 = 1e10;

/// The ends of an interval are found within this share of the standard error.
const WIDTH: f64 = 1e-10;

/// Parts of a mixture with a smaller weight do not move its quantiles.
const NOTHING: f64 = 1e-18;

/// Parts that are worked on together.
const LANES: usize = 8;

/// The test of one contrast of one gene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// Estimate of the contrast, natural logarithm; infinite where it has no finite maximum.
    pub estimate: f64,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom of the t that comes close.
    pub df: f64,
    /// ln of the p-value, two-sided.
    pub ln_p: f64,
    /// ln of the p-value of that t.
    pub ln_p_t: f64,
    /// Ends of the 95 % interval; one of them is infinite with the estimate.
    pub interval: (f64, f64),
}

impl Test {
    /// No test.
    pub(in crate::nbmm) const NONE: Self = Self {
        estimate: f64::NAN,
        se: f64::NAN,
        df: f64::NAN,
        ln_p: f64::NAN,
        ln_p_t: f64::NAN,
        interval: (f64::NAN, f64::NAN),
    };

    /// Of an estimate with a variance that is a multiple of chi-squared with `df` degrees of freedom.
    pub(in crate::nbmm) fn of_t(estimate: f64, se: f64, df: f64) -> Self {
        let ln_p = student_t::ln_two_sided(estimate / se, df);
        let reach = student_t::quantile(0.975, df) * se;
        Self { estimate, se, df, ln_p, ln_p_t: ln_p, interval: (estimate - reach, estimate + reach) }
    }

    /// The mixture over the grid.
    pub(in crate::nbmm) fn of_mixture(ln_weights: &[f64], estimates: &[f64], variances: &[f64]) -> Self {
        let (mut precision, mut square, mut weighted) = (0.0, 0.0, 0.0);
        for ((r, b), f) in ln_weights.iter().zip(estimates).zip(variances) {
            let r = r.exp();
            precision += r / f;
            square += r / (f * f);
            weighted += r * b / f;
        }
        let spread = square - precision * precision;
        let df = if spread > 0.0 { (2.0 * precision * precision / spread).min(MOST_DF) } else { MOST_DF };
        let (estimate, se) = (weighted / precision, precision.powf(-0.5));
        if estimate.is_nan() {
            return Self::NONE;
        }
        let roots: Vec<f64> = estimates.iter().zip(variances).map(|(b, f)| b / f.sqrt()).collect();
        let normals = Normals::new(ln_weights, estimates, variances);
        Self {
            estimate,
            se,
            df,
            ln_p: ln_mixture(ln_weights, &roots),
            ln_p_t: student_t::ln_two_sided(estimate / se, df),
            interval: (normals.quantile(0.025, estimate, se), normals.quantile(0.975, estimate, se)),
        }
    }
}

/// ln of the weighted mean of the two-sided normal tails of `roots`.
pub(in crate::nbmm) fn ln_mixture(ln_weights: &[f64], roots: &[f64]) -> f64 {
    let terms: Vec<f64> = ln_weights.iter().zip(roots).map(|(r, &z)| r + normal::ln_two_sided(z)).collect();
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if terms.iter().any(|t| t.is_nan()) {
        return f64::NAN;
    }
    // Rounding of the weights must not give more than one.
    (top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()).min(0.0)
}

/// A mixture of normal distributions, filled up to whole registers with parts of no weight.
struct Normals {
    weights: Vec<f64>,
    means: Vec<f64>,
    /// One over the standard deviations.
    inverse: Vec<f64>,
}

impl Normals {
    /// Parts of less than [`NOTHING`] are left out.
    fn new(ln_weights: &[f64], means: &[f64], variances: &[f64]) -> Self {
        let mut new = Self { weights: Vec::new(), means: Vec::new(), inverse: Vec::new() };
        for ((r, b), f) in ln_weights.iter().zip(means).zip(variances).filter(|((r, _), _)| **r > NOTHING.ln()) {
            new.weights.push(r.exp());
            new.means.push(*b);
            new.inverse.push(1.0 / f.sqrt());
        }
        let padded = new.weights.len().next_multiple_of(LANES);
        new.weights.resize(padded, 0.0);
        new.means.resize(padded, 0.0);
        new.inverse.resize(padded, 1.0);
        new
    }

    /// The distribution function and the density at x.
    fn at(&self, x: f64) -> (f64, f64) {
        wide::widest(At { normals: self, x })
    }

    /// Where the distribution reaches `p`: Newton's method within a bracket that narrows, else its middle.
    fn quantile(&self, p: f64, centre: f64, scale: f64) -> f64 {
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
        let mut x = centre + normal::quantile(p) * scale;
        for _ in 0..200 {
            let (below, density) = self.at(x);
            if below < p {
                low = x;
            } else {
                high = x;
            }
            let next = x + (p - below) / density;
            let next = if next > low && next < high {
                // Far out, where there is hardly a density, steps are bounded.
                next.clamp(x - 4.0 * scale, x + 4.0 * scale)
            } else if low.is_finite() && high.is_finite() {
                0.5 * (low + high)
            } else if below < p {
                x + 4.0 * scale
            } else {
                x - 4.0 * scale
            };
            if (next - x).abs() <= WIDTH * scale {
                return next;
            }
            x = next;
        }
        x
    }
}

struct At<'a> {
    normals: &'a Normals,
    x: f64,
}

impl Kernel for At<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        let Normals { weights, means, inverse } = self.normals;
        let (mut below, mut density) = ([0.0; LANES], [0.0; LANES]);
        for i in (0..weights.len()).step_by(LANES) {
            let (weights, means, inverse) = (&weights[i..i + LANES], &means[i..i + LANES], &inverse[i..i + LANES]);
            for q in 0..LANES {
                let z = (self.x - means[q]) * inverse[q];
                let bell = wide::exp(-0.5 * z * z);
                let tail = 0.5 * wide::erfcx(z.abs() * FRAC_1_SQRT_2) * bell;
                below[q] += weights[q] * if z > 0.0 { 1.0 - tail } else { tail };
                density[q] += weights[q] * inverse[q] * bell;
            }
        }
        (wide::sum(&below), wide::sum(&density) * (0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variance_is_the_normal_test() {
        let test = Test::of_mixture(&[0.0], &[1.2], &[0.25]);
        assert!((test.ln_p - normal::ln_two_sided(2.4)).abs() < 1e-12 && test.df == MOST_DF);
        assert!((test.interval.0 - (1.2 - 0.5 * 1.959_963_984_540_054)).abs() < 1e-8, "{test:?}");
        assert_eq!((test.estimate, test.se), (1.2, 0.5));
    }

    #[test]
    fn chi_squared_weights_are_nearly_the_t_test() {
        // Weights of ln f under an inverse chi-squared with 9 degrees of freedom: the mixture is Student's t exactly.
        let (nu, n) = (9.0_f64, 400);
        let x: Vec<f64> = (0..n).map(|k| -4.0 + 0.025 * f64::from(k)).collect();
        let density: Vec<f64> = x.iter().map(|x| -0.5 * nu * x - 0.5 * nu * (-x).exp()).collect();
        let total: f64 = density.iter().map(|d| d.exp()).sum();
        let ln_weights: Vec<f64> = density.iter().map(|d| d - total.ln()).collect();
        let variances: Vec<f64> = x.iter().map(|x| x.exp()).collect();
        for b in [0.3, 2.5, 6.0] {
            let test = Test::of_mixture(&ln_weights, &vec![b; n as usize], &variances);
            assert!((test.ln_p - student_t::ln_two_sided(b, nu)).abs() < 1e-4, "{b} {test:?}");
            assert!((test.df - nu).abs() < 1e-3 && (test.se - 1.0).abs() < 1e-3);
            let reach = student_t::quantile(0.975, nu);
            assert!((test.interval.1 - (b + reach)).abs() < 1e-3);
        }
    }
}
