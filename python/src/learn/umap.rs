//! Layouts of graphs.

use ferrocyte_base::{Fault, Result};
use ferrocyte_learn::{Curve, Start, UmapOptions, umap};
use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

use super::arrays::{GraphArrays, PointsArray, points};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// How a layout is made, as the package describes it: `ferrocyte.tl._umap.Layout`.
#[derive(FromPyObject)]
pub(crate) struct Layout {
    dims: usize,
    min_dist: f64,
    spread: f64,
    curve: Option<(f64, f64)>,
    n_epochs: Option<usize>,
    negatives: f64,
    learning_rate: f64,
    repulsion: f64,
    seed: u64,
}

impl Layout {
    fn options(&self) -> UmapOptions {
        UmapOptions {
            dims: self.dims,
            min_dist: self.min_dist,
            spread: self.spread,
            curve: self.curve.map(|(a, b)| Curve { a, b }),
            n_epochs: self.n_epochs,
            negatives: self.negatives,
            learning_rate: self.learning_rate,
            repulsion: self.repulsion,
            seed: self.seed,
        }
    }
}

/// Coordinates of all points, and a and b of the curve. `start` is `spectral` (with points: these place the components),
/// `random`, or `given`.
#[pyfunction]
pub(crate) fn learn_umap<'py>(
    py: Python<'py>,
    graph: GraphArrays<'py>,
    start: (String, Option<PointsArray<'py>>),
    layout: Layout,
    means: Means,
) -> PyResult<(Bound<'py, PyArray2<f32>>, f64, f64)> {
    let graph = graph.graph().or_raise(py)?;
    let rows = start.1.map(|given| given.rows());
    let found = attended(py, &means, |run| {
        let given = rows.as_ref().map(points).transpose()?;
        umap(run, &graph, start_of(&start.0, given)?, &layout.options())
    })?;
    let (a, b) = (found.curve.a, found.curve.b);
    let n = found.coordinates.len() / found.dims.max(1);
    Ok((found.coordinates.into_pyarray(py).reshape([n, found.dims])?, a, b))
}

fn start_of<'a>(word: &str, given: Option<ferrocyte_learn::Points<'a>>) -> Result<Start<'a>> {
    match (word, given) {
        ("spectral", None) => Ok(Start::Spectral),
        ("spectral", Some(points)) => Ok(Start::SpectralOf(points)),
        ("random", None) => Ok(Start::Random),
        ("given", Some(points)) => Ok(Start::Given(points)),
        (other, _) => Err(Fault::internal(format!("there is no start `{other}`"))),
    }
}
