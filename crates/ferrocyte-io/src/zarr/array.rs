//! [`ZarrArray`]: an array of a Zarr store. Only the chunks that a range touches are read; many threads decode them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use ferrocyte_base::{Fault, Result, Run};

use crate::codec::Room;
use crate::element::{Entries, Field};
use crate::store::{ArrayInfo, Dtype, FieldInfo, Numbers, StoredArray};
use crate::zarr::chain::{MOST_TEXT, texts, without_checksum};
use crate::zarr::element::{Element, Fill, Part};
use crate::zarr::meta::{ArrayMeta, Shard};
use crate::zarr::shelf::Shelf;

/// The most bytes of a chunk or a shard's index, and of one read. More is damage, not data.
const LARGEST_CHUNK: usize = 1 << 32;
const LARGEST_READ: usize = 1 << 36;

/// The most chunks that one read may touch.
const MOST_CHUNKS: usize = 1 << 22;

/// Of a read of more bytes than this at least one in so many chunks must have been written.
const BELIEVED: usize = 1 << 30;
const MOST_ABSENT: usize = 64;

/// Entries of indices of shards that are kept.
const KEPT_ENTRIES: usize = 1 << 20;

/// An opened array.
pub(crate) struct ZarrArray {
    shelf: Arc<Shelf>,
    /// Where its files lie, with a `/` behind it unless it is the root.
    prefix: String,
    meta: ArrayMeta,
    info: ArrayInfo,
    /// The extents of what is decoded at once: a chunk, or a chunk within a shard.
    chunk: Vec<usize>,
    strides: Vec<usize>,
    /// The elements of a chunk, and the bytes of one; 0 for texts.
    elements: usize,
    size: usize,
    /// Of the shards that were looked into: where each chunk stands.
    indices: Mutex<BTreeMap<Vec<usize>, Index>>,
}

/// Where each chunk of a shard stands: first byte and number of bytes, all ones where there is none; `None` if there is no shard.
type Index = Option<Arc<Vec<(u64, u64)>>>;

/// The bytes of a chunk, or of some of its rows.
struct Decoded {
    bytes: Vec<u8>,
    /// The row of the chunk with which they begin.
    first: usize,
}

/// Elements to be copied: from and to where, how far apart they stand in the chunk, how many.
struct Stretch {
    from: usize,
    step: usize,
    to: usize,
    n: usize,
}

impl ZarrArray {
    pub(crate) fn new(shelf: Arc<Shelf>, path: &str, meta: ArrayMeta) -> Result<Self> {
        let chunk = meta.shard.as_ref().map_or_else(|| meta.chunk.clone(), |shard| shard.chunk.clone());
        let size = meta.element.size().unwrap_or(0);
        let elements = product(&chunk).filter(|n| n.checked_mul(size.max(4)).is_some_and(|b| b <= LARGEST_CHUNK));
        let Some(elements) = elements else {
            return Err(Fault::unsupported(format!("chunks of shape {chunk:?}, more than 4 GiB, are not read")));
        };
        if product(&meta.shape).is_none() {
            return Err(Fault::bad_file(format!("its shape {:?} is beyond reason", meta.shape)));
        }
        let info = ArrayInfo {
            path: path.to_owned(),
            shape: meta.shape.clone(),
            dtype: meta.element.dtype(),
            chunk: Some(chunk.clone()).filter(|chunk| !chunk.is_empty()),
            filters: meta.chain.names(),
        };
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let strides = meta.chain.strides(&chunk);
        Ok(Self { shelf, prefix, meta, info, chunk, strides, elements, size, indices: Mutex::default() })
    }

    /// Rows of a chunk; a scalar is one row.
    fn chunk_rows(&self) -> usize {
        self.chunk.first().copied().unwrap_or(1)
    }

    /// Whether a chunk has whole rows, in the order of the array.
    fn has_whole_rows(&self) -> bool {
        self.meta.chain.in_order() && self.chunk.iter().skip(1).eq(self.info.shape.iter().skip(1))
    }

