//! What is wrong with a file is told in a sentence that names file, element and row.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::{Sparse, Storage, golden, mark, new_file, set_text, text, write_1d, write_frame, write_sparse};
use ferrocyte_base::{Fault, Kind, Run};
use ferrocyte_data::RowChunks;
use ferrocyte_io::H5ad;
use hdf5_metno as hdf5;
use hdf5_metno::types::VarLenUnicode;

/// Three rows of two values each, 4 columns.
fn example() -> Sparse {
    Sparse {
        n_major: 3,
        n_minor: 4,
        pointers: vec![0, 2, 4, 6],
        indices: vec![0, 1, 1, 2, 2, 3],
        values: vec![1, 2, 3, 4, 5, 6],
    }
}

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("study.h5ad")
    }

    /// A file with the matrix, then changed.
    fn file(&self, matrix: &Sparse, by_rows: bool, change: impl FnOnce(&hdf5::File)) -> PathBuf {
        let (n_obs, n_var) = if by_rows { (3, 4) } else { (4, 3) };
        let file = new_file(&self.path(), n_obs, n_var);
        write_sparse(&file, "X", matrix, by_rows, "f32", (false, true), Storage::Gzip);
        change(&file);
        drop(file);
        self.path()
    }
}

/// The first fault of opening a file and reading its X.
fn fault_of(path: &Path) -> Fault {
    let read = || -> ferrocyte_base::Result<()> {
        let mut x = H5ad::open(path)?.matrix("X")?;
        let rows = 0..x.n_rows();
        x.read(&Run::new(), rows).map(|_| ())
    };
    read().err().unwrap_or_else(|| panic!("{} was read without a fault", path.display()))
}

fn expect(fault: &Fault, kind: Kind, words: &[&str]) {
    assert_eq!(fault.kind(), kind, "{fault}");
    for word in words {
        assert!(fault.to_string().contains(word), "`{word}` is not in: {fault}");
    }
}

#[test]
fn what_is_no_file_of_ours_is_told_apart() {
    let scratch = Scratch::new();
    let folder = scratch.folder.path();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).unwrap();
        H5ad::open(folder.join(name)).err().unwrap()
    };
    expect(&H5ad::open(folder.join("none.h5ad")).err().unwrap(), Kind::BadFile, &["none.h5ad: there is no such file"]);
    expect(&H5ad::open(folder).err().unwrap(), Kind::BadFile, &["a folder, expected an .h5ad file"]);
    expect(&write("a.h5ad", b""), Kind::BadFile, &["a.h5ad: not an HDF5 file (0 bytes)"]);
    let zipped = write("b.h5ad", b"\x1f\x8b\x08\x00 and so on");
    expect(&zipped, Kind::BadFile, &["not an HDF5 file"]);
    assert!(zipped.way_out().unwrap().contains("gzip"));
    std::fs::write(folder.join("zarr.json"), b"{}").unwrap();
    let kind = if cfg!(feature = "zarr") { Kind::BadFile } else { Kind::Unsupported };
    expect(&H5ad::open(folder).err().unwrap(), kind, &["zarr"]);
}

#[test]
fn truncated_files_are_told() {
    let scratch = Scratch::new();
    let whole = std::fs::read(golden().join("cells/io/full_gzip_ad012.h5ad")).unwrap();
    for share in [0.01, 0.1, 0.5, 0.9, 0.999] {
        std::fs::write(scratch.path(), &whole[..(whole.len() as f64 * share) as usize]).unwrap();
        let fault = H5ad::open(scratch.path()).err().unwrap();
        expect(&fault, Kind::BadFile, &["study.h5ad", "truncated"]);
    }
}

