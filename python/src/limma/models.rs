//! Design matrices and contrasts.

use ferrocyte_limma::{DesignMatrix, contrast_as_coef, make_contrasts, non_estimable};
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::fits::array;
use super::inputs::{Design, Grid};
use crate::faults::OrRaise;
use crate::obs::frame;
use crate::values::matrix;

/// The design matrix of a formula over columns of a table of samples, and the names of its columns.
#[pyfunction]
pub(crate) fn limma_model_matrix<'py>(
    py: Python<'py>,
    formula: &str,
    names: Vec<String>,
    n_samples: usize,
    columns: &Bound<'py, PyDict>,
) -> PyResult<(Bound<'py, PyArray2<f64>>, Vec<String>)> {
    let samples = frame(py, n_samples, columns)?;
    let design = DesignMatrix::from_formula(formula, &samples, &names).or_raise(py)?;
    let (rows, names) = (design.n_samples(), design.names().to_vec());
    let entries = design.matrix().entries().to_vec();
    Ok((matrix(py, rows, names.len(), entries)?, names))
}

/// The columns of the table of samples that a formula uses.
#[pyfunction]
pub(crate) fn limma_variables(py: Python<'_>, formula: &str) -> PyResult<Vec<String>> {
    DesignMatrix::variables(formula).or_raise(py)
}

/// Contrasts written as expressions: coefficients × expressions.
#[pyfunction]
pub(crate) fn limma_make_contrasts(
    py: Python<'_>,
    expressions: Vec<String>,
    levels: Vec<String>,
) -> PyResult<Bound<'_, PyAny>> {
    array(py, make_contrasts(&expressions, &levels).or_raise(py)?)
}

/// Columns of a design that depend on those before them.
#[pyfunction]
pub(crate) fn limma_non_estimable(py: Python<'_>, design: Design<'_>) -> PyResult<Vec<String>> {
    Ok(non_estimable(&design.design()?.or_raise(py)?))
}

/// A design whose coefficients are contrasts: its entries, its names, and which of them are the contrasts.
#[pyfunction]
pub(crate) fn limma_contrast_as_coef<'py>(
    py: Python<'py>,
    design: Design<'py>,
    contrasts: Grid<'py>,
    names: Vec<String>,
    first: bool,
) -> PyResult<(Bound<'py, PyAny>, Vec<String>, Vec<usize>)> {
    let design = design.design()?.or_raise(py)?;
    let out = contrast_as_coef(&design, &contrasts.owned()?, &names, first).or_raise(py)?;
    Ok((array(py, out.design.matrix().clone())?, out.design.names().to_vec(), out.coefficients))
}
