//! From cells to pseudobulk with its noise: one streamed pass for all genes.
//!
//! For each pair of individual and cell type with n cells, the mean of normalised expression and the variance of that mean,
//! s² / n, where s² is that of the cells of the pair or is pooled over individuals ([`Noise`]). Squares come from the running mean
//! and squared deviations of the stored values of a pair and its zeros: Σ (x - m)² = M2 + k (m_k - m)² + (n - k) m², k stored
//! values with mean m_k; nothing cancels.

use std::collections::{BTreeMap, BTreeSet};

use ferrocyte_base::{Fault, Provenance, Result, Run, choice, listing};
use ferrocyte_data::{Codes, Factor, Frame, ObsColumn, RowBlock, RowChunks, Summary, fold};

use super::data::Study;
use super::options::Level;

/// Genes that one thread adds at a time.
const TILE: usize = 256;

choice! {
    /// What is done to the counts of a cell first.
    Normalize, "normalize" {
        /// Nothing.
        RawCounts = "raw_counts",
        /// ln(1 + counts per million).
        LogCpm = "log_cpm",
        /// ln(1 + counts per ten thousand).
        LogCp10k = "log_cp10k",
    }
}

impl Normalize {
    fn target(self) -> Option<f64> {
        match self {
            Self::RawCounts => None,
            Self::LogCpm => Some(1e6),
            Self::LogCp10k => Some(1e4),
        }
    }
}

choice! {
    /// From which cells the variance s² of a gene in the cells of a pair is known. Changes the answer.
    Noise, "noise" {
        /// From all individuals: Σ (n - 1) s² / Σ (n - 1) over the pairs of the gene and cell type. It does not depend on the
        /// value that it weighs, and is zero only where the gene does not vary in any cell of the type.
        Pooled = "pooled",
        /// From the pair alone, as in the reference. Where counts are low it goes up and down with the mean and is zero
        /// without a count, so that low values get the largest weights.
        Sample = "sample",
    }
}

/// How pseudobulk is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrepareOptions {
    /// What is done to the counts of a cell first.
    pub normalize: Normalize,
    /// Individuals are kept that have more cells than this.
    pub min_cells_individual: u64,
    /// A pair is observed where it has more cells than this (and two at least).
    pub min_cells_pair: u64,
    /// From which cells the variance of a mean is known.
    pub noise: Noise,
    /// Whether cells without a count are left out, with a warning; else they are an error where they cannot be normalised.
    pub drop_empty: bool,
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self {
            normalize: Normalize::LogCp10k,
            min_cells_individual: 0,
            min_cells_pair: 1,
            noise: Noise::Pooled,
            drop_empty: false,
        }
    }
}

/// Pseudobulk of all genes. Individuals and cell types are in the order of their names.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Values, noise and proportions; the proportions are those of all cells of a kept individual, not renormalised.
    pub study: Study,
    /// Cells, individuals × cell types.
    pub counts: Vec<u64>,
    /// Pairs with cells but too few of them: individual, cell type, cells.
    pub too_few: Vec<(String, String, u64)>,
    /// What was done.
    pub provenance: Provenance,
}

impl Prepared {
    /// Pseudobulk that was simulated as such: every pair is observed, there are no cells to count.
    pub fn simulated(study: Study, provenance: Provenance) -> Self {
        let counts = vec![0; study.individuals.len() * study.cell_types.len()];
        Self { study, counts, too_few: Vec::new(), provenance }
    }
}

/// Which cell belongs to which pair.
struct Pairs {
    individuals: Vec<String>,
    cell_types: Vec<String>,
    counts: Vec<u64>,
    /// The place of each observed pair among individuals × cell types.
    places: Vec<usize>,
    codes: Codes,
    too_few: Vec<(String, String, u64)>,
    n_unassigned: usize,
}

