//! [`H5adMatrix`]: a matrix of an .h5ad file as a stream of row blocks.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Values};

use crate::element::columns::encoding;
use crate::element::sparse::Header;
use crate::h5ad::csc::Columns;
use crate::store::window::Window;
use crate::store::{Dtype, Node, Numbers, Store};

/// How a matrix is laid out in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatrixKind {
    /// Compressed sparse rows: the form that is read fastest.
    Csr,
    /// Compressed sparse columns.
    Csc,
    /// Every value, row by row.
    Dense,
}

impl MatrixKind {
    /// `csr`, `csc` or `array`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Csr => "csr",
            Self::Csc => "csc",
            Self::Dense => "array",
        }
    }
}

/// A matrix of an .h5ad file: `X`, a layer or `raw/X`. Cells × genes.
///
/// Memory is bounded by the block that is asked for: of sparse rows, the pointers, indices and values of these rows
/// (and one chunk of each, where they are compressed); of sparse columns, a quarter of the memory of the run, in as
/// many passes over the matrix as that takes (or one, read by genes); of a dense matrix, a slab of rows. Ranges that rise decode every chunk once.
///
/// 32-bit floats and integers of up to 16 bits come as 32-bit floats, all else as 64-bit ones. Columns may stand in
/// any order; duplicates are added up.
pub struct H5adMatrix {
    store: Arc<dyn Store>,
    element: String,
    n_rows: usize,
    n_cols: usize,
    layout: Layout,
}

enum Layout {
    Rows { data: Window, indices: Window, pointers: Window },
    Columns(Columns),
    Dense(Window),
}

impl H5adMatrix {
    /// Opens the matrix at a path and checks what can be checked without reading it.
    pub(crate) fn open(store: &Arc<dyn Store>, element: &str) -> Result<Self> {
        let at = |fault: Fault| fault.at(element).at(store.place());
        if let Some(header) = Header::of(&**store, element)? {
            return Self::open_sparse(store, element, header);
        }
        let told = encoding(&**store, element)?;
        match (told.as_ref().map(|(kind, version)| (kind.as_str(), version.as_str())), store.node(element)?) {
            // Before anndata 0.8 arrays had no attributes.
            (Some(("array", "0.2.0")) | None, Some(Node::Array)) => Self::open_dense(store, element),
            (Some((kind, version)), _) => {
                let message = format!("encoding `{kind}` version `{version}` is not read as a matrix");
                Err(at(Fault::unsupported(message)))
            }
            (None, Some(Node::Group)) => {
                Err(at(Fault::unsupported("a group that does not say what it is cannot be read as a matrix")))
            }
            (None, None) => Err(at(Fault::missing("there is no such element"))),
        }
    }

    fn open_dense(store: &Arc<dyn Store>, element: &str) -> Result<Self> {
        let at = |fault: Fault| fault.at(element).at(store.place());
        let values = Window::new(store.array(element)?);
        let info = values.info();
        let &[n_rows, n_cols] = info.shape.as_slice() else {
            return Err(at(Fault::bad_file(format!("a matrix has two dimensions, this has shape {:?}", info.shape))));
        };
        check_numeric(&info.dtype).map_err(at)?;
        check_columns(n_cols).map_err(at)?;
        Ok(Self {
            store: Arc::clone(store),
            element: element.to_owned(),
            n_rows,
            n_cols,
            layout: Layout::Dense(values),
        })
    }

    /// A sparse matrix of that kind and shape, whose three arrays stand in a group.
    pub(crate) fn open_sparse(store: &Arc<dyn Store>, element: &str, header: Header) -> Result<Self> {
        let Header { kind, shape: (n_rows, n_cols) } = header;
        let at = |fault: Fault| fault.at(element).at(store.place());
        check_columns(n_cols).map_err(at)?;
        let open = |name: &str| Ok(Window::new(store.array(&format!("{element}/{name}"))?));
        let (data, indices, mut pointers) = (open("data")?, open("indices")?, open("indptr")?);
        check_numeric(&data.info().dtype).map_err(at)?;
        let stored = data.n_rows();
        if indices.n_rows() != stored {
            let message = format!("{stored} values in `data`, but {} in `indices`", indices.n_rows());
            return Err(at(Fault::bad_file(message).hint("the file is damaged")));
        }
        // A few reads of one chunk: not worth a pool.
        let run = Run::new().threads(1);
        let (n_major, major, _) = header.major();
        if pointers.n_rows() != n_major.saturating_add(1) {
            let message =
                format!("`indptr` has {} entries, expected {n_major} + 1, one more than {major}s", pointers.n_rows());
            return Err(at(Fault::bad_file(message).hint("the file is damaged")));
        }
        let layout = if kind == MatrixKind::Csr {
            check_ends(&run, &mut pointers, n_rows, stored).map_err(at)?;
            Layout::Rows { data, indices, pointers }
        } else {
            let pointers = read_pointers(&run, &mut pointers, 0..n_cols, stored, major).map_err(at)?;
            if pointers.first() != Some(&0) || pointers.last() != Some(&stored) {
                return Err(at(bad_ends(pointers[0], pointers[n_cols], stored)));
            }
            Layout::Columns(Columns::new(data, indices, pointers, n_rows))
        };
        Ok(Self { store: Arc::clone(store), element: element.to_owned(), n_rows, n_cols, layout })
    }

