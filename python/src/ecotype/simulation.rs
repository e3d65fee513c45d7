//! Samples with planted ecotypes.

use ferrocyte_ecotype::{SimulateOptions, simulate};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::cells::rows_out;
use crate::monitor::{Means, attended};

/// A `dict` of `counts` (indptr, indices, data), `cells`, `genes`, columns of cells and `programmes` (type, ecotype, gene,
/// effect). `sizes` is `(samples, cells, genes, types, ecotypes, patches)`, `numbers` `(nonse, depth, strength)`.
#[pyfunction]
pub(crate) fn ecotype_simulate(
    py: Python<'_>,
    seed: u64,
    sizes: (usize, usize, usize, usize, usize, usize),
    numbers: (f64, f64, f64),
    means: Means,
) -> PyResult<Bound<'_, PyDict>> {
    let (samples, cells, genes, types, ecotypes, patches) = sizes;
    let (nonse, depth, strength) = numbers;
    let options = SimulateOptions { seed, samples, cells, genes, types, ecotypes, nonse, patches, depth, strength };
    let found = attended(py, &means, |run| simulate(run, &options))?;
    let out = PyDict::new(py);
    out.set_item("counts", rows_out(py, &found.counts))?;
    out.set_item("cells", found.counts.cells())?;
    out.set_item("genes", found.counts.genes())?;
    out.set_item("sample", found.sample)?;
    out.set_item("cell_type", found.cell_type)?;
    out.set_item("ecotype", found.ecotype)?;
    out.set_item("x", found.x.into_pyarray(py))?;
    out.set_item("y", found.y.into_pyarray(py))?;
    let programmes: Vec<_> =
        found.programmes.into_iter().map(|one| (one.cell_type, one.ecotype, one.gene, one.effect)).collect();
    out.set_item("programmes", programmes)?;
    Ok(out)
}
