//! The whole way from counts to a table.

use ferrocyte_base::OptionInfo;
use ferrocyte_limma::{Adjust, De, DeMethod, DeOptions, DeStudy, NormMethod, OPTIONS, Outcome, de};
use ferrocyte_math::linalg::Matrix as Dense;
use ferrocyte_math::squeeze_var::Hyper;
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::inputs::Values;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::obs::frame;
use crate::values::{matrix, table, to_python};

/// How genes are compared: `ferrocyte.limma._de.Request`.
#[derive(FromPyObject)]
pub(crate) struct Request {
    formula: String,
    contrasts: Vec<(String, String)>,
    method: String,
    block: Option<String>,
    robust: bool,
    sample_weights: bool,
    lfc: f64,
    normalize: String,
    min_count: f64,
    min_total_count: f64,
    adjust: String,
    groups: Option<(Vec<i32>, Vec<String>)>,
    annotation: Vec<(String, Vec<String>)>,
    name: String,
    fingerprint: String,
}

/// What was found: `table`, `groups` and `samples` (tables), `calls`, `provenance`, and `fits`, a `dict` of arrays for
/// each group (`None` for one that was not fitted).
#[pyfunction]
pub(crate) fn limma_de<'py>(
    py: Python<'py>,
    values: Values<'py>,
    samples: &Bound<'py, PyDict>,
    request: Request,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let y = values.expression()?.or_raise(py)?;
    let samples = frame(py, y.n_samples(), samples)?;
    let groups = request.groups.as_ref().map(|(codes, levels)| ferrocyte_data::Factor {
        codes: codes.iter().map(|&code| code as u32).collect(),
        levels: levels.clone(),
    });
    let options = DeOptions {
        method: DeMethod::from_word(&request.method).or_raise(py)?,
        block: request.block.clone(),
        robust: request.robust,
        sample_weights: request.sample_weights,
        lfc: request.lfc,
        normalize: NormMethod::from_word(&request.normalize).or_raise(py)?,
        min_count: request.min_count,
        min_total_count: request.min_total_count,
        adjust: Adjust::from_word(&request.adjust).or_raise(py)?,
    };
    let study = DeStudy {
        values: y,
        samples: &samples,
        groups: groups.as_ref(),
        annotation: &request.annotation,
        name: &request.name,
        fingerprint: &request.fingerprint,
    };
    let found = attended(py, &means, |run| de(run, &study, &request.formula, &request.contrasts, &options))?;
    out(py, found)
}

fn out(py: Python<'_>, found: De) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    let calls: Vec<_> = found
        .calls(0.05)
        .into_iter()
        .map(|c| (c.group, c.contrast, c.up, c.down, c.genes, c.samples, c.reason))
        .collect();
    result.set_item("calls", calls)?;
    result.set_item("formula", &found.formula)?;
    result.set_item("groups", table(py, found.groups_table())?)?;
    result.set_item("samples", table(py, found.samples_table())?)?;
    result.set_item("provenance", to_python(py, &found.provenance.to_value())?)?;
    let fits = PyList::empty(py);
    for group in found.groups {
        match group.analysis {
            Err(_) => fits.append((group.name, group.samples, py.None()))?,
            Ok(a) => {
                let fit = PyDict::new(py);
                let grid = |m: Dense| matrix(py, m.n_rows(), m.n_cols(), m.into_entries());
                let hyper = |h: Hyper| -> PyResult<Bound<'_, PyAny>> {
                    Ok(match h {
                        Hyper::Common(x) => x.into_pyobject(py)?.into_any(),
                        Hyper::Each(all) => all.into_pyarray(py).into_any(),
                    })
                };
                fit.set_item("rows", a.genes)?;
                fit.set_item("coef_names", a.fit.names)?;
                fit.set_item("coefficients", grid(a.fit.coefficients)?)?;
                fit.set_item("stdev_unscaled", grid(a.fit.stdev_unscaled)?)?;
                fit.set_item("sigma", a.fit.sigma.into_pyarray(py))?;
                fit.set_item("df_residual", a.fit.df_residual.into_pyarray(py))?;
                fit.set_item("cov_coefficients", grid(a.fit.cov_coefficients)?)?;
                fit.set_item("rank", a.rank)?;
                fit.set_item("Amean", a.fit.amean.into_pyarray(py))?;
                let (names, rows) = (a.design.names().to_vec(), a.samples);
                fit.set_item("design", (grid(a.design.matrix().clone())?, names, rows))?;
                fit.set_item("s2_prior", hyper(a.moderated.s2_prior)?)?;
                fit.set_item("df_prior", hyper(a.moderated.df_prior)?)?;
                fit.set_item("s2_post", a.moderated.s2_post.into_pyarray(py))?;
                fit.set_item("df_total", a.moderated.df_total.into_pyarray(py))?;
                fit.set_item("t", grid(a.moderated.t)?)?;
                fit.set_item("p_value", grid(a.moderated.p_value)?)?;
                fit.set_item("lods", a.moderated.odds.map(|odds| grid(odds.lods)).transpose()?)?;
                fit.set_item("lib_size", a.lib_size.into_pyarray(py))?;
                fit.set_item("norm_factors", a.norm_factors.into_pyarray(py))?;
                fit.set_item("sample_weights", a.sample_weights.map(|w| w.into_pyarray(py)))?;
                fit.set_item("correlation", a.correlation)?;
                fits.append((group.name, group.samples, fit))?;
            }
        }
    }
    result.set_item("fits", fits)?;
    result.set_item("table", table(py, found.table)?)?;
    Ok(result)
}

/// Name, verbs, default, choices, meaning.
type OptionWords = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>, &'static str);

/// The options of the family: name, verbs, default, choices, meaning.
#[pyfunction]
pub(crate) fn limma_options() -> Vec<OptionWords> {
    let words = |o: &OptionInfo| (o.name, o.verbs.to_vec(), o.default, o.choices.to_vec(), o.meaning);
    OPTIONS.iter().map(words).collect()
}

/// The statuses of `de`: word, severity (`ok`, `note`, `no estimate`), sentence.
#[pyfunction]
pub(crate) fn limma_statuses() -> Vec<(&'static str, &'static str, &'static str)> {
    Outcome::ALL.iter().map(|o| o.status()).map(|s| (s.word, s.severity.word(), s.sentence)).collect()
}
