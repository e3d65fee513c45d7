//! `ferrocyte cells markers`: genes that tell groups of cells apart, in the study or as a table.

use std::path::Path;

use clap::ArgMatches;
use ferrocyte_cells::steps::{marker_table, rank};

use super::{ENDINGS, options, provenance, study::Study, table};
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings, input) = (&session.run, &session.settings, path(matches, "study")?);
    let place = path(matches, "output")?;
    let mut tables: Vec<Target> = table(matches, &[input])?.into_iter().collect();
    let out = if is_study(place) {
        Some(Target::study("output", place, &[input], &ENDINGS)?)
    } else {
        tables.insert(0, Target::table("output", place, &[input])?);
        None
    };
    let groupby = settings.word("groupby");
    let wanted = options::rank(settings, groupby)?;
    let mut study = Study::open(session, input)?;
    let provenance = provenance(session, &[&study]);
    let labels = study.labels(groupby, "groupby")?;
    let values = study.take_matrix(run, wanted.layer.as_deref())?;
    let (found, added) = rank(run, &mut *values.rows()?, &study.names(), &labels, &wanted)?;
    drop(values);
    let shown = marker_table(&found, &study.names(), &wanted)?;
    if let Some(out) = &out {
        study.add(added);
        study.write(run, out)?;
    }
    let lines: Vec<String> = found
        .iter()
        .map(|one| {
            let first: Vec<&str> = one.order(wanted.by_size).iter().take(5).map(|&g| study.genes[g].as_str()).collect();
            format!("{:<24} {:>6} cells  {}", one.group, one.n, first.join(" "))
        })
        .collect();
    let note = "p-values are of cells, for naming clusters: comparisons of samples are `ferrocyte limma de`";
    Results {
        parts: Vec::new(),
        tables: tables.into_iter().map(|target| (target, &shown)).collect(),
        provenance,
        decided: Vec::new(),
        lines: format!("{}\n({note})", lines.join("\n")),
        summary: vec![("groups", found.iter().map(|one| one.group.clone()).collect::<Vec<_>>().into())],
    }
    .write_after(session, out.as_deref())
}

/// Whether a name is that of a study rather than of a table.
fn is_study(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}
