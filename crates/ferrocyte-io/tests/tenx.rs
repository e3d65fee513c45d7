//! 10x files of every generation, against what their reference reader found in them; and what is wrong with them, said
//! in a sentence.

#![allow(clippy::unwrap_used, clippy::case_sensitive_file_extension_comparisons)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use ferrocyte_base::{Kind, Run};
use ferrocyte_data::OwnedCsr;
use ferrocyte_io::{AnnotatedSource, GENE_EXPRESSION, OpenOptions, VarNames, open_study};
use serde_json::Value;

fn golden() -> PathBuf {
    common::golden().join("cells")
}

/// What the reference reader found in a file or folder.
fn expected(folder: &str, name: &str) -> Value {
    let file = fs::File::open(golden().join(folder).join("EXPECTED.json.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all["files"][name].clone()
}

fn open(path: impl AsRef<Path>, options: &OpenOptions) -> std::sync::Arc<dyn AnnotatedSource> {
    open_study(&Run::new(), path, options).unwrap()
}

fn texts(values: &Value) -> Vec<String> {
    // The reference makes numbers of identifiers that look like numbers.
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.as_array().unwrap().iter().map(text).collect()
}

/// Compares a study with a reading of the reference.
fn compare(study: &dyn AnnotatedSource, reading: &Value) {
    assert_eq!(study.obs_names().unwrap(), texts(&reading["obs"]["index"]));
    assert_eq!(study.var_names("X").unwrap(), texts(&reading["var"]["index"]));
    let columns = reading["var"]["columns"].as_object().unwrap();
    let found: Vec<String> = study.var_columns().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, columns.keys().cloned().collect::<Vec<_>>());
    for (name, column) in columns {
        let values: Vec<String> = study.var_column(name).unwrap().to_texts().into_iter().flatten().collect();
        assert_eq!(values, texts(&column["values"]), "{name}");
    }
    let x = OwnedCsr::collect(&Run::new(), &mut *study.matrix("X").unwrap()).unwrap();
    let shape: Vec<u64> = reading["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!([x.n_rows() as u64, x.n_cols() as u64], shape[..]);
    assert_eq!(x.values().len() as u64, reading["X"]["nnz"].as_u64().unwrap());
    let block = x.block(0..x.n_rows()).unwrap();
    let sums: Vec<f64> = reading["X"]["row_sums"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert_eq!(block.row_sums(), sums);
    for entry in reading["X"]["coo_first"].as_array().unwrap() {
        let at = |k: usize| entry[k].as_f64().unwrap();
        let stored = block.row(at(0) as usize).find(|&(column, _)| column == at(1) as usize);
        assert_eq!(stored, Some((at(1) as usize, at(2))), "{entry}");
    }
    assert!(study.looks_like_counts(&Run::new(), "X").unwrap());
}

#[test]
fn files_of_every_generation_are_what_the_reference_found() {
    let content = expected("io_legacy", "tenx_v3_filtered.h5");
    compare(&*open(golden().join("io_legacy/tenx_v3_filtered.h5"), &OpenOptions::default()), &content["content"]);
    for (folder, name) in [("io_legacy", "tenx_v2_filtered.h5"), ("io_legacy_more", "tenx_v2_multiple_genomes.h5")] {
        for (genome, reading) in expected(folder, name)["genomes"].as_object().unwrap() {
            let options = OpenOptions { genome: Some(genome.clone()), ..OpenOptions::default() };
            compare(&*open(golden().join(folder).join(name), &options), reading);
        }
    }
    // One genome need not be named.
    assert_eq!(open(golden().join("io_legacy/tenx_v2_filtered.h5"), &OpenOptions::default()).n_var(), 343);
}

#[test]
fn folders_of_every_generation_are_what_the_reference_found() {
    let by_ids = OpenOptions { var_names: VarNames::Ids, ..OpenOptions::default() };
    let all = OpenOptions { feature_type: None, ..OpenOptions::default() };
    for (folder, name) in
        [("io_legacy", "tenx_v2_mtx"), ("io_legacy", "tenx_v3_mtx"), ("io_legacy_more", "tenx_int_ids")]
    {
        let reading = expected(folder, name);
        let path = golden().join(folder).join(name);
        compare(&*open(&path, &all), &reading["var_names_symbols"]);
        compare(&*open(&path, &by_ids), &reading["var_names_ids_gex_only"]);
    }
}

#[test]
fn several_genomes_are_listed() {
    let path = golden().join("io_legacy_more/tenx_v2_multiple_genomes.h5");
    let fault = open_study(&Run::new(), &path, &OpenOptions::default()).err().unwrap();
    assert!(fault.to_string().contains("the file holds 2 genomes: `another_genome`, `hg19_chr21`"), "{fault}");
    let options = OpenOptions { genome: Some("hg19".into()), ..OpenOptions::default() };
    let fault = open_study(&Run::new(), &path, &options).err().unwrap();
    assert_eq!(fault.kind(), Kind::MissingKey);
    assert!(fault.way_out().is_some_and(|hint| hint.contains("`hg19_chr21`")), "{fault}");
}

/// The files of a 10x folder by name, compressed where the name says so.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        if name.ends_with(".gz") {
            let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            gzip.finish().unwrap();
        } else {
            let mut file = file;
            file.write_all(text.as_bytes()).unwrap();
        }
    }
    folder
}

