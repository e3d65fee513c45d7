//! [`ChunkedFile`]: the chunks of an array, read as they lie in the file and decoded by many threads.
//!
//! The HDF5 library decodes one chunk at a time, under a lock. For the filters that matter here (gzip, lzf and the
//! plugins, with or without shuffle) the library only tells where chunks are; their bytes are read beside it and decoded on the threads
//! of the run. Everything else is left to the library. Nothing here knows HDF5.

use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use ferrocyte_base::{Fault, Result, Run};

#[cfg(feature = "filters")]
use crate::codec;
use crate::store::{ArrayInfo, Dtype, Numbers};

/// Where a chunk is in its file; `None` where nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: u64,
    pub(crate) bytes: u32,
    /// A bit for each filter that was left out.
    pub(crate) skipped: u32,
}

/// The filters that are undone here, in the order in which they were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pipeline {
    shuffle: bool,
    packing: Packing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    #[cfg(feature = "filters")]
    Blosc,
    Gzip,
    #[cfg(feature = "filters")]
    Lz4,
    Lzf,
    #[cfg(feature = "filters")]
    Zstd,
}

impl Pipeline {
    /// The pipeline of these filters, if they can be undone here.
    pub(crate) fn of(filters: &[String]) -> Option<Self> {
        let names: Vec<&str> = filters.iter().map(String::as_str).collect();
        let (shuffle, packing) = match names.as_slice() {
            [packing] => (false, packing),
            ["shuffle", packing] => (true, packing),
            _ => return None,
        };
        let packing = match *packing {
            "gzip" => Packing::Gzip,
            "lzf" => Packing::Lzf,
            #[cfg(feature = "filters")]
            "blosc" => Packing::Blosc,
            #[cfg(feature = "filters")]
            "lz4" => Packing::Lz4,
            #[cfg(feature = "filters")]
            "zstd" => Packing::Zstd,
            _ => return None,
        };
        Some(Self { shuffle, packing })
    }

    /// The `expected` bytes of a chunk of elements of `size` bytes; what is wrong if there are none.
    pub(crate) fn decode(
        self,
        stored: Vec<u8>,
        skipped: u32,
        size: usize,
        expected: usize,
    ) -> std::result::Result<Vec<u8>, String> {
        let Unpacked { bytes, shuffled } = self.unpack(stored, skipped, expected)?;
        Ok(if shuffled { unshuffle(&bytes, size) } else { bytes })
    }

    /// Whether a chunk is a zlib stream of its elements one behind another.
    fn is_plain_gzip(self, skipped: u32) -> bool {
        let shuffled = self.shuffle && skipped & 1 == 0;
        self.packing == Packing::Gzip && !shuffled && skipped >> u32::from(self.shuffle) & 1 == 0
    }

    /// A chunk that is decompressed, its bytes in the order in which they were compressed.
    fn unpack(self, stored: Vec<u8>, skipped: u32, expected: usize) -> std::result::Result<Unpacked, String> {
        let skips = |position: u32| skipped >> position & 1 == 1;
        let bytes = if skips(u32::from(self.shuffle)) {
            stored
        } else {
            match self.packing {
                Packing::Gzip => inflate(&stored, expected)?,
                Packing::Lzf => unpack_lzf(&stored, expected)?,
                #[cfg(feature = "filters")]
                Packing::Blosc => codec::blosc::unpack_blosc(&stored, codec::Room::Exactly(expected))?,
                #[cfg(feature = "filters")]
                Packing::Lz4 => codec::lz4::unpack_lz4_blocks(&stored, codec::Room::Exactly(expected))?,
                #[cfg(feature = "filters")]
                Packing::Zstd => codec::unpack_zstd(&stored, codec::Room::Exactly(expected))?,
            }
        };
        if bytes.len() != expected {
            return Err(format!("it has {} bytes, expected {expected}", bytes.len()));
        }
        Ok(Unpacked { bytes, shuffled: self.shuffle && !skips(0) })
    }
}

