//! Heritability by environment: mixed models of traits with one kinship (GxEMM, Dahl et al., AJHG 2020).
//!
//! With K the kinship of people and z_k the column of environment k, the covariance of a trait is
//! V = s_g K + Σ_k s_k K∘(z_k z_k') + Σ_k t_k diag(z_k²) + s_e I: genetic variance of all and of each environment, noise of
//! each environment and of all. The trait is scaled to variance 1.
//!
//! * Models ([`Genetic`], [`Noise`]): `hom` (environments alike), `iid` (one variance for all of them), `free` (one each).
//! * Estimators ([`Method`]): REML by average information in one matrix of work, or in the independent parts into which
//!   families, few markers and eigenvectors cut the people; Haseman-Elston moments and, for cases and
//!   controls, PCGC, in O(n²) with the jackknife over people.
//! * For very many people, the same moments from genotypes that are streamed, with traces from random vectors
//!   ([`fit_genotypes`]).
//! * Answers: heritabilities and shares with their covariance, Wald and likelihood-ratio tests; every trait has an
//!   [`Outcome`].

mod answers;
mod data;
mod dense;
mod fit;
mod genotypes;
mod ground;
mod group;
mod ids;
mod kinship;
mod likelihood;
mod low_rank;
mod model;
mod moments;
mod nonnegative;
mod optimum;
mod options;
mod pairs;
mod pcgc;
mod piece;
mod plan;
mod randomised;
mod simulate;
mod status;
mod sweep;
mod table;
mod wald;

pub use answers::Ratios;
pub use data::Study;
pub use fit::{Fit, Genotypes, TraitFit, fit, fit_genotypes};
pub use genotypes::{Markers, kinship_of};
pub use ids::align;
pub use kinship::Kinship;
pub use options::{
    Errors, FitOptions, Genetic, Information, KinshipOptions, Method, Noise, OPTIONS, OptionInfo, Route, Standardize,
    Variance,
};
pub use simulate::{SIMULATE_OPTIONS, SimulateOptions, Simulated, simulate};
pub use status::Outcome;
pub use wald::{ln_equal, ln_joint_wald, ln_likelihood_ratio, ln_mixture, ln_wald, ln_wald_two_sided, mixture_weights};
