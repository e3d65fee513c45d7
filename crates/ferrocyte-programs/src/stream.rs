//! Passes over expression that is never held: transcripts per million, sums by gene, sums by cell, and the door.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Summary, Values, fold};

use crate::Names;

/// What the values of a cell add up to.
const MILLION: f64 = 1e6;

/// Genes that one thread works on at a time.
const TILE: usize = 512;

/// Cells that one thread works on at a time.
const ROWS: usize = 128;

/// Counts, each cell scaled to the sum of a million. A cell without counts stays zero.
pub struct PerMillion<S>(pub S);

impl<S: RowChunks> RowChunks for PerMillion<S> {
    fn n_rows(&self) -> usize {
        self.0.n_rows()
    }
    fn n_cols(&self) -> usize {
        self.0.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        self.0.n_stored()
    }
    fn name(&self) -> String {
        self.0.name()
    }
    fn reads_ahead(&self) -> bool {
        self.0.reads_ahead()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let block = self.0.read(run, rows)?;
        let scaled = per_million(&block);
        block.with_values(scaled)
    }
}

/// The values of a block, each row scaled to the sum of a million.
fn per_million(block: &RowBlock) -> Values<'static> {
    let mut scaled = Vec::with_capacity(block.values().len());
    for (ends, total) in block.pointers().windows(2).zip(block.row_sums()) {
        let by = if total > 0.0 { total / MILLION } else { 1.0 };
        scaled.extend((ends[0]..ends[1]).map(|at| block.values().get(at) / by));
    }
    Values::F64(Cow::Owned(scaled))
}

/// A summary that sees counts per million, beside others that see the counts.
struct Scaled<T>(T);

impl<T: Summary> Summary for Scaled<T> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        self.0.observe(run, &block.clone().with_values(per_million(block))?)
    }
}

/// Refuses values that are missing, infinite or negative: counts them, names the first cell and gene.
pub(crate) struct Door<'a> {
    names: &'a Names,
    n_bad: usize,
    first: Option<(usize, usize, f64)>,
}

impl<'a> Door<'a> {
    pub(crate) fn new(names: &'a Names) -> Self {
        Self { names, n_bad: 0, first: None }
    }

    /// The fault of what was seen.
    pub(crate) fn verdict(&self, source: &str) -> Result<()> {
        let Some((row, column, x)) = self.first else { return Ok(()) };
        let cell = self.names.cells.get(row).map_or_else(|| format!("cell {row}"), |name| format!("cell `{name}`"));
        let gene =
            self.names.genes.get(column).map_or_else(|| format!("gene {column}"), |name| format!("gene `{name}`"));
        let message =
            format!("{} values are missing, infinite or negative, the first ({x}) in {cell}, {gene}", self.n_bad);
        let hint = if x < 0.0 {
            "were centred or logarithmic data given? Counts are needed"
        } else {
            "leave out or repair the cells or genes with missing values"
        };
        Err(Fault::bad_input(message).at(source.to_owned()).hint(hint))
    }
}

impl Summary for Door<'_> {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let bad = |x: f64| !(x >= 0.0 && x.is_finite());
        let n_bad = (0..block.values().len()).filter(|&at| bad(block.values().get(at))).count();
        if n_bad > 0 && self.first.is_none() {
            self.first = (0..block.n_rows()).find_map(|i| {
                let (column, x) = block.row(i).find(|(_, x)| bad(*x))?;
                Some((block.start() + i, column, x))
            });
        }
        self.n_bad += n_bad;
        Ok(())
    }
}

/// For every gene, `width` sums over the cells, in their order whatever the threads: `add(cell, value, sums)`.
pub(crate) struct ByGene<F> {
    width: usize,
    /// `width` numbers for each gene.
    pub(crate) sums: Vec<f64>,
    add: F,
}

impl<F: Fn(usize, f64, &mut [f64]) + Send + Sync> ByGene<F> {
    pub(crate) fn new(n_genes: usize, width: usize, add: F) -> Self {
        Self { width, sums: vec![0.0; n_genes * width], add }
    }
}

impl<F: Fn(usize, f64, &mut [f64]) + Send + Sync> Summary for ByGene<F> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let (width, add) = (self.width, &self.add);
        let tile = if run.n_threads() == 1 { block.n_cols().max(1) } else { TILE };
        run.for_each_chunk(&mut self.sums, tile * width, |at, sums| {
            let first = at * tile;
            for i in 0..block.n_rows() {
                let (begin, end) = (block.pointers()[i], block.pointers()[i + 1]);
                let mine = &block.indices()[begin..end];
                let from = begin + mine.partition_point(|&j| (j as usize) < first);
                for place in from..end {
                    let j = block.indices()[place] as usize - first;
                    let Some(sums) = sums.get_mut(j * width..(j + 1) * width) else { break };
                    add(block.start() + i, block.values().get(place), sums);
                }
            }
        })
    }
}

/// For every cell, `width` sums over its genes: `add(gene, value, sums)`.
pub(crate) struct ByCell<F> {
    width: usize,
    /// `width` numbers for each cell.
    pub(crate) sums: Vec<f64>,
    add: F,
}

impl<F: Fn(usize, f64, &mut [f64]) + Send + Sync> ByCell<F> {
    pub(crate) fn new(n_cells: usize, width: usize, add: F) -> Self {
        Self { width, sums: vec![0.0; n_cells * width], add }
    }
}

