//! `seurat_v3`: variances of counts that are standardised by a fitted variance and clipped.
//!
//! T. Stuart et al., *Comprehensive integration of single-cell data*, 2019. With mean `m` and variance `s2` of a gene,
//! a local parabola gives the variance `v` that genes of this mean have; counts are cut at `m + sqrt(n v)`, and what is
//! reported is the variance of the cut counts around `m`, divided by `v`.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Factor, RowBlock, RowChunks, Summary, fold};
use ferrocyte_math::loess::{Loess, LoessOptions};

use super::{Flavor, Hvg, HvgOptions, Measures, first};
use crate::Names;
use crate::by_gene::by_gene;
use crate::moments::{Moments, Of, mean_var};
use crate::scan::{Need, scan};

/// The number of genes when none is given.
const N_TOP: usize = 2000;

/// A batch with fewer cells or fewer genes that vary teaches nothing about the rest.
const FEWEST_CELLS: f64 = 3.0;
const FEWEST_GENES: usize = 50;

pub(super) fn find(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    batches: Option<&Factor>,
    options: &HvgOptions,
) -> Result<Hvg> {
    let n_genes = source.n_cols();
    let mut moments = Moments::new(Of::Values, n_genes, batches);
    let seen = scan(run, source, names, Need::NotNegative, &mut [&mut moments])?;
    if !seen.whole {
        run.warn(&format!(
            "{} expects counts, but {} has values that are not whole: give the layer that holds counts",
            options.flavor.word(),
            source.name()
        ));
    }
    let n_batches = moments.n.len();
    let mut fits = Vec::with_capacity(n_batches);
    for batch in 0..n_batches {
        let name = batches.map_or_else(|| "the cells".to_owned(), |b| format!("batch `{}`", b.levels[batch]));
        fits.push(Fit::new(run, &moments, batch, &name, n_batches > 1, options.span)?);
    }
    if fits.iter().all(Option::is_none) {
        return Err(Fault::bad_input("no batch has enough cells and genes that vary").at("batch_key"));
    }
    let mut cut = Cut {
        batches,
        limits: &fits.iter().map(|fit| fit.as_ref().map(|fit| fit.limits.as_slice())).collect::<Vec<_>>(),
        changes: vec![[0.0; 2]; n_genes * n_batches],
    };
    fold(run, source, &mut [&mut cut])?;
    let norms: Vec<Vec<f64>> = fits
        .iter()
        .enumerate()
        .filter_map(|(batch, fit)| fit.as_ref().map(|fit| (batch, fit)))
        .map(|(batch, fit)| {
            let changes = cut.changes.iter().skip(batch).step_by(n_batches);
            fit.variances(moments.n[batch], &moments, batch, changes)
        })
        .collect();
    let n_top = options.n_top.unwrap_or(N_TOP).min(n_genes);
    let (n, sums) = moments.total();
    let (means, variances) = sums.iter().map(|sums| mean_var(n, sums, 1.0)).unzip();
    let ranks: Vec<Vec<usize>> = norms.iter().map(|norm| ranks(norm)).collect();
    let chosen: Vec<usize> = (0..n_genes).map(|g| ranks.iter().filter(|rank| rank[g] < n_top).count()).collect();
    let rank: Vec<f64> = (0..n_genes).map(|g| median_below(&ranks, g, n_top)).collect();
    let mut order: Vec<usize> = (0..n_genes).collect();
    order.sort_by(|&a, &b| {
        // A gene without rank comes last.
        let by_rank = rank[a].is_nan().cmp(&rank[b].is_nan()).then(rank[a].total_cmp(&rank[b]));
        let by_number = chosen[b].cmp(&chosen[a]);
        if options.flavor == Flavor::SeuratV3Paper { by_number.then(by_rank) } else { by_rank.then(by_number) }
    });
    let norm = (0..n_genes).map(|g| norms.iter().map(|norm| norm[g]).sum::<f64>() / norms.len() as f64).collect();
    Ok(Hvg {
        highly_variable: first(&order, n_top),
        means,
        measures: Measures::Variances { variances, norm, rank },
        n_batches: batches.map(|_| chosen),
        of_batches: n_batches,
    })
}

/// The expected standard deviations of a batch, and where counts are cut.
struct Fit {
    deviations: Vec<f64>,
    limits: Vec<f64>,
}

