//! Communities of a graph.

use ferrocyte_learn::{Communities, LeidenOptions, LouvainOptions, leiden, louvain, modularity};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arrays::{GraphArrays, codes};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// Leiden's communities; `manner` is `(resolution, randomness, n_iterations, n_starts, seed)`.
#[pyfunction]
pub(crate) fn learn_leiden<'py>(
    py: Python<'py>,
    graph: GraphArrays<'py>,
    manner: (f64, f64, Option<usize>, Option<usize>, u64),
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (resolution, randomness, n_iterations, n_starts, seed) = manner;
    let graph = graph.graph().or_raise(py)?;
    let options = LeidenOptions { resolution, randomness, n_iterations, n_starts, seed };
    let found = attended(py, &means, |run| leiden(run, &graph, &options))?;
    communities(py, found)
}

/// Louvain's communities.
#[pyfunction]
pub(crate) fn learn_louvain<'py>(
    py: Python<'py>,
    graph: GraphArrays<'py>,
    resolution: f64,
    seed: u64,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let graph = graph.graph().or_raise(py)?;
    let options = LouvainOptions { resolution, seed };
    let found = attended(py, &means, |run| louvain(run, &graph, &options))?;
    communities(py, found)
}

/// The modularity of labels, with a resolution.
#[pyfunction]
pub(crate) fn learn_modularity(
    py: Python<'_>,
    graph: GraphArrays<'_>,
    labels: PyReadonlyArray1<'_, u32>,
    resolution: f64,
) -> PyResult<f64> {
    let graph = graph.graph().or_raise(py)?;
    modularity(&graph, labels.as_slice()?, resolution).or_raise(py)
}

fn communities(py: Python<'_>, found: Communities) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("n", found.n())?;
    out.set_item("modularity", found.modularity)?;
    out.set_item("iterations", found.iterations)?;
    out.set_item("labels", codes(py, found.labels))?;
    Ok(out)
}
