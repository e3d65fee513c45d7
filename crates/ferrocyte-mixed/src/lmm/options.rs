//! Options of the linear mixed models: their words, defaults and meanings, for all three fronts.
//!
//! The program, the Python package and the documentation take names, choices and defaults from [`OPTIONS`]; a test
//! compares the three.

pub use ferrocyte_base::OptionInfo;
use ferrocyte_base::choice;

choice! {
    /// Which likelihood is maximised. Changes the answer.
    Method, "method" {
        /// Restricted maximum likelihood: variances are not biased by the number of fixed effects.
        Reml = "REML",
        /// Maximum likelihood: for comparing models with different fixed effects.
        Ml = "ML",
    }
}

choice! {
    /// What a variance component may be. Changes the answer.
    Negative, "negative" {
        /// Below zero too: then tests of between-sample contrasts hold their level (and z-tests are regular).
        Allow = "allow",
        /// Not below zero, like lme4's singular fits.
        Zero = "zero",
    }
}

choice! {
    /// Which reference distribution a test has. Changes p-values, never estimates of the model.
    Df, "df" {
        /// The variance components of all genes inform each gene's (empirical Bayes): one component, 20 genes or more.
        Moderated = "moderated",
        /// Satterthwaite's degrees of freedom, gene by gene.
        Satterthwaite = "satterthwaite",
        /// n - p: as if cells were replicates. For comparison with other programs; inflated between samples.
        Residual = "residual",
    }
}

choice! {
    /// Which tail counts against the null hypothesis.
    Alternative, "alternative" {
        /// Either.
        TwoSided = "two.sided",
        /// The contrast is below zero.
        Less = "less",
        /// The contrast is above zero.
        Greater = "greater",
    }
}

choice! {
    /// Over which p-values the false discovery rate is controlled.
    Adjust, "adjust" {
        /// Over the genes of each contrast and group.
        Group = "group",
        /// Over all rows of the table.
        All = "all",
    }
}

choice! {
    /// What to do with a fixed effect that depends on others.
    AliasedChoice, "aliased" {
        /// An error that names it and says why.
        Refuse = "refuse",
        /// Leave it out, say so, and report its coefficient as NaN.
        Drop = "drop",
    }
}

choice! {
    /// What to do with cells that lack a value which the model needs.
    NaChoice, "na" {
        /// An error that names the columns and counts the cells.
        Refuse = "refuse",
        /// Leave those cells out, and say how many.
        Drop = "drop",
    }
}

choice! {
    /// In which unit estimates and standard errors of tests are told. Changes neither t nor p-values.
    Unit, "unit" {
        /// That of the transformed counts.
        Model = "model",
        /// log2 of what the transform takes the logarithm of.
        Log2 = "log2",
    }
}

/// How a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// Which likelihood.
    pub method: Method,
    /// What a component may be.
    pub negative: Negative,
    /// Whether tests are moderated over genes by default (where one or two components serve 20 genes or more).
    pub moderate: bool,
    /// Genes with a count in fewer cells (of a group) than this are not fitted there.
    pub min_cells: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { method: Method::Reml, negative: Negative::Allow, moderate: true, min_cells: 0 }
    }
}

