//! Non-negative matrix factorisation: X of `n x g` as W H, W of `n x k` and H of `k x g`, all >= 0.
//!
//! What is made small is `D(X, W H) / 2` for the squared norm, or `D(X, W H)` for another [`Loss`], with penalties
//! `g a_W (l1 sum W + (1 - l1) |W|^2 / 2)` and `n a_H (..)` alike. Replicas from many starts share the matrix: those of
//! one rank are iterated together, each in a lane of vector registers ([`factorise`]). Iterates, stopping rules and
//! random starts are those of scikit-learn, to rounding. A replica's bits depend on matrix, options and start only: not
//! on threads, lanes or what else runs, and are the same with all instructions that fuse
//! ([`ferrocyte_math::fused::Level`]).

mod batch;
mod convex;
mod descent;
mod divergence;
mod exact;
mod input;
mod judge;
mod kernels;
mod multiplicative;
mod options;
mod packs;
mod pieces;
mod prepared;
mod products;
mod ranks;
mod refit;
mod replicas;
mod start;
mod tiles;

use ferrocyte_base::Status;

pub use input::{Input, Values};
pub use options::{Loss, OPTIONS, Options, Precision, SOLVERS, Solver, solver_of};
pub use prepared::{Portions, Prepared, factorise, factorise_each};
pub use products::{Products, refit_products};
pub use ranks::{Begin, Keep, RankOptions, Ranks, Replica, fit};
pub use refit::{Refit, Rule, refit};
pub use start::{Replicate, Start, initial, nndsvd, replicates};

/// A factorisation that is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Job<'a> {
    /// The rank, at least 1.
    pub components: usize,
    /// Where it begins.
    pub start: Start<'a>,
}

/// Why iterations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The stopping rule was met.
    Converged,
    /// Nothing was left to change at the first iteration.
    Stationary,
    /// The iterations were used up.
    Limit,
}

impl Stop {
    /// All reasons, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Converged, Self::Stationary, Self::Limit];

    /// Word, sentence and severity.
    pub const fn status(self) -> Status {
        match self {
            Self::Converged => Status::OK,
            Self::Stationary => {
                Status::note("stationary", "The start was stationary: the first iteration found nothing to change.")
            }
            Self::Limit => Status::note("max_iter", "The iterations were used up before the stopping rule was met."),
        }
    }
}

/// What happened, iteration by iteration. Violations are those of coordinate descent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The loss after each iteration, without penalties; half the squared norm for the squared norm.
    pub objective: Vec<f64>,
    /// Sizes of the projected gradients that were met in W, summed.
    pub violation_w: Vec<f64>,
    /// Those in H.
    pub violation_h: Vec<f64>,
}

/// Factors of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Factorisation {
    /// The rank.
    pub components: usize,
    /// `n x k`, row after row.
    pub w: Vec<f64>,
    /// `k x g`, row after row.
    pub h: Vec<f64>,
    /// How many iterations were made.
    pub iterations: usize,
    /// The loss at the end, without penalties; half the squared norm for the squared norm.
    pub objective: f64,
    /// Why the iterations ended.
    pub stop: Stop,
    /// Empty unless asked for.
    pub trace: Trace,
}

/// What one iteration did, lane by lane.
struct Step<const L: usize> {
    violation_w: [f64; L],
    violation_h: [f64; L],
    /// Where it costs nothing, or was asked for.
    objective: Option<[f64; L]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_words_of_their_own() {
        let mut words: Vec<&str> = Stop::ALL.iter().map(|s| s.status().word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Stop::ALL.len());
    }
}
