//! [`NewHdf5`]: an HDF5 file in the making. With [`crate::hdf5`] the only file of ferrocyte that knows HDF5.
//!
//! The same calls in the same order give the same bytes: no object carries a time. Chunks are compressed by whoever
//! writes them ([`Storage::encode`], a pure function that any thread can call) and handed over ready, because the
//! library itself serves one call at a time. The format is that of HDF5 1.8 to 1.10, which every reader knows.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use ferrocyte_base::{Fault, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdf5_metno as hdf5;
use hdf5_metno::file::LibraryVersion;
use hdf5_metno::types::VarLenUnicode;

use crate::store::sink::{CHUNK, Packing, Storage, shuffled};
use crate::store::{Attr, Dtype, Numbers};

impl Storage {
    /// The bytes of a chunk as they stand in the file.
    pub(crate) fn encode(self, raw: Cow<'_, [u8]>, element: usize) -> Result<Cow<'_, [u8]>> {
        let level = match self.packing {
            Packing::None => return Ok(raw),
            Packing::Gzip(level) => level.clamp(1, 9),
            Packing::Lzf | Packing::Zstd(_) => {
                return Err(Fault::unsupported(format!("{:?} is not written", self.packing)));
            }
        };
        let mut encoder = ZlibEncoder::new(Vec::with_capacity(raw.len() / 2), Compression::new(u32::from(level)));
        let written = if self.shuffle { encoder.write_all(&shuffled(&raw, element)) } else { encoder.write_all(&raw) };
        written
            .and_then(|()| encoder.finish().map(Cow::Owned))
            .map_err(|e| Fault::internal("a chunk cannot be compressed").because(e.to_string()))
    }
}

/// An HDF5 file in the making. Paths are relative to the root, whose own path is empty.
pub(crate) struct NewHdf5 {
    file: hdf5::File,
}

impl NewHdf5 {
    /// Makes an empty file at `path`, in place of what stands there.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let made = hdf5::File::with_options()
            .with_fapl(|p| p.libver_bounds(LibraryVersion::V18, LibraryVersion::V110))
            .with_fcpl(|p| p.obj_track_times(false))
            .create(path);
        Ok(Self { file: made.map_err(|e| failed("the file cannot be made", &e))? })
    }

    /// Makes a group; the group around it exists.
    pub(crate) fn group(&self, path: &str) -> Result<()> {
        let made = self.file.create_group_builder().obj_track_times(false).create(path);
        made.map(|_| ()).map_err(|e| failed("cannot be made", &e).at(path))
    }

    /// Gives a group or an array an attribute. A single number is a scalar.
    pub(crate) fn set(&self, path: &str, name: &str, value: &Attr) -> Result<()> {
        let write = || -> hdf5::Result<()> {
            let place = self.location(path)?;
            match value {
                Attr::Text(text) => place.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&unicode(text)?),
                Attr::Texts(texts) => {
                    let texts = texts.iter().map(|t| unicode(t)).collect::<hdf5::Result<Vec<_>>>()?;
                    place.new_attr::<VarLenUnicode>().shape(texts.len()).create(name)?.write_raw(&texts)
                }
                Attr::Numbers(Numbers::Bool(v)) if v.len() == 1 => {
                    place.new_attr::<bool>().create(name)?.write_scalar(&v[0])
                }
                Attr::Numbers(Numbers::I64(v)) => {
                    place.new_attr::<i64>().shape(v.len()).create(name)?.write_raw(v.as_slice())
                }
                other => Err(format!("{other:?} is not written as an attribute").into()),
            }
        };
        write().map_err(|e| failed(&format!("attribute `{name}` cannot be written"), &e).at(path))
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

