//! `ferrocyte cells`: from counts of several samples to named types of cells. One file per verb; what they share beside
//! them: the study in memory ([`study`]), where results go in it ([`slots`]), the options ([`options`]).

pub(crate) mod annotate;
pub(crate) mod cluster;
pub(crate) mod embed;
pub(crate) mod import;
pub(crate) mod markers;
mod options;
pub(crate) mod proportion;
pub(crate) mod qc;
pub(crate) mod run;
mod slots;
mod study;

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use ferrocyte_base::{Input, Provenance};

use crate::Verb;
use crate::faults::Failure;
use crate::output::Target;
use crate::session::Session;

use study::Study;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[
    ("import", import::run),
    ("qc", qc::run),
    ("embed", embed::run),
    ("cluster", cluster::run),
    ("markers", markers::run),
    ("annotate", annotate::run),
    ("proportion", proportion::run),
    ("run", run::run),
];

/// What can be written, by the endings of names.
const ENDINGS: [&str; 2] = ["h5ad", "h5mu"];

/// The file of a study that the command line asks for.
fn output(matches: &ArgMatches, inputs: &[&Path]) -> Result<PathBuf, Failure> {
    Target::study("output", crate::session::path(matches, "output")?, inputs, &ENDINGS)
}

/// The table that `--table` asks for, if it does.
fn table(matches: &ArgMatches, inputs: &[&Path]) -> Result<Option<Target>, Failure> {
    matches.get_one::<PathBuf>("table").map(|path| Target::table("table", path, inputs)).transpose()
}

/// What was done to what, with every option of the verb as it was resolved.
fn provenance(session: &Session, studies: &[&Study]) -> Provenance {
    let method = session.command.replace(' ', ".");
    let mut provenance = Provenance::new(method);
    let verb = session.command.rsplit(' ').next().unwrap_or_default();
    for option in ferrocyte_cells::steps::OPTIONS.iter().filter(|option| option.info.verbs.contains(&verb)) {
        provenance = provenance.option(option.info.name, session.settings.word(option.info.name));
    }
    provenance.inputs =
        studies.iter().map(|s| Input { name: s.name.clone(), fingerprint: s.fingerprint.clone() }).collect();
    provenance
}