/// The bytes of a chunk: element by element, or the first bytes of all elements, the second bytes of all, and so on.
struct Unpacked {
    bytes: Vec<u8>,
    shuffled: bool,
}

impl Unpacked {
    /// The elements from number `from` on, each of `N` bytes, as many as `out` has room for.
    fn elements<const N: usize, T>(&self, from: usize, out: &mut [T], element: impl Fn([u8; N]) -> T) {
        if self.shuffled {
            let n = self.bytes.len() / N;
            let planes: [&[u8]; N] = std::array::from_fn(|byte| &self.bytes[byte * n + from..][..out.len()]);
            for (i, to) in out.iter_mut().enumerate() {
                *to = element(std::array::from_fn(|byte| planes[byte][i]));
            }
        } else {
            let bytes = &self.bytes[from * N..][..out.len() * N];
            for (to, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *to = element(*bytes);
            }
        }
    }
}

/// A zlib stream of exactly `expected` bytes.
fn inflate(stored: &[u8], expected: usize) -> std::result::Result<Vec<u8>, String> {
    let mut out = vec![0; expected];
    inflate_to(stored, &mut out)?;
    Ok(out)
}

/// A zlib stream of exactly as many bytes as there is room for; its checksum is checked.
///
/// libdeflate takes whole buffers only, and for these it takes 0.56 of the time of zlib-rs.
fn inflate_to(stored: &[u8], out: &mut [u8]) -> std::result::Result<(), String> {
    match libdeflater::Decompressor::new().zlib_decompress(stored, out) {
        Ok(n) if n == out.len() => Ok(()),
        Ok(_) | Err(libdeflater::DecompressionError::InsufficientSpace) => {
            Err(format!("it does not decompress to {} bytes", out.len()))
        }
        Err(error) => Err(format!("it cannot be decompressed: {error}")),
    }
}

/// The format of LibLZF: runs of literal bytes, and copies of what was written up to 8 KiB before.
///
/// A first byte below 32 begins a run of that many bytes and one. Else its upper three bits are the length of a copy
/// less two (7: the next byte is added), its lower five and the next byte how far back the copy begins, less one.
pub(crate) fn unpack_lzf(stored: &[u8], expected: usize) -> std::result::Result<Vec<u8>, String> {
    // Most runs and copies are short: where there is room they are moved as this many bytes, of which the next ones
    // overwrite what is too much.
    const SHORT: usize = 16;
    let ends_early = || "its compressed bytes end too early".to_owned();
    let mut out = vec![0_u8; expected];
    let (mut at, mut to) = (0, 0);
    while at < stored.len() {
        let first = usize::from(stored[at]);
        at += 1;
        let mut byte = || {
            at += 1;
            stored.get(at - 1).map(|&byte| usize::from(byte)).ok_or_else(ends_early)
        };
        let (length, back) = match first >> 5 {
            0 => (first + 1, 0),
            short => {
                let length = short + 2 + if short == 7 { byte()? } else { 0 };
                (length, ((first & 31) << 8) + byte()? + 1)
            }
        };
        if length > expected - to {
            return Err(format!("it decompresses to more than {expected} bytes"));
        }
        let room = length <= SHORT && to + SHORT <= expected;
        if back == 0 {
            let run = stored.get(at..at + length).ok_or_else(ends_early)?;
            match stored.get(at..at + SHORT) {
                Some(run) if room => out[to..to + SHORT].copy_from_slice(run),
                _ => out[to..to + length].copy_from_slice(run),
            }
            at += length;
        } else {
            let from = to.checked_sub(back).ok_or("it refers to bytes before its first")?;
            if room && back >= SHORT {
                out.copy_within(from..from + SHORT, to);
            } else {
                // A copy that overlaps what it writes repeats a pattern, which doubles with every step.
                let mut done = 0;
                while done < length {
                    let step = (to + done - from).min(length - done);
                    out.copy_within(from..from + step, to + done);
                    done += step;
                }
            }
        }
        to += length;
    }
    if to < expected {
        return Err(format!("it decompresses to {to} bytes, expected {expected}"));
    }
    Ok(out)
}

