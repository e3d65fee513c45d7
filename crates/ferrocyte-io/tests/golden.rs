//! Every golden file reads as the reference reader sees it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use common::{files_in, golden};
use ferrocyte_base::Run;
use ferrocyte_data::{Factor, ObsColumn, RowChunks};
use ferrocyte_io::{ColumnData, H5ad, H5mu, Item, Items, Kind, MatrixKind};
use serde_json::Value as Json;

/// The expected content of each .h5ad file that stands beside its list.
fn cases() -> BTreeMap<PathBuf, Json> {
    let folders = ["io", "io_legacy", "io_legacy_more"].map(|name| golden().join("cells").join(name));
    let mut cases = BTreeMap::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        for list in files_in(folder, ".json.gz") {
            let mut text = String::new();
            flate2::read::GzDecoder::new(std::fs::File::open(&list).unwrap()).read_to_string(&mut text).unwrap();
            let expected: Json = serde_json::from_str(&text).unwrap();
            for (name, content) in expected["files"].as_object().unwrap() {
                let path = folder.join(name);
                if path.extension().is_some_and(|e| e == "h5ad" || (cfg!(feature = "zarr") && e == "zip"))
                    && path.exists()
                {
                    cases.insert(path, content["content"].clone());
                }
            }
        }
    }
    assert!(!cases.is_empty(), "no case in {folders:?}");
    cases
}