    /// Where the matrix stands in its file: `X`, `layers/counts`, `raw/X`.
    pub fn element(&self) -> &str {
        &self.element
    }

    /// How it is laid out.
    pub fn kind(&self) -> MatrixKind {
        match self.layout {
            Layout::Rows { .. } => MatrixKind::Csr,
            Layout::Columns(_) => MatrixKind::Csc,
            Layout::Dense(_) => MatrixKind::Dense,
        }
    }

    /// The type of the stored values.
    pub fn dtype(&self) -> &Dtype {
        &self.values().info().dtype
    }

    /// The filters of the stored values: `gzip`, `lzf+shuffle`, `none`.
    pub fn compression(&self) -> String {
        self.values().info().compression()
    }

    /// Adds the file and what was read of it to a fault.
    fn at(&self, what: &str) -> impl FnOnce(Fault) -> Fault + use<> {
        let place = format!("{}: {}, {what}", self.store.place(), self.element);
        move |fault| match fault.kind() {
            ferrocyte_base::Kind::Cancelled => fault,
            _ => fault.at(place),
        }
    }

    fn values(&self) -> &Window {
        match &self.layout {
            Layout::Rows { data, .. } => data,
            Layout::Columns(columns) => &columns.data,
            Layout::Dense(values) => values,
        }
    }
}

impl RowChunks for H5adMatrix {
    fn n_rows(&self) -> usize {
        self.n_rows
    }

    fn n_cols(&self) -> usize {
        self.n_cols
    }

    fn n_stored(&self) -> Option<u64> {
        match &self.layout {
            Layout::Dense(_) => None,
            _ => Some(self.values().n_rows() as u64),
        }
    }

    fn name(&self) -> String {
        format!("{} of {}", self.element, crate::h5ad::file_name(self.store.place()))
    }

    fn reads_ahead(&self) -> bool {
        true
    }

    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let at = self.at(&format!("rows {}..{}", rows.start, rows.end));
        if rows.start > rows.end || rows.end > self.n_rows {
            return Err(at(Fault::bad_input(format!("there are {} rows", self.n_rows))));
        }
        let n_cols = self.n_cols;
        if rows.is_empty() {
            return Ok(RowBlock::empty(rows.start, n_cols));
        }
        let block = match &mut self.layout {
            Layout::Rows { data, indices, pointers } => read_rows(run, [data, indices, pointers], rows, n_cols),
            Layout::Columns(columns) => columns.read(run, rows),
            Layout::Dense(values) => read_dense(run, values, rows, n_cols),
        };
        block.map_err(at)
    }

    fn gene_blocks(&self, run: &Run) -> Option<Vec<Range<usize>>> {
        match &self.layout {
            Layout::Columns(columns) => columns.gene_blocks(run),
            _ => None,
        }
    }

    fn read_genes(&mut self, run: &Run, genes: Range<usize>) -> Result<Box<dyn RowChunks + '_>> {
        let at = self.at(&format!("genes {}..{}", genes.start, genes.end));
        match &mut self.layout {
            Layout::Columns(columns) if genes.start <= genes.end && genes.end <= self.n_cols => {
                columns.read_genes(run, genes).map(|part| part as Box<dyn RowChunks + '_>).map_err(at)
            }
            _ => Err(at(Fault::internal("these genes cannot be read apart"))),
        }
    }
}

fn read_rows(
    run: &Run,
    [data, indices, pointers]: [&mut Window; 3],
    rows: Range<usize>,
    n_cols: usize,
) -> Result<RowBlock<'static>> {
    let start = rows.start;
    let mut pointers = read_pointers(run, pointers, rows, data.n_rows(), "row")?;
    let (low, high) = (pointers[0], pointers[pointers.len() - 1]);
    for pointer in &mut pointers {
        *pointer -= low;
    }
    let (columns, values) = run.both(
        || indices.read(run, low..high).map(|numbers| numbers.into_indices(n_cols)),
        || data.read(run, low..high).map(Numbers::into_values),
    )?;
    let columns = columns?.map_err(|bad| {
        let row = pointers.partition_point(|&p| p <= bad.position) - 1;
        Fault::bad_file(format!("column index {}, but there are {n_cols} columns", bad.value))
            .at(format!("row {}", start + row))
            .hint("the file is damaged")
    })?;
    RowBlock::from_raw(start, n_cols, pointers, Cow::Owned(columns), values?)
}

