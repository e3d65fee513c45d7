//! The verbs of `ferrocyte cnmf`: arguments in, steps, a few lines out.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use clap::ArgMatches;
use ferrocyte_base::{Fault, Input, Provenance, Table};
use ferrocyte_io::{OpenOptions, open_study, read_matrix_tsv, write_table};
use ferrocyte_learn::nmf::{Loss, Precision, Rule};
use ferrocyte_programs::{
    ConsensusOptions, FactoriseOptions, Genes, Init, Iterates, Names, PrepareOptions, Reference, programs_table,
    project, replicates_table,
};
use serde_json::{Value as Json, json};

use super::folder::Folder;
use super::steps::{
    Plan, Share, Study, combine_folder, consensus_folder, factorise_folder, k_selection_folder, prepare_folder,
};
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Genes of a program that the report names.
const TOP_GENES: usize = 20;

type Outcome<T = ()> = Result<T, Failure>;

/// `ferrocyte cnmf prepare`.
pub(crate) fn prepare(session: &Session, matches: &ArgMatches) -> Outcome {
    let folder = folder_of(matches)?;
    let (n, g, plan, provenance) = ready(session, matches, &folder, false)?;
    let jobs = plan.jobs().len();
    let lines = format!("{n} cells x {g} genes, {jobs} replicates to make");
    let summary =
        vec![("cells", n.into()), ("genes", g.into()), ("replicates", jobs.into()), ("seed", plan.seed.into())];
    finish(session, &folder, "prepare", provenance, lines, summary)
}

/// `ferrocyte cnmf factorize`.
pub(crate) fn factorize(session: &Session, matches: &ArgMatches) -> Outcome {
    let folder = folder_of(matches)?;
    let mine = Share {
        worker: number(session, "worker_index")?,
        n_workers: number(session, "total_workers")?,
        skip_completed: truth(session, "skip_completed_runs"),
        precision: Precision::from_word(session.settings.word("precision"))?,
        solver: Iterates::from_word(session.settings.word("solver"))?,
    };
    let (made, kept) = factorise_folder(&session.run, &folder, &mine)?;
    session.console.tell(&format!("{made} replicates made, {kept} were there"));
    Ok(())
}

/// `ferrocyte cnmf combine`.
pub(crate) fn combine(session: &Session, matches: &ArgMatches) -> Outcome {
    let folder = folder_of(matches)?;
    let ks = combine_folder(&session.run, &folder, &components(session)?, truth(session, "skip_missing_files"))?;
    session.console.tell(&format!("combined k = {}", list(&ks)));
    Ok(())
}

/// `ferrocyte cnmf k-selection`.
pub(crate) fn k_selection(session: &Session, matches: &ArgMatches) -> Outcome {
    let folder = folder_of(matches)?;
    let rule = Rule::from_word(session.settings.word("refit"))?;
    let table =
        k_selection_folder(&session.run, &folder, &ConsensusOptions { refit: rule, ..ConsensusOptions::default() })?;
    let out = folder.file("k_selection.tsv");
    write_table(&out, &table)?;
    session.console.tell(&format!("wrote {}", out.display()));
    Ok(())
}

/// `ferrocyte cnmf consensus`.
pub(crate) fn consensus(session: &Session, matches: &ArgMatches) -> Outcome {
    let folder = folder_of(matches)?;
    let mut ks = components(session)?;
    if ks.is_empty() {
        ks = folder.combined()?;
    }
    if ks.is_empty() {
        return Err(Fault::missing("no spectra are combined yet").hint("call combine first").into());
    }
    let tables = programs(session, &folder, &ks)?;
    session.console.tell(&format!("programs of k = {} in {} tables", list(&ks), tables));
    Ok(())
}

/// `ferrocyte cnmf run`: all of it, where it was left off.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Outcome {
    let folder = folder_of(matches)?;
    let (n, g, plan, provenance) = ready(session, matches, &folder, true)?;
    let precision = Precision::from_word(session.settings.word("precision"))?;
    let solver = Iterates::from_word(session.settings.word("solver"))?;
    let all = Share { worker: 0, n_workers: 1, skip_completed: true, precision, solver };
    let (made, kept) = factorise_folder(&session.run, &folder, &all)?;
    let ks = combine_folder(&session.run, &folder, &[], false)?;
    write_table(&folder.file("replicates.tsv"), &replicates_table(&folder.told()?))?;
    let table = k_selection_folder(&session.run, &folder, &consensus_options(session)?)?;
    write_table(&folder.file("k_selection.tsv"), &table)?;
    programs(session, &folder, &ks)?;
    let lines =
        format!("{n} cells x {g} genes; {made} replicates made, {kept} were there; programs of k = {}", list(&ks));
    let summary = vec![("cells", n.into()), ("genes", g.into()), ("k", json!(ks)), ("seed", plan.seed.into())];
    finish(session, &folder, "run", provenance, lines, summary)
}

