//! [`H5adWriter`]: an annotated matrix, written as its rows come.
//!
//! Memory does not grow with what is written but for 8 bytes per row (the row pointers). The layout is that of
//! anndata 0.8 and later, on any [`Sink`].

use std::borrow::Cow;
use std::path::Path;

use ferrocyte_base::{Cells, Result, Run, Table};
use ferrocyte_data::{Frame, ObsColumn, RowBlock, RowChunks, rows_per_block};

use crate::element::borrowed::{ColumnRef, FrameRef, ItemRef, TextsRef, check_names};
use crate::element::columns::ColumnData;
use crate::element::rows::SparseRows;
use crate::element::write::{Elements, located, write_borrowed};
use crate::hdf5::write::NewHdf5;
use crate::store::sink::{Sink, Storage};
use crate::store::{Dtype, Numbers};

/// The type of the values of a matrix in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatrixType {
    /// 32-bit floats: what most programs expect, exact for counts up to 16,777,216.
    #[default]
    F32,
    /// 64-bit floats.
    F64,
    /// 32-bit integers.
    I32,
}

impl MatrixType {
    pub(crate) fn dtype(self) -> Dtype {
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

    /// As a data frame, its index without a name.
    pub(crate) fn as_frame(&self) -> FrameRef<'_> {
        FrameRef {
            index_name: Cow::Borrowed("_index"),
            index: ColumnRef::Texts(TextsRef::Strings(&self.names), None),
            columns: self.columns.iter().map(|(name, column)| (Cow::Borrowed(name.as_str()), column.into())).collect(),
        }
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
    // Arrays are closed before their file.
    rows: SparseRows,
    sink: Box<dyn Sink>,
    options: H5adOptions,
    shape: (usize, usize),
}

impl std::fmt::Debug for H5adWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H5adWriter")
            .field("place", &self.sink.place())
            .field("shape", &self.shape)
            .field("rows", &self.rows.n_rows())
            .finish_non_exhaustive()
    }
}

impl H5adWriter {
    /// Begins a file of `obs.len()` × `var.len()` values and writes what is known of rows and columns.
    pub fn create(run: &Run, path: &Path, obs: &Annotation, var: &Annotation, options: H5adOptions) -> Result<Self> {
        Self::onto(run, Box::new(NewHdf5::create(path, None)?), obs, var, options)
    }

    /// The same onto any sink, which is empty.
    pub fn onto(
        run: &Run,
        sink: Box<dyn Sink>,
        obs: &Annotation,
        var: &Annotation,
        options: H5adOptions,
    ) -> Result<Self> {
        let shape = (obs.len(), var.len());
        let rows = begin(run, &*sink, obs, var, options).map_err(|f| located(f, sink.place()))?;
        Ok(Self { rows, sink, options, shape })
    }

    /// Appends the next rows to `X`. Blocks come in the order of their rows, the first at row 0.
    pub fn append(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        self.rows.append(run, block).map_err(|f| located(located(f, "X"), self.sink.place()))
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
        let content = Annotation::of_table(table);
        check_names("table", [name].into_iter())
            .and_then(|()| frame(run, &*self.sink, &format!("uns/{name}"), &content, self.options.storage))
            .map_err(|f| located(f, self.sink.place()))
    }

    /// Writes an item at a path below one of the groups, `obsm/usage` or `uns/log1p`.
    pub fn item(&mut self, run: &Run, path: &str, item: &ItemRef<'_>) -> Result<()> {
        write_borrowed(run, &*self.sink, path, item, self.options.storage)
    }

    /// Completes the file and puts it in its place. All rows must have come.
    pub fn finish(self, run: &Run) -> Result<()> {
        let Self { rows, sink, options, .. } = self;
        let elements = Elements { run, sink: &*sink, storage: options.storage, task: None };
        rows.finish(&elements).and_then(|()| run.check()).map_err(|f| located(f, sink.place()))?;
        sink.finish()
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

/// All that stands in the file before the first row.
fn begin(run: &Run, sink: &dyn Sink, obs: &Annotation, var: &Annotation, options: H5adOptions) -> Result<SparseRows> {
    let elements = Elements { run, sink, storage: options.storage, task: None };
    elements.mark("", "anndata", "0.1.0")?;
    frame(run, sink, "obs", obs, options.storage)?;
    frame(run, sink, "var", var, options.storage)?;
    for group in ["layers", "obsm", "obsp", "uns", "varm", "varp"] {
        elements.group(group, "dict", "0.1.0")?;
    }
    SparseRows::begin(&elements, "X", (obs.len(), var.len()), options.values, options.storage)
}

fn frame(run: &Run, sink: &dyn Sink, path: &str, content: &Annotation, storage: Storage) -> Result<()> {
    let frame = ItemRef::Frame(content.as_frame());
    frame.check(path)?;
    Elements { run, sink, storage, task: None }.item(path, &frame)
}
