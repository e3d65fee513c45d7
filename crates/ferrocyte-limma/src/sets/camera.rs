//! [`camera`]: a competitive test that allows for correlation between the genes of a set.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::multiple::benjamini_hochberg;
use ferrocyte_math::student_t;
use ferrocyte_math::z_score::{Approximation, z_score_t};

use super::correlation::{Standardised, correlation_of};
use super::effects::{Effects, Prior};
use super::gene_sets::GeneSets;
use super::rank_sum::{self, RankSum};

/// The correlation between the genes of a set.
#[derive(Debug, Clone, PartialEq)]
pub enum Correlations {
    /// Known, one number per set.
    Known(Vec<f64>),
    /// Estimated from the residuals of the genes of each set.
    Estimated,
}

impl Correlations {
    fn check(&self, sets: &GeneSets) -> Result<()> {
        let Self::Known(given) = self else { return Ok(()) };
        if given.len() != sets.len() {
            return Err(Fault::bad_input(format!("{} correlations for {} sets", given.len(), sets.len()))
                .at("inter_gene_cor")
                .hint("give one number, or one per set"));
        }
        if let Some(s) = given.iter().position(|rho| !(rho.abs() < 1.0)) {
            let name = &sets.names()[s];
            return Err(Fault::bad_input(format!("{} is no correlation below 1, for set `{name}`", given[s]))
                .at("inter_gene_cor"));
        }
        Ok(())
    }
}

/// Options of [`camera`].
#[derive(Debug, Clone)]
pub struct CameraOptions {
    /// Whether genes are compared by the ranks of their statistics.
    pub use_ranks: bool,
    /// Whether a correlation below zero counts; otherwise it is taken for zero.
    pub allow_negative: bool,
    /// The correlation between the genes of a set.
    pub correlations: Correlations,
    /// The prior of the residual variances.
    pub prior: Prior,
}

/// Competitive tests of sets, one entry per set.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraTable {
    /// Numbers of genes.
    pub n_genes: Vec<usize>,
    /// The correlation between the genes of each set; NaN where it is estimated from one gene.
    pub correlation: Vec<f64>,
    /// Whether the genes of the set have larger statistics than the others, rather than smaller ones.
    pub up: Vec<bool>,
    /// Two-sided p-values.
    pub p_value: Vec<f64>,
    /// p-values adjusted by Benjamini and Hochberg.
    pub fdr: Vec<f64>,
}

/// Do the genes of a set rise or fall with the contrast more than the other genes? (Wu and Smyth 2012.)
///
/// Moderated t statistics become normal deviates (Hill 1970), and the mean of the set is compared with that of the other
/// genes; its variance is inflated by the correlation between the genes.
///
/// # Errors
/// Where a set has every gene, or correlations do not fit.
pub fn camera(run: &Run, effects: &Effects, sets: &GeneSets, options: &CameraOptions) -> Result<CameraTable> {
    options.correlations.check(sets)?;
    let squeezed = effects.squeeze(run, options.prior)?;
    let (d, n_genes) = (effects.df() as f64, effects.n_genes());
    let statistic: Vec<f64> = (0..n_genes)
        .map(|g| {
            let t = effects.contrast(g) / squeezed.var_post[g].sqrt();
            let df = (d + squeezed.df_prior.at(g)).min(n_genes as f64 * d);
            if options.use_ranks { t } else { z_score_t(t, df, Approximation::Hill) }
        })
        .collect();
    let known = matches!(options.correlations, Correlations::Known(_));
    let df = match (known, options.use_ranks) {
        (true, true) => f64::INFINITY,
        (true, false) => n_genes as f64 - 2.0,
        (false, _) => d.min(n_genes as f64 - 2.0),
    };
    let inflations = match &options.correlations {
        Correlations::Known(given) => known_inflations(given, sets),
        Correlations::Estimated => {
            let standardised = Standardised::new(effects);
            sets.iter().map(|set| correlation_of(&standardised, set)).map(|c| (c.correlation, c.vif)).collect()
        }
    };
    let floor = if known || options.allow_negative { f64::NEG_INFINITY } else { 0.0 };
    compare(&statistic, sets, &inflations, options.use_ranks, floor, df)
}

/// [`camera`] for any statistic that is higher in genes that rise and lower in genes that fall, one per gene.
pub fn camera_pr(statistic: &[f64], sets: &GeneSets, use_ranks: bool, correlations: &[f64]) -> Result<CameraTable> {
    Correlations::Known(correlations.to_vec()).check(sets)?;
    let df = if use_ranks { f64::INFINITY } else { statistic.len() as f64 - 2.0 };
    let inflations = known_inflations(correlations, sets);
    compare(statistic, sets, &inflations, use_ranks, f64::NEG_INFINITY, df)
}

/// Correlation and variance inflation of each set.
fn known_inflations(correlations: &[f64], sets: &GeneSets) -> Vec<(f64, f64)> {
    correlations.iter().zip(sets.iter()).map(|(&rho, set)| (rho, 1.0 + (set.len() as f64 - 1.0) * rho)).collect()
}

