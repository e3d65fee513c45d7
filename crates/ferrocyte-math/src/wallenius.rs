//! Wallenius' noncentral hypergeometric distribution: draws without replacement, one after the other, where marked items
//! are more likely to be drawn than others.
//!
//! With odds `w` for a marked item, `a` marked and `b` other items drawn of `m1` and `m2`,
//! ```text
//! P = C(m1, a) C(m2, b)  integral from 0 to 1 of  (1 - t^(w/D))^a (1 - t^(1/D))^b dt,    D = w (m1 - a) + (m2 - b)
//! ```
//! (K. T. Wallenius, *Biased sampling: the noncentral hypergeometric probability distribution*, 1963; A. Fog, *Calculation
//! methods for Wallenius' noncentral hypergeometric distribution*, 2008). In the variable `v = ln(-ln(t) / D)` the
//! integrand is log-concave, so that quadrature on both sides of its mode gives all digits.

use crate::gamma::{ln_1m_exp, ln_gamma};
use crate::hypergeometric::{self, Urn};
use crate::quadrature::log_concave_tail;

/// Newton steps towards the mode, within a bracket.
const MAX_STEPS: usize = 100;

/// The logarithm of the probability to draw exactly `x` marked items with the given odds, positive and finite.
pub fn ln_probability(urn: &Urn, x: u64, odds: f64) -> f64 {
    let Some((least, most)) = urn.support() else { return f64::NAN };
    if !(odds > 0.0 && odds.is_finite()) {
        return f64::NAN;
    }
    if x < least || x > most {
        return f64::NEG_INFINITY;
    }
    if least == most {
        return 0.0;
    }
    let rest = urn.drawn - x;
    let integrand = Integrand {
        marked: x as f64,
        others: rest as f64,
        odds,
        left: odds * (urn.marked - x) as f64 + (urn.unmarked - rest) as f64,
    };
    ln_choose(urn.marked, x) + ln_choose(urn.unmarked, rest) + integrand.ln_integral()
}

/// The logarithm of the probability to draw at least `x` marked items.
///
/// ```
/// use ferrocyte_math::{hypergeometric::Urn, wallenius};
/// // One draw: 2 of 5 are marked and twice as likely as the others.
/// let urn = Urn { marked: 2, unmarked: 3, drawn: 1 };
/// assert!((wallenius::ln_upper(&urn, 1, 2.0).exp() - 4.0 / 7.0).abs() < 1e-14);
/// ```
pub fn ln_upper(urn: &Urn, x: u64, odds: f64) -> f64 {
    if !(odds > 0.0 && odds.is_finite()) {
        return f64::NAN;
    }
    hypergeometric::ln_upper(urn, x, |x| ln_probability(urn, x, odds))
}

/// `D exp(v) (1 - exp(-w e^v))^a (1 - exp(-e^v))^b exp(-D e^v)`: the integrand in `v`.
struct Integrand {
    marked: f64,
    others: f64,
    odds: f64,
    left: f64,
}

impl Integrand {
    /// The logarithm of the integrand and its slope.
    fn at(&self, v: f64) -> (f64, f64) {
        let u = v.exp();
        let w = self.odds * u;
        let value = times(self.marked, ln_1m_exp(-w)) + times(self.others, ln_1m_exp(-u)) - self.left * u + v;
        (value, self.marked * share(w) + self.others * share(u) - self.left * u + 1.0)
    }

    /// Where the slope is zero.
    fn mode(&self) -> f64 {
        let drawn = self.marked + self.others;
        // The slope is positive where D u <= 1, and negative where D u exceeds the draws and 1.
        let (mut low, mut high) = (-self.left.ln(), ((drawn + 1.0) / self.left).ln());
        let mut v = 0.5 * (low + high);
        for _ in 0..MAX_STEPS {
            let slope = self.at(v).1;
            if slope > 0.0 {
                low = v;
            } else {
                high = v;
            }
            let step = slope / self.curvature(v);
            let next = if v + step > low && v + step < high { v + step } else { 0.5 * (low + high) };
            if (next - v).abs() < 1e-9 {
                return next;
            }
            v = next;
        }
        v
    }

