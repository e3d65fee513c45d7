//! [`concat`]: several studies as one, their cells one after the other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{ConcatRows, Join, JoinedColumns, RowChunks};

use crate::element::FrameData;
use crate::element::columns::{ColumnData, ColumnKind};
use crate::h5ad::describe::Element;
use crate::h5ad::file_name;
use crate::h5ad::fingerprint::Hash;
use crate::study::frames::{column_of, kind_of, no_column};
use crate::study::merge::{Rule, stacked};
use crate::study::{AnnotatedSource, no_matrix};
use crate::tenx::features::texts;

/// How studies are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcatOptions {
    /// Which genes and columns of obs there are: those of all studies, or those that all have.
    pub join: Join,
    /// The column of obs that says of which study a cell is; none if absent.
    pub key: Option<String>,
    /// What the studies are called in that column; by default their files without endings.
    pub labels: Option<Vec<String>>,
    /// What stands between the name of a cell and that of its study, which is put behind it; without it names stay.
    pub index_unique: Option<String>,
    /// Columns of var that are kept, and how what several studies say of a gene becomes one value (by default the
    /// truth of any, the mean, the distinct texts).
    pub var: Vec<(String, Option<Rule>)>,
}

impl Default for ConcatOptions {
    fn default() -> Self {
        Self { join: Join::Outer, key: Some("sample".to_owned()), labels: None, index_unique: None, var: Vec::new() }
    }
}

/// Several studies as one.
struct Concat {
    parts: Vec<Arc<dyn AnnotatedSource>>,
    options: ConcatOptions,
    labels: Vec<String>,
    place: String,
    genes: JoinedColumns,
    var: FrameData,
}

/// Several studies as one: cells one after the other, genes and columns of obs matched by name. Nothing is read but
/// names: the matrices are streamed. What a study has no gene for is 0; what it has no column for is missing.
///
/// Names of cells must differ over all studies, which is looked at when they are asked for.
///
/// ```
/// use ferrocyte_base::Run;
/// use ferrocyte_io::{ConcatOptions, OpenOptions, concat, open_study};
/// # let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/kang");
/// let open = |name: &str| open_study(&Run::new(), format!("{golden}/{name}.h5ad"), &OpenOptions::default());
/// let both = concat(vec![open("concat_a")?, open("concat_b")?], ConcatOptions::default())?;
/// assert_eq!((both.n_obs(), both.n_var()), (270, 1887));
/// assert_eq!(both.obs(&["sample"])?.factor("sample")?.levels, ["concat_a", "concat_b"]);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn concat(parts: Vec<Arc<dyn AnnotatedSource>>, options: ConcatOptions) -> Result<Arc<dyn AnnotatedSource>> {
    if parts.is_empty() {
        return Err(Fault::bad_input("there are no studies to put together"));
    }
    let labels = labels(&parts, &options)?;
    let names = parts.iter().map(|part| part.var_names("X")).collect::<Result<Vec<_>>>()?;
    let genes = JoinedColumns::of(options.join, &names, &places(&parts))?;
    if genes.names.is_empty() && names.iter().any(|names| !names.is_empty()) {
        return Err(Fault::bad_input("no gene is in all studies")
            .hint("are some called by symbols and others by identifiers? join `outer` keeps all"));
    }
    let place = match parts.as_slice() {
        [one] => one.place().to_owned(),
        all => format!("{} and {} more", all[0].place(), all.len() - 1),
    };
    let columns = options.var.iter().map(|(name, rule)| Ok((name.clone(), var_column(&parts, &genes, name, *rule)?)));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let var = FrameData { index_name: "_index".to_owned(), index: texts(genes.names.clone()), columns };
    Ok(Arc::new(Concat { parts, options, labels, place, genes, var }))
}

fn places(parts: &[Arc<dyn AnnotatedSource>]) -> Vec<&str> {
    parts.iter().map(|part| part.place()).collect()
}

/// What the studies are called.
fn labels(parts: &[Arc<dyn AnnotatedSource>], options: &ConcatOptions) -> Result<Vec<String>> {
    let labels: Vec<String> = match &options.labels {
        Some(labels) if labels.len() == parts.len() => labels.clone(),
        Some(labels) => {
            let message = format!("{} labels for {} studies", labels.len(), parts.len());
            return Err(Fault::bad_input(message).at("labels"));
        }
        None => parts.iter().map(|part| stem(part.place())).collect(),
    };
    let mut seen = HashSet::new();
    match labels.iter().find(|label| !seen.insert(label.as_str())) {
        Some(twice) if options.key.is_some() || options.index_unique.is_some() => {
            Err(Fault::bad_input(format!("two studies are called `{twice}`"))
                .at("labels")
                .hint("give labels that differ"))
        }
        _ => Ok(labels),
    }
}

/// The name of a file without its endings.
fn stem(place: &str) -> String {
    let name = file_name(place);
    let mut stem = name.as_str();
    for ending in [".gz", ".zip", ".h5ad", ".h5mu", ".h5", ".mtx", ".tsv", ".csv", ".txt", ".zarr"] {
        stem = stem.strip_suffix(ending).unwrap_or(stem);
    }
    stem.to_owned()
}

/// A column of var of those studies that have it, as one.
fn var_column(
    parts: &[Arc<dyn AnnotatedSource>],
    genes: &JoinedColumns,
    name: &str,
    rule: Option<Rule>,
) -> Result<ColumnData> {
    let mut found: Vec<(ColumnData, &[u32])> = Vec::new();
    for (part, places) in parts.iter().zip(&genes.places) {
        if part.var_columns().iter().any(|(known, _)| known == name) {
            found.push((part.var_column(name)?, places));
        }
    }
    let Some((first, _)) = found.first() else {
        let known: Vec<String> = parts.iter().flat_map(|part| part.var_columns()).map(|(name, _)| name).collect();
        return Err(no_column(name, &known).at("var"));
    };
    let rule = rule.unwrap_or_else(|| Rule::usual(first));
    let columns: Vec<(&ColumnData, &[u32])> = found.iter().map(|(column, places)| (column, *places)).collect();
    rule.apply(genes.names.len(), &columns).map_err(|fault| fault.at(format!("var column `{name}`")))
}

