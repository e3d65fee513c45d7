//! Cross-validation, measures and pseudobulks.

use ferrocyte_ecotype::{CrossValidation, Metric, Scheme, cross_validate, metrics, pseudobulks};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::inputs::{Cells, LabelColumns, Seed, Training, draws, labels};
use super::scores::Recovery;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::Held;
use crate::values::matrix;

/// A `dict` of `labels`, `votes` and `seeds`; `validation` is `(scheme, repeats)`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "gathered by name in the package")]
pub(crate) fn ecotype_cross_validate<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    columns: LabelColumns,
    training: Training,
    recovery: Recovery,
    validation: (String, usize),
    seed: Seed,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = training.options().or_raise(py)?;
    let (scheme, repeats) = (Scheme::from_word(&validation.0).or_raise(py)?, validation.1);
    let validation = CrossValidation { scheme, repeats, recover: recovery.options().or_raise(py)? };
    let mut draws = draws(&seed, "cross-validation").or_raise(py)?;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let auto_log = named.auto_log;
        let x = named.read(run, &mut *source)?;
        cross_validate(run, &x, &labels(&columns), auto_log, &options, &validation, &mut draws)
    })?;
    let out = PyDict::new(py);
    out.set_item("labels", found.label)?;
    out.set_item("votes", found.votes.into_pyarray(py))?;
    out.set_item("seeds", found.seeds)?;
    Ok(out)
}

/// Labels, the measure of each, and the matrix.
#[pyfunction]
pub(crate) fn ecotype_metrics<'py>(
    py: Python<'py>,
    truth: Vec<String>,
    predicted: Vec<String>,
    cell_type: Option<Vec<String>>,
    sample: Option<Vec<String>>,
    metric: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let found = Metric::from_word(metric)
        .and_then(|metric| metrics(&truth, &predicted, cell_type.as_deref(), sample.as_deref(), metric))
        .or_raise(py)?;
    let n = found.labels.len();
    let values = matrix(py, n, n, found.matrix.into_entries())?;
    Ok((found.labels, found.values.into_pyarray(py), values).into_pyobject(py)?.into_any())
}

/// A `dict` of `names`, `groups`, `fractions`, `genes` and `values` (mixtures × genes).
#[pyfunction]
pub(crate) fn ecotype_pseudobulks<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    groups: Vec<String>,
    counts: bool,
    n_mixtures: usize,
    seed: Seed,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let mut draws = draws(&seed, "pseudobulks").or_raise(py)?;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        pseudobulks(run, &x, &groups, counts, n_mixtures, &mut draws)
    })?;
    let out = PyDict::new(py);
    let (n, k, g) = (found.names.len(), found.groups.len(), found.genes.len());
    out.set_item("names", found.names)?;
    out.set_item("groups", found.groups)?;
    out.set_item("fractions", matrix(py, n, k, found.fractions.into_entries())?)?;
    out.set_item("genes", found.genes)?;
    out.set_item("values", matrix(py, n, g, found.values.into_entries())?)?;
    Ok(out)
}
