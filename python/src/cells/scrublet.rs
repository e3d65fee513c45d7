//! Doublets.

use ferrocyte_cells::scrublet::{ScrubletOptions, scrublet};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::NameLists;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};

/// How doublets are looked for: `ferrocyte.pp._scrublet._How`.
#[derive(FromPyObject)]
pub(crate) struct How {
    expected_rate: f64,
    se_rate: f64,
    sim_ratio: f64,
    n_comps: usize,
    n_neighbors: Option<usize>,
    log_transform: bool,
    threshold: Option<f64>,
    parents: Option<Vec<(u32, u32)>>,
    seed: u64,
}

/// A `dict` of `score`, `se` and `is_doublet` of cells, `simulated`, `threshold` (or `None`) and `parents`.
#[pyfunction]
pub(crate) fn cells_scrublet<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    how: How,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = ScrubletOptions {
        expected_rate: how.expected_rate,
        se_rate: how.se_rate,
        sim_ratio: how.sim_ratio,
        n_comps: how.n_comps,
        n_neighbors: how.n_neighbors,
        log_transform: how.log_transform,
        counts_itself: true,
        threshold: how.threshold,
        parents: how.parents,
        seed: how.seed,
    };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| scrublet(run, &mut *source, &names.names(), &options))?;
    let out = PyDict::new(py);
    let parents: Vec<u32> = found.parents.iter().flat_map(|&(a, b)| [a, b]).collect();
    out.set_item("score", found.score.into_pyarray(py))?;
    out.set_item("se", found.se.into_pyarray(py))?;
    out.set_item("is_doublet", found.is_doublet.into_pyarray(py))?;
    out.set_item("simulated", found.simulated.into_pyarray(py))?;
    out.set_item("threshold", found.threshold)?;
    out.set_item("parents", parents.into_pyarray(py))?;
    Ok(out)
}