    /// Checks a range before anything is allocated for it; `bytes` are those of an element in memory.
    fn check(&self, rows: &Range<usize>, bytes: usize) -> Result<()> {
        let place = |fault: Fault| fault.at(self.info.path.as_str());
        let n = self.info.n_rows();
        if rows.start > rows.end || rows.end > n {
            let message = format!("elements {}..{} were expected, but it has {n}", rows.start, rows.end);
            return Err(place(Fault::bad_file(message)));
        }
        let bytes = rows.len().checked_mul(self.info.width()).and_then(|n| n.checked_mul(bytes));
        let chunks = self.counts(rows).iter().try_fold(1_usize, |n, &(_, count)| n.checked_mul(count));
        let reasonable = bytes.is_some_and(|b| b <= LARGEST_READ) && chunks.is_some_and(|n| n <= MOST_CHUNKS);
        // Chunks without a file cost nothing to claim.
        let unfounded = || -> Result<bool> {
            if bytes.is_none_or(|b| b <= BELIEVED) {
                return Ok(false);
            }
            let (mut all, mut written) = (0, 0);
            for at in self.chunks(rows) {
                all += 1;
                written += usize::from(self.stands(&at)?);
            }
            Ok(written * MOST_ABSENT < all)
        };
        if !reasonable || unfounded()? {
            let message = format!("its shape {:?} with chunks {:?} is beyond reason", self.info.shape, self.chunk);
            return Err(place(Fault::bad_file(message).hint("the store is damaged")));
        }
        Ok(())
    }

    /// Of each axis the first chunk that some rows touch, and how many.
    fn counts(&self, rows: &Range<usize>) -> Vec<(usize, usize)> {
        let extents = self.info.shape.iter().zip(&self.chunk);
        let along = |(axis, (&extent, &chunk)): (usize, (&usize, &usize))| {
            let range = if axis == 0 { rows.clone() } else { 0..extent };
            if range.is_empty() {
                (0, 0)
            } else {
                (range.start / chunk, range.end.div_ceil(chunk) - range.start / chunk)
            }
        };
        extents.enumerate().map(along).collect()
    }

    /// The chunks that some rows touch, the last axis running fastest.
    fn chunks(&self, rows: &Range<usize>) -> impl Iterator<Item = Vec<usize>> + use<> {
        let counts = self.counts(rows);
        let n = counts.iter().map(|&(_, count)| count).product::<usize>();
        let n = if rows.is_empty() { 0 } else { n };
        (0..n).map(move |mut i| {
            let mut at = vec![0; counts.len()];
            for (axis, &(first, count)) in counts.iter().enumerate().rev() {
                at[axis] = first + i % count;
                i /= count;
            }
            at
        })
    }

    fn key(&self, file: &[usize]) -> String {
        format!("{}{}", self.prefix, self.meta.keys.name(file))
    }

    /// Whether a chunk was written.
    fn stands(&self, at: &[usize]) -> Result<bool> {
        match &self.meta.shard {
            None => Ok(self.shelf.size(&self.key(at))?.is_some()),
            Some(shard) => Ok(self.in_shard(shard, at)?.is_some()),
        }
    }

    /// The file of the shard of a chunk, and where its bytes stand in it; `None` if there are none.
    fn in_shard(&self, shard: &Shard, at: &[usize]) -> Result<Option<(String, Range<u64>)>> {
        let per: Vec<usize> = self.meta.chunk.iter().zip(&shard.chunk).map(|(all, one)| all / one).collect();
        let file: Vec<usize> = at.iter().zip(&per).map(|(at, per)| at / per).collect();
        let inside = at.iter().zip(&per).fold(0, |index, (at, per)| index * per + at % per);
        let key = self.key(&file);
        let Some(index) = self.index(shard, &file, &key, &per)? else { return Ok(None) };
        match index.get(inside).copied() {
            None | Some((u64::MAX, u64::MAX)) => Ok(None),
            Some((start, bytes)) => {
                let end = start.checked_add(bytes).ok_or_else(|| {
                    Fault::bad_file(format!("its index claims {bytes} bytes at {start}")).at(key.as_str())
                })?;
                Ok(Some((key, start..end)))
            }
        }
    }

