//! Fits on their way in and out: plain arrays by name.

use ferrocyte_limma::Fit;
use ferrocyte_math::linalg::Matrix;
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::inputs::Grid;
use crate::values::matrix;

/// A matrix as an array.
pub(super) fn array(py: Python<'_>, values: Matrix) -> PyResult<Bound<'_, PyAny>> {
    let (rows, columns) = (values.n_rows(), values.n_cols());
    Ok(matrix(py, rows, columns, values.into_entries())?.into_any())
}

/// A fit as a `dict` of arrays, named as in the package.
pub(super) fn to_dict(py: Python<'_>, fit: Fit) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let pivot: Vec<i64> = fit.pivot.into_iter().map(|j| j as i64).collect();
    out.set_item("coefficients", array(py, fit.coefficients)?)?;
    out.set_item("stdev_unscaled", array(py, fit.stdev_unscaled)?)?;
    out.set_item("sigma", fit.sigma.into_pyarray(py))?;
    out.set_item("df_residual", fit.df_residual.into_pyarray(py))?;
    out.set_item("cov_coefficients", array(py, fit.cov_coefficients)?)?;
    out.set_item("rank", fit.rank)?;
    out.set_item("pivot", pivot.into_pyarray(py))?;
    out.set_item("Amean", fit.amean.into_pyarray(py))?;
    out.set_item("gene_covariances", fit.gene_covariances.map(|all| array(py, all)).transpose()?)?;
    out.set_item("coef_names", fit.names)?;
    Ok(out)
}

/// A fit as the package hands it over: coefficients, unscaled errors, sigma, df, covariance, rank, pivot, mean, covariances of
/// genes (or `None`), names.
#[derive(FromPyObject)]
pub(crate) struct FitArrays<'py>(
    Grid<'py>,
    Grid<'py>,
    PyReadonlyArray1<'py, f64>,
    PyReadonlyArray1<'py, f64>,
    Grid<'py>,
    usize,
    Vec<usize>,
    PyReadonlyArray1<'py, f64>,
    Option<Grid<'py>>,
    Vec<String>,
);

impl FitArrays<'_> {
    /// The fit.
    pub(super) fn fit(&self) -> PyResult<Fit> {
        Ok(Fit {
            coefficients: self.0.owned()?,
            stdev_unscaled: self.1.owned()?,
            sigma: self.2.as_slice()?.to_vec(),
            df_residual: self.3.as_slice()?.to_vec(),
            cov_coefficients: self.4.owned()?,
            rank: self.5,
            pivot: self.6.clone(),
            amean: self.7.as_slice()?.to_vec(),
            gene_covariances: self.8.as_ref().map(Grid::owned).transpose()?,
            names: self.9.clone(),
        })
    }
}
