//! The graph of diffusion maps: Gaussian weights, each point with a width of its own.

use ferrocyte_base::{Result, Run};

use super::Graph;
use super::symmetric::symmetric;
use crate::Neighbours;

/// The graph with weights `sqrt(2 s t / (s² + t²)) exp(-d² / (s² + t²))` between neighbours at distance d with widths s
/// and t, the square of a width being the median of the squared distances to the neighbours of the point (L. Haghverdi,
/// M. Büttner, F. A. Wolf, F. Buettner and F. J. Theis, *Diffusion pseudotime robustly reconstructs lineage branching*,
/// 2016). Points that are joined from one side only have that edge. Weights that underflow are left out.
pub fn gauss(run: &Run, neighbours: &Neighbours) -> Result<Graph> {
    let k = neighbours.k();
    let squares: Vec<f64> = (0..neighbours.n()).map(|i| median_square(&neighbours.row_distances(i)[1..])).collect();
    let weight = |(t, (j, d)): (usize, (&u32, &f64))| {
        let (s, t) = (squares[t / k], squares[*j as usize]);
        let sum = s + t;
        if sum == 0.0 {
            // Both have half of their neighbours at their own place.
            return if *d == 0.0 { 1.0 } else { 0.0 };
        }
        ((2.0 * (s * t).sqrt() / sum).sqrt() * (-d * d / sum).exp()) as f32
    };
    let weights: Vec<f32> = neighbours.indices().iter().zip(neighbours.distances()).enumerate().map(weight).collect();
    symmetric(run, neighbours, &weights, f32::max)
}

/// The median of the squares of rising numbers; 0 if there are none.
fn median_square(rising: &[f64]) -> f64 {
    match rising.len() {
        0 => 0.0,
        m if m % 2 == 1 => rising[m / 2] * rising[m / 2],
        m => 0.5 * (rising[m / 2 - 1] * rising[m / 2 - 1] + rising[m / 2] * rising[m / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_formula() -> Result<()> {
        // On a line at 0, 1, 3: the squared widths are (1 + 9) / 2, (1 + 4) / 2, (4 + 9) / 2.
        let neighbours =
            Neighbours::new(vec![0, 1, 2, 1, 0, 2, 2, 1, 0], vec![0.0, 1.0, 3.0, 0.0, 1.0, 2.0, 0.0, 2.0, 3.0], 3)?;
        let graph = gauss(&Run::new().threads(1), &neighbours)?;
        let expected = |s: f64, t: f64, d: f64| (2.0 * (s * t).sqrt() / (s + t)).sqrt() * (-d * d / (s + t)).exp();
        let (neighbours, weights) = graph.row(0);
        assert_eq!(neighbours, [1, 2]);
        assert!((f64::from(weights[0]) - expected(5.0, 2.5, 1.0)).abs() < 1e-7);
        assert!((f64::from(weights[1]) - expected(5.0, 6.5, 3.0)).abs() < 1e-7);
        // Duplicates have no width.
        let same = Neighbours::new(vec![0, 1, 1, 0], vec![0.0; 4], 2)?;
        assert_eq!(gauss(&Run::new().threads(1), &same)?.weights(), [1.0, 1.0]);
        Ok(())
    }
}
