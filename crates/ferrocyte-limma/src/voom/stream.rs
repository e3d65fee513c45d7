//! [`voom_fit`]: `voom` and the weighted fit in two passes over blocks of genes, without matrices of log-values or
//! weights.
//!
//! The first pass takes logs, fits each gene unweighted, and keeps coefficients and residual variances; the trend is learnt
//! from these; the second takes logs again, which is cheaper than to have kept them, weighs and fits. Memory beyond the
//! counts and the fit is that of a block of genes for each thread.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::exact_zeros::{ExactZeros, equal_weights};
use super::log_counts::LogCounts;
use super::trend::{Fitted, Point, Span, VarianceTrend};
use super::voom::VoomOptions;
use crate::fit::{Part, SharedSolver, Solver, assemble, genes_at_once, warn_of_missing};
use crate::{DesignMatrix, Expression, Fit};

/// The weighted fit of [`voom`](super::voom()) values, and the trend: the numbers of `voom` followed by `lm_fit`.
///
/// Blocks, weights and normalisation need the values themselves; options with any of them are refused.
///
/// # Errors
/// As [`voom`](super::voom()).
pub fn voom_fit(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomOptions<'_>,
    keep_covariances: bool,
) -> Result<(Fit, VarianceTrend)> {
    if options.block.is_some() || options.normalize.is_some() || options.weights != crate::Weights::None {
        return Err(ferrocyte_base::Fault::unsupported("blocks, weights and normalisation need the log-values")
            .hint("call voom, then lm_fit"));
    }
    design.check_samples(counts.n_samples(), counts.samples())?;
    let logged = options.logged(run, counts)?;
    let how = Streamed { span: options.span(), exact_zeros: None, keep_covariances, keep_values: false };
    let out = stream(run, &logged, design, &how)?;
    Ok((out.fit, out.trend))
}

/// How [`stream`] works.
pub(super) struct Streamed<'a> {
    pub(super) span: Span,
    /// Genes with counts that can only be zero, whose variances are corrected.
    pub(super) exact_zeros: Option<&'a ExactZeros>,
    pub(super) keep_covariances: bool,
    /// Whether log-values and weights are kept.
    pub(super) keep_values: bool,
}

/// What [`stream`] gives.
pub(super) struct Outcome {
    pub(super) fit: Fit,
    pub(super) trend: VarianceTrend,
    /// Log-values and weights, if they are kept.
    pub(super) values: Option<(Matrix, Matrix)>,
}

/// Two passes over blocks of genes.
pub(super) fn stream(run: &Run, logged: &LogCounts<'_>, design: &DesignMatrix, how: &Streamed<'_>) -> Result<Outcome> {
    let (n, p, genes) = (logged.n_samples(), design.n_coefficients(), logged.n_genes());
    let shared = SharedSolver::new(design, None, None);
    let first = unweighted(run, logged, &shared)?;
    let solver = Solver::new(design, None);
    let trend = first.trend(run, logged, &solver, how)?;
    let fitted = Fitted::new(design, &shared.qr().pivot()[shared.qr().rank()..]);
    let blocks = run.map_ranges("fitting genes", genes, genes_at_once(n), |block| {
        let (mut values, mut weights) = (Vec::new(), Vec::new());
        logged.write(block.clone(), &mut values);
        let coefficients = &first.part.coefficients[block.start * p..block.end * p];
        fitted.write(logged.shifts(), block.start, coefficients, &mut weights);
        trend.weigh(&mut weights);
        let part = solver.solve_block(&values, &weights, how.keep_covariances);
        Ok((part, if how.keep_values { (values, weights) } else { (Vec::new(), Vec::new()) }))
    })?;
    let (parts, kept): (Vec<Part>, Vec<_>) = blocks.into_iter().unzip();
    let mut part = Part::join(parts);
    if let Some(zeros) = how.exact_zeros {
        zeros.correct_streamed(run, logged, &first.part.coefficients, &fitted, &trend, &solver, &mut part)?;
    }
    let values = how.keep_values.then(|| {
        let (e, weights): (Vec<Vec<f64>>, Vec<Vec<f64>>) = kept.into_iter().unzip();
        (Matrix::from_rows(genes, n, e.concat()), Matrix::from_rows(genes, n, weights.concat()))
    });
    let fit = assemble(design, part, shared.qr(), first.means);
    warn_of_missing(run, &fit);
    Ok(Outcome { fit, trend, values })
}