#[test]
fn no_flipped_byte_panics() {
    let scratch = Scratch::new();
    let whole = std::fs::read(golden().join("cells/io/nocompress_ad012.h5ad")).unwrap();
    let run = Run::new();
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(scratch.path(), &bytes).unwrap();
        // Either it reads (the byte meant nothing, or a value), or it says what is wrong.
        let read = || -> ferrocyte_base::Result<()> {
            let study = H5ad::open(scratch.path())?;
            study.obs_names()?;
            study.obs(&["flag"])?;
            study.elements(&run);
            let mut x = study.matrix("X")?;
            let rows = 0..x.n_rows();
            x.read(&run, rows).map(|_| ())
        };
        if let Err(fault) = read() {
            assert_ne!(fault.kind(), Kind::Internal, "byte {at}: {fault}");
            assert!(fault.to_string().contains("study.h5ad"), "byte {at}: {fault}");
        }
    }
}

#[test]
fn a_file_that_is_being_written_is_told() {
    let scratch = Scratch::new();
    let path = scratch.file(&example(), true, |_| {});
    let writer = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    writer.lock().unwrap();
    expect(&H5ad::open(&path).err().unwrap(), Kind::BadFile, &["another program has the file open for writing"]);
    writer.unlock().unwrap();
    assert!(H5ad::open(&path).is_ok());
}

#[test]
fn damaged_rows_are_named() {
    let scratch = Scratch::new();
    let mut falls = example();
    falls.pointers = vec![0, 4, 2, 6];
    expect(
        &fault_of(&scratch.file(&falls, true, |_| {})),
        Kind::BadFile,
        &["study.h5ad: X, rows 0..3: row 1: its pointers fall from 4 to 2"],
    );
    let mut beyond = example();
    beyond.indices[4] = 9;
    expect(
        &fault_of(&scratch.file(&beyond, true, |_| {})),
        Kind::BadFile,
        &["X, rows 0..3: row 2: column index 9, but there are 4 columns"],
    );
    let mut short = example();
    short.pointers = vec![0, 2, 4, 5];
    expect(
        &fault_of(&scratch.file(&short, true, |_| {})),
        Kind::BadFile,
        &["study.h5ad: X: `indptr` runs from 0 to 5, but 6 values are stored"],
    );
    let mut wild = example();
    wild.pointers = vec![0, 2, 400, 6];
    expect(&fault_of(&scratch.file(&wild, true, |_| {})), Kind::BadFile, &["row 2: its pointers fall"]);
}

#[test]
fn damaged_columns_are_named() {
    let scratch = Scratch::new();
    let mut beyond = example();
    beyond.indices[4] = 9;
    expect(
        &fault_of(&scratch.file(&beyond, false, |_| {})),
        Kind::BadFile,
        &["X, rows 0..4: column 2: row index 9, but there are 4 rows"],
    );
    let mut falls = example();
    falls.pointers = vec![0, 4, 2, 6];
    expect(&fault_of(&scratch.file(&falls, false, |_| {})), Kind::BadFile, &["X: column 1: its pointers fall"]);
}

#[test]
fn lengths_that_do_not_match_are_told() {
    let scratch = Scratch::new();
    let path = scratch.file(&example(), true, |file| {
        let group = file.group("X").unwrap();
        group.unlink("indices").unwrap();
        write_1d(&group, "indices", &[0_i32, 1, 1], Storage::Contiguous);
    });
    expect(&fault_of(&path), Kind::BadFile, &["X: 6 values in `data`, but 3 in `indices`"]);
    let path = scratch.file(&example(), true, |file| {
        let group = file.group("X").unwrap();
        group.unlink("indptr").unwrap();
        write_1d(&group, "indptr", &[0_i32, 6], Storage::Contiguous);
    });
    expect(&fault_of(&path), Kind::BadFile, &["`indptr` has 2 entries, expected 3 + 1, one more than rows"]);
    let path = scratch.file(&example(), true, |file| {
        file.unlink("obs").unwrap();
        write_frame(file, "obs", 7, "c");
    });
    expect(&fault_of(&path), Kind::BadFile, &["X: 3 x 4 values, but there are 7 cells and 4 genes"]);
    let path = scratch.file(&example(), true, |file| file.group("X").unwrap().unlink("data").unwrap());
    expect(&fault_of(&path), Kind::BadFile, &["study.h5ad: X/data: cannot be opened"]);
}

