//! [`gene_set_test`]: whether a set stands out among statistics of all genes, taken as independent.

use ferrocyte_base::{Fault, Result, Run, choice};
use ferrocyte_math::random::Stream;

use super::rank_sum::{RankSum, check};

/// Random sets that are drawn at a time.
const DRAWS: usize = 256;

choice! {
    /// In which direction a set stands out.
    Alternative, "alternative" {
        /// Large absolute statistics.
        Mixed = "mixed",
        /// Large or small statistics, all in one direction.
        Either = "either",
        /// Small statistics.
        Down = "down",
        /// Large statistics.
        Up = "up",
    }
}

choice! {
    /// What the sign of a statistic means.
    StatisticKind, "type" {
        /// A statistic with a sign if any is negative, else one without.
        Auto = "auto",
        /// A sign: direction.
        T = "t",
        /// No sign: F statistics.
        F = "f",
    }
}

/// Options of [`gene_set_test`].
#[derive(Debug, Clone, Copy)]
pub struct GeneSetTestOptions {
    /// In which direction the set stands out.
    pub alternative: Alternative,
    /// What the sign of a statistic means.
    pub kind: StatisticKind,
    /// Whether ranks are compared (Wilcoxon's test) rather than means of random sets.
    pub ranks_only: bool,
    /// Number of random sets.
    pub n_draws: usize,
    /// What the random sets depend on.
    pub seed: u64,
}

/// The p-value of a set among the statistics of all genes.
///
/// # Errors
/// Where a statistic is NaN, the set is empty or has every gene, or a direction is asked of statistics without a sign.
pub fn gene_set_test(run: &Run, statistics: &[f64], set: &[usize], options: &GeneSetTestOptions) -> Result<f64> {
    check(set.len(), statistics)?;
    let one_sided = statistics.iter().all(|&x| x >= 0.0) || statistics.iter().all(|&x| x <= 0.0);
    let unsigned = match options.kind {
        StatisticKind::F => true,
        StatisticKind::T => false,
        StatisticKind::Auto => one_sided,
    };
    if unsigned && options.alternative != Alternative::Mixed {
        return Err(Fault::bad_input(format!("`{}` for statistics without a sign", options.alternative.word()))
            .at("alternative")
            .hint("take \"mixed\", or type=\"t\" if they have a direction"));
    }
    let turned: Vec<f64> = match options.alternative {
        Alternative::Mixed => statistics.iter().map(|x| x.abs()).collect(),
        Alternative::Down => statistics.iter().map(|x| -x).collect(),
        Alternative::Up | Alternative::Either => statistics.to_vec(),
    };
    if options.ranks_only {
        let (less, greater) = RankSum::new(&turned).test(set, 0.0, f64::INFINITY);
        return Ok(if options.alternative == Alternative::Either { 2.0 * less.min(greater) } else { greater });
    }
    let size = |mean: f64| if options.alternative == Alternative::Either { mean.abs() } else { mean };
    let observed = size(mean(&turned, set.iter().copied()));
    let counts = run.map_ranges("random sets", options.n_draws, DRAWS, |range| {
        let mut genes: Vec<usize> = (0..turned.len()).collect();
        let mut count = 0_usize;
        for draw in range {
            let mut stream = Stream::new(options.seed, draw as u64);
            // The first steps of a shuffle; where it starts from does not matter only if each draw starts anew.
            let mut swaps = Vec::with_capacity(set.len());
            for i in 0..set.len() {
                let j = i + stream.below(genes.len() - i);
                genes.swap(i, j);
                swaps.push((i, j));
            }
            count += usize::from(size(mean(&turned, genes[..set.len()].iter().copied())) >= observed);
            swaps.iter().rev().for_each(|&(i, j)| genes.swap(i, j));
        }
        Ok(count)
    })?;
    Ok((counts.iter().sum::<usize>() as f64 + 1.0) / (options.n_draws as f64 + 1.0))
}

fn mean(statistics: &[f64], genes: impl ExactSizeIterator<Item = usize>) -> f64 {
    let n = genes.len() as f64;
    genes.map(|g| statistics[g]).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: GeneSetTestOptions = GeneSetTestOptions {
        alternative: Alternative::Up,
        kind: StatisticKind::Auto,
        ranks_only: false,
        n_draws: 20_000,
        seed: 3,
    };

    /// All sets of two out of eight.
    #[test]
    fn random_sets_are_all_sets() -> Result<()> {
        let statistics = [0.5, 2.0, -1.0, 0.7, -0.2, 0.1, 1.4, -3.0];
        let set = [1, 3];
        let mut reached = 0.0;
        for a in 0..8 {
            for b in a + 1..8 {
                reached += f64::from(u8::from(statistics[a] + statistics[b] >= 2.7));
            }
        }
        let run = Run::new();
        let p = gene_set_test(&run, &statistics, &set, &OPTIONS)?;
        assert!((p - reached / 28.0).abs() < 0.01, "{p} {}", reached / 28.0);
        assert_eq!(p, gene_set_test(&run.threads(3), &statistics, &set, &OPTIONS)?);
        Ok(())
    }

    #[test]
    fn directions() -> Result<()> {
        let statistics: Vec<f64> = (0..30).map(|i| f64::from(i) - 14.7).collect();
        let set: Vec<usize> = (24..30).collect();
        let p = |alternative| {
            let options = GeneSetTestOptions { alternative, ranks_only: true, ..OPTIONS };
            gene_set_test(&Run::new(), &statistics, &set, &options)
        };
        let (up, down, either) = (p(Alternative::Up)?, p(Alternative::Down)?, p(Alternative::Either)?);
        assert!(up < 0.001 && down > 0.99 && (either - 2.0 * up).abs() < 1e-15 && p(Alternative::Mixed)? < 0.02);
        let positive: Vec<f64> = statistics.iter().map(|x| x.abs()).collect();
        assert!(gene_set_test(&Run::new(), &positive, &set, &OPTIONS).is_err());
        Ok(())
    }
}
