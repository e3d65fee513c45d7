//! Spatial metacells: the mean of the cells of a type around each neighbourhood of a tissue.

use ferrocyte_base::{Fault, Result, Run};

use crate::collate;
use crate::expression::Expression;
use crate::statistics::{Tree, grid_spots};

/// Types with fewer metacells are left out.
const FEWEST: usize = 5;

/// Genes and cells that are worth looking at, as places: genes found in at least `min_cells` cells, then cells with at
/// least `min_features` of these genes.
pub fn preprocess(x: &Expression, min_cells: usize, min_features: usize) -> (Vec<usize>, Vec<usize>) {
    let mut found = vec![0_usize; x.n_genes()];
    let positive = |cell: usize| {
        let (genes, values) = x.cell(cell);
        genes.iter().zip(values).filter(|(_, v)| **v > 0.0).map(|(gene, _)| *gene as usize)
    };
    (0..x.n_cells()).for_each(|cell| positive(cell).for_each(|gene| found[gene] += 1));
    let genes: Vec<usize> = (0..x.n_genes()).filter(|&gene| found[gene] >= min_cells).collect();
    let enough = |cell: &usize| positive(*cell).filter(|&gene| found[gene] >= min_cells).count() >= min_features;
    (genes, (0..x.n_cells()).filter(enough).collect())
}

/// How metacells are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetacellOptions {
    /// The most cells of a metacell; types need more cells than this.
    pub k: usize,
    /// How far a cell may be from the centre.
    pub radius: f64,
    /// The width of the grid whose squares are the neighbourhoods.
    pub grid_size: f64,
    /// Metacells of fewer cells are left out.
    pub min_cells: usize,
}

impl Default for MetacellOptions {
    /// 20 cells within 50 of the squares of a grid of 70.
    fn default() -> Self {
        Self { k: 20, radius: 50.0, grid_size: 70.0, min_cells: 1 }
    }
}

/// Means of cells of a type around neighbourhoods.
#[derive(Debug, Clone, PartialEq)]
pub struct Metacells {
    /// Metacells × genes; metacells are called `X1_Y2..type`.
    pub expression: Expression,
    /// The neighbourhood of each.
    pub neighbourhood: Vec<String>,
    /// The cell type of each.
    pub cell_type: Vec<String>,
}

/// Makes metacells: around the centre of each neighbourhood the nearest cells of each type.
pub fn spatial_metacells(
    run: &Run,
    x: &Expression,
    coordinates: (&[f64], &[f64]),
    cell_type: &[String],
    options: &MetacellOptions,
) -> Result<Metacells> {
    let (cx, cy) = coordinates;
    if cell_type.len() != x.n_cells() || cx.len() != x.n_cells() {
        let message = format!("{} types and {} places for {} cells", cell_type.len(), cx.len(), x.n_cells());
        return Err(Fault::bad_input(message).at("cell_type"));
    }
    let (spots, sx, sy) = grid_spots(cx, cy, options.grid_size)?;
    let (mut names, mut neighbourhood, mut types, mut rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for of in collate::sorted(cell_type) {
        let cells: Vec<usize> = (0..x.n_cells()).filter(|&cell| cell_type[cell] == of).collect();
        for (spot, mean) in around(run, x, coordinates, &cells, (&sx, &sy), options)? {
            names.push(format!("{}..{of}", spots[spot]));
            neighbourhood.push(spots[spot].clone());
            types.push(of.clone());
            rows.push(mean);
        }
    }
    if rows.is_empty() {
        return Err(Fault::bad_input(format!("no type has more than {} cells and {FEWEST} neighbourhoods", options.k))
            .hint("lower k, or widen the radius"));
    }
    let expression = Expression::from_rows(names, x.genes().to_vec(), &rows)?;
    Ok(Metacells { expression, neighbourhood, cell_type: types })
}

/// Means of the given cells, those of one type, around spots: which spots, and a value for each gene. Nothing where there
/// are too few cells or metacells.
pub(super) fn around(
    run: &Run,
    x: &Expression,
    (cx, cy): (&[f64], &[f64]),
    cells: &[usize],
    (sx, sy): (&[f64], &[f64]),
    options: &MetacellOptions,
) -> Result<Vec<(usize, Vec<f64>)>> {
    if cells.len() <= options.k {
        return Ok(Vec::new());
    }
    let tree = Tree::new(cells.iter().flat_map(|&cell| [cx[cell], cy[cell]]).collect(), 2);
    let means = run.map_quietly(sx.len(), 64, |range| {
        let mut found = Vec::new();
        for spot in range {
            let near = tree.nearest(&[sx[spot], sy[spot]], options.k);
            let near: Vec<usize> =
                near.into_iter().filter(|(_, far)| *far <= options.radius).map(|(i, _)| cells[i]).collect();
            if near.len() >= options.min_cells.max(1) {
                found.push((spot, mean(x, &near)));
            }
        }
        Ok(found)
    })?;
    let found: Vec<(usize, Vec<f64>)> = means.into_iter().flatten().collect();
    Ok(if found.len() < FEWEST { Vec::new() } else { found })
}

/// The mean of some cells.
fn mean(x: &Expression, cells: &[usize]) -> Vec<f64> {
    let mut sum = vec![0.0; x.n_genes()];
    for &cell in cells {
        let (genes, values) = x.cell(cell);
        genes.iter().zip(values).for_each(|(&gene, &value)| sum[gene as usize] += value);
    }
    sum.iter_mut().for_each(|x| *x /= cells.len() as f64);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_looked_at_after_genes() -> Result<()> {
        let names = |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
        let rows = [vec![1.0, 1.0, 0.0], vec![1.0, 0.0, 2.0], vec![0.0, 0.0, 3.0]];
        let x = Expression::from_rows(names("c", 3), names("g", 3), &rows)?;
        assert_eq!(preprocess(&x, 2, 2), (vec![0, 2], vec![1]));
        Ok(())
    }
}
