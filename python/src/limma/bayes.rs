//! Squeezed variances and moderated statistics.

use ferrocyte_limma::{
    EBayesOptions, Moderated, Moderation, Odds, Threshold, TreatOptions, Trend, e_bayes, tmixture, treat,
};
use ferrocyte_math::gamma::ln_minus_digamma;
use ferrocyte_math::squeeze_var::{
    FDist, Hyper, LikelihoodOptions, SqueezeOptions, fit_f_dist, fit_f_dist_robustly, fit_f_dist_unequal_df1,
    squeeze_var, trigamma_inverse,
};
use numpy::{IntoPyArray, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::fits::{FitArrays, array};
use super::inputs::Grid;
use crate::monitor::{Means, attended};

type Vector<'py> = PyReadonlyArray1<'py, f64>;

/// How variances are moderated: `(covariate or None, robust, winsor_tail_p, span, legacy)`.
#[derive(FromPyObject)]
pub(crate) struct Manner<'py>(Option<Vector<'py>>, bool, [f64; 2], Option<f64>, Option<bool>);

impl Manner<'_> {
    fn moderation(&self) -> PyResult<Moderation<'_>> {
        let trend = match &self.0 {
            None => Trend::None,
            Some(covariate) => Trend::Covariate(covariate.as_slice()?),
        };
        Ok(Moderation { trend, robust: self.1, winsor_tail_p: self.2, span: self.3, legacy: self.4 })
    }
}

/// Moderated statistics as the package hands them over: prior variances and degrees of freedom (one, or one per gene),
/// posterior variances, total degrees of freedom, t, p-values, log-odds or `None`, and the threshold of treat or `None`.
#[derive(FromPyObject)]
pub(crate) struct ModeratedArrays<'py>(
    Vector<'py>,
    Vector<'py>,
    Vector<'py>,
    Vector<'py>,
    Grid<'py>,
    Grid<'py>,
    Option<Grid<'py>>,
    Option<(f64, bool)>,
);

impl ModeratedArrays<'_> {
    /// The statistics; joint tests are left to be computed where they are needed.
    pub(super) fn moderated(&self) -> PyResult<Moderated> {
        let odds = match &self.6 {
            Some(lods) => Some(Odds { lods: lods.owned()?, var_prior: Vec::new(), proportion: f64::NAN }),
            None => None,
        };
        Ok(Moderated {
            s2_prior: hyper(self.0.as_slice()?),
            df_prior: hyper(self.1.as_slice()?),
            s2_post: self.2.as_slice()?.to_vec(),
            df_total: self.3.as_slice()?.to_vec(),
            t: self.4.owned()?,
            p_value: self.5.owned()?,
            odds,
            f: None,
            threshold: self.7.map(|(lfc, upshot)| Threshold { lfc, upshot }),
        })
    }
}

fn hyper(values: &[f64]) -> Hyper {
    match values {
        [value] => Hyper::Common(*value),
        values => Hyper::Each(values.to_vec()),
    }
}

/// A number, or an array.
fn number_or_array(py: Python<'_>, value: Hyper) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Hyper::Common(value) => value.into_pyobject(py)?.into_any(),
        Hyper::Each(values) => values.into_pyarray(py).into_any(),
    })
}

fn to_dict(py: Python<'_>, found: Moderated) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("s2_prior", number_or_array(py, found.s2_prior)?)?;
    out.set_item("df_prior", number_or_array(py, found.df_prior)?)?;
    out.set_item("s2_post", found.s2_post.into_pyarray(py))?;
    out.set_item("df_total", found.df_total.into_pyarray(py))?;
    out.set_item("t", array(py, found.t)?)?;
    out.set_item("p_value", array(py, found.p_value)?)?;
    if let Some(odds) = found.odds {
        out.set_item("lods", array(py, odds.lods)?)?;
        out.set_item("var_prior", odds.var_prior.into_pyarray(py))?;
        out.set_item("proportion", odds.proportion)?;
    }
    if let Some(f) = found.f {
        out.set_item("F", f.statistic.into_pyarray(py))?;
        out.set_item("F_p_value", f.p_value.into_pyarray(py))?;
    }
    if let Some(threshold) = found.threshold {
        out.set_item("treat_lfc", threshold.lfc)?;
        out.set_item("upshot", threshold.upshot)?;
    }
    Ok(out)
}

/// Moderated t, F and B statistics, as a `dict` of arrays.
#[pyfunction]
pub(crate) fn limma_e_bayes<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    design: Option<Grid<'py>>,
    proportion: f64,
    stdev_coef_lim: [f64; 2],
    manner: Manner<'py>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let fit = fit.fit()?;
    let design = design.as_ref().map(Grid::view).transpose()?;
    let options = EBayesOptions { proportion, stdev_coef_lim, moderation: manner.moderation()?, design };
    to_dict(py, attended(py, &means, |run| e_bayes(run, &fit, &options))?)
}

