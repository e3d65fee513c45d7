//! The sums of a sub-model: fewer random terms, or fewer genes, of sums that exist already.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;

use crate::lmm::fit::GroupFit;
use crate::lmm::options::{FitOptions, Method, Negative};
use crate::lmm::sums::GroupSums;

/// The sums of some genes under a model with some of the random terms.
pub(super) fn select(sums: &GroupSums, components: &[usize], genes: &[usize]) -> GroupSums {
    let (p, q) = (sums.n_fixed(), sums.n_random());
    let mut starts = vec![0];
    for component in &sums.components {
        starts.push(starts[starts.len() - 1] + component.columns.len());
    }
    let columns: Vec<usize> = components.iter().flat_map(|&c| starts[c]..starts[c + 1]).collect();
    let mut zx = Matrix::zeros(columns.len(), p);
    let mut zz = Matrix::zeros(columns.len(), columns.len());
    for (i, &from) in columns.iter().enumerate() {
        zx.row_mut(i).copy_from_slice(sums.zx.row(from));
        for (j, &other) in columns.iter().enumerate() {
            zz[(i, j)] = sums.zz[(from, other)];
        }
    }
    let pick = |values: &[f64]| genes.iter().map(|&g| values[g]).collect::<Vec<f64>>();
    GroupSums {
        label: sums.label.clone(),
        coefficients: sums.coefficients.clone(),
        components: components.iter().map(|&c| sums.components[c].clone()).collect(),
        n_cells: sums.n_cells,
        xx: sums.xx.clone(),
        zx,
        zz,
        xy: genes.iter().flat_map(|&g| sums.xy[g * p..(g + 1) * p].iter().copied()).collect(),
        zy: genes.iter().flat_map(|&g| columns.iter().map(move |&c| sums.zy[g * q + c])).collect(),
        y_norm: pick(&sums.y_norm),
        y_sum: pick(&sums.y_sum),
        n_expressing: pick(&sums.n_expressing),
        refused: sums.refused.clone(),
    }
}

/// Fits some genes under a model with some of the random terms, none of which may be left out entirely.
pub(super) fn refit(
    run: &Run,
    sums: &GroupSums,
    components: &[usize],
    genes: &[usize],
    method: Method,
    negative: Negative,
) -> Result<GroupFit> {
    let options = FitOptions { method, negative, moderate: false, ..FitOptions::default() };
    GroupFit::new(run, &select(sums, components, genes), &options, false)
}
