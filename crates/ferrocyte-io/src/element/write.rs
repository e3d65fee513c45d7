//! [`Elements`]: how each element is laid out on a [`Sink`], once for all formats.
//!
//! The encodings are those of anndata 0.8 and later, which every element carries as `encoding-type` and
//! `encoding-version`. Arrays are compressed by the threads of the run, a batch of chunks at a time.

use std::borrow::Cow;

use ferrocyte_base::{Kind, Result, Run, Task};

use crate::element::borrowed::{Codes, ColumnRef, EntriesRef, Folder, FrameRef, ItemRef, SparseRef, TextsRef, join};
use crate::element::columns::NaValue;
use crate::element::{Item, Records};
use crate::h5ad::matrix::MatrixKind;
use crate::store::numbers::{Numbers, NumbersRef};
use crate::store::sink::{ArraySpec, Sink, SinkArray, Storage};
use crate::store::{Attr, Dtype};

/// Chunks that are compressed side by side. Bounds memory; does not show in the file.
pub(crate) const BATCH: usize = 32;

/// Writes an item at a path, arrays in `storage`. The group around it exists; the root (whose path is empty) does.
///
/// All of it is checked before any is written. Faults name the path and the file.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_io::{Entries, H5ad, Item, NdArray, NewHdf5, Numbers, Sink, Storage, write_item};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("new.h5");
/// let weights = NdArray { shape: vec![2, 2], cells: Entries::Numbers(Numbers::F64(vec![1.0, 0.5, 0.25, 2.0])) };
/// let sink = NewHdf5::create(&path, None)?;
/// write_item(&Run::new(), &sink, "uns", &Item::Dict(vec![("weights".into(), Item::Array(weights))]), Storage::NONE)?;
/// Box::new(sink).finish()?;
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn write_item(run: &Run, sink: &dyn Sink, path: &str, item: &Item, storage: Storage) -> Result<()> {
    let item = ItemRef::try_from(item).map_err(|f| f.at(path).at(sink.place()))?;
    write_borrowed(run, sink, path, &item, storage)
}

/// [`write_item`] of an item that others own.
pub fn write_borrowed(run: &Run, sink: &dyn Sink, path: &str, item: &ItemRef<'_>, storage: Storage) -> Result<()> {
    item.check(path).map_err(|f| f.at(sink.place()))?;
    let task = run.task("writing", item.bytes());
    let elements = Elements { run, sink, storage, task: Some(&task) };
    elements.item(path, item).map_err(|f| located(f, sink.place()))
}

/// A fault with its place; being stopped has none, and no place is told twice.
pub(crate) fn located(fault: ferrocyte_base::Fault, place: &str) -> ferrocyte_base::Fault {
    if fault.kind() == Kind::Cancelled || fault.place().is_some_and(|p| p.starts_with(place)) {
        fault
    } else {
        fault.at(place)
    }
}

/// Writes elements to a sink.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'a> {
    pub(crate) run: &'a Run,
    pub(crate) sink: &'a dyn Sink,
    /// How arrays are stored.
    pub(crate) storage: Storage,
    /// What is told of bytes that were written.
    pub(crate) task: Option<&'a Task<'a>>,
}

