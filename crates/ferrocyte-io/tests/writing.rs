//! What is written as .h5ad comes back to the last bit, has the same bytes whenever it is the same, and is complete or
//! absent.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::path::Path;

use ferrocyte_base::{Column, Kind, Result, Run, Table};
use ferrocyte_data::{Factor, Frame, ObsColumn, RowBlock, RowChunks, Values};
use ferrocyte_io::{
    Annotation, ColumnData, H5ad, H5adOptions, H5adWriter, MatrixType, Numbers, Packing, Storage, write_h5ad,
};

const STORAGES: [Storage; 5] = [
    Storage::NONE,
    Storage::gzip(1),
    Storage { packing: Packing::Gzip(1), shuffle: false },
    Storage::gzip(9),
    Storage { packing: Packing::Lzf, shuffle: true },
];

/// Rows of 0 to 40 values of which some are not whole, made from their position alone.
struct Made {
    n_rows: usize,
    whole: bool,
}

const N_COLS: usize = 300;

impl Made {
    fn row(&self, i: usize) -> Vec<(u32, f64)> {
        let n = (i * 7919) % 41;
        (0..n)
            .map(|k| ((k * 7 + i % 7) as u32, ((i * 31 + k * 17) % 97) as f64 + if self.whole { 1.0 } else { 0.25 }))
            .collect()
    }
}

impl RowChunks for Made {
    fn n_rows(&self) -> usize {
        self.n_rows
    }
    fn n_cols(&self) -> usize {
        N_COLS
    }
    fn n_stored(&self) -> Option<u64> {
        Some(20 * self.n_rows as u64)
    }
    fn name(&self) -> String {
        "made".to_owned()
    }
    fn read(&mut self, _: &Run, rows: std::ops::Range<usize>) -> Result<RowBlock<'_>> {
        let (mut pointers, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for i in rows.clone() {
            for (column, value) in self.row(i) {
                indices.push(column);
                values.push(value as f32);
            }
            pointers.push(indices.len());
        }
        RowBlock::new(rows.start, N_COLS, pointers, Cow::Owned(indices), Values::F32(Cow::Owned(values)))
    }
}

fn names(stem: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{stem}{i}")).collect()
}

fn plain(n_rows: usize) -> (Annotation, Annotation) {
    (Annotation::new(names("c", n_rows)), Annotation::new(names("g", N_COLS)))
}

fn same_rows(path: &Path, made: &Made) {
    let run = Run::new();
    let mut matrix = H5ad::open(path).unwrap().matrix("X").unwrap();
    assert_eq!((matrix.n_rows(), matrix.n_cols()), (made.n_rows, N_COLS));
    let block = matrix.read(&run, 0..made.n_rows).unwrap();
    for i in 0..made.n_rows {
        let expected: Vec<(usize, f64)> = made.row(i).into_iter().map(|(c, v)| (c as usize, v)).collect();
        assert_eq!(block.row(i).collect::<Vec<_>>(), expected, "row {i}");
    }
}

#[test]
fn rows_come_back_in_every_storage_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new().threads(2);
    // No rows; less than a chunk; several batches of chunks.
    for n_rows in [0, 1, 50, 9_000] {
        for storage in STORAGES {
            for values in [MatrixType::F32, MatrixType::F64, MatrixType::I32] {
                if n_rows > 50 && values != MatrixType::F32 {
                    continue;
                }
                let path = folder.path().join("a.h5ad");
                let mut made = Made { n_rows, whole: values == MatrixType::I32 };
                let (obs, var) = plain(n_rows);
                write_h5ad(&run, &path, &mut made, &obs, &var, H5adOptions { values, storage }).unwrap();
                same_rows(&path, &made);
                let file = H5ad::open(&path).unwrap();
                assert_eq!(file.obs_names().unwrap(), names("c", n_rows));
                assert_eq!(file.var_names("X").unwrap(), names("g", N_COLS));
            }
        }
    }
}

