//! `fe.gxemm`: heritability by environment, its tests, and the words of the family.

use std::ops::Range;
use std::path::PathBuf;

use ferrocyte_base::{Fault, OptionInfo, Result};
use ferrocyte_io::{Plink, Variant, read_kinship};
use ferrocyte_math::linalg::Matrix as Dense;
use ferrocyte_mixed::gxemm::{
    Errors, Fit, FitOptions, Genetic, Genotypes, Information, Kinship, Markers, Method, Noise, OPTIONS, Outcome,
    Ratios, Route, SIMULATE_OPTIONS, SimulateOptions, Standardize, Study, TraitFit, Variance, align, fit,
    fit_genotypes, kinship_of, ln_equal, ln_joint_wald, ln_likelihood_ratio, ln_mixture, ln_wald, ln_wald_two_sided,
    mixture_weights, simulate,
};
use numpy::{IntoPyArray, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::values::{matrix, table, to_python};

/// A kinship in either precision, kept in it.
#[derive(FromPyObject)]
pub(crate) enum Kin<'py> {
    Double(PyReadonlyArray2<'py, f64>),
    Single(PyReadonlyArray2<'py, f32>),
}

/// A study on its way in: `ferrocyte.gxemm._inputs.Handed`. Values are traits × people.
#[derive(FromPyObject)]
pub(crate) struct Handed<'py> {
    individuals: Vec<String>,
    traits: Vec<String>,
    values: PyReadonlyArray2<'py, f64>,
    covariate_names: Vec<String>,
    covariates: PyReadonlyArray2<'py, f64>,
    environment_names: Vec<String>,
    environments: PyReadonlyArray2<'py, f64>,
    kinship: Option<Kin<'py>>,
}

impl Handed<'_> {
    fn study(&self) -> Result<Study> {
        let n = self.individuals.len();
        let kinship = match &self.kinship {
            Some(Kin::Double(k)) => Some(Kinship::new(n, k.as_array().iter().copied().collect(), &self.individuals)?),
            Some(Kin::Single(k)) => {
                Some(Kinship::single(n, k.as_array().iter().copied().collect(), &self.individuals)?)
            }
            None => None,
        };
        Ok(Study {
            individuals: self.individuals.clone(),
            traits: self.traits.clone(),
            values: self.values.as_array().iter().copied().collect(),
            covariate_names: self.covariate_names.clone(),
            covariates: dense(&self.covariates),
            environment_names: self.environment_names.clone(),
            environments: dense(&self.environments),
            kinship,
        })
    }
}

fn dense(array: &PyReadonlyArray2<'_, f64>) -> Dense {
    let view = array.as_array();
    Dense::from_rows(view.nrows(), view.ncols(), view.iter().copied().collect())
}

/// How a model is fitted: `ferrocyte.gxemm._fit.Request`.
#[derive(FromPyObject)]
pub(crate) struct Request {
    gtype: String,
    etype: String,
    method: String,
    variance: String,
    information: String,
    use_diag: bool,
    weighted: bool,
    prev: Option<f64>,
    last_noise: bool,
    errors: String,
    route: String,
    probes: usize,
    blocks: usize,
    seed: u64,
}

impl Request {
    fn options(&self) -> Result<FitOptions> {
        Ok(FitOptions {
            gtype: Genetic::from_word(&self.gtype)?,
            etype: Noise::from_word(&self.etype)?,
            method: Method::from_word(&self.method)?,
            variance: Variance::from_word(&self.variance)?,
            information: Information::from_word(&self.information)?,
            use_diag: self.use_diag,
            weighted: self.weighted,
            prev: self.prev,
            last_noise: self.last_noise,
            errors: Errors::from_word(&self.errors)?,
            route: Route::from_word(&self.route)?,
            probes: self.probes,
            blocks: self.blocks,
            seed: self.seed,
        })
    }
}

