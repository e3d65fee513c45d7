//! [`NewHdf5`]: the [`Sink`] of HDF5. With [`crate::hdf5`] and its records the only part of ferrocyte that knows HDF5.
//!
//! The same calls in the same order give the same bytes: no object carries a time. Chunks are compressed by whoever
//! writes them ([`SinkArray::encode`], a pure function that any thread can call) and handed over ready, because the
//! library itself serves one call at a time. The format is that of HDF5 1.8 to 1.10, which every reader knows.

use std::borrow::Cow;
use std::ffi::CString;
use std::io::Write;
use std::path::Path;

use ferrocyte_base::{Fault, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdf5_metno as hdf5;
use hdf5_metno::file::LibraryVersion;
use hdf5_metno::types::{TypeDescriptor, VarLenUnicode};
use hdf5_metno_sys::h5::hsize_t;
use hdf5_metno_sys::h5s::{H5S_ALL, H5S_seloper_t, H5Sclose, H5Screate_simple, H5Sselect_hyperslab};

use crate::atomic::Pending;
use crate::element::Records;
use crate::hdf5::Hdf5;
use crate::hdf5::lzf::pack_lzf;
use crate::hdf5::records::Packed;
use crate::store::below::Below;
use crate::store::sink::{ArraySpec, Packing, Sink, SinkArray, Storage, shuffled};
use crate::store::{Attr, Dtype, Numbers, Store};

/// Bytes before the HDF5 file proper, where a format may say in words what it is.
const USER_BLOCK: usize = 512;

/// The largest chunk that is compressed; the library keeps chunks below 4 GiB.
const LARGEST_CHUNK: usize = 1 << 30;

/// Texts that are handed to the library at once: it takes copies of them.
const SLAB: usize = 1 << 16;

impl Storage {
    /// The bytes of a chunk as they stand in an HDF5 file.
    pub(crate) fn encode(self, raw: Cow<'_, [u8]>, element: usize) -> Result<Cow<'_, [u8]>> {
        let put_in_order = |raw| if self.shuffle { Cow::Owned(shuffled(raw, element)) } else { Cow::Borrowed(raw) };
        match self.packing {
            Packing::None => Ok(raw),
            Packing::Gzip(level) => {
                let level = Compression::new(u32::from(level.clamp(1, 9)));
                let mut encoder = ZlibEncoder::new(Vec::with_capacity(raw.len() / 2), level);
                let packed = encoder.write_all(&put_in_order(&raw)).and_then(|()| encoder.finish());
                packed
                    .map(Cow::Owned)
                    .map_err(|e| Fault::internal("a chunk cannot be compressed").because(e.to_string()))
            }
            Packing::Lzf => Ok(Cow::Owned(pack_lzf(&put_in_order(&raw)))),
            Packing::Zstd(_) => Err(not_zstd()),
        }
    }
}

fn not_zstd() -> Fault {
    Fault::unsupported("HDF5 files are not compressed with zstd, which most of their readers lack")
        .hint("use gzip or lzf, or write .zarr")
}

/// An HDF5 file in the making.
///
/// ```
/// use ferrocyte_io::{Attr, Hdf5, NewHdf5, Node, Sink, Store};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("new.h5");
/// let sink = NewHdf5::create(&path, None)?;
/// sink.group("uns")?;
/// sink.set("uns", "encoding-type", &Attr::Text("dict".into()))?;
/// sink.texts("uns/title", &[], &mut ["cells of two donors"].into_iter())?;
/// Box::new(sink).finish()?;
/// assert_eq!(Hdf5::open(&path)?.node("uns/title")?, Some(Node::Array));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub struct NewHdf5 {
    // The file is closed before its place is given up.
    file: hdf5::File,
    pending: Pending,
    place: String,
    /// What is said before the HDF5 file proper.
    words: Option<String>,
}

impl std::fmt::Debug for NewHdf5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewHdf5").field("place", &self.place).finish_non_exhaustive()
    }
}

