//! [`VarianceTrend`]: the standard deviation of a log-count from its mean, and weights from it.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::interpolate::Interpolator;
use ferrocyte_math::linalg::{Matrix, product};
use ferrocyte_math::lowess::{LowessOptions, choose_lowess_span, lowess};
use ferrocyte_math::weighted_lowess::{WeightedLowessOptions, weighted_lowess};

use super::log_counts::Shifts;
use crate::DesignMatrix;
use crate::fit::genes_at_once;

/// How wide the curve is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Span {
    /// By the number of genes.
    Adaptive,
    /// This share of the genes.
    Fixed(f64),
}

impl Span {
    /// The share for `n_genes`: `min(1, 0.3 + 0.7 (50 / G)^(1/3))` if adaptive.
    pub(super) fn of(self, n_genes: usize) -> f64 {
        match self {
            Self::Adaptive => choose_lowess_span(n_genes, 50.0, 0.3, 1.0 / 3.0),
            Self::Fixed(span) => span,
        }
    }
}

/// The points and the curve that weights come from: roots of residual standard deviations over mean log2 counts.
#[derive(Debug, Clone, PartialEq)]
pub struct VarianceTrend {
    /// Mean log2 counts of the genes with residual degrees of freedom.
    pub x: Vec<f64>,
    /// Roots of their residual standard deviations.
    pub y: Vec<f64>,
    /// The curve at rising values of `x`.
    pub line: (Vec<f64>, Vec<f64>),
    /// The span of the curve.
    pub span: f64,
    /// The curve in between; `None` where there is nothing to learn from and all weights are 1.
    curve: Option<Interpolator>,
}

/// One gene, as the trend sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// Mean log2 count.
    pub(super) x: f64,
    /// Residual standard deviation.
    pub(super) sigma: f64,
    /// Its degrees of freedom.
    pub(super) df: f64,
}

impl VarianceTrend {
    /// The trend over some genes of a study of `n_genes`; with `by_df` points weigh as their degrees of freedom. Warns where fewer
    /// than two genes have any.
    pub(super) fn new(
        run: &Run,
        points: impl Iterator<Item = Point>,
        n_genes: usize,
        span: Span,
        by_df: bool,
    ) -> Result<Self> {
        let span = span.of(n_genes);
        let seen: Vec<Point> = points.filter(|p| p.df > 0.0 && p.sigma.is_finite() && p.x.is_finite()).collect();
        let x: Vec<f64> = seen.iter().map(|p| p.x).collect();
        let y: Vec<f64> = seen.iter().map(|p| p.sigma.sqrt()).collect();
        if seen.len() < 2 {
            run.warn(if seen.is_empty() {
                "the design has no replication: all weights are 1"
            } else {
                "only one gene has replication: all weights are 1"
            });
            return Ok(Self { x, y, line: (Vec::new(), Vec::new()), span, curve: None });
        }
        let (line, curve) = if by_df {
            let df: Vec<f64> = seen.iter().map(|p| p.df).collect();
            let curve = weighted_lowess(&x, &y, &df, &WeightedLowessOptions::new(span))?.curve();
            (curve.knots(), curve)
        } else {
            let fit = lowess(&x, &y, &LowessOptions::new(span))?;
            let curve = fit.curve();
            ((fit.x, fit.y), curve)
        };
        Ok(Self { x, y, line, span, curve: Some(curve) })
    }

    /// The weights of values whose fitted log2 counts are given, in their place: `f^-4`.
    #[inline]
    pub(super) fn weigh(&self, fitted: &mut [f64]) {
        let Some(curve) = &self.curve else { return fitted.fill(1.0) };
        for value in &mut *fitted {
            *value = curve.at(*value);
        }
        // By themselves the divisions are done several at once.
        for value in fitted {
            let sd = *value * *value;
            *value = 1.0 / (sd * sd);
        }
    }
}

/// Fitted log2 counts of genes whose coefficients are known.
pub(super) struct Fitted {
    /// The design transposed, coefficients × samples; rows of coefficients that nobody can estimate are zero.
    design: Matrix,
    /// Which those are.
    left_out: Vec<usize>,
}

impl Fitted {
    /// For a design of whose columns those in `left_out` depend on others.
    pub(super) fn new(design: &DesignMatrix, left_out: &[usize]) -> Self {
        Self { design: design.matrix().transpose(), left_out: left_out.to_vec() }
    }

    /// Number of coefficients.
    pub(super) fn n_coefficients(&self) -> usize {
        self.design.n_rows()
    }

    /// Fitted log2 counts of a block of genes that begins at `start`, from their coefficients, genes × p.
    pub(super) fn write(&self, shifts: &Shifts, start: usize, coefficients: &[f64], out: &mut Vec<f64>) {
        let (n, p) = (self.design.n_cols(), self.design.n_rows());
        let genes = coefficients.len() / p.max(1);
        out.clear();
        out.resize(genes * n, 0.0);
        if self.left_out.is_empty() {
            product(coefficients, p, &self.design, out);
        } else {
            let mut known = coefficients.to_vec();
            for row in known.chunks_exact_mut(p) {
                self.left_out.iter().for_each(|&j| row[j] = 0.0);
            }
            product(&known, p, &self.design, out);
        }
        for (k, row) in out.chunks_exact_mut(n).enumerate() {
            for (value, shift) in row.iter_mut().zip(shifts.row(start + k)) {
                *value += shift;
            }
        }
    }

    /// The weights of all values; `weigh(first gene, fitted log2 counts)` turns those of a block into weights.
    pub(super) fn weights(
        &self,
        run: &Run,
        shifts: &Shifts,
        n_genes: usize,
        coefficients: &Matrix,
        weigh: impl Fn(usize, &mut [f64]) + Sync,
    ) -> Result<Matrix> {
        let (n, p) = (self.design.n_cols(), self.design.n_rows());
        let at_once = genes_at_once(n);
        let mut weights = Matrix::zeros(n_genes, n);
        run.for_each_chunk(weights.entries_mut(), at_once * n, |block, rows| {
            let start = block * at_once;
            let end = start + rows.len() / n;
            let mut fitted = Vec::new();
            self.write(shifts, start, &coefficients.entries()[start * p..end * p], &mut fitted);
            weigh(start, &mut fitted);
            rows.copy_from_slice(&fitted);
        })?;
        Ok(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_one_over_the_variance() -> Result<()> {
        // A standard deviation of 1 / (1 + x) everywhere: the curve goes through it.
        let sd = |x: f64| 1.0 / (1.0 + x);
        let points = (0..400).map(|i| f64::from(i) * 0.02).map(|x| Point { x, sigma: sd(x), df: 4.0 });
        let trend = VarianceTrend::new(&Run::new(), points, 400, Span::Fixed(0.1), false)?;
        let mut values = [1.0, 3.0, 7.0];
        trend.weigh(&mut values);
        for (w, x) in values.iter().zip([1.0, 3.0, 7.0]) {
            assert!((w * sd(x).powi(2) - 1.0).abs() < 0.02, "{w}");
        }
        Ok(())
    }

    #[test]
    fn without_replication_all_weights_are_one() -> Result<()> {
        for n in [0, 1] {
            let points = (0..n).map(|_| Point { x: 1.0, sigma: 1.0, df: 2.0 });
            let trend = VarianceTrend::new(&Run::new(), points, 9, Span::Adaptive, false)?;
            let mut values = [1.0, f64::NAN];
            trend.weigh(&mut values);
            assert_eq!((values, trend.span), ([1.0, 1.0], 1.0));
        }
        Ok(())
    }
}
