//! What is wrong with a file is told in a sentence that names file, element and row.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::path::{Path, PathBuf};

use common::{Sparse, Storage, golden, mark, new_file, set_text, text, write_1d, write_frame, write_sparse};
use ferrocyte_base::{Fault, Kind, Run};
use ferrocyte_data::RowChunks;
use ferrocyte_io::{H5ad, H5mu, Item};
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
            study.tree(&run)?;
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
        write_1d(&obs, "old", &[0_i8, 2, 0], Storage::Contiguous);
        refer(&obs, "old", "levels");
    });
    let study = H5ad::open(&path).unwrap();
    let fault = study.obs(&["odd"]).err().unwrap();
    expect(&fault, Kind::Unsupported, &["study.h5ad: obs/odd: encoding `interval-array` version `0.1.0`"]);
    let fault = study.obs(&["old"]).err().unwrap();
    expect(&fault, Kind::BadFile, &["study.h5ad: obs/old: row 1 has code 2, but there are 2 categories"]);
    let kinds: Vec<String> = study.obs_columns().iter().map(|(_, kind)| kind.to_string()).collect();
    assert!(kinds[0].starts_with("unreadable: ") && kinds[1] == "category, 2 levels", "{kinds:?}");
}

/// Levels `a` and `b` behind a reference from a column of codes.
fn refer(frame: &hdf5::Group, column: &str, levels: &str) {
    write_1d(frame, levels, &[text("a"), text("b")], Storage::Contiguous);
    let reference = frame.reference::<hdf5::ObjectReference1>(levels).unwrap();
    let codes = frame.dataset(column).unwrap();
    codes.new_attr::<hdf5::ObjectReference1>().create("categories").unwrap().write_scalar(&reference).unwrap();
}

#[test]
fn arrays_that_are_no_data_frames_are_told() {
    let scratch = Scratch::new();
    let path = scratch.file(&example(), true, |file| {
        file.unlink("obs").unwrap();
        file.new_dataset_builder().with_data(&[0_i32, 1, 2]).create("obs").unwrap();
    });
    let words = "study.h5ad: obs: a data frame was expected, found an array of int32 of shape [3]";
    expect(&fault_of(&path), Kind::BadFile, &[words]);
}

/// The fault of reading all of a changed file.
fn fault_of_all(run: &Run, change: impl FnOnce(&hdf5::File)) -> Fault {
    let scratch = Scratch::new();
    let path = scratch.file(&example(), true, change);
    let read = H5ad::open(&path).and_then(|study| study.tree(run));
    read.err().unwrap_or_else(|| panic!("it was read without a fault"))
}

#[test]
fn links_that_form_circles_end() {
    let fault = fault_of_all(&Run::new(), |file| {
        let uns = file.create_group("uns").unwrap();
        uns.create_group("inner").unwrap();
        uns.link_hard("/uns", "inner/again").unwrap();
    });
    expect(&fault, Kind::BadFile, &["study.h5ad: uns/inner/again/inner", "deeper than 64"]);
    let fault = fault_of_all(&Run::new(), |file| {
        file.create_group("uns").unwrap();
        // Not a circle, but every group is reached by two links: 2^60 paths.
        let mut path = "uns".to_owned();
        for depth in 0..60 {
            file.create_group(&format!("{path}/a")).unwrap();
            file.group(&path).unwrap().link_hard(&format!("/{path}/a"), "b").unwrap();
            path = format!("{path}/a");
            assert!(depth < 60);
        }
    });
    expect(&fault, Kind::BadFile, &["more than 131072 elements, or 2048 that lie deep"]);
}

