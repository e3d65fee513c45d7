//! How good labels are: cross-validation, measures, and mixtures of known composition.

mod crossvalidate;
mod metrics;
mod pseudobulk;

pub use crossvalidate::{CrossValidated, CrossValidation, Scheme, cross_validate};
pub use metrics::{Metric, Metrics, metrics};
pub use pseudobulk::{Pseudobulks, pseudobulks};
