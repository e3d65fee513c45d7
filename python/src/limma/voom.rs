//! Log-counts with weights, and their fit in one call.

use ferrocyte_limma::{
    ArrayWeightMethod, ArrayWeightOptions, Predictor, Refinement, VarianceModel, VarianceTrend, VoomLmFit,
    VoomLmFitOptions, VoomOptions, VoomaOptions, voom, voom_duplicate_correlation, voom_lm_fit,
    voom_with_quality_weights, vooma, vooma_by_group, vooma_lm_fit,
};
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::counts::slice;
use super::fits::{array, to_dict};
use super::inputs::{Design, Grid, Values, Weighing, weights};
use super::normalize::{NormalizeManner, options};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// Offsets and whether their genes have mean zero.
type Offset<'py> = (Grid<'py>, bool);

/// Blocks of samples and the correlation within.
type Blocks = (Option<Vec<usize>>, Option<f64>);

/// What weights come from, in a `dict` with whatever else it holds.
fn set_trend(out: &Bound<'_, PyDict>, trend: VarianceTrend) -> PyResult<()> {
    let py = out.py();
    out.set_item("span", trend.span)?;
    out.set_item("trend_points", (trend.x.into_pyarray(py), trend.y.into_pyarray(py)))?;
    out.set_item("trend_line", (trend.line.0.into_pyarray(py), trend.line.1.into_pyarray(py)))
}

/// What variances of samples depend on: groups, or a design.
type Variances<'py> = (Option<Vec<usize>>, Option<Grid<'py>>);

fn variance_model<'a>(given: &'a Variances<'_>) -> PyResult<VarianceModel<'a>> {
    Ok(match given {
        (Some(group), _) => VarianceModel::Groups(group),
        (None, Some(design)) => VarianceModel::Design(design.view()?),
        (None, None) => VarianceModel::Samples,
    })
}

/// How weights of samples are learnt: what variances depend on; method, prior n, steps and tolerance.
type Quality<'py> = (Variances<'py>, (String, f64, usize, f64));

/// `E`, `weights`, `lib_size`, `span`, the points and line of the trend, and what is learnt beside it: `sample_weights`, or
/// `correlation`.
#[pyfunction]
#[pyo3(signature = (counts, design, lib_size, offset, normalize, blocks, given_weights, span, quality, means,
    learn_correlation=false))]
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
    quality: Option<Quality<'py>>,
    means: Means,
    learn_correlation: bool,
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
    let out = PyDict::new(py);
    let found = match &quality {
        None if !learn_correlation => attended(py, &means, |run| voom(run, &counts, &design, &options))?,
        None => {
            let learn = |run: &_| voom_duplicate_correlation(run, &counts, &design, &options);
            let (found, correlation) = attended(py, &means, learn)?;
            out.set_item("correlation", correlation)?;
            found
        }
        Some((variances, (method, prior_n, maxiter, tol))) => {
            let quality = ArrayWeightOptions {
                variances: variance_model(variances)?,
                prior_n: *prior_n,
                method: ArrayWeightMethod::from_word(method).or_raise(py)?,
                maxiter: *maxiter,
                tol: *tol,
                ..ArrayWeightOptions::default()
            };
            let learn = |run: &_| voom_with_quality_weights(run, &counts, &design, &options, &quality);
            let (found, samples) = attended(py, &means, learn)?;
            out.set_item("sample_weights", samples.into_pyarray(py))?;
            found
        }
    };
    out.set_item("E", array(py, found.e)?)?;
    out.set_item("weights", array(py, found.weights)?)?;
    out.set_item("lib_size", found.lib_size.into_pyarray(py))?;
    set_trend(&out, found.trend)?;
    Ok(out)
}

/// Blocks, whether samples have weights, what their variances depend on, and prior n.
type Refining<'py> = (Option<Vec<usize>>, bool, Variances<'py>, f64);

fn refinement<'a>(given: &'a Refining<'_>) -> PyResult<Refinement<'a>> {
    let (block, sample_weights, variances, prior_n) = given;
    Ok(Refinement {
        block: block.as_deref(),
        sample_weights: *sample_weights,
        variances: variance_model(variances)?,
        prior_n: *prior_n,
    })
}

