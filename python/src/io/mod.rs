//! `fe.io`: what a file holds, and columns and genes of it.
//!
//! * `read`: all of a file, on its way to `AnnData` and `MuData`.
//! * `study`: files of any kind, opened once and asked many times.
//! * `write`: the way back.

pub(crate) mod read;
pub(crate) mod study;
pub(crate) mod write;

use ferrocyte_io::{H5mu, Kind, OpenOptions, open_study};
use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix, column, columns};
use crate::values::{matrix as array, table};

/// The elements of a study of any kind, as a table.
#[pyfunction]
pub(crate) fn h5ad_info<'py>(py: Python<'py>, path: &str, means: Means) -> PyResult<Bound<'py, PyDict>> {
    let found = attended(py, &means, |run| match Kind::of(path)? {
        kind if kind.has_modalities() => Ok(H5mu::open(path)?.describe(run)),
        _ => Ok(open_study(run, path, &OpenOptions::default())?.describe(run)),
    })?;
    table(py, found)
}

/// The values of one gene, cell by cell.
#[pyfunction]
pub(crate) fn gene_values<'py>(
    py: Python<'py>,
    matrix: Matrix<'py>,
    gene: usize,
    means: Means,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let held = Held::new(matrix)?;
    let source = held.open(py).or_raise(py)?;
    Ok(attended(py, &means, |run| column(run, source, gene))?.into_pyarray(py))
}

/// The values of the genes that the matrix selects, cells × genes, in one pass.
#[pyfunction]
pub(crate) fn genes_values<'py>(
    py: Python<'py>,
    matrix: Matrix<'py>,
    means: Means,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let held = Held::new(matrix)?;
    let source = held.open(py).or_raise(py)?;
    let (n_cells, n_genes) = (source.n_rows(), source.n_cols());
    let values = attended(py, &means, |run| columns(run, source))?;
    array(py, n_cells, n_genes, values)
}
