//! [`Hdf5`]: the [`Store`] of HDF5 files. With [`crate::hdf5::write`] the only file of ferrocyte that knows HDF5.
//!
//! The HDF5 library serves one call at a time; its binding holds a global lock. So one thread reads and others
//! compute. Reading goes through [`StoredArray`], which gives slabs in their stored type. Of arrays with the usual
//! compression the library tells only where the chunks are; [`ChunkedFile`] reads and decodes them beside it.

pub(crate) mod chunks;
mod elements;
mod heaps;
mod look;
mod lzf;
#[cfg(feature = "filters")]
mod plugins;
mod records;
pub(crate) mod write;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ferrocyte_base::{Fault, Kind, Result, Run};
use hdf5_metno as hdf5;
use hdf5_metno::types::{FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};

use crate::element::{Entries, Field};
use crate::hdf5::chunks::{ChunkedFile, Pipeline, Place, grid};
use crate::hdf5::elements::Part;
use crate::hdf5::heaps::Heaps;
use crate::hdf5::look::{look_at, why_not_opened};
use crate::store::{ArrayInfo, Attr, Dtype, FieldInfo, Node, Numbers, Store, StoredArray};

/// The most bytes that one read may ask for. More than that is a damaged header, not data.
const LARGEST_READ: usize = 1 << 36;

/// The most bytes that may be read of an array of which nothing is in the file: what was never written is zero.
const UNWRITTEN: u64 = 64 << 20;

/// Bytes that a byte of the file can become: the most of gzip, and of Zstandard, which repeats a block of 128 KiB in
/// four bytes.
const EXPANSION: u64 = 1032;
const EXPANSION_OF_PLUGINS: u64 = 1 << 15;

/// The filters that may hold Zstandard.
const PLUGINS: [&str; 3] = ["zstd", "blosc", "bitshuffle"];

/// Texts are taken as they come up to this many bytes, whatever the size of the file.
const TEXTS: u64 = 64 << 20;

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
    /// Its heaps of texts, looked at before the library follows them.
    heaps: Option<Arc<Heaps>>,
    length: u64,
    place: String,
}

/// The first version of the library that counts the addresses of chunks from the first byte of a file even where HDF5
/// begins later.
const COUNTS_FROM_FIRST_BYTE: (u8, u8, u8) = (1, 14, 3);

impl Hdf5 {
    /// Opens a file. What cannot be opened is told apart: missing, a folder, not HDF5, locked, truncated.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let (bytes, start) = look_at(path).map_err(|f| f.at(place.as_str()))?;
        let length = bytes.metadata().map_or(0, |meta| meta.len());
        #[cfg(feature = "filters")]
        plugins::register();
        let mut access = hdf5::File::with_options();
        access.with_fapl(|plist| plist.chunk_cache(CACHE_SLOTS, CACHE_BYTES, CACHE_FULL_FIRST));
        let file = access.open(path).map_err(|e| why_not_opened(&e).at(place.as_str()))?;
        let counted = start == 0 || hdf5::library_version() >= COUNTS_FROM_FIRST_BYTE;
        let bytes = Arc::new(bytes);
        let heaps = Heaps::new(Arc::clone(&bytes), start).map(Arc::new);
        Ok(Self { file, bytes: counted.then_some(bytes), heaps, length, place })
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
        if let (Some(heaps), Some(address)) = (&self.heaps, elements::address(&location)) {
            heaps.check_object(address).map_err(|f| f.at(path).at(self.place()))?;
        }
        let read = || -> hdf5::Result<Option<Attr>> {
            if !location.attr_names()?.iter().any(|n| n == name) {
                return Ok(None);
            }
            let attribute = location.attr(name)?;
            if attribute.size() as u64 > self.length {
                return Err(format!("{} elements, more than the file has bytes", attribute.size()).into());
            }
            read_attribute(&location, &attribute).map(Some)
        };
        read().map_err(|e| unreadable(&format!("attribute `{name}` cannot be read"), &e).at(path).at(self.place()))
    }

    fn array(&self, path: &str) -> Result<Box<dyn StoredArray>> {
        let dataset = self.dataset(path)?;
        let array = Hdf5Array::new(dataset, path, self);
        Ok(Box::new(array.map_err(|f| f.at(path).at(self.place()))?))
    }

    fn bytes(&self) -> Option<u64> {
        Some(self.length)
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
    heaps: Option<Arc<Heaps>>,
    /// Bytes of the file.
    length: u64,
    /// Its chunks, looked up when first needed; none where they are left to the library.
    chunks: OnceLock<Option<ChunkedFile>>,
}

