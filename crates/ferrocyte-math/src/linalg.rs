//! Dense linear algebra on row-major slices. The only file that calls faer.
//!
//! Products and factorisations here give the same bits for any number of threads: each call runs on one thread,
//! and callers divide their genes into fixed blocks.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{Accum, Mat, MatMut, MatRef, Par, Spec};
use ferrocyte_base::{Fault, Result};

/// A dense matrix, row-major, that owns its entries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    n_rows: usize,
    n_cols: usize,
    entries: Vec<f64>,
}

impl Matrix {
    /// A matrix of zeros.
    pub fn zeros(n_rows: usize, n_cols: usize) -> Self {
        Self { n_rows, n_cols, entries: vec![0.0; n_rows * n_cols] }
    }

    /// A matrix from row-major entries.
    ///
    /// # Panics
    /// When their number is not `n_rows * n_cols`: a mistake in the code, not in data.
    pub fn from_rows(n_rows: usize, n_cols: usize, entries: Vec<f64>) -> Self {
        assert_eq!(entries.len(), n_rows * n_cols, "entries of a {n_rows} x {n_cols} matrix");
        Self { n_rows, n_cols, entries }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// All entries, row by row.
    pub fn entries(&self) -> &[f64] {
        &self.entries
    }

    /// All entries, row by row, to be changed.
    pub fn entries_mut(&mut self) -> &mut [f64] {
        &mut self.entries
    }

    /// The entries, row by row, given away.
    pub fn into_entries(self) -> Vec<f64> {
        self.entries
    }

    /// Row `i`.
    #[inline]
    pub fn row(&self, i: usize) -> &[f64] {
        &self.entries[i * self.n_cols..(i + 1) * self.n_cols]
    }

    /// Row `i`, to be changed.
    #[inline]
    pub fn row_mut(&mut self, i: usize) -> &mut [f64] {
        &mut self.entries[i * self.n_cols..(i + 1) * self.n_cols]
    }

    /// The diagonal.
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.n_rows.min(self.n_cols)).map(|i| self[(i, i)]).collect()
    }

    /// The transpose.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let mut out = Self::zeros(self.n_cols, self.n_rows);
        for i in 0..self.n_rows {
            for (j, &x) in self.row(i).iter().enumerate() {
                out.entries[j * self.n_rows + i] = x;
            }
        }
        out
    }

    /// `self · other`.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        let mut out = Self::zeros(self.n_rows, other.n_cols);
        product(&self.entries, self.n_cols, other, &mut out.entries);
        out
    }

    /// The matrix, borrowed.
    pub fn borrowed(&self) -> MatrixRef<'_> {
        MatrixRef { n_rows: self.n_rows, n_cols: self.n_cols, entries: &self.entries }
    }

    fn view(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.entries, self.n_rows, self.n_cols)
    }
}

/// A dense matrix, row-major, that borrows its entries: those of a [`Matrix`], or of an array elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatrixRef<'a> {
    n_rows: usize,
    n_cols: usize,
    entries: &'a [f64],
}

impl<'a> MatrixRef<'a> {
    /// A matrix over row-major entries.
    ///
    /// # Panics
    /// When their number is not `n_rows * n_cols`: a mistake in the code, not in data.
    pub fn from_rows(n_rows: usize, n_cols: usize, entries: &'a [f64]) -> Self {
        assert_eq!(entries.len(), n_rows * n_cols, "entries of a {n_rows} x {n_cols} matrix");
        Self { n_rows, n_cols, entries }
    }

    /// Number of rows.
    pub fn n_rows(self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn n_cols(self) -> usize {
        self.n_cols
    }

    /// All entries, row by row.
    pub fn entries(self) -> &'a [f64] {
        self.entries
    }

    /// Row `i`.
    #[inline]
    pub fn row(self, i: usize) -> &'a [f64] {
        &self.entries[i * self.n_cols..(i + 1) * self.n_cols]
    }
}

