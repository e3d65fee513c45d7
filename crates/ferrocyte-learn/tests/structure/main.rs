//! Neighbours, graphs, communities and embeddings against brute force and against the reference cases.

#![allow(clippy::unwrap_used, clippy::panic)]

mod communities;
mod graph;
mod knn;
mod npz;

use ferrocyte_math::random::Stream;

/// Clusters of points: `n` rows of `d` numbers, centres three apart in each direction.
pub(crate) fn clusters(seed: u64, n: usize, d: usize, n_clusters: usize) -> Vec<f64> {
    let mut draws = Stream::new(seed, 0);
    let centres: Vec<f64> = (0..n_clusters * d).map(|_| 3.0 * draws.normal()).collect();
    (0..n)
        .flat_map(|i| {
            let c = i % n_clusters;
            centres[c * d..(c + 1) * d].iter().map(|x| x + draws.normal()).collect::<Vec<_>>()
        })
        .collect()
}
