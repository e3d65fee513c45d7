//! [`Hdf5`]: the [`Store`] of HDF5 files. With [`crate::hdf5::write`] the only file of ferrocyte that knows HDF5.
//!
//! The HDF5 library serves one call at a time; its binding holds a global lock. So one thread reads and others
//! compute. Reading goes through [`StoredArray`], which gives slabs in their stored type. Of arrays with the usual
//! compression the library tells only where the chunks are; [`ChunkedFile`] reads and decodes them beside it.

pub(crate) mod chunks;
mod lzf;
mod records;
pub(crate) mod write;

use std::fs;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ferrocyte_base::{Fault, Kind, Result, Run};
use hdf5_metno as hdf5;
use hdf5_metno::MinorErrorCode;
use hdf5_metno::types::{FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};

use crate::hdf5::chunks::{ChunkedFile, Pipeline, Place, grid};
use crate::store::{ArrayInfo, Attr, Dtype, Node, Numbers, Store, StoredArray};

/// The most bytes that one read may ask for. More than that is a damaged header, not data.
const LARGEST_READ: usize = 1 << 36;

/// Arrays of no more elements than this are read at once where several ranges of them are asked for.
const SMALL: usize = 1 << 18;

/// The most chunks of an array whose places are kept (16 bytes each); arrays in more are read by the library.
const MOST_CHUNKS: usize = 1 << 21;

/// What the library keeps of decoded chunks, for each array that is open: little, since ranges are read so that no chunk
/// is decoded twice. Slots to find a chunk by, bytes, and whether chunks that were read in full are the first to go.
const CACHE_SLOTS: usize = 521;
const CACHE_BYTES: usize = 1 << 20;
const CACHE_FULL_FIRST: f64 = 1.0;

/// An HDF5 file, opened for reading.
#[derive(Debug)]
pub struct Hdf5 {
    file: hdf5::File,
    /// The same file beside the library, if the addresses of chunks count from its first byte.
    bytes: Option<Arc<fs::File>>,
    place: String,
}

impl Hdf5 {
    /// Opens a file. What cannot be opened is told apart: missing, a folder, not HDF5, locked, truncated.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let bytes = look_at(path).map_err(|f| f.at(place.as_str()))?;
        let mut access = hdf5::File::with_options();
        access.with_fapl(|plist| plist.chunk_cache(CACHE_SLOTS, CACHE_BYTES, CACHE_FULL_FIRST));
        let file = access.open(path).map_err(|e| why_not_opened(&e).at(place.as_str()))?;
        Ok(Self { file, bytes: bytes.map(Arc::new), place })
    }

    fn dataset(&self, path: &str) -> Result<hdf5::Dataset> {
        self.file.dataset(path).map_err(|e| unreadable("cannot be opened", &e).at(path).at(self.place()))
    }

    fn attributes_of(&self, path: &str) -> Result<hdf5::Location> {
        let opened = match self.node(path)? {
            Some(Node::Array) => return Ok((**self.dataset(path)?).clone()),
            _ if path.is_empty() => self.file.group("/"),
            _ => self.file.group(path),
        };
        let group = opened.map_err(|e| unreadable("cannot be opened", &e).at(path).at(self.place()))?;
        Ok((*group).clone())
    }
}

impl Store for Hdf5 {
    fn place(&self) -> &str {
        &self.place
    }

    fn node(&self, path: &str) -> Result<Option<Node>> {
        if path.is_empty() {
            return Ok(Some(Node::Group));
        }
        if !self.file.link_exists(path) {
            return Ok(None);
        }
        match self.file.loc_type_by_name(path) {
            Ok(hdf5::LocationType::Group) => Ok(Some(Node::Group)),
            Ok(hdf5::LocationType::Dataset) => Ok(Some(Node::Array)),
            Ok(_) => Ok(None),
            Err(e) => Err(unreadable("cannot be opened", &e).at(path).at(self.place())),
        }
    }

    fn list(&self, group: &str) -> Result<Vec<String>> {
        let path = if group.is_empty() { "/" } else { group };
        let names = self.file.group(path).and_then(|g| g.member_names());
        let mut names = names.map_err(|e| unreadable("cannot be listed", &e).at(path).at(self.place()))?;
        names.sort_unstable();
        Ok(names)
    }

