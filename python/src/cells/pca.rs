//! Principal components.

use ferrocyte_cells::pca::{PcaOptions, pca};
use ferrocyte_cells::scale::ScaleOptions;
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::NameLists;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};
use crate::values::matrix;

/// A `dict` of `scores` (cells × components), `loadings` (components × genes), `variance`, `variance_ratio` and
/// `singular_values`. With `scale` genes are standardised first and clipped at its number, if there is one.
#[pyfunction]
pub(crate) fn cells_pca<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    n_comps: Option<usize>,
    scale: Option<(usize, Option<f64>)>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let scale = scale.map(|(ddof, max_value)| ScaleOptions { ddof, zero_center: true, max_value });
    let options = PcaOptions { n_comps, scale };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| pca(run, &mut *source, &names.names(), &options))?;
    let out = PyDict::new(py);
    for (name, part) in [("scores", found.scores), ("loadings", found.loadings)] {
        out.set_item(name, matrix(py, part.n_rows(), part.n_cols(), part.entries().to_vec())?)?;
    }
    out.set_item("variance", found.variance.into_pyarray(py))?;
    out.set_item("variance_ratio", found.variance_ratio.into_pyarray(py))?;
    out.set_item("singular_values", found.singular_values.into_pyarray(py))?;
    Ok(out)
}