/// The first pass: unweighted fits and means of log-values.
struct First {
    part: Part,
    means: Vec<f64>,
}

fn unweighted(run: &Run, logged: &LogCounts<'_>, shared: &SharedSolver<'_>) -> Result<First> {
    let n = logged.n_samples();
    let blocks = run.map_ranges("learning the trend", logged.n_genes(), genes_at_once(n), |block| {
        let mut values = Vec::new();
        logged.write(block, &mut values);
        let means: Vec<f64> = values.chunks_exact(n).map(|row| row.iter().sum::<f64>() / n as f64).collect();
        Ok((shared.solve_block(&mut values), means))
    })?;
    let (parts, means): (Vec<Part>, Vec<Vec<f64>>) = blocks.into_iter().unzip();
    Ok(First { part: Part::join(parts), means: means.concat() })
}

impl First {
    fn trend(
        &self,
        run: &Run,
        logged: &LogCounts<'_>,
        solver: &Solver<'_>,
        how: &Streamed<'_>,
    ) -> Result<VarianceTrend> {
        let shift = logged.mean_shift();
        let genes = logged.n_genes();
        let point =
            |g: usize| Point { x: self.means[g] + shift, sigma: self.part.sigma[g], df: self.part.df_residual[g] };
        let Some(zeros) = how.exact_zeros else {
            let seen = (0..genes).filter(|&g| logged.counts().row(g).iter().any(|&c| c > 0.0));
            return VarianceTrend::new(run, seen.map(point), genes, how.span, false);
        };
        let mut points: Vec<Point> = (0..genes).map(point).collect();
        zeros.correct_points(run, logged, solver, equal_weights(logged.n_samples()), &mut points)?;
        VarianceTrend::new(run, points.into_iter(), genes, how.span, !zeros.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{counts, design};
    use super::super::voom::voom;
    use super::*;
    use crate::{LmFitOptions, Weights, lm_fit};
    use ferrocyte_math::linalg::MatrixRef;

    #[test]
    fn one_pass_over_blocks_is_voom_and_a_fit() -> Result<()> {
        let values = counts(700, 9);
        let counts = Expression::unnamed(MatrixRef::from_rows(700, 9, &values));
        let (design, run) = (design(9)?, Run::new().threads(2));
        let sizes: Vec<f64> = (0..9).map(|j| 1e5 + 1e4 * f64::from(j)).collect();
        let options = VoomOptions { lib_size: Some(&sizes), adaptive_span: false, ..VoomOptions::default() };
        let v = voom(&run, &counts, &design, &options)?;
        let how = LmFitOptions { weights: Weights::Values(v.weights.borrowed()), ..LmFitOptions::default() };
        let expected = lm_fit(&run, &counts.with_values(v.e.borrowed()), &design, &how)?;
        let (fit, trend) = voom_fit(&run, &counts, &design, &options, true)?;
        assert_eq!((fit, trend.span), (expected, 0.5));
        let (alone, _) = voom_fit(&Run::new().threads(1), &counts, &design, &options, true)?;
        let (two, _) = voom_fit(&run, &counts, &design, &options, true)?;
        assert_eq!(alone, two);
        let block = [0, 0, 0, 1, 1, 1, 2, 2, 2];
        let blocked = VoomOptions { block: Some(&block), correlation: Some(0.1), ..options };
        assert!(voom_fit(&run, &counts, &design, &blocked, true).is_err());
        Ok(())
    }
}
