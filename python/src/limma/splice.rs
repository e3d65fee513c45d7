//! Differential splicing.

use ferrocyte_limma::{SpliceOptions, diff_splice};
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::fits::{FitArrays, array};
use crate::monitor::{Means, attended};

/// Tests of exons and genes, as a `dict` of arrays; gene `g` has the exons `rows[starts[g]..starts[g + 1]]`.
#[pyfunction]
pub(crate) fn limma_diff_splice<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    rows: PyReadonlyArray1<'py, i64>,
    starts: Vec<usize>,
    robust: bool,
    legacy: bool,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let fit = fit.fit()?;
    let rows = rows.as_slice()?;
    let genes: Vec<Vec<usize>> =
        starts.windows(2).map(|ends| rows[ends[0]..ends[1]].iter().map(|&row| row as usize).collect()).collect();
    let found = attended(py, &means, |run| diff_splice(run, &fit, &genes, SpliceOptions { robust, legacy }))?;
    let integers = |values: Vec<usize>| values.into_iter().map(|v| v as i64).collect::<Vec<_>>();
    let out = PyDict::new(py);
    out.set_item("exons", integers(found.exons).into_pyarray(py))?;
    out.set_item("genes", integers(found.genes).into_pyarray(py))?;
    out.set_item("n_exons", integers(found.n_exons).into_pyarray(py))?;
    for (name, matrix) in [
        ("coefficients", found.coefficients),
        ("t", found.t),
        ("p_value", found.p_value),
        ("gene_F", found.f),
        ("gene_F_p_value", found.f_p_value),
        ("gene_simes_p_value", found.simes_p_value),
    ] {
        out.set_item(name, array(py, matrix)?)?;
    }
    for (name, values) in [
        ("gene_df_residual", found.df_residual),
        ("gene_df_total", found.df_total),
        ("gene_s2_post", found.s2_post),
        ("gene_df_prior", found.df_prior.values().to_vec()),
    ] {
        out.set_item(name, values.into_pyarray(py))?;
    }
    out.set_item("gene_s2_prior", found.s2_prior)?;
    Ok(out)
}
