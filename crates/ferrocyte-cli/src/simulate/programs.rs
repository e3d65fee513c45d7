//! `ferrocyte simulate programs`: cells of planted programs of expression.

use std::path::Path;

use clap::ArgMatches;
use ferrocyte_base::Provenance;
use ferrocyte_data::Csr;
use ferrocyte_io::{Annotation, EntriesRef, H5adOptions, H5adWriter, ItemRef, NumbersRef};
use ferrocyte_programs::{SIMULATE_OPTIONS, SimulateOptions, Simulated, simulate};

use super::{file_options, finish, number, optional, target};
use crate::faults::Failure;
use crate::session::Session;

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let (out, file) = (target(matches, &[])?, file_options(settings)?);
    let options = SimulateOptions {
        n_cells: number(settings, "n_cells")?,
        n_genes: number(settings, "n_genes")?,
        n_programs: number(settings, "n_programs")?,
        depth: number(settings, "depth")?,
        density: optional(settings, "density")?,
        seed: number(settings, "seed")?,
    };
    let made = simulate(&session.run, &options)?;
    write(session, &made, options.n_programs, &out, file)?;
    let mut provenance = Provenance::new("simulate.programs");
    for option in SIMULATE_OPTIONS.iter().filter(|option| option.name != "seed") {
        provenance = provenance.option(option.name, settings.one(option.name).unwrap_or_default());
    }
    provenance.seed = Some(options.seed.into());
    finish(session, &out, (made.cells.len(), made.genes.len()), 1, &made.truth, provenance)
}

fn write(
    session: &Session,
    made: &Simulated,
    n_programs: usize,
    out: &Path,
    options: H5adOptions,
) -> Result<(), Failure> {
    let (run, n, g) = (&session.run, made.cells.len(), made.genes.len());
    let mut source = Csr::new(n, g, &made.counts[..], &made.indices[..], &made.pointers[..])?;
    let (obs, var) = (Annotation::of(made.cells.clone(), &made.obs), Annotation::new(made.genes.clone()));
    let mut writer = H5adWriter::create(run, out, &obs, &var, options)?;
    writer.uns(run, "truth", &made.truth)?;
    for (path, rows, values) in [("obsm/usage", n, &made.usage), ("varm/spectra", g, &made.spectra)] {
        let entries = EntriesRef::Numbers(NumbersRef::F64(values));
        writer.item(run, path, &ItemRef::Array(vec![rows, n_programs], entries))?;
    }
    writer.append_all(run, &mut source)?;
    Ok(writer.finish(run)?)
}
