//! [`Heaps`]: looks at the heaps of texts of an HDF5 file before the library does.
//!
//! Texts of variable length stand in global heaps, blocks that begin with `GCOL` and hold one object behind the other,
//! each with its size. The library (2.2.0) follows these sizes without end when one of them is zero, as in a file with a
//! hole of zeros that a download left behind, and makes room for as many bytes as a reference says before it looks at the
//! object. So the heaps that an element refers to are walked here first, each once, and references are held against them.
//!
//! Layout: HDF5 File Format Specification 3.0, sections II.A (superblock), III.E (global heap), IV.A (object headers).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ferrocyte_base::{Fault, Result};
use hdf5_metno as hdf5;

use crate::hdf5::chunks::{Pipeline, read_at};
use crate::hdf5::elements::stored_bytes;
use crate::store::{ArrayInfo, Dtype};

/// The largest block of an object header or of a heap of attributes that is looked at, in bytes.
const BLOCK: usize = 64 << 10;

/// The largest chunk of references that is decoded, in bytes.
const LARGEST_CHUNK: usize = 1 << 28;

/// No block begins before this byte: the superblock is there.
const FIRST: u64 = 48;

/// The most blocks that one header may have: each continues the one before.
const BLOCKS: usize = 1 << 12;

/// Objects of heaps whose sizes are kept (16 bytes each); beyond that heaps are walked again.
const KEPT: usize = 1 << 21;

/// The global heaps of a file, as far as they were looked at.
#[derive(Debug)]
pub(super) struct Heaps {
    file: Arc<fs::File>,
    length: u64,
    /// Where addresses count from.
    base: u64,
    /// Bytes of an address and of a length.
    widths: (usize, usize),
    /// Addresses of headers that refer to sound heaps alone.
    sound: Mutex<HashSet<u64>>,
    known: Mutex<Known>,
}

/// Heaps that are sound, by their addresses.
#[derive(Debug, Default)]
struct Known {
    heaps: HashMap<u64, Arc<Objects>>,
    /// Objects of all of them.
    objects: usize,
}

impl Known {
    /// Keeps the objects of a heap, and forgets those of all others where they are too many.
    fn keep(&mut self, address: u64, objects: &Arc<Objects>) {
        if self.objects > KEPT {
            *self = Self::default();
        }
        self.objects += objects.0.len();
        self.heaps.insert(address, Arc::clone(objects));
    }
}

/// Number and bytes of each object of a heap, the numbers rising.
#[derive(Debug)]
struct Objects(Vec<(u16, u64)>);

impl Objects {
    /// The bytes of an object; `None` if there is no such object.
    fn bytes(&self, index: u64) -> Option<u64> {
        let at = self.0.binary_search_by_key(&index, |&(index, _)| u64::from(index)).ok()?;
        Some(self.0[at].1)
    }
}

impl Heaps {
    /// Looks at the superblock that begins at `start`. `None` if it is of a kind that is not known here.
    pub(super) fn new(file: Arc<fs::File>, start: u64) -> Option<Self> {
        let length = file.metadata().ok()?.len();
        let mut head = [0; 16];
        read_at(&file, &mut head, start).ok()?;
        let (offsets, lengths) = match head[8] {
            0 | 1 => (head[13], head[14]),
            2 | 3 => (head[9], head[10]),
            _ => return None,
        };
        let known = |width: u8| matches!(width, 2 | 4 | 8).then_some(usize::from(width));
        let widths = (known(offsets)?, known(lengths)?);
        Some(Self { file, length, base: start, widths, sound: Mutex::default(), known: Mutex::default() })
    }

    /// Bytes of a reference to an object of a heap: length, address, number.
    pub(super) fn reference_bytes(&self) -> usize {
        4 + self.widths.0 + 4
    }