#[test]
fn unknown_encodings_are_named() {
    let scratch = Scratch::new();
    let path = scratch.file(&example(), true, |file| {
        let group = file.group("X").unwrap();
        group.delete_attr("encoding-version").unwrap();
        set_text(&group, "encoding-version", "9.0");
    });
    expect(&fault_of(&path), Kind::Unsupported, &["X: encoding `csr_matrix` version `9.0` is not read as a matrix"]);
    let path = scratch.file(&example(), true, |file| {
        let obs = file.group("obs").unwrap();
        obs.delete_attr("column-order").unwrap();
        let names = [text("odd"), text("old")];
        obs.new_attr::<VarLenUnicode>().shape(2).create("column-order").unwrap().write(&names[..]).unwrap();
        let odd = obs.create_group("odd").unwrap();
        mark(&odd, "interval-array", "0.1.0");
        // anndata 0.7 kept the levels of a categorical elsewhere, behind a reference.
        write_1d(&obs, "old", &[0_i8, 1, 0], Storage::Contiguous);
        write_1d(&obs, "levels", &[text("a"), text("b")], Storage::Contiguous);
        let reference = obs.reference::<hdf5::ObjectReference1>("levels").unwrap();
        let old = obs.dataset("old").unwrap();
        old.new_attr::<hdf5::ObjectReference1>().create("categories").unwrap().write_scalar(&reference).unwrap();
    });
    let study = H5ad::open(&path).unwrap();
    let fault = study.obs(&["odd"]).err().unwrap();
    expect(&fault, Kind::Unsupported, &["study.h5ad: obs/odd: encoding `interval-array` version `0.1.0`"]);
    let fault = study.obs(&["old"]).err().unwrap();
    expect(&fault, Kind::Unsupported, &["obs/old: categories kept as an object reference"]);
    let kinds = study.obs_columns();
    assert!(kinds.iter().all(|(_, kind)| kind.to_string().starts_with("unreadable: ")), "{kinds:?}");
}

#[test]
fn compound_data_frames_are_refused() {
    let scratch = Scratch::new();
    let path = scratch.file(&example(), true, |file| {
        file.unlink("obs").unwrap();
        file.new_dataset_builder().with_data(&[0_i32, 1, 2]).create("obs").unwrap();
    });
    expect(&fault_of(&path), Kind::Unsupported, &["study.h5ad: obs: a compound array"]);
}

#[test]
fn damaged_compressed_data_name_the_array() {
    let scratch = Scratch::new();
    let path = scratch.path();
    let n = 5000;
    let mut matrix = Sparse { n_major: n, n_minor: 3, pointers: vec![0], indices: Vec::new(), values: Vec::new() };
    for i in 0..n {
        matrix.indices.push(i % 3);
        matrix.values.push((i * i % 1009) as i32);
        matrix.pointers.push(i + 1);
    }
    let file = new_file(&path, n, 3);
    write_sparse(&file, "X", &matrix, true, "f32", (false, false), Storage::Gzip);
    let chunk = file.dataset("X/data").unwrap().chunk_info(20).unwrap();
    drop(file);
    let mut bytes = std::fs::read(&path).unwrap();
    for byte in &mut bytes[chunk.addr as usize..(chunk.addr + chunk.size) as usize] {
        *byte = 0xff;
    }
    std::fs::write(&path, bytes).unwrap();
    expect(
        &fault_of(&path),
        Kind::BadFile,
        &["study.h5ad: X, rows 0..5000: X/data: chunk 20: it cannot be decompressed"],
    );
    // The rows before it are sound.
    let mut x = H5ad::open(&path).unwrap().matrix("X").unwrap();
    assert!(x.read(&Run::new(), 0..200).is_ok());
}
