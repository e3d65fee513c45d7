//! Whatever an item is, it comes back as it was written; what is copied or converted is what it was.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ferrocyte_base::Run;
use ferrocyte_data::Factor;
use ferrocyte_io::{
    AnnDataTree, Attr, ColumnData, ConvertOptions, Entries, Field, FrameData, H5ad, Hdf5, Item, ItemRef, MatrixKind,
    NaValue, NdArray, NewHdf5, Numbers, Packing, Records, Sink, Sparse, Storage, Store, convert, read_item, rewrite,
    write_item,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

const LZF: Storage = Storage { packing: Packing::Lzf, shuffle: true };

fn storages() -> impl Strategy<Value = Storage> {
    prop_oneof![Just(Storage::NONE), Just(Storage::gzip(1)), Just(LZF)]
}

/// Numbers of any type; none is NaN, which does not equal itself.
fn numbers(n: usize) -> BoxedStrategy<Numbers> {
    prop_oneof![
        vec(any::<bool>(), n).prop_map(Numbers::Bool),
        vec(any::<i8>(), n).prop_map(Numbers::I8),
        vec(any::<i16>(), n).prop_map(Numbers::I16),
        vec(any::<i32>(), n).prop_map(Numbers::I32),
        vec(any::<i64>(), n).prop_map(Numbers::I64),
        vec(any::<u8>(), n).prop_map(Numbers::U8),
        vec(any::<u16>(), n).prop_map(Numbers::U16),
        vec(any::<u32>(), n).prop_map(Numbers::U32),
        vec(any::<u64>(), n).prop_map(Numbers::U64),
        vec(proptest::num::f32::NORMAL | proptest::num::f32::INFINITE | proptest::num::f32::ZERO, n)
            .prop_map(Numbers::F32),
        vec(proptest::num::f64::NORMAL | proptest::num::f64::INFINITE | proptest::num::f64::ZERO, n)
            .prop_map(Numbers::F64),
    ]
    .boxed()
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,6}"
}

fn name() -> impl Strategy<Value = String> {
    "[^/\0]{1,8}".prop_filter("a name", |name| name != "." && name != "..")
}

fn entries(n: usize) -> BoxedStrategy<Entries> {
    prop_oneof![numbers(n).prop_map(Entries::Numbers), vec(text(), n).prop_map(Entries::Texts)].boxed()
}

fn array() -> impl Strategy<Value = Item> {
    vec(0_usize..4, 1..4).prop_flat_map(|shape| {
        let n = shape.iter().product();
        entries(n).prop_map(move |cells| Item::Array(NdArray { shape: shape.clone(), cells }))
    })
}

/// A column that is a group of its own.
fn rich(n: usize) -> BoxedStrategy<ColumnData> {
    let whole = numbers(n).prop_filter("no floats", |v| !matches!(v, Numbers::F32(_) | Numbers::F64(_)));
    let na = prop_oneof![Just(NaValue::Na), Just(NaValue::Nan)];
    let levels = prop_oneof![
        vec(text(), 3).prop_map(|texts| ColumnData::Texts { values: texts.into_iter().map(Some).collect(), na: None }),
        numbers(3).prop_map(ColumnData::Numbers),
    ];
    let code = prop_oneof![0_u32..3, Just(Factor::MISSING)];
    prop_oneof![
        (whole, vec(any::<bool>(), n)).prop_map(|(values, missing)| ColumnData::NullableNumbers { values, missing }),
        (vec(proptest::option::of(text()), n), na).prop_map(|(values, na)| ColumnData::Texts { values, na: Some(na) }),
        (vec(code, n), levels, any::<bool>()).prop_map(|(codes, levels, ordered)| ColumnData::Categorical {
            codes,
            levels: Box::new(levels),
            ordered
        }),
    ]
    .boxed()
}

fn column(n: usize) -> BoxedStrategy<ColumnData> {
    let texts =
        vec(text(), n).prop_map(|texts| ColumnData::Texts { values: texts.into_iter().map(Some).collect(), na: None });
    prop_oneof![numbers(n).prop_map(ColumnData::Numbers), texts, rich(n)].boxed()
}

fn frame() -> impl Strategy<Value = Item> {
    (0_usize..5, btree_map(name(), Just(()), 1..5)).prop_flat_map(|(n, names)| {
        let names: Vec<String> = names.into_keys().collect();
        vec(column(n), names.len()).prop_map(move |mut columns| {
            let index = columns.remove(0);
            let columns = names[1..].iter().cloned().zip(columns).collect();
            Item::Frame(FrameData { index_name: names[0].clone(), index, columns })
        })
    })
}

