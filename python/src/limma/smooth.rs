//! Smooth curves.

use ferrocyte_math::interpolate::Interpolator;
use ferrocyte_math::lowess::{LowessOptions, choose_lowess_span, lowess};
use ferrocyte_math::weighted_lowess::{WeightedLowessOptions, loess_fit, weighted_lowess};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::faults::OrRaise;

type Numbers<'py> = PyReadonlyArray1<'py, f64>;
type Array<'py> = Bound<'py, PyArray1<f64>>;

/// Rising x, the curve there, and the curve at the points as given.
#[pyfunction]
pub(crate) fn limma_lowess<'py>(
    py: Python<'py>,
    x: Numbers<'py>,
    y: Numbers<'py>,
    span: f64,
    iterations: usize,
    delta: Option<f64>,
) -> PyResult<(Array<'py>, Array<'py>, Array<'py>)> {
    let options = LowessOptions { span, iterations, delta };
    let fit = lowess(x.as_slice()?, y.as_slice()?, &options).or_raise(py)?;
    let fitted = fit.fitted();
    Ok((fit.x.into_pyarray(py), fit.y.into_pyarray(py), fitted.into_pyarray(py)))
}

/// The curve, residuals, robustness weights and the distance between places.
#[pyfunction]
pub(crate) fn limma_weighted_lowess<'py>(
    py: Python<'py>,
    x: Numbers<'py>,
    y: Numbers<'py>,
    weights: Numbers<'py>,
    span: f64,
    iterations: usize,
    places: usize,
) -> PyResult<(Array<'py>, Array<'py>, Array<'py>, f64)> {
    let options = WeightedLowessOptions { span, iterations, places };
    let fit = weighted_lowess(x.as_slice()?, y.as_slice()?, weights.as_slice()?, &options).or_raise(py)?;
    Ok((fit.fitted.into_pyarray(py), fit.residuals.into_pyarray(py), fit.weights.into_pyarray(py), fit.delta))
}

/// The curve and residuals.
#[pyfunction]
pub(crate) fn limma_loess_fit<'py>(
    py: Python<'py>,
    y: Numbers<'py>,
    x: Numbers<'py>,
    weights: Option<Numbers<'py>>,
    span: f64,
    iterations: usize,
) -> PyResult<(Array<'py>, Array<'py>)> {
    let weights = weights.as_ref().map(Numbers::as_slice).transpose()?;
    let fit = loess_fit(y.as_slice()?, x.as_slice()?, weights, span, iterations).or_raise(py)?;
    Ok((fit.fitted.into_pyarray(py), fit.residuals.into_pyarray(py)))
}

/// A span for a number of points.
#[pyfunction]
pub(crate) fn limma_lowess_span(n: usize, small: f64, least: f64, power: f64) -> f64 {
    choose_lowess_span(n, small, least, power)
}

/// Values between points, constant beyond them.
#[pyfunction]
pub(crate) fn limma_interpolate<'py>(
    py: Python<'py>,
    x: Numbers<'py>,
    y: Numbers<'py>,
    at: Numbers<'py>,
) -> PyResult<Array<'py>> {
    let line = Interpolator::new(x.as_slice()?, y.as_slice()?);
    Ok(at.as_slice()?.iter().map(|&v| line.at(v)).collect::<Vec<f64>>().into_pyarray(py))
}
