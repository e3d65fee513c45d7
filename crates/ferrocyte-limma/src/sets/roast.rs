//! [`mroast`]: self-contained tests by rotation, one set of rotations for all sets.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::multiple::Adjust;
use ferrocyte_math::squeeze_var::Hyper;
use ferrocyte_math::wide::{self, Kernel};
use ferrocyte_math::z_score::{Approximation, z_score_t};

use super::effects::{Effects, Prior};
use super::gene_sets::GeneSets;
use super::roast_statistic::{SetStatistic, SetSums};
use super::rotations::{Moderation, ROTATIONS, Rotatable, directions, unrotated};

/// Degrees of freedom above which t is taken for normal: where Bailey's formula stops being accurate.
const LARGEST_DF: f64 = 10_000.0;

/// Options of [`mroast`].
#[derive(Debug, Clone, Copy)]
pub struct RoastOptions<'a> {
    /// How the genes of a set are put together.
    pub statistic: SetStatistic,
    /// What each gene counts in its sets, with a sign; all alike without them.
    pub gene_weights: Option<&'a [f64]>,
    /// How the prior of the residual variances is estimated from all genes.
    pub prior: Prior,
    /// A prior variance that is known, and its degrees of freedom.
    pub known_prior: Option<(f64, f64)>,
    /// Number of rotations.
    pub n_rotations: usize,
    /// Whether t becomes normal by Bailey's formula rather than by tail probabilities.
    pub approximate: bool,
    /// How the p-values of several sets are adjusted.
    pub adjust: Adjust,
    /// Whether p-values half a rotation smaller are adjusted.
    pub mid_p: bool,
    /// What the rotations depend on.
    pub seed: u64,
}

/// Self-contained tests by rotation, one entry per set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoastTable {
    /// Numbers of genes.
    pub n_genes: Vec<usize>,
    /// Share of genes that fall: deviates below the root of 2.
    pub prop_down: Vec<f64>,
    /// Share of genes that rise.
    pub prop_up: Vec<f64>,
    /// One-sided p-values of falling.
    pub p_down: Vec<f64>,
    /// One-sided p-values of rising.
    pub p_up: Vec<f64>,
    /// Two-sided p-values.
    pub p_value: Vec<f64>,
    /// Two-sided p-values, adjusted.
    pub fdr: Vec<f64>,
    /// p-values of effects in any direction.
    pub p_value_mixed: Vec<f64>,
    /// p-values of effects in any direction, adjusted.
    pub fdr_mixed: Vec<f64>,
}

/// Do the genes of a set respond to the contrast? (Wu et al. 2010.)
///
/// The effects of all genes are rotated alike, which keeps their correlation, and the statistic of each set is compared
/// with what random rotations give. All sets see the same rotations: one product for all genes, then sums.
///
/// # Errors
/// Without rotations, or where weights do not fit.
pub fn mroast(run: &Run, effects: &Effects, sets: &GeneSets, options: &RoastOptions<'_>) -> Result<RoastTable> {
    if options.n_rotations == 0 {
        return Err(Fault::bad_input("0 rotations").at("nrot").hint("1999 are usual"));
    }
    check_weights(options.gene_weights, effects.n_genes())?;
    let (var_prior, df_prior) = match options.known_prior {
        Some((variance, df)) => (Hyper::Common(variance), Hyper::Common(df)),
        None => {
            let squeezed = effects.squeeze(run, options.prior)?;
            (squeezed.var_prior, squeezed.df_prior)
        }
    };
    let (genes, sets) = sets.compact(effects.n_genes());
    let weights: Option<Vec<f64>> = options.gene_weights.map(|w| genes.iter().map(|&g| w[g]).collect());
    let tests = Tests {
        genes: Rotatable::new(effects, &genes, &var_prior, &df_prior),
        sets: &sets,
        weights: weights.as_deref(),
        statistic: options.statistic,
        approximate: options.approximate,
    };
    let deviates = tests.deviates(&unrotated(tests.genes.width()));
    let observed = tests.observed(&deviates);
    let parts = run.map_ranges("rotations", options.n_rotations, ROTATIONS, |range| {
        let directions = directions(options.seed, range, tests.genes.width());
        Ok(tests.count(&directions, &observed))
    })?;
    let mut counts = vec![Counts::default(); sets.len()];
    for part in parts {
        counts.iter_mut().zip(part).for_each(|(sum, add)| sum.add(add));
    }
    Ok(tests.table(&deviates, &counts, options))
}

fn check_weights(weights: Option<&[f64]>, n_genes: usize) -> Result<()> {
    let Some(weights) = weights else { return Ok(()) };
    if weights.len() != n_genes {
        return Err(Fault::bad_input(format!("{} weights for {n_genes} genes", weights.len())).at("gene_weights"));
    }
    match weights.iter().position(|w| !w.is_finite()) {
        Some(g) => Err(Fault::bad_input(format!("the weight of gene {} is {}", g + 1, weights[g])).at("gene_weights")),
        None => Ok(()),
    }
}