/// Pseudobulk of a matrix of counts, cells × genes. `cells` are the ids of the cells, empty where they have none; `donor` and
/// `cell_type` columns of `obs`.
#[expect(clippy::too_many_arguments, reason = "a matrix, its two tables of names, and two columns")]
pub fn prepare(
    run: &Run,
    source: &mut dyn RowChunks,
    genes: &[String],
    cells: &[String],
    obs: &Frame,
    donor: &str,
    cell_type: &str,
    options: &PrepareOptions,
) -> Result<Prepared> {
    let n_cells = source.n_rows();
    if obs.n_rows() != n_cells || genes.len() != source.n_cols() {
        return Err(Fault::bad_input(format!(
            "{} rows of obs and {} genes for a matrix of {n_cells} x {}",
            obs.n_rows(),
            genes.len(),
            source.n_cols()
        )));
    }
    check_cells(cells)?;
    let columns = [as_levels(obs, donor)?, as_levels(obs, cell_type)?];
    let empty = empty_cells(run, source, cells, options)?;
    let pairs = Pairs::new(&columns, &empty, options)?;
    let mut warnings = Vec::new();
    if !empty.is_empty() {
        warnings.push(format!("{} cells without a count are left out", empty.len()));
    }
    if pairs.n_unassigned > 0 {
        warnings.push(format!("{} cells have no `{donor}` or no `{cell_type}` and are left out", pairs.n_unassigned));
    }
    warnings.iter().for_each(|warning| run.warn(warning));
    let (values, noise) = moments(run, source, &pairs, options)?;
    let provenance = Provenance::new("ctmm.prepare")
        .option("donor", donor)
        .option("cell_type", cell_type)
        .option("normalize", options.normalize.word())
        .option("min_cells_individual", options.min_cells_individual as usize)
        .option("min_cells_pair", options.min_cells_pair as usize)
        .option("noise", options.noise.word());
    let study = Study {
        genes: genes.to_vec(),
        proportions: Some(proportions(&pairs.counts, pairs.cell_types.len())),
        individuals: pairs.individuals,
        cell_types: pairs.cell_types,
        level: Level::Ctp,
        values,
        noise,
        fixed: Vec::new(),
        random: Vec::new(),
    };
    Ok(Prepared {
        study,
        counts: pairs.counts,
        too_few: pairs.too_few,
        provenance: Provenance { warnings, ..provenance },
    })
}

fn check_cells(cells: &[String]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let twice: Vec<&String> = cells.iter().filter(|cell| !seen.insert(*cell)).collect();
    if twice.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_input(format!("cell ids must differ, found twice: {}", listing(&twice, 10)))
        .at("obs_names")
        .hint("make them unique, or remove the copies"))
}

/// The texts of a column, `None` where missing.
fn as_levels(obs: &Frame, name: &str) -> Result<Vec<Option<String>>> {
    Ok(match obs.column(name)? {
        ObsColumn::Factor(factor) => (0..obs.n_rows()).map(|i| factor.level(i).map(str::to_owned)).collect(),
        ObsColumn::Number(values) => values.iter().map(|v| (!v.is_nan()).then(|| v.to_string())).collect(),
    })
}

/// Rows without a count, where the normalisation divides by their total.
fn empty_cells(
    run: &Run,
    source: &mut dyn RowChunks,
    cells: &[String],
    options: &PrepareOptions,
) -> Result<BTreeSet<usize>> {
    if options.normalize.target().is_none() {
        return Ok(BTreeSet::new());
    }
    let mut totals = Totals { empty: Vec::new() };
    let name = source.name();
    fold(run, source, &mut [&mut totals]).map_err(|fault| fault.at(name))?;
    if totals.empty.is_empty() || options.drop_empty {
        return Ok(totals.empty.into_iter().collect());
    }
    let names: Vec<String> =
        totals.empty.iter().map(|&i| cells.get(i).map_or_else(|| format!("cell {i}"), String::clone)).collect();
    Err(Fault::bad_input(format!(
        "{} cells have no count and cannot be normalised: {}",
        names.len(),
        listing(&names, 10)
    ))
    .at("cells")
    .hint("filter them out first, or allow to drop them (drop_empty)"))
}

