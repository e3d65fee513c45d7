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
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        match &self.rows {
            Rows::Range(range) => {
                let start = range.start;
                Ok(self.source.read(run, start + rows.start..start + rows.end)?.renumbered(rows.start))
            }
            Rows::List(list) => gather(run, &mut self.source, &list[rows.clone()], rows.start),
        }
    }
}

/// The listed rows as one block. Reads stretches of rising rows at once, skipped rows included where they are few.
fn gather(run: &Run, source: &mut dyn RowChunks, wanted: &[usize], start: usize) -> Result<RowBlock<'static>> {
    const LARGEST_GAP: usize = 64;
    let n_cols = source.n_cols();
    let (mut pointers, mut indices, mut values) = (vec![0], Vec::<u32>::new(), Vec::<f64>::new());
    let mut all_f32 = true;
    let mut at = 0;
    while at < wanted.len() {
        let mut end = at + 1;
        while end < wanted.len() && wanted[end] > wanted[end - 1] && wanted[end] - wanted[end - 1] <= LARGEST_GAP {
            end += 1;
        }
        let first = wanted[at];
        let block = source.read(run, first..wanted[end - 1] + 1)?;
        all_f32 &= matches!(block.values(), Values::F32(_));
        for &row in &wanted[at..end] {
            for (column, value) in block.row(row - first) {
                indices.push(column as u32);
                values.push(value);
            }
            pointers.push(indices.len());
        }
        at = end;
    }
    let values = if all_f32 {
        Values::F32(Cow::Owned(values.into_iter().map(|v| v as f32).collect()))
    } else {
        Values::F64(Cow::Owned(values))
    };
    RowBlock::new(start, n_cols, pointers, Cow::Owned(indices), values)
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
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        self.source.read(run, rows)?.with_columns(&self.new_column, self.n_genes)
    }
}

impl RowBlock<'_> {
    /// The same rows with columns renumbered: `new_column` has the new number of each column, `u32::MAX` for those that
    /// are left out; there are `n_cols` new ones.
    pub fn with_columns(&self, new_column: &[u32], n_cols: usize) -> Result<RowBlock<'static>> {
        let (mut pointers, mut indices, mut kept) = (vec![0], Vec::<u32>::new(), Vec::<usize>::new());
        for bounds in self.pointers().windows(2) {
            for k in bounds[0]..bounds[1] {
                let column = new_column[self.indices()[k] as usize];
                if column != u32::MAX {
                    indices.push(column);
                    kept.push(k);
                }
            }
            pointers.push(indices.len());
        }
        let values = match self.values() {
            Values::F32(v) => Values::F32(Cow::Owned(kept.iter().map(|&k| v[k]).collect())),
            Values::F64(v) => Values::F64(Cow::Owned(kept.iter().map(|&k| v[k]).collect())),
        };
        RowBlock::from_raw(self.start(), n_cols, pointers, Cow::Owned(indices), values)
    }
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
