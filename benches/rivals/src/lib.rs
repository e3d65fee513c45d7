//! What the programs that measure other crates read: folders of little-endian arrays of 64 bits.

pub mod problem;
pub mod study;

use std::error::Error;
use std::fs;
use std::path::Path;

/// What goes wrong is told and ends the program.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The sizes in `shape.txt`.
pub fn sizes<const N: usize>(folder: &Path) -> Result<[usize; N]> {
    let text = fs::read_to_string(folder.join("shape.txt"))?;
    let sizes = text.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<usize>, _>>()?;
    let found = sizes.len();
    sizes.try_into().map_err(|_| format!("expected {N} sizes in shape.txt, found {found}").into())
}

/// An array of as many numbers as are expected.
fn numbers(path: &Path, expected: usize) -> Result<Vec<f64>> {
    let bytes = fs::read(path)?;
    let (values, rest) = bytes.as_chunks::<8>();
    if values.len() != expected || !rest.is_empty() {
        return Err(format!("{}: expected {expected} numbers, found {} bytes", path.display(), bytes.len()).into());
    }
    Ok(values.iter().map(|&value| f64::from_le_bytes(value)).collect())
}