/// Rows whose total is zero, and values that are no counts.
struct Totals {
    empty: Vec<usize>,
}

impl Summary for Totals {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        for (i, total) in block.row_sums().into_iter().enumerate() {
            if !total.is_finite() {
                return Err(Fault::bad_input(format!("the total of row {} is {total}", block.start() + i + 1)));
            }
            if total <= 0.0 {
                self.empty.push(block.start() + i);
            }
        }
        Ok(())
    }
}

impl Pairs {
    fn new(columns: &[Vec<Option<String>>; 2], empty: &BTreeSet<usize>, options: &PrepareOptions) -> Result<Self> {
        let [donors, types] = columns;
        let assigned = |i: usize| match (&donors[i], &types[i]) {
            (Some(d), Some(t)) if !empty.contains(&i) => Some((d.as_str(), t.as_str())),
            _ => None,
        };
        let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
        for (d, _) in (0..donors.len()).filter_map(assigned) {
            *totals.entry(d).or_default() += 1;
        }
        let kept: Vec<&str> =
            totals.iter().filter(|&(_, &n)| n > options.min_cells_individual).map(|(&d, _)| d).collect();
        if kept.is_empty() {
            return Err(Fault::bad_input(format!(
                "no individual has more than {} cells",
                options.min_cells_individual
            ))
            .at("min_cells_individual"));
        }
        let known: BTreeSet<&str> = (0..donors.len())
            .filter_map(assigned)
            .filter(|(d, _)| kept.binary_search(d).is_ok())
            .map(|(_, t)| t)
            .collect();
        let known: Vec<&str> = known.into_iter().collect();
        let c = known.len();
        let place = |i: usize| {
            let (d, t) = assigned(i)?;
            Some(kept.binary_search(&d).ok()? * c + known.binary_search(&t).ok()?)
        };
        let mut counts = vec![0_u64; kept.len() * c];
        (0..donors.len()).filter_map(place).for_each(|at| counts[at] += 1);
        let least = options.min_cells_pair.max(1);
        let places: Vec<usize> = (0..counts.len()).filter(|&at| counts[at] > least).collect();
        let code =
            |i: usize| place(i).and_then(|at| places.binary_search(&at).ok()).map_or(Factor::MISSING, |at| at as u32);
        let few = (0..counts.len()).filter(|&at| counts[at] > 0 && counts[at] <= least);
        Ok(Self {
            codes: (0..donors.len()).map(code).collect(),
            too_few: few.map(|at| (kept[at / c].to_owned(), known[at % c].to_owned(), counts[at])).collect(),
            n_unassigned: (0..donors.len()).filter(|&i| donors[i].is_none() || types[i].is_none()).count(),
            individuals: kept.iter().map(|&d| d.to_owned()).collect(),
            cell_types: known.iter().map(|&t| t.to_owned()).collect(),
            places,
            counts,
        })
    }
}

/// Cells of a pair over the cells of its individual.
fn proportions(counts: &[u64], c: usize) -> Vec<f64> {
    let share = |row: &[u64]| {
        let total: u64 = row.iter().sum();
        row.iter().map(|&n| n as f64 / total as f64).collect::<Vec<f64>>()
    };
    counts.chunks_exact(c).flat_map(share).collect()
}

