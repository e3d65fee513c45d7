//! Quality of cells and genes: totals, detected genes, shares of flagged genes and of the most abundant ones.
//!
//! [`qc_metrics`] learns everything in one pass. Names of the columns are those of scanpy's `calculate_qc_metrics`; a
//! share of nothing (a cell without counts) is 0, not missing, and such cells are counted.

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_data::{RowBlock, RowChunks, Summary};

use crate::by_gene::{by_gene, widen};
use crate::scan::{Need, scan};
use crate::{Kept, Names};

/// A named set of genes: mitochondrial ones, say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneFlag {
    /// Its name, which ends the names of its columns: `total_counts_mt`.
    pub name: String,
    /// Which genes belong to it.
    pub genes: Vec<bool>,
}

impl GeneFlag {
    /// The genes whose symbol begins with one of `prefixes`, in any case: `MT-`, or `RPS` and `RPL`.
    pub fn by_prefix(name: &str, symbols: &[String], prefixes: &[&str]) -> Self {
        let begins = |symbol: &str, prefix: &str| {
            symbol.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        let genes = symbols.iter().map(|symbol| prefixes.iter().any(|prefix| begins(symbol, prefix))).collect();
        Self { name: name.to_owned(), genes }
    }
}

/// What is measured beyond totals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QcOptions {
    /// Sets of genes whose totals and shares are wanted; at most 32.
    pub flags: Vec<GeneFlag>,
    /// Numbers of most abundant genes whose share is wanted: `[50, 100, 200, 500]`.
    pub percent_top: Vec<usize>,
}

/// The measures of all cells and genes.
#[derive(Debug, Clone, PartialEq)]
pub struct QcMetrics {
    /// Per cell: genes with a value above 0.
    pub n_genes: Vec<f64>,
    /// Per cell: sum of values.
    pub total: Vec<f64>,
    /// For each of [`QcOptions::percent_top`], per cell: 100 × sum of the largest values / total.
    pub percent_top: Vec<(usize, Vec<f64>)>,
    /// For each flag: its name, its genes, and per cell the sum of values of these.
    pub flags: Vec<(GeneFlag, Vec<f64>)>,
    /// Per gene: cells with a value above 0.
    pub n_cells: Vec<f64>,
    /// Per gene: sum of values.
    pub gene_total: Vec<f64>,
}

impl QcMetrics {
    /// How many cells have no counts.
    pub fn n_empty(&self) -> usize {
        self.total.iter().filter(|&&total| total == 0.0).count()
    }

    /// Per cell: 100 × sum of the values of a flag / total; 0 where there is no count.
    pub fn percent(&self, flag: usize) -> Vec<f64> {
        self.flags[flag].1.iter().zip(&self.total).map(|(&part, &total)| percent(part, total)).collect()
    }

    /// The columns of `obs`, under scanpy's names.
    pub fn obs(&self) -> Table {
        let mut table =
            with_ln_1p(Table::new("qc of cells"), "n_genes_by_counts", "genes", "genes detected", &self.n_genes);
        table = with_ln_1p(table, "total_counts", "counts", "sum over all genes", &self.total);
        for (n, share) in &self.percent_top {
            let meaning = format!("share of the {n} most abundant genes of the cell");
            table = table.with(Column::float(&format!("pct_counts_in_top_{n}_genes"), "%", &meaning, share.clone()));
        }
        for (i, (flag, total)) in self.flags.iter().enumerate() {
            let name = &flag.name;
            table = with_ln_1p(
                table,
                &format!("total_counts_{name}"),
                "counts",
                &format!("sum over genes `{name}`"),
                total,
            );
            let meaning = format!("share of genes `{name}`");
            table = table.with(Column::float(&format!("pct_counts_{name}"), "%", &meaning, self.percent(i)));
        }
        table
    }

    /// The columns of `var`, under scanpy's names.
    pub fn var(&self) -> Table {
        let n = self.total.len() as f64;
        let per_cell = |x: &f64| if n > 0.0 { x / n } else { 0.0 };
        let mut table = Table::new("qc of genes");
        for (flag, _) in &self.flags {
            let cells = ferrocyte_base::Cells::Bool(flag.genes.clone());
            table = table.with(Column::new(flag.name.clone(), "", "flag of the gene", cells));
        }
        let means: Vec<f64> = self.gene_total.iter().map(per_cell).collect();
        let dropout = self.n_cells.iter().map(|x| 100.0 * (1.0 - per_cell(x))).collect();
        let table = table.with(Column::int("n_cells_by_counts", "cells", "cells that have it", whole(&self.n_cells)));
        let table = with_ln_1p(table, "mean_counts", "counts", "mean over all cells", &means).with(Column::float(
            "pct_dropout_by_counts",
            "%",
            "cells that do not have it",
            dropout,
        ));
        with_ln_1p(table, "total_counts", "counts", "sum over all cells", &self.gene_total)
    }
}

