//! [`voom_lm_fit`]: from counts to the weighted fit in one call.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::exact_zeros::ExactZeros;
use super::log_counts::LogCounts;
use super::refine::{Combined, Refinement, multiply, refine, write_weights};
use super::stream::{Streamed, stream};
use super::trend::{Fitted, Point, Span, VarianceTrend};
use crate::fit::{Exchangeable, Solver, least_squares, warn_of_missing};
use crate::{DesignMatrix, Expression, Fit, Weights};

/// Options of [`voom_lm_fit`].
#[derive(Debug, Clone, Copy)]
pub struct VoomLmFitOptions<'a> {
    /// Library sizes, normalisation factors included; the totals by default.
    pub lib_size: Option<&'a [f64]>,
    /// Weights that those of the trend are multiplied by.
    pub prior_weights: Weights<'a>,
    /// Blocks and weights of samples.
    pub refinement: Refinement<'a>,
    /// Share of the genes that the curve sees at a place, where it is not adaptive.
    pub span: f64,
    /// Whether that share depends on the number of genes.
    pub adaptive_span: bool,
    /// Whether log-values and weights are given back.
    pub keep_values: bool,
    /// Whether the covariances of each gene are kept.
    pub keep_covariances: bool,
}

impl Default for VoomLmFitOptions<'_> {
    fn default() -> Self {
        Self {
            lib_size: None,
            prior_weights: Weights::None,
            refinement: Refinement::default(),
            span: 0.5,
            adaptive_span: true,
            keep_values: true,
            keep_covariances: true,
        }
    }
}

impl VoomLmFitOptions<'_> {
    fn span(&self) -> Span {
        if self.adaptive_span { Span::Adaptive } else { Span::Fixed(self.span) }
    }
}

/// A weighted fit of log-values.
#[derive(Debug, Clone, PartialEq)]
pub struct VoomLmFit {
    /// The fit.
    pub fit: Fit,
    /// What the weights come from.
    pub trend: VarianceTrend,
    /// Library sizes that were used; empty for values that are no counts.
    pub lib_size: Vec<f64>,
    /// Log-values and their weights, genes × samples, if they are kept.
    pub values: Option<(Matrix, Matrix)>,
    /// Weights of samples, if there are any.
    pub sample_weights: Option<Vec<f64>>,
    /// The correlation within blocks, if there are any.
    pub correlation: Option<f64>,
}

/// Voom and the weighted fit in one call, exact about counts that can only be zero: edgeR's recommended route.
///
/// Without blocks, weights of samples and prior weights it works on blocks of genes, and needs no memory for log-values and weights
/// unless they are kept.
///
/// # Errors
/// As [`voom`](super::voom()).
pub fn voom_lm_fit(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomLmFitOptions<'_>,
) -> Result<VoomLmFit> {
    design.check_samples(counts.n_samples(), counts.samples())?;
    options.prior_weights.check(counts.n_genes(), counts.n_samples())?;
    options.refinement.check(counts.n_samples())?;
    let logged = LogCounts::new(run, counts, options.lib_size)?;
    let zeros = ExactZeros::find(run, &logged, design)?;
    if !options.refinement.is_nothing() || options.prior_weights != Weights::None {
        return Study { run, logged: &logged, zeros: &zeros, design, options }.fit();
    }
    let how = Streamed {
        span: options.span(),
        exact_zeros: Some(&zeros),
        keep_covariances: options.keep_covariances,
        keep_values: options.keep_values,
    };
    let out = stream(run, &logged, design, &how)?;
    Ok(VoomLmFit {
        fit: out.fit,
        trend: out.trend,
        lib_size: logged.lib_size().to_vec(),
        values: out.values,
        sample_weights: None,
        correlation: None,
    })
}

/// What a fit with weights of samples or blocks works on.
struct Study<'a> {
    run: &'a Run,
    logged: &'a LogCounts<'a>,
    zeros: &'a ExactZeros,
    design: &'a DesignMatrix,
    options: &'a VoomLmFitOptions<'a>,
}

