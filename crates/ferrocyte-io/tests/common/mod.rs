//! Writes small .h5ad files of any layout, for the tests of reading.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub, missing_docs, reason = "shared by several test programs")]

use std::path::{Path, PathBuf};

use hdf5_metno as hdf5;
use hdf5_metno::types::VarLenUnicode;

/// The folder of the golden cases: `FERROCYTE_GOLDEN`, else the one of the repository.
pub fn golden() -> PathBuf {
    std::env::var_os("FERROCYTE_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"),
        |folder| {
            let folder = PathBuf::from(folder);
            if folder.is_absolute() { folder } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder) }
        },
    )
}

/// The files of a folder whose names end so, sorted.
pub fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.to_string_lossy().ends_with(ending));
    files.sort();
    assert!(!files.is_empty(), "no *{ending} in {}", folder.display());
    files
}

pub fn text(s: &str) -> VarLenUnicode {
    s.parse().unwrap()
}

/// Marks an element with its encoding.
pub fn mark(place: &hdf5::Location, kind: &str, version: &str) {
    set_text(place, "encoding-type", kind);
    set_text(place, "encoding-version", version);
}

pub fn set_text(place: &hdf5::Location, name: &str, value: &str) {
    place.new_attr::<VarLenUnicode>().create(name).unwrap().write_scalar(&text(value)).unwrap();
}

/// How arrays are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Contiguous,
    Chunked,
    Gzip,
    GzipShuffle,
    Lzf,
}

pub const STORAGES: [Storage; 5] =
    [Storage::Contiguous, Storage::Chunked, Storage::Gzip, Storage::GzipShuffle, Storage::Lzf];

/// A one-dimensional array in chunks of 13.
pub fn write_1d<T: hdf5::H5Type>(group: &hdf5::Group, name: &str, data: &[T], storage: Storage) {
    let mut builder = group.new_dataset_builder();
    if storage != Storage::Contiguous && !data.is_empty() {
        builder = builder.chunk(13.min(data.len()));
    }
    builder = match storage {
        _ if data.is_empty() => builder,
        Storage::Contiguous | Storage::Chunked => builder,
        Storage::Gzip => builder.deflate(4),
        Storage::GzipShuffle => builder.shuffle().deflate(1),
        Storage::Lzf => builder.shuffle().lzf(),
    };
    builder.with_data(data).create(name).unwrap();
}

/// A data frame without columns.
pub fn write_frame(file: &hdf5::Group, name: &str, n: usize, prefix: &str) -> hdf5::Group {
    let group = file.create_group(name).unwrap();
    mark(&group, "dataframe", "0.2.0");
    set_text(&group, "_index", "_index");
    group.new_attr::<f64>().shape(0).create("column-order").unwrap();
    let names: Vec<VarLenUnicode> = (0..n).map(|i| text(&format!("{prefix}{i}"))).collect();
    write_1d(&group, "_index", &names, Storage::Contiguous);
    mark(&group.dataset("_index").unwrap(), "string-array", "0.2.0");
    group
}

/// A file with `obs` and `var` and nothing else.
pub fn new_file(path: &Path, n_obs: usize, n_var: usize) -> hdf5::File {
    let file = hdf5::File::create(path).unwrap();
    mark(&file, "anndata", "0.1.0");
    write_frame(&file, "obs", n_obs, "c");
    write_frame(&file, "var", n_var, "g");
    file
}

/// Compressed rows or columns, as they come: unsorted, with duplicates.
#[derive(Debug, Clone)]
pub struct Sparse {
    pub n_major: usize,
    pub n_minor: usize,
    pub pointers: Vec<usize>,
    pub indices: Vec<usize>,
    pub values: Vec<i32>,
}

impl Sparse {
    /// The sum of what stands at each place, major × minor.
    pub fn dense(&self) -> Vec<Vec<f64>> {
        let mut dense = vec![vec![0.0; self.n_minor]; self.n_major];
        for (row, bounds) in dense.iter_mut().zip(self.pointers.windows(2)) {
            for k in bounds[0]..bounds[1] {
                row[self.indices[k]] += f64::from(self.values[k]);
            }
        }
        dense
    }
}

/// Types of values that are tried.
pub const DTYPES: [&str; 11] = ["f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool"];

/// The values that a type can hold exactly.
pub fn representable(value: i32, dtype: &str) -> i32 {
    match dtype {
        "bool" => i32::from(value != 0),
        "u8" | "u16" | "u32" | "u64" => value.abs() % 200,
        "i8" => value % 100,
        _ => value,
    }
}

pub fn write_values(group: &hdf5::Group, name: &str, values: &[i32], dtype: &str, storage: Storage) {
    macro_rules! cast {
        ($t:ty) => {
            write_1d(group, name, &values.iter().map(|&v| v as $t).collect::<Vec<_>>(), storage)
        };
    }
    match dtype {
        "f32" => cast!(f32),
        "f64" => cast!(f64),
        "i8" => cast!(i8),
        "i16" => cast!(i16),
        "i32" => cast!(i32),
        "i64" => cast!(i64),
        "u8" => cast!(u8),
        "u16" => cast!(u16),
        "u32" => cast!(u32),
        "u64" => cast!(u64),
        _ => write_1d(group, name, &values.iter().map(|&v| v != 0).collect::<Vec<_>>(), storage),
    }
}

/// Writes a sparse matrix as anndata does.
pub fn write_sparse(
    file: &hdf5::File,
    element: &str,
    matrix: &Sparse,
    by_rows: bool,
    dtype: &str,
    wide: (bool, bool),
    storage: Storage,
) {
    let group = file.create_group(element).unwrap();
    mark(&group, if by_rows { "csr_matrix" } else { "csc_matrix" }, "0.1.0");
    let (major, minor) = (matrix.n_major as i64, matrix.n_minor as i64);
    let shape = if by_rows { [major, minor] } else { [minor, major] };
    group.new_attr::<i64>().shape(2).create("shape").unwrap().write(&shape[..]).unwrap();
    write_values(&group, "data", &matrix.values, dtype, storage);
    let narrow = |v: &[usize]| v.iter().map(|&i| i as i32).collect::<Vec<_>>();
    let long = |v: &[usize]| v.iter().map(|&i| i as i64).collect::<Vec<_>>();
    for (name, numbers, wide) in [("indices", &matrix.indices, wide.0), ("indptr", &matrix.pointers, wide.1)] {
        if wide {
            write_1d(&group, name, &long(numbers), storage);
        } else {
            write_1d(&group, name, &narrow(numbers), storage);
        }
    }
}