    /// The index of a shard; `None` if there is no such file.
    fn index(&self, shard: &Shard, file: &[usize], key: &str, per: &[usize]) -> Result<Index> {
        if let Some(known) = self.indices.lock().unwrap_or_else(PoisonError::into_inner).get(file) {
            return Ok(known.clone());
        }
        let index = self.read_index(shard, key, per)?;
        let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = indices.values().flatten().map(|index| index.len() + 1).sum();
        if kept > KEPT_ENTRIES || indices.len() > KEPT_ENTRIES {
            indices.clear();
        }
        indices.insert(file.to_vec(), index.clone());
        Ok(index)
    }

    fn read_index(&self, shard: &Shard, key: &str, per: &[usize]) -> Result<Index> {
        let Some(length) = self.shelf.size(key)? else { return Ok(None) };
        let bytes = product(per).and_then(|n| n.checked_mul(16)).map(|n| n as u64 + if shard.checksum { 4 } else { 0 });
        let Some(bytes) = bytes.filter(|&n| n <= length) else {
            let message = format!("{length} bytes, fewer than the index of its {per:?} chunks has");
            return Err(Fault::bad_file(message).at(key).hint("the store is truncated: copy or download it again"));
        };
        let range = if shard.index_first { 0..bytes } else { length - bytes..length };
        let stored = self.shelf.range(key, range)?;
        let entries =
            if shard.checksum { without_checksum(&stored).map_err(|what| damaged(key, &what))? } else { &stored };
        let eight = |b: &[u8]| b.first_chunk::<8>().map_or(u64::MAX, |b| u64::from_le_bytes(*b));
        Ok(Some(Arc::new(entries.chunks_exact(16).map(|entry| (eight(entry), eight(&entry[8..]))).collect())))
    }

    /// The bytes of the elements of a chunk, at least those of its rows `wanted`; `None` where nothing was written.
    fn decode(&self, at: &[usize], wanted: &Range<usize>) -> Result<Option<Decoded>> {
        let room = match self.meta.element {
            Element::Text => Room::AtMost(MOST_TEXT),
            _ => Room::Exactly(self.elements * self.size),
        };
        let most = self.meta.chain.most_stored(room);
        let (key, stored) = match &self.meta.shard {
            None => (self.key(at), None),
            Some(shard) => match self.in_shard(shard, at)? {
                Some((key, range)) => (key, Some(range)),
                None => return Ok(None),
            },
        };
        // What is not packed is read row by row.
        if self.meta.chain.is_plain() && self.size > 0 {
            let row = (self.elements / self.chunk_rows() * self.size) as u64;
            let stored = match stored {
                Some(range) => range,
                None => match self.shelf.size(&key)? {
                    Some(bytes) => 0..bytes,
                    None => return Ok(None),
                },
            };
            room.check(stored.end - stored.start).map_err(|what| damaged(&key, &what))?;
            let range = stored.start + wanted.start as u64 * row..stored.start + wanted.end as u64 * row;
            return Ok(Some(Decoded { bytes: self.shelf.range(&key, range)?, first: wanted.start }));
        }
        let stored = match stored {
            Some(range) if range.end - range.start > most => {
                let message = format!("its index claims {} bytes of a chunk", range.end - range.start);
                return Err(damaged(&key, &message));
            }
            Some(range) => self.shelf.range(&key, range)?,
            None => match self.shelf.get(&key, most)? {
                Some(stored) => stored,
                None => return Ok(None),
            },
        };
        let bytes = self.meta.chain.unpack(stored, room).map_err(|what| damaged(&key, &what))?;
        Ok(Some(Decoded { bytes, first: 0 }))
    }

    /// The rows of a chunk that lie in `rows`, counted within it.
    fn rows_within(&self, at: &[usize], rows: &Range<usize>) -> Range<usize> {
        let top = at.first().map_or(0, |&down| down * self.chunk_rows());
        rows.start.max(top) - top..rows.end.min(top + self.chunk_rows()) - top
    }

