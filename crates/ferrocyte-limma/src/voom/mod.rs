//! `voom`: log-counts with weights from the trend of their variance (Law, Chen, Shi and Smyth 2014).
//!
//! The log of a count is the less precise the smaller the count. A linear model is fitted to the log-counts of every
//! gene; a smooth curve of the root of its residual standard deviation over its mean log-count tells the standard
//! deviation of a single count from its fitted value; the weight is one over the variance.
//!
//! * [`log_counts`]: the log-values, all of them or some genes at a time.
//! * [`trend`]: the curve, and weights from it.
//! * [`voom`]: both, and what limma returns. [`voom_fit`] fits at once, block of genes by block, and keeps neither.
//! * [`voom_lm_fit`]: edgeR's one-call route, exact about counts that can only be zero.

mod exact_zeros;
mod log_counts;
mod one_call;
mod poisson;
mod stream;
mod trend;
#[expect(clippy::module_inception, reason = "the verb of this name")]
mod voom;

pub use one_call::{VoomLmFit, VoomLmFitOptions, voom_lm_fit};
pub use stream::voom_fit;
pub use trend::Trend;
pub use voom::{Voom, VoomOptions, voom};
