//! The choice of the rank from how well runs agree.

use ferrocyte_base::{Fault, Result};

/// How a rank is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankRule {
    /// Ranks whose cophenetic correlation is above this are candidates.
    pub threshold: f64,
    /// The least rank.
    pub min_rank: usize,
    /// Over how many ranks the fall is averaged.
    pub window: usize,
    /// The weight of the fall to the next rank, against that over the window.
    pub weight: f64,
}

impl Default for RankRule {
    /// Above 0.95, at least 2, three ranks, half and half.
    fn default() -> Self {
        Self { threshold: 0.95, min_rank: 2, window: 3, weight: 0.5 }
    }
}

/// The rank after which agreement falls most, and whether none was above the threshold (it is then the rank with the
/// largest agreement).
pub fn select_rank(cophenetic: &[f64], ranks: &[usize], rule: &RankRule) -> Result<(usize, bool)> {
    if cophenetic.len() != ranks.len() || ranks.is_empty() || rule.window == 0 {
        return Err(Fault::bad_input(format!(
            "{} correlations of {} ranks, and a window of {}",
            cophenetic.len(),
            ranks.len(),
            rule.window
        )));
    }
    let mut points: Vec<(usize, f64)> = ranks.iter().copied().zip(cophenetic.iter().copied()).collect();
    points.sort_by_key(|point| point.0);
    let n = points.len();
    if n == 1 {
        return Ok((points[0].0, false));
    }
    let fall = |i: usize, by: usize| (i + by < n).then(|| (points[i].1 - points[i + by].1) / by as f64);
    let score = |i: usize| {
        let next = fall(i, 1);
        let far = fall(i, rule.window).or(next);
        next.zip(far).map(|(next, far)| rule.weight * next + (1.0 - rule.weight) * far).filter(|s| !s.is_nan())
    };
    let candidates: Vec<usize> =
        (0..n).filter(|&i| points[i].1 > rule.threshold && points[i].0 >= rule.min_rank).collect();
    let Some(&first) = candidates.first() else {
        let known = (0..n).filter(|&i| !points[i].1.is_nan());
        let best = known.reduce(|best, i| if points[i].1 > points[best].1 { i } else { best }).unwrap_or(0);
        return Ok((points[best].0, true));
    };
    let better = |best: usize, i: usize| match (score(best), score(i)) {
        (Some(a), Some(b)) if b > a => i,
        (None, Some(_)) => i,
        _ => best,
    };
    Ok((points[candidates.into_iter().fold(first, better)].0, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_fall_wins() -> Result<()> {
        let ranks = [4, 5, 6, 7, 8, 9];
        let coph = [0.99, 0.985, 0.97, 0.96, 0.94, 0.90];
        assert_eq!(select_rank(&coph, &ranks, &RankRule::default())?, (7, false));
        assert_eq!(select_rank(&[0.9, 0.8], &[2, 3], &RankRule::default())?, (2, true));
        assert!(select_rank(&[0.9], &[2, 3], &RankRule::default()).is_err());
        Ok(())
    }
}
