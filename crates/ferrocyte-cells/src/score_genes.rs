//! How strongly cells express a set of genes, beside other genes of the same abundance: [`score_genes`].
//!
//! The score of R. Satija et al., *Spatial reconstruction of single-cell gene expression data*, 2015, and of I. Tirosh
//! et al., *Dissecting the multicellular ecosystem of metastatic melanoma by single-cell RNA-seq*, 2016: the mean of the
//! set less the mean of control genes, drawn from the bins of mean expression to which the set belongs.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Factor, RowBlock, RowChunks, Summary, fold};
use ferrocyte_math::random::Stream;

use crate::Names;
use crate::moments::{Moments, Of};
use crate::scan::{Need, scan};

/// How control genes are drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreOptions {
    /// Control genes of a bin.
    pub ctrl_size: usize,
    /// Bins of mean expression, with as many genes each.
    pub n_bins: usize,
    /// Genes that may be controls; `None` is all.
    pub pool: Option<Vec<usize>>,
    /// The control genes, where they are known; none are drawn then.
    pub controls: Option<Vec<usize>>,
    /// Decides the controls.
    pub seed: u64,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self { ctrl_size: 50, n_bins: 25, pool: None, controls: None, seed: 0 }
    }
}

/// Scores of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// One per cell.
    pub scores: Vec<f64>,
    /// The control genes, in order.
    pub controls: Vec<usize>,
}

/// Scores every cell of `source`, which has logarithms of normalised counts, for the genes of a set. Two passes, one
/// with given controls.
///
/// # Errors
/// An empty set, genes that do not exist, no control gene, values that are missing or infinite.
pub fn score_genes(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    set: &[usize],
    options: &ScoreOptions,
) -> Result<Scores> {
    let n_genes = source.n_cols();
    let given = [Some(set), options.pool.as_deref(), options.controls.as_deref()];
    if let Some(gene) = given.into_iter().flatten().flatten().find(|&&gene| gene >= n_genes) {
        return Err(Fault::bad_input(format!("gene {gene} of {n_genes}")).at("gene_list"));
    }
    if set.is_empty() || options.n_bins == 0 {
        return Err(Fault::bad_input(format!("{} genes and {} bins", set.len(), options.n_bins))
            .at("gene_list")
            .hint("name at least one gene that the matrix has"));
    }
    let controls = match &options.controls {
        Some(controls) => controls.clone(),
        None => {
            let mut moments = Moments::new(Of::Values, n_genes, None);
            scan(run, source, names, Need::Finite, &mut [&mut moments])?;
            let means: Vec<f64> = (0..n_genes).map(|gene| moments.mean_var(0, gene, 1.0).0).collect();
            draw(&means, set, options)
        }
    };
    if controls.is_empty() {
        return Err(Fault::bad_input("no gene is left to compare the set with")
            .at("gene_pool")
            .hint("give a larger pool, or fewer bins"));
    }
    let mut weighted = Weighted { weights: vec![0.0; n_genes], sums: Vec::with_capacity(source.n_rows()) };
    set.iter().for_each(|&gene| weighted.weights[gene] += 1.0 / set.len() as f64);
    controls.iter().for_each(|&gene| weighted.weights[gene] -= 1.0 / controls.len() as f64);
    fold(run, source, &mut [&mut weighted])?;
    Ok(Scores { scores: weighted.sums, controls })
}

/// Genes of the pool from the bins of the set, without the set itself.
fn draw(means: &[f64], set: &[usize], options: &ScoreOptions) -> Vec<usize> {
    let pool = options.pool.clone().unwrap_or_else(|| (0..means.len()).collect());
    let mut binned: Vec<usize> = pool.iter().chain(set).copied().collect();
    binned.sort_unstable();
    binned.dedup();
    binned.sort_by(|&a, &b| means[a].total_cmp(&means[b]));
    let size = binned.len().div_ceil(options.n_bins);
    let mut in_pool = vec![false; means.len()];
    pool.iter().for_each(|&gene| in_pool[gene] = true);
    set.iter().for_each(|&gene| in_pool[gene] = false);
    let mut controls = Vec::new();
    for (bin, genes) in binned.chunks(size).enumerate() {
        if genes.iter().any(|gene| set.contains(gene)) {
            let mut candidates: Vec<usize> = genes.iter().copied().filter(|&gene| in_pool[gene]).collect();
            Stream::new(options.seed, bin as u64).shuffle(&mut candidates);
            controls.extend(candidates.into_iter().take(options.ctrl_size));
        }
    }
    controls.sort_unstable();
    controls
}

