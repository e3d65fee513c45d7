//! The invariants of `docs/architecture.md`, as tests: each fails with one readable message.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The floors: a crate may use those of lower floors only. Two crates of the second floor stand on `data`.
const FLOORS: &[(&str, u32)] = &[
    ("ferrocyte-base", 0),
    ("ferrocyte-math", 10),
    ("ferrocyte-learn", 11),
    ("ferrocyte-data", 20),
    ("ferrocyte-design", 21),
    ("ferrocyte-io", 21),
    ("ferrocyte-cells", 30),
    ("ferrocyte-ecotype", 30),
    ("ferrocyte-limma", 30),
    ("ferrocyte-mixed", 30),
    ("ferrocyte-programs", 30),
    ("ferrocyte-report", 40),
    ("ferrocyte-cli", 50),
    ("ferrocyte-py", 51),
    // Not published; its users name it under [dev-dependencies] only.
    ("ferrocyte-testkit", 40),
];

/// External crates that belong to one floor.
const OWNED: &[(&str, &str)] = &[
    ("hdf5-metno", "ferrocyte-io"),
    ("hdf5-metno-sys", "ferrocyte-io"),
    ("zip", "ferrocyte-io"),
    ("blosc-src", "ferrocyte-io"),
    ("crc32c", "ferrocyte-io"),
    ("lz4_flex", "ferrocyte-io"),
    ("zstd", "ferrocyte-io"),
    ("flate2", "ferrocyte-io"),
    ("libdeflater", "ferrocyte-io"),
    ("csv", "ferrocyte-io"),
    ("faer", "ferrocyte-math"),
    ("pulp", "ferrocyte-math"),
    ("rand", "ferrocyte-math"),
    ("rayon", "ferrocyte-base"),
    ("plotly", "ferrocyte-report"),
    ("clap", "ferrocyte-cli"),
    ("pyo3", "ferrocyte-py"),
];

/// Licences that may stand in the tree of dependencies.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const MOST_PACKAGES: usize = 330;
const MOST_LINES: usize = 900;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

fn manifests() -> Vec<PathBuf> {
    let mut found = vec![root().join("python/Cargo.toml")];
    found.extend(
        fs::read_dir(root().join("crates"))
            .unwrap()
            .map(|e| e.unwrap().path().join("Cargo.toml"))
            .filter(|p| p.exists()),
    );
    found.sort();
    found
}

/// The names under a table of a manifest; `name.workspace = true` and `name = ...` alike.
fn dependencies(manifest: &Path, table: &str) -> Vec<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.trim() == format!("[{table}]");
        } else if inside && line.contains('=') && !line.starts_with('#') {
            names.push(line.split(['.', '=', ' ']).next().unwrap().to_owned());
        }
    }
    names
}

fn package(manifest: &Path) -> String {
    let text = fs::read_to_string(manifest).unwrap();
    text.lines().find_map(|l| l.strip_prefix("name = ")).unwrap().trim_matches('"').to_owned()
}

fn files(folder: &Path, ending: &str, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | "out" | "dist" | "_build" | "__pycache__" | "golden")
                && !name.starts_with('.')
            {
                files(&path, ending, out);
            }
        } else if name.ends_with(ending) {
            out.push(path);
        }
    }
}

fn sources(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root(), ending, &mut found);
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn arrows_between_crates_point_down() {
    let floor = |name: &str| FLOORS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f);
    for manifest in manifests() {
        let me = package(&manifest);
        let mine =
            floor(&me).unwrap_or_else(|| panic!("{me} has no floor: add it to FLOORS and to docs/architecture.md"));
        for dependency in dependencies(&manifest, "dependencies") {
            if let Some(theirs) = floor(&dependency) {
                assert!(
                    theirs < mine,
                    "{me} (floor {mine}) uses {dependency} (floor {theirs}): arrows point down only"
                );
            }
        }
    }
}

#[test]
fn what_belongs_to_one_floor_is_used_there_only() {
    for manifest in manifests() {
        let me = package(&manifest);
        for dependency in dependencies(&manifest, "dependencies") {
            for (name, owner) in OWNED {
                assert!(dependency != *name || me == *owner, "{me} depends on {name}, which belongs to {owner} alone");
            }
        }
    }
}