/// The pointers of a range of rows (or columns): one more than the range is long, checked not to fall.
fn read_pointers(
    run: &Run,
    pointers: &mut Window,
    range: Range<usize>,
    stored: usize,
    major: &str,
) -> Result<Vec<usize>> {
    let start = range.start;
    let place = |i: usize| format!("{major} {}", start + i);
    let sizes = pointers.read(run, range.start..range.end + 1)?.into_sizes().map_err(|bad| {
        Fault::bad_file(format!("pointer {} is no position", bad.value))
            .at(place(bad.position))
            .hint("the file is damaged")
    })?;
    if let Some(i) = sizes.windows(2).position(|w| w[0] > w[1]) {
        return Err(Fault::bad_file(format!("its pointers fall from {} to {}", sizes[i], sizes[i + 1]))
            .at(place(i))
            .hint("the file is damaged"));
    }
    if let Some(i) = sizes.iter().position(|&p| p > stored) {
        return Err(Fault::bad_file(format!("pointer {}, but {stored} values are stored", sizes[i]))
            .at(place(i.saturating_sub(1)))
            .hint("the file is damaged"));
    }
    Ok(sizes)
}

/// The first and the last pointer must be 0 and the number of stored values.
fn check_ends(run: &Run, pointers: &mut Window, n_rows: usize, stored: usize) -> Result<()> {
    let mut end = |at: usize| -> Result<usize> {
        let sizes = pointers.read(run, at..at + 1)?.into_sizes();
        sizes.map(|s| s[0]).map_err(|bad| {
            Fault::bad_file(format!("pointer {} of `indptr` is no position", bad.value)).hint("the file is damaged")
        })
    };
    let (first, last) = (end(0)?, end(n_rows)?);
    if (first, last) == (0, stored) { Ok(()) } else { Err(bad_ends(first, last, stored)) }
}

fn bad_ends(first: usize, last: usize, stored: usize) -> Fault {
    Fault::bad_file(format!("`indptr` runs from {first} to {last}, but {stored} values are stored"))
        .hint("the file is damaged")
}

fn check_numeric(dtype: &Dtype) -> Result<()> {
    if dtype.is_numeric() {
        return Ok(());
    }
    Err(Fault::unsupported(format!("values of type {} are not read as numbers", dtype.name())))
}

fn check_columns(n_cols: usize) -> Result<()> {
    if u32::try_from(n_cols).is_ok() {
        return Ok(());
    }
    Err(Fault::too_large(format!("{n_cols} columns, at most 4294967295 are possible")))
}

/// Zeros are left out; NaN differs from zero and stays.
fn read_dense(run: &Run, values: &mut Window, rows: Range<usize>, n_cols: usize) -> Result<RowBlock<'static>> {
    const SLAB_BYTES: usize = 16 << 20;
    let slab = (SLAB_BYTES / (8 * n_cols.max(1))).max(1).next_multiple_of(values.step());
    let mut pointers = Vec::with_capacity(rows.len() + 1);
    pointers.push(0);
    let mut kept = Kept { indices: Vec::new(), f32: Vec::new(), f64: Vec::new() };
    let mut wide = false;
    let mut start = rows.start;
    while start < rows.end {
        run.check()?;
        let end = (start + slab).min(rows.end);
        match values.read(run, start..end)?.into_values() {
            Values::F32(v) => keep(&v, n_cols, &mut pointers, &mut kept.indices, &mut kept.f32),
            Values::F64(v) => {
                wide = true;
                keep(&v, n_cols, &mut pointers, &mut kept.indices, &mut kept.f64);
            }
        }
        start = end;
    }
    // A matrix without columns has rows all the same.
    pointers.resize(rows.len() + 1, 0);
    let values = if wide { Values::F64(Cow::Owned(kept.f64)) } else { Values::F32(Cow::Owned(kept.f32)) };
    RowBlock::new(rows.start, n_cols, pointers, Cow::Owned(kept.indices), values)
}

/// The stored entries of dense rows; one of the two kinds of values is in use.
struct Kept {
    indices: Vec<u32>,
    f32: Vec<f32>,
    f64: Vec<f64>,
}

fn keep<T: Copy + Default + PartialEq>(
    slab: &[T],
    n_cols: usize,
    pointers: &mut Vec<usize>,
    indices: &mut Vec<u32>,
    values: &mut Vec<T>,
) {
    for row in slab.chunks_exact(n_cols.max(1)) {
        for (column, &value) in row.iter().enumerate() {
            if value != T::default() {
                indices.push(column as u32);
                values.push(value);
            }
        }
        pointers.push(indices.len());
    }
}
