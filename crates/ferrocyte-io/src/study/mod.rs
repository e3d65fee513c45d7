//! [`open_study`]: the one door through which every format is opened, and [`AnnotatedSource`], what stands behind it.
//!
//! Commands and Python ask a study for columns of cells and genes and for streams of rows, and never learn what kind of
//! file it is. What a file is, is told from its content.

pub(crate) mod concat;
pub(crate) mod frames;
pub(crate) mod merge;
pub(crate) mod selected;
pub(crate) mod text;
pub(crate) mod with_obs;

use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run, Table, listing, nearest};
use ferrocyte_data::{Frame, GuardFinding, RowChunks};

use crate::element::FrameData;
use crate::element::columns::{ColumnData, ColumnKind};
use crate::h5ad::H5ad;
use crate::h5ad::describe::{Element, GUARD_ROWS, as_table};
use crate::h5mu::H5mu;
use crate::hdf5::Hdf5;
use crate::kind::Kind;
use crate::store::Store;
use crate::study::text::TextStudy;
use crate::tenx::features::{VarNames, texts};
use crate::tenx::folder;
use crate::tenx::h5::TenxH5;
use crate::text::dense::{TableForm, read_dense};
use crate::text::matrix_market::{Header, read_matrix_market};

/// Cells × genes with their annotation, wherever they stand.
pub trait AnnotatedSource: Send + Sync {
    /// The file or folder as the user named it.
    fn place(&self) -> &str;

    /// What kind of file it is, in a word or two: `h5ad`, `10x h5`, `10x folder`, `mtx`, `table`.
    fn format(&self) -> &'static str;

    /// Number of cells.
    fn n_obs(&self) -> usize;

    /// Number of genes of `X`.
    fn n_var(&self) -> usize;

    /// The names of the cells.
    fn obs_names(&self) -> Result<Vec<String>>;

    /// The names of the genes of a matrix.
    fn var_names(&self, matrix: &str) -> Result<Vec<String>>;

    /// The columns of `obs` and what each holds, in their order.
    fn obs_columns(&self) -> Vec<(String, ColumnKind)>;

    /// The columns of `var` and what each holds, in their order.
    fn var_columns(&self) -> Vec<(String, ColumnKind)>;

    /// A column of `obs`, as rich as the file has it.
    fn obs_column(&self, name: &str) -> Result<ColumnData>;

    /// A column of `var`, likewise.
    fn var_column(&self, name: &str) -> Result<ColumnData>;

    /// The matrices, the first of which is `X` if there is one.
    fn matrices(&self) -> Vec<String>;

    /// A matrix as a stream of rows.
    fn matrix(&self, matrix: &str) -> Result<Box<dyn RowChunks>>;

    /// What a matrix is, in a short text that depends on its content alone.
    fn fingerprint(&self, run: &Run, matrix: &str) -> Result<String>;

    /// The elements of the study, for people.
    fn elements(&self, run: &Run) -> Vec<Element>;

    /// Bytes of the file; `None` where that is not known.
    fn bytes(&self) -> Option<u64> {
        None
    }

    /// The elements as a table.
    fn describe(&self, run: &Run) -> Table {
        as_table(&self.elements(run))
    }

    /// The named columns of `obs`; no other is read.
    fn obs(&self, names: &[&str]) -> Result<Frame> {
        let mut frame = Frame::new(self.n_obs());
        for &name in names {
            frame.insert(name, self.obs_column(name)?.to_obs()).map_err(|f| f.at(self.place()))?;
        }
        Ok(frame)
    }

    /// Those of the named columns of `obs` that exist.
    fn obs_if_present(&self, names: &[&str]) -> Result<Frame> {
        let known = self.obs_columns();
        let present: Vec<&str> = names.iter().copied().filter(|n| known.iter().any(|(c, _)| c == n)).collect();
        self.obs(&present)
    }

    /// The named columns of `var`.
    fn var(&self, names: &[&str]) -> Result<Frame> {
        let mut frame = Frame::new(self.n_var());
        for &name in names {
            frame.insert(name, self.var_column(name)?.to_obs()).map_err(|f| f.at(self.place()))?;
        }
        Ok(frame)
    }

    /// Whether a matrix looks like counts: its first 1,024 rows hold a value, and none that is negative or not whole.
    fn looks_like_counts(&self, run: &Run, matrix: &str) -> Result<bool> {
        Ok(misfit(run, &mut *self.matrix(matrix)?)?.is_none())
    }

