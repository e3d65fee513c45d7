//! The steps of a run in a [`Folder`]: each reads what the one before has written.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ferrocyte_base::{Fault, Result, Run, Table, listing};
use ferrocyte_data::{RowChunks, SelectRows};
use ferrocyte_io::{
    Annotation, H5adOptions, MatrixType, NamedForm, NamedMatrix, OpenOptions, Storage, open_study, read_named_npz,
    write_h5ad, write_named_npz,
};
use ferrocyte_learn::nmf::{Precision, Replicate};
use ferrocyte_programs::{
    Consensus, ConsensusOptions, Expression, FactoriseOptions, GeneStats, Iterates, Names, PerMillion, Pool,
    PrepareOptions, Prepared, ReadRows, Scale, align, consensus, factorise, gaps, prepare, select, selection_table,
    share, survey,
};

use super::folder::{Folder, threshold_word};

/// A study on its way into a folder: counts, names, and expression if it is given.
pub struct Study<'a> {
    /// Cells × genes.
    pub counts: Box<dyn RowChunks + 'a>,
    /// Their names.
    pub names: Names,
    /// Expression in place of counts per million, and the names of its cells (empty: those of the counts).
    pub expression: Option<(Box<dyn RowChunks + 'a>, Vec<String>)>,
}

impl Study<'_> {
    /// Makes the counts ready, the matrix in memory.
    ///
    /// # Errors
    /// As [`prepare`].
    pub fn prepare(&mut self, run: &Run, options: &PrepareOptions) -> Result<Prepared> {
        let Self { counts, names, expression } = self;
        prepare(run, &mut **counts, given(expression), names, options)
    }

    /// Finds out how the counts are made ready; none is held.
    ///
    /// # Errors
    /// As [`survey`].
    pub fn survey(&mut self, run: &Run, options: &PrepareOptions) -> Result<Prepared<Scale>> {
        let Self { counts, names, expression } = self;
        survey(run, &mut **counts, given(expression), names, options)
    }

    /// Expression of all cells in the order of the counts.
    ///
    /// # Errors
    /// Cells that do not match.
    pub fn expressed(&mut self) -> Result<Box<dyn RowChunks + '_>> {
        match self.expression.as_mut() {
            None => Ok(Box::new(PerMillion(&mut *self.counts))),
            Some((rows, cells)) => match if cells.is_empty() { None } else { align(&self.names.cells, cells)? } {
                None => Ok(Box::new(&mut **rows)),
                Some(order) => Ok(Box::new(SelectRows::list(&mut **rows, order)?)),
            },
        }
    }
}

/// Expression, if it is given.
fn given<'a>(expression: &'a mut Option<(Box<dyn RowChunks + '_>, Vec<String>)>) -> Option<Expression<'a>> {
    expression.as_mut().map(|(rows, cells)| Expression { rows: &mut **rows, cells: cells.clone() })
}

/// What is asked of a run: which k, how many replicates, from which seed, made how.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Numbers of programs, as given.
    pub ks: Vec<usize>,
    /// Replicates of each.
    pub n_iter: usize,
    /// The seed of the seeds.
    pub seed: u32,
    /// How replicates are made.
    pub fit: FactoriseOptions,
}

impl Plan {
    /// The table of jobs.
    pub fn jobs(&self) -> Vec<Replicate> {
        ferrocyte_learn::nmf::replicates(self.seed, &self.ks, self.n_iter)
    }
}

