//! Samples with planted ecotypes.

use ferrocyte_ecotype::{SimulateOptions, simulate};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

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
    let (mut pointers, mut indices, mut data) = (vec![0_i64], Vec::new(), Vec::new());
    for cell in 0..found.counts.n_cells() {
        let (genes, values) = found.counts.cell(cell);
        indices.extend(genes.iter().map(|&gene| gene as i32));
        data.extend_from_slice(values);
        pointers.push(data.len() as i64);
    }
    let out = PyDict::new(py);
    out.set_item("counts", (pointers.into_pyarray(py), indices.into_pyarray(py), data.into_pyarray(py)))?;
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
