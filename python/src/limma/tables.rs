//! Tables of genes and calls.

use ferrocyte_base::Table;
use ferrocyte_limma::{
    DecideMethod, DecideOptions, FStatistics, Order, TopOptions, call_p_values, classify_tests_f, decide_tests,
    top_table, top_table_f,
};
use ferrocyte_math::multiple::Adjust;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::bayes::ModeratedArrays;
use super::fits::{FitArrays, array};
use super::inputs::Grid;
use crate::faults::OrRaise;
use crate::values::table;

/// Which genes a table shows: `(number or None, adjust_method, sort_by, resort_by, p_value, lfc, confint, log10_p_value)`.
type Shown = (Option<usize>, String, String, Option<String>, f64, f64, Option<f64>, bool);

/// Positions of the genes and a table as a `dict`.
type Top<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyDict>);

fn options(py: Python<'_>, shown: Shown) -> PyResult<TopOptions> {
    let (number, adjust, sort_by, resort_by, p_value, lfc, confint, log10_p_value) = shown;
    Ok(TopOptions {
        number,
        adjust: Adjust::from_word(&adjust).or_raise(py)?,
        sort_by: Order::from_word(&sort_by).or_raise(py)?,
        resort_by: resort_by.map(|word| Order::from_word(&word)).transpose().or_raise(py)?,
        p_value,
        lfc,
        confint,
        log10_p_value,
    })
}

fn top(py: Python<'_>, genes: Vec<usize>, found: Table) -> PyResult<Top<'_>> {
    let genes: Vec<i64> = genes.into_iter().map(|g| g as i64).collect();
    Ok((genes.into_pyarray(py), table(py, found)?))
}

/// The genes with the strongest evidence for one coefficient.
#[pyfunction]
pub(crate) fn limma_top_table<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    moderated: ModeratedArrays<'py>,
    coef: usize,
    shown: Shown,
) -> PyResult<Top<'py>> {
    let (fit, moderated, options) = (fit.fit()?, moderated.moderated()?, options(py, shown)?);
    let found = py.detach(|| top_table(&fit, &moderated, coef, &options)).or_raise(py)?;
    top(py, found.genes, found.table)
}

/// The genes with the strongest joint evidence for several coefficients.
#[pyfunction]
pub(crate) fn limma_top_table_f<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    moderated: ModeratedArrays<'py>,
    coefs: Vec<usize>,
    shown: Shown,
) -> PyResult<Top<'py>> {
    let (fit, moderated, options) = (fit.fit()?, moderated.moderated()?, options(py, shown)?);
    let found = py.detach(|| top_table_f(&fit, &moderated, &coefs, &options)).or_raise(py)?;
    top(py, found.genes, found.table)
}

fn decision(py: Python<'_>, how: (String, String, f64, f64)) -> PyResult<DecideOptions> {
    let (method, adjust, p_value, lfc) = how;
    Ok(DecideOptions {
        method: DecideMethod::from_word(&method).or_raise(py)?,
        adjust: Adjust::from_word(&adjust).or_raise(py)?,
        p_value,
        lfc,
    })
}

/// -1, 0 or 1 for each coefficient of each gene; `how` is `(method, adjust_method, p_value, lfc)`.
#[pyfunction]
pub(crate) fn limma_decide_tests<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    moderated: ModeratedArrays<'py>,
    how: (String, String, f64, f64),
) -> PyResult<Bound<'py, PyAny>> {
    let (fit, moderated, options) = (fit.fit()?, moderated.moderated()?, decision(py, how)?);
    array(py, py.detach(|| decide_tests(&fit, &moderated, &options)).or_raise(py)?)
}

/// Calls from p-values alone, with the signs of coefficients if these are given.
#[pyfunction]
pub(crate) fn limma_call_p_values<'py>(
    py: Python<'py>,
    p: Grid<'py>,
    coefficients: Option<Grid<'py>>,
    how: (String, String, f64, f64),
) -> PyResult<Bound<'py, PyAny>> {
    let (p, options) = (p.owned()?, decision(py, how)?);
    let coefficients = coefficients.as_ref().map(Grid::owned).transpose()?;
    array(py, call_p_values(&p, coefficients.as_ref(), &options).or_raise(py)?)
}

/// Nested F tests of each row of t.
#[pyfunction]
pub(crate) fn limma_classify_tests_f<'py>(
    py: Python<'py>,
    t: Grid<'py>,
    covariance: Grid<'py>,
    df: PyReadonlyArray1<'py, f64>,
    p_value: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (t, covariance) = (t.owned()?, covariance.owned()?);
    array(py, classify_tests_f(&t, &covariance, df.as_slice()?, p_value).or_raise(py)?)
}

/// F of each row of t: the statistics and the numerator degrees of freedom.
#[pyfunction]
pub(crate) fn limma_f_statistics<'py>(
    py: Python<'py>,
    t: Grid<'py>,
    covariance: Grid<'py>,
    df: PyReadonlyArray1<'py, f64>,
) -> PyResult<(Bound<'py, PyArray1<f64>>, usize)> {
    let found = FStatistics::of(&t.owned()?, &covariance.owned()?, df.as_slice()?).or_raise(py)?;
    Ok((found.statistic.into_pyarray(py), found.df1))
}
