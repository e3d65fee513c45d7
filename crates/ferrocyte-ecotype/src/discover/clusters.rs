//! Clusters of neighbourhoods: a graph of who shares neighbours with whom, and its communities.

use ferrocyte_base::{Result, Run};
use ferrocyte_learn::{Graph, KnnOptions, LouvainOptions, Neighbours, Points, louvain, nearest};
use ferrocyte_math::linalg::Matrix;

/// Neighbours of each item, itself among them.
const NEIGHBOURS: usize = 20;

/// Shares of common neighbours below this are no edge.
const PRUNE: f64 = 1.0 / 15.0;

/// The community of each item, the largest first, in the graph of shared neighbours; of `starts` searches the one with
/// the highest modularity.
///
/// # Errors
/// Scores that are not finite, a resolution below 0, the wish to stop.
pub fn clusters(run: &Run, scores: &Matrix, resolution: f64, seed: u64, starts: usize) -> Result<Vec<u32>> {
    let points = Points::new(scores.entries(), scores.n_rows(), scores.n_cols())?;
    let k = NEIGHBOURS.min(scores.n_rows());
    let graph = shared_neighbours(&nearest(run, points, &KnnOptions { k, ..KnnOptions::default() })?)?;
    let found = run.map_quietly(starts.max(1), 1, |range| {
        louvain(run, &graph, &LouvainOptions { resolution, seed: seed.wrapping_add(range.start as u64) })
    })?;
    let best = found.into_iter().reduce(|best, other| if other.modularity > best.modularity { other } else { best });
    Ok(best.map(|found| found.labels).unwrap_or_default())
}

/// The graph whose weights are the shares of neighbours that two items have in common (Jaccard's index); every pair that
/// shares one is looked at, whether or not one is the other's neighbour.
fn shared_neighbours(neighbours: &Neighbours) -> Result<Graph> {
    let (n, k) = (neighbours.n(), neighbours.k());
    let mut followers = vec![Vec::new(); n];
    for i in 0..n {
        neighbours.row(i).iter().for_each(|j| followers[*j as usize].push(i as u32));
    }
    let (mut starts, mut columns, mut weights) = (vec![0], Vec::new(), Vec::new());
    let mut shared = vec![0_usize; n];
    for i in 0..n {
        let mut met: Vec<u32> = Vec::new();
        for j in neighbours.row(i) {
            for &other in &followers[*j as usize] {
                if shared[other as usize] == 0 {
                    met.push(other);
                }
                shared[other as usize] += 1;
            }
        }
        met.sort_unstable();
        for other in met {
            let common = std::mem::take(&mut shared[other as usize]);
            let share = common as f64 / (2 * k - common) as f64;
            if other as usize != i && share >= PRUNE {
                columns.push(other);
                weights.push(share as f32);
            }
        }
        starts.push(columns.len());
    }
    Graph::new(starts, columns, weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shares_of_common_neighbours() -> Result<()> {
        // 0: {0, 1}, 1: {1, 0}, 2: {2, 1}.
        let neighbours = Neighbours::new(vec![0, 1, 1, 0, 2, 1], vec![0.0, 1.0, 0.0, 1.0, 0.0, 2.0], 2)?;
        let graph = shared_neighbours(&neighbours)?;
        let third = (1.0 / 3.0) as f32;
        assert_eq!(graph.row(0), (&[1, 2][..], &[1.0, third][..]));
        assert_eq!(graph.row(2), (&[0, 1][..], &[third, third][..]));
        Ok(())
    }

    #[test]
    fn heaps_are_clusters() -> Result<()> {
        let values: Vec<f64> = (0..180).flat_map(|i| [f64::from(i % 3) * 50.0, f64::from(i) * 0.01]).collect();
        let found = clusters(&Run::new(), &Matrix::from_rows(180, 2, values), 0.5, 0, 3)?;
        assert!((0..180).all(|i| found[i] == found[i % 3]) && found[0] != found[1] && found[1] != found[2]);
        Ok(())
    }
}