impl NewHdf5 {
    /// Begins an empty file beside `path`. With `words` the file starts with a block of 512 bytes that begins with
    /// them, as .h5mu files do.
    pub fn create(path: &Path, words: Option<&str>) -> Result<Self> {
        let place = path.display().to_string();
        if words.is_some_and(|words| words.len() > USER_BLOCK) {
            return Err(Fault::internal(format!("words of more than {USER_BLOCK} bytes before a file")).at(place));
        }
        let pending = Pending::beside(path).map_err(|f| f.at(place.as_str()))?;
        let made = hdf5::File::with_options()
            .with_fapl(|p| p.libver_bounds(LibraryVersion::V18, LibraryVersion::V110))
            .with_fcpl(|p| {
                p.obj_track_times(false);
                if words.is_some() {
                    p.userblock(USER_BLOCK as u64);
                }
                p
            })
            .create(pending.path());
        let file = made.map_err(|e| failed("the file cannot be made", &e).at(place.as_str()))?;
        Ok(Self { file, pending, place, words: words.map(ToOwned::to_owned) })
    }

    fn located(&self, what: &str, error: &hdf5::Error, path: &str) -> Fault {
        failed(what, error).at(path).at(self.place.as_str())
    }

    fn location(&self, path: &str) -> hdf5::Result<hdf5::Location> {
        if path.is_empty() {
            return Ok((*self.file.group("/")?).clone());
        }
        match self.file.loc_type_by_name(path)? {
            hdf5::LocationType::Dataset => Ok((**self.file.dataset(path)?).clone()),
            _ => Ok((*self.file.group(path)?).clone()),
        }
    }

    fn new_array(&self, path: &str, spec: &ArraySpec, chunked: bool) -> hdf5::Result<hdf5::Dataset> {
        let mut builder = self.file.new_dataset_builder().obj_track_times(false);
        if chunked {
            builder = builder.chunk(chunk_of(spec));
            if spec.storage.shuffle && spec.storage.packing != Packing::None {
                builder = builder.shuffle();
            }
            builder = match spec.storage.packing {
                Packing::Gzip(level) => builder.deflate(level.clamp(1, 9)),
                Packing::Lzf => builder.lzf(),
                Packing::None | Packing::Zstd(_) => builder,
            };
        }
        let made = builder.empty_as(&described(&spec.dtype)?);
        match (spec.grows, spec.shape.split_first()) {
            (true, Some((_, rest))) => {
                let mut extents = vec![hdf5::Extent::resizable(0)];
                extents.extend(rest.iter().map(|&n| hdf5::Extent::fixed(n)));
                made.shape(hdf5::SimpleExtents::from_vec(extents)).create(path)
            }
            _ => made.shape(extents_of(&spec.shape)).create(path),
        }
    }
}

impl Sink for NewHdf5 {
    fn place(&self) -> &str {
        &self.place
    }

    fn group(&self, path: &str) -> Result<()> {
        let made = self.file.create_group_builder().obj_track_times(false).create(path);
        made.map(|_| ()).map_err(|e| self.located("cannot be made", &e, path))
    }

    fn set(&self, path: &str, name: &str, value: &Attr) -> Result<()> {
        self.location(path)
            .and_then(|place| write_attribute(&place, name, value))
            .map_err(|e| self.located(&format!("attribute `{name}` cannot be written"), &e, path))
    }

    fn array(&self, path: &str, spec: &ArraySpec) -> Result<Box<dyn SinkArray>> {
        if matches!(spec.storage.packing, Packing::Zstd(_)) {
            return Err(not_zstd().at(path).at(self.place.as_str()));
        }
        // What is neither compressed nor grows lies in one piece: readers need no table of chunks for it. So does what
        // has rows too long for a chunk.
        let one_piece = spec.shape.is_empty()
            || (!spec.grows
                && (spec.storage.packing == Packing::None
                    || spec.shape.contains(&0)
                    || spec.chunk_bytes() > LARGEST_CHUNK));
        let mut spec = spec.clone();
        if one_piece {
            spec.storage = Storage::NONE;
        }
        let dataset = self.new_array(path, &spec, !one_piece).map_err(|e| self.located("cannot be made", &e, path))?;
        let dtype = dataset.dtype().map_err(|e| self.located("cannot be made", &e, path))?;
        Ok(Box::new(NewArray { dataset, dtype, path: format!("{}: {path}", self.place), spec, one_piece }))
    }

