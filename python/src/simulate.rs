//! Simulated studies on their way out: counts as scipy's three arrays, columns of cells as codes and levels.

use ferrocyte_base::Result;
use ferrocyte_data::{Frame, ObsColumn};
use ferrocyte_mixed::lmm::{ReferenceMoments, RnaseqOptions, StudyOptions, simulate_rnaseq, simulate_study};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};

/// Columns of cells: numbers, or codes and levels.
pub(crate) fn columns<'py>(py: Python<'py>, frame: &Frame) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    for name in frame.names() {
        match frame.get(name) {
            Some(ObsColumn::Number(numbers)) => columns.set_item(name, numbers.clone().into_pyarray(py))?,
            Some(ObsColumn::Factor(factor)) => {
                // A missing level is u32::MAX here and -1 in pandas: the same bits.
                let codes: Vec<i32> = factor.codes.iter().map(|&code| code as i32).collect();
                columns.set_item(name, (codes.into_pyarray(py), factor.levels.clone()))?;
            }
            None => {}
        }
    }
    Ok(columns)
}

/// What is simulated: `ferrocyte.lmm._simulate.StudyRequest`.
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

/// A study: `data`, `indices`, `indptr`, `obs`, `genes`, `effect`, `cluster` (codes of the clusters with the effect).
#[pyfunction]
pub(crate) fn lmm_simulate(py: Python<'_>, request: StudyRequest, means: Means) -> PyResult<Bound<'_, PyDict>> {
    let StudyRequest { n_genes, n_cells, n_samples, n_clusters, de_share, sample_variance, seed } = request;
    let options = StudyOptions { n_genes, n_cells, n_samples, n_clusters, de_share, sample_variance, seed };
    let study = attended(py, &means, |run| simulate_study(run, &options))?;
    let out = PyDict::new(py);
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

/// What is simulated: `ferrocyte.compat._simu_rnaseq._RnaseqRequest`.
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
/// `de_genes` (gene, effect, cluster), `mean`, `size`.
#[pyfunction]
pub(crate) fn lmm_simulate_rnaseq<'py>(
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
    out.set_item("data", made.counts.into_pyarray(py))?;
    out.set_item("indices", made.indices.into_pyarray(py))?;
    out.set_item("indptr", made.pointers.into_pyarray(py))?;
    out.set_item("obs", columns(py, &made.obs)?)?;
    out.set_item("genes", made.genes)?;
    out.set_item("de_genes", made.de_genes)?;
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
