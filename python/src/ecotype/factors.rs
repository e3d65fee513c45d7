//! Factorisations with the rules of the reference, and R's random numbers.

use ferrocyte_ecotype::nmf::{
    ClusterOptions, Factors, Method, NmfOptions, RankRule, factorise, nmf_clustering, random_start, select_rank,
};
use ferrocyte_math::r_stream;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::inputs::dense;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::values::matrix;

/// R's random numbers after ``set.seed``.
#[pyclass(module = "ferrocyte._core", name = "RStream")]
pub(crate) struct RStream(r_stream::RStream);

#[pymethods]
impl RStream {
    #[new]
    fn new(seed: u32) -> Self {
        Self(r_stream::RStream::new(seed))
    }

    /// ``runif(n)``.
    fn uniform<'py>(&mut self, py: Python<'py>, n: usize) -> Bound<'py, PyArray1<f64>> {
        (0..n).map(|_| self.0.uniform()).collect::<Vec<_>>().into_pyarray(py)
    }

    /// ``rnorm(n)``.
    fn normal<'py>(&mut self, py: Python<'py>, n: usize) -> Bound<'py, PyArray1<f64>> {
        (0..n).map(|_| self.0.normal()).collect::<Vec<_>>().into_pyarray(py)
    }

    /// ``sample(n, k)``, counted from 0.
    #[pyo3(signature = (n, k, replace=false))]
    fn sample(&mut self, n: usize, k: usize, replace: bool) -> Vec<usize> {
        if replace { (0..k).map(|_| self.0.below(n)).collect() } else { self.0.sample(n, k) }
    }
}

fn factors_out(py: Python<'_>, found: Factors) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    for (name, factor) in [("w", found.w), ("h", found.h)] {
        out.set_item(name, matrix(py, factor.n_rows(), factor.n_cols(), factor.into_entries())?)?;
    }
    out.set_item("iterations", found.iterations)?;
    out.set_item("objective", found.objective)?;
    Ok(out)
}

/// Factors of a matrix from a start, or from that of a seed; `options` is `(method, max_iterations, theta)`.
#[pyfunction]
pub(crate) fn ecotype_nmf<'py>(
    py: Python<'py>,
    v: PyReadonlyArray2<'py, f64>,
    start: Option<(PyReadonlyArray2<'py, f64>, PyReadonlyArray2<'py, f64>)>,
    rank: usize,
    seed: u32,
    options: (String, usize, f64),
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let method = Method::from_word(&options.0).or_raise(py)?;
    let options = NmfOptions { method, max_iterations: options.1, theta: options.2 };
    let v = dense(&v);
    let (w, h) = match start {
        Some((w, h)) => (dense(&w), dense(&h)),
        None => random_start(&v, rank, seed),
    };
    let found = attended(py, &means, |_| factorise(&v, w, h, &options))?;
    factors_out(py, found)
}

/// A `dict` of `best_rank`, `seeds`, `none_good` and `ranks`: one `dict` for each rank.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "gathered by name in the package")]
pub(crate) fn ecotype_nmf_clustering<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, f64>,
    ranks: Vec<usize>,
    runs_per_rank: usize,
    min_coph: f64,
    method: &str,
    seed: u32,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let method = Method::from_word(method).or_raise(py)?;
    let options = ClusterOptions { ranks, runs_per_rank, min_coph, method, seed };
    let values = dense(&values);
    let found = attended(py, &means, |run| nmf_clustering(run, &values, &options))?;
    let out = PyDict::new(py);
    out.set_item("best_rank", found.best_rank)?;
    out.set_item("seeds", found.seeds)?;
    out.set_item("none_good", found.none_good)?;
    let mut ranks = Vec::with_capacity(found.ranks.len());
    for of in found.ranks {
        let one = PyDict::new(py);
        one.set_item("rank", of.rank)?;
        one.set_item("cophenetic", of.cophenetic)?;
        one.set_item("dispersion", of.dispersion)?;
        one.set_item("labels", of.labels)?;
        one.set_item("iterations", of.iterations)?;
        let n = of.consensus.n_rows();
        one.set_item("consensus", matrix(py, n, n, of.consensus.into_entries())?)?;
        one.set_item("best", factors_out(py, of.best)?)?;
        ranks.push(one);
    }
    out.set_item("ranks", ranks)?;
    Ok(out)
}

/// The rank, and whether none was good enough; `rule` is `(threshold, min_rank, window, weight)`.
#[pyfunction]
pub(crate) fn ecotype_select_rank(
    py: Python<'_>,
    cophenetic: Vec<f64>,
    ranks: Vec<usize>,
    rule: (f64, usize, usize, f64),
) -> PyResult<(usize, bool)> {
    let (threshold, min_rank, window, weight) = rule;
    select_rank(&cophenetic, &ranks, &RankRule { threshold, min_rank, window, weight }).or_raise(py)
}
