//! Options of the family: their words, defaults and meanings, for all three fronts.

pub use ferrocyte_base::OptionInfo;
use ferrocyte_base::choice;

choice! {
    /// What is modelled. Changes the answer.
    Level, "level" {
        /// Cell type-specific pseudobulk: one value per individual and cell type.
        Ctp = "ctp",
        /// Overall pseudobulk: one value per individual, the mean over its cell types weighted by their proportions.
        Op = "op",
    }
}

choice! {
    /// How expression varies between individuals beyond what all cell types share. Changes the answer.
    Model, "model" {
        /// Not at all.
        Hom = "hom",
        /// By the same variance in every cell type.
        Iid = "iid",
        /// By a variance of its own in each cell type.
        Free = "free",
        /// By any covariance matrix over cell types; it contains the shared variance.
        Full = "full",
    }
}

choice! {
    /// How variances are estimated. Changes the answer.
    Method, "method" {
        /// Haseman-Elston regression: moments, unbiased, in closed form.
        He = "he",
        /// Restricted maximum likelihood.
        Reml = "reml",
        /// Maximum likelihood.
        Ml = "ml",
    }
}

choice! {
    /// What a variance may be. Changes the answer.
    Variance, "variance" {
        /// Below zero too, where the likelihood has an interior optimum; else the non-negative fit, flagged `boundary`.
        Unconstrained = "unconstrained",
        /// Not below zero (`full`: positive semidefinite).
        Nonnegative = "nonnegative",
    }
}

choice! {
    /// Where covariances of the estimates come from. Changes p-values, not estimates.
    Jackknife, "jackknife" {
        /// From the expected information (none for `he`).
        None = "none",
        /// From the fits that leave one individual out, each to convergence.
        Exact = "exact",
        /// From one Newton step of each of these fits.
        OneStep = "onestep",
    }
}

choice! {
    /// How the equality of the means of cell types is tested after `he`. Changes that p-value only.
    MeanTest, "mean_test" {
        /// F test of ordinary least squares, as if values were independent (the reference's choice for `free`).
        Ols = "ols",
        /// Jackknife of the ordinary least squares means.
        OlsJackknife = "ols_jackknife",
        /// Jackknife of the means weighted by the estimated covariance.
        GlsJackknife = "gls_jackknife",
    }
}

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitOptions {
    /// The covariance between cell types.
    pub model: Model,
    /// The estimator.
    pub method: Method,
    /// What a variance may be; for `reml` and `ml`.
    pub variance: Variance,
    /// Where covariances of the estimates come from.
    pub jackknife: Jackknife,
    /// The test of means after `he`.
    pub mean_test: MeanTest,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            model: Model::Free,
            method: Method::He,
            variance: Variance::Unconstrained,
            jackknife: Jackknife::Exact,
            mean_test: MeanTest::Ols,
        }
    }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: "donor",
        verbs: &["prepare", "fit"],
        default: "-",
        choices: &[],
        meaning: "obs column of the individuals",
    },
    OptionInfo {
        name: "cell_type",
        verbs: &["prepare", "fit"],
        default: "-",
        choices: &[],
        meaning: "obs column of the cell types",
    },
    OptionInfo {
        name: "layer",
        verbs: &["prepare", "fit"],
        default: "",
        choices: &[],
        meaning: "matrix of counts to use: X, a layer, or raw/X",
    },
    OptionInfo {
        name: "normalize",
        verbs: &["prepare", "fit"],
        default: "log_cp10k",
        choices: super::prepare::Normalize::WORDS,
        meaning: "what is done to the counts of a cell first",
    },
    OptionInfo {
        name: "min_cells_individual",
        verbs: &["prepare", "fit"],
        default: "0",
        choices: &[],
        meaning: "individuals are kept that have more cells than this",
    },
    OptionInfo {
        name: "min_cells_pair",
        verbs: &["prepare", "fit"],
        default: "1",
        choices: &[],
        meaning: "a pair of individual and cell type is observed where it has more cells than this",
    },
    OptionInfo {
        name: "noise",
        verbs: &["prepare", "fit"],
        default: "pooled",
        choices: super::prepare::Noise::WORDS,
        meaning: "whether the variance of a gene among cells of a type is that of all individuals, or of each by itself",
    },
    OptionInfo {
        name: "drop_empty",
        verbs: &["prepare", "fit"],
        default: "false",
        choices: &["true", "false"],
        meaning: "whether cells without a count are left out; else they are an error that names them",
    },
    OptionInfo {
        name: "standardize",
        verbs: &["prepare", "fit"],
        default: "false",
        choices: &["true", "false"],
        meaning: "whether each gene is put on the scale of its overall expression",
    },
    OptionInfo {
        name: "fixed",
        verbs: &["fit"],
        default: "",
        choices: &[],
        meaning: "fixed covariates: columns of the table of individuals; texts become indicator columns",
    },
    OptionInfo {
        name: "random",
        verbs: &["fit"],
        default: "",
        choices: &[],
        meaning: "random covariates: columns of labels of the table of individuals",
    },
    OptionInfo {
        name: "level",
        verbs: &["fit"],
        default: "ctp",
        choices: Level::WORDS,
        meaning: "values per individual and cell type (ctp), or their mean per individual (op)",
    },
    OptionInfo {
        name: "model",
        verbs: &["fit"],
        default: "free",
        choices: Model::WORDS,
        meaning: "how expression varies between individuals beyond what all cell types share",
    },
    OptionInfo {
        name: "method",
        verbs: &["fit"],
        default: "he",
        choices: Method::WORDS,
        meaning: "how variances are estimated",
    },
    OptionInfo {
        name: "variance",
        verbs: &["fit"],
        default: "unconstrained",
        choices: Variance::WORDS,
        meaning: "whether variances may be negative (reml, ml)",
    },
    OptionInfo {
        name: "jackknife",
        verbs: &["fit"],
        default: "exact",
        choices: Jackknife::WORDS,
        meaning: "whether covariances of the estimates come from leaving out one individual at a time",
    },
    OptionInfo {
        name: "mean_test",
        verbs: &["fit"],
        default: "ols",
        choices: MeanTest::WORDS,
        meaning: "how the equality of the means of cell types is tested after he",
    },
];

