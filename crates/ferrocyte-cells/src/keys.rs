//! Where results land in an annotated study: one table of two dialects.
//!
//! [`Style::Scanpy`] are the names of scanpy, [`Style::Exprmat`] those of exprmat. One of them is written at a time;
//! readers look for both. No step spells a key: it asks for the row of [`TABLE`] that it means.

use ferrocyte_base::choice;

choice! {
    /// The dialect in which results are named.
    Style, "style" {
        /// The names of scanpy.
        Scanpy = "scanpy",
        /// The names of exprmat.
        Exprmat = "exprmat",
    }
}

/// The layer with counts where X is no longer counts, in either dialect. scanpy prescribes none; this is its custom.
pub const COUNTS: &str = "counts";

/// What stands for the group in the name of a consensus ([`Key::Sc3`]) and of a second graph.
const PLACE: &str = "{}";

/// A row of [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The word by which both dialects are compared.
    pub word: &'static str,
    /// The name in scanpy's dialect; nothing where it has none.
    pub scanpy: Option<&'static str>,
    /// The name in exprmat's.
    pub exprmat: Option<&'static str>,
    /// Where it stands and what it is.
    pub meaning: &'static str,
}

/// Declares [`Key`] and [`TABLE`] together.
macro_rules! keys {
    ($($key:ident: $word:literal, $scanpy:expr, $exprmat:expr, $meaning:literal;)+) => {
        /// What has a name in an annotated study.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Key {
            $(#[doc = $meaning] $key),+
        }

        /// The names of everything in both dialects, in the order of [`Key`].
        pub const TABLE: &[Row] =
            &[$(Row { word: $word, scanpy: $scanpy, exprmat: $exprmat, meaning: $meaning }),+];
    };
}

keys! {
    Counts: "counts", None, Some(COUNTS), "layers: counts, where X is no longer counts";
    NGenes: "n_genes", Some("n_genes_by_counts"), Some("n.genes"), "obs: genes that a cell has";
    NUmi: "n_umi", Some("total_counts"), Some("n.umi"), "obs and var: total of a cell, of a gene";
    NMito: "n_mito", Some("total_counts_mt"), Some("n.mito"), "obs: total of mitochondrial genes";
    NRibo: "n_ribo", Some("total_counts_ribo"), Some("n.ribo"), "obs: total of ribosomal genes";
    PctMito: "pct_mito", Some("pct_counts_mt"), Some("pct.mito"), "obs: share of mitochondrial genes (scanpy: in %)";
    PctRibo: "pct_ribo", Some("pct_counts_ribo"), Some("pct.ribo"), "obs: share of ribosomal genes (scanpy: in %)";
    NCells: "n_cells", Some("n_cells_by_counts"), Some("n.cells"), "var: cells that have a gene";
    Filter: "filter", Some("filter"), Some("filter"), "obs: whether a cell lies within the bounds";
    Qc: "qc", Some("qc"), Some("qc"), "obs and var: whether a cell or gene is kept";
    DoubletScore: "doublet_score", Some("doublet_score"), Some("score.doublet"), "obs: how much a cell looks like two";
    DoubletSe: "doublet_se", None, Some("score.doublet.se"), "obs: uncertainty of that score";
    IsDoublet: "is_doublet", Some("predicted_doublet"), Some("is.doublet"), "obs: whether a cell is called a doublet";
    HighlyVariable: "highly_variable", Some("highly_variable"), Some("vst.hvg"), "var: whether a gene is variable";
    HvgRank: "highly_variable_rank", Some("highly_variable_rank"), Some("vst.hvg.rank"), "var: its rank";
    Means: "means", Some("means"), Some("vst.means"), "var: mean of a gene";
    Variances: "variances", Some("variances"), Some("vst.vars"), "var: its variance";
    VariancesNorm: "variances_norm", Some("variances_norm"), Some("vst.vars.norm"), "var: relative to what its mean explains";
    Dispersions: "dispersions", Some("dispersions"), Some("vst.dispersions"), "var: variance / mean";
    DispersionsNorm: "dispersions_norm", Some("dispersions_norm"), Some("vst.dispersions.norm"), "var: relative to similar genes";
    HvgBatches: "highly_variable_nbatches", Some("highly_variable_nbatches"), Some("vst.hvg.nbatches"), "var: batches that chose it";
    HvgAll: "highly_variable_intersection", Some("highly_variable_intersection"), Some("vst.hvg.intersection"), "var: whether all did";
    Pca: "pca", Some("X_pca"), Some("pca"), "obsm: principal components of cells";
    Loadings: "loadings", Some("PCs"), Some("pca"), "varm: weights of genes";
    VarianceRatio: "variance_ratio", Some("variance_ratio"), Some("pct.variance"), "uns pca: shares of variance";
    Singular: "singular", None, Some("singular"), "uns pca: singular values";
    Harmony: "harmony", Some("X_pca_harmony"), Some("harmony"), "obsm: components with batches brought together";
    Umap: "umap", Some("X_umap"), Some("umap"), "obsm: layout in few dimensions";
    Leiden: "leiden", Some("leiden"), Some("leiden"), "obs: clusters";
    Sc3: "sc3", Some("sc3s_{}"), Some("sc3.{}"), "obs: clusters of a consensus, with their number";
    Sc3Trials: "sc3_trials", Some("sc3s_trials"), Some("sc3"), "uns: what was tried for it";
    Colours: "colours", Some("{}_colors"), Some("{}.colors"), "uns: colours of the levels of a column";
    Markers: "markers", Some("rank_genes_groups"), Some("markers"), "uns: genes that tell groups apart";
    CellType: "cell_type", Some("cell_type"), Some("cell.type"), "obs: names of clusters";
}