impl std::ops::Index<(usize, usize)> for Matrix {
    type Output = f64;
    #[inline]
    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.entries[i * self.n_cols + j]
    }
}

impl std::ops::IndexMut<(usize, usize)> for Matrix {
    #[inline]
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.entries[i * self.n_cols + j]
    }
}

/// `out = rows · b`, where `rows` is row-major with `n_cols` columns and `out` row-major with those of `b`.
pub fn product(rows: &[f64], n_cols: usize, b: &Matrix, out: &mut [f64]) {
    debug_assert_eq!(n_cols, b.n_rows);
    if out.is_empty() {
        return;
    }
    let n_rows = out.len() / b.n_cols;
    debug_assert_eq!(rows.len(), n_rows * n_cols);
    debug_assert_eq!(out.len(), n_rows * b.n_cols);
    if n_cols == 0 {
        out.fill(0.0);
        return;
    }
    let a = MatRef::from_row_major_slice(rows, n_rows, n_cols);
    let c = MatMut::from_row_major_slice_mut(out, n_rows, b.n_cols);
    matmul(c, Accum::Replace, a, b.view(), 1.0, Par::Seq);
}

/// `out = out - rows · b`, with the shapes of [`product`].
pub fn subtract_product(rows: &[f64], n_cols: usize, b: &Matrix, out: &mut [f64]) {
    debug_assert_eq!(n_cols, b.n_rows);
    if out.is_empty() || n_cols == 0 {
        return;
    }
    let n_rows = out.len() / b.n_cols;
    debug_assert_eq!(rows.len(), n_rows * n_cols);
    let a = MatRef::from_row_major_slice(rows, n_rows, n_cols);
    let c = MatMut::from_row_major_slice_mut(out, n_rows, b.n_cols);
    matmul(c, Accum::Add, a, b.view(), -1.0, Par::Seq);
}

/// `out = a'b` for two row-major arrays with the same number of rows: `a` with the rows of `out` for columns, `b` with
/// its columns.
pub fn cross_product(a: &[f64], b: &[f64], out: &mut Matrix) {
    let (columns_a, columns_b) = (out.n_rows, out.n_cols);
    if out.entries.is_empty() {
        return;
    }
    let n_rows = a.len() / columns_a;
    debug_assert_eq!(a.len(), n_rows * columns_a);
    debug_assert_eq!(b.len(), n_rows * columns_b);
    if n_rows == 0 {
        out.entries.fill(0.0);
        return;
    }
    let a = MatRef::from_row_major_slice(a, n_rows, columns_a);
    let b = MatRef::from_row_major_slice(b, n_rows, columns_b);
    let c = MatMut::from_row_major_slice_mut(&mut out.entries, columns_a, columns_b);
    matmul(c, Accum::Replace, a.transpose(), b, 1.0, Par::Seq);
}

/// `out = a b'` in single precision, for two row-major arrays with rows of `width` numbers; `out` has a row for each row
/// of `a` and a column for each row of `b`.
///
/// The last digits depend on the instructions of the processor: for what is looked at again in double precision.
pub fn product_of_rows(a: &[f32], b: &[f32], width: usize, out: &mut [f32]) {
    if out.is_empty() || width == 0 {
        out.fill(0.0);
        return;
    }
    let (n_a, n_b) = (a.len() / width, b.len() / width);
    debug_assert_eq!(out.len(), n_a * n_b);
    let a = MatRef::from_row_major_slice(a, n_a, width);
    let b = MatRef::from_row_major_slice(b, n_b, width);
    let c = MatMut::from_row_major_slice_mut(out, n_a, n_b);
    matmul(c, Accum::Replace, a, b.transpose(), 1.0, Par::Seq);
}

