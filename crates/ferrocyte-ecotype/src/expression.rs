//! [`Expression`]: named cells × genes, sparse, in memory.

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{RowBlock, RowChunks, rows_per_block};

/// Above this maximum, values without a negative one are taken for counts.
const COUNTS_ABOVE: f64 = 80.0;

/// What the total of a cell becomes before its logarithm is taken.
const TARGET: f64 = 10_000.0;

ferrocyte_base::choice! {
    /// What is done to values before all else.
    Normalize, "normalize" {
        /// Nothing.
        None = "none",
        /// `ln(1 + count / total of the cell * 10,000)`.
        Log1pCp10k = "log1p_cp10k",
    }
}

ferrocyte_base::choice! {
    /// What is done with values that are not finite.
    NotFinite, "nan" {
        /// They are refused.
        Error = "error",
        /// They count as 0.
        Zero = "zero",
    }
}

ferrocyte_base::choice! {
    /// What is done with genes of one name.
    Duplicates, "duplicates" {
        /// They are refused.
        Error = "error",
        /// Later ones get a number: `A`, `A-1`, ..
        Unique = "unique",
    }
}

/// Values of named cells (rows) and genes, of which those that are not 0 are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    genes: Vec<String>,
    cells: Vec<String>,
    pointers: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<f64>,
}

impl Default for Expression {
    /// No cells and no genes.
    fn default() -> Self {
        Self { genes: Vec::new(), cells: Vec::new(), pointers: vec![0], indices: Vec::new(), values: Vec::new() }
    }
}

impl Expression {
    /// Reads a stream of cells × genes.
    ///
    /// Names must be as many as rows and columns, and unique; values must be finite, unless `nan` lets them count as 0.
    pub fn collect(
        run: &Run,
        source: &mut dyn RowChunks,
        cells: Vec<String>,
        genes: Vec<String>,
        nan: NotFinite,
    ) -> Result<Self> {
        check_names("cells", &cells, source.n_rows())?;
        check_names("genes", &genes, source.n_cols())?;
        let stored = source.n_stored().unwrap_or(0);
        run.reserve(&source.name(), 8 * cells.len() as u64 + 12 * stored)?;
        let mut whole = Self {
            pointers: vec![0],
            indices: Vec::with_capacity(stored as usize),
            values: Vec::with_capacity(stored as usize),
            cells,
            genes,
        };
        let n_rows = whole.cells.len();
        let task = run.task("reading", n_rows as u64);
        let (step, mut start, mut strange) = (rows_per_block(run, source), 0, Strange::default());
        while start < n_rows {
            run.check()?;
            let end = (start + step).min(n_rows);
            whole.append(&source.read(run, start..end)?, start, &mut strange);
            task.advance((end - start) as u64);
            start = end;
        }
        strange.verdict(run, nan, &source.name(), &whole.cells, &whole.genes)?;
        Ok(whole)
    }

    /// Adds the rows of a block whose first is cell `start` of the study; names stand already, or follow.
    pub(crate) fn append(&mut self, block: &RowBlock<'_>, start: usize, strange: &mut Strange) {
        for row in 0..block.n_rows() {
            for (gene, value) in block.row(row) {
                if !value.is_finite() {
                    strange.found(start + row, gene, value);
                } else if value != 0.0 {
                    self.indices.push(gene as u32);
                    self.values.push(value);
                }
            }
            self.pointers.push(self.values.len());
        }
    }

    /// Cells that are still to come, of genes of these names.
    pub(crate) fn of_genes(genes: Vec<String>) -> Self {
        Self { genes, ..Self::default() }
    }

    /// Names the cells that were added.
    pub(crate) fn name_cells(&mut self, cells: &[String]) {
        self.cells = cells.to_vec();
    }

    /// Adds a cell of an expression of the same genes.
    pub(crate) fn push(&mut self, from: &Self, cell: usize) {
        let (genes, values) = from.cell(cell);
        self.indices.extend_from_slice(genes);
        self.values.extend_from_slice(values);
        self.pointers.push(self.values.len());
        self.cells.push(from.cells[cell].clone());
    }

    /// Rows of values, cell after cell.
    pub fn from_rows(cells: Vec<String>, genes: Vec<String>, rows: &[Vec<f64>]) -> Result<Self> {
        check_names("cells", &cells, rows.len())?;
        check_names("genes", &genes, rows.first().map_or(genes.len(), Vec::len))?;
        let mut whole = Self { genes, cells, pointers: vec![0], indices: Vec::new(), values: Vec::new() };
        for row in rows {
            for (gene, &value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                whole.indices.push(gene as u32);
                whole.values.push(value);
            }
            whole.pointers.push(whole.values.len());
        }
        Ok(whole)
    }

