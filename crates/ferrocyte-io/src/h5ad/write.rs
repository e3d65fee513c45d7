//! [`H5adWriter`]: an .h5ad file, written as its rows come.
//!
//! Memory does not grow with what is written but for 8 bytes per row (the row pointers). The layout is that of
//! anndata 0.8 and later: every element carries `encoding-type` and `encoding-version`. The same content gives the same
//! bytes, into however many blocks its rows were cut and whatever the number of threads: chunks stand in the file in
//! the order of their rows, those of the values and of the indices in turn.

use std::borrow::Cow;
use std::path::Path;

use ferrocyte_base::{Cells, Fault, Kind, Result, Run, Table};
use ferrocyte_data::{Factor, Frame, ObsColumn, RowBlock, RowChunks, Values, rows_per_block};

use crate::atomic::Pending;
use crate::element::columns::{ColumnData, NaValue};
use crate::hdf5::write::{NewArray, NewHdf5};
use crate::store::sink::{CHUNK, Storage};
use crate::store::{Attr, Dtype, Numbers};

/// Chunks that are compressed side by side. Bounds memory; does not show in the file.
const BATCH: usize = 32;

/// The type of the values of a matrix in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixType {
    /// 32-bit floats: what most programs expect, exact for counts up to 16,777,216.
    F32,
    /// 64-bit floats.
    F64,
    /// 32-bit integers.
    I32,
}

impl MatrixType {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F64 => Dtype::F64,
            Self::I32 => Dtype::I32,
        }
    }
}

/// How an .h5ad file is written. Changes its size and the time that it takes, never what is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H5adOptions {
    /// The type of the values of `X`; a value that it cannot hold exactly is refused.
    pub values: MatrixType,
    /// How chunks are stored.
    pub storage: Storage,
}

impl Default for H5adOptions {
    /// 32-bit floats, shuffled, gzip level 1.
    fn default() -> Self {
        Self { values: MatrixType::F32, storage: Storage::default() }
    }
}

/// What is known of the rows (`obs`) or columns (`var`) of a matrix: their names, and columns of any type.
///
/// ```
/// use ferrocyte_io::{Annotation, ColumnData, Numbers};
/// let genes = Annotation::new(vec!["ISG15".into(), "MX1".into()])
///     .with("mean", ColumnData::Numbers(Numbers::F64(vec![0.5, 2.0])));
/// assert_eq!(genes.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    names: Vec<String>,
    columns: Vec<(String, ColumnData)>,
}

impl Annotation {
    /// Names alone.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, columns: Vec::new() }
    }

    /// Adds a column. Its length is checked when it is written.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, column: ColumnData) -> Self {
        self.columns.push((name.into(), column));
        self
    }

    /// Names, and the columns of a frame: numbers become 64-bit floats, factors categories.
    pub fn of(names: Vec<String>, frame: &Frame) -> Self {
        let column = |name: &str| {
            let data = match frame.get(name)? {
                ObsColumn::Number(values) => ColumnData::Numbers(Numbers::F64(values.clone())),
                ObsColumn::Factor(factor) => categories(factor.codes.iter().collect(), &factor.levels),
            };
            Some((name.to_owned(), data))
        };
        Self { names, columns: frame.names().into_iter().filter_map(column).collect() }
    }

    /// The columns of a table; rows are named by their numbers from 0.
    pub fn of_table(table: &Table) -> Self {
        let column = |cells: &Cells| match cells {
            Cells::Text(v) => ColumnData::Texts { values: v.iter().cloned().map(Some).collect(), na: None },
            Cells::Level { codes, levels } => categories(codes.clone(), levels),
            Cells::Float(v) => ColumnData::Numbers(Numbers::F64(v.clone())),
            Cells::Int(v) => ColumnData::Numbers(Numbers::I64(v.clone())),
            Cells::Bool(v) => ColumnData::Numbers(Numbers::Bool(v.clone())),
        };
        Self {
            names: (0..table.n_rows()).map(|i| i.to_string()).collect(),
            columns: table.columns().iter().map(|c| (c.name.clone(), column(&c.cells))).collect(),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn categories(codes: Vec<u32>, levels: &[String]) -> ColumnData {
    let values = levels.iter().cloned().map(Some).collect();
    ColumnData::Categorical { codes, levels: Box::new(ColumnData::Texts { values, na: None }), ordered: false }
}

/// An .h5ad file in the making: `X` as compressed sparse rows that are appended block by block.
///
/// The file stands beside its place until [`H5adWriter::finish`] puts it there; if that never comes, what stood there
/// stands, and nothing else is left behind.
///
/// ```
/// use std::borrow::Cow;
/// use ferrocyte_base::Run;
/// use ferrocyte_data::{RowBlock, RowChunks, Values};
/// use ferrocyte_io::{Annotation, H5ad, H5adOptions, H5adWriter};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("study.h5ad");
/// let run = Run::new();
/// let (cells, genes) = (vec!["c1".into(), "c2".into()], vec!["g1".into(), "g2".into(), "g3".into()]);
/// let options = H5adOptions::default();
/// let mut writer = H5adWriter::create(&run, &path, &Annotation::new(cells), &Annotation::new(genes), options)?;
/// for (row, column) in [(0, 2), (1, 0)] {
///     let values = Values::F32(Cow::Owned(vec![4.0]));
///     writer.append(&run, &RowBlock::new(row, 3, vec![0, 1], Cow::Owned(vec![column]), values)?)?;
/// }
/// writer.finish(&run)?;
/// assert_eq!(H5ad::open(&path)?.matrix("X")?.read(&run, 1..2)?.row(0).collect::<Vec<_>>(), [(0, 4.0)]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub struct H5adWriter {
    // Arrays are closed before their file, the file before its place.
    data: Filled,
    indices: Filled,
    file: NewHdf5,
    pending: Pending,
    place: String,
    options: H5adOptions,
    shape: (usize, usize),
    pointers: Vec<i64>,
}

impl std::fmt::Debug for H5adWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H5adWriter")
            .field("place", &self.place)
            .field("shape", &self.shape)
            .field("rows", &(self.pointers.len() - 1))
            .finish_non_exhaustive()
    }
}

