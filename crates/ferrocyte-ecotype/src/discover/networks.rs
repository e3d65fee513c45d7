//! Networks of neighbourhoods, one for each cell type.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::network::Network;
use crate::collate::Index;
use crate::statistics::Tree;

/// Neighbourhoods in the components of one cell type.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The cell type.
    pub cell_type: String,
    /// The neighbourhoods in which it is found.
    pub neighbourhoods: Vec<String>,
    /// Neighbourhoods × components.
    pub scores: Matrix,
}

/// Networks of the same neighbourhoods.
#[derive(Debug, Clone, PartialEq)]
pub struct Networks {
    /// The neighbourhoods.
    pub neighbourhoods: Vec<String>,
    /// The cell types.
    pub cell_types: Vec<String>,
    /// For each type neighbourhoods × neighbourhoods: `1 / (2 + distance)` in row i of column j where i is among the
    /// nearest of j, else 0.
    pub values: Vec<Network>,
}

/// Links every neighbourhood to the `k` nearest, itself among them, by the first `n_components` of each type.
///
/// Neighbourhoods with fewer than `min_types` types are left out. Of equally near ones the first is taken.
pub fn similarity_networks(
    run: &Run,
    embeddings: &[Embedding],
    n_components: usize,
    k: usize,
    min_types: usize,
) -> Result<Networks> {
    if k == 0 || n_components == 0 {
        return Err(Fault::bad_input(format!("k and components are at least 1, found {k} and {n_components}")));
    }
    let all = Index::of(embeddings.iter().flat_map(|of| &of.neighbourhoods));
    let mut types_of = vec![0_usize; all.len()];
    for name in embeddings.iter().flat_map(|of| &of.neighbourhoods) {
        all.get(name).into_iter().for_each(|i| types_of[i] += 1);
    }
    let kept = |name: &&String| all.get(name).is_some_and(|i| types_of[i] >= min_types);
    let names = Index::of(embeddings.iter().flat_map(|of| &of.neighbourhoods).filter(kept));
    let n = names.len();
    if n < 2 {
        return Err(Fault::bad_input(format!("{n} neighbourhoods have at least {min_types} cell types, 2 are needed"))
            .at("min_types"));
    }
    run.reserve("networks of neighbourhoods", 24 * (n * k * embeddings.len()) as u64)?;
    let network = |of: &Embedding| -> Result<Network> {
        let rows: Vec<(usize, usize)> =
            of.neighbourhoods.iter().enumerate().filter_map(|(row, name)| Some((row, names.get(name)?))).collect();
        let d = n_components.min(of.scores.n_cols());
        let tree = Tree::new(rows.iter().flat_map(|&(row, _)| of.scores.row(row)[..d].iter().copied()).collect(), d);
        let wanted = k.min(rows.len().saturating_sub(1));
        let near =
            run.map_blocks("networks", rows.len(), 64, |i| Ok(tree.nearest(&of.scores.row(rows[i].0)[..d], wanted)))?;
        let mut values = vec![Vec::new(); n];
        for (&(_, column), near) in rows.iter().zip(near) {
            near.into_iter().for_each(|(i, far)| values[rows[i].1].push((column as u32, 1.0 / (2.0 + far))));
        }
        Ok(Network::from_rows(values.into_iter().map(sorted)))
    };
    let values = embeddings.iter().map(network).collect::<Result<_>>()?;
    Ok(Networks {
        neighbourhoods: names.0,
        cell_types: embeddings.iter().map(|of| of.cell_type.clone()).collect(),
        values,
    })
}

/// The links of an item, by to whom they are.
fn sorted(mut row: Vec<(u32, f64)>) -> Vec<(u32, f64)> {
    row.sort_by_key(|link| link.0);
    row
}