#[test]
fn base_depends_on_rayon_alone() {
    assert_eq!(dependencies(&root().join("crates/ferrocyte-base/Cargo.toml"), "dependencies"), ["rayon"]);
}

#[test]
fn no_dependency_is_unused() {
    for manifest in manifests() {
        let folder = manifest.parent().unwrap();
        let mut code = String::new();
        for part in ["src", "tests", "benches"] {
            let mut found = Vec::new();
            files(&folder.join(part), ".rs", &mut found);
            found.iter().for_each(|f| code.push_str(&fs::read_to_string(f).unwrap()));
        }
        if package(&manifest) == "ferrocyte-testkit" {
            code.push_str(&fs::read_to_string(root().join("tests/tidy.rs")).unwrap());
        }
        for table in ["dependencies", "dev-dependencies"] {
            for name in dependencies(&manifest, table) {
                let used = if name == "hdf5-metno" { "hdf5_metno".to_owned() } else { name.replace('-', "_") };
                assert!(code.contains(&used), "{}: `{name}` is not used", relative(&manifest));
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_none_is_too_long() {
    for path in sources(".rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{} does not open with `//!`", relative(&path));
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines, at most {MOST_LINES}: one idea a file", relative(&path));
    }
    for path in sources(".py") {
        let text = fs::read_to_string(&path).unwrap();
        let opens = text.trim_start_matches("#!/usr/bin/env python3\n");
        assert!(
            text.is_empty() || opens.starts_with("\"\"\"") || opens.starts_with("r\"\"\""),
            "{} has no docstring",
            relative(&path)
        );
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines, at most {MOST_LINES}", relative(&path));
    }
}

#[test]
fn no_family_opens_a_file() {
    let mut found = Vec::new();
    for floor in ["base", "math", "learn", "data", "design", "cells", "ecotype", "limma", "mixed", "programs"] {
        files(&root().join(format!("crates/ferrocyte-{floor}/src")), ".rs", &mut found);
    }
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        for word in ["std::fs", "File::open", "std::env::var", "hdf5"] {
            assert!(
                !text.contains(word),
                "{} names `{word}`: only ferrocyte-io and the fronts touch files and environment",
                relative(&path)
            );
        }
    }
}

#[test]
fn every_crate_has_its_line() {
    let text = fs::read_to_string(root().join("crates/README.md")).unwrap();
    for manifest in manifests() {
        let me = package(&manifest);
        assert!(me == "ferrocyte-py" || text.contains(&me), "crates/README.md has no line for {me}");
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let named: BTreeSet<&str> = text.split("`tidy::").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    let here = fs::read_to_string(root().join("tests/tidy.rs")).unwrap();
    assert!(!named.is_empty(), "docs/architecture.md names no test of this file");
    for name in named {
        assert!(
            here.contains(&format!("fn {name}()")),
            "docs/architecture.md names tidy::{name}, which does not exist"
        );
    }
}

#[test]
fn the_tree_of_dependencies_stays_small_and_permissive() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() <= MOST_PACKAGES, "{} packages, at most {MOST_PACKAGES}", packages.len());
    for package in packages {
        let (name, version) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        if name == "hdf5-metno-src" {
            // Its licence is a file: HDF5's own, of the BSD kind.
            continue;
        }
        let licence = package["license"].as_str().unwrap_or("none");
        let plain = licence.replace(['(', ')'], "").replace(" WITH LLVM-exception", "").replace('/', " OR ");
        let fine = plain.split(" AND ").all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())));
        assert!(fine, "{name} {version} is under {licence}");
    }
}

#[test]
fn nothing_speaks_of_the_machine_it_was_written_on() {
    for ending in [".rs", ".py", ".md", ".toml", ".sh", ".txt"] {
        for path in sources(ending) {
            // This file names what it looks for.
            if path.ends_with("tests/tidy.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for (i, line) in text.lines().enumerate() {
                let bad = ["/work/", "/root/", "/tmp/bash"].iter().find(|word| line.contains(**word));
                assert!(bad.is_none(), "{}:{}: {line}", relative(&path), i + 1);
            }
        }
    }
}
