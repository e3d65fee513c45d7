//! Batches brought together.

use ferrocyte_base::Fault;
use ferrocyte_cells::harmony::{HarmonyOptions, Ridge, harmony};
use ferrocyte_learn::Points;
use ferrocyte_math::linalg::Matrix as Numbers;
use numpy::{IntoPyArray, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::factors;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::values::matrix;

/// How batches are brought together: `ferrocyte.pp._harmony._How`.
#[derive(FromPyObject)]
pub(crate) struct How<'py> {
    n_clusters: Option<usize>,
    theta: f64,
    sigma: f64,
    tau: f64,
    /// `("fixed", lambda, _)` or `("expected", alpha, least share)`.
    ridge: (String, f64, f64),
    max_iter: usize,
    max_iter_kmeans: usize,
    eps_cluster: f64,
    eps_harmony: f64,
    block_size: f64,
    shuffle: bool,
    /// Start centres, clusters × components.
    start: Option<PyReadonlyArray2<'py, f64>>,
    seed: u64,
}

impl How<'_> {
    fn options(&self) -> ferrocyte_base::Result<HarmonyOptions> {
        let ridge = match self.ridge.0.as_str() {
            "fixed" => Ridge::Fixed(self.ridge.1),
            _ => Ridge::Expected { alpha: self.ridge.1, least_share: self.ridge.2 },
        };
        let start = match &self.start {
            Some(start) => {
                let values = start.as_slice().map_err(|_| Fault::internal("start centres are not contiguous"))?;
                Some(Numbers::from_rows(start.shape()[0], start.shape()[1], values.to_vec()))
            }
            None => None,
        };
        Ok(HarmonyOptions {
            n_clusters: self.n_clusters,
            theta: self.theta,
            sigma: self.sigma,
            tau: self.tau,
            ridge,
            max_iter: self.max_iter,
            max_iter_kmeans: self.max_iter_kmeans,
            eps_cluster: self.eps_cluster,
            eps_harmony: self.eps_harmony,
            block_size: self.block_size,
            shuffle: self.shuffle,
            start,
            seed: self.seed,
        })
    }
}

/// A `dict` of `corrected` (cells × components), `memberships` (cells × clusters), `observed` and `expected` (clusters ×
/// batches), `objective`, `rounds` and `converged`.
#[pyfunction]
pub(crate) fn cells_harmony<'py>(
    py: Python<'py>,
    points: PyReadonlyArray2<'py, f64>,
    batches: &Bound<'py, PyDict>,
    how: How<'py>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (n, d) = (points.shape()[0], points.shape()[1]);
    let values = points.as_slice().map_err(|_| Fault::internal("points are not contiguous")).or_raise(py)?;
    let options = how.options().or_raise(py)?;
    let batches = factors(py, n, batches)?;
    let found = attended(py, &means, |run| {
        harmony(run, Points::new(values, n, d)?, &batches.iter().collect::<Vec<_>>(), &options)
    })?;
    let out = PyDict::new(py);
    let parts = [
        ("corrected", &found.corrected),
        ("memberships", &found.memberships),
        ("observed", &found.observed),
        ("expected", &found.expected),
    ];
    for (name, part) in parts {
        out.set_item(name, matrix(py, part.n_rows(), part.n_cols(), part.entries().to_vec())?)?;
    }
    out.set_item("objective", found.objective.into_pyarray(py))?;
    out.set_item("rounds", found.rounds)?;
    out.set_item("converged", found.converged)?;
    Ok(out)
}
