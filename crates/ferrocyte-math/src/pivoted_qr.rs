//! [`PivotedQr`]: Householder QR that moves dependent columns to the end and leaves the others in their order.
//!
//! Columns are taken in order. One whose norm, once those before it are taken away, is below a tolerance times what it
//! was, depends on them: it goes to the end. So the first of some dependent columns are kept, as R's `lm` does ("limited
//! column pivoting"), and the rank is the number of columns kept.
//!
//! A decomposition owns its memory and may be used again and again: [`PivotedQr::factor`] allocates only when it
//! grows.

use crate::linalg::{Matrix, dot};

/// What is left of a column below this share of its norm is rounding: R's `qr(tol = 1e-7)`.
pub const TOLERANCE: f64 = 1e-7;

/// Share of a column's norm below which one of its entries is rounding.
const ROUNDING: f64 = 1e-13;

/// `X P = Q R` of an n × p matrix, with rank r: Q as r reflections, R upper triangular r × r.
#[derive(Debug, Clone, Default)]
pub struct PivotedQr {
    n_rows: usize,
    n_cols: usize,
    /// Columns one after the other, in the order of `pivot`: R on and above the diagonal, reflections below.
    columns: Vec<f64>,
    /// First entries of the reflections, whose places R takes.
    heads: Vec<f64>,
    pivot: Vec<usize>,
    rank: usize,
}

impl PivotedQr {
    /// The decomposition of a matrix, with [`TOLERANCE`].
    pub fn new(x: &Matrix) -> Self {
        let mut qr = Self::default();
        qr.factor(x.n_rows(), x.n_cols(), |j, column| {
            for (i, value) in column.iter_mut().enumerate() {
                *value = x[(i, j)];
            }
        });
        qr
    }

    /// Decomposes an `n_rows` × `n_cols` matrix, whose column `j` is written by `fill(j, column)`.
    pub fn factor(&mut self, n_rows: usize, n_cols: usize, mut fill: impl FnMut(usize, &mut [f64])) {
        (self.n_rows, self.n_cols, self.rank) = (n_rows, n_cols, 0);
        self.columns.clear();
        self.columns.resize(n_rows * n_cols, 0.0);
        self.pivot.clear();
        self.pivot.extend(0..n_cols);
        self.heads.clear();
        if n_rows == 0 {
            return;
        }
        for (j, column) in self.columns.chunks_exact_mut(n_rows).enumerate() {
            fill(j, column);
        }
        let mut candidates = n_cols;
        while self.rank < candidates.min(n_rows) {
            if !self.eliminate() {
                // To the end, after those that went before it.
                self.columns[self.rank * n_rows..].rotate_left(n_rows);
                self.pivot[self.rank..].rotate_left(1);
                candidates -= 1;
            }
        }
    }

    /// Makes the next column zero below the diagonal; `false` if it depends on those before it.
    fn eliminate(&mut self) -> bool {
        let (n, k) = (self.n_rows, self.rank);
        let (done, rest) = self.columns.split_at_mut((k + 1) * n);
        let column = &mut done[k * n..];
        let (above, tail) = column.split_at_mut(k);
        let (explained, left) = (dot(above, above), dot(tail, tail));
        // Also catches a column of zeros, and NaN.
        if !(left > TOLERANCE * TOLERANCE * (explained + left)) {
            return false;
        }
        // x + sign(x_1) |x| e_1, divided by its length over the root of 2: the reflection is then I - v v'.
        // An x_1 that is zero but for rounding counts as zero, so that the basis does not hang on rounding.
        let zero = tail[0].abs() <= ROUNDING * (explained + left).sqrt();
        let norm = left.sqrt().copysign(if zero { 1.0 } else { tail[0] });
        let scale = 1.0 / (left + norm * tail[0]).sqrt();
        tail[0] += norm;
        for v in tail.iter_mut() {
            *v *= scale;
        }
        for other in rest.chunks_exact_mut(n) {
            reflect(tail, &mut other[k..]);
        }
        self.heads.push(tail[0]);
        tail[0] = -norm;
        self.rank += 1;
        true
    }

