//! CTMM against the reference cases: moments and their jackknife, and the optima of the likelihood. Every `ctmm_<case>.json`
//! of the folder is a case; all parameters come from it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use ferrocyte_base::Run;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_mixed::ctmm::{Covariate, Fit, FitOptions, Jackknife, Level, Method, Model, Study, Variance, fit};
use serde_json::Value as Json;

/// Shape and values of an array of a case.
type Array = (Vec<usize>, Vec<f64>);

fn folder() -> PathBuf {
    let root = std::env::var_os("FERROCYTE_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"), PathBuf::from);
    root.join("ctmm")
}

/// All arrays of a `.npz` of 64-bit numbers or truth values.
fn arrays(path: &Path) -> BTreeMap<String, Array> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index_raw(i).unwrap();
        let deflated = entry.compressed_size() != entry.size();
        let name = entry.name().unwrap().trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        if deflated {
            flate2::read::DeflateDecoder::new(&mut entry).read_to_end(&mut bytes).unwrap();
        } else {
            entry.read_to_end(&mut bytes).unwrap();
        }
        let length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
        let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
        assert!(header.contains("'fortran_order': False"), "{name}: {header}");
        let shape = header.split("'shape': (").nth(1).unwrap().split(')').next().unwrap();
        let shape = shape.split(',').filter_map(|n| n.trim().parse().ok()).collect();
        let data = &bytes[10 + length..];
        let values = match header {
            h if h.contains("<f8") => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            h if h.contains("|b1") => data.iter().map(|&b| f64::from(b)).collect(),
            h => panic!("{name}: unknown type of values in {h}"),
        };
        found.insert(name, (shape, values));
    }
    found
}

fn numbers(json: &Json) -> Vec<f64> {
    match json {
        Json::Array(all) => all.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap_or(f64::NAN)],
    }
}

/// The study that a result is about.
fn study(case: &Json, arrays: &BTreeMap<String, Array>, level: Level, option: &str) -> Study {
    let chosen = case["options"].as_array().unwrap().iter().find(|o| o["id"] == option).unwrap();
    let covariates = |kind: &str| -> Vec<Covariate> {
        let names = chosen[kind].as_array().unwrap().iter().map(|n| n.as_str().unwrap());
        let one = |name: &str| {
            let (shape, values) = &arrays[&format!("{kind}__{name}")];
            let columns = shape.get(1).copied().unwrap_or(1);
            Covariate { name: name.to_owned(), values: Matrix::from_rows(shape[0], columns, values.clone()) }
        };
        names.map(one).collect()
    };
    let names = |prefix: &str, n: &str| -> Vec<String> {
        (0..case[n].as_u64().unwrap()).map(|i| format!("{prefix}{i}")).collect()
    };
    let (y, noise) = if level == Level::Op { ("y_op", "nu_op") } else { ("Y", "ctnu") };
    let (mut values, mut noise) = (arrays[y].1.clone(), arrays[noise].1.clone());
    if let Some((_, mask)) = arrays.get("mask").filter(|_| level == Level::Ctp) {
        for at in (0..values.len()).filter(|at| mask[at % mask.len()] == 0.0) {
            (values[at], noise[at]) = (f64::NAN, f64::NAN);
        }
    }
    Study {
        genes: names("g", "n_genes"),
        individuals: names("i", "n_ind"),
        cell_types: names("t", "n_ct"),
        level,
        values,
        noise,
        proportions: arrays.get("P").map(|p| p.1.clone()),
        fixed: covariates("fixed"),
        random: covariates("random"),
    }
}

fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(expected.is_nan() || (found - expected).abs() <= tolerance, "{what}: {found}, expected {expected}");
}

/// Entries are near each other, relative to the largest.
fn near_all(found: &[f64], expected: &[f64], relative: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    found.iter().zip(expected).for_each(|(a, b)| near(*a, *b, relative * size + 1e-12, what));
}

fn check_moments(found: &Fit, gene: usize, oracle: &Json, what: &str) {
    let k = found.variances.len();
    let theta = &found.theta[gene * k..(gene + 1) * k];
    if found.options.model != Model::Full {
        near(theta[0], oracle["hom2"].as_f64().unwrap_or(f64::NAN), 1e-9 * theta[0].abs() + 1e-12, what);
    }
    if found.options.model != Model::Hom {
        near_all(&found.v(gene), &numbers(&oracle["V"]), 1e-9, what);
    }
    if oracle.get("jackknife").is_some() && found.options.jackknife == Jackknife::Exact {
        let covariance = &found.theta_covariance[gene * k * k..(gene + 1) * k * k];
        near_all(covariance, &numbers(&oracle["jackknife"]["cov"]), 1e-9, what);
    }
}

fn check_optimum(found: &Fit, gene: usize, result: &Json, what: &str) {
    let l = found.log_likelihood[gene];
    let distance = |o: &&Json| (o["l"].as_f64().unwrap() - l).abs();
    let optima = result["optima"].as_array().unwrap();
    let best = optima.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
    near(l, best["l"].as_f64().unwrap(), 1e-7, what);
    let k = found.variances.len();
    near_all(&found.theta[gene * k..(gene + 1) * k], &numbers(&best["theta"]), 1e-5, what);
}

#[test]
fn moments_and_optima_are_those_of_the_reference() {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    cases.retain(|path| {
        path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("ctmm_"))
            && path.extension().is_some_and(|e| e == "npz")
    });
    cases.sort();
    assert!(!cases.is_empty(), "no case in {}", folder().display());
    let run = Run::new().threads(2);
    for path in cases {
        let arrays = arrays(&path);
        let case: Json = serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        let mut fits: BTreeMap<String, Fit> = BTreeMap::new();
        for result in case["results"].as_array().unwrap() {
            let word = |key: &str| result[key].as_str().unwrap().to_lowercase();
            let jackknife = result["jackknife"] == true;
            let method = Method::from_word(&word("method")).unwrap();
            if method != Method::He && (jackknife || result["check"] == "informational") {
                continue;
            }
            let (kind, option) = (word("kind"), result["option"].as_str().unwrap());
            let key = format!("{} {kind} {option} {} {method:?} {jackknife}", path.display(), word("model"));
            let found = fits.entry(key.clone()).or_insert_with(|| {
                let options = FitOptions {
                    model: Model::from_word(&word("model")).unwrap(),
                    method,
                    variance: Variance::Unconstrained,
                    jackknife: if jackknife { Jackknife::Exact } else { Jackknife::None },
                    ..FitOptions::default()
                };
                let level = Level::from_word(&kind).unwrap();
                fit(&run, study(&case, &arrays, level, option), options).unwrap()
            });
            let gene = result["gene"].as_u64().unwrap() as usize;
            let what = format!("{key} gene {gene}");
            match method {
                Method::He => check_moments(found, gene, &result["oracle"], &what),
                _ => check_optimum(found, gene, result, &what),
            }
        }
    }
}
