//! The largest eigenvalues of a symmetric matrix, by block Lanczos with full orthogonalisation.
//!
//! A few vectors at a time are multiplied with the matrix, so that it is read from memory once for all of them; every
//! new block is made orthogonal to all before, and the matrix projected on what they span is small enough to be solved
//! in full (G. H. Golub and R. Underwood, *The block Lanczos method for computing eigenvalues*, 1977). Started from a
//! fixed seed: the same matrix gives the same bits.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, product, subtract_product, symmetric_eigen};
use ferrocyte_math::random::Stream;

/// Up to this size all eigenvalues are computed.
const SMALL: usize = 160;

/// Vectors multiplied at a time.
const BLOCK: usize = 12;

/// Residuals below this share of the largest eigenvalue are small enough: eigenvalues then err by their squares.
const TOLERANCE: f64 = 1e-9;

/// Eigenvalues, falling, and their vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// The largest eigenvalues, falling.
    pub values: Vec<f64>,
    /// Vectors × dimension: a row is the unit vector of its eigenvalue.
    pub vectors: Matrix,
}

/// The `k` largest eigenvalues of a symmetric matrix and their vectors.
///
/// # Errors
/// More eigenvalues than rows, a matrix with entries that are not finite, and the wish to stop.
pub fn largest_eigen(run: &Run, a: &Matrix, k: usize) -> Result<Eigen> {
    let n = a.n_rows();
    if k > n || a.n_cols() != n {
        return Err(Fault::bad_input(format!("{k} eigenvalues of a {n} x {} matrix", a.n_cols())));
    }
    if n <= SMALL || 3 * k >= n {
        let (values, vectors) = symmetric_eigen(a)?;
        let columns = vectors.transpose();
        let mut rows = Matrix::zeros(k, n);
        (0..k).for_each(|i| rows.row_mut(i).copy_from_slice(columns.row(n - 1 - i)));
        return Ok(Eigen { values: values.into_iter().rev().take(k).collect(), vectors: rows });
    }
    if a.entries().iter().any(|x| !x.is_finite()) {
        return Err(Fault::bad_input(format!("a {n} x {n} matrix with entries that are not finite")));
    }
    let mut images = |columns: &Matrix| {
        let mut images = Matrix::zeros(n, columns.n_cols());
        product(a.entries(), n, columns, images.entries_mut());
        Ok(images)
    };
    Lanczos::new(run, n, k, &mut images).solve()
}

/// The same for a matrix that is not there: `images` multiplies it with the columns of an n × m matrix, m at most 12.
///
/// # Errors
/// More eigenvalues than rows, images that are not finite or of another size, those of `images`, and the wish to stop.
pub fn largest_eigen_of(
    run: &Run,
    n: usize,
    k: usize,
    images: &mut dyn FnMut(&Matrix) -> Result<Matrix>,
) -> Result<Eigen> {
    if k > n {
        return Err(Fault::bad_input(format!("{k} eigenvalues of a {n} x {n} matrix")));
    }
    let mut checked = |columns: &Matrix| {
        let found = images(columns)?;
        let size = (found.n_rows(), found.n_cols());
        if size != (n, columns.n_cols()) || found.entries().iter().any(|x| !x.is_finite()) {
            return Err(Fault::bad_input(format!("images of {n} rows that are not finite, or of size {size:?}")));
        }
        Ok(found)
    };
    Lanczos::new(run, n, k, &mut checked).solve()
}

struct Lanczos<'a> {
    run: &'a Run,
    n: usize,
    /// Multiplies the matrix with columns.
    multiply: &'a mut dyn FnMut(&Matrix) -> Result<Matrix>,
    k: usize,
    /// Orthogonal unit vectors: the rows.
    basis: Matrix,
    /// The products of the matrix with them.
    images: Vec<f64>,
    stream: Stream,
}

impl<'a> Lanczos<'a> {
    fn new(run: &'a Run, n: usize, k: usize, multiply: &'a mut dyn FnMut(&Matrix) -> Result<Matrix>) -> Self {
        Self { run, n, multiply, k, basis: Matrix::zeros(0, n), images: Vec::new(), stream: Stream::new(0, 0) }
    }

    fn size(&self) -> usize {
        self.basis.n_rows()
    }