const MATRIX: &str = "%%MatrixMarket matrix coordinate integer general\n%\n3 2 3\n1 1 5\n3 1 2\n2 2 4\n";
const FEATURES: &str = "E1\tTP53\tGene Expression\nE2\tCD3\tAntibody Capture\nE3\tTP53\tGene Expression\n";
const BARCODES: &str = "AAA-1\nCCC-1\n";

#[test]
fn any_mix_of_names_is_found() {
    for (matrix, features, barcodes, prefix) in [
        ("matrix.mtx", "features.tsv.gz", "barcodes.tsv", None),
        ("matrix.mtx.gz", "genes.tsv", "barcodes.tsv.gz", None),
        ("GSM1_matrix.mtx.gz", "GSM1_features.tsv.gz", "GSM1_barcodes.tsv.gz", None),
        ("GSM1_matrix.mtx", "GSM1_genes.tsv.gz", "GSM1_barcodes.tsv", Some("GSM1_")),
    ] {
        let home = folder(&[(matrix, MATRIX), (features, FEATURES), (barcodes, BARCODES)]);
        let options = OpenOptions { prefix: prefix.map(str::to_owned), ..OpenOptions::default() };
        // The folder, and the matrix in it.
        for path in [home.path().to_owned(), home.path().join(matrix)] {
            let study = open(path, &options);
            assert_eq!((study.format(), study.n_obs(), study.n_var()), ("10x folder", 2, 2));
            assert_eq!(study.obs_names().unwrap(), ["AAA-1", "CCC-1"]);
            assert_eq!(study.var_names("X").unwrap(), ["TP53", "TP53-1"]);
            let x = OwnedCsr::collect(&Run::new(), &mut *study.matrix("X").unwrap()).unwrap();
            assert_eq!((x.pointers(), x.indices()), (&[0, 2, 2][..], &[0, 1][..]));
        }
    }
    let both = folder(&[
        ("a_matrix.mtx", MATRIX),
        ("a_features.tsv", FEATURES),
        ("a_barcodes.tsv", BARCODES),
        ("b_matrix.mtx", MATRIX),
    ]);
    let fault = open_study(&Run::new(), both.path(), &OpenOptions::default()).err().unwrap();
    assert!(fault.to_string().contains("2 matrices, with the prefixes `a_`, `b_`"), "{fault}");
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let truncated = MATRIX.replace("2 2 4\n", "");
    let files = |matrix: &str, features: &str, barcodes: &str| {
        folder(&[("matrix.mtx", matrix), ("features.tsv", features), ("barcodes.tsv", barcodes)])
    };
    for (home, words, hint) in [
        (files(MATRIX, "E1\tA\n", BARCODES), "matrix.mtx has 3 rows, but features.tsv names 1", "do not belong"),
        (files(MATRIX, FEATURES, "AAA-1\n"), "matrix.mtx has 2 columns, but barcodes.tsv names 1", "do not belong"),
        (files(MATRIX, "E1\tA\nE2\tB\n", "a\nb\nc\n"), "matrix.mtx has 3 rows, but", "cells x genes"),
        (files(MATRIX, "E1\tA\nE2\nE3\tC\n", BARCODES), "features.tsv: line 2: 1 fields, but 2", ""),
        (folder(&[("matrix.mtx", MATRIX), ("barcodes.tsv", BARCODES)]), "no features.tsv or genes.tsv", "matrix.mtx"),
        (folder(&[("matrix.mtx", MATRIX), ("genes.tsv", FEATURES)]), "no barcodes.tsv (or .gz)", "genes.tsv"),
    ] {
        let fault = open_study(&Run::new(), home.path(), &OpenOptions::default()).err().unwrap();
        assert!(fault.to_string().contains(words), "{fault}");
        assert!(fault.way_out().unwrap_or_default().contains(hint), "{fault}: {:?}", fault.way_out());
    }
    // What stands in the matrix is read when it is asked for.
    let home = files(&truncated, FEATURES, BARCODES);
    let study = open(home.path(), &OpenOptions::default());
    let fault = study.matrix("X").unwrap().read(&Run::new(), 0..1).err().unwrap();
    assert!(fault.to_string().ends_with("matrix.mtx: the header promises 3 entries, there are 2"), "{fault}");
    assert_eq!(study.matrix("counts").err().map(|f| f.kind()), Some(Kind::MissingKey));
}

