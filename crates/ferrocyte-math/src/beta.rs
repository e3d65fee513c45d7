//! The regularised incomplete beta function `I_x(a, b)` and its complement, as logarithms of both tails.
//!
//! The smaller tail is computed directly: Gauss's continued fraction (DLMF 8.17.22) while neither parameter exceeds
//! 2,000, then the quadrature of the tail in `logit x`, or the power series (DLMF 8.17.8) where the tail lies at the end
//! of a small parameter. The factor `x^a y^b / B(a, b)` is taken at its saddle point.

use crate::chi_squared::nonzero;
use crate::gamma::{exp_m1_excess, ln_1m_exp, ln_1p_excess, stirling_error};
use crate::normal::HALF_LN_TAU;
use crate::quadrature::log_concave_tail;

/// Above this the fraction needs too many terms.
const FRACTION_TO: f64 = 2000.0;

/// Below this shape the tail at its end is not narrow against the bend of `logit x`: the series serves there.
const SERIES_TO: f64 = 20.0;

/// A point of the unit interval, with everything that would lose digits if it were recomputed from `x`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// `x`.
    pub(crate) x: f64,
    /// `1 - x`, exact where it is small.
    pub(crate) y: f64,
    /// `x / mean - 1`, exact near the mean `a / (a + b)`.
    pub(crate) excess: f64,
}

/// `(ln I_x(a, b), ln I_y(b, a))` for `a, b > 0` and `y = 1 - x`, which is passed in because `1.0 - x` has lost the
/// digits of a small `y`.
pub fn ln_tails(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    ln_tails_at(a, b, Place { x, y, excess: (x * b - y * a) / a })
}

/// [`ln_tails`] at a prepared place.
pub(crate) fn ln_tails_at(a: f64, b: f64, place: Place) -> (f64, f64) {
    let Place { x, y, excess } = place;
    if !(a > 0.0 && b > 0.0) || x.is_nan() || y.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    if x <= 0.0 {
        return (f64::NEG_INFINITY, 0.0);
    }
    if y <= 0.0 {
        return (0.0, f64::NEG_INFINITY);
    }
    let ln_prefactor = ln_prefactor(a, b, place);
    // Seen from the tail in question: its own parameter comes first, and the distance from the mean is signed so that
    // the tail lies on the negative side.
    if lower_is_smaller(a, b, place) {
        let ln_p = (ln_prefactor + lower_factor(a, b, x, y, excess).ln()).min(0.0);
        (ln_p, ln_1m_exp(ln_p))
    } else {
        let ln_p = (ln_prefactor + lower_factor(b, a, y, x, -excess * (a / b)).ln()).min(0.0);
        (ln_1m_exp(ln_p), ln_p)
    }
}

/// `ln(x^a y^b / B(a, b))`: the logarithm of the density of `logit x`.
pub(crate) fn ln_prefactor(a: f64, b: f64, Place { x, y, excess }: Place) -> f64 {
    let n = a + b;
    let at_mean = 0.5 * (a * (b / n)).ln() - HALF_LN_TAU + stirling_error(n) - stirling_error(a) - stirling_error(b);
    at_mean - a * saddle(excess, x * (n / a)) - b * saddle(-excess * (a / b), y * (n / b))
}

/// `u - ln(1 + u)`, where `ratio` is `1 + u` with its own digits.
fn saddle(u: f64, ratio: f64) -> f64 {
    if u.abs() < 0.5 { -ln_1p_excess(u) } else { u - ratio.ln() }
}

/// Which tail to compute. At the end of a small parameter the change-over lies a little beyond the mean, as the series
/// and the fraction ask for.
fn lower_is_smaller(a: f64, b: f64, Place { x, y, excess }: Place) -> bool {
    if a.max(b) <= FRACTION_TO {
        x * (b + 1.0) < y * (a + 1.0)
    } else if a < SERIES_TO {
        x * (a + b) < a + 1.0
    } else if b < SERIES_TO {
        y * (a + b) >= b + 1.0
    } else {
        excess < 0.0
    }
}

/// `I_x(a, b)` over the prefactor.
fn lower_factor(a: f64, b: f64, x: f64, y: f64, excess: f64) -> f64 {
    if a.max(b) <= FRACTION_TO {
        fraction(a, b, x) / a
    } else if a < SERIES_TO {
        series(a, b, x) / a
    } else {
        integral(a, b, x, y, excess)
    }
}

