//! [`Sink`]: the way back to a hierarchical format: a tree of groups and arrays in the making.
//!
//! How a data frame or a sparse matrix is laid out is written against this trait, once for all formats. The same
//! calls in the same order give the same bytes.

use std::borrow::Cow;

use ferrocyte_base::Result;

use crate::element::Records;
use crate::store::{Attr, Dtype, Store};

/// A file (or folder) in the making. It stands beside its place until [`Sink::finish`] puts it there; if that never
/// comes, what stood there stands, and nothing else is left behind.
///
/// Paths are relative to the root, whose own path is empty; the group around what is made exists already.
pub trait Sink: Send + Sync {
    /// The file as the user named it, for messages.
    fn place(&self) -> &str;

    /// Makes a group.
    fn group(&self, path: &str) -> Result<()>;

    /// Gives a group or an array an attribute. One number is a scalar, more are an array.
    fn set(&self, path: &str, name: &str, value: &Attr) -> Result<()>;

    /// Makes an array of numbers, to be filled chunk by chunk.
    fn array(&self, path: &str, spec: &ArraySpec) -> Result<Box<dyn SinkArray>>;

    /// Writes an array of texts of any shape, in row-major order; an empty shape is a scalar.
    fn texts(&self, path: &str, shape: &[usize], texts: &mut dyn ExactSizeIterator<Item = &str>) -> Result<()>;

    /// Writes an array without elements and without extents: how nothing (`None`) is stored.
    fn null(&self, path: &str) -> Result<()>;

    /// Writes records: one array whose elements have named fields.
    fn records(&self, path: &str, records: &Records) -> Result<()>;

    /// Takes over a node with all that is below it, untouched, from a store of the same format, to `path`; `false` if
    /// it is of another format, and nothing was done. How what is not understood survives.
    fn adopt(&self, from: &dyn Store, source: &str, path: &str) -> Result<bool>;

    /// Completes the file and puts it in its place.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// An array of a [`Sink`] that is filled from its first row to its last.
///
/// A chunk has [`ArraySpec::chunk_rows`] rows and all their columns. It is encoded by whoever writes it, on any
/// thread ([`SinkArray::encode`] is pure), and handed over ready, chunks in their order.
pub trait SinkArray: Send + Sync {
    /// Type, extents, chunks and compression.
    fn spec(&self) -> &ArraySpec;

    /// The bytes of a chunk as they stand in the file. `raw` has all rows of a chunk; the last is filled up with zeros.
    fn encode<'a>(&self, raw: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>>;

    /// Writes the chunk of that number, encoded.
    fn write(&self, chunk: usize, encoded: &[u8]) -> Result<()>;

    /// Completes the array; one that grew is cut to its number of rows.
    fn finish(self: Box<Self>, n_rows: usize) -> Result<()>;
}

/// Elements of a chunk: large enough that a chunk is worth a system call, small enough to be read by the row.
pub(crate) const CHUNK: usize = 65_536;

/// Type, extents, chunks and compression of an array in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArraySpec {
    /// The type of the elements, a number.
    pub dtype: Dtype,
    /// The extents; empty for a scalar. Of an array that grows the first is 0.
    pub shape: Vec<usize>,
    /// Whether rows are added until the array is finished.
    pub grows: bool,
    /// Rows of a chunk, at least 1.
    pub chunk_rows: usize,
    /// How chunks are stored.
    pub storage: Storage,
}

impl ArraySpec {
    /// An array of known extents, in chunks of about 65,536 elements.
    pub fn new(dtype: Dtype, shape: &[usize], storage: Storage) -> Self {
        let width: usize = shape.iter().skip(1).product();
        let rows = shape.first().copied().unwrap_or(1);
        let chunk_rows = (CHUNK / width.max(1)).clamp(1, rows.max(1));
        Self { dtype, shape: shape.to_vec(), grows: false, chunk_rows, storage }
    }

    /// An array of one axis that grows.
    pub fn growing(dtype: Dtype, storage: Storage) -> Self {
        Self { dtype, shape: vec![0], grows: true, chunk_rows: CHUNK, storage }
    }

    /// How many elements one row has.
    pub fn width(&self) -> usize {
        self.shape.iter().skip(1).product()
    }

    /// Bytes of a chunk before it is encoded.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_rows * self.width() * self.dtype.size()
    }
}

/// How the chunks of an array are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// What compresses the chunks.
    pub packing: Packing,
    /// Whether the bytes of a chunk are put in order of their place within an element before they are compressed:
    /// counts and indices then take less room, in less time.
    pub shuffle: bool,
}

/// What compresses chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Nothing.
    None,
    /// gzip of a level from 1 (fast) to 9 (small): what every reader knows.
    Gzip(u8),
    /// LZF: faster and larger than gzip. HDF5 only.
    Lzf,
    /// Zstandard of a level from 1 to 22. Zarr only: readers of HDF5 lack it.
    Zstd(u8),
}

impl Default for Storage {
    /// Shuffled, gzip level 1.
    fn default() -> Self {
        Self::gzip(1)
    }
}

impl Storage {
    /// As it is.
    pub const NONE: Self = Self { packing: Packing::None, shuffle: false };

    /// Shuffled and compressed with gzip of a level; 0 is not compressed.
    pub const fn gzip(level: u8) -> Self {
        match level {
            0 => Self::NONE,
            level => Self { packing: Packing::Gzip(level), shuffle: true },
        }
    }
}

/// The first bytes of all elements, then the second, and so on.
pub(crate) fn shuffled(raw: &[u8], element: usize) -> Vec<u8> {
    let n = raw.len() / element.max(1);
    let mut out = vec![0; raw.len()];
    for (place, plane) in out.chunks_exact_mut(n.max(1)).enumerate().take(element) {
        for (to, from) in plane.iter_mut().zip(raw.chunks_exact(element)) {
            *to = from[place];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_puts_bytes_in_order_of_their_place() {
        assert_eq!(shuffled(&[1, 2, 3, 4, 5, 6], 2), [1, 3, 5, 2, 4, 6]);
        assert_eq!(shuffled(&[1, 2, 3], 1), [1, 2, 3]);
        assert!(shuffled(&[], 4).is_empty());
    }

    #[test]
    fn chunks_have_whole_rows() {
        let chunk = |shape: &[usize]| ArraySpec::new(Dtype::F32, shape, Storage::NONE).chunk_rows;
        assert_eq!([chunk(&[100]), chunk(&[1 << 20]), chunk(&[0]), chunk(&[])], [100, CHUNK, 1, 1]);
        assert_eq!([chunk(&[4000, 1000]), chunk(&[9, 1 << 20]), chunk(&[5, 0])], [65, 1, 5]);
    }
}