/// A number of the list; null is NaN.
fn number(json: &Json) -> f64 {
    match json {
        Json::Null => f64::NAN,
        Json::Bool(b) => f64::from(u8::from(*b)),
        Json::String(s) if s == "inf" => f64::INFINITY,
        Json::String(s) if s == "-inf" => f64::NEG_INFINITY,
        other => other.as_f64().unwrap_or_else(|| panic!("{other} is no number")),
    }
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

fn check_column(place: &str, column: &ColumnData, expected: &Json) {
    let dtype = expected["dtype"].as_str().unwrap();
    let values = expected["values"].as_array();
    let check_numbers = |numbers: &[f64], missing: &[bool]| {
        let values = values.unwrap_or_else(|| panic!("{place}: values were expected"));
        assert_eq!(numbers.len(), values.len(), "{place}");
        for (i, value) in values.iter().enumerate() {
            let found = if missing[i] { f64::NAN } else { numbers[i] };
            assert!(same(found, number(value)), "{place}, row {i}: {found} and {value}");
        }
    };
    match column {
        ColumnData::Numbers(numbers) => {
            assert_eq!(numbers.dtype().name(), dtype, "{place}");
            check_numbers(&numbers.to_f64(), &vec![false; numbers.len()]);
        }
        ColumnData::NullableNumbers { values: numbers, missing } => {
            let name = numbers.dtype().name().to_owned();
            let lower = if name == "bool" { "boolean".to_owned() } else { name };
            assert_eq!(lower, dtype.to_lowercase(), "{place}");
            assert_ne!(dtype, numbers.dtype().name(), "{place}: a type of pandas that has missing values");
            check_numbers(&numbers.to_f64(), missing);
        }
        ColumnData::Texts { values: texts, na } => {
            assert_eq!(dtype, if na.is_some() { "str" } else { "object" }, "{place}");
            let values: Vec<Option<&str>> = values.unwrap().iter().map(Json::as_str).collect();
            assert_eq!(texts.iter().map(Option::as_deref).collect::<Vec<_>>(), values, "{place}");
        }
        ColumnData::Categorical { codes, levels, ordered } => {
            assert_eq!(dtype, "category", "{place}");
            assert_eq!(Some(*ordered), expected["ordered"].as_bool(), "{place}");
            let expected_codes: Vec<u32> = expected["codes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| u32::try_from(c.as_i64().unwrap()).unwrap_or(Factor::MISSING))
                .collect();
            assert_eq!(codes, &expected_codes, "{place}");
            let categories = expected["categories"].as_array().unwrap();
            match &**levels {
                ColumnData::Texts { values, .. } => {
                    let names: Vec<Option<&str>> = categories.iter().map(Json::as_str).collect();
                    assert_eq!(values.iter().map(Option::as_deref).collect::<Vec<_>>(), names, "{place}");
                }
                ColumnData::Numbers(numbers) => {
                    let expected: Vec<f64> = categories.iter().map(number).collect();
                    assert_eq!(numbers.to_f64(), expected, "{place}");
                }
                other => panic!("{place}: categories {other:?}"),
            }
        }
    }
}

fn names(json: &Json) -> Vec<&str> {
    json.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect()
}

fn keys(json: &Json) -> Vec<String> {
    let mut keys: Vec<String> = json.as_object().map(|m| m.keys().cloned().collect()).unwrap_or_default();
    keys.sort();
    keys
}

/// All rows, read in blocks of the given length: row by row the columns and values.
fn rows_of(study: &H5ad, element: &str, length: usize) -> Vec<Vec<(usize, f64)>> {
    let run = Run::new();
    let mut matrix = study.matrix(element).unwrap();
    let mut rows = Vec::new();
    for start in (0..matrix.n_rows()).step_by(length) {
        let end = (start + length).min(matrix.n_rows());
        let block = matrix.read(&run, start..end).unwrap();
        assert_eq!(
            (block.start(), block.n_rows(), block.n_cols()),
            (start, end - start, study_columns(study, element))
        );
        rows.extend((0..block.n_rows()).map(|i| block.row(i).collect::<Vec<_>>()));
    }
    rows
}

fn study_columns(study: &H5ad, element: &str) -> usize {
    study.var_names(element).unwrap().len()
}

/// Files whose list of first entries is wrong in the reference data itself. Their rows are stored unsorted, and the
/// list of X pairs the sorted columns with values that were reordered by the inverse of the sorting permutation: it
/// says (0, 10) = 4 where the arrays, scipy, and the second listing of the same matrix (see `unnamed_layer`) have 3.
/// All else of them is compared, and `as_stored` takes the place of the list.
const FIRST_ENTRIES_LISTED_WRONG: [&str; 2] = ["int64_indptr_unsorted_ad012.h5ad", "int64_indptr_unsorted_ad013.h5ad"];

/// The rows of a CSR matrix, paired by hand from its three arrays and sorted by column.
fn as_stored(path: &Path, element: &str) -> Vec<Vec<(usize, f64)>> {
    let read = |name: &str| -> Vec<f64> {
        if path.extension().is_some_and(|ending| ending == "zip") {
            let array = ferrocyte_io::open_store(path).unwrap().array(&format!("{element}/{name}")).unwrap();
            return array.numbers(0..array.info().n_rows()).unwrap().to_f64();
        }
        let group = hdf5_metno::File::open(path).unwrap().group(element).unwrap();
        group.dataset(name).unwrap().read_raw::<f64>().unwrap()
    };
    let (data, indices, pointers) = (read("data"), read("indices"), read("indptr"));
    let entries = |bounds: &[f64]| {
        let mut row: Vec<(usize, f64)> =
            (bounds[0] as usize..bounds[1] as usize).map(|k| (indices[k] as usize, data[k])).collect();
        row.sort_by_key(|entry| entry.0);
        row
    };
    pointers.windows(2).map(entries).collect()
}

fn check_matrix(place: &str, study: &H5ad, element: &str, expected: &Json, listed_wrong: bool) {
    let matrix = study.matrix(element).unwrap();
    assert_eq!(matrix.kind().word(), expected["kind"].as_str().unwrap(), "{place}");
    assert_eq!(matrix.dtype().name(), expected["dtype"].as_str().unwrap(), "{place}");
    let shape = [matrix.n_rows() as u64, matrix.n_cols() as u64];
    assert_eq!(expected["shape"], serde_json::json!(shape), "{place}");
    assert_eq!(matrix.n_stored(), expected["nnz"].as_u64(), "{place}");
    // The reference adds 32-bit floats in 32 bits.
    let tolerance = if matrix.dtype().name() == "float32" { 1e-6 } else { 1e-14 };
    let close = |a: f64, b: f64| same(a, b) || (a - b).abs() <= tolerance * a.abs().max(b.abs());
    let rows = rows_of(study, element, 1_000_000);
    for length in [1, 7] {
        assert_eq!(rows_of(study, element, length), rows, "{place}: blocks of {length} rows");
    }
    let sums: Vec<f64> = rows.iter().map(|r| r.iter().map(|e| e.1).sum()).collect();
    assert!(close(sums.iter().sum(), number(&expected["sum"])), "{place}");
    if let Some(row_sums) = expected["row_sums"].as_array() {
        assert_eq!(sums.len(), row_sums.len(), "{place}");
        assert!(sums.iter().zip(row_sums).all(|(a, b)| close(*a, number(b))), "{place}");
    }
    if matrix.kind() == MatrixKind::Csr {
        assert_eq!(rows, as_stored(Path::new(study.place()), matrix.element()), "{place}");
    }
    if let Some(first) = expected["coo_first"].as_array().filter(|_| !listed_wrong) {
        let found = rows.iter().enumerate().flat_map(|(i, r)| r.iter().map(move |&(j, v)| (i, j, v)));
        let found: Vec<_> = found.take(first.len()).collect();
        let wanted: Vec<_> =
            first.iter().map(|e| (number(&e[0]) as usize, number(&e[1]) as usize, number(&e[2]))).collect();
        if wanted.is_sorted_by_key(|&(i, j, _)| (i, j)) {
            assert_eq!(found, wanted, "{place}");
        }
        // What is stored unsorted is listed unsorted.
        assert!(wanted.iter().all(|&(i, j, v)| rows[i].contains(&(j, v))), "{place}: {wanted:?}");
    }
    if let Some(first) = expected["flat_first"].as_array() {
        for (k, value) in first.iter().enumerate() {
            let (i, j) = (k / shape[1] as usize, k % shape[1] as usize);
            let found = rows[i].iter().find(|e| e.0 == j).map_or(0.0, |e| e.1);
            assert!(same(found, number(value)), "{place}, entry {k}");
        }
    }
}

#[test]
fn data_frames_equal_the_reference() {
    for (path, content) in cases() {
        let study = H5ad::open(&path).unwrap();
        let place = path.display().to_string();
        assert_eq!(content["shape"], serde_json::json!([study.n_obs(), study.n_var()]), "{place}");
        assert_eq!(study.obs_names().unwrap(), names(&content["obs"]["index"]), "{place}");
        assert_eq!(study.var_names("X").unwrap(), names(&content["var"]["index"]), "{place}");
        assert_eq!(study.matrix("X").is_ok(), study.has("X"), "{place}");
        for (table, columns) in [("obs", study.obs_columns()), ("var", study.var_columns())] {
            let expected = content[table]["columns"].as_object().unwrap();
            // The list keeps the order of the file.
            assert_eq!(
                columns.iter().map(|c| c.0.as_str()).collect::<Vec<_>>(),
                expected.keys().collect::<Vec<_>>(),
                "{place}"
            );
            for (name, kind) in &columns {
                let read = if table == "obs" { study.obs_column(name) } else { study.var_column(name) };
                check_column(&format!("{place}: {table}/{name}"), &read.unwrap(), &expected[name]);
                assert!(!kind.to_string().starts_with("unreadable"), "{place}: {table}/{name}");
            }
        }
    }
}

#[test]
fn matrices_equal_the_reference() {
    let mut checked = 0;
    for (path, content) in cases() {
        let study = H5ad::open(&path).unwrap();
        let place = path.display().to_string();
        assert_eq!(study.has("X"), !content["X"].is_null(), "{place}");
        // anndata 0.13 lists X once more, as the layer without a name.
        let mut named = keys(&content["layers"]);
        let unnamed_layer = content["layers"].get("null").filter(|_| !study.has("layers/null"));
        named.retain(|name| name != "null" || unnamed_layer.is_none());
        assert_eq!(study.layers(), named, "{place}");
        if let Some(expected) = unnamed_layer {
            check_matrix(&format!("{place}: X as a layer"), &study, "X", expected, false);
        }
        let listed_wrong = FIRST_ENTRIES_LISTED_WRONG.iter().any(|name| place.ends_with(name));
        let layers = study.layers();
        let expected = layers.iter().map(|l| (l.clone(), &content["layers"][l]));
        let x = ("X".to_owned(), &content["X"]);
        let raw = ("raw/X".to_owned(), &content["raw"]["X"]);
        for (element, expected) in [x, raw].into_iter().chain(expected).filter(|(_, e)| !e.is_null()) {
            check_matrix(&format!("{place}: {element}"), &study, &element, expected, listed_wrong && element == "X");
            checked += 1;
        }
        if !content["raw"].is_null() {
            assert_eq!(study.var_names("raw").unwrap(), names(&content["raw"]["var"]["index"]), "{place}");
        }
        for group in ["obsm", "varm", "obsp", "varp", "uns"] {
            let mut found = study.children(group).unwrap();
            found.sort();
            // Levels of columns stood here before anndata 0.7.
            found.retain(|name| !(group == "uns" && name.ends_with("_categories")));
            assert_eq!(found, keys(&content[group]), "{place}: {group}");
        }
    }
    assert!(checked > 0, "no matrix was compared");
}

#[test]
fn trees_have_all_that_is_listed() {
    for (path, content) in cases() {
        let place = path.display().to_string();
        let tree = H5ad::open(&path).unwrap().tree(&Run::new()).unwrap();
        assert_eq!(tree.x.is_some(), !content["X"].is_null(), "{place}");
        assert_eq!(tree.raw.is_some(), !content["raw"].is_null(), "{place}");
        let names = |items: &Items| {
            let mut names: Vec<String> = items.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            names
        };
        for (group, items) in
            [("obsm", &tree.obsm), ("varm", &tree.varm), ("obsp", &tree.obsp), ("varp", &tree.varp), ("uns", &tree.uns)]
        {
            assert_eq!(names(items), keys(&content[group]), "{place}: {group}");
            for (name, item) in items {
                let expected = content[group][name]["kind"].as_str().unwrap_or_default();
                assert_eq!(word(item), expected, "{place}: {group}/{name}");
            }
        }
    }
}

/// The word of the lists for an item.
fn word(item: &Item) -> &'static str {
    match item {
        Item::Scalar(_) => "scalar",
        Item::Array(array) if array.shape.is_empty() => "scalar",
        Item::Array(_) => "array",
        Item::Sparse(matrix) => matrix.kind.word(),
        Item::Frame(_) => "dataframe",
        Item::Records(_) => "recarray",
        Item::Dict(_) => "dict",
        _ => "",
    }
}

#[test]
fn modalities_are_studies_of_their_own() {
    let path = golden().join("cells/io/two_modalities_ad013.h5mu");
    let study = H5mu::open(&path).unwrap();
    assert_eq!((study.modalities().join(" "), study.axis().unwrap()), ("rna atac".into(), 0));
    let run = Run::new();
    let rna = study.modality("rna").unwrap();
    assert_eq!((rna.n_obs(), rna.n_var()), (64, 46));
    let mut x = rna.matrix("X").unwrap();
    assert_eq!(x.read(&run, 0..3).unwrap().row_sums(), [31.0, 19.0, 37.0]);
    let tree = study.tree(&run).unwrap();
    assert_eq!(tree.mods.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["rna", "atac"]);
    assert_eq!((tree.obs.n_rows(), tree.var.n_rows(), tree.obsmap.len()), (64, 76, 2));
    let elements = study.elements(&run);
    let shape = |path: &str| elements.iter().find(|e| e.path == path).map(|e| e.shape.clone());
    assert_eq!(shape("mod/atac/X").as_deref(), Some("55 x 30"));
    assert_eq!(shape("obsmap/atac").as_deref(), Some("64"));
    let words = |name: &str| Kind::of(golden().join("cells").join(name)).unwrap().word();
    assert_eq!((words("io/one_modality_ad012.h5mu"), words("io/noX_ad012.h5ad")), ("h5mu", "h5ad"));
    assert_eq!((words("io_legacy/tenx_v2_filtered.h5"), words("io_legacy/tenx_v3_filtered.h5")), ("10x h5", "10x h5"));
    assert_eq!((words("io_legacy/tenx_v3_mtx"), words("io/full_zarr_v3_ad013.zip")), ("10x folder", "zarr zip"));
}

#[test]
fn what_is_odd_is_told() {
    let note = |name: &str| {
        let elements = open(&format!("cells/{name}")).elements(&Run::new());
        elements.into_iter().map(|e| format!("{}: {}", e.path, e.note)).collect::<Vec<_>>().join("\n")
    };
    assert!(note("io/int64_indptr_unsorted_ad012.h5ad").contains("X: looks like counts; 61 of 64 rows unsorted"));
    let doubled = note("io/explicit_zeros_dups_ad012.h5ad");
    assert!(doubled.contains("zeros stored"), "{doubled}");
    let old = note("io_legacy/anndata_v0.5.0_small.h5ad");
    assert!(old.contains("obs: records, as anndata before 0.7 wrote them"), "{old}");
    assert!(note("io_legacy/anndata_v0.7.0.h5ad").contains("obs: as anndata 0.7 wrote it"));
}

#[test]
fn a_model_sees_numbers_and_factors() {
    let study = open("cells/io/full_gzip_ad013.h5ad");
    let obs = study.obs(&["stage", "flag", "bool_na", "int_na", "celltype_na", "f64_nan"]).unwrap();
    assert_eq!(obs.factor("stage").unwrap().levels, ["early", "mid", "late"]);
    for truth in ["flag", "bool_na"] {
        assert_eq!(obs.factor(truth).unwrap().levels, ["FALSE", "TRUE"]);
    }
    assert_eq!(obs.factor("bool_na").unwrap().codes.get(0), Factor::MISSING);
    assert_eq!(obs.factor("celltype_na").unwrap().codes.get(0), Factor::MISSING);
    let Some(ObsColumn::Number(numbers)) = obs.get("int_na") else { panic!("integers are numbers") };
    assert!(numbers[0].is_nan() && numbers[1] == 1.0);
    let Some(ObsColumn::Factor(ids)) = study.var(&["gene_ids"]).unwrap().get("gene_ids").cloned() else {
        panic!("texts are a factor")
    };
    assert!(ids.levels.is_sorted());
    assert_eq!(study.obs_if_present(&["donor", "sample"]).unwrap().names(), ["sample"]);
}

#[test]
fn unknown_names_come_with_near_ones() {
    let study = open("cells/io/full_gzip_ad012.h5ad");
    let fault = study.obs(&["Sample"]).err().unwrap();
    assert!(fault.to_string().ends_with("obs: there is no column `Sample`"), "{fault}");
    assert!(fault.way_out().unwrap().contains("`sample`"));
    let fault = study.matrix("count").err().unwrap();
    assert!(fault.to_string().ends_with("there is no matrix `count`"), "{fault}");
    assert!(fault.way_out().unwrap().contains("`layers/counts`"));
    assert!(study.matrix("raw").is_err_and(|f| f.kind() == ferrocyte_base::Kind::MissingKey));
    assert!(study.has("uns/nested/params") && !study.has("uns/log1p") && !study.has("uns/absent/deeper"));
}

#[test]
fn the_description_names_what_is_there() {
    let study = open("cells/io/full_gzip_ad013.h5ad");
    let elements = study.elements(&Run::new());
    let find = |path: &str| elements.iter().find(|e| e.path == path).unwrap_or_else(|| panic!("no {path}"));
    let x = find("X");
    assert_eq!(
        (x.kind.as_str(), x.dtype.as_str(), x.shape.as_str(), x.stored),
        ("csr", "float32", "64 x 46", Some(353))
    );
    assert_eq!((x.compression.as_str(), x.note.as_str()), ("gzip", "looks like counts"));
    assert_eq!(find("obs/sample").kind, "category, 3 levels");
    assert_eq!(find("obs/stage").kind, "ordered category, 3 levels");
    assert_eq!(find("obs/int_na").kind, "Int64");
    assert_eq!(find("uns/nested").encoding, "dict 0.1.0");
    assert_eq!(find("obsm/X_pca").shape, "64 x 6");
    assert_eq!(study.describe(&Run::new()).n_rows(), elements.len());
}

#[test]
fn fingerprints_depend_on_content_only() {
    // The same study, written by two generations of writers, compressed and not, as HDF5 and as Zarr.
    let of = |name: &str| open(&format!("cells/io/{name}.h5ad")).fingerprint(&Run::new(), "X").unwrap();
    let gzip = of("full_gzip_ad012");
    assert_eq!(gzip, of("full_gzip_ad013"));
    assert_eq!(gzip, of("nocompress_ad012"));
    #[cfg(feature = "zarr")]
    for name in ["full_zarr_v2_ad012.zip", "full_zarr_v3_ad013.zip"] {
        let zarr = open(&format!("cells/io/{name}")).fingerprint(&Run::new(), "X").unwrap();
        assert_eq!(gzip, zarr, "{name}");
    }
    assert!(gzip.starts_with("csr float32 64 x 46, 353 stored, sample "), "{gzip}");
    assert_ne!(gzip, of("explicit_zeros_dups_ad012"));
    assert!(of("dense_chunked_ad012").starts_with("array float64 64 x 46, sample "));
}

#[test]
fn plugin_filters_are_read_or_refused_by_name() {
    let list = std::fs::read_to_string(golden().join("cells/edge/edge.json")).unwrap();
    // The list has numbers that JSON lacks.
    let plain = ["-Infinity", "Infinity", "NaN"].iter().fold(list, |list, word| list.replace(word, "null"));
    let edge: Json = serde_json::from_str(&plain).unwrap();
    let counts: Vec<Vec<f64>> = edge["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(number).collect())
        .collect();
    let mut checked = 0;
    for path in files_in(&golden().join("cells/edge"), ".h5ad") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(filter) = name.strip_prefix("filter_") else { continue };
        let study = H5ad::open(&path).unwrap();
        checked += 1;
        if !cfg!(feature = "filters") {
            let fault = study.matrix("X").err().unwrap();
            assert_eq!(fault.kind(), ferrocyte_base::Kind::Unsupported, "{fault}");
            let words = fault.to_string();
            assert!(words.contains(&format!("({filter})")) && words.contains("X/data"), "{words}");
            continue;
        }
        let mut x = study.matrix("X").unwrap();
        assert_eq!(x.compression(), filter);
        let block = x.read(&Run::new(), 0..counts.len()).unwrap();
        for (i, expected) in counts.iter().enumerate() {
            let mut found = vec![0.0; expected.len()];
            block.row(i).for_each(|(j, value)| found[j] = value);
            assert_eq!(&found, expected, "{name}, cell {i}");
        }
        // The library's way, through the filters that were registered with it.
        let store = ferrocyte_io::open_store(&path).unwrap();
        let data = store.array("X/data").unwrap();
        let all = 0..data.info().n_rows();
        assert_eq!(data.numbers(all.clone()).unwrap(), data.numbers_with(&Run::new(), all).unwrap(), "{name}");
    }
    assert!(checked > 0, "no file was looked at");
}

fn open(path: &str) -> H5ad {
    H5ad::open(Path::new(&golden().join(path))).unwrap()
}