/// `1 + (a+b)/(a+1) x + (a+b)(a+b+1)/((a+1)(a+2)) x^2 + ..`.
fn series(a: f64, b: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 0.0);
    while term > 1e-17 * sum {
        term *= x * (a + b + k) / (a + 1.0 + k);
        sum += term;
        k += 1.0;
    }
    sum
}

/// `1/(1 + d_1/(1 + d_2/(1 + ..)))` with `d_{2m} = m (b-m) x / ((a+2m-1)(a+2m))` and
/// `d_{2m+1} = -(a+m)(a+b+m) x / ((a+2m)(a+2m+1))`, modified Lentz.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    // The outermost level 1/(1 + ..) is already in.
    let (mut c, mut d, mut value) = (1.0 / TINY, 1.0, 1.0);
    for j in 1..20_000 {
        let m = f64::from(j / 2);
        let numerator = if j % 2 == 1 {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        } else {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        };
        d = 1.0 / nonzero(1.0 + numerator * d, TINY);
        c = nonzero(1.0 + numerator / c, TINY);
        let change = c * d;
        value *= change;
        if (change - 1.0).abs() <= 2e-16 {
            break;
        }
    }
    value
}

/// The integral of the density of `logit x` from `x` down, over the density at `x`.
///
/// `s` steps down in `logit x`. The logarithm of the integrand is written with the smaller of `x` and `y`, so that
/// only its linear part, which carries the exact distance from the mean, involves large numbers.
fn integral(a: f64, b: f64, x: f64, y: f64, excess: f64) -> f64 {
    let n = a + b;
    let curvature = n * x * y;
    // a - n x = b - n y with the opposite sign, from the exact excess.
    let distance = a * excess;
    if x <= y {
        log_concave_tail(curvature, |s| {
            let e = (-s).exp_m1();
            let value = distance * s - n * (x * exp_m1_excess(-s) + ln_1p_excess(x * e));
            (value, n * x * (1.0 + e) / (1.0 + x * e) - a)
        })
    } else {
        log_concave_tail(curvature, |s| {
            let e = s.exp_m1();
            let value = distance * s - n * (y * exp_m1_excess(s) + ln_1p_excess(y * e));
            (value, b - n * y * (1.0 + e) / (1.0 + y * e))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_in_closed_form() {
        for a in [0.05, 0.7, 3.0, 150.0, 1999.0, 2001.0, 1e7] {
            for ln_x in [-1e-9_f64, -1e-3, -0.3, -4.0] {
                // I_x(a, 1) = x^a.
                let (lower, upper) = ln_tails(a, 1.0, ln_x.exp(), -ln_x.exp_m1());
                let expected = a * ln_x;
                // What is lost when x is rounded, beyond the function's own error.
                let rounding = a * 2e-16;
                assert!((lower - expected).abs() <= 1e-13 * expected.abs() + rounding, "{a} {ln_x}: {lower}");
                let complement = ln_1m_exp(expected);
                assert!((upper - complement).abs() <= 1e-12 * complement.abs() + 1e-13, "{a} {ln_x}: {upper}");
            }
        }
    }

    #[test]
    fn sides_mirror_each_other() {
        for (a, b) in [(0.3, 0.4), (2.0, 700.0), (5.0, 1e6), (30.0, 1e6), (3e4, 2e4), (1900.0, 2100.0)] {
            for odds in [1e-3, 0.5, 0.999, 1.0, 1.7, 40.0] {
                let r = odds * (a / b);
                let (x, y) = (r / (1.0 + r), 1.0 / (1.0 + r));
                let (lower, upper) = ln_tails(a, b, x, y);
                let (mirrored_upper, mirrored_lower) = ln_tails(b, a, y, x);
                assert!((lower - mirrored_lower).abs() <= 1e-12 * lower.abs().max(1e-3), "{a} {b} {odds}");
                assert!((upper - mirrored_upper).abs() <= 1e-12 * upper.abs().max(1e-3), "{a} {b} {odds}");
                assert!((lower.exp() + upper.exp() - 1.0).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn ends_and_nonsense() {
        assert_eq!(ln_tails(2.0, 3.0, 0.0, 1.0), (f64::NEG_INFINITY, 0.0));
        assert_eq!(ln_tails(2.0, 3.0, 1.0, 0.0), (0.0, f64::NEG_INFINITY));
        assert!(ln_tails(0.0, 3.0, 0.5, 0.5).0.is_nan() && ln_tails(1.0, 3.0, f64::NAN, 0.5).1.is_nan());
    }
}
