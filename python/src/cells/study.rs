//! What `ferrocyte.experiment` asks: the table of samples, paths, good cells, names of clusters, the printed summary.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ferrocyte_base::{Fault, Value};
use ferrocyte_cells::study::quality::{Bounds, CellRules, Measured, is_mitochondrial, is_ribosomal};
use ferrocyte_cells::study::summary::{Form, Item, ModalitySummary, SampleSummary, Summary, Type, registered};
use ferrocyte_cells::study::{
    Layout, Renamed, SampleTable, annotate, chosen, good_cells, merge_levels, paste, samples,
};
use ferrocyte_io::{ColumnData, Numbers, Rule};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::labels::{Labels, factor};
use crate::faults::OrRaise;
use crate::values::to_python;

/// The table of samples of a study.
#[pyclass(frozen, name = "SampleTable", module = "ferrocyte._core")]
pub(crate) struct PySampleTable {
    table: SampleTable,
}

#[pymethods]
impl PySampleTable {
    /// The table of a text with tabs.
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<Self> {
        Ok(Self { table: SampleTable::parse(text).or_raise(py)? })
    }

    /// The table of a study that was saved: samples of other modalities are kept apart.
    #[staticmethod]
    fn parse_saved(py: Python<'_>, text: &str) -> PyResult<Self> {
        Ok(Self { table: SampleTable::parse_saved(text).or_raise(py)? })
    }

    /// The samples of modalities that are not supported, and what these are.
    fn others(&self) -> Vec<(&str, &str)> {
        self.table.others.iter().map(|sample| (sample.name.as_str(), sample.modality.as_str())).collect()
    }

    /// The table of names of columns and rows of texts.
    #[staticmethod]
    fn from_rows(py: Python<'_>, header: Vec<String>, rows: Vec<Vec<String>>) -> PyResult<Self> {
        let rows: Vec<_> = rows.into_iter().enumerate().map(|(i, row)| (format!("row {i}"), row)).collect();
        Ok(Self { table: SampleTable::from_rows(&header, &rows).or_raise(py)? })
    }

    /// The names of the columns, the usual ones first.
    fn header(&self) -> Vec<&str> {
        self.table.header()
    }

    /// The fields of each sample, in the order of the columns.
    fn rows(&self) -> Vec<Vec<&str>> {
        self.table.samples.iter().map(|sample| self.table.row(sample)).collect()
    }

    /// The table as text with tabs.
    fn to_tsv(&self) -> String {
        self.table.to_tsv()
    }

    /// What is measured.
    fn modalities(&self) -> Vec<&str> {
        self.table.modalities()
    }

    /// Where the samples of a modality stand, and their names.
    fn of(&self, modality: &str) -> Vec<(usize, &str)> {
        let all = self.table.samples.iter().enumerate();
        all.filter(|(_, sample)| sample.modality == modality).map(|(i, sample)| (i, sample.name.as_str())).collect()
    }

    /// What every cell of sample `i` gets as columns of obs.
    fn obs(&self, i: usize) -> Vec<(&str, &str)> {
        self.table.samples[i].obs(&self.table)
    }

    /// Where the counts of sample `i` are, and whether they are a table in text.
    fn location(&self, i: usize) -> (&str, bool) {
        let sample = &self.table.samples[i];
        (&sample.location, sample.is_text())
    }

    /// The names of the cells of sample `i`, and what their barcodes are called.
    fn cell_names(&self, i: usize, barcodes: Vec<String>) -> (Vec<String>, Vec<String>) {
        let sample = &self.table.samples[i];
        let names = (0..barcodes.len()).map(|cell| sample.cell_name(cell)).collect();
        (names, barcodes.iter().map(|barcode| sample.barcode(barcode)).collect())
    }

    /// Refuses the table if a location does not exist; `there` are those that do.
    fn check_locations(&self, py: Python<'_>, there: Vec<String>) -> PyResult<()> {
        self.table.check_locations(|location| there.iter().any(|known| known == location)).or_raise(py)
    }
}

/// The paths of a study: `root`, `table`, `spec`, `integrated`, `subsets`.
#[pyfunction]
pub(crate) fn study_paths(root: PathBuf) -> BTreeMap<&'static str, PathBuf> {
    let layout = Layout::new(root);
    BTreeMap::from([
        ("root", layout.root().to_owned()),
        ("table", layout.table()),
        ("spec", layout.spec()),
        ("integrated", layout.integrated()),
        ("subsets", layout.subsets()),
    ])
}

/// The path of a sample.
#[pyfunction]
pub(crate) fn study_sample_path(py: Python<'_>, root: PathBuf, modality: &str, sample: &str) -> PyResult<PathBuf> {
    Layout::new(root).sample(modality, sample).or_raise(py)
}

/// The path of a subset.
#[pyfunction]
pub(crate) fn study_subset_path(py: Python<'_>, root: PathBuf, name: &str) -> PyResult<PathBuf> {
    Layout::new(root).subset(name).or_raise(py)
}

