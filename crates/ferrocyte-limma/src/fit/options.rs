//! [`LmFitOptions`]: how linear models are fitted.

use ferrocyte_base::choice;

use crate::Weights;

choice! {
    /// How the coefficients of a gene are estimated.
    Method, "method" {
        /// Least squares.
        LeastSquares = "ls",
        /// Huber's M-estimator: values far from the fit count less.
        Robust = "robust",
    }
}

/// Options of [`lm_fit`](super::lm_fit).
#[derive(Debug, Clone, Copy)]
pub struct LmFitOptions<'a> {
    /// Weights of samples, genes or values.
    pub weights: Weights<'a>,
    /// The block of each sample, as a number from 0: samples of a block are correlated.
    pub block: Option<&'a [usize]>,
    /// The correlation within a block, or between duplicates within an array.
    pub correlation: Option<f64>,
    /// How often each gene is measured within a sample; 1: once.
    pub ndups: usize,
    /// Rows between the duplicates of a gene.
    pub spacing: usize,
    /// How coefficients are estimated.
    pub method: Method,
    /// Whether whole numbers above 50, which are counts rather than log-values, are refused.
    pub check_counts: bool,
    /// Whether the covariances of each gene are kept where genes differ: G × k(k+1)/2 numbers, for exact errors of
    /// contrasts.
    pub keep_covariances: bool,
}

impl Default for LmFitOptions<'_> {
    fn default() -> Self {
        Self {
            weights: Weights::None,
            block: None,
            correlation: None,
            ndups: 1,
            spacing: 1,
            method: Method::LeastSquares,
            check_counts: true,
            keep_covariances: true,
        }
    }
}
