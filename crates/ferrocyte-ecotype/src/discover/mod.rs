//! Steps of discovery: neighbourhoods of a tissue, what the cells of each type are like there, and networks of
//! neighbourhoods that are fused over cell types; clusters of several samples, integrated by their fold changes.

mod fold_changes;
mod fusion;
mod integrate;
mod metacells;
mod networks;

pub use fold_changes::{FoldChanges, fold_changes};
pub use fusion::{FusionOptions, fuse, rank_columns};
pub use integrate::{IntegrateOptions, integrate};
pub use metacells::{MetacellOptions, Metacells, preprocess, spatial_metacells};
pub use networks::{Embedding, Networks, similarity_networks};