impl Key {
    /// Its row of [`TABLE`].
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its name in a dialect, if it has one there.
    pub const fn name(self, style: Style) -> Option<&'static str> {
        match style {
            Style::Scanpy => self.row().scanpy,
            Style::Exprmat => self.row().exprmat,
        }
    }

    /// Its name in a dialect; where that has none, that of the other.
    pub const fn word(self, style: Style) -> &'static str {
        match (self.name(style), self.row().scanpy, self.row().exprmat) {
            (Some(name), ..) | (None, Some(name), _) | (None, None, Some(name)) => name,
            (None, None, None) => self.row().word,
        }
    }

    /// Its name with a number, as that of a consensus: `sc3.10`.
    pub fn numbered(self, style: Style, number: usize) -> String {
        self.word(style).replace(PLACE, &number.to_string())
    }

    /// The names that it has in both dialects, that of `style` first.
    pub fn either(self, style: Style) -> Vec<&'static str> {
        let other = match style {
            Style::Scanpy => Style::Exprmat,
            Style::Exprmat => Style::Scanpy,
        };
        let mut names: Vec<&str> = [self.name(style), self.name(other)].into_iter().flatten().collect();
        names.dedup();
        names
    }

    /// The key of a word.
    pub fn of_scanpy(name: &str) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.scanpy == Some(name))
    }
}

/// What a column of scanpy is called in a dialect; one that is not in the table keeps its name.
pub fn translated(name: &str, style: Style) -> String {
    match (style, Key::of_scanpy(name)) {
        (Style::Exprmat, Some(Row { exprmat: Some(name), .. })) => (*name).to_owned(),
        _ => name.to_owned(),
    }
}

/// What a part of a graph (`connectivities`, `distances`, ...) is called; `key` names a second graph.
pub fn of_graph(style: Style, key: Option<&str>, part: &str) -> String {
    match (style, key) {
        (_, None | Some("neighbors")) => part.to_owned(),
        (Style::Scanpy, Some(key)) => format!("{key}_{part}"),
        (Style::Exprmat, Some(key)) => format!("{part}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_its_row() {
        assert_eq!(TABLE.len(), Key::CellType as usize + 1);
        assert_eq!(Key::Pca.row().word, "pca");
        assert_eq!((Key::Pca.word(Style::Scanpy), Key::Pca.word(Style::Exprmat)), ("X_pca", "pca"));
        let mut words: Vec<&str> = TABLE.iter().map(|row| row.word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), TABLE.len(), "words differ");
    }

    #[test]
    fn names_that_one_dialect_lacks() {
        assert_eq!(Key::Counts.name(Style::Scanpy), None);
        assert_eq!(Key::Counts.word(Style::Scanpy), COUNTS);
        assert_eq!(Key::Pca.either(Style::Exprmat), ["pca", "X_pca"]);
        assert_eq!(Key::Leiden.either(Style::Scanpy), ["leiden"]);
        assert_eq!(Key::Sc3.numbered(Style::Exprmat, 10), "sc3.10");
    }

    #[test]
    fn columns_and_graphs_are_translated() {
        assert_eq!(translated("total_counts", Style::Exprmat), "n.umi");
        assert_eq!(translated("log1p_total_counts", Style::Exprmat), "log1p_total_counts");
        assert_eq!(translated("total_counts", Style::Scanpy), "total_counts");
        assert_eq!(of_graph(Style::Scanpy, Some("wnn"), "distances"), "wnn_distances");
        assert_eq!(of_graph(Style::Exprmat, Some("wnn"), "distances"), "distances.wnn");
        assert_eq!(of_graph(Style::Exprmat, None, "distances"), "distances");
    }
}
