//! The F distribution, accurate far out in both tails.
//!
//! With `r = x df1 / df2` it is the incomplete beta function of `r / (1 + r)` with parameters `df1 / 2`, `df2 / 2`;
//! infinite `df2` gives chi-squared over its degrees of freedom, infinite `df1` the inverse of such.

pub mod many;

use std::f64::consts::LN_2;

use crate::beta::{Place, ln_prefactor, ln_tails_at};
use crate::gamma::{deviance, ln_1m_exp, stirling_error};
use crate::normal::HALF_LN_TAU;
use crate::root::{Tail, solve};
use crate::{chi_squared, normal};

/// `(ln P(X <= x), ln P(X > x))` with `df1` and `df2` degrees of freedom, each positive, fractional or infinite.
///
/// NaN where anything is NaN or a `df` is not positive.
pub fn ln_tails(x: f64, df1: f64, df2: f64) -> (f64, f64) {
    if x.is_nan() || !(df1 > 0.0 && df2 > 0.0) {
        return (f64::NAN, f64::NAN);
    }
    if x <= 0.0 {
        return (f64::NEG_INFINITY, 0.0);
    }
    if x == f64::INFINITY {
        return (0.0, f64::NEG_INFINITY);
    }
    match (df1 == f64::INFINITY, df2 == f64::INFINITY) {
        (true, true) => {
            if x < 1.0 {
                (f64::NEG_INFINITY, 0.0)
            } else {
                (0.0, f64::NEG_INFINITY)
            }
        }
        (false, true) => chi_squared::ln_tails(x * df1, df1),
        (true, false) => {
            let (lower, upper) = chi_squared::ln_tails(df2 / x, df2);
            (upper, lower)
        }
        (false, false) => ln_tails_at(0.5 * df1, 0.5 * df2, place(x, df1, df2)),
    }
}

/// `ln f(x)`, the log density: `-inf` for `x <= 0`.
///
/// `df1` must be finite; `df2` may be infinite.
pub fn ln_density(x: f64, df1: f64, df2: f64) -> f64 {
    if x.is_nan() || !(df1 > 0.0 && df1 < f64::INFINITY && df2 > 0.0) {
        return f64::NAN;
    }
    if x <= 0.0 || x == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    let a = 0.5 * df1;
    if df2 == f64::INFINITY {
        // With X df1 chi-squared: sqrt(a / (2 pi)) exp(-(deviance of a around a x) - stirling_error(a)) / x.
        return 0.5 * a.ln() - HALF_LN_TAU - deviance(a, a * x) - stirling_error(a) - x.ln();
    }
    ln_prefactor(a, 0.5 * df2, place(x, df1, df2)) - x.ln()
}

/// `ln P(X > x)`.
pub fn ln_upper(x: f64, df1: f64, df2: f64) -> f64 {
    ln_tails(x, df1, df2).1
}

/// `ln P(X <= x)`.
pub fn ln_lower(x: f64, df1: f64, df2: f64) -> f64 {
    ln_tails(x, df1, df2).0
}

/// `P(X > x)`.
pub fn upper(x: f64, df1: f64, df2: f64) -> f64 {
    ln_upper(x, df1, df2).exp()
}

/// `P(X <= x)`.
pub fn lower(x: f64, df1: f64, df2: f64) -> f64 {
    ln_lower(x, df1, df2).exp()
}

/// The `x` with `P(X <= x) = p`; NaN outside [0, 1].
pub fn quantile(p: f64, df1: f64, df2: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p <= 0.5 { quantile_smaller(p.ln(), false, df1, df2) } else { quantile_smaller((1.0 - p).ln(), true, df1, df2) }
}

/// The `x` with `ln P(X > x) = ln_p`; NaN for a positive `ln_p`.
pub fn quantile_ln_upper(ln_p: f64, df1: f64, df2: f64) -> f64 {
    if ln_p.is_nan() || ln_p > 0.0 {
        return f64::NAN;
    }
    if ln_p > -LN_2 {
        quantile_smaller(ln_1m_exp(ln_p), false, df1, df2)
    } else {
        quantile_smaller(ln_p, true, df1, df2)
    }
}

/// `df1 x / (df1 x + df2)` and what belongs to it.
fn place(x: f64, df1: f64, df2: f64) -> Place {
    let r = x * (df1 / df2);
    // Each from the quotient that does not overflow.
    let (below, above) = if r <= 1.0 {
        (r / (1.0 + r), 1.0 / (1.0 + r))
    } else {
        let inverse = (df2 / df1) / x;
        (1.0 / (1.0 + inverse), inverse / (1.0 + inverse))
    };
    // (x - 1) / (1 + r), whose numerator is exact near 1.
    let excess = if x <= 2.0 { (x - 1.0) * above } else { below * (df2 / df1) * (1.0 - 1.0 / x) };
    Place { x: below, y: above, excess }
}

