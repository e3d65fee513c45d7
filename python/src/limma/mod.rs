//! What `ferrocyte.limma` calls: arrays in, arrays out, one call each.
//!
//! Objects of the package (fits, voom's values) are plain arrays in Python and travel as such; nothing of a fit lives
//! here between two calls.

mod arrays;
mod batch;
mod counts;
mod fit;
mod fits;
mod inputs;
mod models;
mod normalize;
mod smooth;
mod voom;

pub(crate) use arrays::{limma_array_weights, limma_array_weights_quick, limma_duplicate_correlation};
pub(crate) use batch::{limma_average, limma_average_duplicates, limma_remove_batch_effect, limma_wsva};
pub(crate) use counts::{limma_cpm, limma_filter_by_expr, limma_norm_factors};
pub(crate) use fit::{limma_contrasts_fit, limma_lm_fit};
pub(crate) use models::{limma_contrast_as_coef, limma_make_contrasts, limma_model_matrix, limma_non_estimable};
pub(crate) use normalize::{limma_mds, limma_normalize};
pub(crate) use smooth::{limma_interpolate, limma_loess_fit, limma_lowess, limma_lowess_span, limma_weighted_lowess};
pub(crate) use voom::{limma_voom, limma_voom_lm_fit, limma_vooma, limma_vooma_lm_fit};
