//! Genes on one scale.

use ferrocyte_cells::scale::{ScaleOptions, Scaling};
use numpy::{IntoPyArray, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::NameLists;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};

/// A `dict` of `mean` and `std` of genes, and unless `kind` is `"measures"` of `values`: the dense matrix of
/// standardised numbers, `"single"` or `"double"`.
#[pyfunction]
pub(crate) fn cells_scale<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    zero_center: bool,
    max_value: Option<f64>,
    kind: &str,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = ScaleOptions { zero_center, max_value, ..ScaleOptions::default() };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let (n, p) = (source.n_rows(), source.n_cols());
    let (mut single, mut double) = (Vec::new(), Vec::new());
    let scaling = attended(py, &means, |run| {
        let scaling = Scaling::measure(run, &mut *source, &names.names(), options)?;
        if kind == "single" {
            single = vec![0.0_f32; n * p];
            scaling.fill(run, &mut *source, &mut single)?;
        } else if kind == "double" {
            double = vec![0.0_f64; n * p];
            scaling.fill(run, &mut *source, &mut double)?;
        }
        Ok(scaling)
    })?;
    let out = PyDict::new(py);
    match kind {
        "single" => out.set_item("values", single.into_pyarray(py).reshape([n, p])?)?,
        "double" => out.set_item("values", double.into_pyarray(py).reshape([n, p])?)?,
        _ => {}
    }
    out.set_item("mean", scaling.mean.into_pyarray(py))?;
    out.set_item("std", scaling.sd.into_pyarray(py))?;
    Ok(out)
}