/// `out = a b` in single precision, for two row-major arrays, `a` with `width` columns and `b` with as many rows; see
/// [`product_of_rows`]. The faster of the two, where many short arrays are multiplied with the same `b`.
pub fn product_single(a: &[f32], b: &[f32], width: usize, out: &mut [f32]) {
    if out.is_empty() || width == 0 {
        out.fill(0.0);
        return;
    }
    let (n_a, n_b) = (a.len() / width, b.len() / width);
    debug_assert_eq!(out.len(), n_a * n_b);
    let a = MatRef::from_row_major_slice(a, n_a, width);
    let b = MatRef::from_row_major_slice(b, width, n_b);
    let c = MatMut::from_row_major_slice_mut(out, n_a, n_b);
    matmul(c, Accum::Replace, a, b, 1.0, Par::Seq);
}

/// A block of a larger row-major matrix, or its transpose.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    entries: &'a [f64],
    n_rows: usize,
    n_cols: usize,
    stride: usize,
    transposed: bool,
}

impl<'a> Block<'a> {
    /// The block whose first row begins with `entries`, each next row `stride` numbers further on.
    pub fn new(entries: &'a [f64], n_rows: usize, n_cols: usize, stride: usize) -> Self {
        Self { entries, n_rows, n_cols, stride, transposed: false }
    }

    /// Its first columns.
    #[must_use]
    pub fn columns(self, n_cols: usize) -> Self {
        Self { n_cols: n_cols.min(self.n_cols), ..self }
    }

    /// Its transpose.
    #[must_use]
    pub fn transpose(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    fn view(self) -> MatRef<'a, f64> {
        let view = MatRef::from_row_major_slice_with_stride(self.entries, self.n_rows, self.n_cols, self.stride);
        if self.transposed { view.transpose() } else { view }
    }
}

/// Rows that begin `stride` numbers apart. Not by the library's function of this purpose: its 0.24.4 takes the stride for
/// that of columns, and reaches beyond the slice.
fn rows_mut(entries: &mut [f64], n_rows: usize, n_cols: usize, stride: usize) -> MatMut<'_, f64> {
    MatMut::from_column_major_slice_with_stride_mut(entries, n_cols, n_rows, stride).transpose_mut()
}

/// `out = out + factor · a b`, where the rows of `out` begin `stride` numbers apart and are as long as those of `b`.
pub fn add_block_product(out: &mut [f64], stride: usize, factor: f64, a: Block<'_>, b: Block<'_>) {
    let (a, b) = (a.view(), b.view());
    if a.nrows() == 0 || a.ncols() == 0 || b.ncols() == 0 {
        return;
    }
    let c = rows_mut(out, a.nrows(), b.ncols(), stride);
    matmul(c, Accum::Add, a, b, factor, Par::Seq);
}

/// Solves `L X = B` (or `L' X = B`) in place: `L` the lower triangle of `factor`, `rows` row-major with `width` columns.
pub fn solve_triangular(factor: Block<'_>, transposed: bool, rows: &mut [f64], width: usize) {
    let n = factor.n_rows;
    if n == 0 || width == 0 {
        return;
    }
    let rhs = MatMut::from_row_major_slice_mut(rows, n, width);
    if transposed {
        solve_upper_triangular_in_place(factor.view().transpose(), rhs, Par::Seq);
    } else {
        solve_lower_triangular_in_place(factor.view(), rhs, Par::Seq);
    }
}

/// `X = B L'⁻¹` in place for the rows of `B`, which begin `stride` numbers apart: `L` is the lower triangle of `factor`.
pub fn divide_rows(factor: Block<'_>, rows: &mut [f64], n_rows: usize, stride: usize) {
    if n_rows == 0 {
        return;
    }
    let rhs = rows_mut(rows, n_rows, factor.n_rows, stride);
    solve_lower_triangular_in_place(factor.view(), rhs.transpose_mut(), Par::Seq);
}

/// The dot product, added in order within eight interleaved sums: fast, and the same bits everywhere.
#[inline]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let (chunks_a, chunks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: f64 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for l in 0..8 {
            lanes[l] += x[l] * y[l];
        }
    }
    lanes.iter().sum::<f64>() + tail
}

