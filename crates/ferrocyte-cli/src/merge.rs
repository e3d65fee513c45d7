//! `ferrocyte merge`: parts of disjoint cells to the whole.
//!
//! Which parts belong together, and in which order they are added, is said in one place for all fronts:
//! [`Sums::merge_all`].

use std::borrow::Cow;
use std::path::Path;

use clap::ArgMatches;
use ferrocyte_base::{Fault, Result};
use ferrocyte_data::Additive;
use ferrocyte_io::read_part;
use ferrocyte_mixed::lmm::{PartRows, Sums};
use serde_json::json;

use crate::faults::Failure;
use crate::lmm;
use crate::output::{Results, Target};
use crate::session::{Session, path, paths};

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> std::result::Result<(), Failure> {
    let files = paths(matches, "parts");
    let out = Target::part("output", path(matches, "output")?, &files)?;
    // Parts are read twice, so that two are in memory at a time, however many there are.
    let mut rows = Vec::new();
    for &file in &files {
        session.run.check()?;
        rows.push(PartRows { place: file.display().to_string(), inputs: read_sums(file)?.inputs });
    }
    let whole = Sums::merge_all(&rows, |i| {
        session.run.check()?;
        read_sums(files[i]).map(Cow::Owned)
    })?;
    for missing in whole.missing_rows() {
        session.run.warn(&format!("{missing} are in no part yet"));
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let results = Results {
        parts: vec![(out, whole.to_part())],
        tables: Vec::new(),
        provenance: whole.provenance("merge"),
        decided: Vec::new(),
        lines: whole.describe(),
        summary: vec![("parts", json!(names)), ("genes", whole.n_genes().into()), ("cells", whole.n_cells().into())],
    };
    results.write(session)
}

fn read_sums(file: &Path) -> Result<Sums> {
    let part = read_part(file)?;
    let at = |fault: Fault| fault.at(file.display().to_string());
    if part.kind != lmm::SUMS {
        return Err(at(Fault::unsupported(format!("parts of kind `{}` cannot be added", part.kind))
            .hint("sums can: they are made by `ferrocyte lmm sums`")));
    }
    Sums::from_part(&part).map_err(at)
}
