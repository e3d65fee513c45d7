//! Linear models and contrasts of them.

use ferrocyte_limma::{LmFitOptions, Method, contrasts_fit, lm_fit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::fits::{FitArrays, to_dict};
use super::inputs::{Design, Grid, Values, Weighing, weights};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// How [`limma_lm_fit`] fits: `(ndups, spacing, method, check_counts, keep_covariances)`.
type Manner = (usize, usize, String, bool, bool);

/// Linear models of all genes, as a `dict` of arrays.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_lm_fit<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    given_weights: Option<Weighing<'py>>,
    block: Option<Vec<usize>>,
    correlation: Option<f64>,
    manner: Manner,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (ndups, spacing, method, check_counts, keep_covariances) = manner;
    let method = Method::from_word(&method).or_raise(py)?;
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let weights = weights(given_weights.as_ref())?;
    let options = LmFitOptions {
        weights,
        block: block.as_deref(),
        correlation,
        ndups,
        spacing,
        method,
        check_counts,
        keep_covariances,
    };
    let fit = attended(py, &means, |run| lm_fit(run, &y, &design, &options))?;
    to_dict(py, fit)
}

/// A fit of contrasts (coefficients × contrasts), as a `dict` of arrays.
#[pyfunction]
pub(crate) fn limma_contrasts_fit<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    contrasts: Grid<'py>,
    row_names: Vec<String>,
    names: Vec<String>,
    exact: bool,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (fit, contrasts) = (fit.fit()?, contrasts.owned()?);
    let fit = attended(py, &means, |run| contrasts_fit(run, &fit, &contrasts, &row_names, &names, exact))?;
    to_dict(py, fit)
}