/// Compares the statistics of each set with those of the other genes. `floor`: the least correlation that counts.
fn compare(
    statistic: &[f64],
    sets: &GeneSets,
    inflations: &[(f64, f64)],
    use_ranks: bool,
    floor: f64,
    df: f64,
) -> Result<CameraTable> {
    let sample = Sample::new(statistic);
    let ranked = use_ranks.then(|| RankSum::new(statistic));
    let mut table =
        CameraTable { n_genes: sets.sizes(), correlation: vec![], up: vec![], p_value: vec![], fdr: vec![] };
    for ((set, name), &(correlation, vif)) in sets.iter().zip(sets.names()).zip(inflations) {
        rank_sum::check(set.len(), statistic).map_err(|fault| fault.at(format!("set `{name}`")))?;
        let (less, greater) = match &ranked {
            // A single gene correlates with nothing.
            Some(test) => test.test(set, if correlation.is_nan() { 0.0 } else { correlation.max(floor) }, df),
            None => sample.test(set, if floor == 0.0 { vif.max(1.0) } else { vif }, df),
        };
        table.correlation.push(correlation);
        table.up.push(greater < less);
        table.p_value.push(2.0 * greater.min(less));
    }
    table.fdr = benjamini_hochberg(&table.p_value);
    Ok(table)
}

/// Mean and variance of the statistics of all genes.
struct Sample<'a> {
    statistic: &'a [f64],
    mean: f64,
    variance: f64,
}

impl<'a> Sample<'a> {
    fn new(statistic: &'a [f64]) -> Self {
        let n = statistic.len() as f64;
        let mean = statistic.iter().sum::<f64>() / n;
        let variance = statistic.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
        Self { statistic, mean, variance }
    }

    /// The two-sample t test of a set against the other genes, its mean having `vif` times the variance: `(less, greater)`.
    fn test(&self, set: &[usize], vif: f64, df: f64) -> (f64, f64) {
        let (n, m) = (self.statistic.len() as f64, set.len() as f64);
        let others = n - m;
        let mean = set.iter().map(|&g| self.statistic[g]).sum::<f64>() / m;
        let delta = n / others * (mean - self.mean);
        let pooled = ((n - 1.0) * self.variance - delta * delta * m * others / n) / (n - 2.0);
        let t = delta / (pooled * (vif / m + 1.0 / others)).sqrt();
        (student_t::lower(t, df), student_t::upper(t, df))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    fn statistics() -> Vec<f64> {
        let mut stream = Stream::new(3, 0);
        (0..60).map(|g| stream.normal() + if g < 10 { 1.0 } else { 0.0 }).collect()
    }

    /// Without correlation it is the two-sample t test with a pooled variance.
    #[test]
    fn without_correlation_it_is_a_t_test() -> Result<()> {
        let z = statistics();
        let set: Vec<usize> = (0..12).collect();
        let sets = GeneSets::new(vec!["a".into()], std::slice::from_ref(&set), 60)?;
        let found = camera_pr(&z, &sets, false, &[0.0])?;
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            (mean, x.iter().map(|v| (v - mean).powi(2)).sum::<f64>())
        };
        let (inside, outside) = (moments(&z[..12]), moments(&z[12..]));
        let pooled = (inside.1 + outside.1) / 58.0;
        let t = (inside.0 - outside.0) / (pooled * (1.0 / 12.0 + 1.0 / 48.0)).sqrt();
        assert!((found.p_value[0] - student_t::two_sided(t, 58.0)).abs() < 1e-13);
        assert!(found.up[0] && found.n_genes == [12]);
        Ok(())
    }

    #[test]
    fn correlation_takes_certainty_and_signs_turn() -> Result<()> {
        let z = statistics();
        let minus: Vec<f64> = z.iter().map(|x| -x).collect();
        let sets = GeneSets::new(vec!["a".into(), "b".into()], &[(0..12).collect(), (30..40).collect()], 60)?;
        for ranks in [false, true] {
            let (free, tied) = (camera_pr(&z, &sets, ranks, &[0.0; 2])?, camera_pr(&z, &sets, ranks, &[0.2; 2])?);
            assert!(free.p_value[0] < tied.p_value[0]);
            let turned = camera_pr(&minus, &sets, ranks, &[0.2; 2])?;
            assert!((turned.p_value[0] - tied.p_value[0]).abs() < 1e-13 && turned.up[0] != tied.up[0]);
        }
        Ok(())
    }

    #[test]
    fn sets_that_cannot_be_compared() -> Result<()> {
        let z = statistics();
        let all = GeneSets::new(vec!["all".into()], &[(0..60).collect()], 60)?;
        assert!(camera_pr(&z, &all, false, &[0.0]).is_err_and(|f| f.to_string().contains("all")));
        let some = GeneSets::new(vec!["some".into()], &[vec![1]], 60)?;
        assert!(camera_pr(&z, &some, false, &[1.0]).is_err());
        assert!(camera_pr(&z, &some, false, &[]).is_err());
        Ok(())
    }
}
