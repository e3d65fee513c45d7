//! `ferrocyte report`: a study and its results as one page.

use std::path::Path;

use clap::{ArgMatches, Command};
use ferrocyte_base::Provenance;
use ferrocyte_report::{OPTIONS, Report, ReportOptions, open, records, report};

use crate::args::{input, option_arg, output};
use crate::config::{Settings, bytes};
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// The definition of the command.
pub(crate) fn command() -> Command {
    Command::new("report")
        .about("A study and its results as one page that works offline and can be mailed")
        .arg(input("study", "STUDY", "the study: .h5ad, .h5mu, or the folder of `ferrocyte cells run`"))
        .args(OPTIONS.iter().map(option_arg))
        .args(door::arguments().into_iter().filter(|arg| arg.get_id() == "modality"))
        .arg(output("PAGE.html", "where the page goes"))
}

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let named = path(matches, "study")?;
    let (file, study) = open(named, session.settings.one("modality"))?;
    let out = Target::study("output", path(matches, "output")?, &[named, &file], &["html", "htm"])?;
    let options = options(&session.settings, &file)?;
    let made = report(&session.run, &study, &options)?;
    made.write(&out)?;
    let mut provenance = Provenance::new("report");
    for option in OPTIONS {
        provenance = provenance.option(option.name, session.settings.one(option.name).unwrap_or_default());
    }
    let summary = vec![
        ("sections", made.sections.clone().into()),
        ("genes", made.genes.0.into()),
        ("cells", made.cells.0.into()),
        ("bytes", made.page.len().into()),
    ];
    let lines = words(&made);
    Results { parts: Vec::new(), tables: Vec::new(), provenance, decided: Vec::new(), lines, summary }
        .write_after(session, Some(&out))
}

/// The page in a sentence.
fn words(made: &Report) -> String {
    let megabytes = made.page.len() as f64 / 1e6;
    let (genes, cells) = (made.genes, made.cells);
    format!(
        "{} sections, {} of {} cells drawn, {} of {} genes to colour them, {megabytes:.1} MB",
        made.sections.len(),
        cells.0,
        cells.1,
        genes.0,
        genes.1
    )
}

fn options(settings: &Settings, file: &Path) -> Result<ReportOptions, Failure> {
    let owned = |name: &str| settings.one(name).filter(|word| !word.is_empty()).map(str::to_owned);
    let genes = owned("genes").unwrap_or_default();
    let word = settings.word("max_size");
    let max_size = bytes(word).ok_or_else(|| {
        Failure::usage("max_size", format!("expected a size, found `{word}`"), "write a number of bytes, or 15M")
    })?;
    Ok(ReportOptions {
        title: owned("title"),
        clusters: owned("clusters"),
        samples: owned("samples"),
        layer: owned("layer"),
        genes: genes.split(',').map(str::trim).filter(|gene| !gene.is_empty()).map(str::to_owned).collect(),
        max_cells: whole(settings, "max_cells")?,
        max_rows: whole(settings, "max_rows")?,
        max_size,
        seed: whole(settings, "seed")?,
        records: records(file),
    })
}

fn whole<T: std::str::FromStr>(settings: &Settings, name: &str) -> Result<T, Failure> {
    let word = settings.word(name);
    word.parse().map_err(|_| Failure::usage(name, format!("expected a whole number, found `{word}`"), "such as 100000"))
}
