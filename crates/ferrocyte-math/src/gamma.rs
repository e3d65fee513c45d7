//! The gamma function and its relatives: logarithm, derivatives, and the helpers of the saddle-point densities.
//!
//! Factorial-like products never appear as differences of large log-gammas: densities are written as
//! `sqrt(..) * exp(-deviance - correction)` with [`deviance`] (Loader's `bd0`) and [`stirling_error`] (his
//! `stirlerr`), both of which keep their relative accuracy when parameters are large (C. Loader, *Fast and accurate
//! computation of binomial probabilities*, 2000).

/// Below this argument the asymptotic series are reached by recurrence.
const ASYMPTOTIC_FROM: f64 = 10.0;

/// `B_2k / (2k)`: the asymptotic series of the digamma function in `1 / x^2`.
const DIGAMMA: [f64; 8] =
    [1.0 / 12.0, -1.0 / 120.0, 1.0 / 252.0, -1.0 / 240.0, 1.0 / 132.0, -691.0 / 32760.0, 1.0 / 12.0, -3617.0 / 8160.0];

/// `ln |Gamma(x)|`.
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// The digamma function, the derivative of `ln Gamma(x)`, for `x > 0`; NaN elsewhere.
///
/// Recurrence up to 10, then the asymptotic series (DLMF 5.5.2, 5.11.2).
pub fn digamma(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let mut x = x;
    let mut shift = 0.0;
    while x < ASYMPTOTIC_FROM {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    shift + (x.ln() - 0.5 / x - y * polynomial(&DIGAMMA, y))
}

/// `ln x - digamma(x)` without cancellation, for `x > 0`; NaN elsewhere.
///
/// Between `1 / (2x)` and `1 / x`: the asymptotic series from 10, below it the recurrence
/// `g(x) = g(x + 1) + 1/x - ln(1 + 1/x)`, all of whose terms are positive.
pub fn ln_minus_digamma(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let mut x = x;
    let mut shift = 0.0;
    while x < ASYMPTOTIC_FROM {
        shift += if x < 0.5 { 1.0 / x - (1.0 / x).ln_1p() } else { -ln_1p_excess(1.0 / x) };
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    shift + (0.5 / x + y * polynomial(&DIGAMMA, y))
}

/// The trigamma function, the second derivative of `ln Gamma(x)`, for `x > 0`; NaN elsewhere.
///
/// Recurrence up to 10, then the asymptotic series (DLMF 5.15.5, 5.15.8).
pub fn trigamma(x: f64) -> f64 {
    const C: [f64; 8] =
        [1.0 / 6.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 5.0 / 66.0, -691.0 / 2730.0, 7.0 / 6.0, -3617.0 / 510.0];
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let mut x = x;
    let mut shift = 0.0;
    while x < ASYMPTOTIC_FROM {
        shift += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    shift + (1.0 / x + 0.5 * y + y / x * polynomial(&C, y))
}

/// The derivative of [`trigamma`], for `x > 0`: negative, and good enough for Newton steps.
fn tetragamma(x: f64) -> f64 {
    const C: [f64; 6] = [0.5, -1.0 / 6.0, 1.0 / 6.0, -0.3, 5.0 / 6.0, -691.0 / 210.0];
    let mut x = x;
    let mut shift = 0.0;
    while x < ASYMPTOTIC_FROM {
        shift -= 2.0 / (x * x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    shift - y * (1.0 + 1.0 / x + y * polynomial(&C, y))
}

/// The `x > 0` with `trigamma(x) = y`, for `y > 0`; infinite at 0, zero at infinity, NaN elsewhere.
///
/// Newton's method on `1 / trigamma`, which is convex and nearly straight: from `x = 1/2 + 1/y`, at or below the
/// root, the iteration rises to it and cannot overshoot by much.
pub fn trigamma_inverse(y: f64) -> f64 {
    if y.is_nan() || y < 0.0 {
        return f64::NAN;
    }
    if y == 0.0 {
        return f64::INFINITY;
    }
    // Beyond these the leading terms 1/x^2 and 1/x + 1/(2 x^2) are exact to the last digit.
    if y > 1e17 {
        return 1.0 / y.sqrt();
    }
    if y < 1e-17 {
        return 1.0 / y;
    }
    let mut x = 0.5 + 1.0 / y;
    for _ in 0..60 {
        let value = trigamma(x);
        let step = value * (1.0 - value / y) / tetragamma(x);
        x = (x + step).max(0.5 * x);
        if step.abs() <= 1e-15 * x {
            break;
        }
    }
    x
}

/// `ln Gamma(x + 1) - [(x + 1/2) ln x - x + ln(2 pi) / 2]`, the error of Stirling's formula, for `x > 0`.
///
/// Absolute accuracy 1e-16 times its terms: the series (DLMF 5.11.1) from 10, the recurrence
/// `e(x) = e(x + 1) + (x + 1/2) ln(1 + 1/x) - 1` below.
pub fn stirling_error(x: f64) -> f64 {
    const C: [f64; 8] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360360.0,
        1.0 / 156.0,
        -3617.0 / 122400.0,
    ];
    let mut x = x;
    let mut sum = 0.0;
    while x < ASYMPTOTIC_FROM {
        sum += (x + 0.5) * (1.0 / x).ln_1p() - 1.0;
        x += 1.0;
    }
    sum + polynomial(&C, 1.0 / (x * x)) / x
}

/// `x ln(x / m) + m - x`, half the Poisson deviance of `x` around the mean `m`; both positive.
pub fn deviance(x: f64, m: f64) -> f64 {
    if x < 2.0 * m && m < 2.0 * x { -x * ln_1p_excess((m - x) / x) } else { x * (x / m).ln() + (m - x) }
}

/// `ln(1 + u) - u` without cancellation, for `u > -1`: never positive.
///
/// With `r = u / (2 + u)`, `ln(1 + u) = 2 artanh r`, so that the sum is `2 r^3 (1/3 + r^2/5 + ..) - r u`.
pub fn ln_1p_excess(u: f64) -> f64 {
    const C: [f64; 13] = [
        1.0 / 3.0,
        1.0 / 5.0,
        1.0 / 7.0,
        1.0 / 9.0,
        1.0 / 11.0,
        1.0 / 13.0,
        1.0 / 15.0,
        1.0 / 17.0,
        1.0 / 19.0,
        1.0 / 21.0,
        1.0 / 23.0,
        1.0 / 25.0,
        1.0 / 27.0,
    ];
    if !(-0.4..=0.6).contains(&u) {
        return u.ln_1p() - u;
    }
    let r = u / (2.0 + u);
    let y = r * r;
    r * (2.0 * y * polynomial(&C, y) - u)
}

/// `exp(s) - 1 - s` without cancellation: never negative.
pub fn exp_m1_excess(s: f64) -> f64 {
    const C: [f64; 13] = [
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5040.0,
        1.0 / 40320.0,
        1.0 / 362880.0,
        1.0 / 3628800.0,
        1.0 / 39916800.0,
        1.0 / 479001600.0,
        1.0 / 6227020800.0,
        1.0 / 87178291200.0,
    ];
    if s.abs() > 0.5 {
        return s.exp_m1() - s;
    }
    s * s * polynomial(&C, s)
}

/// `ln(1 - exp(l))` for `l <= 0`: the logarithm of the other tail.
pub fn ln_1m_exp(l: f64) -> f64 {
    if l > -std::f64::consts::LN_2 { (-l.exp_m1()).ln() } else { (-l.exp()).ln_1p() }
}

/// `c[0] + c[1] x + c[2] x^2 + ..` by Horner's rule.
fn polynomial(c: &[f64], x: f64) -> f64 {
    c.iter().rev().fold(0.0, |sum, &c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected.abs(), "{found} should be {expected}");
    }

    #[test]
    fn known_values() {
        const EULER: f64 = 0.577_215_664_901_532_9;
        let pi2 = std::f64::consts::PI * std::f64::consts::PI;
        close(digamma(1.0), -EULER, 1e-15);
        close(digamma(0.5), -EULER - 2.0 * std::f64::consts::LN_2, 1e-15);
        close(trigamma(1.0), pi2 / 6.0, 1e-15);
        close(trigamma(0.5), pi2 / 2.0, 1e-15);
        close(stirling_error(1.0), 1.0 - 0.5 * std::f64::consts::TAU.ln(), 1e-14);
        for x in [1e-9_f64, 0.1, 0.49, 0.51, 1.0, 2.5, 9.9, 10.1] {
            close(ln_minus_digamma(x), x.ln() - digamma(x), 1e-14 * (1.0 + x * x));
        }
        close(ln_minus_digamma(1e10), 0.5e-10 + 1e-20 / 12.0, 1e-15);
        close(tetragamma(1.0), -2.404_113_806_319_188_6, 1e-14);
        assert!(digamma(0.0).is_nan() && trigamma(-1.0).is_nan() && digamma(f64::NAN).is_nan());
    }

    #[test]
    fn the_inverse_of_trigamma_returns() {
        for i in -72..=72 {
            let x = (f64::from(i) / 4.0).exp();
            close(trigamma_inverse(trigamma(x)), x, 2e-15);
        }
        assert_eq!(trigamma_inverse(0.0), f64::INFINITY);
        assert!(trigamma_inverse(-1.0).is_nan());
    }

    #[test]
    fn excesses_join_smoothly() {
        for u in [-0.4_f64, 0.6] {
            for v in [u - 1e-9, u + 1e-9] {
                close(ln_1p_excess(v), v.ln_1p() - v, 1e-14);
            }
        }
        for s in [-0.5_f64, 0.5] {
            for v in [s - 1e-9, s + 1e-9] {
                close(exp_m1_excess(v), v.exp_m1() - v, 1e-14);
            }
        }
        close(ln_1p_excess(1e-9), -5e-19, 1e-8);
        close(deviance(1e10, 1e10 + 1.0), 0.5e-10, 1e-9);
    }

    #[test]
    fn the_other_tail() {
        close(ln_1m_exp(-1e-20), -46.051_701_859_880_91, 1e-15);
        close(ln_1m_exp(-50.0), -(-50.0_f64).exp(), 1e-15);
        assert_eq!(ln_1m_exp(0.0), f64::NEG_INFINITY);
    }
}
