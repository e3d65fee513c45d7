//! [`OwnedCsr`]: a matrix that owns its arrays, and [`CsrBuilder`], which makes one of entries in any order.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};

use crate::{RowBlock, RowChunks, Values, rows_per_block};

/// Compressed sparse rows in memory: what is read of formats that cannot be read in part, and what a stream becomes
/// that is wanted as a whole. Columns rise within each row, without duplicates.
#[derive(Debug, Clone)]
pub struct OwnedCsr {
    n_cols: usize,
    pointers: Vec<usize>,
    indices: Vec<u32>,
    values: Values<'static>,
}

impl OwnedCsr {
    /// All rows of a stream. Refused before it is read where it is known not to fit the memory of the run.
    pub fn collect(run: &Run, source: &mut dyn RowChunks) -> Result<Self> {
        let (n_rows, n_cols) = (source.n_rows(), source.n_cols());
        let stored = source.n_stored().unwrap_or(0);
        run.reserve(&source.name(), 8 * (n_rows as u64 + 1) + 8 * stored)?;
        let mut whole = CsrBuilder::new(n_rows, n_cols)?;
        let task = run.task("reading", n_rows as u64);
        let (step, mut start) = (rows_per_block(run, source), 0);
        while start < n_rows {
            run.check()?;
            let end = (start + step).min(n_rows);
            whole.append(&source.read(run, start..end)?);
            task.advance((end - start) as u64);
            start = end;
        }
        Ok(whole.finish())
    }

    /// Where each row begins; one more entry than rows.
    pub fn pointers(&self) -> &[usize] {
        &self.pointers
    }

    /// The columns of the stored values.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The stored values: 32-bit floats where those are exact for all of them, else 64-bit ones.
    pub fn values(&self) -> &Values<'static> {
        &self.values
    }

    /// Row pointers, column indices and values.
    pub fn into_parts(self) -> (Vec<usize>, Vec<u32>, Values<'static>) {
        (self.pointers, self.indices, self.values)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.pointers.len() - 1
    }

    /// Number of columns.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// A range of rows, borrowed.
    pub fn block(&self, rows: Range<usize>) -> Result<RowBlock<'_>> {
        if rows.start > rows.end || rows.end > self.n_rows() {
            let message = format!("rows {}..{}, but there are {}", rows.start, rows.end, self.n_rows());
            return Err(Fault::bad_input(message));
        }
        let (low, high) = (self.pointers[rows.start], self.pointers[rows.end]);
        let pointers = self.pointers[rows.start..=rows.end].iter().map(|p| p - low).collect();
        let values = match &self.values {
            Values::F32(v) => Values::F32(Cow::Borrowed(&v[low..high])),
            Values::F64(v) => Values::F64(Cow::Borrowed(&v[low..high])),
        };
        RowBlock::from_raw(rows.start, self.n_cols, pointers, Cow::Borrowed(&self.indices[low..high]), values)
    }
}

impl RowChunks for OwnedCsr {
    fn n_rows(&self) -> usize {
        Self::n_rows(self)
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
        self.block(rows)
    }
}

/// Entries on their way to an [`OwnedCsr`]: in any order, duplicates added up in the order in which they came.
///
/// Entries whose rows rise, as most files have them, cost their 8 bytes and no sorting; others 4 bytes more while they
/// come, and are brought into order by counting.
///
/// ```
/// use ferrocyte_data::{CsrBuilder, Values};
/// let mut entries = CsrBuilder::new(2, 3)?;
/// entries.extend(&[1, 0, 1], &[2, 0, 2], &Values::F32(vec![1.0, 5.0, 2.0].into()));
/// let matrix = entries.finish();
/// assert_eq!((matrix.pointers(), matrix.indices()), (&[0, 1, 2][..], &[0, 2][..]));
/// assert_eq!(matrix.block(1..2)?.row_sums(), [3.0]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug)]
pub struct CsrBuilder {
    n_cols: usize,
    /// Entries of each row, behind a zero.
    counts: Vec<usize>,
    /// The row of each entry, once rows have fallen.
    rows: Option<Vec<u32>>,
    last: u32,
    indices: Vec<u32>,
    values: Stored,
}

/// Values are 32-bit floats until one comes that is not exact.
#[derive(Debug)]
enum Stored {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl CsrBuilder {
    /// No entries of `n_rows` × `n_cols` yet. Refused where there is no memory for a pointer of each row.
    pub fn new(n_rows: usize, n_cols: usize) -> Result<Self> {
        for (n, what) in [(n_rows, "rows"), (n_cols, "columns")] {
            if u32::try_from(n).is_err() {
                return Err(Fault::too_large(format!("{n} {what}, at most 4294967295 are possible")));
            }
        }
        let mut counts = Vec::new();
        counts.try_reserve_exact(n_rows + 1).map_err(|e| {
            Fault::too_large(format!("there is no memory for the pointers of {n_rows} rows")).because(e)
        })?;
        counts.resize(n_rows + 1, 0);
        let (indices, values) = (Vec::new(), Stored::F32(Vec::new()));
        Ok(Self { n_cols, counts, rows: None, last: 0, indices, values })
    }

