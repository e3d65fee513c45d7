//! Training.

use ferrocyte_base::{OptionInfo, Result};
use ferrocyte_ecotype::{
    Aggregate, Ensemble, EnsembleOptions, MixtureOptions, Mode, Model, OPTIONS, Runs, Skipped, aggregate, scale,
    scale_by_groups, train, train_ensemble, train_runs, train_w,
};
use ferrocyte_io::{part_from_bytes, part_to_bytes};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::inputs::{Cells, LabelColumns, ModelIn, Seed, Training, dense, draws, labels, models};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::Held;
use crate::values::matrix;

/// An option: name, verbs, default, choices, meaning.
type OptionWords = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>, &'static str);

/// The options of the family.
#[pyfunction]
pub(crate) fn ecotype_options() -> Vec<OptionWords> {
    let words = |o: &OptionInfo| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning);
    OPTIONS.iter().map(words).collect()
}

/// A model as `(cell type, classes, names of features, weights)`.
pub(super) fn model_out<'py>(py: Python<'py>, model: &Model) -> PyResult<Bound<'py, PyAny>> {
    let features: Vec<String> = model.features.iter().map(ToString::to_string).collect();
    let weights = matrix(py, model.weights.n_rows(), model.weights.n_cols(), model.weights.entries().to_vec())?;
    Ok((&model.cell_type, &model.classes, features, weights).into_pyobject(py)?.into_any())
}

fn models_out<'py>(py: Python<'py>, models: &[Model]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, models.iter().map(|model| model_out(py, model)).collect::<PyResult<Vec<_>>>()?)
}

fn skipped_out<'py>(py: Python<'py>, skipped: &[Skipped]) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for one in skipped {
        out.set_item(&one.cell_type, &one.reason)?;
    }
    Ok(out)
}

/// Genes standardised over cells, or with equal weight of groups: cells × genes.
#[pyfunction]
pub(crate) fn ecotype_scale<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    groups: Option<Vec<String>>,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let scaled = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        match groups {
            Some(groups) => scale_by_groups(&x, &groups),
            None => Ok(scale(&x)),
        }
    })?;
    Ok(matrix(py, scaled.n_rows(), scaled.n_cols(), scaled.into_entries())?.into_any())
}

/// A `dict` of `models`, `bases` (genes, cells, class sizes, dropped genes of each), `skipped`, `logged`.
#[pyfunction]
pub(crate) fn ecotype_train<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    columns: LabelColumns,
    training: Training,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = training.options().or_raise(py)?;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let auto_log = named.auto_log;
        let mut x = named.read(run, &mut *source)?;
        let found = train(run, &mut x, &labels(&columns), auto_log, &options)?;
        found.warnings.iter().for_each(|warning| run.warn(warning));
        Ok(found)
    })?;
    let out = PyDict::new(py);
    out.set_item("models", models_out(py, &found.models)?)?;
    let bases: Vec<_> = found.bases.into_iter().map(|b| (b.genes, b.cells, b.class_sizes, b.dropped_genes)).collect();
    out.set_item("bases", bases)?;
    out.set_item("skipped", skipped_out(py, &found.skipped)?)?;
    out.set_item("logged", found.logged)?;
    Ok(out)
}

fn aggregates_out<'py>(py: Python<'py>, found: &[Aggregate]) -> PyResult<Bound<'py, PyList>> {
    let one = |of: &Aggregate| -> PyResult<Bound<'py, PyAny>> {
        let (rows, columns) = (of.model.weights.n_rows(), of.model.weights.n_cols());
        let frequency = matrix(py, rows, columns, of.frequency.entries().to_vec())?;
        let sd = matrix(py, rows, columns, of.sd.entries().to_vec())?;
        Ok((model_out(py, &of.model)?, of.n_models, frequency, sd).into_pyobject(py)?.into_any())
    };
    PyList::new(py, found.iter().map(one).collect::<PyResult<Vec<_>>>()?)
}

/// A `dict` of `aggregates` (model, number of models, frequency, sd of each), `runs`, `skipped`, `logged`.
/// `ensemble` is `(seeds, delta_threshold, min_model_fraction, keep_runs)`.
#[pyfunction]
pub(crate) fn ecotype_ensemble<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    columns: LabelColumns,
    training: Training,
    ensemble: (Vec<u64>, f64, f64, bool),
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = training.options().or_raise(py)?;
    let (seeds, delta_threshold, min_model_fraction, keep_runs) = ensemble;
    let ensemble = EnsembleOptions { seeds, delta_threshold, min_model_fraction, keep_runs };
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let auto_log = named.auto_log;
        let mut x = named.read(run, &mut *source)?;
        let found = train_ensemble(run, &mut x, &labels(&columns), auto_log, &options, &ensemble)?;
        found.warnings.iter().for_each(|warning| run.warn(warning));
        Ok(found)
    })?;
    ensemble_out(py, &found)
}