/// Sums of values by the weights of their genes.
struct Weighted {
    weights: Vec<f64>,
    sums: Vec<f64>,
}

impl Summary for Weighted {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        const ROWS: usize = 512;
        let parts = run.map_quietly(block.n_rows(), ROWS, |rows| {
            let of_row = |row| block.row(row).map(|(gene, x)| x * self.weights[gene]).sum::<f64>();
            Ok(rows.map(of_row).collect::<Vec<f64>>())
        })?;
        parts.iter().for_each(|part| self.sums.extend_from_slice(part));
        Ok(())
    }
}

/// The phase of the cell cycle: S or G2M, whichever score is larger, or G1 where both are negative.
///
/// # Errors
/// Scores of different numbers of cells.
pub fn cell_cycle_phase(s: &[f64], g2m: &[f64]) -> Result<Factor> {
    if s.len() != g2m.len() {
        return Err(Fault::bad_input(format!("{} scores for S and {} for G2M", s.len(), g2m.len())));
    }
    let phase = |(&s, &g2m): (&f64, &f64)| match () {
        () if s < 0.0 && g2m < 0.0 => 0,
        () if g2m > s => 1,
        () => 2,
    };
    Ok(Factor { levels: ["G1", "G2M", "S"].map(str::to_owned).to_vec(), codes: s.iter().zip(g2m).map(phase).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_testkit::{Counts, all_values, assert_same_bits_over_runs};

    const NAMES: Names<'static> = Names { cells: &[], genes: &[] };

    #[test]
    fn the_mean_of_the_set_less_that_of_its_controls() -> Result<()> {
        let counts = Counts::random(31, 300, 90, 0.7)?;
        let options = ScoreOptions { ctrl_size: 4, n_bins: 6, ..ScoreOptions::default() };
        let set = [3, 40, 77];
        let work = |run: &Run| score_genes(run, &mut counts.source()?, &NAMES, &set, &options);
        let found = work(&Run::new())?;
        assert!(found.controls.len() >= 4 && found.controls.len() <= 12);
        assert!(found.controls.iter().all(|gene| !set.contains(gene)));
        for (row, score) in all_values(&mut counts.source()?, 50)?.iter().zip(&found.scores) {
            let mean = |genes: &[usize]| {
                row.iter().filter(|(g, _)| genes.contains(g)).map(|(_, x)| x).sum::<f64>() / genes.len() as f64
            };
            assert!((score - (mean(&set) - mean(&found.controls))).abs() < 1e-12);
        }
        assert_same_bits_over_runs(work, |found| found.scores.clone())?;
        let given = ScoreOptions { controls: Some(found.controls.clone()), ..options };
        assert_eq!(score_genes(&Run::new(), &mut counts.source()?, &NAMES, &set, &given)?, found);
        Ok(())
    }

    #[test]
    fn controls_are_as_abundant_as_the_set() {
        let means: Vec<f64> = (0..100).map(f64::from).collect();
        let options = ScoreOptions { n_bins: 10, ctrl_size: 3, ..ScoreOptions::default() };
        let drawn = draw(&means, &[15, 92], &options);
        assert_eq!(drawn.len(), 6);
        assert!(drawn.iter().all(|gene| (10..20).contains(gene) || (90..100).contains(gene)));
    }

    #[test]
    fn phases_and_impossible_sets() -> Result<()> {
        let phases = cell_cycle_phase(&[-1.0, 0.5, 0.2, -0.1], &[-0.5, 0.1, 0.3, 0.0])?;
        let words: Vec<Option<&str>> = (0..4).map(|i| phases.level(i)).collect();
        assert_eq!(words, [Some("G1"), Some("S"), Some("G2M"), Some("G2M")]);
        assert!(cell_cycle_phase(&[1.0], &[]).is_err());
        let counts = Counts::random(1, 10, 5, 1.0)?;
        let told = |set: &[usize]| -> Result<String> {
            let outcome = score_genes(&Run::new(), &mut counts.source()?, &NAMES, set, &ScoreOptions::default());
            Ok(outcome.err().map(|f| f.to_string()).unwrap_or_default())
        };
        assert_eq!(told(&[])?, "gene_list: 0 genes and 25 bins");
        assert_eq!(told(&[5])?, "gene_list: gene 5 of 5");
        assert_eq!(told(&[0, 1, 2, 3, 4])?, "gene_pool: no gene is left to compare the set with");
        Ok(())
    }
}
