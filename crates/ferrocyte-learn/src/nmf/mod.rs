//! Non-negative matrix factorisation: X of `n x g` as W H, W of `n x k` and H of `k x g`, all >= 0.
//!
//! What is made small is `D(X, W H) / 2` for the squared norm, or `D(X, W H)` for another [`Loss`], with penalties
//! `g a_W (l1 sum W + (1 - l1) |W|^2 / 2)` and `n a_H (..)` alike. Replicas from many starts share the matrix: those of
//! one rank are iterated together, each in a lane of vector registers ([`factorise`]). Iterates, stopping rules and
//! random starts are those of scikit-learn, to rounding. A replica's bits depend on matrix, options and start only: not
//! on threads, lanes or what else runs, and are the same with all instructions that fuse
//! ([`ferrocyte_math::fused::Level`]).

mod batch;
mod descent;
mod divergence;
mod exact;
mod input;
mod kernels;
mod multiplicative;
mod products;
mod refit;
mod replicas;
mod start;
mod tiles;

use ferrocyte_base::{Fault, Result, Status};

pub use batch::{factorise, factorise_each};
pub use input::{Input, Values};
pub use products::{Products, refit_products};
pub use refit::{Refit, Rule, refit};
pub use start::{Replicate, Start, initial, nndsvd, replicates};

ferrocyte_base::choice! {
    /// How factors are improved.
    Solver, "solver" {
        /// Cyclic coordinate descent, for the squared norm.
        CoordinateDescent = "cd",
        /// Multiplicative updates, for any loss.
        Multiplicative = "mu",
    }
}

ferrocyte_base::choice! {
    /// With how many bits the iterations run.
    Precision, "precision" {
        /// 64: meets the digits of others.
        Double = "double",
        /// 32: twice as fast; sums over rows are kept in 64.
        Single = "single",
    }
}

/// The beta divergence that is made small.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss(f64);

impl Loss {
    /// Squared distances, beta 2.
    pub const FROBENIUS: Self = Self(2.0);
    /// The Kullback-Leibler divergence, beta 1.
    pub const KULLBACK_LEIBLER: Self = Self(1.0);
    /// The Itakura-Saito divergence, beta 0.
    pub const ITAKURA_SAITO: Self = Self(0.0);

    /// The divergence of any finite beta.
    pub fn beta(beta: f64) -> Result<Self> {
        if beta.is_finite() {
            return Ok(Self(beta));
        }
        Err(Fault::bad_input(format!("beta is a finite number, found {beta}")).at("beta_loss"))
    }

    /// The divergence of a word.
    pub fn from_word(word: &str) -> Result<Self> {
        match word {
            "frobenius" => Ok(Self::FROBENIUS),
            "kullback-leibler" => Ok(Self::KULLBACK_LEIBLER),
            "itakura-saito" => Ok(Self::ITAKURA_SAITO),
            other => other.parse().map_err(|_| unknown(other)).and_then(Self::beta),
        }
    }

    /// Its beta.
    pub const fn value(self) -> f64 {
        self.0
    }
}

fn unknown(word: &str) -> Fault {
    Fault::bad_input(format!("there is no loss `{word}`"))
        .at("beta_loss")
        .hint("it is frobenius, kullback-leibler, itakura-saito or a number")
}

/// How a matrix is factorised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The loss.
    pub loss: Loss,
    /// The solver.
    pub solver: Solver,
    /// Iterations stop when what they still change falls to this share of what the first changed.
    pub tolerance: f64,
    /// The most iterations.
    pub max_iterations: usize,
    /// The penalty on W, >= 0.
    pub alpha_w: f64,
    /// The penalty on H, >= 0.
    pub alpha_h: f64,
    /// The share of the penalties that is on sums; the rest is on squares.
    pub l1_ratio: f64,
    /// With how many bits.
    pub precision: Precision,
    /// Whether [`Trace`] is kept.
    pub trace: bool,
}

impl Default for Options {
    /// Squared norm, coordinate descent, tolerance 1e-4, 1,000 iterations, no penalties, 64 bits, no trace.
    fn default() -> Self {
        Self {
            loss: Loss::FROBENIUS,
            solver: Solver::CoordinateDescent,
            tolerance: 1e-4,
            max_iterations: 1000,
            alpha_w: 0.0,
            alpha_h: 0.0,
            l1_ratio: 0.0,
            precision: Precision::Double,
            trace: false,
        }
    }
}

impl Options {
    /// Refuses what cannot be, for this matrix.
    fn check(&self, input: &Input) -> Result<()> {
        let not_negative = [("tolerance", self.tolerance), ("alpha_w", self.alpha_w), ("alpha_h", self.alpha_h)];
        for (name, value) in not_negative {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Fault::bad_input(format!("{name} is finite and >= 0, found {value}")).at(name));
            }
        }
        if !(0.0..=1.0).contains(&self.l1_ratio) {
            let message = format!("l1_ratio lies between 0 and 1, found {}", self.l1_ratio);
            return Err(Fault::bad_input(message).at("l1_ratio"));
        }
        if self.solver == Solver::CoordinateDescent && self.loss != Loss::FROBENIUS {
            let message =
                format!("coordinate descent knows the squared norm only, beta {} was asked", self.loss.value());
            return Err(Fault::unsupported(message).at("solver").hint("take the solver mu"));
        }
        if self.max_iterations == 0 || input.n() == 0 || input.g() == 0 {
            return Err(Fault::bad_input(format!(
                "a factorisation needs rows, columns and iterations, found {} x {} and at most {} iterations",
                input.n(),
                input.g(),
                self.max_iterations
            )));
        }
        if self.loss.value() <= 0.0 {
            let mut n_values = 0;
            input.for_each(|_, _, _| n_values += 1);
            let zeros = input.n() * input.g() - n_values;
            if zeros > 0 {
                let message = format!("a loss with beta <= 0 needs values > 0, {zeros} are 0");
                return Err(Fault::bad_input(message).at("beta_loss").hint("take kullback-leibler, or frobenius"));
            }
        }
        Ok(())
    }
}

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
    fn what_cannot_be_is_refused_with_a_way_out() -> Result<()> {
        let values = [1.0, 0.0, 2.0, 3.0];
        let input = Input::dense(Values::Double(&values), 2, 2)?;
        let base = Options::default();
        assert!(base.check(&input).is_ok());
        let wrong = [
            Options { tolerance: f64::NAN, ..base },
            Options { alpha_w: -1.0, ..base },
            Options { l1_ratio: 1.5, ..base },
            Options { max_iterations: 0, ..base },
            Options { loss: Loss::KULLBACK_LEIBLER, ..base },
        ];
        assert!(wrong.iter().all(|o| o.check(&input).is_err()));
        let itakura = Options { loss: Loss::ITAKURA_SAITO, solver: Solver::Multiplicative, ..base };
        assert!(itakura.check(&input).is_err_and(|f| f.message().contains("1 are 0")));
        Ok(())
    }

    #[test]
    fn losses_have_words() -> Result<()> {
        assert_eq!(Loss::from_word("kullback-leibler")?, Loss::KULLBACK_LEIBLER);
        assert_eq!(Loss::from_word("1.5")?.value(), 1.5);
        assert!(Loss::from_word("nan").is_err() && Loss::from_word("absolute").is_err());
        Ok(())
    }

    #[test]
    fn reasons_have_words_of_their_own() {
        let mut words: Vec<&str> = Stop::ALL.iter().map(|s| s.status().word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Stop::ALL.len());
    }
}
