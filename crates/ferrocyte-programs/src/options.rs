//! Options of consensus factorisations: their words, defaults and meanings, for all three fronts.

use ferrocyte_base::{OptionInfo, choice};
use ferrocyte_learn::nmf::{Precision, Rule};

choice! {
    /// Where a replica begins.
    Init, "init" {
        /// Random factors of its seed.
        Random = "random",
        /// Leading singular vectors: the same for all replicates.
        Nndsvd = "nndsvd",
        /// The same, zeros filled with the mean.
        NndsvdMean = "nndsvda",
        /// The same, zeros filled with small random numbers.
        NndsvdRandom = "nndsvdar",
    }
}

choice! {
    /// How replicates are iterated.
    Iterates, "solver" {
        /// By the peer's iterates.
        Exact = "exact",
        /// With several sweeps for each pass over the matrix: other digits, the same kind of optimum, in less time. For
        /// the squared norm.
        Accelerated = "accelerated",
    }
}

choice! {
    /// Whose rules are followed where published programs differ.
    Dialect, "style" {
        /// cnmf: genes divided by their standard deviation, spectra over all genes.
        Cnmf = "cnmf",
        /// exprmat: counts as they are, spectra over the selected genes, standard deviations of samples.
        Exprmat = "exprmat",
    }
}

impl Dialect {
    /// Whether counts of a gene are divided by their standard deviation before they are factorised.
    pub const fn scales_genes(self) -> bool {
        matches!(self, Self::Cnmf)
    }

    /// Whether spectra and scores are of all genes, or of those that were selected.
    pub const fn spectra_of_all_genes(self) -> bool {
        matches!(self, Self::Cnmf)
    }

    /// The seed of k-means.
    pub const fn kmeans_seed(self) -> u32 {
        match self {
            Self::Cnmf => 1,
            Self::Exprmat => 42,
        }
    }

    /// What is taken from the number of cells where standard deviations of expression are formed.
    pub const fn ddof(self) -> usize {
        match self {
            Self::Cnmf => 0,
            Self::Exprmat => 1,
        }
    }
}

/// An option without choices.
const fn free(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, verbs, default, choices: &[], meaning }
}

/// An option that is true or false.
const fn truth(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    meaning: &'static str,
) -> OptionInfo {
    OptionInfo { name, verbs, default, choices: &["true", "false"], meaning }
}