    /// Walks the heaps that an array of references stands for.
    ///
    /// # Errors
    ///
    /// A heap is damaged: an object that has no size, or is larger than its heap. A reference to an object that is not
    /// there, or to more bytes than it has.
    pub(super) fn check_references(&self, references: &[u8]) -> Result<()> {
        let mut last = None;
        for reference in references.chunks_exact(self.reference_bytes()) {
            let (length, address, index) = self.parts(reference);
            // An empty text refers to nothing.
            if length == 0 {
                continue;
            }
            let objects = match last.take() {
                Some((known, objects)) if known == address => objects,
                _ => self.heap(address)?,
            };
            match objects.as_ref().map(|objects| objects.bytes(index)) {
                // What is no heap at all the library refuses by itself, when it has made room for the text.
                None => self.check_length(address, length)?,
                Some(Some(bytes)) if length <= bytes => {}
                Some(Some(bytes)) => return Err(damaged(address, &format!("{length} bytes of an object of {bytes}"))),
                Some(None) => return Err(damaged(address, &format!("object {index} is not there"))),
            }
            last = Some((address, objects));
        }
        Ok(())
    }

    /// Refuses a text that is longer than the file.
    fn check_length(&self, address: u64, length: u64) -> Result<()> {
        if length > self.length {
            return Err(damaged(address, &format!("a text of {length} bytes in a file of {}", self.length)));
        }
        Ok(())
    }

    /// Length, address and number of a reference.
    fn parts(&self, reference: &[u8]) -> (u64, u64, u64) {
        let end = 4 + self.widths.0;
        (number(&reference[..4]), number(&reference[4..end]), number(&reference[end..]))
    }

    /// Walks the heaps of whatever in these bytes reads as a reference: the address of a heap between a length and a small
    /// number. What looks like one and is none does no harm, since lengths are not held against their objects here.
    pub(super) fn check_bytes(&self, bytes: &[u8]) -> Result<()> {
        for window in bytes.windows(self.reference_bytes()) {
            let (length, address, index) = self.parts(window);
            let fits = length > 0 && (1..1 << 16).contains(&index);
            if fits && self.mark(address).as_ref() == Some(b"GCOL") {
                self.heap(address)?;
            }
        }
        Ok(())
    }

    /// Walks the heaps that the attributes of an object refer to; its header begins at `address`. A header of a kind that
    /// is not known here is left to the library.
    pub(super) fn check_object(&self, address: u64) -> Result<()> {
        if self.is_sound(address) {
            return Ok(());
        }
        let mut seen = HashSet::new();
        let mut blocks = vec![(address, None)];
        while let Some((address, length)) = blocks.pop() {
            if !seen.insert(address) || seen.len() > BLOCKS {
                continue;
            }
            let Some(mut bytes) = self.bytes(address, length.unwrap_or(BLOCK)) else { continue };
            if length.is_none() {
                bytes.truncate(header_bytes(&bytes));
            }
            self.check_bytes(&bytes)?;
            self.check_attributes(&bytes)?;
            self.find_blocks(&bytes, &mut blocks);
        }
        self.set_sound(address);
        Ok(())
    }

    /// Looks at the lengths of the texts of attributes whose messages stand in these bytes. They are not held against their
    /// heaps: what an attribute was before it was changed may still stand there.
    fn check_attributes(&self, bytes: &[u8]) -> Result<()> {
        let size = self.reference_bytes();
        for at in 0..bytes.len() {
            for reference in texts_of_attribute(bytes, at, self.widths.1, size).unwrap_or_default().chunks_exact(size) {
                let (length, address, _) = self.parts(reference);
                self.check_length(address, length)?;
            }
        }
        Ok(())
    }

    fn is_sound(&self, address: u64) -> bool {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    fn set_sound(&self, address: u64) {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner).insert(address);
    }

