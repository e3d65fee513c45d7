//! Student's t distribution with any, also fractional, degrees of freedom.
//!
//! With `n` degrees of freedom, `a = n / 2` and `K = Gamma(a + 1/2) / (Gamma(a + 1) sqrt(pi))`:
//!
//! * tails: `P(|T| > t) = K (1 + n/t^2)^(1/2) (1 + t^2/n)^(-a) F(1/2, 1; a + 1; -n/t^2)`, with Gauss's continued
//!   fraction of the last factor (DLMF 15.7.5). It converges for every argument and becomes Laplace's fraction of the
//!   normal tail as `n` grows, so that large `n` needs no expansion of its own;
//! * centre: `P(|T| <= t) = 2 a K y^(1/2) (1 - y)^a F(a + 1/2, 1; 3/2; y)`, `y = t^2 / (n + t^2)`, a series of
//!   positive terms (DLMF 8.17.8).
//!
//! [`StudentT`] keeps what depends on the degrees of freedom alone: use it when many `t` share them; [`many`] and
//! [`shared`] serve arrays.

pub mod many;
pub mod shared;

use std::f64::consts::{LN_2, PI};

use crate::gamma::ln_1m_exp;
use crate::normal;
use crate::root::{Tail, solve};

/// `ln P(T > t)` with `df` degrees of freedom.
pub fn ln_upper(t: f64, df: f64) -> f64 {
    StudentT::new(df).ln_upper(t)
}

/// `ln P(T <= t)`.
pub fn ln_lower(t: f64, df: f64) -> f64 {
    StudentT::new(df).ln_lower(t)
}

/// `ln P(|T| > |t|)`, never above 0.
pub fn ln_two_sided(t: f64, df: f64) -> f64 {
    StudentT::new(df).ln_two_sided(t)
}

/// `P(T > t)`.
pub fn upper(t: f64, df: f64) -> f64 {
    StudentT::new(df).upper(t)
}

/// `P(T <= t)`.
pub fn lower(t: f64, df: f64) -> f64 {
    StudentT::new(df).lower(t)
}

/// `P(|T| > |t|)`.
pub fn two_sided(t: f64, df: f64) -> f64 {
    StudentT::new(df).two_sided(t)
}

/// The `t` with `P(T <= t) = p`; infinite at 0 and 1, NaN outside [0, 1].
pub fn quantile(p: f64, df: f64) -> f64 {
    StudentT::new(df).quantile(p)
}

/// The `t` with `ln P(T > t) = ln_p`.
pub fn quantile_ln_upper(ln_p: f64, df: f64) -> f64 {
    StudentT::new(df).quantile_ln_upper(ln_p)
}

/// Student's distribution with fixed degrees of freedom.
///
/// ```
/// use ferrocyte_math::student_t::StudentT;
/// let t = StudentT::new(71.3);
/// assert!((t.two_sided(1.993_857) - 0.05).abs() < 1e-5);
/// assert!(t.ln_two_sided(1e6) < -800.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct StudentT {
    df: f64,
    /// `a = df / 2`.
    half: f64,
    /// `K`, see above.
    scale: f64,
    /// The series serves `t^2` up to here, the fraction beyond: the faster of both, and the centre is below 0.996.
    series_below: f64,
}

/// One side of the two-sided probability, the other being its complement.
enum Part {
    /// `P(|T| <= |t|)`.
    Centre(f64),
    /// `ln P(|T| > |t|)`.
    LnTails(f64),
}

impl StudentT {
    /// The distribution with `df > 0` degrees of freedom, which may be infinite (then normal). Any other `df` makes
    /// every probability NaN.
    pub fn new(df: f64) -> Self {
        let df = if df > 0.0 { df } else { f64::NAN };
        let half = 0.5 * df;
        Self { df, half, scale: half_step_ratio(half) / PI.sqrt(), series_below: 8.0_f64.min(half) }
    }

    /// The degrees of freedom; NaN if they made no sense.
    pub fn df(&self) -> f64 {
        self.df
    }

    /// `ln P(|T| > |t|)`, never above 0.
    pub fn ln_two_sided(&self, t: f64) -> f64 {
        match self.part(t) {
            Part::Centre(p) => (-p).ln_1p(),
            Part::LnTails(ln_p) => ln_p,
        }
    }

    /// `P(|T| > |t|)`.
    pub fn two_sided(&self, t: f64) -> f64 {
        match self.part(t) {
            Part::Centre(p) => 1.0 - p,
            Part::LnTails(ln_p) => ln_p.exp(),
        }
    }

    /// `ln P(T > t)`.
    pub fn ln_upper(&self, t: f64) -> f64 {
        match (self.part(t), t < 0.0) {
            (Part::Centre(p), false) => (-p).ln_1p() - LN_2,
            (Part::Centre(p), true) => p.ln_1p() - LN_2,
            (Part::LnTails(ln_p), false) => ln_p - LN_2,
            (Part::LnTails(ln_p), true) => (-0.5 * ln_p.exp()).ln_1p(),
        }
    }

    /// `ln P(T <= t)`.
    pub fn ln_lower(&self, t: f64) -> f64 {
        self.ln_upper(-t)
    }

