//! The fits of all genes in all groups: estimates, tests, components.

use std::path::Path;

use ferrocyte_base::{Fault, Run};
use ferrocyte_io::{part_from_bytes, part_to_bytes, read_part, write_part};
use ferrocyte_math::linalg::{Matrix as Square, scaled_inverse};
use ferrocyte_mixed::lmm::{
    self, Adjust, Alternative, Contrast, Df, FitOptions, GroupFit, Method, Negative, PeerStop, Surface, TestOptions,
    Unit, p_values,
};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::{Sums, numbers};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::values::{matrix, table, to_python};

/// The linear mixed models of all genes in all groups.
#[pyclass(frozen, module = "ferrocyte._core")]
pub(crate) struct Fit(pub(super) lmm::Fit);

/// How models are fitted: `ferrocyte.lmm._fit.HowFitted`.
#[derive(FromPyObject)]
pub(crate) struct HowFitted {
    method: String,
    negative: String,
    moderate: bool,
    min_cells: u64,
}

/// How contrasts are tested: `ferrocyte.lmm._result.HowTested`.
#[derive(FromPyObject)]
struct HowTested {
    df: Option<String>,
    alternative: String,
    adjust: String,
    unit: String,
}

/// Fits every gene of every group. With `stop` (most evaluations, largest gradient, start) the estimates are those of
/// the published iteration.
#[pyfunction]
#[pyo3(signature = (sums, how, means, stop = None))]
pub(crate) fn lmm_fit(
    py: Python<'_>,
    sums: &Sums,
    how: HowFitted,
    means: Means,
    stop: Option<(u32, f64, Option<Vec<f64>>)>,
) -> PyResult<Fit> {
    let options = FitOptions {
        method: Method::from_word(&how.method).or_raise(py)?,
        negative: Negative::from_word(&how.negative).or_raise(py)?,
        moderate: how.moderate,
        min_cells: how.min_cells,
    };
    let sums = &sums.0;
    let fit = attended(py, &means, |run| {
        let mut fit = lmm::Fit::new(run, sums.clone(), options)?;
        if let Some((max_iter, epsilon, theta0)) = stop {
            fit.iterate_as_published(run, &PeerStop { max_iter, epsilon, theta0 })?;
        }
        Ok(fit)
    })?;
    Ok(Fit(fit))
}

/// A contrast as the package hands it over.
#[derive(FromPyObject)]
pub(crate) enum Asked {
    Difference(String, String, String, Vec<(String, String)>),
    Expression(String, String),
}

impl From<Asked> for Contrast {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Difference(variable, level, reference, at) => Self::Difference { variable, level, reference, at },
            Asked::Expression(name, expression) => Self::Expression { name, expression },
        }
    }
}

/// The unit matrix: every coefficient as a contrast.
fn every_coefficient(group: &GroupFit) -> Square {
    let p = group.coefficients.len();
    let mut identity = Square::zeros(p, p);
    for i in 0..p {
        identity[(i, i)] = 1.0;
    }
    identity
}