/// Models of all traits: names, the table, and a `dict` of arrays for each trait.
#[pyfunction]
pub(crate) fn gxemm_fit<'py>(
    py: Python<'py>,
    study: Handed<'py>,
    request: Request,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = request.options().or_raise(py)?;
    let study = study.study().or_raise(py)?;
    let found = attended(py, &means, |run| fit(run, &study, options))?;
    fitted(py, found)
}

/// Genotypes on their way in: `ferrocyte.gxemm._inputs.Markers`.
#[derive(FromPyObject)]
pub(crate) struct MarkersIn<'py> {
    source: Counts<'py>,
    standardize: String,
    sex_linked: bool,
    named: bool,
}

/// A file, or individuals × markers.
#[derive(FromPyObject)]
enum Counts<'py> {
    Array(PyReadonlyArray2<'py, i8>),
    File(PathBuf),
}

/// The same from genotypes, by randomised moments; the study has no kinship. Where the study is not `named`, the individuals
/// are those of the genotypes in their order.
#[pyfunction]
pub(crate) fn gxemm_fit_genotypes<'py>(
    py: Python<'py>,
    study: Handed<'py>,
    markers: MarkersIn<'py>,
    request: Request,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = request.options().or_raise(py)?;
    let standardize = Standardize::from_word(&markers.standardize).or_raise(py)?;
    let study = study.study().or_raise(py)?;
    let named = markers.named;
    let sex_linked = markers.sex_linked;
    let held = match markers.source {
        Counts::Array(array) => Ok(InMemory::new(&array)),
        Counts::File(path) => Err(path),
    };
    let found = attended(py, &means, |run| match held {
        Ok(mut array) => {
            let people = everybody(array.n, study.individuals.len())?;
            let mut genotypes = Genotypes { markers: &mut array, chosen: &|_| true, standardize, people };
            fit_genotypes(run, &study, &mut genotypes, options)
        }
        Err(path) => {
            let mut file = OnDisk(Plink::open(&path)?);
            let linked: Vec<bool> = file.0.variants.iter().map(Variant::is_sex_linked).collect();
            let people = if named {
                align(run, &study.individuals, &file.0.individuals, "genotypes")?
            } else {
                everybody(file.0.individuals.len(), study.individuals.len())?
            };
            let chosen = |j: usize| sex_linked || !linked[j];
            let mut genotypes = Genotypes { markers: &mut file, chosen: &chosen, standardize, people };
            fit_genotypes(run, &study, &mut genotypes, options)
        }
    })?;
    fitted(py, found)
}

/// The individuals of genotypes, in their order, where there are as many as the study has.
fn everybody(found: usize, expected: usize) -> Result<Vec<usize>> {
    if found != expected {
        return Err(Fault::bad_input(format!("genotypes are of {found} individuals, y has {expected}"))
            .at("genotypes")
            .hint("name the individuals of y, as a table with an index or by `individuals`"));
    }
    Ok((0..found).collect())
}

/// Genotypes of an array, markers × individuals.
struct InMemory {
    n: usize,
    counts: Vec<i8>,
}

impl InMemory {
    /// From individuals × markers.
    fn new(array: &PyReadonlyArray2<'_, i8>) -> Self {
        let view = array.as_array();
        Self { n: view.nrows(), counts: view.t().iter().copied().collect() }
    }
}

impl Markers for InMemory {
    fn n_individuals(&self) -> usize {
        self.n
    }

    fn n_markers(&self) -> usize {
        self.counts.len() / self.n.max(1)
    }

    fn read(&mut self, markers: Range<usize>) -> Result<Vec<i8>> {
        Ok(self.counts[markers.start * self.n..markers.end * self.n].to_vec())
    }
}

fn fitted(py: Python<'_>, found: Fit) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("table", table(py, found.table())?)?;
    let traits = PyList::empty(py);
    for t in 0..found.traits.len() {
        traits.append(one(py, &found, t)?)?;
    }
    out.set_item("traits", traits)?;
    out.set_item("variances", found.variances)?;
    out.set_item("coefficients", found.coefficients)?;
    out.set_item("environments", found.environments)?;
    out.set_item("partition", found.partition)?;
    out.set_item("provenance", to_python(py, &found.provenance.to_value())?)?;
    Ok(out)
}

