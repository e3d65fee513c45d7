//! Kinships of few markers: K = FF' with fewer columns than people, found from K itself, and the rotation that uses it.
//!
//! Among people of the same environments and noise every rotation leaves the noise as it is. One that turns their rows of
//! F into a triangle leaves as many directions with kinship as F has columns; all others are noise alone. What Woodbury's
//! identity does for the inverse, this does for the whole likelihood, without a difference of large numbers.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot};
use ferrocyte_math::random::Stream;
use ferrocyte_math::spd;

use super::kinship::{Kinship, ROWS};

/// A variance given those before it, below this share of the mean, is rounding: double precision, and entries that were sums.
const NOTHING: f64 = 1e-11;

/// Columns that one thread turns at a time.
const COLUMNS: usize = 8;

/// F with K = FF' and at most `most` columns, people × columns; `None` where K has none, or is not so precise.
pub(super) fn factor(run: &Run, kinship: &Kinship, most: usize) -> Result<Option<Matrix>> {
    let n = kinship.n();
    if most == 0 || most >= n || !may_be_low(run, kinship, most + 1)? {
        return Ok(None);
    }
    let mut left = kinship.diagonal();
    let least = NOTHING * left.iter().sum::<f64>() / n as f64;
    let mut columns: Vec<Vec<f64>> = Vec::new();
    let mut buffer = Vec::new();
    loop {
        run.check()?;
        let Some((at, &largest)) = left.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else { return Ok(None) };
        if left.iter().any(|x| *x < -least) {
            return Ok(None);
        }
        if largest <= least {
            break;
        }
        if columns.len() == most {
            return Ok(None);
        }
        let mut column = kinship.rows(at..at + 1, &mut buffer).to_vec();
        let weights: Vec<f64> = columns.iter().map(|c| c[at]).collect();
        let scale = 1.0 / largest.sqrt();
        run.for_each_chunk(&mut column, 8 * ROWS, |k, part| {
            let first = k * 8 * ROWS;
            for (other, w) in columns.iter().zip(&weights) {
                part.iter_mut().zip(&other[first..]).for_each(|(x, o)| *x -= w * o);
            }
            part.iter_mut().for_each(|x| *x *= scale);
        })?;
        left.iter_mut().zip(&column).for_each(|(d, c)| *d -= c * c);
        left[at] = 0.0;
        columns.push(column);
    }
    let entries = (0..n).flat_map(|i| columns.iter().map(move |c| c[i])).collect();
    let factor = Matrix::from_rows(n, columns.len(), entries);
    Ok(reproduces(run, kinship, &factor)?.then_some(factor))
}

/// Whether the kinship of `m` people spread over all is singular: that of any `m` is, where the rank is less.
fn may_be_low(run: &Run, kinship: &Kinship, m: usize) -> Result<bool> {
    let n = kinship.n();
    let some = kinship.take(&(0..m).map(|i| i * n / m).collect::<Vec<usize>>());
    let mean = some.diagonal().iter().sum::<f64>() / m as f64;
    let mut buffer = Vec::new();
    let mut work = some.rows(0..m, &mut buffer).to_vec();
    Ok(!spd::factor(run, &mut work, m)? || (0..m).any(|i| work[i * m + i].powi(2) < 1e-9 * mean))
}

/// Whether FF' and K make the same of a vector drawn at random: a kinship that is not semidefinite would not.
fn reproduces(run: &Run, kinship: &Kinship, factor: &Matrix) -> Result<bool> {
    let mut stream = Stream::new(0, 0);
    let n = kinship.n();
    let v = Matrix::from_rows(n, 1, (0..n).map(|_| stream.normal()).collect());
    let exact = kinship.times(run, &v)?;
    let ours = factor.times(&factor.transpose().times(&v));
    let size = dot(exact.entries(), exact.entries()).sqrt();
    let off: f64 = exact.entries().iter().zip(ours.entries()).map(|(a, b)| (a - b).powi(2)).sum();
    Ok(off.sqrt() <= 1e3 * NOTHING * size)
}

/// The rotation H' of some people with H'F = [R; 0], by Householder's reflections.
#[derive(Debug)]
pub(super) struct Reflections {
    /// Each with its first entry's place, length √2.
    vectors: Vec<Vec<f64>>,
}