    /// Which elements of a chunk, whose rows from `first` on are there, go where in the rows that are asked for.
    fn stretches(&self, at: &[usize], rows: &Range<usize>, first: usize, mut copy: impl FnMut(Stretch)) {
        let shape = &self.info.shape;
        let within = self.rows_within(at, rows);
        let top = at.first().map_or(0, |&down| down * self.chunk_rows());
        if self.has_whole_rows() || shape.is_empty() {
            let width = self.info.width();
            let to = (top + within.start).saturating_sub(rows.start) * width;
            copy(Stretch { from: (within.start - first) * width, step: 1, to, n: within.len() * width });
            return;
        }
        let (last, axes) = (shape.len() - 1, shape.len());
        let ranges: Vec<Range<usize>> = (0..axes)
            .map(|axis| match axis {
                0 => within.clone(),
                _ => 0..self.chunk[axis].min(shape[axis] - at[axis] * self.chunk[axis]),
            })
            .collect();
        if ranges.iter().any(Range::is_empty) {
            return;
        }
        let mut steps = vec![1; axes];
        for axis in (0..last).rev() {
            steps[axis] = steps[axis + 1] * shape[axis + 1];
        }
        let mut index: Vec<usize> = ranges.iter().map(|r| r.start).collect();
        loop {
            let mut from = 0;
            let mut to = 0;
            for axis in 0..axes {
                let start = if axis == 0 { first } else { 0 };
                from += (index[axis] - start) * self.strides[axis];
                let origin = if axis == 0 { rows.start } else { 0 };
                to += (at[axis] * self.chunk[axis] + index[axis] - origin) * steps[axis];
            }
            copy(Stretch { from, step: self.strides[last], to, n: ranges[last].len() });
            // The next position of all axes but the last.
            let mut axis = last;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                if index[axis] < ranges[axis].end {
                    break;
                }
                index[axis] = ranges[axis].start;
            }
        }
    }

    /// The elements of `N` bytes of a range of rows in row-major order; `fill` stands where nothing was written.
    fn read<T: Copy + Send + Sync, const N: usize>(
        &self,
        run: Option<&Run>,
        rows: &Range<usize>,
        fill: T,
        element: impl Fn([u8; N]) -> T + Sync,
    ) -> Result<Vec<T>> {
        self.check(rows, size_of::<T>())?;
        let width = self.info.width();
        let mut out = vec![fill; rows.len() * width];
        if out.is_empty() {
            return Ok(out);
        }
        let scatter = |at: &[usize], rows: &Range<usize>, decoded: &Decoded, out: &mut [T]| {
            let (elements, _) = decoded.bytes.as_chunks::<N>();
            self.stretches(at, rows, decoded.first, |s| {
                let out = &mut out[s.to..s.to + s.n];
                if s.step == 1 {
                    out.iter_mut().zip(&elements[s.from..s.from + s.n]).for_each(|(to, &b)| *to = element(b));
                } else {
                    out.iter_mut().enumerate().for_each(|(k, to)| *to = element(elements[s.from + k * s.step]));
                }
            });
        };
        let decode = |at: &[usize]| self.decode(at, &self.rows_within(at, rows));
        let Some(run) = run else {
            for at in self.chunks(rows) {
                if let Some(decoded) = decode(&at)? {
                    scatter(&at, rows, &decoded, &mut out);
                }
            }
            return Ok(out);
        };
        let step = self.chunk_rows();
        if self.has_whole_rows() && rows.start.is_multiple_of(step) {
            // The usual case: each chunk is decoded to where it belongs.
            let failed: Mutex<Option<(usize, Fault)>> = Mutex::new(None);
            let chunks: Vec<Vec<usize>> = self.chunks(rows).collect();
            run.for_each_chunk(&mut out, step * width, |i, part| {
                let top = rows.start + i * step;
                match run.check().and_then(|()| decode(&chunks[i])) {
                    Ok(Some(decoded)) => scatter(&chunks[i], &(top..top + part.len() / width), &decoded, part),
                    Ok(None) => {}
                    Err(fault) => {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        // The first chunk that fails is told, whoever came to it first.
                        if failed.as_ref().is_none_or(|(at, _)| i < *at) {
                            *failed = Some((i, fault));
                        }
                    }
                }
            })?;
            return match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
                Some((_, fault)) => Err(fault),
                None => Ok(out),
            };
        }
        let chunks: Vec<Vec<usize>> = self.chunks(rows).collect();
        // As many chunks are held at once as there are threads to decode them.
        for some in chunks.chunks(2 * run.n_threads().max(1)) {
            let decoded =
                run.map_quietly(some.len(), 1, |which| which.map(|i| decode(&some[i])).collect::<Result<Vec<_>>>())?;
            for (at, decoded) in some.iter().zip(decoded.into_iter().flatten()) {
                if let Some(decoded) = decoded {
                    scatter(at, rows, &decoded, &mut out);
                }
            }
        }
        Ok(out)
    }

    fn read_numbers(&self, run: Option<&Run>, rows: &Range<usize>) -> Result<Numbers> {
        let (Element::Number(dtype), Fill::Bytes(fill)) = (&self.meta.element, &self.meta.fill) else {
            let message = format!("numbers were expected, found {}", self.info.dtype.name());
            return Err(Fault::bad_file(message).at(self.info.path.as_str()));
        };
        let big = self.meta.chain.big;
        macro_rules! read {
            ($($variant:ident($t:ty)),*) => {
                match dtype {
                    $(Dtype::$variant => {
                        let fill = <$t>::from_le_bytes(fill.first_chunk().copied().unwrap_or_default());
                        Numbers::$variant(if big {
                            self.read(run, rows, fill, <$t>::from_be_bytes)?
                        } else {
                            self.read(run, rows, fill, <$t>::from_le_bytes)?
                        })
                    })*
                    Dtype::Bool => {
                        let fill = fill.first().is_some_and(|&b| b != 0);
                        Numbers::Bool(self.read(run, rows, fill, |[byte]: [u8; 1]| byte != 0)?)
                    }
                    Dtype::Text | Dtype::Other(_) => return Err(Fault::internal("a number without a type")),
                }
            };
        }
        Ok(read!(I8(i8), I16(i16), I32(i32), I64(i64), U8(u8), U16(u16), U32(u32), U64(u64), F32(f32), F64(f64)))
    }

    /// Whatever the bytes of each element become, in row-major order; for texts and records.
    fn each<T: Clone>(
        &self,
        rows: &Range<usize>,
        fill: &T,
        mut convert: impl FnMut(&[u8]) -> std::result::Result<T, String>,
    ) -> Result<Vec<T>> {
        self.check(rows, size_of::<T>().max(1))?;
        let mut out = vec![fill.clone(); rows.len() * self.info.width()];
        for at in self.chunks(rows) {
            let Some(decoded) = self.decode(&at, &self.rows_within(&at, rows))? else { continue };
            let bad = |what: &str| damaged(&self.info.path, what).at(format!("chunk {at:?}"));
            let ranges = match self.meta.element {
                Element::Text => texts(&decoded.bytes, self.elements).map_err(|what| bad(&what))?,
                _ => Vec::new(),
            };
            let mut failed = None;
            self.stretches(&at, rows, decoded.first, |s| {
                for k in 0..s.n {
                    let from = s.from + k * s.step;
                    let bytes = match ranges.get(from) {
                        Some(range) => &decoded.bytes[range.clone()],
                        None => &decoded.bytes[from * self.size..(from + 1) * self.size],
                    };
                    match convert(bytes) {
                        Ok(value) => out[s.to + k] = value,
                        Err(what) => failed = failed.take().or(Some(format!("element {} {what}", s.to + k))),
                    }
                }
            });
            if let Some(what) = failed {
                return Err(bad(&what));
            }
        }
        Ok(out)
    }

    /// One field of records.
    fn read_field(&self, part: &Part, rows: &Range<usize>) -> Result<Field> {
        let bytes = self.each(rows, &vec![0_u8; part.bytes.len()], |record| Ok(record[part.bytes.clone()].to_vec()))?;
        let bytes = bytes.concat();
        let size = part.element.size().unwrap_or(0).max(1);
        let big = self.meta.chain.big;
        let cells = match &part.element {
            Element::Number(dtype) => Entries::Numbers(numbers_of(dtype, &bytes, big)),
            Element::Fixed { wide, .. } => {
                let texts = bytes.chunks_exact(size).map(|b| Element::fixed_text(b, *wide, big));
                let texts = texts.collect::<std::result::Result<Vec<_>, _>>();
                let texts = texts.map_err(|what| damaged(&self.info.path, &format!("a text {what}")))?;
                // Records of Zarr have no texts of any length: their room says nothing of what was written.
                Entries::Texts(texts)
            }
            Element::Text | Element::Record(_) => {
                let message = format!("field `{}` of type {} is not read", part.name, part.element.dtype().name());
                return Err(Fault::unsupported(message).at(self.info.path.as_str()));
            }
        };
        Ok(Field { shape: part.shape.clone(), cells })
    }
}

