//! Matrices in memory as row streams: [`Csr`], [`Csc`], [`Dense`].
//!
//! They borrow the arrays of whoever owns them (numpy's and scipy's among them) and accept what those libraries
//! hand out: any numeric type, 32- or 64-bit indices and pointers in any combination, columns in any order,
//! duplicates (which mean their sum).

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};

use crate::{RowBlock, RowChunks, Values};

/// A type of stored values.
pub trait Number: Copy + Send + Sync + PartialEq + 'static {
    /// The value as a 64-bit float.
    fn to_f64(self) -> f64;
    /// The slice as values of a block: borrowed for floats, converted otherwise.
    fn values(slice: &[Self]) -> Values<'_>;
    /// An owned buffer as values of a block.
    fn owned(values: Vec<Self>) -> Values<'static>;
}

macro_rules! number {
    (float: $($t:ty => $variant:ident),*) => { $(
        impl Number for $t {
            fn to_f64(self) -> f64 { f64::from(self) }
            fn values(slice: &[Self]) -> Values<'_> { Values::$variant(Cow::Borrowed(slice)) }
            fn owned(values: Vec<Self>) -> Values<'static> { Values::$variant(Cow::Owned(values)) }
        }
    )* };
    // Small integers are exact in 32-bit floats, larger ones are widened.
    (integer: $($t:ty => $variant:ident($float:ty)),*) => { $(
        impl Number for $t {
            fn to_f64(self) -> f64 { self as f64 }
            fn values(slice: &[Self]) -> Values<'_> {
                Values::$variant(Cow::Owned(slice.iter().map(|&v| v as $float).collect()))
            }
            fn owned(values: Vec<Self>) -> Values<'static> {
                Values::$variant(Cow::Owned(values.into_iter().map(|v| v as $float).collect()))
            }
        }
    )* };
}
number!(float: f32 => F32, f64 => F64);
number!(integer: i8 => F32(f32), u8 => F32(f32), i16 => F32(f32), u16 => F32(f32));
number!(integer: i32 => F64(f64), u32 => F64(f64), i64 => F64(f64), u64 => F64(f64));

/// A type of indices and pointers.
pub trait Index: Copy + Send + Sync + 'static {
    /// The index, unless it is negative or too large.
    fn to_usize(self) -> Option<usize>;
    /// The same memory as `u32`, where the type has that width.
    fn as_u32(slice: &[Self]) -> Option<&[u32]>;
}

macro_rules! index {
    ($($t:ty => $cast:expr),*) => { $(
        impl Index for $t {
            fn to_usize(self) -> Option<usize> { usize::try_from(self).ok() }
            fn as_u32(slice: &[Self]) -> Option<&[u32]> { let cast: fn(&[$t]) -> Option<&[u32]> = $cast; cast(slice) }
        }
    )* };
}
// A negative i32 becomes a u32 above every possible column count and is refused as such.
index!(i32 => |s| Some(bytemuck::cast_slice(s)), u32 => |s| Some(s), i64 => |_| None, u64 => |_| None);
index!(usize => |_| None);

/// Checks a pointer array: starts at 0, does not fall, ends at `stored`; gives it as `usize`.
fn check_pointers<P: Index>(pointers: &[P], n_major: usize, stored: usize, major: &str) -> Result<Vec<usize>> {
    if pointers.len() != n_major + 1 {
        return Err(Fault::bad_input(format!(
            "the pointers have {} entries, expected {} (one more than {major}s)",
            pointers.len(),
            n_major + 1
        )));
    }
    let mut converted = Vec::with_capacity(pointers.len());
    let mut last = 0;
    for (i, pointer) in pointers.iter().enumerate() {
        match pointer.to_usize() {
            Some(p) if p >= last && p <= stored && (i > 0 || p == 0) => {
                converted.push(p);
                last = p;
            }
            _ => {
                return Err(Fault::bad_input(format!(
                    "the pointers do not rise from 0 to the number of stored values ({stored}): look at {major} {}",
                    i.saturating_sub(1)
                )));
            }
        }
    }
    if last != stored {
        return Err(Fault::bad_input(format!("the pointers end at {last}, but {stored} values are stored")));
    }
    Ok(converted)
}

/// Indices as `u32`, borrowed where the width fits.
fn narrow<I: Index>(indices: &[I]) -> Result<Cow<'_, [u32]>> {
    if let Some(same) = I::as_u32(indices) {
        return Ok(Cow::Borrowed(same));
    }
    let narrowed: Option<Vec<u32>> = indices.iter().map(|i| i.to_usize().and_then(|i| u32::try_from(i).ok())).collect();
    narrowed.map(Cow::Owned).ok_or_else(|| Fault::bad_input("a column index is negative or above 4294967295"))
}

