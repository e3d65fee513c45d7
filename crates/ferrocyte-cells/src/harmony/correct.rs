//! The shift of cells: one ridge regression on the batches in every cluster.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{
    Matrix, cholesky_in_place, cross_product, solve_lower, solve_lower_transposed, subtract_product,
};

use super::rounds::State;
use super::{Design, Ridge};

/// Cells of one kind that are added up before they are added to others.
const STRETCH: usize = 2048;

/// `Z - sum over clusters of R_k × shift of the cell's batches in k`.
pub(super) fn correct(
    run: &Run,
    design: &Design,
    original: &Matrix,
    state: &State<'_>,
    ridge: Ridge,
) -> Result<Matrix> {
    let (k, d) = (state.memberships.n_cols(), original.n_cols());
    let mut cells: Vec<Vec<usize>> = vec![Vec::new(); design.n_kinds()];
    design.kinds.iter().enumerate().for_each(|(cell, &kind)| cells[kind as usize].push(cell));
    let gather = |m: &Matrix, cells: &[usize]| {
        let mut rows = Vec::with_capacity(cells.len() * m.n_cols());
        cells.iter().for_each(|&cell| rows.extend_from_slice(m.row(cell)));
        rows
    };
    // Of every kind: clusters × components, and the sums of memberships.
    let mut sums = vec![Matrix::zeros(k, d); design.n_kinds()];
    let mut weights = vec![vec![0.0; k]; design.n_kinds()];
    for (kind, cells) in cells.iter().enumerate() {
        let parts = run.map_quietly(cells.len(), STRETCH, |part| {
            let memberships = gather(&state.memberships, &cells[part.clone()]);
            let mut sums = Matrix::zeros(k, d);
            cross_product(&memberships, &gather(original, &cells[part]), &mut sums);
            let mut weights = vec![0.0; k];
            for row in memberships.chunks_exact(k) {
                weights.iter_mut().zip(row).for_each(|(w, r)| *w += r);
            }
            Ok((sums, weights))
        })?;
        for (part, part_weights) in &parts {
            sums[kind].entries_mut().iter_mut().zip(part.entries()).for_each(|(s, x)| *s += x);
            weights[kind].iter_mut().zip(part_weights).for_each(|(w, x)| *w += x);
        }
    }
    let shifts = run.map_quietly(k, 1, |clusters| {
        let cluster = clusters.start;
        let weights: Vec<f64> = weights.iter().map(|of_kind| of_kind[cluster]).collect();
        let sums: Vec<&[f64]> = sums.iter().map(|of_kind| of_kind.row(cluster)).collect();
        let penalties = penalties(design, state, cluster, ridge);
        Ok(solve(design, &weights, &sums, &penalties))
    })?;
    // Of every kind: clusters × components.
    let mut corrected = original.clone();
    for (kind, cells) in cells.iter().enumerate() {
        let mut shift = Matrix::zeros(k, d);
        for (cluster, shifts) in shifts.iter().enumerate() {
            for &batch in &design.batches[kind] {
                shift.row_mut(cluster).iter_mut().zip(shifts.row(batch)).for_each(|(s, x)| *s += x);
            }
        }
        let parts = run.map_quietly(cells.len(), STRETCH, |part| {
            let mut rows = gather(original, &cells[part.clone()]);
            subtract_product(&gather(&state.memberships, &cells[part]), k, &shift, &mut rows);
            Ok(rows)
        })?;
        for (&cell, row) in cells.iter().zip(parts.iter().flat_map(|part| part.chunks_exact(d))) {
            corrected.row_mut(cell).copy_from_slice(row);
        }
    }
    Ok(corrected)
}

/// The penalty of each batch in a cluster; `None` for one that is not shifted.
fn penalties(design: &Design, state: &State<'_>, cluster: usize, ridge: Ridge) -> Vec<Option<f64>> {
    let observed = state.observed.row(cluster);
    // Every covariate counts each cell once.
    let covariates = design.batches.first().map_or(1, Vec::len);
    let cells: f64 = observed.iter().sum::<f64>() / covariates as f64;
    (0..design.n_batches())
        .map(|batch| match ridge {
            Ridge::Fixed(lambda) => Some(lambda),
            Ridge::Expected { alpha, least_share } => {
                (observed[batch] >= least_share * cells).then(|| alpha * state.expected[(cluster, batch)])
            }
        })
        .collect()
}

/// The shifts of the batches in one cluster, batches × components: `(D R D' + penalty)^-1 D R Z'` without the intercept,
/// which has no penalty. Batches without cells, and those that are not shifted, have 0.
fn solve(design: &Design, weights: &[f64], sums: &[&[f64]], penalties: &[Option<f64>]) -> Matrix {
    let d = sums.first().map_or(0, |row| row.len());
    let mut shifts = Matrix::zeros(design.n_batches(), d);
    let mut place = vec![None; design.n_batches()];
    let used: Vec<usize> =
        (0..design.n_batches()).filter(|&b| penalties[b].is_some() && design.shares[b] > 0.0).collect();
    used.iter().enumerate().for_each(|(i, &batch)| place[batch] = Some(i + 1));
    let size = used.len() + 1;
    let mut normal = Matrix::zeros(size, size);
    let mut right = Matrix::zeros(size, d);
    for (i, &batch) in used.iter().enumerate() {
        normal[(i + 1, i + 1)] = penalties[batch].unwrap_or(0.0);
    }
    for (kind, (&weight, sum)) in weights.iter().zip(sums).enumerate() {
        let columns: Vec<usize> =
            std::iter::once(0).chain(design.batches[kind].iter().filter_map(|&batch| place[batch])).collect();
        for &i in &columns {
            columns.iter().for_each(|&j| normal[(i, j)] += weight);
            right.row_mut(i).iter_mut().zip(*sum).for_each(|(r, s)| *r += s);
        }
    }
    // A cluster without cells shifts nothing.
    if cholesky_in_place(&mut normal).is_err() {
        return shifts;
    }
    let mut column = vec![0.0; size];
    for j in 0..d {
        (0..size).for_each(|i| column[i] = right[(i, j)]);
        solve_lower(&normal, &mut column);
        solve_lower_transposed(&normal, &mut column);
        used.iter().enumerate().for_each(|(i, &batch)| shifts[(batch, j)] = column[i + 1]);
    }
    shifts
}
