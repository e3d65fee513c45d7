//! `ferrocyte cells cluster`: clusters of the graph of neighbours, or a consensus.

use clap::ArgMatches;
use ferrocyte_base::{Fault, listing};
use ferrocyte_cells::keys::{Key, Style};
use ferrocyte_cells::steps::{clusters, consensus, graph_of, refuse_stale, stale};
use ferrocyte_data::Factor;
use ferrocyte_io::{Entries, Item};
use ferrocyte_learn::Graph;

use super::study::text;
use super::{options, output, provenance, study::Study};
use crate::faults::Failure;
use crate::output::Results;
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, settings, input) = (&session.run, &session.settings, path(matches, "study")?);
    let out = output(matches, &[input])?;
    let (leiden, sc3) = (options::leiden(settings)?, options::sc3(settings)?);
    let style = options::style(settings)?;
    let mut study = Study::open(session, input)?;
    let provenance = provenance(session, &[&study]);
    let mut found: Vec<(String, Factor)> = Vec::new();
    let added = if settings.word("algorithm") == "sc3" {
        let basis = study.basis(settings.one("basis"), style)?;
        let (labels, added) = consensus(run, &basis, &sc3, style)?;
        let names = sc3.n_clusters.iter().map(|&k| Key::Sc3.numbered(style, k));
        found.extend(names.zip(labels));
        added
    } else {
        let key = settings.word("key_added");
        let graph = graph(&study, options::truth(settings, "allow_stale"), style)?;
        let (labels, added) = clusters(run, &graph, &leiden, key)?;
        found.push((key.to_owned(), labels));
        added
    };
    study.add(added);
    study.write(run, &out)?;
    let sizes = |labels: &Factor| {
        let sizes: Vec<String> = labels.counts().iter().map(ToString::to_string).collect();
        sizes.join(", ")
    };
    let lines: Vec<String> = found
        .iter()
        .map(|(name, labels)| format!("{name}: {} clusters of {} cells", labels.levels.len(), sizes(labels)))
        .collect();
    let clusters: serde_json::Map<String, serde_json::Value> =
        found.iter().map(|(name, labels)| (name.clone(), labels.counts().into())).collect();
    Results {
        parts: Vec::new(),
        tables: Vec::new(),
        provenance,
        decided: Vec::new(),
        lines: lines.join("\n"),
        summary: vec![("clusters", clusters.into())],
    }
    .write_after(session, Some(&out))
}

/// The graph of neighbours of a study, in either dialect.
fn graph(study: &Study, allow_stale: bool, _style: Style) -> Result<Graph, Failure> {
    let record = study.tree.uns.iter().find(|(name, _)| name == "neighbors");
    let Some((_, Item::Dict(record))) = record else {
        let known: Vec<&str> = study.tree.uns.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Fault::missing("there is no graph of neighbours")
            .at("uns['neighbors']")
            .hint(format!("find it first: ferrocyte cells embed. There are {}", listing(&known, 9)))
            .into());
    };
    let entry = |name: &str| record.iter().find(|(known, _)| known == name).map(|(_, item)| item);
    let word = |name: &str, usual: &str| entry(name).and_then(text).unwrap_or_else(|| usual.to_owned());
    let inner = match entry("params") {
        Some(Item::Dict(params)) => params.iter().find(|(name, _)| name == "n_neighbors").map(|(_, item)| item),
        _ => entry("n_neighbors"),
    };
    if !allow_stale {
        if entry("stale").and_then(first).is_some_and(|truth| truth != 0.0) {
            return Err(stale().into());
        }
        let distances = word("distances_key", "distances");
        if let (Some(k), Ok(far)) = (inner.and_then(first), study.pairs(&distances)) {
            refuse_stale(&far, k as usize)?;
        }
    }
    Ok(graph_of(&study.pairs(&word("connectivities_key", "connectivities"))?)?)
}

/// The number of an entry.
fn first(item: &Item) -> Option<f64> {
    match item {
        Item::Scalar(Entries::Numbers(numbers)) => numbers.to_f64().first().copied(),
        Item::Array(array) => match &array.cells {
            Entries::Numbers(numbers) => numbers.to_f64().first().copied(),
            _ => None,
        },
        _ => None,
    }
}
