//! Elements that the binding of HDF5 has no type for: texts whose room is known only when the file is open, texts of
//! any length within a limit, and single fields of records.
//!
//! A field is read as a record that has only this field, which the library picks out. Texts of variable length are
//! laid into an [`Arena`] by the library itself: it counts them as they come and refuses what is beyond its limit, so
//! that a small file that claims many long texts cannot fill the memory.

use std::ffi::{CStr, c_char, c_void};
use std::ops::Range;

use hdf5_metno as hdf5;
use hdf5_metno::types::{CompoundField, CompoundType, TypeDescriptor};
use hdf5_metno_sys::h5::hsize_t;
use hdf5_metno_sys::h5i::hid_t;
use hdf5_metno_sys::{h5d, h5o, h5p};

/// Texts that are read at once.
const SLAB: usize = 1 << 16;
/// Bytes of texts of a fixed length that are read at once.
const SLAB_BYTES: usize = 16 << 20;

/// What is read of each element: all of it, or one field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) dataset: &'a hdf5::Dataset,
    pub(super) shape: &'a [usize],
    /// The name of a field; `None` for whole elements.
    pub(super) field: Option<&'a str>,
    /// Entries of one element: the extents of a field, multiplied.
    pub(super) repeats: usize,
}

impl Part<'_> {
    /// The type in memory, of entries of this type.
    fn memory_type(&self, entry: &TypeDescriptor) -> hdf5::Result<hdf5::Datatype> {
        let Some(name) = self.field else { return hdf5::Datatype::from_descriptor(entry) };
        let ty = if self.repeats == 1 {
            entry.clone()
        } else {
            TypeDescriptor::FixedArray(Box::new(entry.clone()), self.repeats)
        };
        let size = ty.size();
        let field = CompoundField { name: name.to_owned(), ty, offset: 0, index: 0 };
        hdf5::Datatype::from_descriptor(&TypeDescriptor::Compound(CompoundType { fields: vec![field], size }))
    }

    /// How many entries a range of rows has.
    fn entries(&self, rows: &Range<usize>) -> usize {
        rows.len() * self.shape.iter().skip(1).product::<usize>() * self.repeats
    }

    /// The numbers of a range of rows. `T` is the type in memory.
    pub(super) fn numbers<T: hdf5::H5Type + bytemuck::Pod>(&self, rows: Range<usize>) -> hdf5::Result<Vec<T>> {
        let mut out = vec![T::zeroed(); self.entries(&rows)];
        let memory = self.memory_type(&T::type_descriptor())?;
        self.read(&memory, rows, bytemuck::cast_slice_mut(&mut out), h5p::H5P_DEFAULT)?;
        Ok(out)
    }

    /// The bytes of texts that have room for `width` bytes each, up to the first zero.
    pub(super) fn fixed(
        &self,
        (width, unicode): (usize, bool),
        rows: Range<usize>,
        mut take: impl FnMut(&[u8]),
    ) -> hdf5::Result<()> {
        let entry = if unicode { TypeDescriptor::FixedUnicode(width) } else { TypeDescriptor::FixedAscii(width) };
        let memory = self.memory_type(&entry)?;
        let row_bytes = self.entries(&(0..1)) * width;
        let step = (SLAB_BYTES / row_bytes.max(1)).max(1);
        for start in rows.clone().step_by(step) {
            let slab = start..(start + step).min(rows.end);
            let mut bytes = vec![0_u8; slab.len() * row_bytes];
            self.read(&memory, slab, &mut bytes, h5p::H5P_DEFAULT)?;
            for text in bytes.chunks_exact(width.max(1)) {
                take(text.split(|&byte| byte == 0).next().unwrap_or_default());
            }
        }
        Ok(())
    }

    /// The bytes of texts of any length, of which no more than `limit` bytes are taken in all.
    pub(super) fn variable(
        &self,
        unicode: bool,
        rows: Range<usize>,
        limit: usize,
        mut take: impl FnMut(&[u8]),
    ) -> hdf5::Result<()> {
        let entry = if unicode { TypeDescriptor::VarLenUnicode } else { TypeDescriptor::VarLenAscii };
        let memory = self.memory_type(&entry)?;
        let step = (SLAB / self.entries(&(0..1)).max(1)).max(1);
        let mut arena = Arena { block: Vec::new(), full: Vec::new(), left: limit };
        for start in rows.clone().step_by(step) {
            let slab = start..(start + step).min(rows.end);
            let mut pointers = vec![0_usize; self.entries(&slab)];
            let transfer = Transfer::new(&mut arena)?;
            self.read(&memory, slab, bytemuck::cast_slice_mut(&mut pointers), transfer.0)?;
            for &pointer in &pointers {
                take(text_at(pointer));
            }
            drop(transfer);
            arena.clear();
        }
        Ok(())
    }

    /// Has the library fill `out` with a range of rows.
    #[allow(unsafe_code, reason = "the binding reads only types that are known when it is compiled")]
    fn read(&self, memory: &hdf5::Datatype, rows: Range<usize>, out: &mut [u8], transfer: hid_t) -> hdf5::Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let elements = self.entries(&rows) / self.repeats.max(1);
        if elements.checked_mul(memory.size()) != Some(out.len()) {
            return Err("the room for what is read has not its size".into());
        }
        let stored = self.dataset.space()?;
        let (from, to) = if self.shape.is_empty() {
            (stored, hdf5::Dataspace::try_new(())?)
        } else {
            let mut slab = vec![hdf5::SliceOrIndex::from(rows)];
            slab.extend(self.shape[1..].iter().map(|&n| hdf5::SliceOrIndex::from(0..n)));
            (stored.select(hdf5::Hyperslab::from(slab))?, hdf5::Dataspace::try_new(elements)?)
        };
        #[cfg(feature = "filters")]
        let _announced = super::plugins::Announced::of(self.dataset);
        hdf5::sync::sync(|| {
            // SAFETY: `out` has room for all elements of the selection in the type of `memory`, as was checked; all
            // handles outlive the call; the library is locked.
            let code = unsafe {
                h5d::H5Dread(self.dataset.id(), memory.id(), to.id(), from.id(), transfer, out.as_mut_ptr().cast())
            };
            hdf5::h5check(code).map(|_| ())
        })
    }
}

