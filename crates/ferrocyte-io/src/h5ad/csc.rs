//! [`Columns`]: sparse columns on disk, read by rows.
//!
//! Compressed columns can only be read column by column, so the rows of a range are scattered over the whole
//! matrix. Each pass over the matrix gathers a super-block of as many rows as fit a quarter of the memory of the
//! run; blocks within it come from memory. Reading all rows in rising ranges costs one pass when the matrix fits,
//! and about (size / quarter of the memory) passes otherwise. The rows do not depend on where super-blocks end.
//!
//! Whoever can work on some genes at a time reads them with [`Columns::read_genes`] instead: one pass, whatever the size.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Csc, RowBlock, RowChunks, Values};

use crate::store::numbers::BadIndex;
use crate::store::window::Window;

/// Stored values that are read at once in a pass.
const SLAB: usize = 1 << 20;
/// Bytes of a stored value while a super-block is made: row, column and value as found, column and value as sorted.
const BYTES: u64 = 4 + 4 + 8 + 4 + 8;

/// The arrays of compressed columns, and the super-block read last.
pub(crate) struct Columns {
    pub(crate) data: Window,
    pub(crate) indices: Window,
    /// Where each column begins; checked to rise from 0 to the number of stored values.
    pub(crate) pointers: Vec<usize>,
    pub(crate) n_rows: usize,
    held: Option<SuperBlock>,
}

/// Some rows in memory, their columns sorted.
struct SuperBlock {
    rows: Range<usize>,
    pointers: Vec<usize>,
    columns: Vec<u32>,
    values: Values<'static>,
}

/// What a pass has found so far, in the order of columns.
struct Found<T> {
    rows: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<T>,
}

impl Columns {
    pub(crate) fn new(data: Window, indices: Window, pointers: Vec<usize>, n_rows: usize) -> Self {
        Self { data, indices, pointers, n_rows, held: None }
    }

    /// The rows of a range.
    pub(crate) fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let covered = self.held.as_ref().is_some_and(|b| b.rows.start <= rows.start && rows.end <= b.rows.end);
        if !covered {
            // The old super-block goes first: there is room for one.
            self.held = None;
            self.held = Some(self.gather(run, &rows)?);
        }
        let n_cols = self.pointers.len() - 1;
        match &self.held {
            Some(block) => block.slice(rows, n_cols),
            None => Ok(RowBlock::empty(rows.start, n_cols)),
        }
    }

    /// How many values may be in memory at once.
    fn limit(run: &Run) -> usize {
        usize::try_from(run.memory_bytes() / 4 / BYTES).unwrap_or(usize::MAX).max(1)
    }

    /// Ranges of genes that fit, if all genes together do not.
    pub(crate) fn gene_blocks(&self, run: &Run) -> Option<Vec<Range<usize>>> {
        let limit = Self::limit(run);
        if self.data.n_rows() <= limit {
            return None;
        }
        let n_genes = self.pointers.len() - 1;
        let (mut blocks, mut start) = (Vec::new(), 0);
        while start < n_genes {
            // At least one gene, however many values it has.
            let fitting = self.pointers[start..].partition_point(|&p| p <= self.pointers[start] + limit) - 1;
            let end = (start + fitting.max(1)).min(n_genes);
            blocks.push(start..end);
            start = end;
        }
        Some(blocks)
    }

    /// All rows of some genes.
    pub(crate) fn read_genes(&mut self, run: &Run, genes: Range<usize>) -> Result<Box<dyn RowChunks>> {
        self.held = None;
        let (low, high) = (self.pointers[genes.start], self.pointers[genes.end]);
        let pointers: Vec<usize> = self.pointers[genes.start..=genes.end].iter().map(|p| p - low).collect();
        let indices = self.indices.read(run, low..high)?.into_indices(self.n_rows);
        let rows = indices.map_err(|bad| self.bad_row(low, &bad))?;
        Ok(match self.data.read(run, low..high)?.into_values() {
            Values::F32(values) => Box::new(Csc::owned(self.n_rows, values.into_owned(), rows, &pointers)?),
            Values::F64(values) => Box::new(Csc::owned(self.n_rows, values.into_owned(), rows, &pointers)?),
        })
    }

    /// An index among those from `start` on that is no row.
    fn bad_row(&self, start: usize, bad: &BadIndex) -> Fault {
        let column = self.pointers.partition_point(|&p| p <= start + bad.position) - 1;
        Fault::bad_file(format!("row index {}, but there are {} rows", bad.value, self.n_rows))
            .at(format!("column {column}"))
    }

    /// One pass over the matrix.
    fn gather(&mut self, run: &Run, asked: &Range<usize>) -> Result<SuperBlock> {
        let stored = self.data.n_rows();
        let limit = Self::limit(run);
        // As many rows as should fit, at least those asked for.
        let fitting =
            if stored <= limit { self.n_rows } else { (self.n_rows as f64 * (limit as f64 / stored as f64)) as usize };
        let end = asked.start.saturating_add(fitting).clamp(asked.end, self.n_rows.max(asked.end));
        let rows = asked.start..end;
        if self.data.info().dtype.is_wide() {
            let (rows, found) = self.pass(run, rows, asked.end, limit, |values| match values {
                Values::F64(v) => v.into_owned(),
                Values::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            })?;
            Ok(found.sorted(rows, |v| Values::F64(Cow::Owned(v))))
        } else {
            let (rows, found) = self.pass(run, rows, asked.end, limit, |values| match values {
                Values::F32(v) => v.into_owned(),
                Values::F64(v) => v.iter().map(|&x| x as f32).collect(),
            })?;
            Ok(found.sorted(rows, |v| Values::F32(Cow::Owned(v))))
        }
    }

    /// Streams all columns and keeps the entries of `rows`; gives up rows from the end, but not below `least`,
    /// when more is found than fits.
    fn pass<T: Copy>(
        &mut self,
        run: &Run,
        mut rows: Range<usize>,
        least: usize,
        limit: usize,
        convert: impl Fn(Values<'static>) -> Vec<T>,
    ) -> Result<(Range<usize>, Found<T>)> {
        let stored = self.data.n_rows();
        let slab = SLAB.next_multiple_of(self.data.step().clamp(1, SLAB));
        let mut found = Found { rows: Vec::new(), columns: Vec::new(), values: Vec::new() };
        let mut column = 0;
        for start in (0..stored).step_by(slab) {
            run.check()?;
            let end = (start + slab).min(stored);
            let indices = self.indices.read(run, start..end)?.into_indices(self.n_rows);
            let indices = indices.map_err(|bad| self.bad_row(start, &bad))?;
            let values = convert(self.data.read(run, start..end)?.into_values());
            let mut k = start;
            while k < end {
                while self.pointers[column + 1] <= k {
                    column += 1;
                }
                let stop = self.pointers[column + 1].min(end);
                for at in k - start..stop - start {
                    let row = indices[at] as usize;
                    if row >= rows.start && row < rows.end {
                        found.rows.push((row - rows.start) as u32);
                        found.columns.push(column as u32);
                        found.values.push(values[at]);
                    }
                }
                k = stop;
            }
            while found.rows.len() > limit && rows.end > least {
                rows.end = least.max(rows.start + rows.len() / 2);
                found.keep_below(rows.len() as u32);
            }
        }
        Ok((rows, found))
    }
}

