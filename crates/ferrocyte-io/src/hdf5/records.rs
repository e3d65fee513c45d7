//! [`Packed`]: records as they lie in memory for the HDF5 library: fields one behind another, texts as pointers.

use std::ffi::CString;
use std::ops::Range;

use ferrocyte_base::{Fault, Result};
use hdf5_metno as hdf5;
use hdf5_metno::types::{CompoundField, CompoundType, TypeDescriptor};

use crate::element::{Entries, Records};
use crate::hdf5::write::{bytemuck_pointers, c_text, described};
use crate::store::Dtype;

/// Records with the place of each of their fields.
pub(crate) struct Packed<'a> {
    records: &'a Records,
    layout: TypeDescriptor,
    /// Bytes of a record.
    size: usize,
}

/// Some records in memory, with the texts that they point to.
pub(crate) struct Slab {
    bytes: Vec<u8>,
    // What the bytes point to.
    texts: Vec<CString>,
}

impl Slab {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<'a> Packed<'a> {
    /// Finds the place of each field. Fields that have other rows than the records are refused.
    pub(crate) fn new(records: &'a Records) -> Result<Self> {
        let (mut fields, mut offset) = (Vec::with_capacity(records.fields.len()), 0);
        for (index, (name, field)) in records.fields.iter().enumerate() {
            let per_row: usize = field.shape.iter().product();
            if field.cells.len() != records.n_rows * per_row {
                let (found, expected) = (field.cells.len(), records.n_rows * per_row);
                return Err(Fault::bad_input(format!("field `{name}` has {found} values, expected {expected}")));
            }
            let dtype = match &field.cells {
                Entries::Numbers(numbers) => numbers.dtype(),
                // Whatever room texts had, today they have as much as they need.
                Entries::Texts(_) | Entries::Fixed { .. } => Dtype::Text,
            };
            let one = described(&dtype).map_err(|e| Fault::internal(e.to_string()))?;
            // An array of several axes is an array of arrays.
            let ty = field.shape.iter().rev().fold(one, |ty, &n| TypeDescriptor::FixedArray(Box::new(ty), n));
            let bytes = ty.size();
            fields.push(CompoundField::new(name, ty, offset, index));
            offset += bytes;
        }
        if offset == 0 {
            return Err(Fault::unsupported("records without fields are not written"));
        }
        Ok(Self { records, layout: TypeDescriptor::Compound(CompoundType { fields, size: offset }), size: offset })
    }

    /// The type of a record, its fields one behind another.
    pub(crate) fn dtype(&self) -> hdf5::Result<hdf5::Datatype> {
        hdf5::Datatype::from_descriptor(&self.layout)
    }

    /// A range of records in memory.
    pub(crate) fn rows(&self, rows: Range<usize>) -> hdf5::Result<Slab> {
        let mut slab = Slab { bytes: vec![0; rows.len() * self.size], texts: Vec::new() };
        let mut offset = 0;
        for (_, field) in &self.records.fields {
            let per_row: usize = field.shape.iter().product();
            let pointers;
            let column = match &field.cells {
                Entries::Numbers(numbers) => {
                    let size = per_row * numbers.dtype().size();
                    &numbers.borrowed().bytes()[rows.start * size..rows.end * size]
                }
                Entries::Texts(texts) | Entries::Fixed { texts, .. } => {
                    let texts = &texts[rows.start * per_row..rows.end * per_row];
                    let texts = texts.iter().map(|t| c_text(t)).collect::<hdf5::Result<Vec<CString>>>()?;
                    pointers = texts.iter().map(|t| t.as_ptr()).collect::<Vec<_>>();
                    // The heap that the pointers lead to stays where it is.
                    slab.texts.extend(texts);
                    bytemuck_pointers(&pointers)
                }
            };
            let size = column.len() / rows.len().max(1);
            if size > 0 {
                for (to, from) in slab.bytes.chunks_exact_mut(self.size).zip(column.chunks_exact(size)) {
                    to[offset..offset + size].copy_from_slice(from);
                }
            }
            offset += size;
        }
        Ok(slab)
    }
}
