//! One variance component: everything from one shared eigendecomposition.

mod estimates;
mod fit;
mod moderate;
mod profile;
mod search;

pub(in crate::lmm) use estimates::information_one;
pub(in crate::lmm) use fit::fit_block;
pub(in crate::lmm) use moderate::Moderation;
pub use moderate::{ModeratedTest, Priors};
pub(in crate::lmm) use profile::Profile;