impl H5adWriter {
    /// Begins a file of `obs.len()` × `var.len()` values and writes what is known of rows and columns.
    pub fn create(run: &Run, path: &Path, obs: &Annotation, var: &Annotation, options: H5adOptions) -> Result<Self> {
        let place = path.display().to_string();
        let at = |fault: Fault| fault.at(place.as_str());
        if i32::try_from(var.len()).is_err() {
            return Err(at(Fault::too_large(format!("{} columns, at most {} are written", var.len(), i32::MAX))));
        }
        let pending = Pending::beside(path).map_err(at)?;
        let file = NewHdf5::create(pending.path()).map_err(at)?;
        let (data, indices) = begin(run, &file, obs, var, options).map_err(at)?;
        let mut pointers = Vec::with_capacity(obs.len() + 1);
        pointers.push(0);
        Ok(Self { data, indices, file, pending, place, options, shape: (obs.len(), var.len()), pointers })
    }

    /// Appends the next rows to `X`. Blocks come in the order of their rows, the first at row 0.
    pub fn append(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        self.add(run, block).map_err(|f| located(located(f, "X"), &self.place))
    }

    /// Appends all rows of a source.
    pub fn append_all(&mut self, run: &Run, source: &mut dyn RowChunks) -> Result<()> {
        let (n, step) = (source.n_rows(), rows_per_block(run, source));
        let task = run.task("writing", n as u64);
        let mut start = 0;
        while start < n {
            run.check()?;
            let end = (start + step).min(n);
            self.append(run, &source.read(run, start..end)?)?;
            task.advance((end - start) as u64);
            start = end;
        }
        Ok(())
    }

    /// Writes a table under `uns`, as a data frame of that name.
    pub fn uns(&mut self, run: &Run, name: &str, table: &Table) -> Result<()> {
        let write =
            || frame(run, &self.file, &format!("uns/{name}"), &Annotation::of_table(table), self.options.storage);
        check_name(name).and_then(|()| write()).map_err(|f| f.at(self.place.as_str()))
    }

    /// Completes the file and puts it in its place. All rows must have come.
    pub fn finish(mut self, run: &Run) -> Result<()> {
        let place = std::mem::take(&mut self.place);
        self.complete(run).map_err(|f| located(f, &place))
    }