impl StoredArray for ZarrArray {
    fn info(&self) -> &ArrayInfo {
        &self.info
    }

    fn numbers(&self, rows: Range<usize>) -> Result<Numbers> {
        self.read_numbers(None, &rows)
    }

    fn numbers_with(&self, run: &Run, rows: Range<usize>) -> Result<Numbers> {
        self.read_numbers(Some(run), &rows)
    }

    fn numbers_of(&self, run: &Run, ranges: &[Range<usize>]) -> Result<Vec<Numbers>> {
        let (width, step) = (self.info.width(), self.chunk_rows());
        let mut found = Vec::with_capacity(ranges.len());
        // Those that begin in one chunk are decoded together.
        for group in ranges.chunk_by(|a, b| a.start / step == b.start / step) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            let all = self.read_numbers(Some(run), &(first.start..last.end))?;
            let slice = |r: &Range<usize>| all.slice((r.start - first.start) * width..(r.end - first.start) * width);
            found.extend(group.iter().map(slice));
        }
        Ok(found)
    }

    fn texts(&self, rows: Range<usize>) -> Result<Vec<String>> {
        match (&self.meta.element, &self.meta.fill) {
            (Element::Text, Fill::Text(fill)) => self.each(&rows, fill, |bytes| {
                std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "is not UTF-8 text".to_owned())
            }),
            (Element::Fixed { wide, .. }, _) => {
                self.each(&rows, &String::new(), |bytes| Element::fixed_text(bytes, *wide, self.meta.chain.big))
            }
            _ => {
                let message = format!("text was expected, found {}", self.info.dtype.name());
                Err(Fault::bad_file(message).at(self.info.path.as_str()))
            }
        }
    }

    fn text_width(&self) -> Option<usize> {
        match self.meta.element {
            Element::Fixed { units, .. } => Some(units),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<FieldInfo> {
        self.meta.element.fields()
    }

    fn field(&self, name: &str, rows: Range<usize>) -> Result<Field> {
        let part = match &self.meta.element {
            Element::Record(parts) => parts.iter().find(|part| part.name == name),
            _ => None,
        };
        let part = part.ok_or_else(|| {
            Fault::missing(format!("there is no field `{name}` of records")).at(self.info.path.as_str())
        })?;
        self.read_field(part, &rows)
    }
}

/// Numbers from their bytes.
fn numbers_of(dtype: &Dtype, bytes: &[u8], big: bool) -> Numbers {
    macro_rules! convert {
        ($($variant:ident($t:ty)),*) => {
            match dtype {
                $(Dtype::$variant => {
                    const N: usize = size_of::<$t>();
                    let of = |bytes: &[u8]| bytes.first_chunk::<N>().copied().unwrap_or_default();
                    let number = |b: &[u8]| if big { <$t>::from_be_bytes(of(b)) } else { <$t>::from_le_bytes(of(b)) };
                    Numbers::$variant(bytes.chunks_exact(N).map(number).collect())
                })*
                Dtype::Bool | Dtype::Text | Dtype::Other(_) => Numbers::Bool(bytes.iter().map(|&b| b != 0).collect()),
            }
        };
    }
    convert!(I8(i8), I16(i16), I32(i32), I64(i64), U8(u8), U16(u16), U32(u32), U64(u64), F32(f32), F64(f64))
}

fn damaged(key: &str, what: &str) -> Fault {
    Fault::bad_file(what).at(key).hint("the store is damaged: copy or download it again")
}

fn product(extents: &[usize]) -> Option<usize> {
    extents.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent))
}