/// Moderated tests against a threshold, as a `dict` of arrays.
#[pyfunction]
pub(crate) fn limma_treat<'py>(
    py: Python<'py>,
    fit: FitArrays<'py>,
    lfc: f64,
    upshot: bool,
    manner: Manner<'py>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let fit = fit.fit()?;
    let options = TreatOptions { lfc, upshot, moderation: manner.moderation()? };
    to_dict(py, attended(py, &means, |run| treat(run, &fit, &options))?)
}

/// Variances squeezed: posterior variances, prior variances, prior degrees of freedom.
#[pyfunction]
pub(crate) fn limma_squeeze_var<'py>(
    py: Python<'py>,
    var: Vector<'py>,
    df: Vector<'py>,
    manner: Manner<'py>,
    means: Means,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (var, df) = (var.as_slice()?, df.as_slice()?);
    let covariate = manner.0.as_ref().map(|c| c.as_slice()).transpose()?;
    let options = SqueezeOptions { covariate, robust: manner.1.then_some(manner.2), span: manner.3, legacy: manner.4 };
    let found = attended(py, &means, |run| squeeze_var(run, var, df, &options))?;
    Ok((
        found.var_post.into_pyarray(py).into_any(),
        number_or_array(py, found.var_prior)?,
        number_or_array(py, found.df_prior)?,
    ))
}

fn f_dist(py: Python<'_>, found: FDist) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("scale", number_or_array(py, found.scale)?)?;
    out.set_item("df2", found.df2)?;
    if let Some(shrunk) = found.df2_shrunk {
        out.set_item("df2_shrunk", shrunk.into_pyarray(py))?;
    }
    if let Some(outlier) = found.df2_outlier {
        out.set_item("df2_outlier", outlier)?;
    }
    Ok(out)
}

/// A scaled F distribution by moments; robust where tails to winsorise are given.
#[pyfunction]
pub(crate) fn limma_fit_f_dist<'py>(
    py: Python<'py>,
    x: Vector<'py>,
    df1: Vector<'py>,
    covariate: Option<Vector<'py>>,
    winsor_tail_p: Option<[f64; 2]>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (x, df1) = (x.as_slice()?, df1.as_slice()?);
    let covariate = covariate.as_ref().map(|c| c.as_slice()).transpose()?;
    let found = attended(py, &means, |run| match winsor_tail_p {
        None => fit_f_dist(run, x, df1, covariate),
        Some(tails) => fit_f_dist_robustly(run, x, df1, covariate, tails),
    })?;
    f_dist(py, found)
}

/// A scaled F distribution by maximum likelihood; `how` is `(span, robust)`.
#[pyfunction]
pub(crate) fn limma_fit_f_dist_unequal<'py>(
    py: Python<'py>,
    x: Vector<'py>,
    df1: Vector<'py>,
    covariate: Option<Vector<'py>>,
    how: (Option<f64>, bool),
    weights: Option<Vector<'py>>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (x, df1) = (x.as_slice()?, df1.as_slice()?);
    let covariate = covariate.as_ref().map(|c| c.as_slice()).transpose()?;
    let weights = weights.as_ref().map(|w| w.as_slice()).transpose()?;
    let options = LikelihoodOptions { covariate, span: how.0, robust: how.1, weights };
    f_dist(py, attended(py, &means, |run| fit_f_dist_unequal_df1(run, x, df1, &options))?)
}

/// The inverse of the trigamma function, or `ln x - digamma(x)`, of each value.
#[pyfunction]
pub(crate) fn limma_gamma_function<'py>(py: Python<'py>, name: &str, x: Vector<'py>) -> PyResult<Bound<'py, PyAny>> {
    let function = if name == "trigamma_inverse" { trigamma_inverse } else { ln_minus_digamma };
    let values: Vec<f64> = x.as_slice()?.iter().map(|&x| function(x)).collect();
    Ok(values.into_pyarray(py).into_any())
}

/// The prior variance of coefficients that are not zero.
#[pyfunction]
pub(crate) fn limma_tmixture(
    t: Vector<'_>,
    stdev_unscaled: Vector<'_>,
    df: Vector<'_>,
    proportion: f64,
    limits: Option<(f64, f64)>,
) -> PyResult<f64> {
    Ok(tmixture(t.as_slice()?, stdev_unscaled.as_slice()?, df.as_slice()?, proportion, limits))
}