impl Elements<'_> {
    /// Writes any item.
    pub(crate) fn item(&self, path: &str, item: &ItemRef<'_>) -> Result<()> {
        match item {
            ItemRef::Null => self.null(path),
            ItemRef::Scalar(entry) => self.scalar(path, *entry),
            ItemRef::Array(shape, EntriesRef::Numbers(numbers)) => self.array(path, shape, *numbers),
            ItemRef::Array(shape, EntriesRef::Texts(texts)) => self.texts(path, shape, *texts),
            ItemRef::Column(column) => self.column(path, column),
            ItemRef::Sparse(sparse) => self.sparse(path, sparse),
            ItemRef::Frame(frame) => self.frame(path, frame),
            ItemRef::Records(records) => self.records(path, records),
            ItemRef::Folder(folder) => self.folder(path, folder),
            ItemRef::Stored(store, source) => self.copy(*store, source, path),
        }
    }

    /// Says what an element is.
    pub(crate) fn mark(&self, path: &str, kind: &str, version: &str) -> Result<()> {
        self.sink.set(path, "encoding-type", &Attr::Text(kind.to_owned()))?;
        self.sink.set(path, "encoding-version", &Attr::Text(version.to_owned()))
    }

    /// Makes a group that says what it is.
    pub(crate) fn group(&self, path: &str, kind: &str, version: &str) -> Result<()> {
        self.sink.group(path)?;
        self.mark(path, kind, version)
    }

    fn null(&self, path: &str) -> Result<()> {
        self.sink.null(path)?;
        self.mark(path, "null", "0.1.0")
    }

    fn scalar(&self, path: &str, entry: EntriesRef<'_>) -> Result<()> {
        match entry {
            EntriesRef::Numbers(number) => {
                self.fill(path, &[], number)?;
                self.mark(path, "numeric-scalar", "0.2.0")
            }
            EntriesRef::Texts(text) => {
                self.sink.texts(path, &[], &mut text.iter())?;
                self.mark(path, "string", "0.2.0")
            }
        }
    }

    /// An array of numbers.
    pub(crate) fn array(&self, path: &str, shape: &[usize], numbers: NumbersRef<'_>) -> Result<()> {
        self.fill(path, shape, numbers)?;
        self.mark(path, "array", "0.2.0")
    }

    /// An array of numbers without any word of what it is.
    fn fill(&self, path: &str, shape: &[usize], numbers: NumbersRef<'_>) -> Result<()> {
        let array = self.sink.array(path, &ArraySpec::new(numbers.dtype(), shape, self.storage))?;
        let bytes = numbers.bytes();
        let size = array.spec().chunk_bytes();
        let n_chunks = if bytes.is_empty() { 0 } else { bytes.len().div_ceil(size) };
        let mut done = 0;
        while done < n_chunks {
            self.run.check()?;
            let batch = done..(done + BATCH).min(n_chunks);
            let encoded =
                self.run.map_quietly(batch.len(), 1, |k| encode_chunk(&*array, bytes, batch.start + k.start))?;
            for (chunk, encoded) in batch.clone().zip(&encoded) {
                array.write(chunk, encoded)?;
            }
            if let Some(task) = self.task {
                task.advance((bytes.len().min(batch.end * size) - batch.start * size) as u64);
            }
            done = batch.end;
        }
        array.finish(shape.first().copied().unwrap_or(1))
    }

    /// An array of texts, none of which is missing.
    pub(crate) fn texts(&self, path: &str, shape: &[usize], texts: TextsRef<'_>) -> Result<()> {
        self.sink.texts(path, shape, &mut texts.iter())?;
        self.mark(path, "string-array", "0.2.0")
    }

    fn records(&self, path: &str, records: &Records) -> Result<()> {
        self.sink.records(path, records)?;
        self.mark(path, "rec-array", "0.2.0")
    }

    /// A compressed sparse matrix.
    fn sparse(&self, path: &str, sparse: &SparseRef<'_>) -> Result<()> {
        self.sparse_group(path, sparse.kind, sparse.shape)?;
        for (name, numbers) in [("data", sparse.data), ("indices", sparse.indices), ("indptr", sparse.indptr)] {
            self.fill(&join(path, name), &[numbers.len()], numbers)?;
        }
        Ok(())
    }

    /// The group of a sparse matrix, before its arrays.
    pub(crate) fn sparse_group(&self, path: &str, kind: MatrixKind, (n_rows, n_cols): (usize, usize)) -> Result<()> {
        let word = if kind == MatrixKind::Csc { "csc_matrix" } else { "csr_matrix" };
        self.group(path, word, "0.1.0")?;
        self.sink.set(path, "shape", &Attr::Numbers(Numbers::I64(vec![n_rows as i64, n_cols as i64])))
    }

    /// A column in the encoding of its kind.
    pub(crate) fn column(&self, path: &str, column: &ColumnRef<'_>) -> Result<()> {
        match column {
            ColumnRef::Numbers(values) => self.array(path, &[values.len()], *values),
            ColumnRef::NullableNumbers(values, missing) => {
                let kind = if values.dtype() == Dtype::Bool { "nullable-boolean" } else { "nullable-integer" };
                self.group(path, kind, "0.1.0")?;
                self.array(&join(path, "values"), &[values.len()], *values)?;
                self.array(&join(path, "mask"), &[missing.len()], NumbersRef::Bool(missing))
            }
            ColumnRef::Texts(values, None) if values.first_missing().is_none() => {
                self.texts(path, &[values.len()], *values)
            }
            ColumnRef::Texts(values, na) => self.nullable_texts(path, *values, na.unwrap_or(NaValue::Nan)),
            ColumnRef::Categorical { codes, levels, ordered } => {
                self.group(path, "categorical", "0.2.0")?;
                self.sink.set(path, "ordered", &Attr::Numbers(Numbers::Bool(vec![*ordered])))?;
                self.column(&join(path, "categories"), levels)?;
                let path = join(path, "codes");
                match codes {
                    Codes::Stored(codes) => self.array(&path, &[codes.len()], *codes),
                    Codes::Factor(codes) => {
                        self.array(&path, &[codes.len()], narrow_codes(codes, levels.len()).borrowed())
                    }
                }
            }
        }
    }

    fn nullable_texts(&self, path: &str, values: TextsRef<'_>, na: NaValue) -> Result<()> {
        self.group(path, "nullable-string-array", "0.1.0")?;
        let word = if na == NaValue::Nan { "NaN" } else { "NA" };
        self.sink.set(path, "na-value", &Attr::Text(word.to_owned()))?;
        self.texts(&join(path, "values"), &[values.len()], values)?;
        let missing: Vec<bool> = (0..values.len()).map(|row| values.get(row).is_none()).collect();
        self.array(&join(path, "mask"), &[missing.len()], NumbersRef::Bool(&missing))
    }

    /// A data frame.
    pub(crate) fn frame(&self, path: &str, frame: &FrameRef<'_>) -> Result<()> {
        self.group(path, "dataframe", "0.2.0")?;
        self.sink.set(path, "_index", &Attr::Text(frame.index_name.clone().into_owned()))?;
        let names = frame.columns.iter().map(|(name, _)| name.clone().into_owned()).collect();
        self.sink.set(path, "column-order", &Attr::Texts(names))?;
        self.column(&join(path, &frame.index_name), &frame.index)?;
        frame.columns.iter().try_for_each(|(name, column)| self.column(&join(path, name), column))
    }

    fn folder(&self, path: &str, folder: &Folder<'_>) -> Result<()> {
        if !path.is_empty() {
            self.sink.group(path)?;
        }
        if let Some((kind, version)) = folder.kind.encoding() {
            self.mark(path, kind, version)?;
        }
        folder.attrs.iter().try_for_each(|(name, value)| self.sink.set(path, name, value))?;
        folder.entries.iter().try_for_each(|(name, item)| self.item(&join(path, name), item))
    }
}

