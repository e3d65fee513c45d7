//! [`Study`]: an annotated study in memory: read from any file, changed by the verbs, written as .h5ad or .h5mu.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use ferrocyte_base::{Fault, Run, VERSION, listing, nearest};
use ferrocyte_cells::Names;
use ferrocyte_cells::keys::COUNTS;
use ferrocyte_cells::steps::{Reals, Sheet};
use ferrocyte_data::{Factor, ObsColumn};
use ferrocyte_io::{
    AnnDataTree, AnnotatedSource, Attr, ColumnData, ColumnRef, Entries, EntriesRef, Folder, FolderKind, FrameData,
    FrameRef, H5ad, H5mu, Item, ItemRef, Items, Kind, MatrixKind, Numbers, NumbersRef, SparseRef, Storage, create_sink,
    write_borrowed,
};

use crate::door;
use crate::faults::Failure;
use crate::session::Session;

/// The modality under which a study becomes part of an .h5mu file.
const RNA: &str = "rna";

/// A study in memory. X, and counts beside it, stand apart as sheets: they share what they have in common.
pub(super) struct Study {
    /// All but X and the layers in `layers`.
    pub(super) tree: AnnDataTree,
    /// X, if there is one.
    pub(super) x: Option<Sheet>,
    /// Layers that were made here.
    pub(super) layers: Vec<(String, Sheet)>,
    /// Names of cells.
    pub(super) cells: Vec<String>,
    /// Names of genes.
    pub(super) genes: Vec<String>,
    /// The file, for provenance.
    pub(super) name: String,
    /// What X is, in short.
    pub(super) fingerprint: String,
    modality: String,
    others: Vec<String>,
}

