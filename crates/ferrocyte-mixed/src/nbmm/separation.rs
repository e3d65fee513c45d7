//! Coefficients without a finite maximum, found before the fit.
//!
//! The likelihood of a gene rises for ever along e if the predictor stays as it is in every stratum with counts
//! (x'e = 0) and falls, or stays, in all others (x'e <= 0), not all of them staying. Strata whose predictor falls along
//! some such direction are those whose row lies, reversed, outside the cone of the rows without counts (Farkas): the
//! residual of the projection on that cone, by non-negative least squares, is a direction that proves it. The sum of
//! these directions falls wherever any does, so that what is left has a finite maximum, which is the supremum.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, solve_lower, solve_lower_transposed};
use ferrocyte_math::pivoted_qr::PivotedQr;

use crate::nbmm::layout::{Counts, Layout};

/// Numbers of unit size below this are zero.
const ZERO: f64 = 1e-8;

/// What is left of a model, and what became of the rest.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::nbmm) struct Separation {
    /// The strata that keep their counts and their say.
    pub(in crate::nbmm) strata: Vec<bool>,
    /// The columns that stand for all that is left, rising.
    pub(in crate::nbmm) columns: Vec<usize>,
    /// The direction in which the likelihood rises for ever.
    pub(in crate::nbmm) direction: Vec<f64>,
}

impl Separation {
    /// Looks for it; nothing where the maximum is finite. The design must have full rank.
    pub(in crate::nbmm) fn find(layout: &Layout, counts: &Counts) -> Option<Self> {
        let (p, strata) = (layout.n_fixed(), layout.n_strata());
        let scale: Vec<f64> = (0..p)
            .map(|j| (0..strata).map(|c| layout.x[(c, j)].abs()).fold(0.0, f64::max))
            .map(|size| if size > 0.0 { 1.0 / size } else { 1.0 })
            .collect();
        let row = |c: usize| -> Vec<f64> { layout.x.row(c).iter().zip(&scale).map(|(x, s)| x * s).collect() };
        let with: Vec<usize> = (0..strata).filter(|&c| counts.strata[c] > 0.0).collect();
        let null = null_space(with.iter().map(|&c| row(c)), p);
        if null.is_empty() {
            return None;
        }
        // The rows without counts in coordinates of the null space, of unit length, each once.
        let mut cone: Vec<Vec<f64>> = Vec::new();
        let without: Vec<(usize, Option<usize>)> = (0..strata)
            .filter(|&c| counts.strata[c] == 0.0)
            .map(|c| {
                let x = row(c);
                let a: Vec<f64> = null.iter().map(|v| dot(v, &x)).collect();
                let length = dot(&a, &a).sqrt();
                if length < ZERO {
                    return (c, None);
                }
                let a: Vec<f64> = a.iter().map(|a| a / length).collect();
                let known = cone.iter().position(|b| b.iter().zip(&a).all(|(b, a)| (b - a).abs() < ZERO));
                (
                    c,
                    Some(known.unwrap_or_else(|| {
                        cone.push(a);
                        cone.len() - 1
                    })),
                )
            })
            .collect();
        let mut falls = vec![false; cone.len()];
        let mut sum = vec![0.0; null.len()];
        for j in 0..cone.len() {
            if falls[j] {
                continue;
            }
            let target: Vec<f64> = cone[j].iter().map(|a| -a).collect();
            let residual = residual_from_cone(&cone, &target);
            let length = dot(&residual, &residual).sqrt();
            if length < 1e2 * ZERO {
                continue;
            }
            sum.iter_mut().zip(&residual).for_each(|(s, r)| *s += r / length);
            falls.iter_mut().zip(&cone).for_each(|(f, a)| *f |= dot(a, &residual) < -ZERO * length);
        }
        if !falls.contains(&true) {
            return None;
        }
        let mut kept = vec![true; strata];
        for (c, place) in without {
            kept[c] = !place.is_some_and(|j| falls[j]);
        }
        let direction: Vec<f64> = (0..p)
            .map(|i| scale[i] * null.iter().zip(&sum).map(|(v, s)| v[i] * s).sum::<f64>())
            .map(|e| if e.abs() < 1e2 * ZERO { 0.0 } else { e })
            .collect();
        // Columns of finite coefficients first, so that these mean what they always do.
        let order = (0..p).filter(|&i| direction[i] == 0.0).chain((0..p).filter(|&i| direction[i] != 0.0));
        let rows: Vec<Vec<f64>> = (0..strata).filter(|&c| kept[c]).map(row).collect();
        let columns = independent(&rows, order);
        Some(Self { strata: kept, columns, direction })
    }
}

