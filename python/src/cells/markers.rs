//! Genes that tell groups of cells apart.

use ferrocyte_cells::markers::{Correction, GroupMarkers, LogisticOptions, MarkerOptions, Method, markers};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::{Labels, NameLists};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};

/// What is compared, as the package describes it: `ferrocyte.tl._markers.Comparison`.
#[derive(FromPyObject)]
pub(crate) struct Comparison {
    method: String,
    correction: String,
    groups: Option<Vec<String>>,
    reference: Option<String>,
    tie_correct: bool,
    base: Option<f64>,
    by_size: bool,
    fold_change_of_means: bool,
    logistic: (f64, usize, f64),
}

/// For each group that is compared a `dict` of arrays in the order of genes, and `order`, by falling score.
#[pyfunction]
pub(crate) fn cells_markers<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    labels: Labels<'py>,
    comparison: Comparison,
    means: Means,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let options = MarkerOptions {
        correction: Correction::from_word(&comparison.correction).or_raise(py)?,
        groups: comparison.groups,
        reference: comparison.reference,
        tie_correct: comparison.tie_correct,
        base: comparison.base,
        fold_change_of_means: comparison.fold_change_of_means,
        logistic: {
            let (c, max_steps, tolerance) = comparison.logistic;
            LogisticOptions { c, max_steps, tolerance }
        },
        ..MarkerOptions::new(Method::from_word(&comparison.method).or_raise(py)?)
    };
    let labels = labels.factor().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| markers(run, &mut *source, &names.names(), &labels, &options))?;
    found.into_iter().map(|group| arrays(py, group, comparison.by_size)).collect()
}

fn arrays(py: Python<'_>, group: GroupMarkers, by_size: bool) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let order: Vec<i64> = group.order(by_size).into_iter().map(|gene| gene as i64).collect();
    out.set_item("order", order.into_pyarray(py))?;
    out.set_item("group", group.group)?;
    out.set_item("n", group.n)?;
    out.set_item("n_reference", group.n_reference)?;
    for (name, values) in [
        ("scores", group.scores),
        ("p", group.p),
        ("ln_p", group.ln_p),
        ("q", group.q),
        ("ln_q", group.ln_q),
        ("log2_fold_change", group.log2_fold_change),
        ("fraction", group.fraction),
        ("fraction_reference", group.fraction_reference),
    ] {
        out.set_item(name, values.into_pyarray(py))?;
    }
    if let Some(change) = group.log2_fold_change_of_means {
        out.set_item("log2_fold_change_of_means", change.into_pyarray(py))?;
    }
    Ok(out)
}
