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
    /// The matrix projected on them: the lower triangle.
    projected: Matrix,
    stream: Stream,
}

/// Vectors from which the basis goes on.
struct Next {
    /// One after the other, orthogonal to the basis: what is left of the images of the newest vectors.
    vectors: Vec<f64>,
    /// Their lengths before they were made orthogonal.
    lengths: Vec<f64>,
}

impl<'a> Lanczos<'a> {
    fn new(run: &'a Run, n: usize, k: usize, multiply: &'a mut dyn FnMut(&Matrix) -> Result<Matrix>) -> Self {
        let (basis, projected) = (Matrix::zeros(0, n), Matrix::default());
        Self { run, n, multiply, k, basis, projected, stream: Stream::new(0, 0) }
    }

    fn size(&self) -> usize {
        self.basis.n_rows()
    }

    fn solve(mut self) -> Result<Eigen> {
        let n = self.n;
        let vectors: Vec<f64> = (0..BLOCK * n).map(|_| self.stream.normal()).collect();
        let mut next = Next { lengths: lengths(&vectors, n), vectors };
        // Solving the projected problem costs more the larger it is: sizes at which it is done grow by at most a quarter.
        let mut next_look = (2 * self.k + 4 * BLOCK).min(n);
        let mut before: Option<(usize, f64)> = None;
        loop {
            self.run.check()?;
            let grown = self.extend(next)?;
            next = grown.1;
            let m = self.size();
            let complete = grown.0 == 0 || m == n;
            if m >= next_look || complete {
                let (values, coefficients) = self.project()?;
                let (residual, enough) = (self.residual(&coefficients, &next), TOLERANCE * values[0].abs());
                if complete || residual <= enough {
                    return Ok(Eigen { values, vectors: coefficients.times(&self.basis) });
                }
                let needed = before.map_or(usize::MAX, |before| size_needed(before, (m, residual), enough));
                next_look = needed.clamp(m + 1, m + (m / 4).max(BLOCK)).min(n);
                before = Some((m, residual));
            }
        }
    }

    /// Adds vectors to the basis, and to the projected matrix; how many, and what is left of their images. What is
    /// exhausted is replaced by random directions.
    fn extend(&mut self, next: Next) -> Result<(usize, Next)> {
        // Less than this share of a vector is left by rounding alone.
        const NOTHING: f64 = 1e-10;
        let n = self.n;
        let from = self.size();
        let Next { vectors: mut block, lengths: before } = next;
        block.truncate((n - from) * n);
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
        let mut images = (self.multiply)(&columns)?.transpose().into_entries();
        let mut basis = std::mem::take(&mut self.basis).into_entries();
        basis.extend(added);
        let m = from + n_added;
        self.basis = Matrix::from_rows(m, n, basis);
        let lengths = lengths(&images, n);
        let along = self.orthogonalise(&mut images);
        let mut projected = Matrix::zeros(m, m);
        for i in 0..from {
            projected.row_mut(i)[..from].copy_from_slice(self.projected.row(i));
        }
        for j in 0..n_added {
            (0..=from + j).for_each(|i| projected[(from + j, i)] = along[(i, j)]);
        }
        self.projected = projected;
        Ok((n_added, Next { vectors: images, lengths }))
    }

    /// Takes from vectors, twice, what lies in the span of the basis. What that was at first: basis × vectors.
    fn orthogonalise(&self, vectors: &mut [f64]) -> Matrix {
        let n = self.n;
        let (m, n_vectors) = (self.size(), vectors.len() / n);
        let mut first = Matrix::zeros(m, n_vectors);
        if m == 0 || n_vectors == 0 {
            return first;
        }
        for time in 0..2 {
            let columns = Matrix::from_rows(n_vectors, n, vectors.to_vec()).transpose();
            let mut along = Matrix::zeros(m, n_vectors);
            product(self.basis.entries(), n, &columns, along.entries_mut());
            subtract_product(along.transpose().entries(), m, &self.basis, vectors);
            if time == 0 {
                first = along;
            }
        }
        first
    }

    /// The largest eigenvalues of the projected matrix, and their vectors in terms of the basis.
    fn project(&self) -> Result<(Vec<f64>, Matrix)> {
        let m = self.size();
        let (values, vectors) = symmetric_eigen(&self.projected)?;
        let mut coefficients = Matrix::zeros(self.k, m);
        for i in 0..self.k {
            (0..m).for_each(|j| coefficients[(i, j)] = vectors[(j, m - 1 - i)]);
        }
        Ok((values.into_iter().rev().take(self.k).collect(), coefficients))
    }

    /// The largest residual: of the images of all vectors but the newest nothing is left outside the basis, so that it is
    /// made of what is left of theirs.
    fn residual(&self, coefficients: &Matrix, left: &Next) -> f64 {
        let n_left = left.lengths.len();
        let left = Matrix::from_rows(n_left, self.n, left.vectors.clone());
        let squares = left.times(&left.transpose());
        let of = |i: usize| {
            let newest = &coefficients.row(i)[self.size() - n_left..];
            (0..n_left).map(|j| newest[j] * dot(newest, squares.row(j))).sum::<f64>().max(0.0).sqrt()
        };
        (0..self.k).map(of).fold(0.0, f64::max)
    }
}

/// The lengths of vectors of `n` numbers.
fn lengths(vectors: &[f64], n: usize) -> Vec<f64> {
    vectors.chunks_exact(n).map(|v| dot(v, v).sqrt()).collect()
}

/// The size of the basis with which residuals are at most `enough`, should they go on to fall as they did between two
/// sizes.
fn size_needed(before: (usize, f64), now: (usize, f64), enough: f64) -> usize {
    let fall = (before.1 / now.1).ln() / (now.0 - before.0) as f64;
    let more = (now.1 / enough).ln() / fall;
    if fall > 0.0 && more.is_finite() { now.0 + more.ceil() as usize } else { usize::MAX }
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
