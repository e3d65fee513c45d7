//! Structure from a matrix, without biology: neighbours, graphs, embeddings, factorisations.
//!
//! Rows are observations, columns are variables. Everything random takes a seed and draws from one stream per task, so
//! that results depend neither on threads nor on the order of work.

mod agreement;
mod communities;
mod eigen;
mod graph;
mod kmeans;
mod knn;
mod points;

pub use agreement::adjusted_rand;
pub use communities::{Communities, LeidenOptions, LouvainOptions, leiden, leiden_many, louvain, modularity};
pub use eigen::{Eigen, fix_signs, largest_eigen};
pub use graph::{Components, Graph, Smooth, connectivities, gauss, jaccard, smooth_distances};
pub use kmeans::{Kmeans, KmeansOptions, kmeans, kmeans_from};
pub use knn::{KnnOptions, Metric, Neighbours, Search, nearest};
pub use points::Points;
