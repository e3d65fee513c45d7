//! Selections of a stream: [`SelectRows`] (shards, subsets of cells) and [`SelectGenes`].

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};

use crate::{RowBlock, RowChunks, Values};

/// Some rows of a stream, renumbered from 0 in the order given.
pub struct SelectRows<S> {
    source: S,
    rows: Rows,
}

enum Rows {
    Range(Range<usize>),
    List(Vec<usize>),
}

impl<S: RowChunks> SelectRows<S> {
    /// The rows of a range: a shard.
    pub fn range(source: S, rows: Range<usize>) -> Result<Self> {
        if rows.start > rows.end || rows.end > source.n_rows() {
            return Err(Fault::bad_input(format!("rows {}:{} of {} rows", rows.start, rows.end, source.n_rows()))
                .at(source.name()));
        }
        Ok(Self { source, rows: Rows::Range(rows) })
    }

    /// The rows of a list, in its order. Rising lists are the fast case.
    pub fn list(source: S, rows: Vec<usize>) -> Result<Self> {
        let n_rows = source.n_rows();
        if let Some(row) = rows.iter().find(|&&r| r >= n_rows) {
            return Err(
                Fault::bad_input(format!("row {row} was selected, but there are {n_rows} rows")).at(source.name())
            );
        }
        Ok(Self { source, rows: Rows::List(rows) })
    }
}

impl<S: RowChunks> RowChunks for SelectRows<S> {
    fn n_rows(&self) -> usize {
        match &self.rows {
            Rows::Range(range) => range.len(),
            Rows::List(list) => list.len(),
        }
    }
    fn n_cols(&self) -> usize {
        self.source.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        let share = self.n_rows() as f64 / self.source.n_rows().max(1) as f64;
        self.source.n_stored().map(|n| (n as f64 * share).ceil() as u64)
    }
    fn name(&self) -> String {
        match &self.rows {
            Rows::Range(range) => format!("rows {}:{} of {}", range.start, range.end, self.source.name()),
            Rows::List(list) => format!("{} rows of {}", list.len(), self.source.name()),
        }
    }
    fn reads_ahead(&self) -> bool {
        self.source.reads_ahead()
    }
    fn makes_rows(&self) -> bool {
        matches!(self.rows, Rows::List(_)) || self.source.makes_rows()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        match &self.rows {
            Rows::Range(range) => {
                let start = range.start;
                Ok(self.source.read(run, start + rows.start..start + rows.end)?.renumbered(rows.start))
            }
            Rows::List(list) => {
                let wanted = &list[rows.clone()];
                match (wanted.first(), is_stretch(wanted)) {
                    (Some(&first), true) => {
                        Ok(self.source.read(run, first..first + wanted.len())?.renumbered(rows.start))
                    }
                    _ => gather(run, &mut self.source, wanted, rows.start),
                }
            }
        }
    }
}

/// Whether each row follows the one before it.
fn is_stretch(rows: &[usize]) -> bool {
    rows.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

/// The listed rows as one block. Reads stretches of rising rows at once, skipped rows included where they are few.
fn gather(run: &Run, source: &mut dyn RowChunks, wanted: &[usize], start: usize) -> Result<RowBlock<'static>> {
    const LARGEST_GAP: usize = 64;
    let n_cols = source.n_cols();
    let (mut pointers, mut indices, mut values) = (vec![0], Vec::<u32>::new(), Values::F32(Cow::Owned(Vec::new())));
    let mut at = 0;
    while at < wanted.len() {
        let mut end = at + 1;
        while end < wanted.len() && wanted[end] > wanted[end - 1] && wanted[end] - wanted[end - 1] <= LARGEST_GAP {
            end += 1;
        }
        let first = wanted[at];
        let block = source.read(run, first..wanted[end - 1] + 1)?;
        // Rows that follow each other are copied at once.
        for rows in wanted[at..end].chunk_by(|row, next| *next == row + 1) {
            let bounds = &block.pointers()[rows[0] - first..=rows[0] - first + rows.len()];
            let stored = bounds[0]..bounds[rows.len()];
            let before = indices.len();
            pointers.extend(bounds[1..].iter().map(|bound| before + bound - stored.start));
            indices.extend_from_slice(&block.indices()[stored.clone()]);
            values = appended(values, block.values(), stored);
        }
        at = end;
    }
    RowBlock::from_raw(start, n_cols, pointers, Cow::Owned(indices), values)
}