    fn attr(&self, path: &str, name: &str) -> Result<Option<Attr>> {
        let location = self.attributes_of(path)?;
        let read = || -> hdf5::Result<Option<Attr>> {
            if !location.attr_names()?.iter().any(|n| n == name) {
                return Ok(None);
            }
            read_attribute(&location.attr(name)?).map(Some)
        };
        read().map_err(|e| unreadable(&format!("attribute `{name}` cannot be read"), &e).at(path).at(self.place()))
    }

    fn array(&self, path: &str) -> Result<Box<dyn StoredArray>> {
        let dataset = self.dataset(path)?;
        let array = Hdf5Array::new(dataset, path, self.bytes.clone()).map_err(|f| f.at(path).at(self.place()))?;
        Ok(Box::new(array))
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

/// An opened data set.
struct Hdf5Array {
    dataset: hdf5::Dataset,
    info: ArrayInfo,
    stored: Option<TypeDescriptor>,
    bytes: Option<Arc<fs::File>>,
    /// Its chunks, looked up when first needed; none where they are left to the library.
    chunks: OnceLock<Option<ChunkedFile>>,
}

impl Hdf5Array {
    fn new(dataset: hdf5::Dataset, path: &str, bytes: Option<Arc<fs::File>>) -> Result<Self> {
        let filters = filter_names(&dataset)?;
        let described = dataset.dtype().and_then(|t| t.to_descriptor());
        let shape = dataset.get_shape().map_err(|e| unreadable("its shape cannot be read", &e))?;
        let (stored, dtype) = match described {
            Ok(stored) => {
                let dtype = dtype_of(&stored);
                (Some(stored), dtype)
            }
            Err(e) => (None, Dtype::Other(reason(&e))),
        };
        let info = ArrayInfo { path: path.to_owned(), shape, dtype, chunk: dataset.chunk(), filters };
        Ok(Self { dataset, info, stored, bytes, chunks: OnceLock::new() })
    }

    /// The places of its chunks, if they can be decoded without the library: usual filters, numbers as this machine
    /// has them.
    fn find_chunks(&self) -> Option<ChunkedFile> {
        let file = Arc::clone(self.bytes.as_ref()?);
        let pipeline = Pipeline::of(&self.info.filters)?;
        let (extents, chunk) = grid(&self.info)?;
        if cfg!(target_endian = "big") || !self.is_native() {
            return None;
        }
        let (down, across) = (extents[0].div_ceil(chunk[0]), extents[1].div_ceil(chunk[1]));
        let n_chunks = down.checked_mul(across).filter(|&n| n <= MOST_CHUNKS)?;
        let length = file.metadata().ok()?.len();
        let mut places = vec![None; n_chunks];
        let mut fits = true;
        let visit = self.dataset.chunks_visit(|found| {
            let step = |axis: usize| found.offset.get(axis).map_or(0, |&o| o as usize / chunk[axis]);
            let (row, column) = (step(0), step(1));
            let bytes = u32::try_from(found.size).ok();
            let inside = found.addr.checked_add(found.size).is_some_and(|end| end <= length);
            match (bytes, places.get_mut(row.saturating_mul(across).saturating_add(column))) {
                (Some(bytes), Some(place)) if inside && column < across => {
                    *place = Some(Place { address: found.addr, bytes, skipped: found.filter_mask });
                }
                // Damage: the library says what is wrong.
                _ => fits = false,
            }
            i32::from(!fits)
        });
        visit.ok()?;
        if fits { ChunkedFile::new(file, &self.info, pipeline, places) } else { None }
    }

    /// Whether its elements stand in the file as they do in memory.
    fn is_native(&self) -> bool {
        let Ok(stored) = self.dataset.dtype() else { return false };
        let native = match self.info.dtype {
            Dtype::I8 => hdf5::Datatype::from_type::<i8>(),
            Dtype::I16 => hdf5::Datatype::from_type::<i16>(),
            Dtype::I32 => hdf5::Datatype::from_type::<i32>(),
            Dtype::I64 => hdf5::Datatype::from_type::<i64>(),
            Dtype::U8 => hdf5::Datatype::from_type::<u8>(),
            Dtype::U16 => hdf5::Datatype::from_type::<u16>(),
            Dtype::U32 => hdf5::Datatype::from_type::<u32>(),
            Dtype::U64 => hdf5::Datatype::from_type::<u64>(),
            Dtype::F32 => hdf5::Datatype::from_type::<f32>(),
            Dtype::F64 => hdf5::Datatype::from_type::<f64>(),
            Dtype::Bool | Dtype::Text | Dtype::Other(_) => return false,
        };
        native.is_ok_and(|native| native == stored)
    }

    /// Checks a range before anything is allocated for it.
    fn check(&self, rows: &Range<usize>, element_bytes: usize) -> Result<()> {
        if rows.start > rows.end || rows.end > self.info.n_rows() {
            return Err(Fault::bad_file(format!(
                "elements {}..{} were expected, but it has {}",
                rows.start,
                rows.end,
                self.info.n_rows()
            ))
            .at(self.info.path.as_str()));
        }
        let bytes = rows.len().checked_mul(self.info.width()).and_then(|n| n.checked_mul(element_bytes));
        if bytes.is_none_or(|b| b > LARGEST_READ) {
            return Err(Fault::bad_file(format!("its shape {:?} is beyond reason", self.info.shape))
                .at(self.info.path.as_str())
                .hint("the file is damaged"));
        }
        Ok(())
    }

    fn read<T: hdf5::H5Type>(&self, rows: Range<usize>) -> Result<Vec<T>> {
        self.check(&rows, size_of::<T>())?;
        read_rows(&self.dataset, &self.info.shape, rows.clone()).map_err(|e| {
            unreadable(&format!("elements {}..{} cannot be read", rows.start, rows.end), &e).at(self.info.path.as_str())
        })
    }

    fn fixed_texts<T: hdf5::H5Type + AsRef<[u8]>>(&self, rows: Range<usize>) -> Result<Vec<String>> {
        // Fixed buckets may be much wider than the texts, so this goes in slabs.
        const SLAB: usize = 4096;
        let mut texts = Vec::with_capacity(rows.len());
        let mut start = rows.start;
        while start < rows.end {
            let end = (start + SLAB).min(rows.end);
            self.decode(start, &self.read::<T>(start..end)?, &mut texts)?;
            start = end;
        }
        Ok(texts)
    }

    fn decode<T: AsRef<[u8]>>(&self, start: usize, raw: &[T], texts: &mut Vec<String>) -> Result<()> {
        for (i, bytes) in raw.iter().enumerate() {
            let text = std::str::from_utf8(bytes.as_ref()).map_err(|e| {
                Fault::bad_file(format!("element {} is not UTF-8 text", start + i))
                    .at(self.info.path.as_str())
                    .because(e)
            })?;
            texts.push(text.to_owned());
        }
        Ok(())
    }
}

impl StoredArray for Hdf5Array {
    fn info(&self) -> &ArrayInfo {
        &self.info
    }

    fn numbers(&self, rows: Range<usize>) -> Result<Numbers> {
        Ok(match self.info.dtype {
            // Read as bytes: a damaged truth value must not become a `bool` that is neither.
            Dtype::Bool => Numbers::Bool(self.read::<u8>(rows)?.into_iter().map(|b| b != 0).collect()),
            Dtype::I8 => Numbers::I8(self.read(rows)?),
            Dtype::I16 => Numbers::I16(self.read(rows)?),
            Dtype::I32 => Numbers::I32(self.read(rows)?),
            Dtype::I64 => Numbers::I64(self.read(rows)?),
            Dtype::U8 => Numbers::U8(self.read(rows)?),
            Dtype::U16 => Numbers::U16(self.read(rows)?),
            Dtype::U32 => Numbers::U32(self.read(rows)?),
            Dtype::U64 => Numbers::U64(self.read(rows)?),
            Dtype::F32 => Numbers::F32(self.read(rows)?),
            Dtype::F64 => Numbers::F64(self.read(rows)?),
            Dtype::Text | Dtype::Other(_) => {
                return Err(Fault::bad_file(format!("numbers were expected, found {}", self.info.dtype.name()))
                    .at(self.info.path.as_str()));
            }
        })
    }

    fn numbers_with(&self, run: &Run, rows: Range<usize>) -> Result<Numbers> {
        self.check(&rows, size_of::<f64>())?;
        let Some(chunks) = self.chunks.get_or_init(|| self.find_chunks()) else { return self.numbers(rows) };
        match chunks.numbers(run, &self.info.dtype, rows.clone()) {
            Ok(Some(numbers)) => Ok(numbers),
            Ok(None) => self.numbers(rows),
            Err(fault) if fault.kind() == Kind::Cancelled => Err(fault),
            // The library has the last word; if it cannot read them either, the fault that names the chunk is told.
            Err(fault) => self.numbers(rows).map_err(|_| fault.at(self.info.path.as_str())),
        }
    }

    fn numbers_of(&self, run: &Run, ranges: &[Range<usize>]) -> Result<Vec<Numbers>> {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(Vec::new()) };
        self.check(&(first.start..last.end), 0)?;
        if let Some(chunks) = self.chunks.get_or_init(|| self.find_chunks())
            && let Ok(Some(numbers)) = chunks.numbers_of(run, &self.info.dtype, ranges)
        {
            return Ok(numbers);
        }
        let (span, width) = (first.start..last.end, self.info.width());
        if span.len() * width > SMALL {
            return ranges.iter().map(|rows| self.numbers(rows.clone())).collect();
        }
        let all = self.numbers(span.clone())?;
        Ok(ranges.iter().map(|r| all.slice((r.start - span.start) * width..(r.end - span.start) * width)).collect())
    }

    fn texts(&self, rows: Range<usize>) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        let start = rows.start;
        match self.stored {
            Some(TypeDescriptor::VarLenUnicode) => {
                let raw: Vec<VarLenUnicode> = self.read(rows)?;
                let bytes: Vec<&[u8]> = raw.iter().map(VarLenUnicode::as_bytes).collect();
                self.decode(start, &bytes, &mut texts)?;
            }
            Some(TypeDescriptor::VarLenAscii) => {
                let raw: Vec<VarLenAscii> = self.read(rows)?;
                let bytes: Vec<&[u8]> = raw.iter().map(VarLenAscii::as_bytes).collect();
                self.decode(start, &bytes, &mut texts)?;
            }
            Some(TypeDescriptor::FixedAscii(n)) => texts = self.fixed(n, false, rows)?,
            Some(TypeDescriptor::FixedUnicode(n)) => texts = self.fixed(n, true, rows)?,
            _ => {
                return Err(Fault::bad_file(format!("text was expected, found {}", self.info.dtype.name()))
                    .at(self.info.path.as_str()));
            }
        }
        Ok(texts)
    }
}