impl Fit {
    /// `None` where there is too little to learn from and other batches will do.
    fn new(run: &Run, moments: &Moments, batch: usize, name: &str, others: bool, span: f64) -> Result<Option<Self>> {
        let n = moments.n[batch];
        let sums = moments.group(batch);
        let of: Vec<(f64, f64)> = sums.iter().map(|sums| mean_var(n, sums, 1.0)).collect();
        let varying: Vec<usize> = (0..of.len()).filter(|&gene| of[gene].1 > 0.0).collect();
        if others && (n < FEWEST_CELLS || varying.len() < FEWEST_GENES) {
            run.warn(&format!("{name} is left out: it has {n} cells and {} genes that vary", varying.len()));
            return Ok(None);
        }
        if varying.is_empty() {
            return Err(Fault::bad_input(format!("no gene varies among {n} cells")).at(name.to_owned()));
        }
        let x: Vec<f64> = varying.iter().map(|&gene| of[gene].0.log10()).collect();
        let y: Vec<f64> = varying.iter().map(|&gene| of[gene].1.log10()).collect();
        let curve = Loess::fit(&x, &y, &LoessOptions::new(span)).map_err(|fault| fault.at(name.to_owned()))?;
        if curve.n_deficient + curve.n_widened > 0 {
            run.warn(&format!(
                "{name}: too few different means for the fit of the variance at {} places, where the simplest curve is \
                 taken",
                curve.n_deficient.max(curve.n_widened)
            ));
        }
        let mut deviations = vec![1.0; of.len()];
        varying.iter().zip(&x).for_each(|(&gene, &x)| deviations[gene] = 10_f64.powf(curve.at(x)).sqrt());
        let limits = of.iter().zip(&deviations).map(|((mean, _), sd)| sd * n.sqrt() + mean).collect();
        Ok(Some(Self { deviations, limits }))
    }

    /// `(n m^2 + sum of squares - 2 m sum) / ((n - 1) v)`, of counts that are cut; `changes` is what cutting does to the
    /// two sums.
    fn variances<'a>(
        &self,
        n: f64,
        moments: &Moments,
        batch: usize,
        changes: impl Iterator<Item = &'a [f64; 2]>,
    ) -> Vec<f64> {
        let genes = moments.group(batch).iter().zip(&self.deviations).zip(changes);
        genes
            .map(|((sums, sd), [change, change_squares])| {
                let mean = sums.sum / n;
                let (sum, squares) = (sums.sum + change, sums.squares + change_squares);
                (n * mean * mean + squares - 2.0 * mean * sum) / ((n - 1.0) * sd * sd)
            })
            .collect()
    }
}

/// What cutting changes in sums and sums of squares. Few counts are cut.
struct Cut<'a> {
    batches: Option<&'a Factor>,
    /// For each batch that is used, the limit of each gene.
    limits: &'a [Option<&'a [f64]>],
    /// Genes × batches.
    changes: Vec<[f64; 2]>,
}

impl Summary for Cut<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let n_batches = self.limits.len();
        let (batches, limits) = (self.batches, self.limits);
        // Most values are far below any limit of their batch.
        let least: Vec<f64> = limits
            .iter()
            .map(|limits| limits.map_or(f64::INFINITY, |l| l.iter().copied().fold(f64::INFINITY, f64::min)))
            .collect();
        by_gene(run, block, &mut self.changes, n_batches, |changes, piece| {
            let batch = batches.map_or(0, |b| b.codes.get(block.start() + piece.row) as usize);
            let Some(limits) = limits[batch] else { return };
            for (&column, &v) in piece.columns.iter().zip(piece.values) {
                if v <= least[batch] {
                    continue;
                }
                let limit = limits[piece.first + column as usize];
                if v > limit {
                    let change = &mut changes[column as usize * n_batches + batch];
                    change[0] += limit - v;
                    change[1] += limit * limit - v * v;
                }
            }
        })
    }
}

/// The rank of each gene from the largest value, ties in order of genes.
fn ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let mut ranks = vec![0; values.len()];
    order.iter().enumerate().for_each(|(rank, &gene)| ranks[gene] = rank);
    ranks
}

/// The median of the ranks of a gene that are below `n_top`; NaN if none is.
fn median_below(ranks: &[Vec<usize>], gene: usize, n_top: usize) -> f64 {
    let mut below: Vec<f64> = ranks.iter().map(|rank| rank[gene]).filter(|&r| r < n_top).map(|r| r as f64).collect();
    if below.is_empty() {
        return f64::NAN;
    }
    below.sort_unstable_by(f64::total_cmp);
    crate::qc::quantile(&below, 0.5)
}
