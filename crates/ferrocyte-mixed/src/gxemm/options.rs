//! Options of the family: their words, defaults and meanings, for all three fronts.

pub use ferrocyte_base::OptionInfo;
use ferrocyte_base::choice;

choice! {
    /// Whose genetic variance depends on the environment. Changes the answer.
    Genetic, "gtype" {
        /// Nobody's: one genetic variance.
        Hom = "hom",
        /// All environments alike: one variance of the part that is specific to environments.
        Iid = "iid",
        /// Each environment has a variance of its own besides the shared one.
        Free = "free",
    }
}

choice! {
    /// How noise depends on the environment. Changes the answer.
    Noise, "etype" {
        /// Not at all.
        Hom = "hom",
        /// By the sum of squares of a person's environments.
        Iid = "iid",
        /// Each environment has a noise of its own.
        Free = "free",
    }
}

choice! {
    /// How variances are estimated. Changes the answer.
    Method, "method" {
        /// Restricted maximum likelihood, by average information.
        Reml = "reml",
        /// Haseman-Elston regression of products of residuals on kinship: no distribution assumed, cheaper, less precise.
        He = "he",
        /// The same for very many people, from genotypes that are read twice and never held: traces come from random vectors,
        /// standard errors from leaving out blocks of markers.
        Rhe = "rhe",
        /// The same for cases and controls, on the scale of liability.
        Pcgc = "pcgc",
    }
}

choice! {
    /// What a variance may be, for `reml`. Changes the answer.
    Variance, "variance" {
        /// Below zero too, where the likelihood has an interior optimum; else the non-negative fit, flagged `boundary`.
        Unconstrained = "unconstrained",
        /// Not below zero: genetic variances, and the noise of each environment.
        Nonnegative = "nonnegative",
    }
}

choice! {
    /// Where the covariance of REML estimates comes from. Changes standard errors, not estimates.
    Information, "information" {
        /// The average information, which costs nothing more.
        Average = "average",
        /// The expected information: about four products of matrices of all people for each genetic variance.
        Expected = "expected",
    }
}

choice! {
    /// Whence moments have their standard errors, for `he`. Changes standard errors, not estimates.
    Errors, "errors" {
        /// The jackknife over people, less what it counts twice.
        Corrected = "corrected",
        /// The jackknife over people as it is, as for `pcgc`: too large by up to √2 among unrelated people.
        Jackknife = "jackknife",
    }
}

choice! {
    /// How REML comes to the covariance of people. Changes no answer beyond rounding.
    Route, "route" {
        /// By what the kinship and the environments allow: families one by one, the directions of few markers, eigenvectors.
        Auto = "auto",
        /// As one matrix of all people, at n³ operations a turn.
        Dense = "dense",
    }
}

choice! {
    /// How genotypes are scaled before they make a kinship. Changes the answer.
    Standardize, "standardize" {
        /// By their standard deviation among these people.
        Sample = "sample",
        /// By that of two independent copies of the allele, sqrt(2 p (1 - p)).
        Expected = "expected",
    }
}

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// The genetic variances.
    pub gtype: Genetic,
    /// The noise.
    pub etype: Noise,
    /// The estimator.
    pub method: Method,
    /// What a variance may be.
    pub variance: Variance,
    /// Where the covariance of the estimates comes from.
    pub information: Information,
    /// Whether moments use each person's own square, at half weight; else pairs of people only.
    pub use_diag: bool,
    /// Whether products of cases and controls count by their expected size, for `pcgc`.
    pub weighted: bool,
    /// The share of cases in the population, for `pcgc`.
    pub prev: Option<f64>,
    /// Whether the last environment has a noise of its own, where environments are no partition. The package GxEMM leaves it
    /// out.
    pub last_noise: bool,
    /// Whence moments have their standard errors.
    pub errors: Errors,
    /// How REML comes to the covariance of people.
    pub route: Route,
    /// Random vectors for the traces, for `rhe`.
    pub probes: usize,
    /// Blocks of markers that the jackknife leaves out one at a time, for `rhe`.
    pub blocks: usize,
    /// The seed of the random vectors.
    pub seed: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            gtype: Genetic::Hom,
            etype: Noise::Hom,
            method: Method::Reml,
            variance: Variance::Unconstrained,
            information: Information::Average,
            use_diag: true,
            weighted: false,
            prev: None,
            last_noise: true,
            errors: Errors::Corrected,
            route: Route::Auto,
            probes: 10,
            blocks: 100,
            seed: 0,
        }
    }
}

const SWITCH: &[&str] = &["true", "false"];

/// How a kinship is made of genotypes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KinshipOptions {
    /// How genotypes are scaled.
    pub standardize: Standardize,
    /// Whether variants of sex chromosomes and the mitochondrion count, too.
    pub sex_linked: bool,
}

