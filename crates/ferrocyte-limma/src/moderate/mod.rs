//! Moderated statistics: [`e_bayes`] and [`treat`].
//!
//! The residual variances of all genes are squeezed towards a prior ([`squeeze_var`]); t and F statistics follow with
//! the posterior variances and the degrees of freedom of both, and the log-odds that a gene changes (Smyth 2004).

mod b_statistic;
mod classify;
mod f_statistic;
mod treat;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, MatrixRef, symmetric_eigen};
use ferrocyte_math::squeeze_var::{Hyper, SqueezeOptions, Squeezed, WINSOR_TAILS, squeeze_var};
use ferrocyte_math::student_t::{many, shared::Shared};

pub use b_statistic::{MixtureLimits, tmixture};
pub use classify::{Classifier, classify_tests_f};
pub use f_statistic::FStatistics;
pub(crate) use f_statistic::joint;
pub use treat::{TreatOptions, treat};

use crate::Fit;

/// Tests that are worth more than one thread.
const MANY: usize = 1 << 16;

/// What the prior variance of a gene may depend on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Trend<'a> {
    /// Nothing.
    #[default]
    None,
    /// The mean log-value of the gene.
    Mean,
    /// A number per gene.
    Covariate(&'a [f64]),
}

/// How variances are moderated; shared by [`e_bayes`] and [`treat`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moderation<'a> {
    /// What the prior variance depends on.
    pub trend: Trend<'a>,
    /// Whether genes with outlying variances get less prior information.
    pub robust: bool,
    /// Shares of small and large variances that a robust fit winsorises.
    pub winsor_tail_p: [f64; 2],
    /// Share of the genes that the trend looks at; asks for maximum likelihood.
    pub span: Option<f64>,
    /// Which estimator: see [`SqueezeOptions::legacy`].
    pub legacy: Option<bool>,
}

impl Default for Moderation<'_> {
    fn default() -> Self {
        Self { trend: Trend::None, robust: false, winsor_tail_p: WINSOR_TAILS, span: None, legacy: None }
    }
}

/// Options of [`e_bayes`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EBayesOptions<'a> {
    /// Share of the genes that are assumed to change, for the log-odds.
    pub proportion: f64,
    /// Limits of the standard deviation of log fold changes of genes that change, for the log-odds.
    pub stdev_coef_lim: [f64; 2],
    /// How variances are moderated.
    pub moderation: Moderation<'a>,
    /// The design, samples × coefficients: without full rank there are no F statistics.
    pub design: Option<MatrixRef<'a>>,
}

impl Default for EBayesOptions<'_> {
    fn default() -> Self {
        Self { proportion: 0.01, stdev_coef_lim: [0.1, 4.0], moderation: Moderation::default(), design: None }
    }
}

/// Moderated statistics of a [`Fit`]; NaN for coefficients that could not be estimated.
#[derive(Debug, Clone, PartialEq)]
pub struct Moderated {
    /// Prior variance; one per gene with a trend, or without moderation.
    pub s2_prior: Hyper,
    /// Prior degrees of freedom; one per gene in robust fits.
    pub df_prior: Hyper,
    /// Posterior variance of each gene.
    pub s2_post: Vec<f64>,
    /// Degrees of freedom of t: residual and prior ones, at most the residual ones of all genes together.
    pub df_total: Vec<f64>,
    /// Moderated t, G × k; of [`treat`]: how far the coefficient is beyond the threshold.
    pub t: Matrix,
    /// Two-sided p-values, G × k.
    pub p_value: Matrix,
    /// What only [`e_bayes`] gives.
    pub odds: Option<Odds>,
    /// Joint tests of all coefficients, where they can all be estimated; [`e_bayes`] only.
    pub f: Option<FStatistics>,
    /// The threshold of [`treat`].
    pub threshold: Option<Threshold>,
}

