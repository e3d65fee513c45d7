//! Over-representation of terms.

use ferrocyte_limma::{Annotation, goana_trend, over_representation};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// Counts and p-values of terms: genes of each term, then for each selection its genes and the p-value of each term.
type Tests<'py> = (Vec<usize>, Vec<(Vec<usize>, Bound<'py, PyArray1<f64>>)>);

/// Tests of terms; `pairs`: positions of genes and of their terms.
#[pyfunction]
pub(crate) fn limma_over_representation<'py>(
    py: Python<'py>,
    n_genes: usize,
    n_terms: usize,
    pairs: (PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, i64>),
    selections: Vec<Vec<usize>>,
    chances: Option<PyReadonlyArray1<'py, f64>>,
    means: Means,
) -> PyResult<Tests<'py>> {
    let (genes, terms) = (pairs.0.as_slice()?, pairs.1.as_slice()?);
    let pairs = genes.iter().zip(terms).map(|(&gene, &term)| (gene as usize, term as usize));
    let annotation = Annotation::new(n_genes, n_terms, pairs).or_raise(py)?;
    let chances = chances.as_ref().map(|c| c.as_slice()).transpose()?;
    let found = attended(py, &means, |run| over_representation(run, &annotation, &selections, chances))?;
    let tests =
        found.n_selected.into_iter().zip(found.p_value).map(|(counts, p)| (counts, p.into_pyarray(py))).collect();
    Ok((found.n_genes, tests))
}

/// How likely each gene is to be selected, given a covariate.
#[pyfunction]
pub(crate) fn limma_goana_trend<'py>(
    py: Python<'py>,
    selected: Vec<usize>,
    covariate: PyReadonlyArray1<'py, f64>,
    n_prior: f64,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    Ok(goana_trend(&selected, covariate.as_slice()?, n_prior).or_raise(py)?.into_pyarray(py))
}
