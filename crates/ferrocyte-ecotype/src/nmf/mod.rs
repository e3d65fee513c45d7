//! Non-negative factorisation with the rules of the reference: connectivity stop, consensus, choice of the rank.
//!
//! Where published results hang on the order of updates and on when they stop, these are the updates and that is the
//! stop. For factorisation by itself `ferrocyte_learn::nmf` is faster and has more losses.

mod cluster;
mod linkage;
mod rank;
pub(crate) mod stop;
mod updates;

pub use cluster::{ClusterOptions, Clustering, RankResult, nmf_clustering};
pub use linkage::cophenetic_correlation;
pub use rank::{RankRule, select_rank};
pub use updates::{Factors, Method, NmfOptions, factorise, random_start};