/// First bytes of all elements, second bytes of all, and so on, back into elements.
pub(crate) fn unshuffle(shuffled: &[u8], size: usize) -> Vec<u8> {
    fn fixed<const N: usize>(shuffled: &[u8], n: usize, out: &mut [u8]) {
        let planes: [&[u8]; N] = std::array::from_fn(|byte| &shuffled[byte * n..(byte + 1) * n]);
        for (i, element) in out.chunks_exact_mut(N).take(n).enumerate() {
            for (byte, plane) in element.iter_mut().zip(planes) {
                *byte = plane[i];
            }
        }
    }
    let n = shuffled.len() / size.max(1);
    let mut out = shuffled.to_vec();
    match size {
        2 => fixed::<2>(shuffled, n, &mut out),
        4 => fixed::<4>(shuffled, n, &mut out),
        8 => fixed::<8>(shuffled, n, &mut out),
        _ => {}
    }
    out
}

/// The chunks of an array of one or two dimensions, in a file that is open for reading.
#[derive(Debug)]
pub(crate) struct ChunkedFile {
    file: Arc<File>,
    pipeline: Pipeline,
    /// Extents of the array and of a chunk; one dimension is one column.
    extents: [usize; 2],
    chunk: [usize; 2],
    /// Bytes of an element.
    size: usize,
    /// By rows of chunks.
    places: Vec<Option<Place>>,
}

impl ChunkedFile {
    /// The chunks of an array. `places` has them by rows of the [`grid`]; `None` where the sizes do not fit.
    pub(crate) fn new(
        file: Arc<File>,
        info: &ArrayInfo,
        pipeline: Pipeline,
        places: Vec<Option<Place>>,
    ) -> Option<Self> {
        let size = element_bytes(&info.dtype)?;
        let (extents, chunk) = grid(info)?;
        let n_chunks = extents[0].div_ceil(chunk[0]).checked_mul(extents[1].div_ceil(chunk[1]))?;
        (n_chunks == places.len()).then_some(Self { file, pipeline, extents, chunk, size, places })
    }

    /// The numbers of a range of rows, in row-major order, behind those that are `known`. `None` if a chunk was never
    /// written, for what it holds is the library's to say, or if what is known is of another type.
    pub(crate) fn numbers(
        &self,
        run: &Run,
        dtype: &Dtype,
        known: Option<&Numbers>,
        rows: Range<usize>,
    ) -> Result<Option<Numbers>> {
        let across = self.extents[1].div_ceil(self.chunk[1]);
        if rows.is_empty() || across == 0 {
            return Ok(None);
        }
        let first = rows.start / self.chunk[0] * across;
        let end = rows.end.div_ceil(self.chunk[0]) * across;
        let Some(places) = self.places[first..end].iter().copied().collect::<Option<Vec<Place>>>() else {
            return Ok(None);
        };
        macro_rules! read {
            ($($variant:ident($t:ty)),*) => {
                match (dtype, known) {
                    $((Dtype::$variant, None) => {
                        Some(Numbers::$variant(self.read(run, &[], &rows, first, &places, <$t>::from_le_bytes)?))
                    }
                    (Dtype::$variant, Some(Numbers::$variant(known))) => {
                        Some(Numbers::$variant(self.read(run, known, &rows, first, &places, <$t>::from_le_bytes)?))
                    })*
                    _ => None,
                }
            };
        }
        Ok(read!(I8(i8), I16(i16), I32(i32), I64(i64), U8(u8), U16(u16), U32(u32), U64(u64), F32(f32), F64(f64)))
    }