/// `ferrocyte cnmf project`.
pub(crate) fn projection(session: &Session, matches: &ArgMatches) -> Outcome {
    let (input, known) = (path(matches, "counts")?, path(matches, "reference")?);
    let out = Target::table("output", path(matches, "output")?, &[input, known])?;
    let study = door::open(&session.run, input, &session.settings)?;
    let layer = session.settings.one("layer").unwrap_or("X").to_owned();
    let names = Names { cells: study.obs_names()?, genes: study.var_names(&layer)? };
    let table = read_matrix_tsv(known)?;
    let reference = Reference { programs: table.row_names, genes: table.column_names, spectra: table.values };
    let rule = Rule::from_word(session.settings.word("refit"))?;
    let found = project(&session.run, &mut *study.matrix(&layer)?, &names, &reference, rule)?;
    found.warnings.iter().for_each(|warning| session.run.warn(warning));
    let (k, shares) = (reference.programs.len(), found.shares());
    let column = |t: usize, name: &String| {
        let of_cells = shares.iter().skip(t).step_by(k).copied().collect();
        ferrocyte_base::Column::float(name, "share", "how much of a cell's usage is of this program", of_cells)
    };
    let cells = Table::new("usages").with(ferrocyte_base::Column::text("cell", "its name", names.cells.clone()));
    let usages = reference.programs.iter().enumerate().fold(cells, |table, (t, name)| table.with(column(t, name)));
    let mut provenance = Provenance::new("cnmf.project").option("refit", rule.word());
    provenance.inputs.push(Input { name: layer.clone(), fingerprint: study.fingerprint(&session.run, &layer)? });
    provenance.warnings.clone_from(&found.warnings);
    let (n, shared) = (names.cells.len(), found.shared.len());
    let results = Results {
        parts: Vec::new(),
        tables: vec![(out, &usages)],
        provenance,
        decided: Vec::new(),
        lines: format!(
            "{n} cells on {k} programs by {shared} genes, {} of the reference are missing",
            found.missing.len()
        ),
        summary: vec![
            ("cells", n.into()),
            ("programs", k.into()),
            ("genes", shared.into()),
            ("missing", json!(found.missing)),
        ],
    };
    results.write(session)
}

fn folder_of(matches: &ArgMatches) -> Outcome<Folder> {
    let name = matches.get_one::<String>("run_name").map_or("cNMF", String::as_str);
    Ok(Folder::new(path(matches, "output_dir")?, name)?)
}

fn list(ks: &[usize]) -> String {
    ks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn number<T: FromStr>(session: &Session, name: &str) -> Outcome<T> {
    let text = session.settings.word(name);
    text.parse().map_err(|_| Failure::usage(name, format!("expected a number, found `{text}`"), "give a number"))
}

fn truth(session: &Session, name: &str) -> bool {
    session.settings.word(name) == "true"
}

fn components(session: &Session) -> Outcome<Vec<usize>> {
    let texts =
        session.settings.all("components").iter().flat_map(|text| text.split([',', ' '])).filter(|t| !t.is_empty());
    let parse = |text: &str| {
        let wrong =
            || Failure::usage("components", format!("expected whole numbers, found `{text}`"), "such as -k 5 6 7");
        text.parse().map_err(|_| wrong())
    };
    texts.map(parse).collect()
}

/// Makes counts ready and writes them; cells, genes, and what is to be made.
fn ready(
    session: &Session,
    matches: &ArgMatches,
    folder: &Folder,
    resume: bool,
) -> Outcome<(usize, usize, Plan, Provenance)> {
    let (run, settings) = (&session.run, &session.settings);
    let study = door::open(run, path(matches, "counts")?, settings)?;
    let layer = settings.one("layer").unwrap_or("X").to_owned();
    let names = Names { cells: study.obs_names()?, genes: study.var_names(&layer)? };
    let given =
        settings.one("tpm").map(|file| open_study(run, Path::new(file), &OpenOptions::default())).transpose()?;
    let expression = match &given {
        None => None,
        Some(tpm) => {
            let genes = tpm.var_names("X")?;
            let rows = tpm.matrix("X")?;
            Some((in_order(rows, &genes, &names.genes)?, tpm.obs_names()?))
        }
    };
    let mut whole = Study { counts: study.matrix(&layer)?, names, expression };
    let options = PrepareOptions {
        genes: genes(session)?,
        drop_empty: truth(session, "drop_empty"),
        ..PrepareOptions::default()
    };
    let plan = plan(session)?;
    let prepared = prepare_folder(run, folder, &mut whole, &options, &plan, resume)?;
    let mut provenance = Provenance::new("cnmf.prepare");
    for name in
        ["numgenes", "genes_file", "beta_loss", "init", "n_iter", "max_nmf_iter", "alpha_usage", "alpha_spectra"]
    {
        provenance = provenance.option(name, settings.word(name));
    }
    provenance = provenance.option("components", list(&plan.ks));
    provenance.seed = Some(u64::from(plan.seed));
    provenance.warnings.clone_from(&prepared.warnings);
    provenance.inputs.push(Input { name: layer.clone(), fingerprint: study.fingerprint(run, &layer)? });
    if let Some(tpm) = &given {
        provenance.inputs.push(Input { name: "tpm".to_owned(), fingerprint: tpm.fingerprint(run, "X")? });
    }
    Ok((prepared.x.n_rows, prepared.genes.len(), plan, provenance))
}

/// Columns of expression in the order of the genes of the counts.
fn in_order(
    rows: Box<dyn ferrocyte_data::RowChunks>,
    genes: &[String],
    wanted: &[String],
) -> Outcome<Box<dyn ferrocyte_data::RowChunks>> {
    if genes == wanted {
        return Ok(rows);
    }
    let known: HashMap<&str, usize> = genes.iter().enumerate().map(|(j, gene)| (gene.as_str(), j)).collect();
    let columns: Vec<Option<usize>> = wanted.iter().map(|gene| known.get(gene.as_str()).copied()).collect();
    if let Some(at) = columns.iter().position(Option::is_none) {
        let missing = columns.iter().filter(|c| c.is_none()).count();
        let message = format!("{missing} genes of the counts have no expression, the first is `{}`", wanted[at]);
        return Err(Fault::bad_input(message).at("tpm").into());
    }
    let columns: Vec<usize> = columns.into_iter().flatten().collect();
    Ok(Box::new(ferrocyte_data::SelectGenes::new(rows, &columns)?))
}

fn genes(session: &Session) -> Outcome<Genes> {
    if let Some(file) = session.settings.one("genes_file") {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Fault::bad_file(format!("cannot be read: {e}")).at(file.to_owned()).because(e))?;
        return Ok(Genes::Listed(
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        ));
    }
    Ok(match number::<usize>(session, "numgenes")? {
        0 => Genes::AUTOMATIC,
        n => Genes::Top(n),
    })
}

