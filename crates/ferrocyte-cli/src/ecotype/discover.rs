//! `ferrocyte ecotype discover`: ecotypes of a tissue, or those that several samples have in common.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ArgMatches;
use ferrocyte_base::{Column, Fault, Table};
use ferrocyte_ecotype::discover::{
    ConserveOptions, Conserved, DiscoverOptions, FusionOptions, IntegrateOptions, Placed, Placing, Precision, Storage,
    Tissue, conserve, discover, fine_clusters,
};
use ferrocyte_ecotype::first_seen;
use ferrocyte_ecotype::nmf::ClusterOptions;
use ferrocyte_io::scratch_file;

use super::stored::{self, Columns};
use super::study::{Loaded, load, number, truth};
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let study = path(matches, "study")?;
    let output = path(matches, "output")?;
    let whole = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("h5ad"));
    let out = if whole {
        Out::Study(Target::h5ad("output", output, &[study])?)
    } else {
        Out::Table(Target::table("output", output, &[study])?)
    };
    let also = |name: &'static str| {
        matches.get_one::<PathBuf>(name).map(|path| Target::table(name, path, &[study])).transpose()
    };
    let (squares, fine) = (also("neighbourhoods")?, also("fine")?);
    let options = Options::of(settings)?;
    let loaded = load(session, "discover", study)?;
    let several = loaded.sample.as_ref().is_some_and(|sample| first_seen(sample).len() > 1);
    if loaded.clusters.is_some() && !several {
        let message = "known clusters are compared over at least two samples";
        return Err(Fault::bad_input(message)
            .at("clusters")
            .hint("name the column of samples, or leave them out")
            .into());
    }
    let found = if several { of_samples(session, &loaded, &options)? } else { of_tissue(session, &loaded, &options)? };
    let cells = if truth(settings, "dropcell") { found.cells.take(&found.placed) } else { found.cells };
    let missing = |name: &str, what: &str| Failure::usage(name, format!("there are no {what} here"), "leave it out");
    let mut tables = match &out {
        Out::Table(target) => vec![(target.clone(), &cells)],
        Out::Study(path) => {
            stored::write(session, study, path, found.columns, &found.cell_types, &loaded.provenance)?;
            Vec::new()
        }
    };
    for (name, target, table) in [("neighbourhoods", squares, &found.squares), ("fine", fine, &found.fine)] {
        if let Some(target) = target {
            tables.push((target, table.as_ref().ok_or_else(|| missing(name, "such clusters"))?));
        }
    }
    let results = Results {
        parts: vec![],
        tables,
        provenance: loaded.provenance,
        decided: vec![],
        lines: found.lines,
        summary: vec![("cells", loaded.x.n_cells().into()), ("with_ecotype", found.placed.len().into())],
    };
    match &out {
        Out::Table(_) => results.write(session),
        Out::Study(path) => results.write_after(session, Some(path)),
    }
}

/// Where cells with their ecotypes go.
enum Out {
    /// A table with one row for each cell.
    Table(Target),
    /// The study again.
    Study(PathBuf),
}

/// The options of the crate, and where matrices go that memory does not hold.
struct Options {
    tissue: DiscoverOptions,
    samples: ConserveOptions,
    scratch: Option<PathBuf>,
}

impl Options {
    fn of(settings: &Settings) -> Result<Self, Failure> {
        let seed: u32 = number(settings, "seed")?;
        let fusion = FusionOptions {
            k: number(settings, "K")?,
            iterations: number(settings, "t")?,
            precision: Precision::from_word(settings.word("precision"))?,
        };
        let (nfeatures, min_features) = (number(settings, "nfeatures")?, number(settings, "min_features")?);
        let tissue = DiscoverOptions {
            radius: number(settings, "radius")?,
            grid_size: settings.one("grid_size").map(|_| number(settings, "grid_size")).transpose()?,
            resolution: number(settings, "resolution")?,
            nfeatures,
            min_types: number(settings, "min_types")?,
            npcs: number(settings, "npcs")?,
            min_cells: number(settings, "min_cells")?,
            min_features,
            min_cells_per_region: number(settings, "min_cells_per_region")?,
            k: number(settings, "k")?,
            k_sn: number(settings, "k_sn")?,
            types_needed: list(settings, "filter_region_by_celltypes")?,
            fusion,
            starts: number(settings, "n_starts")?,
            seed: u64::from(seed),
        };
        let samples = ConserveOptions {
            subresolution: number(settings, "subresolution")?,
            integrate: IntegrateOptions { nfeatures, min_features, fusion },
            nmf: ClusterOptions {
                ranks: list(settings, "nmf_ranks")?,
                runs_per_rank: number(settings, "n_runs")?,
                min_coph: number(settings, "min_coph")?,
                seed,
                ..ClusterOptions::default()
            },
            downsample_by_region: truth(settings, "downsample_by_region"),
            seed,
        };
        Ok(Self { tissue, samples, scratch: settings.one("scratch").map(PathBuf::from) })
    }
}

