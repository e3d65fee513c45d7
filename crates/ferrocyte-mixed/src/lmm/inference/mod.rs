//! What is asked of a fit: tests of contrasts, one by one and jointly, of variance components, and between fits; the
//! variance components themselves, random effects, shares of variance.

mod compare;
mod component_tests;
mod components;
mod contrasts;
mod expand;
mod hypothesis;
mod joint;
mod long;
mod moderated;
mod moments;
mod random_effects;
mod several;
mod shares;
mod submodel;
mod wald;

pub use compare::comparison_columns;
pub use component_tests::component_test_columns;
pub use components::{ComponentErrors, GeneCovariance};
pub use contrasts::{Contrast, ln_p_value, test_columns};
pub use hypothesis::Hypothesis;
pub use joint::joint_test_columns;
