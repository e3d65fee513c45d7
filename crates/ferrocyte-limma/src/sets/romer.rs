//! [`romer`]: a competitive test by rotation, on the ranks of moderated t.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Fault, Result, Run, choice};
use ferrocyte_math::linalg::{Matrix, dot, product};
use ferrocyte_math::squeeze_var::Hyper;
use ferrocyte_math::true_null::{TrueNull, prop_true_null};
use ferrocyte_math::wide::{self, Kernel};

use super::effects::{Effects, Prior};
use super::gene_sets::GeneSets;
use super::romer_ranks::Ranker;
use super::rotations::{directions, unrotated};
use crate::Fit;
use crate::moderate::{EBayesOptions, Moderated, Moderation, Trend, e_bayes};

/// Rotations that are worked on at a time: their statistics of all genes fit a processor's cache.
const ROTATIONS: usize = 8;

choice! {
    /// How the ranks of the genes of a set are put together.
    RankStatistic, "set_statistic" {
        /// The mean rank.
        Mean = "mean",
        /// The mean rank, ranks below the middle counting as the middle.
        FloorMean = "floormean",
        /// The mean of the upper half of the ranks.
        Mean50 = "mean50",
    }
}

/// Options of [`romer`].
#[derive(Debug, Clone, Copy)]
pub struct RomerOptions {
    /// How the ranks of the genes of a set are put together.
    pub statistic: RankStatistic,
    /// The prior of the residual variances.
    pub prior: Prior,
    /// Number of rotations.
    pub n_rotations: usize,
    /// Whether effects that are probably real are shrunk before they are rotated.
    pub shrink: bool,
    /// What the rotations depend on.
    pub seed: u64,
}

/// Competitive tests by rotation, one entry per set: one-sided p-values.
#[derive(Debug, Clone, PartialEq)]
pub struct RomerTable {
    /// Numbers of genes.
    pub n_genes: Vec<usize>,
    /// Genes of the set rise.
    pub up: Vec<f64>,
    /// Genes of the set fall.
    pub down: Vec<f64>,
    /// Genes of the set change, in any direction.
    pub mixed: Vec<f64>,
}

/// Do the genes of a set rank among those that change most? (Majewski et al. 2010.)
///
/// # Errors
/// Without rotations, or where no prior can be fitted.
pub fn romer(run: &Run, effects: &Effects, sets: &GeneSets, options: &RomerOptions) -> Result<RomerTable> {
    if options.n_rotations == 0 {
        return Err(Fault::bad_input("0 rotations").at("nrot").hint("9999 are usual"));
    }
    let squeezed = effects.squeeze(run, options.prior)?;
    let mut all = AllGenes::new(effects, &squeezed.var_prior, &squeezed.df_prior);
    let (genes, compact) = sets.compact(effects.n_genes());
    let observed = {
        let values = all.signed(&unrotated(effects.df() + 1));
        Ranked::new(&mut Ranker::new(), &values, &genes).all_sets(&compact, options.statistic, effects.n_genes())
    };
    if options.shrink {
        for (e, factor) in all.contrasts().iter_mut().zip(shrinkage(run, effects, options.prior)?) {
            *e *= factor;
        }
    }
    let parts = run.map_ranges("rotations", options.n_rotations, ROTATIONS, |range| {
        let values = all.signed(&directions(options.seed, range, effects.df() + 1));
        let mut ranker = Ranker::new();
        let mut counts = vec![[0_u64; 3]; compact.len()];
        for rotation in values.chunks_exact(effects.n_genes()) {
            let ranked = Ranked::new(&mut ranker, rotation, &genes);
            let found = ranked.all_sets(&compact, options.statistic, effects.n_genes());
            for ((counts, found), observed) in counts.iter_mut().zip(found).zip(&observed) {
                for k in 0..3 {
                    counts[k] += u64::from(found[k] >= observed[k]);
                }
            }
        }
        Ok(counts)
    })?;
    let p = |s: usize, k: usize| {
        let count: u64 = parts.iter().map(|counts| counts[s][k]).sum();
        (count as f64 + 1.0) / (options.n_rotations as f64 + 1.0)
    };
    let column = |k: usize| (0..sets.len()).map(|s| p(s, k)).collect();
    Ok(RomerTable { n_genes: sets.sizes(), up: column(0), down: column(1), mixed: column(2) })
}

/// What the contrast of each gene is multiplied by: `sqrt(v1 / (v1 + v0 q))` with `q` the probability that the gene changes
/// and `v1`, `v0` the unscaled variances of estimates and of changes.
fn shrinkage(run: &Run, effects: &Effects, prior: Prior) -> Result<Vec<f64>> {
    let fit = as_fit(effects);
    let moderated = moderated(run, &fit, prior, EBayesOptions::default().proportion)?;
    let share = 1.0 - prop_true_null(moderated.p_value.entries(), TrueNull::Lfdr)?;
    if !(share > 0.0) {
        return Ok(vec![1.0; effects.n_genes()]);
    }
    let moderated = self::moderated(run, &fit, prior, share.min(1.0 - f64::EPSILON))?;
    let Some(odds) = moderated.odds else { return Ok(vec![1.0; effects.n_genes()]) };
    let v0 = odds.var_prior[0];
    let factor = |g: usize| {
        let v1 = effects.stdev_unscaled.at(g).powi(2);
        let q = 1.0 / (1.0 + (-odds.lods[(g, 0)]).exp());
        (v1 / (v1 + v0 * q)).sqrt()
    };
    Ok((0..effects.n_genes()).map(factor).collect())
}

