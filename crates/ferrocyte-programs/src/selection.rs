//! What is suggested, never applied: a density threshold, a number of programs, more replicates.

/// A gap between densities is wide from here on. Unit vectors lie at most sqrt(2) apart, and spectra that replicates
/// find again differ by a few hundredths.
pub const WIDE: f64 = 0.05;

/// A number of programs is stable if its silhouette is at least this share of the best.
pub const STABLE: f64 = 0.95;

/// Below this cosine of the programs of two halves of the replicates, more replicates would change the answer.
pub const SETTLED: f64 = 0.99;

/// A threshold of local density, and what it would do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The middle of the gap; 2, which keeps all, where there is none.
    pub threshold: f64,
    /// How many spectra it drops.
    pub dropped: usize,
}

/// The first wide gap of the densities above which less than half of the spectra lie: its middle parts outliers from
/// spectra that were found again.
pub fn suggest_threshold(density: &[f64]) -> Threshold {
    let mut sorted = density.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let gap = (1..n).find(|&i| sorted[i] - sorted[i - 1] > WIDE && 2 * (n - i) < n);
    match gap {
        Some(i) => Threshold { threshold: f64::midpoint(sorted[i - 1], sorted[i]), dropped: n - i },
        None => Threshold { threshold: 2.0, dropped: 0 },
    }
}

/// The largest k whose silhouette comes near the best; `None` where there are no silhouettes.
pub fn suggest_k(ks: &[usize], silhouettes: &[Option<f64>]) -> Option<usize> {
    let best = silhouettes.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let near = |s: &Option<f64>| s.is_some_and(|s| s >= STABLE * best);
    ks.iter().zip(silhouettes).filter(|(_, s)| near(s)).map(|(k, _)| *k).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_outliers_are_parted_from_the_rest() {
        let mut density: Vec<f64> = (0..90).map(|i| 0.02 + 0.0005 * f64::from(i)).collect();
        density.extend((0..10).map(|i| 0.4 + 0.03 * f64::from(i)));
        let found = suggest_threshold(&density);
        assert_eq!(found.dropped, 10);
        assert!(found.threshold > 0.065 && found.threshold < 0.4);
    }

    #[test]
    fn without_outliers_all_are_kept() {
        let density: Vec<f64> = (0..100).map(|i| 0.01 * f64::from(i)).collect();
        assert_eq!(suggest_threshold(&density), Threshold { threshold: 2.0, dropped: 0 });
        // Most spectra on the far side are no outliers.
        let far: Vec<f64> = (0..100).map(|i| if i < 40 { 0.01 } else { 0.9 }).collect();
        assert_eq!(suggest_threshold(&far).dropped, 0);
        assert_eq!(suggest_threshold(&[]).dropped, 0);
    }

    #[test]
    fn the_largest_stable_k() {
        let s = [Some(0.998), Some(0.86), Some(0.993), Some(0.87), None];
        assert_eq!(suggest_k(&[5, 7, 8, 9, 10], &s), Some(8));
        assert_eq!(suggest_k(&[1], &[None]), None);
    }
}