    /// The numbers of several ranges, which rise; those that begin in one chunk are decoded together. `None` as in
    /// [`ChunkedFile::numbers`].
    pub(crate) fn numbers_of(&self, run: &Run, dtype: &Dtype, ranges: &[Range<usize>]) -> Result<Option<Vec<Numbers>>> {
        let width = self.extents[1];
        let groups: Vec<&[Range<usize>]> =
            ranges.chunk_by(|a, b| a.start / self.chunk[0] == b.start / self.chunk[0]).collect();
        let read = |group: &[Range<usize>]| -> Result<Option<Vec<Numbers>>> {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(Some(Vec::new())) };
            let from = first.start;
            let Some(all) = self.numbers(run, dtype, None, from..last.end)? else { return Ok(None) };
            Ok(Some(group.iter().map(|r| all.slice((r.start - from) * width..(r.end - from) * width)).collect()))
        };
        let read =
            run.map_quietly(groups.len(), 1, |which| which.map(|i| read(groups[i])).collect::<Result<Vec<_>>>())?;
        Ok(read.into_iter().flatten().collect::<Option<Vec<_>>>().map(|found| found.into_iter().flatten().collect()))
    }

    /// The elements of a range of rows, from the chunks with the numbers `first..`, behind those that are known.
    fn read<const N: usize, T: Copy + Default + Send + bytemuck::Pod>(
        &self,
        run: &Run,
        known: &[T],
        rows: &Range<usize>,
        first: usize,
        places: &[Place],
        element: impl Fn([u8; N]) -> T + Sync,
    ) -> Result<Vec<T>> {
        let width = self.extents[1];
        let mut out = Vec::with_capacity(known.len() + rows.len() * width);
        out.extend_from_slice(known);
        if self.chunk[1] != width || !rows.start.is_multiple_of(self.chunk[0]) {
            let decoded = run.map_quietly(places.len(), 1, |which| {
                which.map(|i| self.decode(first + i, places[i])).collect::<Result<Vec<Unpacked>>>()
            })?;
            let decoded: Vec<Unpacked> = decoded.into_iter().flatten().collect();
            out.extend(self.assemble(rows, first, &decoded, element));
            return Ok(out);
        }
        // Chunks are whole rows, the usual case: each is decoded to where it belongs.
        out.resize(known.len() + rows.len() * width, T::default());
        let failed: Mutex<Option<(usize, Fault)>> = Mutex::new(None);
        run.for_each_chunk(&mut out[known.len()..], self.chunk[0] * width, |i, part| {
            if let Err(fault) = run.check().and_then(|()| self.decode_to(first + i, places[i], part, &element)) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                // The first chunk that fails is told, whoever came to it first.
                if failed.as_ref().is_none_or(|(at, _)| i < *at) {
                    *failed = Some((i, fault));
                }
            }
        })?;
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, fault)) => Err(fault),
            None => Ok(out),
        }
    }

    /// The first elements of a chunk, as many as there is room for.
    fn decode_to<const N: usize, T: bytemuck::Pod>(
        &self,
        index: usize,
        place: Place,
        out: &mut [T],
        element: &impl Fn([u8; N]) -> T,
    ) -> Result<()> {
        let whole = size_of_val(out) == self.chunk_bytes();
        if whole && cfg!(target_endian = "little") && self.pipeline.is_plain_gzip(place.skipped) {
            let stored = self.stored(index, place)?;
            return inflate_to(&stored, bytemuck::cast_slice_mut(out)).map_err(|what| damaged(index, what));
        }
        self.decode(index, place)?.elements(0, out, element);
        Ok(())
    }

    /// Reads and decodes one chunk.
    fn decode(&self, index: usize, place: Place) -> Result<Unpacked> {
        let stored = self.stored(index, place)?;
        self.pipeline.unpack(stored, place.skipped, self.chunk_bytes()).map_err(|what| damaged(index, what))
    }

    /// Bytes of a chunk that is decoded.
    fn chunk_bytes(&self) -> usize {
        self.chunk[0] * self.chunk[1] * self.size
    }

    /// The bytes of a chunk as they are in the file.
    fn stored(&self, index: usize, place: Place) -> Result<Vec<u8>> {
        let mut stored = vec![0; place.bytes as usize];
        read_at(&self.file, &mut stored, place.address).map_err(|error| {
            Fault::bad_file(format!("{} bytes at {} cannot be read: {error}", place.bytes, place.address))
                .at(format!("chunk {index}"))
        })?;
        Ok(stored)
    }

    /// Joins decoded chunks, from that with number `first` on, to the rows asked for.
    fn assemble<const N: usize, T: Copy + Default>(
        &self,
        rows: &Range<usize>,
        first: usize,
        decoded: &[Unpacked],
        element: impl Fn([u8; N]) -> T,
    ) -> Vec<T> {
        let width = self.extents[1];
        let across = width.div_ceil(self.chunk[1]);
        let mut out = vec![T::default(); rows.len() * width];
        for (i, chunk) in decoded.iter().enumerate() {
            let (down, right) = ((first + i) / across, (first + i) % across);
            let top = down * self.chunk[0];
            let wanted = rows.start.max(top)..rows.end.min(top + self.chunk[0]);
            if self.chunk[1] == width {
                // Whole rows follow each other.
                let to = &mut out[(wanted.start - rows.start) * width..(wanted.end - rows.start) * width];
                chunk.elements((wanted.start - top) * width, to, &element);
                continue;
            }
            let left = right * self.chunk[1];
            let columns = left..width.min(left + self.chunk[1]);
            for row in wanted {
                let to = &mut out[(row - rows.start) * width..][columns.clone()];
                chunk.elements((row - top) * self.chunk[1], to, &element);
            }
        }
        out
    }
}