impl Study {
    /// Reads all of a study of any kind.
    pub(super) fn open(session: &Session, path: &Path) -> Result<Self, Failure> {
        let run = &session.run;
        let (mut modality, mut others) = (RNA.to_owned(), Vec::new());
        let mut tree = match Kind::of(path)? {
            Kind::H5ad | Kind::ZarrFolder | Kind::ZarrZip => H5ad::open(path)?.tree(run)?,
            Kind::H5mu => {
                let file = H5mu::open(path)?;
                modality = match (session.settings.one("modality"), file.modalities()) {
                    (Some(name), _) => name.to_owned(),
                    (None, [only]) => only.clone(),
                    (None, several) => {
                        let message = format!("it has several modalities: {}", several.join(", "));
                        return Err(Fault::bad_input(message).at(file.place()).hint("choose one: --modality").into());
                    }
                };
                others = file.modalities().iter().filter(|name| **name != modality).cloned().collect();
                file.modality(&modality)?.tree(run)?
            }
            _ => {
                let source = door::open(run, path, &session.settings)?;
                return Ok(Self::read(run, &*source)?);
            }
        };
        let fingerprint = match &tree.x {
            Some(_) => door::open(run, path, &session.settings)?.fingerprint(run, "X")?,
            None => String::new(),
        };
        let at = |fault: Fault| fault.at(path.display().to_string());
        let x = tree.x.take().map(|item| sheet(run, &item)).transpose().map_err(at)?;
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { modality, others, fingerprint, ..Self::of(tree, x, file).map_err(at)? })
    }

    /// X and the columns of a source.
    pub(super) fn read(run: &Run, source: &dyn AnnotatedSource) -> ferrocyte_base::Result<Self> {
        let texts = |names: Vec<String>| ColumnData::Texts { values: names.into_iter().map(Some).collect(), na: None };
        let frame = |names, columns| FrameData { index_name: "_index".to_owned(), index: texts(names), columns };
        let obs = source.obs_columns().into_iter().map(|(name, _)| Ok((name.clone(), source.obs_column(&name)?)));
        let var = source.var_columns().into_iter().map(|(name, _)| Ok((name.clone(), source.var_column(&name)?)));
        let tree = AnnDataTree {
            x: None,
            obs: frame(source.obs_names()?, obs.collect::<ferrocyte_base::Result<_>>()?),
            var: frame(source.var_names("X")?, var.collect::<ferrocyte_base::Result<_>>()?),
            layers: Vec::new(),
            obsm: Vec::new(),
            varm: Vec::new(),
            obsp: Vec::new(),
            varp: Vec::new(),
            uns: Vec::new(),
            raw: None,
        };
        let x = Sheet::collect(run, &mut *source.matrix("X")?)?;
        let file = Path::new(source.place()).file_name().map(|name| name.to_string_lossy().into_owned());
        let fingerprint = source.fingerprint(run, "X")?;
        Ok(Self { fingerprint, ..Self::of(tree, Some(x), file.unwrap_or_default())? })
    }

    fn of(tree: AnnDataTree, x: Option<Sheet>, name: String) -> ferrocyte_base::Result<Self> {
        let names = |column: &ColumnData| column.to_texts().into_iter().map(Option::unwrap_or_default).collect();
        let (cells, genes): (Vec<String>, Vec<String>) = (names(&tree.obs.index), names(&tree.var.index));
        check_differ(&cells)?;
        let (modality, others, layers) = (RNA.to_owned(), Vec::new(), Vec::new());
        Ok(Self { tree, x, layers, cells, genes, name, fingerprint: String::new(), modality, others })
    }

    /// Names of cells and genes, for messages.
    pub(super) fn names(&self) -> Names<'_> {
        Names { cells: &self.cells, genes: &self.genes }
    }

    /// What genes are called by people: the column `gene`, or their names.
    pub(super) fn symbols(&self) -> Vec<String> {
        let column = self.tree.var.columns.iter().find(|(name, _)| name == "gene" || name == "gene_symbols");
        match column {
            Some((_, column)) => column.to_texts().into_iter().map(Option::unwrap_or_default).collect(),
            None => self.genes.clone(),
        }
    }

    /// X.
    pub(super) fn x(&self) -> Result<&Sheet, Failure> {
        self.x.as_ref().ok_or_else(|| Fault::missing("the study has no X").at(self.name.as_str()).into())
    }

    /// Whether there is a layer.
    pub(super) fn has_layer(&self, name: &str) -> bool {
        self.layers
            .iter()
            .map(|(known, _)| known)
            .chain(self.tree.layers.iter().map(|(known, _)| known))
            .any(|n| n == name)
    }

    /// A matrix by its name, out of the study: X, or a layer.
    pub(super) fn take_matrix(&mut self, run: &Run, name: Option<&str>) -> Result<Sheet, Failure> {
        let Some(name) = name.filter(|&name| name != "X") else { return Ok(self.x()?.clone()) };
        if let Some((_, sheet)) = self.layers.iter().find(|(known, _)| known == name) {
            return Ok(sheet.clone());
        }
        let Some(place) = self.tree.layers.iter().position(|(known, _)| known == name) else {
            let mut known = vec!["X".to_owned()];
            known.extend(self.tree.layers.iter().map(|(name, _)| name.clone()));
            return Err(absent("layer", name, &known).at("layers").into());
        };
        let (name, item) = self.tree.layers.remove(place);
        let sheet = sheet(run, &item).map_err(|fault| fault.at(format!("layers/{name}")))?;
        self.layers.push((name, sheet.clone()));
        Ok(sheet)
    }

    /// Raw counts: the layer that is named, `counts` if there is such a layer, else X.
    pub(super) fn counts(&mut self, session: &Session) -> Result<Sheet, Failure> {
        let named = session.settings.one("layer").map(str::to_owned);
        let usual = self.has_layer(COUNTS).then(|| COUNTS.to_owned());
        let name = named.or(usual);
        if name.is_none() && self.tree.uns.iter().any(|(name, _)| name == "log1p") {
            session.run.warn("X seems to hold logarithms: there is uns['log1p'] and no layer `counts`");
        }
        self.take_matrix(&session.run, name.as_deref())
    }

    /// The labels of a column of cells; texts become categories in natural order, numbers in rising order.
    pub(super) fn labels(&self, name: &str, place: &str) -> Result<Factor, Failure> {
        let found = self.tree.obs.columns.iter().find(|(known, _)| known == name);
        let Some((_, column)) = found else {
            let known: Vec<String> = self.tree.obs.columns.iter().map(|(name, _)| name.clone()).collect();
            return Err(absent("column", name, &known).at(format!("{place}: obs")).into());
        };
        Ok(match (column, column.to_obs()) {
            (ColumnData::Categorical { .. }, ObsColumn::Factor(labels)) => labels,
            (_, ObsColumn::Factor(labels)) => natural(&labels),
            (_, ObsColumn::Number(values)) => {
                let texts = values.iter().map(|v| (!v.is_nan()).then(|| v.to_string()));
                natural(&Factor::from_texts(texts))
            }
        })
    }

    /// Puts a column into its place.
    pub(super) fn set_obs(&mut self, name: &str, column: ColumnData) {
        set(&mut self.tree.obs.columns, name, column);
    }

    /// Keeps some cells and genes. Graphs of neighbours that lose cells say so, and the numbers of neighbours go.
    pub(super) fn select(&mut self, run: &Run, cells: &[usize], genes: &[usize]) -> ferrocyte_base::Result<()> {
        use ferrocyte_data::{SelectGenes, SelectRows};
        let loses_cells = cells.len() < self.cells.len();
        let cut = |sheet: &Sheet| -> ferrocyte_base::Result<Sheet> {
            let rows = SelectRows::list(sheet.rows()?, cells.to_vec())?;
            let found = Sheet::collect(run, &mut SelectGenes::new(rows, genes)?)?;
            Ok(if sheet.values().single() { found } else { found.widened() })
        };
        self.x = self.x.as_ref().map(&cut).transpose()?;
        for (_, sheet) in &mut self.layers {
            *sheet = cut(sheet)?;
        }
        self.tree.select(cells, genes)?;
        let pick = |names: &[String], rows: &[usize]| rows.iter().map(|&i| names[i].clone()).collect();
        (self.cells, self.genes) = (pick(&self.cells, cells), pick(&self.genes, genes));
        if loses_cells {
            self.mark_graphs();
        }
        Ok(())
    }

    fn mark_graphs(&mut self) {
        let mut gone = Vec::new();
        for (_, item) in &mut self.tree.uns {
            let Item::Dict(record) = item else { continue };
            if !record.iter().any(|(name, _)| name == "connectivities_key") {
                continue;
            }
            for key in ["knn_key", "knn_distances_key"] {
                gone.extend(record.iter().find(|(name, _)| name == key).and_then(|(_, item)| text(item)));
            }
            let truth = Item::Scalar(Entries::Numbers(Numbers::Bool(vec![true])));
            set(record, "stale", truth);
        }
        self.tree.obsm.retain(|(name, _)| !gone.contains(name));
    }

    /// Writes the study as the file that the ending of a name asks for.
    pub(super) fn write(&self, run: &Run, path: &Path) -> Result<(), Failure> {
        let to_mudata = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("h5mu"));
        if to_mudata && !self.others.is_empty() {
            let message = format!("the file has other modalities, which would be lost: {}", listing(&self.others, 9));
            return Err(Failure::usage("output", message, "write .h5ad, which holds one"));
        }
        let sink = create_sink(path)?;
        let sheets: Vec<(String, &Sheet, Numbers)> = self
            .x
            .iter()
            .map(|sheet| ("X".to_owned(), sheet))
            .chain(self.layers.iter().map(|(name, sheet)| (name.clone(), sheet)))
            .map(|(name, sheet)| (name, sheet, pointers(sheet)))
            .collect();
        let study = self.item(&sheets)?;
        let rows = |n: usize| -> (Vec<bool>, Vec<u32>) { (vec![true; n], (1..=n as u32).collect()) };
        let (cells, genes) = (rows(self.cells.len()), rows(self.genes.len()));
        let whole = if to_mudata { self.mudata(study, &cells, &genes) } else { study };
        write_borrowed(run, &*sink, "", &whole, Storage::default())?;
        run.check()?;
        sink.finish()?;
        Ok(())
    }

    fn item<'a>(&'a self, sheets: &'a [(String, &'a Sheet, Numbers)]) -> ferrocyte_base::Result<ItemRef<'a>> {
        let mut entries = Vec::new();
        let (mut layers, mut x) = (dict(&self.tree.layers)?, None);
        for (name, sheet, pointers) in sheets {
            let matrix = ItemRef::Sparse(SparseRef {
                kind: MatrixKind::Csr,
                shape: (sheet.n_cells(), sheet.n_genes()),
                data: match sheet.values() {
                    Reals::F32(v) => NumbersRef::F32(v),
                    Reals::F64(v) => NumbersRef::F64(v),
                },
                indices: NumbersRef::of_indices(sheet.indices()),
                indptr: pointers.borrowed(),
            });
            match (name.as_str(), &mut layers) {
                ("X", _) => x = Some(matrix),
                (name, ItemRef::Folder(folder)) => folder.entries.push((Cow::Borrowed(name), matrix)),
                _ => {}
            }
        }
        entries.extend(x.map(|x| (Cow::Borrowed("X"), x)));
        entries.push((Cow::Borrowed("obs"), ItemRef::Frame(FrameRef::from(&self.tree.obs))));
        entries.push((Cow::Borrowed("var"), ItemRef::Frame(FrameRef::from(&self.tree.var))));
        entries.push((Cow::Borrowed("layers"), layers));
        let (obsm, varm) = (&self.tree.obsm, &self.tree.varm);
        let (obsp, varp) = (&self.tree.obsp, &self.tree.varp);
        for (name, items) in [("obsm", obsm), ("varm", varm), ("obsp", obsp), ("varp", varp), ("uns", &self.tree.uns)] {
            entries.push((Cow::Borrowed(name), dict(items).map_err(|fault| fault.at(name))?));
        }
        if let Some(raw) = &self.tree.raw {
            let parts = vec![
                (Cow::Borrowed("X"), ItemRef::try_from(&raw.x)?),
                (Cow::Borrowed("var"), ItemRef::Frame(FrameRef::from(&raw.var))),
                (Cow::Borrowed("varm"), dict(&raw.varm)?),
            ];
            let folder = Folder { kind: FolderKind::Raw, attrs: Vec::new(), entries: parts };
            entries.push((Cow::Borrowed("raw"), ItemRef::Folder(folder)));
        }
        Ok(ItemRef::Folder(Folder { kind: FolderKind::AnnData, attrs: Vec::new(), entries }))
    }

    /// An .h5mu file of this one modality.
    fn mudata<'a>(
        &'a self,
        study: ItemRef<'a>,
        cells: &'a (Vec<bool>, Vec<u32>),
        genes: &'a (Vec<bool>, Vec<u32>),
    ) -> ItemRef<'a> {
        let folder = |kind, attrs, entries| ItemRef::Folder(Folder { kind, attrs, entries });
        let named = |item| vec![(Cow::Borrowed(self.modality.as_str()), item)];
        let dict = |entries| folder(FolderKind::Dict, Vec::new(), entries);
        let index = |frame: &'a FrameData| {
            let index = ColumnRef::from(&frame.index);
            ItemRef::Frame(FrameRef { index_name: Cow::Borrowed("_index"), index, columns: Vec::new() })
        };
        let member = |rows: &'a [bool]| {
            dict(named(ItemRef::Array(vec![rows.len(), 1], EntriesRef::Numbers(NumbersRef::Bool(rows)))))
        };
        let map =
            |rows: &'a [u32]| dict(named(ItemRef::Array(vec![rows.len()], EntriesRef::Numbers(NumbersRef::U32(rows)))));
        let order = vec![("mod-order".to_owned(), Attr::Texts(vec![self.modality.clone()]))];
        let entries = vec![
            ("mod", folder(FolderKind::Plain, order, named(study))),
            ("obs", index(&self.tree.obs)),
            ("var", index(&self.tree.var)),
            ("obsm", member(&cells.0)),
            ("varm", member(&genes.0)),
            ("obsp", dict(Vec::new())),
            ("varp", dict(Vec::new())),
            ("obsmap", map(&cells.1)),
            ("varmap", map(&genes.1)),
            ("uns", dict(Vec::new())),
        ];
        let attrs = vec![
            ("axis".to_owned(), Attr::Numbers(Numbers::I64(vec![0]))),
            ("encoder".to_owned(), Attr::Text("ferrocyte".to_owned())),
            ("encoder-version".to_owned(), Attr::Text(VERSION.to_owned())),
        ];
        folder(FolderKind::MuData, attrs, entries.into_iter().map(|(name, item)| (Cow::Borrowed(name), item)).collect())
    }
}

