//! [`Heaps`]: looks at the heaps of texts of an HDF5 file before the library does.
//!
//! Texts of variable length stand in global heaps, blocks that begin with `GCOL` and hold one object behind the other,
//! each with its size. The library (2.2.0) follows these sizes without end when one of them is zero, as in a file with a
//! hole of zeros that a download left behind. So the heaps that an element refers to are walked here first, each once.
//!
//! Layout: HDF5 File Format Specification 3.0, sections II.A (superblock), III.E (global heap), IV.A (object headers).

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use ferrocyte_base::{Fault, Result};

use crate::hdf5::read_at;

/// The largest block of an object header or of a heap of attributes that is looked at, in bytes.
const BLOCK: usize = 64 << 10;

/// The most blocks that one header may have: each continues the one before.
const BLOCKS: usize = 1 << 12;

/// The global heaps of a file, as far as they were looked at.
#[derive(Debug)]
pub(super) struct Heaps {
    file: Arc<fs::File>,
    length: u64,
    /// Where addresses count from.
    base: u64,
    /// Bytes of an address and of a length.
    widths: (usize, usize),
    /// Addresses of heaps that are sound.
    sound: Mutex<HashSet<u64>>,
}

impl Heaps {
    /// Looks at the superblock that begins at `start`. `None` if it is of a kind that is not known here.
    pub(super) fn new(file: Arc<fs::File>, start: u64) -> Option<Self> {
        let length = file.metadata().ok()?.len();
        let head = read_at(&file, start, 16.min(length.checked_sub(start)? as usize)).ok()?;
        let (offsets, lengths) = match head.get(8)? {
            0 | 1 => (*head.get(13)?, *head.get(14)?),
            2 | 3 => (*head.get(9)?, *head.get(10)?),
            _ => return None,
        };
        let known = |width: u8| matches!(width, 2 | 4 | 8).then_some(usize::from(width));
        let widths = (known(offsets)?, known(lengths)?);
        Some(Self { file, length, base: start, widths, sound: Mutex::default() })
    }

    /// Bytes of a reference to an object of a heap: length, address, number.
    pub(super) fn reference_bytes(&self) -> usize {
        4 + self.widths.0 + 4
    }

    /// Walks the heaps that references stand for.
    ///
    /// # Errors
    ///
    /// A heap is damaged: an object that has no size, or is larger than its heap.
    pub(super) fn check_references(&self, references: &[u8]) -> Result<()> {
        let mut last = u64::MAX;
        for reference in references.chunks_exact(self.reference_bytes()) {
            let address = number(&reference[4..4 + self.widths.0]);
            // An empty text refers to nothing.
            if reference[..4] != [0; 4] && address != last {
                self.check(address)?;
                last = address;
            }
        }
        Ok(())
    }

    /// Walks the heaps that the attributes of an object may refer to; its header begins at `address`.
    ///
    /// Whatever in the header reads as the address of a heap is taken for one. A header of a kind that is not known here
    /// is left to the library.
    pub(super) fn check_object(&self, address: u64) -> Result<()> {
        let mut seen = HashSet::new();
        let mut blocks = vec![(address, BLOCK)];
        while let Some((address, length)) = blocks.pop() {
            if !seen.insert(address) || seen.len() > BLOCKS {
                continue;
            }
            let Some(bytes) = self.bytes(address, length) else { continue };
            let bytes = if length == BLOCK { &bytes[..header_bytes(&bytes).min(bytes.len())] } else { &bytes[..] };
            let (wide, long) = self.widths;
            for at in 0..bytes.len().saturating_sub(wide) {
                let target = number(&bytes[at..at + wide]);
                let Some(mark) = self.mark(target) else { continue };
                match &mark {
                    b"GCOL" => self.check(target)?,
                    b"FRHP" | b"FHIB" | b"FHDB" => blocks.push((target, BLOCK - 1)),
                    _ => {}
                }
            }
            // Messages that continue the header elsewhere give address and length; blocks of old headers have no mark.
            for at in 0..bytes.len().saturating_sub(wide + long) {
                let (target, length) =
                    (number(&bytes[at..at + wide]), number(&bytes[at + wide..at + wide + long]) as usize);
                let inside = target.checked_add(length as u64).is_some_and(|end| end <= self.length);
                if target >= 48 && (16..BLOCK).contains(&length) && inside && continues(bytes, at) {
                    blocks.push((target, length));
                }
            }
        }
        Ok(())
    }

