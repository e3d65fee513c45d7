//! [`H5mu`]: an .h5mu file: several annotated matrices over common cells or genes.

mod describe;

use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run, listing, nearest};

use crate::element::columns::encoding;
use crate::element::read::Reading;
use crate::element::tree::{AnnDataTree, Items};
use crate::element::{FrameData, Item};
use crate::h5ad::H5ad;
use crate::store::below::Below;
use crate::store::open::open_store;
use crate::store::{Attr, Node, Store};

/// An .h5mu file, opened for reading. Each of its modalities opens as an [`H5ad`].
///
/// ```
/// use ferrocyte_io::H5mu;
///
/// # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/io");
/// let study = H5mu::open(format!("{folder}/two_modalities_ad013.h5mu"))?;
/// assert_eq!(study.modalities(), ["rna", "atac"]);
/// assert_eq!(study.modality("atac")?.n_var(), 30);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub struct H5mu {
    store: Arc<dyn Store>,
    modalities: Vec<String>,
}

impl std::fmt::Debug for H5mu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("H5mu")
            .field("path", &self.place())
            .field("modalities", &self.modalities)
            .finish_non_exhaustive()
    }
}

/// All of an .h5mu file, in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct MuDataTree {
    /// What the modalities share: 0 the cells, 1 the genes, -1 both.
    pub axis: i64,
    /// The modalities by their names, in their order.
    pub mods: Vec<(String, AnnDataTree)>,
    /// The cells of all modalities.
    pub obs: FrameData,
    /// The genes of all modalities.
    pub var: FrameData,
    /// Arrays with a row for each cell; that of a modality's name says which cells it has.
    pub obsm: Items,
    /// Arrays with a row for each gene, likewise.
    pub varm: Items,
    /// Matrices of cells × cells.
    pub obsp: Items,
    /// Matrices of genes × genes.
    pub varp: Items,
    /// For each modality where in it each cell stands, counted from 1; 0 where it has not that cell.
    pub obsmap: Items,
    /// The same for genes.
    pub varmap: Items,
    /// Anything else.
    pub uns: Items,
}

impl H5mu {
    /// Opens a file. Fails as [`H5ad::open`] does.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_store(open_store(path)?)
    }

    /// The modalities at the root of a store.
    pub fn from_store(store: Arc<dyn Store>) -> Result<Self> {
        if !is_mudata(&*store)? {
            return Err(Fault::bad_file("it holds no modalities, expected an .h5mu file").at(store.place()));
        }
        let modalities = modalities(&*store)?;
        Ok(Self { store, modalities })
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

    /// The names of the modalities, in their order.
    pub fn modalities(&self) -> &[String] {
        &self.modalities
    }

    /// A modality as an annotated matrix. An unknown name is a fault with the nearest ones.
    pub fn modality(&self, name: &str) -> Result<H5ad> {
        if !self.modalities.iter().any(|known| known == name) {
            let near = nearest(name, &self.modalities, 3);
            let hint = if near.is_empty() {
                format!("its modalities: {}", listing(&self.modalities, 20))
            } else {
                format!("did you mean {}?", listing(&near, 3))
            };
            return Err(Fault::missing(format!("there is no modality `{name}`")).at(self.place()).hint(hint));
        }
        let below = Below::new(Arc::clone(&self.store), format!("mod/{name}"), &format!("modality {name}"));
        H5ad::from_store(Arc::new(below))
    }

    /// What the modalities share: 0 the cells, 1 the genes, -1 both.
    pub fn axis(&self) -> Result<i64> {
        let told = match self.store.attr("", "axis")? {
            None => return Ok(0),
            Some(Attr::Text(word)) => word.parse().ok(),
            Some(Attr::Numbers(number)) => number.to_f64().first().map(|&axis| axis as i64),
            Some(_) => None,
        };
        told.filter(|axis| (-1..=1).contains(axis)).ok_or_else(|| {
            Fault::bad_file("attribute `axis` is none of 0 (cells), 1 (genes) and -1 (both)").at(self.place())
        })
    }

    /// All of it, in memory.
    pub fn tree(&self, run: &Run) -> Result<MuDataTree> {
        let mods = self.modalities.iter().map(|name| Ok((name.clone(), self.modality(name)?.tree(run)?)));
        let reading = Reading::new(run, self.store());
        Ok(MuDataTree {
            axis: self.axis()?,
            mods: mods.collect::<Result<_>>()?,
            obs: reading.frame("obs")?.1,
            var: reading.frame("var")?.1,
            obsm: reading.entries("obsm")?,
            varm: reading.entries("varm")?,
            obsp: reading.entries("obsp")?,
            varp: reading.entries("varp")?,
            obsmap: self.positions(&reading, "obsmap")?,
            varmap: self.positions(&reading, "varmap")?,
            uns: reading.entries("uns")?,
        })
    }

    /// The positions of rows in the modalities, which must be those of rows that exist.
    fn positions(&self, reading: &Reading<'_>, group: &str) -> Result<Items> {
        let items = reading.entries(group)?;
        for (name, item) in &items {
            let Item::Array(array) = item else { continue };
            let known = self.modalities.iter().any(|modality| modality == name);
            if let (crate::element::Entries::Numbers(found), true) = (&array.cells, known) {
                let modality = self.modality(name)?;
                let n_rows = if group == "obsmap" { modality.n_obs() } else { modality.n_var() };
                if let Some(bad) = found.first_outside(n_rows + 1) {
                    let message = format!("row {} is at position {} of {n_rows}", bad.position, bad.value);
                    return Err(Fault::bad_file(message).at(format!("{group}/{name}")).at(self.place()));
                }
            }
        }
        Ok(items)
    }
}

/// Whether a store holds several modalities.
pub(crate) fn is_mudata(store: &dyn Store) -> Result<bool> {
    Ok(encoding(store, "")?.is_some_and(|(kind, _)| kind == "MuData") || store.node("mod")? == Some(Node::Group))
}

/// The names of the modalities in the order that the file gives them; those that it does not name come last.
pub(crate) fn modalities(store: &dyn Store) -> Result<Vec<String>> {
    let there = store.list("mod")?;
    let mut names = match store.attr("mod", "mod-order")? {
        Some(Attr::Texts(names)) => names,
        Some(Attr::Text(name)) => vec![name],
        _ => Vec::new(),
    };
    names.retain(|name| there.contains(name));
    let unnamed: Vec<String> = there.into_iter().filter(|name| !names.contains(name)).collect();
    names.extend(unnamed);
    Ok(names)
}