/// Log-odds that genes change, and what they assume.
#[derive(Debug, Clone, PartialEq)]
pub struct Odds {
    /// The B-statistic: natural log-odds, G × k.
    pub lods: Matrix,
    /// Prior variance of the coefficients of genes that change, over that of the residuals; one per coefficient.
    pub var_prior: Vec<f64>,
    /// Share of the genes that are assumed to change.
    pub proportion: f64,
}

/// The threshold of a [`treat`] test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Log2 fold change that does not count.
    pub lfc: f64,
    /// Whether p-values are averaged over thresholds up to `lfc`.
    pub upshot: bool,
}

/// Moderated t, F and B statistics of a fit.
///
/// # Errors
/// Where no gene has residual degrees of freedom, an option is out of range, or the prior cannot be fitted.
pub fn e_bayes(run: &Run, fit: &Fit, options: &EBayesOptions<'_>) -> Result<Moderated> {
    if !(options.proportion > 0.0 && options.proportion < 1.0) {
        return Err(Fault::bad_input(format!("expected a share between 0 and 1, found {}", options.proportion))
            .at("proportion"));
    }
    let [low, high] = options.stdev_coef_lim;
    if !(low > 0.0 && high >= low) {
        return Err(Fault::bad_input(format!("expected two positive numbers in order, found ({low}, {high})"))
            .at("stdev_coef_lim"));
    }
    let squeezed = squeezed(run, fit, &options.moderation)?;
    let df_total = df_total(fit, &squeezed.df_prior);
    let t = t_statistics(fit, &squeezed.var_post);
    let p_value = p_values(run, &t, &df_total)?;
    let odds = b_statistic::odds(run, fit, &t, &df_total, &squeezed, options);
    let f = if is_full_rank(fit, options.design)? {
        let df = df_uncapped(fit, &squeezed.df_prior);
        Some(FStatistics::of(&t, &fit.cov_coefficients, &df)?)
    } else {
        None
    };
    Ok(Moderated {
        s2_prior: squeezed.var_prior,
        df_prior: squeezed.df_prior,
        s2_post: squeezed.var_post,
        df_total,
        t,
        p_value,
        odds: Some(odds),
        f,
        threshold: None,
    })
}

/// The variances of a fit, squeezed.
fn squeezed(run: &Run, fit: &Fit, how: &Moderation<'_>) -> Result<Squeezed> {
    let covariate = match how.trend {
        Trend::None => None,
        Trend::Mean => Some(fit.amean.as_slice()),
        Trend::Covariate(covariate) => Some(covariate),
    };
    if let Some(covariate) = covariate {
        if covariate.len() != fit.n_genes() {
            let message = format!("{} values, expected {}, one per gene", covariate.len(), fit.n_genes());
            return Err(Fault::bad_input(message).at("trend"));
        }
        let without = (0..covariate.len()).filter(|&g| covariate[g].is_nan() && fit.df_residual[g] > 0.0).count();
        if without > 0 {
            run.warn(&format!("{without} genes have no covariate for the trend: their results are NaN"));
        }
    }
    let variances: Vec<f64> = fit.sigma.iter().map(|s| s * s).collect();
    let options = SqueezeOptions {
        covariate,
        robust: how.robust.then_some(how.winsor_tail_p),
        span: how.span,
        legacy: how.legacy,
    };
    squeeze_var(run, &variances, &fit.df_residual, &options)
}

/// Posterior variances and total degrees of freedom of the genes of a fit.
pub(crate) fn posterior(run: &Run, fit: &Fit, how: &Moderation<'_>) -> Result<(Vec<f64>, Vec<f64>)> {
    let squeezed = squeezed(run, fit, how)?;
    let df_total = df_total(fit, &squeezed.df_prior);
    Ok((squeezed.var_post, df_total))
}

/// Residual and prior degrees of freedom, at most those of all genes together.
fn df_total(fit: &Fit, df_prior: &Hyper) -> Vec<f64> {
    let pooled: f64 = fit.df_residual.iter().filter(|d| !d.is_nan()).sum();
    fit.df_residual.iter().enumerate().map(|(g, d)| (d + df_prior.at(g)).min(pooled)).collect()
}