/// Compressed sparse rows, borrowed.
#[derive(Debug, Clone)]
pub struct Csr<'a, V, I> {
    n_cols: usize,
    values: &'a [V],
    indices: &'a [I],
    pointers: Vec<usize>,
}

impl<'a, V: Number, I: Index> Csr<'a, V, I> {
    /// `n_rows` × `n_cols` from scipy's three arrays (`data`, `indices`, `indptr`).
    pub fn new<P: Index>(
        n_rows: usize,
        n_cols: usize,
        values: &'a [V],
        indices: &'a [I],
        pointers: &[P],
    ) -> Result<Self> {
        if values.len() != indices.len() {
            return Err(Fault::bad_input(format!("{} values, but {} column indices", values.len(), indices.len())));
        }
        let pointers = check_pointers(pointers, n_rows, values.len(), "row")?;
        Ok(Self { n_cols, values, indices, pointers })
    }
}

impl<V: Number, I: Index> RowChunks for Csr<'_, V, I> {
    fn n_rows(&self) -> usize {
        self.pointers.len() - 1
    }
    fn n_cols(&self) -> usize {
        self.n_cols
    }
    fn n_stored(&self) -> Option<u64> {
        Some(self.values.len() as u64)
    }
    fn name(&self) -> String {
        "a sparse matrix (CSR)".to_owned()
    }
    fn read(&mut self, _run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let (low, high) = (self.pointers[rows.start], self.pointers[rows.end]);
        let pointers = self.pointers[rows.start..=rows.end].iter().map(|p| p - low).collect();
        let indices = narrow(&self.indices[low..high])?;
        RowBlock::from_raw(rows.start, self.n_cols, pointers, indices, V::values(&self.values[low..high]))
    }
}

/// Compressed sparse columns, borrowed; read by rows.
///
/// A block costs one search per column and its own values, so that a whole pass in rising ranges costs
/// O(stored values + columns × blocks). Row indices that are not sorted within a column are sorted once, in a copy.
#[derive(Debug, Clone)]
pub struct Csc<'a, V: Clone> {
    n_rows: usize,
    values: Cow<'a, [V]>,
    rows: Cow<'a, [u32]>,
    pointers: Vec<usize>,
    /// Where each column stood at the end of the last read, and the row at which that read ended.
    cursors: Vec<usize>,
    next_row: usize,
}

impl<'a, V: Number> Csc<'a, V> {
    /// `n_rows` × `n_cols` from scipy's three arrays (`data`, `indices`, `indptr`).
    pub fn new<I: Index, P: Index>(
        n_rows: usize,
        n_cols: usize,
        values: &'a [V],
        indices: &'a [I],
        pointers: &[P],
    ) -> Result<Self> {
        if values.len() != indices.len() {
            return Err(Fault::bad_input(format!("{} values, but {} row indices", values.len(), indices.len())));
        }
        let pointers = check_pointers(pointers, n_cols, values.len(), "column")?;
        Self::build(n_rows, Cow::Borrowed(values), narrow(indices)?, pointers)
    }

    /// `n_rows` rows from arrays that it keeps: values, their rows, and where each column begins among them.
    pub fn owned(n_rows: usize, values: Vec<V>, rows: Vec<u32>, pointers: &[usize]) -> Result<Csc<'static, V>> {
        if values.len() != rows.len() {
            return Err(Fault::bad_input(format!("{} values, but {} row indices", values.len(), rows.len())));
        }
        let pointers = check_pointers(pointers, pointers.len().saturating_sub(1), values.len(), "column")?;
        Csc::build(n_rows, Cow::Owned(values), Cow::Owned(rows), pointers)
    }

    fn build(n_rows: usize, values: Cow<'a, [V]>, rows: Cow<'a, [u32]>, pointers: Vec<usize>) -> Result<Self> {
        let mut sorted = true;
        for (column, bounds) in pointers.windows(2).enumerate() {
            let slice = &rows[bounds[0]..bounds[1]];
            if let Some(&row) = slice.iter().find(|&&r| r as usize >= n_rows) {
                return Err(Fault::bad_input(format!("row index {row}, but there are {n_rows} rows"))
                    .at(format!("column {column}")));
            }
            sorted &= slice.windows(2).all(|w| w[0] <= w[1]);
        }
        let cursors = pointers[..pointers.len() - 1].to_vec();
        let mut matrix = Self { n_rows, values, rows, pointers, cursors, next_row: 0 };
        if !sorted {
            matrix.sort_columns();
        }
        Ok(matrix)
    }

    fn sort_columns(&mut self) {
        let (mut rows, mut values) = (self.rows.to_vec(), self.values.to_vec());
        for bounds in self.pointers.windows(2) {
            let mut order: Vec<usize> = (bounds[0]..bounds[1]).collect();
            order.sort_by_key(|&k| self.rows[k]);
            for (to, &from) in (bounds[0]..bounds[1]).zip(&order) {
                rows[to] = self.rows[from];
                values[to] = self.values[from];
            }
        }
        (self.rows, self.values) = (Cow::Owned(rows), Cow::Owned(values));
    }
}

