//! Decompressors of whole chunks: what Zarr uses, and the plugin filters of HDF5.
//!
//! Each takes all bytes of a chunk and the [`Room`] for what comes out. Sizes that the bytes themselves claim are held
//! against it before anything is allocated, and no bytes, whatever they are, make more. What is wrong is told in words
//! that follow the name of a chunk.

pub(crate) mod bitshuffle;
pub(crate) mod blosc;
pub(crate) mod lz4;

use std::io::Read;

/// What is wrong with a chunk, in words.
pub(crate) type Decoded = Result<Vec<u8>, String>;

/// How many bytes may come out of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// This many and no other number: numbers.
    Exactly(usize),
    /// At most this many: texts, or bytes that are compressed once more.
    AtMost(usize),
}

impl Room {
    /// The most bytes.
    pub(crate) fn most(self) -> usize {
        match self {
            Self::Exactly(n) | Self::AtMost(n) => n,
        }
    }

    /// Whether `n` bytes are right; what is wrong if not.
    pub(crate) fn check(self, n: u64) -> Result<(), String> {
        match self {
            Self::Exactly(expected) if n != expected as u64 => {
                Err(format!("it decompresses to {n} bytes, expected {expected}"))
            }
            Self::AtMost(most) if n > most as u64 => {
                Err(format!("it decompresses to {n} bytes, expected at most {most}"))
            }
            _ => Ok(()),
        }
    }
}

/// An empty vector with room for `n` bytes; a failure in words where a plain allocation would end the program.
pub(crate) fn with_room(n: usize) -> Decoded {
    let mut out = Vec::new();
    match out.try_reserve_exact(n) {
        Ok(()) => Ok(out),
        Err(_) => Err(format!("there is no memory for its {n} bytes")),
    }
}

/// Zstandard: one frame or several.
pub(crate) fn unpack_zstd(stored: &[u8], room: Room) -> Decoded {
    let failed = |e: std::io::Error| format!("it cannot be decompressed: {e}");
    // One frame that tells its size is decompressed to where it belongs.
    if let (Ok(Some(n)), Ok(whole)) =
        (zstd::zstd_safe::get_frame_content_size(stored), zstd::zstd_safe::find_frame_compressed_size(stored))
        && whole == stored.len()
    {
        room.check(n)?;
        let mut out = with_room(n as usize)?;
        zstd::bulk::Decompressor::new().and_then(|mut d| d.decompress_to_buffer(stored, &mut out)).map_err(failed)?;
        return room.check(out.len() as u64).map(|()| out);
    }
    read_all(zstd::stream::read::Decoder::with_buffer(stored).map_err(failed)?, room)
}

/// zlib (RFC 1950); the checksum is checked.
pub(crate) fn unpack_zlib(stored: &[u8], room: Room) -> Decoded {
    read_all(flate2::bufread::ZlibDecoder::new(stored), room)
}

/// gzip (RFC 1952): one member or several; the checksums are checked.
pub(crate) fn unpack_gzip(stored: &[u8], room: Room) -> Decoded {
    read_all(flate2::bufread::MultiGzDecoder::new(stored), room)
}

/// All that a decoder gives; memory grows with what comes.
fn read_all(decoder: impl Read, room: Room) -> Decoded {
    let mut out = with_room(room.most().min(1 << 24))?;
    let limit = room.most() as u64 + 1;
    decoder.take(limit).read_to_end(&mut out).map_err(|e| format!("it cannot be decompressed: {e}"))?;
    room.check(out.len() as u64)?;
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(3));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlibbed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(3));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A frame that does not tell its size.
    fn streamed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    type Unpack = fn(&[u8], Room) -> Decoded;
    type Pack = fn(&[u8]) -> Vec<u8>;
    const PAIRS: [(&str, Pack, Unpack); 4] = [
        ("gzip", gzipped, unpack_gzip),
        ("zlib", zlibbed, unpack_zlib),
        ("zstd", |bytes| zstd::bulk::compress(bytes, 3).unwrap_or_default(), unpack_zstd),
        ("zstd without its size", streamed, unpack_zstd),
    ];

    #[test]
    fn what_was_packed_comes_back_and_no_more() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|i| (i * i % 7) as u8).collect();
        for (name, pack, unpack) in PAIRS {
            for bytes in [&bytes[..], &[]] {
                let packed = pack(bytes);
                let n = bytes.len();
                assert_eq!(unpack(&packed, Room::Exactly(n)).unwrap(), bytes, "{name}");
                assert_eq!(unpack(&packed, Room::AtMost(n + 9)).unwrap(), bytes, "{name}");
                assert!(unpack(&packed, Room::Exactly(n + 1)).is_err_and(|e| e.contains("expected")), "{name}");
                assert!(n == 0 || unpack(&packed, Room::AtMost(n - 1)).is_err(), "{name}");
                assert!(unpack(&packed[..packed.len() - 1], Room::Exactly(n)).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn members_that_follow_each_other_are_joined() {
        for (name, pack, unpack) in PAIRS.into_iter().filter(|(name, ..)| *name != "zlib") {
            let both = [pack(b"one"), pack(b"two")].concat();
            assert_eq!(unpack(&both, Room::Exactly(6)).unwrap(), b"onetwo", "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_decompression_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            n in 0_usize..400,
            broken in 0_usize..60,
        ) {
            for (_, pack, unpack) in PAIRS {
                let mut packed = pack(&bytes);
                let at = broken % packed.len();
                packed[at] ^= 0x55;
                for stored in [&packed, &bytes] {
                    let out = unpack(stored, Room::AtMost(n));
                    prop_assert!(out.is_err() || out.is_ok_and(|out| out.len() <= n));
                }
            }
        }
    }
}
