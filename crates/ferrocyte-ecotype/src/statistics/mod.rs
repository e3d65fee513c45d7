//! Statistics of labels and coordinates: which states of cells occur together, and where.
//!
//! A state is an ecotype of a cell type, `SE1_B`. Neighbours are found once; a permutation gives cells of a type one
//! another's states and counts again.

mod abundance;
mod coassociation;
mod colocalization;
mod meta;
mod moran;
mod nearest;
mod permutation;

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;

pub use abundance::{AbundanceOptions, Spots, abundance, grid_spots, infer_ncells, partition_tissue, smooth_abundance};
pub use coassociation::coassociation;
pub(crate) use coassociation::pearson;
pub use colocalization::{Colocalization, ColocalizationOptions, colocalization};
pub use meta::{MetaAnalysis, colocalization_meta};
pub use moran::{Moran, moran};
pub use nearest::Tree;
pub use permutation::{BlockTest, block_test};

/// States of cells and numbers between them.
#[derive(Debug, Clone, PartialEq)]
pub struct States {
    /// The states: `SE1_B`.
    pub names: Vec<String>,
    /// The ecotype of each state.
    pub ecotypes: Vec<String>,
    /// States × states.
    pub values: Matrix,
}

/// The ecotype of a state: what stands before the first `_`.
pub fn ecotype_of(state: &str) -> &str {
    state.split_once('_').map_or(state, |(ecotype, _)| ecotype)
}

/// Refuses columns of different lengths, and coordinates that are not finite.
pub(crate) fn check_cells(n: usize, columns: &[(&str, usize)], coordinates: &[&[f64]]) -> Result<()> {
    for (name, found) in columns {
        if *found != n {
            return Err(Fault::bad_input(format!("{found} values for {n} cells")).at(*name));
        }
    }
    for (axis, values) in ["X", "Y"].iter().zip(coordinates) {
        if values.len() != n {
            return Err(Fault::bad_input(format!("{} values for {n} cells", values.len())).at(*axis));
        }
        if let Some(cell) = values.iter().position(|x| !x.is_finite()) {
            return Err(Fault::bad_input(format!("cell {cell} (from 0) has the coordinate {}", values[cell])).at(*axis));
        }
    }
    Ok(())
}

/// Coordinates of points, side by side.
pub(crate) fn side_by_side(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).flat_map(|(&x, &y)| [x, y]).collect()
}
