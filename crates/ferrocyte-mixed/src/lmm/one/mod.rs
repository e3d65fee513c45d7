//! One variance component: everything from one shared eigendecomposition.

mod estimates;
mod moderate;
mod profile;

pub(in crate::lmm) use estimates::observed_one;
pub(in crate::lmm) use moderate::Moderation;
pub use moderate::{ModeratedTest, Priors};
pub(in crate::lmm) use profile::Profile;