    /// Shape of a matrix, and whether it looks like counts.
    #[doc(hidden)]
    fn matrix_element(&self, run: &Run, matrix: &str) -> Element {
        let blank = Element { path: matrix.to_owned(), ..Element::default() };
        let mut rows = match self.matrix(matrix) {
            Ok(rows) => rows,
            Err(fault) => return Element { note: format!("unreadable: {}", fault.message()), ..blank },
        };
        let note = match misfit(run, &mut *rows) {
            Ok(None) => "looks like counts".to_owned(),
            Ok(Some(why)) => why,
            Err(fault) => format!("unreadable: {}", fault.message()),
        };
        Element { shape: format!("{} x {}", rows.n_rows(), rows.n_cols()), note, ..blank }
    }

    /// The columns of `obs` and `var`.
    #[doc(hidden)]
    fn column_elements(&self) -> Vec<Element> {
        let tables = [("obs", self.obs_columns()), ("var", self.var_columns())];
        let element = |table: &str, name: &str, kind: &ColumnKind| Element {
            path: format!("{table}/{name}"),
            kind: kind.to_string(),
            ..Element::default()
        };
        tables
            .iter()
            .flat_map(|(table, columns)| columns.iter().map(|(name, kind)| element(table, name, kind)))
            .collect()
    }
}

/// Why the first rows of a matrix cannot be counts, if so.
fn misfit(run: &Run, rows: &mut dyn RowChunks) -> Result<Option<String>> {
    let block = rows.read(run, 0..rows.n_rows().min(GUARD_ROWS))?;
    Ok(match GuardFinding::in_block(&block) {
        Some(found) => Some(format!("no counts: cell {} has {} for gene {}", found.row, found.value, found.column)),
        None if block.values().is_empty() => Some("no values".to_owned()),
        None => None,
    })
}

/// What to say where a matrix does not exist.
pub(crate) fn no_matrix(name: &str, known: &[String]) -> Fault {
    let near = nearest(name, known, 2);
    let hint = if near.is_empty() {
        format!("its matrices: {}", listing(known, 20))
    } else {
        format!("did you mean {}? Its matrices: {}", listing(&near, 2), listing(known, 20))
    };
    Fault::missing(format!("there is no matrix `{name}`")).hint(hint)
}

/// What is wanted of a file that could be read in several ways. Options that do not apply to a format are passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// The modality of an .h5mu file; the only one if absent.
    pub modality: Option<String>,
    /// The genome of a 10x file; the only one, or all in one matrix, if absent.
    pub genome: Option<String>,
    /// The type of 10x features that are the genes; all if absent.
    pub feature_type: Option<String>,
    /// By what genes of 10x files are called.
    pub var_names: VarNames,
    /// What stands before the names of the files of a 10x folder.
    pub prefix: Option<String>,
    /// Whether a MatrixMarket file or a table is genes × cells.
    pub transpose: bool,
    /// What stands between the fields of a table; told from its first line if absent.
    pub delimiter: Option<u8>,
}

/// The features that are the genes, unless something else is asked for.
pub const GENE_EXPRESSION: &str = "Gene Expression";

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            modality: None,
            genome: None,
            feature_type: Some(GENE_EXPRESSION.to_owned()),
            var_names: VarNames::default(),
            prefix: None,
            transpose: false,
            delimiter: None,
        }
    }
}

/// Opens a study of any kind: .h5ad, Zarr, 10x .h5, a 10x folder, MatrixMarket, a table. What it is, is told from its
/// content; a `matrix.mtx` beside its barcodes is a 10x folder.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_io::{OpenOptions, open_study};
/// # let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells");
/// let study = open_study(&Run::new(), format!("{golden}/io_legacy/tenx_v3_filtered.h5"), &OpenOptions::default())?;
/// assert_eq!((study.format(), study.n_obs(), study.n_var()), ("10x h5", 1107, 507));
/// assert_eq!(study.var_names("X")?[0], "CH507-9B2.2");
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn open_study(run: &Run, path: impl AsRef<Path>, options: &OpenOptions) -> Result<Arc<dyn AnnotatedSource>> {
    let path = path.as_ref();
    let kind = Kind::of(path)?;
    Ok(match kind {
        Kind::H5ad | Kind::ZarrFolder | Kind::ZarrZip => Arc::new(H5ad::open(path)?),
        Kind::H5mu | Kind::ZarrMu => Arc::new(open_modality(path, options.modality.as_deref())?),
        Kind::TenxH5 => {
            let store: Arc<dyn Store> = Arc::new(Hdf5::open(path)?);
            Arc::new(TenxH5::open(&store, options)?)
        }
        Kind::TenxFolder => Arc::new(folder::open(path, options)?),
        Kind::MatrixMarket => match folder::around(path) {
            Some((folder, prefix)) => {
                Arc::new(folder::open(&folder, &OpenOptions { prefix: Some(prefix), ..options.clone() })?)
            }
            None => open_matrix_market(path, options.transpose)?,
        },
        // Its reader says what is wrong with a file of that name that is none.
        Kind::Text if is_named_hdf5(path) => Arc::new(H5ad::open(path)?),
        Kind::Text => open_table(run, path, options)?,
        Kind::Part => {
            return Err(Fault::unsupported(format!("a file of kind `{}` is not read as a study", kind.word()))
                .at(path.display().to_string())
                .hint("a study is an .h5ad, .h5mu or Zarr file, a 10x .h5 file or folder, a .mtx file, or a table"));
        }
    })
}