fn whole(values: &[f64]) -> Vec<i64> {
    values.iter().map(|&v| v as i64).collect()
}

fn with_ln_1p(table: Table, name: &str, unit: &str, meaning: &str, values: &[f64]) -> Table {
    let column = if unit == "genes" {
        Column::int(name, unit, meaning, whole(values))
    } else {
        Column::float(name, unit, meaning, values.to_vec())
    };
    let log = values.iter().map(|v| v.ln_1p()).collect();
    table.with(column).with(Column::float(&format!("log1p_{name}"), &format!("ln(1 + {unit})"), meaning, log))
}

fn percent(part: f64, total: f64) -> f64 {
    if total > 0.0 { 100.0 * part / total } else { 0.0 }
}

/// Measures all cells and genes of `source` in one pass.
///
/// Cells without counts, and flags without a gene, are warned of.
///
/// # Errors
/// Values that are missing, infinite or negative; a flag for another number of genes, or more than 32 flags; more most
/// abundant genes than there are genes.
pub fn qc_metrics(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>, options: &QcOptions) -> Result<QcMetrics> {
    let mut summary = QcSummary::new(source.n_cols(), options)?;
    for flag in &options.flags {
        if !flag.genes.contains(&true) {
            run.warn(&format!("no gene is flagged as `{}`: its shares will all be 0", flag.name));
        }
    }
    scan(run, source, names, Need::NotNegative, &mut [&mut summary])?;
    let metrics = summary.into_metrics();
    if metrics.n_empty() > 0 {
        run.warn(&format!("{} of {} cells have no counts: their shares are 0", metrics.n_empty(), metrics.total.len()));
    }
    Ok(metrics)
}

/// [`qc_metrics`] as a summary, to be fed together with others.
pub struct QcSummary {
    options: QcOptions,
    /// Bit i is set for the genes of flag i.
    flagged: Vec<u32>,
    /// Per cell: genes, total, shares of the largest, totals of flags.
    cells: Vec<f64>,
    /// Per gene: sum, cells.
    genes: Vec<[f64; 2]>,
}

impl QcSummary {
    /// An empty summary of `n_genes` genes.
    pub fn new(n_genes: usize, options: &QcOptions) -> Result<Self> {
        const MOST: usize = u32::BITS as usize;
        if options.flags.len() > MOST {
            return Err(Fault::bad_input(format!(
                "{} flags of genes, at most {MOST} are possible",
                options.flags.len()
            )));
        }
        let mut flagged = vec![0; n_genes];
        for (bit, flag) in options.flags.iter().enumerate() {
            if flag.genes.len() != n_genes {
                let message =
                    format!("flag `{}` is of {} genes, the matrix has {n_genes}", flag.name, flag.genes.len());
                return Err(Fault::bad_input(message).at("qc_vars"));
            }
            flagged.iter_mut().zip(&flag.genes).for_each(|(bits, &set)| *bits |= u32::from(set) << bit);
        }
        if let Some(&n) = options.percent_top.iter().find(|&&n| n == 0 || n > n_genes) {
            return Err(Fault::bad_input(format!("the {n} most abundant genes of {n_genes}"))
                .at("percent_top")
                .hint(format!("give numbers from 1 to {n_genes}, or none")));
        }
        Ok(Self { options: options.clone(), flagged, cells: Vec::new(), genes: vec![[0.0; 2]; n_genes] })
    }

    fn width(&self) -> usize {
        2 + self.options.percent_top.len() + self.options.flags.len()
    }

    /// What was learnt.
    pub fn into_metrics(self) -> QcMetrics {
        let width = self.width();
        let column = |i: usize| -> Vec<f64> { self.cells.iter().skip(i).step_by(width).copied().collect() };
        let tops = self.options.percent_top.iter().enumerate().map(|(i, &n)| (n, column(2 + i))).collect();
        let first_flag = 2 + self.options.percent_top.len();
        let flags = self.options.flags.iter().enumerate().map(|(i, flag)| (flag.clone(), column(first_flag + i)));
        QcMetrics {
            n_genes: column(0),
            total: column(1),
            percent_top: tops,
            flags: flags.collect(),
            n_cells: self.genes.iter().map(|gene| gene[1]).collect(),
            gene_total: self.genes.iter().map(|gene| gene[0]).collect(),
        }
    }

