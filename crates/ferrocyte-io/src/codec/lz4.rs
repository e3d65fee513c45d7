//! LZ4 as chunks carry it: a block behind its size (Zarr), or blocks behind theirs (filter 32004 of HDF5).

use crate::codec::{Decoded, Room, with_room};

/// One block of exactly `expected` bytes, put behind what is in `out`.
pub(crate) fn append_block(out: &mut Vec<u8>, block: &[u8], expected: usize) -> Result<(), String> {
    let start = out.len();
    out.resize(start + expected, 0);
    match lz4_flex::block::decompress_into(block, &mut out[start..]) {
        Ok(n) if n == expected => Ok(()),
        Ok(n) => Err(format!("an LZ4 block has {n} bytes, expected {expected}")),
        Err(e) => Err(format!("an LZ4 block cannot be decompressed: {e}")),
    }
}

/// A block behind its size in four bytes, the lowest first: the codec `lz4` of Zarr.
pub(crate) fn unpack_lz4(stored: &[u8], room: Room) -> Decoded {
    let Some((size, block)) = stored.split_first_chunk::<4>() else {
        return Err(format!("{} bytes, fewer than an LZ4 header has", stored.len()));
    };
    let n = u32::from_le_bytes(*size);
    room.check(u64::from(n))?;
    let mut out = with_room(n as usize)?;
    append_block(&mut out, block, n as usize)?;
    Ok(out)
}

/// The size of all (eight bytes, the highest first) and of a block (four), then blocks behind their sizes (four); a
/// block that did not shrink stands as it was: filter 32004 of HDF5.
pub(crate) fn unpack_lz4_blocks(stored: &[u8], room: Room) -> Decoded {
    let (total, block_size, mut rest) = block_header(stored)?;
    room.check(total)?;
    if block_size == 0 && total > 0 {
        return Err("its blocks are empty".to_owned());
    }
    let total = total as usize;
    let mut out = with_room(total)?;
    while out.len() < total {
        let expected = block_size.min(total - out.len());
        let block = next_block(&mut rest)?;
        if block.len() == expected {
            out.extend_from_slice(block);
        } else {
            append_block(&mut out, block, expected)?;
        }
    }
    Ok(out)
}

/// The header before blocks: bytes of all, bytes of a block, and the blocks.
pub(crate) fn block_header(stored: &[u8]) -> Result<(u64, usize, &[u8]), String> {
    let ends_early = || format!("{} bytes, fewer than its header has", stored.len());
    let (total, rest) = stored.split_first_chunk::<8>().ok_or_else(ends_early)?;
    let (block, rest) = rest.split_first_chunk::<4>().ok_or_else(ends_early)?;
    Ok((u64::from_be_bytes(*total), u32::from_be_bytes(*block) as usize, rest))
}

/// Takes the next block behind its size.
pub(crate) fn next_block<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let ends_early = || "its compressed bytes end too early".to_owned();
    let (size, after) = rest.split_first_chunk::<4>().ok_or_else(ends_early)?;
    let size = u32::from_be_bytes(*size) as usize;
    let block = after.get(..size).ok_or_else(ends_early)?;
    *rest = &after[size..];
    Ok(block)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pack_blocks(bytes: &[u8], block: usize) -> Vec<u8> {
        let mut out = [&(bytes.len() as u64).to_be_bytes()[..], &(block as u32).to_be_bytes()].concat();
        for part in bytes.chunks(block) {
            let packed = lz4_flex::block::compress(part);
            let kept = if packed.len() < part.len() { &packed[..] } else { part };
            out.extend((kept.len() as u32).to_be_bytes());
            out.extend(kept);
        }
        out
    }

    proptest! {
        #[test]
        fn blocks_come_back(bytes in proptest::collection::vec(0_u8..3, 0..900), block in 1_usize..300) {
            prop_assert_eq!(&unpack_lz4_blocks(&pack_blocks(&bytes, block), Room::Exactly(bytes.len())).unwrap(), &bytes);
            let one = [&(bytes.len() as u32).to_le_bytes()[..], &lz4_flex::block::compress(&bytes)].concat();
            prop_assert_eq!(unpack_lz4(&one, Room::Exactly(bytes.len())).unwrap(), bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), n in 0_usize..600) {
            for out in [unpack_lz4(&bytes, Room::AtMost(n)), unpack_lz4_blocks(&bytes, Room::AtMost(n))] {
                prop_assert!(out.is_err() || out.is_ok_and(|out| out.len() <= n));
            }
        }
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        let packed = pack_blocks(&[7; 100], 40);
        assert!(unpack_lz4_blocks(&packed, Room::Exactly(99)).is_err_and(|e| e.contains("100 bytes, expected 99")));
        assert!(unpack_lz4_blocks(&packed[..20], Room::Exactly(100)).is_err_and(|e| e.contains("too early")));
        let mut lie = packed;
        lie[..8].copy_from_slice(&u64::MAX.to_be_bytes());
        assert!(unpack_lz4_blocks(&lie, Room::AtMost(1 << 20)).is_err());
    }
}