fn ensemble_out<'py>(py: Python<'py>, found: &Ensemble) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("aggregates", aggregates_out(py, &found.aggregates)?)?;
    let runs = found.runs.iter().map(|models| models_out(py, models)).collect::<PyResult<Vec<_>>>()?;
    out.set_item("runs", runs)?;
    out.set_item("skipped", skipped_out(py, &found.skipped)?)?;
    out.set_item("logged", found.logged)?;
    Ok(out)
}

/// Runs of an ensemble as the bytes of a part. `share` is `(all seeds, number from 1, of how many)`.
#[pyfunction]
pub(crate) fn ecotype_runs<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    columns: LabelColumns,
    training: Training,
    share: (Vec<u64>, usize, usize),
    means: Means,
) -> PyResult<Bound<'py, PyBytes>> {
    let options = training.options().or_raise(py)?;
    let (seeds, number, of) = share;
    let numbers = ferrocyte_ecotype::share(seeds.len(), number, of).or_raise(py)?;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let bytes = attended(py, &means, |run| {
        let auto_log = named.auto_log;
        let mut x = named.read(run, &mut *source)?;
        let found = train_runs(run, &mut x, &labels(&columns), auto_log, &options, seeds, numbers)?;
        found.warnings().iter().for_each(|warning| run.warn(warning));
        part_to_bytes(&found.to_part())
    })?;
    Ok(PyBytes::new(py, &bytes))
}

/// The seeds of an ensemble, and the numbers of the runs that are here.
#[pyfunction]
pub(crate) fn ecotype_runs_of(py: Python<'_>, content: &[u8]) -> PyResult<(Vec<u64>, Vec<usize>)> {
    let runs = part_from_bytes(content).and_then(|part| Runs::from_part(&part)).or_raise(py)?;
    Ok((runs.seeds, runs.numbers))
}

/// The ensemble of all shares, given with their names; `agreed` is `(delta_threshold, min_model_fraction, keep_runs)`.
#[pyfunction]
pub(crate) fn ecotype_merge_runs(
    py: Python<'_>,
    shares: Vec<(String, Vec<u8>)>,
    agreed: (f64, f64, bool),
) -> PyResult<Bound<'_, PyDict>> {
    let (delta_threshold, min_model_fraction, keep_runs) = agreed;
    let options = EnsembleOptions { delta_threshold, min_model_fraction, keep_runs, ..EnsembleOptions::default() };
    let found = (|| {
        let read = |(name, bytes): (String, Vec<u8>)| {
            let runs = part_from_bytes(&bytes).and_then(|part| Runs::from_part(&part));
            runs.map_err(|fault| fault.at(name.clone())).map(|runs| (name, runs))
        };
        Runs::merge_all(shares.into_iter().map(read).collect::<Result<_>>()?)?.agree(&options)
    })();
    ensemble_out(py, &found.or_raise(py)?)
}

/// What lists of models agree on.
#[pyfunction]
pub(crate) fn ecotype_aggregate<'py>(
    py: Python<'py>,
    lists: Vec<Vec<ModelIn<'py>>>,
    delta_threshold: f64,
    min_model_fraction: f64,
) -> PyResult<Bound<'py, PyList>> {
    let options = EnsembleOptions { delta_threshold, min_model_fraction, ..EnsembleOptions::default() };
    let found = (|| {
        let lists: Vec<Vec<Model>> = lists.iter().map(|list| Ok(models(list)?.0)).collect::<Result<_>>()?;
        aggregate(&lists, &options)
    })();
    aggregates_out(py, &found.or_raise(py)?)
}

/// Weights from samples of known composition; `options` is `(mode, scale, nfeature, nfeature_per_se)`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "gathered by name in the package")]
pub(crate) fn ecotype_train_w<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    fractions: PyReadonlyArray2<'py, f64>,
    classes: Vec<String>,
    start: Option<ModelIn<'py>>,
    seed: Seed,
    options: (String, bool, usize, Option<usize>),
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let (mode, scale, nfeature, nfeature_per_se) = options;
    let options = MixtureOptions { mode: Mode::from_word(&mode).or_raise(py)?, scale, nfeature, nfeature_per_se };
    let mut draws = draws(&seed, "mixture").or_raise(py)?;
    let start = start.map(|start| start.model()).transpose().or_raise(py)?.map(|found| found.0);
    let fractions = dense(&fractions);
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let auto_log = named.auto_log;
        let mut x = named.read(run, &mut *source)?;
        train_w(run, &mut x, &fractions, &classes, auto_log, start.as_ref(), &mut draws, &options)
    })?;
    model_out(py, &found)
}
