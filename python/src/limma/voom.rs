//! Log-counts with weights, and their fit in one call.

use ferrocyte_limma::{Trend, VoomOptions, voom};
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::counts::slice;
use super::fits::array;
use super::inputs::{Design, Grid, Values, Weighing, weights};
use super::normalize::{NormalizeManner, options};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// Offsets and whether their genes have mean zero.
type Offset<'py> = (Grid<'py>, bool);

/// Blocks of samples and the correlation within.
type Blocks = (Option<Vec<usize>>, Option<f64>);

/// What weights come from, in a `dict` with whatever else it holds.
fn set_trend(out: &Bound<'_, PyDict>, trend: Trend) -> PyResult<()> {
    let py = out.py();
    out.set_item("span", trend.span)?;
    out.set_item("trend_points", (trend.x.into_pyarray(py), trend.y.into_pyarray(py)))?;
    out.set_item("trend_line", (trend.line.0.into_pyarray(py), trend.line.1.into_pyarray(py)))
}

/// `E`, `weights`, `lib_size`, `span`, and the points and line of the trend.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_voom<'py>(
    py: Python<'py>,
    counts: Values<'py>,
    design: Design<'py>,
    lib_size: Option<PyReadonlyArray1<'py, f64>>,
    offset: Option<Offset<'py>>,
    normalize: Option<NormalizeManner>,
    blocks: Blocks,
    given_weights: Option<Weighing<'py>>,
    span: Option<f64>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let counts = counts.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let (offset, is_prior) = match &offset {
        None => (None, false),
        Some((offset, is_prior)) => (Some(offset.view()?), *is_prior),
    };
    let options = VoomOptions {
        lib_size: slice(lib_size.as_ref())?,
        offset: offset.filter(|_| !is_prior),
        offset_prior: offset.filter(|_| is_prior),
        normalize: normalize.map(options).transpose().or_raise(py)?,
        block: blocks.0.as_deref(),
        correlation: blocks.1,
        weights: weights(given_weights.as_ref())?,
        span: span.unwrap_or(0.5),
        adaptive_span: span.is_none(),
    };
    let found = attended(py, &means, |run| voom(run, &counts, &design, &options))?;
    let out = PyDict::new(py);
    out.set_item("E", array(py, found.e)?)?;
    out.set_item("weights", array(py, found.weights)?)?;
    out.set_item("lib_size", found.lib_size.into_pyarray(py))?;
    set_trend(&out, found.trend)?;
    Ok(out)
}