/// What stands in the file that tells the version of the layout.
#[pyfunction]
pub(crate) fn study_sidecar(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    to_python(py, &Layout::sidecar())
}

/// Refuses a study of a later layout.
#[pyfunction]
pub(crate) fn study_check_spec(py: Python<'_>, spec: i64) -> PyResult<()> {
    Layout::check(Some(&Value::map([("spec", Value::Int(spec))]))).or_raise(py)
}

/// Where the samples of some names stand.
#[pyfunction]
pub(crate) fn study_samples(py: Python<'_>, wanted: Vec<String>, known: Vec<String>) -> PyResult<Vec<usize>> {
    samples(&wanted, &known).or_raise(py)
}

/// The measures of cells: totals, genes, shares of mitochondrial and ribosomal counts.
type Measures<'py> = [PyReadonlyArray1<'py, f64>; 4];

/// What a good cell is: `(word or None, factor)` or two numbers for totals, fewest and most genes, most mitochondrial
/// and ribosomal share.
#[derive(FromPyObject)]
pub(crate) struct Rules {
    outlier_mode: Option<String>,
    outlier_n: f64,
    limits: Option<(f64, f64)>,
    min_genes: f64,
    max_genes: Option<f64>,
    max_mito: f64,
    max_ribo: Option<f64>,
}

impl Rules {
    fn rules(&self) -> ferrocyte_base::Result<CellRules> {
        let totals = match (&self.outlier_mode, self.limits) {
            (Some(word), _) => Bounds::from_word(word, self.outlier_n)?,
            (None, Some((low, high))) => Bounds::Fixed(low, high),
            (None, None) => Bounds::USUAL,
        };
        let Self { min_genes, max_genes, max_mito, max_ribo, .. } = *self;
        Ok(CellRules { totals, min_genes, max_genes, max_mito, max_ribo })
    }
}

/// Which cells are kept, which of them are good, and the bounds on totals.
type GoodCells<'py> = (Bound<'py, PyArray1<bool>>, Bound<'py, PyArray1<bool>>, (f64, f64));

/// Applies the rules to what was measured of cells.
#[pyfunction]
pub(crate) fn study_good_cells<'py>(
    py: Python<'py>,
    measures: Measures<'py>,
    rules: Rules,
) -> PyResult<GoodCells<'py>> {
    let slice = |i: usize| measures[i].as_slice().map_err(|_| Fault::internal("an array is not contiguous"));
    let find = || {
        let cells = Measured { totals: slice(0)?, genes: slice(1)?, mito: slice(2)?, ribo: slice(3)? };
        good_cells(&cells, &rules.rules()?)
    };
    let found = find().or_raise(py)?;
    Ok((found.kept.into_pyarray(py), found.good.into_pyarray(py), found.limits))
}

/// Which symbols are those of mitochondrial genes, and which of ribosomal ones.
#[pyfunction]
pub(crate) fn study_gene_flags(symbols: Vec<String>) -> (Vec<bool>, Vec<bool>) {
    let flags = |test: fn(&str) -> bool| symbols.iter().map(|symbol| test(symbol)).collect();
    (flags(is_mitochondrial), flags(is_ribosomal))
}

/// New labels (codes and levels), cells of each level, old levels that were not named, and names without level.
type Relabelled<'py> = ((Bound<'py, PyArray1<i32>>, Vec<String>), Vec<usize>, Vec<String>, Vec<String>);

fn relabelled(py: Python<'_>, found: Renamed) -> Relabelled<'_> {
    (factor(py, found.labels), found.counts, found.kept, found.unknown)
}

/// Clusters under names.
#[pyfunction]
pub(crate) fn study_annotate<'py>(
    py: Python<'py>,
    clusters: Labels<'py>,
    mapping: Vec<(String, Vec<String>)>,
) -> PyResult<Relabelled<'py>> {
    let found = clusters.factor().and_then(|clusters| annotate(&clusters, &mapping)).or_raise(py)?;
    Ok(relabelled(py, found))
}

/// Some levels under one name.
#[pyfunction]
pub(crate) fn study_merge_levels<'py>(
    py: Python<'py>,
    labels: Labels<'py>,
    merge: Vec<String>,
    into: &str,
) -> PyResult<Relabelled<'py>> {
    let found = labels.factor().and_then(|labels| merge_levels(&labels, &merge, into)).or_raise(py)?;
    Ok(relabelled(py, found))
}

/// Labels of several columns as one.
#[pyfunction]
pub(crate) fn study_paste<'py>(
    py: Python<'py>,
    columns: Vec<Labels<'py>>,
    sep: &str,
) -> PyResult<(Bound<'py, PyArray1<i32>>, Vec<String>)> {
    let columns = columns.iter().map(Labels::factor).collect::<ferrocyte_base::Result<Vec<_>>>().or_raise(py)?;
    let pasted = paste(&columns.iter().collect::<Vec<_>>(), sep).or_raise(py)?;
    Ok(factor(py, pasted))
}

