//! Pages of small studies: what is on them, that hostile names are texts, that they are the same bytes again.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use ferrocyte_base::{Kind, Run};
use ferrocyte_data::Factor;
use ferrocyte_io::{
    AnnDataTree, Attr, ColumnData, Entries, FrameData, H5ad, Item, MatrixKind, NdArray, NewHdf5, Numbers, Sink, Sparse,
    Storage, write_item,
};
use ferrocyte_report::{Report, ReportOptions, open, report};

const HOSTILE: &str = "</script><script>alert(1)</script>\"'&<b>\u{202e}x";

fn texts(values: &[&str]) -> ColumnData {
    ColumnData::Texts { values: values.iter().map(|&v| Some(v.to_owned())).collect(), na: None }
}

fn levels(levels: &[&str], codes: Vec<u32>) -> ColumnData {
    ColumnData::Categorical { codes, levels: Box::new(texts(levels)), ordered: false }
}

fn frame(index: &[&str], columns: Vec<(&str, ColumnData)>) -> FrameData {
    FrameData {
        index_name: "_index".into(),
        index: texts(index),
        columns: columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect(),
    }
}

/// Six cells of three genes, with clusters, a layout, and a table of tests.
fn study() -> AnnDataTree {
    let numbers = |values: &[f64]| ColumnData::Numbers(Numbers::F64(values.to_vec()));
    let tests = frame(
        &["0", "1", "2"],
        vec![
            ("gene", texts(&["a", HOSTILE, "c"])),
            ("log_fc", numbers(&[1.0, -2.0, f64::NAN])),
            ("p_value", numbers(&[1e-5, 0.5, f64::NAN])),
            ("adj_p_value", numbers(&[1e-4, 0.6, f64::NAN])),
            ("status", texts(&["ok", "ok", "few_cells"])),
            ("reason", texts(&["", "", "too few cells"])),
        ],
    );
    let provenance = Entries::Texts(vec![format!("{{\"method\": \"lmm.fit\", \"warnings\": [{HOSTILE:?}]}}")]);
    AnnDataTree {
        x: Some(Item::Sparse(Sparse {
            kind: MatrixKind::Csr,
            shape: (6, 3),
            data: Numbers::F32(vec![0.5, 1.5, 2.5, 0.25]),
            indices: Numbers::I32(vec![0, 1, 0, 2]),
            indptr: Numbers::I32(vec![0, 1, 2, 2, 3, 4, 4]),
        })),
        obs: frame(
            &["c1", "c2", "c3", "c4", "c5", "c6"],
            vec![
                ("cell_type", levels(&["B", HOSTILE], vec![0, 1, 0, 1, 0, Factor::MISSING])),
                ("sample", levels(&["s1", "s2"], vec![0, 0, 0, 1, 1, 1])),
                ("total_counts", ColumnData::Numbers(Numbers::F64(vec![1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN]))),
            ],
        ),
        var: frame(&["a", HOSTILE, "c"], vec![]),
        layers: vec![],
        obsm: vec![(
            "X_umap".into(),
            Item::Array(NdArray {
                shape: vec![6, 2],
                cells: Entries::Numbers(Numbers::F32((0..12).map(|i| i as f32).collect())),
            }),
        )],
        varm: vec![],
        obsp: vec![],
        varp: vec![],
        uns: vec![(
            "lmm".into(),
            Item::Dict(vec![("provenance".into(), Item::Scalar(provenance)), ("tests".into(), Item::Frame(tests))]),
        )],
        raw: None,
    }
}

fn stored(folder: &Path, tree: &AnnDataTree) -> PathBuf {
    let path = folder.join("study.h5ad");
    let sink = NewHdf5::create(&path, None).unwrap();
    for (name, value) in [("encoding-type", "anndata"), ("encoding-version", "0.1.0")] {
        sink.set("", name, &Attr::Text(value.into())).unwrap();
    }
    let mut items = vec![("obs", Item::Frame(tree.obs.clone())), ("var", Item::Frame(tree.var.clone()))];
    items.extend(tree.x.clone().map(|x| ("X", x)));
    items.extend([("obsm", Item::Dict(tree.obsm.clone())), ("uns", Item::Dict(tree.uns.clone()))]);
    for (name, item) in items {
        write_item(&Run::new(), &sink, name, &item, Storage::NONE).unwrap();
    }
    Box::new(sink).finish().unwrap();
    path
}

