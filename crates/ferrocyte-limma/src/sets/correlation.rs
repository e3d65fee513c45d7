//! [`inter_gene_correlation`]: how much the genes of a set vary together beyond the design.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::dot;

use super::effects::{Contrast, Effects, EffectsOptions};
use crate::{DesignMatrix, Expression};

/// Residual variances below this count as this, so that the residuals of constant genes stay small.
const LEAST_VARIANCE: f64 = 1e-8;

/// How the genes of a set vary together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InterGeneCorrelation {
    /// Variance of the mean of the standardised genes, as a multiple of what it would be without correlation.
    pub vif: f64,
    /// Mean correlation of two genes; NaN for a single gene.
    pub correlation: f64,
}

/// Mean correlation between the genes of a set from the residuals of their linear models.
///
/// `y`: the genes of the set × samples.
pub fn inter_gene_correlation(run: &Run, y: &Expression<'_>, design: &DesignMatrix) -> Result<InterGeneCorrelation> {
    if y.n_genes() == 0 {
        return Err(Fault::bad_input("a set without genes").at("values"));
    }
    let last = Contrast::Coefficient(design.n_coefficients().saturating_sub(1));
    let effects = Effects::new(run, y, design, &last, &EffectsOptions::default())?;
    let set: Vec<usize> = (0..y.n_genes()).collect();
    Ok(correlation_of(&Standardised::new(&effects), &set))
}

/// Residual effects of all genes, each with mean square 1.
#[derive(Debug)]
pub(super) struct Standardised {
    residuals: Vec<f64>,
    d: usize,
}

impl Standardised {
    pub(super) fn new(effects: &Effects) -> Self {
        let d = effects.df();
        let mut residuals = Vec::with_capacity(effects.n_genes() * d);
        for g in 0..effects.n_genes() {
            let row = effects.residuals(g);
            let scale = 1.0 / (dot(row, row) / d as f64).max(LEAST_VARIANCE).sqrt();
            residuals.extend(row.iter().map(|x| x * scale));
        }
        Self { residuals, d }
    }

    fn row(&self, g: usize) -> &[f64] {
        &self.residuals[g * self.d..(g + 1) * self.d]
    }
}

/// The variance of the mean over a set, from the means of its residuals.
pub(super) fn correlation_of(standardised: &Standardised, set: &[usize]) -> InterGeneCorrelation {
    let m = set.len() as f64;
    if set.len() < 2 {
        return InterGeneCorrelation { vif: 1.0, correlation: f64::NAN };
    }
    let mut sums = vec![0.0; standardised.d];
    for &g in set {
        sums.iter_mut().zip(standardised.row(g)).for_each(|(sum, x)| *sum += x);
    }
    let vif = dot(&sums, &sums) / (m * standardised.d as f64);
    InterGeneCorrelation { vif, correlation: (vif - 1.0) / (m - 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::linalg::{Matrix, MatrixRef};
    use ferrocyte_math::random::Stream;

    /// The mean correlation of residuals, pair by pair.
    #[test]
    fn it_is_the_mean_over_pairs() -> Result<()> {
        let (m, n) = (5, 8);
        let mut stream = Stream::new(1, 1);
        let y: Vec<f64> = (0..m * n).map(|i| stream.normal() + (i % n) as f64 * 0.3).collect();
        let design = DesignMatrix::new(Matrix::from_rows(n, 1, vec![1.0; n]), vec!["mean".into()], vec![])?;
        let found = inter_gene_correlation(&Run::new(), &Expression::unnamed(MatrixRef::from_rows(m, n, &y)), &design)?;
        let centred: Vec<Vec<f64>> = y
            .chunks(n)
            .map(|row| {
                let mean = row.iter().sum::<f64>() / n as f64;
                row.iter().map(|x| x - mean).collect()
            })
            .collect();
        let mut sum = 0.0;
        for a in 0..m {
            for b in 0..a {
                let (x, y) = (&centred[a], &centred[b]);
                sum += dot(x, y) / (dot(x, x) * dot(y, y)).sqrt();
            }
        }
        assert!((found.correlation - sum / 10.0).abs() < 1e-12, "{found:?}");
        assert!((found.vif - (1.0 + 4.0 * found.correlation)).abs() < 1e-12);
        Ok(())
    }
}
