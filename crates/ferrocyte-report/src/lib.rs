//! A study and its results as one page that can be mailed: everything in one file of HTML, nothing to install, no
//! request to any network.
//!
//! The page shows what the study holds and no more: its provenance, the quality of its cells, its layouts coloured by
//! any column or gene, clusters and composition, markers, programs, tables of tests with their volcanoes, ecotypes,
//! positions in tissue, variance components, and what was left out and why. Everything comes from what results have stored in the
//! file (`result.store(adata)`); nothing is computed anew but means of markers in clusters.
//!
//! * [`report`] makes the page of an .h5ad file (or of a modality of an .h5mu file).
//! * Cells that are drawn and rows of tables are bounded ([`ReportOptions`]); what was left out is said on the page.
//! * The same study, options and version give the same bytes.
//!
//! ```
//! use ferrocyte_base::Run;
//! use ferrocyte_io::H5ad;
//! use ferrocyte_report::{ReportOptions, report};
//!
//! # let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/io");
//! let study = H5ad::open(format!("{folder}/full_gzip_ad013.h5ad"))?;
//! let made = report(&Run::new(), &study, &ReportOptions { title: Some("A study".into()), ..Default::default() })?;
//! assert!(made.page.starts_with("<!doctype html>"));
//! assert!(made.sections.contains(&"cells"));
//! # Ok::<(), ferrocyte_base::Fault>(())
//! ```

mod cells;
mod components;
mod ecotypes;
mod expression;
mod layouts;
mod options;
mod pack;
mod page;
mod programs;
mod provenance;
mod source;
mod tables;

use std::io::Write as _;
use std::path::Path;

use ferrocyte_base::{Fault, Result, Run, VERSION};
use ferrocyte_data::RowChunks;
use ferrocyte_io::{Entries, H5ad, Item, write_atomically};
use ferrocyte_math::random::Stream;
use serde_json::json;

pub use options::{OPTIONS, ReportOptions};
pub use source::{open, records};

use crate::cells::Cells;
use crate::expression::{Question, expression};
use crate::pack::Blobs;
use crate::tables::TestTable;

/// Genes of each group that the picture of markers has.
const DOTS: usize = 5;
/// Genes of each table of tests that the page should be able to show.
const FIRST: usize = 25;
/// Letters that are left for what describes the data.
const SLACK: u64 = 250_000;

/// A page and what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The page.
    pub page: String,
    /// The sections that it has, in their order.
    pub sections: Vec<&'static str>,
    /// How many genes colour cells, and how many the study has.
    pub genes: (usize, usize),
    /// How many cells are drawn, and how many the study has.
    pub cells: (usize, usize),
}

impl Report {
    /// Writes the page, which is complete at its place or not there.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomically(path, |file| {
            let cut =
                |error: std::io::Error| Fault::bad_file(format!("the page cannot be written: {error}")).because(error);
            file.write_all(self.page.as_bytes()).map_err(cut)
        })
    }
}

