//! Similarity network fusion (B. Wang and others, *Nature Methods* 11:333, 2014): views of the same items become one.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::ranks;

/// Rows that a thread takes at once.
const BLOCK: usize = 16;

/// How views are fused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FusionOptions {
    /// How many entries of a row are its neighbours.
    pub k: usize,
    /// How often views are passed on.
    pub iterations: usize,
}

impl Default for FusionOptions {
    /// Ten neighbours, ten times.
    fn default() -> Self {
        Self { k: 10, iterations: 10 }
    }
}

/// Fuses at least two square views of the same items.
///
/// In each round every view is passed along the neighbours of its own: `V <- N(P mean(others) P')`, with `N` half a unit
/// on the diagonal and half over the rest of a row. The others are the sum of all less the view itself. What comes out is
/// the mean of the views that have an entry.
pub fn fuse(run: &Run, views: &[Matrix], options: &FusionOptions) -> Result<Matrix> {
    let n = views.first().map_or(0, Matrix::n_rows);
    if views.len() < 2 || views.iter().any(|view| view.n_rows() != n || view.n_cols() != n) || options.k == 0 {
        return Err(Fault::bad_input(format!(
            "fusion takes two or more square views of the same items and at least one neighbour, found {} of {n} items",
            views.len()
        )));
    }
    // Two copies of each view, the sum of all, and one more.
    run.reserve("views that are fused", 8 * (n * n) as u64 * (2 * views.len() as u64 + 2))?;
    let mut current: Vec<Matrix> = views.iter().map(normalised).collect();
    let near: Vec<Vec<Vec<(u32, f64)>>> = current.iter().map(|view| neighbours(view, options.k)).collect();
    let task = run.task("fusing", (options.iterations * views.len()) as u64);
    for _ in 0..options.iterations {
        let mut total = vec![0.0; n * n];
        for view in &current {
            total.iter_mut().zip(view.entries()).for_each(|(sum, v)| *sum += v);
        }
        let others = (current.len() - 1) as f64;
        let mut next = Vec::with_capacity(current.len());
        for (view, near) in current.iter().zip(&near) {
            run.check()?;
            next.push(passed_on(run, &total, view, others, near)?);
            task.advance(1);
        }
        current = next;
    }
    let mut fused = vec![0.0; n * n];
    let mut known = vec![0_u32; n * n];
    for view in &current {
        for ((sum, known), &v) in fused.iter_mut().zip(&mut known).zip(view.entries()) {
            *sum += v;
            *known += u32::from(v > 0.0);
        }
    }
    fused.iter_mut().zip(known).for_each(|(sum, known)| *sum = if known > 0 { *sum / f64::from(known) } else { 0.0 });
    Ok(Matrix::from_rows(n, n, fused))
}

/// `N((P M) P')`, with M the mean of the other views.
fn passed_on(run: &Run, total: &[f64], view: &Matrix, others: f64, near: &[Vec<(u32, f64)>]) -> Result<Matrix> {
    let n = view.n_rows();
    let mut out = vec![0.0; n * n];
    run.for_each_chunk(&mut out, n * BLOCK, |block, rows| {
        let mut along = vec![0.0; n];
        for (r, row) in rows.chunks_exact_mut(n).enumerate() {
            along.fill(0.0);
            for &(j, p) in &near[block * BLOCK + r] {
                let from = j as usize * n..(j as usize + 1) * n;
                let share = p / others;
                for ((x, sum), own) in along.iter_mut().zip(&total[from]).zip(view.row(j as usize)) {
                    *x += share * (sum - own);
                }
            }
            for (x, links) in row.iter_mut().zip(near) {
                *x = links.iter().map(|&(l, p)| along[l as usize] * p).sum();
            }
        }
    })?;
    Ok(normalised(&Matrix::from_rows(n, n, out)))
}

/// Half a unit on the diagonal, the other half over the rest of each row, and the same both ways.
fn normalised(x: &Matrix) -> Matrix {
    let n = x.n_rows();
    let mut scaled = x.clone();
    for i in 0..n {
        let row = scaled.row_mut(i);
        let rest = row.iter().sum::<f64>() - row[i];
        let rest = if rest == 0.0 { 1.0 } else { rest };
        row.iter_mut().for_each(|x| *x /= 2.0 * rest);
        row[i] = 0.5;
    }
    for i in 0..n {
        for j in 0..i {
            let mean = 0.5 * (scaled[(i, j)] + scaled[(j, i)]);
            scaled[(i, j)] = mean;
            scaled[(j, i)] = mean;
        }
    }
    scaled
}

/// The largest entries of each row (of equal ones the last), normalised: sparse rows.
fn neighbours(view: &Matrix, k: usize) -> Vec<Vec<(u32, f64)>> {
    let n = view.n_rows();
    let mut kept = Matrix::zeros(n, n);
    let mut order: Vec<usize> = Vec::with_capacity(n);
    for i in 0..n {
        let row = view.row(i);
        order.clear();
        order.extend(0..n);
        order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(b.cmp(&a)));
        order.iter().take(k).for_each(|&j| kept[(i, j)] = row[j]);
    }
    let kept = normalised(&kept);
    (0..n)
        .map(|i| kept.row(i).iter().enumerate().filter(|(_, p)| **p != 0.0).map(|(j, &p)| (j as u32, p)).collect())
        .collect()
}

/// The rank of each entry that is not 0 among those of its column, ties sharing their mean, divided by the number of rows.
pub fn rank_columns(x: &Matrix) -> Matrix {
    let n = x.n_rows();
    let mut ranked = x.transpose();
    for column in 0..ranked.n_rows() {
        let row = ranked.row_mut(column);
        let places: Vec<usize> = (0..n).filter(|&i| row[i] != 0.0).collect();
        let values: Vec<f64> = places.iter().map(|&i| row[i]).collect();
        for (&i, rank) in places.iter().zip(ranks::average(&values)) {
            row[i] = rank / n as f64;
        }
    }
    ranked.transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_views_of_two_groups_stay_two_groups() -> Result<()> {
        let n = 20;
        let mut view = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                view[(i, j)] = if (i < 10) == (j < 10) { 0.5 / (1.0 + i.abs_diff(j) as f64) } else { 0.001 };
            }
        }
        let options = FusionOptions { k: 4, iterations: 5 };
        let fused = fuse(&Run::new(), &[view.clone(), view.clone()], &options)?;
        assert!((fused[(0, 1)] - fused[(1, 0)]).abs() < 1e-15 && fused[(0, 1)] > 10.0 * fused[(0, 15)]);
        assert!(fuse(&Run::new(), &[view], &options).is_err());
        Ok(())
    }

    #[test]
    fn zeros_have_no_rank() {
        let ranked = rank_columns(&Matrix::from_rows(3, 2, vec![5.0, 0.0, 2.0, 1.0, 5.0, 0.0]));
        assert_eq!(ranked.entries(), [2.5 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0, 2.5 / 3.0, 0.0]);
    }
}
