//! `fe.io`: what a file holds, and columns and genes of it.
//!
//! * `read`: all of a file, on its way to `AnnData` and `MuData`.
//! * `write`: the way back.

pub(crate) mod read;
pub(crate) mod write;

use ferrocyte_base::Run;
use ferrocyte_io::H5ad;
use ferrocyte_mixed::lmm::GeneMask;
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::simulate::columns;
use crate::sources::{Held, Matrix, column};
use crate::values::table;

/// The elements of an .h5ad file, as a table.
#[pyfunction]
pub(crate) fn h5ad_info<'py>(py: Python<'py>, path: &str, means: Means) -> PyResult<Bound<'py, PyDict>> {
    let found = attended(py, &means, |run| Ok(H5ad::open(path)?.describe(run)))?;
    table(py, found)
}

/// Shape, names of genes, names of matrices.
type Index = ((usize, usize), Vec<String>, Vec<String>);

/// Shape and gene names of a matrix of a file, and the names of all its matrices.
#[pyfunction]
pub(crate) fn h5ad_index(py: Python<'_>, path: &str, element: &str) -> PyResult<Index> {
    let open = || {
        let file = H5ad::open(path)?;
        let genes = file.var_names(element)?;
        Ok(((file.n_obs(), genes.len()), genes, file.matrices()))
    };
    py.detach(open).or_raise(py)
}

/// What a matrix of a file is: the same text as the program's, so that parts of both can be merged.
#[pyfunction]
pub(crate) fn h5ad_fingerprint(py: Python<'_>, path: &str, element: &str) -> PyResult<String> {
    py.detach(|| H5ad::open(path)?.fingerprint(&Run::new().threads(1), element)).or_raise(py)
}

/// The genes that a column of `var` chooses: a truth value for each.
#[pyfunction]
pub(crate) fn h5ad_mask(py: Python<'_>, path: &str, name: &str) -> PyResult<Vec<bool>> {
    let read = || GeneMask::from_column(name, H5ad::open(path)?.var(&[name])?.column(name)?);
    Ok(py.detach(read).or_raise(py)?.kept)
}

/// Columns of `obs`: numbers, or codes (-1 where missing) and levels; and the names of the cells if `cells` is true.
/// Those of `optional` are given if they exist, and all that are categorical if `all_factors` is true.
#[pyfunction]
#[pyo3(signature = (path, names, optional, all_factors = false, cells = false))]
pub(crate) fn h5ad_obs<'py>(
    py: Python<'py>,
    path: &str,
    names: Vec<String>,
    optional: Vec<String>,
    all_factors: bool,
    cells: bool,
) -> PyResult<(Bound<'py, PyDict>, Vec<String>)> {
    let read = || {
        let file = H5ad::open(path)?;
        let mut frame = file.obs(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut more = optional.clone();
        if all_factors {
            let categories = file
                .obs_columns()
                .into_iter()
                .filter(|(_, kind)| matches!(kind, ferrocyte_io::ColumnKind::Category { .. }));
            more.extend(categories.map(|(name, _)| name));
        }
        let more: Vec<&str> = more.iter().map(String::as_str).filter(|name| frame.get(name).is_none()).collect();
        let others = file.obs_if_present(&more)?;
        for name in others.names() {
            if let Some(column) = others.get(name) {
                frame.insert(name, column.clone())?;
            }
        }
        Ok((frame, if cells { file.obs_names()? } else { Vec::new() }))
    };
    let (frame, cell_names) = py.detach(read).or_raise(py)?;
    Ok((columns(py, &frame)?, cell_names))
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
