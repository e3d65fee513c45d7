//! [`Weights`]: of samples, of genes, or of every value.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::MatrixRef;

/// Weights of observations. One that is zero, negative or not finite means that the observation is missing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Weights<'a> {
    /// All alike.
    #[default]
    None,
    /// One per sample.
    Samples(&'a [f64]),
    /// One per gene.
    Genes(&'a [f64]),
    /// Genes × samples.
    Values(MatrixRef<'a>),
}

impl<'a> Weights<'a> {
    /// Fails unless there are as many weights as there must be.
    pub fn check(&self, n_genes: usize, n_samples: usize) -> Result<()> {
        let (found, expected) = match self {
            Self::None => return Ok(()),
            Self::Samples(w) => (format!("{}", w.len()), format!("{n_samples}, one per sample")),
            Self::Genes(w) => (format!("{}", w.len()), format!("{n_genes}, one per gene")),
            Self::Values(w) => (format!("{} x {}", w.n_rows(), w.n_cols()), format!("{n_genes} x {n_samples}")),
        };
        let fits = match self {
            Self::None => true,
            Self::Samples(w) => w.len() == n_samples,
            Self::Genes(w) => w.len() == n_genes,
            Self::Values(w) => (w.n_rows(), w.n_cols()) == (n_genes, n_samples),
        };
        if fits { Ok(()) } else { Err(Fault::bad_input(format!("{found} weights, expected {expected}")).at("weights")) }
    }

    /// The weights of gene `g`, one per sample; `None` where all are alike for every gene.
    pub fn row(&self, g: usize, n_samples: usize) -> Option<Cow<'a, [f64]>> {
        match *self {
            Self::None => None,
            Self::Samples(w) => Some(Cow::Borrowed(w)),
            Self::Genes(w) => Some(Cow::Owned(vec![w[g]; n_samples])),
            Self::Values(w) => Some(Cow::Borrowed(w.row(g))),
        }
    }
}
