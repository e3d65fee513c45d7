//! Consensus clusters.

use ferrocyte_cells::sc3::{Sc3Options, sc3};
use numpy::PyArray1;
use pyo3::prelude::*;

use super::labels::factor;
use crate::learn::{PointsArray, points};
use crate::monitor::{Means, attended};

/// The number of clusters, codes and levels of cells, and how far the runs agree.
type Found<'py> = (usize, Bound<'py, PyArray1<i32>>, Vec<String>, f64);

/// Clusters for each number of them; `manner` is `(n_runs, d_range, n_facility, multiplier_facility, seed)`.
#[pyfunction]
pub(crate) fn cells_sc3<'py>(
    py: Python<'py>,
    basis: PointsArray<'py>,
    n_clusters: Vec<usize>,
    manner: (usize, Option<Vec<usize>>, Option<usize>, usize, u64),
    means: Means,
) -> PyResult<Vec<Found<'py>>> {
    let (n_runs, d_range, n_facility, multiplier_facility, seed) = manner;
    let options = Sc3Options { n_clusters, n_runs, d_range, n_facility, multiplier_facility, seed };
    let rows = basis.rows();
    let found = attended(py, &means, |run| sc3(run, points(&rows)?, &options))?;
    let one = |consensus: ferrocyte_cells::sc3::Consensus| {
        let (codes, levels) = factor(py, consensus.labels);
        (consensus.k, codes, levels, consensus.agreement)
    };
    Ok(found.into_iter().map(one).collect())
}
