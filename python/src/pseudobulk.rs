//! Cells of a sample as one column: sums or means, in one pass.

use ferrocyte_data::{Aggregate, Samples, pseudobulk};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::obs::frame;
use crate::simulate::columns;
use crate::sources::{Held, Matrix};
use crate::values::matrix;

/// Pseudobulk of a matrix: a `dict` of `values` (genes × samples), `names`, `n_cells`, `groups` (codes and levels, or
/// `None`), `samples` (columns of obs that do not vary within them), `varying` (names of those that do), `left_out`
/// (name, group and cells of samples with too few cells), and `n_unassigned` cells.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn pseudobulk_sums<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    n_cells: usize,
    obs: &Bound<'py, PyDict>,
    by: Vec<String>,
    groups: Option<String>,
    mode: &str,
    min_cells: usize,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let obs = frame(py, n_cells, obs)?;
    let mode = Aggregate::from_word(mode).or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let (samples, values) = attended(py, &means, |run| {
        let samples = Samples::of(&obs, &by, groups.as_deref(), min_cells)?;
        let values = pseudobulk(run, &mut *source, &samples, mode)?;
        Ok((samples, values))
    })?;
    let out = PyDict::new(py);
    out.set_item("values", matrix(py, values.len() / samples.len(), samples.len(), values)?)?;
    out.set_item("samples", columns(py, &samples.table)?)?;
    let groups = samples.groups.map(|g| (g.codes.iter().map(|code| code as i32).collect::<Vec<_>>(), g.levels));
    out.set_item("groups", groups)?;
    out.set_item("names", samples.names)?;
    out.set_item("n_cells", samples.n_cells)?;
    out.set_item("varying", samples.varying)?;
    let left_out: Vec<_> = samples.left_out.into_iter().map(|t| (t.sample, t.group, t.n_cells)).collect();
    out.set_item("left_out", left_out)?;
    out.set_item("n_unassigned", samples.n_unassigned)?;
    Ok(out)
}
