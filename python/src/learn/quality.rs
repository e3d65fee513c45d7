//! How good layouts and divisions are.

use ferrocyte_learn::{adjusted_rand, silhouette, trustworthiness};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;

use super::arrays::{PointsArray, points};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// The trustworthiness of a layout; `manner` is `(k, sample, seed)`.
#[pyfunction]
pub(crate) fn learn_trustworthiness(
    py: Python<'_>,
    truth: PointsArray<'_>,
    layout: PointsArray<'_>,
    manner: (usize, usize, u64),
    means: Means,
) -> PyResult<f64> {
    let (truth, layout, (k, sample, seed)) = (truth.rows(), layout.rows(), manner);
    attended(py, &means, |run| trustworthiness(run, points(&truth)?, points(&layout)?, k, sample, seed))
}

/// The mean silhouette of labels.
#[pyfunction]
pub(crate) fn learn_silhouette(
    py: Python<'_>,
    rows: PointsArray<'_>,
    labels: PyReadonlyArray1<'_, u32>,
    means: Means,
) -> PyResult<f64> {
    let (rows, labels) = (rows.rows(), labels.as_array().to_vec());
    attended(py, &means, |run| silhouette(run, points(&rows)?, &labels))
}

/// The adjusted Rand index of two divisions.
#[pyfunction]
pub(crate) fn learn_agreement(
    py: Python<'_>,
    a: PyReadonlyArray1<'_, u32>,
    b: PyReadonlyArray1<'_, u32>,
) -> PyResult<f64> {
    adjusted_rand(a.as_slice()?, b.as_slice()?).or_raise(py)
}