impl Hdf5Array {
    /// Texts of a fixed length, which the library converts to the next of a few lengths.
    fn fixed(&self, length: usize, unicode: bool, rows: Range<usize>) -> Result<Vec<String>> {
        match (length, unicode) {
            (0..=16, false) => self.fixed_texts::<FixedAscii<16>>(rows),
            (0..=16, true) => self.fixed_texts::<FixedUnicode<16>>(rows),
            (17..=256, false) => self.fixed_texts::<FixedAscii<256>>(rows),
            (17..=256, true) => self.fixed_texts::<FixedUnicode<256>>(rows),
            (257..=4096, false) => self.fixed_texts::<FixedAscii<4096>>(rows),
            (257..=4096, true) => self.fixed_texts::<FixedUnicode<4096>>(rows),
            _ => Err(Fault::unsupported(format!("text of a fixed length of {length} bytes (at most 4096)"))
                .at(self.info.path.as_str())),
        }
    }
}

fn read_rows<T: hdf5::H5Type>(data: &hdf5::Dataset, shape: &[usize], rows: Range<usize>) -> hdf5::Result<Vec<T>> {
    match shape {
        [] => {
            let all = data.read_raw()?;
            Ok(if rows.is_empty() { Vec::new() } else { all })
        }
        [_] => Ok(data.read_slice_1d::<T, _>(rows)?.into_raw_vec_and_offset().0),
        [_, width] => {
            let slab: hdf5::Hyperslab =
                vec![hdf5::SliceOrIndex::from(rows), hdf5::SliceOrIndex::from(0..*width)].into();
            Ok(data.read_slice_2d::<T, _>(slab)?.into_raw_vec_and_offset().0)
        }
        more => Err(format!("arrays of {} dimensions are not read", more.len()).into()),
    }
}