    /// Number of independent columns, r.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The columns kept, in their order, then the others.
    pub fn pivot(&self) -> &[usize] {
        &self.pivot
    }

    /// Whether every column is independent of the others.
    pub fn is_full_rank(&self) -> bool {
        self.rank == self.n_cols
    }

    /// Turns `y` into Q'y: the first r entries belong to the columns, the others are residual effects.
    pub fn apply_transposed(&self, y: &mut [f64]) {
        for k in 0..self.rank {
            self.reflect_with(k, y);
        }
    }

    /// Turns `y` into Qy.
    pub fn apply(&self, y: &mut [f64]) {
        for k in (0..self.rank).rev() {
            self.reflect_with(k, y);
        }
    }

    fn reflect_with(&self, k: usize, y: &mut [f64]) {
        let below = &self.columns[k * self.n_rows + k + 1..(k + 1) * self.n_rows];
        let head = self.heads[k];
        let (first, rest) = y[k..].split_at_mut(1);
        let along = head * first[0] + dot(below, rest);
        first[0] -= along * head;
        for (y, v) in rest.iter_mut().zip(below) {
            *y -= along * v;
        }
    }

    /// Entry (i, j) of R, `i <= j < r`.
    #[inline]
    pub fn r(&self, i: usize, j: usize) -> f64 {
        self.columns[j * self.n_rows + i]
    }

    /// Solves `R b = effects` in place, for the first r entries.
    pub fn solve(&self, effects: &mut [f64]) {
        for j in (0..self.rank).rev() {
            effects[j] /= self.r(j, j);
            let x = effects[j];
            for i in 0..j {
                effects[i] -= self.r(i, j) * x;
            }
        }
    }

    /// The inverse of R, upper triangular r × r.
    pub fn r_inverse(&self) -> Matrix {
        let r = self.rank;
        let mut inverse = Matrix::zeros(r, r);
        let mut column = vec![0.0; r];
        for j in 0..r {
            column.fill(0.0);
            column[j] = 1.0;
            self.solve(&mut column);
            for i in 0..=j {
                inverse[(i, j)] = column[i];
            }
        }
        inverse
    }

    /// The inverse of X'X over the columns kept, r × r in the order of [`Self::pivot`].
    pub fn covariance(&self) -> Matrix {
        let inverse = self.r_inverse();
        let r = self.rank;
        let mut covariance = Matrix::zeros(r, r);
        for i in 0..r {
            for j in 0..=i {
                let value = dot(&inverse.row(i)[i..], &inverse.row(j)[i..]);
                covariance[(i, j)] = value;
                covariance[(j, i)] = value;
            }
        }
        covariance
    }

    /// The first r columns of Q: an orthonormal basis of the columns of X, n × r.
    pub fn basis(&self) -> Matrix {
        self.columns_of_q(0..self.rank)
    }

    /// The other columns of Q: an orthonormal basis of what X leaves, n × (n - r).
    pub fn complement(&self) -> Matrix {
        self.columns_of_q(self.rank..self.n_rows)
    }

    fn columns_of_q(&self, which: std::ops::Range<usize>) -> Matrix {
        let mut q = Matrix::zeros(self.n_rows, which.len());
        let mut column = vec![0.0; self.n_rows];
        for (k, j) in which.enumerate() {
            column.fill(0.0);
            column[j] = 1.0;
            self.apply(&mut column);
            for (i, &value) in column.iter().enumerate() {
                q[(i, k)] = value;
            }
        }
        q
    }
}

