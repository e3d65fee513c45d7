//! [`RowBlock`]: a range of rows, in the one form that algorithms see.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result};

/// The stored values of a block.
#[derive(Debug, Clone)]
pub enum Values<'a> {
    /// 32-bit floats, as they came.
    F32(Cow<'a, [f32]>),
    /// 64-bit floats.
    F64(Cow<'a, [f64]>),
}

impl Values<'_> {
    /// Whether all values are finite, not negative and whole.
    pub fn are_counts(&self) -> bool {
        crate::transform::all_counts(self)
    }

    /// Number of stored values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The `k`-th stored value.
    #[inline]
    pub fn get(&self, k: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[k]),
            Self::F64(v) => v[k],
        }
    }
}

/// Sparse rows `start .. start + n_rows` of a matrix with `n_cols` columns.
///
/// Invariants, established where a source makes a block and relied on everywhere else:
/// row pointers begin at 0, do not fall, and end at the number of stored values; within a row the columns rise
/// strictly (sorted, no duplicates) and are below `n_cols`. Stored zeros are allowed. Values may be NaN or
/// infinite: whoever cannot work with those says so.
#[derive(Debug, Clone)]
pub struct RowBlock<'a> {
    start: usize,
    n_cols: usize,
    pointers: Vec<usize>,
    indices: Cow<'a, [u32]>,
    values: Values<'a>,
}

impl<'a> RowBlock<'a> {
    /// A block from parts that already keep the invariants; they are checked.
    pub fn new(
        start: usize,
        n_cols: usize,
        pointers: Vec<usize>,
        indices: Cow<'a, [u32]>,
        values: Values<'a>,
    ) -> Result<Self> {
        let stored = values.len();
        if pointers.first() != Some(&0) || pointers.last() != Some(&stored) || indices.len() != stored {
            return Err(Fault::bad_input(format!(
                "row pointers end at {}, but there are {} column indices and {stored} values",
                pointers.last().copied().unwrap_or(0),
                indices.len()
            )));
        }
        for (row, bounds) in pointers.windows(2).enumerate() {
            let place = || format!("row {}", start + row);
            let columns =
                indices.get(bounds[0]..bounds[1]).ok_or_else(|| Fault::bad_input("row pointers fall").at(place()))?;
            let rises = columns.windows(2).all(|w| w[0] < w[1]);
            if !rises || columns.last().is_some_and(|&c| c as usize >= n_cols) {
                return Err(
                    Fault::bad_input(format!("column indices are not sorted, unique and below {n_cols}")).at(place())
                );
            }
        }
        Ok(Self { start, n_cols, pointers, indices, values })
    }

    /// A block from rows as they come: columns in any order, duplicates allowed (their values are added, in the
    /// order in which they stand). Rows that are in order already are not copied. A column index of `n_cols` or
    /// more is a fault that names the row.
    pub fn from_raw(
        start: usize,
        n_cols: usize,
        pointers: Vec<usize>,
        indices: Cow<'a, [u32]>,
        values: Values<'a>,
    ) -> Result<Self> {
        let stored = values.len();
        let fits = pointers.first() == Some(&0) && pointers.last() == Some(&stored) && indices.len() == stored;
        if fits && pointers.windows(2).all(|w| w[0] <= w[1]) {
            let mut sorted = true;
            for (row, bounds) in pointers.windows(2).enumerate() {
                let columns = &indices[bounds[0]..bounds[1]];
                // Without early exits these two passes run several columns at a time.
                sorted &= columns.windows(2).map(|w| u32::from(w[0] >= w[1])).sum::<u32>() == 0;
                let largest = columns.iter().fold(0, |largest, &c| largest.max(c));
                if !columns.is_empty() && largest as usize >= n_cols {
                    return Err(Fault::bad_input(format!("column index {largest}, but there are {n_cols} columns"))
                        .at(format!("row {}", start + row)));
                }
            }
            if !sorted {
                return Ok(sort_rows(start, n_cols, &pointers, &indices, &values));
            }
        }
        Self::new(start, n_cols, pointers, indices, values)
    }

    /// An empty block at `start`.
    pub fn empty(start: usize, n_cols: usize) -> Self {
        Self { start, n_cols, pointers: vec![0], indices: Cow::Borrowed(&[]), values: Values::F64(Cow::Borrowed(&[])) }
    }

    /// The index, in the source, of the first row.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.pointers.len() - 1
    }

    /// Number of columns.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Where each row begins; one more entry than rows.
    pub fn pointers(&self) -> &[usize] {
        &self.pointers
    }

    /// The columns of the stored values.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The stored values.
    pub fn values(&self) -> &Values<'a> {
        &self.values
    }

    /// Columns and values of local row `i`.
    pub fn row(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        (self.pointers[i]..self.pointers[i + 1]).map(|k| (self.indices[k] as usize, self.values.get(k)))
    }

    /// The sum of each row, added in order of columns: with counts, the library sizes.
    pub fn row_sums(&self) -> Vec<f64> {
        let whole = self.values.are_counts();
        let rows = self.pointers.windows(2);
        match &self.values {
            Values::F32(v) => rows.map(|row| sum(&v[row[0]..row[1]], whole)).collect(),
            Values::F64(v) => rows.map(|row| sum(&v[row[0]..row[1]], whole)).collect(),
        }
    }

    /// The same rows, numbered from `start`.
    #[must_use]
    pub fn renumbered(mut self, start: usize) -> Self {
        self.start = start;
        self
    }

    /// The same rows and columns with other values, one for each that is stored.
    pub fn with_values(self, values: Values<'a>) -> Result<Self> {
        if values.len() != self.values.len() {
            let message = format!("{} values in place of {}", values.len(), self.values.len());
            return Err(Fault::internal(message));
        }
        Ok(Self { values, ..self })
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> RowBlock<'static> {
        RowBlock {
            start: self.start,
            n_cols: self.n_cols,
            pointers: self.pointers,
            indices: Cow::Owned(self.indices.into_owned()),
            values: match self.values {
                Values::F32(v) => Values::F32(Cow::Owned(v.into_owned())),
                Values::F64(v) => Values::F64(Cow::Owned(v.into_owned())),
            },
        }
    }
}