    /// The measures of one row.
    fn measure(&self, columns: &[u32], values: &[f64], largest: &mut Largest, out: &mut Vec<f64>) {
        let (mut n_genes, mut total) = (0.0, 0.0);
        for &v in values {
            n_genes += f64::from(u8::from(v > 0.0));
            total += v;
        }
        out.extend([n_genes, total]);
        if !self.options.percent_top.is_empty() {
            largest.sums(values, &self.options.percent_top, out);
            let from = out.len() - self.options.percent_top.len();
            out[from..].iter_mut().for_each(|sum| *sum = percent(*sum, total));
        }
        let first = out.len();
        out.resize(first + self.options.flags.len(), 0.0);
        if self.options.flags.is_empty() {
            return;
        }
        for (&column, &v) in columns.iter().zip(values) {
            let mut bits = self.flagged[column as usize];
            while bits != 0 {
                out[first + bits.trailing_zeros() as usize] += v;
                bits &= bits - 1;
            }
        }
    }
}

impl Summary for QcSummary {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        const ROWS: usize = 256;
        let parts = run.map_quietly(block.n_rows(), ROWS, |rows| {
            let mut measured = Vec::with_capacity(rows.len() * self.width());
            let (mut values, mut largest) = (Vec::new(), Largest::default());
            for row in rows {
                let stored = block.pointers()[row]..block.pointers()[row + 1];
                widen(block.values(), stored.clone(), &mut values);
                self.measure(&block.indices()[stored], &values, &mut largest, &mut measured);
            }
            Ok(measured)
        })?;
        parts.iter().for_each(|part| self.cells.extend_from_slice(part));
        by_gene(run, block, &mut self.genes, 1, |genes, piece| {
            for (&column, &v) in piece.columns.iter().zip(piece.values) {
                let gene = &mut genes[column as usize];
                gene[0] += v;
                gene[1] += f64::from(u8::from(v > 0.0));
            }
        })
    }
}

/// Sums of the largest values of a row.
struct Largest {
    /// How often each small whole number occurs.
    small: [u32; Self::SMALL],
    /// All other values.
    others: Vec<f64>,
}

impl Default for Largest {
    fn default() -> Self {
        Self { small: [0; Self::SMALL], others: Vec::new() }
    }
}

impl Largest {
    /// Counts below this are counted, not sorted: nearly all.
    const SMALL: usize = 256;

    /// Appends, for each of `tops`, the sum of that many largest values.
    fn sums(&mut self, values: &[f64], tops: &[usize], out: &mut Vec<f64>) {
        self.small.fill(0);
        self.others.clear();
        for &v in values {
            let index = v as usize;
            if index < Self::SMALL && index as f64 == v { self.small[index] += 1 } else { self.others.push(v) }
        }
        self.others.sort_unstable_by(|a, b| b.total_cmp(a));
        for &top in tops {
            out.push(self.sum_of(top));
        }
    }

    fn sum_of(&self, top: usize) -> f64 {
        let (mut left, mut sum) = (top, 0.0);
        let mut others = self.others.iter().copied().peekable();
        for value in (0..Self::SMALL).rev() {
            while let Some(v) = others.next_if(|&v| left > 0 && v > value as f64) {
                sum += v;
                left -= 1;
            }
            let n = left.min(self.small[value] as usize);
            sum += (n * value) as f64;
            left -= n;
            if left == 0 {
                break;
            }
        }
        sum
    }
}

/// Bounds from the cells themselves, for a measure such as the total: what lies outside is not typical.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Typical {
    /// median ± n × median absolute deviation, which is not scaled.
    Mads(f64),
    /// first quartile - n × (distance of the quartiles) to third quartile + n × that.
    Tukey(f64),
}

impl Typical {
    /// The lowest and the highest typical value; quartiles are interpolated linearly.
    pub fn bounds(self, values: &[f64]) -> Result<(f64, f64)> {
        if values.is_empty() {
            return Err(Fault::bad_input("no cell is left, so that none is typical"));
        }
        let sorted = |mut values: Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let values = sorted(values.to_vec());
        Ok(match self {
            Self::Mads(n) => {
                let median = quantile(&values, 0.5);
                let spread = quantile(&sorted(values.iter().map(|v| (v - median).abs()).collect()), 0.5);
                (median - n * spread, median + n * spread)
            }
            Self::Tukey(n) => {
                let (low, high) = (quantile(&values, 0.25), quantile(&values, 0.75));
                (low - n * (high - low), high + n * (high - low))
            }
        })
    }

