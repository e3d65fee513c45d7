//! [`RankSum`]: Wilcoxon's rank sum test of sets, allowing for correlation between the genes of a set.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::{ranks, student_t};

/// Statistics of all genes, ranked once for any number of sets.
///
/// The variance of the rank sum under a correlation ρ within the set is that of Barry, Nobel and Wright (*A statistical
/// framework for testing functional categories in microarray data*, 2008), less a share for ties.
#[derive(Debug, Clone)]
pub struct RankSum {
    ranks: Vec<f64>,
    /// `sum t (t^2 - 1) / (n (n^2 - 1))` over groups of t equal statistics.
    tied: f64,
}

impl RankSum {
    /// Ranks the statistics of all genes, which must not be NaN.
    pub fn new(statistics: &[f64]) -> Self {
        let ranks = ranks::average(statistics);
        let n = ranks.len() as f64;
        let mut sorted = ranks.clone();
        sorted.sort_by(f64::total_cmp);
        let ties: f64 =
            sorted.chunk_by(|a, b| a == b).map(|group| group.len() as f64).map(|t| t * (t + 1.0) * (t - 1.0)).sum();
        let tied = if ties > 0.0 { ties / (n * (n + 1.0) * (n - 1.0)) } else { 0.0 };
        Self { ranks, tied }
    }

    /// The probabilities of a rank sum as small and as large as that of `set`, by a t distribution on `df` degrees of
    /// freedom (infinite where the correlation is known): `(less, greater)`.
    pub fn test(&self, set: &[usize], correlation: f64, df: f64) -> (f64, f64) {
        let n = self.ranks.len() as f64;
        let n1 = set.len() as f64;
        let n2 = n - n1;
        let rank_sum: f64 = set.iter().map(|&g| self.ranks[g]).sum();
        let u = n1 * n2 + 0.5 * n1 * (n1 + 1.0) - rank_sum;
        let mean = 0.5 * n1 * n2;
        let variance = if correlation == 0.0 || set.len() == 1 {
            n1 * n2 * (n + 1.0) / 12.0
        } else {
            let pairs = 1.0_f64.asin() + 0.5_f64.asin() * (n2 - 1.0);
            let correlated = (0.5 * correlation).asin() * (n2 - 1.0) + (0.5 * (correlation + 1.0)).asin();
            n1 * n2 * (pairs + (n1 - 1.0) * correlated) / (2.0 * std::f64::consts::PI)
        };
        let sd = (variance * (1.0 - self.tied)).sqrt();
        (student_t::upper((u - 0.5 - mean) / sd, df), student_t::lower((u + 0.5 - mean) / sd, df))
    }
}

/// Whether the genes of `set` (positions) have smaller or larger statistics than the others, when statistics within the
/// set are correlated: `(less, greater)`, one-sided p-values.
///
/// # Errors
/// Where a statistic is NaN, or the set is empty or has every gene.
pub fn rank_sum_test_with_correlation(
    set: &[usize],
    statistics: &[f64],
    correlation: f64,
    df: f64,
) -> Result<(f64, f64)> {
    check(set.len(), statistics)?;
    if !(-1.0..=1.0).contains(&correlation) {
        return Err(Fault::bad_input(format!("{correlation} is no correlation")).at("correlation"));
    }
    Ok(RankSum::new(statistics).test(set, correlation, df))
}

/// Fails unless every statistic is a number and there are genes inside and outside the set.
pub(super) fn check(size: usize, statistics: &[f64]) -> Result<()> {
    if let Some(g) = statistics.iter().position(|x| x.is_nan()) {
        return Err(Fault::bad_input(format!("the statistic of gene {} is NaN", g + 1))
            .at("statistics")
            .hint("leave genes without a statistic out"));
    }
    if size == 0 || size >= statistics.len() {
        return Err(
            Fault::bad_input(format!("{size} of {} genes: there is nothing to compare", statistics.len())).at("set")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments of the rank sum over all sets of the same size.
    #[test]
    fn without_correlation_moments_are_those_of_all_sets() {
        let statistics = [0.3, 1.0, 1.0, -2.0, 0.7, 1.0, 0.3];
        let test = RankSum::new(&statistics);
        let mut sums = Vec::new();
        for a in 0..7 {
            for b in a + 1..7 {
                for c in b + 1..7 {
                    sums.push(test.ranks[a] + test.ranks[b] + test.ranks[c]);
                }
            }
        }
        let mean = sums.iter().sum::<f64>() / sums.len() as f64;
        let variance = sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / sums.len() as f64;
        let (less, greater) = test.test(&[0, 2, 4], 0.0, f64::INFINITY);
        let sum = test.ranks[0] + test.ranks[2] + test.ranks[4];
        let sd = variance.sqrt();
        assert!((less - ferrocyte_math::normal::lower((sum + 0.5 - mean) / sd)).abs() < 1e-12);
        assert!((greater - ferrocyte_math::normal::upper((sum - 0.5 - mean) / sd)).abs() < 1e-12);
    }

    #[test]
    fn correlation_takes_certainty() -> Result<()> {
        let statistics: Vec<f64> = (0..40).map(f64::from).collect();
        let set: Vec<usize> = (28..40).collect();
        let p = |rho| rank_sum_test_with_correlation(&set, &statistics, rho, f64::INFINITY).map(|p| p.1);
        assert!(p(0.0)? < p(0.05)? && p(0.05)? < p(0.3)?);
        // A correlation close to none is close to none.
        assert!((p(1e-12)? / p(0.0)? - 1.0).abs() < 1e-6);
        assert!(rank_sum_test_with_correlation(&[], &statistics, 0.0, 1.0).is_err());
        Ok(())
    }
}