impl Hdf5Array {
    fn new(dataset: hdf5::Dataset, path: &str, file: &Hdf5) -> Result<Self> {
        let filters = filter_names(&dataset)?;
        let described = dataset.dtype().and_then(|t| t.to_descriptor());
        let space = dataset.space().map_err(|e| unreadable("its shape cannot be read", &e))?;
        // An array without a space has no elements; one without extents has one.
        let shape = if space.is_null() { vec![0] } else { space.shape() };
        let (stored, dtype) = match described {
            Ok(stored) => {
                let dtype = dtype_of(&stored);
                (Some(stored), dtype)
            }
            Err(e) => (None, Dtype::Other(reason(&e))),
        };
        let info = ArrayInfo { path: path.to_owned(), shape, dtype, chunk: dataset.chunk(), filters };
        let (bytes, heaps) = (file.bytes.clone(), file.heaps.clone());
        Ok(Self { dataset, info, stored, bytes, heaps, length: file.length, chunks: OnceLock::new() })
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
        if bytes.is_none_or(|b| b > LARGEST_READ || self.is_beyond_the_file(b as u64)) {
            return Err(Fault::bad_file(format!("its shape {:?} is beyond reason", self.info.shape))
                .at(self.info.path.as_str())
                .hint("the file is damaged"));
        }
        Ok(())
    }

    /// Whether this many bytes can not come from what the file has of the array.
    fn is_beyond_the_file(&self, bytes: u64) -> bool {
        if bytes <= UNWRITTEN {
            return false;
        }
        let stored = elements::stored_bytes(&self.dataset).min(self.length);
        let expansion = match self.info.filters.as_slice() {
            [] => 1,
            filters if filters.iter().any(|name| PLUGINS.contains(&name.as_str())) => EXPANSION_OF_PLUGINS,
            _ => EXPANSION,
        };
        let most = stored.saturating_mul(expansion);
        // What was selected may be wider in memory than in the file, but no more than eightfold.
        bytes / 8 > most.saturating_add(UNWRITTEN)
    }

    /// The numbers of a range of rows, decoded here where that is possible, behind those that are known.
    fn decoded(&self, run: &Run, known: Option<Numbers>, rows: Range<usize>) -> Result<Numbers> {
        self.check(&rows, size_of::<f64>())?;
        let behind = |known: Option<Numbers>, numbers: Numbers| match known {
            Some(mut known) => known.append(numbers).map(|()| known),
            None => Ok(numbers),
        };
        let Some(chunks) = self.chunks.get_or_init(|| self.find_chunks()) else {
            return behind(known, self.numbers(rows)?);
        };
        match chunks.numbers(run, &self.info.dtype, known.as_ref(), rows.clone()) {
            Ok(Some(numbers)) => Ok(numbers),
            Ok(None) => behind(known, self.numbers(rows)?),
            Err(fault) if fault.kind() == Kind::Cancelled => Err(fault),
            // The library has the last word; if it cannot read them either, the fault that names the chunk is told.
            Err(fault) => behind(known, self.numbers(rows).map_err(|_| fault.at(self.info.path.as_str()))?),
        }
    }

    fn read<T: hdf5::H5Type + bytemuck::Pod>(&self, rows: Range<usize>) -> Result<Vec<T>> {
        self.check(&rows, size_of::<T>())?;
        self.part(None, 1).numbers(rows.clone()).map_err(|e| {
            unreadable(&format!("elements {}..{} cannot be read", rows.start, rows.end), &e).at(self.info.path.as_str())
        })
    }

    /// The part of its elements that a field is; all of it without a name.
    fn part<'a>(&'a self, field: Option<&'a str>, repeats: usize) -> Part<'a> {
        Part { dataset: &self.dataset, shape: &self.info.shape, field, repeats }
    }

