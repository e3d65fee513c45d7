//! [`Kind`]: what a file is, told from its content.

use std::io::{ErrorKind, Read};
use std::path::Path;

use ferrocyte_base::{Fault, Result};

use crate::hdf5::Hdf5;
use crate::tenx::{folder, h5};
use crate::text::inflate::TextSource;

/// What a file or folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HDF5 that is no 10x file, or Zarr: .h5ad, or something that its reader refuses with a sentence.
    Hdf5,
    /// A 10x file in HDF5.
    TenxH5,
    /// A 10x folder of text files.
    TenxFolder,
    /// A MatrixMarket file.
    MatrixMarket,
    /// A table in a text file.
    Table,
}

/// The names of files that hold no text, whatever their bytes are.
const BINARY: [&str; 4] = ["h5ad", "h5mu", "h5", "hdf5"];

impl Kind {
    /// What stands at a path.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Ok(if folder::is_tenx(path) { Self::TenxFolder } else { Self::Hdf5 });
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        let start = first_bytes(path)?;
        if cfg!(feature = "zarr") && start.starts_with(b"PK\x03\x04") {
            return Ok(Self::Hdf5);
        }
        if start.starts_with(b"\x89HDF\r\n\x1a\n") || BINARY.contains(&ending.as_str()) || !path.is_file() {
            return of_hdf5(path);
        }
        let mut text = Vec::new();
        TextSource::open(path)?.fill(&mut text, 1 << 12)?;
        if text.len() >= 14 && text[..14].eq_ignore_ascii_case(b"%%MatrixMarket") {
            return Ok(Self::MatrixMarket);
        }
        if ending == "mtx"
            || path.file_stem().is_some_and(|stem| Path::new(stem).extension().is_some_and(|e| e == "mtx"))
        {
            // Its reader says what is wrong with it.
            return Ok(Self::MatrixMarket);
        }
        if text.contains(&0) {
            return Err(Fault::unsupported("neither HDF5 nor text")
                .at(path.display().to_string())
                .hint("expected .h5ad, a 10x .h5 or folder, .mtx, or a table (.tsv, .csv)"));
        }
        Ok(Self::Table)
    }
}

/// Tells 10x files from others; what cannot be opened is left to the reader of .h5ad, which says why.
fn of_hdf5(path: &Path) -> Result<Kind> {
    match Hdf5::open(path) {
        Ok(store) if h5::is_tenx(&store)? => Ok(Kind::TenxH5),
        _ => Ok(Kind::Hdf5),
    }
}

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Fault::bad_file("there is no such file").because(error).at(path.display().to_string()))
        }
        // Of what cannot be read its reader says why.
        _ => Ok(start),
    }
}
