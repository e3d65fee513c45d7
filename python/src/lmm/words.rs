//! The words of the family: options, statuses, columns of tables, names of coefficients.

use ferrocyte_data::Transform;
use ferrocyte_design::{Coefficients, Model};
use ferrocyte_mixed::lmm::{self, Alternative, OPTIONS, Outcome, p_values};
use numpy::ndarray::ArrayView1;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::faults::OrRaise;
use crate::values::matrix;

/// The columns of obs that a model names, fixed terms first.
#[pyfunction]
pub(crate) fn lmm_variables(py: Python<'_>, formula: &str, random: Vec<String>) -> PyResult<Vec<String>> {
    Ok(Model::parse(formula, &random).or_raise(py)?.variables())
}

/// Name, verbs, default, choices, meaning.
pub(crate) type OptionWords = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>, &'static str);

/// The options of the family: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn lmm_options() -> Vec<OptionWords> {
    OPTIONS.iter().map(|o| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning)).collect()
}

/// The statuses: word, severity (`ok`, `note`, `no estimate`), sentence.
#[pyfunction]
pub(crate) fn lmm_statuses() -> Vec<(&'static str, &'static str, &'static str)> {
    Outcome::ALL.iter().map(|o| o.status()).map(|s| (s.word, s.severity.word(), s.sentence)).collect()
}

/// The columns of a table of tests, with the transform `log1p`: name, unit, meaning.
#[pyfunction]
pub(crate) fn lmm_test_columns() -> Vec<(&'static str, String, &'static str)> {
    lmm::test_columns(&Transform::Log1p.unit()).into()
}

/// p-values of t with df degrees of freedom; both arrays of one shape.
#[pyfunction]
pub(crate) fn lmm_t_p_values<'py>(
    py: Python<'py>,
    t: PyReadonlyArray1<'py, f64>,
    df: PyReadonlyArray1<'py, f64>,
    alternative: &str,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let alternative = Alternative::from_word(alternative).or_raise(py)?;
    let (t, df) = (t.as_array(), df.as_array());
    let whole = |array: &ArrayView1<'_, f64>| array.as_slice().map_or_else(|| array.to_vec(), <[f64]>::to_vec);
    Ok(p_values(&whole(&t), &whole(&df), alternative).into_pyarray(py))
}

/// Weights of an expression (or of each in turn) over coefficients of which the names are given, expressions × names.
#[pyfunction]
pub(crate) fn lmm_contrast_weights(
    py: Python<'_>,
    names: Vec<String>,
    expressions: Vec<String>,
) -> PyResult<Bound<'_, PyArray2<f64>>> {
    let coefficients = Coefficients::from_names(&names).or_raise(py)?;
    let mut weights = Vec::with_capacity(expressions.len() * names.len());
    for expression in &expressions {
        weights.extend(coefficients.contrast(expression).or_raise(py)?);
    }
    matrix(py, expressions.len(), names.len(), weights)
}
