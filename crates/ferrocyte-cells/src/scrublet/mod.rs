//! Doublets: droplets with two cells, told by how they look beside simulated ones ([`scrublet`]).
//!
//! S. L. Wolock, R. Lopez, A. M. Klein, *Scrublet: computational identification of cell doublets in single-cell
//! transcriptomic data*, 2019. Pairs of cells are added up; observed and simulated cells are brought into the same
//! principal components; a cell with many simulated neighbours is likely a doublet itself.
//!
//! Doublets form inside a sample: call it for each sample, not for a merged study.

mod pairs;
mod threshold;

use ferrocyte_base::{Cells, Column, Fault, Result, Run, Table};
use ferrocyte_data::{CsrBuilder, OwnedCsr, RowBlock, RowChunks, SelectGenes, SelectRows, rows_per_block};
use ferrocyte_learn::{KnnOptions, Metric, Points, Search, of_nearest};
use ferrocyte_math::random::Stream;

use crate::Names;
use crate::filter::{Bound, filter_cells, filter_genes};
use crate::hvg::{Flavor, HvgOptions, highly_variable_genes};
use crate::normalize::{NormalizeOptions, Normalized, Target, Then, size_factors};
use crate::pca::{PcaOptions, fit};
use crate::scale::ScaleOptions;
use pairs::Pairs;
use threshold::between_modes;

/// How doublets are looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrubletOptions {
    /// Expected share of doublets.
    pub expected_rate: f64,
    /// Uncertainty of that share.
    pub se_rate: f64,
    /// Simulated doublets per cell.
    pub sim_ratio: f64,
    /// Components.
    pub n_comps: usize,
    /// Neighbours among observed cells; `None` is half the root of their number.
    pub n_neighbors: Option<usize>,
    /// Whether logarithms of counts are taken before cells are brought to one total.
    pub log_transform: bool,
    /// Whether the neighbours of a point include itself, so that a simulated one counts itself (as scanpy has it).
    pub counts_itself: bool,
    /// Scores above this are doublets; `None` looks for the valley between the simulated ones.
    pub threshold: Option<f64>,
    /// Pairs of cells to add up, by their rows among the cells that are kept; `None` draws them.
    pub parents: Option<Vec<(u32, u32)>>,
    /// Decides the pairs.
    pub seed: u64,
}

impl Default for ScrubletOptions {
    fn default() -> Self {
        Self {
            expected_rate: 0.05,
            se_rate: 0.02,
            sim_ratio: 2.0,
            n_comps: 30,
            n_neighbors: None,
            log_transform: false,
            counts_itself: true,
            threshold: None,
            parents: None,
            seed: 0,
        }
    }
}

/// Scores of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrublet {
    /// Likelihood of being a doublet, per cell; NaN for cells with fewer than 3 genes, which are left out.
    pub score: Vec<f64>,
    /// Its uncertainty.
    pub se: Vec<f64>,
    /// The scores of the simulated doublets.
    pub simulated: Vec<f64>,
    /// What separates doublets; `None` where no valley was found.
    pub threshold: Option<f64>,
    /// Whether a cell is called a doublet; false for all without a threshold.
    pub is_doublet: Vec<bool>,
    /// The pairs that were added up.
    pub parents: Vec<(u32, u32)>,
}

impl Scrublet {
    /// The columns of `obs`.
    pub fn table(&self) -> Table {
        Table::new("doublets")
            .with(Column::float("doublet_score", "", "likelihood of being a doublet", self.score.clone()))
            .with(Column::float("doublet_score_se", "", "uncertainty of the score", self.se.clone()))
            .with(Column::new(
                "predicted_doublet",
                "",
                "score above the threshold",
                Cells::Bool(self.is_doublet.clone()),
            ))
    }
}

/// Genes in fewer cells, and cells with fewer genes, say too little.
const LEAST: usize = 3;

/// Where there are too many points to look at all pairs, this share of the neighbours is found. What is missed stands
/// farthest away and is as likely to be simulated as the next ones, which are counted in its place.
const RECALL: f64 = 0.95;