    /// The texts of a range of rows, of a stored type that has been told to be text.
    fn texts_of(&self, part: &Part<'_>, stored: &TypeDescriptor, rows: Range<usize>) -> Result<Vec<String>> {
        use TypeDescriptor as T;
        let width = stored.size().max(size_of::<usize>());
        self.check(&rows, width.saturating_mul(part.repeats.max(1)))?;
        if let (Some(file), Some(heaps)) = (&self.bytes, &self.heaps) {
            heaps.check_rows(file, &self.dataset, &self.info, &rows).map_err(|f| f.at(self.info.path.as_str()))?;
        }
        let (mut texts, mut bad) = (Vec::new(), None);
        let mut take = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => texts.push(text.to_owned()),
            Err(error) => {
                bad.get_or_insert((texts.len(), error));
                texts.push(String::new());
            }
        };
        // Texts of any length stand in the file as they are: no more can come than it has bytes.
        let limit = usize::try_from(self.length.saturating_mul(2).max(TEXTS)).unwrap_or(usize::MAX);
        let read = match *stored {
            T::FixedAscii(width) => part.fixed((width, false), rows.clone(), &mut take),
            T::FixedUnicode(width) => part.fixed((width, true), rows.clone(), &mut take),
            T::VarLenAscii => part.variable(false, rows.clone(), limit, &mut take),
            _ => part.variable(true, rows.clone(), limit, &mut take),
        };
        read.map_err(|e| {
            unreadable(&format!("elements {}..{} cannot be read", rows.start, rows.end), &e).at(self.info.path.as_str())
        })?;
        match bad {
            Some((i, error)) => Err(Fault::bad_file(format!("element {} is not UTF-8 text", rows.start + i))
                .at(self.info.path.as_str())
                .because(error)),
            None => Ok(texts),
        }
    }

    /// The stored type of a field and the extents of its elements.
    fn field_type(&self, name: &str) -> Option<(&TypeDescriptor, Vec<usize>)> {
        let Some(TypeDescriptor::Compound(record)) = &self.stored else { return None };
        record.fields.iter().find(|field| field.name == name).map(|field| without_extents(&field.ty))
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
        self.decoded(run, None, rows)
    }

    fn numbers_behind(&self, run: &Run, known: Numbers, rows: Range<usize>) -> Result<Numbers> {
        self.decoded(run, Some(known), rows)
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
        match &self.stored {
            Some(stored) if self.info.dtype == Dtype::Text => self.texts_of(&self.part(None, 1), stored, rows),
            _ => Err(Fault::bad_file(format!("text was expected, found {}", self.info.dtype.name()))
                .at(self.info.path.as_str())),
        }
    }

    fn stored_bytes(&self) -> Option<u64> {
        Some(elements::stored_bytes(&self.dataset))
    }

    fn text_width(&self) -> Option<usize> {
        self.stored.as_ref().and_then(fixed_width)
    }

    fn fields(&self) -> Vec<FieldInfo> {
        let Some(TypeDescriptor::Compound(record)) = &self.stored else { return Vec::new() };
        let told = record.fields.iter().map(|field| {
            let (entry, shape) = without_extents(&field.ty);
            FieldInfo { name: field.name.clone(), dtype: dtype_of(entry), shape }
        });
        told.collect()
    }

    fn field(&self, name: &str, rows: Range<usize>) -> Result<Field> {
        let at = |fault: Fault| fault.at(format!("field `{name}`")).at(self.info.path.as_str());
        let Some((entry, shape)) = self.field_type(name) else { return Err(at(Fault::missing("there is none"))) };
        let part = self.part(Some(name), shape.iter().product());
        let dtype = dtype_of(entry);
        self.check(&rows, dtype.size().saturating_mul(part.repeats))?;
        macro_rules! read {
            ($($variant:ident($t:ty)),*) => {
                match dtype {
                    $(Dtype::$variant => part.numbers::<$t>(rows).map(Numbers::$variant),)*
                    Dtype::Bool => {
                        part.numbers::<u8>(rows).map(|v| Numbers::Bool(v.into_iter().map(|b| b != 0).collect()))
                    }
                    Dtype::Text => {
                        let texts = self.texts_of(&part, entry, rows)?;
                        let cells = match fixed_width(entry) {
                            Some(width) => Entries::Fixed { texts, width },
                            None => Entries::Texts(texts),
                        };
                        return Ok(Field { shape, cells });
                    }
                    Dtype::Other(words) => {
                        return Err(at(Fault::unsupported(format!("elements of type {words} are not read"))));
                    }
                }
            };
        }
        let numbers =
            read!(I8(i8), I16(i16), I32(i32), I64(i64), U8(u8), U16(u16), U32(u32), U64(u64), F32(f32), F64(f64));
        let cells = Entries::Numbers(numbers.map_err(|e| at(unreadable("cannot be read", &e)))?);
        Ok(Field { shape, cells })
    }
}

/// The type of the entries of a field, and the extents in which they stand.
fn without_extents(field: &TypeDescriptor) -> (&TypeDescriptor, Vec<usize>) {
    match field {
        TypeDescriptor::FixedArray(entry, n) => {
            let (entry, mut shape) = without_extents(entry);
            shape.insert(0, *n);
            (entry, shape)
        }
        entry => (entry, Vec::new()),
    }
}

/// The bytes of a text of a fixed length.
fn fixed_width(stored: &TypeDescriptor) -> Option<usize> {
    match *stored {
        TypeDescriptor::FixedAscii(width) | TypeDescriptor::FixedUnicode(width) => Some(width),
        _ => None,
    }
}

fn read_attribute(location: &hdf5::Location, attribute: &hdf5::Attribute) -> hdf5::Result<Attr> {
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
        T::Reference(hdf5::types::Reference::Object) if scalar => {
            let reference: hdf5::ObjectReference1 = attribute.read_scalar()?;
            match location.dereference(&reference)? {
                hdf5::ReferencedObject::Dataset(found) => Attr::Reference(below_root(&found.name())),
                hdf5::ReferencedObject::Group(found) => Attr::Reference(below_root(&found.name())),
                hdf5::ReferencedObject::Datatype(_) => Attr::Other("a reference to a type".to_owned()),
            }
        }
        other => Attr::Other(other.to_string()),
    })
}

/// A path as this store has it, from one that the library has.
fn below_root(name: &str) -> String {
    name.trim_start_matches('/').to_owned()
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
            32001 => ("blosc", cfg!(feature = "filters")),
            32004 => ("lz4", cfg!(feature = "filters")),
            32008 => ("bitshuffle", cfg!(feature = "filters")),
            32013 => ("zfp", false),
            32015 => ("zstd", cfg!(feature = "filters")),
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
