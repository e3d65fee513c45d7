//! Negative-binomial mixed models of many genes from additive sums.
mod ascent;
mod contrasts;
mod effect;
mod fit;
mod gamma_poisson;
mod gene;
mod layout;
mod marginal;
mod mixture;
mod moderation;
mod nodes;
mod options;
mod profile;
mod refine;
mod restricted;
mod separation;
mod status;
mod sums;
mod sweep;
mod tails;
mod top;

pub use contrasts::test_columns;
pub use fit::{Evaluation, Fit, GroupFit};
pub use gene::GeneFit;
pub use mixture::Test;
pub use nodes::OffsetNodes;
pub use options::{
    Adjust, AliasedChoice, Effect, Family, FitOptions, Method, NaChoice, OPTIONS, OptionInfo, Path, Statistic,
    TestOptions,
};
pub use status::{Outcome, Outcomes};
pub use sums::{GroupSums, Offset, Sums, SumsOptions, sums};