impl<T: Copy> Found<T> {
    fn keep_below(&mut self, end: u32) {
        let mut kept = 0;
        for k in 0..self.rows.len() {
            if self.rows[k] < end {
                self.rows[kept] = self.rows[k];
                self.columns[kept] = self.columns[k];
                self.values[kept] = self.values[k];
                kept += 1;
            }
        }
        self.rows.truncate(kept);
        self.columns.truncate(kept);
        self.values.truncate(kept);
    }

    /// Sorts by row; the order within a row stays, which is that of columns.
    fn sorted(self, rows: Range<usize>, wrap: impl Fn(Vec<T>) -> Values<'static>) -> SuperBlock {
        let mut pointers = vec![0_usize; rows.len() + 1];
        for &row in &self.rows {
            pointers[row as usize + 1] += 1;
        }
        for i in 0..rows.len() {
            pointers[i + 1] += pointers[i];
        }
        let mut next = pointers.clone();
        let mut columns = vec![0_u32; self.rows.len()];
        let mut values = self.values.clone();
        for (k, &row) in self.rows.iter().enumerate() {
            let slot = &mut next[row as usize];
            columns[*slot] = self.columns[k];
            values[*slot] = self.values[k];
            *slot += 1;
        }
        SuperBlock { rows, pointers, columns, values: wrap(values) }
    }
}

impl SuperBlock {
    fn slice(&self, rows: Range<usize>, n_cols: usize) -> Result<RowBlock<'_>> {
        let (first, last) = (rows.start - self.rows.start, rows.end - self.rows.start);
        let (low, high) = (self.pointers[first], self.pointers[last]);
        let pointers = self.pointers[first..=last].iter().map(|p| p - low).collect();
        let values = match &self.values {
            Values::F32(v) => Values::F32(Cow::Borrowed(&v[low..high])),
            Values::F64(v) => Values::F64(Cow::Borrowed(&v[low..high])),
        };
        // Not `new`: a column may hold a row twice.
        RowBlock::from_raw(rows.start, n_cols, pointers, Cow::Borrowed(&self.columns[low..high]), values)
    }
}