#[test]
fn filters_do_not_change_what_is_left() {
    let home = folder(&[("matrix.mtx", MATRIX), ("features.tsv", FEATURES), ("barcodes.tsv", BARCODES)]);
    let with = |feature_type: Option<&str>| {
        open(home.path(), &OpenOptions { feature_type: feature_type.map(str::to_owned), ..OpenOptions::default() })
    };
    let run = Run::new();
    let (all, genes, antibodies) = (with(None), with(Some(GENE_EXPRESSION)), with(Some("Antibody Capture")));
    assert_eq!([all.n_var(), genes.n_var(), antibodies.n_var()], [3, 2, 1]);
    let sums = |study: &dyn AnnotatedSource| study.matrix("X").unwrap().read(&run, 0..2).unwrap().row_sums();
    assert_eq!([sums(&*all), sums(&*genes), sums(&*antibodies)], [[7.0, 4.0], [7.0, 0.0], [0.0, 4.0]].map(Vec::from));
    let prints = [&all, &genes, &antibodies].map(|study| study.fingerprint(&run, "X").unwrap());
    assert!(prints[1].starts_with(prints[0].as_str()) && prints[1] != prints[2], "{prints:?}");
}

#[test]
fn damaged_h5_files_are_refused() {
    let bytes = fs::read(golden().join("io_legacy/tenx_v3_filtered.h5")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("cut.h5");
    for length in [100, bytes.len() / 3, bytes.len() / 2, bytes.len() - 100] {
        fs::write(&path, &bytes[..length]).unwrap();
        let outcome = open_study(&Run::new(), &path, &OpenOptions::default())
            .and_then(|study| OwnedCsr::collect(&Run::new(), &mut *study.matrix("X")?));
        assert_eq!(outcome.err().map(|f| f.kind()), Some(Kind::BadFile), "{length} bytes");
    }
}

#[test]
fn every_kind_of_file_has_its_door() {
    let home = folder(&[
        ("cells.tsv", "cell\tA\tB\nc1\t0\t2\nc2\t1\t0\n"),
        ("genes.csv.gz", "gene,c1,c2\nA,0,1\nB,2,0\n"),
        ("alone.mtx", "%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 2 2\n2 1 1\n"),
    ]);
    let turned = OpenOptions { transpose: true, ..OpenOptions::default() };
    let run = Run::new();
    for (name, options, format, genes) in [
        ("cells.tsv", &OpenOptions::default(), "table", ["A", "B"]),
        ("genes.csv.gz", &turned, "table", ["A", "B"]),
        ("alone.mtx", &OpenOptions::default(), "mtx", ["0", "1"]),
    ] {
        let study = open(home.path().join(name), options);
        assert_eq!(
            (study.format(), study.var_names("X").unwrap()),
            (format, genes.map(str::to_owned).into()),
            "{name}"
        );
        let x = OwnedCsr::collect(&run, &mut *study.matrix("X").unwrap()).unwrap();
        assert_eq!((x.pointers(), x.indices()), (&[0, 1, 2][..], &[1, 0][..]), "{name}");
        let described = study.describe(&run);
        assert_eq!(described.n_rows(), 1);
    }
    let h5ad = open(golden().join("io/nocompress_ad012.h5ad"), &OpenOptions::default());
    assert_eq!((h5ad.format(), h5ad.n_obs()), ("h5ad", 64));
    for (bytes, words) in [
        (&b"\0\0\0\0"[..], "a binary file of an unknown kind"),
        (b"", "the file is empty"),
        (b"PK\x03\x04\0\0", "a damaged zip archive"),
    ] {
        let path = home.path().join("odd.bin");
        fs::write(&path, bytes).unwrap();
        let fault = open_study(&run, &path, &OpenOptions::default()).err().unwrap();
        assert!(fault.to_string().contains(words), "{fault}");
    }
    assert!(
        open_study(&run, home.path().join("none.h5ad"), &OpenOptions::default())
            .is_err_and(|f| f.to_string().ends_with("there is no such file"))
    );
    assert!(
        open_study(&run, tempfile::tempdir().unwrap().path(), &OpenOptions::default())
            .is_err_and(|f| f.to_string().contains("a folder"))
    );
}