/// Which cells have one of some labels, and the values that are no level.
#[pyfunction]
pub(crate) fn study_chosen<'py>(
    py: Python<'py>,
    labels: Labels<'py>,
    values: Vec<String>,
) -> PyResult<(Bound<'py, PyArray1<bool>>, Vec<String>)> {
    let found = labels.factor().and_then(|labels| chosen(&labels, &values)).or_raise(py)?;
    Ok((found.cells.into_pyarray(py), found.unknown))
}

/// A column of var: truth values, numbers (NaN where there are none), or texts.
#[derive(FromPyObject)]
pub(crate) enum VarColumn<'py> {
    Truths(PyReadonlyArray1<'py, bool>),
    Numbers(PyReadonlyArray1<'py, f64>),
    Texts(Vec<Option<String>>),
}

impl VarColumn<'_> {
    fn data(&self) -> ColumnData {
        match self {
            Self::Truths(values) => ColumnData::Numbers(Numbers::Bool(values.as_array().to_vec())),
            Self::Numbers(values) => {
                let values = values.as_array().to_vec();
                let missing = values.iter().map(|x| x.is_nan()).collect();
                ColumnData::NullableNumbers { values: Numbers::F64(values), missing }
            }
            Self::Texts(values) => ColumnData::Texts { values: values.clone(), na: None },
        }
    }
}

/// What several studies say of each of `n` genes, as one column; `places` says where the genes of each go (-1: nowhere).
#[pyfunction]
pub(crate) fn study_merge_column<'py>(
    py: Python<'py>,
    n: usize,
    columns: Vec<(VarColumn<'py>, Vec<i64>)>,
    rule: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let held: Vec<(ColumnData, Vec<u32>)> = columns
        .iter()
        .map(|(column, places)| (column.data(), places.iter().map(|&p| u32::try_from(p).unwrap_or(u32::MAX)).collect()))
        .collect();
    let merge = || {
        let Some((first, _)) = held.first() else { return Err(Fault::internal("no column to merge")) };
        let rule = rule.map_or_else(|| Ok(Rule::usual(first)), Rule::from_word)?;
        rule.apply(n, &held.iter().map(|(column, places)| (column, places.as_slice())).collect::<Vec<_>>())
    };
    Ok(match merge().or_raise(py)? {
        ColumnData::Numbers(Numbers::Bool(values)) => values.into_pyarray(py).into_any(),
        ColumnData::Numbers(Numbers::F64(values)) => values.into_pyarray(py).into_any(),
        other => other.to_texts().into_pyobject(py)?.into_any(),
    })
}

/// An item of a study: its name, the word for how it is held (`column`, `array`, `csr`, `frame`, `other`), numpy's kind
/// and bytes of its values, its shape, and its classes.
type ItemRow = (String, String, String, usize, Vec<usize>, Vec<String>);

fn form(word: &str, kind: &str, bytes: usize, shape: Vec<usize>) -> Form {
    let values = Type::from_numpy(kind, bytes);
    match word {
        "column" => Form::Column(values),
        "array" => Form::Array(values, shape),
        "frame" => Form::Frame,
        "other" => Form::Other,
        sparse => Form::Sparse(values, sparse.to_owned()),
    }
}

/// The classes that steps give an item of this name; none if no step writes it.
#[pyfunction]
pub(crate) fn study_classes(part: &str, name: &str) -> Option<&'static [&'static str]> {
    registered(part, name)
}

/// The class of an item of which nothing is known but its type.
#[pyfunction]
pub(crate) fn study_plain_class(word: &str, kind: &str, bytes: usize) -> Option<&'static str> {
    form(word, kind, bytes, Vec::new()).values().map(Type::class)
}

/// A study as text: its size and subset, its modalities (name, size, parts with their items), and its samples (name,
/// modality, taxa, batch, size) if they are in memory.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "plain tuples, told above")]
pub(crate) fn study_summary(
    integrated: Option<(usize, usize)>,
    subset: Option<String>,
    modalities: Vec<(String, (usize, usize), Vec<(String, Vec<ItemRow>)>)>,
    samples: Option<Vec<(String, String, String, String, (usize, usize))>>,
) -> String {
    let item = |(name, word, kind, bytes, shape, classes): ItemRow| Item {
        form: form(&word, &kind, bytes, shape),
        name,
        classes,
    };
    let part = |(name, items): (String, Vec<ItemRow>)| (name, items.into_iter().map(item).collect());
    let modalities = modalities
        .into_iter()
        .map(|(name, size, parts)| ModalitySummary { name, size, parts: parts.into_iter().map(part).collect() })
        .collect();
    let samples = samples.map(|all| {
        all.into_iter()
            .map(|(name, modality, taxa, batch, size)| SampleSummary { name, modality, taxa, batch, size })
            .collect()
    });
    Summary { integrated, subset, modalities, samples }.to_string()
}

/// The steps that have been taken, as the study keeps them: an id of eight digits for the n-th of them.
#[pyfunction]
pub(crate) fn study_command_id(n: u32, text: &str) -> String {
    // The hash of Fowler, Noll and Vo: the same text as the same step has the same id everywhere.
    let hash = text.bytes().fold(0x811c_9dc5_u32 ^ n, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}
