//! Bitshuffle (filter 32008 of HDF5): the first bits of all elements of a block, then the second, and so on, as they
//! are or compressed with LZ4 or Zstandard.

use crate::codec::lz4::{append_block, block_header, next_block};
use crate::codec::{Decoded, Room, unpack_zstd, with_room};

/// What compresses the shuffled blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inner {
    Nothing,
    Lz4,
    Zstd,
}

/// Blocks have whole groups of this many elements; the elements after the last group stand as they were.
const GROUP: usize = 8;

/// Bytes that a block has where nobody said how many, and the fewest elements of one.
const TARGET: usize = 8192;
const FEWEST: usize = 128;

/// The bytes of a chunk of elements of `size` bytes. `block` is the number of elements of a block, 0 for the usual one.
pub(crate) fn unpack_bitshuffle(stored: &[u8], room: Room, size: usize, block: usize, inner: Inner) -> Decoded {
    if size == 0 {
        return Err("its elements are said to have no bytes".to_owned());
    }
    let (total, block, mut rest) = match inner {
        Inner::Nothing => (stored.len() as u64, block, stored),
        Inner::Lz4 | Inner::Zstd => {
            let (total, bytes, rest) = block_header(stored)?;
            (total, bytes / size, rest)
        }
    };
    room.check(total)?;
    let block = match block / GROUP * GROUP {
        0 => (TARGET / size / GROUP * GROUP).max(FEWEST),
        elements => elements,
    };
    let total = total as usize;
    let elements = total / size;
    let mut out = with_room(total)?;
    let mut done = 0;
    while elements - done >= GROUP {
        let n = block.min((elements - done) / GROUP * GROUP);
        let bytes = n * size;
        let mut unpacked = Vec::new();
        let shuffled = match inner {
            Inner::Nothing => {
                let (first, after) = rest.split_at_checked(bytes).ok_or("its bytes end too early")?;
                rest = after;
                first
            }
            Inner::Lz4 => {
                append_block(&mut unpacked, next_block(&mut rest)?, bytes)?;
                &unpacked
            }
            Inner::Zstd => {
                unpacked = unpack_zstd(next_block(&mut rest)?, Room::Exactly(bytes))?;
                &unpacked
            }
        };
        unshuffle_bits(shuffled, n, size, &mut out);
        done += n;
    }
    let left = total - out.len();
    if rest.len() < left {
        return Err("its bytes end too early".to_owned());
    }
    out.extend_from_slice(&rest[..left]);
    Ok(out)
}

/// Appends `n` elements of `size` bytes; the plane of a bit has `n / 8` bytes, its first element in the lowest bit.
fn unshuffle_bits(shuffled: &[u8], n: usize, size: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + n * size, 0);
    let out = &mut out[start..];
    let groups = n / GROUP;
    for byte in 0..size {
        let planes = &shuffled[byte * GROUP * groups..(byte + 1) * GROUP * groups];
        for group in 0..groups {
            let bits = std::array::from_fn(|bit| planes[bit * groups + group]);
            for (k, value) in transposed(bits).into_iter().enumerate() {
                out[(group * GROUP + k) * size + byte] = value;
            }
        }
    }
}

/// The transpose of 8 x 8 bits: bit `k` of byte `i` becomes bit `i` of byte `k`. Three rounds swap blocks of 1, 2 and 4.
fn transposed(rows: [u8; 8]) -> [u8; 8] {
    let mut x = u64::from_le_bytes(rows);
    for (shift, mask) in [(7, 0x00AA_00AA_00AA_00AA), (14, 0x0000_CCCC_0000_CCCC), (28, 0x0000_0000_F0F0_F0F0)] {
        let swapped = (x ^ (x >> shift)) & mask;
        x ^= swapped ^ (swapped << shift);
    }
    x.to_le_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition, bit for bit.
    fn shuffle_bits(bytes: &[u8], size: usize) -> Vec<u8> {
        let n = bytes.len() / size;
        let mut out = vec![0; bytes.len()];
        for element in 0..n {
            for bit in 0..8 * size {
                let value = bytes[element * size + bit / 8] >> (bit % 8) & 1;
                out[bit * (n / 8) + element / 8] |= value << (element % 8);
            }
        }
        out
    }

    fn pack(bytes: &[u8], size: usize, block: usize, inner: Inner) -> Vec<u8> {
        let whole = bytes.len() / size / GROUP * GROUP * size;
        let mut out = Vec::new();
        if inner != Inner::Nothing {
            out.extend((bytes.len() as u64).to_be_bytes());
            out.extend(((block * size) as u32).to_be_bytes());
        }
        for part in bytes[..whole].chunks(block * size) {
            let shuffled = shuffle_bits(part, size);
            let packed = match inner {
                Inner::Nothing => {
                    out.extend(shuffled);
                    continue;
                }
                Inner::Lz4 => lz4_flex::block::compress(&shuffled),
                Inner::Zstd => zstd::bulk::compress(&shuffled, 1).unwrap(),
            };
            out.extend((packed.len() as u32).to_be_bytes());
            out.extend(packed);
        }
        out.extend(&bytes[whole..]);
        out
    }

    proptest! {
        #[test]
        fn elements_come_back(
            seed in proptest::collection::vec(any::<u8>(), 1..40),
            elements in 0_usize..700,
            size in 1_usize..9,
            groups in 1_usize..30,
        ) {
            let bytes: Vec<u8> = (0..elements * size).map(|i| seed[i % seed.len()]).collect();
            let block = groups * GROUP;
            for inner in [Inner::Nothing, Inner::Lz4, Inner::Zstd] {
                let packed = pack(&bytes, size, block, inner);
                let found = unpack_bitshuffle(&packed, Room::Exactly(bytes.len()), size, block, inner);
                prop_assert_eq!(found.as_ref(), Ok(&bytes));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            n in 0_usize..600,
            size in 0_usize..9,
            block in 0_usize..100,
        ) {
            for inner in [Inner::Nothing, Inner::Lz4, Inner::Zstd] {
                let out = unpack_bitshuffle(&bytes, Room::AtMost(n), size, block, inner);
                prop_assert!(out.is_err() || out.is_ok_and(|out| out.len() <= n));
            }
        }
    }

    #[test]
    fn the_usual_block_has_eight_kibibytes() {
        let bytes: Vec<u8> = (0..40_000_u32).flat_map(|i| (i * 7 % 1000).to_le_bytes()).collect();
        let packed = pack(&bytes, 4, 2048, Inner::Nothing);
        assert_eq!(unpack_bitshuffle(&packed, Room::Exactly(bytes.len()), 4, 0, Inner::Nothing).unwrap(), bytes);
    }
}
