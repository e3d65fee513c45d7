//! What structure needs of the compiled module: graphs and points in, communities, layouts and their quality out.

mod arrays;
mod communities;
mod quality;
mod umap;

pub(crate) use arrays::{PointsArray, points};
pub(crate) use communities::{learn_leiden, learn_louvain, learn_modularity};
pub(crate) use quality::{learn_agreement, learn_silhouette, learn_trustworthiness};
pub(crate) use umap::learn_umap;
