//! Zarr stores of both versions, made here by hand: every range reads as it was written, from folders and from zip
//! archives; what is damaged is a fault.
#![cfg(feature = "zarr")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ferrocyte_base::Run;
use ferrocyte_io::{
    ConvertOptions, Dtype, H5ad, NewZarr, Node, Numbers, Sink, Storage, Store, Zarr, convert, open_store,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// The files of a store, by key.
type Files = BTreeMap<String, Vec<u8>>;

/// An array of 32-bit integers, and how it is to be laid out.
#[derive(Debug, Clone)]
struct Layout {
    version: u8,
    shape: Vec<usize>,
    chunk: Vec<usize>,
    /// How many chunks a shard has along each axis; version 3 only.
    shard: Option<Vec<usize>>,
    packing: &'static str,
    turned: bool,
    big: bool,
}

fn value(i: usize) -> i32 {
    // Zeros in stretches, so that some chunks are not written.
    if i / 50 % 3 == 1 { 0 } else { (i as i32).wrapping_mul(-7919) % 1000 }
}

fn pack(packing: &str, bytes: &[u8]) -> Vec<u8> {
    match packing {
        "zstd" => zstd::bulk::compress(bytes, 1).unwrap(),
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "lz4" => [&(bytes.len() as u32).to_le_bytes()[..], &lz4_flex::block::compress(bytes)].concat(),
        _ => bytes.to_vec(),
    }
}

/// All positions below some extents, the last axis running fastest.
fn positions(extents: &[usize]) -> Vec<Vec<usize>> {
    extents.iter().fold(vec![vec![]], |all, &n| {
        all.into_iter().flat_map(|at| (0..n).map(move |i| [&at[..], &[i]].concat())).collect()
    })
}

/// The bytes of a chunk, zeros beyond the array; `None` if there are only zeros.
fn chunk_bytes(layout: &Layout, at: &[usize]) -> Option<Vec<u8>> {
    let axes = layout.shape.len();
    let turned: Vec<usize> =
        if layout.turned { layout.chunk.iter().rev().copied().collect() } else { layout.chunk.clone() };
    let mut any = false;
    let mut bytes = Vec::new();
    for mut within in positions(&turned) {
        if layout.turned {
            within.reverse();
        }
        let global: Vec<usize> = (0..axes).map(|a| at[a] * layout.chunk[a] + within[a]).collect();
        let inside = global.iter().zip(&layout.shape).all(|(g, n)| g < n);
        let flat = global.iter().zip(&layout.shape).fold(0, |flat, (g, n)| flat * n + g);
        let x = if inside { value(flat) } else { 0 };
        any |= x != 0;
        bytes.extend(if layout.big { x.to_be_bytes() } else { x.to_le_bytes() });
    }
    any.then(|| pack(layout.packing, &bytes))
}

fn store(layout: &Layout) -> Files {
    let mut files = Files::new();
    let mut put = |key: &str, json: Json| files.insert(key.to_owned(), json.to_string().into_bytes());
    let file_chunk: Vec<usize> = match &layout.shard {
        Some(per) => layout.chunk.iter().zip(per).map(|(c, p)| c * p).collect(),
        None => layout.chunk.clone(),
    };
    if layout.version == 2 {
        let compressor = if layout.packing == "none" { Json::Null } else { json!({"id": layout.packing}) };
        put(".zgroup", json!({"zarr_format": 2}));
        put(
            "a/.zarray",
            json!({"shape": layout.shape, "chunks": layout.chunk, "dtype": if layout.big { ">i4" } else { "<i4" },
                "fill_value": 0, "order": if layout.turned { "F" } else { "C" }, "filters": null,
                "compressor": compressor, "zarr_format": 2}),
        );
    } else {
        let endian = if layout.big { "big" } else { "little" };
        let mut codecs = vec![json!({"name": "bytes", "configuration": {"endian": endian}})];
        if layout.turned {
            let order: Vec<usize> = (0..layout.shape.len()).rev().collect();
            codecs.insert(0, json!({"name": "transpose", "configuration": {"order": order}}));
        }
        match layout.packing {
            "none" => {}
            "lz4" => codecs.push(json!({"name": "numcodecs.lz4", "configuration": {}})),
            name => codecs.push(json!({"name": name, "configuration": {"level": 1}})),
        }
        if layout.shard.is_some() {
            codecs = vec![json!({"name": "sharding_indexed", "configuration": {
                "chunk_shape": layout.chunk, "codecs": codecs, "index_location": "end",
                "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]}})];
        }
        put("zarr.json", json!({"zarr_format": 3, "node_type": "group", "attributes": {"some": "text"}}));
        put(
            "a/zarr.json",
            json!({"zarr_format": 3, "node_type": "array", "shape": layout.shape, "data_type": "int32",
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": file_chunk}},
                "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
                "fill_value": 0, "codecs": codecs, "attributes": {}}),
        );
    }
    let counts: Vec<usize> = layout.shape.iter().zip(&file_chunk).map(|(n, c)| n.div_ceil(*c)).collect();
    for file in positions(&counts) {
        let words: Vec<String> = file.iter().map(ToString::to_string).collect();
        let name = match (layout.version, words.is_empty()) {
            (2, true) => "a/0".to_owned(),
            (2, false) => format!("a/{}", words.join(".")),
            (_, true) => "a/c".to_owned(),
            (_, false) => format!("a/c/{}", words.join("/")),
        };
        let bytes = match &layout.shard {
            None => chunk_bytes(layout, &file),
            Some(per) => shard_bytes(layout, &file, per),
        };
        if let Some(bytes) = bytes {
            files.insert(name, bytes);
        }
    }
    files
}

fn shard_bytes(layout: &Layout, file: &[usize], per: &[usize]) -> Option<Vec<u8>> {
    let (mut bytes, mut index, mut any) = (Vec::new(), Vec::new(), false);
    for within in positions(per) {
        let at: Vec<usize> = (0..per.len()).map(|a| file[a] * per[a] + within[a]).collect();
        let (start, n) = match chunk_bytes(layout, &at) {
            Some(chunk) => {
                any = true;
                let start = bytes.len() as u64;
                bytes.extend(&chunk);
                (start, chunk.len() as u64)
            }
            None => (u64::MAX, u64::MAX),
        };
        index.extend(start.to_le_bytes());
        index.extend(n.to_le_bytes());
    }
    let sum = crc32c::crc32c(&index);
    bytes.extend(index);
    bytes.extend(sum.to_le_bytes());
    any.then_some(bytes)
}

fn write_folder(files: &Files, folder: &Path) {
    for (key, bytes) in files {
        let path = folder.join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn write_zip(files: &Files, path: &Path, around: &str) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for (i, (key, bytes)) in files.iter().enumerate() {
        let method = if i % 2 == 0 { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{around}{key}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn expected(layout: &Layout, rows: &Range<usize>) -> Numbers {
    let width: usize = layout.shape.iter().skip(1).product();
    Numbers::I32((rows.start * width..rows.end * width).map(value).collect())
}

fn layouts() -> impl Strategy<Value = Layout> {
    let axis = (0_usize..90, 1_usize..40, 1_usize..4);
    let packing = prop_oneof![Just("none"), Just("zstd"), Just("gzip"), Just("lz4")];
    let axes = proptest::collection::vec(axis, 0..4).prop_map(|axes| {
        // Arrays of three axes stay small.
        let most = if axes.len() == 3 { 12 } else { 90 };
        axes.into_iter().map(|(n, c, p)| (n % most, c, p)).collect::<Vec<_>>()
    });
    (2_u8..4, axes, any::<bool>(), packing, any::<bool>(), any::<bool>()).prop_map(
        |(version, axes, sharded, packing, turned, big)| Layout {
            version,
            shape: axes.iter().map(|a| a.0).collect(),
            chunk: axes.iter().map(|a| a.1).collect(),
            shard: (sharded && version == 3).then(|| axes.iter().map(|a| a.2).collect()),
            packing,
            turned: turned && !axes.is_empty(),
            big,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_range_is_exact(layout in layouts(), cuts in proptest::collection::vec((0_usize..90, 0_usize..90), 3)) {
        let folder = tempfile::tempdir().unwrap();
        let files = store(&layout);
        write_folder(&files, &folder.path().join("s.zarr"));
        write_zip(&files, &folder.path().join("s.zip"), "");
        write_zip(&files, &folder.path().join("deeper.zip"), "s.zarr/");
        for name in ["s.zarr", "s.zip", "deeper.zip"] {
            let store = open_store(folder.path().join(name)).unwrap();
            prop_assert_eq!(store.list("").unwrap(), ["a"]);
            let array = store.array("a").unwrap();
            prop_assert_eq!(&array.info().shape, &layout.shape);
            let n = array.info().n_rows();
            let mut ranges: Vec<Range<usize>> =
                cuts.iter().map(|&(a, b)| a.min(b).min(n)..a.max(b).min(n)).collect();
            ranges.push(0..n);
            for rows in &ranges {
                let wanted = expected(&layout, rows);
                prop_assert_eq!(&array.numbers(rows.clone()).unwrap(), &wanted);
                for threads in [1, 3] {
                    let run = Run::new().threads(threads);
                    prop_assert_eq!(&array.numbers_with(&run, rows.clone()).unwrap(), &wanted);
                }
            }
            let rising: Vec<Range<usize>> = (0..n).step_by(7).map(|i| i..(i + 3).min(n)).collect();
            let found = array.numbers_of(&Run::new(), &rising).unwrap();
            prop_assert_eq!(found, rising.iter().map(|rows| expected(&layout, rows)).collect::<Vec<_>>());
            prop_assert!(array.numbers(0..n + 1).is_err());
            prop_assert!(array.texts(0..n).is_err());
        }
    }

    #[test]
    fn damaged_files_are_faults_or_other_numbers(
        layout in layouts(),
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut files = store(&layout);
        let key = which.get(&files.keys().cloned().collect::<Vec<_>>()).clone();
        let bytes = files.get_mut(&key).unwrap();
        let at = at.index(bytes.len().max(1));
        if cut {
            bytes.truncate(at);
        } else if let Some(b) = bytes.get_mut(at) {
            *b = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.zip");
        write_zip(&files, &path, "");
        // Nothing panics, and nothing is read that was not asked for.
        if let Ok(store) = Zarr::open(&path)
            && let Ok(array) = store.array("a")
        {
            let n = array.info().n_rows().min(100);
            if let Ok(numbers) = array.numbers_with(&Run::new(), 0..n) {
                prop_assert_eq!(numbers.len(), n * array.info().width());
            }
        }
    }
}

fn plain() -> Layout {
    Layout {
        version: 3,
        shape: vec![40, 3],
        chunk: vec![16, 3],
        shard: None,
        packing: "zstd",
        turned: false,
        big: false,
    }
}

fn written(files: &Files) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.zarr");
    write_folder(files, &path);
    (folder, path)
}

#[test]
fn claims_that_no_file_supports_are_refused() {
    for (shape, chunk) in [(1_u64 << 40, 1_u64 << 20), (1 << 60, 1), (1 << 33, 1 << 20), (u64::MAX, 8)] {
        let mut files = store(&plain());
        let json = String::from_utf8(files["a/zarr.json"].clone()).unwrap();
        let mut json: Json = serde_json::from_str(&json).unwrap();
        json["shape"] = json!([shape, 3]);
        json["chunk_grid"]["configuration"]["chunk_shape"] = json!([chunk, 3]);
        files.retain(|key, _| !key.starts_with("a/c"));
        files.insert("a/zarr.json".into(), json.to_string().into_bytes());
        let (_folder, path) = written(&files);
        let store = Zarr::open(&path).unwrap();
        if let Ok(array) = store.array("a") {
            let fault = array.numbers_with(&Run::new(), 0..array.info().n_rows()).unwrap_err();
            assert!(fault.to_string().contains("beyond reason"), "{fault}");
        }
    }
}

#[test]
fn chunks_that_grow_beyond_their_size_are_refused() {
    let mut files = store(&plain());
    files.insert("a/c/0/0".into(), zstd::bulk::compress(&vec![0; 1 << 26], 1).unwrap());
    let (_folder, path) = written(&files);
    let fault = Zarr::open(&path).unwrap().array("a").unwrap().numbers(0..16).unwrap_err();
    let words = fault.to_string();
    assert!(words.contains("a/c/0/0") && words.contains("67108864 bytes, expected 192"), "{words}");
}

#[test]
fn what_is_no_store_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let fault = open_store(folder.path()).err().unwrap();
    assert!(fault.way_out().unwrap().contains("zarr.json"), "{fault}");
    let path = folder.path().join("x.zip");
    write_zip(&Files::from([("header.json".into(), b"{}".to_vec())]), &path, "");
    assert!(open_store(&path).is_err());
    fs::write(&path, b"PK\x03\x04 and no more").unwrap();
    assert!(open_store(&path).err().unwrap().to_string().contains("zip"));
    assert!(open_store(folder.path().join("absent")).is_err());
}

#[test]
fn paths_do_not_leave_the_store() {
    let files = store(&plain());
    let (folder, path) = written(&files);
    fs::create_dir_all(folder.path().join("other")).unwrap();
    fs::copy(path.join("a/zarr.json"), folder.path().join("other/zarr.json")).unwrap();
    let store = Zarr::open(&path).unwrap();
    assert_eq!(store.node("../other").unwrap(), None);
    assert_eq!(store.node("a/../a").unwrap(), None);
    assert_eq!(store.node("a").unwrap(), Some(Node::Array));
    assert_eq!(store.array("a").unwrap().info().dtype, Dtype::I32);
}

/// All files of a folder, by key.
fn files_of(folder: &Path) -> Files {
    let mut files = Files::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            files.extend(files_of(&path).into_iter().map(|(key, bytes)| (format!("{name}/{key}"), bytes)));
        } else {
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn studies_come_back_as_they_were() {
    let run = Run::new();
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for name in ["full_gzip_ad013.h5ad", "full_zarr_v2_ad012.zip", "csc_raw_lzf_ad013.h5ad", "empty_ad013.h5ad"] {
        let source = common::golden().join("cells/io").join(name);
        for storage in [Storage::ZSTD, Storage::NONE, Storage::gzip(1)] {
            let out = folder.path().join("out.zarr");
            let options = ConvertOptions { storage, ..ConvertOptions::default() };
            convert(&run, &source, &out, &options).unwrap();
            // As HDF5, straight and by way of Zarr: records have texts of a fixed length in Zarr.
            let words = |input: &Path, name: &str| {
                let h5ad = folder.path().join(name);
                convert(&run, input, &h5ad, &ConvertOptions::default()).unwrap();
                let tree = format!("{:?}", H5ad::open(&h5ad).unwrap().tree(&run).unwrap());
                fs::remove_file(&h5ad).unwrap();
                tree
            };
            assert!(words(&source, "straight.h5ad") == words(&out, "around.h5ad"), "{name}");
            // Once more: taken over from Zarr, and the same bytes.
            let again = folder.path().join("again.zarr");
            convert(&run, &out, &again, &options).unwrap();
            assert_eq!(files_of(&out), files_of(&again), "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, 12);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside");
}

#[test]
fn what_is_not_understood_is_taken_over() {
    let mut files = store(&plain());
    let node = |kind: &str| json!({"zarr_format": 3, "node_type": "group", "attributes": {"encoding-type": kind}});
    files.insert("odd/zarr.json".into(), node("awkward-array").to_string().into_bytes());
    for (key, bytes) in files.clone() {
        if key.starts_with("a/") {
            files.insert(format!("odd/{key}"), bytes);
        }
    }
    let (folder, path) = written(&files);
    let source = Zarr::open(&path).unwrap();
    let out = folder.path().join("out.zarr");
    let sink = NewZarr::create(&out).unwrap();
    assert!(sink.adopt(&source, "odd", "kept").unwrap());
    Box::new(sink).finish().unwrap();
    let kept = files_of(&out.join("kept"));
    let chunks = |files: &Files| {
        files
            .iter()
            .filter(|(k, _)| k.contains("/c/"))
            .map(|(k, v)| (k.rsplit_once("a/").unwrap().1.to_owned(), v.clone()))
            .collect::<Files>()
    };
    assert_eq!(chunks(&kept), chunks(&files_of(&path.join("odd"))));
    let array = Zarr::open(&out).unwrap().array("kept/a").unwrap();
    assert_eq!(array.numbers(0..40).unwrap(), expected(&plain(), &(0..40)));
}