/// Values with some of others behind them: in 64 bits where one of the two has these.
fn appended(values: Values<'static>, others: &Values<'_>, range: Range<usize>) -> Values<'static> {
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| f64::from(v)).collect() };
    match (values, others) {
        (Values::F32(values), Values::F32(others)) => {
            let mut values = values.into_owned();
            values.extend_from_slice(&others[range]);
            Values::F32(Cow::Owned(values))
        }
        (Values::F64(values), others) => {
            let mut values = values.into_owned();
            match others {
                Values::F32(others) => values.extend(wide(&others[range])),
                Values::F64(others) => values.extend_from_slice(&others[range]),
            }
            Values::F64(Cow::Owned(values))
        }
        (Values::F32(values), Values::F64(others)) => {
            let mut values = wide(&values);
            values.extend_from_slice(&others[range]);
            Values::F64(Cow::Owned(values))
        }
    }
}

/// Some genes of a stream, in the order given.
pub struct SelectGenes<S> {
    source: S,
    n_genes: usize,
    /// The new column of each old one; `u32::MAX` where it is left out.
    new_column: Vec<u32>,
}

impl<S: RowChunks> SelectGenes<S> {
    /// The genes (columns of `source`) of a list without repeats, in its order.
    pub fn new(source: S, genes: &[usize]) -> Result<Self> {
        let mut new_column = vec![u32::MAX; source.n_cols()];
        for (new, &old) in genes.iter().enumerate() {
            let n_cols = new_column.len();
            let slot = new_column.get_mut(old).ok_or_else(|| {
                Fault::bad_input(format!("gene {old} was selected, but there are {n_cols} genes")).at(source.name())
            })?;
            if *slot != u32::MAX {
                return Err(Fault::bad_input(format!("gene {old} was selected twice")).at(source.name()));
            }
            *slot = new as u32;
        }
        Ok(Self { source, n_genes: genes.len(), new_column })
    }
}

impl<S: RowChunks> RowChunks for SelectGenes<S> {
    fn n_rows(&self) -> usize {
        self.source.n_rows()
    }
    fn n_cols(&self) -> usize {
        self.n_genes
    }
    fn n_stored(&self) -> Option<u64> {
        // What is read, not what is kept: this is what decides the size of blocks.
        self.source.n_stored()
    }
    fn name(&self) -> String {
        format!("{} genes of {}", self.n_genes, self.source.name())
    }
    fn reads_ahead(&self) -> bool {
        self.source.reads_ahead()
    }
    fn makes_rows(&self) -> bool {
        true
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        const ROWS: usize = 512;
        let block = self.source.read(run, rows)?;
        let of = |rows| Ok(Part::new(&block, rows, &self.new_column));
        joined(&block, self.n_genes, &run.map_quietly(block.n_rows(), ROWS, of)?)
    }
}

impl RowBlock<'_> {
    /// The same rows with columns renumbered: `new_column` has the new number of each column, `u32::MAX` for those that
    /// are left out; there are `n_cols` new ones.
    pub fn with_columns(&self, new_column: &[u32], n_cols: usize) -> Result<RowBlock<'static>> {
        joined(self, n_cols, &[Part::new(self, 0..self.n_rows(), new_column)])
    }
}

/// Some rows of a block with their columns renumbered.
struct Part {
    /// Values of each row.
    lengths: Vec<usize>,
    indices: Vec<u32>,
    values: Values<'static>,
}

impl Part {
    fn new(block: &RowBlock<'_>, rows: Range<usize>, new_column: &[u32]) -> Self {
        let bounds = &block.pointers()[rows.start..=rows.end];
        match block.values() {
            Values::F32(v) => {
                let (lengths, indices, values) = kept(bounds, block.indices(), v, new_column);
                Self { lengths, indices, values: Values::F32(Cow::Owned(values)) }
            }
            Values::F64(v) => {
                let (lengths, indices, values) = kept(bounds, block.indices(), v, new_column);
                Self { lengths, indices, values: Values::F64(Cow::Owned(values)) }
            }
        }
    }
}

/// Of each row the values whose column is kept, under its new number: how many, columns, values.
fn kept<V: Copy + Default>(
    bounds: &[usize],
    indices: &[u32],
    values: &[V],
    new_column: &[u32],
) -> (Vec<usize>, Vec<u32>, Vec<V>) {
    let (mut lengths, mut columns, mut found) = (Vec::with_capacity(bounds.len()), Vec::new(), Vec::new());
    let longest = bounds.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0);
    let (mut row_columns, mut row_values) = (vec![0; longest], vec![V::default(); longest]);
    for w in bounds.windows(2) {
        let mut n = 0;
        // Without a branch, since it cannot be foreseen which columns are kept.
        for (&column, &value) in indices[w[0]..w[1]].iter().zip(&values[w[0]..w[1]]) {
            let column = new_column[column as usize];
            row_columns[n] = column;
            row_values[n] = value;
            n += usize::from(column != u32::MAX);
        }
        lengths.push(n);
        columns.extend_from_slice(&row_columns[..n]);
        found.extend_from_slice(&row_values[..n]);
    }
    (lengths, columns, found)
}

