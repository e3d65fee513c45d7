//! The options of `ferrocyte cells`: their words, defaults and meanings. Where an option is an argument of a function of
//! the package, it says so, and has its default; a test compares them.

use ferrocyte_base::OptionInfo;
use ferrocyte_learn::Metric;

use super::{Outliers, Weights};
use crate::hvg::Flavor;
use crate::keys::Style;
use crate::markers::{Correction, Method};
use crate::proportion::Within;

/// An option of the command, and the argument of the package that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellsOption {
    /// Its name, verbs, default, choices and meaning.
    pub info: OptionInfo,
    /// The argument, as `pp.pca:n_comps`; empty where it is the command's own.
    pub of: &'static str,
}

const BOOL: &[&str] = &["true", "false"];
const METRICS: &[&str] =
    &[Metric::Euclidean.word(), Metric::Cosine.word(), Metric::Correlation.word(), Metric::Manhattan.word()];

/// Verbs that look at the quality of cells.
const QC: &[&str] = &["qc", "run"];
/// Verbs that find coordinates.
const EMBED: &[&str] = &["embed", "run"];
/// Verbs that find clusters.
const CLUSTER: &[&str] = &["cluster", "run"];
/// Verbs that find markers.
const MARKERS: &[&str] = &["markers", "run"];

const fn free(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    of: &'static str,
    meaning: &'static str,
) -> CellsOption {
    one_of(name, verbs, default, &[], of, meaning)
}

const fn one_of(
    name: &'static str,
    verbs: &'static [&'static str],
    default: &'static str,
    choices: &'static [&'static str],
    of: &'static str,
    meaning: &'static str,
) -> CellsOption {
    CellsOption { info: OptionInfo { name, verbs, default, choices, meaning }, of }
}

