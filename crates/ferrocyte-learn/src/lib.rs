//! Structure from a matrix, without biology: neighbours, graphs, embeddings, factorisations.
//!
//! Rows are observations, columns are variables. Everything random takes a seed and draws from one stream per task, so
//! that results depend neither on threads nor on the order of work.
//!
//! # Neighbours, graphs, communities, embeddings
//!
//! [`nearest`] finds the neighbours of all points, exactly or by cells of space; [`connectivities`], [`gauss`] and
//! [`jaccard`] make a [`Graph`] of them; [`leiden()`] and [`louvain()`] find its [`Communities`], [`umap()`] lays it
//! out in few dimensions. [`trustworthiness`], [`neighbour_recall`] and [`silhouette`] tell how good a layout is,
//! [`modularity`] how good communities are, and [`adjusted_rand`] how far two divisions agree. [`nmf`] factorises
//! non-negative matrices, from many starts at once.
//!
//! ```
//! use ferrocyte_base::Run;
//! use ferrocyte_learn::{KnnOptions, LeidenOptions, Points, Start, UmapOptions, connectivities, leiden, nearest, umap};
//! let run = Run::new().threads(2);
//! // Two rows of points, far apart.
//! let values: Vec<f64> = (0..200).flat_map(|i| [f64::from(i % 100) * 0.1, f64::from(i / 100) * 50.0]).collect();
//! let points = Points::new(&values, 200, 2)?;
//! let neighbours = nearest(&run, points, &KnnOptions { k: 10, ..KnnOptions::default() })?;
//! let graph = connectivities(&run, &neighbours)?;
//! let communities = leiden(&run, &graph, &LeidenOptions { resolution: 0.05, ..LeidenOptions::default() })?;
//! assert_eq!(communities.sizes, [100, 100]);
//! let embedding = umap(&run, &graph, Start::Spectral, &UmapOptions::default())?;
//! assert_eq!(embedding.coordinates.len(), 400);
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

mod agreement;
mod communities;
mod eigen;
mod graph;
mod kmeans;
mod knn;
pub mod nmf;
mod points;
mod quality;
mod umap;

pub use agreement::adjusted_rand;
pub use communities::{Communities, LeidenOptions, LouvainOptions, leiden, leiden_many, louvain, modularity};
pub use eigen::{Eigen, fix_signs, largest_eigen, largest_eigen_of};
pub use graph::{Components, Graph, Smooth, connectivities, gauss, jaccard, smooth_distances};
pub use kmeans::{Kmeans, KmeansOptions, kmeans, kmeans_from};
pub use knn::{KnnOptions, Metric, Neighbours, Search, nearest, of_nearest};
pub use points::Points;
pub use quality::{neighbour_recall, silhouette, trustworthiness};
pub use umap::{Curve, Embedding, Start, UmapOptions, curve, umap};