/// How a contrast is tested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestOptions {
    /// The reference distribution; `None`: moderated where the fit says so and it is possible, else Satterthwaite.
    pub df: Option<Df>,
    /// The tail.
    pub alternative: Alternative,
    /// Over which p-values to adjust.
    pub adjust: Adjust,
    /// The unit of estimates and standard errors.
    pub unit: Unit,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self { df: None, alternative: Alternative::TwoSided, adjust: Adjust::Group, unit: Unit::Model }
    }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: "formula",
        verbs: &["check", "sums", "fit"],
        default: "-",
        choices: &[],
        meaning: "fixed and random effects: ~ log(libsize) + donor + condition + (1 | sample)",
    },
    OptionInfo {
        name: "random",
        verbs: &["check", "sums", "fit"],
        default: "",
        choices: &[],
        meaning: "random effects apart from the formula: (1 | sample), or ~ 0 + sample",
    },
    OptionInfo {
        name: "groups",
        verbs: &["check", "sums", "fit"],
        default: "",
        choices: &[],
        meaning: "obs column whose levels are fitted each with their own model, all from one pass",
    },
    OptionInfo {
        name: "layer",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "matrix to use: X, a layer, or raw/X",
    },
    OptionInfo {
        name: "transform",
        verbs: &["sums", "fit"],
        default: "log1p",
        choices: &ferrocyte_data::Transform::WORDS,
        meaning: "what is done to a count before it is modelled",
    },
    OptionInfo {
        name: "mask_var",
        verbs: &["sums", "fit"],
        default: "",
        choices: &[],
        meaning: "var column of truth values: only these genes are modelled; totals of cells still count all genes",
    },
    OptionInfo {
        name: "na",
        verbs: &["check", "sums", "fit"],
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
        name: "method",
        verbs: &["fit"],
        default: "REML",
        choices: Method::WORDS,
        meaning: "which likelihood is maximised",
    },
    OptionInfo {
        name: "negative",
        verbs: &["fit"],
        default: "allow",
        choices: Negative::WORDS,
        meaning: "whether variance components may be negative",
    },
    OptionInfo {
        name: "moderate",
        verbs: &["fit"],
        default: "true",
        choices: &["true", "false"],
        meaning: "whether tests share knowledge of the variance components over genes",
    },
    OptionInfo {
        name: "min_cells",
        verbs: &["fit"],
        default: "0",
        choices: &[],
        meaning: "genes with a count in fewer cells of a group than this are not fitted there",
    },
    OptionInfo {
        name: "df",
        verbs: &["test"],
        default: "",
        choices: Df::WORDS,
        meaning: "reference distribution of the tests; by default moderated where possible, else satterthwaite",
    },
    OptionInfo {
        name: "alternative",
        verbs: &["test"],
        default: "two.sided",
        choices: Alternative::WORDS,
        meaning: "which tail counts against the null hypothesis",
    },
    OptionInfo {
        name: "adjust",
        verbs: &["test", "components", "compare"],
        default: "group",
        choices: Adjust::WORDS,
        meaning: "over which p-values the false discovery rate is controlled",
    },
    OptionInfo {
        name: "unit",
        verbs: &["test"],
        default: "model",
        choices: Unit::WORDS,
        meaning: "unit of estimates and standard errors: that of the transform, or log2",
    },
];

#[cfg(test)]
mod tests {
    use ferrocyte_base::Result;

    use super::*;

    #[test]
    fn words_round_trip_and_defaults_are_choices() -> Result<()> {
        for &word in Df::WORDS {
            assert_eq!(Df::from_word(word)?.word(), word);
        }
        let fault = Method::from_word("reml").err();
        assert!(fault.is_some_and(|f| f.way_out() == Some("it is one of `REML`, `ML`")));
        for option in OPTIONS.iter().filter(|o| !o.choices.is_empty() && !o.default.is_empty()) {
            assert!(option.choices.contains(&option.default), "{}", option.name);
        }
        Ok(())
    }

    #[test]
    fn defaults_are_those_of_the_structs() {
        let default = |name: &str| OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        let fit = FitOptions::default();
        assert_eq!(fit.method.word(), default("method"));
        assert_eq!(fit.negative.word(), default("negative"));
        assert_eq!(fit.moderate.to_string(), default("moderate"));
        assert_eq!(fit.min_cells.to_string(), default("min_cells"));
        let test = TestOptions::default();
        assert_eq!(test.df.map_or("", Df::word), default("df"));
        assert_eq!(test.alternative.word(), default("alternative"));
        assert_eq!(test.adjust.word(), default("adjust"));
        assert_eq!(test.unit.word(), default("unit"));
    }
}