/// The `chunk`-th chunk of these bytes as it stands in the file; the last one is filled up with zeros.
pub(crate) fn encode_chunk<'b>(array: &dyn SinkArray, bytes: &'b [u8], chunk: usize) -> Result<Cow<'b, [u8]>> {
    let size = array.spec().chunk_bytes();
    let mut raw = Cow::Borrowed(&bytes[chunk * size..bytes.len().min((chunk + 1) * size)]);
    if raw.len() < size {
        raw.to_mut().resize(size, 0);
    }
    array.encode(raw)
}

/// Codes in the narrowest type that pandas would give them, -1 for a missing level.
fn narrow_codes(codes: &[u32], n_levels: usize) -> Numbers {
    // A missing level is u32::MAX, whose bits are those of -1 in any width.
    if n_levels <= 127 {
        Numbers::I8(codes.iter().map(|&c| c as i8).collect())
    } else if n_levels <= 32_767 {
        Numbers::I16(codes.iter().map(|&c| c as i16).collect())
    } else {
        Numbers::I32(codes.iter().map(|&c| c as i32).collect())
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_data::Factor;

    use super::*;

    #[test]
    fn codes_take_the_narrowest_type() {
        let width = |n: usize| narrow_codes(&[0, Factor::MISSING], n).dtype().name().to_owned();
        assert_eq!([width(127), width(128), width(40_000)], ["int8", "int16", "int32"]);
        assert_eq!(narrow_codes(&[1, Factor::MISSING], 2), Numbers::I8(vec![1, -1]));
    }
}
