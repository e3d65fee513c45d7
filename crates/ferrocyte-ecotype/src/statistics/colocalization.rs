//! Co-localisation: which states are found near which.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::nearest::Tree;
use super::permutation::{Moments, cells_of_types, shuffle_within};
use super::{States, check_cells, ecotype_of, side_by_side};
use crate::collate::{self, Index};
use crate::draws::Draws;

/// What counts as near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColocalizationOptions {
    /// How far a neighbour may be, in units of the coordinates.
    pub radius: f64,
    /// Neighbours that are looked at, the cell itself among them.
    pub k: usize,
    /// Cells with fewer neighbours are left out.
    pub min_cell: usize,
    /// How often states are shuffled within types.
    pub n_permutations: usize,
}

impl Default for ColocalizationOptions {
    /// 200 neighbours within 50, at least 10 of them, 1,000 permutations.
    fn default() -> Self {
        Self { radius: 50.0, k: 200, min_cell: 10, n_permutations: 1000 }
    }
}

/// Shares of states among the neighbours of states.
#[derive(Debug, Clone, PartialEq)]
pub struct Colocalization {
    /// The mean share of the column's state among the neighbours of cells of the row's state.
    pub observed: States,
    /// By how many standard deviations it is above that of shuffled states.
    pub z: States,
}

/// Measures which states are found near which. States of a type that has only one are left out.
pub fn colocalization(
    run: &Run,
    x: &[f64],
    y: &[f64],
    cell_type: &[String],
    state: &[String],
    options: &ColocalizationOptions,
    draws: &mut Draws,
) -> Result<Colocalization> {
    check_cells(x.len(), &[("cell_type", cell_type.len()), ("state", state.len())], &[x, y])?;
    if options.n_permutations < 2 || options.k < 2 || !(options.radius > 0.0) {
        return Err(Fault::bad_input(format!(
            "permutations and k are at least 2 and the radius is above 0, found {}, {} and {}",
            options.n_permutations, options.k, options.radius
        )));
    }
    let kept = of_several_states(cell_type, state);
    let pick = |column: &[String]| -> Vec<String> { kept.iter().map(|&cell| column[cell].clone()).collect() };
    let (types, states) = (pick(cell_type), pick(state));
    let names = collate::sorted(&states);
    if names.is_empty() {
        return Err(Fault::bad_input("every type has one state only").at("state"));
    }
    let index = Index::of(&names);
    let codes: Vec<usize> = states.iter().filter_map(|name| index.get(name)).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = kept.iter().map(|&cell| (x[cell], y[cell])).unzip();
    let near = neighbours(run, &x, &y, options.k, Some(options.radius))?;
    let used: Vec<usize> = (0..codes.len()).filter(|&cell| near[cell].len() >= options.min_cell.max(1)).collect();
    let n = names.len();
    let observed = shares(&near, &used, &codes, n);
    let of_types = cells_of_types(&types);
    let (mut shuffled, mut null) = (codes.clone(), Moments::new(n * n));
    let task = run.task("permuting", options.n_permutations as u64);
    for _ in 0..options.n_permutations {
        run.check()?;
        shuffle_within(&codes, &of_types, draws, &mut shuffled);
        null.add(&shares(&near, &used, &shuffled, n));
        task.advance(1);
    }
    let (mean, sd) = null.finish();
    let z = (0..n * n).map(|i| {
        let z = (observed[i] - mean[i]) / if sd[i] == 0.0 { 1.0 } else { sd[i] };
        if z.is_nan() { 0.0 } else { z }
    });
    let z: Vec<f64> = z.collect();
    let ecotypes: Vec<String> = names.iter().map(|name| ecotype_of(name).to_owned()).collect();
    let states =
        |values| States { names: names.clone(), ecotypes: ecotypes.clone(), values: Matrix::from_rows(n, n, values) };
    Ok(Colocalization { observed: states(observed), z: states(z) })
}

/// Cells of types with several states.
fn of_several_states(cell_type: &[String], state: &[String]) -> Vec<usize> {
    let single: Vec<String> = collate::first_seen(cell_type)
        .into_iter()
        .filter(|of| {
            let states = cell_type.iter().zip(state).filter(|(t, _)| *t == of).map(|(_, s)| s);
            collate::first_seen(states).len() < 2
        })
        .collect();
    (0..cell_type.len()).filter(|&cell| !single.contains(&cell_type[cell])).collect()
}

/// The nearest points of each point, itself left out (of `k`, itself counted), within a radius if there is one.
pub(super) fn neighbours(run: &Run, x: &[f64], y: &[f64], k: usize, radius: Option<f64>) -> Result<Vec<Vec<u32>>> {
    let tree = Tree::new(side_by_side(x, y), 2);
    run.map_blocks("neighbours", x.len(), 256, |cell| {
        // One more, in case that others at the same place stand before the point itself.
        let found = tree.nearest(&[x[cell], y[cell]], k + 1);
        let others = found.into_iter().filter(|(other, _)| *other != cell).take(k - 1);
        Ok(others.filter(|(_, far)| radius.is_none_or(|r| *far <= r)).map(|(other, _)| other as u32).collect())
    })
}

/// Mean shares of states (columns) among the neighbours of cells of each state (rows); NaN where no cell has any.
fn shares(near: &[Vec<u32>], used: &[usize], codes: &[usize], n: usize) -> Vec<f64> {
    let (mut sums, mut cells) = (vec![0.0; n * n], vec![0.0; n]);
    for &cell in used {
        let row = &mut sums[codes[cell] * n..][..n];
        let share = 1.0 / near[cell].len() as f64;
        near[cell].iter().for_each(|&other| row[codes[other as usize]] += share);
        cells[codes[cell]] += 1.0;
    }
    for (row, n_cells) in sums.chunks_exact_mut(n).zip(cells) {
        row.iter_mut().for_each(|x| *x /= n_cells);
    }
    sums
}