fn sparse() -> impl Strategy<Value = Item> {
    let rows = vec(vec(0_i64..6, 0..5), 0..6);
    (rows, any::<[bool; 3]>()).prop_flat_map(|(rows, [by_rows, wide_indices, wide_pointers])| {
        let indices: Vec<i64> = rows.concat();
        let mut pointers = vec![0_i64];
        pointers.extend(rows.iter().scan(0, |end, row| {
            *end += row.len() as i64;
            Some(*end)
        }));
        let typed = |v: &[i64], wide: bool| {
            if wide { Numbers::I64(v.to_vec()) } else { Numbers::I32(v.iter().map(|&i| i as i32).collect()) }
        };
        let (indices, indptr) = (typed(&indices, wide_indices), typed(&pointers, wide_pointers));
        let (kind, shape) =
            if by_rows { (MatrixKind::Csr, (rows.len(), 6)) } else { (MatrixKind::Csc, (6, rows.len())) };
        numbers(indices.len()).prop_map(move |data| {
            Item::Sparse(Sparse { kind, shape, data, indices: indices.clone(), indptr: indptr.clone() })
        })
    })
}

fn records() -> impl Strategy<Value = Item> {
    (0_usize..4, btree_map(name(), 0_usize..4, 1..4)).prop_flat_map(|(n_rows, names)| {
        let fields: Vec<BoxedStrategy<(String, Field)>> = names
            .into_iter()
            .map(|(name, width)| {
                // Every fourth field is one of plain texts; others are numbers, plain or several in a row.
                let (shape, cells) = match width {
                    0 => (vec![], vec(text(), n_rows).prop_map(Entries::Texts).boxed()),
                    1 => (vec![], numbers(n_rows).prop_map(Entries::Numbers).boxed()),
                    n => (vec![n], numbers(n * n_rows).prop_map(Entries::Numbers).boxed()),
                };
                cells.prop_map(move |cells| (name.clone(), Field { shape: shape.clone(), cells })).boxed()
            })
            .collect();
        fields.prop_map(move |fields| Item::Records(Records { n_rows, fields }))
    })
}

fn item() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        Just(Item::Null),
        entries(1).prop_map(Item::Scalar),
        array(),
        (0_usize..5).prop_flat_map(rich).prop_map(Item::Column),
        frame(),
        sparse(),
        records(),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        btree_map(name(), inner, 0..4)
            .prop_map(|entries: BTreeMap<String, Item>| Item::Dict(entries.into_iter().collect()))
    })
}

fn written(path: &Path, fill: impl FnOnce(&dyn Sink)) -> Hdf5 {
    let sink = NewHdf5::create(path, None).unwrap();
    fill(&sink);
    Box::new(sink).finish().unwrap();
    Hdf5::open(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_item_comes_back(item in item(), storage in storages()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        let run = Run::new().threads(2);
        let store = written(&path, |sink| write_item(&run, sink, "it", &item, storage).unwrap());
        prop_assert_eq!(&read_item(&run, &store, "it").unwrap(), &item);
        // Copied as a whole, and copied element by element.
        let other = written(&folder.path().join("b.h5"), |sink| {
            rewrite(&run, &store, sink, &[("new", ItemRef::Null)], LZF).unwrap();
        });
        prop_assert_eq!(&read_item(&run, &other, "it").unwrap(), &item);
        let through = written(&folder.path().join("c.h5"), |sink| {
            ferrocyte_io::write_borrowed(&run, sink, "it", &ItemRef::Stored(&store, "it"), LZF).unwrap();
        });
        prop_assert_eq!(plain(read_item(&run, &through, "it").unwrap()), plain(item));
    }
}

/// Texts of pandas' `str` of which none is missing become plain ones when they are copied into today's encoding.
fn plain(item: Item) -> Item {
    fn column(data: ColumnData) -> ColumnData {
        match data {
            ColumnData::Texts { values, na: Some(NaValue::Nan) } if values.iter().all(Option::is_some) => {
                ColumnData::Texts { values, na: None }
            }
            ColumnData::Categorical { codes, levels, ordered } => {
                ColumnData::Categorical { codes, levels: Box::new(column(*levels)), ordered }
            }
            other => other,
        }
    }
    match item {
        Item::Column(data) => match column(data) {
            ColumnData::Texts { values, na: None } => {
                let shape = vec![values.len()];
                Item::Array(NdArray { shape, cells: Entries::Texts(values.into_iter().flatten().collect()) })
            }
            other => Item::Column(other),
        },
        Item::Frame(frame) => Item::Frame(FrameData {
            index: column(frame.index),
            columns: frame.columns.into_iter().map(|(name, data)| (name, column(data))).collect(),
            ..frame
        }),
        Item::Dict(entries) => Item::Dict(entries.into_iter().map(|(name, item)| (name, plain(item))).collect()),
        other => other,
    }
}

fn golden(area: &str) -> PathBuf {
    let root = std::env::var_os("FERROCYTE_GOLDEN").map(PathBuf::from);
    root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")).join("cells").join(area)
}

fn tree(path: &Path) -> AnnDataTree {
    AnnDataTree::read(&Run::new(), &Hdf5::open(path).unwrap()).unwrap()
}

/// A tree whose texts are plain where none is missing, so that generations compare.
fn plain_tree(mut tree: AnnDataTree) -> AnnDataTree {
    let frame = |frame: FrameData| match plain(Item::Frame(frame)) {
        Item::Frame(frame) => frame,
        _ => unreachable!("a frame stays one"),
    };
    let items =
        |items: Vec<(String, Item)>| items.into_iter().map(|(name, item)| (name, modern(plain(item)))).collect();
    (tree.obs, tree.var) = (frame(tree.obs), frame(tree.var));
    (tree.layers, tree.obsm, tree.varm) = (items(tree.layers), items(tree.obsm), items(tree.varm));
    (tree.obsp, tree.varp, tree.uns) = (items(tree.obsp), items(tree.varp), items(tree.uns));
    if let Some(raw) = &mut tree.raw {
        raw.var = frame(raw.var.clone());
    }
    tree
}

/// Texts of a fixed width have none today.
fn modern(item: Item) -> Item {
    let cells = |cells| match cells {
        Entries::Fixed { texts, .. } => Entries::Texts(texts),
        other => other,
    };
    match item {
        Item::Array(array) => Item::Array(NdArray { cells: cells(array.cells), ..array }),
        Item::Scalar(entries) => Item::Scalar(cells(entries)),
        Item::Records(records) => Item::Records(Records {
            fields: records
                .fields
                .into_iter()
                .map(|(name, field)| (name, Field { cells: cells(field.cells), ..field }))
                .collect(),
            ..records
        }),
        Item::Dict(entries) => Item::Dict(entries.into_iter().map(|(name, item)| (name, modern(item))).collect()),
        other => other,
    }
}

#[test]
fn files_of_every_age_convert_to_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new();
    let mut n = 0;
    for area in ["io", "io_legacy", "io_legacy_more"] {
        let Ok(files) = std::fs::read_dir(golden(area)) else { continue };
        for file in files.map(|file| file.unwrap().path()) {
            if file.extension().is_none_or(|ending| ending != "h5ad") {
                continue;
            }
            for storage in [Storage::gzip(1), LZF] {
                let out = folder.path().join("out.h5ad");
                let options = ConvertOptions { storage, ..ConvertOptions::default() };
                convert(&run, &file, &out, &options).unwrap();
                let (before, after) = (tree(&file), tree(&out));
                // NaN does not equal itself: what is told of the trees is compared.
                assert_eq!(
                    format!("{:?}", plain_tree(after)),
                    format!("{:?}", plain_tree(before)),
                    "{}",
                    file.display()
                );
                n += 1;
            }
        }
    }
    assert!(n > 0, "there are files");
}