/// Makes counts ready and writes them, with the table of jobs; they pass as a stream. Spectra that are there stay only where `resume` finds the
/// same preparation: the same matrix, jobs and rules.
///
/// # Errors
/// What [`prepare`] and the plan refuse, and files that cannot be written.
pub fn prepare_folder(
    run: &Run,
    folder: &Folder,
    study: &mut Study,
    options: &PrepareOptions,
    plan: &Plan,
    resume: bool,
) -> Result<Prepared<Scale>> {
    let prepared = study.survey(run, options)?;
    let size = (prepared.x.n_rows, prepared.genes.len());
    for warning in
        prepared.warnings.iter().chain(&plan.fit.check_sizes(size, prepared.x.n_values, &plan.ks, plan.n_iter)?)
    {
        run.warn(warning);
    }
    folder.make()?;
    if resume && is_same(run, folder, &prepared, study, plan) {
        run.info("the folder holds this preparation already; replicates that are there are kept");
        return Ok(prepared);
    }
    for begin in ["spectra.k_", "nmf_runs.", "local_density_cache."] {
        folder.forget(begin)?;
    }
    let cells: Vec<String> = prepared.cells.iter().map(|&i| study.names.cells[i].clone()).collect();
    let genes: Vec<String> = prepared.genes.iter().map(|&j| study.names.genes[j].clone()).collect();
    let form = H5adOptions { values: MatrixType::F64, storage: Storage::default() };
    let obs = Annotation::new(cells);
    let mut x = prepared.rows(&mut *study.counts)?;
    write_h5ad(run, &folder.between("norm_counts.h5ad"), &mut x, &obs, &Annotation::new(genes.clone()), form)?;
    drop(x);
    let all_genes = study.names.genes.clone();
    let mut kept = SelectRows::list(study.expressed()?, prepared.cells.clone())?;
    write_h5ad(run, &folder.between("tpm.h5ad"), &mut kept, &obs, &Annotation::new(all_genes.clone()), form)?;
    let sd = prepared.stats.sd(None, 0);
    let moments = NamedMatrix {
        row_names: all_genes,
        column_names: vec!["__mean".to_owned(), "__std".to_owned()],
        values: prepared.stats.mean.iter().zip(&sd).flat_map(|(m, s)| [*m, *s]).collect(),
    };
    write_named_npz(&folder.frame("tpm_stats"), &moments, NamedForm::default())?;
    Folder::write_text(&folder.file("overdispersed_genes.txt"), &genes.join("\n"))?;
    folder.write_fit(&plan.fit)?;
    folder.write_jobs(&plan.jobs())?;
    Ok(prepared)
}

/// Whether a folder holds this preparation. What cannot be read is another one.
fn is_same(run: &Run, folder: &Folder, prepared: &Prepared<Scale>, study: &mut Study, plan: &Plan) -> bool {
    let jobs = folder.jobs().is_ok_and(|jobs| jobs == plan.jobs());
    let fit = folder
        .fit()
        .is_ok_and(|fit| fit == FactoriseOptions { precision: fit.precision, solver: fit.solver, ..plan.fit });
    let mut matrix = || {
        let open = Open::new(run, folder)?;
        let same_genes = open
            .prepared
            .genes
            .iter()
            .map(|&j| &open.names.genes[j])
            .eq(prepared.genes.iter().map(|&j| &study.names.genes[j]));
        Ok::<bool, Fault>(same_genes && open.prepared.x.is(run, &mut prepared.rows(&mut *study.counts)?)?)
    };
    jobs && fit && matrix().unwrap_or(false)
}

/// A folder that was prepared, opened.
pub struct Open {
    /// The matrix, which is read for each pass, its genes, the moments of expression.
    pub prepared: Prepared<ReadRows>,
    /// Names of cells and of all genes.
    pub names: Names,
    /// How replicates are made.
    pub fit: FactoriseOptions,
    /// The table of jobs.
    pub jobs: Vec<Replicate>,
    /// Expression of all genes.
    expression: Box<dyn RowChunks>,
}

