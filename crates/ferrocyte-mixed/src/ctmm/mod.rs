//! Cell type-specific mixed models: which genes vary between people, in all cell types alike or in some only (CTMM, Chen &
//! Dahl, Nat Commun 2024).
//!
//! Values are pseudobulk: the mean expression of the cells of one individual and cell type, and `noise`, the variance of that
//! mean. Per individual, y = X b + a 1 + g + e with Var(a) = hom2, Var(g) = V over cell types, Var(e) = diag(noise) known.
//! Arrays are genes × individuals × cell types. The road of a study: [`prepare`] → [`fit`].
//!
//! * Models ([`Model`]): `hom` (V = 0), `iid` (v I), `free` (diagonal), `full`; on cell types or on overall pseudobulk ([`Level`]).
//! * Estimators ([`Method`]): Haseman-Elston moments, REML, ML; nothing larger than a block of one individual is formed.
//! * Covariances from the information or from leaving out individuals ([`Jackknife`]); every gene has an [`Outcome`].

mod block;
mod complete;
mod data;
mod design;
mod fit;
mod gene;
mod gls;
mod impute;
mod kernel;
mod lanes;
mod likelihood;
mod moments;
mod optimum;
mod options;
mod part;
mod prepare;
mod questions;
mod saddlepoint;
mod shares;
mod simulate;
mod standardize;
mod status;
mod wald;
mod widen;

pub use data::{Covariate, Study, align};
pub use fit::{Fit, fit};
pub use impute::impute;
pub use options::{
    FitOptions, Jackknife, Level, MeanTest, Method, Model, OPTIONS, OptionInfo, SIMULATE_OPTIONS, Variance,
};
pub use prepare::{Noise, Normalize, PrepareOptions, Prepared, prepare};
pub use questions::{Questions, questions};
pub use shares::Shares;
pub use simulate::{SimulateOptions, Truth, simulate};
pub use standardize::{Standardized, standardize};
pub use status::Outcome;
pub use wald::{ln_equal_means, ln_f, ln_likelihood_ratio, ln_upper_t};
