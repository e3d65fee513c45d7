//! Groups of cells, added up.

use ferrocyte_cells::aggregate::aggregate;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::{Labels, NameLists};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};
use crate::values::matrix;

/// Groups × genes: `sum`, `mean`, `var`, `count_nonzero`; and the cells of each group, `n`.
#[pyfunction]
pub(crate) fn cells_aggregate<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    labels: Labels<'py>,
    ddof: f64,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let labels = labels.factor().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| aggregate(run, &mut *source, &names.names(), &labels, ddof))?;
    let out = PyDict::new(py);
    out.set_item("n", found.n)?;
    for (name, values) in
        [("sum", found.sum), ("mean", found.mean), ("var", found.variance), ("count_nonzero", found.n_not_zero)]
    {
        let (n_rows, n_cols) = (values.n_rows(), values.n_cols());
        out.set_item(name, matrix(py, n_rows, n_cols, values.into_entries())?)?;
    }
    Ok(out)
}