/// The quantile from the logarithm of the smaller tail.
fn quantile_smaller(ln_p: f64, is_upper: bool, df1: f64, df2: f64) -> f64 {
    if !(df1 > 0.0 && df2 > 0.0) {
        return f64::NAN;
    }
    if ln_p == f64::NEG_INFINITY {
        return if is_upper { f64::INFINITY } else { 0.0 };
    }
    match (df1 == f64::INFINITY, df2 == f64::INFINITY) {
        (true, true) => return 1.0,
        (false, true) => {
            let chi = if is_upper {
                chi_squared::quantile_ln_upper(ln_p, df1)
            } else {
                chi_squared::quantile_ln_upper(ln_1m_exp(ln_p), df1)
            };
            return chi / df1;
        }
        (true, false) => {
            let chi = if is_upper {
                chi_squared::quantile_ln_upper(ln_1m_exp(ln_p), df2)
            } else {
                chi_squared::quantile_ln_upper(ln_p, df2)
            };
            return df2 / chi;
        }
        (false, false) => {}
    }
    let (a, b) = (0.5 * df1, 0.5 * df2);
    // ln X is about normal with variance 2/df1 + 2/df2 (Fisher's z).
    let z = normal::quantile_ln_upper(ln_p);
    let start = ((if is_upper { z } else { -z }) * (2.0 / df1 + 2.0 / df2).sqrt()).clamp(-100.0, 100.0).exp();
    solve(ln_p, start, |x| {
        let place = place(x, df1, df2);
        let (ln_lower, ln_upper) = ln_tails_at(a, b, place);
        let ln_p = if is_upper { ln_upper } else { ln_lower };
        let slope = (ln_prefactor(a, b, place) - ln_p).exp();
        Tail { ln_p, slope: if is_upper { -slope } else { slope } }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::student_t;

    #[test]
    fn the_square_of_t() {
        for (t, df) in [(0.3_f64, 0.7), (1.1, 5.0), (4.0, 71.2), (30.0, 3999.0), (2.5, 4001.0), (40.0, 1e9)] {
            let (f, t2) = (ln_upper(t * t, 1.0, df), student_t::ln_two_sided(t, df));
            assert!((f - t2).abs() <= 2e-14 * t2.abs().max(1.0), "{t} {df}: {f} {t2}");
        }
    }

    #[test]
    fn a_point_that_is_hard_for_others() {
        let found = ln_upper(500.0, 50.0, 1e5);
        assert!((found + 10_990.906_205_508_074).abs() < 1e-9, "{found}");
    }

    #[test]
    fn densities_are_slopes() {
        for (df1, df2) in [(1.0, 3.0), (4.0, 7.5), (50.0, 300.0), (3.0, f64::INFINITY), (200.0, f64::INFINITY)] {
            for x in [0.1, 0.9, 1.0, 2.5] {
                let h = 1e-5 * x;
                let slope = (lower(x + h, df1, df2) - lower(x - h, df1, df2)) / (2.0 * h);
                let found = ln_density(x, df1, df2).exp();
                assert!((found - slope).abs() < 1e-7 * (1.0 + slope), "{x} {df1} {df2}: {found} {slope}");
            }
        }
        assert!(ln_density(0.0, 3.0, 4.0) == f64::NEG_INFINITY && ln_density(1.0, -1.0, 4.0).is_nan());
    }

    #[test]
    fn odd_arguments() {
        assert_eq!(ln_tails(0.0, 3.0, 4.0), (f64::NEG_INFINITY, 0.0));
        assert_eq!(ln_tails(f64::INFINITY, 3.0, f64::INFINITY), (0.0, f64::NEG_INFINITY));
        assert!(ln_upper(f64::NAN, 1.0, 1.0).is_nan() && ln_upper(1.0, 0.0, 1.0).is_nan());
        assert_eq!(ln_upper(2.0, 4.0, f64::INFINITY), chi_squared::ln_upper(8.0, 4.0));
        assert_eq!(ln_upper(2.0, f64::INFINITY, 4.0), chi_squared::ln_lower(2.0, 4.0));
        assert!((ln_upper(1.5, 7.0, 9.0) - ln_lower(1.0 / 1.5, 9.0, 7.0)).abs() < 1e-14);
    }

    #[test]
    fn quantiles_return() {
        for df1 in [0.1, 1.0, 3.7, 50.0, 5e3, 1e7, f64::INFINITY] {
            for df2 in [0.5, 2.0, 11.3, 300.0, 1e5, 1e9, f64::INFINITY] {
                for ln_p in [-1e-6, -0.1, -0.69, -0.7, -4.0, -30.0, -700.0] {
                    let x = quantile_ln_upper(ln_p, df1, df2);
                    if x.is_infinite() || x < 1e-290 || x == 1.0 {
                        continue;
                    }
                    let back = ln_upper(x, df1, df2);
                    // The spread of ln x bounds how finely p can be reached.
                    let spread = 1e-15 / (1.0 / df1 + 1.0 / df2).sqrt();
                    assert!(
                        (back - ln_p).abs() <= 2e-13 * ln_p.abs() + spread * (1.0 - ln_p),
                        "{df1} {df2} {ln_p}: {x} {back}"
                    );
                }
            }
        }
    }
}
