//! The count models of all genes in all groups: estimates and tests.

use std::path::Path;

use ferrocyte_base::Fault;
use ferrocyte_io::{part_from_bytes, part_to_bytes, read_part, write_part};
use ferrocyte_math::variance_prior::Prior;
use ferrocyte_mixed::lmm::Contrast;
use ferrocyte_mixed::nbmm::{
    self, Adjust, Effect, Family, FitOptions, GeneFit, GroupFit, Method, NaChoice, OPTIONS, Outcome, Residuals,
    Statistic, TestOptions,
};
use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::sums::NbSums;
use crate::faults::OrRaise;
use crate::lmm::{Asked, OptionWords};
use crate::monitor::{Means, attended};
use crate::obs::frame;
use crate::sources::{Held, Matrix};
use crate::values::{matrix, table, to_python};

/// A number of every gene, by its name.
type Column = (&'static str, fn(&GeneFit) -> f64);

/// The count models of all genes in all groups.
#[pyclass(frozen, module = "ferrocyte._core")]
pub(crate) struct NbFit(nbmm::Fit);

/// How models are fitted: `ferrocyte.nbmm._fit.HowFitted`.
#[derive(FromPyObject)]
pub(crate) struct HowFitted {
    re: String,
    family: String,
    method: String,
    moderate: bool,
    min_count: u64,
    quad: Option<usize>,
}

/// How contrasts are tested: `ferrocyte.nbmm._result.HowTested`.
#[derive(FromPyObject)]
struct HowTested {
    statistic: String,
    adjust: String,
    allow_no_replication: bool,
}

/// The options of the family: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn nbmm_options() -> Vec<OptionWords> {
    OPTIONS.iter().map(|o| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning)).collect()
}

/// The statuses: word, severity (`ok`, `note`, `no estimate`), sentence.
#[pyfunction]
pub(crate) fn nbmm_statuses() -> Vec<(&'static str, &'static str, &'static str)> {
    Outcome::ALL.iter().map(|o| o.status()).map(|s| (s.word, s.severity.word(), s.sentence)).collect()
}

/// The columns of a table of tests: name, unit, meaning.
#[pyfunction]
pub(crate) fn nbmm_test_columns() -> Vec<(&'static str, &'static str, &'static str)> {
    nbmm::test_columns().into()
}

/// Fits every gene of every group.
#[pyfunction]
pub(crate) fn nbmm_fit(py: Python<'_>, sums: &NbSums, how: HowFitted, means: Means) -> PyResult<NbFit> {
    let options = FitOptions {
        effect: Effect::from_word(&how.re).or_raise(py)?,
        family: Family::from_word(&how.family).or_raise(py)?,
        method: Method::from_word(&how.method).or_raise(py)?,
        moderate: how.moderate,
        min_count: how.min_count,
        quad: how.quad,
    };
    let sums = &sums.0;
    attended(py, &means, |run| nbmm::Fit::new(run, sums.clone(), options)).map(NbFit)
}

