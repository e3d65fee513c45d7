//! Genes that vary more than their mean explains: [`highly_variable_genes`].
//!
//! Four flavours. `seurat_v3` and `seurat_v3_paper` take raw counts and fit the variance as a smooth function of the mean
//! (Stuart et al. 2019); they differ in how genes of several batches are ordered. `seurat` (Satija et al. 2015) and
//! `cell_ranger` (Zheng et al. 2017) take logarithms and compare the dispersion of a gene with those of similar means.
//!
//! With batches, genes are chosen inside each and the choices combined, so that a difference between batches does not
//! make a gene variable.

mod dispersion;
mod variance;

use ferrocyte_base::{Cells, Column, Fault, Result, Run, Table, choice};
use ferrocyte_data::{Factor, RowChunks};

use crate::Names;

choice! {
    /// How variable genes are found.
    Flavor, "flavor" {
        /// Dispersions in bins of equal width, of logarithms.
        Seurat = "seurat",
        /// Dispersions in bins of equal numbers, of logarithms.
        CellRanger = "cell_ranger",
        /// Variances of clipped, standardised counts; batches by rank, then by number.
        SeuratV3 = "seurat_v3",
        /// The same; batches by number, then by rank.
        SeuratV3Paper = "seurat_v3_paper",
    }
}

/// How variable genes are found and how many.
#[derive(Debug, Clone, PartialEq)]
pub struct HvgOptions {
    /// The method.
    pub flavor: Flavor,
    /// How many genes; `None` is 2000 for `seurat_v3` and the cut-offs below for the others.
    pub n_top: Option<usize>,
    /// Means must be above this (without `n_top`).
    pub min_mean: f64,
    /// Means must be below this (without `n_top`).
    pub max_mean: f64,
    /// Normalised dispersions must be above this (without `n_top`).
    pub min_disp: f64,
    /// Normalised dispersions must be below this (without `n_top`).
    pub max_disp: f64,
    /// Share of the genes that a local parabola looks at (`seurat_v3`).
    pub span: f64,
    /// Bins of means (`seurat`).
    pub n_bins: usize,
    /// Base of the logarithm that was taken; `None` is e (`seurat`).
    pub base: Option<f64>,
}

impl HvgOptions {
    /// The usual options of a flavour.
    pub fn new(flavor: Flavor) -> Self {
        Self {
            flavor,
            n_top: None,
            min_mean: 0.0125,
            max_mean: 3.0,
            min_disp: 0.5,
            max_disp: f64::INFINITY,
            span: 0.3,
            n_bins: 20,
            base: None,
        }
    }
}

/// What was measured of each gene, and which were chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Hvg {
    /// Which genes vary.
    pub highly_variable: Vec<bool>,
    /// Means: of counts (`seurat_v3`), of logarithms (`cell_ranger`), or ln(1 + mean of what was logged) (`seurat`);
    /// over all cells, or averaged over batches.
    pub means: Vec<f64>,
    /// The measures of the flavour.
    pub measures: Measures,
    /// With batches: in how many of them a gene was chosen.
    pub n_batches: Option<Vec<usize>>,
    /// How many batches there are.
    pub of_batches: usize,
}

/// The measures of a flavour, one number per gene.
#[derive(Debug, Clone, PartialEq)]
pub enum Measures {
    /// Of `seurat_v3`.
    Variances {
        /// Variances over all cells.
        variances: Vec<f64>,
        /// Variances of clipped, standardised counts; averaged over batches.
        norm: Vec<f64>,
        /// The rank by these, from 0; median over the batches where it is below the number asked for, else NaN.
        rank: Vec<f64>,
    },
    /// Of `seurat` and `cell_ranger`.
    Dispersions {
        /// Variance / mean (its logarithm in `seurat`).
        dispersions: Vec<f64>,
        /// The same, relative to genes of similar means.
        norm: Vec<f64>,
    },
}

