//! `ferrocyte cells proportion`: how many cells of each type each sample has, as a table.

use clap::ArgMatches;
use ferrocyte_base::{Input, Provenance};
use ferrocyte_cells::proportion::{Within, proportion};
use ferrocyte_data::{Factor, ObsColumn};

use super::options;
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb. Of the study only the two columns are read.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (settings, input) = (&session.settings, path(matches, "study")?);
    let target = Target::table("output", path(matches, "output")?, &[input])?;
    let study = door::open(&session.run, input, settings)?;
    let (major, minor) = (settings.word("major"), settings.word("minor"));
    let columns = study.obs(&[major, minor])?;
    let labels = |name: &str| -> Result<Factor, Failure> {
        Ok(match columns.column(name)? {
            ObsColumn::Factor(labels) => labels.clone(),
            ObsColumn::Number(values) => {
                Factor::from_texts(values.iter().map(|v| (!v.is_nan()).then(|| v.to_string())))
            }
        })
    };
    let within = Within::from_word(settings.word("within"))?;
    let found = proportion(&labels(major)?, &labels(minor)?, within, options::truth(settings, "show_unused"))?;
    if found.n_missing > 0 {
        session.run.warn(&format!("{} cells lack a label and are left out", found.n_missing));
    }
    let table = found.table(major);
    let mut provenance = Provenance::new("cells.proportion");
    for option in ["major", "minor", "within", "show_unused"] {
        provenance = provenance.option(option, settings.word(option));
    }
    let name = input.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let first = study.matrices().into_iter().next();
    if let Some(matrix) = first {
        provenance.inputs.push(Input { name, fingerprint: study.fingerprint(&session.run, &matrix)? });
    }
    Results {
        parts: Vec::new(),
        tables: vec![(target, &table)],
        provenance,
        decided: Vec::new(),
        lines: format!("{} x {}: {} x {}", major, minor, found.majors.len(), found.minors.len()),
        summary: vec![("majors", found.majors.len().into()), ("minors", found.minors.len().into())],
    }
    .write(session)
}
