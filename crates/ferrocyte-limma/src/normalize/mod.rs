//! Normalisation of log-values between samples, so that their distributions compare.

mod cyclic_loess;
mod quantiles;
mod scale;

use ferrocyte_base::{Result, Run, choice};
use ferrocyte_math::linalg::Matrix;

use crate::Expression;

pub use cyclic_loess::normalize_cyclic_loess;
pub use quantiles::normalize_quantiles;
pub use scale::normalize_median_values;

choice! {
    /// How samples are made alike.
    NormalizeMethod, "method" {
        /// Not.
        None = "none",
        /// The same median, by a factor.
        Scale = "scale",
        /// The same distribution.
        Quantile = "quantile",
        /// No trend of differences over the mean.
        CyclicLoess = "cyclicloess",
    }
}

choice! {
    /// Which curves `cyclicloess` takes away.
    CyclicMethod, "cyclic_method" {
        /// Of each sample against the mean of all.
        Fast = "fast",
        /// Of all pairs, averaged, then taken away together.
        Affy = "affy",
        /// Of each pair in turn, taken away at once.
        Pairs = "pairs",
    }
}

/// How log-values are normalised; defaults are limma's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalizeOptions {
    /// The method.
    pub method: NormalizeMethod,
    /// Whether values that tie stay tied (`quantile`).
    pub ties: bool,
    /// Which curves (`cyclicloess`).
    pub cyclic: CyclicMethod,
    /// Share of the genes that a curve sees at a place.
    pub span: f64,
    /// Whether that share depends on the number of genes instead.
    pub adaptive_span: bool,
    /// How often curves are taken away.
    pub iterations: usize,
}

impl NormalizeOptions {
    /// The defaults of a method.
    pub fn new(method: NormalizeMethod) -> Self {
        Self { method, ties: true, cyclic: CyclicMethod::Fast, span: 0.7, adaptive_span: false, iterations: 3 }
    }
}

/// Log-values made alike between samples, genes × samples; missing values stay missing.
pub fn normalize_between_arrays(run: &Run, y: &Expression<'_>, options: &NormalizeOptions) -> Result<Matrix> {
    match options.method {
        NormalizeMethod::None => Ok(Matrix::from_rows(y.n_genes(), y.n_samples(), y.values().entries().to_vec())),
        NormalizeMethod::Scale => normalize_median_values(y),
        NormalizeMethod::Quantile => normalize_quantiles(run, y, options.ties),
        NormalizeMethod::CyclicLoess => normalize_cyclic_loess(run, y, None, options),
    }
}

/// The columns of a matrix, one after the other.
fn columns_of(y: &Expression<'_>) -> Vec<Vec<f64>> {
    let mut columns: Vec<Vec<f64>> = (0..y.n_samples()).map(|_| Vec::with_capacity(y.n_genes())).collect();
    for g in 0..y.n_genes() {
        for (column, &value) in columns.iter_mut().zip(y.row(g)) {
            column.push(value);
        }
    }
    columns
}

/// The matrix of some columns.
fn from_columns(columns: &[Vec<f64>], n_genes: usize) -> Matrix {
    let n = columns.len();
    let mut out = Matrix::zeros(n_genes, n);
    for (g, row) in out.entries_mut().chunks_exact_mut(n.max(1)).enumerate() {
        row.iter_mut().zip(columns).for_each(|(value, column)| *value = column[g]);
    }
    out
}