fn moderated(run: &Run, fit: &Fit, prior: Prior, proportion: f64) -> Result<Moderated> {
    let trend = if prior.trend { Trend::Mean } else { Trend::None };
    let moderation = Moderation { trend, robust: prior.robust, ..Moderation::default() };
    e_bayes(run, fit, &EBayesOptions { proportion, moderation, ..EBayesOptions::default() })
}

/// The contrast as the only coefficient of a fit.
fn as_fit(effects: &Effects) -> Fit {
    let n = effects.n_genes();
    let stdev: Vec<f64> = (0..n).map(|g| effects.stdev_unscaled.at(g)).collect();
    let variance = stdev.first().map_or(1.0, |s| s * s);
    Fit {
        coefficients: Matrix::from_rows(n, 1, (0..n).map(|g| effects.contrast(g) * stdev[g]).collect()),
        stdev_unscaled: Matrix::from_rows(n, 1, stdev),
        sigma: effects.variances().into_iter().map(f64::sqrt).collect(),
        df_residual: vec![effects.df() as f64; n],
        cov_coefficients: Matrix::from_rows(1, 1, vec![variance]),
        rank: 1,
        pivot: vec![0],
        amean: effects.means.clone(),
        gene_covariances: None,
        names: vec!["contrast".to_owned()],
    }
}

/// Effects of all genes, effects × genes, and what their variances are moderated by.
struct AllGenes {
    effects: Matrix,
    total: Vec<f64>,
    counts: Vec<f64>,
    prior: Vec<f64>,
    divisor: Vec<f64>,
}

impl AllGenes {
    fn new(effects: &Effects, var_prior: &Hyper, df_prior: &Hyper) -> Self {
        let d = effects.df() as f64;
        let n = effects.n_genes();
        let mut all = Self {
            effects: effects.values.transpose(),
            total: Vec::with_capacity(n),
            counts: Vec::with_capacity(n),
            prior: Vec::with_capacity(n),
            divisor: Vec::with_capacity(n),
        };
        for g in 0..n {
            let row = effects.values.row(g);
            let moderation = super::rotations::Moderation::new(dot(row, row), d, var_prior.at(g), df_prior.at(g));
            all.total.push(moderation.total);
            all.counts.push(moderation.counts);
            all.prior.push(moderation.prior);
            all.divisor.push(moderation.divisor);
        }
        all
    }

    /// The effects of the contrast.
    fn contrasts(&mut self) -> &mut [f64] {
        self.effects.row_mut(0)
    }

    /// Squares of moderated t with the sign of t, directions × genes: they rank as t does.
    fn signed(&self, directions: &Matrix) -> Vec<f64> {
        let (width, rows) = (self.effects.n_rows(), directions.n_cols());
        let mut out = vec![0.0; rows * self.effects.n_cols()];
        product(directions.transpose().entries(), width, &self.effects, &mut out);
        wide::widest(SignedSquares { values: &mut out, genes: self });
        out
    }
}

struct SignedSquares<'a> {
    values: &'a mut [f64],
    genes: &'a AllGenes,
}

impl Kernel for SignedSquares<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let n = self.genes.total.len();
        let (total, counts) = (&self.genes.total[..n], &self.genes.counts[..n]);
        let (prior, divisor) = (&self.genes.prior[..n], &self.genes.divisor[..n]);
        for row in self.values.chunks_exact_mut(n) {
            for g in 0..n {
                let e = row[g];
                let square = e * e;
                let left = total[g] - square;
                let left = if left > 0.0 { left } else { 0.0 };
                let t2 = square * divisor[g] / (counts[g] * left + prior[g]);
                let t2 = if square > 0.0 { t2 } else { 0.0 };
                row[g] = if e < 0.0 { -t2 } else { t2 };
            }
        }
    }
}

/// Ranks of the genes that are in sets, doubled: whole numbers also for ties.
struct Ranked {
    signed: Vec<u64>,
    size: Vec<u64>,
}

impl Ranked {
    fn new(ranker: &mut Ranker, values: &[f64], genes: &[usize]) -> Self {
        ranker.fill(values);
        let (signed, size) = genes.iter().map(|&g| ranker.twice(values[g])).unzip();
        Self { signed, size }
    }