    /// Which of the values lie within the bounds, these included.
    pub fn keep(self, values: &[f64]) -> Result<Kept> {
        let (low, high) = self.bounds(values)?;
        Ok(Kept(values.iter().map(|&v| low <= v && v <= high).collect()))
    }
}

/// The quantile of sorted values, interpolated linearly between them.
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (at - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;
    use ferrocyte_testkit::{Counts, assert_same_bits_over_runs};

    fn options(n_genes: usize) -> QcOptions {
        let genes = (0..n_genes).map(|i| i % 7 == 0).collect();
        QcOptions { flags: vec![GeneFlag { name: "mt".into(), genes }], percent_top: vec![2, 5] }
    }

    #[test]
    fn measures_by_their_definitions() -> Result<()> {
        let values = [0.0, 3.0, 300.0, 2.5, 3.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let mut source = Dense::row_major(2, 8, &values)?;
        let found = qc_metrics(&Run::new(), &mut source, &Names::default(), &options(8))?;
        assert_eq!((&found.n_genes[..], &found.total[..]), (&[5.0, 0.0][..], &[309.5, 0.0][..]));
        assert_eq!(found.percent_top[0].1, [100.0 * 303.0 / 309.5, 0.0]);
        assert_eq!(found.percent_top[1].1, [100.0, 0.0]);
        assert_eq!((found.percent(0)[0], found.percent(0)[1]), (100.0 / 309.5, 0.0));
        assert_eq!((found.n_empty(), found.n_cells[1], found.gene_total[2]), (1, 1.0, 300.0));
        assert_eq!(found.obs().columns().len(), 9);
        let Ok(dropout) = found.var().column("pct_dropout_by_counts").map(|c| c.cells.clone()) else { return Ok(()) };
        assert!(matches!(dropout, ferrocyte_base::Cells::Float(v) if v[1] == 50.0 && v[0] == 100.0));
        Ok(())
    }

    #[test]
    fn largest_values_are_those_of_a_sort() {
        let values: Vec<f64> = (0..300).map(|i| f64::from((i * i) % 331) + f64::from(i % 3) * 0.5).collect();
        let mut sorted = values.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let mut sums = Vec::new();
        Largest::default().sums(&values, &[1, 10, 250, 400], &mut sums);
        for (sum, top) in sums.iter().zip([1, 10, 250, 300]) {
            assert!((sum - sorted[..top].iter().sum::<f64>()).abs() < 1e-9);
        }
    }

    #[test]
    fn threads_and_blocks_change_no_bit() -> Result<()> {
        let counts = Counts::random(5, 700, 90, 0.4)?;
        let work = |run: &Run| qc_metrics(run, &mut counts.source()?, &Names::default(), &options(90));
        assert_same_bits_over_runs(work, |m| {
            [&m.n_genes, &m.total, &m.percent_top[0].1, &m.flags[0].1, &m.n_cells, &m.gene_total]
                .into_iter()
                .flatten()
                .copied()
                .collect()
        })
    }

    #[test]
    fn impossible_options_are_named() {
        let fault = |options: &QcOptions| QcSummary::new(8, options).err().map(|f| f.to_string()).unwrap_or_default();
        let tops = QcOptions { percent_top: vec![9], ..QcOptions::default() };
        assert_eq!(fault(&tops), "percent_top: the 9 most abundant genes of 8");
        assert_eq!(fault(&options(7)), "qc_vars: flag `mt` is of 7 genes, the matrix has 8");
    }

    #[test]
    fn typical_values() -> Result<()> {
        let values = [1.0, 2.0, 3.0, 4.0, 100.0];
        assert_eq!(Typical::Mads(2.0).bounds(&values)?, (1.0, 5.0));
        assert_eq!(Typical::Tukey(1.5).bounds(&values)?, (-1.0, 7.0));
        assert_eq!(Typical::Mads(2.0).keep(&values)?.indices(), [0, 1, 2, 3]);
        assert!(Typical::Mads(1.0).bounds(&[]).is_err());
        Ok(())
    }

    #[test]
    fn flags_by_prefix_ignore_case() {
        let symbols = ["MT-CO1", "mt-nd1", "MTOR", "RPS6", "é"].map(str::to_owned);
        assert_eq!(GeneFlag::by_prefix("mt", &symbols, &["MT-"]).genes, [true, true, false, false, false]);
    }
}
