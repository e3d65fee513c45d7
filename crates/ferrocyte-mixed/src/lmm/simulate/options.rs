//! Options of the simulators: their words, defaults and meanings, for all three fronts.

use ferrocyte_base::{OptionInfo, choice};

choice! {
    /// What is put into batches as a whole.
    BatchOf, "batch_of" {
        /// Samples.
        Sample = "sample",
        /// Donors, with all their samples.
        Donor = "donor",
    }
}

choice! {
    /// Which way planted effects go.
    Direction, "direction" {
        /// Up or down, with equal chances.
        Both = "both",
        /// Up.
        Up = "up",
        /// Down.
        Down = "down",
    }
}

/// In which cell types a gene with planted effects has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affected {
    /// In one, drawn for each gene.
    One,
    /// In all.
    All,
    /// In these, by their names.
    Named(Vec<String>),
}

impl Affected {
    /// `one`, `all`, or names with commas between them.
    pub fn from_word(word: &str) -> Self {
        match word {
            "one" => Self::One,
            "all" => Self::All,
            names => Self::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
        }
    }
}

const STUDY: &[&str] = &["study"];
const COHORT: &[&str] = &["cohort"];
const RNASEQ: &[&str] = &["rnaseq"];

const fn option(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, verbs, default, choices: &[], meaning }
}

