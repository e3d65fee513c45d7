//! Options of the family: their words, defaults and meanings, for all three fronts.

use ferrocyte_base::OptionInfo;

use crate::draws::Rng;
use crate::evaluate::{Metric, Scheme};
use crate::expression::{Normalize, NotFinite};
use crate::train::{Mode, SmallClasses};

/// The verbs that train.
const TRAINING: &[&str] = &["train", "ensemble", "cv"];

/// The verbs that read cells of types.
const TYPED: &[&str] = &["train", "ensemble", "cv", "recover"];

/// The verbs that read a matrix.
const READING: &[&str] = &["train", "ensemble", "cv", "recover", "deconvolute"];

const TRUTHS: &[&str] = &["true", "false"];

/// A verb's option, all but its choices.
const fn free(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, verbs, default, choices: &[], meaning }
}

/// A verb's option with a closed set of words.
const fn of(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    choices: &'static [&'static str],
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, verbs, default, choices, meaning }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    free("cell_type", TYPED, "CellType", "obs column of cell types"),
    free("label", TRAINING, "SE", "obs column of ecotypes; a missing one is non_se_label"),
    free("sample", TRAINING, "", "obs column of samples; nothing: all cells are one"),
    free("layer", READING, "", "matrix to use: X, a layer, or raw/X"),
    of("normalize", READING, "none", Normalize::WORDS, "what is done to values before all else"),
    of(
        "auto_log",
        READING,
        "true",
        TRUTHS,
        "whether values that look like counts (none negative, one above 80) become log2(x + 1)",
    ),
    of("nan", READING, "error", NotFinite::WORDS, "what is done with values that are not finite"),
    of("mode", READING, "exact", Mode::WORDS, "optima, found directly, or the arithmetic of SpatialEcoTyper"),
    of("scale", READING, "true", TRUTHS, "whether genes are standardised, in training within each sample"),
    of("balance_sample", TRAINING, "true", TRUTHS, "whether samples give the same number of cells"),
    free("nfeature", TRAINING, "300", "how many genes, those that vary most"),
    free("nfeature_per_se", TRAINING, "50", "how many features mark an ecotype; inf keeps all"),
    free(
        "min_cells",
        TYPED,
        "20",
        "labels and samples of a type need more cells than this; recovered types at least as many",
    ),
    free("downsample", TRAINING, "2500", "the most cells of a type"),
    free("seed", TRAINING, "2024", "the seed of the choice of cells; of an ensemble that of the first run"),
    of("rng", TRAINING, "", Rng::WORDS, "which generator chooses; nothing: r in compat mode, else native"),
    of(
        "small_classes",
        TRAINING,
        "",
        SmallClasses::WORDS,
        "what becomes of cells of classes of two or fewer; nothing: leak in compat mode, else cells",
    ),
    free("non_se_label", TYPED, "nonSE", "the label of cells without an ecotype"),
    free("n_runs", &["ensemble"], "50", "how many runs, with seeds from seed on"),
    free(
        "delta_threshold",
        &["ensemble", "aggregate"],
        "0.01",
        "a gene marks an ecotype if its weight is this much above the second largest",
    ),
    free(
        "min_model_fraction",
        &["ensemble", "aggregate"],
        "0.5",
        "a mark counts if it is found in more than this share of the models",
    ),
    free("min_score", &["recover", "cv"], "0", "scores below this are no ecotype"),
    free("cells_per_run", &["recover", "cv", "deconvolute"], "1000", "in compat mode, the most cells of a chunk"),
    of("sum_to_one", &["deconvolute"], "true", TRUTHS, "whether the scores of a sample are divided by their sum"),
    of("scheme", &["cv"], "leave_one_out", Scheme::WORDS, "which samples train"),
    free("repeats", &["cv"], "30", "how often each split is trained, with other seeds"),
    of("metric", &["cv"], "F1", Metric::WORDS, "what is measured"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainOptions;

    #[test]
    fn names_are_unique_and_defaults_are_choices() {
        for (i, option) in OPTIONS.iter().enumerate() {
            assert!(OPTIONS[..i].iter().all(|other| other.name != option.name), "{}", option.name);
            let fits =
                option.choices.is_empty() || option.default.is_empty() || option.choices.contains(&option.default);
            assert!(fits, "{}", option.name);
        }
    }

    #[test]
    fn defaults_are_those_of_the_crate() {
        let word = |name: &str| OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        let usual = TrainOptions::default();
        assert_eq!(word("nfeature"), usual.nfeature.to_string());
        assert_eq!(Some(word("nfeature_per_se").to_owned()), usual.nfeature_per_se.map(|n| n.to_string()));
        assert_eq!(word("downsample"), usual.downsample.to_string());
        assert_eq!(word("min_cells"), usual.min_cells.to_string());
        assert_eq!(word("seed"), usual.seed.to_string());
        assert_eq!(word("mode"), usual.mode.word());
    }
}
