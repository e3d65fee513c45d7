//! `fe.ctmm`: pseudobulk with its noise, cell type-specific mixed models, and the words of the family.

use ferrocyte_base::{OptionInfo, Provenance, Result};
use ferrocyte_math::linalg::Matrix as Dense;
use ferrocyte_mixed::ctmm::{
    Covariate, Fit, FitOptions, Jackknife, Level, MeanTest, Method, Model, Noise, Normalize, OPTIONS, Outcome,
    PrepareOptions, SimulateOptions, Study, Truth, Variance, align, fit, impute, ln_equal_means, ln_f,
    ln_likelihood_ratio, ln_upper_t, prepare, questions, simulate, standardize,
};
use numpy::{IntoPyArray, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::obs::frame;
use crate::sources::{Held, Matrix};
use crate::values::{matrix, table, to_python};

/// Pseudobulk on its way in: `ferrocyte.ctmm._study.Handed`. Values and noise are flat, genes first.
#[derive(FromPyObject)]
pub(crate) struct Handed<'py> {
    genes: Vec<String>,
    individuals: Vec<String>,
    cell_types: Vec<String>,
    level: String,
    values: PyReadonlyArray1<'py, f64>,
    noise: PyReadonlyArray1<'py, f64>,
    proportions: Option<PyReadonlyArray2<'py, f64>>,
    fixed: Vec<(String, PyReadonlyArray2<'py, f64>)>,
    random: Vec<(String, PyReadonlyArray2<'py, f64>)>,
}

impl Handed<'_> {
    fn study(&self) -> Result<Study> {
        let covariates = |list: &[(String, PyReadonlyArray2<'_, f64>)]| {
            let one = |(name, values): &(String, PyReadonlyArray2<'_, f64>)| Covariate {
                name: name.clone(),
                values: dense(values),
            };
            list.iter().map(one).collect()
        };
        Ok(Study {
            genes: self.genes.clone(),
            individuals: self.individuals.clone(),
            cell_types: self.cell_types.clone(),
            level: Level::from_word(&self.level)?,
            values: self.values.as_array().to_vec(),
            noise: self.noise.as_array().to_vec(),
            proportions: self.proportions.as_ref().map(|p| p.as_array().iter().copied().collect()),
            fixed: covariates(&self.fixed),
            random: covariates(&self.random),
        })
    }
}

fn dense(array: &PyReadonlyArray2<'_, f64>) -> Dense {
    let view = array.as_array();
    Dense::from_rows(view.nrows(), view.ncols(), view.iter().copied().collect())
}

/// How a model is fitted: `ferrocyte.ctmm._fit.Request`.
#[derive(FromPyObject)]
pub(crate) struct Request {
    model: String,
    method: String,
    variance: String,
    jackknife: String,
    mean_test: String,
}

impl Request {
    fn options(&self) -> Result<FitOptions> {
        Ok(FitOptions {
            model: Model::from_word(&self.model)?,
            method: Method::from_word(&self.method)?,
            variance: Variance::from_word(&self.variance)?,
            jackknife: Jackknife::from_word(&self.jackknife)?,
            mean_test: MeanTest::from_word(&self.mean_test)?,
        })
    }
}

/// Models of all genes: a `dict` of names, arrays (genes first) and the table. With `overall` pseudobulk per cell type is
/// first made overall pseudobulk.
#[pyfunction]
pub(crate) fn ctmm_fit<'py>(
    py: Python<'py>,
    study: Handed<'py>,
    request: Request,
    overall: bool,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = request.options().or_raise(py)?;
    let given = study.study().or_raise(py)?;
    let found = attended(py, &means, |run| {
        let study = if overall { given.overall()? } else { given };
        fit(run, study, options)
    })?;
    fitted(py, found)
}

/// Score tests of every question: the table.
#[pyfunction]
pub(crate) fn ctmm_test<'py>(py: Python<'py>, study: Handed<'py>, means: Means) -> PyResult<Bound<'py, PyDict>> {
    let study = study.study().or_raise(py)?;
    let found = attended(py, &means, |run| questions(run, study))?;
    table(py, found.table())
}

fn fitted(py: Python<'_>, found: Fit) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let (n, k, p, c) = (found.genes.len(), found.variances.len(), found.coefficients.len(), found.cell_types.len());
    out.set_item("table", table(py, found.table())?)?;
    let v: Vec<f64> = (0..n).flat_map(|gene| found.v(gene)).collect();
    out.set_item("v", matrix(py, n, c * c, v)?)?;
    out.set_item("theta", matrix(py, n, k, found.theta)?)?;
    out.set_item("theta_covariance", matrix(py, n, k * k, found.theta_covariance)?)?;
    out.set_item("beta", matrix(py, n, p, found.beta)?)?;
    out.set_item("beta_covariance", matrix(py, n, p * p, found.beta_covariance)?)?;
    out.set_item("log_likelihood", found.log_likelihood.into_pyarray(py))?;
    out.set_item("bad_refits", found.bad_refits.iter().map(|&n| i64::from(n)).collect::<Vec<_>>().into_pyarray(py))?;
    out.set_item("variances", found.variances)?;
    out.set_item("coefficients", found.coefficients)?;
    out.set_item("fixed", found.fixed)?;
    out.set_item("random", found.random)?;
    out.set_item("genes", found.genes)?;
    out.set_item("cell_types", found.cell_types)?;
    out.set_item("dropped", found.dropped)?;
    out.set_item("provenance", provenance(py, &found.provenance)?)?;
    Ok(out)
}

fn provenance<'py>(py: Python<'py>, of: &Provenance) -> PyResult<Bound<'py, PyAny>> {
    to_python(py, &of.to_value())
}

