//! Studies with known truth.

mod cohort;
mod counts;
mod options;
mod rnaseq;
mod study;

pub use cohort::{Cohort, CohortGene, CohortOptions, CohortSample, Planted, simulate_cohort};
pub use options::{Affected, BatchOf, Direction, SIMULATE_OPTIONS};
pub use rnaseq::{ReferenceMoments, Rnaseq, RnaseqOptions, simulate_rnaseq};
pub use study::{Study, StudyOptions, simulate_study};
