//! Options of the family: their words, defaults and meanings, for all three fronts.

use ferrocyte_base::OptionInfo;

use crate::discover::Precision;
use crate::draws::Rng;
use crate::evaluate::{Metric, Scheme};
use crate::expression::{Duplicates, Normalize, NotFinite};
use crate::train::{Mode, SmallClasses};

/// The verbs that train.
const TRAINING: &[&str] = &["train", "ensemble", "cv"];

/// The verbs that read cells of types.
const TYPED: &[&str] = &["train", "ensemble", "cv", "recover", "discover"];

/// The verbs that read a matrix.
const READING: &[&str] = &["train", "ensemble", "cv", "recover", "deconvolute", "discover"];

/// The verbs that train, or label by models.
const LABELLING: &[&str] = &["train", "ensemble", "cv", "recover"];

/// The verbs that may take values for counts.
const LOGGING: &[&str] = &["train", "ensemble", "cv", "recover", "deconvolute"];

/// The verbs that know samples.
const SAMPLED: &[&str] = &["train", "ensemble", "cv", "discover"];

/// The verb that finds ecotypes.
const FINDING: &[&str] = &["discover"];

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
    free("sample", SAMPLED, "", "obs column of samples; nothing: all cells are one"),
    free("layer", READING, "", "matrix to use: X, a layer, or raw/X"),
    of("normalize", READING, "none", Normalize::WORDS, "what is done to values before all else"),
    of(
        "auto_log",
        LOGGING,
        "true",
        TRUTHS,
        "whether values that look like counts (none negative, one above 80) become log2(x + 1)",
    ),
    of("nan", READING, "error", NotFinite::WORDS, "what is done with values that are not finite"),
    of(
        "duplicates",
        READING,
        "error",
        Duplicates::WORDS,
        "what is done with genes of one name; unique numbers later ones",
    ),
    of("mode", LOGGING, "exact", Mode::WORDS, "optima, found directly, or the arithmetic of SpatialEcoTyper"),
    of("scale", LOGGING, "true", TRUTHS, "whether genes are standardised, in training within each sample"),
    of("balance_sample", TRAINING, "true", TRUTHS, "whether samples give the same number of cells"),
    free("nfeature", TRAINING, "300", "how many genes, those that vary most"),
    free("nfeature_per_se", TRAINING, "50", "how many features mark an ecotype; inf keeps all"),
    free(
        "min_cells",
        LABELLING,
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
    free("non_se_label", LABELLING, "nonSE", "the label of cells without an ecotype"),
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
    free("x", FINDING, "X", "obs column of coordinates"),
    free("y", FINDING, "Y", "obs column of coordinates"),
    free("region", FINDING, "", "with several samples: obs column of the parts of a tissue"),
    free("clusters", FINDING, "", "with several samples: obs column of fine clusters that are known, not sought again"),
    free("radius", FINDING, "50", "how far cells may be from the centre of their square"),
    free("grid_size", FINDING, "", "the width of the squares; nothing: 1.4 times the radius, rounded"),
    free("resolution", FINDING, "0.5", "the larger, the more ecotypes of one tissue"),
    free("subresolution", FINDING, "30", "the resolution of the fine clusters of several samples"),
    free("nfeatures", FINDING, "300", "how many genes of each type, those that vary most"),
    free("min_types", FINDING, "2", "squares have at least so many cell types"),
    free("npcs", FINDING, "20", "how many components of each type"),
    free("min_cells", FINDING, "5", "genes are found in at least so many cells"),
    free("min_features", FINDING, "10", "cells have at least so many genes"),
    free("min_cells_per_region", FINDING, "1", "the fewest cells that are averaged"),
    free("k", FINDING, "20", "the most cells that are averaged; types need more"),
    free("k_sn", FINDING, "50", "neighbours in the network of a type, each square itself among them"),
    free("filter_region_by_celltypes", FINDING, "", "only squares with all of these types, with commas between them"),
    free("K", FINDING, "10", "how many neighbours networks are passed along"),
    free("t", FINDING, "10", "how often networks are passed on"),
    of("precision", FINDING, "double", Precision::WORDS, "in which networks are kept while they are fused"),
    free("n_starts", FINDING, "10", "searches for clusters, of which the best is taken"),
    free("nmf_ranks", FINDING, "10", "with several samples: numbers of ecotypes to try, with commas between them"),
    free("n_runs", FINDING, "30", "with several samples: factorisations of each number of ecotypes"),
    free("min_coph", FINDING, "0.95", "with several samples: an agreement of factorisations that is good enough"),
    of(
        "downsample_by_region",
        FINDING,
        "true",
        TRUTHS,
        "whether the regions of a sample give the same number of clusters",
    ),
    free("seed", FINDING, "1", "the same seed gives the same ecotypes"),
    of("dropcell", FINDING, "false", TRUTHS, "whether cells without an ecotype are left out"),
    free("scratch", FINDING, "", "a folder for what memory does not hold; nothing: that for temporary files"),
];

