//! Draws without replacement: how many of those drawn are marked.

use crate::gamma::{deviance, ln_1m_exp, stirling_error};

/// Terms below this share of a sum no longer change it.
const NEGLIGIBLE: f64 = 1e-18;

/// An urn with `marked` and `unmarked` items, of which `drawn` are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Urn {
    /// Items that are marked.
    pub marked: u64,
    /// Items that are not.
    pub unmarked: u64,
    /// Items that are drawn, at most all.
    pub drawn: u64,
}

impl Urn {
    /// The fewest and the most marked items that can be drawn; `None` where more are drawn than there are.
    pub fn support(&self) -> Option<(u64, u64)> {
        if self.drawn > self.marked + self.unmarked {
            return None;
        }
        Some((self.drawn.saturating_sub(self.unmarked), self.drawn.min(self.marked)))
    }

    /// The logarithm of the probability to draw exactly `x` marked items when all are equally likely to be drawn.
    pub fn ln_probability(&self, x: u64) -> f64 {
        let Some((least, most)) = self.support() else { return f64::NAN };
        if x < least || x > most {
            return f64::NEG_INFINITY;
        }
        // Three binomial probabilities for the same chance, whose errors do not grow with the numbers.
        let total = (self.marked + self.unmarked) as f64;
        let chance = (self.drawn as f64 / total, (self.marked + self.unmarked - self.drawn) as f64 / total);
        if chance.0 == 0.0 || chance.1 == 0.0 || total == 0.0 {
            return 0.0;
        }
        let rest = self.drawn - x;
        ln_binomial(x, self.marked, chance) + ln_binomial(rest, self.unmarked, chance)
            - ln_binomial(self.drawn, self.marked + self.unmarked, chance)
    }

    /// The logarithm of the probability to draw at least `x` marked items.
    ///
    /// ```
    /// use ferrocyte_math::hypergeometric::Urn;
    /// // 4 of 10 are marked; 3 are drawn, at least 2 of them marked: (6 * 6 + 4) / 120.
    /// let urn = Urn { marked: 4, unmarked: 6, drawn: 3 };
    /// assert!((urn.ln_upper(2).exp() - 1.0 / 3.0).abs() < 1e-15);
    /// ```
    pub fn ln_upper(&self, x: u64) -> f64 {
        ln_upper(self, x, |x| self.ln_probability(x))
    }
}

/// `ln P(X >= x)` from the logarithms of the probabilities, which must rise to one mode and fall.
///
/// Of the two tails the one that falls from `x` on is summed, so that its terms end it soon.
pub(crate) fn ln_upper(urn: &Urn, x: u64, ln_probability: impl Fn(u64) -> f64) -> f64 {
    let Some((least, most)) = urn.support() else { return f64::NAN };
    if x <= least {
        return 0.0;
    }
    if x > most {
        return f64::NEG_INFINITY;
    }
    let (here, below) = (ln_probability(x), ln_probability(x - 1));
    if here <= below {
        return here + falling_sum(here, (x + 1..=most).map(ln_probability)).ln();
    }
    let lower = below + falling_sum(below, (least..x - 1).rev().map(ln_probability)).ln();
    ln_1m_exp(lower.min(0.0))
}

/// `1 + exp(l_1 - first) + exp(l_2 - first) + ..`, until terms no longer change it.
fn falling_sum(first: f64, ln_terms: impl Iterator<Item = f64>) -> f64 {
    let mut sum = 1.0;
    for ln_term in ln_terms {
        let term = (ln_term - first).exp();
        sum += term;
        if term < NEGLIGIBLE * sum {
            break;
        }
    }
    sum
}

/// `ln C(n, x) p^x q^(n - x)` by Stirling's formula with its errors (C. Loader, *Fast and accurate computation of binomial
/// probabilities*, 2000).
fn ln_binomial(x: u64, n: u64, (p, q): (f64, f64)) -> f64 {
    let (xf, nf) = (x as f64, n as f64);
    if x == 0 {
        return nf * if p < 0.1 { (-p).ln_1p() } else { q.ln() };
    }
    if x == n {
        return nf * if q < 0.1 { (-q).ln_1p() } else { p.ln() };
    }
    let rest = nf - xf;
    let errors = stirling_error(nf) - stirling_error(xf) - stirling_error(rest);
    let shape = (2.0 * std::f64::consts::PI * xf * rest / nf).ln();
    errors - deviance(xf, nf * p) - deviance(rest, nf * q) - 0.5 * shape
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `C(n, k)`, exact in floating point for the numbers below.
    fn choose(n: u64, k: u64) -> f64 {
        (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
    }

    #[test]
    fn small_urns_by_counting() {
        for (marked, unmarked, drawn) in [(4, 6, 3), (10, 3, 8), (1, 20, 20), (7, 7, 14), (5, 0, 2), (0, 5, 2)] {
            let urn = Urn { marked, unmarked, drawn };
            let total = choose(marked + unmarked, drawn);
            let mut tail = 0.0;
            for x in (0..=drawn).rev() {
                let ways = if x > marked || drawn - x > unmarked {
                    0.0
                } else {
                    choose(marked, x) * choose(unmarked, drawn - x)
                };
                tail += ways / total;
                assert!((urn.ln_probability(x).exp() - ways / total).abs() < 1e-14, "{urn:?} {x}");
                assert!((urn.ln_upper(x).exp() - tail).abs() < 1e-14, "{urn:?} {x}");
            }
        }
    }

    #[test]
    fn large_urns() {
        let urn = Urn { marked: 150, unmarked: 14_850, drawn: 800 };
        assert_eq!(urn.ln_upper(0), 0.0);
        assert_eq!(urn.ln_upper(151), f64::NEG_INFINITY);
        // Far out every term but the first is small: the sum is between the first and the first times a geometric series.
        let (first, second) = (urn.ln_probability(120), urn.ln_probability(121));
        let ratio = (second - first).exp();
        let found = urn.ln_upper(120);
        assert!(found > first && found < first - (1.0 - ratio).ln());
        // Both tails meet.
        let (upper, lower) =
            (urn.ln_upper(9).exp(), Urn { marked: 14_850, unmarked: 150, drawn: 800 }.ln_upper(792).exp());
        assert!((upper + lower - 1.0).abs() < 1e-13, "{upper} {lower}");
        assert!(Urn { marked: 2, unmarked: 2, drawn: 5 }.ln_upper(1).is_nan());
    }
}