/// Scores the cells of one sample; `source` has raw counts.
///
/// Genes in fewer than 3 cells and cells with fewer than 3 genes are left out; variable genes are those of the flavour
/// `seurat` with its usual cut-offs.
///
/// # Errors
/// Values that are not counts, rates out of range, pairs that do not exist, too few cells or variable genes for the
/// components.
pub fn scrublet(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    options: &ScrubletOptions,
) -> Result<Scrublet> {
    check(options)?;
    let n_all = source.n_rows();
    let genes = filter_genes(run, source, names, Bound::MinDetected(LEAST))?.kept.indices();
    let mut few = SelectGenes::new(source, &genes)?;
    let cells = filter_cells(run, &mut few, &Names::default(), Bound::MinDetected(LEAST))?.kept.indices();
    let mut kept = SelectRows::list(&mut few as &mut dyn RowChunks, cells.clone())?;
    let n = cells.len();
    let chosen = variable_genes(run, &mut kept)?;
    let counts = collected(run, &mut SelectGenes::new(&mut kept as &mut dyn RowChunks, &chosen)?)?;
    let counts = counts.block(0..n)?;
    let parents = match &options.parents {
        Some(parents) => parents.clone(),
        None => draw_pairs(n, options),
    };
    let points = embed(run, &counts, &parents, options)?;
    let k = options.n_neighbors.unwrap_or_else(|| (0.5 * (n as f64).sqrt()).round_ties_even() as usize).max(1);
    let ratio = parents.len() as f64 / n as f64;
    let adjusted = (k as f64 * (1.0 + ratio)).round_ties_even() as usize;
    let all = n + parents.len();
    let wanted = KnnOptions {
        k: adjusted + usize::from(!options.counts_itself),
        metric: Metric::Euclidean,
        search: Search::Automatic,
        recall: RECALL,
        seed: options.seed,
    };
    // Of all neighbours nothing is kept but how many are simulated: there are hundreds of each point.
    let likely = |point: u32, others: &[u32]| {
        let itself = u32::from(options.counts_itself);
        let simulated = others.iter().map(|&i| u32::from(i as usize >= n)).sum::<u32>();
        let all = others.len() as u32 + itself;
        let simulated = simulated + itself * u32::from(point as usize >= n);
        score(f64::from(simulated), f64::from(all), ratio, options)
    };
    let scores = of_nearest(run, Points::new(&points, all, points.len() / all)?, &wanted, likely)?;
    let simulated: Vec<f64> = scores[n..].iter().map(|s| s.0).collect();
    let threshold = options.threshold.or_else(|| between_modes(&simulated));
    if threshold.is_none() {
        run.warn("the scores of simulated doublets have no two modes: no cell is called a doublet; give a threshold");
    }
    let (mut value, mut se) = (vec![f64::NAN; n_all], vec![f64::NAN; n_all]);
    let mut is_doublet = vec![false; n_all];
    for (&cell, &(s, e)) in cells.iter().zip(&scores) {
        (value[cell], se[cell]) = (s, e);
        is_doublet[cell] = threshold.is_some_and(|t| s > t);
    }
    Ok(Scrublet { score: value, se, simulated, threshold, is_doublet, parents })
}

fn check(options: &ScrubletOptions) -> Result<()> {
    if !(options.expected_rate > 0.0 && options.expected_rate < 1.0) {
        let message = format!("a share between 0 and 1 is expected, found {}", options.expected_rate);
        return Err(Fault::bad_input(message).at("expected_doublet_rate"));
    }
    if !(options.sim_ratio > 0.0 && options.sim_ratio.is_finite()) {
        let message = format!("a number above 0 is expected, found {}", options.sim_ratio);
        return Err(Fault::bad_input(message).at("sim_doublet_ratio"));
    }
    Ok(())
}

fn draw_pairs(n: usize, options: &ScrubletOptions) -> Vec<(u32, u32)> {
    let mut stream = Stream::new(options.seed, 0);
    let n_sim = (options.sim_ratio * n as f64) as usize;
    (0..n_sim).map(|_| (stream.below(n) as u32, stream.below(n) as u32)).collect()
}

fn variable_genes(run: &Run, counts: &mut dyn RowChunks) -> Result<Vec<usize>> {
    let names = Names::default();
    let usual = NormalizeOptions { target: Target::Median, exclude_highly_expressed: None };
    let factors = size_factors(run, counts, &names, &usual)?.factors;
    let mut logged = Normalized::new(counts, Some(factors), Then::Log1p { base: None })?;
    Ok(highly_variable_genes(run, &mut logged, &names, None, &HvgOptions::new(Flavor::Seurat))?.indices())
}

/// All rows, block by block: what they are made of, here of many more genes, is never in memory as a whole.
fn collected(run: &Run, source: &mut dyn RowChunks) -> Result<OwnedCsr> {
    let n = source.n_rows();
    let mut whole = CsrBuilder::new(n, source.n_cols())?;
    let step = rows_per_block(run, source);
    for start in (0..n).step_by(step) {
        run.check()?;
        whole.append(&source.read(run, start..(start + step).min(n))?);
    }
    Ok(whole.finish())
}

