//! `ferrocyte info`: what a file holds.

use std::fmt::Write as _;
use std::path::Path;

use clap::ArgMatches;
use ferrocyte_base::{Cells, Result, Table, Value};
use ferrocyte_data::{Additive, Data, Part};
use ferrocyte_io::{H5mu, Kind, number_text, read_part, to_json};
use ferrocyte_mixed::lmm::Sums;
use serde_json::{Value as Json, json};

use crate::door;
use crate::faults::Failure;
use crate::lmm;
use crate::output::{not_printed, to_stdout};
use crate::session::{Session, path};

/// Runs the command.
pub(crate) fn run(session: &Session, matches: &ArgMatches) -> std::result::Result<(), Failure> {
    let file = path(matches, "file")?;
    let json = session.console.is_json();
    let text = if lmm::is_part(file) {
        let part = read_part(file)?;
        if json { line(&part_as_data(&part)) } else { part_as_text(file, &part)? }
    } else {
        let study = study(session, file)?;
        if json { line(&study.as_data()) } else { study.as_text(file) }
    };
    to_stdout(|out| out.write_all(text.as_bytes()).map_err(not_printed))
}

/// What is told of a study.
struct Study {
    kind: &'static str,
    /// Cells and genes, of several modalities those of each.
    shapes: Vec<(String, usize, usize)>,
    bytes: Option<u64>,
    elements: Table,
}

/// Looks at a study of a kind that is known here.
fn study(session: &Session, file: &Path) -> std::result::Result<Study, Failure> {
    let kind = Kind::of(file)?;
    if kind.has_modalities() && session.settings.one("modality").is_none() {
        let study = H5mu::open(file)?;
        let modalities = study.modalities().iter().map(|name| {
            let modality = study.modality(name)?;
            Ok((name.clone(), modality.n_obs(), modality.n_var()))
        });
        let (shapes, elements) = (modalities.collect::<Result<Vec<_>>>()?, study.describe(&session.run));
        return Ok(Study { kind: kind.word(), shapes, bytes: study.bytes(), elements });
    }
    let study = door::open(&session.run, file, &session.settings)?;
    let shapes = vec![(String::new(), study.n_obs(), study.n_var())];
    Ok(Study { kind: study.format(), shapes, bytes: study.bytes(), elements: study.describe(&session.run) })
}

impl Study {
    fn as_data(&self) -> Json {
        let mut data = json!({"kind": self.kind, "bytes": self.bytes, "elements": rows_as_data(&self.elements)});
        if [Kind::H5mu, Kind::ZarrMu].iter().any(|kind| kind.word() == self.kind) {
            let shapes = self.shapes.iter().map(|(name, n, p)| json!({"name": name, "cells": n, "genes": p}));
            data["modalities"] = Json::Array(shapes.collect());
        } else if let Some((_, n, p)) = self.shapes.first() {
            (data["cells"], data["genes"]) = (json!(n), json!(p));
        }
        data
    }

    fn as_text(&self, file: &Path) -> String {
        let shapes = self.shapes.iter().map(|(name, n, p)| {
            let of = if name.is_empty() { String::new() } else { format!(" {name}") };
            format!("{of} {n} cells x {p} genes")
        });
        let size = self.bytes.map_or_else(String::new, |bytes| format!(", {bytes} bytes"));
        let shapes = shapes.collect::<Vec<_>>().join(",");
        format!("{}:{shapes}{size}\n{}", file.display(), aligned(&self.elements))
    }
}

fn line(json: &Json) -> String {
    format!("{json}\n")
}

/// The header of a part without its long lists, and its arrays.
fn part_as_data(part: &Part) -> Json {
    let arrays = part.arrays.iter().map(|a| json!({"name": a.name, "shape": a.shape, "dtype": dtype(&a.data)}));
    json!({
        "kind": part.kind,
        "layout": part.version,
        "header": to_json(&part.header),
        "arrays": arrays.collect::<Vec<_>>(),
    })
}

fn part_as_text(file: &Path, part: &Part) -> Result<String> {
    let mut text = format!("{}: {}, layout {}\n", file.display(), part.kind, part.version);
    if let Some(sums) = sums_behind(part)? {
        for input in &sums.inputs {
            let _ = writeln!(text, "made from {} ({})", input.describe(), input.fingerprint);
        }
        for option in ["method", "negative", "moderate"] {
            if let Some(value) = part.header.get(option) {
                let _ = writeln!(text, "{option} = {}", to_json(value));
            }
        }
        let _ = writeln!(text, "{}", sums.describe());
        for warning in &sums.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
    } else {
        for array in &part.arrays {
            let _ = writeln!(text, "  {}  {} {:?}", array.name, dtype(&array.data), array.shape);
        }
    }
    Ok(text)
}

/// The sums that a part holds, or that the fit in it was made from.
fn sums_behind(part: &Part) -> Result<Option<Sums>> {
    match part.kind.as_str() {
        lmm::SUMS => Sums::from_part(part).map(Some),
        lmm::FIT => {
            let header = part.header.get("sums").cloned().unwrap_or(Value::Null);
            let sums = Part { kind: lmm::SUMS.to_owned(), header, ..part.clone() };
            Sums::from_part(&sums).map(Some)
        }
        _ => Ok(None),
    }
}

const fn dtype(data: &Data) -> &'static str {
    match data {
        Data::F64(_) => "float64",
        Data::I64(_) => "int64",
    }
}

fn rows_as_data(table: &Table) -> Vec<Json> {
    let row = |i: usize| {
        let cells = table.columns().iter().map(|c| (c.name.clone(), cell_as_data(&c.cells, i)));
        Json::Object(cells.collect())
    };
    (0..table.n_rows()).map(row).collect()
}

fn cell_as_data(cells: &Cells, row: usize) -> Json {
    match cells {
        Cells::Float(v) => to_json(&Value::Float(v[row])),
        _ => Json::String(cell(cells, row)),
    }
}

fn cell(cells: &Cells, row: usize) -> String {
    match cells {
        Cells::Text(v) => v[row].clone(),
        Cells::Level { codes, levels } => levels.get(codes[row] as usize).cloned().unwrap_or_default(),
        Cells::Float(v) if v[row].is_nan() => String::new(),
        Cells::Float(v) => number_text(v[row]),
        Cells::Int(v) => v[row].to_string(),
        Cells::Bool(v) => v[row].to_string(),
    }
}

/// A table for people: aligned columns, those without any content left out.
fn aligned(table: &Table) -> String {
    let columns: Vec<(usize, Vec<String>)> = table
        .columns()
        .iter()
        .map(|column| {
            let cells: Vec<String> = (0..table.n_rows()).map(|row| cell(&column.cells, row)).collect();
            let empty = cells.iter().all(String::is_empty);
            let width = cells.iter().map(|c| c.chars().count()).max().unwrap_or(0).max(column.name.chars().count());
            let head = std::iter::once(column.name.clone());
            (if empty { 0 } else { width }, head.chain(cells).collect())
        })
        .filter(|(width, _)| *width > 0)
        .collect();
    let mut text = String::new();
    for row in 0..=table.n_rows() {
        let line: Vec<String> = columns.iter().map(|(width, cells)| format!("{:width$}", cells[row])).collect();
        let _ = writeln!(text, "  {}", line.join("  ").trim_end());
    }
    text
}
