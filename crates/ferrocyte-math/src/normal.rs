//! The standard normal distribution, accurate far out in both tails.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

use crate::gamma::ln_1m_exp;

/// `ln(2 pi) / 2`.
pub(crate) const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// From here on the tail is the density times Laplace's continued fraction.
const FRACTION_FROM: f64 = 5.0;

/// `ln phi(z)`, the log density.
pub fn ln_density(z: f64) -> f64 {
    -0.5 * z * z - HALF_LN_TAU
}

/// `ln P(Z > z)`.
pub fn ln_upper(z: f64) -> f64 {
    if z > FRACTION_FROM {
        ln_density(z) + mills_ratio(z).ln()
    } else if z > -1.0 {
        (0.5 * libm::erfc(z * FRAC_1_SQRT_2)).ln()
    } else {
        (-upper(-z)).ln_1p()
    }
}

/// `ln P(Z <= z)`.
pub fn ln_lower(z: f64) -> f64 {
    ln_upper(-z)
}

/// `P(Z > z)`.
pub fn upper(z: f64) -> f64 {
    if z <= FRACTION_FROM {
        return 0.5 * libm::erfc(z * FRAC_1_SQRT_2);
    }
    // z^2 in two parts, the first exact, so that the exponential keeps its digits.
    let head = (z * 65536.0).floor() / 65536.0;
    let density = if z > 40.0 { 0.0 } else { (-0.5 * head * head).exp() * (-0.5 * (z - head) * (z + head)).exp() };
    density * (-HALF_LN_TAU).exp() * mills_ratio(z)
}

/// `P(Z <= z)`.
pub fn lower(z: f64) -> f64 {
    upper(-z)
}

/// `ln P(|Z| > |z|)`, never above 0.
pub fn ln_two_sided(z: f64) -> f64 {
    let z = z.abs();
    if z < 0.5 { (-libm::erf(z * FRAC_1_SQRT_2)).ln_1p() } else { ln_upper(z) + LN_2 }
}

/// `P(|Z| > |z|)`.
pub fn two_sided(z: f64) -> f64 {
    2.0 * upper(z.abs())
}

/// The `z` with `P(Z <= z) = p`; infinite at 0 and 1, NaN outside [0, 1].
pub fn quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    let (centre, q) = (p - 0.5, p.min(1.0 - p));
    if centre.abs() < 0.2 {
        return central_quantile(centre);
    }
    quantile_ln_upper(q.ln()).copysign(centre)
}

/// The `z` with `ln P(Z > z) = ln_p`, down to any `ln_p`; NaN for a positive one.
///
/// `ln P(Z > z)` is concave, and the start lies above the root (`P(Z > z) <= exp(-z^2 / 2) / 2`), so that Newton's
/// method falls to it monotonically.
pub fn quantile_ln_upper(ln_p: f64) -> f64 {
    if ln_p.is_nan() || ln_p > 0.0 {
        return f64::NAN;
    }
    if ln_p == f64::NEG_INFINITY {
        return f64::INFINITY;
    }
    if ln_p > -LN_2 {
        // The lower tail is the smaller one.
        return -quantile_ln_upper_far(ln_1m_exp(ln_p));
    }
    quantile_ln_upper_far(ln_p)
}

/// [`quantile_ln_upper`] for `ln_p <= -ln 2`.
fn quantile_ln_upper_far(ln_p: f64) -> f64 {
    if ln_p > -1.2 {
        return central_quantile(-(ln_p + LN_2).exp_m1() * 0.5);
    }
    if ln_p == f64::NEG_INFINITY {
        return f64::INFINITY;
    }
    let mut z = (-2.0 * (ln_p + LN_2)).sqrt();
    for _ in 0..60 {
        let value = ln_upper(z);
        let hazard = (ln_density(z) - value).exp();
        let step = (value - ln_p) / hazard;
        z += step;
        if step.abs() <= 2.0 * f64::EPSILON * z {
            break;
        }
    }
    z
}

/// The `z` with `P(0 < Z <= z) = centre`, for `|centre| <= 0.2`.
fn central_quantile(centre: f64) -> f64 {
    let mut z = centre / (-HALF_LN_TAU).exp();
    for _ in 0..60 {
        let step = (0.5 * libm::erf(z * FRAC_1_SQRT_2) - centre) / ln_density(z).exp();
        z -= step;
        if step.abs() <= 2.0 * f64::EPSILON * z.abs() {
            break;
        }
    }
    z
}

/// `P(Z > z) / phi(z)` for `z > 5`, by Laplace's continued fraction `1/(z + 1/(z + 2/(z + ..)))`.
fn mills_ratio(z: f64) -> f64 {
    if z == f64::INFINITY {
        return 0.0;
    }
    let mut tail = z;
    for k in (1..=30).rev() {
        tail = z + f64::from(k) / tail;
    }
    1.0 / tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_return() {
        for ln_p in [-1e-300, -1e-10, -0.3, -0.69, -0.7, -1.19, -1.21, -3.0, -50.0, -1e4, -1e6] {
            let back = ln_upper(quantile_ln_upper(ln_p));
            assert!((back - ln_p).abs() <= 3e-15 * ln_p.abs().max(1e-2), "{ln_p}: {back}");
        }
        for p in [1e-300, 1e-5, 0.2, 0.299, 0.301, 0.5, 0.6, 0.9, 1.0 - 1e-10] {
            assert!((lower(quantile(p)) - p).abs() <= 1e-13 * p, "{p}");
        }
        assert_eq!((quantile(0.0), quantile(1.0), quantile(0.5)), (f64::NEG_INFINITY, f64::INFINITY, 0.0));
    }

    #[test]
    fn nan_and_infinity() {
        assert!(ln_upper(f64::NAN).is_nan() && upper(f64::NAN).is_nan() && quantile(f64::NAN).is_nan());
        assert!(quantile_ln_upper(0.1).is_nan());
        assert_eq!(ln_upper(f64::INFINITY), f64::NEG_INFINITY);
        assert_eq!((upper(f64::INFINITY), ln_upper(f64::NEG_INFINITY)), (0.0, 0.0));
        assert_eq!(ln_two_sided(0.0), 0.0);
    }
}