#[test]
fn fingerprints_depend_neither_on_storage_nor_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5ad");
    // Stretches that overlap, that share chunks, that are far apart; read beside the library or by it, at once or not.
    for n_rows in [0, 50, 9_000, 20_000] {
        let mut found = Vec::new();
        for storage in STORAGES {
            let (obs, var) = plain(n_rows);
            let options = H5adOptions { values: MatrixType::F32, storage };
            write_h5ad(&Run::new(), &path, &mut Made { n_rows, whole: false }, &obs, &var, options).unwrap();
            let file = H5ad::open(&path).unwrap();
            found.extend([1, 3].map(|threads| file.fingerprint(&Run::new().threads(threads), "X").unwrap()));
        }
        assert!(found.iter().all(|f| f == &found[0]), "{found:?}");
    }
}

#[test]
fn bytes_depend_on_content_alone() {
    let folder = tempfile::tempdir().unwrap();
    let made = Made { n_rows: 300_000, whole: true };
    let write = |name: &str, threads: usize, step: usize| {
        let run = Run::new().threads(threads);
        let path = folder.path().join(name);
        let mut made = Made { ..made };
        let (obs, var) = plain(made.n_rows);
        let obs = obs.with("even", ColumnData::Numbers(Numbers::Bool((0..made.n_rows).map(|i| i % 2 == 0).collect())));
        let mut writer = H5adWriter::create(&run, &path, &obs, &var, H5adOptions::default()).unwrap();
        let mut start = 0;
        while start < made.n_rows {
            let end = (start + step).min(made.n_rows);
            writer.append(&run, &made.read(&run, start..end).unwrap()).unwrap();
            start = end;
        }
        writer.finish(&run).unwrap();
        std::fs::read(path).unwrap()
    };
    let first = write("a.h5ad", 1, 10_000);
    // A clock that counts seconds has moved on.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for (threads, step) in [(1, 10_000), (2, 300_000), (3, 777)] {
        assert!(write("b.h5ad", threads, step) == first, "{threads} threads, {step} rows at a time");
    }
}

#[test]
fn every_kind_of_column_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5ad");
    let run = Run::new();
    let text = |values: [&str; 3]| values.map(|t| Some(t.to_owned())).to_vec();
    let levels =
        |n: usize| Box::new(ColumnData::Texts { values: names("é", n).into_iter().map(Some).collect(), na: None });
    let columns = [
        ("f64", ColumnData::Numbers(Numbers::F64(vec![0.1, f64::NAN, -0.0]))),
        ("f32", ColumnData::Numbers(Numbers::F32(vec![0.1, f32::INFINITY, 1e-40]))),
        ("i64", ColumnData::Numbers(Numbers::I64(vec![i64::MIN, 0, i64::MAX]))),
        ("u8", ColumnData::Numbers(Numbers::U8(vec![0, 1, 255]))),
        ("bool", ColumnData::Numbers(Numbers::Bool(vec![true, false, true]))),
        ("text", ColumnData::Texts { values: text(["", "Zellen mit Ü", "a\tb"]), na: None }),
        (
            "gone",
            ColumnData::Texts {
                values: vec![Some("a".into()), None, Some(String::new())],
                na: Some(ferrocyte_io::NaValue::Nan),
            },
        ),
        ("na", ColumnData::Texts { values: text(["a", "b", "c"]), na: Some(ferrocyte_io::NaValue::Na) }),
        ("few", ColumnData::Categorical { codes: vec![1, Factor::MISSING, 0], levels: levels(3), ordered: true }),
        ("many", ColumnData::Categorical { codes: vec![300, 0, 128], levels: levels(301), ordered: false }),
        (
            "masked",
            ColumnData::NullableNumbers { values: Numbers::I32(vec![1, 2, 3]), missing: vec![true, false, false] },
        ),
        (
            "flags",
            ColumnData::NullableNumbers { values: Numbers::Bool(vec![true; 3]), missing: vec![false, true, false] },
        ),
    ];
    let obs = columns.iter().fold(Annotation::new(names("c", 3)), |a, (name, c)| a.with(*name, c.clone()));
    let mut frame = Frame::new(2);
    frame.insert("x", ObsColumn::Number(vec![1.5, -2.0])).unwrap();
    frame.insert("f", ObsColumn::Factor(Factor::from_texts([Some("b"), None]))).unwrap();
    let var = Annotation::of(names("g", 2), &frame);
    let table =
        Table::new("truth").with(Column::text("gene", "", vec!["g0".into()])).with(Column::int("n", "", "", vec![7]));
    let mut writer = H5adWriter::create(&run, &path, &obs, &var, H5adOptions::default()).unwrap();
    writer.uns(&run, "truth", &table).unwrap();
    writer
        .append(&run, &RowBlock::new(0, 2, vec![0; 4], Cow::Owned(vec![]), Values::F32(Cow::Owned(vec![]))).unwrap())
        .unwrap();
    writer.finish(&run).unwrap();

    let file = H5ad::open(&path).unwrap();
    let found: Vec<String> = file.obs_columns().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, columns.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, expected) in &columns {
        // NaN differs from itself, so the texts of both are compared.
        assert_eq!(format!("{:?}", file.obs_column(name).unwrap()), format!("{expected:?}"), "{name}");
    }
    assert_eq!(file.var(&["x", "f"]).unwrap(), frame);
    assert!(file.has("uns/truth/gene") && file.has("uns/truth/n"));
}