    /// Adds entries: rows and columns that exist, and as many values.
    pub fn extend(&mut self, rows: &[u32], columns: &[u32], values: &Values<'_>) {
        debug_assert!(rows.len() == columns.len() && columns.len() == values.len());
        let Some((&first, &end)) = rows.first().zip(rows.last()) else { return };
        if self.rows.is_none() && (first < self.last || rows.windows(2).any(|w| w[0] > w[1])) {
            self.rows = Some(self.spelled_out());
        }
        if let Some(known) = &mut self.rows {
            known.extend_from_slice(rows);
        }
        self.last = end;
        rows.iter().for_each(|&row| self.counts[row as usize + 1] += 1);
        self.indices.extend_from_slice(columns);
        self.values.extend(values);
    }

    /// Adds a block, whose rows exist.
    pub fn append(&mut self, block: &RowBlock<'_>) {
        let rows: Vec<u32> = block
            .pointers()
            .windows(2)
            .enumerate()
            .flat_map(|(i, w)| std::iter::repeat_n((block.start() + i) as u32, w[1] - w[0]))
            .collect();
        self.extend(&rows, block.indices(), block.values());
    }

    /// Number of entries so far.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether nothing came yet.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The matrix.
    pub fn finish(self) -> OwnedCsr {
        let Self { n_cols, counts: mut pointers, rows, mut indices, mut values, .. } = self;
        for i in 1..pointers.len() {
            pointers[i] += pointers[i - 1];
        }
        if let Some(rows) = rows {
            indices = scattered(&rows, &pointers, &indices);
            values = match values {
                Stored::F32(v) => Stored::F32(scattered(&rows, &pointers, &v)),
                Stored::F64(v) => Stored::F64(scattered(&rows, &pointers, &v)),
            };
        }
        sort_rows(&mut pointers, &mut indices, &mut values);
        let values = match values {
            Stored::F32(v) => Values::F32(Cow::Owned(v)),
            Stored::F64(v) => Values::F64(Cow::Owned(v)),
        };
        OwnedCsr { n_cols, pointers, indices, values }
    }

    /// The row of each entry so far, all of which came in order.
    fn spelled_out(&self) -> Vec<u32> {
        let counts = self.counts[1..].iter().enumerate();
        counts.flat_map(|(row, &n)| std::iter::repeat_n(row as u32, n)).collect()
    }
}

impl Stored {
    fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    fn get(&self, k: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[k]),
            Self::F64(v) => v[k],
        }
    }

    fn set(&mut self, k: usize, value: f64) {
        if let Self::F32(v) = self {
            if is_narrow(value) {
                v[k] = value as f32;
                return;
            }
            self.widen();
        }
        if let Self::F64(v) = self {
            v[k] = value;
        }
    }

    fn truncate(&mut self, n: usize) {
        match self {
            Self::F32(v) => v.truncate(n),
            Self::F64(v) => v.truncate(n),
        }
    }

    fn widen(&mut self) {
        if let Self::F32(v) = self {
            *self = Self::F64(v.iter().map(|&x| f64::from(x)).collect());
        }
    }

    fn extend(&mut self, more: &Values<'_>) {
        if matches!((&*self, more), (Self::F32(_), Values::F64(v)) if !v.iter().all(|&x| is_narrow(x))) {
            self.widen();
        }
        match (self, more) {
            (Self::F32(these), Values::F32(v)) => these.extend_from_slice(v),
            (Self::F32(these), Values::F64(v)) => these.extend(v.iter().map(|&x| x as f32)),
            (Self::F64(these), Values::F32(v)) => these.extend(v.iter().map(|&x| f64::from(x))),
            (Self::F64(these), Values::F64(v)) => these.extend_from_slice(v),
        }
    }
}

/// Whether a value is exact as a 32-bit float.
fn is_narrow(value: f64) -> bool {
    f64::from(value as f32) == value || value.is_nan()
}

/// Entries brought into the order of their rows; those of a row keep theirs.
fn scattered<T: Copy + Default>(rows: &[u32], pointers: &[usize], entries: &[T]) -> Vec<T> {
    let mut next = pointers.to_vec();
    let mut sorted = vec![T::default(); entries.len()];
    for (&row, &entry) in rows.iter().zip(entries) {
        let place = &mut next[row as usize];
        sorted[*place] = entry;
        *place += 1;
    }
    sorted
}

