//! Options on their way in, and results on their way out.

use ferrocyte_base::Result;
use ferrocyte_cli::cnmf::steps::Study;
use ferrocyte_learn::nmf::{Loss, Precision, Rule};
use ferrocyte_programs::{
    Clusters, ConsensusOptions, Dialect, FactoriseOptions, Genes, Init, Iterates, Names, OPTIONS, PrepareOptions,
    Programs,
};
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::sources::{Held, Matrix};
use crate::values::matrix;

/// Counts, names, and expression if it is given with the names of its cells: `ferrocyte.cnmf._inputs.Inputs`.
#[derive(FromPyObject)]
pub(crate) struct Inputs<'py> {
    counts: Matrix<'py>,
    cells: Vec<String>,
    genes: Vec<String>,
    expression: Option<(Matrix<'py>, Vec<String>)>,
}

/// The same with borrowed arrays.
pub(super) struct HeldInputs<'py> {
    counts: Held<'py>,
    names: Names,
    expression: Option<(Held<'py>, Vec<String>)>,
}

impl<'py> Inputs<'py> {
    pub(super) fn hold(self) -> PyResult<HeldInputs<'py>> {
        let expression = match self.expression {
            None => None,
            Some((rows, cells)) => Some((Held::new(rows)?, cells)),
        };
        Ok(HeldInputs {
            counts: Held::new(self.counts)?,
            names: Names { cells: self.cells, genes: self.genes },
            expression,
        })
    }
}

impl HeldInputs<'_> {
    /// Streams of the counts and the expression.
    pub(super) fn open(&self, py: Python<'_>) -> Result<Study<'_>> {
        let expression = match &self.expression {
            None => None,
            Some((rows, cells)) => Some((rows.open(py)?, cells.clone())),
        };
        Ok(Study { counts: self.counts.open(py)?, names: self.names.clone(), expression })
    }
}

/// Which genes are factorised, and what becomes of poor cells: `ferrocyte.cnmf._inputs.HowPrepared`.
#[derive(FromPyObject)]
pub(crate) struct HowPrepared {
    /// A list; it goes before the rest.
    genes: Option<Vec<String>>,
    /// How many variable genes; `None` is those above a threshold.
    n_genes: Option<usize>,
    threshold: Option<f64>,
    min_mean: f64,
    drop_empty: bool,
    min_counts: f64,
    style: String,
}

impl HowPrepared {
    pub(super) fn options(&self) -> Result<PrepareOptions> {
        let genes = match (&self.genes, self.n_genes) {
            (Some(list), _) => Genes::Listed(list.clone()),
            (None, Some(n)) => Genes::Top(n),
            (None, None) => Genes::Above { ratio: self.threshold, mean: self.min_mean },
        };
        let (drop_empty, min_counts) = (self.drop_empty, self.min_counts);
        Ok(PrepareOptions { genes, dialect: Dialect::from_word(&self.style)?, drop_empty, min_counts })
    }
}

/// How replicates are made: `ferrocyte.cnmf._inputs.HowMade`.
#[derive(FromPyObject)]
pub(crate) struct HowMade {
    beta_loss: String,
    init: String,
    alpha_usage: f64,
    alpha_spectra: f64,
    max_nmf_iter: usize,
    precision: String,
    solver: String,
}

impl HowMade {
    pub(super) fn options(&self) -> Result<FactoriseOptions> {
        Ok(FactoriseOptions {
            loss: Loss::from_word(&self.beta_loss)?,
            init: Init::from_word(&self.init)?,
            alpha_usage: self.alpha_usage,
            alpha_spectra: self.alpha_spectra,
            max_iterations: self.max_nmf_iter,
            precision: Precision::from_word(&self.precision)?,
            solver: Iterates::from_word(&self.solver)?,
        })
    }
}

/// How a consensus is found: `ferrocyte.cnmf._inputs.HowFound`.
#[derive(FromPyObject)]
pub(crate) struct HowFound {
    density_threshold: f64,
    local_neighborhood_size: f64,
    refit: String,
    refit_usage: bool,
    normalize_tpm_spectra: bool,
    style: String,
}

impl HowFound {
    pub(super) fn options(&self) -> Result<ConsensusOptions> {
        Ok(ConsensusOptions {
            density_threshold: self.density_threshold,
            neighbourhood: self.local_neighborhood_size,
            refit: Rule::from_word(&self.refit)?,
            refit_usage: self.refit_usage,
            normalize_tpm_spectra: self.normalize_tpm_spectra,
            dialect: Dialect::from_word(&self.style)?,
            kmeans_seed: None,
        })
    }
}

/// An option in words.
type OptionWords = (String, Vec<String>, String, Vec<String>, String);

/// The options of the family, as `(name, verbs, default, choices, meaning)`.
#[pyfunction]
pub(crate) fn cnmf_options() -> Vec<OptionWords> {
    let texts = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    let option = |o: &ferrocyte_base::OptionInfo| {
        (o.name.to_owned(), texts(o.verbs), o.default.to_owned(), texts(o.choices), o.meaning.to_owned())
    };
    OPTIONS.iter().map(option).collect()
}

/// Programs as a `dict` of arrays; genes are numbers among all.
pub(super) fn programs(py: Python<'_>, found: Programs, n_selected: usize) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    let (k, n_genes) = (found.k, found.genes.len());
    let n_cells = found.usages.len() / k;
    out.set_item("k", k)?;
    out.set_item("shares", matrix(py, n_cells, k, found.shares())?)?;
    out.set_item("prediction_error", found.prediction_error)?;
    for (name, rows, columns, values) in [
        ("spectra", k, n_selected, found.spectra),
        ("first_usages", n_cells, k, found.first_usages),
        ("usages", n_cells, k, found.usages),
        ("spectra_tpm", k, n_genes, found.spectra_tpm),
        ("spectra_score", k, n_genes, found.scores),
        ("reference", k, n_selected, found.reference),
    ] {
        out.set_item(name, matrix(py, rows, columns, values)?)?;
    }
    for (name, numbers) in [("order", found.order), ("genes", found.genes), ("idle_cells", found.idle_cells)] {
        out.set_item(name, indices(py, numbers))?;
    }
    Ok(out)
}

/// Adds what is known of the clusters.
pub(super) fn clusters(py: Python<'_>, out: &Bound<'_, PyDict>, found: Clusters) -> PyResult<()> {
    let kept: Vec<bool> = {
        let mut kept = vec![false; found.density.len()];
        found.kept.iter().for_each(|&i| kept[i] = true);
        kept
    };
    out.set_item("local_density", found.density.into_pyarray(py))?;
    out.set_item("neighbours", found.neighbours)?;
    out.set_item("kept", kept.into_pyarray(py))?;
    out.set_item("labels", found.labels.into_iter().map(|l| i64::from(l) + 1).collect::<Vec<_>>().into_pyarray(py))?;
    out.set_item("clustergram_order", found.order.into_iter().map(i64::from).collect::<Vec<_>>().into_pyarray(py))?;
    out.set_item("silhouette", found.silhouette.unwrap_or(f64::NAN))?;
    out.set_item("inertia", found.inertia)
}

/// Numbers of cells or genes.
pub(super) fn indices(py: Python<'_>, numbers: Vec<usize>) -> Bound<'_, numpy::PyArray1<i64>> {
    numbers.into_iter().map(|i| i as i64).collect::<Vec<_>>().into_pyarray(py)
}