/// All options of the family, in the order of the documentation.
pub const OPTIONS: &[CellsOption] = &[
    free(
        "sample",
        &["import"],
        "",
        "",
        "what the sample is called; cells become SAMPLE:1, SAMPLE:2, ... [default: names stay]",
    ),
    one_of(
        "style",
        &["qc", "embed", "cluster", "markers", "annotate", "run"],
        "scanpy",
        Style::WORDS,
        "pp.pca:style",
        "the dialect in which results are named",
    ),
    free("seed", &["qc", "embed", "cluster", "run"], "0", "tl.leiden:random_state", "seed of every random choice"),
    free(
        "layer",
        &["qc", "embed", "markers"],
        "",
        "tl.rank_genes_groups:layer",
        "matrix to use: X or a layer [default: X; for counts the layer `counts` if there is one]",
    ),
    free("min_genes", QC, "300", "", "least number of genes of a cell"),
    free("max_genes", QC, "", "", "largest number of genes of a cell"),
    free("min_counts", QC, "", "", "least total of a cell"),
    free("max_counts", QC, "", "", "largest total of a cell"),
    one_of(
        "outliers",
        QC,
        "mads",
        Outliers::WORDS,
        "",
        "bounds on totals from the cells themselves: median -+ 5 MAD, or quartiles -+ 1.5 of their distance",
    ),
    free("max_mito", QC, "15", "", "share of mitochondrial genes, in %, that a cell stays below; 100 for no bound"),
    free("max_ribo", QC, "", "", "share of ribosomal genes, in %, that a cell stays below"),
    free("min_cells", QC, "3", "", "how many of the cells within the bounds must have a gene"),
    free("mito_prefix", QC, "MT-", "", "how symbols of mitochondrial genes begin, in any case"),
    free(
        "percent_top",
        QC,
        "50,100,200,500",
        "pp.calculate_qc_metrics:percent_top",
        "numbers of most abundant genes whose share is measured",
    ),
    one_of("doublets", QC, "true", BOOL, "", "whether doublets are looked for, in each sample, and left out"),
    free("expected_doublet_rate", QC, "0.05", "pp.scrublet:expected_doublet_rate", "expected share of doublets"),
    free("stdev_doublet_rate", QC, "0.02", "pp.scrublet:stdev_doublet_rate", "its uncertainty"),
    free("sim_doublet_ratio", QC, "2", "pp.scrublet:sim_doublet_ratio", "simulated doublets for each cell"),
    free("n_prin_comps", QC, "30", "pp.scrublet:n_prin_comps", "components in which doublets are looked for"),
    free(
        "doublet_threshold",
        QC,
        "",
        "pp.scrublet:threshold",
        "scores above it are doublets [default: the valley of simulated scores]",
    ),
    one_of(
        "keep",
        &["qc"],
        "passing",
        &["passing", "all"],
        "",
        "which cells and genes are written: those that pass, or all, marked in `qc`",
    ),
    free(
        "target_sum",
        EMBED,
        "",
        "pp.log_normalize:target_sum",
        "total to which cells are brought [default: the median of all]",
    ),
    one_of(
        "exclude_highly_expressed",
        EMBED,
        "false",
        BOOL,
        "pp.log_normalize:exclude_highly_expressed",
        "whether genes with a large share of a cell are left out of its total",
    ),
    free("max_fraction", EMBED, "0.05", "pp.log_normalize:max_fraction", "what a large share is"),
    one_of(
        "flavor",
        EMBED,
        "seurat",
        Flavor::WORDS,
        "pp.highly_variable_genes:flavor",
        "how variable genes are found; seurat_v3 looks at counts",
    ),
    free(
        "n_top_genes",
        EMBED,
        "",
        "pp.highly_variable_genes:n_top_genes",
        "how many variable genes [default: 2000 for seurat_v3, else the bounds]",
    ),
    free(
        "min_mean",
        EMBED,
        "0.0125",
        "pp.highly_variable_genes:min_mean",
        "bounds of variable genes, without n_top_genes",
    ),
    free("max_mean", EMBED, "3", "pp.highly_variable_genes:max_mean", "likewise"),
    free("min_disp", EMBED, "0.5", "pp.highly_variable_genes:min_disp", "likewise"),
    free("max_disp", EMBED, "inf", "pp.highly_variable_genes:max_disp", "likewise"),
    free(
        "span",
        EMBED,
        "0.3",
        "pp.highly_variable_genes:span",
        "share of genes that a local parabola looks at (seurat_v3)",
    ),
    free("n_bins", EMBED, "20", "pp.highly_variable_genes:n_bins", "bins of means (seurat)"),
    free(
        "batch_key",
        &["embed"],
        "",
        "pp.highly_variable_genes:batch_key",
        "obs column with the batch of each cell: genes are chosen in each, and Harmony brings them together",
    ),
    free(
        "batch_key",
        &["run"],
        "batch",
        "",
        "column of the table of samples whose batches are brought together; none where all are of one",
    ),
    free("n_comps", EMBED, "", "pp.pca:n_comps", "components [default: 50, or one less than there are cells or genes]"),
    one_of("scale", EMBED, "false", BOOL, "pp.pca:scale", "whether genes are standardised before components are found"),
    free("max_value", EMBED, "", "pp.pca:max_value", "where standardised values are clipped"),
    free("theta", EMBED, "2", "pp.harmony_integrate:theta", "Harmony: reward for clusters that hold all batches"),
    free("lamb", EMBED, "1", "pp.harmony_integrate:lamb", "Harmony: penalty of shifts, a number or auto"),
    free("sigma", EMBED, "0.1", "pp.harmony_integrate:sigma", "Harmony: softness of clusters"),
    free("tau", EMBED, "0", "pp.harmony_integrate:tau", "Harmony: protection of small batches"),
    free(
        "nclust",
        EMBED,
        "",
        "pp.harmony_integrate:nclust",
        "Harmony: clusters [default: a thirtieth of the cells, 2 to 100]",
    ),
    free("max_iter_harmony", EMBED, "10", "pp.harmony_integrate:max_iter_harmony", "Harmony: the most iterations"),
    free("n_neighbors", EMBED, "15", "pp.neighbors:n_neighbors", "neighbours of each cell, itself included"),
    free(
        "n_pcs",
        EMBED,
        "",
        "pp.neighbors:n_pcs",
        "columns of the coordinates that neighbours are found with [default: all]",
    ),
    one_of("metric", EMBED, "euclidean", METRICS, "pp.neighbors:metric", "what near means"),
    one_of("graph", EMBED, "umap", Weights::WORDS, "pp.neighbors:method", "how neighbours are joined"),
    free("min_dist", EMBED, "0.5", "tl.umap:min_dist", "UMAP: how near points come to one another"),
    free("spread", EMBED, "1", "tl.umap:spread", "UMAP: the scale of the layout"),
    free("n_components", EMBED, "2", "tl.umap:n_components", "UMAP: dimensions"),
    free(
        "maxiter",
        EMBED,
        "",
        "tl.umap:maxiter",
        "UMAP: rounds of moves [default: 500 up to 10,000 cells, 200 beyond]",
    ),
    one_of("init_pos", EMBED, "spectral", &["spectral", "random"], "tl.umap:init_pos", "UMAP: where points begin"),
    one_of(
        "algorithm",
        &["cluster"],
        "leiden",
        &["leiden", "sc3"],
        "",
        "communities of the graph of neighbours, or a consensus of k-means",
    ),
    free("resolution", CLUSTER, "1", "tl.leiden:resolution", "Leiden: the larger, the more clusters"),
    free(
        "n_iterations",
        CLUSTER,
        "-1",
        "tl.leiden:n_iterations",
        "Leiden: runs through all levels; -1 is until nothing is gained",
    ),
    free(
        "n_starts",
        CLUSTER,
        "",
        "tl.leiden:n_starts",
        "Leiden: random orders of which the best is taken [default: 3 up to 10,000 cells, 1 beyond]",
    ),
    free("key_added", &["cluster"], "leiden", "tl.leiden:key_added", "Leiden: obs column of the clusters"),
    one_of(
        "allow_stale",
        &["cluster"],
        "false",
        BOOL,
        "tl.leiden:allow_stale",
        "whether the graph of more cells than there are now will do",
    ),
    free("n_clusters", &["cluster"], "5,10,20,30", "tl.sc3:n_clusters", "SC3: numbers of clusters"),
    free("n_runs", &["cluster"], "5", "tl.sc3:n_runs", "SC3: runs for each number of columns"),
    free(
        "basis",
        &["cluster"],
        "",
        "tl.sc3:basis",
        "SC3: the coordinates, a key of obsm [default: those behind the graph, or components]",
    ),
    free("groupby", &["markers"], "leiden", "", "obs column with the groups"),
    free("groups", &["markers"], "all", "tl.rank_genes_groups:groups", "groups that are compared: A,B,C"),
    free(
        "reference",
        &["markers"],
        "rest",
        "tl.rank_genes_groups:reference",
        "what they are compared with: all other cells, or a group",
    ),
    one_of("marker_method", MARKERS, "t-test", Method::WORDS, "", "the test"),
    one_of(
        "corr_method",
        MARKERS,
        "benjamini-hochberg",
        Correction::WORDS,
        "tl.rank_genes_groups:corr_method",
        "how p-values are adjusted",
    ),
    one_of(
        "tie_correct",
        MARKERS,
        "true",
        BOOL,
        "tl.rank_genes_groups:tie_correct",
        "whether ties are allowed for (wilcoxon)",
    ),
    free("n_genes", MARKERS, "", "tl.rank_genes_groups:n_genes", "genes that are kept of each group [default: all]"),
    one_of(
        "rankby_abs",
        MARKERS,
        "false",
        BOOL,
        "tl.rank_genes_groups:rankby_abs",
        "whether genes are ranked by the size of their score",
    ),
    one_of(
        "pts",
        MARKERS,
        "false",
        BOOL,
        "tl.rank_genes_groups:pts",
        "whether the study keeps shares of cells that have a gene; the table always does",
    ),
    one_of(
        "fold_change_of_means",
        MARKERS,
        "false",
        BOOL,
        "tl.rank_genes_groups:fold_change_of_means",
        "whether fold changes of means of counts are given too",
    ),
    free("cluster", &["annotate"], "leiden", "", "obs column with the clusters that get names"),
    free(
        "annotation",
        &["annotate"],
        "",
        "",
        "obs column of the names [default: cell_type, cell.type in the dialect of exprmat]",
    ),
    free("major", &["proportion"], "sample", "", "obs column of the rows of the table"),
    free("minor", &["proportion"], "leiden", "", "obs column of its columns"),
    one_of(
        "within",
        &["proportion"],
        "major",
        Within::WORDS,
        "tl.proportion:within",
        "within what shares sum to 1; none for counts",
    ),
    one_of(
        "show_unused",
        &["proportion"],
        "false",
        BOOL,
        "tl.proportion:show_unused",
        "whether levels that no cell has are shown, with 0",
    ),
    one_of(
        "join",
        &["run"],
        "outer",
        &["outer", "inner"],
        "",
        "genes and columns of cells: those of all samples (what is missing is 0), or common ones",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verb_has_an_option_twice() {
        let mut seen = std::collections::HashSet::new();
        for option in OPTIONS {
            for verb in option.info.verbs {
                assert!(seen.insert((verb, option.info.name)), "{verb} {}", option.info.name);
            }
            let known = option.info.choices.is_empty() || option.info.choices.contains(&option.info.default);
            assert!(known, "{}: the default is a choice", option.info.name);
        }
    }
}
