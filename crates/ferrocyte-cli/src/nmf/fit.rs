//! `ferrocyte nmf fit`: from a study to programs and their usages.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ArgMatches;
use ferrocyte_base::{Input, Table};
use ferrocyte_cells::{Names, nmf::prepare};
use ferrocyte_data::{RowChunks, SelectGenes};
use ferrocyte_learn::nmf::{Begin, Keep, Loss, Options, Precision, RankOptions, Ranks, Replica, fit, solver_of};
use ferrocyte_mixed::lmm::GeneMask;

use crate::config::Settings;
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings) = (&session.run, &session.settings);
    let input = path(matches, "study")?;
    let folder = folder(path(matches, "output")?)?;
    let asked = asked(settings)?;
    let study = door::open(run, input, settings)?;
    let layer = settings.one("layer").unwrap_or("X");
    let (cells, mut genes) = (study.obs_names()?, study.var_names(layer)?);
    let mut rows: Box<dyn RowChunks + '_> = study.matrix(layer)?;
    if let Some(name) = settings.one("mask_var") {
        let kept = GeneMask::from_column(name, study.var(&[name])?.column(name)?)?.kept;
        let chosen: Vec<usize> = (0..genes.len()).filter(|&gene| kept[gene]).collect();
        rows = Box::new(SelectGenes::new(rows, &chosen)?);
        genes = chosen.iter().map(|&gene| genes[gene].clone()).collect();
    }
    let names = Names { cells: &cells, genes: &genes };
    let prepared = prepare(run, &mut *rows, &names, asked.options.precision)?;
    let found = fit(run, &prepared, &asked)?;
    let mut provenance =
        asked.provenance().option("layer", layer).option("mask_var", settings.one("mask_var").unwrap_or(""));
    provenance.inputs.push(Input { name: layer.to_owned(), fingerprint: study.fingerprint(run, layer)? });
    let tables = tables(&found, &cells, &genes, asked.keep);
    std::fs::create_dir_all(&folder).map_err(|error| {
        Failure::usage("output", format!("cannot make `{}`: {error}", folder.display()), "choose another")
    })?;
    let tables: Vec<(Target, &Table)> =
        tables.iter().map(|(name, table)| (Target::Table(folder.join(name)), table)).collect();
    let (lines, summary) = told(&found, prepared.n(), prepared.g());
    Results { parts: vec![], tables, provenance, decided: vec![], lines, summary }.write(session)
}

/// The folder of the results; its parent exists.
fn folder(output: &Path) -> Result<PathBuf, Failure> {
    let parent = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = parent.filter(|folder| !folder.is_dir()) {
        return Err(Failure::usage("output", format!("there is no folder `{}`", folder.display()), "make it first"));
    }
    if output.is_file() || output == Path::new("-") || output.extension().is_some() {
        let message = format!("`{}` is no folder", output.display());
        return Err(Failure::usage("output", message, "several tables are written: name a folder"));
    }
    Ok(output.to_owned())
}

fn asked(settings: &Settings) -> Result<RankOptions, Failure> {
    let Some(ks) = settings.one("k") else {
        return Err(Failure::usage("k", "how many programs are wanted?", "as in -k 10, or -k 5,10,15"));
    };
    let ranks = ks.split(',').map(|k| parsed("k", k.trim(), "whole numbers")).collect::<Result<_, _>>()?;
    let loss = Loss::from_word(settings.word("beta_loss"))?;
    let options = Options {
        loss,
        solver: solver_of(settings.word("solver"), loss)?,
        tolerance: number(settings, "tol")?,
        max_iterations: number(settings, "max_iter")?,
        alpha_w: number(settings, "alpha_w")?,
        alpha_h: number(settings, "alpha_h")?,
        l1_ratio: number(settings, "l1_ratio")?,
        sweeps: number(settings, "sweeps")?,
        precision: Precision::from_word(settings.word("precision"))?,
        trace: false,
    };
    Ok(RankOptions {
        ranks,
        replicas: number(settings, "n_replicas")?,
        seed: number(settings, "seed")?,
        begin: Begin::from_word(settings.word("init"))?,
        keep: Keep::from_word(settings.word("keep"))?,
        options,
    })
}

fn number<T: FromStr>(settings: &Settings, name: &str) -> Result<T, Failure> {
    parsed(name, settings.word(name), "a number from 0 on")
}

fn parsed<T: FromStr>(name: &str, word: &str, expected: &str) -> Result<T, Failure> {
    let bad = |_| Failure::usage(name, format!("expected {expected}, found `{word}`"), "see --help");
    word.parse().map_err(bad)
}

/// The tables by their files: one of all replicas, and two for each replica whose factors were kept.
fn tables(found: &Ranks, cells: &[String], genes: &[String], keep: Keep) -> Vec<(String, Table)> {
    let mut tables = vec![("replicas.tsv".to_owned(), found.table())];
    let kept = |r: &&Replica| !r.fit.h.is_empty();
    for replica in found.replicas.iter().filter(kept) {
        let which = match keep {
            Keep::Best => format!("k{}", replica.fit.components),
            Keep::All => format!("k{}.r{}", replica.fit.components, replica.index),
        };
        tables.push((format!("usages.{which}.tsv"), found.usages(replica, cells)));
        tables.push((format!("spectra.{which}.tsv"), found.spectra(replica, genes)));
    }
    tables
}

/// What was found, in a few lines and as data.
fn told(found: &Ranks, n: usize, g: usize) -> (String, Vec<(&'static str, serde_json::Value)>) {
    let mut lines = vec![format!("nmf fit  {n} cells, {g} genes")];
    let mut ranks = Vec::new();
    for k in found.ranks() {
        let of_rank: Vec<&Replica> = found.replicas.iter().filter(|r| r.fit.components == k).collect();
        let at_limit = of_rank.iter().filter(|r| r.fit.stop == ferrocyte_learn::nmf::Stop::Limit).count();
        let Some(best) = found.best(k) else { continue };
        let (n, iterations, objective) = (of_rank.len(), best.fit.iterations, best.fit.objective);
        let limit = if at_limit > 0 { format!(", {at_limit} at the limit of iterations") } else { String::new() };
        lines.push(format!(
            "k {k:>3}: {n} replicas{limit}; the best: objective {objective:.6e}, {iterations} iterations"
        ));
        ranks.push(serde_json::json!({
            "k": k, "replicas": n, "at_limit": at_limit, "objective": objective, "iterations": iterations,
        }));
    }
    (lines.join("\n"), vec![("cells", n.into()), ("genes", g.into()), ("ranks", ranks.into())])
}
