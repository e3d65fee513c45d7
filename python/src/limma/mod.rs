//! What `ferrocyte.limma` calls: arrays in, arrays out, one call each.
//!
//! Objects of the package (fits, voom's values) are plain arrays in Python and travel as such; nothing of a fit lives
//! here between two calls.

mod inputs;
mod models;

pub(crate) use models::limma_model_matrix;
