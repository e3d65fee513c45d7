//! Single cells: quality, normalisation, integration, clusters, markers, composition.
//!
//! Cells are rows, genes are columns. Matrices come as [`ferrocyte_data::RowChunks`], from memory or from a file.
//!
//! * [`qc`]: totals, detected genes, shares; [`filter`]: cells and genes within bounds.
//! * [`harmony`]: batches brought together, and how well they are mixed.
//! * [`hvg`]: genes that vary more than their mean explains.
//! * [`markers`]: genes that tell groups apart.
//! * [`normalize`]: factors of cells, and rows scaled and logged as they pass.
//! * [`scale`] and [`pca`]: genes on one scale, principal components, without a dense matrix.

mod by_gene;
pub mod filter;
pub mod harmony;
pub mod hvg;
pub mod markers;
mod moments;
mod names;
pub mod normalize;
pub mod pca;
pub mod qc;
pub mod scale;
mod scan;

pub use filter::Kept;
pub use names::Names;