impl Default for KinshipOptions {
    fn default() -> Self {
        Self { standardize: Standardize::Sample, sex_linked: false }
    }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: "gtype",
        verbs: &["fit"],
        default: "hom",
        choices: Genetic::WORDS,
        meaning: "how the genetic variance depends on the environment",
    },
    OptionInfo {
        name: "etype",
        verbs: &["fit"],
        default: "hom",
        choices: Noise::WORDS,
        meaning: "how the noise depends on the environment",
    },
    OptionInfo {
        name: "method",
        verbs: &["fit"],
        default: "reml",
        choices: Method::WORDS,
        meaning: "how variances are estimated",
    },
    OptionInfo {
        name: "variance",
        verbs: &["fit"],
        default: "unconstrained",
        choices: Variance::WORDS,
        meaning: "whether variances may be negative (reml)",
    },
    OptionInfo {
        name: "information",
        verbs: &["fit"],
        default: "average",
        choices: Information::WORDS,
        meaning: "where the covariance of the estimates comes from (reml)",
    },
    OptionInfo {
        name: "use_diag",
        verbs: &["fit"],
        default: "true",
        choices: SWITCH,
        meaning: "whether moments use each person's own square, at half weight; else pairs of people only (he, rhe)",
    },
    OptionInfo {
        name: "weighted",
        verbs: &["fit"],
        default: "false",
        choices: SWITCH,
        meaning: "whether pairs of people count by the size that is expected of their product (pcgc)",
    },
    OptionInfo {
        name: "prev",
        verbs: &["fit"],
        default: "",
        choices: &[],
        meaning: "share of cases in the population (pcgc)",
    },
    OptionInfo {
        name: "last_noise",
        verbs: &["fit"],
        default: "true",
        choices: SWITCH,
        meaning: "whether the last environment has a noise of its own (etype free; never where environments are a partition)",
    },
    OptionInfo {
        name: "errors",
        verbs: &["fit"],
        default: "corrected",
        choices: Errors::WORDS,
        meaning: "whence standard errors of moments come (he): the jackknife over people less what it counts twice, or as it is",
    },
    OptionInfo {
        name: "route",
        verbs: &["fit"],
        default: "auto",
        choices: Route::WORDS,
        meaning: "how the covariance of people is solved (reml): by what kinship and environments allow, or always as one \
                  matrix; changes no number beyond rounding",
    },
    OptionInfo {
        name: "probes",
        verbs: &["fit"],
        default: "10",
        choices: &[],
        meaning: "random vectors for the traces (rhe); the error that they leave is in mc_se[..]",
    },
    OptionInfo {
        name: "blocks",
        verbs: &["fit"],
        default: "100",
        choices: &[],
        meaning: "blocks of markers that the jackknife leaves out one at a time (rhe)",
    },
    OptionInfo {
        name: "seed",
        verbs: &["fit"],
        default: "0",
        choices: &[],
        meaning: "the seed of the random vectors (rhe)",
    },
    OptionInfo {
        name: "standardize",
        verbs: &["fit", "kinship"],
        default: "sample",
        choices: Standardize::WORDS,
        meaning: "how genotypes are scaled before they make a kinship: by their own standard deviation, or by that of two \
                  independent copies of the allele",
    },
    OptionInfo {
        name: "sex_linked",
        verbs: &["fit", "kinship"],
        default: "false",
        choices: SWITCH,
        meaning: "whether variants of sex chromosomes and the mitochondrion are part of the kinship",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_struct() {
        let default = |name: &str| OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        let fit = FitOptions::default();
        assert_eq!(fit.gtype.word(), default("gtype"));
        assert_eq!(fit.etype.word(), default("etype"));
        assert_eq!(fit.method.word(), default("method"));
        assert_eq!(fit.variance.word(), default("variance"));
        assert_eq!(fit.information.word(), default("information"));
        assert_eq!(fit.use_diag.to_string(), default("use_diag"));
        assert_eq!(fit.weighted.to_string(), default("weighted"));
        assert_eq!(fit.errors.word(), default("errors"));
        assert_eq!(fit.route.word(), default("route"));
        assert_eq!(fit.probes.to_string(), default("probes"));
        assert_eq!(fit.blocks.to_string(), default("blocks"));
        assert_eq!(fit.seed.to_string(), default("seed"));
        let kinship = KinshipOptions::default();
        assert_eq!(kinship.standardize.word(), default("standardize"));
        assert_eq!(kinship.sex_linked.to_string(), default("sex_linked"));
        assert_eq!(fit.last_noise.to_string(), default("last_noise"));
        assert!(fit.prev.is_none() && default("prev").is_empty());
    }
}