/// The verbs that make counts ready.
const READY: &[&str] = &["run", "prepare"];
/// The verbs that find a consensus.
const CONSENSUS: &[&str] = &["run", "consensus"];

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[OptionInfo] = &[
    free(
        "components",
        &["run", "prepare", "combine", "consensus"],
        "",
        "numbers of programs, such as 5 6 7; empty takes all that were prepared [repeatable]",
    ),
    free("n_iter", READY, "100", "replicates of each number of programs"),
    free("seed", READY, "", "seed of the seeds of the replicates; empty draws one, which is told"),
    free(
        "numgenes",
        READY,
        "2000",
        "how many variable genes are factorised; 0 takes those above the automatic threshold",
    ),
    free("genes_file", READY, "", "file with the genes that are factorised, one a line, in place of variable ones"),
    free("tpm", READY, "", "expression of the same cells and genes in place of counts per million: any study"),
    free("layer", &["run", "prepare", "project"], "", "matrix of the counts: X, a layer, or raw/X"),
    free(
        "beta_loss",
        READY,
        "frobenius",
        "frobenius, kullback-leibler, itakura-saito, or the number of a beta divergence",
    ),
    OptionInfo {
        name: "init",
        verbs: READY,
        default: "random",
        choices: Init::WORDS,
        meaning: "where a replicate begins; consensus needs random",
    },
    free("max_nmf_iter", READY, "1000", "the most iterations of a replicate"),
    free("alpha_usage", READY, "0", "penalty on usages"),
    free("alpha_spectra", READY, "0", "penalty on spectra"),
    truth("densify", READY, "false", "has no effect, kept for scripts: nothing is made dense"),
    truth(
        "drop_empty",
        READY,
        "false",
        "leave out cells without a count in the selected genes, rather than refuse them",
    ),
    OptionInfo {
        name: "precision",
        verbs: &["run", "factorize"],
        default: "double",
        choices: Precision::WORDS,
        meaning: "with how many bits iterations run; double has the peer's digits",
    },
    OptionInfo {
        name: "solver",
        verbs: &["run", "factorize"],
        default: "exact",
        choices: Iterates::WORDS,
        meaning: "exact has the peer's iterates; accelerated, for the squared norm, takes fewer passes",
    },
    free("worker_index", &["factorize"], "0", "which worker this is, counted from 0"),
    free("total_workers", &["factorize"], "1", "how many workers share the replicates"),
    truth("skip_completed_runs", &["factorize"], "false", "do not make replicates again whose file is there"),
    truth("skip_missing_files", &["combine"], "false", "combine what is there where replicates are missing"),
    free(
        "local_density_threshold",
        CONSENSUS,
        "0.5",
        "spectra whose mean distance to their neighbours is not below this are dropped; 2 keeps all",
    ),
    free("local_neighborhood_size", CONSENSUS, "0.3", "the neighbours of a spectrum, as a share of the replicates"),
    OptionInfo {
        name: "refit",
        verbs: &["run", "k_selection", "consensus", "project"],
        default: "peer",
        choices: Rule::WORDS,
        meaning: "when refits with one factor fixed end: by the peer's rule, or at their optimum",
    },
    truth("refit_usage", CONSENSUS, "true", "fit usages again, to all expression of the selected genes"),
    truth("normalize_tpm_spectra", CONSENSUS, "false", "scale spectra over all genes to the sum of a million"),
    truth("build_reference", CONSENSUS, "true", "write the spectra by which other cells are projected"),
    truth(
        "show_clustering",
        &["consensus"],
        "false",
        "has no effect, kept for scripts: the program draws no figures, fe.cnmf.cNMF does",
    ),
];

/// The verb that simulates.
const SIMULATED: &[&str] = &["programs"];

/// Options of the simulator.
pub const SIMULATE_OPTIONS: &[OptionInfo] = &[
    free("n_cells", SIMULATED, "2700", "number of cells, before those without any count are left out"),
    free("n_genes", SIMULATED, "2000", "number of genes, likewise"),
    free("n_programs", SIMULATED, "8", "number of programs, at least 2; a quarter are activities"),
    free("depth", SIMULATED, "260", "mean counts of a cell: 100 is much noise, 3000 little"),
    free("density", SIMULATED, "", "in place of the depth: the share of counts that are not 0, about"),
    free("seed", SIMULATED, "9001", "the same seed gives the same counts"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ConsensusOptions, FactoriseOptions, Genes, PrepareOptions};

    #[test]
    fn defaults_are_those_of_the_structs() {
        let default = |name: &str| OPTIONS.iter().find(|o| o.name == name).map_or("", |o| o.default);
        let fit = FactoriseOptions::default();
        assert_eq!(fit.init.word(), default("init"));
        assert_eq!(fit.max_iterations.to_string(), default("max_nmf_iter"));
        assert_eq!(fit.precision.word(), default("precision"));
        assert_eq!(fit.solver.word(), default("solver"));
        assert_eq!(fit.alpha_usage.to_string(), default("alpha_usage"));
        assert_eq!(fit.alpha_spectra.to_string(), default("alpha_spectra"));
        let prepare = PrepareOptions::default();
        assert_eq!(prepare.genes, Genes::Top(default("numgenes").parse().unwrap_or(0)));
        assert_eq!(prepare.drop_empty.to_string(), default("drop_empty"));
        let consensus = ConsensusOptions::default();
        assert_eq!(consensus.density_threshold.to_string(), default("local_density_threshold"));
        assert_eq!(consensus.neighbourhood.to_string(), default("local_neighborhood_size"));
        assert_eq!(consensus.refit.word(), default("refit"));
        assert_eq!(consensus.refit_usage.to_string(), default("refit_usage"));
        assert_eq!(consensus.normalize_tpm_spectra.to_string(), default("normalize_tpm_spectra"));
    }
}