impl Reflections {
    /// Of the rows of F that `rows` says, and R (as many rows as the smaller of people and columns).
    pub(super) fn new(run: &Run, factor: &Matrix, rows: &[usize]) -> Result<(Self, Matrix)> {
        let (n, r) = (rows.len(), factor.n_cols());
        let mut columns: Vec<Vec<f64>> = (0..r).map(|j| rows.iter().map(|&i| factor[(i, j)]).collect()).collect();
        let height = n.min(r);
        let mut vectors = Vec::with_capacity(height);
        for j in 0..height {
            run.check()?;
            let mut v = columns[j][j..].to_vec();
            let length = dot(&v, &v).sqrt();
            // The reflection away from the first entry loses no digits.
            let corner = if v[0] > 0.0 { -length } else { length };
            v[0] -= corner;
            let scale = (2.0 / dot(&v, &v)).sqrt();
            v.iter_mut().for_each(|x| *x *= if scale.is_finite() { scale } else { 0.0 });
            run.for_each_chunk(&mut columns[j..], COLUMNS, |_, some| {
                for column in some {
                    let along = dot(&v, &column[j..]);
                    column[j..].iter_mut().zip(&v).for_each(|(x, v)| *x -= along * v);
                }
            })?;
            vectors.push(v);
        }
        let entries = (0..height).flat_map(|i| columns.iter().map(move |c| if c.is_empty() { 0.0 } else { c[i] }));
        Ok((Self { vectors }, Matrix::from_rows(height, r, entries.collect())))
    }

    /// H'X.
    pub(super) fn turn(&self, x: &mut Matrix) {
        for (j, v) in self.vectors.iter().enumerate() {
            let mut along = vec![0.0; x.n_cols()];
            for (i, v) in v.iter().enumerate() {
                along.iter_mut().zip(x.row(j + i)).for_each(|(a, x)| *a += v * x);
            }
            for (i, v) in v.iter().enumerate() {
                x.row_mut(j + i).iter_mut().zip(&along).for_each(|(x, a)| *x -= v * a);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few_markers(n: usize, m: usize) -> Result<Kinship> {
        let mut stream = Stream::new(5, 0);
        let g = Matrix::from_rows(n, m, (0..n * m).map(|_| stream.normal()).collect());
        let names: Vec<String> = (0..n).map(|i| format!("i{i}")).collect();
        Kinship::new(n, g.times(&g.transpose()).into_entries(), &names)
    }

    #[test]
    fn the_factor_is_found_where_there_is_one() -> Result<()> {
        let run = Run::new().threads(2);
        let kinship = few_markers(40, 7)?;
        let found = factor(&run, &kinship, 20)?;
        assert_eq!(found.as_ref().map(Matrix::n_cols), Some(7));
        let back = found.map(|f| f.times(&f.transpose()).into_entries()).unwrap_or_default();
        let mut buffer = Vec::new();
        for (a, b) in back.iter().zip(kinship.rows(0..40, &mut buffer)) {
            assert!((a - b).abs() < 1e-10);
        }
        assert!(factor(&run, &few_markers(40, 60)?, 20)?.is_none());
        assert!(factor(&run, &kinship, 6)?.is_none());
        Ok(())
    }

    #[test]
    fn a_kinship_that_is_indefinite_has_no_factor() -> Result<()> {
        let n = 10;
        let entries = (0..n * n).map(|k| if k / n == k % n { 0.0 } else { 1.0 }).collect();
        let names: Vec<String> = (0..n).map(|i| format!("i{i}")).collect();
        assert!(factor(&Run::new(), &Kinship::new(n, entries, &names)?, 5)?.is_none());
        Ok(())
    }

    #[test]
    fn reflections_turn_the_factor_into_a_triangle() -> Result<()> {
        let mut stream = Stream::new(6, 0);
        let f = Matrix::from_rows(9, 4, (0..36).map(|_| stream.normal()).collect());
        let rows = [0, 2, 3, 5, 6, 7, 8];
        let (turn, r) = Reflections::new(&Run::new(), &f, &rows)?;
        let mut x = Matrix::from_rows(7, 4, rows.iter().flat_map(|&i| f.row(i)).copied().collect());
        turn.turn(&mut x);
        for i in 0..7 {
            for j in 0..4 {
                let expected = if i < 4 { r[(i, j)] } else { 0.0 };
                assert!((x[(i, j)] - expected).abs() < 1e-13);
                assert!(i <= j || x[(i, j)].abs() < 1e-13);
            }
        }
        Ok(())
    }
}
