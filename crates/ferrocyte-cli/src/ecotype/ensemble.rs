//! `ferrocyte ecotype ensemble` and `aggregate`: what many models agree on.

use std::path::Path;

use clap::ArgMatches;
use ferrocyte_base::Provenance;
use ferrocyte_ecotype::{Aggregate, EnsembleOptions, Labels, Model, Skipped, aggregate, train_ensemble};

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
    let out = folder::made(path(matches, "output")?)?;
    let options = training(settings)?;
    let runs: u64 = number(settings, "n_runs")?;
    let ensemble =
        EnsembleOptions { seeds: (options.seed..options.seed.saturating_add(runs)).collect(), ..agreed(settings)? };
    let mut loaded = load(session, "ensemble", path(matches, "study")?)?;
    let columns = (loaded.cell_type.clone(), loaded.label.clone(), loaded.sample.clone());
    let labels = Labels { cell_type: &columns.0, label: &columns.1, sample: columns.2.as_deref() };
    let auto_log = truth(settings, "auto_log");
    let found = train_ensemble(&session.run, &mut loaded.x, &labels, auto_log, &options, &ensemble)?;
    found.warnings.iter().for_each(|warning| session.run.warn(warning));
    write(session, &out, &found.aggregates, &found.skipped, loaded.provenance)
}

/// Runs `aggregate`.
pub(crate) fn aggregated(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let out = folder::made(path(matches, "output")?)?;
    let lists: Vec<Vec<Model>> =
        paths(matches, "models").into_iter().map(folder::read).collect::<ferrocyte_base::Result<_>>()?;
    let options = agreed(settings)?;
    let found = aggregate(&lists, &options)?;
    let provenance = Provenance::new("ecotype.aggregate")
        .option("delta_threshold", options.delta_threshold)
        .option("min_model_fraction", options.min_model_fraction)
        .option("models", lists.len());
    write(session, &out, &found, &[], provenance)
}

fn agreed(settings: &Settings) -> Result<EnsembleOptions, Failure> {
    Ok(EnsembleOptions {
        delta_threshold: number(settings, "delta_threshold")?,
        min_model_fraction: number(settings, "min_model_fraction")?,
        ..EnsembleOptions::default()
    })
}

/// Writes mean weights, how often genes mark ecotypes, and the spread of weights.
fn write(
    session: &Session,
    out: &Path,
    found: &[Aggregate],
    skipped: &[Skipped],
    provenance: Provenance,
) -> Result<(), Failure> {
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
