//! What is asked of a fit beyond contrasts: joint tests, variance components, shares of variance, comparisons, errors of
//! random effects. Each is one call, and a table.

use ferrocyte_math::linalg::Matrix;
use ferrocyte_mixed::lmm::{self, Adjust, Contrast, Df, Hypothesis, TestOptions};
use numpy::{PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{Fit, numbers};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::values::{matrix, table};

/// A hypothesis as the package hands it over: `(name, coefficients, weights)`, or `(name, terms and expressions)`.
#[derive(FromPyObject)]
pub(crate) enum AskedJointly<'py> {
    Rows(String, Vec<String>, PyReadonlyArray2<'py, f64>),
    Parts(String, Vec<String>),
}

impl From<AskedJointly<'_>> for Hypothesis {
    fn from(asked: AskedJointly<'_>) -> Self {
        match asked {
            AskedJointly::Parts(name, parts) => Self::Parts { name, parts },
            AskedJointly::Rows(name, coefficients, weights) => {
                let (entries, rows, columns) = numbers(&weights);
                Self::Rows { name, coefficients, weights: Matrix::from_rows(rows, columns, entries) }
            }
        }
    }
}

/// Joint tests of hypotheses, as a table; without hypotheses of every term of the model.
#[pyfunction]
pub(crate) fn lmm_test_joint<'py>(
    py: Python<'py>,
    fit: &Fit,
    hypotheses: Vec<AskedJointly<'py>>,
    df: Option<&str>,
    adjust: &str,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = TestOptions {
        df: df.map(Df::from_word).transpose().or_raise(py)?,
        adjust: Adjust::from_word(adjust).or_raise(py)?,
        ..TestOptions::default()
    };
    let hypotheses: Vec<Hypothesis> = hypotheses.into_iter().map(Hypothesis::from).collect();
    let fit = &fit.0;
    let tested = attended(py, &means, |run| {
        let hypotheses = if hypotheses.is_empty() { fit.terms()? } else { hypotheses };
        fit.test_joint(run, &hypotheses, &options)
    })?;
    table(py, tested)
}

/// Names of the terms of the model but the intercept.
#[pyfunction]
pub(crate) fn lmm_terms(py: Python<'_>, fit: &Fit) -> PyResult<Vec<String>> {
    Ok(fit.0.terms().or_raise(py)?.iter().map(Hypothesis::name).collect())
}

/// A difference of levels: variable, level, reference, levels of other variables.
type Difference = (String, String, String, Vec<(String, String)>);

/// The differences that a call stands for: variable; level and reference, or all pairs; values of other variables,
/// `all` for every level.
#[pyfunction]
pub(crate) fn lmm_differences(
    py: Python<'_>,
    fit: &Fit,
    variable: &str,
    levels: Option<(String, String)>,
    at: Vec<(String, Vec<String>)>,
    means: Means,
) -> PyResult<Vec<Difference>> {
    let fit = &fit.0;
    let found = attended(py, &means, |run| match &levels {
        Some((level, reference)) => fit.differences(run, variable, level, reference, &at),
        None => fit.pairwise(run, variable, &at),
    })?;
    let pieces = |contrast| match contrast {
        Contrast::Difference { variable, level, reference, at } => Some((variable, level, reference, at)),
        Contrast::Expression { .. } => None,
    };
    Ok(found.into_iter().filter_map(pieces).collect())
}

/// Tests of the variance components, as a table.
#[pyfunction]
pub(crate) fn lmm_test_components<'py>(
    py: Python<'py>,
    fit: &Fit,
    adjust: &str,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let adjust = Adjust::from_word(adjust).or_raise(py)?;
    let fit = &fit.0;
    table(py, attended(py, &means, |run| fit.test_components(run, adjust))?)
}

/// Shares of variance, as a table.
#[pyfunction]
pub(crate) fn lmm_variance_shares<'py>(py: Python<'py>, fit: &Fit, means: Means) -> PyResult<Bound<'py, PyDict>> {
    let fit = &fit.0;
    table(py, attended(py, &means, |run| fit.variance_shares(run))?)
}

/// Two fits compared, as a table.
#[pyfunction]
pub(crate) fn lmm_compare<'py>(
    py: Python<'py>,
    fit: &Fit,
    other: &Fit,
    adjust: &str,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let adjust = Adjust::from_word(adjust).or_raise(py)?;
    let (fit, other) = (&fit.0, &other.0);
    table(py, attended(py, &means, |run| fit.compare(run, other, adjust))?)
}

/// Standard errors of the predicted random effects of one group, genes × q.
#[pyfunction]
pub(crate) fn lmm_random_effect_errors<'py>(
    py: Python<'py>,
    fit: &Fit,
    group: usize,
    means: Means,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    let group = fit.group(py, group)?;
    let found = attended(py, &means, |run| group.random_effect_errors(run))?;
    let (m, q) = (group.outcomes.len(), group.components.iter().map(|c| c.columns.len()).sum());
    matrix(py, m, q, if found.is_empty() { vec![f64::NAN; m * q] } else { found })
}

/// Name, unit, meaning.
type ColumnWords = (&'static str, String, &'static str);

/// The columns of the tables made here, with the transform `log1p`, by the name of the table.
#[pyfunction]
pub(crate) fn lmm_inference_columns() -> Vec<(&'static str, Vec<ColumnWords>)> {
    let unit = ferrocyte_data::Transform::Log1p.unit();
    vec![
        ("joint tests", lmm::joint_test_columns().into()),
        ("tests of variance components", lmm::component_test_columns(&unit).into()),
        ("comparison of two fits", lmm::comparison_columns().into()),
    ]
}
