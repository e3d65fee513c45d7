//! [`voom_with_quality_weights`]: weights of values and of samples (Liu et al. 2015); [`voom_duplicate_correlation`]: weights
//! and the correlation within blocks.

use ferrocyte_base::{Result, Run};

use super::refine::times_samples;
use super::voom::{Voom, VoomOptions, voom};
use crate::array_weights::{ArrayWeightOptions, array_weights};
use crate::correlation::{CorrelationOptions, duplicate_correlation};
use crate::{DesignMatrix, Expression, Weights};

/// [`voom`](voom()) with weights of samples, learnt in two rounds: the trend with and without them. Gives the weights of values times
/// those of samples, and the latter. Weights in the options of either are not used.
pub fn voom_with_quality_weights(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomOptions<'_>,
    quality: &ArrayWeightOptions<'_>,
) -> Result<(Voom, Vec<f64>)> {
    let samples = |v: &Voom| {
        let quality = ArrayWeightOptions { weights: Weights::Values(v.weights.borrowed()), ..*quality };
        array_weights(run, &counts.with_values(v.e.borrowed()), design, &quality)
    };
    let first = voom(run, counts, design, &VoomOptions { weights: Weights::None, ..*options })?;
    let weights = samples(&first)?;
    let mut second = voom(run, counts, design, &VoomOptions { weights: Weights::Samples(&weights), ..*options })?;
    let weights = samples(&second)?;
    second.weights = times_samples(&second.weights, Some(&weights)).into_owned();
    Ok((second, weights))
}

/// [`voom`](voom()) and the correlation within blocks, learnt in two rounds: the correlation with weights, the trend with the
/// correlation, and the correlation again. The options hold the blocks.
pub fn voom_duplicate_correlation(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomOptions<'_>,
) -> Result<(Voom, f64)> {
    let consensus = |v: &Voom| {
        let weights = Weights::Values(v.weights.borrowed());
        let how = CorrelationOptions { block: options.block, weights, ..CorrelationOptions::default() };
        Ok(duplicate_correlation(run, &counts.with_values(v.e.borrowed()), design, &how)?.consensus)
    };
    let first = voom(run, counts, design, &VoomOptions { block: None, correlation: None, ..*options })?;
    let correlation = consensus(&first)?;
    let second = voom(run, counts, design, &VoomOptions { correlation: Some(correlation), ..*options })?;
    let correlation = consensus(&second)?;
    Ok((second, correlation))
}