const fn simulated(name: &'static str, default: &'static str, meaning: &'static str) -> OptionInfo {
    OptionInfo { name, verbs: &["ctmm"], default, choices: &[], meaning }
}

/// Options of the simulator, in the order of the documentation; defaults are the design of the paper.
pub const SIMULATE_OPTIONS: &[OptionInfo] = &[
    simulated("n_genes", "1000", "genes, independent"),
    simulated("n_individuals", "100", "individuals"),
    OptionInfo {
        name: "truth",
        verbs: &["ctmm"],
        default: "free",
        choices: super::simulate::Truth::WORDS,
        meaning: "how expression varies between individuals: alike in all cell types, with a variance of each, or with covariances",
    },
    simulated(
        "concentration",
        "2,2,2,2",
        "weights of the Dirichlet distribution of proportions, one for each cell type",
    ),
    simulated("ratios", "8,4,2,1", "relative sizes of means and of V, one for each cell type"),
    simulated("hom2", "0.25", "variance that cell types share"),
    simulated(
        "mean_share",
        "",
        "variance that means make in overall expression; 0.5, and 0.25 beside specific variance",
    ),
    simulated("specific_share", "", "variance that V makes in overall expression; 0.25, and 0 for hom"),
    simulated("noise", "0.25", "mean of the noise of overall expression"),
    simulated("noise_variance", "0.02", "its variance over individuals"),
    simulated("seed", "0", "the seed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_structs() {
        let default = |name: &str| OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        let fit = FitOptions::default();
        assert_eq!(fit.model.word(), default("model"));
        assert_eq!(fit.method.word(), default("method"));
        assert_eq!(fit.variance.word(), default("variance"));
        assert_eq!(fit.jackknife.word(), default("jackknife"));
        assert_eq!(fit.mean_test.word(), default("mean_test"));
        assert_eq!(super::super::PrepareOptions::default().noise.word(), default("noise"));
        let paper = super::super::SimulateOptions::paper(super::super::Truth::Free, 1000, 100, 0);
        let default = |name: &str| SIMULATE_OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        for (name, value) in [("hom2", paper.hom2), ("noise", paper.noise), ("noise_variance", paper.noise_variance)] {
            assert_eq!(default(name), value.to_string());
        }
        for option in OPTIONS.iter().filter(|o| !o.choices.is_empty()) {
            assert!(option.choices.contains(&option.default), "{}", option.name);
        }
    }
}
