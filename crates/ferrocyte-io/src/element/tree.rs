//! [`AnnDataTree`]: all of an annotated matrix, in memory.

use ferrocyte_base::{Fault, Result, Run};

use crate::element::read::Reading;
use crate::element::{FrameData, Item};
use crate::store::Store;

/// Named items, in the order of their names in the file.
pub type Items = Vec<(String, Item)>;

/// All of an annotated matrix. Cells × genes.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnDataTree {
    /// The matrix, if there is one: an array of two axes or a sparse matrix.
    pub x: Option<Item>,
    /// The cells.
    pub obs: FrameData,
    /// The genes.
    pub var: FrameData,
    /// Further matrices of the shape of `x`.
    pub layers: Items,
    /// Arrays with a row for each cell.
    pub obsm: Items,
    /// Arrays with a row for each gene.
    pub varm: Items,
    /// Matrices of cells × cells.
    pub obsp: Items,
    /// Matrices of genes × genes.
    pub varp: Items,
    /// Anything else.
    pub uns: Items,
    /// The matrix before genes were chosen.
    pub raw: Option<RawTree>,
}

/// The matrix before genes were chosen, with genes of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct RawTree {
    /// The matrix.
    pub x: Item,
    /// Its genes.
    pub var: FrameData,
    /// Arrays with a row for each of its genes.
    pub varm: Items,
}

impl AnnDataTree {
    /// Reads all of the annotated matrix at the root of a store, of any generation of anndata. Fails when its parts do
    /// not have the extents that the names of cells and genes give them.
    pub fn read(run: &Run, store: &dyn Store) -> Result<Self> {
        let reading = Reading::new(run, store);
        let (obs, obs_data) = reading.frame("obs")?;
        let (var, var_data) = reading.frame("var")?;
        let x = match store.node("X")? {
            Some(_) => Some(reading.item("X")?).filter(|x| *x != Item::Null),
            None => None,
        };
        let mut tree = Self {
            x,
            obs: obs_data,
            var: var_data,
            layers: reading.entries("layers")?,
            obsm: reading.entries("obsm")?,
            varm: reading.entries("varm")?,
            obsp: reading.entries("obsp")?,
            varp: reading.entries("varp")?,
            uns: reading.entries("uns")?,
            raw: RawTree::read(&reading, store)?,
        };
        if obs.is_records() || var.is_records() {
            // Levels of columns are no part of what the user put there.
            tree.uns.retain(|(name, _)| {
                name.strip_suffix("_categories").is_none_or(|column| {
                    let raw = tree.raw.iter().flat_map(|raw| raw.var.columns.iter().map(|(name, _)| name));
                    !obs.columns.iter().chain(&var.columns).chain(raw).any(|name| name == column)
                })
            });
        }
        tree.check().map_err(|fault| fault.at(store.place()))?;
        Ok(tree)
    }

    /// Whether all parts have the extents that they should.
    fn check(&self) -> Result<()> {
        let (n_obs, n_var) = (self.obs.n_rows(), self.var.n_rows());
        let matrices = self.x.iter().map(|x| ("X".to_owned(), x));
        let layers = self.layers.iter().map(|(name, item)| (format!("layers/{name}"), item));
        matrices.chain(layers).try_for_each(|(path, item)| expect(&path, item, &[n_obs, n_var]))?;
        for (group, items, extents) in [
            ("obsm", &self.obsm, &[n_obs][..]),
            ("varm", &self.varm, &[n_var][..]),
            ("obsp", &self.obsp, &[n_obs, n_obs][..]),
            ("varp", &self.varp, &[n_var, n_var][..]),
        ] {
            items.iter().try_for_each(|(name, item)| expect(&format!("{group}/{name}"), item, extents))?;
        }
        let Some(raw) = &self.raw else { return Ok(()) };
        expect("raw/X", &raw.x, &[n_obs, raw.var.n_rows()])?;
        raw.varm.iter().try_for_each(|(name, item)| expect(&format!("raw/varm/{name}"), item, &[raw.var.n_rows()]))
    }
}

impl RawTree {
    /// The raw matrix, if there is one; before anndata 0.7 its parts stood beside `X`.
    fn read(reading: &Reading<'_>, store: &dyn Store) -> Result<Option<Self>> {
        for separator in ["/", "."] {
            let path = |part: &str| format!("raw{separator}{part}");
            if store.node(&path("X"))?.is_some() {
                let (_, var) = reading.frame(&path("var"))?;
                return Ok(Some(Self { x: reading.item(&path("X"))?, var, varm: reading.entries(&path("varm"))? }));
            }
        }
        Ok(None)
    }
}

/// Whether an item has these first extents; what has none of its own is not held against them.
fn expect(path: &str, item: &Item, extents: &[usize]) -> Result<()> {
    let found = match item {
        Item::Array(array) => array.shape.clone(),
        Item::Sparse(matrix) => vec![matrix.shape.0, matrix.shape.1],
        Item::Frame(frame) => vec![frame.n_rows()],
        Item::Column(column) => vec![column.len()],
        Item::Records(records) => vec![records.n_rows],
        _ => return Ok(()),
    };
    if found.get(..extents.len()) == Some(extents) || (extents.len() == 1 && found.first() == extents.first()) {
        return Ok(());
    }
    let words = |extents: &[usize]| extents.iter().map(ToString::to_string).collect::<Vec<_>>().join(" x ");
    Err(Fault::bad_file(format!("its extents are {}, expected {}", words(&found), words(extents)))
        .at(path)
        .hint("the file is damaged"))
}