/// How many rotations reach what was observed.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    down: u64,
    up: u64,
    either: u64,
    mixed: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.down += other.down;
        self.up += other.up;
        self.either += other.either;
        self.mixed += other.mixed;
    }
}

/// What was observed of one set.
#[derive(Debug, Clone, Copy)]
struct Observed {
    down: f64,
    up: f64,
    either: f64,
    mixed: f64,
}

/// The genes of all sets, and what is made of them.
struct Tests<'a> {
    genes: Rotatable,
    sets: &'a GeneSets,
    weights: Option<&'a [f64]>,
    statistic: SetStatistic,
    approximate: bool,
}

impl Tests<'_> {
    /// Moderated statistics of rotated genes as normal deviates, genes × directions.
    fn deviates(&self, directions: &Matrix) -> Vec<f64> {
        let mut values = self.genes.rotate(directions);
        let columns = directions.n_cols();
        if self.approximate {
            wide::widest(Deviates { values: &mut values, columns, moderation: &self.genes.moderation });
            return values;
        }
        for (row, moderation) in values.chunks_exact_mut(columns).zip(&self.genes.moderation) {
            for e in row {
                let t = moderation.t_squared(*e).sqrt().copysign(*e);
                *e = z_score_t(t, moderation.df, Approximation::Exact);
            }
        }
        values
    }

    fn observed(&self, deviates: &[f64]) -> Vec<Observed> {
        let mut sums = SetSums::default();
        self.sets
            .iter()
            .map(|set| {
                sums.fill(self.statistic, deviates, 1, set, self.weights);
                Observed { down: sums.down[0], up: sums.up[0], either: sums.either(0), mixed: sums.mixed[0] }
            })
            .collect()
    }

    fn count(&self, directions: &Matrix, observed: &[Observed]) -> Vec<Counts> {
        let deviates = self.deviates(directions);
        let mut sums = SetSums::default();
        let reach = |found: f64, observed: f64| u64::from(found > observed);
        self.sets
            .iter()
            .zip(observed)
            .map(|(set, observed)| {
                sums.fill(self.statistic, &deviates, directions.n_cols(), set, self.weights);
                let mut counts = Counts::default();
                for b in 0..directions.n_cols() {
                    // A direction and its opposite are equally likely: each counts for both.
                    let (up, down) = (sums.up[b], sums.down[b]);
                    counts.add(Counts {
                        down: reach(up, observed.down) + reach(down, observed.down),
                        up: reach(up, observed.up) + reach(down, observed.up),
                        either: reach(sums.either(b), observed.either),
                        mixed: reach(sums.mixed[b], observed.mixed),
                    });
                }
                counts
            })
            .collect()
    }

    fn table(&self, deviates: &[f64], counts: &[Counts], options: &RoastOptions<'_>) -> RoastTable {
        let n = options.n_rotations as f64;
        let p = |count: u64, n: f64| (count as f64 + 1.0) / (n + 1.0);
        let mut table = RoastTable { n_genes: self.sets.sizes(), ..RoastTable::default() };
        for (set, counts) in self.sets.iter().zip(counts) {
            let sign = |g: usize| self.weights.map_or(1.0, |w| if w[g] == 0.0 { 0.0 } else { w[g].signum() });
            let counted: f64 = set.iter().map(|&g| sign(g).abs()).sum();
            let beyond = |side: f64| {
                let beyond = |g: &&usize| side * sign(**g) * deviates[**g] > std::f64::consts::SQRT_2;
                set.iter().filter(beyond).count() as f64 / counted
            };
            table.prop_down.push(beyond(-1.0));
            table.prop_up.push(beyond(1.0));
            table.p_down.push(p(counts.down, 2.0 * n));
            table.p_up.push(p(counts.up, 2.0 * n));
            // The mean is symmetric: both of its tails were counted already.
            let either = if self.statistic == SetStatistic::Mean { counts.up.min(counts.down) } else { counts.either };
            table.p_value.push(p(either, n));
            table.p_value_mixed.push(p(counts.mixed, n));
        }
        table.fdr = adjusted(&table.p_value, options);
        table.fdr_mixed = adjusted(&table.p_value_mixed, options);
        table
    }
}

/// Adjusted p-values, none below what it was.
fn adjusted(p: &[f64], options: &RoastOptions<'_>) -> Vec<f64> {
    if !options.mid_p {
        return options.adjust.adjust(p);
    }
    let half = 0.5 / (options.n_rotations as f64 + 1.0);
    let mid: Vec<f64> = p.iter().map(|p| p - half).collect();
    options.adjust.adjust(&mid).into_iter().zip(p).map(|(adjusted, &p)| adjusted.max(p)).collect()
}

/// Turns rotated effects into normal deviates: moderated t, then Bailey's formula.
struct Deviates<'a> {
    values: &'a mut [f64],
    columns: usize,
    moderation: &'a [Moderation],
}