/// All options of the simulators, in the order of the documentation. One name may have a default of its own with each
/// simulator.
pub const SIMULATE_OPTIONS: &[OptionInfo] = &[
    option("n_genes", STUDY, "200", "number of genes"),
    option("n_cells", STUDY, "2000", "number of cells"),
    option("n_samples", STUDY, "12", "number of samples; every other one is treated"),
    option("n_clusters", STUDY, "4", "number of clusters (cell types)"),
    option("de_share", STUDY, "0.05", "share of genes with a treatment effect, in one cluster"),
    option(
        "sample_variance",
        STUDY,
        "",
        "variance of the sample effect of ln of the mean; by default zero for a fifth of the genes, else Gamma(1.5, 0.06)",
    ),
    option("n_genes", COHORT, "2000", "number of genes"),
    option("n_cells", COHORT, "20000", "number of cells of the whole study"),
    option("n_donors", COHORT, "8", "donors of each arm; with paired, of the whole study"),
    option("arms", COHORT, "control,case", "names of the arms; the first has no planted effects"),
    OptionInfo {
        name: "paired",
        verbs: COHORT,
        default: "false",
        choices: &["true", "false"],
        meaning: "whether every donor has samples in all arms",
    },
    option("samples_per_donor", COHORT, "1", "samples of a donor, in each of its arms"),
    option("n_batches", COHORT, "1", "number of batches, balanced over the arms"),
    OptionInfo {
        name: "batch_of",
        verbs: COHORT,
        default: "sample",
        choices: BatchOf::WORDS,
        meaning: "whether samples or whole donors are put into batches",
    },
    option("n_cell_types", COHORT, "6", "number of cell types, named T1, T2, .."),
    option("type_concentration", COHORT, "5", "Dirichlet concentration of the shares of the cell types"),
    option("sample_concentration", COHORT, "50", "Dirichlet concentration of the shares in a sample around them"),
    option("cells_sd", COHORT, "0.5", "standard deviation of ln of the cells of a sample; 0 makes samples alike"),
    option("depth_sd", COHORT, "0.35", "standard deviation of ln of the depth of a cell"),
    option("log_mean", COHORT, "-3.2", "mean over genes of ln of their mean count"),
    option("log_mean_sd", COHORT, "1.6", "standard deviation over genes of ln of their mean count"),
    option("type_share", COHORT, "0.3", "share of genes whose mean differs in a cell type"),
    option("type_sd", COHORT, "0.6", "standard deviation of ln of that difference"),
    option("donor_variance", COHORT, "0.09", "mean over genes of the variance of ln of the mean between donors"),
    option("sample_variance", COHORT, "0.03", "the same between samples of a donor"),
    option("batch_variance", COHORT, "0.03", "the same between batches"),
    option("flat_share", COHORT, "0.2", "share of genes without any of these variances"),
    option("de_share", COHORT, "0.05", "share of genes with planted effects"),
    option("effect_min", COHORT, "0.3", "least size of an effect (ln of a ratio)"),
    option("effect_max", COHORT, "1", "largest size of an effect"),
    OptionInfo {
        name: "direction",
        verbs: COHORT,
        default: "both",
        choices: Direction::WORDS,
        meaning: "whether effects go up, down or both ways",
    },
    option("affected", COHORT, "one", "cell types with the effects of a gene: one drawn for each gene, all, or names"),
    option("n_genes", RNASEQ, "", "number of genes; by default that of the reference"),
    option("n_cells", RNASEQ, "", "number of cells; by default that of the reference"),
    OptionInfo {
        name: "samples_nested",
        verbs: RNASEQ,
        default: "true",
        choices: &["true", "false"],
        meaning: "whether a sample has one treatment",
    },
    option("n_samples", RNASEQ, "25", "number of samples"),
    option("n_clusters", RNASEQ, "10", "number of clusters"),
    option("n_treatments", RNASEQ, "2", "number of treatments, named A, B, ..; the last has the effects"),
    option(
        "n_de_genes",
        RNASEQ,
        "",
        "number of genes with an effect, the last ones; by default the number of clusters",
    ),
    OptionInfo {
        name: "direction",
        verbs: RNASEQ,
        default: "both",
        choices: &["both", "up"],
        meaning: "whether effects go up or both ways",
    },
    option("effect_min", RNASEQ, "0.25", "least size of an effect (ln of a ratio)"),
    option("effect_max", RNASEQ, "1", "largest size of an effect"),
    option("sample_variance", RNASEQ, "0.1", "variance of the sample effects of ln of the mean"),
    OptionInfo {
        name: "adjust_library_size",
        verbs: RNASEQ,
        default: "true",
        choices: &["true", "false"],
        meaning: "whether cells differ in library size as in the reference",
    },
    option("seed", &["study", "cohort", "rnaseq"], "0", "the same seed gives the same counts"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lmm::simulate::CohortOptions;

    #[test]
    fn defaults_are_those_of_the_struct() {
        let default = |name: &str| {
            SIMULATE_OPTIONS
                .iter()
                .find(|o| o.name == name && o.verbs.contains(&"cohort"))
                .map_or("absent", |o| o.default)
        };
        let CohortOptions {
            n_genes,
            n_cells,
            n_donors,
            arms,
            paired,
            samples_per_donor,
            n_batches,
            batch_of,
            n_cell_types,
            type_concentration,
            sample_concentration,
            cells_sd,
            depth_sd,
            log_mean,
            log_mean_sd,
            type_share,
            type_sd,
            donor_variance,
            sample_variance,
            batch_variance,
            flat_share,
            de_share,
            effect_min,
            effect_max,
            direction,
            affected,
            seed,
        } = CohortOptions::default();
        let words = [
            ("n_genes", n_genes.to_string()),
            ("n_cells", n_cells.to_string()),
            ("n_donors", n_donors.to_string()),
            ("arms", arms.join(",")),
            ("paired", paired.to_string()),
            ("samples_per_donor", samples_per_donor.to_string()),
            ("n_batches", n_batches.to_string()),
            ("batch_of", batch_of.word().to_owned()),
            ("n_cell_types", n_cell_types.to_string()),
            ("type_concentration", type_concentration.to_string()),
            ("sample_concentration", sample_concentration.to_string()),
            ("cells_sd", cells_sd.to_string()),
            ("depth_sd", depth_sd.to_string()),
            ("log_mean", log_mean.to_string()),
            ("log_mean_sd", log_mean_sd.to_string()),
            ("type_share", type_share.to_string()),
            ("type_sd", type_sd.to_string()),
            ("donor_variance", donor_variance.to_string()),
            ("sample_variance", sample_variance.to_string()),
            ("batch_variance", batch_variance.to_string()),
            ("flat_share", flat_share.to_string()),
            ("de_share", de_share.to_string()),
            ("effect_min", effect_min.to_string()),
            ("effect_max", effect_max.to_string()),
            ("direction", direction.word().to_owned()),
            ("seed", seed.to_string()),
        ];
        for (name, word) in &words {
            assert_eq!(default(name), word, "{name}");
        }
        assert_eq!(Affected::from_word(default("affected")), affected);
        let of_cohorts = SIMULATE_OPTIONS.iter().filter(|o| o.verbs.contains(&"cohort")).count();
        assert_eq!(of_cohorts, words.len() + 1, "every option has its field");
    }

    #[test]
    fn cell_types_are_words_or_names() {
        assert_eq!(Affected::from_word("T1, T3"), Affected::Named(vec!["T1".into(), "T3".into()]));
        assert!(BatchOf::from_word("plate").is_err_and(|f| f.way_out().is_some_and(|h| h.contains("`donor`"))));
        assert_eq!(Direction::from_word("down").map(Direction::word).ok(), Some("down"));
    }
}