fn read_attribute(attribute: &hdf5::Attribute) -> hdf5::Result<Attr> {
    use TypeDescriptor as T;
    let scalar = attribute.is_scalar();
    if attribute.space()?.is_null() {
        return Ok(Attr::Empty);
    }
    let text = |mut texts: Vec<String>| match texts.len() {
        1 if scalar => Attr::Text(texts.remove(0)),
        _ => Attr::Texts(texts),
    };
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let described = match attribute.dtype()?.to_descriptor() {
        Ok(described) => described,
        Err(e) => return Ok(Attr::Other(reason(&e))),
    };
    Ok(match described {
        T::VarLenUnicode => text(attribute.read_raw::<VarLenUnicode>()?.iter().map(|s| lossy(s.as_bytes())).collect()),
        T::VarLenAscii => text(attribute.read_raw::<VarLenAscii>()?.iter().map(|s| lossy(s.as_bytes())).collect()),
        T::FixedAscii(n) if n <= 256 => {
            text(attribute.read_raw::<FixedAscii<256>>()?.iter().map(|s| lossy(s.as_bytes())).collect())
        }
        T::FixedUnicode(n) if n <= 256 => {
            text(attribute.read_raw::<FixedUnicode<256>>()?.iter().map(|s| lossy(s.as_bytes())).collect())
        }
        T::Boolean => Attr::Numbers(Numbers::Bool(attribute.read_raw::<u8>()?.into_iter().map(|b| b != 0).collect())),
        T::Integer(_) => Attr::Numbers(Numbers::I64(attribute.read_raw()?)),
        T::Unsigned(_) => Attr::Numbers(Numbers::U64(attribute.read_raw()?)),
        T::Float(_) => Attr::Numbers(Numbers::F64(attribute.read_raw()?)),
        other => Attr::Other(other.to_string()),
    })
}

