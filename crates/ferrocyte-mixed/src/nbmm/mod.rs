//! Negative-binomial mixed models of many genes from additive sums.
//!
//! Model, per gene: the count of cell j of donor i is negative binomial with mean `mu = o_j exp(x_j'b + w_i)` and variance
//! `mu + tau mu²`; o is the offset, w the effect of the donor, `N(0, s2)` or of a gamma. The marginal likelihood integrates
//! w out. It depends on the cells only through [`Sums`] on a few nodes of the offset ([`OffsetNodes`]), or is summed over
//! the cells where these do not collapse.
//!
//! The road of a study: [`sums`] → [`Fit::new`] → [`Fit::test`].
//!
//! * Sums: [`Sums`], [`GroupSums`]; they add over shards.
//! * Estimates: [`GeneFit`] of every gene, variances of exactly zero, infinite coefficients, an [`Outcomes`] each.
//! * Tests: averaged over what all genes say about the donor variance ([`Test`]).
//! * Besides: effects of donors ([`Fit::random_effects`]), residuals of cells ([`Residuals`]).
//!
//! ```
//! use ferrocyte_base::Run;
//! use ferrocyte_data::Csr;
//! use ferrocyte_design::Model;
//! use ferrocyte_mixed::lmm::{Contrast, StudyOptions, simulate_study};
//! use ferrocyte_mixed::nbmm::{self, Fit, FitOptions, SumsOptions, TestOptions};
//!
//! // 40 genes and 800 cells of 8 samples, every other one treated.
//! let run = Run::new();
//! let size = StudyOptions { n_genes: 40, n_cells: 800, n_samples: 8, ..StudyOptions::size("S", 1)? };
//! let study = simulate_study(&run, &size)?;
//! let mut counts = Csr::new(800, 40, &study.counts, &study.indices, &study.pointers)?;
//!
//! let model = Model::parse("~ treatment + (1 | sample)", &[])?;
//! let sums = nbmm::sums(&run, &mut counts, &study.genes, &study.obs, &model, &SumsOptions::default())?;
//! let fit = Fit::new(&run, sums, FitOptions::default())?;
//! let table = fit.test(&run, &[Contrast::difference("treatment", "B", "A")], &TestOptions::default())?;
//! assert_eq!(table.n_rows(), 40);
//! assert!(table.floats("p_value")?[0] <= table.floats("p_value")?[1]);
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```
mod ascent;
mod contrasts;
mod curves;
mod effect;
mod effects;
mod fit;
mod gamma_poisson;
mod gene;
mod ground;
mod integral;
mod layout;
mod marginal;
mod mixture;
mod moderation;
mod nodes;
mod options;
mod profile;
mod refine;
mod residuals;
mod restricted;
mod separation;
mod status;
mod strata;
mod sums;
mod sweep;
mod tails;
mod top;

pub use contrasts::test_columns;
pub use effects::RandomEffects;
pub use fit::{Evaluation, Fit, GroupFit};
pub use gene::GeneFit;
pub use mixture::Test;
pub use nodes::OffsetNodes;
pub use options::{
    Adjust, AliasedChoice, Effect, Family, FitOptions, Method, NaChoice, OPTIONS, OptionInfo, Path, Statistic,
    TestOptions,
};
pub use residuals::Residuals;
pub use status::{Outcome, Outcomes};
pub use sums::{GroupSums, Offset, Sums, SumsOptions, sums};
