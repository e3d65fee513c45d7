//! The graph of PhenoGraph: neighbours by how many neighbours they share.

use ferrocyte_base::{Result, Run};

use super::Graph;
use super::symmetric::symmetric;
use crate::Neighbours;

/// Rows that are worked on together.
const BLOCK: usize = 256;

/// The graph with weights `shared / (2 (k - 1) - shared)` between neighbours, `shared` being how many other points both
/// have for neighbours, averaged over both directions, 0 where one is not the other's neighbour (J. H. Levine and
/// others, *Data-driven phenotypic dissection of AML*, 2015). Neighbours that share none are not joined.
pub fn jaccard(run: &Run, neighbours: &Neighbours) -> Result<Graph> {
    let (n, k) = (neighbours.n(), neighbours.k());
    let blocks = run.map_quietly(n, BLOCK, |range| {
        let mut weights = Vec::with_capacity(range.len() * k);
        let mut mine = vec![u32::MAX; n];
        for i in range {
            neighbours.row(i)[1..].iter().for_each(|j| mine[*j as usize] = i as u32);
            for j in neighbours.row(i) {
                let theirs = &neighbours.row(*j as usize)[1..];
                let shared = theirs.iter().filter(|t| mine[**t as usize] == i as u32).count();
                let union = 2 * (k - 1) - shared;
                weights.push(if union == 0 { 0.0 } else { shared as f32 / union as f32 });
            }
        }
        Ok(weights)
    })?;
    let weights: Vec<f32> = blocks.into_iter().flatten().collect();
    symmetric(run, neighbours, &weights, |a, b| 0.5 * (a + b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shares_of_common_neighbours() -> Result<()> {
        // 0: {1, 2}, 1: {0, 2}, 2: {1, 3}, 3: {2, 1}.
        let neighbours = Neighbours::new(
            vec![0, 1, 2, 1, 0, 2, 2, 1, 3, 3, 2, 1],
            vec![0.0, 1.0, 2.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 2.0],
            3,
        )?;
        let graph = jaccard(&Run::new().threads(2), &neighbours)?;
        let third = 1.0 / 3.0;
        // 0 and 1 share 2 both ways; 0 has 2 for a neighbour, with 1 in common, and not the other way round.
        assert_eq!(graph.row(0), (&[1, 2][..], &[third, third / 2.0][..]));
        // 2 and 3 share 1 both ways; 3 has 1 for a neighbour, with 2 in common; 1 and 2 share none.
        assert_eq!(graph.row(3), (&[1, 2][..], &[third / 2.0, third][..]));
        assert_eq!(graph.row(1), (&[0, 3][..], &[third, third / 2.0][..]));
        Ok(())
    }
}