#[test]
fn sizes_that_the_file_cannot_have_are_refused_before_they_are_allocated() {
    let fault = fault_of_all(&Run::new(), |file| {
        let group = file.create_group("obsm").unwrap();
        group.new_dataset::<f64>().chunk((1, 4096)).shape((3, 1_usize << 45)).create("huge").unwrap();
    });
    expect(&fault, Kind::TooLarge, &["study.h5ad: obsm/huge: its", "more than can be taken from this file"]);
    let fault = fault_of_all(&Run::new().memory(1 << 60), |file| {
        let group = file.create_group("obsm").unwrap();
        group.new_dataset::<f64>().chunk((1, 4096)).shape((3, 1_usize << 31)).create("unwritten").unwrap();
    });
    expect(&fault, Kind::BadFile, &["study.h5ad: obsm/unwritten: its shape [3, 2147483648] is beyond reason"]);
    let fault = fault_of_all(&Run::new().memory(1 << 20), |file| {
        let group = file.create_group("obsm").unwrap();
        let zeros = vec![0.0_f64; 3 << 20];
        let builder = group.new_dataset_builder().deflate(9).chunk(1 << 20);
        builder.with_data(&zeros).create("bomb").unwrap();
    });
    expect(&fault, Kind::TooLarge, &["study.h5ad: obsm/bomb: its 25165824 bytes"]);
    assert!(fault.way_out().unwrap().contains("max_memory"));
}

#[test]
fn one_long_text_that_is_claimed_many_times_is_refused() {
    let scratch = Scratch::new();
    let mut start = 0;
    let path = scratch.file(&example(), true, |file| {
        let long = "x".repeat(1 << 20);
        let mut texts = vec![text("short"); 4000];
        texts[0] = text(&long);
        let uns = file.create_group("uns").unwrap();
        write_1d(&uns, "texts", &texts, Storage::Contiguous);
        start = uns.dataset("texts").unwrap().offset().unwrap() as usize;
    });
    let mut bytes = std::fs::read(&path).unwrap();
    // Every text becomes a reference to the first one.
    for i in 1..4000 {
        bytes.copy_within(start..start + 16, start + 16 * i);
    }
    std::fs::write(&path, bytes).unwrap();
    let fault = H5ad::open(&path).and_then(|study| study.tree(&Run::new())).err().unwrap();
    expect(&fault, Kind::BadFile, &["study.h5ad: uns/texts: elements 0..4000 cannot be read"]);
}

