//! [`refine`]: weights of values, weights of samples and the correlation within blocks, each learnt from the others.
//!
//! Weights of values come from a trend; weights of samples and the correlation are estimated with these; the trend is
//! learnt again with both, and both are estimated again. Two rounds are what edgeR takes.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::trend::VarianceTrend;
use crate::array_weights::{ArrayWeightMethod, ArrayWeightOptions, VarianceModel, array_weights};
use crate::correlation::{CorrelationOptions, duplicate_correlation};
use crate::fit::Exchangeable;
use crate::{DesignMatrix, Expression, Weights};

/// What is estimated beside the weights of values.
#[derive(Debug, Clone, Copy)]
pub struct Refinement<'a> {
    /// The block of each sample, as a number from 0: samples of a block are correlated.
    pub block: Option<&'a [usize]>,
    /// Whether samples have weights.
    pub sample_weights: bool,
    /// What variances of samples depend on.
    pub variances: VarianceModel<'a>,
    /// Genes without differences between samples that the data are pooled with.
    pub prior_n: f64,
}

impl Default for Refinement<'_> {
    fn default() -> Self {
        Self { block: None, sample_weights: false, variances: VarianceModel::Samples, prior_n: 10.0 }
    }
}

impl Refinement<'_> {
    /// Whether nothing is estimated.
    pub(super) fn is_nothing(&self) -> bool {
        self.block.is_none() && !self.sample_weights
    }

    pub(super) fn check(&self, n_samples: usize) -> Result<()> {
        match self.block {
            Some(block) if block.len() != n_samples => {
                Err(Fault::bad_input(format!("{} entries for {n_samples} samples", block.len())).at("block"))
            }
            _ => Ok(()),
        }
    }

    /// Blocks with a correlation that is there.
    pub(super) fn correlated(&self, correlation: Option<f64>) -> Result<Option<Exchangeable>> {
        match (self.block, correlation) {
            (Some(block), Some(rho)) if rho.is_finite() && rho != 0.0 => {
                Exchangeable::new(block.to_vec(), rho).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// What [`refine`] finds.
pub(super) struct Refined {
    pub(super) trend: VarianceTrend,
    /// Weights of values times those of samples.
    pub(super) weights: Matrix,
    pub(super) sample_weights: Option<Vec<f64>>,
    pub(super) correlation: Option<f64>,
}

/// Learns weights and correlation in turn. `learn(sample weights, blocks)` gives a trend and weights of values.
pub(super) fn refine(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    how: &Refinement<'_>,
    learn: impl Fn(Option<&[f64]>, Option<&Exchangeable>) -> Result<(VarianceTrend, Matrix)>,
) -> Result<Refined> {
    let (mut trend, mut weights) = learn(None, None)?;
    let (mut samples, mut correlation) = (None, None);
    let rounds = if how.is_nothing() { 0 } else { 2 };
    for round in 0..rounds {
        if round > 0 {
            let blocks = how.correlated(correlation)?;
            (trend, weights) = learn(samples.as_deref(), blocks.as_ref())?;
        }
        if how.sample_weights {
            let options = ArrayWeightOptions {
                weights: Weights::Values(weights.borrowed()),
                variances: how.variances,
                prior_n: how.prior_n,
                method: ArrayWeightMethod::Auto,
                ..ArrayWeightOptions::default()
            };
            samples = Some(array_weights(run, y, design, &options)?);
        }
        if how.block.is_some() {
            let both = times_samples(&weights, samples.as_deref());
            let options = CorrelationOptions {
                block: how.block,
                weights: Weights::Values(both.borrowed()),
                ..CorrelationOptions::default()
            };
            correlation = Some(duplicate_correlation(run, y, design, &options)?.consensus);
        }
    }
    let weights = times_samples(&weights, samples.as_deref()).into_owned();
    Ok(Refined { trend, weights, sample_weights: samples, correlation })
}

/// Weights of values times weights of samples, genes × samples.
pub(super) fn times_samples<'a>(weights: &'a Matrix, samples: Option<&[f64]>) -> Cow<'a, Matrix> {
    let Some(samples) = samples else { return Cow::Borrowed(weights) };
    let mut product = weights.clone();
    for row in product.entries_mut().chunks_exact_mut(samples.len()) {
        row.iter_mut().zip(samples).for_each(|(w, s)| *w *= s);
    }
    Cow::Owned(product)
}

/// Prior weights times weights of samples, as a fit takes them: the matrix they are kept in, if there must be one.
pub(super) enum Combined<'a> {
    Given(Weights<'a>),
    Samples(Vec<f64>),
    Values(Matrix),
}

impl<'a> Combined<'a> {
    pub(super) fn new(prior: Weights<'a>, samples: Option<&[f64]>, n_genes: usize, n_samples: usize) -> Self {
        let Some(samples) = samples else { return Self::Given(prior) };
        match prior {
            Weights::None => Self::Samples(samples.to_vec()),
            Weights::Samples(w) => Self::Samples(w.iter().zip(samples).map(|(w, s)| w * s).collect()),
            Weights::Genes(_) | Weights::Values(_) => {
                let mut values = Matrix::zeros(n_genes, n_samples);
                values.entries_mut().fill(1.0);
                multiply(&mut values, &prior);
                Self::Values(times_samples(&values, Some(samples)).into_owned())
            }
        }
    }

    pub(super) fn weights(&self) -> Weights<'_> {
        match self {
            Self::Given(weights) => *weights,
            Self::Samples(w) => Weights::Samples(w),
            Self::Values(w) => Weights::Values(w.borrowed()),
        }
    }
}

/// Multiplies weights of values by prior weights.
pub(super) fn multiply(values: &mut Matrix, prior: &Weights<'_>) {
    if matches!(prior, Weights::None) {
        return;
    }
    let n = values.n_cols();
    for g in 0..values.n_rows() {
        if let Some(row) = prior.row(g, n) {
            values.row_mut(g).iter_mut().zip(row.iter()).for_each(|(w, p)| *w *= p);
        }
    }
}

/// Writes the weights of a gene, 1 where there are none.
pub(super) fn write_weights(weights: &Weights<'_>, g: usize, n_samples: usize, out: &mut Vec<f64>) {
    out.clear();
    match weights.row(g, n_samples) {
        Some(row) => out.extend_from_slice(&row),
        None => out.resize(n_samples, 1.0),
    }
}
