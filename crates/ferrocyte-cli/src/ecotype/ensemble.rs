//! `ferrocyte ecotype ensemble` and `aggregate`: what many models agree on.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::Provenance;
use ferrocyte_ecotype::{Ensemble, EnsembleOptions, Model, Runs, aggregate, share, train_ensemble, train_runs};
use ferrocyte_io::read_part;

use super::folder;
use super::study::{load, number, training, truth};
use super::train::told;
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path, paths};

/// Runs `ensemble`.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let options = training(settings)?;
    let n_runs: u64 = number(settings, "n_runs")?;
    let ensemble =
        EnsembleOptions { seeds: (options.seed..options.seed.saturating_add(n_runs)).collect(), ..agreed(settings)? };
    let (study, auto_log) = (path(matches, "study")?, truth(settings, "auto_log"));
    if settings.one("run").is_some() {
        let (at, of) = (number(settings, "run")?, number(settings, "of")?);
        let out = Target::part("output", path(matches, "output")?, &[study])?;
        let numbers = share(ensemble.seeds.len(), at, of)?;
        let mut loaded = load(session, "ensemble", study)?;
        let (mut x, labels) = loaded.parts();
        let made = train_runs(&session.run, &mut x, &labels, auto_log, &options, ensemble.seeds, numbers)?;
        return write_share(session, out, &made, loaded.provenance.option("run", at).option("of", of));
    }
    let out = folder::made(path(matches, "output")?)?;
    let mut loaded = load(session, "ensemble", study)?;
    let (mut x, labels) = loaded.parts();
    let found = train_ensemble(&session.run, &mut x, &labels, auto_log, &options, &ensemble)?;
    write(session, &out, &found, loaded.provenance)
}

/// Runs `aggregate`.
pub(crate) fn aggregated(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let given = paths(matches, "models");
    let options = agreed(&session.settings)?;
    let provenance = Provenance::new("ecotype.aggregate")
        .option("delta_threshold", options.delta_threshold)
        .option("min_model_fraction", options.min_model_fraction)
        .option("models", given.len());
    let found = if given.iter().any(|path| path.is_file()) {
        merged(&given)?.agree(&options)?
    } else {
        let lists: Vec<Vec<Model>> = given.into_iter().map(folder::read).collect::<ferrocyte_base::Result<_>>()?;
        let (skipped, warnings) = (Vec::new(), Vec::new());
        Ensemble { aggregates: aggregate(&lists, &options)?, runs: Vec::new(), skipped, warnings, logged: false }
    };
    let out = folder::made(path(matches, "output")?)?;
    write(session, &out, &found, provenance)
}

/// All runs of an ensemble, from files with shares of them.
fn merged(files: &[&Path]) -> ferrocyte_base::Result<Runs> {
    let read = |file: &&Path| {
        let place = file.display().to_string();
        let runs = read_part(file).and_then(|part| Runs::from_part(&part)).map_err(|fault| fault.at(place.clone()))?;
        Ok((place, runs))
    };
    Runs::merge_all(files.iter().map(read).collect::<ferrocyte_base::Result<_>>()?)
}

fn write_share(session: &Session, out: PathBuf, made: &Runs, provenance: Provenance) -> Result<(), Failure> {
    made.warnings().iter().for_each(|warning| session.run.warn(warning));
    let (here, all) = (made.numbers.len(), made.seeds.len());
    Results {
        parts: vec![(out, made.to_part())],
        tables: vec![],
        provenance,
        decided: vec![],
        lines: format!("{here} of {all} runs"),
        summary: vec![("runs", here.into()), ("of", all.into())],
    }
    .write(session)
}

fn agreed(settings: &Settings) -> Result<EnsembleOptions, Failure> {
    Ok(EnsembleOptions {
        delta_threshold: number(settings, "delta_threshold")?,
        min_model_fraction: number(settings, "min_model_fraction")?,
        ..EnsembleOptions::default()
    })
}

/// Writes mean weights, how often genes mark ecotypes, and the spread of weights.
fn write(session: &Session, out: &Path, ensemble: &Ensemble, provenance: Provenance) -> Result<(), Failure> {
    ensemble.warnings.iter().for_each(|warning| session.run.warn(warning));
    let (found, skipped) = (&ensemble.aggregates, &ensemble.skipped);
    let models: Vec<Model> = found.iter().map(|of| of.model.clone()).collect();
    let mut tables = folder::tables(out, &models);
    for (i, of) in found.iter().enumerate() {
        for (name, values) in [("frequency", &of.frequency), ("sd", &of.sd)] {
            tables.push((Target::Table(out.join(format!("{name}_{i}.tsv"))), folder::table(&of.model, values)));
        }
    }
    folder::write_head(out, &models, skipped)?;
    Results {
        parts: vec![],
        tables: tables.iter().map(|(target, table)| (target.clone(), table)).collect(),
        provenance,
        decided: vec![],
        lines: told(&models, skipped),
        summary: vec![("models", models.len().into()), ("skipped", skipped.len().into())],
    }
    .write(session)
}
