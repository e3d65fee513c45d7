//! Measures of cells and genes, and filters by them.

use ferrocyte_base::Fault;
use ferrocyte_cells::filter::{Bound as OneBound, filter_cells, filter_genes};
use ferrocyte_cells::qc::{GeneFlag, QcOptions, qc_metrics};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::NameLists;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};
use crate::values::table;

/// The tables of cells and of genes; `flags` are named sets of genes.
#[pyfunction]
pub(crate) fn cells_qc<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    flags: Vec<(String, Vec<bool>)>,
    percent_top: Vec<usize>,
    means: Means,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let flags = flags.into_iter().map(|(name, genes)| GeneFlag { name, genes }).collect();
    let options = QcOptions { flags, percent_top };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let metrics = attended(py, &means, |run| qc_metrics(run, &mut *source, &names.names(), &options))?;
    Ok((table(py, metrics.obs())?, table(py, metrics.var())?))
}

/// Which are kept, the number detected and the total of each, kept or not.
type Filtered<'py> = (Bound<'py, PyArray1<bool>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>);

/// Cells or genes (`of`) within one of the bounds (`min_detected, max_detected, min_counts, max_counts`).
#[pyfunction]
pub(crate) fn cells_filter<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    of: &str,
    bounds: (Option<usize>, Option<usize>, Option<f64>, Option<f64>),
    means: Means,
) -> PyResult<Filtered<'py>> {
    let bound = OneBound::one_of(bounds.0, bounds.1, bounds.2, bounds.3).or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let filtered = attended(py, &means, |run| match of {
        "cells" => filter_cells(run, &mut *source, &names.names(), bound),
        "genes" => filter_genes(run, &mut *source, &names.names(), bound),
        other => Err(Fault::internal(format!("`{other}` cannot be filtered"))),
    })?;
    Ok((filtered.kept.0.into_pyarray(py), filtered.detected.into_pyarray(py), filtered.total.into_pyarray(py)))
}