    fn texts(&self, path: &str, shape: &[usize], texts: &mut dyn ExactSizeIterator<Item = &str>) -> Result<()> {
        let (width, n): (usize, usize) = (shape.iter().skip(1).product(), shape.iter().product());
        if texts.len() != n {
            let message = format!("{} texts for an array of shape {shape:?}", texts.len());
            return Err(Fault::internal(message).at(path).at(self.place.as_str()));
        }
        let rows = (SLAB / width.max(1)).max(1);
        let mut write = || -> hdf5::Result<()> {
            let made = self.file.new_dataset::<VarLenUnicode>().shape(extents_of(shape)).obj_track_times(false);
            let (made, mut done) = (made.create(path)?, 0);
            let dtype = made.dtype()?;
            while texts.len() > 0 {
                let slab =
                    Iterator::take(&mut *texts, rows * width).map(c_text).collect::<hdf5::Result<Vec<CString>>>()?;
                let pointers: Vec<*const std::ffi::c_char> = slab.iter().map(|text| text.as_ptr()).collect();
                write_rows(&made, &dtype, shape, done..done + rows, bytemuck_pointers(&pointers))?;
                done += rows;
            }
            Ok(())
        };
        write().map_err(|e| self.located("cannot be written", &e, path))
    }

    fn null(&self, path: &str) -> Result<()> {
        let made = self.file.new_dataset::<f32>().shape(hdf5::Extents::null()).obj_track_times(false).create(path);
        made.map(|_| ()).map_err(|e| self.located("cannot be written", &e, path))
    }

    fn records(&self, path: &str, records: &Records) -> Result<()> {
        let packed = Packed::new(records).map_err(|f| f.at(path).at(self.place.as_str()))?;
        let shape = [records.n_rows];
        let write = || -> hdf5::Result<()> {
            let dtype = packed.dtype()?;
            let builder = self.file.new_dataset_builder().obj_track_times(false).empty_as(&dtype);
            let made = builder.shape(extents_of(&shape)).create(path)?;
            let mut done = 0;
            while done < records.n_rows {
                let rows = done..(done + SLAB).min(records.n_rows);
                let slab = packed.rows(rows.clone())?;
                write_rows(&made, &dtype, &shape, rows.clone(), slab.bytes())?;
                done = rows.end;
            }
            Ok(())
        };
        write().map_err(|e| self.located("cannot be written", &e, path))
    }

    fn adopt(&self, from: &dyn Store, source: &str, path: &str) -> Result<bool> {
        let Some(known) = from.as_any() else { return Ok(false) };
        if let Some(below) = known.downcast_ref::<Below>() {
            let (around, source) = below.around(source);
            return self.adopt(around, &source, path);
        }
        let Some(from) = known.downcast_ref::<Hdf5>() else { return Ok(false) };
        copy_object(&from.file, source, &self.file, path)
            .map_err(|e| self.located(&format!("`{source}` of {} cannot be copied", from.place()), &e, path))?;
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Self { file, pending, place, words } = *self;
        let at = |fault: Fault| fault.at(place.as_str());
        let closed = file.flush().and_then(|()| file.close());
        closed.map_err(|e| at(failed("the file cannot be finished", &e)))?;
        if let Some(words) = words {
            pending.begin_with(words.as_bytes()).map_err(at)?;
        }
        pending.commit().map_err(at)
    }
}

/// An array that is filled from its start to its end.
struct NewArray {
    dataset: hdf5::Dataset,
    dtype: hdf5::Datatype,
    path: String,
    spec: ArraySpec,
    /// Whether it lies in the file without chunks.
    one_piece: bool,
}

impl NewArray {
    fn put(&self, chunk: usize, encoded: &[u8]) -> hdf5::Result<()> {
        let rows = chunk * self.spec.chunk_rows..(chunk + 1) * self.spec.chunk_rows;
        if self.one_piece {
            return write_rows(&self.dataset, &self.dtype, &self.spec.shape, rows, encoded);
        }
        let mut offset = vec![0; self.spec.shape.len()];
        offset[0] = rows.start as hsize_t;
        if self.spec.grows {
            self.dataset.resize(self.with_rows(rows.end))?;
        }
        write_chunk(&self.dataset, &offset, encoded)
    }

    fn with_rows(&self, n_rows: usize) -> Vec<usize> {
        std::iter::once(n_rows).chain(self.spec.shape.iter().skip(1).copied()).collect()
    }
}

impl SinkArray for NewArray {
    fn spec(&self) -> &ArraySpec {
        &self.spec
    }

    fn encode<'a>(&self, raw: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
        self.spec.storage.encode(raw, self.spec.dtype.size())
    }

    fn write(&self, chunk: usize, encoded: &[u8]) -> Result<()> {
        self.put(chunk, encoded).map_err(|e| failed("cannot be written", &e).at(self.path.as_str()))
    }

    fn finish(self: Box<Self>, n_rows: usize) -> Result<()> {
        if !self.spec.grows {
            return Ok(());
        }
        // It grew in whole chunks.
        self.dataset.resize(self.with_rows(n_rows)).map_err(|e| failed("cannot be finished", &e).at(self.path.as_str()))
    }
}

