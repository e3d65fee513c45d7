//! Contrasts: written as text, applied to a fit, or turned into coefficients.

mod apply;
mod as_coefficient;
mod rank;
mod write;

pub use apply::contrasts_fit;
pub use as_coefficient::{ContrastDesign, contrast_as_coef};
pub use rank::{is_fullrank, non_estimable};
pub use write::make_contrasts;