    /// The four bytes at an address, if it lies in the file.
    fn mark(&self, address: u64) -> Option<[u8; 4]> {
        let at = self.base.checked_add(address).filter(|&at| at.saturating_add(16) <= self.length && address >= 48)?;
        read_at(&self.file, at, 4).ok()?.try_into().ok()
    }

    /// Up to `most` bytes from an address.
    fn bytes(&self, address: u64, most: usize) -> Option<Vec<u8>> {
        let at = self.base.checked_add(address)?;
        let left = self.length.checked_sub(at)?;
        read_at(&self.file, at, left.min(most as u64) as usize).ok()
    }

    /// Walks one heap.
    fn check(&self, address: u64) -> Result<()> {
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        if sound.contains(&address) {
            return Ok(());
        }
        let lengths = self.widths.1;
        let head = self.bytes(address, 8 + lengths).filter(|head| head.len() == 8 + lengths && head.starts_with(b"GCOL"));
        // What is no heap at all the library refuses by itself.
        let Some(head) = head else { return Ok(()) };
        let size = number(&head[8..]);
        let end = self.base.checked_add(address).and_then(|at| at.checked_add(size));
        let damaged = |what: String| {
            Fault::bad_file(format!("the texts at byte {address} of the file are damaged: {what}"))
                .hint("copy or download the file again")
        };
        if end.is_none_or(|end| end > self.length) {
            return Err(damaged(format!("a heap of {size} bytes, beyond the end of the file")));
        }
        let heap = self.bytes(address, size as usize).unwrap_or_default();
        walk(&heap, lengths).map_err(damaged)?;
        sound.insert(address);
        Ok(())
    }
}

/// Follows the objects of a heap to its end.
fn walk(heap: &[u8], lengths: usize) -> std::result::Result<(), String> {
    let head = (8 + lengths).next_multiple_of(8);
    let mut at = head;
    while at + head <= heap.len() {
        let index = u16::from_le_bytes([heap[at], heap[at + 1]]);
        let size = number(&heap[at + 8..at + 8 + lengths]);
        let left = (heap.len() - at) as u64;
        // The free space, object 0, counts its own head.
        let takes = if index == 0 { Some(size) } else { size.checked_next_multiple_of(8).map(|s| s + head as u64) };
        match takes {
            Some(takes) if takes >= head as u64 && takes <= left => at += takes as usize,
            _ => return Err(format!("object {index} has {size} bytes, of which {left} are left")),
        }
    }
    Ok(())
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
mod tests {
    use super::*;

    /// A heap of 64 bytes: an object of 5 bytes, then free space.
    fn heap() -> Vec<u8> {
        let mut heap = vec![0; 64];
        heap[..4].copy_from_slice(b"GCOL");
        heap[8] = 64;
        (heap[16], heap[24]) = (1, 5);
        heap[48] = 16;
        heap
    }

    #[test]
    fn objects_fill_their_heap() {
        // 16 of the head, 16 + 8 of the object; 24 are left.
        let mut heap = heap();
        heap.copy_within(48..56, 48);
        (heap[40], heap[48]) = (0, 24);
        assert_eq!(walk(&heap, 8), Ok(()));
    }

    #[test]
    fn an_object_without_size_is_told() {
        let mut heap = heap();
        heap[40..].fill(0);
        assert!(walk(&heap, 8).is_err_and(|e| e.contains("object 0 has 0 bytes")));
        heap[24] = 200;
        assert!(walk(&heap, 8).is_err_and(|e| e.contains("object 1 has 200 bytes, of which 48 are left")));
    }

    #[test]
    fn numbers_begin_with_their_lowest_byte() {
        assert_eq!((number(&[1, 2]), number(&[0xff; 8])), (513, u64::MAX));
    }
}
