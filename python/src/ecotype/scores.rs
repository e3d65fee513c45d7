//! Scores and labels.

use ferrocyte_base::Result;
use ferrocyte_ecotype::{
    Mode, PredictOptions, RecoverOptions, Recovered, Scores, deconvolute, predict, recover_from, start,
};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::inputs::{Cells, ModelIn, models};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::Held;
use crate::values::{matrix, table};

/// How cells are scored: `(mode, scale, sum_to_one, cells_per_run)`.
type Scoring = (String, bool, bool, usize);

fn options((mode, scale, sum_to_one, cells_per_run): Scoring) -> Result<PredictOptions> {
    Ok(PredictOptions { mode: Mode::from_word(&mode)?, scale, sum_to_one, cells_per_run })
}

fn scores_out(py: Python<'_>, found: Scores) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let (n, k) = (found.values.n_rows(), found.values.n_cols());
    out.set_item("values", matrix(py, n, k, found.values.into_entries())?)?;
    out.set_item("reasons", found.reasons.iter().map(|reason| reason.word()).collect::<Vec<_>>())?;
    out.set_item("not_unique", found.not_unique.into_pyarray(py))?;
    out.set_item("iterations", found.iterations)?;
    out.set_item("shared_genes", found.shared_genes)?;
    Ok(out)
}

/// Scores of cells of one type; with `begin` the reference's start instead, where all cells are one chunk.
#[pyfunction]
pub(crate) fn ecotype_predict<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    model: ModelIn<'py>,
    scoring: Scoring,
    begin: bool,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = options(scoring).or_raise(py)?;
    let (model, _) = model.model().or_raise(py)?;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let (found, begun) = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        let begun = begin.then(|| start(&x, &model, options.scale));
        Ok((predict(run, &x, &model, &options)?, begun))
    })?;
    let out = scores_out(py, found)?;
    if let Some(begun) = begun {
        out.set_item("start", matrix(py, begun.n_rows(), begun.n_cols(), begun.into_entries())?)?;
    }
    Ok(out)
}

/// Scores of mixtures.
#[pyfunction]
pub(crate) fn ecotype_deconvolute<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    model: ModelIn<'py>,
    scoring: Scoring,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = options(scoring).or_raise(py)?;
    let (model, _) = model.model().or_raise(py)?;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let auto_log = named.auto_log;
        let x = named.read(run, &mut *source)?;
        deconvolute(run, &x, &model, auto_log, &options)
    })?;
    scores_out(py, found)
}

/// How cells are labelled: `ferrocyte.ecotype._inputs.Recovery`.
#[derive(FromPyObject)]
pub(crate) struct Recovery {
    mode: String,
    scale: bool,
    cells_per_run: usize,
    min_score: f64,
    min_cells: usize,
    non_se_label: String,
}

impl Recovery {
    pub(super) fn options(self) -> Result<RecoverOptions> {
        Ok(RecoverOptions {
            mode: Mode::from_word(&self.mode)?,
            scale: self.scale,
            cells_per_run: self.cells_per_run,
            min_score: self.min_score,
            min_cells: self.min_cells,
            non_se_label: self.non_se_label,
        })
    }
}

/// A `dict` of `table`, `classes`, `scores`, `iterations`, `not_unique`, `logged`.
#[pyfunction]
pub(crate) fn ecotype_recover<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    cell_types: Vec<String>,
    given: Vec<ModelIn<'py>>,
    recovery: Recovery,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = recovery.options().or_raise(py)?;
    let (models, warning) = models(&given).or_raise(py)?;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found: Recovered = attended(py, &means, |run| {
        warning.iter().for_each(|warning| run.warn(warning));
        let (names, reading) = named.reading();
        recover_from(run, &mut *source, names, reading, &cell_types, &models, &options)
    })?;
    let out = PyDict::new(py);
    out.set_item("table", table(py, found.table())?)?;
    out.set_item("classes", found.classes)?;
    let (n, k) = (found.scores.n_rows(), found.scores.n_cols());
    out.set_item("scores", matrix(py, n, k, found.scores.into_entries())?)?;
    out.set_item("iterations", found.iterations)?;
    out.set_item("not_unique", found.not_unique)?;
    out.set_item("logged", found.logged)?;
    Ok(out)
}
