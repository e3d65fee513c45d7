//! [`H5ad`]: an .h5ad file, opened for reading.

mod csc;
pub(crate) mod describe;
pub(crate) mod fingerprint;
pub(crate) mod matrix;
mod odd;
pub(crate) mod write;

use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run, listing, nearest};
use ferrocyte_data::Frame;

use crate::element::Item;
use crate::element::columns::{ColumnData, ColumnKind, encoding};
use crate::element::frame::DataFrame;
use crate::element::read::read_item;
use crate::element::tree::AnnDataTree;
use crate::h5ad::matrix::H5adMatrix;
use crate::store::open::open_store;
use crate::store::{Node, Store};

/// An .h5ad file, opened for reading. Opening reads attributes only; columns and matrices are read when asked for.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_data::RowChunks;
/// use ferrocyte_io::H5ad;
///
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/io");
/// let study = H5ad::open(format!("{folder}/full_gzip_ad013.h5ad"))?;
/// assert_eq!((study.n_obs(), study.n_var()), (64, 46));
/// assert_eq!(study.layers(), ["counts", "csc", "dense_f64"]);
/// let obs = study.obs(&["sample", "n_umi"])?;
/// assert_eq!(obs.factor("sample")?.levels, ["s3", "s1", "s2"]);
/// let mut counts = study.matrix("counts")?;
/// assert_eq!(counts.read(&Run::new(), 0..2)?.row_sums(), [31.0, 19.0]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub struct H5ad {
    store: Arc<dyn Store>,
    obs: DataFrame,
    var: DataFrame,
    layers: Vec<String>,
}

impl std::fmt::Debug for H5ad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (n_obs, n_var) = (self.n_obs(), self.n_var());
        f.debug_struct("H5ad").field("path", &self.place()).field("n_obs", &n_obs).field("n_var", &n_var).finish()
    }
}

