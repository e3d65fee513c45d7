//! `seurat` and `cell_ranger`: variance / mean, relative to genes of similar means.
//!
//! `seurat` undoes the logarithm, takes that of the dispersion, and standardises by mean and standard deviation within
//! bins of equal width; `cell_ranger` stays with the logarithms as they are and standardises by median and median
//! absolute deviation within bins of equal numbers.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{Factor, RowChunks};

use super::{Flavor, Hvg, HvgOptions, Measures, first};
use crate::Names;
use crate::moments::{Moments, Of};
use crate::qc::quantile;
use crate::scan::{Need, scan};

/// The median absolute deviation of a normal distribution with standard deviation 1.
const MAD_OF_NORMAL: f64 = 0.674_489_750_196_081_7;

/// In place of a mean of 0.
const NO_MEAN: f64 = 1e-12;

pub(super) fn find(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    batches: Option<&Factor>,
    options: &HvgOptions,
) -> Result<Hvg> {
    let of = if options.flavor == Flavor::Seurat { Of::undoing(options.base) } else { Of::Values };
    let n_genes = source.n_cols();
    let mut moments = Moments::new(of, n_genes, batches);
    scan(run, source, names, Need::Finite, &mut [&mut moments])?;
    if batches.is_none() {
        let all: Vec<usize> = (0..n_genes).collect();
        let genes = Genes::new(&moments, 0, &all, options);
        let highly_variable = genes.choose(options);
        let Genes { means, dispersions, norm } = genes;
        let measures = Measures::Dispersions { dispersions, norm };
        return Ok(Hvg { highly_variable, means, measures, n_batches: None, of_batches: 1 });
    }
    Ok(combine(&moments, options))
}

/// What the batches find, averaged; a gene that a batch does not have counts as 0 there.
fn combine(moments: &Moments, options: &HvgOptions) -> Hvg {
    let n_genes = moments.group(0).len();
    let used: Vec<usize> = (0..moments.n.len()).filter(|&batch| moments.n[batch] > 0.0).collect();
    let (mut means, mut norm) = (vec![0.0; n_genes], vec![0.0; n_genes]);
    let mut dispersions = vec![(0.0, 0.0); n_genes];
    let mut chosen = vec![0; n_genes];
    for &batch in &used {
        let sums = moments.group(batch);
        let present: Vec<usize> = (0..n_genes).filter(|&gene| sums[gene].detected > 0.0).collect();
        let genes = Genes::new(moments, batch, &present, options);
        let choice = genes.choose(options);
        let mut absent = vec![true; n_genes];
        for (i, &gene) in present.iter().enumerate() {
            absent[gene] = false;
            means[gene] += genes.means[i];
            norm[gene] += if genes.norm[i].is_nan() { 0.0 } else { genes.norm[i] };
            if !genes.dispersions[i].is_nan() {
                dispersions[gene].0 += genes.dispersions[i];
                dispersions[gene].1 += 1.0;
            }
            chosen[gene] += usize::from(choice[i]);
        }
        absent.iter().zip(&mut dispersions).filter(|(absent, _)| **absent).for_each(|(_, d)| d.1 += 1.0);
    }
    let n = used.len() as f64;
    means.iter_mut().for_each(|mean| *mean /= n);
    norm.iter_mut().for_each(|z| *z /= n);
    let dispersions = dispersions.into_iter().map(|(sum, n)| if n > 0.0 { sum / n } else { f64::NAN }).collect();
    let all = Genes { means, dispersions, norm };
    let highly_variable = match options.n_top {
        Some(n_top) => {
            let mut order: Vec<usize> = (0..n_genes).collect();
            order.sort_by(|&a, &b| chosen[b].cmp(&chosen[a]).then(all.norm[b].total_cmp(&all.norm[a])));
            first(&order, n_top)
        }
        None => all.choose(options),
    };
    let Genes { means, dispersions, norm } = all;
    let measures = Measures::Dispersions { dispersions, norm };
    Hvg { highly_variable, means, measures, n_batches: Some(chosen), of_batches: used.len() }
}

/// Measures of some genes.
struct Genes {
    means: Vec<f64>,
    dispersions: Vec<f64>,
    norm: Vec<f64>,
}

impl Genes {
    fn new(moments: &Moments, batch: usize, genes: &[usize], options: &HvgOptions) -> Self {
        let seurat = options.flavor == Flavor::Seurat;
        let (mut means, mut dispersions) = (Vec::with_capacity(genes.len()), Vec::with_capacity(genes.len()));
        for &gene in genes {
            let (mean, var) = moments.mean_var(batch, gene, 1.0);
            let mean = if mean == 0.0 { NO_MEAN } else { mean };
            let dispersion = var / mean;
            if seurat {
                means.push(mean.ln_1p());
                dispersions.push(if dispersion == 0.0 { f64::NAN } else { dispersion.ln() });
            } else {
                means.push(mean);
                dispersions.push(dispersion);
            }
        }
        let norm = if genes.is_empty() {
            Vec::new()
        } else if seurat {
            let bins = Bins::of_equal_width(&means, options.n_bins);
            bins.standardise(&means, &dispersions, mean_and_deviation)
        } else {
            Bins::of_percentiles(&means).standardise(&means, &dispersions, median_and_mad)
        };
        Self { means, dispersions, norm }
    }

