//! `ferrocyte simulate ctmm`: pseudobulk of the design by which CTMM was published.

use clap::ArgMatches;
use ferrocyte_base::{Column, Provenance, Table};
use ferrocyte_mixed::ctmm::{Prepared, SIMULATE_OPTIONS, SimulateOptions, Truth, simulate};

use super::number;
use crate::config::Settings;
use crate::faults::Failure;
use crate::output::{Results, Target, beside};
use crate::session::{Session, path};

/// Runs the verb.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let out = Target::part("output", path(matches, "output")?, &[])?;
    let options = options(settings)?;
    let study = simulate(&session.run, &options)?;
    let truth = truth(&options, &study.cell_types);
    let mut provenance = Provenance::new("simulate.ctmm");
    for option in SIMULATE_OPTIONS.iter().filter(|option| option.name != "seed") {
        provenance = provenance.option(option.name, settings.word(option.name));
    }
    provenance.seed = Some(options.seed);
    let (genes, individuals) = (study.genes.len(), study.individuals.len());
    let lines = format!("{genes} genes of {individuals} individuals, {} cell types", study.cell_types.len());
    let table = Target::Table(beside(&out, "truth.tsv"));
    let made = Prepared::simulated(study, provenance.clone());
    let results = Results {
        parts: vec![(out, made.to_part())],
        tables: vec![(table, &truth)],
        provenance,
        decided: Vec::new(),
        lines,
        summary: vec![("genes", genes.into()), ("individuals", individuals.into())],
    };
    results.write(session)
}

fn options(settings: &Settings) -> Result<SimulateOptions, Failure> {
    let truth = Truth::from_word(settings.word("truth"))?;
    let paper = SimulateOptions::paper(
        truth,
        number(settings, "n_genes")?,
        number(settings, "n_individuals")?,
        number(settings, "seed")?,
    );
    Ok(SimulateOptions {
        concentration: numbers(settings, "concentration")?,
        ratios: numbers(settings, "ratios")?,
        hom2: number(settings, "hom2")?,
        mean_share: share(settings, "mean_share", paper.mean_share)?,
        specific_share: share(settings, "specific_share", paper.specific_share)?,
        noise: number(settings, "noise")?,
        noise_variance: number(settings, "noise_variance")?,
        ..paper
    })
}

/// A number, or that of the paper where it is not given.
fn share(settings: &Settings, name: &str, paper: f64) -> Result<f64, Failure> {
    if settings.one(name).is_some() { number(settings, name) } else { Ok(paper) }
}

/// Numbers between commas.
fn numbers(settings: &Settings, name: &str) -> Result<Vec<f64>, Failure> {
    let word = settings.word(name);
    word.split(',').map(|one| one.trim().parse()).collect::<Result<_, _>>().map_err(|_| {
        Failure::usage(
            name,
            format!("expected numbers between commas, found `{word}`"),
            "one for each cell type: 8,4,2,1",
        )
    })
}

/// The mean and the variances of each cell type.
fn truth(options: &SimulateOptions, cell_types: &[String]) -> Table {
    let c = cell_types.len();
    let v = options.v();
    let mut table = Table::new("truth")
        .with(Column::text("cell_type", "the cell type", cell_types.to_vec()))
        .with(Column::float("mean", "value", "its mean", options.means()))
        .with(Column::float("hom2", "value²", "variance that all share", vec![options.hom2; c]));
    for (k, name) in cell_types.iter().enumerate() {
        let column = v.iter().skip(k).step_by(c).copied().collect();
        table = table.with(Column::float(&format!("V[{name}]"), "value²", "covariance with this cell type", column));
    }
    table
}
