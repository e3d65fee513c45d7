//! [`Part`]: the fits of a block of genes; [`Part::join`] makes whole columns of them.

use ferrocyte_math::linalg::Matrix;

/// Fits of a few genes, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// Estimates, genes × p.
    pub(crate) coefficients: Vec<f64>,
    /// Their errors divided by sigma, genes × p.
    pub(crate) stdev_unscaled: Vec<f64>,
    /// Residual standard deviations.
    pub(crate) sigma: Vec<f64>,
    /// Residual degrees of freedom.
    pub(crate) df_residual: Vec<f64>,
    /// Covariances, genes × p(p+1)/2, or nothing where they are not kept.
    pub(crate) covariances: Vec<f64>,
}

impl Part {
    /// Room for `n` genes with `p` coefficients, all missing.
    pub(crate) fn missing(n: usize, p: usize, keep_covariances: bool) -> Self {
        let covariances = if keep_covariances { n * p * (p + 1) / 2 } else { 0 };
        Self {
            coefficients: vec![f64::NAN; n * p],
            stdev_unscaled: vec![f64::NAN; n * p],
            sigma: vec![f64::NAN; n],
            df_residual: vec![0.0; n],
            covariances: vec![f64::NAN; covariances],
        }
    }

    /// The place of gene `g`.
    pub(crate) fn gene(&mut self, g: usize, p: usize) -> GenePart<'_> {
        let pairs = p * (p + 1) / 2;
        let kept = if self.covariances.is_empty() { 0..0 } else { g * pairs..(g + 1) * pairs };
        GenePart {
            coefficients: &mut self.coefficients[g * p..(g + 1) * p],
            stdev_unscaled: &mut self.stdev_unscaled[g * p..(g + 1) * p],
            sigma: &mut self.sigma[g],
            df_residual: &mut self.df_residual[g],
            covariances: &mut self.covariances[kept],
        }
    }

    /// All parts in their order.
    pub(crate) fn join(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        for part in parts {
            whole.coefficients.extend(part.coefficients);
            whole.stdev_unscaled.extend(part.stdev_unscaled);
            whole.sigma.extend(part.sigma);
            whole.df_residual.extend(part.df_residual);
            whole.covariances.extend(part.covariances);
        }
        whole
    }
}

/// The fit of one gene.
#[derive(Debug)]
pub(crate) struct GenePart<'a> {
    pub(crate) coefficients: &'a mut [f64],
    pub(crate) stdev_unscaled: &'a mut [f64],
    pub(crate) sigma: &'a mut f64,
    pub(crate) df_residual: &'a mut f64,
    /// Empty where it is not kept.
    pub(crate) covariances: &'a mut [f64],
}

impl GenePart<'_> {
    /// Sets variance and degrees of freedom of `n` values after `rank` coefficients, from sums of squares of residuals
    /// and of values.
    pub(crate) fn set_variance(&mut self, n: usize, rank: usize, residual: f64, total: f64) {
        *self.df_residual = (n - rank) as f64;
        if n > rank {
            *self.sigma = (without_rounding(residual, total, n) / *self.df_residual).sqrt();
        }
    }

    /// Sets errors and covariances of the coefficients `kept` from `root`, whose columns' products are the covariances.
    pub(crate) fn set_covariances(&mut self, root: &Matrix, kept: &[usize]) {
        let (r, p) = (kept.len(), self.coefficients.len());
        for (a, &j) in kept.iter().enumerate() {
            let squares: f64 = (0..r).map(|i| root[(i, a)] * root[(i, a)]).sum();
            self.stdev_unscaled[j] = squares.sqrt();
        }
        if self.covariances.is_empty() {
            return;
        }
        for (a, &j) in kept.iter().enumerate() {
            for (b, &k) in kept[..=a].iter().enumerate() {
                // Rows above the later of the two columns' diagonals hold nothing of it.
                let value: f64 = (0..r).map(|i| root[(i, a)] * root[(i, b)]).sum();
                self.covariances[packed(p, j.min(k), j.max(k))] = value;
            }
        }
    }
}

/// A residual sum of squares, or 0 where it is rounding: below `(n eps)²` times the sum of squares of the values. A gene
/// without variation is then the same on every machine.
pub(crate) fn without_rounding(residual: f64, total: f64, n: usize) -> f64 {
    let rounding = n as f64 * f64::EPSILON;
    if residual < rounding * rounding * total { 0.0 } else { residual }
}

/// Where entry (i, j), `i <= j`, of a symmetric p × p matrix stands in its upper triangle, row by row.
pub(crate) fn packed(p: usize, i: usize, j: usize) -> usize {
    i * (2 * p - i - 1) / 2 + j
}

/// Genes in a block of work: depends on the number of samples only, so that results do not depend on threads.
pub(crate) fn genes_at_once(n_samples: usize) -> usize {
    ((1 << 19) / n_samples.max(1)).clamp(64, 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upper_triangle_is_packed_row_by_row() {
        let p = 4;
        let places: Vec<usize> = (0..p).flat_map(|i| (i..p).map(move |j| packed(p, i, j))).collect();
        assert_eq!(places, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn rounding_is_no_variance() {
        assert_eq!(without_rounding(1e-31, 6.0, 6), 0.0);
        assert_eq!(without_rounding(1e-20, 6.0, 6), 1e-20);
        assert_eq!(without_rounding(0.0, 0.0, 6), 0.0);
    }
}