/// Residual and prior degrees of freedom.
fn df_uncapped(fit: &Fit, df_prior: &Hyper) -> Vec<f64> {
    fit.df_residual.iter().enumerate().map(|(g, d)| d + df_prior.at(g)).collect()
}

/// Coefficients over their moderated standard errors.
fn t_statistics(fit: &Fit, s2_post: &[f64]) -> Matrix {
    let mut t = Matrix::zeros(fit.n_genes(), fit.n_coefficients());
    for (g, s2) in s2_post.iter().enumerate() {
        let s = s2.sqrt();
        let row = fit.coefficients.row(g).iter().zip(fit.stdev_unscaled.row(g));
        for (t, (b, u)) in t.row_mut(g).iter_mut().zip(row) {
            *t = b / u / s;
        }
    }
    t
}

/// `P(|T| > |t|)` with the degrees of freedom of each row.
fn p_values(run: &Run, t: &Matrix, df: &[f64]) -> Result<Matrix> {
    let (n, k) = (t.n_rows(), t.n_cols());
    let common = df.first().filter(|first| df.iter().all(|d| d == *first));
    let mut p = vec![0.0; n * k];
    let law = common.map(|&df| Shared::new(df));
    let block = |start: usize, p: &mut [f64]| {
        let t = &t.entries()[start..start + p.len()];
        match &law {
            Some(law) => law.two_sided(t, p),
            None => {
                let df: Vec<f64> = (start..start + p.len()).map(|i| df[i / k]).collect();
                p.copy_from_slice(&many::two_sided(t, &df));
            }
        }
    };
    if n * k <= MANY {
        block(0, &mut p);
    } else {
        run.for_each_chunk(&mut p, MANY / 2, |i, part| block(i * (MANY / 2), part))?;
    }
    Ok(Matrix::from_rows(n, k, p))
}