    /// Sums over each set for rising, falling and changing genes, among `n` genes.
    fn all_sets(&self, sets: &GeneSets, statistic: RankStatistic, n: usize) -> Vec<[u64; 3]> {
        let last = 2 * (n as u64 + 1);
        let mut members = Vec::new();
        sets.iter()
            .map(|set| {
                let mut sum = |rank: &dyn Fn(usize) -> u64| match statistic {
                    RankStatistic::Mean => set.iter().map(|&g| rank(g)).sum(),
                    RankStatistic::FloorMean => set.iter().map(|&g| rank(g).max(last / 2)).sum(),
                    RankStatistic::Mean50 => {
                        members.clear();
                        members.extend(set.iter().map(|&g| rank(g)));
                        members.sort_unstable();
                        members[set.len() / 2..].iter().sum::<u64>()
                    }
                };
                [sum(&|g| self.signed[g]), sum(&|g| last - self.signed[g]), sum(&|g| self.size[g])]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_math::ranks;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    const GENES: usize = 80;
    const OPTIONS: RomerOptions = RomerOptions {
        statistic: RankStatistic::Mean,
        prior: Prior { trend: false, robust: false },
        n_rotations: 400,
        shrink: true,
        seed: 2,
    };

    fn effects() -> Effects {
        let mut stream = Stream::new(21, 0);
        let values: Vec<f64> =
            (0..GENES * 6).map(|i| stream.normal() + if i % 6 == 0 && i < 60 { 2.0 } else { 0.0 }).collect();
        let means = vec![0.0; GENES];
        Effects { values: Matrix::from_rows(GENES, 6, values), stdev_unscaled: Hyper::Common(0.5), means }
    }

    fn sets() -> Result<GeneSets> {
        let names = ["up", "one", "other"].map(String::from).to_vec();
        GeneSets::new(names, &[(0..10).collect(), vec![40], (30..55).collect()], GENES)
    }

    /// Rotation by rotation, with ranks by sorting and the formula of the moderated variance.
    #[test]
    fn p_values_are_those_of_the_definition() -> Result<()> {
        let (effects, sets) = (effects(), sets()?);
        let run = Run::new();
        let options = RomerOptions { shrink: false, ..OPTIONS };
        let found = romer(&run, &effects, &sets, &options)?;
        let squeezed = effects.squeeze(&run, Prior::default())?;
        let statistics = |direction: &dyn Fn(usize) -> f64| -> Vec<[f64; 3]> {
            let t: Vec<f64> = (0..GENES)
                .map(|g| {
                    let row = effects.values.row(g);
                    let e: f64 = (0..6).map(|k| row[k] * direction(k)).sum();
                    let (d0, s0) = (squeezed.df_prior.at(g), squeezed.var_prior.at(g));
                    let left = dot(row, row) - e * e;
                    let variance = if d0.is_infinite() { s0 } else { (left + d0 * s0) / (5.0 + d0) };
                    e / variance.sqrt()
                })
                .collect();
            let (up, size) = (ranks::average(&t), ranks::average(&t.iter().map(|t| t.abs()).collect::<Vec<_>>()));
            sets.iter()
                .map(|set| {
                    let mean = |f: &dyn Fn(usize) -> f64| set.iter().map(|&g| f(g)).sum::<f64>();
                    [mean(&|g| up[g]), mean(&|g| GENES as f64 + 1.0 - up[g]), mean(&|g| size[g])]
                })
                .collect()
        };
        let observed = statistics(&|k| if k == 0 { 1.0 } else { 0.0 });
        let mut counts = [[0.0; 3]; 3];
        let rotations = directions(2, 0..400, 6);
        for r in 0..400 {
            for (s, rotated) in statistics(&|k| rotations[(k, r)]).iter().enumerate() {
                for k in 0..3 {
                    counts[s][k] += f64::from(u8::from(rotated[k] >= observed[s][k]));
                }
            }
        }
        for s in 0..3 {
            let expected = counts[s].map(|c| (c + 1.0) / 401.0);
            assert_eq!([found.up[s], found.down[s], found.mixed[s]], expected, "{s}");
        }
        Ok(())
    }

    #[test]
    fn shrinkage_and_statistics() -> Result<()> {
        let (effects, sets) = (effects(), sets()?);
        let run = Run::new().threads(1);
        for statistic in [RankStatistic::Mean, RankStatistic::FloorMean, RankStatistic::Mean50] {
            let options = RomerOptions { statistic, ..OPTIONS };
            let found = romer(&run, &effects, &sets, &options)?;
            assert!(found.up[0] < 0.02 && found.mixed[0] < 0.05, "{found:?}");
            let p_values = |table: &RomerTable| [&table.up[..], &table.down, &table.mixed].concat();
            assert_same_bits_over_runs(|run| romer(run, &effects, &sets, &options), p_values)?;
        }
        let factors = shrinkage(&run, &effects, Prior::default())?;
        assert!(factors.iter().all(|&f| f > 0.0 && f <= 1.0) && factors[0] < factors[60]);
        assert!(romer(&run, &effects, &sets, &RomerOptions { n_rotations: 0, ..OPTIONS }).is_err());
        Ok(())
    }
}