/// Options of the statistics of labels.
pub const STATS_OPTIONS: &[OptionInfo] = &[
    of(
        "statistic",
        MEASURING,
        "coassociation",
        &["coassociation", "colocalization", "moran", "abundance", "partition", "ncells"],
        "what is measured; of several samples each by itself, and colocalization also over all",
    ),
    free("cell_type", MEASURING, "CellType", "column of cell types"),
    free("ecotype", MEASURING, "SE", "column of ecotypes; a missing one is non_se"),
    free("sample", MEASURING, "", "column of samples; nothing: all cells are of one"),
    free("x", MEASURING, "X", "column of coordinates"),
    free("y", MEASURING, "Y", "column of coordinates"),
    free("non_se", MEASURING, "NonSE", "the label of cells without an ecotype"),
    free("radius", MEASURING, "50", "how far neighbours may be"),
    free("k", MEASURING, "", "the most neighbours; nothing: 3 for moran, else 200"),
    free("min_cell", MEASURING, "", "the fewest neighbours; nothing: 5 for abundance, else 10"),
    free("grid_size", MEASURING, "", "the width of the squares of abundance; nothing: 1.4 times the radius, rounded"),
    free("n_permutations", MEASURING, "1000", "how often labels are permuted"),
    free("cap", MEASURING, "5", "over samples: z-values of pairs are cut here"),
    free("min_samples", MEASURING, "3", "over samples: states in fewer are left out"),
    free("nrow", MEASURING, "2", "parts along x"),
    free("ncol", MEASURING, "2", "parts along y"),
    free("sums", MEASURING, "sums", "for ncells: column of the sums of the normalised values of spots"),
    free("average", MEASURING, "5", "for ncells: cells of a spot, on average"),
    free("seed", MEASURING, "2024", "the seed of permutations"),
    of("rng", MEASURING, "native", Rng::WORDS, "which generator permutes"),
];

/// The verb that measures labels.
const MEASURING: &[&str] = &["stats"];

/// Options of the simulator.
pub const SIMULATE_OPTIONS: &[OptionInfo] = &[
    free("seed", SIMULATED, "1", "the same seed gives the same study"),
    free("samples", SIMULATED, "3", "number of samples"),
    free("cells", SIMULATED, "1000", "cells of each sample"),
    free("genes", SIMULATED, "300", "number of genes"),
    free("types", SIMULATED, "4", "number of cell types"),
    free("ecotypes", SIMULATED, "4", "number of ecotypes"),
    free("nonse", SIMULATED, "0.1", "the share of cells without an ecotype"),
    free("patches", SIMULATED, "3", "centres of each ecotype in a sample; a cell belongs to the nearest"),
    free("depth", SIMULATED, "250", "counts of a cell, typically"),
    free("strength", SIMULATED, "1", "by what the effects of ecotypes on genes are multiplied"),
];

/// The verb that simulates.
const SIMULATED: &[&str] = &["ecotype"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::{ConserveOptions, DiscoverOptions};
    use crate::simulate::SimulateOptions;
    use crate::train::TrainOptions;

    #[test]
    fn a_verb_has_an_option_once_and_defaults_are_choices() {
        for (i, option) in OPTIONS.iter().enumerate() {
            let again = |other: &&OptionInfo| {
                other.name == option.name && other.verbs.iter().any(|verb| option.verbs.contains(verb))
            };
            assert!(!OPTIONS[..i].iter().any(|other| again(&other)), "{}", option.name);
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
        let word = |name: &str| OPTIONS.iter().find(|o| o.name == name && o.verbs == FINDING).map_or("", |o| o.default);
        let usual = DiscoverOptions::default();
        let numbers = [
            ("nfeatures", usual.nfeatures),
            ("min_types", usual.min_types),
            ("npcs", usual.npcs),
            ("min_cells", usual.min_cells),
            ("min_features", usual.min_features),
            ("min_cells_per_region", usual.min_cells_per_region),
            ("k", usual.k),
            ("k_sn", usual.k_sn),
            ("K", usual.fusion.k),
            ("t", usual.fusion.iterations),
            ("n_starts", usual.starts),
            ("n_runs", ConserveOptions::default().nmf.runs_per_rank),
        ];
        assert!(numbers.iter().all(|(name, number)| word(name) == number.to_string()));
        assert_eq!(word("radius"), usual.radius.to_string());
        assert_eq!(word("resolution"), usual.resolution.to_string());
        assert_eq!(word("subresolution"), ConserveOptions::default().subresolution.to_string());
        let usual = SimulateOptions::default();
        let word = |name: &str| SIMULATE_OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        assert_eq!(word("cells"), usual.cells.to_string());
        assert_eq!(word("depth"), usual.depth.to_string());
        assert_eq!(word("nonse"), usual.nonse.to_string());
    }
}