#[pymethods]
impl NbFit {
    /// Back from `to_bytes`.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8], means: Means) -> PyResult<Self> {
        attended(py, &means, |run| nbmm::Fit::from_part(run, &part_from_bytes(bytes)?)).map(Self)
    }

    /// Reads a part file.
    #[staticmethod]
    fn load(py: Python<'_>, path: &str, means: Means) -> PyResult<Self> {
        attended(py, &means, |run| nbmm::Fit::from_part(run, &read_part(Path::new(path))?).map_err(|f| f.at(path)))
            .map(Self)
    }

    /// The bytes of the part file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &part_to_bytes(&self.0.to_part()).or_raise(py)?))
    }

    /// Writes a part file.
    fn save(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        py.detach(|| write_part(Path::new(path), &self.0.to_part())).or_raise(py)
    }

    /// Tests contrasts, as a table.
    fn test<'py>(
        &self,
        py: Python<'py>,
        contrasts: Vec<Asked>,
        how: HowTested,
        means: Means,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = TestOptions {
            statistic: Statistic::from_word(&how.statistic).or_raise(py)?,
            adjust: Adjust::from_word(&how.adjust).or_raise(py)?,
            allow_no_replication: how.allow_no_replication,
        };
        let contrasts: Vec<Contrast> = contrasts.into_iter().map(Contrast::from).collect();
        let fit = &self.0;
        let tested = attended(py, &means, |run| fit.test(run, &contrasts, &options))?;
        table(py, tested)
    }

    /// The priors of a group: `tau` and `s2`, each with `coefficients`, `omega`, `n_genes`, `trend`; empty without moderation.
    fn priors<'py>(&self, py: Python<'py>, group: usize) -> PyResult<Bound<'py, PyDict>> {
        let (tau, s2) = self.group(py, group)?.priors();
        let describe = |prior: &Prior| -> PyResult<Bound<'py, PyDict>> {
            let out = PyDict::new(py);
            out.set_item("coefficients", prior.coefficients.to_vec())?;
            out.set_item("omega", prior.omega)?;
            out.set_item("n_genes", prior.n_genes)?;
            out.set_item("trend", (prior.trend.q01, prior.trend.q99))?;
            Ok(out)
        };
        let out = PyDict::new(py);
        for (name, prior) in [("tau", tau), ("s2", s2)] {
            if let Some(prior) = prior {
                out.set_item(name, describe(prior)?)?;
            }
        }
        Ok(out)
    }

    /// One `dict` per group: label, cells, donors, coefficients, path, refused, and a note on moderation.
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let describe = |(group, sums): (&GroupFit, &nbmm::GroupSums)| -> PyResult<Bound<'py, PyDict>> {
            let out = PyDict::new(py);
            out.set_item("label", &group.label)?;
            out.set_item("n_cells", sums.n_cells)?;
            out.set_item("n_donors", sums.donors.len())?;
            out.set_item("coefficients", sums.coefficients.names())?;
            out.set_item("path", sums.path())?;
            out.set_item("refused", &group.refused)?;
            out.set_item("note", group.moderation_note())?;
            Ok(out)
        };
        self.0.groups.iter().zip(&self.0.sums().groups).map(describe).collect()
    }

    /// A few lines for people.
    fn describe(&self) -> String {
        self.0.describe()
    }

    #[getter]
    fn groups_by(&self) -> String {
        self.0.sums().groups_by.clone()
    }

    /// The estimates of a group: `coef`, `se` (genes × p), and per gene `tau`, `s2`, `se_ln_tau`, `se_ln_s2`,
    /// `log_likelihood`, `max_gradient`, `evaluations`, `total`, `ln_tau_mod`, `ln_s2_mod`, `status`.
    fn estimates<'py>(&self, py: Python<'py>, group: usize) -> PyResult<Bound<'py, PyDict>> {
        let genes = &self.group(py, group)?.genes;
        let p = self.0.sums().groups[group].n_fixed();
        let out = PyDict::new(py);
        let all = |f: fn(&GeneFit) -> &Vec<f64>| genes.iter().flat_map(|g| f(g).iter().copied()).collect::<Vec<f64>>();
        out.set_item("coef", matrix(py, genes.len(), p, all(|g| &g.coefficients))?)?;
        out.set_item("se", matrix(py, genes.len(), p, all(|g| &g.se))?)?;
        let columns: [Column; 8] = [
            ("tau", |g| g.tau),
            ("s2", |g| g.s2),
            ("se_ln_tau", |g| g.se_ln_tau),
            ("se_ln_s2", |g| g.se_ln_s2),
            ("log_likelihood", |g| g.log_likelihood),
            ("max_gradient", |g| g.max_gradient),
            ("evaluations", |g| f64::from(g.evaluations)),
            ("total", |g| g.total),
        ];
        for (name, f) in columns {
            out.set_item(name, genes.iter().map(f).collect::<Vec<f64>>().into_pyarray(py))?;
        }
        let moderated: Vec<(f64, f64)> = (0..genes.len()).map(|g| self.0.groups[group].moderated(g)).collect();
        let (tau, s2): (Vec<f64>, Vec<f64>) = moderated.into_iter().unzip();
        out.set_item("ln_tau_mod", tau.into_pyarray(py))?;
        out.set_item("ln_s2_mod", s2.into_pyarray(py))?;
        out.set_item("status", genes.iter().map(|g| g.outcomes.word()).collect::<Vec<String>>())?;
        Ok(out)
    }

    /// The likelihood-ratio test of a contrast in one group: arrays `lr` and `ln_p`.
    fn likelihood_ratio<'py>(
        &self,
        py: Python<'py>,
        group: usize,
        weights: Vec<f64>,
        means: Means,
    ) -> PyResult<Bound<'py, PyDict>> {
        let fit = &self.0;
        let found = attended(py, &means, |run| fit.likelihood_ratio(run, group, &weights))?;
        let (lr, ln_p): (Vec<f64>, Vec<f64>) = found.into_iter().unzip();
        let out = PyDict::new(py);
        out.set_item("lr", lr.into_pyarray(py))?;
        out.set_item("ln_p", ln_p.into_pyarray(py))?;
        Ok(out)
    }

    /// The effects of the donors of a group: `donors`, `means` and `standard_errors` (genes × donors).
    fn random_effects<'py>(&self, py: Python<'py>, group: usize, means: Means) -> PyResult<Bound<'py, PyDict>> {
        let fit = &self.0;
        let found = attended(py, &means, |run| fit.random_effects(run, group))?;
        let (m, n) = (fit.genes().len(), found.donors.len());
        let out = PyDict::new(py);
        out.set_item("donors", found.donors)?;
        out.set_item("means", matrix(py, m, n, found.means)?)?;
        out.set_item("standard_errors", matrix(py, m, n, found.standard_errors)?)?;
        Ok(out)
    }

    /// Coefficients of a group, genes × p, finite where the likelihood rises for ever.
    fn shrunken<'py>(&self, py: Python<'py>, group: usize, means: Means) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let fit = &self.0;
        let found = attended(py, &means, |run| fit.shrunken(run, group))?;
        matrix(py, fit.genes().len(), fit.sums().groups[group].n_fixed(), found)
    }

    /// What gives residuals to the cells of a study.
    #[expect(clippy::too_many_arguments, reason = "one call of the package with everything that it knows")]
    fn residuals<'py>(
        &self,
        py: Python<'py>,
        source: Matrix<'py>,
        genes: Vec<String>,
        n_cells: usize,
        obs: &Bound<'py, PyDict>,
        na: &str,
        conditional: bool,
        means: Means,
    ) -> PyResult<NbResiduals> {
        let na = NaChoice::from_word(na).or_raise(py)?;
        let obs = frame(py, n_cells, obs)?;
        let source = Held::new(source)?;
        let mut opened = source.open(py).or_raise(py)?;
        let fit = &self.0;
        attended(py, &means, |run| Residuals::new(run, fit, &mut opened, (&genes, &obs), na, conditional))
            .map(NbResiduals)
    }

    #[getter]
    fn genes(&self) -> Vec<String> {
        self.0.genes().to_vec()
    }

    /// What was done to what, as plain data.
    fn provenance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0.provenance().to_value())
    }

    /// A copy of the sums that were fitted.
    fn sums(&self) -> NbSums {
        NbSums(self.0.sums().clone())
    }
}

/// What gives residuals to the cells of a study.
#[pyclass(frozen, module = "ferrocyte._core")]
pub(crate) struct NbResiduals(Residuals);

#[pymethods]
impl NbResiduals {
    /// The residuals of the cells `start` to `stop`, cells × genes.
    fn rows<'py>(
        &self,
        py: Python<'py>,
        source: Matrix<'py>,
        start: usize,
        stop: usize,
        means: Means,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let source = Held::new(source)?;
        let mut opened = source.open(py).or_raise(py)?;
        let residuals = &self.0;
        let found = attended(py, &means, |run| residuals.rows(run, &mut opened, start..stop))?;
        found.into_pyarray(py).reshape([stop.saturating_sub(start), residuals.n_genes()])
    }
}

impl NbFit {
    fn group(&self, py: Python<'_>, group: usize) -> PyResult<&GroupFit> {
        self.0.groups.get(group).ok_or_else(|| Fault::missing(format!("there is no group {group}"))).or_raise(py)
    }
}
