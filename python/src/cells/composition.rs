//! Types of cells in samples.

use ferrocyte_cells::composition::{CompositionOptions, ShareTransform, TypesBySamples, composition};
use ferrocyte_cells::proportion::{Within, proportion};
use ferrocyte_math::linalg::Matrix as Grid;
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::Labels;
use crate::faults::OrRaise;
use crate::learn::PointsArray;
use crate::monitor::{Means, attended};
use crate::values::{matrix, table};

/// Cells by two factors: `majors`, `minors`, `values` and `counts` (majors × minors), `n_per_major`, `n_missing`.
#[pyfunction]
pub(crate) fn cells_proportion<'py>(
    py: Python<'py>,
    major: Labels<'py>,
    minor: Labels<'py>,
    within: &str,
    show_unused: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let within = Within::from_crosstab_word(within).or_raise(py)?;
    let (major, minor) = (major.factor().or_raise(py)?, minor.factor().or_raise(py)?);
    let found = proportion(&major, &minor, within, show_unused).or_raise(py)?;
    let (rows, columns) = (found.majors.len(), found.minors.len());
    let counts = found.counts.iter().map(|&n| n as f64).collect();
    let out = PyDict::new(py);
    out.set_item("values", matrix(py, rows, columns, found.values)?)?;
    out.set_item("counts", matrix(py, rows, columns, counts)?)?;
    let n_per_major: Vec<i64> = found.n_per_major.iter().map(|&n| n as i64).collect();
    out.set_item("n_per_major", n_per_major.into_pyarray(py))?;
    out.set_item("n_missing", found.n_missing)?;
    out.set_item("majors", found.majors)?;
    out.set_item("minors", found.minors)?;
    Ok(out)
}

/// Whether types differ between groups of samples: a table and the types that were left out. `cells` is `(types ×
/// samples, names of types, pseudo-total)`, `covariates` samples × covariates, `manner` `(transform, robust)`.
#[pyfunction]
pub(crate) fn cells_composition<'py>(
    py: Python<'py>,
    cells: (PointsArray<'py>, Vec<String>, Option<f64>),
    groups: Labels<'py>,
    covariates: Option<PointsArray<'py>>,
    manner: (String, bool),
    means: Means,
) -> PyResult<(Bound<'py, PyDict>, Vec<String>)> {
    let grid = |array: &PointsArray<'_>| {
        let (values, n_rows, n_cols) = array.rows();
        Grid::from_rows(n_rows, n_cols, values)
    };
    let values = grid(&cells.0);
    let covariates = covariates.as_ref().map(grid);
    let groups = groups.factor().or_raise(py)?;
    let options = CompositionOptions {
        groups: &groups,
        covariates: covariates.as_ref(),
        transform: ShareTransform::from_word(&manner.0).or_raise(py)?,
        robust: manner.1,
    };
    let types = TypesBySamples { values: &values, types: &cells.1, pseudo_total: cells.2 };
    let found = attended(py, &means, |run| composition(run, &types, &options))?;
    Ok((table(py, found.table())?, found.left_out))
}