#[test]
fn a_file_that_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5ad");
    std::fs::write(&path, b"what stood there").unwrap();
    let run = Run::new();
    let (obs, var) = plain(10);
    let start = || H5adWriter::create(&run, &path, &obs, &var, H5adOptions::default()).unwrap();
    drop(start());
    let mut made = Made { n_rows: 10, whole: true };
    let mut writer = start();
    writer.append(&run, &made.read(&run, 0..4).unwrap()).unwrap();
    let fault = writer.append(&run, &made.read(&run, 5..6).unwrap()).unwrap_err();
    assert!(fault.to_string().contains("X: rows 5..6 of 300 columns, expected rows from 4 up to 10"), "{fault}");
    let fault = writer.finish(&run).unwrap_err();
    assert!(fault.to_string().ends_with("a.h5ad: X: 4 rows came, expected 10"), "{fault}");
    assert_eq!(std::fs::read(&path).unwrap(), b"what stood there");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_written_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run::new();
    let path = folder.path().join("a.h5ad");
    let (obs, var) = plain(1);
    let with = |values: MatrixType, x: f64| {
        let options = H5adOptions { values, ..H5adOptions::default() };
        let mut writer = H5adWriter::create(&run, &path, &obs, &var, options).unwrap();
        let block =
            RowBlock::new(0, N_COLS, vec![0, 1], Cow::Owned(vec![5]), Values::F64(Cow::Owned(vec![x]))).unwrap();
        writer.append(&run, &block).map_err(|f| f.to_string())
    };
    assert!(with(MatrixType::F64, 0.1).is_ok() && with(MatrixType::F32, 0.5).is_ok());
    assert!(
        with(MatrixType::F32, 0.1)
            .unwrap_err()
            .ends_with("X: row 0, column 5: 0.1 cannot be stored exactly among 32-bit floats")
    );
    for x in [0.5, 3e9, f64::NAN] {
        assert!(with(MatrixType::I32, x).unwrap_err().contains("among 32-bit integers"), "{x}");
    }
    let refused = |path: &Path, obs: &Annotation| {
        H5adWriter::create(&run, path, obs, &var, H5adOptions::default()).map(|_| ()).unwrap_err()
    };
    let numbers = |n: usize| ColumnData::Numbers(Numbers::F64(vec![0.0; n]));
    let cases = [
        (obs.clone().with("a/b", numbers(1)), "cannot be the name"),
        (obs.clone().with("a", numbers(2)), "2 values for 1 rows"),
        (obs.clone().with("a", numbers(1)).with("a", numbers(1)), "two columns `a`"),
        (obs.clone().with("_index", numbers(1)), "two columns `_index`"),
        (
            obs.clone().with("f", ColumnData::NullableNumbers { values: Numbers::F64(vec![0.0]), missing: vec![true] }),
            "floats with a mask",
        ),
    ];
    for (obs, words) in cases {
        assert!(refused(&path, &obs).to_string().contains(words), "{words}");
    }
    assert_eq!(refused(folder.path(), &obs).kind(), Kind::BadFile);
    assert!(refused(&folder.path().join("no/a.h5ad"), &obs).to_string().contains("its folder does not exist"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