fn dtype_of(stored: &TypeDescriptor) -> Dtype {
    use TypeDescriptor as T;
    match stored {
        T::Boolean => Dtype::Bool,
        T::Integer(IntSize::U1) => Dtype::I8,
        T::Integer(IntSize::U2) => Dtype::I16,
        T::Integer(IntSize::U4) => Dtype::I32,
        T::Integer(IntSize::U8) => Dtype::I64,
        T::Unsigned(IntSize::U1) => Dtype::U8,
        T::Unsigned(IntSize::U2) => Dtype::U16,
        T::Unsigned(IntSize::U4) => Dtype::U32,
        T::Unsigned(IntSize::U8) => Dtype::U64,
        T::Float(FloatSize::U4) => Dtype::F32,
        T::Float(FloatSize::U8) => Dtype::F64,
        T::VarLenUnicode | T::VarLenAscii | T::FixedAscii(_) | T::FixedUnicode(_) => Dtype::Text,
        other => Dtype::Other(other.to_string()),
    }
}

/// The names of the filters of a data set; a filter that is not built in is refused with its number and name.
fn filter_names(dataset: &hdf5::Dataset) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for filter in dataset.filters() {
        let id = filter.id();
        let (name, built_in) = match id {
            1 => ("gzip", true),
            2 => ("shuffle", true),
            3 => ("fletcher32", true),
            4 => ("szip", filter.decode_enabled()),
            5 => ("nbit", true),
            6 => ("scaleoffset", true),
            32000 => ("lzf", true),
            32001 => ("blosc", false),
            32004 => ("lz4", false),
            32008 => ("bitshuffle", false),
            32013 => ("zfp", false),
            32015 => ("zstd", false),
            32026 => ("blosc2", false),
            _ => ("unknown", false),
        };
        if !built_in {
            return Err(Fault::unsupported(format!("compressed with filter {id} ({name}), which is not built in"))
                .hint("write the file again with compression=\"gzip\" or \"lzf\""));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Tells apart, without the library, what is not an HDF5 file at all. Gives the opened file if HDF5 begins with its
/// first byte.
fn look_at(path: &Path) -> Result<Option<fs::File>> {
    if path.to_str().is_none() {
        return Err(Fault::unsupported("the name of the file is not UTF-8").hint("rename it"));
    }
    let meta = fs::metadata(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Fault::bad_file("there is no such file").because(e),
        ErrorKind::PermissionDenied => Fault::bad_file("no permission to read it").because(e),
        _ => Fault::bad_file(format!("cannot be read: {e}")).because(e),
    })?;
    if meta.is_dir() {
        let zarr = ["zarr.json", ".zgroup", ".zattrs"].iter().any(|name| path.join(name).exists());
        return Err(if zarr {
            Fault::unsupported("a Zarr folder, which this version does not read").hint("write it as .h5ad")
        } else {
            Fault::bad_file("a folder, expected an .h5ad file")
        });
    }
    let mut file = fs::File::open(path).map_err(|e| match e.kind() {
        ErrorKind::PermissionDenied => Fault::bad_file("no permission to read it").because(e),
        _ => Fault::bad_file(format!("cannot be opened: {e}")).because(e),
    })?;
    if let Some(offset) = signature(&mut file, meta.len()) {
        return Ok((offset == 0).then_some(file));
    }
    let hint = match first_bytes(&mut file) {
        [0x1f, 0x8b, ..] => "it is compressed with gzip: decompress it first",
        [b'P', b'K', ..] => "it is a zip archive: an .npz part file, or a zipped Zarr store",
        _ => "expected a file written by anndata (.h5ad)",
    };
    Err(Fault::bad_file(format!("not an HDF5 file ({} bytes)", meta.len())).hint(hint))
}

/// Where the HDF5 signature stands: offset 0, 512, 1024, 2048 and so on.
fn signature(file: &mut fs::File, length: u64) -> Option<u64> {
    let mut offset = 0_u64;
    while offset + 8 <= length {
        let mut bytes = [0_u8; 8];
        if file.seek(SeekFrom::Start(offset)).is_err() || file.read_exact(&mut bytes).is_err() {
            return None;
        }
        if bytes == *b"\x89HDF\r\n\x1a\n" {
            return Some(offset);
        }
        offset = if offset == 0 { 512 } else { offset * 2 };
    }
    None
}

fn first_bytes(file: &mut fs::File) -> [u8; 4] {
    let mut bytes = [0_u8; 4];
    if file.rewind().is_err() || file.read_exact(&mut bytes).is_err() {
        return [0; 4];
    }
    bytes
}

fn why_not_opened(error: &hdf5::Error) -> Fault {
    let words = reason(error);
    let fault = if error.contains_minor(MinorErrorCode::CantLockFile) {
        Fault::bad_file("another program has the file open for writing")
            .hint("close it there, or read a copy; on a disk without locks set HDF5_USE_FILE_LOCKING=FALSE")
    } else if error.contains_minor(MinorErrorCode::Truncated) {
        Fault::bad_file("the file is truncated: it is shorter than its header says").hint("copy or download it again")
    } else {
        Fault::bad_file(format!("damaged HDF5 file ({words})")).hint("copy or download it again")
    };
    fault.because(words)
}

fn unreadable(what: &str, error: &hdf5::Error) -> Fault {
    let words = reason(error);
    Fault::bad_file(format!("{what} ({words})")).hint("the file is damaged or truncated").because(words)
}

/// The words of the library: what was tried, and the innermost reason.
pub(crate) fn reason(error: &hdf5::Error) -> String {
    let Some(stack) = error.stack() else { return error.to_string() };
    let mut words: Vec<&str> = stack.iter().map(hdf5::ErrorFrame::desc).collect();
    words.dedup();
    match words.as_slice() {
        [] => error.to_string(),
        [only] => (*only).to_owned(),
        [first, .., last] => format!("{first}: {last}"),
    }
}
