//! `ferrocyte lmm check`: a look at the design before any count is read.

use std::path::PathBuf;

use clap::ArgMatches;
use ferrocyte_base::{Cells, Provenance, Result, Table};
use ferrocyte_mixed::lmm::Check;
use serde_json::json;

use super::study;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> std::result::Result<(), Failure> {
    let input = path(matches, "study")?;
    let target = |name: &'static str| {
        matches.get_one::<PathBuf>(name).map(|path| Target::table(name, path, &[input])).transpose()
    };
    let (terms, coefficients) = (target("output")?, target("support")?);
    let found = study::check(&session.run, input, &session.settings)?;
    let printed = terms.is_none();
    let tables = terms.map(|t| (t, &found.terms)).into_iter().chain(coefficients.map(|t| (t, &found.coefficients)));
    let results = Results {
        parts: Vec::new(),
        tables: tables.collect(),
        provenance: provenance(session, &found),
        decided: Vec::new(),
        lines: if printed { lines(&found)? } else { String::new() },
        summary: vec![
            (
                "terms",
                rows(&found.terms)?.into_iter().map(|(key, status)| json!({"term": key, "status": status})).collect(),
            ),
            ("warnings", found.warnings.clone().into()),
        ],
    };
    results.write(session)
}

fn provenance(session: &Session, found: &Check) -> Provenance {
    let option = |name: &str| session.settings.one(name).unwrap_or_default().to_owned();
    let mut provenance =
        Provenance::new("lmm.check").option("formula", option("formula")).option("groups", option("groups"));
    provenance.warnings.clone_from(&found.warnings);
    provenance
}

/// Group and term of each row, and its status with the reason.
fn rows(table: &Table) -> Result<Vec<(String, String)>> {
    let texts = |name: &str| -> Result<Vec<String>> {
        Ok(match &table.column(name)?.cells {
            Cells::Text(values) => values.clone(),
            _ => Vec::new(),
        })
    };
    let (groups, terms, units) = (texts("group")?, texts("term")?, texts("unit")?);
    let (statuses, reasons, df) = (texts("status")?, texts("reason")?, table.floats("df")?);
    Ok((0..groups.len())
        .map(|i| {
            let place = if groups[i] == "all" { terms[i].clone() } else { format!("{}: {}", groups[i], terms[i]) };
            let between = if units[i].is_empty() {
                String::new()
            } else {
                format!("between {}s, about {} df; ", units[i], df[i])
            };
            let reason = if reasons[i].is_empty() { String::new() } else { format!(" ({})", reasons[i]) };
            (place, format!("{between}{}{reason}", statuses[i]))
        })
        .collect())
}

fn lines(found: &Check) -> Result<String> {
    let width = rows(&found.terms)?.iter().map(|(place, _)| place.len()).max().unwrap_or(0);
    let lines = rows(&found.terms)?.into_iter().map(|(place, status)| format!("{place:width$}  {status}"));
    let warnings = found.warnings.iter().map(|w| format!("note: {w}"));
    Ok(lines.chain(warnings).collect::<Vec<_>>().join("\n"))
}
