//! `voom`: log-counts with weights from the trend of their variance (Law, Chen, Shi and Smyth 2014).
//!
//! The log of a count is the less precise the smaller the count. A linear model is fitted to the log-counts of every
//! gene; a smooth curve of the root of its residual standard deviation over its mean log-count tells the standard
//! deviation of a single count from its fitted value; the weight is one over the variance.
//!
//! * [`log_counts`]: the log-values, all of them or some genes at a time.
//! * [`trend`]: the curve, and weights from it.
//! * [`voom`]: both, and what limma returns. [`voom_fit`] fits at once, block of genes by block, and keeps neither.
//! * [`voom_with_quality_weights`], [`voom_duplicate_correlation`]: with weights of samples, with blocks.
//! * [`voom_lm_fit`]: edgeR's one-call route, exact about counts that can only be zero.
//! * [`vooma`]: the same trend for values that are no counts.

mod exact_zeros;
mod log_counts;
mod one_call;
mod poisson;
mod quality;
mod refine;
mod stream;
#[cfg(test)]
mod testing;
mod trend;
#[expect(clippy::module_inception, reason = "the verb of this name")]
mod voom;
mod vooma;

pub use one_call::{VoomLmFit, VoomLmFitOptions, voom_lm_fit};
pub use quality::{voom_duplicate_correlation, voom_with_quality_weights};
pub use refine::Refinement;
pub use stream::voom_fit;
pub use trend::VarianceTrend;
pub use voom::{Voom, VoomOptions, voom};
pub use vooma::{Predictor, VoomaOptions, vooma, vooma_by_group, vooma_lm_fit};