impl Open {
    /// Reads what was prepared.
    ///
    /// # Errors
    /// Nothing was prepared, or files that are missing or damaged.
    pub fn new(run: &Run, folder: &Folder) -> Result<Self> {
        let (jobs, fit) = (folder.jobs()?, folder.fit()?);
        let counts = open_study(run, folder.between("norm_counts.h5ad"), &OpenOptions::default())?;
        let tpm = open_study(run, folder.between("tpm.h5ad"), &OpenOptions::default())?;
        let names = Names { cells: counts.obs_names()?, genes: tpm.var_names("X")? };
        let genes = names.positions(&counts.var_names("X")?)?;
        let x = ReadRows::new(counts.matrix("X")?);
        let moments = read_named_npz(&folder.frame("tpm_stats"))?;
        let column = |name: &str| {
            let at = moments.column_names.iter().position(|c| c == name);
            at.map(|at| (0..moments.row_names.len()).map(|j| moments.row(j)[at]).collect::<Vec<f64>>())
                .ok_or_else(|| Fault::bad_file(format!("tpm_stats has no column `{name}`")))
        };
        let (mean, sd) = (column("__mean")?, column("__std")?);
        if mean.len() != names.genes.len() {
            return Err(Fault::bad_file(format!("tpm_stats has {} genes, tpm {}", mean.len(), names.genes.len())));
        }
        let variance = sd.iter().map(|s| s * s).collect();
        let stats = GeneStats { n_cells: names.cells.len(), mean, variance };
        let cells = (0..names.cells.len()).collect();
        let (dropped_cells, dropped_genes, judged, warnings) = (Vec::new(), Vec::new(), None, Vec::new());
        let prepared = Prepared { x, genes, cells, dropped_cells, dropped_genes, stats, judged, warnings };
        Ok(Self { prepared, names, fit, jobs, expression: tpm.matrix("X")? })
    }

    fn gene_names(&self) -> Vec<String> {
        self.prepared.genes.iter().map(|&j| self.names.genes[j].clone()).collect()
    }
}

/// How one of several workers makes its replicas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Which worker, from 0.
    pub worker: usize,
    /// Of how many.
    pub n_workers: usize,
    /// Whether replicas whose file is there are left as they are.
    pub skip_completed: bool,
    /// With how many bits.
    pub precision: Precision,
    /// By which iterates.
    pub solver: Iterates,
}

/// Makes the replicas of a worker; each is written as it ends. Gives how many were made, and how many were there.
///
/// # Errors
/// Nothing was prepared, a worker that is not among them, and what factorisations refuse.
pub fn factorise_folder(run: &Run, folder: &Folder, mine: &Share) -> Result<(usize, usize)> {
    let open = Open::new(run, folder)?;
    let fit = FactoriseOptions { precision: mine.precision, solver: mine.solver, ..open.fit };
    fit.check(&open.prepared.x, &prepared_ks(&open.jobs), open.jobs.len())?;
    let all = share(&open.jobs, mine.worker, mine.n_workers)?;
    let todo: Vec<Replicate> = all
        .iter()
        .filter(|j| !(mine.skip_completed && read_named_npz(&folder.spectra(j.components, j.index)).is_ok()))
        .copied()
        .collect();
    let (genes, log) = (open.gene_names(), Mutex::new(folder.log(mine.worker, mine.n_workers)));
    factorise(run, &open.prepared.x, &fit, &todo, &|replica| {
        let log = log.lock().unwrap_or_else(PoisonError::into_inner);
        folder.write_replica(&genes, &replica, &log)
    })?;
    Ok((todo.len(), all.len() - todo.len()))
}

/// Stacks the replicas of some k, or of all that were prepared where none is named. Gives the k that were combined.
///
/// # Errors
/// Replicas that are missing, unless they may be, and such as belong to another run: by name.
pub fn combine_folder(run: &Run, folder: &Folder, ks: &[usize], skip_missing: bool) -> Result<Vec<usize>> {
    let jobs = folder.jobs()?;
    let ks = asked(ks, &prepared_ks(&jobs))?;
    folder.check_strangers(&jobs)?;
    let counts = open_study(run, folder.between("norm_counts.h5ad"), &OpenOptions::default())?;
    let genes = counts.var_names("X")?;
    let mut combined = Vec::new();
    for &k in &ks {
        run.check()?;
        let mine: Vec<Replicate> = jobs.iter().filter(|j| j.components == k).copied().collect();
        let made: Vec<Replicate> = mine.iter().filter(|j| folder.spectra(k, j.index).exists()).copied().collect();
        match gaps(&mine, &made) {
            Some(fault) if !skip_missing => return Err(fault.at(folder.root().display().to_string())),
            Some(fault) => run.warn(fault.message()),
            None => {}
        }
        if made.is_empty() {
            continue;
        }
        write_named_npz(&folder.merged(k), &stacked(folder, k, &made, &genes)?, NamedForm::default())?;
        folder.forget(&format!("local_density_cache.k_{k}."))?;
        combined.push(k);
    }
    Ok(combined)
}