/// The extents of a chunk: its rows, and all that they have.
fn chunk_of(spec: &ArraySpec) -> Vec<usize> {
    std::iter::once(spec.chunk_rows).chain(spec.shape.iter().skip(1).copied()).collect()
}

fn extents_of(shape: &[usize]) -> hdf5::Extents {
    if shape.is_empty() { hdf5::Extents::scalar() } else { hdf5::Extents::simple(shape.to_vec()) }
}

/// The type of the library for numbers.
pub(crate) fn described(dtype: &Dtype) -> hdf5::Result<TypeDescriptor> {
    use hdf5::types::H5Type;
    Ok(match dtype {
        Dtype::Bool => bool::type_descriptor(),
        Dtype::I8 => i8::type_descriptor(),
        Dtype::I16 => i16::type_descriptor(),
        Dtype::I32 => i32::type_descriptor(),
        Dtype::I64 => i64::type_descriptor(),
        Dtype::U8 => u8::type_descriptor(),
        Dtype::U16 => u16::type_descriptor(),
        Dtype::U32 => u32::type_descriptor(),
        Dtype::U64 => u64::type_descriptor(),
        Dtype::F32 => f32::type_descriptor(),
        Dtype::F64 => f64::type_descriptor(),
        Dtype::Text => VarLenUnicode::type_descriptor(),
        Dtype::Other(words) => return Err(format!("elements of type {words} are not written").into()),
    })
}

fn write_attribute(place: &hdf5::Location, name: &str, value: &Attr) -> hdf5::Result<()> {
    macro_rules! numbers {
        ($numbers:expr, $($variant:ident: $t:ty),+) => {
            match $numbers {
                $(Numbers::$variant(v) => match v.as_slice() {
                    [one] => place.new_attr::<$t>().create(name)?.write_scalar(one),
                    many => place.new_attr::<$t>().shape(many.len()).create(name)?.write_raw(many),
                },)+
            }
        };
    }
    match value {
        Attr::Text(text) => place.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&unicode(text)?),
        Attr::Texts(texts) => {
            let texts = texts.iter().map(|t| unicode(t)).collect::<hdf5::Result<Vec<_>>>()?;
            place.new_attr::<VarLenUnicode>().shape(texts.len()).create(name)?.write_raw(&texts)
        }
        Attr::Numbers(values) => numbers!(values, Bool: bool, I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16,
            U32: u32, U64: u64, F32: f32, F64: f64),
        Attr::Empty => place.new_attr::<f32>().shape(hdf5::Extents::null()).create(name).map(|_| ()),
        Attr::Reference(to) => Err(format!("a reference to `{to}` is not written as an attribute").into()),
        Attr::Other(words) => Err(format!("{words} is not written as an attribute").into()),
    }
}

/// Hands the library the rows of an array, which lie in memory as `dtype` says. Rows beyond the last are left out.
#[allow(unsafe_code, reason = "the binding has no safe call for elements whose type is only known when it runs")]
fn write_rows(
    dataset: &hdf5::Dataset,
    dtype: &hdf5::Datatype,
    shape: &[usize],
    rows: std::ops::Range<usize>,
    bytes: &[u8],
) -> hdf5::Result<()> {
    let n_rows = shape.first().copied().unwrap_or(1);
    let rows = rows.start..rows.end.min(n_rows);
    let width: usize = shape.iter().skip(1).product();
    if rows.len() * width * dtype.size() > bytes.len() {
        return Err("fewer bytes were given than the rows have".into());
    }
    if rows.is_empty() || width == 0 {
        return Ok(());
    }
    let mut start: Vec<hsize_t> = vec![0; shape.len()];
    let mut count: Vec<hsize_t> = shape.iter().map(|&n| n as hsize_t).collect();
    if let (Some(start), Some(count)) = (start.first_mut(), count.first_mut()) {
        (*start, *count) = (rows.start as hsize_t, rows.len() as hsize_t);
    }
    let space = dataset.space()?;
    hdf5::sync::sync(|| {
        // SAFETY: start and count have an entry per axis of the array; the buffer has all rows that are selected, in
        // the type that is said, and with all that it points to outlives the calls; the library is locked.
        unsafe {
            if shape.is_empty() {
                return write_selected(dataset, dtype, (H5S_ALL, H5S_ALL), bytes);
            }
            let none = std::ptr::null();
            let set = H5S_seloper_t::H5S_SELECT_SET;
            hdf5::h5check(H5Sselect_hyperslab(space.id(), set, start.as_ptr(), none, count.as_ptr(), none))?;
            let memory = hdf5::h5check(H5Screate_simple(shape.len() as i32, count.as_ptr(), none))?;
            let written = write_selected(dataset, dtype, (memory, space.id()), bytes);
            hdf5::h5check(H5Sclose(memory))?;
            written
        }
    })
}

