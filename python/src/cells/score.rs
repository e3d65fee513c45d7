//! Scores of sets of genes.

use ferrocyte_cells::score_genes::{ScoreOptions, cell_cycle_phase, score_genes};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::labels::{NameLists, factor};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};

/// How control genes are drawn: `(ctrl_size, n_bins, pool, controls, seed)`.
type Manner = (usize, usize, Option<Vec<usize>>, Option<Vec<usize>>, u64);

/// The score of every cell, and the control genes.
#[pyfunction]
pub(crate) fn cells_score_genes<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    set: Vec<usize>,
    manner: Manner,
    means: Means,
) -> PyResult<(Bound<'py, PyArray1<f64>>, Vec<usize>)> {
    let (ctrl_size, n_bins, pool, controls, seed) = manner;
    let options = ScoreOptions { ctrl_size, n_bins, pool, controls, seed };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| score_genes(run, &mut *source, &names.names(), &set, &options))?;
    Ok((found.scores.into_pyarray(py), found.controls))
}

/// The phase of every cell from its scores for S and G2M: codes and levels.
#[pyfunction]
pub(crate) fn cells_cycle_phase<'py>(
    py: Python<'py>,
    s: PyReadonlyArray1<'py, f64>,
    g2m: PyReadonlyArray1<'py, f64>,
) -> PyResult<(Bound<'py, PyArray1<i32>>, Vec<String>)> {
    Ok(factor(py, cell_cycle_phase(s.as_slice()?, g2m.as_slice()?).or_raise(py)?))
}