/// Observed and simulated cells × components.
fn embed(run: &Run, counts: &RowBlock<'_>, parents: &[(u32, u32)], options: &ScrubletOptions) -> Result<Vec<f64>> {
    let observed: Vec<(u32, u32)> = (0..counts.n_rows() as u32).map(|i| (i, i)).collect();
    let scale = ScaleOptions { ddof: 0, ..ScaleOptions::default() };
    let wanted = PcaOptions { n_comps: Some(options.n_comps), scale: Some(scale) };
    let mut seen = same_totals(run, Pairs::singles(counts, &observed)?, options)?;
    let (pca, projection) = fit(run, &mut seen, &Names::default(), &wanted)?;
    let mut made = same_totals(run, Pairs::sums(counts, parents)?, options)?;
    let simulated = projection.scores(run, &mut made)?;
    Ok([pca.scores.entries(), simulated.entries()].concat())
}

/// Cells brought to a total of a million over the variable genes, after their logarithm if asked for.
fn same_totals<'a>(
    run: &Run,
    source: Pairs<'a>,
    options: &ScrubletOptions,
) -> Result<Normalized<Normalized<Pairs<'a>>>> {
    const TOTAL: f64 = 1e6;
    let then = if options.log_transform { Then::Log1p { base: None } } else { Then::Stop };
    let mut logged = Normalized::new(source, None, then)?;
    let target = NormalizeOptions { target: Target::To(TOTAL), exclude_highly_expressed: None };
    let factors = size_factors(run, &mut logged, &Names::default(), &target)?.factors;
    Normalized::new(logged, Some(factors), Then::Stop)
}

/// The likelihood of a doublet with `nd` simulated among `k` neighbours, and its uncertainty.
fn score(nd: f64, k: f64, r: f64, options: &ScrubletOptions) -> (f64, f64) {
    let (rho, se_rho) = (options.expected_rate, options.se_rate);
    let q = (nd + 1.0) / (k + 2.0);
    let se_q = (q * (1.0 - q) / (k + 3.0)).sqrt();
    let share = rho / r;
    let below = 1.0 - rho - q * (1.0 - rho - share);
    let spread = ((se_q / q * (1.0 - rho)).powi(2) + (se_rho / rho * (1.0 - q)).powi(2)).sqrt();
    (q * share / below, q * share / (below * below) * spread)
}

/// [`score`] for tests of the formula.
#[doc(hidden)]
pub fn score_of(nd: f64, k: f64, r: f64, rho: f64, se_rho: f64) -> (f64, f64) {
    score(nd, k, r, &ScrubletOptions { expected_rate: rho, se_rate: se_rho, ..ScrubletOptions::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_testkit::{Counts, assert_same_bits_over_runs};

    /// Two kinds of cells with genes of their own; the last cells are sums of both.
    fn example(n: usize, doublets: usize) -> Result<Counts> {
        let mut stream = Stream::new(6, 0);
        let p = 120_i32;
        let (mut values, mut indices, mut pointers) = (Vec::new(), Vec::new(), vec![0]);
        for cell in 0..n + doublets {
            for gene in 0..p {
                let own = |kind: i32| if gene % 3 == kind { 3.0 } else { 0.3 };
                let mean = if cell < n { own((cell % 2) as i32) } else { own(0) + own(1) };
                let depth = 0.5 + stream.uniform();
                let count = stream.poisson(mean * depth)?;
                if count > 0.0 {
                    values.push(count as f32);
                    indices.push(gene);
                }
            }
            pointers.push(values.len() as i64);
        }
        Ok(Counts { n_rows: n + doublets, n_cols: p as usize, values, indices, pointers })
    }

    #[test]
    fn sums_of_two_kinds_score_higher() -> Result<()> {
        let counts = example(400, 30)?;
        let options = ScrubletOptions { n_comps: 5, ..ScrubletOptions::default() };
        let work = |run: &Run| scrublet(run, &mut counts.source()?, &Names::default(), &options);
        let found = work(&Run::new())?;
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        assert!(mean(&found.score[400..]) > 3.0 * mean(&found.score[..400]));
        assert_eq!((found.simulated.len(), found.table().columns().len()), (860, 3));
        assert_same_bits_over_runs(work, |found| [&found.score[..], &found.simulated].concat())
    }

    #[test]
    fn rates_and_pairs_out_of_range_are_named() -> Result<()> {
        let counts = example(60, 0)?;
        let told = |options: &ScrubletOptions| -> Result<String> {
            let outcome = scrublet(&Run::new(), &mut counts.source()?, &Names::default(), options);
            Ok(outcome.err().map(|f| f.to_string()).unwrap_or_default())
        };
        let usual = ScrubletOptions { n_comps: 3, ..ScrubletOptions::default() };
        let rate = ScrubletOptions { expected_rate: 1.0, ..usual.clone() };
        assert_eq!(told(&rate)?, "expected_doublet_rate: a share between 0 and 1 is expected, found 1");
        let pair = ScrubletOptions { parents: Some(vec![(0, 60)]), ..usual };
        assert_eq!(told(&pair)?, "parents: cell 60 of 60");
        Ok(())
    }
}
