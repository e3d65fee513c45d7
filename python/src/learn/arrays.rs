//! Graphs and points on their way in, and labels on their way out.

use ferrocyte_base::Result;
use ferrocyte_learn::{Graph, Points};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;

/// A symmetric matrix without diagonal or zeros, as scipy's `indptr`, `indices` (rising in each row) and `data`.
#[derive(FromPyObject)]
pub(crate) struct GraphArrays<'py>(PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, i32>, PyReadonlyArray1<'py, f32>);

impl GraphArrays<'_> {
    /// The graph; what is wrong with the arrays is for the crate to say.
    pub(super) fn graph(&self) -> Result<Graph> {
        // What is negative is beyond every end.
        let starts = self.0.as_array().iter().map(|&p| usize::try_from(p).unwrap_or(usize::MAX)).collect();
        let neighbours = self.1.as_array().iter().map(|&j| u32::try_from(j).unwrap_or(u32::MAX)).collect();
        Graph::new(starts, neighbours, self.2.as_array().to_vec())
    }
}

/// Rows of coordinates.
#[derive(FromPyObject)]
pub(crate) struct PointsArray<'py>(PyReadonlyArray2<'py, f64>);

impl PointsArray<'_> {
    /// The entries, row after row, whatever their order in memory, and the shape.
    pub(crate) fn rows(&self) -> (Vec<f64>, usize, usize) {
        let array = self.0.as_array();
        (array.iter().copied().collect(), array.nrows(), array.ncols())
    }
}

/// Looks at rows as points.
pub(crate) fn points((values, n, d): &(Vec<f64>, usize, usize)) -> Result<Points<'_>> {
    Points::new(values, *n, *d)
}

/// Labels as codes of a categorical.
pub(super) fn codes(py: Python<'_>, labels: Vec<u32>) -> Bound<'_, PyArray1<i32>> {
    labels.into_iter().map(|label| label as i32).collect::<Vec<_>>().into_pyarray(py)
}