impl Study<'_> {
    fn fit(&self) -> Result<VoomLmFit> {
        let (run, n) = (self.run, self.logged.n_samples());
        let y = self.logged.all(run)?;
        let mut with_missing = y.clone();
        self.zeros.set_missing(with_missing.entries_mut());
        let seen = self.logged.counts().with_values(with_missing.borrowed());
        let refinement = &self.options.refinement;
        let refined = refine(run, &seen, self.design, refinement, |samples, blocks| self.learn(&y, samples, blocks))?;
        let blocks = refinement.correlated(refined.correlation)?;
        let weights = Weights::Values(refined.weights.borrowed());
        let values = self.logged.counts().with_values(y.borrowed());
        let keep = self.options.keep_covariances;
        let mut fit = least_squares(run, &values, self.design, &weights, blocks.as_ref(), keep)?;
        let solver = Solver::new(self.design, blocks.as_ref());
        let write = |g: usize, out: &mut Vec<f64>| write_weights(&weights, g, n, out);
        self.zeros.correct(run, self.logged, &solver, write, &mut fit.sigma, &mut fit.df_residual)?;
        warn_of_missing(run, &fit);
        Ok(VoomLmFit {
            fit,
            trend: refined.trend,
            lib_size: self.logged.lib_size().to_vec(),
            values: self.options.keep_values.then_some((y, refined.weights)),
            sample_weights: refined.sample_weights,
            correlation: refined.correlation,
        })
    }

    /// A trend and weights of values from it, prior weights included.
    fn learn(
        &self,
        y: &Matrix,
        samples: Option<&[f64]>,
        blocks: Option<&Exchangeable>,
    ) -> Result<(VarianceTrend, Matrix)> {
        let (run, genes, n) = (self.run, self.logged.n_genes(), self.logged.n_samples());
        let combined = Combined::new(self.options.prior_weights, samples, genes, n);
        let weights = combined.weights();
        let values = self.logged.counts().with_values(y.borrowed());
        let fit = least_squares(run, &values, self.design, &weights, blocks, false)?;
        let shift = self.logged.mean_shift();
        let point = |g: usize| Point { x: fit.amean[g] + shift, sigma: fit.sigma[g], df: fit.df_residual[g] };
        let mut points: Vec<Point> = (0..genes).map(point).collect();
        let solver = Solver::new(self.design, blocks);
        let write = |g: usize, out: &mut Vec<f64>| write_weights(&weights, g, n, out);
        self.zeros.correct_points(run, self.logged, &solver, write, &mut points)?;
        let trend = VarianceTrend::new(run, points.into_iter(), genes, self.options.span(), !self.zeros.is_empty())?;
        let fitted = Fitted::new(self.design, &fit.pivot[fit.rank..]);
        let mut weights =
            fitted.weights(run, self.logged.shifts(), genes, &fit.coefficients, |_, values| trend.weigh(values))?;
        multiply(&mut weights, &self.options.prior_weights);
        Ok((trend, weights))
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::super::testing::{counts, design};
    use super::*;
    use crate::{LmFitOptions, lm_fit};

    #[test]
    fn exact_zeros_are_no_degrees_of_freedom() -> Result<()> {
        let values = counts(400, 9);
        let counts = Expression::unnamed(MatrixRef::from_rows(400, 9, &values));
        let (design, run) = (design(9)?, Run::new());
        let found = voom_lm_fit(&run, &counts, &design, &VoomLmFitOptions::default())?;
        let Some((e, weights)) = &found.values else { return Ok(()) };
        let mut holed = e.clone();
        for g in (0..400).filter(|g| g % 10 == 3) {
            holed.row_mut(g)[..3].fill(f64::NAN);
        }
        let how = LmFitOptions { weights: Weights::Values(weights.borrowed()), ..LmFitOptions::default() };
        let whole = lm_fit(&run, &counts.with_values(e.borrowed()), &design, &how)?;
        let part = lm_fit(&run, &counts.with_values(holed.borrowed()), &design, &how)?;
        assert_eq!(found.fit.coefficients, whole.coefficients);
        for g in 60..400 {
            // Of nine samples three are left out, and one coefficient of three.
            let expected = if g % 10 == 3 { &part } else { &whole };
            assert_eq!(found.fit.df_residual[g], if g % 10 == 3 { 4.0 } else { 6.0 });
            assert!((found.fit.sigma[g] / expected.sigma[g] - 1.0).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn prior_weights_of_one_change_nothing() -> Result<()> {
        let values = counts(300, 9);
        let counts = Expression::unnamed(MatrixRef::from_rows(300, 9, &values));
        let (design, run) = (design(9)?, Run::new());
        let streamed = voom_lm_fit(&run, &counts, &design, &VoomLmFitOptions::default())?;
        let ones = vec![1.0; 2700];
        for prior_weights in [Weights::Samples(&ones[..9]), Weights::Values(MatrixRef::from_rows(300, 9, &ones))] {
            let options = VoomLmFitOptions { prior_weights, ..VoomLmFitOptions::default() };
            let found = voom_lm_fit(&run, &counts, &design, &options)?;
            for (a, b) in found.fit.sigma.iter().zip(&streamed.fit.sigma) {
                assert!((a / b - 1.0).abs() < 1e-9);
            }
            assert_eq!(found.fit.df_residual, streamed.fit.df_residual);
        }
        Ok(())
    }

    #[test]
    fn blocks_and_weights_of_samples_do_not_depend_on_threads() -> Result<()> {
        let values = counts(200, 12);
        let counts = Expression::unnamed(MatrixRef::from_rows(200, 12, &values));
        let design = design(12)?;
        let block: Vec<usize> = (0..12).map(|j| j / 2).collect();
        let refinement = Refinement { block: Some(&block), sample_weights: true, ..Refinement::default() };
        let options = VoomLmFitOptions { refinement, ..VoomLmFitOptions::default() };
        let one = voom_lm_fit(&Run::new().threads(1), &counts, &design, &options)?;
        let three = voom_lm_fit(&Run::new().threads(3), &counts, &design, &options)?;
        assert_eq!(
            (&one.fit, &one.sample_weights, one.correlation),
            (&three.fit, &three.sample_weights, three.correlation)
        );
        assert!(one.correlation.is_some_and(f64::is_finite));
        let short = Refinement { block: Some(&block[..5]), ..refinement };
        assert!(
            voom_lm_fit(&Run::new(), &counts, &design, &VoomLmFitOptions { refinement: short, ..options }).is_err()
        );
        Ok(())
    }
}
