//! What an .h5ad file holds, as a table: the content of `ferrocyte info FILE`.

use ferrocyte_base::{Column, Result, Run, Table};
use ferrocyte_data::{GuardFinding, RowChunks};

use crate::element::columns::{ColumnKind, encoding};
use crate::h5ad::H5ad;
use crate::store::Node;

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
    /// Anything else to know: whether a matrix looks like counts, why an element is not read.
    pub note: String,
}

/// Elements as a table, one a row.
pub(crate) fn table_of(elements: &[Element]) -> Table {
    let text = |field: fn(&Element) -> &str| elements.iter().map(|e| field(e).to_owned()).collect();
    let stored = elements.iter().map(|e| e.stored.map_or(f64::NAN, |n| n as f64)).collect();
    Table::new("info")
        .with(Column::text("element", "where it stands in the file", text(|e| &e.path)))
        .with(Column::text("kind", "what it is", text(|e| &e.kind)))
        .with(Column::text("dtype", "the type of its values", text(|e| &e.dtype)))
        .with(Column::text("shape", "its extents", text(|e| &e.shape)))
        .with(Column::float("stored", "values", "number of stored values of a sparse matrix", stored))
        .with(Column::text("compression", "the filters of its values", text(|e| &e.compression)))
        .with(Column::text("encoding", "its encoding type and version", text(|e| &e.encoding)))
        .with(Column::text("note", "anything else to know", text(|e| &e.note)))
}

impl H5ad {
    /// The elements of the file: matrices, columns of `obs` and `var`, and the entries of `obsm`, `varm`, `obsp`,
    /// `varp` and `uns`. Of matrices the first 1,024 rows are read, to tell whether they can be counts.
    pub fn elements(&self, run: &Run) -> Vec<Element> {
        let mut elements: Vec<Element> = self.matrices().iter().map(|path| self.matrix_element(run, path)).collect();
        for (table, columns) in [("obs", self.obs_columns()), ("var", self.var_columns())] {
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

    /// The elements as a table with the columns `element`, `kind`, `dtype`, `shape`, `stored`, `compression`,
    /// `encoding`, `note`; `stored` is NaN where it does not apply.
    pub fn describe(&self, run: &Run) -> Table {
        table_of(&self.elements(run))
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
        let note = match self.first_misfit(run, path) {
            Ok(None) => "looks like counts".to_owned(),
            Ok(Some(why)) => why,
            Err(fault) => format!("unreadable: {}", fault.message()),
        };
        let blank = Element { note, ..self.blank(path) };
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

    fn column_element(&self, path: &str, kind: &ColumnKind) -> Element {
        let blank = self.blank(path);
        match kind {
            ColumnKind::Unreadable(why) => Element { note: format!("unreadable: {why}"), ..blank },
            kind => Element { kind: kind.to_string(), ..blank },
        }
    }

    fn other_element(&self, path: &str) -> Element {
        let blank = self.blank(path);
        if !matches!(self.store().node(path), Ok(Some(Node::Array))) {
            return blank;
        }
        match self.store().array(path) {
            Ok(array) => {
                let info = array.info();
                let extents: Vec<String> = info.shape.iter().map(ToString::to_string).collect();
                Element {
                    dtype: info.dtype.name().to_owned(),
                    shape: extents.join(" x "),
                    compression: info.compression(),
                    ..blank
                }
            }
            Err(fault) => Element { note: format!("unreadable: {}", fault.message()), ..blank },
        }
    }

    /// An element of which only the encoding is known.
    fn blank(&self, path: &str) -> Element {
        let told = encoding(self.store(), path).ok().flatten();
        Element {
            path: path.to_owned(),
            kind: told.as_ref().map_or_else(String::new, |(kind, _)| kind.clone()),
            encoding: told.map_or_else(String::new, |(kind, version)| format!("{kind} {version}")),
            dtype: String::new(),
            shape: String::new(),
            stored: None,
            compression: String::new(),
            note: String::new(),
        }
    }
}