/// The spectra of replicas of one k, one below the other.
fn stacked(folder: &Folder, k: usize, made: &[Replicate], genes: &[String]) -> Result<NamedMatrix> {
    let (mut row_names, mut values) = (Vec::new(), Vec::new());
    for job in made {
        let path = folder.spectra(k, job.index);
        let table = read_named_npz(&path)?;
        if table.column_names != genes || table.row_names.len() != k {
            let message = format!(
                "{} spectra of {} genes, prepared were {k} of {} others",
                table.row_names.len(),
                table.column_names.len(),
                genes.len()
            );
            return Err(Fault::bad_input(message).at(path.display().to_string()).hint("make the replicates anew"));
        }
        row_names.extend((1..=k).map(|t| format!("iter{}_topic{t}", job.index)));
        values.extend(table.values);
    }
    Ok(NamedMatrix { row_names, column_names: genes.to_vec(), values })
}

fn prepared_ks(jobs: &[Replicate]) -> Vec<usize> {
    let mut ks: Vec<usize> = jobs.iter().map(|j| j.components).collect();
    ks.dedup();
    ks
}

/// The k that are asked for, all where none is named; refuses those that are not there.
fn asked(ks: &[usize], there: &[usize]) -> Result<Vec<usize>> {
    if ks.is_empty() {
        return Ok(there.to_vec());
    }
    if let Some(k) = ks.iter().find(|k| !there.contains(k)) {
        let known: Vec<String> = there.iter().map(ToString::to_string).collect();
        let message = format!("there is no k = {k} in this folder");
        return Err(Fault::missing(message).at("components").hint(format!("there are {}", listing(&known, 30))));
    }
    Ok(ks.to_vec())
}

/// The pool of one k.
///
/// # Errors
/// It is not combined: the k that are get listed. Damaged files, spectra of other genes.
pub fn pool(folder: &Folder, k: usize, genes: &[String]) -> Result<Pool> {
    asked(&[k], &folder.combined()?).map_err(|fault| match folder.combined() {
        Ok(ks) if ks.is_empty() => Fault::missing("no spectra are combined yet").hint("call combine first"),
        _ => fault,
    })?;
    let table = read_named_npz(&folder.merged(k))?;
    if table.column_names != genes {
        let message = "the combined spectra are of other genes than were prepared";
        return Err(Fault::bad_input(message).at(folder.merged(k).display().to_string()).hint("combine anew"));
    }
    let row = |name: &String| {
        let (iter, topic) = name.strip_prefix("iter")?.split_once("_topic")?;
        Some((iter.parse().ok()?, topic.parse().ok()?))
    };
    let rows: Option<Vec<(usize, usize)>> = table.row_names.iter().map(row).collect();
    let rows = rows.ok_or_else(|| Fault::bad_file("names of rows are not iter0_topic1 and so on"))?;
    Pool::of_rows(k, genes.len(), table.values, rows)
}

/// Silhouette and error of every k that is combined, as a table that is also written.
///
/// # Errors
/// As [`select`].
pub fn k_selection_folder(run: &Run, folder: &Folder, options: &ConsensusOptions) -> Result<Table> {
    let open = Open::new(run, folder)?;
    let (genes, ks) = (open.gene_names(), folder.combined()?);
    if ks.is_empty() {
        return Err(Fault::missing("no spectra are combined yet").hint("call combine first"));
    }
    let task = run.task("k selection", ks.len() as u64);
    let mut found = Vec::new();
    for &k in &ks {
        run.check()?;
        found.push(select(run, &pool(folder, k, &genes)?, &open.prepared.x, &open.fit, options)?);
        task.advance(1);
    }
    let table = selection_table(&found, &folder.told()?);
    let columns = ["k", "local_density_threshold", "silhouette", "prediction_error"].map(str::to_owned).to_vec();
    let row =
        |s: &ferrocyte_programs::Selection| [s.k as f64, 0.5, s.silhouette.unwrap_or(f64::NAN), s.prediction_error];
    let stats = NamedMatrix {
        row_names: (0..found.len()).map(|i| i.to_string()).collect(),
        column_names: columns,
        values: found.iter().flat_map(row).collect(),
    };
    write_named_npz(
        &folder.file("k_selection_stats.df.npz"),
        &stats,
        NamedForm { numbered_rows: true, whole_numbers: false },
    )?;
    Ok(table)
}

