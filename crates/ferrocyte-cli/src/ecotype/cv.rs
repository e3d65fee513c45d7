//! `ferrocyte ecotype cv`: labels by models that have not seen the sample of a cell.

use clap::ArgMatches;
use ferrocyte_base::{Column, Table};
use ferrocyte_ecotype::{CrossValidation, Metric, Scheme, cross_validate, metrics};

use super::study::{draws, load, number, recovery, training, truth};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let study = path(matches, "study")?;
    let out = Target::table("output", path(matches, "output")?, &[study])?;
    let options = training(settings)?;
    let validation = CrossValidation {
        scheme: Scheme::from_word(settings.word("scheme"))?,
        repeats: number(settings, "repeats")?,
        recover: recovery(settings)?,
    };
    let metric = Metric::from_word(settings.word("metric"))?;
    let loaded = load(session, "cv", study)?;
    let (labels, auto_log) = (loaded.labels(), truth(settings, "auto_log"));
    let found =
        cross_validate(&session.run, &loaded.x, &labels, auto_log, &options, &validation, &mut draws(&options))?;
    let measured = metrics(&loaded.label, &found.label, None, loaded.sample.as_deref(), metric)?;
    let mut lines: Vec<String> =
        measured.labels.iter().zip(&measured.values).map(|(label, value)| format!("{label:<24} {value:.4}")).collect();
    lines.push(format!("{:<24} {:.4}  ({})", "mean", measured.macro_average(), metric.word()));
    let table = Table::new("cross-validation")
        .with(Column::text("CID", "the cell", loaded.x.cells().to_vec()))
        .with(Column::text("CellType", "its type", loaded.cell_type.clone()))
        .with(Column::text("SE", "its label", loaded.label.clone()))
        .with(Column::text("cvPred", "the label with most votes", found.label))
        .with(Column::float("cvVotes", "", "the share of the votes that it has", found.votes));
    Results {
        parts: vec![],
        tables: vec![(out, &table)],
        provenance: loaded.provenance.clone(),
        decided: vec![],
        lines: lines.join("\n"),
        summary: vec![("mean", measured.macro_average().into())],
    }
    .write(session)
}