/// The page of a study.
///
/// Fails where options name columns, matrices or genes that do not exist, and where the study is damaged. What a study
/// does not have is not on its page.
pub fn report(run: &Run, study: &H5ad, options: &ReportOptions) -> Result<Report> {
    if options.max_cells == 0 {
        return Err(Fault::bad_input("no cell would be drawn").at("max_cells").hint("100000 is the default"));
    }
    let frame = page::frame_size() + SLACK;
    if options.max_size <= frame {
        let message = format!("{} bytes are too few, the page without data has {frame}", options.max_size);
        return Err(Fault::bad_input(message).at("max_size").hint("15000000 is the default"));
    }
    let mut blobs = Blobs::default();
    let uns = uns(run, study)?;
    let tables = tables::find(&uns);
    let n_obs = study.n_obs();
    let shown = shown(n_obs, options.max_cells, options.seed);
    let chosen = (options.clusters.as_deref(), options.samples.as_deref());
    let cells = Cells::read(study, shown, chosen, groupby(&uns).as_deref(), &uns)?;
    let layouts = layouts::layouts(run, study, &cells.shown, &mut blobs)?;
    let about_cells = cells.to_json(&mut blobs)?;
    let (programs, program_genes) = programs::programs(run, study, &cells, &mut blobs)?;
    let told: Vec<_> = tables.iter().map(|table| table.to_json(&mut blobs, options.max_rows)).collect::<Result<_>>()?;
    let components = components::components(&uns);
    let ecotypes = ecotypes::ecotypes(&uns, &cells);
    let mut steps = provenance::steps(&uns);
    steps.extend(options.records.iter().map(|(name, text)| provenance::record(name, text)));

    let dots = marker_genes(&tables);
    let first = first_genes(&tables).into_iter().chain(program_genes).collect();
    let room = options.max_size.saturating_sub(frame + blobs.size());
    let question = Question { layer: options.layer.as_deref(), wanted: &options.genes, first, dots, room };
    let expression = expression(run, study, &cells, &question, &mut blobs)?;

    let title = options.title.clone().unwrap_or_else(|| file_name(study.place()));
    let count = |key: &str| expression.as_ref().and_then(|e| e[key].as_u64()).unwrap_or_default() as usize;
    let (genes, about_genes) = ((count("n_genes"), count("of")), expression.clone());
    let dotted = expression.is_some_and(|e| !e["dots"].is_null());
    let warnings = provenance::warnings(&steps);
    let has = |there: bool, section: &'static str| there.then_some(section);
    let space = layouts.iter().any(|layout| layout["space"] == true);
    let sections: Vec<&str> = [
        Some("overview"),
        has(!layouts.is_empty(), "cells"),
        has(about_cells["quality"].as_array().is_some_and(|q| !q.is_empty()), "quality"),
        has(cells.clusters.is_some(), "composition"),
        has(dotted || tables.iter().any(|table| table.markers), "markers"),
        has(!programs.is_empty(), "programs"),
        has(tables.iter().any(|table| !table.markers), "tests"),
        has(ecotypes.is_some(), "ecotypes"),
        has(space, "space"),
        has(!components.is_empty(), "components"),
        has(
            !warnings.is_empty() || told.iter().any(|t| t["statuses"].as_array().is_some_and(|s| s.len() > 1)),
            "notes",
        ),
        has(!steps.is_empty(), "provenance"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let about = json!({
        "title": title,
        "version": VERSION,
        "file": file_name(study.place()),
        "fingerprint": fingerprint(run, study),
        "n_obs": n_obs,
        "n_var": study.n_var(),
        "sections": sections,
        "cells": about_cells,
        "layouts": layouts,
        "expression": about_genes,
        "programs": programs,
        "tables": told,
        "ecotypes": ecotypes,
        "components": components,
        "warnings": warnings,
        "steps": steps,
    });
    let page = page::page(&title, &about, blobs)?;
    Ok(Report { page, sections, genes, cells: (cells.shown.len(), n_obs) })
}

/// What stands below uns; what cannot be read is passed over.
fn uns(run: &Run, study: &H5ad) -> Result<Vec<(String, Item)>> {
    let mut found = Vec::new();
    for name in study.children("uns")? {
        match study.item(run, &format!("uns/{name}")) {
            Ok(item) if !programs::is_of_programs(&name, &item) => found.push((name, item)),
            Ok(_) => {}
            Err(fault) => run.warn(&format!("uns/{name} is not on the page: {}", fault.message())),
        }
    }
    Ok(found)
}

/// The rows that are drawn: all of them, or a sample without replacement, rising.
fn shown(n_obs: usize, most: usize, seed: u64) -> Vec<usize> {
    if n_obs <= most {
        return (0..n_obs).collect();
    }
    // Each row is taken with the chance that makes the rest come out: the sample is exact, and rises.
    let mut stream = Stream::new(seed, 0);
    let mut left = most;
    (0..n_obs)
        .filter(|row| {
            let taken = stream.below(n_obs - row) < left;
            left -= usize::from(taken);
            taken
        })
        .collect()
}

/// The column by which markers were looked for.
fn groupby(uns: &[(String, Item)]) -> Option<String> {
    uns.iter().find_map(|(_, item)| {
        let Item::Dict(items) = item else { return None };
        let (_, Item::Dict(params)) = items.iter().find(|(name, _)| name == "params")? else { return None };
        let (_, Item::Scalar(Entries::Texts(words))) = params.iter().find(|(name, _)| name == "groupby")? else {
            return None;
        };
        words.first().cloned()
    })
}

/// The first markers of each group.
fn marker_genes(tables: &[TestTable]) -> Vec<String> {
    let Some(markers) = tables.iter().find(|table| table.markers) else { return Vec::new() };
    let mut genes: Vec<String> = Vec::new();
    for gene in markers.first_genes(DOTS).into_iter().flat_map(|(_, genes)| genes) {
        if !genes.contains(&gene) {
            genes.push(gene);
        }
    }
    genes
}

/// The first genes of each table and group.
fn first_genes(tables: &[TestTable]) -> Vec<String> {
    tables.iter().flat_map(|table| table.first_genes(FIRST)).flat_map(|(_, genes)| genes).collect()
}

/// What the matrix is, where there is one that can be read.
fn fingerprint(run: &Run, study: &H5ad) -> Option<String> {
    let name = study.matrices().first()?.clone();
    let matrix = study.matrix(&name).ok()?;
    let shape = format!("{} x {}", matrix.n_rows(), matrix.n_cols());
    let told = study.fingerprint(run, &name).ok()?;
    Some(format!("{name} {shape}, {told}"))
}

/// The last part of a path: a page must not depend on where a file lies.
fn file_name(place: &str) -> String {
    Path::new(place).file_name().map_or_else(|| place.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_cells_is_exact_and_rises() {
        assert_eq!(shown(3, 5, 0), [0, 1, 2]);
        let taken = shown(1000, 100, 7);
        assert_eq!(taken.len(), 100);
        assert!(taken.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(taken, shown(1000, 100, 7));
        assert_ne!(taken, shown(1000, 100, 8));
    }
}