/// Whether all coefficients can be estimated: none was dropped, and `X'X` is not singular to working precision.
fn is_full_rank(fit: &Fit, design: Option<MatrixRef<'_>>) -> Result<bool> {
    if fit.rank < fit.pivot.len() || fit.cov_coefficients.n_rows() != fit.n_coefficients() {
        return Ok(false);
    }
    let Some(x) = design else { return Ok(true) };
    let p = x.n_cols();
    let mut gram = Matrix::zeros(p, p);
    for i in 0..x.n_rows() {
        let row = x.row(i);
        for a in 0..p {
            for b in 0..p {
                gram[(a, b)] += row[a] * row[b];
            }
        }
    }
    let (values, _) = symmetric_eigen(&gram)?;
    Ok(match (values.first(), values.last()) {
        (Some(least), Some(most)) => *most > 0.0 && least.abs() / most > 1e-13,
        _ => false,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_math::student_t;

    /// Two groups of four samples: the mean of the first and the difference.
    pub(crate) fn example(n_genes: usize) -> Result<Fit> {
        let mut coefficients = Matrix::zeros(n_genes, 2);
        let mut stdev_unscaled = Matrix::zeros(n_genes, 2);
        let (mut sigma, mut amean) = (Vec::new(), Vec::new());
        for g in 0..n_genes {
            let mut stream = Stream::new(3, g as u64);
            let variance = 0.2 * 5.0 / stream.gamma(2.5, 2.0)?;
            let effect = if g % 10 == 0 { 2.0 } else { 0.0 };
            coefficients.row_mut(g).copy_from_slice(&[
                5.0 + stream.normal() * (variance / 4.0).sqrt(),
                effect + stream.normal() * (variance / 2.0).sqrt(),
            ]);
            stdev_unscaled.row_mut(g).copy_from_slice(&[0.5, 0.5_f64.sqrt()]);
            sigma.push((variance * stream.gamma(3.0, 2.0)? / 6.0).sqrt());
            amean.push(5.0 + 0.1 * g as f64);
        }
        Ok(Fit {
            coefficients,
            stdev_unscaled,
            sigma,
            df_residual: vec![6.0; n_genes],
            cov_coefficients: Matrix::from_rows(2, 2, vec![0.25, -0.25, -0.25, 0.5]),
            rank: 2,
            pivot: vec![0, 1],
            amean,
            gene_covariances: None,
            names: vec!["(Intercept)".to_owned(), "group".to_owned()],
        })
    }

    #[test]
    fn statistics_by_hand() -> Result<()> {
        let fit = example(200)?;
        let found = e_bayes(&Run::new(), &fit, &EBayesOptions::default())?;
        let (d0, s0) = (found.df_prior.at(0), found.s2_prior.at(0));
        for g in [0, 7, 199] {
            let s2 = (6.0 * fit.sigma[g].powi(2) + d0 * s0) / (6.0 + d0);
            let t = fit.coefficients[(g, 1)] / (0.5 * s2).sqrt();
            assert!((found.t[(g, 1)] / t - 1.0).abs() < 1e-13);
            let p = student_t::two_sided(t, 6.0 + d0);
            assert!((found.p_value[(g, 1)] / p - 1.0).abs() < 1e-12);
        }
        let lods = found.odds.map(|odds| (odds.lods[(0, 1)], odds.lods[(1, 1)]));
        assert!(lods.is_some_and(|(changed, unchanged)| changed > unchanged));
        Ok(())
    }

    #[test]
    fn genes_alone_equal_genes_in_company_and_threads_do_not_matter() -> Result<()> {
        let fit = example(40_000)?;
        let one = e_bayes(&Run::new().threads(1), &fit, &EBayesOptions::default())?;
        let two = e_bayes(&Run::new().threads(2), &fit, &EBayesOptions::default())?;
        assert_eq!(one, two);
        Ok(())
    }

    #[test]
    fn a_gene_without_values_is_nan_and_harms_nobody() -> Result<()> {
        let mut fit = example(100)?;
        let moderation = Moderation { trend: Trend::Mean, ..Moderation::default() };
        let options = EBayesOptions { moderation, ..EBayesOptions::default() };
        for legacy in [None, Some(true), Some(false)] {
            let options = EBayesOptions { moderation: Moderation { legacy, ..moderation }, ..options };
            let before = e_bayes(&Run::new(), &fit, &options)?;
            let mut with = fit.clone();
            with.coefficients.row_mut(3).fill(f64::NAN);
            with.stdev_unscaled.row_mut(3).fill(f64::NAN);
            (with.sigma[3], with.df_residual[3], with.amean[3]) = (f64::NAN, 0.0, f64::NAN);
            let after = e_bayes(&Run::new(), &with, &options)?;
            assert!(after.t[(3, 1)].is_nan() && after.s2_post[3].is_nan());
            assert!((after.t[(4, 1)] / before.t[(4, 1)] - 1.0).abs() < 0.05);
        }
        fit.df_residual.fill(0.0);
        let fault = e_bayes(&Run::new(), &fit, &EBayesOptions::default()).err();
        assert!(fault.is_some_and(|f| f.to_string().contains("replication")));
        Ok(())
    }

    #[test]
    fn no_joint_tests_without_full_rank() -> Result<()> {
        let mut fit = example(50)?;
        let x = [1.0, 1e8, 1.0, 1e8 + 1e-3, 1.0, 1e8];
        let design = MatrixRef::from_rows(3, 2, &x);
        let options = EBayesOptions { design: Some(design), ..EBayesOptions::default() };
        assert!(e_bayes(&Run::new(), &fit, &options)?.f.is_none());
        fit.pivot.push(2);
        assert!(e_bayes(&Run::new(), &fit, &EBayesOptions::default())?.f.is_none());
        Ok(())
    }
}
