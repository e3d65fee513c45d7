//! Structure from a matrix, without biology: neighbours, graphs, embeddings, factorisations.
//!
//! Rows are observations, columns are variables. Everything random takes a seed and draws from one stream per task, so
//! that results depend neither on threads nor on the order of work.

mod eigen;
mod kmeans;
mod points;

pub use eigen::{Eigen, fix_signs, largest_eigen};
pub use kmeans::{Kmeans, KmeansOptions, kmeans};
pub use points::Points;