/// An orthonormal basis of what is orthogonal to all rows of width p.
fn null_space(rows: impl Iterator<Item = Vec<f64>>, p: usize) -> Vec<Vec<f64>> {
    let mut seen: Vec<Vec<f64>> = Vec::new();
    for row in rows {
        if !seen.contains(&row) {
            seen.push(row);
        }
    }
    let stacked = Matrix::from_rows(seen.len(), p, seen.concat());
    let complement = PivotedQr::new(&stacked.transpose()).complement().transpose();
    (0..complement.n_rows()).map(|i| complement.row(i).to_vec()).collect()
}

/// The columns, taken in this order, that do not depend on those before them; rising.
fn independent(rows: &[Vec<f64>], order: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut columns: Vec<usize> = Vec::new();
    for j in order {
        let mut column: Vec<f64> = rows.iter().map(|row| row[j]).collect();
        let size = dot(&column, &column).sqrt();
        // Twice, so that rounding of the first is taken out too.
        for _ in 0..2 {
            for q in &basis {
                let share = dot(q, &column);
                column.iter_mut().zip(q).for_each(|(c, q)| *c -= share * q);
            }
        }
        let left = dot(&column, &column).sqrt();
        if left > ZERO * size {
            column.iter_mut().for_each(|c| *c /= left);
            basis.push(column);
            columns.push(j);
        }
    }
    columns.sort_unstable();
    columns
}

/// What is left of `target` after its projection on the cone of the given unit vectors (Lawson and Hanson 1974).
fn residual_from_cone(cone: &[Vec<f64>], target: &[f64]) -> Vec<f64> {
    let mut weights = vec![0.0; cone.len()];
    let mut active: Vec<usize> = Vec::new();
    let residual = |weights: &[f64]| -> Vec<f64> {
        let mut left = target.to_vec();
        for (a, &w) in cone.iter().zip(weights).filter(|(_, w)| **w > 0.0) {
            left.iter_mut().zip(a).for_each(|(l, a)| *l -= w * a);
        }
        left
    };
    for _ in 0..10 * cone.len() + 10 {
        let left = residual(&weights);
        let gains = cone.iter().enumerate().filter(|(i, _)| !active.contains(i)).map(|(i, a)| (i, dot(a, &left)));
        let Some((next, gain)) = gains.max_by(|a, b| a.1.total_cmp(&b.1)) else { return left };
        if gain < 1e-12 {
            return left;
        }
        active.push(next);
        // Weights of the active vectors by least squares, walking back from negative ones.
        while let Some(wanted) = least_squares(cone, &active, target) {
            let reach = active
                .iter()
                .zip(&wanted)
                .filter(|(_, w)| **w <= 0.0)
                .map(|(&i, w)| weights[i] / (weights[i] - w))
                .fold(1.0, f64::min);
            for (&i, w) in active.iter().zip(&wanted) {
                weights[i] += reach * (w - weights[i]);
            }
            if reach >= 1.0 {
                break;
            }
            active.retain(|&i| weights[i] > 1e-14);
            weights.iter_mut().enumerate().filter(|(i, _)| !active.contains(i)).for_each(|(_, w)| *w = 0.0);
            if active.is_empty() {
                break;
            }
        }
    }
    residual(&weights)
}