    /// Writes an array of texts.
    pub(crate) fn texts<'a>(&self, path: &str, mut texts: impl ExactSizeIterator<Item = &'a str>) -> Result<()> {
        // Texts are copied for the library, so they go in slabs.
        const SLAB: usize = 1 << 16;
        let n = texts.len();
        let mut write = || -> hdf5::Result<()> {
            let made = self.file.new_dataset::<VarLenUnicode>().shape(n).obj_track_times(false).create(path)?;
            let mut start = 0;
            while start < n {
                let slab = texts.by_ref().take(SLAB).map(unicode).collect::<hdf5::Result<Vec<_>>>()?;
                let end = start + slab.len();
                made.write_slice(&slab, start..end)?;
                start = end;
            }
            Ok(())
        };
        write().map_err(|e| failed("cannot be written", &e).at(path))
    }

    /// Makes an array of numbers, to be filled chunk by chunk. Without a `length` it grows.
    pub(crate) fn array(&self, path: &str, dtype: &Dtype, length: Option<usize>, storage: Storage) -> Result<NewArray> {
        macro_rules! make {
            ($($variant:ident: $t:ty),+) => {
                match dtype {
                    $(Dtype::$variant => (self.make::<$t>(path, length, storage), size_of::<$t>()),)+
                    other => {
                        return Err(Fault::internal(format!("arrays of {} are not written", other.name())).at(path));
                    }
                }
            };
        }
        let (made, element) = make!(Bool: bool, I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32,
            U64: u64, F32: f32, F64: f64);
        let dataset = made.map_err(|e| failed("cannot be made", &e).at(path))?;
        let chunk = length.map_or(CHUNK, |n| n.min(CHUNK));
        Ok(NewArray { dataset, path: path.to_owned(), element, chunk, storage, grows: length.is_none() })
    }

    fn make<T: hdf5::H5Type>(
        &self,
        path: &str,
        length: Option<usize>,
        storage: Storage,
    ) -> hdf5::Result<hdf5::Dataset> {
        let mut builder = self.file.new_dataset::<T>().obj_track_times(false);
        if length == Some(0) {
            return builder.shape(0).create(path);
        }
        if let Packing::Gzip(level) = storage.packing {
            if storage.shuffle {
                builder = builder.shuffle();
            }
            builder = builder.deflate(level.clamp(1, 9));
        }
        match length {
            Some(n) => builder.chunk(n.min(CHUNK)).shape(n).create(path),
            None => builder.chunk(CHUNK).shape(hdf5::Extents::resizable(0.into())).create(path),
        }
    }

    /// Closes the file; only then all is written. What was made from it must be gone.
    pub(crate) fn close(self) -> Result<()> {
        self.file.flush().and_then(|()| self.file.close()).map_err(|e| failed("the file cannot be finished", &e))
    }
}

/// An array that is filled from its start to its end.
pub(crate) struct NewArray {
    dataset: hdf5::Dataset,
    path: String,
    element: usize,
    chunk: usize,
    storage: Storage,
    grows: bool,
}

impl NewArray {
    /// Bytes of a chunk before it is encoded.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk * self.element
    }

    /// Bytes of an element.
    pub(crate) fn element(&self) -> usize {
        self.element
    }

    /// How its chunks are encoded.
    pub(crate) fn storage(&self) -> Storage {
        self.storage
    }

    /// Writes a chunk, encoded. An array that grows has its chunks written in their order.
    pub(crate) fn write(&self, chunk: usize, encoded: &[u8]) -> Result<()> {
        let at = chunk * self.chunk;
        let grown = if self.grows { self.dataset.resize(at + self.chunk) } else { Ok(()) };
        grown
            .and_then(|()| write_chunk(&self.dataset, at, encoded))
            .map_err(|e| failed("cannot be written", &e).at(self.path.as_str()))
    }

    /// Cuts an array that grew in whole chunks to its length.
    pub(crate) fn finish(self, length: usize) -> Result<()> {
        if !self.grows {
            return Ok(());
        }
        self.dataset.resize(length).map_err(|e| failed("cannot be finished", &e).at(self.path))
    }
}

/// Hands the library a chunk that has passed the filters of its array.
#[allow(unsafe_code, reason = "the binding has no safe call for chunks that are compressed already")]
fn write_chunk(dataset: &hdf5::Dataset, at: usize, encoded: &[u8]) -> hdf5::Result<()> {
    let offset = [at as hdf5_metno_sys::h5::hsize_t];
    hdf5::sync::sync(|| {
        // SAFETY: the array has one axis, as has the offset; the buffer is as long as is said and outlives the call;
        // the library is locked.
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

fn unicode(text: &str) -> hdf5::Result<VarLenUnicode> {
    text.parse().map_err(|e| format!("`{text}` cannot be stored as text ({e})").into())
}

fn failed(what: &str, error: &hdf5::Error) -> Fault {
    let words = crate::hdf5::reason(error);
    let full = words.contains("No space left") || words.contains("errno = 28");
    let message = if full { format!("{what}: the disk is full") } else { format!("{what} ({words})") };
    Fault::bad_file(message).because(words)
}
