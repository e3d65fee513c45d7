//! The plugin filters of HDF5 that are undone here: zstd, lz4, bitshuffle and blosc, registered with the library.
//!
//! Numbers in the usual layouts are decoded beside the library, by many threads; texts, records and arrays of more axes
//! come this way. The library trusts a filter to give a whole chunk, so a chunk that becomes anything else than what
//! the array says is refused: who reads an array announces the size of its chunks first.

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Once;

use hdf5_metno as hdf5;
use hdf5_metno::types::TypeDescriptor;
use hdf5_metno_sys::h5::{H5allocate_memory, H5free_memory};
use hdf5_metno_sys::h5z::{H5Z_CLASS_T_VERS, H5Z_FLAG_REVERSE, H5Z_class2_t, H5Zregister};

use crate::codec::bitshuffle::{Inner, unpack_bitshuffle};
use crate::codec::blosc::unpack_blosc;
use crate::codec::lz4::unpack_lz4_blocks;
use crate::codec::{Decoded, Room, unpack_zstd};

const BLOSC: c_int = 32001;
const LZ4: c_int = 32004;
const BITSHUFFLE: c_int = 32008;
const ZSTD: c_int = 32015;

/// The bytes of a text of any length in a chunk: its length, where it stands, and which of those there it is.
const TEXT_BYTES: usize = 16;

/// A checksum that was taken before compression makes a chunk longer by this.
const CHECKSUM: usize = 4;

thread_local! {
    /// Bytes of a chunk of the array that this thread reads.
    static CHUNK: Cell<Option<usize>> = const { Cell::new(None) };
}

/// While it lives, chunks of one array are decoded on this thread.
pub(super) struct Announced(());

impl Announced {
    /// Announces the chunks of an array.
    pub(super) fn of(dataset: &hdf5::Dataset) -> Self {
        let bytes = || {
            let elements = dataset.chunk()?.into_iter().try_fold(1_usize, usize::checked_mul)?;
            let stored = dataset.dtype().ok()?;
            let size = match stored.to_descriptor() {
                Ok(TypeDescriptor::VarLenUnicode | TypeDescriptor::VarLenAscii) => TEXT_BYTES,
                _ => stored.size(),
            };
            elements.checked_mul(size)
        };
        CHUNK.set(bytes());
        Self(())
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        CHUNK.set(None);
    }
}

/// Registers the filters, once.
#[allow(unsafe_code, reason = "the binding has no call for filters of others")]
pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let class = |id, name: &'static std::ffi::CStr, filter| H5Z_class2_t {
            version: H5Z_CLASS_T_VERS as c_int,
            id,
            encoder_present: 0,
            decoder_present: 1,
            name: name.as_ptr(),
            can_apply: None,
            set_local: None,
            filter: Some(filter),
        };
        let classes = [
            class(BLOSC, c"blosc", undo::<BLOSC>),
            class(LZ4, c"lz4", undo::<LZ4>),
            class(BITSHUFFLE, c"bitshuffle", undo::<BITSHUFFLE>),
            class(ZSTD, c"zstd", undo::<ZSTD>),
        ];
        hdf5::sync::sync(|| {
            for class in &classes {
                // SAFETY: the library copies the class, whose name and function live as long as the program; the
                // library is locked. A filter that cannot be registered is missed when a file needs it.
                let _ = unsafe { H5Zregister(std::ptr::from_ref(class).cast::<c_void>()) };
            }
        });
    });
}

/// Puts the bytes of a chunk in the place of the compressed ones; 0 if that fails, or if it is to compress.
#[allow(unsafe_code, reason = "called by the library")]
unsafe extern "C" fn undo<const FILTER: c_int>(
    flags: c_uint,
    n_values: usize,
    values: *const c_uint,
    n_bytes: usize,
    buffer_bytes: *mut usize,
    buffer: *mut *mut c_void,
) -> usize {
    if flags & H5Z_FLAG_REVERSE == 0 {
        return 0;
    }
    let Some(chunk) = CHUNK.get() else { return 0 };
    // SAFETY: the library passes `n_values` values, and a buffer of its own with at least `n_bytes` bytes.
    let (values, stored) = unsafe {
        let values = if values.is_null() { &[][..] } else { std::slice::from_raw_parts(values, n_values) };
        (values, std::slice::from_raw_parts((*buffer).cast::<u8>(), n_bytes))
    };
    let Ok(bytes) = decode(FILTER, values, stored, Room::AtMost(chunk.saturating_add(CHECKSUM))) else { return 0 };
    if bytes.len() < chunk || bytes.is_empty() {
        return 0;
    }
    // SAFETY: the new buffer has room for all bytes and, like the old one, is of the library's own memory.
    unsafe {
        let fresh = H5allocate_memory(bytes.len(), 0);
        if fresh.is_null() {
            return 0;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), fresh.cast::<u8>(), bytes.len());
        H5free_memory(*buffer);
        *buffer = fresh;
        *buffer_bytes = bytes.len();
    }
    bytes.len()
}

/// The bytes of a chunk, by the number of its filter and what the file says to it.
fn decode(filter: c_int, values: &[c_uint], stored: &[u8], room: Room) -> Decoded {
    match filter {
        BLOSC => unpack_blosc(stored, room),
        LZ4 => unpack_lz4_blocks(stored, room),
        ZSTD => unpack_zstd(stored, room),
        _ => {
            // Two versions, bytes of an element, elements of a block, what compresses.
            let value = |i: usize| values.get(i).map_or(0, |&value| value as usize);
            let inner = match value(4) {
                0 => Inner::Nothing,
                2 => Inner::Lz4,
                3 => Inner::Zstd,
                other => return Err(format!("it is compressed within bitshuffle by number {other}")),
            };
            unpack_bitshuffle(stored, room, value(2), value(3), inner)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_file_tell_how_bits_were_shuffled() {
        let bytes: Vec<u8> = (0..64).collect();
        let room = Room::Exactly(64);
        // 16 elements of 4 bytes in one block: bits in planes of 2 bytes.
        let shuffled = decode(BITSHUFFLE, &[0, 4, 4, 0, 0], &bytes, room).unwrap();
        assert_eq!(shuffled.len(), 64);
        assert_ne!(shuffled, bytes);
        assert!(decode(BITSHUFFLE, &[0, 4, 4, 0, 7], &bytes, room).is_err_and(|e| e.contains("number 7")));
        assert!(decode(BITSHUFFLE, &[], &bytes, room).is_err());
    }

    #[test]
    fn every_filter_refuses_bytes_that_are_none_of_its_own() {
        for filter in [BLOSC, LZ4, ZSTD] {
            assert!(decode(filter, &[], &[1, 2, 3, 4, 5], Room::AtMost(100)).is_err());
        }
    }
}