impl Concat {
    /// The names of the columns of obs, the key last.
    fn column_names(&self) -> Vec<String> {
        let of_part: Vec<Vec<String>> =
            self.parts.iter().map(|part| part.obs_columns().into_iter().map(|(name, _)| name).collect()).collect();
        let mut names: Vec<String> = Vec::new();
        for name in of_part.iter().flatten() {
            let everywhere = || of_part.iter().all(|names| names.contains(name));
            if !names.contains(name) && (self.options.join == Join::Outer || everywhere()) {
                names.push(name.clone());
            }
        }
        if let Some(key) = &self.options.key {
            names.retain(|name| name != key);
            names.push(key.clone());
        }
        names
    }

    /// Of which study each cell is.
    fn key(&self) -> ColumnData {
        let codes = self.parts.iter().enumerate();
        ColumnData::Categorical {
            codes: codes.flat_map(|(i, part)| std::iter::repeat_n(i as u32, part.n_obs())).collect(),
            levels: Box::new(texts(self.labels.clone())),
            ordered: false,
        }
    }
}

impl AnnotatedSource for Concat {
    fn place(&self) -> &str {
        &self.place
    }

    fn format(&self) -> &'static str {
        "several studies"
    }

    fn n_obs(&self) -> usize {
        self.parts.iter().map(|part| part.n_obs()).sum()
    }

    fn n_var(&self) -> usize {
        self.genes.names.len()
    }

    fn obs_names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::with_capacity(self.n_obs());
        for (part, label) in self.parts.iter().zip(&self.labels) {
            let own = part.obs_names()?;
            match &self.options.index_unique {
                Some(between) => names.extend(own.into_iter().map(|name| format!("{name}{between}{label}"))),
                None => names.extend(own),
            }
        }
        let mut seen: HashMap<&str, usize> = HashMap::with_capacity(names.len());
        for (row, name) in names.iter().enumerate() {
            if let Some(before) = seen.insert(name, row) {
                let message = format!("cell `{name}` stands there twice, in rows {before} and {row}");
                return Err(Fault::bad_input(message)
                    .at(self.place.as_str())
                    .hint("put the names of the studies behind those of the cells: index_unique `-`"));
            }
        }
        Ok(names)
    }

    fn var_names(&self, matrix: &str) -> Result<Vec<String>> {
        if self.matrices().iter().any(|known| known == matrix || known.strip_prefix("layers/") == Some(matrix)) {
            return Ok(self.genes.names.clone());
        }
        Err(no_matrix(matrix, &self.matrices()).at(self.place()))
    }

    fn obs_columns(&self) -> Vec<(String, ColumnKind)> {
        let kind = |name: &str| {
            self.obs_column(name)
                .map_or_else(|fault| ColumnKind::Unreadable(fault.message().to_owned()), |column| kind_of(&column))
        };
        self.column_names().into_iter().map(|name| (name.clone(), kind(&name))).collect()
    }

    fn var_columns(&self) -> Vec<(String, ColumnKind)> {
        self.var.columns.iter().map(|(name, column)| (name.clone(), kind_of(column))).collect()
    }

    fn obs_column(&self, name: &str) -> Result<ColumnData> {
        if self.options.key.as_deref() == Some(name) {
            return Ok(self.key());
        }
        let known = self.column_names();
        if !known.iter().any(|column| column == name) {
            return Err(no_column(name, &known).at("obs").at(self.place()));
        }
        let parts = self.parts.iter().map(|part| {
            let has = part.obs_columns().iter().any(|(column, _)| column == name);
            Ok((part.n_obs(), if has { Some(part.obs_column(name)?) } else { None }))
        });
        Ok(stacked(&parts.collect::<Result<Vec<_>>>()?))
    }

    fn var_column(&self, name: &str) -> Result<ColumnData> {
        column_of(&self.var, name, "var").map_err(|fault| fault.at(self.place()))
    }

    /// Those that every study has; `raw` has genes of its own and stays behind.
    fn matrices(&self) -> Vec<String> {
        let first = self.parts[0].matrices().into_iter().filter(|name| name != "raw/X");
        first.filter(|name| self.parts.iter().all(|part| part.matrices().contains(name))).collect()
    }

    fn matrix(&self, matrix: &str) -> Result<Box<dyn RowChunks>> {
        self.var_names(matrix)?;
        let sources = self.parts.iter().map(|part| part.matrix(matrix)).collect::<Result<Vec<_>>>()?;
        Ok(Box::new(ConcatRows::new(sources, &self.genes)?))
    }

    fn fingerprint(&self, run: &Run, matrix: &str) -> Result<String> {
        let prints = self.parts.iter().map(|part| part.fingerprint(run, matrix)).collect::<Result<Vec<_>>>()?;
        let mut hash = Hash::new();
        self.genes.names.iter().flat_map(|name| name.bytes().chain([0])).for_each(|byte| hash.word(u64::from(byte)));
        Ok(format!("{}; {} genes, {:016x}", prints.join("; "), self.n_var(), hash.value()))
    }

    fn elements(&self, run: &Run) -> Vec<Element> {
        let matrices = self.matrices();
        matrices.iter().map(|name| self.matrix_element(run, name)).chain(self.column_elements()).collect()
    }
}