/// What is said of a name that does not exist.
pub(super) fn absent(what: &str, name: &str, known: &[String]) -> Fault {
    let near = nearest(name, known, 3);
    let hint = if near.is_empty() {
        format!("there are {}", listing(known, 20))
    } else {
        format!("did you mean {}?", listing(&near, 3))
    };
    Fault::missing(format!("there is no {what} `{name}`")).hint(hint)
}

/// Puts an entry into its place among others.
pub(super) fn set<T>(entries: &mut Vec<(String, T)>, name: &str, entry: T) {
    match entries.iter_mut().find(|(known, _)| known == name) {
        Some(slot) => slot.1 = entry,
        None => entries.push((name.to_owned(), entry)),
    }
}

/// A text of a dictionary.
pub(super) fn text(item: &Item) -> Option<String> {
    match item {
        Item::Scalar(Entries::Texts(texts)) => texts.first().cloned(),
        Item::Array(array) if array.shape.is_empty() => match &array.cells {
            Entries::Texts(texts) => texts.first().cloned(),
            _ => None,
        },
        _ => None,
    }
}

/// A matrix of a file as a sheet, in 64 bits where the file has them.
fn sheet(run: &Run, item: &Item) -> ferrocyte_base::Result<Sheet> {
    let wide = match item {
        Item::Sparse(matrix) => matches!(matrix.data, Numbers::F64(_)),
        Item::Array(array) => matches!(&array.cells, Entries::Numbers(Numbers::F64(_))),
        _ => false,
    };
    let found = Sheet::collect(run, &mut *item.rows()?)?;
    Ok(if wide { found.widened() } else { found })
}

