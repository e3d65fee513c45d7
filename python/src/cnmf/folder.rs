//! A run in a folder of the layout of the program `cnmf`: the steps that the command line has too.

use std::path::PathBuf;

use ferrocyte_base::Result;
use ferrocyte_cli::cnmf::Folder;
use ferrocyte_cli::cnmf::steps::{
    Plan, Share, combine_folder, consensus_folder, factorise_folder, k_selection_folder, prepare_folder,
};
use ferrocyte_learn::nmf::Precision;
use ferrocyte_programs::{Iterates, programs_table};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::words::{self, HowFound, HowMade, HowPrepared, Inputs, indices};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::values::table;

/// Genes of a program that the report names.
const TOP_GENES: usize = 20;

/// Where a run is: the output directory and its name.
type Place = (PathBuf, String);

fn folder(place: &Place) -> Result<Folder> {
    Folder::new(&place.0, &place.1)
}

/// Makes counts ready and writes them: `(cells, selected genes, dropped cells, dropped genes)`, the last three as numbers
/// among all.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "what is prepared, how, and where")]
pub(crate) fn cnmf_prepare_folder<'py>(
    py: Python<'py>,
    place: Place,
    inputs: Inputs<'py>,
    how: HowPrepared,
    made: HowMade,
    ks: Vec<usize>,
    n_iter: usize,
    seed: u32,
    resume: bool,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (options, fit) = (how.options().or_raise(py)?, made.options().or_raise(py)?);
    let held = inputs.hold()?;
    let mut study = held.open(py).or_raise(py)?;
    let plan = Plan { ks, n_iter, seed, fit };
    let prepared =
        attended(py, &means, |run| prepare_folder(run, &folder(&place)?, &mut study, &options, &plan, resume))?;
    let out = PyDict::new(py);
    out.set_item("cells", indices(py, prepared.cells))?;
    out.set_item("genes", indices(py, prepared.genes))?;
    out.set_item("dropped_cells", indices(py, prepared.dropped_cells))?;
    out.set_item("dropped_genes", indices(py, prepared.dropped_genes))?;
    Ok(out)
}

/// Makes the replicates of a worker in a precision and by a solver: how many were made, and how many were there.
#[pyfunction]
pub(crate) fn cnmf_factorize(
    py: Python<'_>,
    place: Place,
    worker: usize,
    n_workers: usize,
    skip_completed: bool,
    how: (String, String),
    means: Means,
) -> PyResult<(usize, usize)> {
    let precision = Precision::from_word(&how.0).or_raise(py)?;
    let solver = Iterates::from_word(&how.1).or_raise(py)?;
    let share = Share { worker, n_workers, skip_completed, precision, solver };
    attended(py, &means, |run| factorise_folder(run, &folder(&place)?, &share))
}

/// Stacks spectra: the k that were combined.
#[pyfunction]
pub(crate) fn cnmf_combine(
    py: Python<'_>,
    place: Place,
    ks: Vec<usize>,
    skip_missing: bool,
    means: Means,
) -> PyResult<Vec<usize>> {
    attended(py, &means, |run| combine_folder(run, &folder(&place)?, &ks, skip_missing))
}

/// What speaks for each k.
#[pyfunction]
pub(crate) fn cnmf_k_selection(
    py: Python<'_>,
    place: Place,
    how: HowFound,
    means: Means,
) -> PyResult<Bound<'_, PyDict>> {
    let options = how.options().or_raise(py)?;
    let found = attended(py, &means, |run| k_selection_folder(run, &folder(&place)?, &options))?;
    table(py, found)
}

/// The consensus of one k, written; with names of cells, genes and selected genes.
#[pyfunction]
pub(crate) fn cnmf_consensus(
    py: Python<'_>,
    place: Place,
    k: usize,
    how: HowFound,
    build_reference: bool,
    means: Means,
) -> PyResult<Bound<'_, PyDict>> {
    let options = how.options().or_raise(py)?;
    let found = attended(py, &means, |run| consensus_folder(run, &folder(&place)?, k, &options, build_reference))?;
    let report = table(py, programs_table(&found.consensus, &found.names.genes, TOP_GENES))?;
    let out = words::programs(py, found.consensus.programs, found.selected.len())?;
    words::clusters(py, &out, found.consensus.clusters)?;
    out.set_item("stability", found.consensus.stability.map(|s| numpy::IntoPyArray::into_pyarray(s, py)))?;
    out.set_item("warnings", found.consensus.warnings)?;
    out.set_item("report", report)?;
    out.set_item("rows", found.pool.row_names())?;
    out.set_item("cell_names", found.names.cells)?;
    out.set_item("gene_names", found.names.genes)?;
    out.set_item("selected_names", found.selected)?;
    Ok(out)
}
