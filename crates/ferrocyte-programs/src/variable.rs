//! Genes that vary more than Poisson noise and a common spread explain.
//!
//! Of counts per million with mean m and variance v (ddof 0), the Fano factor v / m is held against `A^2 m + B^2`. A is the
//! smallest coefficient of variation among the 20 genes of largest mean, B the root of the median Fano factor of genes
//! that are extreme in neither mean nor Fano factor (D. Kotliar et al., 2019).

use ferrocyte_base::{Fault, Result};

use crate::stream::GeneStats;

/// Genes of largest mean among which A is looked for.
const LARGEST: usize = 20;

/// Which genes are taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Genes {
    /// So many, those of largest ratio; only genes that vary.
    Top(usize),
    /// Those above a ratio and a mean.
    Above {
        /// The ratio; `None` is one more than the spread of ordinary Fano factors.
        ratio: Option<f64>,
        /// The mean.
        mean: f64,
    },
    /// Those of a list, in its order.
    Listed(Vec<String>),
}

impl Genes {
    /// Above the automatic ratio, and a mean of 0.5.
    pub const AUTOMATIC: Self = Self::Above { ratio: None, mean: 0.5 };
}

/// How genes were judged, one entry a gene.
#[derive(Debug, Clone, PartialEq)]
pub struct VariableGenes {
    /// v / m; NaN where m is 0.
    pub fano: Vec<f64>,
    /// What is expected of a gene of this mean.
    pub expected: Vec<f64>,
    /// The one divided by the other.
    pub ratio: Vec<f64>,
    /// Whether the gene is taken.
    pub selected: Vec<bool>,
    /// The smallest coefficient of variation among genes of large mean.
    pub a: f64,
    /// The root of the median ordinary Fano factor.
    pub b: f64,
    /// The ratio above which genes are taken; `None` where a number of genes was asked for.
    pub threshold: Option<f64>,
    /// The mean above which genes are taken, likewise.
    pub min_mean: Option<f64>,
}

impl VariableGenes {
    /// The genes that are taken, in their order.
    pub fn genes(&self) -> Vec<usize> {
        (0..self.selected.len()).filter(|&j| self.selected[j]).collect()
    }
}

/// Judges all genes. [`Genes::Listed`] is not judged: nothing is then selected.
///
/// # Errors
/// No genes, or none that varies.
pub fn variable_genes(stats: &GeneStats, which: &Genes) -> Result<VariableGenes> {
    let fano: Vec<f64> = stats.mean.iter().zip(&stats.variance).map(|(m, v)| v / m).collect();
    if !stats.variance.iter().any(|v| *v > 0.0) {
        let message = format!("none of {} genes varies over {} cells", fano.len(), stats.n_cells);
        return Err(Fault::bad_input(message).at("counts"));
    }
    let a = smallest_cv(stats);
    let (low, high) = (quantiles(&stats.mean), quantiles(&fano));
    let inside = |x: f64, range: [f64; 2]| x > range[0] && x < range[1];
    let boxed = (0..fano.len()).filter(|&j| inside(fano[j], high) && inside(stats.mean[j], low));
    let mut boxed: Vec<f64> = boxed.map(|j| fano[j]).collect();
    if boxed.is_empty() {
        // Too few genes for a box: all that have a mean are ordinary.
        boxed = fano.iter().copied().filter(|f| f.is_finite()).collect();
    }
    boxed.sort_by(f64::total_cmp);
    let b = quantile(&boxed, 0.5).sqrt();
    let expected: Vec<f64> = stats.mean.iter().map(|m| a * a * m + b * b).collect();
    let ratio: Vec<f64> = fano.iter().zip(&expected).map(|(f, e)| f / e).collect();
    let mut found = VariableGenes {
        selected: vec![false; fano.len()],
        fano,
        expected,
        ratio,
        a,
        b,
        threshold: None,
        min_mean: None,
    };
    match which {
        Genes::Top(n) => found.take_top(*n, stats),
        Genes::Above { ratio, mean } => {
            let threshold = ratio.unwrap_or_else(|| 1.0 + sd(&boxed));
            (found.threshold, found.min_mean) = (Some(threshold), Some(*mean));
            for (j, taken) in found.selected.iter_mut().enumerate() {
                *taken = found.ratio[j] > threshold && stats.mean[j] > *mean;
            }
        }
        Genes::Listed(_) => {}
    }
    Ok(found)
}

impl VariableGenes {
    /// The largest ratios; among equals, the first genes. Genes without variance are never taken.
    fn take_top(&mut self, n: usize, stats: &GeneStats) {
        let mut order: Vec<usize> = (0..self.ratio.len()).filter(|&j| stats.variance[j] > 0.0).collect();
        order.sort_by(|&x, &y| self.ratio[y].total_cmp(&self.ratio[x]));
        order.iter().take(n).for_each(|&j| self.selected[j] = true);
    }
}

/// The smallest coefficient of variation among the genes of largest mean.
fn smallest_cv(stats: &GeneStats) -> f64 {
    let mut order: Vec<usize> = (0..stats.mean.len()).collect();
    order.sort_by(|&x, &y| stats.mean[y].total_cmp(&stats.mean[x]));
    let cv = |&j: &usize| stats.variance[j].sqrt() / stats.mean[j];
    order.iter().take(LARGEST).map(cv).fold(f64::INFINITY, f64::min)
}

/// The quantiles 10 % and 90 % of what is no NaN.
fn quantiles(values: &[f64]) -> [f64; 2] {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    [quantile(&sorted, 0.1), quantile(&sorted, 0.9)]
}

/// A quantile of sorted values, by linear interpolation between order statistics; NaN of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (low, rest) = (place.floor() as usize, place.fract());
    let (x, y) = (sorted[low], sorted[(low + 1).min(last)]);
    // Interpolated from the nearer end, so that quantiles of equal values are that value.
    if rest >= 0.5 { y - (y - x) * (1.0 - rest) } else { x + (y - x) * rest }
}

/// The standard deviation, ddof 1.
fn sd(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> GeneStats {
        let mean: Vec<f64> = (0..60).map(|j| if j == 7 { 0.0 } else { 1.0 + f64::from(j % 20) }).collect();
        let variance =
            mean.iter().enumerate().map(|(j, m)| m * (1.0 + 0.05 * m + if j == 30 { 9.0 } else { 0.0 })).collect();
        GeneStats { n_cells: 100, mean, variance }
    }

    #[test]
    fn what_varies_most_is_taken_first_and_what_does_not_never() -> Result<()> {
        let found = variable_genes(&stats(), &Genes::Top(1))?;
        assert_eq!(found.genes(), [30]);
        assert!(found.fano[7].is_nan());
        let all = variable_genes(&stats(), &Genes::Top(500))?.genes();
        assert!(all.len() == 59 && !all.contains(&7));
        let above = variable_genes(&stats(), &Genes::Above { ratio: Some(3.0), mean: 0.5 })?;
        assert_eq!((above.genes(), above.threshold), (vec![30], Some(3.0)));
        let still = GeneStats { n_cells: 5, mean: vec![1.0; 3], variance: vec![0.0; 3] };
        assert!(variable_genes(&still, &Genes::AUTOMATIC).is_err());
        Ok(())
    }

    #[test]
    fn quantiles_lie_between_order_statistics() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[5.0; 4], 0.9), 5.0);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