/// Eigenvalues (rising) and eigenvectors (columns) of a symmetric matrix; only its lower triangle is read.
pub fn symmetric_eigen(a: &Matrix) -> Result<(Vec<f64>, Matrix)> {
    let n = a.n_rows;
    if a.entries.iter().any(|x| !x.is_finite()) {
        return Err(Fault::internal(format!("a {n} x {n} matrix with entries that are not finite has no eigenvalues")));
    }
    let mut values = faer::diag::Diag::<f64>::zeros(n);
    let mut vectors = Mat::<f64>::zeros(n, n);
    let mut memory =
        MemBuffer::new(self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Spec::default()));
    self_adjoint_evd(
        a.view(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Spec::default(),
    )
    .map_err(|e| Fault::internal(format!("the eigenvalues of a {n} x {n} matrix did not converge: {e:?}")))?;
    let mut out = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            out[(i, j)] = vectors[(i, j)];
        }
    }
    let values = (0..n).map(|i| values.column_vector()[i]).collect();
    Ok((values, out))
}

/// Lower Cholesky factor of a symmetric matrix (its lower triangle is read), in place; the upper triangle is not
/// touched. Fails with the index of the first pivot that is not positive.
pub fn cholesky_in_place(a: &mut Matrix) -> std::result::Result<(), usize> {
    let n = a.n_rows;
    for j in 0..n {
        for i in j..n {
            let (head, tail) = a.entries.split_at(i * n);
            let row_i = &tail[..j];
            let sum = if i == j { dot(row_i, row_i) } else { dot(row_i, &head[j * n..j * n + j]) };
            let value = a.entries[i * n + j] - sum;
            if i == j {
                // Also catches NaN.
                if !(value > 0.0) {
                    return Err(j);
                }
                a.entries[j * n + j] = value.sqrt();
            } else {
                a.entries[i * n + j] = value / a.entries[j * n + j];
            }
        }
    }
    Ok(())
}

/// Solves `L x = b` in place, `L` the lower triangle of `factor`.
pub fn solve_lower(factor: &Matrix, b: &mut [f64]) {
    let n = factor.n_rows;
    for i in 0..n {
        let row = factor.row(i);
        b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
    }
}

/// Solves `L' x = b` in place, `L` the lower triangle of `factor`.
pub fn solve_lower_transposed(factor: &Matrix, b: &mut [f64]) {
    let n = factor.n_rows;
    for i in (0..n).rev() {
        b[i] /= factor[(i, i)];
        let x = b[i];
        for (bj, l) in b[..i].iter_mut().zip(&factor.row(i)[..i]) {
            *bj -= l * x;
        }
    }
}