fn damaged(index: usize, what: String) -> Fault {
    Fault::bad_file(what).at(format!("chunk {index}")).hint("the file is damaged: copy or download it again")
}

/// Bytes of a number; none for what is not decoded here.
fn element_bytes(dtype: &Dtype) -> Option<usize> {
    match dtype {
        Dtype::I8 | Dtype::U8 => Some(1),
        Dtype::I16 | Dtype::U16 => Some(2),
        Dtype::I32 | Dtype::U32 | Dtype::F32 => Some(4),
        Dtype::I64 | Dtype::U64 | Dtype::F64 => Some(8),
        Dtype::Bool | Dtype::Text | Dtype::Other(_) => None,
    }
}

/// Extents of an array and of its chunks as rows and columns.
pub(crate) fn grid(info: &ArrayInfo) -> Option<([usize; 2], [usize; 2])> {
    let (extents, chunk) = match (info.shape.as_slice(), info.chunk.as_deref()?) {
        (&[n], &[chunk]) => ([n, 1], [chunk, 1]),
        (&[n, width], &[down, across]) => ([n, width], [down, across]),
        _ => return None,
    };
    // The library keeps chunks below 4 GiB; more is damage, which it reports better.
    let bytes = chunk[0].checked_mul(chunk[1])?.checked_mul(8)?;
    (bytes > 0 && bytes < 1 << 33).then_some((extents, chunk))
}

#[cfg(unix)]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], address: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, address)
}

