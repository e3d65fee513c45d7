//! Studies with known truth.

mod rnaseq;
mod study;

pub use rnaseq::{ReferenceMoments, Rnaseq, RnaseqOptions, simulate_rnaseq};
pub use study::{Study, StudyOptions, simulate_study};
