//! Kinship: one symmetric matrix of all people, in double or single precision.

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, product};
use ferrocyte_math::spd;

/// Rows that one thread works on at a time.
pub(super) const ROWS: usize = 64;

/// Entries of a kinship may differ from their mirror image by this much of the largest.
const SYMMETRIC: f64 = 1e-6;

/// Eigenvalues below zero by less than this share of the mean diagonal are rounding.
pub(super) const ROUNDING: f64 = 1e-5;

/// A kinship of `n` people, row-major, both triangles.
#[derive(Debug, Clone)]
pub struct Kinship {
    n: usize,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Double(Vec<f64>),
    Single(Vec<f32>),
}

impl Kinship {
    /// From row-major entries; fails where they are not square, not finite or not symmetric.
    pub fn new(n: usize, entries: Vec<f64>, individuals: &[String]) -> Result<Self> {
        check(n, entries.len(), |k| entries[k], individuals)?;
        Ok(Self { n, values: Values::Double(entries) })
    }

    /// The same in single precision: half the memory, entries of 7 digits.
    pub fn single(n: usize, entries: Vec<f32>, individuals: &[String]) -> Result<Self> {
        check(n, entries.len(), |k| f64::from(entries[k]), individuals)?;
        Ok(Self { n, values: Values::Single(entries) })
    }

    /// From entries that are symmetric by the way they were made.
    pub(super) fn symmetric(n: usize, entries: Vec<f64>) -> Self {
        debug_assert_eq!(entries.len(), n * n);
        Self { n, values: Values::Double(entries) }
    }

    /// Number of people.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The kinship of two people.
    pub(super) fn entry(&self, i: usize, j: usize) -> f64 {
        match &self.values {
            Values::Double(x) => x[i * self.n + j],
            Values::Single(x) => f64::from(x[i * self.n + j]),
        }
    }

    /// The kinship of some people, in double precision.
    pub(super) fn matrix(&self, rows: &[usize]) -> Matrix {
        let entries = rows.iter().flat_map(|&i| rows.iter().map(move |&j| self.entry(i, j))).collect();
        Matrix::from_rows(rows.len(), rows.len(), entries)
    }

    /// The kinship of some people.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let n = self.n;
        let values = match &self.values {
            Values::Double(x) => {
                Values::Double(rows.iter().flat_map(|&i| rows.iter().map(move |&j| x[i * n + j])).collect())
            }
            Values::Single(x) => {
                Values::Single(rows.iter().flat_map(|&i| rows.iter().map(move |&j| x[i * n + j])).collect())
            }
        };
        Self { n: rows.len(), values }
    }

    /// Rows, as a slice where they are stored in double precision, else written into `buffer`.
    pub(super) fn rows<'a>(&'a self, rows: Range<usize>, buffer: &'a mut Vec<f64>) -> &'a [f64] {
        let span = rows.start * self.n..rows.end * self.n;
        match &self.values {
            Values::Double(entries) => &entries[span],
            Values::Single(entries) => {
                buffer.clear();
                buffer.extend(entries[span].iter().map(|&x| f64::from(x)));
                buffer
            }
        }
    }

    /// The diagonal.
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.n)
            .map(|i| match &self.values {
                Values::Double(x) => x[i * self.n + i],
                Values::Single(x) => f64::from(x[i * self.n + i]),
            })
            .collect()
    }

    /// Whether no eigenvalue is below zero, up to the rounding of entries of 5 digits. Needs a matrix of the same size.
    pub(super) fn is_positive_semidefinite(&self, run: &Run) -> Result<bool> {
        let n = self.n;
        let lift = ROUNDING * self.diagonal().iter().sum::<f64>() / n as f64;
        let mut work = vec![0.0; n * n];
        run.for_each_chunk(&mut work, ROWS * n, |k, part| {
            let mut buffer = Vec::new();
            let first = k * ROWS;
            part.copy_from_slice(self.rows(first..first + part.len() / n, &mut buffer));
            part.chunks_exact_mut(n).enumerate().for_each(|(at, row)| row[first + at] += lift);
        })?;
        spd::factor(run, &mut work, n)
    }

    /// K · B.
    pub(super) fn times(&self, run: &Run, b: &Matrix) -> Result<Matrix> {
        let mut out = Matrix::zeros(self.n, b.n_cols());
        run.for_each_chunk(out.entries_mut(), (ROWS * b.n_cols()).max(1), |k, part| {
            let first = k * ROWS;
            let mut buffer = Vec::new();
            let rows = self.rows(first..first + part.len() / b.n_cols(), &mut buffer);
            product(rows, self.n, b, part);
        })?;
        Ok(out)
    }
}

/// Whether `length` entries make a symmetric matrix of `n` people.
fn check(n: usize, length: usize, entry: impl Fn(usize) -> f64, individuals: &[String]) -> Result<()> {
    if length != n * n {
        return Err(Fault::bad_input(format!("expected {n} x {n} entries, found {length}")).at("K"));
    }
    let largest = (0..length).fold(0.0_f64, |m, k| m.max(entry(k).abs()));
    for i in 0..n {
        for j in 0..=i {
            let (a, b) = (entry(i * n + j), entry(j * n + i));
            let of = || format!("individuals `{}` and `{}`", individuals[i], individuals[j]);
            if !(a.is_finite() && b.is_finite()) {
                return Err(Fault::bad_input(format!("K[{i}, {j}] is not a finite number ({})", of())).at("K"));
            }
            if (a - b).abs() > SYMMETRIC * largest {
                return Err(Fault::bad_input(format!(
                    "K is not symmetric: K[{i}, {j}] is {a}, K[{j}, {i}] is {b} ({})",
                    of()
                ))
                .at("K"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("i{i}")).collect()
    }

    #[test]
    fn what_is_not_symmetric_is_refused() {
        let told = Kinship::new(2, vec![1.0, 0.5, 0.1, 1.0], &names(2)).map_err(|f| f.to_string());
        assert!(told.is_err_and(|t| t.contains("K is not symmetric") && t.contains("`i1`")));
        assert!(Kinship::new(2, vec![1.0, f64::NAN, 0.1, 1.0], &names(2)).is_err());
        assert!(Kinship::new(2, vec![1.0; 3], &names(2)).is_err());
    }

    #[test]
    fn a_kinship_with_negative_eigenvalues_is_told() -> Result<()> {
        let of = |off: f64| Kinship::new(2, vec![1.0, off, off, 1.0], &names(2));
        assert!(of(1.0)?.is_positive_semidefinite(&Run::new())?);
        assert!(!of(1.2)?.is_positive_semidefinite(&Run::new())?);
        Ok(())
    }

    #[test]
    fn products_in_both_precisions() -> Result<()> {
        let k = Kinship::new(2, vec![1.0, 0.5, 0.5, 2.0], &names(2))?;
        let b = Matrix::from_rows(2, 1, vec![1.0, 2.0]);
        assert_eq!(k.times(&Run::new(), &b)?.entries(), [2.0, 4.5]);
        let single = Kinship::single(2, vec![1.0, 0.5, 0.5, 2.0], &names(2))?;
        assert_eq!(single.times(&Run::new(), &b)?.entries(), [2.0, 4.5]);
        assert_eq!(k.take(&[1]).diagonal(), [2.0]);
        Ok(())
    }
}
