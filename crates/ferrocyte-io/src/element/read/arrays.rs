//! Arrays, single values and records.

use ferrocyte_base::{Fault, Result};

use crate::element::read::{Reading, text_bytes};
use crate::element::{Entries, Field, Item, NdArray, Records};
use crate::store::{Dtype, StoredArray};

/// An array of numbers or texts.
pub(super) fn array(reading: &Reading<'_>, path: &str, _depth: usize) -> Result<Item> {
    let array = reading.store.array(path)?;
    let shape = array.info().shape.clone();
    Ok(match entries(reading, &*array)? {
        Ok(cells) => Item::Array(NdArray { shape, cells }),
        Err(why) => reading.opaque(path, "array 0.2.0".to_owned(), why),
    })
}

/// One number, truth value or text.
pub(super) fn scalar(reading: &Reading<'_>, path: &str, _depth: usize) -> Result<Item> {
    let array = reading.store.array(path)?;
    if array.info().shape.iter().product::<usize>() != 1 {
        let message = format!("one value was expected, found an array of shape {:?}", array.info().shape);
        return Err(Fault::bad_file(message).at(path).at(reading.store.place()));
    }
    Ok(match entries(reading, &*array)? {
        Ok(cells) => Item::Scalar(cells),
        Err(why) => reading.opaque(path, "scalar 0.2.0".to_owned(), why),
    })
}

/// An array of records.
pub(super) fn records(reading: &Reading<'_>, path: &str, _depth: usize) -> Result<Item> {
    let array = reading.store.array(path)?;
    let n_rows = array.info().n_rows();
    if array.info().shape.len() > 1 || array.fields().is_empty() {
        let why = format!("records of type {} and shape {:?}", array.info().dtype.name(), array.info().shape);
        return Ok(reading.opaque(path, "rec-array 0.2.0".to_owned(), why));
    }
    let fields = all_fields(reading, path, &*array)?;
    Ok(Item::Records(Records { n_rows, fields }))
}

/// The fields of records as arrays of their own, as `obsm` was before anndata 0.7.
pub(super) fn fields(reading: &Reading<'_>, path: &str) -> Result<Vec<(String, Item)>> {
    let array = reading.store.array(path)?;
    let n_rows = array.info().n_rows();
    let as_array = |(name, field): (String, Field)| {
        let shape = std::iter::once(n_rows).chain(field.shape).collect();
        (name, Item::Array(NdArray { shape, cells: field.cells }))
    };
    Ok(all_fields(reading, path, &*array)?.into_iter().map(as_array).collect())
}

/// An array that does not say what it is, as anndata before 0.8 wrote them.
pub(super) fn plain(reading: &Reading<'_>, path: &str) -> Result<Item> {
    let array = reading.store.array(path)?;
    if !array.fields().is_empty() {
        return records(reading, path, 0);
    }
    let mut shape = array.info().shape.clone();
    let cells = match (entries(reading, &*array)?, array.text_width()) {
        (Ok(Entries::Texts(texts)), Some(width)) => {
            // A single text was written as an array of one.
            if shape == [1] {
                shape.clear();
            }
            Entries::Fixed { texts, width }
        }
        (Ok(cells), _) => cells,
        (Err(why), _) => return Ok(reading.opaque(path, "no encoding".to_owned(), why)),
    };
    Ok(Item::Array(NdArray { shape, cells }))
}

/// All elements of an array; in words, why they are not read.
fn entries(reading: &Reading<'_>, array: &dyn StoredArray) -> Result<std::result::Result<Entries, String>> {
    let info = array.info();
    reading.take_array(info)?;
    let rows = 0..info.n_rows();
    let read = match &info.dtype {
        Dtype::Other(words) => return Ok(Err(format!("its elements are of type {words}"))),
        Dtype::Text => array.texts(rows).and_then(|texts| {
            reading.take(&info.path, text_bytes(texts.iter()))?;
            Ok(Entries::Texts(texts))
        }),
        _ => array.numbers_with(reading.run, rows).map(Entries::Numbers),
    };
    read.map(Ok).map_err(|fault| fault.at(reading.store.place()))
}

fn all_fields(reading: &Reading<'_>, path: &str, array: &dyn StoredArray) -> Result<Vec<(String, Field)>> {
    let rows = 0..array.info().n_rows();
    let mut fields = Vec::new();
    for told in array.fields() {
        let width = told.shape.iter().fold(told.dtype.size().max(8) as u64, |n, &e| n.saturating_mul(e as u64));
        reading.take(path, width.saturating_mul(rows.len() as u64))?;
        let field = array.field(&told.name, rows.clone()).map_err(|fault| fault.at(reading.store.place()))?;
        fields.push((told.name, field));
    }
    Ok(fields)
}