/// Where rows begin, in the type in which scipy has them.
fn pointers(sheet: &Sheet) -> Numbers {
    let pointers = sheet.pointers();
    match pointers.last().map(|&n| i32::try_from(n)) {
        Some(Err(_)) => Numbers::I64(pointers.iter().map(|&p| p as i64).collect()),
        _ => Numbers::I32(pointers.iter().map(|&p| p as i32).collect()),
    }
}

fn dict(items: &Items) -> ferrocyte_base::Result<ItemRef<'_>> {
    let entries = items
        .iter()
        .map(|(name, item)| {
            Ok((Cow::Borrowed(name.as_str()), ItemRef::try_from(item).map_err(|fault| fault.at(name.as_str()))?))
        })
        .collect::<ferrocyte_base::Result<_>>()?;
    Ok(ItemRef::Folder(Folder { kind: FolderKind::Dict, attrs: Vec::new(), entries }))
}

fn check_differ(cells: &[String]) -> ferrocyte_base::Result<()> {
    let mut seen = HashMap::with_capacity(cells.len());
    for (row, name) in cells.iter().enumerate() {
        if let Some(before) = seen.insert(name.as_str(), row) {
            return Err(Fault::bad_input(format!("cell `{name}` stands there twice, in rows {before} and {row}"))
                .at("obs")
                .hint("names of cells must differ: import each sample with --sample"));
        }
    }
    Ok(())
}