    /// The blocks that continue a block of a header: of more messages, or of many attributes.
    fn find_blocks(&self, bytes: &[u8], found: &mut Vec<(u64, Option<usize>)>) {
        let (wide, long) = self.widths;
        for (at, window) in bytes.windows(wide + long).enumerate() {
            let (target, length) = (number(&window[..wide]), number(&window[wide..]) as usize);
            let inside = target >= FIRST && target.saturating_add(length as u64) <= self.length;
            if inside && (16..BLOCK).contains(&length) && continues(bytes, at) {
                found.push((target, Some(length)));
            }
            if self.mark(target).is_some_and(|mark| [b"FRHP", b"FHIB", b"FHDB"].contains(&&mark)) {
                found.push((target, Some(BLOCK)));
            }
        }
    }

    /// Walks the heaps that the rows of an array refer to, where its elements lie in the file as they are or are texts in
    /// chunks of the usual filters. Others are left to the library.
    pub(super) fn check_rows(
        &self,
        file: &fs::File,
        array: &hdf5::Dataset,
        info: &ArrayInfo,
        rows: &Range<usize>,
    ) -> Result<()> {
        // Texts of one length stand where they are.
        if info.dtype == Dtype::Text && !refers(array) {
            return Ok(());
        }
        let read = |address: u64, bytes: u64| {
            let fits = address.checked_add(bytes).is_some_and(|end| end <= self.length);
            let mut buffer = vec![0; if fits { bytes as usize } else { 0 }];
            read_at(file, &mut buffer, address).ok().map(|()| buffer)
        };
        if let Some(address) = array.offset() {
            let stored = stored_bytes(array);
            let row = stored / (info.n_rows().max(1) as u64);
            let bytes = read(address.saturating_add(row.saturating_mul(rows.start as u64)), row * rows.len() as u64);
            return bytes.map_or(Ok(()), |bytes| match info.dtype {
                Dtype::Text => self.check_references(&bytes),
                _ => self.check_bytes(&bytes),
            });
        }
        let Some(chunk) = &info.chunk else { return Ok(()) };
        let size = match info.dtype {
            Dtype::Text => self.reference_bytes(),
            // The type in the file, where a text is a reference.
            _ => array.dtype().map_or(0, |stored| stored.size()),
        };
        let expected = chunk.iter().try_fold(size, |bytes, &n| bytes.checked_mul(n)).filter(|&b| b < LARGEST_CHUNK);
        let Some(expected) = expected else { return Ok(()) };
        let pipeline = Pipeline::of(&info.filters);
        if pipeline.is_none() && !info.filters.is_empty() {
            return Ok(());
        }
        let mut places = Vec::new();
        let visited = array.chunks_visit(|found| {
            let first = found.offset.first().map_or(0, |&row| row as usize);
            if first < rows.end && first + chunk[0] > rows.start {
                places.push((found.addr, found.size, found.filter_mask));
            }
            0
        });
        if visited.is_err() {
            return Ok(());
        }
        for (address, bytes, skipped) in places {
            let Some(stored) = read(address, bytes) else { continue };
            let references = match pipeline {
                Some(pipeline) => pipeline.decode(stored, skipped, size, expected),
                None => Ok(stored),
            };
            // A chunk that cannot be decoded is told by the library.
            match (references, &info.dtype) {
                (Ok(references), Dtype::Text) => self.check_references(&references)?,
                (Ok(records), _) => self.check_bytes(&records)?,
                (Err(_), _) => {}
            }
        }
        Ok(())
    }

    /// The four bytes at an address, if it lies in the file.
    fn mark(&self, address: u64) -> Option<[u8; 4]> {
        let at =
            self.base.checked_add(address).filter(|&at| at.saturating_add(16) <= self.length && address >= FIRST)?;
        let mut mark = [0; 4];
        read_at(&self.file, &mut mark, at).ok()?;
        Some(mark)
    }

    /// Up to `most` bytes from an address.
    fn bytes(&self, address: u64, most: usize) -> Option<Vec<u8>> {
        let at = self.base.checked_add(address)?;
        let left = self.length.checked_sub(at)?;
        let mut bytes = vec![0; left.min(most as u64) as usize];
        read_at(&self.file, &mut bytes, at).ok()?;
        Some(bytes)
    }