/// Least squares of `target` on some vectors; nothing where they depend on each other.
fn least_squares(cone: &[Vec<f64>], active: &[usize], target: &[f64]) -> Option<Vec<f64>> {
    let n = active.len();
    let mut gram = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            gram[(i, j)] = dot(&cone[active[i]], &cone[active[j]]);
        }
        gram[(i, i)] += 1e-14;
    }
    let mut right: Vec<f64> = active.iter().map(|&i| dot(&cone[i], target)).collect();
    cholesky_in_place(&mut gram).ok()?;
    solve_lower(&gram, &mut right);
    solve_lower_transposed(&gram, &mut right);
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nbmm::tails::Tails;

    /// One stratum per row, one point each.
    fn study(rows: &[&[f64]], y: &[f64]) -> (Layout, Counts) {
        let n = rows.len();
        let x = Matrix::from_rows(n, rows[0].len(), rows.concat());
        let layout = Layout {
            x,
            donors: (0..=n).collect(),
            points: (0..=n).collect(),
            offsets: vec![1.0; n],
            cells: vec![1.0; n],
        };
        let counts = Counts::new(&layout, y.to_vec(), Tails::new(std::iter::empty()));
        (layout, counts)
    }

    fn signs(direction: &[f64]) -> Vec<f64> {
        direction.iter().map(|&e| if e == 0.0 { 0.0 } else { e.signum() }).collect()
    }

    const TWO: [&[f64]; 4] = [&[1.0, 0.0, 0.0], &[1.0, 0.0, 1.0], &[1.0, 1.0, 0.0], &[1.0, 1.0, 1.0]];

    #[test]
    fn an_arm_without_counts_is_infinite() {
        let (layout, counts) = study(&TWO, &[3.0, 2.0, 0.0, 0.0]);
        let found = Separation::find(&layout, &counts);
        assert_eq!(found.as_ref().map(|s| signs(&s.direction)), Some(vec![0.0, -1.0, 0.0]));
        assert_eq!(found.as_ref().map(|s| s.columns.clone()), Some(vec![0, 2]));
        assert_eq!(found.map(|s| s.strata), Some(vec![true, true, false, false]));
        let (layout, counts) = study(&TWO, &[0.0, 0.0, 3.0, 2.0]);
        let found = Separation::find(&layout, &counts);
        assert_eq!(found.as_ref().map(|s| signs(&s.direction)), Some(vec![-1.0, 1.0, 0.0]));
        assert_eq!(found.map(|s| s.columns), Some(vec![0, 2]));
    }

    #[test]
    fn one_stratum_with_counts_fixes_one_combination() {
        let (layout, counts) = study(&TWO, &[5.0, 0.0, 0.0, 0.0]);
        let found = Separation::find(&layout, &counts);
        assert_eq!(found.map(|s| signs(&s.direction)), Some(vec![0.0, -1.0, -1.0]));
        let (layout, counts) = study(&TWO, &[0.0, 5.0, 0.0, 0.0]);
        let found = Separation::find(&layout, &counts);
        assert_eq!(found.map(|s| signs(&s.direction)), Some(vec![-1.0, -1.0, 1.0]));
    }

    #[test]
    fn a_lost_stratum_of_an_additive_model_is_not_separation() {
        let (layout, counts) = study(&TWO, &[5.0, 1.0, 2.0, 0.0]);
        assert_eq!(Separation::find(&layout, &counts), None);
        // Counts in two opposite corners leave one free direction, which no sign of the others allows.
        let (layout, counts) = study(&TWO, &[5.0, 0.0, 0.0, 4.0]);
        assert_eq!(Separation::find(&layout, &counts), None);
    }

    #[test]
    fn a_covariate_in_large_units_separates_too() {
        let rows: [&[f64]; 4] = [&[1.0, 1e4], &[1.0, 2e4], &[1.0, 3e4], &[1.0, 4e4]];
        let (layout, counts) = study(&rows, &[0.0, 0.0, 0.0, 2.0]);
        let found = Separation::find(&layout, &counts);
        assert_eq!(found.map(|s| signs(&s.direction)), Some(vec![-1.0, 1.0]));
        let (layout, counts) = study(&rows, &[0.0, 0.0, 1.0, 2.0]);
        assert_eq!(Separation::find(&layout, &counts), None);
    }
}