    fn solve(mut self) -> Result<Eigen> {
        let n = self.n;
        let mut block: Vec<f64> = (0..BLOCK * n).map(|_| self.stream.normal()).collect();
        // Solving the projected problem costs more the larger it is: it is done at sizes that grow by a quarter.
        let mut next_look = (2 * self.k + 4 * BLOCK).min(n);
        loop {
            self.run.check()?;
            let grown = self.extend(&mut block)?;
            let complete = grown == 0 || self.size() == n;
            if self.size() >= next_look || complete {
                let (values, coefficients, residual) = self.project()?;
                if complete || residual <= TOLERANCE * values[0].abs() {
                    return Ok(Eigen { values, vectors: coefficients });
                }
                next_look = (next_look + (next_look / 4).max(BLOCK)).min(n);
            }
            // The next block: the images of the newest vectors.
            let newest = self.size() - grown;
            block.clear();
            block.extend_from_slice(&self.images[newest * n..]);
        }
    }

    /// Adds the part of a block that is orthogonal to the basis, and its images; the number of vectors added. What is
    /// exhausted is replaced by random directions.
    fn extend(&mut self, block: &mut Vec<f64>) -> Result<usize> {
        // Less than this share of a vector is left by rounding alone.
        const NOTHING: f64 = 1e-10;
        let n = self.n;
        let from = self.size();
        block.truncate((n - from) * n);
        let before: Vec<f64> = block.chunks_exact(n).map(|v| dot(v, v).sqrt()).collect();
        self.orthogonalise(block);
        let mut added: Vec<f64> = Vec::with_capacity(block.len());
        for (vector, before) in block.chunks_exact_mut(n).zip(before) {
            among(&added, vector);
            if !(dot(vector, vector).sqrt() > NOTHING * before) {
                vector.iter_mut().for_each(|x| *x = self.stream.normal());
                self.orthogonalise(vector);
                among(&added, vector);
            }
            let length = dot(vector, vector).sqrt();
            added.extend(vector.iter().map(|x| x / length));
        }
        let n_added = added.len() / n;
        let columns = Matrix::from_rows(n_added, n, added.clone()).transpose();
        let images = (self.multiply)(&columns)?;
        self.images.extend_from_slice(images.transpose().entries());
        let mut basis = std::mem::take(&mut self.basis).into_entries();
        basis.extend(added);
        self.basis = Matrix::from_rows(from + n_added, n, basis);
        Ok(n_added)
    }

    /// Takes from vectors, twice, what lies in the span of the basis.
    fn orthogonalise(&self, vectors: &mut [f64]) {
        let n = self.n;
        let m = self.size();
        if m == 0 {
            return;
        }
        for _ in 0..2 {
            let columns = Matrix::from_rows(vectors.len() / n, n, vectors.to_vec()).transpose();
            let mut along = Matrix::zeros(m, vectors.len() / n);
            product(self.basis.entries(), n, &columns, along.entries_mut());
            subtract_product(along.transpose().entries(), m, &self.basis, vectors);
        }
    }

    /// The largest eigenvalues of the projected matrix, their vectors, and the largest residual.
    fn project(&self) -> Result<(Vec<f64>, Matrix, f64)> {
        let (n, m) = (self.n, self.size());
        let basis = &self.basis;
        let images = Matrix::from_rows(m, n, self.images.clone());
        let projected = basis.times(&images.transpose());
        let (values, vectors) = symmetric_eigen(&projected)?;
        let mut coefficients = Matrix::zeros(self.k, m);
        for i in 0..self.k {
            (0..m).for_each(|j| coefficients[(i, j)] = vectors[(j, m - 1 - i)]);
        }
        let values: Vec<f64> = values.into_iter().rev().take(self.k).collect();
        let ritz = coefficients.times(basis);
        let mut residuals = coefficients.times(&images);
        for (i, value) in values.iter().enumerate() {
            residuals.row_mut(i).iter_mut().zip(ritz.row(i)).for_each(|(r, x)| *r -= value * x);
        }
        let largest = (0..self.k).map(|i| dot(residuals.row(i), residuals.row(i)).sqrt()).fold(0.0, f64::max);
        Ok((values, ritz, largest))
    }
}

/// Takes from a vector, twice, what lies along unit vectors.
fn among(units: &[f64], vector: &mut [f64]) {
    for _ in 0..2 {
        for unit in units.chunks_exact(vector.len()) {
            let along = dot(unit, vector);
            vector.iter_mut().zip(unit).for_each(|(x, q)| *x -= along * q);
        }
    }
}