/// A consensus, with the names that its tables have.
pub struct Found {
    /// The consensus.
    pub consensus: Consensus,
    /// The pool that it is of.
    pub pool: Pool,
    /// Names of cells and of all genes.
    pub names: Names,
    /// The selected genes.
    pub selected: Vec<String>,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}

/// Finds the consensus of one k and writes its tables.
///
/// # Errors
/// As [`consensus`]; a k that is not combined.
pub fn consensus_folder(
    run: &Run,
    folder: &Folder,
    k: usize,
    options: &ConsensusOptions,
    build_reference: bool,
) -> Result<Found> {
    let mut open = Open::new(run, folder)?;
    let selected = open.gene_names();
    let pool = pool(folder, k, &selected)?;
    let found = consensus(run, &pool, &open.prepared, &mut *open.expression, &open.fit, options)?;
    found.warnings.iter().for_each(|warning| run.warn(&format!("k = {k}: {warning}")));
    let files = write_consensus(folder, &found, &pool, &open.names, &selected, options, build_reference)?;
    Ok(Found { consensus: found, pool, names: open.names, selected, files })
}

fn write_consensus(
    folder: &Folder,
    found: &Consensus,
    pool: &Pool,
    names: &Names,
    selected: &[String],
    options: &ConsensusOptions,
    build_reference: bool,
) -> Result<Vec<PathBuf>> {
    let programs = &found.programs;
    let (k, dt) = (programs.k, threshold_word(options.density_threshold));
    let numbers: Vec<String> = (1..=k).map(|t| t.to_string()).collect();
    let genes: Vec<String> = programs.genes.iter().map(|&j| names.genes[j].clone()).collect();
    let matrix = |rows: &[String], columns: &[String], values: &[f64]| NamedMatrix {
        row_names: rows.to_vec(),
        column_names: columns.to_vec(),
        values: values.to_vec(),
    };
    let at = format!("k_{k}.dt_{dt}");
    let write = |rest: &str, table: NamedMatrix| folder.write_table(&format!("{rest}.txt"), rest, &table);
    let mut files = vec![
        write(&format!("spectra.{at}.consensus"), matrix(&numbers, selected, &programs.spectra))?,
        write(&format!("usages.{at}.consensus"), matrix(&names.cells, &numbers, &programs.usages))?,
        write(&format!("gene_spectra_tpm.{at}"), matrix(&numbers, &genes, &programs.spectra_tpm))?,
        write(&format!("gene_spectra_score.{at}"), matrix(&numbers, &genes, &programs.scores))?,
    ];
    if build_reference {
        let rows: Vec<String> = (1..=k).map(|t| format!("GEP{t}")).collect();
        files.push(write(&format!("starcat_spectra.{at}"), matrix(&rows, selected, &programs.reference))?);
    }
    let stats = ["k", "local_density_threshold", "silhouette", "prediction_error"].map(str::to_owned);
    let values =
        [k as f64, options.density_threshold, found.clusters.silhouette.unwrap_or(f64::NAN), programs.prediction_error];
    let form = NamedForm::default();
    write_named_npz(&folder.frame(&format!("stats.{at}")), &matrix(&stats, &["stats".to_owned()], &values), form)?;
    let density = matrix(&pool.row_names(), &["local_density".to_owned()], &found.clusters.density);
    write_named_npz(&folder.frame(&format!("local_density_cache.k_{k}.merged")), &density, form)?;
    Ok(files)
}
