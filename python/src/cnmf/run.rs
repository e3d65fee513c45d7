//! A run in memory: [`CnmfRun`] holds the matrix, the spectra of all replicates, and what was told of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ferrocyte_base::{Fault, Result, Value};
use ferrocyte_data::Part;
use ferrocyte_io::{read_part, write_part};
use ferrocyte_learn::nmf::{Replicate, Stop, replicates};
use ferrocyte_programs::{
    FactoriseOptions, GeneStats, Names, Pool, Prepared, Replica, ReplicaSummary, UnitSpectra, consensus, factorise,
    genes_table, programs, programs_table, replicates_table, select, selection_table, suggest_threshold,
    variable_genes,
};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::words::{self, HowFound, HowMade, HowPrepared, Inputs, indices};
use crate::faults::OrRaise;
use crate::learn::PointsArray;
use crate::monitor::{Means, attended};
use crate::values::{matrix, table};

type Floats<'py> = Bound<'py, PyArray1<f64>>;
type Integers<'py> = Bound<'py, PyArray1<i64>>;

/// The kind of the parts that checkpoints are.
const REPLICA: &str = "cnmf.replica";

/// Genes of a program that the report names.
const TOP_GENES: usize = 20;

/// The table of jobs: `(k, replicate, seed)`.
#[pyfunction]
pub(crate) fn cnmf_jobs(seed: u32, ks: Vec<usize>, n_iter: usize) -> Vec<(usize, usize, u32)> {
    replicates(seed, &ks, n_iter).into_iter().map(|r| (r.components, r.index, r.seed)).collect()
}

/// The middle of the first wide gap of local densities, and how many lie beyond.
#[pyfunction]
pub(crate) fn cnmf_suggest_threshold(density: PyReadonlyArray1<'_, f64>) -> (f64, usize) {
    let values: Vec<f64> = density.as_array().iter().copied().collect();
    let found = suggest_threshold(&values);
    (found.threshold, found.dropped)
}

/// Makes counts ready.
#[pyfunction]
pub(crate) fn cnmf_prepare(
    py: Python<'_>,
    inputs: Inputs<'_>,
    how: HowPrepared,
    made: HowMade,
    means: Means,
) -> PyResult<CnmfRun> {
    let (options, fit) = (how.options().or_raise(py)?, made.options().or_raise(py)?);
    let held = inputs.hold()?;
    let mut study = held.open(py).or_raise(py)?;
    let prepared = attended(py, &means, |run| {
        let prepared = study.prepare(run, &options)?;
        prepared.warnings.iter().for_each(|warning| run.warn(warning));
        Ok(prepared)
    })?;
    let names = study.names.clone();
    Ok(CnmfRun { prepared, names, fit, spectra: BTreeMap::new(), told: Vec::new() })
}

/// How genes are judged: `(table, a, b, threshold, min_mean)`.
#[pyfunction]
#[expect(clippy::type_complexity, reason = "a table and four numbers")]
pub(crate) fn cnmf_variable_genes<'py>(
    py: Python<'py>,
    inputs: Inputs<'py>,
    how: HowPrepared,
    means: Means,
) -> PyResult<(Bound<'py, PyDict>, f64, f64, Option<f64>, Option<f64>)> {
    let options = how.options().or_raise(py)?;
    let held = inputs.hold()?;
    let mut study = held.open(py).or_raise(py)?;
    let names = study.names.clone();
    let (stats, judged) = attended(py, &means, |run| {
        // Counts are scaled as they pass, so that a bad one is told as it is.
        let stats = match study.expression {
            None => GeneStats::of(run, &mut *study.counts, &names, true)?,
            Some(_) => GeneStats::of(run, &mut *study.expressed()?, &names, false)?,
        };
        let judged = variable_genes(&stats, &options.genes)?;
        Ok((stats, judged))
    })?;
    let numbers = (judged.a, judged.b, judged.threshold, judged.min_mean);
    let prepared = Prepared {
        x: ferrocyte_programs::SparseRows::new(0, vec![0], Vec::new(), Vec::new()).or_raise(py)?,
        genes: judged.genes(),
        cells: Vec::new(),
        dropped_cells: Vec::new(),
        dropped_genes: Vec::new(),
        stats,
        judged: Some(judged),
        warnings: Vec::new(),
    };
    let found = table(py, genes_table(&prepared, &names.genes))?;
    Ok((found, numbers.0, numbers.1, numbers.2, numbers.3))
}

