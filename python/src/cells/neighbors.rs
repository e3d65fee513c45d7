//! Neighbours of cells, and the graph of them.

use ferrocyte_base::Fault;
use ferrocyte_learn::{KnnOptions, Metric, Points, Search, connectivities, gauss, jaccard, nearest};
use numpy::{IntoPyArray, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// How neighbours are found and joined: `ferrocyte.pp._neighbors._How`.
#[derive(FromPyObject)]
pub(crate) struct How {
    k: usize,
    metric: String,
    search: String,
    method: String,
    seed: u64,
}

impl How {
    fn knn(&self) -> ferrocyte_base::Result<KnnOptions> {
        let metrics = [Metric::Euclidean, Metric::Cosine, Metric::Correlation, Metric::Manhattan];
        let Some(metric) = metrics.into_iter().find(|metric| metric.word() == self.metric) else {
            let words: Vec<&str> = metrics.iter().map(|metric| metric.word()).collect();
            return Err(Fault::unsupported(format!("there is no metric `{}`", self.metric))
                .at("metric")
                .hint(format!("it is one of {}", ferrocyte_base::listing(&words, 9))));
        };
        let search = match self.search.as_str() {
            "exact" => Search::Exact,
            "approximate" => Search::Approximate,
            _ => Search::Automatic,
        };
        Ok(KnnOptions { k: self.k, metric, search, seed: self.seed, ..KnnOptions::default() })
    }
}

/// A `dict` of `k`, `indices` and `distances` (cells after cells, each its own first neighbour), of `starts`,
/// `neighbours` and `weights` of the graph, and of `recall` (`None` after an exact search).
#[pyfunction]
pub(crate) fn cells_neighbors<'py>(
    py: Python<'py>,
    points: PyReadonlyArray2<'py, f64>,
    how: How,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (n, d) = (points.shape()[0], points.shape()[1]);
    let values = points.as_slice().map_err(|_| Fault::internal("points are not contiguous")).or_raise(py)?;
    let options = how.knn().or_raise(py)?;
    let (found, graph) = attended(py, &means, |run| {
        let found = nearest(run, Points::new(values, n, d)?, &options)?;
        let graph = match how.method.as_str() {
            "gauss" => gauss(run, &found)?,
            "jaccard" => jaccard(run, &found)?,
            _ => connectivities(run, &found)?,
        };
        Ok((found, graph))
    })?;
    let out = PyDict::new(py);
    out.set_item("k", found.k())?;
    out.set_item("recall", found.recall())?;
    out.set_item("indices", found.indices().to_vec().into_pyarray(py))?;
    out.set_item("distances", found.distances().to_vec().into_pyarray(py))?;
    let starts: Vec<i64> = graph.starts().iter().map(|&s| s as i64).collect();
    out.set_item("starts", starts.into_pyarray(py))?;
    out.set_item("neighbours", graph.neighbours().to_vec().into_pyarray(py))?;
    out.set_item("weights", graph.weights().to_vec().into_pyarray(py))?;
    Ok(out)
}
