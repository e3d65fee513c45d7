//! The chi-squared distribution (and the incomplete gamma function), accurate far out in both tails.
//!
//! With `a = df / 2` and `y = x / 2` the tails are the incomplete gamma functions `P(a, y)` and `Q(a, y)`: the series
//! (DLMF 8.11.4) below `a + 1`, the continued fraction (DLMF 8.9.2) above; for `a > 200` the quadrature of the smaller
//! tail. The factor `y^a e^-y / Gamma(a)` is taken at its saddle point.

use std::f64::consts::LN_2;

use crate::gamma::{deviance, exp_m1_excess, ln_1m_exp, stirling_error};
use crate::normal;
use crate::quadrature::log_concave_tail;
use crate::root::{Tail, solve};

/// Above this shape the smaller tail is integrated.
const QUADRATURE_FROM: f64 = 200.0;

/// `(ln P(X <= x), ln P(X > x))` with `df` degrees of freedom: the smaller is computed directly, the other from it.
///
/// `df` may be fractional; NaN where `df` is not positive or anything is NaN. Infinite `df` has all its mass at
/// infinity.
pub fn ln_tails(x: f64, df: f64) -> (f64, f64) {
    ln_gamma_tails(0.5 * df, 0.5 * x)
}

/// `ln P(X > x)`.
pub fn ln_upper(x: f64, df: f64) -> f64 {
    ln_tails(x, df).1
}

/// `ln P(X <= x)`.
pub fn ln_lower(x: f64, df: f64) -> f64 {
    ln_tails(x, df).0
}

/// `P(X > x)`.
pub fn upper(x: f64, df: f64) -> f64 {
    ln_upper(x, df).exp()
}

/// `P(X <= x)`.
pub fn lower(x: f64, df: f64) -> f64 {
    ln_lower(x, df).exp()
}

/// `P(X >= x)` of the equal mixture of a point mass at zero and chi-squared with one degree of freedom: the law of the
/// likelihood ratio for one variance at its boundary. It is 1 for `x <= 0`, and 1/2 just above.
pub fn half_half_upper(x: f64) -> f64 {
    if x <= 0.0 { 1.0 } else { normal::upper(x.sqrt()) }
}

/// The logarithm of [`half_half_upper`].
pub fn half_half_ln_upper(x: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { normal::ln_upper(x.sqrt()) }
}

/// The `x` with `P(X <= x) = p`; NaN outside [0, 1].
pub fn quantile(p: f64, df: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p <= 0.5 { quantile_smaller(p.ln(), false, df) } else { quantile_smaller((1.0 - p).ln(), true, df) }
}

/// The `x` with `ln P(X > x) = ln_p`; NaN for a positive `ln_p`.
pub fn quantile_ln_upper(ln_p: f64, df: f64) -> f64 {
    if ln_p.is_nan() || ln_p > 0.0 {
        return f64::NAN;
    }
    if ln_p > -LN_2 { quantile_smaller(ln_1m_exp(ln_p), false, df) } else { quantile_smaller(ln_p, true, df) }
}

/// The quantile from the logarithm of the smaller tail.
fn quantile_smaller(ln_p: f64, is_upper: bool, df: f64) -> f64 {
    if df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if ln_p == f64::NEG_INFINITY {
        return if is_upper { f64::INFINITY } else { 0.0 };
    }
    if df == f64::INFINITY {
        return f64::INFINITY;
    }
    let a = 0.5 * df;
    // Wilson and Hilferty's approximation, or the leading term y^a / Gamma(a + 1) where that fails.
    let z = if is_upper { normal::quantile_ln_upper(ln_p) } else { -normal::quantile_ln_upper(ln_p) };
    let spread = 1.0 / (9.0 * a);
    let root = 1.0 - spread + z * spread.sqrt();
    let start = if root > 0.2 { a * root * root * root } else { ((ln_p + crate::gamma::ln_gamma(a + 1.0)) / a).exp() };
    if start == 0.0 {
        return 0.0;
    }
    2.0 * solve(ln_p, start, |y| {
        let (ln_lower, ln_upper) = ln_gamma_tails(a, y);
        let ln_p = if is_upper { ln_upper } else { ln_lower };
        let slope = (ln_prefactor(a, y) - ln_p).exp();
        Tail { ln_p, slope: if is_upper { -slope } else { slope } }
    })
}

