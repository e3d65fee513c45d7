//! Statistics of labels and coordinates.

use ferrocyte_ecotype::statistics::{
    AbundanceOptions, BlockTest, ColocalizationOptions, Spots, States, abundance, block_test, coassociation,
    colocalization, colocalization_meta, infer_ncells, moran, partition_tissue, smooth_abundance,
};
use numpy::{IntoPyArray, PyReadonlyArray2};
use pyo3::prelude::*;

use super::inputs::{Seed, dense, draws};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::values::matrix;

/// States as `(names, ecotypes, values)`.
#[derive(FromPyObject)]
pub(crate) struct StatesIn<'py>(Vec<String>, Vec<String>, PyReadonlyArray2<'py, f64>);

impl StatesIn<'_> {
    fn states(&self) -> States {
        States { names: self.0.clone(), ecotypes: self.1.clone(), values: dense(&self.2) }
    }
}

fn states_out(py: Python<'_>, states: States) -> PyResult<Bound<'_, PyAny>> {
    let n = states.names.len();
    let values = matrix(py, n, n, states.values.into_entries())?;
    Ok((states.names, states.ecotypes, values).into_pyobject(py)?.into_any())
}

/// Correlations of shares of states over samples.
#[pyfunction]
pub(crate) fn ecotype_coassociation<'py>(
    py: Python<'py>,
    ecotype: Vec<String>,
    cell_type: Vec<String>,
    sample: Vec<String>,
    non_se: &str,
) -> PyResult<Bound<'py, PyAny>> {
    states_out(py, coassociation(&ecotype, &cell_type, &sample, non_se).or_raise(py)?)
}

/// Ecotypes, means of blocks, z and p.
#[pyfunction]
pub(crate) fn ecotype_block_test<'py>(
    py: Python<'py>,
    states: StatesIn<'py>,
    n_permutations: usize,
    seed: Seed,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let (states, mut draws) = (states.states(), draws(&seed, "block test").or_raise(py)?);
    let found = attended(py, &means, |run| block_test(run, &states, n_permutations, &mut draws))?;
    let numbers = [found.mean, found.z, found.p].map(|v| v.into_pyarray(py));
    Ok((found.ecotypes, numbers).into_pyobject(py)?.into_any())
}

/// Coordinates of cells.
type Places = (Vec<f64>, Vec<f64>);

/// Observed shares and z; `options` is `(radius, k, min_cell, n_permutations)`.
#[pyfunction]
pub(crate) fn ecotype_colocalization(
    py: Python<'_>,
    places: Places,
    cell_type: Vec<String>,
    state: Vec<String>,
    options: (f64, usize, usize, usize),
    seed: Seed,
    means: Means,
) -> PyResult<Bound<'_, PyAny>> {
    let (radius, k, min_cell, n_permutations) = options;
    let options = ColocalizationOptions { radius, k, min_cell, n_permutations };
    let mut draws = draws(&seed, "colocalization").or_raise(py)?;
    let found = attended(py, &means, |run| {
        colocalization(run, &places.0, &places.1, &cell_type, &state, &options, &mut draws)
    })?;
    Ok((states_out(py, found.observed)?, states_out(py, found.z)?).into_pyobject(py)?.into_any())
}

/// Combined z of states, and ecotypes with combined z and p. Tests are `(ecotypes, z)`.
#[pyfunction]
pub(crate) fn ecotype_meta<'py>(
    py: Python<'py>,
    z: Vec<StatesIn<'py>>,
    tests: Vec<(Vec<String>, Vec<f64>)>,
    cap: f64,
    min_samples: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let z: Vec<States> = z.iter().map(StatesIn::states).collect();
    let tests: Vec<BlockTest> = tests
        .into_iter()
        .map(|(ecotypes, z)| BlockTest { ecotypes, mean: vec![f64::NAN; z.len()], p: vec![f64::NAN; z.len()], z })
        .collect();
    let found = colocalization_meta(&z, &tests, cap, min_samples).or_raise(py)?;
    let numbers = [found.z, found.p].map(|v| v.into_pyarray(py));
    Ok((states_out(py, found.index)?, found.ecotypes, numbers).into_pyobject(py)?.into_any())
}

/// Ecotypes, Moran's I and z.
#[pyfunction]
pub(crate) fn ecotype_moran(
    py: Python<'_>,
    places: Places,
    cell_type: Vec<String>,
    ecotype: Vec<String>,
    options: (usize, usize),
    seed: Seed,
    means: Means,
) -> PyResult<Bound<'_, PyAny>> {
    let mut draws = draws(&seed, "moran").or_raise(py)?;
    let found = attended(py, &means, |run| {
        moran(run, &places.0, &places.1, &cell_type, &ecotype, options.0, options.1, &mut draws)
    })?;
    let numbers = [found.i, found.z].map(|v| v.into_pyarray(py));
    Ok((found.ecotypes, numbers).into_pyobject(py)?.into_any())
}

fn spots_out(py: Python<'_>, spots: Spots) -> PyResult<Bound<'_, PyAny>> {
    let shares = matrix(py, spots.names.len(), spots.ecotypes.len(), spots.shares.into_entries())?;
    Ok((spots.names, spots.x, spots.y, spots.ecotypes, shares).into_pyobject(py)?.into_any())
}

/// Shares of ecotypes around the squares of a grid; `options` is `(radius, grid_size, k, min_cells)`.
#[pyfunction]
pub(crate) fn ecotype_abundance(
    py: Python<'_>,
    places: Places,
    ecotype: Vec<String>,
    options: (f64, f64, usize, usize),
) -> PyResult<Bound<'_, PyAny>> {
    let (radius, grid_size, k, min_cells) = options;
    let options = AbundanceOptions { radius, grid_size, k, min_cells };
    spots_out(py, abundance(&places.0, &places.1, &ecotype, &options).or_raise(py)?)
}

/// Shares averaged over the nearest spots.
#[pyfunction]
pub(crate) fn ecotype_smooth<'py>(
    py: Python<'py>,
    names: Vec<String>,
    places: Places,
    ecotypes: Vec<String>,
    shares: PyReadonlyArray2<'py, f64>,
    k: usize,
    include_self: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let spots = Spots { names, x: places.0, y: places.1, ecotypes, shares: dense(&shares) };
    spots_out(py, smooth_abundance(&spots, k, include_self).or_raise(py)?)
}

/// How many cells spots hold, from their sums.
#[pyfunction]
pub(crate) fn ecotype_infer_ncells(sums: Vec<f64>, average: f64) -> Vec<i64> {
    infer_ncells(&sums, average)
}

/// The part of a tissue that each point is in.
#[pyfunction]
pub(crate) fn ecotype_partition(
    py: Python<'_>,
    places: Places,
    n_rows: usize,
    n_columns: usize,
) -> PyResult<Vec<String>> {
    partition_tissue(&places.0, &places.1, n_rows, n_columns).or_raise(py)
}