/// A fit in one call as a `dict`: that of the fit, with `E`, `weights`, `lib_size`, `sample_weights` and `correlation`.
fn one_call(py: Python<'_>, found: VoomLmFit) -> PyResult<Bound<'_, PyDict>> {
    let out = to_dict(py, found.fit)?;
    if let Some((e, weights)) = found.values {
        out.set_item("E", array(py, e)?)?;
        out.set_item("weights", array(py, weights)?)?;
    }
    if !found.lib_size.is_empty() {
        out.set_item("lib_size", found.lib_size.into_pyarray(py))?;
    }
    if let Some(weights) = found.sample_weights {
        out.set_item("sample_weights", weights.into_pyarray(py))?;
    }
    if let Some(correlation) = found.correlation {
        out.set_item("correlation", correlation)?;
    }
    set_trend(&out, found.trend)?;
    Ok(out)
}

/// Voom and the weighted fit. `keep`: log-values and weights, covariances.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_voom_lm_fit<'py>(
    py: Python<'py>,
    counts: Values<'py>,
    design: Design<'py>,
    lib_size: Option<PyReadonlyArray1<'py, f64>>,
    prior_weights: Option<Weighing<'py>>,
    refining: Refining<'py>,
    span: Option<f64>,
    keep: (bool, bool),
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let counts = counts.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let options = VoomLmFitOptions {
        lib_size: slice(lib_size.as_ref())?,
        prior_weights: weights(prior_weights.as_ref())?,
        refinement: refinement(&refining)?,
        span: span.unwrap_or(0.5),
        adaptive_span: span.is_none(),
        keep_values: keep.0,
        keep_covariances: keep.1,
    };
    one_call(py, attended(py, &means, |run| voom_lm_fit(run, &counts, &design, &options))?)
}

/// A predictor of precision: of genes, or of values.
type Predicting<'py> = (Option<PyReadonlyArray1<'py, f64>>, Option<Grid<'py>>);

fn predictor<'a>(given: &'a Predicting<'_>) -> PyResult<Predictor<'a>> {
    Ok(match given {
        (Some(genes), _) => Predictor::Genes(genes.as_slice()?),
        (None, Some(values)) => Predictor::Values(values.view()?),
        (None, None) => Predictor::None,
    })
}

/// `weights`, `span` and the trend; with groups the trends of all.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_vooma<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    group: Option<Vec<usize>>,
    blocks: Blocks,
    predicting: Predicting<'py>,
    manner: (Option<f64>, bool, bool),
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let options = VoomaOptions {
        block: blocks.0.as_deref(),
        correlation: blocks.1,
        predictor: predictor(&predicting)?,
        span: manner.0,
        legacy_span: manner.1,
        check_counts: manner.2,
    };
    let out = PyDict::new(py);
    if let Some(group) = group {
        let (weights, trends) = attended(py, &means, |run| vooma_by_group(run, &y, &group, &design, &options))?;
        out.set_item("weights", array(py, weights)?)?;
        let trends = trends.into_iter().map(|trend| {
            let one = PyDict::new(py);
            set_trend(&one, trend).map(|()| one)
        });
        out.set_item("trends", trends.collect::<PyResult<Vec<_>>>()?)?;
        return Ok(out);
    }
    let (weights, trend) = attended(py, &means, |run| vooma(run, &y, &design, &options))?;
    out.set_item("weights", array(py, weights)?)?;
    set_trend(&out, trend)?;
    Ok(out)
}

/// [`limma_vooma`] and the weighted fit.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn limma_vooma_lm_fit<'py>(
    py: Python<'py>,
    values: Values<'py>,
    design: Design<'py>,
    prior_weights: Option<Weighing<'py>>,
    refining: Refining<'py>,
    predicting: Predicting<'py>,
    manner: (Option<f64>, bool, bool),
    keep_covariances: bool,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let y = values.expression()?.or_raise(py)?;
    let design = design.design()?.or_raise(py)?;
    let options = VoomaOptions {
        predictor: predictor(&predicting)?,
        span: manner.0,
        legacy_span: manner.1,
        check_counts: manner.2,
        ..VoomaOptions::default()
    };
    let (prior, refinement) = (weights(prior_weights.as_ref())?, refinement(&refining)?);
    let fit = |run: &_| vooma_lm_fit(run, &y, &design, &options, prior, &refinement, keep_covariances);
    one_call(py, attended(py, &means, fit)?)
}