/// Counts made ready, and the replicates that are made of them.
#[pyclass(module = "ferrocyte._core")]
pub(crate) struct CnmfRun {
    prepared: Prepared,
    names: Names,
    fit: FactoriseOptions,
    spectra: BTreeMap<(usize, usize), Vec<f64>>,
    told: Vec<ReplicaSummary>,
}

impl CnmfRun {
    fn pool(&self, k: usize) -> Result<Pool> {
        let g = self.prepared.x.n_cols();
        let mine: Vec<(&(usize, usize), &Vec<f64>)> = self.spectra.range((k, 0)..(k + 1, 0)).collect();
        if mine.is_empty() {
            let mut ks: Vec<usize> = self.spectra.keys().map(|(k, _)| *k).collect();
            ks.dedup();
            let known: Vec<String> = ks.iter().map(ToString::to_string).collect();
            let message = format!("there are no replicates of k = {k}");
            let hint = format!("there are {}", ferrocyte_base::listing(&known, 30));
            return Err(Fault::missing(message).at("k").hint(hint));
        }
        let rows = mine.iter().flat_map(|((_, index), _)| (1..=k).map(|t| (*index, t))).collect();
        Pool::of_rows(k, g, mine.into_iter().flat_map(|(_, spectra)| spectra.iter().copied()).collect(), rows)
    }

    fn ks(&self) -> Vec<usize> {
        let mut ks: Vec<usize> = self.spectra.keys().map(|(k, _)| *k).collect();
        ks.dedup();
        ks
    }
}

/// What a replicate depends on beside its seed, in a short text.
fn fingerprint(prepared: &Prepared, fit: &FactoriseOptions) -> String {
    let x = &prepared.x;
    let weighed: f64 = x.values().iter().zip(x.columns()).map(|(v, j)| v * f64::from(j % 97 + 1)).sum();
    let (n, g, stored, squares) = (x.n_rows(), x.n_cols(), x.values().len(), x.squares());
    format!("{n} x {g}, {stored} values, {squares:?}, {weighed:?}; {fit:?}")
}

fn place(folder: &Path, job: &Replicate) -> PathBuf {
    folder.join(format!("k_{}.iter_{}.npz", job.components, job.index))
}

/// Stores a replica as a part.
fn store(folder: &Path, replica: &Replica, mark: &str) -> Result<()> {
    let r = replica.replicate;
    let header = Value::map([
        ("seed", Value::Int(i64::from(r.seed))),
        ("n_iter", Value::from(replica.iterations)),
        ("error", Value::Float(replica.error)),
        ("status", Value::from(replica.stop.status().word)),
        ("of", Value::from(mark)),
    ]);
    let mut part = Part::new(REPLICA, 1, header);
    part.push_f64("spectra", &[r.components, replica.spectra.len() / r.components], replica.spectra.clone());
    write_part(&place(folder, &r), &part)
}

/// A replica that was stored for the same job; one of another run is refused by name.
fn stored(folder: &Path, job: &Replicate, mark: &str) -> Result<Option<Replica>> {
    let path = place(folder, job);
    if !path.exists() {
        return Ok(None);
    }
    let at = |fault: Fault| fault.at(path.display().to_string());
    let part = read_part(&path)?;
    part.expect(REPLICA, 1).map_err(at)?;
    let seed = part.int("seed").map_err(at)?;
    if part.text("of").map_err(at)? != mark || seed != i64::from(job.seed) {
        let message = "the replicate belongs to another run: other counts, options or seed";
        return Err(at(Fault::bad_input(message).hint("give another folder for checkpoints")));
    }
    let width = part.arrays.first().map_or(0, |a| a.shape.get(1).copied().unwrap_or(0));
    let word = part.text("status").map_err(at)?;
    let stop = Stop::ALL.into_iter().find(|s| s.status().word == word);
    let stop = stop.ok_or_else(|| at(Fault::bad_file(format!("there is no status `{word}`"))))?;
    Ok(Some(Replica {
        replicate: *job,
        spectra: part.f64("spectra", &[job.components, width]).map_err(at)?.to_vec(),
        iterations: part.int("n_iter").map_err(at)? as usize,
        error: part.header.get("error").and_then(Value::as_f64).unwrap_or(f64::NAN),
        stop,
    }))
}

