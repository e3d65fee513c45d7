//! Log-values made alike between samples, and distances of samples.

use ferrocyte_limma::{
    CyclicMethod, GeneSelection, MdsOptions, NormalizeMethod, NormalizeOptions, mds, normalize_between_arrays,
    normalize_cyclic_loess,
};
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::counts::slice;
use super::fits::array;
use super::inputs::Values;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// How values are normalised: method, ties, cyclic method, span, adaptive span, iterations.
pub(super) type NormalizeManner = (String, bool, String, f64, bool, usize);

/// The options that Python's words mean.
pub(super) fn options(manner: NormalizeManner) -> ferrocyte_base::Result<NormalizeOptions> {
    let (method, ties, cyclic, span, adaptive_span, iterations) = manner;
    let (method, cyclic) = (NormalizeMethod::from_word(&method)?, CyclicMethod::from_word(&cyclic)?);
    Ok(NormalizeOptions { method, ties, cyclic, span, adaptive_span, iterations })
}

/// Normalised values, genes × samples; `weights` of genes are those of cyclic loess.
#[pyfunction]
pub(crate) fn limma_normalize<'py>(
    py: Python<'py>,
    values: Values<'py>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
    manner: NormalizeManner,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let options = options(manner).or_raise(py)?;
    let y = values.expression()?.or_raise(py)?;
    let weights = slice(weights.as_ref())?;
    let out = attended(py, &means, |run| {
        if options.method == NormalizeMethod::CyclicLoess {
            normalize_cyclic_loess(run, &y, weights, &options)
        } else {
            normalize_between_arrays(run, &y, &options)
        }
    })?;
    array(py, out)
}

/// Distances, eigenvalues, explained shares and coordinates of the samples.
#[pyfunction]
pub(crate) fn limma_mds<'py>(
    py: Python<'py>,
    values: Values<'py>,
    top: usize,
    selection: &str,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = MdsOptions { top, selection: GeneSelection::from_word(selection).or_raise(py)? };
    let y = values.expression()?.or_raise(py)?;
    let found = attended(py, &means, |run| mds(run, &y, &options))?;
    let out = PyDict::new(py);
    out.set_item("distances", array(py, found.distances)?)?;
    out.set_item("eigen_values", found.eigen_values.into_pyarray(py))?;
    out.set_item("var_explained", found.var_explained.into_pyarray(py))?;
    out.set_item("coordinates", array(py, found.coordinates)?)?;
    Ok(out)
}
