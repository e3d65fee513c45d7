//! [`voom_lm_fit`]: from counts to the weighted fit in one call.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::exact_zeros::ExactZeros;
use super::log_counts::LogCounts;
use super::stream::{Streamed, stream};
use super::trend::{Span, Trend};
use crate::{DesignMatrix, Expression, Fit};

/// Options of [`voom_lm_fit`].
#[derive(Debug, Clone, Copy)]
pub struct VoomLmFitOptions<'a> {
    /// Library sizes, normalisation factors included; the totals by default.
    pub lib_size: Option<&'a [f64]>,
    /// Share of the genes that the curve sees at a place, where it is not adaptive.
    pub span: f64,
    /// Whether that share depends on the number of genes.
    pub adaptive_span: bool,
    /// Whether log-values and weights are given back.
    pub keep_values: bool,
    /// Whether the covariances of each gene are kept.
    pub keep_covariances: bool,
}

impl Default for VoomLmFitOptions<'_> {
    fn default() -> Self {
        Self { lib_size: None, span: 0.5, adaptive_span: true, keep_values: true, keep_covariances: true }
    }
}

/// A weighted fit of log-counts.
#[derive(Debug, Clone, PartialEq)]
pub struct VoomLmFit {
    /// The fit.
    pub fit: Fit,
    /// What the weights come from.
    pub trend: Trend,
    /// Library sizes that were used.
    pub lib_size: Vec<f64>,
    /// Log2 counts per million and their weights, genes × samples, if they are kept.
    pub values: Option<(Matrix, Matrix)>,
}

/// Voom and the weighted fit in one call, exact about counts that can only be zero.
///
/// # Errors
/// As [`voom`](super::voom()).
pub fn voom_lm_fit(
    run: &Run,
    counts: &Expression<'_>,
    design: &DesignMatrix,
    options: &VoomLmFitOptions<'_>,
) -> Result<VoomLmFit> {
    design.check_samples(counts.n_samples(), counts.samples())?;
    let logged = LogCounts::new(run, counts, options.lib_size)?;
    let zeros = ExactZeros::find(run, &logged, design)?;
    let how = Streamed {
        span: if options.adaptive_span { Span::Adaptive } else { Span::Fixed(options.span) },
        exact_zeros: Some(&zeros),
        keep_covariances: options.keep_covariances,
        keep_values: options.keep_values,
    };
    let out = stream(run, &logged, design, &how)?;
    Ok(VoomLmFit { fit: out.fit, trend: out.trend, lib_size: logged.lib_size().to_vec(), values: out.values })
}
