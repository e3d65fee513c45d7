//! Single cells: quality, normalisation, integration, clusters, markers, composition.
//!
//! Cells are rows, genes are columns. Matrices come as [`ferrocyte_data::RowChunks`], from memory or from a file.
//!
//! * [`qc`]: totals, detected genes, shares; [`filter`]: cells and genes within bounds.
//! * [`scrublet`](mod@scrublet): doublets.
//! * [`harmony`]: batches brought together, and how well they are mixed.
//! * [`hvg`]: genes that vary more than their mean explains.
//! * [`sc3`]: consensus clusters. [`markers`]: genes that tell groups apart. [`score_genes`]: how strongly cells express
//!   a set of genes.
//! * [`normalize`]: factors of cells, and rows scaled and logged as they pass; [`in_place`]: or where they stand.
//! * [`aggregate`](mod@aggregate): sums, means and variances of groups of cells.
//! * [`normalize`]: factors of cells, and rows scaled and logged as they pass.
//! * [`proportion`] and [`composition`]: types of cells in samples, and whether groups of samples differ in them.
//! * [`nmf`]: rows on their way into a factorisation.
//! * [`scale`] and [`pca`]: genes on one scale, principal components, without a dense matrix.
//! * [`steps`]: all of this as whole commands take it; [`keys`]: under which names results stand in a study.
//! * [`study`]: several samples: their table, their folder, which cells are good, and what clusters are called.

pub mod aggregate;
mod by_gene;
pub mod composition;
pub mod filter;
pub mod harmony;
pub mod hvg;
pub mod in_place;
pub mod keys;
pub mod markers;
mod moments;
mod names;
pub mod nmf;
pub mod normalize;
pub mod pca;
pub mod proportion;
pub mod qc;
pub mod sc3;
pub mod scale;
mod scan;
pub mod score_genes;
pub mod scrublet;
pub mod steps;
pub mod study;

pub use filter::Kept;
pub use names::Names;