    /// The objects of a heap; `None` if no heap begins there. Each is walked once.
    fn heap(&self, address: u64) -> Result<Option<Arc<Objects>>> {
        if let Some(objects) = self.known().heaps.get(&address) {
            return Ok(Some(Arc::clone(objects)));
        }
        let lengths = self.widths.1;
        let head =
            self.bytes(address, 8 + lengths).filter(|head| head.len() == 8 + lengths && head.starts_with(b"GCOL"));
        let Some(head) = head else { return Ok(None) };
        let size = number(&head[8..]);
        let end = self.base.checked_add(address).and_then(|at| at.checked_add(size));
        if end.is_none_or(|end| end > self.length) {
            return Err(damaged(address, &format!("a heap of {size} bytes, beyond the end of the file")));
        }
        let heap = self.bytes(address, size as usize).unwrap_or_default();
        let objects = Arc::new(walk(&heap, lengths).map_err(|what| damaged(address, &what))?);
        self.known().keep(address, &objects);
        Ok(Some(objects))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn damaged(address: u64, what: &str) -> Fault {
    Fault::bad_file(format!("the texts at byte {address} of the file are damaged: {what}"))
        .hint("copy or download the file again")
}

/// Whether the texts of an array are of variable length, and stand in heaps.
fn refers(array: &hdf5::Dataset) -> bool {
    use hdf5::types::TypeDescriptor::{VarLenAscii, VarLenUnicode};
    array.dtype().and_then(|stored| stored.to_descriptor()).is_ok_and(|d| matches!(d, VarLenAscii | VarLenUnicode))
}

/// Follows the objects of a heap to its end.
fn walk(heap: &[u8], lengths: usize) -> std::result::Result<Objects, String> {
    let head = (8 + lengths).next_multiple_of(8);
    let (mut at, mut objects) = (head, Vec::new());
    while at + head <= heap.len() {
        let index = u16::from_le_bytes([heap[at], heap[at + 1]]);
        let size = number(&heap[at + 8..at + 8 + lengths]);
        let left = (heap.len() - at) as u64;
        // The free space, object 0, counts its own head.
        let takes = if index == 0 {
            Some(size)
        } else {
            objects.push((index, size));
            size.checked_next_multiple_of(8).and_then(|s| s.checked_add(head as u64))
        };
        match takes {
            Some(takes) if takes >= head as u64 && takes <= left => at += takes as usize,
            _ => return Err(format!("object {index} has {size} bytes, of which {left} are left")),
        }
    }
    objects.sort_unstable();
    Ok(Objects(objects))
}

/// How many bytes the first block of an object header has.
fn header_bytes(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"OHDR") {
        let Some(&flags) = bytes.get(5) else { return 0 };
        let before = 6 + if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 };
        let width = 1 << (flags & 3);
        return bytes.get(before..before + width).map_or(0, |size| before + width + number(size) as usize);
    }
    bytes.get(8..12).map_or(0, |size| 16 + number(size) as usize)
}

/// The references of the attribute of texts whose message begins at `at`, if one does (IV.A.2.m): version, sizes of name,
/// type and extents, these three, padded to 8 bytes in the first version, and the references.
fn texts_of_attribute(bytes: &[u8], at: usize, lengths: usize, reference: usize) -> Option<&[u8]> {
    let version = *bytes.get(at).filter(|version| (1..=3).contains(*version))?;
    let size = |place: usize| bytes.get(at + place..at + place + 2).map(|size| number(size) as usize);
    let padded = |size: usize| if version == 1 { size.next_multiple_of(8) } else { size };
    let (name, kind, space) = (size(2)?, size(4)?, size(6)?);
    let name_at = at + if version == 3 { 9 } else { 8 };
    let kind_at = name_at + padded(name);
    let space_at = kind_at + padded(kind);
    let (zero, letters) = bytes.get(name_at..name_at + name)?.split_last()?;
    if *zero != 0 || letters.is_empty() || letters.contains(&0) {
        return None;
    }
    // Class 9 is of variable length, its kind 1 are texts.
    let is_text = matches!(bytes.get(kind_at..kind_at + kind)?, [class, kind, ..] if class & 15 == 9 && kind & 15 == 1);
    let n = elements(bytes.get(space_at..space_at + space)?, lengths).filter(|_| is_text)?;
    let data = bytes.get(space_at + padded(space)..)?;
    Some(&data[..data.len().min(n.saturating_mul(reference))])
}

