//! Adjustment of p-values for many tests.
//!
//! Missing values (NaN) are tests that were not made: they stay NaN and are not counted.

ferrocyte_base::choice! {
    /// How p-values are adjusted.
    Adjust, "adjust_method" {
        /// [`benjamini_hochberg`].
        BenjaminiHochberg = "BH",
        /// The same by another name.
        Fdr = "fdr",
        /// [`benjamini_yekutieli`].
        BenjaminiYekutieli = "BY",
        /// [`holm`].
        Holm = "holm",
        /// [`hochberg`].
        Hochberg = "hochberg",
        /// [`hommel`].
        Hommel = "hommel",
        /// [`bonferroni`].
        Bonferroni = "bonferroni",
        /// Not at all.
        None = "none",
    }
}

impl Adjust {
    /// Adjusted p-values.
    pub fn adjust(self, p: &[f64]) -> Vec<f64> {
        match self {
            Self::BenjaminiHochberg | Self::Fdr => benjamini_hochberg(p),
            Self::BenjaminiYekutieli => benjamini_yekutieli(p),
            Self::Holm => holm(p),
            Self::Hochberg => hochberg(p),
            Self::Hommel => hommel(p),
            Self::Bonferroni => bonferroni(p),
            Self::None => p.to_vec(),
        }
    }
}

/// The step-up adjustment of Benjamini and Hochberg (1995) of p-values given and returned as logarithms, so that values
/// far below the smallest double keep their order: `ln min(1, min_{j >= i} m p_(j) / j)`.
pub fn benjamini_hochberg_ln(ln_p: &[f64]) -> Vec<f64> {
    let order = ranked(ln_p);
    let ln_m = (order.len() as f64).ln();
    let mut adjusted = vec![f64::NAN; ln_p.len()];
    let mut least = 0.0_f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        least = least.min(ln_p[i] + (ln_m - ((rank + 1) as f64).ln()));
        adjusted[i] = least;
    }
    adjusted
}

/// The adjustment of Benjamini and Hochberg (1995): `min(1, min_{j >= i} m p_(j) / j)`.
///
/// ```
/// use ferrocyte_math::multiple::benjamini_hochberg;
/// let q = benjamini_hochberg(&[0.01, f64::NAN, 0.04, 0.03]);
/// assert_eq!((q[0], q[2], q[3]), (0.03, 0.04, 0.04));
/// assert!(q[1].is_nan());
/// ```
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let order = ranked(p);
    step_up(p, &order, |rank| order.len() as f64 / rank as f64)
}

/// The adjustment of Benjamini and Yekutieli (2001), valid under any dependence: that of Benjamini and Hochberg with `m`
/// times `1 + 1/2 + .. + 1/m`.
pub fn benjamini_yekutieli(p: &[f64]) -> Vec<f64> {
    let order = ranked(p);
    let harmonic: f64 = (1..=order.len()).map(|i| 1.0 / i as f64).sum();
    step_up(p, &order, |rank| harmonic * order.len() as f64 / rank as f64)
}

/// Hochberg's step-up adjustment (1988): `min(1, min_{j >= i} (m - j + 1) p_(j))`.
pub fn hochberg(p: &[f64]) -> Vec<f64> {
    let order = ranked(p);
    step_up(p, &order, |rank| (order.len() + 1 - rank) as f64)
}

/// Hommel's adjustment (1988), the closed test of Simes' global tests, by the algorithm of Wright (1992). `O(m^2)`.
pub fn hommel(p: &[f64]) -> Vec<f64> {
    let order = ranked(p);
    let sorted: Vec<f64> = order.iter().map(|&i| p[i]).collect();
    let m = sorted.len();
    let mut adjusted = vec![f64::NAN; p.len()];
    let simes = sorted.iter().enumerate().map(|(i, p)| m as f64 * p / (i + 1) as f64).fold(1.0, f64::min);
    let mut best = vec![simes; m];
    for size in (2..m).rev() {
        // Simes' test of the `size - 1` largest, and the smallest of the others as if it were among them.
        let first = m - size + 1;
        let largest = (2..=size).map(|k| size as f64 * sorted[first + k - 2] / k as f64).fold(f64::INFINITY, f64::min);
        for (i, best) in best.iter_mut().enumerate() {
            let here = if i < first { (size as f64 * sorted[i]).min(largest) } else { largest };
            *best = best.max(here);
        }
    }
    for (rank, &i) in order.iter().enumerate() {
        adjusted[i] = best[rank].max(sorted[rank]);
    }
    adjusted
}

