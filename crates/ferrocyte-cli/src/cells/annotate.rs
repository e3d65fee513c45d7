//! `ferrocyte cells annotate`: clusters get names.

use std::path::PathBuf;

use clap::ArgMatches;
use ferrocyte_base::listing;
use ferrocyte_cells::keys::Key;
use ferrocyte_cells::steps::Values;
use ferrocyte_cells::study::annotate;
use ferrocyte_io::read_frame;

use super::slots::column;
use super::{options, output, provenance, study::Study};
use crate::faults::Failure;
use crate::output::Results;
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings, input) = (&session.run, &session.settings, path(matches, "study")?);
    let out = output(matches, &[input])?;
    let mapping = mapping(session, matches)?;
    let name = match settings.one("annotation") {
        Some(name) => name.to_owned(),
        None => Key::CellType.word(options::style(settings)?).to_owned(),
    };
    let mut study = Study::open(session, input)?;
    let provenance = provenance(session, &[&study]).option("mapping", words(&mapping));
    let labels = study.labels(settings.word("cluster"), "cluster")?;
    let found = annotate(&labels, &mapping)?;
    if !found.unknown.is_empty() {
        run.warn(&format!("no cell belongs to clusters that get a name: {}", listing(&found.unknown, 9)));
    }
    if !found.kept.is_empty() {
        run.warn(&format!("clusters without a name keep their own: {}", listing(&found.kept, 9)));
    }
    study.set_obs(&name, column(Values::Labels(found.labels.clone())));
    study.write(run, &out)?;
    let counts = || found.labels.levels.iter().zip(&found.counts);
    let lines: Vec<String> = counts().map(|(level, n)| format!("{level:<24} {n:>8}")).collect();
    let told: serde_json::Map<String, serde_json::Value> =
        counts().map(|(level, &n)| (level.clone(), n.into())).collect();
    Results {
        parts: Vec::new(),
        tables: Vec::new(),
        provenance,
        decided: Vec::new(),
        lines: lines.join("\n"),
        summary: vec![("annotation", name.into()), ("cells", told.into())],
    }
    .write_after(session, Some(&out))
}

/// Names and the clusters that get them: from a table, whose first column has clusters and whose second has names, and
/// from `--name NAME=CLUSTER,CLUSTER`.
fn mapping(session: &Session, matches: &ArgMatches) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let mut mapping: Vec<(String, Vec<String>)> = Vec::new();
    let mut put = |name: &str, clusters: Vec<String>| match mapping.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => known.extend(clusters),
        None => mapping.push((name.to_owned(), clusters)),
    };
    if let Some(path) = matches.get_one::<PathBuf>("mapping") {
        let (clusters, table) = read_frame(path)?;
        let Some(column) = table.names().first().map(|&name| name.to_owned()) else {
            return Err(Failure::usage(
                "mapping",
                "the table has one column",
                "clusters in the first, names in the second",
            ));
        };
        let names = table.factor(&column)?;
        for (row, cluster) in clusters.into_iter().enumerate() {
            if let Some(name) = names.level(row) {
                put(name, vec![cluster]);
            }
        }
    }
    for text in session.settings.all("name") {
        let Some((name, clusters)) = text.split_once('=') else {
            let message = format!("expected NAME=CLUSTER,CLUSTER, found `{text}`");
            return Err(Failure::usage("name", message, "such as --name \"B cells=3,7\""));
        };
        put(name.trim(), options::list(clusters));
    }
    if mapping.is_empty() {
        let hint = "give --name \"B cells=3,7\", or a table: --mapping names.tsv";
        return Err(Failure::usage("name", "no cluster is given a name", hint));
    }
    Ok(mapping)
}

fn words(mapping: &[(String, Vec<String>)]) -> String {
    let words: Vec<String> = mapping.iter().map(|(name, clusters)| format!("{name}={}", clusters.join(","))).collect();
    words.join("; ")
}