#[cfg(windows)]
pub(crate) fn read_at(file: &File, mut buffer: &mut [u8], mut address: u64) -> std::io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !buffer.is_empty() {
        let n = file.seek_read(buffer, address)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[n..];
        address += n as u64;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// Literal runs, and copies where the last bytes stand already.
    fn pack_lzf(bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut literal, mut at) = (Vec::new(), Vec::new(), 0);
        let flush = |literal: &mut Vec<u8>, out: &mut Vec<u8>| {
            for run in literal.chunks(32) {
                out.push(run.len() as u8 - 1);
                out.extend_from_slice(run);
            }
            literal.clear();
        };
        while at < bytes.len() {
            let same = |back: usize| {
                (0..264.min(bytes.len() - at)).take_while(|&k| bytes[at + k - back] == bytes[at + k]).count()
            };
            let best =
                (1..=at.min(8192)).map(|back| (same(back), back)).max_by_key(|&(n, back)| (n, usize::MAX - back));
            match best {
                Some((n, back)) if n >= 3 => {
                    flush(&mut literal, &mut out);
                    let (back, short) = (back - 1, (n - 2).min(7));
                    out.push((short << 5 | back >> 8) as u8);
                    if short == 7 {
                        out.push((n - 9) as u8);
                    }
                    out.push((back & 255) as u8);
                    at += n;
                }
                _ => {
                    literal.push(bytes[at]);
                    at += 1;
                }
            }
        }
        flush(&mut literal, &mut out);
        out
    }

    proptest! {
        #[test]
        fn lzf_unpacks_what_was_packed(bytes in proptest::collection::vec(0_u8..3, 0..900), far in 0_usize..9000) {
            let mut bytes = bytes;
            // Something to refer to over a distance.
            let start = bytes.clone();
            bytes.extend((0..far).map(|k| (k * k % 251) as u8));
            bytes.extend(start);
            prop_assert_eq!(unpack_lzf(&pack_lzf(&bytes), bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn no_bytes_make_decoding_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            expected in 0_usize..600,
            skipped in 0_u32..4,
        ) {
            for packing in [Packing::Gzip, Packing::Lzf] {
                let decoded = Pipeline { shuffle: true, packing }.decode(bytes.clone(), skipped, 4, expected);
                prop_assert!(decoded.is_err() || decoded.is_ok_and(|out| out.len() == expected));
            }
        }

        #[test]
        fn unshuffled_bytes_are_those_of_elements(values in proptest::collection::vec(any::<u64>(), 0..40)) {
            macro_rules! check { ($($t:ty),*) => { $(
                let elements: Vec<u8> = values.iter().flat_map(|&v| (v as $t).to_le_bytes()).collect();
                let size = size_of::<$t>();
                let shuffled: Vec<u8> =
                    (0..size).flat_map(|byte| elements.iter().skip(byte).step_by(size).copied()).collect();
                prop_assert_eq!(unshuffle(&shuffled, size), elements);
            )* } }
            check!(u8, u16, u32, u64);
        }
    }

    #[test]
    fn damage_is_told_in_words() {
        let packed = pack_lzf(b"abcabcabcabcabcabcabcabcabcabcabcabc");
        for (stored, expected, words) in [
            (&packed[..packed.len() - 1], 36, "end too early"),
            (&packed[..], 35, "more than 35 bytes"),
            (&packed[..], 37, "to 36 bytes, expected 37"),
            (&[0x20, 0x00][..], 3, "before its first"),
            (&[5, 1, 2][..], 6, "end too early"),
        ] {
            assert!(unpack_lzf(stored, expected).is_err_and(|what| what.contains(words)), "{words}");
        }
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(4));
        zlib.write_all(&[7; 1000]).unwrap();
        let mut zlib = zlib.finish().unwrap();
        assert_eq!(inflate(&zlib, 1000).unwrap(), vec![7; 1000]);
        assert!(inflate(&zlib, 999).is_err() && inflate(&zlib, 1001).is_err());
        assert!(inflate(&zlib[..zlib.len() - 2], 1000).is_err());
        // The checksum.
        *zlib.last_mut().unwrap() ^= 1;
        assert!(inflate(&zlib, 1000).is_err());
    }

    #[test]
    fn filters_that_were_left_out_are_not_undone() {
        let bytes = vec![1, 2, 3, 4, 5, 6, 7, 8];
        let decode = |skipped| Pipeline { shuffle: true, packing: Packing::Lzf }.decode(bytes.clone(), skipped, 4, 8);
        assert_eq!(decode(0b11), Ok(bytes.clone()));
        assert_eq!(decode(0b10), Ok(vec![1, 3, 5, 7, 2, 4, 6, 8]));
        assert!(decode(0).is_err());
    }
}
