//! [`duplicate_correlation`]: how strongly samples of a block, or duplicates within a sample, are correlated.

mod gamma;
mod spectra;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;

use self::gamma::{Group, correlation};
use self::spectra::{OwnSpectrum, SharedSpectrum};
use crate::fit::Duplicates;
use crate::{DesignMatrix, Expression, Weights};

/// Correlations are kept below this.
const LARGEST: f64 = 0.99;
/// And above the least that is possible by this.
const MARGIN: f64 = 0.01;
/// Weights below this make a value missing.
const NO_WEIGHT: f64 = 1e-15;

/// Options of [`duplicate_correlation`].
#[derive(Debug, Clone, Copy)]
pub struct CorrelationOptions<'a> {
    /// The block of each sample, as a number from 0.
    pub block: Option<&'a [usize]>,
    /// Without blocks: how often each gene is measured within a sample.
    pub ndups: usize,
    /// Rows between the duplicates of a gene.
    pub spacing: usize,
    /// Share of genes left out of the mean at either end.
    pub trim: f64,
    /// Weights of samples, genes or values.
    pub weights: Weights<'a>,
}

impl Default for CorrelationOptions<'_> {
    fn default() -> Self {
        Self { block: None, ndups: 2, spacing: 1, trim: 0.15, weights: Weights::None }
    }
}

/// The correlation within blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct DuplicateCorrelation {
    /// tanh of the trimmed mean of `atanh_correlations`.
    pub consensus: f64,
    /// The inverse hyperbolic tangent of each gene's correlation; NaN where a gene cannot tell.
    pub atanh_correlations: Vec<f64>,
}

/// Estimates the correlation of samples within blocks, or of duplicates within samples: for each gene by restricted
/// maximum likelihood, then a trimmed mean over the genes (Smyth, Michaud and Scott 2005).
///
/// A gene is used if it has more than p + 2 values in at least two blocks, fewer than its values less one. Blocks that are
/// all of one sample, or that the design holds already, give 0, with a warning. Prior weights scale values and design, not
/// the block effect.
///
/// Without weights or missing values of genes all share one eigenvalue decomposition.
pub fn duplicate_correlation(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    options: &CorrelationOptions<'_>,
) -> Result<DuplicateCorrelation> {
    design.check_samples(y.n_samples(), y.samples())?;
    options.weights.check(y.n_genes(), y.n_samples())?;
    if !(0.0..=0.5).contains(&options.trim) {
        return Err(Fault::bad_input(format!("{} is no share between 0 and 0.5", options.trim)).at("trim"));
    }
    if let Some(block) = options.block {
        if block.len() != y.n_samples() {
            return Err(Fault::bad_input(format!("{} entries for {} samples", block.len(), y.n_samples())).at("block"));
        }
        return estimate(run, y, design, block, &options.weights, options.trim);
    }
    if options.ndups < 2 {
        run.warn("there are no blocks and no duplicates: the correlation is 0");
        return Ok(none(y.n_genes()));
    }
    let layout = Duplicates::new(y.n_genes(), options.ndups, options.spacing)?;
    let values = layout.side_by_side(y.values());
    let block = layout.repeated(&(0..y.n_samples()).collect::<Vec<_>>());
    let of_samples = if let Weights::Samples(w) = options.weights { layout.repeated(w) } else { Vec::new() };
    let of_values = match options.weights {
        Weights::Values(w) => layout.side_by_side(w),
        Weights::Genes(w) => layout.row_weights(w, y.n_samples()),
        _ => Matrix::default(),
    };
    let weights = match options.weights {
        Weights::None => Weights::None,
        Weights::Samples(_) => Weights::Samples(&of_samples),
        _ => Weights::Values(of_values.borrowed()),
    };
    estimate(run, &Expression::unnamed(values.borrowed()), &layout.design(design)?, &block, &weights, options.trim)
}

/// [`duplicate_correlation`] of samples with blocks, after checks.
fn estimate(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    block: &[usize],
    weights: &Weights<'_>,
    trim: f64,
) -> Result<DuplicateCorrelation> {
    let n_blocks = block.iter().max().map_or(0, |&b| b + 1);
    let mut sizes = vec![0_usize; n_blocks];
    block.iter().for_each(|&b| sizes[b] += 1);
    let largest = sizes.iter().copied().max().unwrap_or(0);
    if largest <= 1 {
        run.warn("every block has one sample: the correlation is 0");
        return Ok(none(y.n_genes()));
    }
    let roots: Option<Vec<f64>> = match *weights {
        Weights::Samples(w) => Some(w.iter().map(|w| w.sqrt()).collect()),
        _ => None,
    };
    let mut whitened = design.matrix().clone();
    if let Some(roots) = roots.as_ref().filter(|roots| roots.iter().all(|u| u.is_finite())) {
        for (i, u) in roots.iter().enumerate() {
            whitened.row_mut(i).iter_mut().for_each(|x| *x *= u);
        }
    }
    let Some(shared) = SharedSpectrum::new(&whitened, block, n_blocks)? else {
        run.warn("the design already holds the blocks: the correlation is 0");
        return Ok(none(y.n_genes()));
    };
    let limits = ((1.0 / (1.0 - largest as f64)) + MARGIN, LARGEST);
    let work = Work { y, design, block, n_blocks, weights, roots, shared };
    let n = y.n_samples();
    let at_once = ((1 << 16) / n.max(1)).clamp(16, 1024);
    let parts =
        run.map_ranges("correlations of genes", y.n_genes(), at_once, |genes| Ok(work.block_of_genes(genes)))?;
    let clip = |rho: f64| if rho.is_nan() { rho } else { rho.clamp(limits.0, limits.1).atanh() };
    let atanh_correlations: Vec<f64> = parts.into_iter().flatten().map(clip).collect();
    let consensus = trimmed_mean(&atanh_correlations, trim).tanh();
    if consensus.is_nan() {
        run.warn("no gene has enough values to tell the correlation, which is NaN");
    }
    Ok(DuplicateCorrelation { consensus, atanh_correlations })
}

