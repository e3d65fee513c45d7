//! `ferrocyte ecotype train`: one model for each cell type.

use clap::ArgMatches;
use ferrocyte_ecotype::{Model, Skipped, train};

use super::folder;
use super::study::{load, training, truth};
use crate::faults::Failure;
use crate::output::Results;
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let out = folder::made(path(matches, "output")?)?;
    let options = training(&session.settings)?;
    let mut loaded = load(session, "train", path(matches, "study")?)?;
    let (mut x, labels) = loaded.parts();
    let found = train(&session.run, &mut x, &labels, truth(&session.settings, "auto_log"), &options)?;
    found.warnings.iter().for_each(|warning| session.run.warn(warning));
    let tables = folder::tables(&out, &found.models);
    folder::write_head(&out, &found.models, &found.skipped)?;
    Results {
        parts: vec![],
        tables: tables.iter().map(|(target, table)| (target.clone(), table)).collect(),
        provenance: loaded.provenance,
        decided: vec![],
        lines: told(&found.models, &found.skipped),
        summary: vec![("models", found.models.len().into()), ("skipped", found.skipped.len().into())],
    }
    .write(session)
}

/// Models and what has none, a line each.
pub(super) fn told(models: &[Model], skipped: &[Skipped]) -> String {
    let mut lines: Vec<String> = models
        .iter()
        .map(|m| format!("{:<24} {:>5} features {:>3} ecotypes", m.cell_type, m.features.len(), m.classes.len()))
        .collect();
    lines.extend(skipped.iter().map(ToString::to_string));
    lines.join("\n")
}
