//! The graph of UMAP: how surely points are neighbours, each on a scale of its own.
//!
//! From a point i the distance to its nearest other point, rho, counts as none, and beyond it sureness falls as
//! `exp(-(d - rho) / sigma)`, with sigma such that the neighbours of i are together worth `log2 k` (L. McInnes, J.
//! Healy and J. Melville, *UMAP: uniform manifold approximation and projection*, 2018, algorithm 3). Two points are
//! joined as surely as either says so: `a + b - a b`.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Result, Run};
use ferrocyte_math::wide::{self, Kernel, widest};

use super::Graph;
use super::symmetric::symmetric;
use crate::Neighbours;

/// Rows that are worked on together.
const BLOCK: usize = 512;

/// Halvings at most.
const STEPS: usize = 64;

/// How near a row's sum comes to `log2 k`.
const TOLERANCE: f64 = 1e-5;

/// Sigma is at least this part of a mean distance.
const LEAST: f64 = 1e-3;

/// The scale of each point.
#[derive(Debug, Clone, PartialEq)]
pub struct Smooth {
    /// The distance to the nearest point that is not at the same place; 0 where all are.
    pub rho: Vec<f64>,
    /// The distance over which sureness falls to 1/e.
    pub sigma: Vec<f64>,
}

/// The scale of each point, from the distances to its neighbours.
pub fn smooth_distances(run: &Run, neighbours: &Neighbours) -> Result<Smooth> {
    let scales = scales_and_weights(run, neighbours)?.0;
    Ok(Smooth { rho: scales.iter().map(|s| s.0).collect(), sigma: scales.iter().map(|s| s.1).collect() })
}

/// The graph of UMAP: weights in (0, 1].
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_learn::{KnnOptions, Points, connectivities, nearest};
/// let run = Run::new();
/// let points = Points::new(&[0.0, 1.0, 3.0, 7.0], 4, 1)?;
/// let neighbours = nearest(&run, points, &KnnOptions { k: 3, ..KnnOptions::default() })?;
/// let graph = connectivities(&run, &neighbours)?;
/// // The nearest neighbour is sure.
/// assert_eq!(graph.row(0).1[0], 1.0);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn connectivities(run: &Run, neighbours: &Neighbours) -> Result<Graph> {
    let weights = scales_and_weights(run, neighbours)?.1;
    symmetric(run, neighbours, &weights, |a, b| a + b - a * b)
}

/// Rho and sigma of each point.
type Scales = Vec<(f64, f64)>;

/// The scale of each point, and the weights of all neighbours.
fn scales_and_weights(run: &Run, neighbours: &Neighbours) -> Result<(Scales, Vec<f32>)> {
    let (n, k) = (neighbours.n(), neighbours.k());
    let all = neighbours.distances();
    // Row by row, so that the bits do not depend on blocks.
    let total: f64 = all.chunks_exact(k).map(|row| row.iter().sum::<f64>()).sum();
    let mean = total / all.len().max(1) as f64;
    let blocks = run.map_quietly(n, BLOCK, |range| {
        let mut weights = vec![0.0; range.len() * k];
        let distances = &all[range.start * k..range.end * k];
        let scales = widest(Rows { distances, k, mean, weights: &mut weights });
        Ok((scales, weights))
    })?;
    let (mut scales, mut weights) = (Vec::with_capacity(n), Vec::with_capacity(n * k));
    for (block_scales, block_weights) in blocks {
        scales.extend(block_scales);
        weights.extend(block_weights);
    }
    Ok((scales, weights))
}