impl<V: Number> RowChunks for Csc<'_, V> {
    fn n_rows(&self) -> usize {
        self.n_rows
    }
    fn n_cols(&self) -> usize {
        self.pointers.len() - 1
    }
    fn n_stored(&self) -> Option<u64> {
        Some(self.values.len() as u64)
    }
    fn name(&self) -> String {
        "a sparse matrix (CSC)".to_owned()
    }
    fn read(&mut self, _run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let n_cols = self.n_cols();
        let n_rows = rows.len();
        let mut counts = vec![0_usize; n_rows + 1];
        let mut starts = Vec::with_capacity(n_cols);
        for column in 0..n_cols {
            let (low, high) = (self.pointers[column], self.pointers[column + 1]);
            let from = if self.next_row == rows.start {
                self.cursors[column]
            } else {
                low + self.rows[low..high].partition_point(|&r| (r as usize) < rows.start)
            };
            let mut k = from;
            while k < high && (self.rows[k] as usize) < rows.end {
                counts[self.rows[k] as usize - rows.start + 1] += 1;
                k += 1;
            }
            starts.push(from);
            self.cursors[column] = k;
        }
        self.next_row = rows.end;
        for i in 0..n_rows {
            counts[i + 1] += counts[i];
        }
        // Columns are visited in order, so that each row comes out sorted.
        let pointers = counts.clone();
        let mut fill = counts;
        let stored = pointers[n_rows];
        let mut indices = vec![0_u32; stored];
        let mut order = vec![0_usize; stored];
        for column in 0..n_cols {
            for k in starts[column]..self.cursors[column] {
                let slot = &mut fill[self.rows[k] as usize - rows.start];
                indices[*slot] = column as u32;
                order[*slot] = k;
                *slot += 1;
            }
        }
        let values = V::owned(order.iter().map(|&k| self.values[k]).collect());
        RowBlock::from_raw(rows.start, n_cols, pointers, Cow::Owned(indices), values)
    }
}

/// A dense matrix, borrowed; its zeros are left out of the blocks.
#[derive(Debug, Clone)]
pub struct Dense<'a, V> {
    n_rows: usize,
    n_cols: usize,
    values: &'a [V],
    /// Steps from one row, and from one column, to the next.
    strides: (usize, usize),
}

impl<'a, V: Number> Dense<'a, V> {
    /// `n_rows` × `n_cols`, rows one after the other (numpy's order C).
    pub fn row_major(n_rows: usize, n_cols: usize, values: &'a [V]) -> Result<Self> {
        Self::new(n_rows, n_cols, values, (n_cols, 1))
    }

    /// `n_rows` × `n_cols`, columns one after the other (numpy's order F).
    pub fn column_major(n_rows: usize, n_cols: usize, values: &'a [V]) -> Result<Self> {
        Self::new(n_rows, n_cols, values, (1, n_rows))
    }

    fn new(n_rows: usize, n_cols: usize, values: &'a [V], strides: (usize, usize)) -> Result<Self> {
        if values.len() != n_rows * n_cols {
            return Err(Fault::bad_input(format!("{} values for {n_rows} x {n_cols} entries", values.len())));
        }
        if u32::try_from(n_cols).is_err() {
            return Err(Fault::too_large(format!("{n_cols} columns, at most 4294967295 are possible")));
        }
        Ok(Self { n_rows, n_cols, values, strides })
    }
}