/// A study on its way out: names, flat values and noise, proportions.
fn study_out(py: Python<'_>, study: Study) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let (n, c) = (study.individuals.len(), study.cell_types.len());
    out.set_item("genes", study.genes)?;
    out.set_item("individuals", study.individuals)?;
    out.set_item("cell_types", study.cell_types)?;
    out.set_item("values", study.values.into_pyarray(py))?;
    out.set_item("noise", study.noise.into_pyarray(py))?;
    out.set_item("proportions", study.proportions.map(|p| matrix(py, n, c, p)).transpose()?)?;
    Ok(out)
}

/// How pseudobulk is made: `ferrocyte.ctmm._prepare.Request`.
#[derive(FromPyObject)]
pub(crate) struct Making {
    normalize: String,
    min_cells_individual: u64,
    min_cells_pair: u64,
    noise: String,
    drop_empty: bool,
}

/// Pseudobulk of a matrix of counts: a study with `counts` (individuals × cell types), `too_few` and `provenance`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call with everything that the package hands over")]
pub(crate) fn ctmm_prepare<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    genes: Vec<String>,
    cells: Vec<String>,
    obs: &Bound<'py, PyDict>,
    columns: (String, String),
    making: Making,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = PrepareOptions {
        normalize: Normalize::from_word(&making.normalize).or_raise(py)?,
        min_cells_individual: making.min_cells_individual,
        min_cells_pair: making.min_cells_pair,
        noise: Noise::from_word(&making.noise).or_raise(py)?,
        drop_empty: making.drop_empty,
    };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let obs = frame(py, source.n_rows(), obs)?;
    let made =
        attended(py, &means, |run| prepare(run, &mut *source, &genes, &cells, &obs, &columns.0, &columns.1, &options))?;
    let (n, c) = (made.study.individuals.len(), made.study.cell_types.len());
    let counts = made.counts.into_iter().map(|n| n as f64).collect();
    let told = provenance(py, &made.provenance)?;
    let out = study_out(py, made.study)?;
    out.set_item("counts", matrix(py, n, c, counts)?)?;
    out.set_item("too_few", made.too_few)?;
    out.set_item("provenance", told)?;
    Ok(out)
}

/// Every gene on the scale of its overall expression: a study, its other tables, and the names of constant genes.
#[pyfunction]
pub(crate) fn ctmm_standardize<'py>(py: Python<'py>, study: Handed<'py>) -> PyResult<Bound<'py, PyDict>> {
    let study = study.study().or_raise(py)?;
    let made = standardize(&study).or_raise(py)?;
    let (g, n) = (study.genes.len(), study.individuals.len());
    let out = study_out(py, made.study)?;
    out.set_item("op", matrix(py, g, n, made.op)?)?;
    out.set_item("op_noise", matrix(py, g, n, made.op_noise)?)?;
    out.set_item("overall_noise", matrix(py, g, n, made.noise)?)?;
    out.set_item("noise_for_op", made.noise_for_op.into_pyarray(py))?;
    out.set_item("constant", made.constant)?;
    Ok(out)
}

