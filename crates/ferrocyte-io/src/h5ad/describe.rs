//! What an .h5ad file holds, as a table: the content of `ferrocyte info FILE`.

use ferrocyte_base::{Column, Result, Run, Table};
use ferrocyte_data::{GuardFinding, RowChunks};

use crate::element::columns::{ColumnKind, encoding};
use crate::element::frame::DataFrame;
use crate::element::read::is_known;
use crate::element::sparse::Header;
use crate::h5ad::{H5ad, odd};
use crate::store::{Node, Store};

/// Rows that are looked at to tell counts.
pub(crate) const GUARD_ROWS: usize = 1024;

/// One element of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Its path: `X`, `layers/counts`, `obs/donor`, `uns/log1p`.
    pub path: String,
    /// What it is: `csr`, `array`, `category, 8 levels`, `dict`.
    pub kind: String,
    /// Its encoding type and version as the file has them, empty where it has none.
    pub encoding: String,
    /// The type of its values; empty where it has none.
    pub dtype: String,
    /// Its extents (`4470 x 9015`); empty where it has none.
    pub shape: String,
    /// Number of stored values of a sparse matrix.
    pub stored: Option<u64>,
    /// The filters of its values (`gzip`, `none`); empty where it has none.
    pub compression: String,
    /// Bytes that it takes in the file, compressed as it is, with all that is below it; texts of any length, which stand
    /// elsewhere in the file, are not counted.
    pub bytes: Option<u64>,
    /// Anything else to know: whether a matrix looks like counts, what is odd about it, why an element is not read.
    pub note: String,
}

/// The most nodes below an element whose bytes are added up.
const MOST_NODES: usize = 4096;

/// Elements as a table.
pub(crate) fn as_table(elements: &[Element]) -> Table {
    let text = |field: fn(&Element) -> &str| elements.iter().map(|e| field(e).to_owned()).collect();
    let count =
        |field: fn(&Element) -> Option<u64>| elements.iter().map(|e| field(e).map_or(f64::NAN, |n| n as f64)).collect();
    Table::new("info")
        .with(Column::text("element", "where it stands in the file", text(|e| &e.path)))
        .with(Column::text("kind", "what it is", text(|e| &e.kind)))
        .with(Column::text("dtype", "the type of its values", text(|e| &e.dtype)))
        .with(Column::text("shape", "its extents", text(|e| &e.shape)))
        .with(Column::float("stored", "values", "number of stored values of a sparse matrix", count(|e| e.stored)))
        .with(Column::text("compression", "the filters of its values", text(|e| &e.compression)))
        .with(Column::float("bytes", "bytes", "what it takes in the file", count(|e| e.bytes)))
        .with(Column::text("encoding", "its encoding type and version", text(|e| &e.encoding)))
        .with(Column::text("note", "anything else to know", text(|e| &e.note)))
}

/// Bytes of an array, or of all arrays below a group.
fn bytes_below(store: &dyn Store, path: &str) -> Option<u64> {
    let (mut waiting, mut bytes) = (vec![path.to_owned()], 0_u64);
    let mut visited = 0;
    while let Some(path) = waiting.pop() {
        visited += 1;
        if visited > MOST_NODES {
            return None;
        }
        match store.node(&path).ok()?? {
            Node::Array => bytes += store.array(&path).ok()?.stored_bytes()?,
            Node::Group => waiting.extend(store.list(&path).ok()?.into_iter().map(|name| format!("{path}/{name}"))),
        }
    }
    Some(bytes)
}

/// A name for how old the layout of a data frame is, if it is of the past.
fn generation(frame: &DataFrame, encoding: &str) -> Option<&'static str> {
    if frame.is_records() {
        return Some("records, as anndata before 0.7 wrote them");
    }
    (encoding == "dataframe 0.1.0").then_some("as anndata 0.7 wrote it")
}

impl H5ad {
    /// The elements of the file: matrices, columns of `obs` and `var`, and the entries of `obsm`, `varm`, `obsp`,
    /// `varp` and `uns`. Of matrices the first 1,024 rows are read, to tell whether they can be counts.
    pub fn elements(&self, run: &Run) -> Vec<Element> {
        let mut elements: Vec<Element> = self.matrices().iter().map(|path| self.matrix_element(run, path)).collect();
        for (table, columns) in [("obs", self.obs_columns()), ("var", self.var_columns())] {
            elements.push(self.frame_element(table, columns.len()));
            elements
                .extend(columns.into_iter().map(|(name, kind)| self.column_element(&format!("{table}/{name}"), &kind)));
        }
        for group in ["obsm", "varm", "obsp", "varp", "uns"] {
            match self.children(group) {
                Ok(names) => elements.extend(names.iter().map(|name| self.other_element(&format!("{group}/{name}")))),
                Err(fault) => {
                    let note = format!("unreadable: {}", fault.message());
                    elements.push(Element { note, ..self.blank(group) });
                }
            }
        }
        elements
    }

    /// The elements as a table with the columns `element`, `kind`, `dtype`, `shape`, `stored`, `compression`, `bytes`,
    /// `encoding`, `note`; `stored` and `bytes` are NaN where they do not apply.
    pub fn describe(&self, run: &Run) -> Table {
        as_table(&self.elements(run))
    }

    /// Whether a matrix looks like counts: its first 1,024 rows hold a value, and none that is negative or not
    /// whole.
    pub fn looks_like_counts(&self, run: &Run, element: &str) -> Result<bool> {
        Ok(self.first_misfit(run, element)?.is_none())
    }

