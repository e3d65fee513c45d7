//! Cells on their way out: values as they enter every method.

use ferrocyte_ecotype::{Duplicates, Expression};
use ferrocyte_io::unique_names;
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use super::inputs::Cells;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::Held;

/// Rows of cells: `(indptr, indices, data)`.
pub(super) type Rows<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f64>>);

/// The values of cells, those that are not 0.
pub(super) fn rows_out<'py>(py: Python<'py>, x: &Expression) -> Rows<'py> {
    let (mut pointers, mut indices, mut data) = (vec![0_i64], Vec::new(), Vec::new());
    for cell in 0..x.n_cells() {
        let (genes, values) = x.cell(cell);
        indices.extend(genes.iter().map(|&gene| gene as i32));
        data.extend_from_slice(values);
        pointers.push(data.len() as i64);
    }
    (pointers.into_pyarray(py), indices.into_pyarray(py), data.into_pyarray(py))
}

/// Cells, normalised as they say.
#[pyfunction]
pub(crate) fn ecotype_values<'py>(py: Python<'py>, cells: Cells<'py>, means: Means) -> PyResult<Rows<'py>> {
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let x = attended(py, &means, |run| named.read(run, &mut *source))?;
    Ok(rows_out(py, &x))
}

/// Names of genes; those that stand more than once are numbered where `duplicates` says so.
#[pyfunction]
pub(crate) fn ecotype_gene_names(py: Python<'_>, genes: Vec<String>, duplicates: &str) -> PyResult<Vec<String>> {
    Ok(match Duplicates::from_word(duplicates).or_raise(py)? {
        Duplicates::Error => genes,
        Duplicates::Unique => unique_names(&genes),
    })
}
