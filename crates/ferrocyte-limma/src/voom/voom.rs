//! [`voom`]: log2 counts per million and their weights.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, MatrixRef};

use super::log_counts::LogCounts;
use super::trend::{Fitted, Point, Span, VarianceTrend};
use crate::normalize::{NormalizeOptions, normalize_between_arrays};
use crate::{DesignMatrix, Expression, Fit, LmFitOptions, Weights, lm_fit};

/// Options of [`voom`].
#[derive(Debug, Clone, Copy)]
pub struct VoomOptions<'a> {
    /// Library sizes, normalisation factors included; the totals by default.
    pub lib_size: Option<&'a [f64]>,
    /// Offsets on the natural logarithmic scale, genes × samples.
    pub offset: Option<MatrixRef<'a>>,
    /// Offsets whose genes have mean zero already; in place of `offset`.
    pub offset_prior: Option<MatrixRef<'a>>,
    /// How log-values are normalised between samples; `None`: not.
    pub normalize: Option<NormalizeOptions>,
    /// The block of each sample, as a number from 0.
    pub block: Option<&'a [usize]>,
    /// The correlation within a block.
    pub correlation: Option<f64>,
    /// Weights of samples or values in the fit that the trend is learnt from.
    pub weights: Weights<'a>,
    /// Share of the genes that the curve sees at a place, where it is not adaptive.
    pub span: f64,
    /// Whether that share depends on the number of genes.
    pub adaptive_span: bool,
}

impl Default for VoomOptions<'_> {
    fn default() -> Self {
        Self {
            lib_size: None,
            offset: None,
            offset_prior: None,
            normalize: None,
            block: None,
            correlation: None,
            weights: Weights::None,
            span: 0.5,
            adaptive_span: true,
        }
    }
}

impl VoomOptions<'_> {
    pub(super) fn span(&self) -> Span {
        if self.adaptive_span { Span::Adaptive } else { Span::Fixed(self.span) }
    }

    pub(super) fn logged<'c>(&self, run: &Run, counts: &Expression<'c>) -> Result<LogCounts<'c>> {
        let logged = LogCounts::new(run, counts, self.lib_size)?;
        match (self.offset_prior, self.offset) {
            (Some(prior), _) => logged.with_offset(prior, true),
            (None, Some(offset)) => logged.with_offset(offset, false),
            (None, None) => Ok(logged),
        }
    }
}

/// Log-values with weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Voom {
    /// log2 counts per million, genes × samples.
    pub e: Matrix,
    /// Precision weights, genes × samples.
    pub weights: Matrix,
    /// Library sizes that were used.
    pub lib_size: Vec<f64>,
    /// What the weights come from.
    pub trend: VarianceTrend,
}

/// Log2 counts per million `log2((c + 0.5) / (L + 1) 1e6)` and their precision weights.
///
/// # Errors
/// Where there are fewer than two genes, a count is negative or not finite, nothing was counted in a sample, or design,
/// weights and blocks do not fit.
pub fn voom(run: &Run, counts: &Expression<'_>, design: &DesignMatrix, options: &VoomOptions<'_>) -> Result<Voom> {
    design.check_samples(counts.n_samples(), counts.samples())?;
    let logged = options.logged(run, counts)?;
    let mut e = logged.all(run)?;
    if let Some(normalize) = &options.normalize {
        e = normalize_between_arrays(run, &counts.with_values(e.borrowed()), normalize)?;
    }
    let fit = fit_logged(run, &logged, &e, design, options)?;
    let trend = VarianceTrend::new(run, points(&logged, &fit), counts.n_genes(), options.span(), false)?;
    let fitted = Fitted::new(design, &fit.pivot[fit.rank..]);
    let weights =
        fitted.weights(run, logged.shifts(), counts.n_genes(), &fit.coefficients, |_, values| trend.weigh(values))?;
    Ok(Voom { e, weights, lib_size: logged.lib_size().to_vec(), trend })
}

/// The fit that the trend is learnt from.
fn fit_logged(
    run: &Run,
    logged: &LogCounts<'_>,
    e: &Matrix,
    design: &DesignMatrix,
    options: &VoomOptions<'_>,
) -> Result<Fit> {
    let how = LmFitOptions {
        weights: options.weights,
        block: options.block,
        correlation: options.correlation,
        check_counts: false,
        keep_covariances: false,
        ..LmFitOptions::default()
    };
    lm_fit(run, &logged.counts().with_values(e.borrowed()), design, &how)
}

/// The genes with counts, as the trend sees them.
pub(super) fn points<'a>(logged: &'a LogCounts<'_>, fit: &'a Fit) -> impl Iterator<Item = Point> + 'a {
    let shift = logged.mean_shift();
    let seen = (0..fit.n_genes()).filter(|&g| logged.counts().row(g).iter().any(|&c| c > 0.0));
    seen.map(move |g| Point { x: fit.amean[g] + shift, sigma: fit.sigma[g], df: fit.df_residual[g] })
}
