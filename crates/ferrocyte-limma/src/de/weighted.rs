//! The ways with weights: voom in its two forms, weights of samples, correlation of blocks.

use ferrocyte_base::{Result, Run};

use super::{DeMethod, DeOptions};
use crate::{
    ArrayWeightOptions, CorrelationOptions, DesignMatrix, Expression, Fit, LmFitOptions, Refinement, Voom,
    VoomLmFitOptions, VoomOptions, Weights, array_weights, duplicate_correlation, lm_fit, voom,
    voom_duplicate_correlation, voom_fit, voom_lm_fit, voom_with_quality_weights,
};

/// A fit with precision weights.
pub(super) struct Weighted {
    pub(super) fit: Fit,
    pub(super) sample_weights: Option<Vec<f64>>,
    pub(super) correlation: Option<f64>,
}

/// Fits counts by voom, in the form that is asked for. Without blocks and weights of samples, neither log-values nor
/// weights are ever held for all genes.
pub(super) fn fit(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    blocks: Option<&[usize]>,
    options: &DeOptions,
    lib_size: &[f64],
) -> Result<Weighted> {
    if options.method == DeMethod::VoomLmFit {
        let refinement = Refinement { block: blocks, sample_weights: options.sample_weights, ..Refinement::default() };
        let how = VoomLmFitOptions {
            lib_size: Some(lib_size),
            refinement,
            keep_values: false,
            keep_covariances: false,
            ..VoomLmFitOptions::default()
        };
        let made = voom_lm_fit(run, counts, design, &how)?;
        return Ok(Weighted { fit: made.fit, sample_weights: made.sample_weights, correlation: made.correlation });
    }
    let how = VoomOptions { lib_size: Some(lib_size), ..VoomOptions::default() };
    match (blocks, options.sample_weights) {
        (None, false) => {
            let (fit, _) = voom_fit(run, counts, design, &how, false)?;
            Ok(Weighted { fit, sample_weights: None, correlation: None })
        }
        (Some(blocks), false) => {
            let (v, correlation) =
                voom_duplicate_correlation(run, counts, design, &VoomOptions { block: Some(blocks), ..how })?;
            fitted(run, counts, design, &v, Some((blocks, correlation)), None)
        }
        (None, true) => {
            let (v, weights) = voom_with_quality_weights(run, counts, design, &how, &ArrayWeightOptions::default())?;
            fitted(run, counts, design, &v, None, Some(weights))
        }
        (Some(blocks), true) => blocked_with_quality(run, counts, design, blocks, &how),
    }
}

/// Both at once: weights of samples first, then the correlation, each learnt twice as the trend is.
fn blocked_with_quality(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    blocks: &[usize],
    how: &VoomOptions<'_>,
) -> Result<Weighted> {
    let (first, weights) = voom_with_quality_weights(run, counts, design, how, &ArrayWeightOptions::default())?;
    let y = counts.with_values(first.e.borrowed());
    let rho = correlation(run, &y, design, blocks, Weights::Values(first.weights.borrowed()))?;
    let Some(rho) = rho else { return fitted(run, counts, design, &first, None, Some(weights)) };
    let again =
        VoomOptions { block: Some(blocks), correlation: Some(rho), weights: Weights::Samples(&weights), ..*how };
    let mut second = voom(run, counts, design, &again)?;
    let n = counts.n_samples();
    for row in second.weights.entries_mut().chunks_exact_mut(n) {
        row.iter_mut().zip(&weights).for_each(|(w, a)| *w *= a);
    }
    let y = counts.with_values(second.e.borrowed());
    let rho = correlation(run, &y, design, blocks, Weights::Values(second.weights.borrowed()))?;
    fitted(run, counts, design, &second, rho.map(|rho| (blocks, rho)), Some(weights))
}

/// The weighted fit of voom's values.
fn fitted(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    v: &Voom,
    blocks: Option<(&[usize], f64)>,
    sample_weights: Option<Vec<f64>>,
) -> Result<Weighted> {
    let blocks = blocks.filter(|(_, rho)| rho.is_finite() && *rho != 0.0);
    let how = LmFitOptions {
        weights: Weights::Values(v.weights.borrowed()),
        block: blocks.map(|(blocks, _)| blocks),
        correlation: blocks.map(|(_, rho)| rho),
        check_counts: false,
        keep_covariances: false,
        ..LmFitOptions::default()
    };
    let fit = lm_fit(run, &counts.with_values(v.e.borrowed()), design, &how)?;
    Ok(Weighted { fit, sample_weights, correlation: blocks.map(|(_, rho)| rho) })
}

/// Weights of samples, from log-values.
pub(super) fn sample_weights(run: &Run, y: &Expression<'_>, design: &DesignMatrix) -> Result<Vec<f64>> {
    array_weights(run, y, design, &ArrayWeightOptions::default())
}

/// The correlation within blocks; `None` where it cannot be told, or is 0.
pub(super) fn correlation(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    blocks: &[usize],
    weights: Weights<'_>,
) -> Result<Option<f64>> {
    let how = CorrelationOptions { block: Some(blocks), weights, ..CorrelationOptions::default() };
    let found = duplicate_correlation(run, y, design, &how)?.consensus;
    Ok(Some(found).filter(|rho| rho.is_finite() && *rho != 0.0))
}