fn made(tree: &AnnDataTree, options: &ReportOptions, threads: usize) -> ferrocyte_base::Result<Report> {
    let folder = tempfile::tempdir().unwrap();
    let study = H5ad::open(stored(folder.path(), tree)).unwrap();
    report(&Run::new().threads(threads), &study, options)
}

#[test]
fn a_page_has_what_the_study_holds() {
    let made = made(&study(), &ReportOptions::default(), 1).unwrap();
    assert_eq!(made.sections, ["overview", "cells", "quality", "composition", "tests", "notes", "provenance"]);
    assert_eq!((made.cells, made.genes), ((6, 6), (3, 3)));
}

#[test]
fn names_are_texts_wherever_they_stand() {
    let options = ReportOptions { title: Some(HOSTILE.into()), ..ReportOptions::default() };
    let page = made(&study(), &options, 1).unwrap().page;
    assert!(!page.contains("alert(1)</script>"), "a name became part of the page");
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"));
}

#[test]
fn nothing_is_fetched() {
    let page = made(&study(), &ReportOptions::default(), 1).unwrap().page;
    for word in ["<script src", "<link rel=\"stylesheet", "@import", "<img src=\"http"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_same_study_is_the_same_page() {
    let options = ReportOptions { max_cells: 4, ..ReportOptions::default() };
    let first = made(&study(), &options, 1).unwrap();
    assert_eq!(first.cells, (4, 6));
    assert!(first == made(&study(), &options, 2).unwrap(), "the page depends on threads");
}

#[test]
fn genes_have_the_room_that_is_left() {
    let mut options = ReportOptions { max_size: 1_000, ..ReportOptions::default() };
    let fault = made(&study(), &options, 1).unwrap_err();
    assert!(fault.to_string().contains("the page without data has"), "{fault}");
    options.max_size = 15_000_000;
    assert!((made(&study(), &options, 1).unwrap().page.len() as u64) < options.max_size);
}

#[test]
fn what_does_not_exist_is_named_with_what_does() {
    for (options, words) in [
        (ReportOptions { clusters: Some("cell_typ".into()), ..Default::default() }, "cell_type"),
        (ReportOptions { samples: Some("total_counts".into()), ..Default::default() }, "has numbers, expected groups"),
        (ReportOptions { layer: Some("counts".into()), ..Default::default() }, "there is no matrix `counts`"),
        (ReportOptions { genes: vec!["A1".into()], ..Default::default() }, "there is no gene `A1`"),
        (ReportOptions { max_cells: 0, ..Default::default() }, "no cell would be drawn"),
    ] {
        let fault = made(&study(), &options, 1).unwrap_err();
        let told = format!("{fault} {}", fault.way_out().unwrap_or_default());
        assert!(told.contains(words), "`{words}` is not in: {told}");
        assert!(matches!(fault.kind(), Kind::MissingKey | Kind::BadInput));
    }
}

#[test]
fn studies_without_much_have_a_page_too() {
    let bare =
        AnnDataTree { x: None, obs: frame(&[], vec![]), var: frame(&[], vec![]), obsm: vec![], uns: vec![], ..study() };
    assert_eq!(made(&bare, &ReportOptions::default(), 1).unwrap().sections, ["overview"]);
}

#[test]
fn folders_without_a_study_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let fault = open(folder.path(), None).map(|_| ()).unwrap_err();
    assert!(fault.to_string().contains("integrated.h5mu"), "{fault}");
    stored(folder.path(), &study());
    std::fs::rename(folder.path().join("study.h5ad"), folder.path().join("integrated.h5ad")).unwrap();
    assert!(open(folder.path(), None).is_ok_and(|(file, _)| file.ends_with("integrated.h5ad")));
}