    fn add(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let done = self.pointers.len() - 1;
        let (n_rows, n_cols) = self.shape;
        if block.start() != done || block.n_cols() != n_cols || done + block.n_rows() > n_rows {
            let (start, end) = (block.start(), block.start() + block.n_rows());
            return Err(Fault::bad_input(format!(
                "rows {start}..{end} of {} columns, expected rows from {done} up to {n_rows} of {n_cols} columns",
                block.n_cols()
            )));
        }
        let stored = self.pointers[done];
        self.pointers.extend(block.pointers()[1..].iter().map(|&p| stored + p as i64));
        // Slabs, so that a large block is not held twice.
        let (n, slab) = (block.values().len(), BATCH * CHUNK);
        let mut start = 0;
        while start < n {
            let end = (start + slab).min(n);
            add_values(block, start..end, self.options.values, &mut self.data.bytes)?;
            self.indices.bytes.extend_from_slice(bytemuck::cast_slice(&block.indices()[start..end]));
            self.flush(run, false)?;
            start = end;
        }
        Ok(())
    }

    /// Writes the chunks that are full, and at the end the last one.
    fn flush(&mut self, run: &Run, last: bool) -> Result<()> {
        let (bytes, chunk) = (self.indices.bytes.len(), self.indices.array.chunk_bytes());
        let n = if last { bytes.div_ceil(chunk) } else { bytes / chunk };
        if n == 0 || (n < BATCH && !last) {
            return Ok(());
        }
        let streams = [&self.data, &self.indices];
        let encoded = run.map_quietly(2 * n, 1, |task| streams[task.start % 2].encode(task.start / 2))?;
        for (k, bytes) in encoded.into_iter().enumerate() {
            streams[k % 2].write(k / 2, &bytes)?;
        }
        self.data.forget(n);
        self.indices.forget(n);
        Ok(())
    }

    fn complete(mut self, run: &Run) -> Result<()> {
        let rows = self.pointers.len() - 1;
        if rows != self.shape.0 {
            return Err(Fault::bad_input(format!("{rows} rows came, expected {}", self.shape.0)).at("X"));
        }
        self.flush(run, true).map_err(|f| located(f, "X"))?;
        let Self { data, indices, file, pending, pointers, options, .. } = self;
        let stored = pointers.last().copied().unwrap_or(0);
        data.array.finish(stored as usize)?;
        indices.array.finish(stored as usize)?;
        let pointers = if i32::try_from(stored).is_ok() {
            Numbers::I32(pointers.into_iter().map(|p| p as i32).collect())
        } else {
            Numbers::I64(pointers)
        };
        numbers(run, &file, "X/indptr", &pointers, options.storage)?;
        run.check()?;
        file.close()?;
        pending.commit()
    }
}

/// Writes a whole matrix with its annotation: [`H5adWriter`] from its creation to its end.
pub fn write_h5ad(
    run: &Run,
    path: &Path,
    source: &mut dyn RowChunks,
    obs: &Annotation,
    var: &Annotation,
    options: H5adOptions,
) -> Result<()> {
    let mut writer = H5adWriter::create(run, path, obs, var, options)?;
    writer.append_all(run, source)?;
    writer.finish(run)
}

/// An array and the bytes that wait until their chunk is full.
struct Filled {
    array: NewArray,
    /// Chunks that are in the file.
    written: usize,
    bytes: Vec<u8>,
}

impl Filled {
    fn new(array: NewArray) -> Self {
        Self { array, written: 0, bytes: Vec::new() }
    }

    /// The `k`-th waiting chunk as it stands in the file; the last one is filled up with zeros.
    fn encode(&self, k: usize) -> Result<Cow<'_, [u8]>> {
        let size = self.array.chunk_bytes();
        let mut raw = Cow::Borrowed(&self.bytes[k * size..self.bytes.len().min((k + 1) * size)]);
        if raw.len() < size {
            raw.to_mut().resize(size, 0);
        }
        self.array.storage().encode(raw, self.array.element())
    }

    /// Writes the `k`-th waiting chunk, encoded.
    fn write(&self, k: usize, encoded: &[u8]) -> Result<()> {
        self.array.write(self.written + k, encoded)
    }

    fn forget(&mut self, chunks: usize) {
        self.written += chunks;
        let written = (chunks * self.array.chunk_bytes()).min(self.bytes.len());
        self.bytes.drain(..written);
    }
}

/// A fault with its place; being stopped has none.
fn located(fault: Fault, place: &str) -> Fault {
    if fault.kind() == Kind::Cancelled { fault } else { fault.at(place) }
}

