//! [`Window`]: ranges of an array in rising order, each chunk decoded once.

use std::ops::Range;

use ferrocyte_base::{Result, Run};

use crate::store::{ArrayInfo, Numbers, StoredArray};

/// An array that is read by ranges.
///
/// A compressed chunk can only be decoded whole. So reads are widened to whole chunks, and the last chunk of a read
/// is kept when the read ended inside it: ranges that rise decode every chunk once, whatever their lengths. An
/// array that is not compressed is read exactly.
pub(crate) struct Window {
    array: Box<dyn StoredArray>,
    /// Rows in a compressed chunk; 1 if nothing is compressed.
    step: usize,
    held: Option<(Range<usize>, Numbers)>,
}

impl Window {
    pub(crate) fn new(array: Box<dyn StoredArray>) -> Self {
        let info = array.info();
        let step = match (&info.chunk, info.filters.is_empty()) {
            (Some(chunk), false) => chunk.first().copied().unwrap_or(1).max(1),
            _ => 1,
        };
        Self { array, step, held: None }
    }

    pub(crate) fn info(&self) -> &ArrayInfo {
        self.array.info()
    }

    /// Rows in the array.
    pub(crate) fn n_rows(&self) -> usize {
        self.info().n_rows()
    }

    /// How many rows are read at once at the least.
    pub(crate) fn step(&self) -> usize {
        self.step
    }

    /// The numbers of a range of rows.
    pub(crate) fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<Numbers> {
        if self.step == 1 || rows.is_empty() {
            return self.array.numbers_with(run, rows);
        }
        let width = self.info().width();
        let mut start = rows.start;
        let mut known = None;
        if let Some((range, numbers)) = self.held.as_ref().filter(|(range, _)| range.contains(&rows.start)) {
            start = rows.end.min(range.end);
            known = Some(numbers.slice((rows.start - range.start) * width..(start - range.start) * width));
        }
        match known {
            Some(known) if start == rows.end => Ok(known),
            Some(known) => self.fetch(run, Some(known), start..rows.end),
            None => self.fetch(run, None, rows),
        }
    }

    /// Decodes all chunks that a range touches, behind what is known of the rows before it, and keeps the last one if
    /// there is more in it.
    fn fetch(&mut self, run: &Run, known: Option<Numbers>, rows: Range<usize>) -> Result<Numbers> {
        let width = self.info().width();
        let from = rows.start / self.step * self.step;
        let to = rows.end.next_multiple_of(self.step).min(self.n_rows()).max(rows.end);
        // What is known ends with a chunk.
        let before = known.as_ref().map_or(0, Numbers::len);
        let mut whole = match known {
            Some(known) => self.array.numbers_behind(run, known, from..to)?,
            None => self.array.numbers_with(run, from..to)?,
        };
        let place = |row: usize| before + (row - from) * width;
        let last = (to - 1) / self.step * self.step;
        self.held = (to > rows.end).then(|| (last..to, whole.slice(place(last)..place(to))));
        if from < rows.start {
            return Ok(whole.slice(place(rows.start)..place(rows.end)));
        }
        // The usual case: reads that follow each other begin with a chunk. No copy is made of what may be large.
        whole.truncate(place(rows.end));
        Ok(whole)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::Dtype;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Row i, column j holds 10 i + j; counts the rows that were read.
    struct Made {
        info: ArrayInfo,
        rows_read: Arc<AtomicUsize>,
    }

    impl StoredArray for Made {
        fn info(&self) -> &ArrayInfo {
            &self.info
        }
        fn numbers(&self, rows: Range<usize>) -> Result<Numbers> {
            assert!(rows.end <= self.info.n_rows());
            self.rows_read.fetch_add(rows.len(), Ordering::Relaxed);
            Ok(Numbers::I64(rows.flat_map(|i| (0..self.info.width()).map(move |j| (10 * i + j) as i64)).collect()))
        }
        fn texts(&self, _: Range<usize>) -> Result<Vec<String>> {
            unreachable!("only numbers are read")
        }
    }

    fn made(shape: &[usize], chunk: usize) -> (Window, Arc<AtomicUsize>) {
        let rows_read = Arc::new(AtomicUsize::new(0));
        let info = ArrayInfo {
            path: "a".into(),
            shape: shape.to_vec(),
            dtype: Dtype::I64,
            chunk: Some(vec![chunk]),
            filters: vec!["gzip".into()],
        };
        (Window::new(Box::new(Made { info, rows_read: Arc::clone(&rows_read) })), rows_read)
    }

    #[test]
    fn any_range_is_exact() {
        for shape in [vec![23], vec![23, 3]] {
            let width = shape.iter().skip(1).product::<usize>();
            let (mut window, _) = made(&shape, 5);
            let run = Run::new().threads(1);
            for start in (0..23).rev().chain(0..23) {
                for end in start..=23 {
                    let expected = (start..end).flat_map(|i| (0..width).map(move |j| (10 * i + j) as i64)).collect();
                    assert_eq!(window.read(&run, start..end).unwrap(), Numbers::I64(expected), "{start}..{end}");
                }
            }
        }
    }

    #[test]
    fn rising_ranges_decode_every_chunk_once() {
        for length in 1..12 {
            let (mut window, rows_read) = made(&[23], 5);
            let run = Run::new().threads(1);
            for start in (0..23).step_by(length) {
                window.read(&run, start..(start + length).min(23)).unwrap();
            }
            assert_eq!(rows_read.load(Ordering::Relaxed), 23, "ranges of {length}");
        }
    }
}
