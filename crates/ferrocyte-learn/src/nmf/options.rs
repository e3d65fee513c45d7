//! How a matrix is factorised: losses, solvers, precisions and what steers them.

use ferrocyte_base::{Fault, OptionInfo, Result};

use super::ranks::{Begin, Keep};

ferrocyte_base::choice! {
    /// How factors are improved.
    Solver, "solver" {
        /// Cyclic coordinate descent, for the squared norm.
        CoordinateDescent = "cd",
        /// Coordinate descent with several sweeps for each pass over the matrix: other iterates, the same kind of optimum.
        Accelerated = "accelerated",
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
    /// How many sweeps the accelerated solver makes for each pass, at least 1.
    pub sweeps: usize,
    /// With how many bits.
    pub precision: Precision,
    /// Whether [`super::Trace`] is kept.
    pub trace: bool,
}

impl Default for Options {
    /// Squared norm, coordinate descent, tolerance 1e-4, 1,000 iterations, no penalties, 4 sweeps, 64 bits, no trace.
    fn default() -> Self {
        Self {
            loss: Loss::FROBENIUS,
            solver: Solver::CoordinateDescent,
            tolerance: 1e-4,
            max_iterations: 1000,
            alpha_w: 0.0,
            alpha_h: 0.0,
            l1_ratio: 0.0,
            sweeps: 4,
            precision: Precision::Double,
            trace: false,
        }
    }
}

impl Options {
    /// Refuses what cannot be, for a matrix of `n x g` with so many values that are not 0.
    pub(super) fn check(&self, n: usize, g: usize, n_values: usize) -> Result<()> {
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
        if self.solver != Solver::Multiplicative && self.loss != Loss::FROBENIUS {
            let message =
                format!("coordinate descent knows the squared norm only, beta {} was asked", self.loss.value());
            return Err(Fault::unsupported(message).at("solver").hint("take the solver mu"));
        }
        if self.max_iterations == 0 || self.sweeps == 0 || n == 0 || g == 0 {
            return Err(Fault::bad_input(format!(
                "a factorisation needs rows, columns, iterations and sweeps, found {n} x {g}, at most {} iterations of {} \
                 sweeps",
                self.max_iterations, self.sweeps
            )));
        }
        let zeros = n * g - n_values;
        if self.loss.value() <= 0.0 && zeros > 0 {
            let message = format!("a loss with beta <= 0 needs values > 0, {zeros} are 0");
            return Err(Fault::bad_input(message).at("beta_loss").hint("take kullback-leibler, or frobenius"));
        }
        Ok(())
    }
}

/// The words for solvers that the fronts know: `auto` chooses by the loss.
pub const SOLVERS: &[&str] = &["auto", "cd", "accelerated", "mu"];

/// The solver of a word: with `auto` coordinate descent for the squared norm, multiplicative updates for other losses.
///
/// # Errors
/// A word that is none of [`SOLVERS`].
pub fn solver_of(word: &str, loss: Loss) -> Result<Solver> {
    match word {
        "auto" if loss == Loss::FROBENIUS => Ok(Solver::CoordinateDescent),
        "auto" => Ok(Solver::Multiplicative),
        other => Solver::from_word(other),
    }
}

/// An option without choices.
const fn free(name: &'static str, default: &'static str, meaning: &'static str) -> OptionInfo {
    chosen(name, default, &[], meaning)
}

const fn chosen(
    name: &'static str,
    default: &'static str,
    choices: &'static [&'static str],
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, verbs: &["fit"], default, choices, meaning }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    free("k", "-", "how many programs: one number, or several, such as 5,10,15"),
    free("n_replicas", "1", "factorisations of each k, each from a start of its own"),
    free("seed", "0", "the seed from which those of the starts are drawn"),
    chosen("init", "random", Begin::WORDS, "where factorisations begin: random numbers, or singular vectors"),
    free("beta_loss", "frobenius", "what is made small: frobenius, kullback-leibler, itakura-saito or a number"),
    chosen("solver", "auto", SOLVERS, "coordinate descent, the same with several sweeps for each pass, or updates"),
    free("sweeps", "4", "how many sweeps the accelerated solver makes for each pass over the matrix"),
    free("tol", "1e-4", "iterations end when what they change falls to this share of what the first changed"),
    free("max_iter", "1000", "the most iterations"),
    free("alpha_w", "0", "the penalty on usages, for each gene"),
    free("alpha_h", "0", "the penalty on spectra, for each cell"),
    free("l1_ratio", "0", "the share of the penalties that is on sums; the rest is on squares"),
    chosen("precision", "double", Precision::WORDS, "with 64 or 32 bits; 32 are twice as fast"),
    chosen("keep", "best", Keep::WORDS, "factors of which replicas: of the best of each k, or of all"),
    free("layer", "", "matrix to use: X, a layer, or raw/X"),
    free("mask_var", "", "var column that says which genes are used, such as highly_variable"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_with_a_way_out() {
        let base = Options::default();
        assert!(base.check(2, 2, 3).is_ok());
        let wrong = [
            Options { tolerance: f64::NAN, ..base },
            Options { alpha_w: -1.0, ..base },
            Options { l1_ratio: 1.5, ..base },
            Options { max_iterations: 0, ..base },
            Options { sweeps: 0, ..base },
            Options { loss: Loss::KULLBACK_LEIBLER, ..base },
            Options { loss: Loss::KULLBACK_LEIBLER, solver: Solver::Accelerated, ..base },
        ];
        assert!(wrong.iter().all(|o| o.check(2, 2, 3).is_err()));
        let itakura = Options { loss: Loss::ITAKURA_SAITO, solver: Solver::Multiplicative, ..base };
        assert!(itakura.check(2, 2, 3).is_err_and(|f| f.message().contains("1 are 0")));
        assert!(itakura.check(2, 2, 4).is_ok());
        assert!(base.check(0, 2, 0).is_err());
    }

    #[test]
    fn every_word_for_a_solver_is_one() {
        assert!(SOLVERS.iter().all(|word| solver_of(word, Loss::FROBENIUS).is_ok()));
        assert!(solver_of("auto", Loss::KULLBACK_LEIBLER).is_ok_and(|s| s == Solver::Multiplicative));
        assert!(solver_of("newton", Loss::FROBENIUS).is_err());
    }

    #[test]
    fn losses_have_words() -> Result<()> {
        assert_eq!(Loss::from_word("kullback-leibler")?, Loss::KULLBACK_LEIBLER);
        assert_eq!(Loss::from_word("1.5")?.value(), 1.5);
        assert!(Loss::from_word("nan").is_err() && Loss::from_word("absolute").is_err());
        Ok(())
    }
}
