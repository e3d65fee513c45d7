//! [`open_store`]: a store, whatever the format of its file.

use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::Result;

use crate::hdf5::Hdf5;
use crate::store::Store;

/// Opens a file or folder for reading, by what it holds: Zarr if it is a folder or a zip archive, else HDF5.
pub fn open_store(path: impl AsRef<Path>) -> Result<Arc<dyn Store>> {
    let path = path.as_ref();
    #[cfg(feature = "zarr")]
    if path.is_dir() || is_zip(path) {
        return Ok(Arc::new(crate::zarr::Zarr::open(path)?));
    }
    Ok(Arc::new(Hdf5::open(path)?))
}

/// Whether a file begins as zip archives do.
#[cfg(feature = "zarr")]
fn is_zip(path: &Path) -> bool {
    use std::io::Read;
    let mut bytes = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    // The second is that of an archive without entries.
    read.is_ok() && [*b"PK\x03\x04", *b"PK\x05\x06"].contains(&bytes)
}
