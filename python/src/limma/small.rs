//! Small items around many tests.

use ferrocyte_base::Run;
use ferrocyte_limma::{GenasSubset, fit_mixture, genas, pred_fcm};
use ferrocyte_math::gamma_intercept::fit_gamma_intercept;
use ferrocyte_math::multiple::Adjust;
use ferrocyte_math::true_null::{TrueNull, prop_true_null};
use ferrocyte_math::z_score::{Approximation, z_score_t};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::bayes::ModeratedArrays;
use super::fits::FitArrays;
use super::inputs::Grid;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

type Vector<'py> = PyReadonlyArray1<'py, f64>;

/// Adjusted p-values.
#[pyfunction]
pub(crate) fn limma_p_adjust<'py>(
    py: Python<'py>,
    p: Vector<'py>,
    method: &str,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let method = Adjust::from_word(method).or_raise(py)?;
    let p = p.as_slice()?;
    Ok(py.detach(|| method.adjust(p)).into_pyarray(py))
}

/// The share of true null hypotheses.
#[pyfunction]
pub(crate) fn limma_prop_true_null(py: Python<'_>, p: Vector<'_>, method: &str) -> PyResult<f64> {
    let method = TrueNull::from_word(method).or_raise(py)?;
    let p = p.as_slice()?;
    py.detach(|| prop_true_null(p, method)).or_raise(py)
}

/// Normal deviates of t, each with its degrees of freedom.
#[pyfunction]
pub(crate) fn limma_zscore_t<'py>(
    py: Python<'py>,
    t: Vector<'py>,
    df: Vector<'py>,
    method: &str,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let method = Approximation::from_word(method).or_raise(py)?;
    let z: Vec<f64> = t.as_slice()?.iter().zip(df.as_slice()?).map(|(&t, &df)| z_score_t(t, df, method)).collect();
    Ok(z.into_pyarray(py))
}

/// The intercept of a gamma model with offsets.
#[pyfunction]
pub(crate) fn limma_fit_gamma_intercept(py: Python<'_>, y: Vector<'_>, offset: Vector<'_>) -> PyResult<f64> {
    fit_gamma_intercept(y.as_slice()?, offset.as_slice()?).or_raise(py)
}

/// Mean, difference and standard deviation of two samples from mixtures of them.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "three arrays")]
pub(crate) fn limma_fit_mixture<'py>(
    py: Python<'py>,
    log2e: Grid<'py>,
    shares: Vector<'py>,
    max_iter: usize,
    means: Means,
) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>)> {
    let (values, shares) = (log2e.view()?, shares.as_slice()?);
    let found = attended(py, &means, |run| fit_mixture(run, values, shares, max_iter))?;
    Ok((found.mean.into_pyarray(py), found.difference.into_pyarray(py), found.stdev.into_pyarray(py)))
}

/// Predictive log fold changes of one coefficient.
#[pyfunction]
pub(crate) fn limma_pred_fcm<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    moderated: ModeratedArrays<'py>,
    coef: usize,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    Ok(pred_fcm(&fit.fit()?, &moderated.moderated()?, coef).or_raise(py)?.into_pyarray(py))
}

/// The correlation of two coefficients over genes, as a `dict`.
#[pyfunction]
pub(crate) fn limma_genas<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    moderated: ModeratedArrays<'py>,
    coef: [usize; 2],
    subset: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let (fit, moderated) = (fit.fit()?, moderated.moderated()?);
    let subset = GenasSubset::from_word(subset).or_raise(py)?;
    let found = py.detach(|| genas(&Run::new(), &fit, &moderated, coef, subset)).or_raise(py)?;
    let out = PyDict::new(py);
    out.set_item("technical_correlation", found.technical_correlation)?;
    out.set_item("biological_correlation", found.biological_correlation)?;
    out.set_item("covariance", found.covariance.to_vec())?;
    out.set_item("deviance", found.deviance)?;
    out.set_item("p_value", found.p_value)?;
    out.set_item("n", found.n)?;
    Ok(out)
}
