//! What a file is, told before and when the HDF5 library opens it.

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use ferrocyte_base::{Fault, Result};
use hdf5_metno as hdf5;
use hdf5_metno::MinorErrorCode;

use crate::hdf5::reason;

/// Tells apart, without the library, what is not an HDF5 file at all. Gives the opened file and
/// the byte with which HDF5 begins.
pub(super) fn look_at(path: &Path) -> Result<(fs::File, u64)> {
    if path.to_str().is_none() {
        return Err(Fault::unsupported("the name of the file is not UTF-8").hint("rename it"));
    }
    let meta = fs::metadata(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Fault::bad_file("there is no such file").because(e),
        ErrorKind::PermissionDenied => Fault::bad_file("no permission to read it").because(e),
        _ => Fault::bad_file(format!("cannot be read: {e}")).because(e),
    })?;
    if meta.is_dir() {
        let zarr = ["zarr.json", ".zgroup", ".zattrs"].iter().any(|name| path.join(name).exists());
        return Err(if zarr {
            Fault::unsupported("a Zarr folder, expected an HDF5 file").hint("write it as .h5ad")
        } else {
            Fault::bad_file("a folder, expected an .h5ad file")
        });
    }
    let mut file = fs::File::open(path).map_err(|e| match e.kind() {
        ErrorKind::PermissionDenied => Fault::bad_file("no permission to read it").because(e),
        _ => Fault::bad_file(format!("cannot be opened: {e}")).because(e),
    })?;
    if let Some(offset) = signature(&mut file, meta.len()) {
        return Ok((file, offset));
    }
    let hint = match first_bytes(&mut file) {
        [0x1f, 0x8b, ..] => "it is compressed with gzip: decompress it first",
        [b'P', b'K', ..] => "it is a zip archive: an .npz part file, or a zipped Zarr store",
        _ => "expected a file written by anndata (.h5ad)",
    };
    Err(Fault::bad_file(format!("not an HDF5 file ({} bytes)", meta.len())).hint(hint))
}

/// Where the HDF5 signature stands: offset 0, 512, 1024, 2048 and so on.
fn signature(file: &mut fs::File, length: u64) -> Option<u64> {
    let mut offset = 0_u64;
    while offset + 8 <= length {
        let mut bytes = [0_u8; 8];
        if file.seek(SeekFrom::Start(offset)).is_err() || file.read_exact(&mut bytes).is_err() {
            return None;
        }
        if bytes == *b"\x89HDF\r\n\x1a\n" {
            return Some(offset);
        }
        offset = if offset == 0 { 512 } else { offset * 2 };
    }
    None
}

fn first_bytes(file: &mut fs::File) -> [u8; 4] {
    let mut bytes = [0_u8; 4];
    if file.rewind().is_err() || file.read_exact(&mut bytes).is_err() {
        return [0; 4];
    }
    bytes
}

/// Why the library does not open a file that looks like one of its own.
pub(super) fn why_not_opened(error: &hdf5::Error) -> Fault {
    let words = reason(error);
    let fault = if error.contains_minor(MinorErrorCode::CantLockFile) {
        Fault::bad_file("another program has the file open for writing")
            .hint("close it there, or read a copy; on a disk without locks set HDF5_USE_FILE_LOCKING=FALSE")
    } else if error.contains_minor(MinorErrorCode::Truncated) {
        Fault::bad_file("the file is truncated: it is shorter than its header says").hint("copy or download it again")
    } else {
        Fault::bad_file(format!("damaged HDF5 file ({words})")).hint("copy or download it again")
    };
    fault.because(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ferrocyte_base::Run;

    use crate::hdf5::{Hdf5, Hdf5Array};
    use crate::store::StoredArray;

    #[test]
    fn chunks_behind_a_block_of_the_user_are_decoded_beside_the_library() {
        let golden =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/cells/io_legacy/mudata_v0.3.10_axis0.h5mu");
        let file = Hdf5::open(golden.as_ref()).unwrap();
        let path = "obsmap/mod1";
        let array = Hdf5Array::new(file.dataset(path).unwrap(), path, &file).unwrap();
        let chunks = array.find_chunks().unwrap();
        let decoded = chunks.numbers(&Run::new(), &array.info().dtype, None, 0..array.info().n_rows()).unwrap();
        assert_eq!(decoded, Some(array.numbers(0..array.info().n_rows()).unwrap()));
    }
}