#[test]
fn a_circle_of_links_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5ad");
    let names = |n: usize| ferrocyte_io::Annotation::new((0..n).map(|i| format!("n{i}")).collect());
    let options = ferrocyte_io::H5adOptions::default();
    let run = Run::new();
    ferrocyte_io::H5adWriter::create(&run, &path, &names(0), &names(2), options).unwrap().finish(&run).unwrap();
    let file = hdf5_metno::File::open_rw(&path).unwrap();
    file.group("uns").unwrap().link_hard("/uns", "again").unwrap();
    file.close().unwrap();
    let out = folder.path().join("b.h5ad");
    let fault = convert(&run, &path, &out, &ConvertOptions::default()).unwrap_err().to_string();
    assert!(fault.contains("groups within groups without an end"), "{fault}");
    assert!(!out.exists());
}

#[test]
fn what_is_not_understood_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("a.h5ad"), folder.path().join("b.h5ad"));
    let run = Run::new();
    let names = |n: usize| ferrocyte_io::Annotation::new((0..n).map(|i| format!("n{i}")).collect());
    ferrocyte_io::H5adWriter::create(
        &run,
        &folder.path().join("c.h5ad"),
        &names(0),
        &names(2),
        ferrocyte_io::H5adOptions::default(),
    )
    .unwrap()
    .finish(&run)
    .unwrap();
    let plain = Hdf5::open(&folder.path().join("c.h5ad")).unwrap();
    // An encoding of another program, with attributes and arrays that nobody here knows.
    let strange = written(&before, |sink| {
        rewrite(&run, &plain, sink, &[], Storage::NONE).unwrap();
        sink.group("uns/strange").unwrap();
        sink.set("uns/strange", "encoding-type", &Attr::Text("awkward-array".into())).unwrap();
        sink.set("uns/strange", "encoding-version", &Attr::Text("9.9.9".into())).unwrap();
        sink.set("uns/strange", "form", &Attr::Texts(vec!["a".into(), "b".into()])).unwrap();
        write_item(&run, sink, "uns/strange/node", &Item::Null, Storage::NONE).unwrap();
    });
    drop(strange);
    convert(&run, &before, &after, &ConvertOptions::default()).unwrap();
    let store = Hdf5::open(&after).unwrap();
    assert_eq!(store.attr("uns/strange", "form").unwrap(), Some(Attr::Texts(vec!["a".into(), "b".into()])));
    assert_eq!(store.attr("uns/strange", "encoding-version").unwrap(), Some(Attr::Text("9.9.9".into())));
    assert!(store.node("uns/strange/node").unwrap().is_some());
    assert_eq!(H5ad::from_store(Arc::new(store)).unwrap().n_var(), 2);
}
