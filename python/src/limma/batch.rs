//! Effects of batches, hidden variables, replicates.

use ferrocyte_limma::{
    Batch, LmFitOptions, Method, average_columns, average_duplicates, average_rows, remove_batch_effect, wsva,
};
use pyo3::prelude::*;

use super::fits::array;
use super::inputs::{Design, Grid, Values, Weighing, weights};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// How [`limma_remove_batch_effect`] fits: `(block, correlation, method)`.
type Manner = (Option<Vec<usize>>, Option<f64>, String);

/// Values without the effects of batches (codes and names each) and covariates.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_remove_batch_effect<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    batches: Vec<(Vec<usize>, Vec<String>)>,
    covariates: Option<Grid<'py>>,
    given_weights: Option<Weighing<'py>>,
    manner: Manner,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let (block, correlation, method) = manner;
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let batches: Vec<Batch<'_>> = batches.iter().map(|(codes, levels)| Batch { codes, levels }).collect();
    let covariates = covariates.as_ref().map(Grid::view).transpose()?;
    let options = LmFitOptions {
        weights: weights(given_weights.as_ref())?,
        block: block.as_deref(),
        correlation,
        method: Method::from_word(&method).or_raise(py)?,
        ..LmFitOptions::default()
    };
    let out = attended(py, &means, |run| remove_batch_effect(run, &y, &design, &batches, covariates, &options))?;
    array(py, out)
}

/// Surrogate variables, samples × variables.
#[pyfunction]
pub(crate) fn limma_wsva<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    n_sv: usize,
    weight_by_sd: bool,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let out = attended(py, &means, |run| wsva(run, &y, &design, n_sv, weight_by_sd))?;
    array(py, out)
}

/// Means over rows (`"rows"`) or columns (`"columns"`) with the same code.
#[pyfunction]
pub(crate) fn limma_average<'py>(
    py: Python<'py>,
    values: Grid<'py>,
    given_weights: Option<Grid<'py>>,
    along: &str,
    codes: Vec<usize>,
    n_groups: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let values = values.view()?;
    let weights = given_weights.as_ref().map(Grid::view).transpose()?;
    let out = match along {
        "rows" => average_rows(values, &codes, n_groups),
        _ => average_columns(values, weights, &codes, n_groups),
    };
    array(py, out.or_raise(py)?)
}

/// Means over duplicates within samples.
#[pyfunction]
pub(crate) fn limma_average_duplicates<'py>(
    py: Python<'py>,
    values: Grid<'py>,
    given_weights: Option<Grid<'py>>,
    ndups: usize,
    spacing: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let weights = given_weights.as_ref().map(Grid::view).transpose()?;
    array(py, average_duplicates(values.view()?, weights, ndups, spacing).or_raise(py)?)
}
