//! Design matrices and contrasts.

use ferrocyte_limma::DesignMatrix;
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::obs::frame;
use crate::values::matrix;

/// The design matrix of a formula over columns of a table of samples, and the names of its columns.
#[pyfunction]
pub(crate) fn limma_model_matrix<'py>(
    py: Python<'py>,
    formula: &str,
    n_samples: usize,
    columns: &Bound<'py, PyDict>,
) -> PyResult<(Bound<'py, PyArray2<f64>>, Vec<String>)> {
    let samples = frame(py, n_samples, columns)?;
    let design = DesignMatrix::from_formula(formula, &samples, &[]).or_raise(py)?;
    let (rows, names) = (design.n_samples(), design.names().to_vec());
    let entries = design.matrix().entries().to_vec();
    Ok((matrix(py, rows, names.len(), entries)?, names))
}