    /// `P(T > t)`.
    pub fn upper(&self, t: f64) -> f64 {
        match (self.part(t), t < 0.0) {
            (Part::Centre(p), false) => 0.5 * (1.0 - p),
            (Part::Centre(p), true) => 0.5 * (1.0 + p),
            (Part::LnTails(ln_p), false) => 0.5 * ln_p.exp(),
            (Part::LnTails(ln_p), true) => 1.0 - 0.5 * ln_p.exp(),
        }
    }

    /// `P(T <= t)`.
    pub fn lower(&self, t: f64) -> f64 {
        self.upper(-t)
    }

    /// The `t` with `P(T <= t) = p`; infinite at 0 and 1, NaN outside [0, 1].
    pub fn quantile(&self, p: f64) -> f64 {
        if !(0.0..=1.0).contains(&p) {
            return f64::NAN;
        }
        // 1 - 2 p of the smaller tail p, exact where it is small.
        let centre = 2.0 * (p - 0.5);
        self.positive_quantile((2.0 * p.min(1.0 - p)).ln(), centre.abs()).copysign(centre)
    }

    /// The `t` with `ln P(T > t) = ln_p`, down to any `ln_p`; NaN for a positive one.
    pub fn quantile_ln_upper(&self, ln_p: f64) -> f64 {
        if ln_p.is_nan() || ln_p > 0.0 {
            return f64::NAN;
        }
        let (ln_q, sign) = if ln_p > -LN_2 { (ln_1m_exp(ln_p), -1.0) } else { (ln_p, 1.0) };
        let ln_two_sided = (ln_q + LN_2).min(0.0);
        sign * self.positive_quantile(ln_two_sided, -ln_two_sided.exp_m1())
    }

    /// The `t >= 0` with `P(|T| > t) = exp(ln_tails)` and `P(|T| <= t) = centre`: the smaller of both is solved for.
    fn positive_quantile(&self, ln_tails: f64, centre: f64) -> f64 {
        if self.df.is_nan() {
            return f64::NAN;
        }
        if centre == 0.0 {
            return 0.0;
        }
        if ln_tails == f64::NEG_INFINITY {
            return f64::INFINITY;
        }
        if self.df == f64::INFINITY {
            return normal::quantile_ln_upper(ln_tails - LN_2);
        }
        // From P(|T| > t) < 2 a K (n/t^2)^a / n^(1/2) far out, and from the density at zero near the centre.
        let z = normal::quantile_ln_upper(ln_tails - LN_2);
        if centre <= 0.5 {
            let start = centre / (2.0 * self.ln_density(0.0).exp());
            return solve(centre.ln(), start, |t| {
                let centre = match self.part(t) {
                    Part::Centre(p) => p,
                    Part::LnTails(ln_p) => -ln_p.exp_m1(),
                };
                Tail { ln_p: centre.ln(), slope: 2.0 * t * self.ln_density(t).exp() / centre }
            });
        }
        let start = (self.df * (z * z / self.df).exp_m1()).sqrt();
        solve(ln_tails, if start < 1e100 { start.max(z) } else { z }, |t| {
            let ln_p = self.ln_two_sided(t);
            Tail { ln_p, slope: -2.0 * (t.ln() + self.ln_density(t) - ln_p).exp() }
        })
    }

    /// `ln f(t)`.
    fn ln_density(&self, t: f64) -> f64 {
        // K = 1 / (a B(a, 1/2)), and f(0) = 1 / (n^(1/2) B(a, 1/2)).
        (0.5 * self.scale * self.df.sqrt()).ln() - (self.half + 0.5) * self.ln_1p_square(t)
    }

    /// `ln(1 + t^2 / n)`, also where the square overflows.
    fn ln_1p_square(&self, t: f64) -> f64 {
        let ratio = t.abs() / self.df.sqrt();
        if ratio < 1e8 { (t * t / self.df).ln_1p() } else { 2.0 * ratio.ln() }
    }

    /// The centre where it is small or the series short, the tails elsewhere.
    fn part(&self, t: f64) -> Part {
        if self.df == f64::INFINITY || t.is_nan() {
            return Part::LnTails(normal::ln_two_sided(t));
        }
        let square = t * t;
        if square <= self.series_below { Part::Centre(self.centre(square)) } else { Part::LnTails(self.ln_tails(t)) }
    }

    /// `P(|T| <= t)` by the series.
    fn centre(&self, square: f64) -> f64 {
        let ratio = square / self.df;
        let y = ratio / (1.0 + ratio);
        let (mut term, mut sum, mut k) = (1.0, 1.0, 0.0);
        while term > 1e-17 * sum {
            term *= y * (self.half + 0.5 + k) / (1.5 + k);
            sum += term;
            k += 1.0;
        }
        2.0 * self.half * self.scale * y.sqrt() * (-self.half * ratio.ln_1p()).exp() * sum
    }

    /// `ln P(|T| > |t|)` by the fraction.
    fn ln_tails(&self, t: f64) -> f64 {
        let w = (self.df / t.abs()) / t.abs();
        let factor = self.scale * (1.0 + w).sqrt() * self.fraction(w);
        (factor.ln() - self.half * self.ln_1p_square(t)).min(0.0)
    }

