//! `ferrocyte ecotype recover` and `deconvolute`: labels of cells, scores of mixtures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ArgMatches;
use ferrocyte_base::{Column, Table};
use ferrocyte_ecotype::{Mode, PredictOptions, deconvolute, recover_from};
use ferrocyte_math::linalg::Matrix;

use super::folder;
use super::study::{columns, layer, load, names, number, reading, recovery, truth};
use crate::door;
use crate::faults::Failure;
use crate::output::{Results, Target};
use crate::session::{Session, path};

/// Runs `recover`.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let study = path(matches, "study")?;
    let out = Target::table("output", path(matches, "output")?, &[study])?;
    let wanted = matches.get_one::<PathBuf>("table").map(|path| Target::table("scores", path, &[study])).transpose()?;
    let models = folder::read(path(matches, "reference")?)?;
    let options = recovery(settings)?;
    let study = door::open(&session.run, study, settings)?;
    let loaded = columns(session, "recover", &*study)?;
    let (names, reading) = (names(settings, &*study)?, reading(settings)?);
    let mut matrix = study.matrix(layer(settings))?;
    let found = recover_from(&session.run, &mut *matrix, names, reading, &loaded.cell_type, &models, &options)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    found.label.iter().for_each(|label| *counts.entry(label).or_default() += 1);
    let lines: Vec<String> = counts.iter().map(|(label, n)| format!("{label:<24} {n:>8} cells")).collect();
    let (table, scores) = (found.table(), scores_table("CID", &found.cells, &found.classes, &found.scores));
    let mut tables = vec![(out, &table)];
    tables.extend(wanted.map(|target| (target, &scores)));
    Results {
        parts: vec![],
        tables,
        provenance: loaded.provenance,
        decided: vec![],
        lines: lines.join("\n"),
        summary: vec![("cells", found.cells.len().into()), ("not_unique", found.not_unique.into())],
    }
    .write(session)
}

/// Runs `deconvolute`.
pub(crate) fn deconvoluted(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let settings = &session.settings;
    let study = path(matches, "study")?;
    let out = Target::table("output", path(matches, "output")?, &[study])?;
    let model = folder::weights("mixture", path(matches, "reference")?)?;
    let options = PredictOptions {
        mode: Mode::from_word(settings.word("mode"))?,
        scale: truth(settings, "scale"),
        sum_to_one: truth(settings, "sum_to_one"),
        cells_per_run: number(settings, "cells_per_run")?,
    };
    let loaded = load(session, "deconvolute", study)?;
    let found = deconvolute(&session.run, &loaded.x, &model, truth(settings, "auto_log"), &options)?;
    let table = scores_table("sample", loaded.x.cells(), &model.classes, &found.values);
    Results {
        parts: vec![],
        tables: vec![(out, &table)],
        provenance: loaded.provenance,
        decided: vec![],
        lines: format!("{} samples, {} genes of the weights", loaded.x.n_cells(), found.shared_genes),
        summary: vec![("samples", loaded.x.n_cells().into()), ("genes", found.shared_genes.into())],
    }
    .write(session)
}

/// One row for each cell or sample, one column an ecotype.
fn scores_table(what: &str, names: &[String], classes: &[String], scores: &Matrix) -> Table {
    let start = Table::new("scores").with(Column::text(what, "its name", names.to_vec()));
    classes.iter().enumerate().fold(start, |table, (k, class)| {
        let column = (0..names.len()).map(|row| scores[(row, k)]).collect();
        table.with(Column::float(class, "", "score", column))
    })
}
