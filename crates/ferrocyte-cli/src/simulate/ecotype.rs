//! `ferrocyte simulate ecotype`: samples with planted ecotypes.

use clap::ArgMatches;
use ferrocyte_base::{Column, Provenance, Table};
use ferrocyte_data::{Csr, Factor, Frame, ObsColumn};
use ferrocyte_ecotype::{SIMULATE_OPTIONS, SimulateOptions, Simulated, simulate};
use ferrocyte_io::{Annotation, H5adWriter};

use super::{file_options, finish, number, target};
use crate::faults::Failure;
use crate::session::Session;

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let (settings, run) = (&session.settings, &session.run);
    let (out, file) = (target(matches, &[])?, file_options(settings)?);
    let options = SimulateOptions {
        seed: number(settings, "seed")?,
        samples: number(settings, "samples")?,
        cells: number(settings, "cells")?,
        genes: number(settings, "genes")?,
        types: number(settings, "types")?,
        ecotypes: number(settings, "ecotypes")?,
        nonse: number(settings, "nonse")?,
        patches: number(settings, "patches")?,
        depth: number(settings, "depth")?,
        strength: number(settings, "strength")?,
    };
    let study = simulate(run, &options)?;
    let (n, g) = (study.counts.n_cells(), study.counts.n_genes());
    let (mut pointers, mut indices, mut counts) = (vec![0_i64], Vec::new(), Vec::new());
    for cell in 0..n {
        let (genes, values) = study.counts.cell(cell);
        indices.extend(genes.iter().map(|&gene| gene as i32));
        counts.extend(values.iter().map(|&x| x as f32));
        pointers.push(counts.len() as i64);
    }
    let mut source = Csr::new(n, g, &counts[..], &indices[..], &pointers[..])?;
    let obs = Annotation::of(study.counts.cells().to_vec(), &columns(&study)?);
    let mut writer = H5adWriter::create(run, &out, &obs, &Annotation::new(study.counts.genes().to_vec()), file)?;
    let truth = programmes(&study);
    writer.uns(run, "truth", &truth)?;
    writer.append_all(run, &mut source)?;
    writer.finish(run)?;
    finish(session, &out, (n, g), options.samples, &truth, provenance(session, options.seed))
}

/// What is known of each cell.
fn columns(study: &Simulated) -> ferrocyte_base::Result<Frame> {
    let mut obs = Frame::new(study.sample.len());
    for (name, values) in [("Sample", &study.sample), ("CellType", &study.cell_type), ("SE", &study.ecotype)] {
        obs.insert(name, ObsColumn::Factor(Factor::from_texts(values.iter().map(Some))))?;
    }
    obs.insert("X", ObsColumn::Number(study.x.clone()))?;
    obs.insert("Y", ObsColumn::Number(study.y.clone()))?;
    Ok(obs)
}

/// The planted effects.
fn programmes(study: &Simulated) -> Table {
    let of = |pick: fn(&ferrocyte_ecotype::Effect) -> &String| {
        study.programmes.iter().map(|one| pick(one).clone()).collect()
    };
    Table::new("truth")
        .with(Column::text("CellType", "the cell type", of(|one| &one.cell_type)))
        .with(Column::text("SE", "the ecotype", of(|one| &one.ecotype)))
        .with(Column::text("gene", "the gene", of(|one| &one.gene)))
        .with(Column::float(
            "effect",
            "",
            "what its log rate gains",
            study.programmes.iter().map(|one| one.effect).collect(),
        ))
}

fn provenance(session: &Session, seed: u64) -> Provenance {
    let mut provenance = Provenance::new("simulate.ecotype");
    for option in SIMULATE_OPTIONS.iter().filter(|option| option.name != "seed") {
        provenance = provenance.option(option.name, session.settings.word(option.name));
    }
    provenance.seed = Some(seed);
    provenance
}