fn none(n_genes: usize) -> DuplicateCorrelation {
    DuplicateCorrelation { consensus: 0.0, atanh_correlations: vec![0.0; n_genes] }
}

/// What the genes of a block need.
struct Work<'a> {
    y: &'a Expression<'a>,
    design: &'a DesignMatrix,
    block: &'a [usize],
    n_blocks: usize,
    weights: &'a Weights<'a>,
    /// Roots of the weights of samples.
    roots: Option<Vec<f64>>,
    shared: SharedSpectrum,
}

impl Work<'_> {
    /// Correlations of a range of genes.
    fn block_of_genes(&self, genes: std::ops::Range<usize>) -> Vec<f64> {
        let mut out = vec![f64::NAN; genes.len()];
        let n = self.y.n_samples();
        let like_all: Vec<usize> = genes.clone().filter(|&g| self.is_like_all(g)).collect();
        let mut values: Vec<f64> = Vec::with_capacity(like_all.len() * n);
        for &g in &like_all {
            match &self.roots {
                Some(roots) => values.extend(self.y.row(g).iter().zip(roots).map(|(y, u)| y * u)),
                None => values.extend_from_slice(self.y.row(g)),
            }
        }
        let blocks = self.blocks_of(0..n);
        if !values.is_empty() && self.tells(n, blocks) {
            let mut which = like_all.iter();
            self.shared.squares(&mut values, self.block, |groups: &[Group]| {
                if let Some(g) = which.next() {
                    out[g - genes.start] = correlation(groups);
                }
            });
        }
        let mut own = Own::default();
        let mut others = like_all.into_iter().peekable();
        for g in genes.clone() {
            if others.next_if_eq(&g).is_none() {
                out[g - genes.start] = self.own(g, &mut own);
            }
        }
        out
    }

    /// Whether a gene has no weights or missing values of its own.
    fn is_like_all(&self, g: usize) -> bool {
        let weighted = match self.weights {
            Weights::None => false,
            Weights::Samples(w) => !w.iter().all(|&w| w.is_finite() && w >= NO_WEIGHT),
            Weights::Genes(w) => !(w[g].is_finite() && w[g] >= NO_WEIGHT),
            Weights::Values(_) => true,
        };
        !weighted && self.y.row(g).iter().all(|x| x.is_finite())
    }

    /// Number of blocks that samples are of.
    fn blocks_of(&self, samples: impl Iterator<Item = usize>) -> usize {
        let mut seen = vec![false; self.n_blocks];
        samples.for_each(|i| seen[self.block[i]] = true);
        seen.into_iter().filter(|&s| s).count()
    }

    /// Whether n values in so many blocks tell a correlation.
    fn tells(&self, n: usize, blocks: usize) -> bool {
        n > self.design.n_coefficients() + 2 && blocks > 1 && blocks + 1 < n
    }

    /// The correlation of a gene with weights or missing values of its own.
    fn own(&self, g: usize, own: &mut Own) -> f64 {
        let (y, n) = (self.y.row(g), self.y.n_samples());
        let weights = self.weights.row(g, n);
        let weight = |i: usize| weights.as_ref().map_or(1.0, |w| w[i]);
        own.observed.clear();
        own.observed.extend((0..n).filter(|&i| y[i].is_finite() && weight(i).is_finite() && weight(i) >= NO_WEIGHT));
        let blocks = self.blocks_of(own.observed.iter().copied());
        if !self.tells(own.observed.len(), blocks) {
            return f64::NAN;
        }
        own.roots.clear();
        own.roots.extend(own.observed.iter().map(|&i| weight(i).sqrt()));
        own.values.clear();
        own.values.extend(own.observed.iter().zip(&own.roots).map(|(&i, u)| y[i] * u));
        // Blocks numbered anew, those without values left out.
        own.numbers.clear();
        own.numbers.resize(self.n_blocks, usize::MAX);
        own.block.clear();
        let mut next = 0;
        for &i in &own.observed {
            let number = &mut own.numbers[self.block[i]];
            if *number == usize::MAX {
                *number = next;
                next += 1;
            }
            own.block.push(*number);
        }
        let x = self.design.matrix();
        let (observed, roots) = (&own.observed, &own.roots);
        let fill = |j: usize, column: &mut [f64]| {
            for ((out, &i), u) in column.iter_mut().zip(observed).zip(roots) {
                *out = x[(i, j)] * u;
            }
        };
        let groups = own.spectrum.squares(&mut own.values, x.n_cols(), fill, &own.block, blocks);
        groups.map_or(f64::NAN, correlation)
    }
}

/// Memory for genes with a spectrum of their own.
#[derive(Debug, Default)]
struct Own {
    spectrum: OwnSpectrum,
    observed: Vec<usize>,
    roots: Vec<f64>,
    values: Vec<f64>,
    numbers: Vec<usize>,
    block: Vec<usize>,
}

/// The mean of the values that are not NaN, without a share of the smallest and of the largest.
fn trimmed_mean(values: &[f64], trim: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    if n == 0 {
        return f64::NAN;
    }
    if trim >= 0.5 {
        return 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
    }
    let cut = (n as f64 * trim).floor() as usize;
    let middle = &sorted[cut..n - cut];
    middle.iter().sum::<f64>() / middle.len() as f64
}

#[cfg(test)]
mod tests;
