//! [`Chain`]: how the bytes of a chunk come about, and back.

use std::ops::Range;

use ferrocyte_base::{Fault, Result};
use serde_json::Value as Json;

use crate::codec::blosc::unpack_blosc;
use crate::codec::lz4::unpack_lz4;
use crate::codec::{Decoded, Room, unpack_gzip, unpack_zlib, unpack_zstd};
use crate::hdf5::chunks::unshuffle;
use crate::zarr::element::Element;
use crate::zarr::meta::{brief, named};

/// What is done to the elements of a chunk, in this order: axes are permuted, numbers become bytes, bytes are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The axes of the array in the order in which they are stored; none where that is their own.
    order: Option<Vec<usize>>,
    /// Whether numbers have their highest byte first.
    pub(crate) big: bool,
    packings: Vec<Packing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Blosc,
    Crc32c,
    Gzip,
    Lz4,
    Shuffle(usize),
    Zlib,
    Zstd,
}

/// Texts of one chunk take no more bytes than this.
pub(crate) const MOST_TEXT: usize = 1 << 31;

impl Packing {
    fn name(self) -> &'static str {
        match self {
            Self::Blosc => "blosc",
            Self::Crc32c => "crc32c",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Shuffle(_) => "shuffle",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }

    /// The packing of that name, of either version.
    fn of(name: &str, options: &Json) -> Option<Self> {
        Some(match name.strip_prefix("numcodecs.").unwrap_or(name) {
            "blosc" => Self::Blosc,
            "crc32c" => Self::Crc32c,
            "gzip" => Self::Gzip,
            "lz4" => Self::Lz4,
            "zlib" => Self::Zlib,
            "zstd" => Self::Zstd,
            "shuffle" => {
                let size = options.get("elementsize").map_or(Some(4), Json::as_u64)?;
                Self::Shuffle(usize::try_from(size).ok().filter(|size| [1, 2, 4, 8].contains(size))?)
            }
            _ => return None,
        })
    }

    fn unpack(self, stored: &[u8], room: Room) -> Decoded {
        match self {
            Self::Blosc => unpack_blosc(stored, room),
            Self::Gzip => unpack_gzip(stored, room),
            Self::Lz4 => unpack_lz4(stored, room),
            Self::Zlib => unpack_zlib(stored, room),
            Self::Zstd => unpack_zstd(stored, room),
            Self::Shuffle(size) => room.check(stored.len() as u64).map(|()| unshuffle(stored, size)),
            Self::Crc32c => {
                let bytes = without_checksum(stored)?;
                room.check(bytes.len() as u64).map(|()| bytes.to_vec())
            }
        }
    }

    /// The room of what it made of bytes that have `room`.
    fn packed(self, room: Room) -> Room {
        match (self, room) {
            (Self::Shuffle(_), room) => room,
            (Self::Crc32c, Room::Exactly(n)) => Room::Exactly(n + 4),
            // What cannot be compressed grows a little.
            (_, room) => Room::AtMost(room.most().saturating_add(room.most() / 4).saturating_add(1 << 16)),
        }
    }
}

/// The bytes before their CRC-32C, which is checked.
pub(crate) fn without_checksum(stored: &[u8]) -> std::result::Result<&[u8], String> {
    let Some((bytes, sum)) = stored.split_last_chunk::<4>() else {
        return Err(format!("{} bytes, fewer than a checksum has", stored.len()));
    };
    if crc32c::crc32c(bytes) == u32::from_le_bytes(*sum) { Ok(bytes) } else { Err("its checksum is wrong".to_owned()) }
}

fn unknown(json: &Json) -> Fault {
    let known = "blosc, zstd, gzip, zlib, lz4, shuffle and crc32c are";
    Fault::unsupported(format!("codec {} is not read ({known})", brief(Some(json))))
        .hint("write the store again with another compressor")
}

impl Chain {
    /// Of the metadata of version 2.
    pub(crate) fn v2(json: &Json, element: &Element, big: bool, axes: usize) -> Result<Self> {
        let order = match json.get("order").and_then(Json::as_str) {
            None | Some("C") => None,
            Some("F") => Some((0..axes).rev().collect()),
            Some(_) => return Err(Fault::bad_file(format!("order {} of elements", brief(json.get("order"))))),
        };
        let mut packings = Vec::new();
        let filters = json.get("filters").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let compressor = json.get("compressor").filter(|c| !c.is_null());
        for filter in filters.iter().chain(compressor) {
            let id = filter.get("id").and_then(Json::as_str).unwrap_or_default();
            if id == "vlen-utf8" && *element == Element::Text {
                continue;
            }
            packings.push(Packing::of(id, filter).ok_or_else(|| unknown(filter))?);
        }
        Ok(Self { order, big, packings })
    }

    /// Of the codecs of version 3.
    pub(crate) fn v3(codecs: &[Json], element: &Element, axes: usize) -> Result<Self> {
        let mut chain = Self { order: None, big: false, packings: Vec::new() };
        // Whether elements have become bytes.
        let mut bytes = false;
        for codec in codecs {
            let Some((name, options)) = named(codec) else { return Err(unknown(codec)) };
            match (name, bytes) {
                ("transpose", false) if chain.order.is_none() => {
                    chain.order = Some(permutation(options, axes).ok_or_else(|| unknown(codec))?);
                }
                ("bytes", false) if *element != Element::Text => {
                    chain.big = options.get("endian").and_then(Json::as_str) == Some("big");
                    bytes = true;
                }
                ("vlen-utf8", false) if *element == Element::Text => bytes = true,
                (_, true) => chain.packings.push(Packing::of(name, options).ok_or_else(|| unknown(codec))?),
                _ => return Err(unknown(codec)),
            }
        }
        if !bytes {
            return Err(Fault::bad_file("no codec makes bytes of its elements").hint("its metadata are damaged"));
        }
        chain.order = chain.order.filter(|order| !order.is_sorted());
        Ok(chain)
    }