    /// `F(1/2, 1; a + 1; -w) = 1/(1 + e_1 w/(1 + e_2 w/(1 + ..)))` by forward recurrence.
    ///
    /// All coefficients are positive, so that successive convergents enclose the value: the loop ends when they
    /// agree.
    fn fraction(&self, w: f64) -> f64 {
        let a = self.half;
        // Numerators and denominators of two successive convergents.
        let (mut p0, mut q0, mut p1, mut q1) = (0.0, 1.0, 1.0, 1.0);
        let (mut m, mut d) = (0.0, a);
        for _ in 0..200 {
            let odd = w * (0.5 + m) * (a + m) / (d * (d + 1.0));
            (p0, q0) = (p1 + odd * p0, q1 + odd * q0);
            m += 1.0;
            d += 2.0;
            let even = w * m * (a + m - 0.5) / ((d - 1.0) * d);
            (p1, q1) = (p0 + even * p1, q0 + even * q1);
            if (p1 * q0 - p0 * q1).abs() <= 1e-16 * p1 * q0 {
                break;
            }
        }
        p1 / q1
    }
}

/// `Gamma(a + 1/2) / Gamma(a + 1)`, to the last digits for all `a > 0`: recurrence up to 20, then the asymptotic
/// series of the logarithm in `1 / a` (DLMF 5.11.13).
fn half_step_ratio(a: f64) -> f64 {
    let mut a = a;
    let mut product = 1.0;
    while a < 20.0 {
        product *= (a + 1.0) / (a + 0.5);
        a += 1.0;
    }
    let y = 1.0 / (a * a);
    let series = -1.0 / 8.0 + y * (1.0 / 192.0 + y * (-1.0 / 640.0 + y * (17.0 / 14336.0 - y * (31.0 / 18432.0))));
    product * (series / a).exp() / a.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cauchy_and_two_degrees_in_closed_form() {
        for t in [1e-8_f64, 0.1, 0.69, 0.71, 0.99, 1.01, 1.42, 3.0, 1e3, 1e9] {
            let cauchy = (1.0 / t).atan() * 2.0 / PI;
            assert!((two_sided(t, 1.0) / cauchy - 1.0).abs() < 2e-15, "{t}");
            let root = (2.0 + t * t).sqrt();
            let two = 2.0 / (root * (root + t));
            assert!((two_sided(t, 2.0) / two - 1.0).abs() < 2e-15, "{t}");
        }
    }

    #[test]
    fn many_degrees_are_normal() {
        for z in [0.3, 1.9, 2.1, 5.0, 20.0] {
            let (t, n) = (ln_two_sided(z, 1e15), normal::ln_two_sided(z));
            assert!((t - n).abs() < 3e-15 * n.abs().max(1.0) + z.powi(4) * 1e-15, "{z}: {t} {n}");
        }
        assert_eq!(ln_upper(1.5, f64::INFINITY), normal::ln_two_sided(1.5) - LN_2);
    }

    #[test]
    fn odd_arguments() {
        for df in [0.1, 1.0, 7.5, 1e10, f64::INFINITY] {
            assert_eq!(ln_two_sided(0.0, df), 0.0);
            assert_eq!((two_sided(0.0, df), upper(0.0, df)), (1.0, 0.5));
            assert!(ln_upper(f64::NAN, df).is_nan() && two_sided(f64::NAN, df).is_nan());
            assert!(ln_upper(1e300, df) < -60.0);
            assert_eq!(ln_upper(f64::INFINITY, df), f64::NEG_INFINITY);
            assert_eq!(ln_upper(f64::NEG_INFINITY, df), 0.0);
            assert!((upper(-2.5, df) + upper(2.5, df) - 1.0).abs() < 1e-15);
        }
        assert!(ln_upper(1.0, 0.0).is_nan() && ln_upper(1.0, f64::NAN).is_nan() && quantile(0.3, -1.0).is_nan());
    }

    #[test]
    fn quantiles_return() {
        for df in [0.1, 0.7, 1.0, 3.3, 30.0, 71.5, 1e4, 1e10, f64::INFINITY] {
            let t = StudentT::new(df);
            for ln_p in [-1e-12, -1e-3, -0.5, -0.69, -0.7, -1.3, -1.5, -4.0, -30.0, -700.0, -1e6] {
                let q = t.quantile_ln_upper(ln_p);
                if q.is_finite() {
                    let back = t.ln_upper(q);
                    assert!((back - ln_p).abs() <= 1e-13 * ln_p.abs().max(1e-3), "{df} {ln_p}: {q} {back}");
                }
            }
            for p in [1e-12, 0.025, 0.4, 0.5, 0.500_001, 0.9, 0.999] {
                let back = t.lower(t.quantile(p));
                assert!((back - p).abs() <= 1e-13 * p, "{df} {p}: {back}");
            }
            assert_eq!((t.quantile(0.5), t.quantile(1.0)), (0.0, f64::INFINITY));
        }
    }
}