/// The bytes of a text that the library has laid into an arena that still stands.
#[allow(unsafe_code, reason = "texts of any length come as pointers")]
fn text_at<'a>(pointer: usize) -> &'a [u8] {
    if pointer == 0 {
        return b"";
    }
    // SAFETY: the library wrote a text with its final zero there, into memory of the arena, which is cleared only after
    // the text was taken.
    unsafe { CStr::from_ptr(pointer as *const c_char) }.to_bytes()
}

/// Where the library lays texts: blocks that are let go together.
struct Arena {
    block: Vec<u8>,
    full: Vec<Vec<u8>>,
    /// Bytes that may still be taken.
    left: usize,
}

impl Arena {
    const BLOCK: usize = 1 << 20;

    /// Room for a text; null if it is beyond the limit.
    fn allocate(&mut self, size: usize) -> *mut u8 {
        let Some(left) = self.left.checked_sub(size) else { return std::ptr::null_mut() };
        self.left = left;
        if self.block.capacity() - self.block.len() < size {
            let next = Vec::with_capacity(size.max(Self::BLOCK));
            self.full.push(std::mem::replace(&mut self.block, next));
        }
        let start = self.block.len();
        // Within its capacity: what lies in the block already does not move.
        self.block.resize(start + size, 0);
        self.block[start..].as_mut_ptr()
    }

    /// Lets go of all texts; the limit stays as it is.
    fn clear(&mut self) {
        self.full.clear();
        self.block.clear();
    }
}

/// The list of properties of a reading whose texts go into an arena.
struct Transfer(hid_t);

impl Transfer {
    #[allow(unsafe_code, reason = "the binding has no safe call for the memory of texts")]
    fn new(arena: &mut Arena) -> hdf5::Result<Self> {
        let arena = std::ptr::from_mut(arena).cast::<c_void>();
        hdf5::sync::sync(|| {
            // SAFETY: the arena outlives the list, which is made, used and dropped by one function.
            let (list, code) = unsafe {
                let list = h5p::H5Pcreate(*h5p::H5P_CLS_DATASET_XFER);
                (list, h5p::H5Pset_vlen_mem_manager(list, Some(allocate), arena, Some(release), std::ptr::null_mut()))
            };
            hdf5::h5check(code).map(|_| Self(list))
        })
    }
}

impl Drop for Transfer {
    #[allow(unsafe_code, reason = "what the library made it must let go")]
    fn drop(&mut self) {
        // SAFETY: the list was made by the library and is closed once.
        hdf5::sync::sync(|| unsafe { h5p::H5Pclose(self.0) });
    }
}

#[allow(unsafe_code, reason = "called by the library")]
unsafe extern "C" fn allocate(size: usize, arena: *mut c_void) -> *mut c_void {
    // SAFETY: the library hands back the arena that the list of properties was made with, and calls from one thread.
    let arena = unsafe { &mut *arena.cast::<Arena>() };
    arena.allocate(size).cast()
}

#[allow(unsafe_code, reason = "called by the library")]
unsafe extern "C" fn release(_: *mut c_void, _: *mut c_void) {}

/// Bytes that a data set takes in its file.
#[allow(unsafe_code, reason = "the binding takes a failure for an empty data set")]
pub(super) fn stored_bytes(dataset: &hdf5::Dataset) -> u64 {
    // SAFETY: the handle is that of a data set; the library is locked.
    let bytes: hsize_t = hdf5::sync::sync(|| unsafe { h5d::H5Dget_storage_size(dataset.id()) });
    bytes
}

/// Where the header of an object begins, counted from where HDF5 begins in the file.
#[allow(unsafe_code, reason = "the binding does not tell addresses")]
pub(super) fn address(object: &hdf5::Location) -> Option<u64> {
    let mut info = std::mem::MaybeUninit::<h5o::H5O_info2_t>::zeroed();
    let code = hdf5::sync::sync(|| {
        // SAFETY: the library fills the room for one description; the handle is open; the library is locked.
        unsafe { h5o::H5Oget_info3(object.id(), info.as_mut_ptr(), h5o::H5O_INFO_BASIC) }
    });
    if code < 0 {
        return None;
    }
    // SAFETY: the call succeeded, and all bits of the description are plain numbers. A token is 16 bytes, of which a file
    // uses the first for the address, the lowest byte first.
    let token: [u8; 16] = unsafe { std::mem::transmute(info.assume_init().token) };
    Some(u64::from_le_bytes([token[0], token[1], token[2], token[3], token[4], token[5], token[6], token[7]]))
}