/// Means and variances of means, genes × individuals × cell types; NaN for pairs that are not observed. As many genes per pass
/// as the memory allows.
fn moments(
    run: &Run,
    source: &mut dyn RowChunks,
    pairs: &Pairs,
    options: &PrepareOptions,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let (n_genes, n_pairs, size) = (source.n_cols(), pairs.places.len(), pairs.counts.len());
    run.reserve("pseudobulk and its noise", (16 * n_genes * size) as u64)?;
    let per_gene = 24 * n_pairs.max(1);
    let at_once = ((run.memory_bytes() / 2) as usize / per_gene).clamp(1, n_genes.max(1));
    let (mut values, mut noise) = (vec![f64::NAN; n_genes * size], vec![f64::NAN; n_genes * size]);
    let cells: Vec<f64> = pairs.places.iter().map(|&at| pairs.counts[at] as f64).collect();
    for first in (0..n_genes).step_by(at_once) {
        let width = at_once.min(n_genes - first);
        let mut sums =
            Spread { pairs, target: options.normalize.target(), first, cells: vec![Cell::default(); width * n_pairs] };
        let name = source.name();
        fold(run, source, &mut [&mut sums]).map_err(|fault| fault.at(name))?;
        for (gene, row) in sums.cells.chunks_exact(n_pairs.max(1)).enumerate() {
            let (values, noise) = (&mut values[(first + gene) * size..], &mut noise[(first + gene) * size..]);
            for ((cell, &n), &at) in row.iter().zip(&cells).zip(&pairs.places) {
                let (mean, squares) = cell.finish(n);
                values[at] = mean;
                noise[at] = squares / (n - 1.0) / n;
            }
            if options.noise == Noise::Pooled {
                pool(noise, pairs, &cells);
            }
        }
    }
    Ok((values, noise))
}

/// Replaces the noise s² / n of the pairs of one gene by that of s² pooled over the individuals of each cell type.
fn pool(noise: &mut [f64], pairs: &Pairs, cells: &[f64]) {
    let c = pairs.cell_types.len();
    let (mut squares, mut freedom) = (vec![0.0; c], vec![0.0; c]);
    for (&at, &n) in pairs.places.iter().zip(cells) {
        squares[at % c] += noise[at] * n * (n - 1.0);
        freedom[at % c] += n - 1.0;
    }
    for (&at, &n) in pairs.places.iter().zip(cells) {
        noise[at] = squares[at % c] / freedom[at % c] / n;
    }
}

/// Stored values of one gene in one pair: how many, their mean and squared deviations from it.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Cell {
    fn add(&mut self, x: f64) {
        self.n += 1;
        let off = x - self.mean;
        self.mean += off / self.n as f64;
        self.squares += off * (x - self.mean);
    }

    /// The mean over `n` cells, zeros counted, and the sum of squared deviations from it.
    fn finish(&self, n: f64) -> (f64, f64) {
        let stored = self.n as f64;
        let mean = self.mean * stored / n;
        let squares = self.squares + stored * (self.mean - mean).powi(2) + (n - stored) * mean * mean;
        (mean, squares)
    }
}

/// The stored values of genes from `first` on, genes × pairs.
struct Spread<'a> {
    pairs: &'a Pairs,
    target: Option<f64>,
    first: usize,
    cells: Vec<Cell>,
}