    /// Why the first rows of a matrix cannot be counts, if so.
    fn first_misfit(&self, run: &Run, element: &str) -> Result<Option<String>> {
        let mut matrix = self.matrix(element)?;
        let rows = 0..matrix.n_rows().min(GUARD_ROWS);
        let block = matrix.read(run, rows)?;
        Ok(match GuardFinding::in_block(&block) {
            Some(found) => Some(format!("no counts: cell {} has {} for gene {}", found.row, found.value, found.column)),
            None if block.values().is_empty() => Some("no values".to_owned()),
            None => None,
        })
    }

    fn matrix_element(&self, run: &Run, path: &str) -> Element {
        let mut notes = match self.first_misfit(run, path) {
            Ok(None) => vec!["looks like counts".to_owned()],
            Ok(Some(why)) => vec![why],
            Err(fault) => vec![format!("unreadable: {}", fault.message())],
        };
        let stored_at = if path == "raw/X" { self.raw_path("X") } else { path.to_owned() };
        notes.extend(odd::about_matrix(run, self.store(), &stored_at).unwrap_or_default());
        let blank = Element { path: path.to_owned(), note: notes.join("; "), ..self.blank(&stored_at) };
        match self.matrix(path) {
            Ok(matrix) => Element {
                kind: matrix.kind().word().to_owned(),
                dtype: matrix.dtype().name().to_owned(),
                shape: format!("{} x {}", matrix.n_rows(), matrix.n_cols()),
                stored: matrix.n_stored(),
                compression: matrix.compression(),
                ..blank
            },
            Err(_) => blank,
        }
    }

    /// A data frame as a whole.
    fn frame_element(&self, path: &str, n_columns: usize) -> Element {
        let (blank, frame) = (self.blank(path), if path == "obs" { &self.obs } else { &self.var });
        let names = frame.row_names(self.store());
        let notes = [
            generation(frame, &blank.encoding).map(str::to_owned),
            match names {
                Ok(names) => odd::about_names(&names),
                Err(fault) => Some(format!("unreadable: {}", fault.message())),
            },
        ];
        Element {
            kind: "dataframe".to_owned(),
            shape: format!("{} x {n_columns}", frame.n_rows),
            note: notes.into_iter().flatten().collect::<Vec<_>>().join("; "),
            ..blank
        }
    }

    fn column_element(&self, path: &str, kind: &ColumnKind) -> Element {
        let blank = self.blank(path);
        match kind {
            ColumnKind::Unreadable(why) => Element { note: format!("unreadable: {why}"), ..blank },
            kind => Element { kind: kind.to_string(), ..blank },
        }
    }

    fn other_element(&self, path: &str) -> Element {
        other_element(self.store(), path)
    }

    fn blank(&self, path: &str) -> Element {
        blank(self.store(), path)
    }
}

/// An entry of what stood in records before anndata 0.7, if it is such.
fn field_element(store: &dyn Store, path: &str) -> Option<Element> {
    let (group, name) = path.rsplit_once('/')?;
    if store.node(group).ok()?? != Node::Array {
        return None;
    }
    let records = store.array(group).ok()?;
    let field = records.fields().into_iter().find(|field| field.name == name)?;
    let width: usize = field.shape.iter().product();
    let shape: Vec<usize> = records.info().shape.iter().chain(&field.shape).copied().collect();
    Some(Element {
        path: path.to_owned(),
        kind: "array".to_owned(),
        encoding: String::new(),
        bytes: Some((records.info().n_rows() * width * field.dtype.size()) as u64),
        dtype: field.dtype.name().to_owned(),
        shape: extents(&shape),
        stored: None,
        compression: records.info().compression(),
        note: "a field of records, as anndata before 0.7 wrote them".to_owned(),
    })
}

/// Extents in words.
fn extents(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ")
}

/// An entry of a group such as `obsm` and `uns`.
pub(crate) fn other_element(store: &dyn Store, path: &str) -> Element {
    if let Some(field) = field_element(store, path) {
        return field;
    }
    let blank = blank(store, path);
    let note = match encoding(store, path) {
        Ok(Some((kind, version))) if !is_known(&kind, &version) => "left out: this encoding is not known".to_owned(),
        Err(fault) => format!("unreadable: {}", fault.message()),
        _ => String::new(),
    };
    match store.node(path) {
        Ok(Some(Node::Array)) => match store.array(path) {
            Ok(array) => Element {
                dtype: array.info().dtype.name().to_owned(),
                shape: extents(&array.info().shape),
                compression: array.info().compression(),
                note,
                ..blank
            },
            Err(fault) => Element { note: format!("unreadable: {}", fault.message()), ..blank },
        },
        Ok(Some(Node::Group)) => match (Header::of(store, path), store.array(&format!("{path}/data"))) {
            (Ok(Some(Header { shape: (n_rows, n_cols), .. })), Ok(data)) => Element {
                dtype: data.info().dtype.name().to_owned(),
                shape: extents(&[n_rows, n_cols]),
                stored: Some(data.info().n_rows() as u64),
                compression: data.info().compression(),
                note,
                ..blank
            },
            _ => Element { note, ..blank },
        },
        _ => Element { note, ..blank },
    }
}

/// An element of which only the encoding and the bytes are known.
pub(crate) fn blank(store: &dyn Store, path: &str) -> Element {
    let told = encoding(store, path).ok().flatten();
    Element {
        path: path.to_owned(),
        kind: told.as_ref().map_or_else(String::new, |(kind, _)| kind.clone()),
        encoding: told.map_or_else(String::new, |(kind, version)| format!("{kind} {version}")),
        dtype: String::new(),
        shape: String::new(),
        stored: None,
        compression: String::new(),
        bytes: bytes_below(store, path),
        note: String::new(),
    }
}
