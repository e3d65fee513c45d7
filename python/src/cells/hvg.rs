//! Variable genes.

use ferrocyte_cells::hvg::{Flavor, HvgOptions, highly_variable_genes};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::factors;
use super::labels::NameLists;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};
use crate::values::table;

/// How variable genes are found: `ferrocyte.pp._hvg._How`.
#[derive(FromPyObject)]
pub(crate) struct How {
    flavor: String,
    n_top: Option<usize>,
    /// Bounds of means, and of normalised dispersions.
    mean: (f64, f64),
    disp: (f64, f64),
    span: f64,
    n_bins: usize,
    base: Option<f64>,
}

/// The table of genes; `batch` has at most one column.
#[pyfunction]
pub(crate) fn cells_hvg<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    batch: &Bound<'py, PyDict>,
    how: How,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = HvgOptions {
        flavor: Flavor::from_word(&how.flavor).or_raise(py)?,
        n_top: how.n_top,
        min_mean: how.mean.0,
        max_mean: how.mean.1,
        min_disp: how.disp.0,
        max_disp: how.disp.1,
        span: how.span,
        n_bins: how.n_bins,
        base: how.base,
    };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let batches = factors(py, source.n_rows(), batch)?;
    let found = attended(py, &means, |run| {
        highly_variable_genes(run, &mut *source, &names.names(), batches.first(), &options)
    })?;
    table(py, found.table())
}
