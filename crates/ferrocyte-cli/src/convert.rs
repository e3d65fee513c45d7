//! `ferrocyte convert`: any study that is read here, as .h5ad, .h5mu or .zarr, streaming.

use std::path::Path;

use clap::ArgMatches;
use ferrocyte_base::{Fault, Provenance};
use ferrocyte_io::{ConvertOptions, MatrixType, Packing, Storage, convert};

use crate::config::Settings;
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// What can be written, by the endings of names.
const ENDINGS: [&str; 3] = ["h5ad", "h5mu", "zarr"];

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (input, output) = (path(matches, "input")?, path(matches, "output")?);
    let out = Target::study("output", output, &[input], &ENDINGS)?;
    let settings = &session.settings;
    let to_zarr = out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zarr"));
    let options = ConvertOptions {
        storage: storage(settings, to_zarr)?,
        values: values(settings),
        open: door::options(settings)?,
    };
    convert(&session.run, input, &out, &options)?;
    let mut provenance = Provenance::new("convert");
    for option in ["compression", "compression_level", "values"] {
        provenance = provenance.option(option, settings.word(option));
    }
    let (before, after) = (size(input), size(&out));
    let lines = match (before, after) {
        (Some(before), Some(after)) => format!("{before} bytes in, {after} bytes out"),
        _ => "converted".to_owned(),
    };
    let mut summary = vec![("input", input.display().to_string().into())];
    summary.extend(after.map(|bytes| ("bytes", bytes.into())));
    Results { parts: Vec::new(), tables: Vec::new(), provenance, decided: Vec::new(), lines, summary }
        .write_after(session, Some(&out))
}

fn storage(settings: &Settings, to_zarr: bool) -> Result<Storage, Failure> {
    let word = settings.word("compression_level");
    let level: u8 = word.parse().ok().filter(|level| (1..=9).contains(level)).ok_or_else(|| {
        Failure::usage("compression_level", format!("expected a level from 1 to 9, found `{word}`"), "1 is fast")
    })?;
    Ok(match settings.word("compression") {
        "usual" if to_zarr => Storage { packing: Packing::Zstd(level), shuffle: false },
        "gzip" | "usual" => Storage::gzip(level),
        "zstd" => Storage { packing: Packing::Zstd(level), shuffle: false },
        "lzf" => Storage { packing: Packing::Lzf, shuffle: true },
        "none" => Storage::NONE,
        other => return Err(Fault::internal(format!("compression `{other}`")).into()),
    })
}

fn values(settings: &Settings) -> Option<MatrixType> {
    MatrixType::from_word(settings.word("values"))
}

/// The bytes of a file.
fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())
}