/// `min(1, min_{j >= i} factor(j) p_(j))`, ranks from 1.
fn step_up(p: &[f64], order: &[usize], factor: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut least = 1.0_f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        least = least.min(p[i] * factor(rank + 1));
        adjusted[i] = least;
    }
    adjusted
}

/// Holm's step-down adjustment (1979): `min(1, max_{j <= i} (m - j + 1) p_(j))`.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let order = ranked(p);
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut most = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        most = most.max((p[i] * (order.len() - rank) as f64).min(1.0));
        adjusted[i] = most;
    }
    adjusted
}

/// Bonferroni's adjustment: `min(1, m p)`.
pub fn bonferroni(p: &[f64]) -> Vec<f64> {
    let m = p.iter().filter(|p| !p.is_nan()).count() as f64;
    p.iter().map(|&p| if p.is_nan() { p } else { (m * p).min(1.0) }).collect()
}

/// Positions of the values that are there, from the smallest; ties in the order given.
fn ranked(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: [f64; 6] = [0.01, 0.02, 0.03, 0.04, f64::NAN, 0.05];

    fn close(found: &[f64], expected: &[f64]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-15 || (f.is_nan() && e.is_nan()), "{found:?} should be {expected:?}");
        }
    }

    #[test]
    fn by_hand() {
        close(&benjamini_hochberg(&P), &[0.05, 0.05, 0.05, 0.05, f64::NAN, 0.05]);
        close(&holm(&P), &[0.05, 0.08, 0.09, 0.09, f64::NAN, 0.09]);
        close(&bonferroni(&P), &[0.05, 0.1, 0.15, 0.2, f64::NAN, 0.25]);
        close(&benjamini_hochberg(&[0.9, 0.001, 0.5]), &[0.9, 0.003, 0.75]);
        assert!(benjamini_hochberg(&[]).is_empty() && benjamini_hochberg_ln(&[f64::NAN])[0].is_nan());
    }

    #[test]
    fn logarithms_agree_and_reach_further() {
        let ln_p: Vec<f64> = P.iter().map(|p| p.ln()).collect();
        let back: Vec<f64> = benjamini_hochberg_ln(&ln_p).iter().map(|l| l.exp()).collect();
        close(&back, &benjamini_hochberg(&P));
        let far = benjamini_hochberg_ln(&[-1e6, -2e6, 0.0]);
        assert!((far[1] + 2e6 - 3.0_f64.ln()).abs() < 1e-9 && (far[0] + 1e6 - 1.5_f64.ln()).abs() < 1e-9);
        assert_eq!(far[2], 0.0);
    }

    /// The largest of Simes' p-values over all sets of tests with the one in question.
    fn closed(p: &[f64], test: usize) -> f64 {
        let simes = |set: u32| {
            let mut members: Vec<f64> = (0..p.len()).filter(|i| set >> i & 1 == 1).map(|i| p[i]).collect();
            members.sort_by(f64::total_cmp);
            let k = members.len() as f64;
            members.iter().enumerate().map(|(i, p)| k * p / (i + 1) as f64).fold(1.0, f64::min)
        };
        (1..1_u32 << p.len()).filter(|set| set >> test & 1 == 1).map(simes).fold(0.0, f64::max)
    }

    #[test]
    fn hommel_is_the_closed_test() {
        let mut stream = crate::random::Stream::new(2, 0);
        for n in 1..9 {
            let p: Vec<f64> = (0..n).map(|_| stream.uniform().powi(3)).collect();
            let expected: Vec<f64> = (0..n).map(|i| closed(&p, i)).collect();
            close(&hommel(&p), &expected);
        }
        close(&hommel(&[f64::NAN, 0.02]), &[f64::NAN, 0.02]);
    }

    #[test]
    fn step_up_by_hand() {
        close(&hochberg(&P), &[0.05, 0.05, 0.05, 0.05, f64::NAN, 0.05]);
        close(&hochberg(&[0.01, 0.03, 0.9]), &[0.03, 0.06, 0.9]);
        close(&benjamini_yekutieli(&[0.01, 0.5]), &[0.03, 0.75]);
        assert_eq!(Adjust::Fdr.adjust(&P[..3]), Adjust::BenjaminiHochberg.adjust(&P[..3]));
        assert_eq!(Adjust::None.adjust(&P[..3]), &P[..3]);
    }

    #[test]
    fn order_does_not_matter() {
        let p = [0.3, 0.002, 0.04, 0.04, 0.9, 0.0005, 0.11];
        let reversed: Vec<f64> = p.iter().rev().copied().collect();
        for adjust in [benjamini_hochberg, benjamini_yekutieli, holm, hochberg, hommel, bonferroni] {
            let mut back = adjust(&reversed);
            back.reverse();
            assert_eq!(adjust(&p), back);
        }
    }
}