/// How many elements extents stand for (IV.A.2.b).
fn elements(space: &[u8], lengths: usize) -> Option<usize> {
    let (&version, &rank) = (space.first()?, space.get(1)?);
    let first = match version {
        1 => 8,
        2 => 4,
        _ => return None,
    };
    let sizes = space.get(first..)?.chunks_exact(lengths).take(usize::from(rank));
    Some(sizes.fold(1, |n: usize, size| n.saturating_mul(number(size) as usize)))
}

/// Whether a message of type 16 (continuation) may have its content at `at`: in either version of headers.
fn continues(bytes: &[u8], at: usize) -> bool {
    let old = at >= 8 && bytes[at - 8..at - 6] == [0x10, 0];
    let new = (at >= 4 && bytes[at - 4] == 0x10) || (at >= 6 && bytes[at - 6] == 0x10);
    old || new
}

/// A number of up to 8 bytes, the lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A heap of 64 bytes: an object of 5 bytes, then free space.
    fn heap() -> Vec<u8> {
        let mut heap = vec![0; 64];
        heap[..4].copy_from_slice(b"GCOL");
        heap[8] = 64;
        (heap[16], heap[24]) = (1, 5);
        heap[48] = 24;
        heap
    }

    #[test]
    fn objects_fill_their_heap() {
        // The head takes 16, the object 16 + 8, the free space 24.
        let objects = walk(&heap(), 8).map(|objects| (objects.bytes(1), objects.bytes(2)));
        assert_eq!(objects, Ok((Some(5), None)));
    }

    #[test]
    fn an_object_without_size_is_told() {
        let mut heap = heap();
        heap[40..].fill(0);
        assert!(walk(&heap, 8).is_err_and(|e| e.contains("object 0 has 0 bytes")));
        heap[24] = 200;
        assert!(walk(&heap, 8).is_err_and(|e| e.contains("object 1 has 200 bytes, of which 48 are left")));
    }

    /// The message of a scalar attribute `note`, in the first version: a text of `length` bytes.
    fn attribute(length: u32) -> Vec<u8> {
        let mut message = vec![1, 0, 5, 0, 16, 0, 8, 0];
        message.extend(b"note\0\0\0\0");
        message.extend([0x19, 1, 1, 0, 16, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0, 0]);
        message.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        message.extend(length.to_le_bytes());
        message.extend([0; 12]);
        message
    }

    #[test]
    fn texts_of_attributes_are_found_where_their_messages_begin() {
        let mut header = vec![7; 3];
        header.extend(attribute(77));
        let found: Vec<_> = (0..header.len()).filter_map(|at| texts_of_attribute(&header, at, 8, 16)).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].len(), found[0][0]), (16, 77));
    }

    #[test]
    fn texts_of_attributes_longer_than_their_file_are_refused() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1000).unwrap();
        let (sound, known) = (Mutex::default(), Mutex::default());
        let heaps = Heaps { file: Arc::new(file), length: 1000, base: 0, widths: (8, 8), sound, known };
        assert!(heaps.check_attributes(&attribute(1000)).is_ok());
        let fault = heaps.check_attributes(&attribute(1001)).unwrap_err();
        assert!(fault.message().contains("a text of 1001 bytes in a file of 1000"), "{fault}");
        assert!(heaps.check_references(&attribute(1001)[40..]).is_err());
    }

    #[test]
    fn numbers_begin_with_their_lowest_byte() {
        assert_eq!((number(&[1, 2]), number(&[0xff; 8])), (513, u64::MAX));
    }
}
