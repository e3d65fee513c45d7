//! Welch's t of every gene, from sums.

use ferrocyte_math::student_t::{self, many};

use super::Test;
use crate::moments::{Sums, mean_var};

/// Below this the logarithm of a p-value is computed as such.
const TINY: f64 = 1e-280;

/// Compares two sides of `n` cells each with the sums of their genes: `(m1 - m2) / sqrt(v1 / n1 + v2 / n2)` on
/// Satterthwaite's degrees of freedom. `overestimate` takes the smaller number of cells of the first side for both.
///
/// Where neither side varies, equal means have score 0 and p 1, different ones an infinite score and p 0.
pub(super) fn compare((n1, own): (f64, &[Sums]), (n2, other): (f64, &[Sums]), overestimate: bool) -> Test {
    let n2_used = if overestimate { n1 } else { n2 };
    let mut scores = Vec::with_capacity(own.len());
    let mut df = Vec::with_capacity(own.len());
    for (own, other) in own.iter().zip(other) {
        let ((m1, v1), (m2, v2)) = (mean_var(n1, own, 1.0), mean_var(n2, other, 1.0));
        let (a, b) = (v1 / n1, v2 / n2_used);
        let difference = m1 - m2;
        scores.push(if difference == 0.0 { 0.0 } else { difference / (a + b).sqrt() });
        df.push((a + b).powi(2) / (a * a / (n1 - 1.0) + b * b / (n2_used - 1.0)));
    }
    let p = many::two_sided(&scores, &df);
    let ln_p = (0..p.len()).map(|gene| match (scores[gene], p[gene]) {
        (0.0, _) => 0.0,
        (t, _) if t.is_infinite() => f64::NEG_INFINITY,
        (_, p) if p > TINY => p.ln(),
        (t, _) => student_t::ln_two_sided(t, df[gene]),
    });
    Test { ln_p: ln_p.collect(), scores }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[f64]) -> (f64, Vec<Sums>) {
        let one = values.iter().fold(Sums::default(), |s, v| Sums { sum: s.sum + v, squares: s.squares + v * v, ..s });
        (values.len() as f64, vec![one])
    }

    #[test]
    fn by_hand() {
        let ((n1, a), (n2, b)) = (sums(&[1.0, 2.0, 3.0, 6.0]), sums(&[0.0, 1.0, 1.0, 0.0, 0.5]));
        let test = compare((n1, &a), (n2, &b), false);
        // Means 3 and 0.5, variances 14/3 and 0.25.
        let (x, y): (f64, f64) = (14.0 / 12.0, 0.05);
        assert!((test.scores[0] - 2.5 / (x + y).sqrt()).abs() < 1e-14);
        let df = (x + y).powi(2) / (x * x / 3.0 + y * y / 4.0);
        assert!((test.ln_p[0] - student_t::ln_two_sided(test.scores[0], df)).abs() < 1e-13);
        let other = compare((n1, &a), (n2, &b), true);
        assert!((other.scores[0] - 2.5 / (x + 0.0625).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn what_does_not_vary() {
        let ((n1, a), (n2, b)) = (sums(&[2.0; 3]), sums(&[1.0; 4]));
        let test = compare((n1, &a), (n2, &b), false);
        assert_eq!((test.scores[0], test.ln_p[0]), (f64::INFINITY, f64::NEG_INFINITY));
        let test = compare((n1, &a), (n1, &a), false);
        assert_eq!((test.scores[0], test.ln_p[0]), (0.0, 0.0));
    }
}