    /// Whether the bytes of a chunk are those of its elements in their order.
    pub(crate) fn is_plain(&self) -> bool {
        self.order.is_none() && self.packings.is_empty()
    }

    /// The names of what packs the bytes.
    pub(crate) fn names(&self) -> Vec<String> {
        self.packings.iter().map(|packing| packing.name().to_owned()).collect()
    }

    /// The most bytes of a chunk in its file, where its elements have `room`.
    pub(crate) fn most_stored(&self, room: Room) -> u64 {
        self.packings.iter().fold(room, |room, packing| packing.packed(room)).most() as u64
    }

    /// The bytes of the elements of a chunk.
    pub(crate) fn unpack(&self, stored: Vec<u8>, room: Room) -> Decoded {
        let mut rooms = vec![room];
        for packing in &self.packings {
            rooms.push(packing.packed(rooms.last().copied().unwrap_or(room)));
        }
        let mut bytes = stored;
        for (packing, room) in self.packings.iter().zip(&rooms).rev() {
            bytes = packing.unpack(&bytes, *room)?;
        }
        room.check(bytes.len() as u64).map(|()| bytes)
    }

    /// How far apart elements that follow each other along an axis are, in a chunk of these extents.
    pub(crate) fn strides(&self, chunk: &[usize]) -> Vec<usize> {
        let own: Vec<usize> = (0..chunk.len()).collect();
        let order = self.order.as_deref().unwrap_or(&own);
        let mut strides = vec![1; chunk.len()];
        let mut step = 1;
        for &axis in order.iter().rev() {
            strides[axis] = step;
            step *= chunk[axis];
        }
        strides
    }

    /// Whether elements stand in the order of the array.
    pub(crate) fn in_order(&self) -> bool {
        self.order.is_none()
    }
}

fn permutation(options: &Json, axes: usize) -> Option<Vec<usize>> {
    let order: Vec<usize> =
        options.get("order")?.as_array()?.iter().map(|x| x.as_u64().map(|x| x as usize)).collect::<Option<_>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.iter().copied().eq(0..axes).then_some(order)
}

/// The texts of a chunk: their number, then each behind its length, all in four bytes, the lowest first.
pub(crate) fn texts(bytes: &[u8], expected: usize) -> std::result::Result<Vec<Range<usize>>, String> {
    let size = |at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*four) as usize)
    };
    let ends_early = || "its texts end too early".to_owned();
    let n = size(0).ok_or_else(ends_early)?;
    if n != expected || n > bytes.len() / 4 {
        return Err(format!("{n} texts, expected {expected}"));
    }
    let mut found = Vec::with_capacity(n);
    let mut at = 4;
    for _ in 0..n {
        let start = at + 4;
        let end = start + size(at).ok_or_else(ends_early)?;
        if end > bytes.len() {
            return Err(ends_early());
        }
        found.push(start..end);
        at = end;
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::store::Dtype;

    fn v3(codecs: &Json) -> Result<Chain> {
        Chain::v3(codecs.as_array().unwrap(), &Element::Number(Dtype::I16), 2)
    }

    #[test]
    fn codecs_are_undone_from_the_last_to_the_first() {
        let chain = v3(&json!(["bytes", {"name": "gzip"}, {"name": "crc32c"}, {"name": "zstd"}])).unwrap();
        let bytes = vec![7_u8; 1000];
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &bytes).unwrap();
        let mut stored = encoder.finish().unwrap();
        let sum = crc32c::crc32c(&stored);
        stored.extend(sum.to_le_bytes());
        let packed = zstd::bulk::compress(&stored, 1).unwrap();
        assert_eq!(chain.unpack(packed, Room::Exactly(1000)).unwrap(), bytes);
        stored[3] ^= 1;
        let packed = zstd::bulk::compress(&stored, 1).unwrap();
        assert_eq!(chain.unpack(packed, Room::Exactly(1000)), Err("its checksum is wrong".into()));
        assert_eq!(chain.names(), ["gzip", "crc32c", "zstd"]);
    }

    #[test]
    fn axes_may_be_stored_in_another_order() {
        let turned = json!([{"name": "transpose", "configuration": {"order": [1, 0]}}, "bytes"]);
        assert_eq!(v3(&turned).unwrap().strides(&[3, 5]), [1, 3]);
        assert_eq!(v3(&json!(["bytes"])).unwrap().strides(&[3, 5]), [5, 1]);
        let f = Chain::v2(&json!({"order": "F"}), &Element::Text, false, 3).unwrap();
        assert_eq!(f.strides(&[2, 3, 4]), [1, 2, 6]);
        for odd in [json!([0, 0]), json!([0, 2]), json!([0]), json!("F")] {
            let turned = json!([{"name": "transpose", "configuration": {"order": odd}}, "bytes"]);
            assert!(v3(&turned).is_err());
        }
    }

    #[test]
    fn unknown_codecs_are_named() {
        let fault = v3(&json!(["bytes", {"name": "bz2"}])).unwrap_err();
        assert!(fault.to_string().contains(r#"{"name":"bz2"}"#), "{fault}");
        assert!(v3(&json!([{"name": "zstd"}])).is_err());
        assert!(v3(&json!([])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_texts_panic(bytes in proptest::collection::vec(0_u8..5, 0..60), n in 0_usize..6) {
            if let Ok(found) = texts(&bytes, n) {
                prop_assert_eq!(found.len(), n);
                prop_assert!(found.iter().all(|range| range.end <= bytes.len()));
            }
        }
    }
}