/// One call of the library; what must hold is said where it is made.
#[allow(unsafe_code, reason = "see `write_rows`")]
unsafe fn write_selected(
    dataset: &hdf5::Dataset,
    dtype: &hdf5::Datatype,
    (memory, file): (hdf5_metno_sys::h5i::hid_t, hdf5_metno_sys::h5i::hid_t),
    bytes: &[u8],
) -> hdf5::Result<()> {
    let defaults = hdf5_metno_sys::h5p::H5P_DEFAULT;
    // SAFETY: told by the caller.
    let code = unsafe {
        hdf5_metno_sys::h5d::H5Dwrite(dataset.id(), dtype.id(), memory, file, defaults, bytes.as_ptr().cast())
    };
    hdf5::h5check(code).map(|_| ())
}

/// Hands the library a chunk that has passed the filters of its array.
#[allow(unsafe_code, reason = "the binding has no safe call for chunks that are compressed already")]
fn write_chunk(dataset: &hdf5::Dataset, offset: &[hsize_t], encoded: &[u8]) -> hdf5::Result<()> {
    hdf5::sync::sync(|| {
        // SAFETY: the offset has an entry per axis of the array; the buffer is as long as is said and outlives the
        // call; the library is locked.
        let code = unsafe {
            hdf5_metno_sys::h5d::H5Dwrite_chunk(
                dataset.id(),
                hdf5_metno_sys::h5p::H5P_DEFAULT,
                0,
                offset.as_ptr(),
                encoded.len(),
                encoded.as_ptr().cast(),
            )
        };
        hdf5::h5check(code).map(|_| ())
    })
}

/// Copies a node with all that is below it, as it is stored, from one file to another.
#[allow(unsafe_code, reason = "the binding has no safe call for copies between files")]
fn copy_object(from: &hdf5::File, source: &str, to: &hdf5::File, path: &str) -> hdf5::Result<()> {
    let (source, path) = (c_text(source)?, c_text(path)?);
    let defaults = hdf5_metno_sys::h5p::H5P_DEFAULT;
    hdf5::sync::sync(|| {
        // SAFETY: both files are open; the names end with NUL and outlive the call; the library is locked.
        let code = unsafe {
            hdf5_metno_sys::h5o::H5Ocopy(from.id(), source.as_ptr(), to.id(), path.as_ptr(), defaults, defaults)
        };
        hdf5::h5check(code).map(|_| ())
    })
}

/// A text as C has it. Texts that contain NUL have no place in HDF5.
pub(crate) fn c_text(text: &str) -> hdf5::Result<CString> {
    CString::new(text)
        .map_err(|_| format!("`{}` contains a NUL, which HDF5 does not store", text.escape_debug()).into())
}

/// The bytes of pointers, as the library takes texts of any length.
#[allow(unsafe_code, reason = "pointers have no bytes in safe Rust")]
pub(crate) fn bytemuck_pointers(pointers: &[*const std::ffi::c_char]) -> &[u8] {
    // SAFETY: pointers have no padding, and bytes no alignment.
    unsafe { std::slice::from_raw_parts(pointers.as_ptr().cast(), size_of_val(pointers)) }
}

fn unicode(text: &str) -> hdf5::Result<VarLenUnicode> {
    text.parse().map_err(|_| format!("`{}` contains a NUL, which HDF5 does not store", text.escape_debug()).into())
}

fn failed(what: &str, error: &hdf5::Error) -> Fault {
    let words = crate::hdf5::reason(error);
    let full = words.contains("No space left") || words.contains("errno = 28");
    let message = if full { format!("{what}: the disk is full") } else { format!("{what} ({words})") };
    Fault::bad_file(message).because(words)
}