/// Whether the name of a file is one of HDF5.
fn is_named_hdf5(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    ["h5ad", "h5mu", "h5"].contains(&ending.as_str())
}

/// A modality of a file of several: the only one where none is named.
fn open_modality(path: &Path, wanted: Option<&str>) -> Result<H5ad> {
    let file = H5mu::open(path)?;
    match (wanted, file.modalities()) {
        (Some(name), _) => file.modality(name),
        (None, [only]) => file.modality(&only.clone()),
        (None, all) => Err(Fault::bad_input(format!("the file holds {} modalities: {}", all.len(), listing(all, 20)))
            .at("modality")
            .at(path.display().to_string())
            .hint("name one of them")),
    }
}

/// Opens a MatrixMarket file by itself, whatever lies beside it: cells and genes are called by their numbers from 0.
pub fn open_matrix_market(path: &Path, transpose: bool) -> Result<Arc<dyn AnnotatedSource>> {
    Ok(Arc::new(open_mtx(path, transpose)?))
}

/// Opens a table, whatever its name: cells × genes, or genes × cells with [`OpenOptions::transpose`].
pub fn open_table(run: &Run, path: &Path, options: &OpenOptions) -> Result<Arc<dyn AnnotatedSource>> {
    let form = TableForm { delimiter: options.delimiter, transpose: options.transpose };
    let found = read_dense(run, path, form)?;
    Ok(Arc::new(TextStudy::read(path, "table", named(found.cells), named(found.genes), found.matrix)))
}

fn open_mtx(path: &Path, transpose: bool) -> Result<TextStudy> {
    let header = Header::read(path)?;
    let (n_cells, n_genes) =
        if transpose { (header.n_columns, header.n_rows) } else { (header.n_rows, header.n_columns) };
    let file = path.to_owned();
    let make = move |run: &Run| read_matrix_market(run, &file, transpose);
    Ok(TextStudy::new(path, "mtx", numbered(n_cells), numbered(n_genes), Some(header.n_entries), make))
}

/// Names that are numbers from 0, and no columns.
fn numbered(n: usize) -> FrameData {
    named((0..n).map(|i| i.to_string()).collect())
}

/// Names and no columns.
fn named(names: Vec<String>) -> FrameData {
    FrameData { index_name: "_index".to_owned(), index: texts(names), columns: Vec::new() }
}

impl AnnotatedSource for H5ad {
    fn place(&self) -> &str {
        Self::place(self)
    }
    fn format(&self) -> &'static str {
        #[cfg(feature = "zarr")]
        if self.store().as_any().is_some_and(<dyn std::any::Any>::is::<crate::Zarr>) {
            return "zarr";
        }
        "h5ad"
    }
    fn n_obs(&self) -> usize {
        Self::n_obs(self)
    }
    fn n_var(&self) -> usize {
        Self::n_var(self)
    }
    fn obs_names(&self) -> Result<Vec<String>> {
        Self::obs_names(self)
    }
    fn var_names(&self, matrix: &str) -> Result<Vec<String>> {
        Self::var_names(self, matrix)
    }
    fn obs_columns(&self) -> Vec<(String, ColumnKind)> {
        Self::obs_columns(self)
    }
    fn var_columns(&self) -> Vec<(String, ColumnKind)> {
        Self::var_columns(self)
    }
    fn obs_column(&self, name: &str) -> Result<ColumnData> {
        Self::obs_column(self, name)
    }
    fn var_column(&self, name: &str) -> Result<ColumnData> {
        Self::var_column(self, name)
    }
    fn matrices(&self) -> Vec<String> {
        Self::matrices(self)
    }
    fn matrix(&self, matrix: &str) -> Result<Box<dyn RowChunks>> {
        Ok(Box::new(Self::matrix(self, matrix)?))
    }
    fn fingerprint(&self, run: &Run, matrix: &str) -> Result<String> {
        Self::fingerprint(self, run, matrix)
    }
    fn elements(&self, run: &Run) -> Vec<Element> {
        Self::elements(self, run)
    }
    fn bytes(&self) -> Option<u64> {
        Self::bytes(self)
    }
}
