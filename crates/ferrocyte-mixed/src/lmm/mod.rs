//! Linear mixed models of many genes from additive sums.
//!
//! Model, per gene: y = X b + Z₁u₁ + … + Z_k u_k + e, u_i ~ N(0, s_i I), e ~ N(0, s₀ I), over n cells. The likelihood
//! depends on the cells only through [`Sums`] (X'X, Z'X, Z'Z, X'y, Z'y, y'y, n), which add over cells, so that the cost
//! of a fit does not depend on their number (the idea of FLASH-MM). Here the genes also share one eigendecomposition:
//! with one component, a gene costs O(q) per step of an exact one-dimensional search.
//!
//! The road of a study: [`sums`] → [`Fit::new`] → [`Fit::test`]. Results are genes × coefficients.
//!
//! * Sums: [`Sums`], [`GroupSums`], made in one pass by [`sums`], merged over machines.
//! * Estimates: REML or ML; components may be negative ([`Negative`]); every gene has an [`Outcome`].
//! * Tests: moderated over genes, Satterthwaite, or n - p ([`Df`]).
//!
//! Accuracy: within 1e-8 standard errors of 40-digit arithmetic on the reference cases.
//!
//! ```
//! use ferrocyte_base::Run;
//! use ferrocyte_data::Csr;
//! use ferrocyte_design::Model;
//! use ferrocyte_mixed::lmm::{self, Contrast, Fit, FitOptions, StudyOptions, SumsOptions, TestOptions};
//!
//! // 40 genes and 800 cells of 8 samples, every other one treated; a stream of any other source does as well.
//! let run = Run::new();
//! let size = StudyOptions { n_genes: 40, n_cells: 800, n_samples: 8, ..StudyOptions::size("S", 1)? };
//! let study = lmm::simulate_study(&run, &size)?;
//! let mut counts = Csr::new(800, 40, &study.counts, &study.indices, &study.pointers)?;
//!
//! let model = Model::parse("~ cluster + treatment + (1 | sample)", &[])?;
//! let sums = lmm::sums(&run, &mut counts, &study.genes, &study.obs, &model, &SumsOptions::default())?;
//! let fit = Fit::new(&run, sums, FitOptions::default())?;
//! let table = fit.test(&run, &[Contrast::difference("treatment", "B", "A")], &TestOptions::default())?;
//! assert_eq!(table.n_rows(), 40);
//! assert!(table.floats("p_value")?[0] <= table.floats("p_value")?[1]);
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

mod canonical;
mod check;
mod core;
mod estimates;
mod fit;
mod inference;
mod moderated;
mod one;
mod options;
mod peer;
mod several;
mod simulate;
mod status;
pub(crate) mod sums;
mod support;

pub use ferrocyte_data::plan;

pub use check::{Check, CheckOptions, check};
pub use estimates::{Estimates, Surface, p_values};
pub use fit::{Fit, GroupFit};
pub use inference::{
    ComponentErrors, Contrast, GeneCovariance, Hypothesis, comparison_columns, component_test_columns,
    joint_test_columns, ln_p_value, test_columns,
};
pub use one::{ModeratedTest, Priors};
pub use options::{
    Adjust, AliasedChoice, Alternative, Df, FitOptions, Method, NaChoice, Negative, OPTIONS, OptionInfo, TestOptions,
    Unit,
};
pub use peer::PeerStop;
pub use simulate::{
    Affected, BatchOf, Cohort, CohortGene, CohortOptions, CohortSample, Direction, Planted, ReferenceMoments, Rnaseq,
    RnaseqOptions, SIMULATE_OPTIONS, Study, StudyOptions, simulate_cohort, simulate_rnaseq, simulate_study,
};
pub use status::Outcome;
pub use sums::{CellName, Component, GeneMask, GroupSums, PartRows, Sums, SumsInput, SumsOptions, sums};
