//! `ferrocyte cells embed`: counts to logarithms, variable genes, components, batches, neighbours and a layout.

use clap::ArgMatches;
use ferrocyte_cells::keys::COUNTS;
use ferrocyte_cells::steps::embed;

use super::{options, output, provenance, study::Study};
use crate::faults::Failure;
use crate::output::Results;
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (run, input) = (&session.run, path(matches, "study")?);
    let out = output(matches, &[input])?;
    let wanted = options::embed(&session.settings)?;
    let mut study = Study::open(session, input)?;
    let batches = match session.settings.one("batch_key") {
        Some(key) => Some((key, study.labels(key, "batch_key")?)),
        None => None,
    };
    let counts = study.counts(session)?;
    let batches = batches.as_ref().map(|(key, labels)| (*key, labels));
    let found = embed(run, &counts, &study.names(), batches, &wanted)?;
    let provenance = provenance(session, &[&study]);
    study.layers.retain(|(name, _)| name != COUNTS);
    study.layers.push((COUNTS.to_owned(), counts));
    study.x = Some(found.logged);
    study.add(found.additions);
    study.write(run, &out)?;
    let (n, p) = (study.cells.len(), study.genes.len());
    Results {
        parts: Vec::new(),
        tables: Vec::new(),
        provenance,
        decided: Vec::new(),
        lines: format!(
            "{n} cells x {p} genes, {} of them variable; neighbours in {} columns of {}",
            found.n_variable, found.basis.width, found.basis.name
        ),
        summary: vec![
            ("cells", n.into()),
            ("genes", p.into()),
            ("variable", found.n_variable.into()),
            ("basis", found.basis.name.into()),
        ],
    }
    .write_after(session, Some(&out))
}