impl H5ad {
    /// Opens a file. Fails with one sentence when it is missing, a folder, not HDF5, truncated, open for writing
    /// elsewhere, or holds something else than one annotated matrix in a form that is read here.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_store(open_store(path)?)
    }

    /// The annotated matrix at the root of a store.
    pub fn from_store(store: Arc<dyn Store>) -> Result<Self> {
        match encoding(&*store, "")? {
            Some((kind, _)) if kind == "MuData" => {
                let names = crate::h5mu::modalities(&*store)?;
                return Err(Fault::unsupported("an .h5mu file (MuData), of which one modality at a time is read here")
                    .at(store.place())
                    .hint(format!("its modalities: {}", listing(&names, 20))));
            }
            Some((kind, version)) if kind != "anndata" || version != "0.1.0" => {
                let message = format!("encoding `{kind}` version `{version}` is not read, expected `anndata` `0.1.0`");
                return Err(Fault::unsupported(message).at(store.place()));
            }
            _ => {}
        }
        if store.node("obs")?.is_none() && store.node("matrix")?.is_some() {
            return Err(Fault::unsupported("a 10x file, not an .h5ad file")
                .at(store.place())
                .hint("read it with fe.io.read_10x"));
        }
        let obs = DataFrame::open(&*store, "obs")?;
        let var = DataFrame::open(&*store, "var")?;
        let layers = list(&*store, "layers")?;
        Ok(Self { store, obs, var, layers })
    }

    /// All of it, in memory.
    pub fn tree(&self, run: &Run) -> Result<AnnDataTree> {
        AnnDataTree::read(run, self.store())
    }

    /// The file as the user named it.
    pub fn place(&self) -> &str {
        self.store.place()
    }

    /// Bytes of the file; `None` where that is not known.
    pub fn bytes(&self) -> Option<u64> {
        self.store.bytes()
    }

    /// The store behind the file.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Number of cells.
    pub fn n_obs(&self) -> usize {
        self.obs.n_rows
    }

    /// Number of genes of `X` and the layers.
    pub fn n_var(&self) -> usize {
        self.var.n_rows
    }

    /// The names of the cells.
    pub fn obs_names(&self) -> Result<Vec<String>> {
        self.obs.row_names(self.store())
    }

    /// The names of the genes of a matrix: `raw/X` has its own.
    pub fn var_names(&self, matrix: &str) -> Result<Vec<String>> {
        // A file without X has genes all the same.
        if matrix != "X" && self.resolve(matrix)? == "raw/X" {
            return self.raw_var()?.row_names(self.store());
        }
        self.var.row_names(self.store())
    }

    /// Where a part of `raw` stands: before anndata 0.7 beside `X`.
    fn raw_path(&self, part: &str) -> String {
        let separator = if self.has("raw/X") { '/' } else { '.' };
        format!("raw{separator}{part}")
    }

    fn raw_var(&self) -> Result<DataFrame> {
        DataFrame::open(self.store(), &self.raw_path("var"))
    }

    /// The columns of `obs` and what each holds, in their order.
    pub fn obs_columns(&self) -> Vec<(String, ColumnKind)> {
        self.obs.kinds(self.store())
    }

    /// The columns of `var` and what each holds, in their order.
    pub fn var_columns(&self) -> Vec<(String, ColumnKind)> {
        self.var.kinds(self.store())
    }

    /// The named columns of `obs`; no other is read. An unknown name is a fault with the nearest ones.
    pub fn obs(&self, names: &[&str]) -> Result<Frame> {
        self.frame(&self.obs, names)
    }

    /// Those of the named columns of `obs` that exist.
    pub fn obs_if_present(&self, names: &[&str]) -> Result<Frame> {
        let present: Vec<&str> = names.iter().copied().filter(|n| self.obs.columns.iter().any(|c| c == n)).collect();
        self.frame(&self.obs, &present)
    }

    /// The named columns of `var`.
    pub fn var(&self, names: &[&str]) -> Result<Frame> {
        self.frame(&self.var, names)
    }

    /// A column of `obs` with its type, order of levels and missing values as the file has them.
    pub fn obs_column(&self, name: &str) -> Result<ColumnData> {
        self.obs.column(self.store(), name)
    }

    /// A column of `var`, likewise.
    pub fn var_column(&self, name: &str) -> Result<ColumnData> {
        self.var.column(self.store(), name)
    }

    fn frame(&self, table: &DataFrame, names: &[&str]) -> Result<Frame> {
        let mut frame = Frame::new(table.n_rows);
        for &name in names {
            frame.insert(name, table.column(self.store(), name)?.to_obs()).map_err(|f| f.at(self.place()))?;
        }
        Ok(frame)
    }

    /// The names of the layers, sorted.
    pub fn layers(&self) -> Vec<String> {
        self.layers.clone()
    }

    /// The names of what stands in a group (`obsm`, `uns`), sorted; none if there is no such group.
    pub fn children(&self, group: &str) -> Result<Vec<String>> {
        list(self.store(), group)
    }

    /// What stands at a path, such as `obsm/X_umap` or `uns/pca`, in memory. Fails where nothing does.
    pub fn item(&self, run: &Run, path: &str) -> Result<Item> {
        read_item(run, self.store(), path)
    }

    /// Whether something stands at a path, such as `uns/log1p`.
    pub fn has(&self, path: &str) -> bool {
        matches!(self.store.node(path), Ok(Some(_)))
    }

    /// The matrices of the file: `X`, `layers/NAME`, `raw/X`, in this order, as far as there are.
    pub fn matrices(&self) -> Vec<String> {
        let layers = self.layers.iter().map(|name| format!("layers/{name}"));
        let ends = |name: &str| self.has(name).then(|| name.to_owned());
        let raw = (self.has("raw/X") || self.has("raw.X")).then(|| "raw/X".to_owned());
        ends("X").into_iter().chain(layers).chain(raw).collect()
    }

    /// A matrix: `X`, `layers/NAME` (or just the `NAME` of a layer), `raw/X` (or just `raw`).
    pub fn matrix(&self, element: &str) -> Result<H5adMatrix> {
        use ferrocyte_data::RowChunks;
        let path = self.resolve(element)?;
        let raw = path == "raw/X";
        let matrix = H5adMatrix::open(&self.store, &if raw { self.raw_path("X") } else { path.clone() })?;
        let n_var = if raw { self.raw_var()?.n_rows } else { self.n_var() };
        let (found, expected) = ((matrix.n_rows(), matrix.n_cols()), (self.n_obs(), n_var));
        if found != expected {
            let message = format!(
                "{} x {} values, but there are {} cells and {} genes",
                found.0, found.1, expected.0, expected.1
            );
            return Err(Fault::bad_file(message).at(path).at(self.place()).hint("the file is damaged"));
        }
        Ok(matrix)
    }

    /// The path of a matrix, from what people call it.
    fn resolve(&self, element: &str) -> Result<String> {
        let wanted = match element {
            "raw" | "raw.X" => "raw/X".to_owned(),
            "X" | "raw/X" => element.to_owned(),
            _ if element.starts_with("layers/") => element.to_owned(),
            name => format!("layers/{name}"),
        };
        let known = self.matrices();
        if known.contains(&wanted) {
            return Ok(wanted);
        }
        let near = nearest(element, &known, 2);
        let hint = if near.is_empty() {
            format!("its matrices: {}", listing(&known, 20))
        } else {
            format!("did you mean {}? Its matrices: {}", listing(&near, 2), listing(&known, 20))
        };
        Err(Fault::missing(format!("there is no matrix `{element}`")).at(self.place()).hint(hint))
    }
}

/// The children of a group, or the fields of records in its place; none if there is no such group.
fn list(store: &dyn Store, group: &str) -> Result<Vec<String>> {
    match store.node(group)? {
        Some(Node::Group) => store.list(group),
        Some(Node::Array) => Ok(store.array(group)?.fields().into_iter().map(|field| field.name).collect()),
        None => Ok(Vec::new()),
    }
}

/// The last part of a path, for names that must not depend on where a file lies.
pub(crate) fn file_name(place: &str) -> String {
    Path::new(place).file_name().map_or_else(|| place.to_owned(), |n| n.to_string_lossy().into_owned())
}
