//! `fe.nmf`: factorisations, refits, and the words of the family.

use ferrocyte_base::{OptionInfo, Result, Run};
use ferrocyte_cells::nmf::prepare;
use ferrocyte_learn::nmf::{
    Begin, Job, Keep, Loss, OPTIONS, Options, Precision, Prepared, RankOptions, Rule, Solver, Start, Stop, fit,
    solver_of,
};
use numpy::{PyArray2, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::cells::NameLists;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};
use crate::values::{matrix, table, to_python};

/// How a matrix is factorised: `ferrocyte.nmf._request.Request`.
#[derive(FromPyObject)]
pub(crate) struct Request {
    beta_loss: String,
    solver: String,
    sweeps: usize,
    tol: f64,
    max_iter: usize,
    alpha_w: f64,
    alpha_h: f64,
    l1_ratio: f64,
    precision: String,
    trace: bool,
}

impl Request {
    fn options(&self) -> Result<Options> {
        let loss = Loss::from_word(&self.beta_loss)?;
        Ok(Options {
            loss,
            solver: solver_of(&self.solver, loss)?,
            sweeps: self.sweeps,
            tolerance: self.tol,
            max_iterations: self.max_iter,
            alpha_w: self.alpha_w,
            alpha_h: self.alpha_h,
            l1_ratio: self.l1_ratio,
            precision: Precision::from_word(&self.precision)?,
            trace: self.trace,
        })
    }
}

/// Which replicas are made: `ferrocyte.nmf._request.Replicas`.
#[derive(FromPyObject)]
pub(crate) struct Asked {
    k: Vec<usize>,
    n_replicas: usize,
    seed: u32,
    init: String,
    keep: String,
}

/// Given factors on their way in.
type Given<'py> = Option<(PyReadonlyArray2<'py, f64>, PyReadonlyArray2<'py, f64>)>;

/// What factors are as arrays.
type Factors<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray2<f64>>);

/// Runs `work` with the matrix laid out.
fn with_prepared<T: Send>(
    py: Python<'_>,
    (source, names): (Matrix<'_>, &NameLists),
    means: &Means,
    precision: Precision,
    work: impl FnOnce(&Run, &Prepared) -> Result<T> + Send,
) -> PyResult<T> {
    let held = Held::new(source)?;
    let mut rows = held.open(py).or_raise(py)?;
    attended(py, means, |run| {
        let prepared = prepare(run, &mut *rows, &names.names(), precision)?;
        work(run, &prepared)
    })
}

/// Replicas of one or more ranks: `replicas` (a table), `fits` (rank, replica, usages, spectra of those that were kept)
/// and `provenance`.
#[pyfunction]
pub(crate) fn nmf_fit<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    request: Request,
    replicas: Asked,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let asked = RankOptions {
        ranks: replicas.k,
        replicas: replicas.n_replicas,
        seed: replicas.seed,
        begin: Begin::from_word(&replicas.init).or_raise(py)?,
        keep: Keep::from_word(&replicas.keep).or_raise(py)?,
        options: request.options().or_raise(py)?,
    };
    let (n, g, found) = with_prepared(py, (source, &names), &means, asked.options.precision, |run, prepared| {
        Ok((prepared.n(), prepared.g(), fit(run, prepared, &asked)?))
    })?;
    let out = PyDict::new(py);
    out.set_item("replicas", table(py, found.table())?)?;
    out.set_item("provenance", to_python(py, &asked.provenance().to_value())?)?;
    let kept = found.replicas.into_iter().filter(|r| !r.fit.h.is_empty());
    let fits = kept.map(|r| {
        let k = r.fit.components;
        Ok((k, r.index, matrix(py, n, k, r.fit.w)?, matrix(py, k, g, r.fit.h)?))
    });
    out.set_item("fits", fits.collect::<PyResult<Vec<_>>>()?)?;
    Ok(out)
}

/// One factorisation from a start, a word with its seed or factors: the factors, iterations, loss and status.
#[pyfunction]
pub(crate) fn nmf_factorise<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    components: usize,
    start: (String, u32, Given<'py>),
    request: Request,
    means: Means,
) -> PyResult<(Factors<'py>, usize, f64, &'static str)> {
    let options = request.options().or_raise(py)?;
    let rows = |array: &PyReadonlyArray2<'_, f64>| array.as_array().iter().copied().collect::<Vec<f64>>();
    let given = start.2.as_ref().map(|(w, h)| (rows(w), rows(h)));
    let begin = Begin::from_word(&start.0).or_raise(py)?;
    let nobody = NameLists::default();
    let (n, g, mut found) = with_prepared(py, (source, &nobody), &means, options.precision, |run, prepared| {
        let start = match (&given, begin) {
            (Some((w, h)), _) => Start::Given { w, h },
            (None, Begin::Random) => Start::Random(start.1),
            (None, Begin::Nndsvd) => Start::Nndsvd,
            (None, Begin::NndsvdMean) => Start::NndsvdMean,
            (None, Begin::NndsvdRandom) => Start::NndsvdRandom(start.1),
        };
        Ok((prepared.n(), prepared.g(), prepared.factorise(run, &options, &[Job { components, start }])?))
    })?;
    let one = found.remove(0);
    let factors = (matrix(py, n, components, one.w)?, matrix(py, components, g, one.h)?);
    Ok((factors, one.iterations, one.objective, one.stop.status().word))
}

/// Usages of fixed spectra (components x columns): the usages, iterations, loss and status.
#[pyfunction]
pub(crate) fn nmf_refit<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    spectra: PyReadonlyArray2<'py, f64>,
    rule: &str,
    request: Request,
    means: Means,
) -> PyResult<(Bound<'py, PyArray2<f64>>, usize, f64, &'static str)> {
    let options = request.options().or_raise(py)?;
    let rule = Rule::from_word(rule).or_raise(py)?;
    let h: Vec<f64> = spectra.as_array().iter().copied().collect();
    let (k, nobody) = (spectra.as_array().nrows(), NameLists::default());
    let (n, found) = with_prepared(py, (source, &nobody), &means, options.precision, |run, prepared| {
        Ok((prepared.n(), prepared.refit(run, &h, k, &options, rule)?))
    })?;
    Ok((matrix(py, n, k, found.w)?, found.iterations, found.objective, found.stop.status().word))
}

/// Name, verbs, default, choices, meaning.
type OptionWords = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>, &'static str);

/// The options of the family: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn nmf_options() -> Vec<OptionWords> {
    let words = |o: &OptionInfo| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning);
    OPTIONS.iter().map(words).collect()
}

/// Why iterations end: word, severity (`ok`, `note`), sentence.
#[pyfunction]
pub(crate) fn nmf_statuses() -> Vec<(&'static str, &'static str, &'static str)> {
    Stop::ALL.iter().map(|stop| stop.status()).map(|s| (s.word, s.severity.word(), s.sentence)).collect()
}

/// The instructions that factorisations run with here.
#[pyfunction]
pub(crate) fn nmf_instructions() -> &'static str {
    ferrocyte_math::fused::Level::widest().word()
}

/// Whether a word is that of a solver for this loss; the fault of those that are not is raised.
#[pyfunction]
pub(crate) fn nmf_solver(py: Python<'_>, word: &str, beta_loss: &str) -> PyResult<&'static str> {
    let solver = Loss::from_word(beta_loss).and_then(|loss| solver_of(word, loss)).or_raise(py)?;
    Ok(Solver::word(solver))
}