/// Takes from `y` twice its part along a reflection of squared length 2.
#[inline]
fn reflect(v: &[f64], y: &mut [f64]) {
    let along = dot(v, y);
    for (y, v) in y.iter_mut().zip(v) {
        *y -= along * v;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Matrix {
        let rows = [[1.0, 2.0, 3.0, 0.5], [1.0, -1.0, 0.0, 2.0], [1.0, 0.0, 1.0, -1.0], [1.0, 4.0, 5.0, 0.0]];
        Matrix::from_rows(4, 4, rows.concat())
    }

    #[test]
    fn a_dependent_column_goes_to_the_end() {
        // Column 2 is the sum of the first two.
        let qr = PivotedQr::new(&example());
        assert_eq!((qr.rank(), qr.pivot()), (3, [0, 1, 3, 2].as_slice()));
        assert!(!qr.is_full_rank());
        let zeros = PivotedQr::new(&Matrix::zeros(3, 2));
        assert_eq!((zeros.rank(), zeros.pivot()), (0, [0, 1].as_slice()));
        let wide = PivotedQr::new(&Matrix::from_rows(1, 3, vec![0.0, 2.0, 1.0]));
        assert_eq!((wide.rank(), wide.pivot()), (1, [1, 2, 0].as_slice()));
    }

    #[test]
    fn units_do_not_matter() {
        let mut x = example();
        for i in 0..4 {
            x[(i, 1)] *= 1e-12;
            x[(i, 3)] *= 1e12;
        }
        // The third column is no longer the sum of the first two, but still a combination of them.
        assert_eq!(PivotedQr::new(&x).pivot(), [0, 1, 3, 2]);
    }

    #[test]
    fn q_and_r_rebuild_the_columns() {
        let x = example();
        let qr = PivotedQr::new(&x);
        let (basis, complement) = (qr.basis(), qr.complement());
        for (k, &j) in qr.pivot()[..3].iter().enumerate() {
            for i in 0..4 {
                let rebuilt: f64 = (0..=k).map(|l| basis[(i, l)] * qr.r(l, k)).sum();
                assert!((rebuilt - x[(i, j)]).abs() < 1e-14);
            }
            let across: f64 = (0..4).map(|i| complement[(i, 0)] * x[(i, j)]).sum();
            assert!(across.abs() < 1e-14);
        }
        let mut y = [1.0, -2.0, 0.5, 3.0];
        qr.apply_transposed(&mut y);
        qr.apply(&mut y);
        assert!(y.iter().zip([1.0, -2.0, 0.5, 3.0]).all(|(a, b)| (a - b).abs() < 1e-14));
    }

    #[test]
    fn least_squares_leave_nothing_along_the_columns() {
        let x = example();
        let mut qr = PivotedQr::default();
        // Memory of another size is used again.
        qr.factor(9, 2, |_, column| column.fill(1.0));
        qr.factor(4, 4, |j, column| (0..4).for_each(|i| column[i] = x[(i, j)]));
        let y = [0.3, 1.0, -2.0, 0.7];
        let mut effects = y;
        qr.apply_transposed(&mut effects);
        qr.solve(&mut effects);
        let kept = &qr.pivot()[..3];
        let residual = |i: usize| y[i] - kept.iter().zip(&effects).map(|(&j, b)| x[(i, j)] * b).sum::<f64>();
        for &j in kept {
            assert!((0..4).map(|i| x[(i, j)] * residual(i)).sum::<f64>().abs() < 1e-13);
        }
        let covariance = qr.covariance();
        let mut gram = Matrix::zeros(3, 3);
        for (a, &j) in kept.iter().enumerate() {
            for (b, &k) in kept.iter().enumerate() {
                gram[(a, b)] = (0..4).map(|i| x[(i, j)] * x[(i, k)]).sum();
            }
        }
        let unit = gram.times(&covariance);
        for a in 0..3 {
            for b in 0..3 {
                assert!((unit[(a, b)] - f64::from(u8::from(a == b))).abs() < 1e-13);
            }
        }
    }
}
