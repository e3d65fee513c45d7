//! Parts of the covariance that are independent of each other, and what the likelihood asks of each.
//!
//! A [`super::plan::Plan`] turns the people so that V falls into such parts: people without kin elsewhere, directions in which
//! the kinship is a number. A [`Diagonal`] part is directions each on its own, at O(n) a turn; [`super::dense::Dense`] is the
//! rest.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::model::Model;

/// What a factored part tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factored {
    /// ln |V|.
    pub(super) ln_v: f64,
    /// The smallest variance of one direction given those before it.
    pub(super) smallest: f64,
}

/// A part of V. `work` is its matrix of work: after [`Piece::factor`] the factor, after [`Piece::traces`] the inverse.
pub(super) trait Piece: Send + Sync {
    /// Numbers in the matrix of work.
    fn room(&self) -> usize;

    /// Whether its kinship has no eigenvalue below zero, up to rounding.
    fn is_semidefinite(&self, run: &Run) -> Result<bool>;

    /// Builds V and factors it; `None` where it is not positive definite.
    fn factor(&self, run: &Run, model: &Model, theta: &[f64], work: &mut [f64]) -> Result<Option<Factored>>;

    /// V⁻¹X in place, X row-major with `width` columns, from the factor.
    fn solve(&self, work: &[f64], rows: &mut [f64], width: usize);

    /// K_kX for the kernel of every variance.
    fn kernels(&self, run: &Run, model: &Model, x: &Matrix) -> Result<Vec<Matrix>>;

    /// tr V⁻¹K_k for every variance, from the factor; then the matrix of work holds the inverse.
    fn traces(&self, run: &Run, model: &Model, work: &mut [f64]) -> Result<Vec<f64>>;

    /// tr V⁻¹K_jV⁻¹K_k for every pair of variances, from the inverse.
    fn pairs(&self, run: &Run, model: &Model, work: &mut Vec<f64>) -> Result<Matrix>;
}

/// Directions that are independent of each other: V_ii = Σ_k θ_k a_ik.
#[derive(Debug)]
pub(super) struct Diagonal {
    /// Directions × variances: the diagonals of the kernels.
    weights: Matrix,
    semidefinite: bool,
}

impl Diagonal {
    /// With the diagonals of the kernels, directions × variances, and whether no kinship is below zero.
    pub(super) fn new(weights: Matrix, semidefinite: bool) -> Self {
        Self { weights, semidefinite }
    }
}

impl Piece for Diagonal {
    fn room(&self) -> usize {
        self.weights.n_rows()
    }

    fn is_semidefinite(&self, _: &Run) -> Result<bool> {
        Ok(self.semidefinite)
    }

    fn factor(&self, _: &Run, _: &Model, theta: &[f64], work: &mut [f64]) -> Result<Option<Factored>> {
        let (mut ln_v, mut smallest) = (0.0, f64::INFINITY);
        for (i, v) in work.iter_mut().enumerate() {
            *v = self.weights.row(i).iter().zip(theta).map(|(a, t)| a * t).sum();
            if !(*v > 0.0) {
                return Ok(None);
            }
            ln_v += v.ln();
            smallest = v.min(smallest);
        }
        Ok(Some(Factored { ln_v, smallest }))
    }

    fn solve(&self, work: &[f64], rows: &mut [f64], width: usize) {
        for (row, v) in rows.chunks_exact_mut(width).zip(work) {
            row.iter_mut().for_each(|x| *x /= v);
        }
    }

    fn kernels(&self, _: &Run, model: &Model, x: &Matrix) -> Result<Vec<Matrix>> {
        let of = |k: usize| {
            let mut out = x.clone();
            for i in 0..x.n_rows() {
                let a = self.weights[(i, k)];
                out.row_mut(i).iter_mut().for_each(|x| *x *= a);
            }
            out
        };
        Ok((0..model.len()).map(of).collect())
    }

    fn traces(&self, _: &Run, model: &Model, work: &mut [f64]) -> Result<Vec<f64>> {
        work.iter_mut().for_each(|v| *v = 1.0 / *v);
        let of = |k: usize| work.iter().enumerate().map(|(i, v)| v * self.weights[(i, k)]).sum();
        Ok((0..model.len()).map(of).collect())
    }

    fn pairs(&self, _: &Run, model: &Model, work: &mut Vec<f64>) -> Result<Matrix> {
        let k = model.len();
        let mut out = Matrix::zeros(k, k);
        for (i, v) in work.iter().enumerate() {
            let row = self.weights.row(i);
            for a in 0..k {
                for b in 0..k {
                    out[(a, b)] += v * v * row[a] * row[b];
                }
            }
        }
        Ok(out)
    }
}