impl<V: Number> RowChunks for Dense<'_, V> {
    fn n_rows(&self) -> usize {
        self.n_rows
    }
    fn n_cols(&self) -> usize {
        self.n_cols
    }
    fn n_stored(&self) -> Option<u64> {
        None
    }
    fn name(&self) -> String {
        "a dense matrix".to_owned()
    }
    fn read(&mut self, _run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let mut pointers = Vec::with_capacity(rows.len() + 1);
        pointers.push(0);
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        for row in rows.clone() {
            for column in 0..self.n_cols {
                let value = self.values[row * self.strides.0 + column * self.strides.1];
                // NaN differs from zero and stays, to be found by whoever cannot work with it.
                if value.to_f64() != 0.0 {
                    indices.push(column as u32);
                    values.push(value);
                }
            }
            pointers.push(indices.len());
        }
        RowBlock::new(rows.start, self.n_cols, pointers, Cow::Owned(indices), V::owned(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 × 3: rows (0, 5, 1), (0, 0, 0), (2, 0, 3), (0, 7, 0).
    fn dense_of(source: &mut dyn RowChunks, step: usize) -> Result<Vec<Vec<f64>>> {
        let run = Run::new().threads(1);
        let mut rows = Vec::new();
        let mut start = 0;
        while start < source.n_rows() {
            let end = (start + step).min(source.n_rows());
            let block = source.read(&run, start..end)?;
            for i in 0..block.n_rows() {
                let mut row = vec![0.0; block.n_cols()];
                block.row(i).for_each(|(c, v)| row[c] = v);
                rows.push(row);
            }
            start = end;
        }
        Ok(rows)
    }

    const EXPECTED: [[f64; 3]; 4] = [[0.0, 5.0, 1.0], [0.0, 0.0, 0.0], [2.0, 0.0, 3.0], [0.0, 7.0, 0.0]];

    #[test]
    fn every_layout_gives_the_same_rows() -> Result<()> {
        for step in [1, 2, 3, 4] {
            // Unsorted columns, a duplicate (1 + 2), 32-bit indices with 64-bit pointers.
            let mut csr =
                Csr::new(4, 3, &[1.0_f32, 5.0, 1.0, 2.0, 2.0, 7.0], &[2_i32, 1, 2, 2, 0, 1], &[0_i64, 2, 2, 5, 6])?;
            assert_eq!(dense_of(&mut csr, step)?, EXPECTED);
            let mut csc = Csc::new(4, 3, &[2_u16, 7, 5, 3, 1], &[2_i64, 3, 0, 2, 0], &[0_i32, 1, 3, 5])?;
            assert_eq!(dense_of(&mut csc, step)?, EXPECTED);
            let rows: Vec<i32> = EXPECTED.iter().flatten().map(|&v| v as i32).collect();
            assert_eq!(dense_of(&mut Dense::row_major(4, 3, &rows)?, step)?, EXPECTED);
            let columns: Vec<f64> = (0..3).flat_map(|c| EXPECTED.iter().map(move |r| r[c])).collect();
            assert_eq!(dense_of(&mut Dense::column_major(4, 3, &columns)?, step)?, EXPECTED);
        }
        Ok(())
    }

    #[test]
    fn columns_can_be_owned() -> Result<()> {
        let mut csc = Csc::owned(4, vec![2_f32, 7.0, 5.0, 3.0, 1.0], vec![2, 3, 0, 2, 0], &[0, 1, 3, 5])?;
        assert_eq!(dense_of(&mut csc, 2)?, EXPECTED);
        assert!(Csc::owned(4, vec![1_f32], vec![4], &[0, 1]).is_err());
        assert!(Csc::owned(4, vec![1_f32], vec![0, 1], &[0, 1]).is_err());
        assert!(Csc::owned(4, vec![1_f32], vec![0], &[]).is_err());
        Ok(())
    }

    #[test]
    fn columns_can_be_read_again_from_the_start() -> Result<()> {
        let mut csc = Csc::new(4, 3, &[2_u8, 5, 7, 1, 3], &[2_u32, 0, 3, 0, 2], &[0_u32, 1, 3, 5])?;
        let first = dense_of(&mut csc, 2)?;
        assert_eq!(dense_of(&mut csc, 3)?, first);
        Ok(())
    }

    #[test]
    fn impossible_pointers_are_refused() {
        let make = |pointers: &[i64]| Csr::new(2, 3, &[1.0_f64, 2.0], &[0_i32, 1], pointers).map(|_| ());
        assert!(make(&[0, 1, 2]).is_ok());
        for pointers in [&[0, 2][..], &[0, 2, 1], &[1, 1, 2], &[0, 1, 3], &[0, -1, 2], &[0, 1, 1]] {
            assert!(make(pointers).is_err(), "{pointers:?}");
        }
        let negative = Csr::new(1, 3, &[1.0_f64], &[-1_i32], &[0_i32, 1]);
        assert!(negative.is_ok_and(|mut m| m.read(&Run::new(), 0..1).is_err()));
    }
}
