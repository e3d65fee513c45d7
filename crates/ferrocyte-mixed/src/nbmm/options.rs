//! Options of the count models: their words, defaults and meanings, for all three fronts.
//!
//! The program, the Python package and the documentation take names, choices and defaults from [`OPTIONS`]; a test
//! compares the three.

pub use ferrocyte_base::OptionInfo;
use ferrocyte_base::choice;

pub use crate::lmm::{Adjust, AliasedChoice, Method, NaChoice};

choice! {
    /// How the effect of a donor on the mean is distributed. Changes the answer.
    Effect, "re" {
        /// Normal in logarithms: `(1 | donor)` of generalised linear mixed models.
        Lognormal = "lognormal",
        /// Gamma, with the mean and variance of the log-normal.
        Gamma = "gamma",
    }
}

choice! {
    /// How counts vary between the cells of a donor. Changes the answer.
    Family, "family" {
        /// Negative binomial: variance mu + tau mu².
        Nb = "nb",
        /// Poisson: tau is zero.
        Poisson = "poisson",
    }
}

choice! {
    /// What stands for the cells in the likelihood. Changes rounding, and time.
    Path, "path" {
        /// Nodes where they are fewer than the cells, else the cells.
        Auto = "auto",
        /// Sums on Chebyshev nodes of the offset, for each donor and row of the design.
        Nodes = "nodes",
        /// Every cell.
        Cells = "cells",
    }
}

choice! {
    /// How a contrast is tested. Changes p-values, never estimates.
    Statistic, "statistic" {
        /// Wald, and likelihood ratio for genes without a finite maximum.
        Auto = "auto",
        /// Estimate over standard error.
        Wald = "wald",
        /// Likelihood ratio.
        Lr = "lr",
    }
}

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// Distribution of the donor effect.
    pub effect: Effect,
    /// Distribution of counts within donors.
    pub family: Family,
    /// Which likelihood gives the estimates of each gene alone. Moderated tests use the restricted one in any case.
    pub method: Method,
    /// Whether tests are moderated over genes (where 20 genes or more serve).
    pub moderate: bool,
    /// Genes with fewer counts are fitted, but say so, and inform no other.
    pub min_count: u64,
    /// Nodes of the integral over a donor's effect; `None`: 7 while iterating (gamma: 11), and more for the last steps: 15
    /// (gamma: 31), up to 61 where the donor variance is large. A number is used throughout.
    pub quad: Option<usize>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            effect: Effect::Lognormal,
            family: Family::Nb,
            method: Method::Ml,
            moderate: true,
            min_count: 10,
            quad: None,
        }
    }
}

/// How a contrast is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestOptions {
    /// The statistic.
    pub statistic: Statistic,
    /// Over which p-values to adjust.
    pub adjust: Adjust,
    /// Whether a contrast with fewer than two donors in an arm has p-values all the same.
    pub allow_no_replication: bool,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self { statistic: Statistic::Auto, adjust: Adjust::Group, allow_no_replication: false }
    }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: "formula",
        verbs: &["sums", "fit"],
        default: "-",
        choices: &[],
        meaning: "fixed effects and one random intercept: ~ condition * cell_state + (1 | donor)",
    },
    OptionInfo {
        name: "random",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "the random intercept apart from the formula: (1 | donor)",
    },
    OptionInfo {
        name: "groups",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "obs column whose levels are fitted each with their own model, all from one pass",
    },
    OptionInfo {
        name: "offset",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "obs column of positive numbers whose logarithm enters the predictor; by default the total of the cell over \
                  all genes, divided by its mean",
    },
    OptionInfo {
        name: "layer",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "matrix to use: X, a layer, or raw/X",
    },
    OptionInfo {
        name: "mask_var",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "var column of truth values: only these genes are modelled; totals of cells still count all genes",
    },
    OptionInfo {
        name: "path",
        verbs: &["sums", "fit"],
        default: "auto",
        choices: Path::WORDS,
        meaning: "what stands for the cells: nodes of the offset, every cell, or whichever are fewer",
    },
    OptionInfo {
        name: "nodes",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "number of nodes of the offset; by default as many as its range asks for",
    },
    OptionInfo {
        name: "na",
        verbs: &["sums", "fit"],
        default: "refuse",
        choices: NaChoice::WORDS,
        meaning: "what to do with cells that lack a value which the model needs",
    },
    OptionInfo {
        name: "aliased",
        verbs: &["sums", "fit"],
        default: "refuse",
        choices: AliasedChoice::WORDS,
        meaning: "what to do with fixed effects that depend on others",
    },
    OptionInfo {
        name: "re",
        verbs: &["fit"],
        default: "lognormal",
        choices: Effect::WORDS,
        meaning: "distribution of the donor effect on the mean",
    },
    OptionInfo {
        name: "family",
        verbs: &["fit"],
        default: "nb",
        choices: Family::WORDS,
        meaning: "distribution of the counts of a donor's cells",
    },
    OptionInfo {
        name: "method",
        verbs: &["fit"],
        default: "ML",
        choices: Method::WORDS,
        meaning: "which likelihood gives the estimates of each gene alone",
    },
    OptionInfo {
        name: "moderate",
        verbs: &["fit"],
        default: "true",
        choices: &["true", "false"],
        meaning: "whether genes share knowledge of overdispersion and donor variance",
    },
    OptionInfo {
        name: "min_count",
        verbs: &["fit"],
        default: "10",
        choices: &[],
        meaning: "genes with fewer counts are fitted and say so, but inform no other",
    },
    OptionInfo {
        name: "quad",
        verbs: &["fit"],
        default: "",
        choices: &[],
        meaning: "nodes of the integral over a donor's effect; by default 7 (gamma: 11), and 15 to 61 for the last steps",
    },
    OptionInfo {
        name: "statistic",
        verbs: &["test"],
        default: "auto",
        choices: Statistic::WORDS,
        meaning: "Wald, likelihood ratio, or Wald but for genes with an infinite coefficient",
    },
    OptionInfo {
        name: "adjust",
        verbs: &["test"],
        default: "group",
        choices: Adjust::WORDS,
        meaning: "over which p-values the false discovery rate is controlled",
    },
    OptionInfo {
        name: "allow_no_replication",
        verbs: &["test"],
        default: "false",
        choices: &["true", "false"],
        meaning: "whether contrasts with fewer than two donors in an arm have p-values",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_structs() {
        let default = |name: &str| OPTIONS.iter().find(|o| o.name == name).map_or("?", |o| o.default);
        let fit = FitOptions::default();
        assert_eq!((fit.effect.word(), fit.family.word()), (default("re"), default("family")));
        assert_eq!(fit.method.word(), default("method"));
        assert_eq!(fit.moderate.to_string(), default("moderate"));
        assert_eq!(fit.min_count.to_string(), default("min_count"));
        assert_eq!((fit.quad, default("quad")), (None, ""));
        let test = TestOptions::default();
        assert_eq!((test.statistic.word(), test.adjust.word()), (default("statistic"), default("adjust")));
        assert_eq!(test.allow_no_replication.to_string(), default("allow_no_replication"));
        for option in OPTIONS.iter().filter(|o| !o.choices.is_empty()) {
            assert!(option.choices.contains(&option.default), "{}", option.name);
        }
    }
}