/// Turns each row so that its entry of largest size is positive; of equal ones the first decides.
///
/// Eigenvectors have no sign of their own: this gives them one, in the way of scikit-learn since version 1.5.
pub fn fix_signs(vectors: &mut Matrix) {
    for i in 0..vectors.n_rows() {
        let row = vectors.row_mut(i);
        let largest = row.iter().fold(0.0_f64, |largest, &x| if x.abs() > largest.abs() { x } else { largest });
        if largest < 0.0 {
            row.iter_mut().for_each(|x| *x = -*x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix with known eigenvalues: a diagonal one, reflected.
    fn example(n: usize, value: impl Fn(usize) -> f64) -> Matrix {
        let mut stream = Stream::new(5, 0);
        let mut v: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let length = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|x| *x /= length);
        let values: Vec<f64> = (0..n).map(value).collect();
        let mut a = Matrix::zeros(n, n);
        let through: f64 = v.iter().zip(&values).map(|(v, d)| d * v * v).sum();
        for i in 0..n {
            for j in 0..n {
                let diagonal = if i == j { values[i] } else { 0.0 };
                a[(i, j)] = diagonal - 2.0 * v[i] * v[j] * (values[i] + values[j]) + 4.0 * through * v[i] * v[j];
            }
        }
        a
    }

    #[test]
    fn known_values_are_found_whatever_their_distances() -> Result<()> {
        let run = Run::new();
        // Far apart, and a dense bulk as noise has it.
        for value in [(|i: usize| 1.0 / (1 + i) as f64) as fn(usize) -> f64, |i| 3.0 - (i as f64 / 400.0).sqrt()] {
            let a = example(400, value);
            let found = largest_eigen(&run, &a, 20)?;
            for (i, x) in found.values.iter().enumerate() {
                assert!((x - value(i)).abs() < 1e-12, "{i}: {x}");
                let image = a.times(&Matrix::from_rows(400, 1, found.vectors.row(i).to_vec()));
                let residual: Vec<f64> =
                    image.entries().iter().zip(found.vectors.row(i)).map(|(y, v)| y - x * v).collect();
                assert!(dot(&residual, &residual).sqrt() <= 3.0 * TOLERANCE);
            }
            assert_eq!(largest_eigen(&run, &a, 20)?, found);
        }
        Ok(())
    }

    #[test]
    fn a_matrix_that_is_not_there_has_the_same() -> Result<()> {
        let run = Run::new();
        let a = example(400, |i| 1.0 / (1 + i) as f64);
        let mut calls = 0;
        let found = largest_eigen_of(&run, 400, 20, &mut |columns| {
            calls += 1;
            assert!(columns.n_cols() <= BLOCK);
            Ok(a.times(columns))
        })?;
        for (x, expected) in found.values.iter().zip(largest_eigen(&run, &a, 20)?.values) {
            assert!((x - expected).abs() < 1e-13);
        }
        assert!(calls < 20, "{calls}");
        let small = example(7, |i| i as f64);
        assert!((largest_eigen_of(&run, 7, 2, &mut |c| Ok(small.times(c)))?.values[1] - 5.0).abs() < 1e-13);
        assert!(largest_eigen_of(&run, 7, 8, &mut |c| Ok(small.times(c))).is_err());
        assert!(largest_eigen_of(&run, 300, 2, &mut |_| Ok(Matrix::zeros(2, 2))).is_err());
        assert!(largest_eigen_of(&run, 7, 2, &mut |_| Err(Fault::internal("no"))).is_err());
        Ok(())
    }

    #[test]
    fn few_distinct_values_exhaust_the_space() -> Result<()> {
        let a = example(300, |i| if i < 3 { 5.0 } else { 1.0 });
        let found = largest_eigen(&Run::new(), &a, 5)?;
        for (x, expected) in found.values.iter().zip([5.0, 5.0, 5.0, 1.0, 1.0]) {
            assert!((x - expected).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn small_matrices_and_impossible_ones() -> Result<()> {
        let found = largest_eigen(&Run::new(), &example(7, |i| i as f64), 7)?;
        for (x, expected) in found.values.iter().zip([6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]) {
            assert!((x - expected).abs() < 1e-13);
        }
        assert!(largest_eigen(&Run::new(), &Matrix::zeros(3, 3), 4).is_err());
        let mut broken = Matrix::zeros(200, 200);
        broken[(3, 4)] = f64::NAN;
        assert!(largest_eigen(&Run::new(), &broken, 2).is_err());
        Ok(())
    }

    #[test]
    fn signs() {
        let mut vectors = Matrix::from_rows(2, 3, vec![0.1, -2.0, 1.0, -0.5, 0.5, 0.2]);
        fix_signs(&mut vectors);
        assert_eq!(vectors.entries(), [-0.1, 2.0, -1.0, 0.5, -0.5, -0.2]);
    }
}
