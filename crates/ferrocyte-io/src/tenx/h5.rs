//! [`TenxH5`]: 10x files in HDF5, of Cell Ranger 3 and later, and before.
//!
//! Later files hold one group, `matrix`; earlier ones a group for each genome. Both store features × barcodes by
//! columns, which is cells × genes by rows: it is streamed as any other matrix, never turned.

use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_data::{RowChunks, SelectGenes};

use crate::element::FrameData;
use crate::element::columns::{ColumnData, ColumnKind};
use crate::element::sparse::Header;
use crate::h5ad::describe::Element;
use crate::h5ad::fingerprint;
use crate::h5ad::matrix::{H5adMatrix, MatrixKind};
use crate::store::window::Window;
use crate::store::{Dtype, Node, Store};
use crate::study::frames::{column_of, kinds_of, names_of};
use crate::study::{AnnotatedSource, OpenOptions, no_matrix};
use crate::tenx::features::{Features, none_of, texts};

/// The group of a file of Cell Ranger 3 or later.
const MATRIX: &str = "matrix";
/// A list of names of tags, which is no column.
const TAGS: &str = "_all_tag_keys";
/// The most barcodes or features that are believed: names of so many are read into memory.
const MOST_NAMES: usize = 1 << 31;

/// A 10x file, opened for reading.
pub(crate) struct TenxH5 {
    store: Arc<dyn Store>,
    group: String,
    n_cells: usize,
    n_features: usize,
    var: FrameData,
    kept: Option<Vec<usize>>,
}

/// Whether a store looks like a 10x file: a group with barcodes.
pub(crate) fn is_tenx(store: &dyn Store) -> Result<bool> {
    Ok(!groups(store)?.is_empty())
}

/// The groups that hold a matrix: `matrix`, or the genomes.
fn groups(store: &dyn Store) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in store.list("")? {
        let features = if name == MATRIX { "features" } else { "genes" };
        let has = |child: &str| store.node(&format!("{name}/{child}"));
        if store.node(&name)? == Some(Node::Group) && has("barcodes")?.is_some() && has(features)?.is_some() {
            found.push(name);
        }
    }
    Ok(found)
}

impl TenxH5 {
    /// The matrix and the genes that the options ask for.
    pub(crate) fn open(store: &Arc<dyn Store>, options: &OpenOptions) -> Result<Self> {
        let at = |fault: Fault| fault.at(store.place());
        let groups = groups(&**store)?;
        let (group, options) = if groups.iter().any(|name| name == MATRIX) {
            (MATRIX.to_owned(), options.clone())
        } else {
            let group = genome(groups, options.genome.as_deref()).map_err(at)?;
            (group, OpenOptions { genome: None, ..options.clone() })
        };
        let features = features(&**store, &group)?;
        let n_features = features.len();
        let shape = Window::new(store.array(&format!("{group}/shape"))?)
            .read(&Run::new().threads(1), 0..2)
            .map_err(at)?
            .into_sizes()
            .unwrap_or_default();
        let n_cells = store.array(&format!("{group}/barcodes"))?.info().n_rows();
        if shape != [n_features, n_cells] {
            let message = format!("`shape` is {shape:?}, but there are {n_features} features and {n_cells} barcodes");
            return Err(at(Fault::bad_file(message).at(group).hint("the file is damaged")));
        }
        let genes = features.genes(&options).map_err(at)?;
        let study = Self { store: Arc::clone(store), group, n_cells, n_features, var: genes.var, kept: genes.kept };
        // What is wrong with the matrix is told when the file is opened.
        study.rows()?;
        Ok(study)
    }

    /// The matrix as the file has it, all features included.
    fn rows(&self) -> Result<H5adMatrix> {
        let header = Header { kind: MatrixKind::Csr, shape: (self.n_cells, self.n_features) };
        H5adMatrix::open_sparse(&self.store, &self.group, header)
    }

    fn check(&self, matrix: &str) -> Result<()> {
        if matrix == "X" { Ok(()) } else { Err(no_matrix(matrix, &["X".to_owned()]).at(self.place())) }
    }
}

/// The genome that is asked for, or the only one.
fn genome(mut groups: Vec<String>, wanted: Option<&str>) -> Result<String> {
    match wanted {
        Some(wanted) if groups.iter().any(|name| name == wanted) => Ok(wanted.to_owned()),
        Some(wanted) => Err(none_of(wanted, &groups, "features of genome", "genome")),
        None if groups.len() == 1 => Ok(groups.remove(0)),
        None if groups.is_empty() => Err(Fault::bad_file("no 10x file: it has no group with barcodes and features")),
        None => Err(Fault::bad_input(format!("the file holds {} genomes: {}", groups.len(), listing(&groups, 20)))
            .at("genome")
            .hint(format!("name one of them, such as genome `{}`", groups[0]))),
    }
}