impl Hvg {
    /// The columns of `var`, under scanpy's names.
    pub fn table(&self) -> Table {
        let flag = |name: &str, meaning: &str, values: Vec<bool>| Column::new(name, "", meaning, Cells::Bool(values));
        let mut table = Table::new("highly variable genes").with(flag(
            "highly_variable",
            "whether the gene varies more than its mean explains",
            self.highly_variable.clone(),
        ));
        let float = |name: &str, meaning: &str, values: &[f64]| Column::float(name, "", meaning, values.to_vec());
        match &self.measures {
            Measures::Variances { variances, norm, rank } => {
                table = table
                    .with(float("highly_variable_rank", "rank by normalised variance; median over batches", rank))
                    .with(float("means", "mean of counts", &self.means))
                    .with(float("variances", "variance of counts", variances))
                    .with(float("variances_norm", "variance of clipped, standardised counts", norm));
            }
            Measures::Dispersions { dispersions, norm } => {
                table = table
                    .with(float("means", "mean", &self.means))
                    .with(float("dispersions", "variance / mean", dispersions))
                    .with(float("dispersions_norm", "dispersion relative to genes of similar means", norm));
            }
        }
        let Some(n_batches) = &self.n_batches else { return table };
        let counts = n_batches.iter().map(|&n| n as i64).collect();
        table = table.with(Column::int("highly_variable_nbatches", "batches", "batches that chose the gene", counts));
        if matches!(self.measures, Measures::Dispersions { .. }) {
            let in_all = n_batches.iter().map(|&n| n == self.of_batches).collect();
            table = table.with(flag("highly_variable_intersection", "whether all batches chose the gene", in_all));
        }
        table
    }

    /// The genes that vary, in order.
    pub fn indices(&self) -> Vec<usize> {
        (0..self.highly_variable.len()).filter(|&gene| self.highly_variable[gene]).collect()
    }
}

/// Finds the variable genes of `source`: raw counts for `seurat_v3`, else logarithms of normalised counts.
///
/// `batches` has the batch of every cell. Two passes for `seurat_v3`, one for the others.
///
/// # Errors
/// Values that are missing, infinite or (for `seurat_v3`) negative; cells without batch; options out of range; no batch
/// with enough cells and genes to learn from.
pub fn highly_variable_genes(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    batches: Option<&Factor>,
    options: &HvgOptions,
) -> Result<Hvg> {
    check(source, batches, options)?;
    let n_genes = source.n_cols();
    let mut options = options.clone();
    if let Some(n) = options.n_top.filter(|&n| n > n_genes) {
        run.warn(&format!("{n} variable genes are asked for, there are {n_genes}: all are taken"));
        options.n_top = Some(n_genes);
    }
    match options.flavor {
        Flavor::Seurat | Flavor::CellRanger => dispersion::find(run, source, names, batches, &options),
        Flavor::SeuratV3 | Flavor::SeuratV3Paper => variance::find(run, source, names, batches, &options),
    }
}

fn check(source: &dyn RowChunks, batches: Option<&Factor>, options: &HvgOptions) -> Result<()> {
    if source.n_rows() == 0 || source.n_cols() == 0 {
        return Err(
            Fault::bad_input(format!("{} cells and {} genes", source.n_rows(), source.n_cols())).at(source.name())
        );
    }
    if options.n_top == Some(0) || options.n_bins == 0 {
        return Err(Fault::bad_input("a number above 0 is expected, found 0").at(if options.n_bins == 0 {
            "n_bins"
        } else {
            "n_top_genes"
        }));
    }
    let Some(batches) = batches else { return Ok(()) };
    if batches.codes.len() != source.n_rows() {
        let message = format!("{} batches for {} cells", batches.codes.len(), source.n_rows());
        return Err(Fault::bad_input(message).at("batch_key"));
    }
    let missing = batches.codes.iter().filter(|&code| code == Factor::MISSING).count();
    if missing > 0 {
        return Err(Fault::bad_input(format!("{missing} of {} cells have no batch", source.n_rows()))
            .at("batch_key")
            .hint("leave these cells out, or give them a batch of their own"));
    }
    Ok(())
}

/// Marks the first `n` genes of an order.
fn first(order: &[usize], n: usize) -> Vec<bool> {
    let mut chosen = vec![false; order.len()];
    order.iter().take(n).for_each(|&gene| chosen[gene] = true);
    chosen
}