/// The parts of a block, one after the other.
fn joined(block: &RowBlock<'_>, n_cols: usize, parts: &[Part]) -> Result<RowBlock<'static>> {
    let n = parts.iter().map(|part| part.indices.len()).sum();
    let (mut pointers, mut indices) = (Vec::with_capacity(block.n_rows() + 1), Vec::with_capacity(n));
    pointers.push(0);
    let mut end = 0;
    for part in parts {
        pointers.extend(part.lengths.iter().map(|length| {
            end += length;
            end
        }));
        indices.extend_from_slice(&part.indices);
    }
    let mut values = match block.values() {
        Values::F32(_) => Values::F32(Cow::Owned(Vec::with_capacity(n))),
        Values::F64(_) => Values::F64(Cow::Owned(Vec::with_capacity(n))),
    };
    for part in parts {
        values = appended(values, &part.values, 0..part.indices.len());
    }
    RowBlock::from_raw(block.start(), n_cols, pointers, Cow::Owned(indices), values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Csr;

    /// Row i holds i + 1 in column i % 3.
    fn matrix<'a>(values: &'a [f32], columns: &'a [i32]) -> Result<Csr<'a, f32, i32>> {
        let pointers: Vec<i32> = (0..=values.len() as i32).collect();
        Csr::new(values.len(), 3, values, columns, &pointers)
    }

    #[test]
    fn selects_rows_in_any_order() -> Result<()> {
        let values: Vec<f32> = (1..=300).map(|v| v as f32).collect();
        let columns: Vec<i32> = (0..300).map(|i| i % 3).collect();
        let wanted = vec![5, 6, 290, 7, 7, 0];
        let mut some = SelectRows::list(matrix(&values, &columns)?, wanted.clone())?;
        for range in [0..6, 2..5, 3..3] {
            let block = some.read(&Run::new(), range.clone())?;
            assert_eq!(block.row_sums(), wanted[range].iter().map(|&r| (r + 1) as f64).collect::<Vec<_>>());
        }
        let mut shard = SelectRows::range(matrix(&values, &columns)?, 10..20)?;
        let block = shard.read(&Run::new(), 2..4)?;
        assert_eq!((block.start(), block.row_sums()), (2, vec![13.0, 14.0]));
        assert!(SelectRows::list(matrix(&values, &columns)?, vec![300]).is_err());
        Ok(())
    }

    #[test]
    fn rows_that_follow_each_other_are_those_of_the_source() -> Result<()> {
        let values: Vec<f64> = (1..=90).map(f64::from).collect();
        let columns: Vec<i32> = (0..90).map(|i| i % 3).collect();
        let pointers: Vec<i32> = (0..=30).map(|i| 3 * i).collect();
        let wanted: Vec<usize> = (4..9).chain([11, 12, 20]).collect();
        let mut some = SelectRows::list(Csr::new(30, 3, &values, &columns, &pointers)?, wanted.clone())?;
        for range in [0..5, 0..8, 3..7] {
            let block = some.read(&Run::new(), range.clone())?;
            assert_eq!(block.start(), range.start);
            for (i, &row) in wanted[range].iter().enumerate() {
                let expected: Vec<(usize, f64)> = (0..3).map(|c| (c, (3 * row + c + 1) as f64)).collect();
                assert_eq!(block.row(i).collect::<Vec<_>>(), expected);
            }
        }
        Ok(())
    }

    #[test]
    fn selects_genes_in_any_order() -> Result<()> {
        let (values, columns) = ([1.0_f32, 2.0, 3.0, 4.0], [0, 1, 2, 0]);
        let mut some = SelectGenes::new(matrix(&values, &columns)?, &[2, 0])?;
        let block = some.read(&Run::new(), 0..4)?;
        let rows: Vec<Vec<(usize, f64)>> = (0..4).map(|i| block.row(i).collect()).collect();
        assert_eq!(rows, [vec![(1, 1.0)], vec![], vec![(0, 3.0)], vec![(1, 4.0)]]);
        assert!(SelectGenes::new(matrix(&values, &columns)?, &[1, 1]).is_err());
        Ok(())
    }
}
