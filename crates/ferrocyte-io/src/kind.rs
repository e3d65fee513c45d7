//! [`Kind`]: what sort of data a path holds, told from its content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ferrocyte_base::{Fault, Result};

use crate::hdf5::Hdf5;
use crate::store::Store;
use crate::tenx::{folder, h5};

/// What sort of data a path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An annotated matrix in HDF5.
    H5ad,
    /// Several annotated matrices in HDF5.
    H5mu,
    /// Counts of Cell Ranger in HDF5, of any version.
    TenxH5,
    /// A folder of Cell Ranger: a matrix in MatrixMarket form, its cells and its genes.
    TenxFolder,
    /// A matrix in MatrixMarket form.
    MatrixMarket,
    /// A Zarr store in a folder.
    ZarrFolder,
    /// A Zarr store in a zip archive.
    ZarrZip,
    /// Several annotated matrices in a Zarr store, of either form.
    ZarrMu,
    /// Sums or a fit that were kept by this program.
    Part,
    /// A table of text, plain or compressed with gzip.
    Text,
}

impl Kind {
    /// Tells what a path holds by its first bytes, or by what stands in it; names only tell texts from each other.
    pub fn of(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            return of_folder(path);
        }
        let at = |fault: Fault| fault.at(path.display().to_string());
        let mut start = [0_u8; 2048];
        let n = match File::open(path).and_then(|mut file| fill(&mut file, &mut start)) {
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(at(Fault::bad_file("there is no such file").because(error)));
            }
            Err(error) => return Err(at(Fault::bad_file(format!("cannot be read: {error}")).because(error))),
        };
        match &start[..n] {
            [b'P', b'K', 3 | 5, ..] => of_archive(path).map_err(at),
            [0x1f, 0x8b, ..] => Ok(of_text(path, &unzipped(path).unwrap_or_default())),
            bytes if is_hdf5(bytes) => of_store(&Hdf5::open(path)?),
            bytes if bytes.contains(&0) => Err(at(Fault::unsupported("a binary file of an unknown kind")
                .hint("read here are .h5ad, .h5mu, 10x, MatrixMarket, Zarr and text"))),
            bytes => Ok(of_text(path, bytes)),
        }
    }

    /// Whether there are several annotated matrices in it.
    pub const fn has_modalities(self) -> bool {
        matches!(self, Self::H5mu | Self::ZarrMu)
    }

    /// The word for it: `h5ad`, `h5mu`, `10x h5`, `10x folder`, `mtx`, `zarr folder`, `zarr zip`, `zarr mudata`, `part`,
    /// `text`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::H5ad => "h5ad",
            Self::H5mu => "h5mu",
            Self::TenxH5 => "10x h5",
            Self::TenxFolder => "10x folder",
            Self::MatrixMarket => "mtx",
            Self::ZarrFolder => "zarr folder",
            Self::ZarrZip => "zarr zip",
            Self::ZarrMu => "zarr mudata",
            Self::Part => "part",
            Self::Text => "text",
        }
    }
}

/// Reads as much as there is, up to the length of the buffer.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match from.read(&mut buffer[n..])? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

/// Whether HDF5 begins here, or behind a block of the user's.
fn is_hdf5(start: &[u8]) -> bool {
    let signature = b"\x89HDF\r\n\x1a\n";
    [0, 512, 1024].iter().any(|&at| start.get(at..at + signature.len()).is_some_and(|bytes| bytes == signature))
        || start.starts_with(b"MuData")
}

/// What a store of HDF5 holds.
fn of_store(store: &Hdf5) -> Result<Kind> {
    if crate::h5mu::is_mudata(store)? {
        return Ok(Kind::H5mu);
    }
    if store.node("obs")?.is_some() || store.node("var")?.is_some() || store.node("X")?.is_some() {
        return Ok(Kind::H5ad);
    }
    if h5::is_tenx(store)? {
        return Ok(Kind::TenxH5);
    }
    Err(Fault::unsupported("an HDF5 file that is none of .h5ad, .h5mu and 10x").at(store.place()))
}

fn of_folder(path: &Path) -> Result<Kind> {
    if [".zgroup", ".zattrs", ".zmetadata", "zarr.json"].iter().any(|name| path.join(name).exists()) {
        return Ok(if path.join("mod").is_dir() { Kind::ZarrMu } else { Kind::ZarrFolder });
    }
    let place = path.display().to_string();
    std::fs::read_dir(path).map_err(|error| Fault::bad_file(format!("cannot be read: {error}")).at(place.as_str()))?;
    if folder::is_tenx(path) {
        return Ok(Kind::TenxFolder);
    }
    Err(Fault::unsupported("a folder that is neither of 10x (with `matrix.mtx`) nor Zarr").at(place))
}

fn of_archive(path: &Path) -> Result<Kind> {
    let file = File::open(path).map_err(|error| Fault::bad_file(format!("cannot be read: {error}")))?;
    let archive = zip::ZipArchive::new(std::io::BufReader::new(file))
        .map_err(|error| Fault::bad_file(format!("a damaged zip archive ({error})")))?;
    let (mut zarr, mut several) = (false, false);
    for name in archive.file_names().flatten() {
        if Path::new(&*name).extension().is_some_and(|ending| ending == "npy") {
            return Ok(Kind::Part);
        }
        several |= name.starts_with("mod/");
        zarr |= name.ends_with(".zgroup") || name.ends_with(".zarray") || name.ends_with("zarr.json");
    }
    match (zarr, several) {
        (true, true) => Ok(Kind::ZarrMu),
        (true, false) => Ok(Kind::ZarrZip),
        (false, _) => Err(Fault::unsupported("a zip archive without a Zarr store")),
    }
}

/// The first bytes of what gzip has compressed.
fn unzipped(path: &Path) -> Option<Vec<u8>> {
    let mut start = vec![0_u8; 64];
    let n = fill(&mut flate2::read::GzDecoder::new(File::open(path).ok()?), &mut start).ok()?;
    start.truncate(n);
    Some(start)
}

fn of_text(path: &Path, start: &[u8]) -> Kind {
    let inner = if path.extension().is_some_and(|e| e == "gz") { path.with_extension("") } else { path.to_owned() };
    if inner.extension().is_some_and(|e| e == "mtx") || start.starts_with(b"%%MatrixMarket") {
        Kind::MatrixMarket
    } else {
        Kind::Text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_the_kind() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        assert_eq!(Kind::of(write("counts.txt", b"%%MatrixMarket matrix")).unwrap(), Kind::MatrixMarket);
        assert_eq!(Kind::of(write("counts.tsv", b"gene\tc1\n")).unwrap(), Kind::Text);
        assert_eq!(Kind::of(write("empty", b"")).unwrap(), Kind::Text);
        assert!(Kind::of(write("odd", b"\x00\x01")).is_err_and(|f| f.to_string().contains("odd: a binary file")));
        assert!(Kind::of(folder.path()).is_err_and(|f| f.to_string().contains("neither of 10x")));
        write("sample1_matrix.mtx.gz", b"");
        assert_eq!(Kind::of(folder.path()).unwrap(), Kind::TenxFolder);
        write(".zgroup", b"{}");
        assert_eq!(Kind::of(folder.path()).unwrap(), Kind::ZarrFolder);
        std::fs::create_dir(folder.path().join("mod")).unwrap();
        assert_eq!(Kind::of(folder.path()).unwrap(), Kind::ZarrMu);
        assert!(Kind::of(folder.path().join("none")).is_err_and(|f| f.to_string().contains("no such file")));
    }
}
