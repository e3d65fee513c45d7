//! [`ReportOptions`]: what a page shows, and [`OPTIONS`], the same for the fronts.

use ferrocyte_base::OptionInfo;

/// What a page shows. The defaults are those of [`OPTIONS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOptions {
    /// The headline; the name of the study's file if absent.
    pub title: Option<String>,
    /// The column of obs with clusters or cell types; guessed if absent.
    pub clusters: Option<String>,
    /// The column of obs with samples; guessed if absent.
    pub samples: Option<String>,
    /// The matrix whose values colour cells; if absent X, or `raw` where X has values below zero.
    pub layer: Option<String>,
    /// Genes that the page must have, before those that it finds.
    pub genes: Vec<String>,
    /// The most cells that are drawn; of more a sample is.
    pub max_cells: usize,
    /// The most rows of each table, those with the smallest p-values.
    pub max_rows: usize,
    /// The bytes of the page, which genes fill up.
    pub max_size: u64,
    /// The seed by which cells are sampled.
    pub seed: u64,
    /// Records of runs that lie beside the study, by their names: JSON, which joins the provenance.
    pub records: Vec<(String, String)>,
}

impl Default for ReportOptions {
    fn default() -> Self {
        Self {
            title: None,
            clusters: None,
            samples: None,
            layer: None,
            genes: Vec::new(),
            max_cells: 100_000,
            max_rows: 100_000,
            max_size: 15_000_000,
            seed: 0,
            records: Vec::new(),
        }
    }
}

const fn option(name: &'static str, default: &'static str, meaning: &'static str) -> OptionInfo {
    OptionInfo { name, verbs: &["report"], default, choices: &[], meaning }
}

/// The options as fronts show them.
pub const OPTIONS: &[OptionInfo] = &[
    option("title", "", "headline of the page; nothing takes the name of the file"),
    option("clusters", "", "column of obs with clusters or cell types; nothing takes the first that looks like one"),
    option("samples", "", "column of obs with samples; nothing takes the first that looks like one"),
    option("layer", "", "matrix whose values colour cells; nothing takes X, or raw where X has values below zero"),
    option("genes", "", "genes that the page must have, with commas; others follow as far as there is room"),
    option("max_cells", "100000", "most cells that are drawn; of more a sample is"),
    option("max_rows", "100000", "most rows of each table: those with the smallest p-values"),
    option("max_size", "15000000", "bytes of the page, which genes fill up; 15M is 15 x 1,048,576"),
    option("seed", "0", "seed by which cells are sampled"),
];
