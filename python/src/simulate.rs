//! Simulated studies on their way out: counts as scipy's three arrays, columns of cells as codes and levels.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{Frame, ObsColumn, RowChunks, Values};
use ferrocyte_mixed::lmm::{
    Affected, BatchOf, CohortOptions, Direction, ReferenceMoments, RnaseqOptions, SIMULATE_OPTIONS, StudyOptions,
    simulate_cohort, simulate_rnaseq, simulate_study,
};
use ferrocyte_programs::{SimulateOptions, simulate};
use numpy::{IntoPyArray, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::lmm::OptionWords;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};
use crate::values::table;

/// Columns of cells: numbers, or codes and levels.
pub(crate) fn columns<'py>(py: Python<'py>, frame: &Frame) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    for name in frame.names() {
        match frame.get(name) {
            Some(ObsColumn::Number(numbers)) => columns.set_item(name, numbers.clone().into_pyarray(py))?,
            Some(ObsColumn::Factor(factor)) => {
                // A missing level is u32::MAX here and -1 in pandas: the same bits.
                let codes: Vec<i32> = factor.codes.iter().map(|code| code as i32).collect();
                columns.set_item(name, (codes.into_pyarray(py), factor.levels.clone()))?;
            }
            None => {}
        }
    }
    Ok(columns)
}

/// The options of the simulators: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn sim_options() -> Vec<OptionWords> {
    let options = SIMULATE_OPTIONS.iter().chain(ferrocyte_programs::SIMULATE_OPTIONS);
    options.map(|o| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning)).collect()
}

/// What is simulated: `ferrocyte.sim._study.StudyRequest`.
#[derive(FromPyObject)]
pub(crate) struct StudyRequest {
    n_genes: usize,
    n_cells: usize,
    n_samples: usize,
    n_clusters: usize,
    de_share: f64,
    sample_variance: Option<f64>,
    seed: u64,
}