/// Missing pairs filled in.
#[pyfunction]
pub(crate) fn ctmm_impute<'py>(py: Python<'py>, study: Handed<'py>, means: Means) -> PyResult<Bound<'py, PyDict>> {
    let study = study.study().or_raise(py)?;
    let made = attended(py, &means, |run| impute(run, &study))?;
    study_out(py, made)
}

/// What is simulated: `ferrocyte.sim._ctmm.CtmmRequest`.
#[derive(FromPyObject)]
pub(crate) struct Simulated {
    n_genes: usize,
    n_individuals: usize,
    truth: String,
    concentration: Option<Vec<f64>>,
    ratios: Option<Vec<f64>>,
    hom2: Option<f64>,
    mean_share: Option<f64>,
    specific_share: Option<f64>,
    noise: Option<f64>,
    noise_variance: Option<f64>,
    seed: u64,
}

/// A study of the paper's design, with `beta` and `v` (the truth).
#[pyfunction]
pub(crate) fn ctmm_simulate(py: Python<'_>, request: Simulated, means: Means) -> PyResult<Bound<'_, PyDict>> {
    let truth = Truth::from_word(&request.truth).or_raise(py)?;
    let mut options = SimulateOptions::paper(truth, request.n_genes, request.n_individuals, request.seed);
    if let Some(concentration) = request.concentration {
        options.ratios = vec![1.0; concentration.len()];
        options.concentration = concentration;
    }
    options.ratios = request.ratios.unwrap_or(options.ratios);
    options.hom2 = request.hom2.unwrap_or(options.hom2);
    options.mean_share = request.mean_share.unwrap_or(options.mean_share);
    options.specific_share = request.specific_share.unwrap_or(options.specific_share);
    options.noise = request.noise.unwrap_or(options.noise);
    options.noise_variance = request.noise_variance.unwrap_or(options.noise_variance);
    let study = attended(py, &means, |run| simulate(run, &options))?;
    let c = study.cell_types.len();
    let out = study_out(py, study)?;
    out.set_item("hom2", options.hom2)?;
    out.set_item("beta", options.means().into_pyarray(py))?;
    out.set_item("v", matrix(py, c, c, options.v())?)?;
    Ok(out)
}

/// Where each of the wanted ids stands in a table.
#[pyfunction]
pub(crate) fn ctmm_align(py: Python<'_>, wanted: Vec<String>, found: Vec<String>, table: &str) -> PyResult<Vec<usize>> {
    align(&wanted, &found, table).or_raise(py)
}

/// ln p of one-sided t tests.
#[pyfunction]
pub(crate) fn ctmm_ln_upper_t(estimate: f64, variance: f64, df: f64) -> f64 {
    ln_upper_t(estimate, variance, df)
}

/// ln p of all estimates being zero.
#[pyfunction]
pub(crate) fn ctmm_ln_f(estimates: Vec<f64>, covariance: PyReadonlyArray2<'_, f64>, df: f64) -> f64 {
    ln_f(&estimates, dense(&covariance).entries(), df)
}

/// ln p of equal means.
#[pyfunction]
pub(crate) fn ctmm_ln_equal_means(means: Vec<f64>, covariance: PyReadonlyArray2<'_, f64>, df: f64) -> f64 {
    ln_equal_means(&means, dense(&covariance).entries(), df)
}

/// ln p of likelihood-ratio tests, gene by gene.
#[pyfunction]
pub(crate) fn ctmm_ln_likelihood_ratio<'py>(
    py: Python<'py>,
    l: PyReadonlyArray1<'py, f64>,
    l0: PyReadonlyArray1<'py, f64>,
    df: f64,
) -> Bound<'py, numpy::PyArray1<f64>> {
    let pairs = l.as_array().iter().copied().zip(l0.as_array().iter().copied()).collect::<Vec<_>>();
    pairs.into_iter().map(|(l, l0)| ln_likelihood_ratio(l, l0, df)).collect::<Vec<_>>().into_pyarray(py)
}

/// Name, verbs, default, choices, meaning.
type OptionWords = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>, &'static str);

/// The options of the family: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn ctmm_options() -> Vec<OptionWords> {
    let words = |o: &OptionInfo| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning);
    OPTIONS.iter().map(words).collect()
}

/// What can become of a gene: word, severity, sentence.
#[pyfunction]
pub(crate) fn ctmm_statuses() -> Vec<(&'static str, &'static str, &'static str)> {
    Outcome::ALL.iter().map(|o| o.status()).map(|s| (s.word, s.severity.word(), s.sentence)).collect()
}