/// All that stands in the file before the first row.
fn begin(
    run: &Run,
    file: &NewHdf5,
    obs: &Annotation,
    var: &Annotation,
    options: H5adOptions,
) -> Result<(Filled, Filled)> {
    mark(file, "", "anndata", "0.1.0")?;
    frame(run, file, "obs", obs, options.storage)?;
    frame(run, file, "var", var, options.storage)?;
    for group in ["layers", "obsm", "obsp", "uns", "varm", "varp"] {
        file.group(group)?;
        mark(file, group, "dict", "0.1.0")?;
    }
    file.group("X")?;
    mark(file, "X", "csr_matrix", "0.1.0")?;
    file.set("X", "shape", &Attr::Numbers(Numbers::I64(vec![obs.len() as i64, var.len() as i64])))?;
    let data = file.array("X/data", &options.values.dtype(), None, options.storage)?;
    let indices = file.array("X/indices", &Dtype::I32, None, options.storage)?;
    Ok((Filled::new(data), Filled::new(indices)))
}

fn mark(file: &NewHdf5, path: &str, kind: &str, version: &str) -> Result<()> {
    file.set(path, "encoding-type", &Attr::Text(kind.to_owned()))?;
    file.set(path, "encoding-version", &Attr::Text(version.to_owned()))
}

/// Names become parts of paths.
fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('/') || name == "." || name.contains('\0') {
        return Err(Fault::bad_input(format!("`{name}` cannot be the name of an element")).hint("leave out `/`"));
    }
    Ok(())
}

fn frame(run: &Run, file: &NewHdf5, path: &str, content: &Annotation, storage: Storage) -> Result<()> {
    let names: Vec<&String> = content.columns.iter().map(|(name, _)| name).collect();
    for (i, (name, column)) in content.columns.iter().enumerate() {
        let at = |fault: Fault| Err(fault.at(path));
        if names[..i].contains(&name) || name == "_index" {
            return at(Fault::bad_input(format!("there are two columns `{name}`")).hint("rename one of them"));
        }
        if column.len() != content.len() {
            let message = format!("{} values for {} rows", column.len(), content.len());
            return at(Fault::bad_input(message).at(format!("column `{name}`")));
        }
        check_name(name).or_else(at)?;
    }
    file.group(path)?;
    mark(file, path, "dataframe", "0.2.0")?;
    file.set(path, "_index", &Attr::Text("_index".to_owned()))?;
    file.set(path, "column-order", &Attr::Texts(names.into_iter().cloned().collect()))?;
    texts(file, &format!("{path}/_index"), content.names.iter().map(String::as_str))?;
    for (name, column) in &content.columns {
        write_column(run, file, &format!("{path}/{name}"), column, storage)?;
    }
    Ok(())
}

/// Writes a column in the encoding of its kind.
fn write_column(run: &Run, file: &NewHdf5, path: &str, column: &ColumnData, storage: Storage) -> Result<()> {
    match column {
        ColumnData::Numbers(values) => numbers(run, file, path, values, storage),
        ColumnData::NullableNumbers { values, missing } => {
            let kind = match values {
                Numbers::Bool(_) => "nullable-boolean",
                Numbers::F32(_) | Numbers::F64(_) => {
                    return Err(Fault::unsupported("floats with a mask are not written").at(path).hint("use NaN"));
                }
                _ => "nullable-integer",
            };
            file.group(path)?;
            mark(file, path, kind, "0.1.0")?;
            numbers(run, file, &format!("{path}/values"), values, storage)?;
            numbers(run, file, &format!("{path}/mask"), &Numbers::Bool(missing.clone()), storage)
        }
        ColumnData::Texts { values, na: None } => {
            if let Some(row) = values.iter().position(Option::is_none) {
                return Err(Fault::bad_input(format!("row {row} has no text"))
                    .at(path)
                    .hint("make it a factor, which may have missing values"));
            }
            texts(file, path, values.iter().map(|text| text.as_deref().unwrap_or_default()))
        }
        ColumnData::Texts { values, na: Some(na) } => {
            file.group(path)?;
            mark(file, path, "nullable-string-array", "0.1.0")?;
            let word = if *na == NaValue::Nan { "NaN" } else { "NA" };
            file.set(path, "na-value", &Attr::Text(word.to_owned()))?;
            texts(file, &format!("{path}/values"), values.iter().map(|text| text.as_deref().unwrap_or_default()))?;
            let missing = values.iter().map(Option::is_none).collect();
            numbers(run, file, &format!("{path}/mask"), &Numbers::Bool(missing), storage)
        }
        ColumnData::Categorical { codes, levels, ordered } => {
            file.group(path)?;
            mark(file, path, "categorical", "0.2.0")?;
            file.set(path, "ordered", &Attr::Numbers(Numbers::Bool(vec![*ordered])))?;
            write_column(run, file, &format!("{path}/categories"), levels, storage)?;
            let codes = narrow_codes(codes, levels.len()).map_err(|f| f.at(path))?;
            numbers(run, file, &format!("{path}/codes"), &codes, storage)
        }
    }
}