fn one<'py>(py: Python<'py>, found: &Fit, t: usize) -> PyResult<Bound<'py, PyDict>> {
    let of: &TraitFit = &found.traits[t];
    let out = PyDict::new(py);
    let square = |m: &Dense| matrix(py, m.n_rows(), m.n_cols(), m.entries().to_vec());
    let (peer, peer_covariance) = found.peer(t);
    out.set_item("name", &of.name)?;
    out.set_item("n", of.n)?;
    out.set_item("scale", of.scale)?;
    out.set_item("theta", of.theta.clone().into_pyarray(py))?;
    out.set_item("theta_covariance", square(&of.theta_covariance)?)?;
    out.set_item("free_covariance", square(&of.free_covariance)?)?;
    out.set_item("beta", of.beta.clone().into_pyarray(py))?;
    out.set_item("beta_covariance", square(&of.beta_covariance)?)?;
    out.set_item("log_likelihood", of.log_likelihood)?;
    out.set_item("log_likelihood_full", of.log_likelihood_full)?;
    out.set_item("log_likelihood_null", of.log_likelihood_null)?;
    out.set_item("projected", of.projected.clone().into_pyarray(py))?;
    out.set_item("evaluations", of.evaluations)?;
    out.set_item("route", &of.route)?;
    out.set_item("monte_carlo_covariance", square(&of.monte_carlo)?)?;
    out.set_item("status", of.outcome.status().word)?;
    put_ratios(py, &out, "h2", &of.h2)?;
    put_ratios(py, &out, "shares", &of.shares)?;
    out.set_item("peer", peer.into_pyarray(py))?;
    out.set_item("peer_covariance", square(&peer_covariance)?)?;
    let of_peer = found.peer_h2(t);
    put_ratios(py, &out, "peer_h2", &of_peer)?;
    Ok(out)
}

fn put_ratios(py: Python<'_>, out: &Bound<'_, PyDict>, name: &str, ratios: &Ratios) -> PyResult<()> {
    let k = ratios.values.len();
    out.set_item(format!("{name}_names"), &ratios.names)?;
    out.set_item(name, ratios.values.clone().into_pyarray(py))?;
    out.set_item(format!("{name}_covariance"), matrix(py, k, k, ratios.covariance.entries().to_vec())?)
}

/// Where each of the wanted ids stands in a table.
#[pyfunction]
pub(crate) fn gxemm_align(
    py: Python<'_>,
    wanted: Vec<String>,
    found: Vec<String>,
    table: &str,
    means: Means,
) -> PyResult<Vec<usize>> {
    attended(py, &means, |run| align(run, &wanted, &found, table))
}

/// ln p of a Wald test.
#[pyfunction]
pub(crate) fn gxemm_ln_wald(estimate: f64, variance: f64, two_sided: bool) -> f64 {
    if two_sided { ln_wald_two_sided(estimate, variance) } else { ln_wald(estimate, variance) }
}

/// ln p of all estimates being zero.
#[pyfunction]
pub(crate) fn gxemm_ln_joint_wald(estimates: Vec<f64>, covariance: PyReadonlyArray2<'_, f64>) -> f64 {
    ln_joint_wald(&estimates, &dense(&covariance))
}

/// ln p of equal heritabilities.
#[pyfunction]
pub(crate) fn gxemm_ln_equal(h2: Vec<f64>, covariance: PyReadonlyArray2<'_, f64>) -> f64 {
    ln_equal(&h2, &dense(&covariance))
}

/// ln p of a likelihood-ratio test.
#[pyfunction]
pub(crate) fn gxemm_ln_likelihood_ratio(l: f64, l0: f64, df: f64) -> f64 {
    ln_likelihood_ratio(l, l0, df)
}

