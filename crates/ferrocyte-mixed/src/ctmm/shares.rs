//! How much of the variance of overall expression each part of a model makes up.

use ferrocyte_math::linalg::Matrix;

use super::data::Study;
use super::design::Design;
use super::kernel::covariance;
use super::options::Model;

/// Shares of the variance of a gene. NaN where they need proportions that were not given.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// Of the means of cell types, b' cov(P) b, then of each fixed covariate, d' cov(W) d.
    pub fixed: Vec<f64>,
    /// Of each random covariate, r2 tr(R'R) / N.
    pub random: Vec<f64>,
    /// Of the cell type-specific variance, tr(V P'P) / N.
    pub specific: f64,
    /// The same of each cell type, V_cc Σ P_ic² / N.
    pub by_cell_type: Vec<f64>,
}

impl Shares {
    /// Shares of which nothing is known.
    pub(super) fn none(design: &Design) -> Self {
        Self {
            fixed: vec![f64::NAN; 1 + design.n_covariates],
            random: vec![f64::NAN; design.random.len()],
            specific: f64::NAN,
            by_cell_type: vec![f64::NAN; design.c],
        }
    }
}

/// What the shares of all genes share.
pub(super) struct ShareRule {
    model: Model,
    c: usize,
    /// Covariances over individuals of proportions, then of each fixed covariate.
    blocks: Vec<Matrix>,
    /// P'P / N.
    moments: Matrix,
    random: Vec<f64>,
}

impl ShareRule {
    /// The rule of a study on the individuals `rows`.
    pub(super) fn new(study: &Study, model: Model, rows: &[usize], random: Vec<f64>) -> Self {
        let c = study.cell_types.len();
        let proportions = match &study.proportions {
            Some(p) => {
                Matrix::from_rows(rows.len(), c, rows.iter().flat_map(|&i| p[i * c..(i + 1) * c].to_vec()).collect())
            }
            None => Matrix::from_rows(rows.len(), c, vec![f64::NAN; rows.len() * c]),
        };
        let mut moments = proportions.transpose().times(&proportions);
        moments.entries_mut().iter_mut().for_each(|x| *x /= rows.len() as f64);
        let mut blocks = vec![scatter(&proportions)];
        for covariate in &study.fixed {
            let columns = covariate.values.n_cols();
            let kept = rows.iter().flat_map(|&i| covariate.values.row(i).to_vec()).collect();
            blocks.push(scatter(&Matrix::from_rows(rows.len(), columns, kept)));
        }
        Self { model, c, blocks, moments, random }
    }

    /// The shares at an estimate.
    pub(super) fn of(&self, theta: &[f64], beta: &[f64]) -> Shares {
        let mut first = 0;
        let mut fixed = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let n = block.n_rows();
            let b = &beta[first..first + n];
            fixed.push((0..n).map(|i| b[i] * block.row(i).iter().zip(b).map(|(s, b)| s * b).sum::<f64>()).sum());
            first += n;
        }
        let v = covariance(self.model, theta, self.c);
        let r2 = &theta[theta.len() - self.random.len()..];
        Shares {
            fixed,
            random: r2.iter().zip(&self.random).map(|(r2, square)| r2 * square).collect(),
            specific: v.iter().zip(self.moments.entries()).map(|(v, m)| v * m).sum(),
            by_cell_type: (0..self.c).map(|a| v[a * self.c + a] * self.moments[(a, a)]).collect(),
        }
    }
}

/// The covariance of columns over rows, n - 1 in the denominator.
fn scatter(x: &Matrix) -> Matrix {
    let (n, k) = (x.n_rows(), x.n_cols());
    let mut centred = x.clone();
    for j in 0..k {
        let mean = (0..n).map(|i| x[(i, j)]).sum::<f64>() / n as f64;
        (0..n).for_each(|i| centred[(i, j)] -= mean);
    }
    let mut out = centred.transpose().times(&centred);
    out.entries_mut().iter_mut().for_each(|v| *v /= (n as f64 - 1.0).max(1.0));
    out
}