/// Words with commas between them.
fn list<T: FromStr>(settings: &Settings, name: &str) -> Result<Vec<T>, Failure> {
    let words = settings.one(name).unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let message = format!("cannot read `{word}`");
            word.parse().map_err(|_| Failure::usage(name, message, "put commas between them"))
        })
        .collect()
}

/// Room beside memory.
fn room(folder: Option<&Path>) -> impl Fn(u64) -> ferrocyte_base::Result<Box<dyn Storage>> + Sync + '_ {
    move |bytes| Ok(Box::new(scratch_file(folder, bytes)?))
}

/// What the verb writes.
struct Found {
    cells: Table,
    /// Rows of cells with an ecotype.
    placed: Vec<usize>,
    squares: Option<Table>,
    fine: Option<Table>,
    lines: String,
    /// What obs of a study gains: `SE`, `SE_reason`, `SN`, and of several samples `InitSE`.
    columns: Columns,
    /// The types whose networks were fused.
    cell_types: Vec<String>,
}

fn of_tissue(session: &Session, loaded: &Loaded, options: &Options) -> Result<Found, Failure> {
    let room = room(options.scratch.as_deref());
    let places = (&loaded.places.0[..], &loaded.places.1[..]);
    let found = discover(&session.run, &loaded.x, places, &loaded.cell_type, &options.tissue, Some(&room))?;
    let name = |cluster: Option<u32>| cluster.map_or_else(String::new, |c| format!("NewSE{}", c + 1));
    let labels: Vec<String> = found.cluster_of_cells().into_iter().map(name).collect();
    let cells =
        with_square(cells(loaded), &found).with(Column::text("SE", "its ecotype, empty for none", labels.clone()));
    let squares = found.nearest.iter().map(|near| near.map(|(i, _)| found.neighbourhoods[i].clone())).collect();
    let columns = vec![("SE", some(&labels)), ("SE_reason", words(&found.reason)), ("SN", squares)];
    Ok(Found {
        columns,
        cell_types: found.cell_types.clone(),
        cells: cells.with(reasons(&found.reason)),
        placed: placed(&found.reason),
        squares: Some(found.table("SE", "NewSE")),
        fine: None,
        lines: told(&labels, found.neighbourhoods.len()),
    })
}

fn of_samples(session: &Session, loaded: &Loaded, options: &Options) -> Result<Found, Failure> {
    let room = room(options.scratch.as_deref());
    let of = Placing {
        cell_type: &loaded.cell_type,
        sample: loaded.sample.as_deref().unwrap_or_default(),
        region: loaded.region.as_deref(),
    };
    let run = &session.run;
    let (tissues, initial) = match &loaded.clusters {
        Some(known) => (Vec::new(), known.iter().map(|name| (!name.is_empty()).then(|| name.clone())).collect()),
        None => {
            let (places, fine) = ((&loaded.places.0[..], &loaded.places.1[..]), options.samples.subresolution);
            fine_clusters(run, &loaded.x, places, &of, &options.tissue, fine, Some(&room))?
        }
    };
    let found = conserve(run, &loaded.x, &of, &initial, &options.samples, Some(&room))?;
    let reason = found.reasons(&before(of.sample, &tissues, &initial));
    let name = |ecotype: &Option<usize>| ecotype.map_or_else(String::new, |k| format!("SE{k}"));
    let labels: Vec<String> = found.of_cells.iter().map(name).collect();
    let mut columns = vec![("SE", some(&labels)), ("SE_reason", words(&reason))];
    if !tissues.is_empty() {
        columns.push(("SN", squares(of.sample, &tissues)));
    }
    columns.push(("InitSE", initial.clone()));
    let cell_types = first_seen(tissues.iter().flat_map(|(_, tissue)| &tissue.cell_types));
    let initial: Vec<String> = initial.into_iter().map(Option::unwrap_or_default).collect();
    let cells = cells(loaded)
        .with(Column::text("InitSE", "its fine cluster, empty for none", initial))
        .with(Column::text("SE", "its ecotype, empty for none", labels.clone()))
        .with(reasons(&reason));
    let fine = fine_table(&found);
    let lines = format!("{}\nrank {}", told(&labels, found.clusters.len()), found.clustering.best_rank);
    Ok(Found { cells, placed: placed(&reason), squares: None, fine: Some(fine), lines, columns, cell_types })
}

