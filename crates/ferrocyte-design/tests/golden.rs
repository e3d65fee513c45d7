//! Designs and contrasts against the reference cases: the names and sums that R gives for the same formulas.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Read;
use std::path::{Path, PathBuf};

use ferrocyte_data::{Factor, Frame, ObsColumn};
use ferrocyte_design::{BindOptions, Coefficients, Design, Model};
use serde_json::Value;

/// The reference cases: under `FERROCYTE_GOLDEN`, by default `tests/golden` of the repository.
fn golden() -> PathBuf {
    let root = std::env::var_os("FERROCYTE_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"), PathBuf::from);
    root.join("flashmm")
}

/// A table of text: header and rows, the first column being names.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut text = String::new();
    if path.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let mut rows = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    (rows.next().unwrap(), rows.collect())
}

/// The numbers of a table, row by row.
fn numbers(rows: &[Vec<String>]) -> Vec<Vec<f64>> {
    rows.iter().map(|row| row[1..].iter().map(|x| x.parse().unwrap()).collect()).collect()
}

/// The metadata, columns of numbers as such; `cls`, whose labels are numbers, as asked.
fn metadata(cls_is_factor: bool) -> Frame {
    let (header, rows) = table(&golden().join("data/metadata.tsv"));
    let mut obs = Frame::new(rows.len());
    for (j, name) in header.iter().enumerate().skip(1) {
        let parsed: Option<Vec<f64>> = rows.iter().map(|row| row[j].parse().ok()).collect();
        let column = match parsed {
            Some(values) if !(name == "cls" && cls_is_factor) => ObsColumn::Number(values),
            _ => ObsColumn::Factor(Factor::from_texts(rows.iter().map(|row| Some(&row[j])))),
        };
        obs.insert(name.clone(), column).unwrap();
    }
    obs
}

fn dense(design: &Design) -> Vec<Vec<f64>> {
    let mut row = Vec::new();
    (0..design.n_rows())
        .map(|i| {
            design.row(i, f64::NAN, &mut row);
            let mut full = vec![0.0; design.n_fixed() + design.n_random()];
            for &(j, x) in &row {
                full[j as usize] = x;
            }
            full
        })
        .collect()
}

#[test]
fn the_design_of_the_reference_case_comes_from_the_metadata() {
    let (header, rows) = table(&golden().join("data/X.tsv.gz"));
    let expected = numbers(&rows);
    for (formula, cls_is_factor) in [
        ("~ 0 + log(libsize) + cls + cls:trt", true),
        ("~ 0 + log(libsize) + factor(cls) + factor(cls):trt", false),
        ("~ 0 + log(libsize) + cls + factor(cls):trt", true),
    ] {
        let model = Model::parse(formula, &["~ 0 + sam".to_owned()]).unwrap();
        let design = Design::bind(&model, &metadata(cls_is_factor), None, &BindOptions::default()).unwrap();
        assert_eq!(design.fixed_names(), &header[1..], "{formula}");
        for (found, expected) in dense(&design).iter().zip(&expected) {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() <= 1e-15 * b.abs(), "{formula}: {a} {b}");
            }
        }
    }
}

/// `~ 0 + a` and `list(~ 0 + a, ~ 0 + b)` as entries.
fn random_entries(text: &str) -> Vec<String> {
    let inner = text.strip_prefix("list(").and_then(|t| t.strip_suffix(')')).unwrap_or(text);
    let inner = inner.split(" (").next().unwrap();
    inner.split(',').map(|t| t.trim().to_owned()).collect()
}

#[test]
fn names_and_cross_products_of_every_case_with_cells_are_those_of_r() {
    let obs = metadata(true);
    let mut seen = 0;
    for entry in std::fs::read_dir(golden().join("cases")).unwrap() {
        let folder = entry.unwrap().path();
        let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        if case["data"] != "data/counts.tsv.gz + data/metadata.tsv" {
            continue;
        }
        seen += 1;
        let model =
            Model::parse(case["fixed"].as_str().unwrap(), &random_entries(case["random"].as_str().unwrap())).unwrap();
        let design = Design::bind(&model, &obs, None, &BindOptions::default()).unwrap();
        let (fixed, _) = table(&folder.join("coef.tsv"));
        let (_, zx) = table(&folder.join("ZX.tsv"));
        let name = folder.display();
        assert_eq!(design.fixed_names(), &fixed[1..], "{name}");
        let sizes: Vec<usize> = match &case["d"] {
            Value::Array(d) => d.iter().map(|x| x.as_u64().unwrap() as usize).collect(),
            d => vec![d.as_u64().unwrap() as usize],
        };
        let components = design.components();
        assert_eq!(components.iter().map(|c| c.columns.len()).collect::<Vec<_>>(), sizes, "{name}");
        let columns: Vec<&String> = components.iter().flat_map(|c| &c.columns).collect();
        assert_eq!(columns, zx.iter().map(|row| &row[0]).collect::<Vec<_>>(), "{name}");

        let (p, rows) = (design.n_fixed(), dense(&design));
        let dot = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>();
        for (file, first_row, first_column) in [("XX.tsv", 0, 0), ("ZX.tsv", p, 0), ("ZZ.tsv", p, p)] {
            for (i, expected) in numbers(&table(&folder.join(file)).1).iter().enumerate() {
                for (j, expected) in expected.iter().enumerate() {
                    let found = dot(first_row + i, first_column + j);
                    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{name} {file} {i} {j}");
                }
            }
        }
    }
    assert!(seen > 0, "no case has cells");
}

#[test]
fn the_contrast_cases_give_the_reference_weights_or_better() {
    let text = std::fs::read(golden().join("tests/contrast_matrix_cases.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let texts =
        |v: &Value| -> Vec<String> { v.as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()).collect() };
    for case in &cases {
        let names = texts(&case["model_matrix_names"]);
        let expressions = texts(&case["contrast_expressions"]);
        let table = Coefficients::from_names(&names);
        if case["error"].is_string() {
            // Its errors are ours, except that names with blanks and operators in them work here.
            let ordinary = |name: &String| name.chars().all(|c| c.is_alphanumeric() || "._:()".contains(c));
            let outcome = table.and_then(|t| t.contrast(&expressions[0]));
            assert!(outcome.is_err() || !names.iter().all(ordinary), "{expressions:?}: {outcome:?}");
            continue;
        }
        let table = table.unwrap();
        for (expression, expected) in expressions.iter().zip(case["result"].as_array().unwrap()) {
            let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
            match table.contrast(expression) {
                Ok(found) => {
                    assert_eq!(found.len(), expected.len());
                    for (a, b) in found.iter().zip(&expected) {
                        assert!((a - b).abs() <= 1e-14 * b.abs(), "{expression}: {found:?} {expected:?}");
                    }
                }
                // What is not linear gets some weights or other there, and a refusal here.
                Err(fault) => {
                    let words = fault.message();
                    assert!(words.contains("free constant") || words.contains("product"), "{expression}: {fault}");
                }
            }
        }
    }
    assert!(!cases.is_empty());
}
