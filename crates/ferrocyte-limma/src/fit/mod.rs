//! [`Fit`]: linear models of many genes, and [`lm_fit`], which makes them.
//!
//! Three ways lead to the same numbers. [`shared`]: one decomposition for all genes, where nothing distinguishes them.
//! [`weighted`]: products of matrices for genes with weights or missing values of their own. [`gene`]: reflections for
//! the few of these whose equations are ill-conditioned.

pub(crate) mod blocks;
mod duplicates;
mod gene;
pub(crate) mod lm_fit;
mod options;
pub(crate) mod parts;
mod robust;
mod shared;
pub(crate) mod weighted;

use ferrocyte_math::linalg::Matrix;

pub(crate) use blocks::Exchangeable;
pub(crate) use duplicates::Duplicates;
pub use lm_fit::lm_fit;
pub(crate) use lm_fit::{assemble, least_squares, warn_of_missing};
pub use options::{LmFitOptions, Method};
pub(crate) use parts::{Part, genes_at_once, packed};
pub(crate) use shared::{SharedSolver, Whitening};
pub(crate) use weighted::Solver;

/// Linear models of G genes with k coefficients: what `lm_fit` gives, and `contrasts_fit` with contrasts for
/// coefficients. NaN marks a coefficient that cannot be estimated.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Estimates, G × k.
    pub coefficients: Matrix,
    /// Standard errors of the estimates divided by `sigma`, G × k.
    pub stdev_unscaled: Matrix,
    /// Residual standard deviation of each gene; NaN without residual degrees of freedom.
    pub sigma: Vec<f64>,
    /// Residual degrees of freedom of each gene.
    pub df_residual: Vec<f64>,
    /// Unscaled covariance of the coefficients that can be estimated, r × r in the order of `pivot`; of contrasts: k × k.
    pub cov_coefficients: Matrix,
    /// Number of coefficients that can be estimated, r.
    pub rank: usize,
    /// Columns of the design: those that can be estimated in their order, then the others.
    pub pivot: Vec<usize>,
    /// Mean value of each gene over its samples, NaN left out.
    pub amean: Vec<f64>,
    /// Unscaled covariances gene by gene, where genes differ (weights, missing values): G × k(k+1)/2, upper triangles
    /// row by row, NaN for what cannot be estimated. For exact errors of contrasts.
    pub gene_covariances: Option<Matrix>,
    /// Names of the coefficients.
    pub names: Vec<String>,
}

impl Fit {
    /// Number of genes, G.
    pub fn n_genes(&self) -> usize {
        self.sigma.len()
    }

    /// The fit of some genes.
    pub(crate) fn of_genes(&self, genes: &[usize]) -> Self {
        let numbers = |values: &[f64]| genes.iter().map(|&g| values[g]).collect::<Vec<f64>>();
        let rows = |values: &Matrix| {
            let entries = genes.iter().flat_map(|&g| values.row(g).iter().copied()).collect();
            Matrix::from_rows(genes.len(), values.n_cols(), entries)
        };
        Self {
            coefficients: rows(&self.coefficients),
            stdev_unscaled: rows(&self.stdev_unscaled),
            sigma: numbers(&self.sigma),
            df_residual: numbers(&self.df_residual),
            amean: numbers(&self.amean),
            gene_covariances: self.gene_covariances.as_ref().map(rows),
            cov_coefficients: self.cov_coefficients.clone(),
            rank: self.rank,
            pivot: self.pivot.clone(),
            names: self.names.clone(),
        }
    }

    /// Number of coefficients, k.
    pub fn n_coefficients(&self) -> usize {
        self.coefficients.n_cols()
    }
}