impl Kernel for Deviates<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (row, moderation) in self.values.chunks_exact_mut(self.columns).zip(self.moderation) {
            let df = if moderation.df < LARGEST_DF { moderation.df } else { LARGEST_DF };
            let scale = (df + 0.125) / (df + 1.125) * (df + 19.0 / 12.0).sqrt();
            let over = 1.0 / (df + 1.0 / 12.0);
            let moderation = *moderation;
            for e in row {
                let z = scale * wide::ln_1p(moderation.t_squared(*e) * over).sqrt();
                *e = if *e < 0.0 { -z } else { z };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_math::student_t;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    const OPTIONS: RoastOptions<'_> = RoastOptions {
        statistic: SetStatistic::Mean,
        gene_weights: None,
        prior: Prior { trend: false, robust: false },
        known_prior: None,
        n_rotations: 4000,
        approximate: true,
        adjust: Adjust::BenjaminiHochberg,
        mid_p: true,
        seed: 1,
    };

    fn effects() -> Effects {
        let mut stream = Stream::new(11, 0);
        let values: Vec<f64> =
            (0..50 * 7).map(|i| stream.normal() + if i % 7 == 0 && i < 70 { 2.0 } else { 0.0 }).collect();
        Effects { values: Matrix::from_rows(50, 7, values), stdev_unscaled: Hyper::Common(1.0), means: vec![0.0; 50] }
    }

    fn sets() -> Result<GeneSets> {
        let names = ["up", "one", "other", "all"].map(String::from).to_vec();
        GeneSets::new(names, &[(0..10).collect(), vec![3], (20..45).collect(), (0..50).collect()], 50)
    }

    #[test]
    fn one_gene_without_prior_has_a_t_test() -> Result<()> {
        let effects = effects();
        for statistic in [SetStatistic::Mean, SetStatistic::Mean50, SetStatistic::MeanSquare] {
            let options = RoastOptions { statistic, known_prior: Some((1.0, 0.0)), ..OPTIONS };
            let table = mroast(&Run::new(), &effects, &sets()?, &options)?;
            let t = effects.contrast(3) / effects.variances()[3].sqrt();
            let expected = student_t::two_sided(t, 6.0);
            assert!((table.p_value[1] - expected).abs() < 0.03, "{} {expected}", table.p_value[1]);
            assert!((table.p_value_mixed[1] - expected).abs() < 0.03);
            assert!((table.p_up[1] - 0.5 * expected).abs() < 0.03 || (table.p_down[1] - 0.5 * expected).abs() < 0.03);
        }
        Ok(())
    }

    #[test]
    fn threads_and_company_change_nothing() -> Result<()> {
        let (effects, sets) = (effects(), sets()?);
        for statistic in [SetStatistic::Mean, SetStatistic::FloorMean, SetStatistic::Mean50] {
            let options = RoastOptions { statistic, n_rotations: 500, ..OPTIONS };
            let p_values = |table: &RoastTable| [&table.p_value[..], &table.p_value_mixed, &table.p_up].concat();
            assert_same_bits_over_runs(|run| mroast(run, &effects, &sets, &options), p_values)?;
            let one = mroast(&Run::new(), &effects, &sets, &options)?;
            let alone = GeneSets::new(vec!["up".into()], &[sets[0].to_vec()], 50)?;
            let alone = mroast(&Run::new(), &effects, &alone, &options)?;
            assert_eq!((alone.p_value[0], alone.p_value_mixed[0]), (one.p_value[0], one.p_value_mixed[0]));
        }
        Ok(())
    }

    #[test]
    fn negative_weights_turn_genes() -> Result<()> {
        let effects = effects();
        let weights = [-1.0; 50];
        let options = RoastOptions { n_rotations: 500, ..OPTIONS };
        let plain = mroast(&Run::new(), &effects, &sets()?, &options)?;
        let turned =
            mroast(&Run::new(), &effects, &sets()?, &RoastOptions { gene_weights: Some(&weights), ..options })?;
        assert_eq!((plain.p_up, plain.p_down, &plain.prop_up), (turned.p_down, turned.p_up, &turned.prop_down));
        assert_eq!(plain.p_value, turned.p_value);
        assert!(plain.p_value[0] < 0.05 && plain.prop_up[0] > 0.2, "{:?}", plain.p_value);
        Ok(())
    }

    #[test]
    fn formula_and_tails_agree() -> Result<()> {
        let effects = effects();
        let options = RoastOptions { n_rotations: 300, ..OPTIONS };
        let formula = mroast(&Run::new(), &effects, &sets()?, &options)?;
        let tails = mroast(&Run::new(), &effects, &sets()?, &RoastOptions { approximate: false, ..options })?;
        for (a, b) in formula.p_value.iter().zip(&tails.p_value) {
            assert!((a - b).abs() < 0.02, "{a} {b}");
        }
        assert!(mroast(&Run::new(), &effects, &sets()?, &RoastOptions { n_rotations: 0, ..options }).is_err());
        Ok(())
    }
}
