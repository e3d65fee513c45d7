//! [`lm_fit`]: a linear model for every gene.

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_math::linalg::{Matrix, MatrixRef};
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::blocks::Exchangeable;
use super::duplicates::{Duplicates, mean};
use super::parts::{Part, genes_at_once};
use super::shared::{self, Whitening};
use super::weighted::Solver;
use super::{Fit, LmFitOptions, Method, robust};
use crate::{DesignMatrix, Expression, Weights};

/// Fits a linear model to the log-values of every gene.
///
/// Least squares, weighted if there are weights, generalised if samples are correlated within blocks or duplicates
/// within samples. Missing values are left out gene by gene; a coefficient that the remaining samples of a gene cannot
/// estimate is NaN there. Columns of the design that depend on those before them are NaN for all genes, and a warning
/// names them.
///
/// Takes O(G n p) without weights or missing values, else O(G n p²), in products of matrices.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_limma::{DesignMatrix, Expression, LmFitOptions, lm_fit};
/// use ferrocyte_math::linalg::{Matrix, MatrixRef};
///
/// let y = Expression::unnamed(MatrixRef::from_rows(1, 4, &[1.0, 2.0, 4.0, 5.0]));
/// let x = Matrix::from_rows(4, 2, vec![1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
/// let design = DesignMatrix::new(x, vec!["(Intercept)".into(), "treated".into()], vec![])?;
/// let fit = lm_fit(&Run::new(), &y, &design, &LmFitOptions::default())?;
/// assert!((fit.coefficients[(0, 1)] - 3.0).abs() < 1e-12);
/// assert_eq!(fit.df_residual, [2.0]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
///
/// # Errors
/// Where shapes or names differ, weights or correlations cannot be, a block comes without a correlation, or values look
/// like counts.
pub fn lm_fit(run: &Run, y: &Expression<'_>, design: &DesignMatrix, options: &LmFitOptions<'_>) -> Result<Fit> {
    let fit = fit_silently(run, y, design, options)?;
    warn_of_missing(run, &fit);
    Ok(fit)
}

/// [`lm_fit`] without a word on coefficients that cannot be estimated.
pub(crate) fn fit_silently(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    options: &LmFitOptions<'_>,
) -> Result<Fit> {
    design.check_samples(y.n_samples(), y.samples())?;
    options.weights.check(y.n_genes(), y.n_samples())?;
    if options.check_counts {
        y.refuse_counts("data")?;
    }
    if options.ndups > 1 {
        return fit_duplicates(run, y, design, options);
    }
    let correlation = blocks(run, y.n_samples(), options)?;
    match options.method {
        Method::Robust if correlation.is_some() => Err(no_robust_blocks()),
        Method::Robust => robust::fit(run, y, design, &options.weights),
        Method::LeastSquares => {
            least_squares(run, y, design, &options.weights, correlation.as_ref(), options.keep_covariances)
        }
    }
}

/// [`lm_fit`] by least squares, of values and options that were checked.
pub(crate) fn least_squares(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    weights: &Weights<'_>,
    correlation: Option<&Exchangeable>,
    keep_covariances: bool,
) -> Result<Fit> {
    let (amean, complete) = means(run, y)?;
    let positive = |w: &[f64]| w.iter().all(|&w| w.is_finite() && w > 0.0);
    let (part, qr) = match *weights {
        Weights::None | Weights::Genes(_) if complete => {
            let (mut part, qr) = shared::fit(run, y, design, None, correlation)?;
            if let Weights::Genes(w) = *weights {
                weigh_genes(&mut part, w, design.n_coefficients());
            }
            (part, qr)
        }
        Weights::Samples(w) if complete && positive(w) => shared::fit(run, y, design, Some(w), correlation)?,
        _ => {
            let solver = Solver::new(design, correlation);
            let part = solve_all(run, y, weights, &solver, keep_covariances)?;
            (part, Whitening::new(y.n_samples(), None, correlation).design(design.matrix()))
        }
    };
    Ok(assemble(design, part, &qr, amean))
}

/// Fits of genes with weights or missing values of their own.
fn solve_all(
    run: &Run,
    y: &Expression<'_>,
    weights: &Weights<'_>,
    solver: &Solver<'_>,
    keep_covariances: bool,
) -> Result<Part> {
    let n = y.n_samples();
    let parts = run.map_ranges("fitting genes", y.n_genes(), genes_at_once(n), |genes| {
        let cells = genes.start * n..genes.end * n;
        let values = &y.values().entries()[cells.clone()];
        let made: Vec<f64> = match *weights {
            Weights::Values(w) => return Ok(solver.solve_block(values, &w.entries()[cells], keep_covariances)),
            Weights::None => vec![1.0; values.len()],
            Weights::Samples(w) => w.iter().copied().cycle().take(values.len()).collect(),
            Weights::Genes(w) => w[genes].iter().flat_map(|&w| std::iter::repeat_n(w, n)).collect(),
        };
        Ok(solver.solve_block(values, &made, keep_covariances))
    })?;
    Ok(Part::join(parts))
}

/// A weight for all values of a gene changes its errors and its variance, not its coefficients.
fn weigh_genes(part: &mut Part, weights: &[f64], p: usize) {
    for (g, &w) in weights.iter().enumerate() {
        let gene = part.gene(g, p);
        if w.is_finite() && w > 0.0 {
            gene.stdev_unscaled.iter_mut().for_each(|s| *s /= w.sqrt());
            *gene.sigma *= w.sqrt();
        } else {
            gene.coefficients.fill(f64::NAN);
            gene.stdev_unscaled.fill(f64::NAN);
            (*gene.sigma, *gene.df_residual) = (f64::NAN, 0.0);
        }
    }
}