/// Words that are not empty.
fn some(words: &[String]) -> Vec<Option<String>> {
    words.iter().map(|word| (!word.is_empty()).then(|| word.clone())).collect()
}

fn words(reason: &[Placed]) -> Vec<Option<String>> {
    reason.iter().map(|reason| Some(reason.word().to_owned())).collect()
}

/// The nearest neighbourhood of each cell in its sample.
fn squares(sample: &[String], tissues: &[(String, Tissue)]) -> Vec<Option<String>> {
    let mut squares = vec![None; sample.len()];
    for (name, tissue) in tissues {
        let cells = (0..sample.len()).filter(|&cell| sample[cell] == *name);
        for (cell, near) in cells.zip(&tissue.nearest) {
            squares[cell] = near.map(|(i, _)| tissue.neighbourhoods[i].clone());
        }
    }
    squares
}

/// Why each cell has a fine cluster, or none.
fn before(sample: &[String], tissues: &[(String, Tissue)], initial: &[Option<String>]) -> Vec<Placed> {
    let with = |known: &Option<String>| if known.is_some() { Placed::Ok } else { Placed::NoEcotype };
    let mut reason: Vec<Placed> = initial.iter().map(with).collect();
    for (name, tissue) in tissues {
        let cells = (0..sample.len()).filter(|&cell| sample[cell] == *name);
        cells.zip(&tissue.reason).for_each(|(cell, why)| reason[cell] = *why);
    }
    reason
}

/// Names, types and samples of cells.
fn cells(loaded: &Loaded) -> Table {
    let table = Table::new("discovered").with(Column::text("CID", "the cell", loaded.x.cells().to_vec()));
    let table = match &loaded.sample {
        Some(sample) => table.with(Column::text("Sample", "its sample", sample.clone())),
        None => table,
    };
    table.with(Column::text("CellType", "its type", loaded.cell_type.clone()))
}

/// The nearest neighbourhood of each cell, and how far it is.
fn with_square(table: Table, found: &Tissue) -> Table {
    let name = |near: &Option<(usize, f64)>| near.map_or_else(String::new, |(i, _)| found.neighbourhoods[i].clone());
    let distance = found.nearest.iter().map(|near| near.map_or(f64::NAN, |(_, far)| far)).collect();
    table
        .with(Column::text("SN", "the nearest neighbourhood", found.nearest.iter().map(name).collect()))
        .with(Column::float("distance", "", "how far its centre is", distance))
}

fn reasons(reason: &[Placed]) -> Column {
    let words = reason.iter().map(|reason| reason.word().to_owned()).collect();
    Column::text("reason", "why it has an ecotype, or none", words)
}

fn placed(reason: &[Placed]) -> Vec<usize> {
    (0..reason.len()).filter(|&cell| reason[cell] == Placed::Ok).collect()
}

fn fine_table(found: &Conserved) -> Table {
    let ecotypes = found.ecotype.iter().map(|k| format!("SE{k}")).collect();
    Table::new("clusters")
        .with(Column::text("cluster", "the fine cluster", found.clusters.clone()))
        .with(Column::text("Sample", "its sample", found.samples.clone()))
        .with(Column::text("SE", "its ecotype", ecotypes))
}

/// How many cells each ecotype has.
fn told(labels: &[String], squares: usize) -> String {
    let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    labels.iter().for_each(|label| *counts.entry(if label.is_empty() { "none" } else { label }).or_default() += 1);
    let mut lines: Vec<String> = counts.iter().map(|(label, n)| format!("{label:<24} {n:>8} cells")).collect();
    lines.push(format!("{squares} neighbourhoods or clusters"));
    lines.join("\n")
}
