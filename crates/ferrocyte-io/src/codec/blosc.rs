//! Blosc 1, through the library of its authors: shuffled blocks of LZ4, BloscLZ, zlib or Zstandard.

use std::ffi::c_void;

use crate::codec::{Decoded, Room, with_room};

/// Bytes of a header.
const HEADER: usize = 16;

/// The bytes of a Blosc chunk.
pub(crate) fn unpack_blosc(stored: &[u8], room: Room) -> Decoded {
    let n = checked_size(stored)?;
    room.check(n as u64)?;
    let mut out = with_room(n)?;
    let written = decompress(stored, &mut out, n);
    if written != n as i64 {
        return Err("its Blosc blocks cannot be decompressed".to_owned());
    }
    Ok(out)
}

/// The size that the header tells, after the library has looked over the header.
#[allow(unsafe_code, reason = "a C library")]
fn checked_size(stored: &[u8]) -> Result<usize, String> {
    if stored.len() < HEADER {
        return Err(format!("{} bytes, fewer than a Blosc header has", stored.len()));
    }
    let mut n = 0;
    // SAFETY: the library reads no more than the bytes whose number it is told, and writes one size.
    let code = unsafe { blosc_src::blosc_cbuffer_validate(stored.as_ptr().cast::<c_void>(), stored.len(), &raw mut n) };
    if code == 0 { Ok(n) } else { Err("its Blosc header is damaged".to_owned()) }
}

/// Decompresses to `out`, which has room for `n` bytes; how many were written, negative if that failed.
#[allow(unsafe_code, reason = "a C library")]
fn decompress(stored: &[u8], out: &mut Vec<u8>, n: usize) -> i64 {
    // SAFETY: the header was validated against the length of `stored`; the library writes at most `n` bytes, for which
    // there is room, and those that it says it wrote are initialised. This call takes no lock and starts no thread.
    unsafe {
        let written = blosc_src::blosc_decompress_ctx(
            stored.as_ptr().cast::<c_void>(),
            out.as_mut_ptr().cast::<c_void>(),
            n.min(out.capacity()),
            1,
        );
        if usize::try_from(written) == Ok(n) {
            out.set_len(n);
        }
        i64::from(written)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::ffi::CString;

    use proptest::prelude::*;

    use super::*;

    /// A Blosc chunk; `shuffle` 0 not, 1 bytes, 2 bits.
    #[allow(unsafe_code)]
    fn pack(bytes: &[u8], codec: &str, shuffle: i32, element: usize) -> Vec<u8> {
        let name = CString::new(codec).unwrap();
        let mut out = vec![0_u8; bytes.len() + HEADER];
        // SAFETY: source and destination are as long as is said.
        let n = unsafe {
            blosc_src::blosc_compress_ctx(
                5,
                shuffle,
                element,
                bytes.len(),
                bytes.as_ptr().cast(),
                out.as_mut_ptr().cast(),
                out.len(),
                name.as_ptr(),
                0,
                1,
            )
        };
        out.truncate(usize::try_from(n).unwrap());
        out
    }

    #[test]
    fn every_codec_comes_back() {
        let bytes: Vec<u8> = (0..50_000_u32).flat_map(|i| (i % 300).to_le_bytes()).collect();
        for codec in ["lz4", "lz4hc", "blosclz", "zlib", "zstd"] {
            for shuffle in 0..3 {
                let packed = pack(&bytes, codec, shuffle, 4);
                assert!(packed.len() < bytes.len() / 2, "{codec} {shuffle}");
                assert_eq!(unpack_blosc(&packed, Room::Exactly(bytes.len())).unwrap(), bytes, "{codec} {shuffle}");
                assert!(unpack_blosc(&packed, Room::Exactly(bytes.len() - 1)).is_err());
                assert!(unpack_blosc(&packed[..packed.len() - 1], Room::Exactly(bytes.len())).is_err());
            }
        }
        assert_eq!(unpack_blosc(&pack(&[], "lz4", 1, 4), Room::AtMost(0)).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn damaged_chunks_are_errors_or_bytes(
            bytes in proptest::collection::vec(0_u8..4, 1..3000),
            codec in 0_usize..5,
            shuffle in 0_i32..3,
            broken in proptest::collection::vec((0_usize..3000, any::<u8>()), 1..4),
        ) {
            let mut packed = pack(&bytes, ["lz4", "lz4hc", "blosclz", "zlib", "zstd"][codec], shuffle, 4);
            for (at, byte) in broken {
                let at = at % packed.len();
                packed[at] = byte;
            }
            let out = unpack_blosc(&packed, Room::AtMost(4000));
            prop_assert!(out.is_err() || out.is_ok_and(|out| out.len() <= 4000));
        }
    }
}
