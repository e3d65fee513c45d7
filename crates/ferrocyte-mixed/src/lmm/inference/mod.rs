//! What is asked of a fit: tests of contrasts, the variance components themselves, random effects.

mod components;
mod contrasts;

pub use components::{ComponentErrors, GeneCovariance};
pub use contrasts::{Contrast, ln_p_value, test_columns};
