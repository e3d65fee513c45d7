//! The ways with weights: voom in its two forms, weights of samples, correlation of blocks.
use super::DeOptions;
use crate::{DesignMatrix, Expression, Fit, Weights};
use ferrocyte_base::{Result, Run};
pub(super) struct Weighted {
    pub(super) fit: Fit,
    pub(super) sample_weights: Option<Vec<f64>>,
    pub(super) correlation: Option<f64>,
}
pub(super) fn fit(
    _run: &Run,
    _counts: &Expression<'_>,
    _design: &DesignMatrix,
    _blocks: Option<&[usize]>,
    _options: &DeOptions,
    _lib: &[f64],
) -> Result<Weighted> {
    Err(ferrocyte_base::Fault::internal("todo"))
}
pub(super) fn sample_weights(_run: &Run, _y: &Expression<'_>, _design: &DesignMatrix) -> Result<Vec<f64>> {
    Err(ferrocyte_base::Fault::internal("todo"))
}
pub(super) fn correlation(
    _run: &Run,
    _y: &Expression<'_>,
    _design: &DesignMatrix,
    _b: &[usize],
    _w: Weights<'_>,
) -> Result<Option<f64>> {
    Err(ferrocyte_base::Fault::internal("todo"))
}
