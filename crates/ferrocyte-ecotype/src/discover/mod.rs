//! Discovery of ecotypes: [`discover()`] in one tissue, [`fine_clusters`] and [`conserve`] in several samples.
//!
//! Their steps: neighbourhoods of a tissue, what the cells of each type are like there, and networks of neighbourhoods
//! that are fused over cell types; clusters of several samples, integrated by their fold changes.

mod clusters;
mod components;
mod conserved;
mod fold_changes;
mod fusion;
mod integrate;
mod metacells;
mod network;
mod networks;
mod ranked;
mod tiles;
mod tissue;

pub use clusters::clusters;
pub use conserved::{ConserveOptions, Conserved, Placing, conserve, fine_clusters};
pub use fold_changes::{FoldChanges, fold_changes};
pub use fusion::{Fused, FusionOptions, fuse};
pub use integrate::{IntegrateOptions, integrate};
pub use metacells::{MetacellOptions, Metacells, preprocess, spatial_metacells};
pub use network::Network;
pub use networks::{Embedding, Networks, similarity_networks};
pub use ranked::{Ranked, rank_columns};
pub use tiles::{Precision, Room, Storage};
pub use tissue::{DiscoverOptions, Placed, Tissue, discover};