/// The sum of numbers in their order; `whole` if they are counts.
fn sum<T: Copy + Into<f64>>(values: &[T], whole: bool) -> f64 {
    const LANES: usize = 8;
    // Up to here sums of whole numbers are exact, and their order does not matter.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if whole {
        let chunks = values.chunks_exact(LANES);
        let rest = chunks.remainder().iter().fold(0.0, |sum, &v| sum + v.into());
        let mut lanes = [0.0; LANES];
        chunks.for_each(|chunk| lanes.iter_mut().zip(chunk).for_each(|(lane, &v)| *lane += v.into()));
        let sum = lanes.iter().fold(rest, |sum, lane| sum + lane);
        if sum < EXACT {
            return sum;
        }
    }
    // An empty `sum` is -0.0, which messages would show.
    values.iter().fold(0.0, |sum, &v| sum + v.into())
}

/// Sorts each row by column and adds up duplicates.
fn sort_rows(
    start: usize,
    n_cols: usize,
    pointers: &[usize],
    indices: &[u32],
    values: &Values<'_>,
) -> RowBlock<'static> {
    let mut new_pointers = Vec::with_capacity(pointers.len());
    new_pointers.push(0);
    let mut new_indices: Vec<u32> = Vec::with_capacity(indices.len());
    let mut new_values: Vec<f64> = Vec::with_capacity(indices.len());
    let mut order: Vec<usize> = Vec::new();
    for bounds in pointers.windows(2) {
        order.clear();
        order.extend(bounds[0]..bounds[1]);
        // Stable, so that duplicates are added in the order in which they stand.
        order.sort_by_key(|&k| indices[k]);
        let row_start = new_indices.len();
        for &k in &order {
            match new_values.last_mut() {
                Some(last) if new_indices.len() > row_start && new_indices.last() == Some(&indices[k]) => {
                    *last += values.get(k);
                }
                _ => {
                    new_indices.push(indices[k]);
                    new_values.push(values.get(k));
                }
            }
        }
        new_pointers.push(new_indices.len());
    }
    let values = match values {
        Values::F32(_) => Values::F32(Cow::Owned(new_values.iter().map(|&v| v as f32).collect())),
        Values::F64(_) => Values::F64(Cow::Owned(new_values)),
    };
    RowBlock { start, n_cols, pointers: new_pointers, indices: Cow::Owned(new_indices), values }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(pointers: Vec<usize>, indices: Vec<u32>) -> Result<RowBlock<'static>> {
        let values = vec![1.0; indices.len()];
        RowBlock::new(10, 3, pointers, Cow::Owned(indices), Values::F64(Cow::Owned(values)))
    }

    #[test]
    fn keeps_its_invariants() {
        assert!(block(vec![0, 2, 3], vec![0, 2, 1]).is_ok());
        for (pointers, indices) in [
            (vec![0, 2], vec![2, 0]),
            (vec![0, 2], vec![1, 1]),
            (vec![0, 1], vec![3]),
            (vec![0, 2], vec![0]),
            (vec![1, 2], vec![0, 1]),
        ] {
            assert!(block(pointers.clone(), indices.clone()).is_err(), "{pointers:?} {indices:?}");
        }
        let message = block(vec![0, 1, 3], vec![0, 2, 1]).err().map(|f| f.to_string());
        assert_eq!(message.as_deref(), Some("row 11: column indices are not sorted, unique and below 3"));
    }

    #[test]
    fn sorts_raw_rows_and_adds_duplicates() -> Result<()> {
        let values = Values::F32(Cow::Owned(vec![1.0, 2.0, 4.0, 8.0]));
        let block = RowBlock::from_raw(0, 4, vec![0, 3, 4], Cow::Owned(vec![3, 1, 3, 0]), values)?;
        assert_eq!(block.row(0).collect::<Vec<_>>(), [(1, 2.0), (3, 5.0)]);
        assert_eq!(block.row(1).collect::<Vec<_>>(), [(0, 8.0)]);
        let beyond = RowBlock::from_raw(5, 2, vec![0, 1], Cow::Owned(vec![2]), Values::F64(Cow::Owned(vec![1.0])));
        assert!(beyond.is_err_and(|f| f.to_string() == "row 5: column index 2, but there are 2 columns"));
        Ok(())
    }

    #[test]
    fn sums_are_those_of_numbers_in_their_order() {
        let in_order = |v: &[f64]| v.iter().fold(0.0, |sum, x| sum + x);
        for n in [0, 1, 7, 8, 9, 100] {
            let counts: Vec<f64> = (0..n).map(|i| (i * i % 17) as f64).collect();
            let huge: Vec<f64> = (0..n).map(|i| (9e15 + i as f64).trunc()).collect();
            let others: Vec<f64> = (0..n).map(|i| 0.1 * i as f64).collect();
            for (values, whole) in [(counts, true), (huge, true), (others, false)] {
                assert_eq!(sum(&values, whole).to_bits(), in_order(&values).to_bits());
            }
        }
        assert_eq!(sum::<f32>(&[], true).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn sums_rows() -> Result<()> {
        assert_eq!(block(vec![0, 2, 2, 3], vec![0, 2, 1])?.row_sums(), [2.0, 0.0, 1.0]);
        Ok(())
    }
}