    /// Minus the derivative of the slope.
    fn curvature(&self, v: f64) -> f64 {
        let u = v.exp();
        self.marked * share_fall(self.odds * u) + self.others * share_fall(u) + self.left * u
    }

    /// The logarithm of the integral over all `v`, with its factor D.
    fn ln_integral(&self) -> f64 {
        let mode = self.mode();
        let (top, slope) = self.at(mode);
        let curvature = self.curvature(mode);
        // The mode is found up to rounding: a slope that is left over is rounding too.
        let right = |s: f64| {
            let (value, slope_there) = self.at(mode + s);
            (value - top, slope_there - slope)
        };
        let left = |s: f64| {
            let (value, slope_there) = self.at(mode - s);
            (value - top, slope - slope_there)
        };
        let area = log_concave_tail(curvature, right) + log_concave_tail(curvature, left);
        top + area.ln() + self.left.ln()
    }
}

/// `n l`, nothing for `n = 0` whatever `l` is.
fn times(n: f64, l: f64) -> f64 {
    if n == 0.0 { 0.0 } else { n * l }
}

/// `y / (e^y - 1)`: the slope of `ln(1 - e^-y)` in `ln y`.
fn share(y: f64) -> f64 {
    if y < 1e-300 { 1.0 } else { y / y.exp_m1() }
}

/// Minus the slope of [`share`] in `ln y`; positive.
fn share_fall(y: f64) -> f64 {
    let share = share(y);
    // y e^y / (e^y - 1) is the share plus y.
    (share * (share + y - 1.0)).max(0.0)
}

fn ln_choose(n: u64, k: u64) -> f64 {
    ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities by following the draws one by one.
    fn draw_by_draw(urn: &Urn, odds: f64) -> Vec<f64> {
        let mut p = vec![1.0];
        for drawn in 0..urn.drawn {
            let mut next = vec![0.0; p.len() + 1];
            for (x, p) in p.iter().enumerate() {
                let (x, marked) = (x as u64, (urn.marked as f64 - x as f64).max(0.0) * odds);
                let others = (urn.unmarked as f64 - (drawn - x.min(drawn)) as f64).max(0.0);
                next[x as usize + 1] += p * marked / (marked + others);
                next[x as usize] += p * others / (marked + others);
            }
            p = next;
        }
        p
    }

    #[test]
    fn probabilities_are_those_of_draws_one_by_one() {
        for (marked, unmarked, drawn) in [(2, 3, 1), (5, 9, 7), (30, 200, 40), (3, 4, 7), (60, 15, 50)] {
            let urn = Urn { marked, unmarked, drawn };
            for odds in [0.05, 0.7, 1.0, 3.0, 50.0] {
                let expected = draw_by_draw(&urn, odds);
                let mut tail = 0.0;
                for x in (0..=drawn).rev() {
                    let p = expected[x as usize];
                    let found = ln_probability(&urn, x, odds).exp();
                    assert!((found - p).abs() < 1e-11 * p + 1e-290, "{urn:?} {odds} {x}: {found} {p}");
                    tail += p;
                    let found = ln_upper(&urn, x, odds).exp();
                    assert!((found - tail).abs() < 1e-10 * tail + 1e-290, "{urn:?} {odds} {x}: {found} {tail}");
                }
            }
        }
    }

    #[test]
    fn equal_odds_are_the_hypergeometric_distribution() {
        let urn = Urn { marked: 120, unmarked: 13_880, drawn: 900 };
        for x in [1, 5, 8, 12, 30, 60, 110] {
            let (found, expected) = (ln_upper(&urn, x, 1.0), urn.ln_upper(x));
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1e-2), "{x}: {found} {expected}");
        }
        assert!(ln_upper(&urn, 3, 0.0).is_nan() && ln_upper(&urn, 3, f64::INFINITY).is_nan());
    }
}