#[pymethods]
impl Fit {
    /// Back from `to_bytes`.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8], means: Means) -> PyResult<Self> {
        attended(py, &means, |run| lmm::Fit::from_part(run, &part_from_bytes(bytes)?)).map(Self)
    }

    /// Reads a part file.
    #[staticmethod]
    fn load(py: Python<'_>, path: &str, means: Means) -> PyResult<Self> {
        attended(py, &means, |run| lmm::Fit::from_part(run, &read_part(Path::new(path))?).map_err(|f| f.at(path)))
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
            df: how.df.as_deref().map(Df::from_word).transpose().or_raise(py)?,
            alternative: Alternative::from_word(&how.alternative).or_raise(py)?,
            adjust: Adjust::from_word(&how.adjust).or_raise(py)?,
            unit: Unit::from_word(&how.unit).or_raise(py)?,
        };
        let contrasts: Vec<Contrast> = contrasts.into_iter().map(Contrast::from).collect();
        let fit = &self.0;
        let tested = attended(py, &means, |run| fit.test(run, &contrasts, &options))?;
        table(py, tested)
    }

    /// Estimates of the contrasts in the rows of `weights` (of all coefficients if absent) for one group: `estimate`,
    /// `se`, `t` and Satterthwaite's `df`, each genes × contrasts; with an alternative also `p`, from n - p degrees of
    /// freedom (`residual_df`).
    fn estimates<'py>(
        &self,
        py: Python<'py>,
        group: usize,
        weights: Option<PyReadonlyArray2<'py, f64>>,
        alternative: Option<&str>,
        means: Means,
    ) -> PyResult<Bound<'py, PyDict>> {
        let alternative = alternative.map(Alternative::from_word).transpose().or_raise(py)?;
        let group = self.group(py, group)?;
        let contrasts = match &weights {
            Some(array) => {
                let (entries, rows, columns) = numbers(array);
                if columns != group.coefficients.len() {
                    let message = format!("{columns} weights for {} coefficients", group.coefficients.len());
                    return Err(Fault::bad_input(message).at("contrast")).or_raise(py);
                }
                Square::from_rows(rows, columns, entries).transpose()
            }
            None => every_coefficient(group),
        };
        let residual = group.n_cells as f64 - group.coefficients.len() as f64;
        let (found, se, t, p) = attended(py, &means, |run| {
            let found = group.estimates(run, &contrasts, Surface::Fitted)?;
            let se: Vec<f64> = found.variance.iter().map(|v| v.sqrt()).collect();
            let t: Vec<f64> = found.estimate.iter().zip(&se).map(|(b, s)| b / s).collect();
            let p = alternative.map(|alternative| p_values(&t, &vec![residual; t.len()], alternative));
            Ok((found, se, t, p))
        })?;
        let (m, r) = (group.outcomes.len(), found.n_contrasts);
        let out = PyDict::new(py);
        for (name, values) in [("estimate", found.estimate), ("se", se), ("t", t), ("df", found.df)] {
            out.set_item(name, matrix(py, m, r, values)?)?;
        }
        if let Some(p) = p {
            out.set_item("p", matrix(py, m, r, p)?)?;
        }
        out.set_item("residual_df", residual)?;
        Ok(out)
    }

    /// Variance components of one group: `theta`, genes × (k + 1), and per gene `log_likelihood` and `n_iter`; with
    /// `errors` only `se_theta` and `dlogL`, genes × (k + 1), which take some work.
    fn components<'py>(
        &self,
        py: Python<'py>,
        group: usize,
        errors: bool,
        means: Means,
    ) -> PyResult<Bound<'py, PyDict>> {
        let group = self.group(py, group)?;
        let (m, width) = (group.outcomes.len(), group.n_components() + 1);
        let out = PyDict::new(py);
        if errors {
            let errors = attended(py, &means, |run| group.component_errors(run))?;
            out.set_item("se_theta", matrix(py, m, width, errors.se)?)?;
            out.set_item("dlogL", matrix(py, m, width, errors.score)?)?;
            return Ok(out);
        }
        let theta = if group.theta.is_empty() { vec![f64::NAN; m * width] } else { group.theta.clone() };
        out.set_item("theta", matrix(py, m, width, theta)?)?;
        out.set_item("log_likelihood", group.log_likelihood.clone().into_pyarray(py))?;
        out.set_item("n_iter", group.evaluations.iter().map(|&n| i64::from(n)).collect::<Vec<_>>().into_pyarray(py))?;
        Ok(out)
    }

    /// Predicted random effects of one group, genes × q.
    fn random_effects<'py>(&self, py: Python<'py>, group: usize, means: Means) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let group = self.group(py, group)?;
        let found = attended(py, &means, |run| group.random_effects(run))?;
        let (m, q) = (group.outcomes.len(), group.components.iter().map(|c| c.columns.len()).sum());
        matrix(py, m, q, if found.is_empty() { vec![f64::NAN; m * q] } else { found })
    }

    /// `cov` and `FIM_beta`, genes × p × p, and `FIM_theta`, genes × (k + 1) × (k + 1), of one group; NaN without
    /// estimate.
    fn matrices<'py>(&self, py: Python<'py>, group: usize, means: Means) -> PyResult<Bound<'py, PyDict>> {
        let group = self.group(py, group)?;
        let (m, p, width) = (group.outcomes.len(), group.coefficients.len(), group.n_components() + 1);
        let genes = attended(py, &means, |run| {
            run.map_blocks("covariances", m, 64, |gene| {
                let (nan_p, nan_k) = (vec![f64::NAN; p * p], vec![f64::NAN; width * width]);
                let Some(found) = group.covariance(gene) else { return Ok((nan_p.clone(), nan_p, nan_k)) };
                let inverse = scaled_inverse(&found.coefficients, 0.0).map_or(nan_p, Square::into_entries);
                Ok((found.coefficients.into_entries(), inverse, found.information.into_entries()))
            })
        })?;
        let out = PyDict::new(py);
        let (mut cov, mut beta, mut theta) = (Vec::new(), Vec::new(), Vec::new());
        for (c, b, t) in genes {
            cov.extend(c);
            beta.extend(b);
            theta.extend(t);
        }
        out.set_item("cov", cov.into_pyarray(py).reshape([m, p, p])?)?;
        out.set_item("FIM_beta", beta.into_pyarray(py).reshape([m, p, p])?)?;
        out.set_item("FIM_theta", theta.into_pyarray(py).reshape([m, width, width])?)?;
        Ok(out)
    }

    /// The moderated test of one contrast in one group: arrays `estimate`, `se`, `df`, `p`; `None` where there is none.
    fn moderated<'py>(
        &self,
        py: Python<'py>,
        group: usize,
        weights: Vec<f64>,
        alternative: &str,
        means: Means,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let alternative = Alternative::from_word(alternative).or_raise(py)?;
        let group = self.group(py, group)?;
        let Some(tests) = attended(py, &means, |run: &Run| group.moderated(run, &weights, alternative))? else {
            return Ok(None);
        };
        let out = PyDict::new(py);
        let column = |f: fn(&lmm::ModeratedTest) -> f64| tests.iter().map(f).collect::<Vec<f64>>().into_pyarray(py);
        out.set_item("estimate", column(|t| t.estimate))?;
        out.set_item("se", column(|t| t.se))?;
        out.set_item("df", column(|t| t.df))?;
        out.set_item("p", column(|t| t.ln_p.exp()))?;
        Ok(Some(out))
    }

    /// The priors of moderated tests of one group, one for each component: per gene `trend`, `ln_gamma`,
    /// `residual_variance`, and `coefficients`, `omega`, `residual_df`; empty where tests are not moderated.
    fn priors<'py>(&self, py: Python<'py>, group: usize) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let describe = |priors: lmm::Priors| -> PyResult<Bound<'py, PyDict>> {
            let out = PyDict::new(py);
            out.set_item("trend", priors.trend.into_pyarray(py))?;
            out.set_item("ln_gamma", priors.ln_gamma.into_pyarray(py))?;
            out.set_item("ln_gamma_prior", priors.ln_gamma_prior.into_pyarray(py))?;
            out.set_item("residual_variance", priors.residual_variance.into_pyarray(py))?;
            out.set_item("coefficients", priors.coefficients)?;
            out.set_item("omega", priors.omega)?;
            out.set_item("residual_df", priors.residual_df)?;
            Ok(out)
        };
        self.group(py, group)?.priors().into_iter().map(describe).collect()
    }

    /// Codes into `lmm_statuses()`, one per gene.
    fn outcomes<'py>(&self, py: Python<'py>, group: usize) -> PyResult<Bound<'py, PyArray1<i32>>> {
        Ok(self.group(py, group)?.outcomes.iter().map(|o| o.code() as i32).collect::<Vec<_>>().into_pyarray(py))
    }

    /// One `dict` per group: label, cells, coefficients, components with their columns and units, refused, moderation.
    fn groups<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let describe = |group: &GroupFit| -> PyResult<Bound<'py, PyDict>> {
            let out = PyDict::new(py);
            out.set_item("label", &group.label)?;
            out.set_item("n_cells", group.n_cells)?;
            out.set_item("coefficients", group.coefficients.names())?;
            let components: Vec<_> = group
                .components
                .iter()
                .zip(&group.n_units)
                .map(|(c, &n)| (c.name.clone(), c.columns.clone(), n))
                .collect();
            out.set_item("components", components)?;
            out.set_item("refused", &group.refused)?;
            out.set_item("moderated", group.default_df() == Df::Moderated)?;
            out.set_item("note", group.moderation_note())?;
            Ok(out)
        };
        self.0.groups.iter().map(describe).collect()
    }

    #[getter]
    fn genes(&self) -> Vec<String> {
        self.0.genes().to_vec()
    }

    #[getter]
    fn formula(&self) -> String {
        self.0.sums().formula.clone()
    }

    #[getter]
    fn groups_by(&self) -> String {
        self.0.sums().groups_by.clone()
    }

    #[getter]
    fn unit(&self) -> String {
        self.0.sums().transform.unit()
    }

    #[getter]
    fn method(&self) -> &'static str {
        self.0.options().method.word()
    }

    /// What was done to what, as plain data.
    fn provenance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0.provenance().to_value())
    }

    /// How many cells and units stand behind each coefficient, as a table.
    fn support<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        table(py, self.0.sums().support())
    }

    /// A few lines for people.
    fn describe(&self) -> String {
        self.0.describe()
    }

    /// A copy of the sums that were fitted.
    fn sums(&self) -> Sums {
        Sums(self.0.sums().clone())
    }
}

impl Fit {
    pub(super) fn group(&self, py: Python<'_>, group: usize) -> PyResult<&GroupFit> {
        self.0.groups.get(group).ok_or_else(|| Fault::missing(format!("there is no group {group}"))).or_raise(py)
    }
}