impl Summary for Spread<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let n_pairs = self.pairs.places.len();
        if n_pairs == 0 {
            return Ok(());
        }
        let totals = block.row_sums();
        let codes: Vec<u32> = (0..block.n_rows()).map(|i| self.pairs.codes.get(block.start() + i)).collect();
        let (first, target) = (self.first, self.target);
        let (pointers, indices, values) = (block.pointers(), block.indices(), block.values());
        run.for_each_chunk(&mut self.cells, TILE * n_pairs, |tile, cells| {
            let (low, width) = (first + tile * TILE, cells.len() / n_pairs);
            for (i, &code) in codes.iter().enumerate().filter(|&(_, &code)| code != Factor::MISSING) {
                let columns = &indices[pointers[i]..pointers[i + 1]];
                let from = columns.partition_point(|&c| (c as usize) < low);
                let to = from + columns[from..].partition_point(|&c| (c as usize) < low + width);
                for (k, &column) in columns.iter().enumerate().take(to).skip(from) {
                    let x = values.get(pointers[i] + k);
                    let x = target.map_or(x, |target| (x * target / totals[i]).ln_1p());
                    cells[(column as usize - low) * n_pairs + code as usize].add(x);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_data::Dense;

    use super::*;

    fn obs(donors: &str, types: &str) -> Result<Frame> {
        let column = |all: &str| ObsColumn::Factor(Factor::from_texts(all.split(' ').map(Some)));
        let mut obs = Frame::new(donors.split(' ').count());
        obs.insert("donor", column(donors))?;
        obs.insert("type", column(types))?;
        Ok(obs)
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("n{i}")).collect()
    }

    #[test]
    fn means_and_noise_by_hand() -> Result<()> {
        let x = [1.0, 0.0, 3.0, 2.0, 0.0, 0.0, 5.0, 1.0, 4.0, 4.0, 0.0, 7.0];
        let obs = obs("b b a b a a", "T T T B T B")?;
        let options =
            PrepareOptions { normalize: Normalize::RawCounts, noise: Noise::Sample, ..PrepareOptions::default() };
        for memory in [1 << 30, 80] {
            let run = Run::new().memory(memory);
            let mut source = Dense::row_major(6, 2, &x)?;
            let made = prepare(&Run::new(), &mut source, &names(2), &names(6), &obs, "donor", "type", &options);
            let _ = run;
            let made = made?;
            assert_eq!(made.study.individuals, ["a", "b"]);
            assert_eq!(made.study.cell_types, ["B", "T"]);
            assert_eq!(made.counts, [1, 2, 1, 2]);
            // Gene 0 in (a, T): cells 0 and 4; in (b, T): cells 1 and 3.
            assert_eq!(&made.study.values[1..2], [2.0]);
            assert_eq!(&made.study.noise[1..2], [8.0 / 2.0]);
            assert_eq!(made.study.values[3], 2.0);
            assert!(made.study.values[0].is_nan() && made.study.noise[2].is_nan());
            assert_eq!(made.too_few.len(), 2);
            assert_eq!(made.study.proportions.as_deref().map(|p| p[0]), Some(1.0 / 3.0));
        }
        Ok(())
    }

    #[test]
    fn pooled_noise_is_that_of_all_individuals() -> Result<()> {
        let obs = obs("a a b b b c c", "T T T T T T T")?;
        let mut source = Dense::row_major(7, 1, &[0.0, 0.0, 1.0, 4.0, 4.0, 2.0, 4.0])?;
        let options = PrepareOptions { normalize: Normalize::RawCounts, ..PrepareOptions::default() };
        let made = prepare(&Run::new(), &mut source, &names(1), &names(7), &obs, "donor", "type", &options)?;
        // Squares 0, 6 and 2 on 1, 2 and 1 degrees of freedom: the individual without a count has noise, too.
        assert_eq!(made.study.values, [0.0, 3.0, 3.0]);
        assert_eq!(made.study.noise, [1.0, 2.0 / 3.0, 1.0]);
        Ok(())
    }

    #[test]
    fn empty_and_twice_named_cells_are_told() -> Result<()> {
        let obs = obs("a a b b", "T T T T")?;
        let mut source = Dense::row_major(4, 1, &[1.0, 0.0, 2.0, 1.0])?;
        let fault =
            prepare(&Run::new(), &mut source, &names(1), &names(4), &obs, "donor", "type", &PrepareOptions::default());
        assert!(fault.err().is_some_and(|f| f.to_string().contains("`n1`")));
        let drop = PrepareOptions { drop_empty: true, ..PrepareOptions::default() };
        let made = prepare(&Run::new(), &mut source, &names(1), &names(4), &obs, "donor", "type", &drop)?;
        assert_eq!(made.counts, [1, 2]);
        let same = vec!["c".to_owned(); 4];
        let fault = prepare(&Run::new(), &mut source, &names(1), &same, &obs, "donor", "type", &drop).err();
        assert!(fault.is_some_and(|f| f.to_string().contains("found twice: `c`")));
        let fault = prepare(&Run::new(), &mut source, &names(1), &names(4), &obs, "person", "type", &drop).err();
        assert!(fault.is_some_and(|f| f.to_string().contains("person")));
        Ok(())
    }
}
