//! [`Pairs`]: sums of two rows each, made when they are read.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Values};

/// Rows that are sums of two rows of a block, or these rows alone, in 64 bits.
pub(super) struct Pairs<'a> {
    block: &'a RowBlock<'a>,
    rows: Vec<(u32, u32)>,
    alone: bool,
}

impl<'a> Pairs<'a> {
    /// Sums of pairs of rows.
    pub(super) fn sums(block: &'a RowBlock<'a>, pairs: &[(u32, u32)]) -> Result<Self> {
        let n = block.n_rows();
        if let Some(row) = pairs.iter().flat_map(|&(i, j)| [i, j]).find(|&i| i as usize >= n) {
            return Err(Fault::bad_input(format!("cell {row} of {n}")).at("parents"));
        }
        Ok(Self { block, rows: pairs.to_vec(), alone: false })
    }

    /// The first of each pair alone.
    pub(super) fn singles(block: &'a RowBlock<'a>, pairs: &[(u32, u32)]) -> Result<Self> {
        Ok(Self { alone: true, ..Self::sums(block, pairs)? })
    }
}

impl RowChunks for Pairs<'_> {
    fn n_rows(&self) -> usize {
        self.rows.len()
    }
    fn n_cols(&self) -> usize {
        self.block.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        let per_row = self.block.values().len() as u64 / self.block.n_rows().max(1) as u64;
        Some(2 * per_row * self.rows.len() as u64)
    }
    fn name(&self) -> String {
        "pairs of cells".to_owned()
    }
    fn read(&mut self, _run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let start = rows.start;
        let (mut pointers, mut indices, mut values) = (vec![0], Vec::<u32>::new(), Vec::<f64>::new());
        for &(i, j) in &self.rows[rows] {
            let second = if self.alone { None } else { Some(j as usize) };
            for (column, value) in self.block.row(i as usize).chain(second.into_iter().flat_map(|j| self.block.row(j)))
            {
                indices.push(column as u32);
                values.push(value);
            }
            pointers.push(indices.len());
        }
        // Columns that both have are added up.
        RowBlock::from_raw(start, self.block.n_cols(), pointers, Cow::Owned(indices), Values::F64(Cow::Owned(values)))
    }
}