/// Mean of each gene over its values, and whether no value is missing.
fn means(run: &Run, y: &Expression<'_>) -> Result<(Vec<f64>, bool)> {
    let parts = run.map_quietly(y.n_genes(), genes_at_once(y.n_samples()), |genes| {
        let complete = genes.clone().all(|g| y.row(g).iter().all(|x| x.is_finite()));
        Ok((genes.map(|g| mean(y.row(g).iter().copied())).collect::<Vec<f64>>(), complete))
    })?;
    let complete = parts.iter().all(|(_, complete)| *complete);
    Ok((parts.into_iter().flat_map(|(means, _)| means).collect(), complete))
}

/// Warns of coefficients that could not be estimated, and of genes without any.
pub(crate) fn warn_of_missing(run: &Run, fit: &Fit) {
    let (kept, aliased) = fit.pivot.split_at(fit.rank);
    let aliased: Vec<&String> = aliased.iter().map(|&j| &fit.names[j]).collect();
    if !aliased.is_empty() {
        run.warn(&format!("coefficients that the design cannot estimate: {}", listing(&aliased, 9)));
    }
    let partial = (0..fit.n_genes()).filter(|&g| {
        let missing = kept.iter().filter(|&&j| fit.coefficients[(g, j)].is_nan()).count();
        missing > 0 && missing < fit.rank
    });
    let partial = partial.count();
    let empty = (0..fit.n_genes()).filter(|&g| fit.rank > 0 && fit.amean[g].is_nan()).count();
    if empty > 0 {
        run.warn(&format!("{empty} genes have no value in any sample: their results are NaN"));
    }
    if partial > 0 {
        run.warn(&format!(
            "partial coefficients for {partial} genes: missing values leave some inestimable, which are NaN"
        ));
    }
}

/// The fit of all genes, with what the design says.
pub(crate) fn assemble(design: &DesignMatrix, part: Part, qr: &PivotedQr, amean: Vec<f64>) -> Fit {
    let p = design.n_coefficients();
    let genes = part.sigma.len();
    let pairs = p * (p + 1) / 2;
    Fit {
        coefficients: Matrix::from_rows(genes, p, part.coefficients),
        stdev_unscaled: Matrix::from_rows(genes, p, part.stdev_unscaled),
        sigma: part.sigma,
        df_residual: part.df_residual,
        cov_coefficients: qr.covariance(),
        rank: qr.rank(),
        pivot: qr.pivot().to_vec(),
        amean,
        gene_covariances: (!part.covariances.is_empty()).then(|| Matrix::from_rows(genes, pairs, part.covariances)),
        names: design.names().to_vec(),
    }
}

/// Genes measured several times in a sample: a longer row for each, with a block for each sample.
fn fit_duplicates(run: &Run, y: &Expression<'_>, design: &DesignMatrix, options: &LmFitOptions<'_>) -> Result<Fit> {
    let layout = Duplicates::new(y.n_genes(), options.ndups, options.spacing)?;
    if options.block.is_some() {
        return Err(Fault::bad_input(
            "samples have blocks and genes have duplicates; only one of them can be correlated",
        )
        .at("ndups")
        .hint("average the duplicates first (ave_dups)"));
    }
    let n = y.n_samples();
    let values = layout.side_by_side(y.values());
    let long = layout.design(design)?;
    let of_samples = if let Weights::Samples(w) = options.weights { layout.repeated(w) } else { Vec::new() };
    let of_values = match options.weights {
        Weights::Values(w) => layout.side_by_side(w),
        Weights::Genes(w) => layout.row_weights(w, n),
        _ => Matrix::default(),
    };
    let weights = match options.weights {
        Weights::None => Weights::None,
        Weights::Samples(_) => Weights::Samples(&of_samples),
        _ => Weights::Values(MatrixRef::from_rows(of_values.n_rows(), of_values.n_cols(), of_values.entries())),
    };
    let y_long = Expression::unnamed(values.borrowed());
    let mut fit = match options.method {
        Method::Robust => robust::fit(run, &y_long, &long, &weights)?,
        Method::LeastSquares => {
            let samples = layout.repeated(&(0..n).collect::<Vec<_>>());
            let correlation = Exchangeable::new(samples, options.correlation.ok_or_else(no_correlation)?)?;
            least_squares(run, &y_long, &long, &weights, Some(&correlation), options.keep_covariances)?
        }
    };
    let of_rows: Vec<f64> = (0..y.n_genes()).map(|g| mean(y.row(g).iter().copied())).collect();
    fit.amean = layout.means(&of_rows);
    Ok(fit)
}

/// The correlation of samples, if there are blocks.
fn blocks(run: &Run, n_samples: usize, options: &LmFitOptions<'_>) -> Result<Option<Exchangeable>> {
    let Some(block) = options.block else {
        if options.correlation.is_some() {
            run.warn("the correlation is not used: there are no blocks of samples and no duplicates");
        }
        return Ok(None);
    };
    if block.len() != n_samples {
        return Err(Fault::bad_input(format!("{} entries for {n_samples} samples", block.len())).at("block"));
    }
    Exchangeable::new(block.to_vec(), options.correlation.ok_or_else(no_correlation)?).map(Some)
}

fn no_correlation() -> Fault {
    Fault::bad_input("blocks or duplicates come without a correlation")
        .at("correlation")
        .hint("estimate it: duplicate_correlation(y, design, block=..).consensus_correlation")
}

fn no_robust_blocks() -> Fault {
    Fault::unsupported("the robust method knows no blocks")
        .at("method")
        .hint("use method=\"ls\", or put the blocks into the design")
}

#[cfg(test)]
mod tests;