    /// The genes with the largest normalised dispersions, ties included, or those within the cut-offs.
    fn choose(&self, options: &HvgOptions) -> Vec<bool> {
        let Some(n_top) = options.n_top else {
            let within = |(&mean, &norm): (&f64, &f64)| {
                let norm = if norm.is_nan() { 0.0 } else { norm };
                mean > options.min_mean && mean < options.max_mean && norm > options.min_disp && norm < options.max_disp
            };
            return self.means.iter().zip(&self.norm).map(within).collect();
        };
        let mut known: Vec<f64> = self.norm.iter().copied().filter(|z| !z.is_nan()).collect();
        known.sort_unstable_by(|a, b| b.total_cmp(a));
        let cut = known.get(n_top.min(known.len()).wrapping_sub(1)).copied().unwrap_or(f64::INFINITY);
        self.norm.iter().map(|&z| z >= cut).collect()
    }
}

/// Bins by their edges, open on the left and closed on the right.
struct Bins(Vec<f64>);

impl Bins {
    /// Over the range of values, which is widened by a thousandth on the left.
    fn of_equal_width(values: &[f64], n: usize) -> Self {
        let mut low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let mut high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let flat = low == high;
        if flat {
            let margin = if low == 0.0 { 0.001 } else { 0.001 * low.abs() };
            (low, high) = (low - margin, high + margin);
        }
        let width = (high - low) / n as f64;
        let mut edges: Vec<f64> = (0..n).map(|i| low + i as f64 * width).chain([high]).collect();
        if !flat {
            edges[0] -= 0.001 * (high - low);
        }
        Self(edges)
    }

    /// At every twentieth from the tenth percentile on.
    fn of_percentiles(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let inner = (2..=20).map(|i| quantile(&sorted, f64::from(i) * 0.05));
        Self(std::iter::once(f64::NEG_INFINITY).chain(inner).chain([f64::INFINITY]).collect())
    }

    /// `(value - centre) / spread` within the bin of each gene, by what `summarise` finds for the values of a bin.
    fn standardise(&self, means: &[f64], values: &[f64], summarise: impl Fn(&mut [f64]) -> (f64, f64)) -> Vec<f64> {
        let bin_of = |mean: f64| self.0.partition_point(|&edge| edge < mean);
        let mut members: Vec<Vec<f64>> = vec![Vec::new(); self.0.len() + 1];
        for (&mean, &value) in means.iter().zip(values) {
            if !value.is_nan() {
                members[bin_of(mean)].push(value);
            }
        }
        let found: Vec<(f64, f64)> = members.iter_mut().map(|values| summarise(values)).collect();
        let standard = |(&mean, &value): (&f64, &f64)| {
            let (centre, spread) = found[bin_of(mean)];
            (value - centre) / spread
        };
        means.iter().zip(values).map(standard).collect()
    }
}

/// Mean and standard deviation; a single value is its own unit, so that it comes out as 1.
fn mean_and_deviation(values: &mut [f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return (0.0, mean);
    }
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

fn median_and_mad(values: &mut [f64]) -> (f64, f64) {
    if values.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    values.sort_unstable_by(f64::total_cmp);
    let median = quantile(values, 0.5);
    let mut apart: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
    apart.sort_unstable_by(f64::total_cmp);
    (median, quantile(&apart, 0.5) / MAD_OF_NORMAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_closed_on_the_right() {
        let bins = Bins::of_equal_width(&[0.0, 10.0], 5);
        assert_eq!(bins.0, [-0.01, 2.0, 4.0, 6.0, 8.0, 10.0]);
        let z = bins.standardise(&[0.0, 2.0, 2.1, 10.0], &[1.0, 3.0, 7.0, f64::NAN], mean_and_deviation);
        assert!((z[0] + 0.5_f64.sqrt()).abs() < 1e-15 && (z[1] - 0.5_f64.sqrt()).abs() < 1e-15);
        assert!(z[2] == 1.0 && z[3].is_nan());
        assert_eq!(Bins::of_equal_width(&[2.0, 2.0], 1).0, [1.998, 2.002]);
    }

    #[test]
    fn ties_at_the_cut_are_all_chosen() {
        let genes = Genes { means: vec![1.0; 5], dispersions: vec![1.0; 5], norm: vec![2.0, 1.0, f64::NAN, 1.0, 0.0] };
        let mut options = HvgOptions::new(Flavor::Seurat);
        options.n_top = Some(2);
        assert_eq!(genes.choose(&options), [true, true, false, true, false]);
        options.n_top = Some(5);
        assert_eq!(genes.choose(&options), [true, true, false, true, true]);
        options.n_top = None;
        assert_eq!(genes.choose(&options), [true, true, false, true, false]);
    }
}
