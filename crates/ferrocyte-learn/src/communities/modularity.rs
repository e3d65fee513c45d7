//! Modularity with a resolution.

use ferrocyte_base::{Fault, Result};

use super::check_resolution;
use crate::Graph;

/// The sum over communities of `w / m - resolution (k / 2m)²`: w is the weight of the edges within, k the sum of the
/// degrees, m the weight of all edges (M. E. J. Newman and M. Girvan, 2004; J. Reichardt and S. Bornholdt, 2006). 0 for
/// a graph without edges.
///
/// # Errors
///
/// Not a label for each point, or a resolution that is negative or not finite.
pub fn modularity(graph: &Graph, labels: &[u32], resolution: f64) -> Result<f64> {
    check_resolution(resolution)?;
    if labels.len() != graph.n() {
        return Err(Fault::bad_input(format!("{} labels for {} points were found", labels.len(), graph.n())));
    }
    // Labels may be any numbers.
    let mut distinct = labels.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let place = |label: u32| distinct.partition_point(|l| *l < label);
    let (mut within, mut degrees) = (vec![0.0_f64; distinct.len()], vec![0.0_f64; distinct.len()]);
    for (i, label) in labels.iter().enumerate() {
        let (neighbours, weights) = graph.row(i);
        let (mut inside, mut all) = (0.0, 0.0);
        for (j, w) in neighbours.iter().zip(weights) {
            let w = f64::from(*w);
            all += w;
            if labels[*j as usize] == *label {
                inside += w;
            }
        }
        let c = place(*label);
        within[c] += inside;
        degrees[c] += all;
    }
    let total: f64 = degrees.iter().sum();
    if total == 0.0 {
        return Ok(0.0);
    }
    Ok(within.iter().zip(&degrees).map(|(w, k)| w / total - resolution * (k / total) * (k / total)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pairs_and_a_bridge() -> Result<()> {
        // 0 - 1 - 2 - 3 with weights 2, 1, 2: within 2 of 5 each, degrees 5 of 10 each.
        let graph = Graph::new(vec![0, 1, 3, 5, 6], vec![1, 0, 2, 1, 3, 2], vec![2.0, 2.0, 1.0, 1.0, 2.0, 2.0])?;
        let at = |labels: [u32; 4], resolution| modularity(&graph, &labels, resolution);
        assert!((at([7, 7, 3, 3], 1.0)? - (0.8 - 0.5)).abs() < 1e-15);
        assert!((at([7, 7, 3, 3], 0.2)? - (0.8 - 0.1)).abs() < 1e-15);
        assert!(at([0; 4], 1.0)?.abs() < 1e-15);
        assert!(modularity(&graph, &[0; 3], 1.0).is_err() && at([0; 4], -1.0).is_err());
        let none = Graph::new(vec![0; 3], vec![], vec![])?;
        assert_eq!(modularity(&none, &[0, 1], 1.0)?, 0.0);
        Ok(())
    }
}