/// Codes in the narrowest type that pandas would give them, -1 for a missing level.
fn narrow_codes(codes: &[u32], n_levels: usize) -> Result<Numbers> {
    if let Some(row) = codes.iter().position(|&c| c != Factor::MISSING && c as usize >= n_levels) {
        return Err(Fault::bad_input(format!("row {row} has code {}, but there are {n_levels} levels", codes[row])));
    }
    // A missing level is u32::MAX, whose bits are those of -1 in any width.
    Ok(if n_levels <= 127 {
        Numbers::I8(codes.iter().map(|&c| c as i8).collect())
    } else if n_levels <= 32_767 {
        Numbers::I16(codes.iter().map(|&c| c as i16).collect())
    } else {
        Numbers::I32(codes.iter().map(|&c| c as i32).collect())
    })
}

fn texts<'a>(file: &NewHdf5, path: &str, values: impl ExactSizeIterator<Item = &'a str>) -> Result<()> {
    file.texts(path, values)?;
    mark(file, path, "string-array", "0.2.0")
}

/// An array of numbers, its chunks compressed side by side.
fn numbers(run: &Run, file: &NewHdf5, path: &str, values: &Numbers, storage: Storage) -> Result<()> {
    let array = file.array(path, &values.dtype(), Some(values.len()), storage)?;
    let filled = Filled { array, written: 0, bytes: values.borrowed().bytes().to_vec() };
    let n = if values.is_empty() { 0 } else { filled.bytes.len().div_ceil(filled.array.chunk_bytes()) };
    for (k, chunk) in run.map_quietly(n, 1, |task| filled.encode(task.start))?.iter().enumerate() {
        filled.write(k, chunk)?;
    }
    filled.array.finish(values.len())?;
    mark(file, path, "array", "0.2.0")
}

/// Adds a range of the values of a block in the type of the file. A value that the type cannot hold is a fault that
/// names its row and column.
fn add_values(
    block: &RowBlock<'_>,
    range: std::ops::Range<usize>,
    wanted: MatrixType,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    match (wanted, block.values()) {
        (MatrixType::F32, Values::F32(v)) => bytes.extend_from_slice(bytemuck::cast_slice(&v[range])),
        (MatrixType::F64, Values::F64(v)) => bytes.extend_from_slice(bytemuck::cast_slice(&v[range])),
        (MatrixType::F64, Values::F32(v)) => v[range].iter().for_each(|&x| bytes.extend(f64::from(x).to_ne_bytes())),
        (MatrixType::F32, Values::F64(v)) => {
            for (k, &x) in range.clone().zip(&v[range]) {
                let narrow = x as f32;
                if f64::from(narrow) != x && !x.is_nan() {
                    return Err(refused(block, k, x, "32-bit floats", "write 64-bit floats"));
                }
                bytes.extend(narrow.to_ne_bytes());
            }
        }
        (MatrixType::I32, values) => {
            for k in range {
                let x = values.get(k);
                if x.fract() != 0.0 || x.abs() > f64::from(i32::MAX) || x.is_nan() {
                    return Err(refused(block, k, x, "32-bit integers", "write floats"));
                }
                bytes.extend((x as i32).to_ne_bytes());
            }
        }
    }
    Ok(())
}

fn refused(block: &RowBlock<'_>, k: usize, x: f64, kind: &str, hint: &str) -> Fault {
    let row = block.start() + block.pointers().partition_point(|&p| p <= k) - 1;
    Fault::bad_input(format!("{x} cannot be stored exactly among {kind}"))
        .at(format!("row {row}, column {}", block.indices()[k]))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_take_the_narrowest_type() {
        let width = |n: usize| narrow_codes(&[0, Factor::MISSING], n).map(|c| c.dtype().name().to_owned());
        assert_eq!([width(127), width(128), width(40_000)].map(Result::unwrap_or_default), ["int8", "int16", "int32"]);
        assert_eq!(narrow_codes(&[1, Factor::MISSING], 2).ok(), Some(Numbers::I8(vec![1, -1])));
        assert!(narrow_codes(&[2], 2).is_err());
    }

    #[test]
    fn names_are_no_paths() {
        for bad in ["", "a/b", ".", "a\0"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name("T cells (CD4+)").is_ok());
    }
}