/// Sorts each row by column and adds up duplicates, in place.
fn sort_rows(pointers: &mut [usize], indices: &mut Vec<u32>, values: &mut Stored) {
    let rises = |w: &[usize]| indices[w[0]..w[1]].windows(2).all(|pair| pair[0] < pair[1]);
    if pointers.windows(2).all(rises) {
        return;
    }
    let (mut kept, mut begin) = (0, 0);
    let mut row: Vec<(u32, f64)> = Vec::new();
    for end in pointers.iter_mut().skip(1) {
        row.clear();
        row.extend((begin..*end).map(|k| (indices[k], values.get(k))));
        // Stable, so that duplicates are added in the order in which they came.
        row.sort_by_key(|&(column, _)| column);
        let first = kept;
        for &(column, value) in &row {
            if kept > first && indices[kept - 1] == column {
                values.set(kept - 1, values.get(kept - 1) + value);
            } else {
                indices[kept] = column;
                values.set(kept, value);
                kept += 1;
            }
        }
        (begin, *end) = (*end, kept);
    }
    debug_assert!(values.len() >= kept);
    indices.truncate(kept);
    values.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Csr;

    /// Row, column, value.
    const ENTRIES: [(u32, u32, f32); 6] =
        [(2, 1, 7.0), (0, 2, 1.0), (2, 0, 3.0), (0, 0, 5.0), (2, 1, 2.0), (1, 1, 4.0)];

    fn built(entries: &[(u32, u32, f32)], step: usize) -> Result<OwnedCsr> {
        let mut builder = CsrBuilder::new(4, 3)?;
        for part in entries.chunks(step) {
            let rows: Vec<u32> = part.iter().map(|e| e.0).collect();
            let columns: Vec<u32> = part.iter().map(|e| e.1).collect();
            let values: Vec<f32> = part.iter().map(|e| e.2).collect();
            builder.extend(&rows, &columns, &Values::F32(values.into()));
        }
        Ok(builder.finish())
    }

    fn check(matrix: &OwnedCsr) -> Result<()> {
        assert_eq!((matrix.pointers(), matrix.indices()), (&[0, 2, 3, 5, 5][..], &[0, 2, 1, 0, 1][..]));
        let values: Vec<f64> = (0..5).map(|k| matrix.values().get(k)).collect();
        assert_eq!(values, [5.0, 1.0, 4.0, 3.0, 9.0]);
        assert_eq!(matrix.block(1..4)?.row_sums(), [4.0, 12.0, 0.0]);
        Ok(())
    }

    #[test]
    fn entries_come_in_any_order_and_blocks() -> Result<()> {
        for step in [1, 2, 4, 6] {
            check(&built(&ENTRIES, step)?)?;
            let mut by_row = ENTRIES;
            by_row.sort_by_key(|e| e.0);
            check(&built(&by_row, step)?)?;
        }
        assert!(built(&ENTRIES, 6)?.block(2..5).is_err());
        Ok(())
    }

    #[test]
    fn values_are_wide_where_they_must_be() -> Result<()> {
        let mut builder = CsrBuilder::new(1, 2)?;
        builder.extend(&[0], &[0], &Values::F64(vec![16_777_216.0].into()));
        builder.extend(&[0], &[1], &Values::F64(vec![f64::NAN].into()));
        assert!(matches!(builder.values, Stored::F32(_)));
        // The sum of two narrow values is not narrow.
        builder.extend(&[0], &[0], &Values::F32(vec![1.0].into()));
        let matrix = builder.finish();
        assert!(matches!(matrix.values(), Values::F64(v) if v[0] == 16_777_217.0 && v[1].is_nan()));
        let mut builder = CsrBuilder::new(1, 2)?;
        builder.extend(&[0], &[1], &Values::F32(vec![2.0].into()));
        builder.extend(&[0], &[0], &Values::F64(vec![0.1].into()));
        assert!(matches!(builder.finish().values(), Values::F64(v) if v[..] == [0.1, 2.0]));
        Ok(())
    }

    #[test]
    fn a_stream_is_collected_as_it_is() -> Result<()> {
        let (values, indices, pointers) = ([1.0_f32, 2.0, 3.0], [2_i32, 0, 1], [0_i64, 2, 2, 3]);
        let mut source = Csr::new(3, 3, &values, &indices, &pointers)?;
        let matrix = OwnedCsr::collect(&Run::new(), &mut source)?;
        assert_eq!((matrix.pointers(), matrix.indices()), (&[0, 2, 2, 3][..], &[0, 2, 1][..]));
        assert!(OwnedCsr::collect(&Run::new().memory(16), &mut source).is_err());
        Ok(())
    }

    #[test]
    fn sizes_beyond_reason_are_refused() {
        assert!(CsrBuilder::new(usize::MAX, 1).is_err());
        assert!(CsrBuilder::new(1, 1 << 40).is_err());
    }
}