impl<F: Fn(usize, f64, &mut [f64]) + Send + Sync> Summary for ByCell<F> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let (width, add) = (self.width, &self.add);
        let first = block.start() * width;
        let mine = &mut self.sums[first..first + block.n_rows() * width];
        run.for_each_chunk(mine, ROWS * width, |at, part| {
            for (i, sums) in part.chunks_exact_mut(width).enumerate() {
                block.row(at * ROWS + i).for_each(|(gene, x)| add(gene, x, sums));
            }
        })
    }
}

/// Mean and standard deviation of every gene over all cells, in the unit of the matrix; `ddof` is 0.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneStats {
    /// Number of cells.
    pub n_cells: usize,
    /// One per gene.
    pub mean: Vec<f64>,
    /// One per gene; variance ddof 0.
    pub variance: Vec<f64>,
}

impl GeneStats {
    /// From sums and sums of squares.
    pub(crate) fn from_sums(n_cells: usize, sums: &[f64]) -> Self {
        let n = n_cells as f64;
        let mean: Vec<f64> = sums.chunks_exact(2).map(|s| s[0] / n).collect();
        let variance = sums.chunks_exact(2).zip(&mean).map(|(s, mean)| {
            let left = s[1] / n - mean * mean;
            // What adding up n equal numbers may be off by is no variance.
            if left <= 4.0 * f64::EPSILON * n.sqrt() * s[1] / n { 0.0 } else { left }
        });
        let variance = variance.collect();
        Self { n_cells, mean, variance }
    }

    /// Standard deviations of some genes, or of all where `None`, with `ddof` taken from the cells.
    pub fn sd(&self, genes: Option<&[usize]>, ddof: usize) -> Vec<f64> {
        let n = self.n_cells as f64;
        let by = if self.n_cells > ddof { n / (n - ddof as f64) } else { 0.0 };
        let of = |j: usize| (self.variance[j] * by).sqrt();
        match genes {
            Some(genes) => genes.iter().map(|&j| of(j)).collect(),
            None => (0..self.variance.len()).map(of).collect(),
        }
    }

    /// One pass, which also looks at every value. With `per_million` cells are scaled to the sum of a million.
    ///
    /// # Errors
    /// Values that are missing, infinite or negative: the fault counts them and names the first.
    pub fn of(run: &Run, source: &mut dyn RowChunks, names: &Names, per_million: bool) -> Result<Self> {
        let (n_cells, n_genes) = (source.n_rows(), source.n_cols());
        let mut door = Door::new(names);
        let mut moments = Scaled(ByGene::new(n_genes, 2, |_, x, s: &mut [f64]| {
            s[0] += x;
            s[1] += x * x;
        }));
        let learner: &mut dyn Summary = if per_million { &mut moments } else { &mut moments.0 };
        fold(run, source, &mut [&mut door, learner])?;
        door.verdict(&source.name())?;
        Ok(Self::from_sums(n_cells, &moments.0.sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_testkit::{Counts, all_values, assert_same_bits_over_runs};

    fn names(n: usize, g: usize) -> Names {
        Names { cells: (0..n).map(|i| format!("c{i}")).collect(), genes: (0..g).map(|j| format!("g{j}")).collect() }
    }

    #[test]
    fn moments_of_counts_per_million() -> Result<()> {
        let counts = Counts::random(3, 200, 900, 0.4)?;
        let rows = all_values(&mut counts.source()?, 50)?;
        let work = |run: &Run| GeneStats::of(run, &mut counts.source()?, &names(200, 900), true);
        let stats = work(&Run::new())?;
        for gene in [0, 511, 899] {
            let scaled = rows.iter().map(|row| {
                let total: f64 = row.iter().map(|e| e.1).sum();
                row.iter().find(|e| e.0 == gene).map_or(0.0, |e| e.1 / total * 1e6)
            });
            let scaled: Vec<f64> = scaled.collect();
            let mean = scaled.iter().sum::<f64>() / 200.0;
            let variance = scaled.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 200.0;
            assert!((stats.mean[gene] - mean).abs() < 1e-10 * mean);
            assert!((stats.variance[gene] - variance).abs() < 1e-10 * variance);
            assert!((stats.sd(Some(&[gene]), 1)[0] - (variance * 200.0 / 199.0).sqrt()).abs() < 1e-9 * variance.sqrt());
        }
        let streamed = GeneStats::of(&Run::new(), &mut PerMillion(counts.source()?), &names(200, 900), false)?;
        assert_eq!(stats, streamed);
        assert_same_bits_over_runs(work, |s| [s.mean.clone(), s.variance.clone()].concat())
    }

    #[test]
    fn what_is_no_count_is_named() -> Result<()> {
        for (x, hint) in [(f64::NAN, "repair"), (f64::INFINITY, "repair"), (-2.0, "centred")] {
            let values = [1.0, 0.0, 3.0, x];
            let mut source = ferrocyte_data::Dense::row_major(2, 2, &values)?;
            let fault = GeneStats::of(&Run::new(), &mut source, &names(2, 2), true).err();
            assert!(fault.is_some_and(
                |f| f.message().contains("cell `c1`, gene `g1`") && f.way_out().is_some_and(|h| h.contains(hint))
            ));
        }
        Ok(())
    }

    #[test]
    fn constants_do_not_vary() {
        let (n, x) = (1000, 0.1_f64);
        let sums = (0..n).fold([0.0, 0.0], |s, _| [s[0] + x, s[1] + x * x]);
        assert_eq!(GeneStats::from_sums(n, &sums).variance, [0.0]);
    }
}
