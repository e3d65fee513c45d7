//! New cells on known programs, and k-means by the rules of others.

use ferrocyte_learn::nmf::Rule;
use ferrocyte_math::linalg::Matrix as Dense;
use ferrocyte_programs::{Names, Reference, UnitSpectra, peer_kmeans, project};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::words::indices;
use crate::faults::OrRaise;
use crate::learn::PointsArray;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};
use crate::values::matrix;

/// A `dict` of `usages` and `shares` (cells × programs), `missing` (names of genes), `shared` (places in the reference),
/// `idle_cells`.
#[pyfunction]
pub(crate) fn cnmf_project<'py>(
    py: Python<'py>,
    counts: Matrix<'py>,
    names: (Vec<String>, Vec<String>),
    known: (Vec<String>, Vec<String>, PointsArray<'py>),
    refit: &str,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let rule = Rule::from_word(refit).or_raise(py)?;
    let names = Names { cells: names.0, genes: names.1 };
    let (spectra, _, _) = known.2.rows();
    let reference = Reference { programs: known.0, genes: known.1, spectra };
    let held = Held::new(counts)?;
    let mut rows = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let found = project(run, &mut *rows, &names, &reference, rule)?;
        found.warnings.iter().for_each(|warning| run.warn(warning));
        Ok(found)
    })?;
    let (n, k) = (names.cells.len(), reference.programs.len());
    let out = PyDict::new(py);
    out.set_item("shares", matrix(py, n, k, found.shares())?)?;
    out.set_item("usages", matrix(py, n, k, found.usages)?)?;
    out.set_item("missing", found.missing)?;
    out.set_item("shared", indices(py, found.shared))?;
    out.set_item("idle_cells", indices(py, found.idle_cells))?;
    Ok(out)
}

/// Clusters of rows: labels from 0, centres, inertia, iterations, and the silhouette of the rows as unit vectors.
#[pyfunction]
pub(crate) fn cnmf_kmeans<'py>(
    py: Python<'py>,
    rows: PointsArray<'py>,
    k: usize,
    seed: u32,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (values, n, d) = rows.rows();
    let rows = Dense::from_rows(n, d, values);
    let (found, silhouette) = attended(py, &means, |run| {
        let found = peer_kmeans(run, &rows, k, seed)?;
        let silhouette = UnitSpectra::new(rows.entries(), n).silhouette(run, &found.labels, k)?;
        Ok((found, silhouette))
    })?;
    let out = PyDict::new(py);
    out.set_item("labels", indices(py, found.labels.iter().map(|l| *l as usize).collect()))?;
    out.set_item("centres", matrix(py, k, d, found.centres.entries().to_vec())?)?;
    out.set_item("inertia", found.inertia)?;
    out.set_item("iterations", found.iterations)?;
    out.set_item("silhouette", silhouette.unwrap_or(f64::NAN))?;
    Ok(out)
}