#[pymethods]
impl CnmfRun {
    /// Shape of the matrix: cells, genes.
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.prepared.x.n_rows(), self.prepared.x.n_cols())
    }

    /// The selected genes among all.
    #[getter]
    fn genes<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        indices(py, self.prepared.genes.clone())
    }

    /// The cells that are kept, and those that were left out, among all.
    #[getter]
    fn cells<'py>(&self, py: Python<'py>) -> (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>) {
        (indices(py, self.prepared.cells.clone()), indices(py, self.prepared.dropped_cells.clone()))
    }

    /// Genes that were asked for and left out.
    #[getter]
    fn dropped_genes<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        indices(py, self.prepared.dropped_genes.clone())
    }

    /// What was said while counts were made ready.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.prepared.warnings.clone()
    }

    /// The matrix as scipy's `data`, `indices`, `indptr`.
    fn matrix<'py>(&self, py: Python<'py>) -> (Floats<'py>, Integers<'py>, Integers<'py>) {
        let x = &self.prepared.x;
        let columns = x.columns().iter().map(|j| *j as usize).collect();
        (x.values().to_vec().into_pyarray(py), indices(py, columns), indices(py, x.starts().to_vec()))
    }

    /// How all genes were judged.
    fn genes_table<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        table(py, genes_table(&self.prepared, &self.names.genes))
    }

    /// A row for each replicate.
    fn replicates_table<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        table(py, replicates_table(&self.told))
    }

    /// The numbers of programs that there are replicates of.
    #[getter(ks)]
    fn made_ks(&self) -> Vec<usize> {
        self.ks()
    }

    /// Spectra of all replicates of one k, one below the other, and their names.
    fn merged<'py>(&self, py: Python<'py>, k: usize) -> PyResult<(Bound<'py, numpy::PyArray2<f64>>, Vec<String>)> {
        let pool = self.pool(k).or_raise(py)?;
        let names = pool.row_names();
        Ok((matrix(py, names.len(), pool.n_genes, pool.spectra)?, names))
    }

    /// Takes spectra that were made elsewhere.
    fn adopt(&mut self, py: Python<'_>, k: usize, index: usize, spectra: PointsArray<'_>) -> PyResult<()> {
        let (values, rows, columns) = spectra.rows();
        if (rows, columns) != (k, self.prepared.x.n_cols()) {
            let message = format!("spectra of {rows} x {columns}, expected {k} x {}", self.prepared.x.n_cols());
            return Err(Fault::bad_input(message)).or_raise(py);
        }
        self.spectra.insert((k, index), values);
        Ok(())
    }

    /// Makes replicates; with a folder each is stored as it ends, and those that are there are read.
    fn factorise(
        &mut self,
        py: Python<'_>,
        jobs: Vec<(usize, usize, u32)>,
        checkpoint: Option<PathBuf>,
        means: Means,
    ) -> PyResult<()> {
        let jobs: Vec<Replicate> =
            jobs.into_iter().map(|(components, index, seed)| Replicate { components, index, seed }).collect();
        let mut ks: Vec<usize> = jobs.iter().map(|j| j.components).collect();
        ks.dedup();
        let per_k = jobs.len() / ks.len().max(1);
        let fresh = Mutex::new(Vec::new());
        let (prepared, fit) = (&self.prepared, &self.fit);
        attended(py, &means, |run| {
            fit.check(&prepared.x, &ks, per_k)?.iter().for_each(|warning| run.warn(warning));
            let mark = fingerprint(prepared, fit);
            let mut todo = Vec::new();
            for job in &jobs {
                match checkpoint.as_deref().map(|folder| stored(folder, job, &mark)).transpose()?.flatten() {
                    Some(replica) => fresh.lock().unwrap_or_else(PoisonError::into_inner).push(replica),
                    None => todo.push(*job),
                }
            }
            if let (true, Some(folder)) = (todo.len() < jobs.len(), &checkpoint) {
                run.info(&format!("{} replicates are read from {}", jobs.len() - todo.len(), folder.display()));
            }
            factorise(run, &prepared.x, fit, &todo, &|replica| {
                if let Some(folder) = &checkpoint {
                    store(folder, &replica, &mark)?;
                }
                fresh.lock().unwrap_or_else(PoisonError::into_inner).push(replica);
                Ok(())
            })
        })?;
        let mut fresh = fresh.into_inner().unwrap_or_else(PoisonError::into_inner);
        fresh.sort_by_key(|r| (r.replicate.components, r.replicate.index));
        for replica in fresh {
            let key = (replica.replicate.components, replica.replicate.index);
            self.told.retain(|t| (t.k, t.index) != key);
            self.told.push(ReplicaSummary::from(&replica));
            self.spectra.insert(key, replica.spectra);
        }
        self.told.sort_by_key(|t| (t.k, t.index));
        Ok(())
    }

    /// What speaks for each k: the table, and local densities by k.
    fn selection<'py>(
        &self,
        py: Python<'py>,
        how: HowFound,
        means: Means,
    ) -> PyResult<(Bound<'py, PyDict>, BTreeMap<usize, Floats<'py>>)> {
        let options = how.options().or_raise(py)?;
        let found = attended(py, &means, |run| {
            let ks = self.ks();
            let task = run.task("k selection", ks.len() as u64);
            let one = |k: &usize| {
                let found = select(run, &self.pool(*k)?, &self.prepared.x, &self.fit, &options);
                task.advance(1);
                found
            };
            ks.iter().map(one).collect::<Result<Vec<_>>>()
        })?;
        let densities = found.iter().map(|s| (s.k, s.density.clone().into_pyarray(py))).collect();
        Ok((table(py, selection_table(&found, &self.told))?, densities))
    }

    /// The consensus of one k.
    fn consensus<'py>(
        &self,
        py: Python<'py>,
        k: usize,
        inputs: Inputs<'py>,
        how: HowFound,
        means: Means,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = how.options().or_raise(py)?;
        let held = inputs.hold()?;
        let mut study = held.open(py).or_raise(py)?;
        let found = attended(py, &means, |run| {
            let found = consensus(run, &self.pool(k)?, &self.prepared, &mut *study.expressed()?, &self.fit, &options)?;
            found.warnings.iter().for_each(|warning| run.warn(&format!("k = {k}: {warning}")));
            Ok(found)
        })?;
        let report = table(py, programs_table(&found, &self.names.genes, TOP_GENES))?;
        let out = words::programs(py, found.programs, self.prepared.x.n_cols())?;
        words::clusters(py, &out, found.clusters)?;
        out.set_item("stability", found.stability.map(|s| s.into_pyarray(py)))?;
        out.set_item("warnings", found.warnings)?;
        out.set_item("report", report)?;
        Ok(out)
    }

    /// Programs of given spectra.
    fn programs<'py>(
        &self,
        py: Python<'py>,
        spectra: PointsArray<'py>,
        inputs: Inputs<'py>,
        how: HowFound,
        means: Means,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = how.options().or_raise(py)?;
        let (given, _, _) = spectra.rows();
        let held = inputs.hold()?;
        let mut study = held.open(py).or_raise(py)?;
        let found = attended(py, &means, |run| {
            programs(run, &given, &self.prepared, &mut *study.expressed()?, &self.fit, &options)
        })?;
        words::programs(py, found, self.prepared.x.n_cols())
    }

    /// Distances of the spectra of one k: rows and columns as listed.
    fn distances<'py>(
        &self,
        py: Python<'py>,
        k: usize,
        rows: Vec<usize>,
        means: Means,
    ) -> PyResult<Bound<'py, numpy::PyArray2<f64>>> {
        let n = rows.len();
        let found = attended(py, &means, |run| {
            let pool = self.pool(k)?;
            if let Some(row) = rows.iter().find(|row| **row >= pool.n()) {
                return Err(Fault::bad_input(format!("spectrum {row} of {}", pool.n())));
            }
            UnitSpectra::new(&pool.spectra, pool.n()).some(&rows).distances(run)
        })?;
        matrix(py, n, n, found)
    }
}