/// ln p of a likelihood-ratio test of variances that may not be negative, and the weights of its mixture.
#[pyfunction]
pub(crate) fn gxemm_ln_mixture(l: f64, l0: f64, covariance: PyReadonlyArray2<'_, f64>, free: usize) -> (f64, Vec<f64>) {
    let covariance = dense(&covariance);
    (ln_mixture(l, l0, &covariance, free), mixture_weights(&covariance).unwrap_or_default())
}

/// A kinship on disk, or that of PLINK genotypes: names, matrix, and how many markers are in it (0 where it is not known).
#[pyfunction]
pub(crate) fn gxemm_kinship<'py>(
    py: Python<'py>,
    path: PathBuf,
    standardize: &str,
    sex_linked: bool,
    means: Means,
) -> PyResult<(Vec<String>, Bound<'py, PyArray2<f64>>, usize)> {
    let standardize = Standardize::from_word(standardize).or_raise(py)?;
    let (names, values, used) = attended(py, &means, |run| {
        if path.extension().is_none_or(|ending| ending != "bed") {
            let read = read_kinship(&path)?;
            return Ok((read.individuals, read.values, 0));
        }
        let mut markers = OnDisk(Plink::open(&path)?);
        let linked: Vec<bool> = markers.0.variants.iter().map(Variant::is_sex_linked).collect();
        let (values, used) = kinship_of(run, &mut markers, |j| sex_linked || !linked[j], standardize)?;
        Ok((markers.0.individuals, values, used))
    })?;
    let n = names.len();
    Ok((names, matrix(py, n, n, values)?, used))
}

/// Genotypes of a file as those of the family.
struct OnDisk(Plink);

impl Markers for OnDisk {
    fn n_individuals(&self) -> usize {
        self.0.individuals.len()
    }

    fn n_markers(&self) -> usize {
        self.0.variants.len()
    }

    fn read(&mut self, markers: Range<usize>) -> Result<Vec<i8>> {
        self.0.read(markers)
    }
}

/// What is simulated: `ferrocyte.sim._gxemm.Request`.
#[derive(FromPyObject)]
pub(crate) struct Simulated {
    n_individuals: usize,
    n_snps: usize,
    frequency: f64,
    hom: f64,
    specific: Vec<f64>,
    noise: Vec<f64>,
    effect: f64,
    seed: u64,
}

/// A study: names, genotypes (people × markers), environments (codes), values.
#[pyfunction]
pub(crate) fn gxemm_simulate(py: Python<'_>, request: Simulated, means: Means) -> PyResult<Bound<'_, PyDict>> {
    let options = SimulateOptions {
        n_individuals: request.n_individuals,
        n_snps: request.n_snps,
        frequency: request.frequency,
        hom: request.hom,
        specific: request.specific,
        noise: request.noise,
        effect: request.effect,
        seed: request.seed,
    };
    let made = attended(py, &means, |run| simulate(run, &options))?;
    let out = PyDict::new(py);
    let codes: Vec<i64> = made.environment.iter().map(|&e| e as i64).collect();
    out.set_item("individuals", made.individuals)?;
    out.set_item("genotypes", made.genotypes.into_pyarray(py).reshape([options.n_individuals, options.n_snps])?)?;
    out.set_item("environment", codes.into_pyarray(py))?;
    out.set_item("values", made.values.into_pyarray(py))?;
    Ok(out)
}

/// The options of the simulator: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn gxemm_sim_options() -> Vec<OptionWords> {
    let words = |o: &OptionInfo| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning);
    SIMULATE_OPTIONS.iter().map(words).collect()
}

/// Name, verbs, default, choices, meaning.
type OptionWords = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>, &'static str);

/// The options of the family: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn gxemm_options() -> Vec<OptionWords> {
    let words = |o: &OptionInfo| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning);
    OPTIONS.iter().map(words).collect()
}

/// What can become of a trait: word, severity, sentence.
#[pyfunction]
pub(crate) fn gxemm_statuses() -> Vec<(&'static str, &'static str, &'static str)> {
    Outcome::ALL.iter().map(|o| o.status()).map(|s| (s.word, s.severity.word(), s.sentence)).collect()
}