    /// Number of cells.
    pub fn n_cells(&self) -> usize {
        self.cells.len()
    }

    /// Number of genes.
    pub fn n_genes(&self) -> usize {
        self.genes.len()
    }

    /// The names of the cells.
    pub fn cells(&self) -> &[String] {
        &self.cells
    }

    /// The names of the genes.
    pub fn genes(&self) -> &[String] {
        &self.genes
    }

    /// Genes and values that are stored of a cell, genes rising.
    pub fn cell(&self, cell: usize) -> (&[u32], &[f64]) {
        let range = self.pointers[cell]..self.pointers[cell + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// Least and largest value, those that are not stored included; 0 and 0 of nothing.
    pub fn range(&self) -> (f64, f64) {
        let all = self.values.len() == self.n_cells() * self.n_genes() && !self.values.is_empty();
        let begin = if all { (self.values[0], self.values[0]) } else { (0.0, 0.0) };
        self.values.iter().fold(begin, |(least, most), &x| (least.min(x), most.max(x)))
    }

    /// Whether any value is negative.
    pub fn has_negative(&self) -> bool {
        self.values.iter().any(|&x| x < 0.0)
    }

    /// Replaces values that look like counts (none negative, one above 80) by `log2(x + 1)`; whether it did.
    pub fn auto_log(&mut self) -> bool {
        let counts = looks_like_counts(self.range());
        if counts {
            self.log2();
        }
        counts
    }

    /// Replaces all values by `log2(x + 1)`.
    pub(crate) fn log2(&mut self) {
        self.values.iter_mut().for_each(|x| *x = libm::log2(*x + 1.0));
    }

    /// Replaces all values by `ln(1 + x)`.
    pub(crate) fn log_counts(&mut self) {
        self.values.iter_mut().for_each(|x| *x = x.ln_1p());
    }

    /// Replaces counts by `ln(1 + count / total of the cell * 10,000)`; how many cells have nothing and stay 0.
    pub fn log_normalize(&mut self) -> Result<usize> {
        if let Some(k) = self.values.iter().position(|&x| x < 0.0) {
            let cell = self.pointers.partition_point(|&p| p <= k) - 1;
            return Err(Fault::bad_input(format!(
                "counts are not negative, cell `{}` has {} for gene `{}`",
                self.cells[cell], self.values[k], self.genes[self.indices[k] as usize]
            ))
            .at("normalize")
            .hint("these values are normalised already: leave normalize at none"));
        }
        let mut empty = 0;
        for bounds in self.pointers.windows(2) {
            let row = &mut self.values[bounds[0]..bounds[1]];
            let total: f64 = row.iter().sum();
            empty += usize::from(row.is_empty());
            row.iter_mut().for_each(|x| *x = (*x / total * TARGET).ln_1p());
        }
        Ok(empty)
    }

    /// The given cells, in that order; repeats are allowed, and names follow.
    #[must_use]
    pub fn take_cells(&self, cells: &[usize]) -> Self {
        let stored = cells.iter().map(|&c| self.pointers[c + 1] - self.pointers[c]).sum();
        let mut taken = Self {
            genes: self.genes.clone(),
            cells: cells.iter().map(|&c| self.cells[c].clone()).collect(),
            pointers: vec![0],
            indices: Vec::with_capacity(stored),
            values: Vec::with_capacity(stored),
        };
        for &cell in cells {
            let (indices, values) = self.cell(cell);
            taken.indices.extend_from_slice(indices);
            taken.values.extend_from_slice(values);
            taken.pointers.push(taken.values.len());
        }
        taken
    }

    /// The given genes, each once, in that order.
    #[must_use]
    pub fn take_genes(&self, genes: &[usize]) -> Self {
        let mut place = vec![None; self.n_genes()];
        genes.iter().enumerate().for_each(|(new, &old)| place[old] = Some(new as u32));
        let mut taken = Self {
            genes: genes.iter().map(|&g| self.genes[g].clone()).collect(),
            cells: self.cells.clone(),
            pointers: vec![0],
            indices: Vec::new(),
            values: Vec::new(),
        };
        let mut row: Vec<(u32, f64)> = Vec::new();
        for cell in 0..self.n_cells() {
            let (indices, values) = self.cell(cell);
            row.clear();
            row.extend(indices.iter().zip(values).filter_map(|(&g, &x)| place[g as usize].map(|g| (g, x))));
            row.sort_unstable_by_key(|&(gene, _)| gene);
            taken.indices.extend(row.iter().map(|entry| entry.0));
            taken.values.extend(row.iter().map(|entry| entry.1));
            taken.pointers.push(taken.values.len());
        }
        taken
    }

    /// The place of each name among the genes.
    pub fn gene_places(&self) -> HashMap<&str, usize> {
        self.genes.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect()
    }
}

/// Whether values from the least to the most are taken for counts: none negative, one above 80.
pub(crate) fn looks_like_counts((least, most): (f64, f64)) -> bool {
    least >= 0.0 && most > COUNTS_ABOVE
}

/// Values that are not finite.
#[derive(Default)]
pub(crate) struct Strange {
    n: usize,
    first: Option<(usize, usize, f64)>,
}

impl Strange {
    fn found(&mut self, cell: usize, gene: usize, value: f64) {
        self.n += 1;
        self.first.get_or_insert((cell, gene, value));
    }

    /// Refuses them, or warns that they count as 0.
    pub(crate) fn verdict(
        &self,
        run: &Run,
        nan: NotFinite,
        place: &str,
        cells: &[String],
        genes: &[String],
    ) -> Result<()> {
        match self.first {
            Some((cell, gene, value)) if nan == NotFinite::Error => Err(Fault::bad_input(format!(
                "{} values are not finite, the first is {value} of gene `{}` in cell `{}`",
                self.n, genes[gene], cells[cell]
            ))
            .at(place)
            .hint("take these cells out, or let such values count as 0 (nan=\"zero\")")),
            Some(_) => {
                run.warn(&format!("{} values are not finite and count as 0", self.n));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Refuses names that are not as many as what they name, or that are not unique.
pub(crate) fn check_names(what: &str, names: &[String], n: usize) -> Result<()> {
    if names.len() != n {
        return Err(Fault::bad_input(format!("{n} {what}, but {} names of {what}", names.len())).at(what));
    }
    let mut counts: HashMap<&str, usize> = HashMap::with_capacity(n);
    names.iter().for_each(|name| *counts.entry(name).or_default() += 1);
    if counts.len() == n {
        return Ok(());
    }
    let mut twice: Vec<&str> = counts.iter().filter(|(_, n)| **n > 1).map(|(name, _)| *name).collect();
    twice.sort_unstable();
    Err(Fault::bad_input(format!(
        "names of {what} are unique, {} stand more than once: {}",
        twice.len(),
        listing(&twice, 5)
    ))
    .at(what)
    .hint("make them unique (of genes: duplicates=\"unique\"), or take the repeats out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(prefix: &str, n: usize) -> Vec<String> {
        (0..n).map(|i| format!("{prefix}{i}")).collect()
    }

    fn small(rows: &[Vec<f64>]) -> Result<Expression> {
        Expression::from_rows(names("c", rows.len()), names("g", rows[0].len()), rows)
    }

    #[test]
    fn counts_are_told_by_their_size() -> Result<()> {
        let mut x = small(&[vec![0.0, 127.0], vec![3.0, 1.0]])?;
        assert!(x.auto_log());
        assert_eq!(x.cell(0), (&[1][..], &[7.0][..]));
        assert!(!small(&[vec![-1.0, 127.0]])?.auto_log());
        Ok(())
    }

    #[test]
    fn empty_cells_stay_empty() -> Result<()> {
        let mut x = small(&[vec![1.0, 3.0], vec![0.0, 0.0]])?;
        assert_eq!(x.log_normalize()?, 1);
        assert_eq!(x.cell(0).1, [2500.0_f64.ln_1p(), 7500.0_f64.ln_1p()]);
        let fault = small(&[vec![0.0], vec![-2.0]])?.log_normalize();
        assert!(fault.is_err_and(|f| f.message().contains("`c1` has -2")));
        Ok(())
    }

    #[test]
    fn cells_and_genes_are_taken_in_the_order_asked_for() -> Result<()> {
        let x = small(&[vec![1.0, 0.0, 2.0], vec![0.0, 5.0, 6.0]])?;
        let taken = x.take_cells(&[1, 0, 1]).take_genes(&[2, 0]);
        assert_eq!(taken.genes(), ["g2", "g0"]);
        assert_eq!(taken.cell(1), (&[0, 1][..], &[2.0, 1.0][..]));
        assert_eq!(x.range(), (0.0, 6.0));
        Ok(())
    }

    #[test]
    fn repeated_names_are_named() {
        let twice = vec!["a".to_owned(), "b".to_owned(), "a".to_owned()];
        let fault = Expression::from_rows(names("c", 1), twice, &[vec![1.0, 2.0, 3.0]]);
        assert!(fault.is_err_and(|f| f.message().contains("1 stand more than once: `a`")));
    }
}
