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
    fn makes_rows(&self) -> bool {
        true
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        const ROWS: usize = 512;
        let wanted = &self.rows[rows.clone()];
        let parts = run.map_quietly(wanted.len(), ROWS, |part| {
            let mut made = Made::default();
            for &(i, j) in &wanted[part] {
                if self.alone {
                    made.add_row(self.block, i as usize);
                } else {
                    made.add_sum(self.block, i as usize, j as usize);
                }
            }
            Ok(made)
        })?;
        let mut whole = Made::default();
        let mut pointers = Vec::with_capacity(wanted.len() + 1);
        pointers.push(0);
        for part in parts {
            pointers.extend(part.ends.iter().map(|end| whole.columns.len() + end));
            whole.columns.extend_from_slice(&part.columns);
            whole.values.extend_from_slice(&part.values);
        }
        let Made { columns, values, .. } = whole;
        RowBlock::from_raw(
            rows.start,
            self.block.n_cols(),
            pointers,
            Cow::Owned(columns),
            Values::F64(Cow::Owned(values)),
        )
    }
}

/// Rows that were made.
#[derive(Default)]
struct Made {
    /// Where each row ends.
    ends: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Made {
    fn add_row(&mut self, block: &RowBlock<'_>, row: usize) {
        for (column, value) in block.row(row) {
            self.push(column, value);
        }
        self.ends.push(self.columns.len());
    }

    /// Adds up two rows, whose columns rise: what both have has the sum.
    fn add_sum(&mut self, block: &RowBlock<'_>, first: usize, second: usize) {
        let (mut first, mut second) = (block.row(first).peekable(), block.row(second).peekable());
        while let (Some(&(a, x)), Some(&(b, y))) = (first.peek(), second.peek()) {
            let value = if a <= b { x } else { 0.0 } + if b <= a { y } else { 0.0 };
            self.push(a.min(b), value);
            if a <= b {
                first.next();
            }
            if b <= a {
                second.next();
            }
        }
        for (column, value) in first.chain(second) {
            self.push(column, value);
        }
        self.ends.push(self.columns.len());
    }

    fn push(&mut self, column: usize, value: f64) {
        self.columns.push(column as u32);
        self.values.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_single_rows() -> Result<()> {
        let (columns, values) = (vec![0, 2, 5, 1, 2, 4, 5], vec![1.0, 2.0, 3.0, 10.0, 20.0, 40.0, 50.0]);
        let values = Values::F64(Cow::Owned(values));
        let block = RowBlock::new(0, 6, vec![0, 3, 7, 7], Cow::Owned(columns), values)?;
        let rows = |mut pairs: Pairs<'_>| -> Result<Vec<Vec<(usize, f64)>>> {
            let made = pairs.read(&Run::new(), 1..pairs.n_rows())?;
            Ok((0..made.n_rows()).map(|i| made.row(i).collect()).collect())
        };
        let made = rows(Pairs::sums(&block, &[(0, 0), (0, 1), (1, 0), (2, 0), (1, 1)])?)?;
        let both = vec![(0, 1.0), (1, 10.0), (2, 22.0), (4, 40.0), (5, 53.0)];
        assert_eq!(made[..2], [both.clone(), both]);
        assert_eq!(made[2], [(0, 1.0), (2, 2.0), (5, 3.0)]);
        assert_eq!(made[3], [(1, 20.0), (2, 40.0), (4, 80.0), (5, 100.0)]);
        assert_eq!(rows(Pairs::singles(&block, &[(0, 0), (1, 0), (2, 1)])?)?[1], []);
        Ok(())
    }
}