/// Some rows of distances and what comes of them.
struct Rows<'a> {
    distances: &'a [f64],
    k: usize,
    mean: f64,
    weights: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = Scales;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let k = self.k;
        let target = (k as f64).log2();
        let mut scales = Vec::with_capacity(self.distances.len() / k);
        // How far beyond rho each neighbour is; what is not beyond is worth 1 in any case.
        let mut beyond = vec![0.0_f64; k - 1];
        for (row, weights) in self.distances.chunks_exact(k).zip(self.weights.chunks_exact_mut(k)) {
            let rho = first_positive(row);
            for (b, d) in beyond.iter_mut().zip(&row[1..]) {
                *b = if *d > rho { rho - d } else { 0.0 };
            }
            let sigma = width(&beyond, target);
            let mut row_mean = 0.0;
            for d in row {
                row_mean += d;
            }
            let least = LEAST * if rho > 0.0 { row_mean / k as f64 } else { self.mean };
            let sigma = if sigma > least { sigma } else { least };
            let inverse = if sigma > 0.0 { 1.0 / sigma } else { 0.0 };
            weights[0] = 0.0;
            for (w, b) in weights[1..].iter_mut().zip(&beyond) {
                *w = wide::exp(b * inverse) as f32;
            }
            scales.push((rho, sigma));
        }
        scales
    }
}

/// The smallest positive of rising distances, or 0.
#[inline(always)]
fn first_positive(row: &[f64]) -> f64 {
    for d in row {
        if *d > 0.0 {
            return *d;
        }
    }
    0.0
}

/// The sigma with which `exp(beyond / sigma)` sum up to `target`.
#[inline(always)]
fn width(beyond: &[f64], target: f64) -> f64 {
    let (mut low, mut high, mut middle) = (0.0, f64::INFINITY, 1.0);
    let (chunks, tail) = beyond.as_chunks::<8>();
    for _ in 0..STEPS {
        let inverse = 1.0 / middle;
        let mut lanes = [0.0; 8];
        for chunk in chunks {
            for l in 0..8 {
                lanes[l] += wide::exp(chunk[l] * inverse);
            }
        }
        let mut sum = wide::sum(&lanes);
        for b in tail {
            sum += wide::exp(b * inverse);
        }
        if (sum - target).abs() < TOLERANCE {
            break;
        }
        if sum > target {
            high = middle;
            middle = 0.5 * (low + high);
        } else {
            low = middle;
            middle = if high == f64::INFINITY { 2.0 * middle } else { 0.5 * (low + high) };
        }
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_log2_k_and_the_nearest_is_sure() -> Result<()> {
        let run = Run::new().threads(1);
        let indices = vec![0, 1, 2, 3, 1, 0, 2, 3, 2, 1, 0, 3, 3, 2, 1, 0];
        let distances = vec![0.0, 1.0, 2.0, 6.0, 0.0, 1.0, 1.5, 5.0, 0.0, 1.5, 2.0, 4.0, 0.0, 4.0, 5.0, 6.0];
        let found = scales_and_weights(&run, &Neighbours::new(indices, distances, 4)?)?;
        for (row, (rho, sigma)) in found.1.chunks_exact(4).zip(&found.0) {
            assert!((row.iter().sum::<f32>() - 2.0).abs() < 2e-5 && row[0] == 0.0 && row[1] == 1.0);
            assert!(*rho > 0.0 && *sigma > 0.0);
        }
        Ok(())
    }

    #[test]
    fn points_at_one_place_are_joined_for_sure() -> Result<()> {
        let run = Run::new().threads(1);
        let neighbours = Neighbours::new(vec![0, 1, 2, 1, 0, 2, 2, 0, 1], vec![0.0; 9], 3)?;
        let graph = connectivities(&run, &neighbours)?;
        assert!(graph.weights().iter().all(|w| *w == 1.0) && graph.n_stored() == 6);
        assert!(smooth_distances(&run, &neighbours)?.rho.iter().all(|r| *r == 0.0));
        // A point that is its only neighbour has no edges.
        let alone = Neighbours::new(vec![0, 1], vec![0.0; 2], 1)?;
        assert_eq!(connectivities(&run, &alone)?.n_stored(), 0);
        Ok(())
    }
}