fn features(store: &dyn Store, group: &str) -> Result<Features> {
    if group != MATRIX {
        return checked(
            store,
            group,
            Features {
                ids: read_texts(store, &format!("{group}/genes"))?,
                symbols: read_texts(store, &format!("{group}/gene_names"))?,
                types: None,
                genomes: None,
                others: Vec::new(),
            },
        );
    }
    let folder = format!("{group}/features");
    let path = |name: &str| format!("{folder}/{name}");
    let optional = |name: &str| -> Result<Option<Vec<String>>> {
        store.node(&path(name))?.map(|_| read_texts(store, &path(name))).transpose()
    };
    let (ids, symbols) = (read_texts(store, &path("id"))?, read_texts(store, &path("name"))?);
    let (types, genomes) = (optional("feature_type")?, optional("genome")?);
    let mut others = Vec::new();
    for name in store.list(&folder)? {
        let known = ["id", "name", "feature_type", "genome", TAGS].contains(&name.as_str());
        if known || store.node(&path(&name))? != Some(Node::Array) {
            continue;
        }
        let info = store.array(&path(&name))?.info().clone();
        if info.dtype == Dtype::Text && info.shape == [ids.len()] {
            others.push((name.clone(), read_texts(store, &path(&name))?));
        }
    }
    checked(store, group, Features { ids, symbols, types, genomes, others })
}

/// Every list must have an entry for each feature.
fn checked(store: &dyn Store, group: &str, features: Features) -> Result<Features> {
    let n = features.len();
    let lists = [
        ("names", Some(&features.symbols)),
        ("types", features.types.as_ref()),
        ("genomes", features.genomes.as_ref()),
    ];
    let bad = lists.into_iter().find_map(|(what, list)| Some((what, list?.len())).filter(|(_, found)| *found != n));
    match bad {
        Some((what, found)) => {
            let fault =
                Fault::bad_file(format!("{n} features, but {found} {what} of them")).hint("the file is damaged");
            Err(fault.at(group).at(store.place()))
        }
        None => Ok(features),
    }
}

/// A list of texts.
fn read_texts(store: &dyn Store, path: &str) -> Result<Vec<String>> {
    let array = store.array(path)?;
    let info = array.info();
    let at = |fault: Fault| fault.at(store.place());
    if info.shape.len() != 1 || info.shape[0] > MOST_NAMES {
        let message = format!("a list of texts was expected, found shape {:?}", info.shape);
        return Err(at(Fault::bad_file(message).at(path).hint("the file is damaged")));
    }
    array.texts(0..info.n_rows()).map_err(at)
}

impl AnnotatedSource for TenxH5 {
    fn place(&self) -> &str {
        self.store.place()
    }

    fn format(&self) -> &'static str {
        "10x h5"
    }

    fn n_obs(&self) -> usize {
        self.n_cells
    }

    fn n_var(&self) -> usize {
        self.var.n_rows()
    }

    fn obs_names(&self) -> Result<Vec<String>> {
        read_texts(&*self.store, &format!("{}/barcodes", self.group))
    }

    fn var_names(&self, matrix: &str) -> Result<Vec<String>> {
        self.check(matrix)?;
        Ok(names_of(&self.var))
    }

    fn obs_columns(&self) -> Vec<(String, ColumnKind)> {
        Vec::new()
    }

    fn var_columns(&self) -> Vec<(String, ColumnKind)> {
        kinds_of(&self.var)
    }

    fn obs_column(&self, name: &str) -> Result<ColumnData> {
        let none = FrameData { index_name: String::new(), index: texts(Vec::new()), columns: Vec::new() };
        column_of(&none, name, "obs").map_err(|fault| fault.at(self.place()))
    }

    fn var_column(&self, name: &str) -> Result<ColumnData> {
        column_of(&self.var, name, "var").map_err(|fault| fault.at(self.place()))
    }

    fn matrices(&self) -> Vec<String> {
        vec!["X".to_owned()]
    }

    fn matrix(&self, matrix: &str) -> Result<Box<dyn RowChunks>> {
        self.check(matrix)?;
        let rows = self.rows()?;
        Ok(match &self.kept {
            Some(kept) => Box::new(SelectGenes::new(rows, kept)?),
            None => Box::new(rows),
        })
    }

    fn fingerprint(&self, run: &Run, matrix: &str) -> Result<String> {
        self.check(matrix)?;
        let whole = fingerprint::of_matrix(run, &*self.store, &self.rows()?)?;
        Ok(fingerprint::of_genes(whole, self.kept.as_deref(), self.n_features))
    }

    fn elements(&self, run: &Run) -> Vec<Element> {
        let rows = self.rows().ok();
        let x = Element {
            kind: MatrixKind::Csr.word().to_owned(),
            dtype: rows.as_ref().map_or_else(String::new, |rows| rows.dtype().name().to_owned()),
            stored: rows.as_ref().and_then(RowChunks::n_stored),
            compression: rows.as_ref().map_or_else(String::new, H5adMatrix::compression),
            ..self.matrix_element(run, "X")
        };
        std::iter::once(x).chain(self.column_elements()).collect()
    }
}