/// The same labels with levels in an order in which numbers within them count as numbers: 1, 2, 10.
fn natural(labels: &Factor) -> Factor {
    let mut order: Vec<usize> = (0..labels.levels.len()).collect();
    order.sort_by_cached_key(|&level| (parts(&labels.levels[level]), labels.levels[level].clone()));
    let mut rank = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, &old)| rank[old] = new as u32);
    let code = |code: u32| if code == Factor::MISSING { code } else { rank[code as usize] };
    Factor {
        levels: order.iter().map(|&level| labels.levels[level].clone()).collect(),
        codes: labels.codes.iter().map(code).collect(),
    }
}

/// Stretches of digits as numbers, before texts.
fn parts(text: &str) -> Vec<(bool, u128, String)> {
    let mut found: Vec<(bool, u128, String)> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        let number = if digits { part.parse().unwrap_or(u128::MAX) } else { 0 };
        found.push((!digits, number, if digits { String::new() } else { part.to_owned() }));
        rest = behind;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_within_texts_count_as_numbers() {
        let labels = natural(&Factor::from_texts([Some("c10"), Some("c2"), None, Some("10"), Some("9"), Some("c10")]));
        assert_eq!(labels.levels, ["9", "10", "c2", "c10"]);
        assert_eq!(labels.codes, [3, 2, Factor::MISSING, 1, 0, 3]);
    }

    #[test]
    fn two_cells_of_one_name_are_refused() {
        let names = ["a", "b", "a"].map(str::to_owned);
        let told = check_differ(&names).map_err(|fault| fault.to_string());
        assert_eq!(told, Err("obs: cell `a` stands there twice, in rows 0 and 2".to_owned()));
    }
}
