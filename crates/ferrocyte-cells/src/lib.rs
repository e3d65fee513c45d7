//! Single cells: quality, normalisation, integration, clusters, markers, composition.
//!
//! Cells are rows, genes are columns. Matrices come as [`ferrocyte_data::RowChunks`], from memory or from a file.
