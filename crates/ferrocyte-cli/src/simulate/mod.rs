//! `ferrocyte simulate`: studies of which the truth is known. One file per verb; what they share is here.

pub(crate) mod cohort;
pub(crate) mod ctmm;
pub(crate) mod ecotype;
pub(crate) mod gxemm;
pub(crate) mod programs;
pub(crate) mod rnaseq;
pub(crate) mod study;

use std::path::PathBuf;
use std::str::FromStr;

use clap::ArgMatches;
use ferrocyte_base::{Provenance, Table};
use ferrocyte_data::Csr;
use ferrocyte_data::Frame;
use ferrocyte_io::{Annotation, H5adOptions, H5adWriter, MatrixType, Storage};
use ferrocyte_mixed::lmm::SIMULATE_OPTIONS;

use crate::Verb;
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target, beside};
use crate::session::{Session, path};

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[
    ("study", study::run),
    ("cohort", cohort::run),
    ("programs", programs::run),
    ("rnaseq", rnaseq::run),
    ("ecotype", ecotype::run),
    ("ctmm", ctmm::run),
    ("gxemm", gxemm::run),
];

/// A number among the settings.
fn number<T: FromStr>(settings: &Settings, name: &str) -> Result<T, Failure> {
    let word = settings.word(name);
    word.parse().map_err(|_| {
        let whole = "12".parse::<T>().is_ok() && "0.5".parse::<T>().is_err();
        let kind = if whole { "a whole number" } else { "a number" };
        Failure::usage(name, format!("expected {kind}, found `{word}`"), "see --help for its meaning and default")
    })
}

/// A number that may be absent.
fn optional<T: FromStr>(settings: &Settings, name: &str) -> Result<Option<T>, Failure> {
    settings.one(name).map(|_| number(settings, name)).transpose()
}

/// How the file is written, from the settings.
fn file_options(settings: &Settings) -> Result<H5adOptions, Failure> {
    let gzip: u8 = number(settings, "gzip")?;
    if gzip > 9 {
        return Err(Failure::usage("gzip", format!("expected a level from 0 to 9, found {gzip}"), "1 is fast"));
    }
    let values = if settings.word("values") == "int32" { MatrixType::I32 } else { MatrixType::F32 };
    Ok(H5adOptions { values, storage: Storage::gzip(gzip) })
}

/// Where the study goes.
fn target(matches: &ArgMatches, inputs: &[&std::path::Path]) -> Result<PathBuf, Failure> {
    Target::h5ad("output", path(matches, "output")?, inputs)
}

/// The resolved options of a simulator and its seed.
fn provenance(session: &Session, verb: &str, seed: u64) -> Provenance {
    let mut provenance = Provenance::new(format!("simulate.{verb}"));
    for option in SIMULATE_OPTIONS.iter().filter(|o| o.verbs.contains(&verb) && o.name != "seed") {
        provenance = provenance.option(option.name, session.settings.word(option.name));
    }
    provenance.seed = Some(seed);
    provenance
}

/// Names of cells: `cell1`, `cell2`, ..
fn cell_names(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("cell{i}")).collect()
}

/// A study that was drawn as a whole, on its way to its file.
struct Whole<'a> {
    pointers: &'a [i64],
    indices: &'a [i32],
    counts: &'a [f32],
    obs: &'a Frame,
    var: Annotation,
    truth: &'a Table,
}

impl Whole<'_> {
    fn write(&self, session: &Session, out: &std::path::Path, options: H5adOptions) -> Result<(), Failure> {
        let (run, n) = (&session.run, self.obs.n_rows());
        let mut source = Csr::new(n, self.var.len(), self.counts, self.indices, self.pointers)?;
        let obs = Annotation::of(cell_names(n), self.obs);
        let mut writer = H5adWriter::create(run, out, &obs, &self.var, options)?;
        writer.uns(run, "truth", self.truth)?;
        writer.append_all(run, &mut source)?;
        Ok(writer.finish(run)?)
    }
}

/// Writes what lies beside the study, and the summary.
fn finish(
    session: &Session,
    out: &std::path::Path,
    shape: (usize, usize),
    samples: usize,
    truth: &Table,
    provenance: Provenance,
) -> Result<(), Failure> {
    let (cells, genes) = shape;
    let planted = truth.n_rows();
    Results {
        parts: Vec::new(),
        tables: vec![(Target::Table(beside(out, "truth.tsv")), truth)],
        provenance,
        decided: Vec::new(),
        lines: format!("{cells} cells of {samples} samples, {genes} genes, {planted} planted effects"),
        summary: vec![
            ("cells", cells.into()),
            ("genes", genes.into()),
            ("samples", samples.into()),
            ("planted", planted.into()),
        ],
    }
    .write_after(session, Some(out))
}