/// A study: `data`, `indices`, `indptr`, `obs`, `genes`, `effect`, `cluster` (codes of the clusters with the effect),
/// `truth`.
#[pyfunction]
pub(crate) fn sim_study(py: Python<'_>, request: StudyRequest, means: Means) -> PyResult<Bound<'_, PyDict>> {
    let StudyRequest { n_genes, n_cells, n_samples, n_clusters, de_share, sample_variance, seed } = request;
    let options = StudyOptions { n_genes, n_cells, n_samples, n_clusters, de_share, sample_variance, seed };
    let study = attended(py, &means, |run| simulate_study(run, &options))?;
    let out = PyDict::new(py);
    out.set_item("truth", table(py, study.truth().or_raise(py)?)?)?;
    out.set_item("data", study.counts.into_pyarray(py))?;
    out.set_item("indices", study.indices.into_pyarray(py))?;
    out.set_item("indptr", study.pointers.into_pyarray(py))?;
    out.set_item("obs", columns(py, &study.obs)?)?;
    out.set_item("genes", study.genes)?;
    let (effects, clusters): (Vec<f64>, Vec<i64>) =
        study.effect.iter().map(|&(effect, cluster)| (effect, cluster as i64)).unzip();
    out.set_item("effect", effects.into_pyarray(py))?;
    out.set_item("cluster", clusters.into_pyarray(py))?;
    Ok(out)
}

/// What is simulated: `ferrocyte.sim._cohort.CohortRequest`.
#[derive(FromPyObject)]
pub(crate) struct CohortRequest {
    n_genes: usize,
    n_cells: usize,
    n_donors: usize,
    arms: Vec<String>,
    paired: bool,
    samples_per_donor: usize,
    n_batches: usize,
    batch_of: String,
    n_cell_types: usize,
    type_concentration: f64,
    sample_concentration: f64,
    cells_sd: f64,
    depth_sd: f64,
    log_mean: f64,
    log_mean_sd: f64,
    type_share: f64,
    type_sd: f64,
    donor_variance: f64,
    sample_variance: f64,
    batch_variance: f64,
    flat_share: f64,
    de_share: f64,
    effect_min: f64,
    effect_max: f64,
    direction: String,
    affected: Cells,
    seed: u64,
}

/// The cell types of planted effects: a word, or names.
#[derive(FromPyObject)]
pub(crate) enum Cells {
    Word(String),
    Names(Vec<String>),
}

impl CohortRequest {
    fn options(self) -> Result<CohortOptions> {
        Ok(CohortOptions {
            n_genes: self.n_genes,
            n_cells: self.n_cells,
            n_donors: self.n_donors,
            arms: self.arms,
            paired: self.paired,
            samples_per_donor: self.samples_per_donor,
            n_batches: self.n_batches,
            batch_of: BatchOf::from_word(&self.batch_of)?,
            n_cell_types: self.n_cell_types,
            type_concentration: self.type_concentration,
            sample_concentration: self.sample_concentration,
            cells_sd: self.cells_sd,
            depth_sd: self.depth_sd,
            log_mean: self.log_mean,
            log_mean_sd: self.log_mean_sd,
            type_share: self.type_share,
            type_sd: self.type_sd,
            donor_variance: self.donor_variance,
            sample_variance: self.sample_variance,
            batch_variance: self.batch_variance,
            flat_share: self.flat_share,
            de_share: self.de_share,
            effect_min: self.effect_min,
            effect_max: self.effect_max,
            direction: Direction::from_word(&self.direction)?,
            affected: match self.affected {
                Cells::Word(word) => Affected::from_word(&word),
                Cells::Names(names) => Affected::Named(names),
            },
            seed: self.seed,
        })
    }
}

/// All counts of a source of 32-bit floats, block by block: pointers, indices, values.
fn all_counts(run: &Run, source: &mut dyn RowChunks, step: usize) -> Result<(Vec<i64>, Vec<i32>, Vec<f32>)> {
    let (mut pointers, mut indices, mut counts) = (vec![0_i64], Vec::new(), Vec::new());
    let n = source.n_rows();
    let task = run.task("simulating", n as u64);
    let mut start = 0;
    while start < n {
        run.check()?;
        let end = (start + step).min(n);
        let block = source.read(run, start..end)?;
        let before = indices.len() as i64;
        pointers.extend(block.pointers()[1..].iter().map(|&p| before + p as i64));
        indices.extend(block.indices().iter().map(|&gene| gene as i32));
        match block.values() {
            Values::F32(values) => counts.extend_from_slice(values),
            Values::F64(values) => counts.extend(values.iter().map(|&x| x as f32)),
        }
        task.advance((end - start) as u64);
        start = end;
    }
    Ok((pointers, indices, counts))
}

/// A cohort: `data`, `indices`, `indptr`, `obs`, `var`, `genes`, `truth`.
#[pyfunction]
pub(crate) fn sim_cohort(py: Python<'_>, request: CohortRequest, means: Means) -> PyResult<Bound<'_, PyDict>> {
    let options = request.options().or_raise(py)?;
    let (cohort, (pointers, indices, counts)) = attended(py, &means, |run| {
        let mut cohort = simulate_cohort(run, options)?;
        let step = cohort.rows_at_once(run);
        let counts = all_counts(run, &mut cohort, step)?;
        Ok((cohort, counts))
    })?;
    let out = PyDict::new(py);
    out.set_item("data", counts.into_pyarray(py))?;
    out.set_item("indices", indices.into_pyarray(py))?;
    out.set_item("indptr", pointers.into_pyarray(py))?;
    out.set_item("obs", columns(py, &cohort.obs)?)?;
    out.set_item("var", columns(py, &cohort.var().or_raise(py)?)?)?;
    out.set_item("truth", table(py, cohort.truth())?)?;
    out.set_item("genes", cohort.gene_names)?;
    Ok(out)
}

/// Cells of planted programs: `data`, `indices`, `indptr`, `obs`, `cells`, `genes`, `usage`, `spectra`, `truth`. `sizes` is
/// `(n_cells, n_genes, n_programs)`, `noise` `(depth, density)`.
#[pyfunction]
pub(crate) fn sim_programs(
    py: Python<'_>,
    sizes: (usize, usize, usize),
    noise: (f64, Option<f64>),
    seed: u32,
    means: Means,
) -> PyResult<Bound<'_, PyDict>> {
    let ((n_cells, n_genes, n_programs), (depth, density)) = (sizes, noise);
    let options = SimulateOptions { n_cells, n_genes, n_programs, depth, density, seed };
    let made = attended(py, &means, |run| simulate(run, &options))?;
    let out = PyDict::new(py);
    out.set_item("truth", table(py, made.truth)?)?;
    out.set_item("data", made.counts.into_pyarray(py))?;
    out.set_item("indices", made.indices.into_pyarray(py))?;
    out.set_item("indptr", made.pointers.into_pyarray(py))?;
    out.set_item("obs", columns(py, &made.obs)?)?;
    out.set_item("usage", made.usage.into_pyarray(py).reshape([made.cells.len(), n_programs])?)?;
    out.set_item("spectra", made.spectra.into_pyarray(py).reshape([made.genes.len(), n_programs])?)?;
    out.set_item("cells", made.cells)?;
    out.set_item("genes", made.genes)?;
    Ok(out)
}

/// What is simulated: `ferrocyte.sim._rnaseq.RnaseqRequest`.
#[derive(FromPyObject)]
pub(crate) struct RnaseqRequest {
    n_genes: usize,
    n_cells: usize,
    samples_nested: bool,
    n_samples: usize,
    n_clusters: usize,
    n_treatments: usize,
    n_de_genes: usize,
    beta: (f64, f64),
    both_directions: bool,
    sample_variance: f64,
    adjust_library_size: bool,
    seed: u64,
}

impl From<RnaseqRequest> for RnaseqOptions {
    fn from(r: RnaseqRequest) -> Self {
        Self {
            n_genes: r.n_genes,
            n_cells: r.n_cells,
            samples_nested: r.samples_nested,
            n_samples: r.n_samples,
            n_clusters: r.n_clusters,
            n_treatments: r.n_treatments,
            n_de_genes: r.n_de_genes,
            beta: r.beta,
            both_directions: r.both_directions,
            sample_variance: r.sample_variance,
            adjust_library_size: r.adjust_library_size,
            seed: r.seed,
        }
    }
}

/// Counts like those of a reference (cells × genes), or of none: `data`, `indices`, `indptr`, `obs`, `genes`,
/// `truth`, `mean`, `size`.
#[pyfunction]
pub(crate) fn sim_rnaseq<'py>(
    py: Python<'py>,
    request: RnaseqRequest,
    reference: Option<Matrix<'py>>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = RnaseqOptions::from(request);
    let held = reference.map(Held::new).transpose()?;
    let source = held.as_ref().map(|held| held.open(py)).transpose().or_raise(py)?;
    let made = attended(py, &means, |run| {
        let moments = source.map(|mut source| ReferenceMoments::of(run, &mut source)).transpose()?;
        simulate_rnaseq(run, &options, moments.as_ref())
    })?;
    let out = PyDict::new(py);
    out.set_item("truth", table(py, made.truth())?)?;
    out.set_item("data", made.counts.into_pyarray(py))?;
    out.set_item("indices", made.indices.into_pyarray(py))?;
    out.set_item("indptr", made.pointers.into_pyarray(py))?;
    out.set_item("obs", columns(py, &made.obs)?)?;
    out.set_item("genes", made.genes)?;
    let (mean, size): (Vec<f64>, Vec<f64>) = made.mean_and_size.into_iter().unzip();
    out.set_item("mean", mean.into_pyarray(py))?;
    out.set_item("size", size.into_pyarray(py))?;
    Ok(out)
}

/// Mean and negative binomial size of each gene of a matrix, and the total of each cell.
#[pyfunction]
pub(crate) fn lmm_moments<'py>(py: Python<'py>, matrix: Matrix<'py>, means: Means) -> PyResult<Bound<'py, PyDict>> {
    let held = Held::new(matrix)?;
    let mut source = held.open(py).or_raise(py)?;
    let found: ReferenceMoments = attended(py, &means, |run| -> Result<_> { ReferenceMoments::of(run, &mut source) })?;
    let out = PyDict::new(py);
    out.set_item("mean", found.mean.into_pyarray(py))?;
    out.set_item("size", found.size.into_pyarray(py))?;
    out.set_item("libsize", found.libsize.into_pyarray(py))?;
    Ok(out)
}