/// The inverse of a symmetric positive definite matrix whose rows may have very different scales.
///
/// The matrix is first scaled to a unit diagonal, so that units of covariates do not matter. Fails with the index
/// of the first row that depends on those before it, within `tolerance` of the unit diagonal.
pub fn scaled_inverse(a: &Matrix, tolerance: f64) -> std::result::Result<Matrix, usize> {
    let n = a.n_rows;
    let mut scale = Vec::with_capacity(n);
    for i in 0..n {
        // Also catches NaN.
        if !(a[(i, i)] > 0.0) {
            return Err(i);
        }
        scale.push(1.0 / a[(i, i)].sqrt());
    }
    let mut factor = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            factor[(i, j)] = a[(i, j)] * scale[i] * scale[j];
        }
    }
    cholesky_in_place(&mut factor)?;
    if let Some(i) = (0..n).find(|&i| factor[(i, i)] * factor[(i, i)] <= tolerance) {
        return Err(i);
    }
    let mut inverse = Matrix::zeros(n, n);
    let mut column = vec![0.0; n];
    for j in 0..n {
        column.fill(0.0);
        column[j] = 1.0;
        solve_lower(&factor, &mut column);
        solve_lower_transposed(&factor, &mut column);
        for i in 0..n {
            inverse[(i, j)] = column[i] * scale[i] * scale[j];
        }
    }
    // The two triangles differ in their last bits: take their mean, so that it is symmetric.
    for i in 0..n {
        for j in 0..i {
            let mean = 0.5 * (inverse[(i, j)] + inverse[(j, i)]);
            inverse[(i, j)] = mean;
            inverse[(j, i)] = mean;
        }
    }
    Ok(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(n: usize) -> Matrix {
        let mut a = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                a[(i, j)] = 1.0 / (1.0 + i as f64 + j as f64) + if i == j { 0.5 } else { 0.0 };
            }
        }
        a
    }

    fn assert_close(a: &Matrix, b: &Matrix, tolerance: f64) {
        for (x, y) in a.entries().iter().zip(b.entries()) {
            assert!((x - y).abs() <= tolerance * (1.0 + y.abs()), "{x} {y}");
        }
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() -> Result<()> {
        let a = example(13);
        let (values, vectors) = symmetric_eigen(&a)?;
        assert!(values.windows(2).all(|w| w[0] <= w[1]));
        let mut scaled = vectors.clone();
        for i in 0..13 {
            for (x, v) in scaled.row_mut(i).iter_mut().zip(&values) {
                *x *= v;
            }
        }
        assert_close(&scaled.times(&vectors.transpose()), &a, 1e-13);
        Ok(())
    }

    #[test]
    fn a_cross_product_is_the_product_with_the_transpose() {
        let (a, b) = (example(9), example(9));
        let mut out = Matrix::zeros(3, 9);
        let left: Vec<f64> = (0..9).flat_map(|i| a.row(i)[..3].to_vec()).collect();
        cross_product(&left, b.entries(), &mut out);
        let expected = Matrix::from_rows(9, 3, left).transpose().times(&b);
        assert_close(&out, &expected, 1e-14);
        cross_product(&[], &[], &mut out);
        assert!(out.entries().iter().all(|&x| x == 0.0));
    }

    #[test]
    fn what_a_product_leaves() {
        let (a, b) = (example(7), example(7));
        let mut left = a.times(&b);
        subtract_product(a.entries(), 7, &b, left.entries_mut());
        assert_close(&left, &Matrix::zeros(7, 7), 1e-15);
    }

    #[test]
    fn cholesky_rebuilds_the_matrix() {
        let a = example(11);
        let mut factor = a.clone();
        assert_eq!(cholesky_in_place(&mut factor), Ok(()));
        for i in 0..11 {
            for j in i + 1..11 {
                factor[(i, j)] = 0.0;
            }
        }
        assert_close(&factor.times(&factor.transpose()), &a, 1e-14);
    }

    #[test]
    fn the_inverse_does_not_mind_units() {
        let mut a = example(6);
        let units = [1.0, 1e9, 1e-6, 1e3, 1.0, 1e12];
        for i in 0..6 {
            for j in 0..6 {
                a[(i, j)] *= units[i] * units[j];
            }
        }
        let inverse = scaled_inverse(&a, 1e-10);
        let plain = scaled_inverse(&example(6), 1e-10);
        assert!(inverse.is_ok() && plain.is_ok());
        let (inverse, plain) = (inverse.unwrap_or_default(), plain.unwrap_or_default());
        for i in 0..6 {
            for j in 0..6 {
                let scaled = inverse[(i, j)] * units[i] * units[j];
                assert!((scaled - plain[(i, j)]).abs() <= 1e-12 * plain[(i, j)].abs().max(1.0));
            }
        }
    }

    #[test]
    fn a_dependent_row_is_named() {
        let a = Matrix::from_rows(3, 3, vec![1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0]);
        assert_eq!(scaled_inverse(&a, 1e-10), Err(2));
    }
}