#[test]
fn a_text_that_claims_more_than_its_object_has_is_refused_before_room_is_made_for_it() {
    let scratch = Scratch::new();
    for storage in [Storage::Contiguous, Storage::Chunked] {
        let mut start = 0;
        let path = scratch.file(&example(), true, |file| {
            let uns = file.create_group("uns").unwrap();
            write_1d(&uns, "texts", &[text("first"), text("second")], storage);
            let texts = uns.dataset("texts").unwrap();
            start = texts.offset().or_else(|| Some(texts.chunk_info(0)?.addr)).unwrap() as usize;
        });
        let good = std::fs::read(&path).unwrap();
        for (damage, words) in [
            (vec![(3, 0xf0)], "bytes of an object of 5"),
            // The number of the object.
            (vec![(12, 200)], "object 200 is not there"),
            // The address of the heap besides.
            (vec![(3, 0xf0), (4, 1)], "a text of 4026531845 bytes in a file of"),
        ] {
            let mut bytes = good.clone();
            damage.iter().for_each(|&(at, byte)| bytes[start + at] = byte);
            std::fs::write(&path, bytes).unwrap();
            let fault = H5ad::open(&path).and_then(|study| study.tree(&Run::new())).err().unwrap();
            expect(&fault, Kind::BadFile, &["study.h5ad: uns/texts: the texts at byte", words]);
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let fault = fault_of_all(&Run::new(), |file| {
        let group = file.create_group("obsm").unwrap();
        write_1d(&group, "pca", &[1.0_f32, 2.0], Storage::Contiguous);
    });
    expect(&fault, Kind::BadFile, &["study.h5ad: obsm/pca: its extents are 2, expected 3"]);
    let mut beyond = example();
    beyond.indices[4] = 9;
    let fault = fault_of_all(&Run::new(), |file| {
        file.unlink("X").unwrap();
        write_sparse(file, "X", &beyond, true, "f32", (false, true), Storage::Lzf);
    });
    expect(&fault, Kind::BadFile, &["study.h5ad: X: value 4: column index 9, but there are 4 columns"]);
    let fault = fault_of_all(&Run::new(), |file| file.unlink("obs/_index").unwrap());
    expect(&fault, Kind::MissingKey, &["study.h5ad: obs/_index: there is no such column"]);
}

#[test]
fn what_is_not_known_is_left_out_and_said() {
    let scratch = Scratch::new();
    let path = scratch.file(&example(), true, |file| {
        let uns = file.create_group("uns").unwrap();
        mark(&uns.create_group("ragged").unwrap(), "awkward-array", "0.1.0");
        mark(&uns.create_group("later").unwrap(), "interval-array", "7.0.0");
    });
    let tree = H5ad::open(&path).unwrap().tree(&Run::new()).unwrap();
    let kinds: Vec<_> = tree.uns.iter().map(|(name, item)| (name.as_str(), item)).collect();
    let [("later", Item::Opaque { encoding, .. }), ("ragged", Item::Opaque { .. })] = kinds.as_slice() else {
        panic!("{kinds:?}")
    };
    assert_eq!(encoding, "interval-array 7.0.0");
}

#[test]
fn modalities_that_are_not_there_or_do_not_fit_are_named() {
    let golden = golden().join("cells/io/two_modalities_ad012.h5mu");
    let study = H5mu::open(&golden).unwrap();
    let fault = study.modality("atax").err().unwrap();
    expect(&fault, Kind::MissingKey, &["two_modalities_ad012.h5mu: there is no modality `atax`"]);
    assert!(fault.way_out().unwrap().contains("`atac`"));
    let fault = H5ad::open(&golden).err().unwrap();
    assert!(fault.way_out().unwrap().contains("`rna`"), "{fault}");

    let scratch = Scratch::new();
    std::fs::copy(&golden, scratch.path()).unwrap();
    let change = |what: &dyn Fn(&hdf5::File)| {
        let file = hdf5::File::open_rw(scratch.path()).unwrap();
        what(&file);
        drop(file);
        H5mu::open(scratch.path()).and_then(|study| study.tree(&Run::new())).err().unwrap()
    };
    let fault = change(&|file| file.dataset("obsmap/atac").unwrap().write_raw(&[99_u32; 64]).unwrap());
    expect(&fault, Kind::BadFile, &["obsmap/atac: row 0 is at position 99 of 55"]);
    let fault = change(&|file| {
        file.delete_attr("axis").unwrap();
        set_text(file, "axis", "7");
    });
    expect(&fault, Kind::BadFile, &["study.h5ad: attribute `axis`"]);
}

#[test]
fn no_flipped_byte_of_an_old_file_panics() {
    let scratch = Scratch::new();
    for (name, step) in [
        ("io_legacy/anndata_v0.5.0_small.h5ad", 331),
        ("io_legacy/anndata_v0.7.0.h5ad", 997),
        ("io_legacy/mudata_v0.1.2_axis0.h5mu", 997),
    ] {
        let whole = std::fs::read(golden().join("cells").join(name)).unwrap();
        let run = Run::new().threads(1);
        for at in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(scratch.path(), &bytes).unwrap();
            let read = || -> ferrocyte_base::Result<()> {
                if name.ends_with('u') {
                    return H5mu::open(scratch.path())?.tree(&run).map(|_| ());
                }
                H5ad::open(scratch.path())?.tree(&run).map(|_| ())
            };
            if let Err(fault) = read() {
                assert_ne!(fault.kind(), Kind::Internal, "{name}, byte {at}: {fault}");
                assert!(fault.to_string().contains("study.h5ad"), "{name}, byte {at}: {fault}");
            }
        }
    }
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
