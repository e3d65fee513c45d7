//! LZF, the way in: bytes become runs of literal bytes and copies of what stood up to 8 KiB before.
//!
//! The format is that of [`unpack_lzf`](crate::hdf5::chunks). The compressor is greedy: it knows for every three bytes
//! the last place where they (or others of the same hash) stood, and takes the copy that begins there if there is one.

/// The furthest that a copy reaches back.
const REACH: usize = 8192;

/// The longest copy, and the longest run of literal bytes.
const LONGEST_COPY: usize = 264;
const LONGEST_RUN: usize = 32;

/// Bits of a hash of three bytes. The table of places fits into the second cache of a core.
const BITS: u32 = 14;

/// The bytes in the format of LZF; at the worst one byte in 32 longer than they are.
pub(crate) fn pack_lzf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 2 + 16);
    // Where three bytes stood last, plus one; 0 is nowhere.
    let mut places = vec![0_u32; 1 << BITS];
    let (mut at, mut literal) = (0, 0);
    while at + 2 < bytes.len() {
        let Some(from) = last_place(bytes, at, &mut places) else {
            at += 1;
            continue;
        };
        let length = common(&bytes[from..], &bytes[at..at + LONGEST_COPY.min(bytes.len() - at)]);
        put_literals(&bytes[literal..at], &mut out);
        put_copy(at - from, length, &mut out);
        // What is copied is remembered by its first and last places only: enough, and a copy then costs little.
        let end = at + length;
        if length > 3 && end + 1 < bytes.len() {
            let _ = last_place(bytes, end - 1, &mut places);
        }
        (at, literal) = (end, end);
    }
    put_literals(&bytes[literal..], &mut out);
    out
}

/// Where the three bytes at a place stood last, within reach; the place is remembered.
fn last_place(bytes: &[u8], at: usize, places: &mut [u32]) -> Option<usize> {
    let key = u32::from(bytes[at]) << 16 | u32::from(bytes[at + 1]) << 8 | u32::from(bytes[at + 2]);
    let slot = (key.wrapping_mul(0x9E37_79B1) >> (32 - BITS)) as usize;
    // Chunks are below 4 GiB.
    let last = std::mem::replace(&mut places[slot], at as u32 + 1) as usize;
    let from = last.checked_sub(1)?;
    (at - from <= REACH && bytes[from..from + 3] == bytes[at..at + 3]).then_some(from)
}

/// How many bytes two slices have in common from their start; the first is at least as long as the second.
fn common(earlier: &[u8], later: &[u8]) -> usize {
    earlier.iter().zip(later).take_while(|(a, b)| a == b).count()
}

fn put_literals(literals: &[u8], out: &mut Vec<u8>) {
    for run in literals.chunks(LONGEST_RUN) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn put_copy(back: usize, length: usize, out: &mut Vec<u8>) {
    let (back, short) = (back - 1, (length - 2).min(7));
    out.push((short << 5 | back >> 8) as u8);
    if short == 7 {
        out.push((length - 9) as u8);
    }
    out.push((back & 255) as u8);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hdf5::chunks::unpack_lzf;

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_the_same(
            bytes in proptest::collection::vec(0_u8..4, 0..2000),
            far in 0_usize..9000,
            noise in proptest::collection::vec(any::<u8>(), 0..700),
        ) {
            // Patterns, noise, and something to refer to over a distance that may be too far.
            let mut whole = bytes.clone();
            whole.extend((0..far).map(|k| (k * k % 251) as u8));
            whole.extend(&noise);
            whole.extend(bytes);
            let packed = pack_lzf(&whole);
            prop_assert!(packed.len() <= whole.len() + whole.len().div_ceil(LONGEST_RUN));
            prop_assert_eq!(unpack_lzf(&packed, whole.len()).unwrap(), whole);
        }
    }

    #[test]
    fn repeated_bytes_take_little_room() {
        let zeros = vec![0; 65_536];
        let packed = pack_lzf(&zeros);
        assert!(packed.len() < 3 * 65_536 / LONGEST_COPY + 10, "{}", packed.len());
        assert_eq!(unpack_lzf(&packed, zeros.len()).unwrap(), zeros);
    }
}
