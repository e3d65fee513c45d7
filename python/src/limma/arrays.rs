//! Weights of samples and correlation within blocks.

use ferrocyte_limma::{
    ArrayWeightMethod, ArrayWeightOptions, CorrelationOptions, VarianceModel, array_weights, array_weights_quick,
    duplicate_correlation,
};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;

use super::fits::FitArrays;
use super::inputs::{Design, Grid, Values, Weighing, weights};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// Weights of samples; variances depend on samples, on groups (codes), or on a design. `manner` is `(prior_n, method,
/// maxiter, tol)`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_array_weights<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    given_weights: Option<Weighing<'py>>,
    var_group: Option<Vec<usize>>,
    var_design: Option<Grid<'py>>,
    manner: (f64, String, usize, f64),
    means: Means,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (prior_n, method, maxiter, tol) = manner;
    let method = ArrayWeightMethod::from_word(&method).or_raise(py)?;
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let weights = weights(given_weights.as_ref())?;
    let variances = match (&var_group, &var_design) {
        (Some(group), _) => VarianceModel::Groups(group),
        (None, Some(z)) => VarianceModel::Design(z.view()?),
        (None, None) => VarianceModel::Samples,
    };
    let options = ArrayWeightOptions { weights, variances, prior_n, method, maxiter, tol };
    let out = attended(py, &means, |run| array_weights(run, &y, &design, &options))?;
    Ok(out.into_pyarray(py))
}

/// Weights of samples from a fit.
#[pyfunction]
pub(crate) fn limma_array_weights_quick<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    fit: FitArrays<'py>,
    means: Means,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let y = values.expression()?.or_raise(py)?;
    let (design, fit) = (design.design()?.or_raise(py)?, fit.fit()?);
    let out = attended(py, &means, |run| array_weights_quick(run, &y, &design, &fit))?;
    Ok(out.into_pyarray(py))
}

/// The consensus correlation and atanh of each gene's; `manner` is `(ndups, spacing, trim)`.
#[pyfunction]
pub(crate) fn limma_duplicate_correlation<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    given_weights: Option<Weighing<'py>>,
    block: Option<Vec<usize>>,
    manner: (usize, usize, f64),
    means: Means,
) -> PyResult<(f64, Bound<'py, PyArray1<f64>>)> {
    let (ndups, spacing, trim) = manner;
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let weights = weights(given_weights.as_ref())?;
    let options = CorrelationOptions { block: block.as_deref(), ndups, spacing, trim, weights };
    let out = attended(py, &means, |run| duplicate_correlation(run, &y, &design, &options))?;
    Ok((out.consensus, out.atanh_correlations.into_pyarray(py)))
}