fn plan(session: &Session) -> Outcome<Plan> {
    let ks = components(session)?;
    if ks.is_empty() {
        return Err(Failure::usage("components", "no number of programs is given", "such as -k 5 6 7"));
    }
    let seed = match session.settings.one("seed") {
        Some(text) => text.parse().map_err(|_| {
            Failure::usage("seed", format!("expected a whole number below 2^32, found `{text}`"), "give one")
        })?,
        None => {
            let drawn = drawn_seed();
            session.run.warn(&format!("no seed is given; {drawn} is drawn, by which this run can be made again"));
            drawn
        }
    };
    let fit = FactoriseOptions {
        loss: Loss::from_word(session.settings.word("beta_loss"))?,
        init: Init::from_word(session.settings.word("init"))?,
        alpha_usage: number(session, "alpha_usage")?,
        alpha_spectra: number(session, "alpha_spectra")?,
        max_iterations: number(session, "max_nmf_iter")?,
        ..FactoriseOptions::default()
    };
    Ok(Plan { ks, n_iter: number(session, "n_iter")?, seed, fit })
}

/// A seed from the clock.
fn drawn_seed() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| since.subsec_nanos() ^ since.as_secs() as u32)
}

fn consensus_options(session: &Session) -> Outcome<ConsensusOptions> {
    Ok(ConsensusOptions {
        density_threshold: number(session, "local_density_threshold")?,
        neighbourhood: number(session, "local_neighborhood_size")?,
        refit: Rule::from_word(session.settings.word("refit"))?,
        refit_usage: truth(session, "refit_usage"),
        normalize_tpm_spectra: truth(session, "normalize_tpm_spectra"),
        ..ConsensusOptions::default()
    })
}

/// The consensus of every k, and a table of all programs. How many tables were written.
fn programs(session: &Session, folder: &Folder, ks: &[usize]) -> Outcome<usize> {
    let options = consensus_options(session)?;
    let task = session.run.task("consensus", ks.len() as u64);
    let mut files = 0;
    for &k in ks {
        session.run.check()?;
        let found = consensus_folder(&session.run, folder, k, &options, truth(session, "build_reference"))?;
        let table = programs_table(&found.consensus, &found.names.genes, TOP_GENES);
        let word = super::threshold_word(options.density_threshold);
        write_table(&folder.file(&format!("programs.k_{k}.dt_{word}.tsv")), &table)?;
        files += found.files.len() + 1;
        task.advance(1);
    }
    Ok(files)
}

/// Options and record of a step, beside the folder's files.
fn finish(
    session: &Session,
    folder: &Folder,
    step: &str,
    provenance: Provenance,
    lines: String,
    summary: Vec<(&'static str, Json)>,
) -> Outcome {
    let results = Results { parts: Vec::new(), tables: Vec::new(), provenance, decided: Vec::new(), lines, summary };
    results.write_after(session, Some(&folder.file(step)))
}