/// `(ln P(a, y), ln Q(a, y))`, the regularised incomplete gamma functions of shape `a > 0` at `y`.
pub fn ln_gamma_tails(a: f64, y: f64) -> (f64, f64) {
    if a.is_nan() || y.is_nan() || a <= 0.0 {
        return (f64::NAN, f64::NAN);
    }
    if y <= 0.0 || (a == f64::INFINITY && y < a) {
        return (f64::NEG_INFINITY, 0.0);
    }
    if y == f64::INFINITY {
        return (0.0, f64::NEG_INFINITY);
    }
    let ln_prefactor = ln_prefactor(a, y);
    let lower_is_smaller = y < if a > QUADRATURE_FROM { a } else { a + 1.0 };
    let factor = match (a > QUADRATURE_FROM, lower_is_smaller) {
        (true, true) => log_concave_tail(y, |s| ((y - a) * s - y * exp_m1_excess(-s), y * (-s).exp() - a)),
        (true, false) => log_concave_tail(y, |s| ((a - y) * s - y * exp_m1_excess(s), a - y * s.exp())),
        (false, true) => series(a, y),
        (false, false) => fraction(a, y),
    };
    let ln_p = (ln_prefactor + factor.ln()).min(0.0);
    if lower_is_smaller { (ln_p, ln_1m_exp(ln_p)) } else { (ln_1m_exp(ln_p), ln_p) }
}

/// `ln(y^a e^-y / Gamma(a))`.
fn ln_prefactor(a: f64, y: f64) -> f64 {
    0.5 * a.ln() - normal::HALF_LN_TAU - stirling_error(a) - deviance(a, y)
}

/// `P(a, y)` over the prefactor: `(1/a) (1 + y/(a+1) + y^2/((a+1)(a+2)) + ..)`.
fn series(a: f64, y: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
    while term > 1e-17 * sum {
        k += 1.0;
        term *= y / k;
        sum += term;
    }
    sum
}

/// `Q(a, y)` over the prefactor: `1/(y + 1 - a - 1(1-a)/(y + 3 - a - 2(2-a)/(y + 5 - a - ..)))`, modified Lentz.
fn fraction(a: f64, y: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = y + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut value = d;
    for k in 1..10_000 {
        let k = f64::from(k);
        let numerator = -k * (k - a);
        b += 2.0;
        d = 1.0 / nonzero(numerator * d + b, TINY);
        c = nonzero(b + numerator / c, TINY);
        let change = c * d;
        value *= change;
        if (change - 1.0).abs() <= 2e-16 {
            break;
        }
    }
    value
}

/// `x`, or `tiny` where `x` vanishes: keeps Lentz's recurrences from dividing by zero.
pub(crate) fn nonzero(x: f64, tiny: f64) -> f64 {
    if x.abs() < tiny { tiny } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_forms() {
        for x in [1e-10_f64, 0.3, 3.9, 4.1, 50.0, 1e5] {
            assert!((ln_upper(x, 2.0) + 0.5 * x).abs() <= 2e-15 * x.max(1e-1), "{x}");
            let z = x.sqrt();
            assert!((ln_upper(x, 1.0) - normal::ln_two_sided(z)).abs() <= 4e-15 * x.max(1.0), "{x}");
        }
        assert_eq!((half_half_upper(0.0), half_half_upper(-1.0)), (1.0, 1.0));
        assert!((half_half_upper(2.705_543_454_095_404) - 0.05).abs() < 1e-15);
        assert!((half_half_ln_upper(2.705_543_454_095_404) - 0.05_f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn odd_arguments() {
        assert_eq!(ln_tails(0.0, 3.0), (f64::NEG_INFINITY, 0.0));
        assert_eq!(ln_tails(f64::INFINITY, 3.0), (0.0, f64::NEG_INFINITY));
        assert_eq!(ln_tails(5.0, f64::INFINITY), (f64::NEG_INFINITY, 0.0));
        assert!(ln_upper(f64::NAN, 1.0).is_nan() && ln_upper(1.0, 0.0).is_nan() && quantile(0.5, f64::NAN).is_nan());
    }

    #[test]
    fn quantiles_return() {
        for df in [0.1, 0.5, 1.0, 2.0, 9.7, 150.0, 399.0, 401.0, 1e5, 1e9] {
            for ln_p in [-1e-12, -1e-3, -0.5, -0.69, -0.7, -4.0, -30.0, -700.0, -1e6] {
                let x = quantile_ln_upper(ln_p, df);
                let back = ln_upper(x, df);
                // One unit in the last place of x moves ln p by about this much.
                let grain = x * 1e-16 * ((x - df) / (2.0 * x)).abs().max(1.0 / df.sqrt());
                assert!((back - ln_p).abs() <= 1e-13 * ln_p.abs() + 4.0 * grain + 1e-15, "{df} {ln_p}: {x} {back}");
            }
            for p in [1e-12, 0.025, 0.4, 0.5, 0.9, 0.999] {
                let x = quantile(p, df);
                assert!(x > 1e-250 && (lower(x, df) - p).abs() <= p * (2e-13 + 1e-15 * df.sqrt()), "{df} {p}: {x}");
            }
        }
    }
}
