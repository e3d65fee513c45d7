//! One array in numpy's `.npy` format: the members of a part file.
//!
//! Written: version 1.0, little-endian, row-major, 64-bit floats or integers. Read: the same in any format version.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Array, Data};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The header of an array, padded so that the entries begin at a multiple of 64 bytes.
pub(crate) fn header(array: &Array) -> Vec<u8> {
    let descr = match array.data {
        Data::F64(_) => "<f8",
        Data::I64(_) => "<i8",
    };
    header_of(descr, &array.shape)
}

/// The header of an array of any type.
pub(crate) fn header_of(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape = match shape {
        [n] => format!("({n},)"),
        many => format!("({})", many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut dictionary = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let length = (MAGIC.len() + 4 + dictionary.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    dictionary.extend(std::iter::repeat_n(' ', length - dictionary.len() - 1));
    dictionary.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes
}

/// The entries of an array as little-endian bytes, in pieces, so that no second copy of the whole is made.
pub(crate) fn pieces(data: &Data) -> Box<dyn Iterator<Item = Vec<u8>> + '_> {
    const PIECE: usize = 1 << 14;
    match data {
        Data::F64(v) => Box::new(v.chunks(PIECE).map(|c| c.iter().flat_map(|x| x.to_le_bytes()).collect())),
        Data::I64(v) => Box::new(v.chunks(PIECE).map(|c| c.iter().flat_map(|x| x.to_le_bytes()).collect())),
    }
}

/// A whole `.npy` member, its entries as bytes.
pub(crate) struct Raw<'a> {
    /// The type, such as `<f8`.
    pub(crate) descr: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) entries: &'a [u8],
    /// Whether columns lie one after the other.
    pub(crate) by_columns: bool,
}

/// Takes a member apart.
pub(crate) fn raw(bytes: &[u8]) -> Result<Raw<'_>> {
    let broken = |what: &str| Fault::bad_file(what.to_owned());
    if bytes.get(..6) != Some(MAGIC) {
        return Err(broken("it does not begin like a .npy array"));
    }
    let version = bytes.get(6).copied().unwrap_or(0);
    let (start, length) = match (version, bytes.get(8..12)) {
        (1, Some(b)) => (10, usize::from(u16::from_le_bytes([b[0], b[1]]))),
        (2 | 3, Some(b)) => (12, u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize),
        _ => return Err(broken("its .npy version is unknown")),
    };
    let dictionary = bytes
        .get(start..)
        .and_then(|rest| rest.get(..length))
        .and_then(|d| std::str::from_utf8(d).ok())
        .ok_or_else(|| broken("its header is cut off"))?;
    let by_columns = entry(dictionary, "fortran_order").is_none_or(|v| !v.starts_with("False"));
    let shape = entry(dictionary, "shape").and_then(shape_of).ok_or_else(|| broken("its shape cannot be read"))?;
    let descr = entry(dictionary, "descr").and_then(|d| d.strip_prefix('\'')?.split_once('\''));
    let (descr, _) = descr.ok_or_else(|| broken("its type cannot be read"))?;
    Ok(Raw { descr: descr.to_owned(), shape, entries: &bytes[start + length..], by_columns })
}

/// The array of a whole `.npy` member.
pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Array> {
    let place = format!("array `{name}`");
    let broken = |what: &str| Fault::bad_file(what.to_owned()).at(place.clone());
    let Raw { descr, shape, entries, by_columns } = raw(bytes).map_err(|fault| fault.at(place.clone()))?;
    if by_columns {
        return Err(broken("it is not in row-major order"));
    }
    let expected = shape.iter().try_fold(8_usize, |n, &extent| n.checked_mul(extent));
    if expected != Some(entries.len()) {
        return Err(broken(&format!("shape {shape:?} does not fit its {} bytes", entries.len())));
    }
    let words = || entries.chunks_exact(8).map(|c| [c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]);
    let data = if descr == "<f8" {
        Data::F64(words().map(f64::from_le_bytes).collect())
    } else if descr == "<i8" {
        Data::I64(words().map(i64::from_le_bytes).collect())
    } else {
        return Err(broken("its type is neither '<f8' nor '<i8'"));
    };
    Ok(Array { name: name.to_owned(), shape, data })
}

/// What follows `'key':` in the dictionary of a header.
fn entry<'a>(dictionary: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = dictionary.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

fn shape_of(text: &str) -> Option<Vec<usize>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    inside.split(',').map(str::trim).filter(|t| !t.is_empty()).map(|t| t.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(array: &Array) -> Vec<u8> {
        header(array).into_iter().chain(pieces(&array.data).flatten()).collect()
    }

    #[test]
    fn arrays_survive_in_every_dimension() -> Result<()> {
        for shape in [vec![], vec![1], vec![4], vec![0], vec![2, 3], vec![1, 2, 2], vec![100, 200]] {
            let n: usize = shape.iter().product();
            let numbers = (0..n).map(|i| i as f64 / 3.0).collect();
            let array = Array { name: "a".into(), shape: shape.clone(), data: Data::F64(numbers) };
            assert_eq!(header(&array).len() % 64, 0);
            assert_eq!(decode("a", &encode(&array))?, array);
            let array = Array { name: "a".into(), shape, data: Data::I64((0..n as i64).map(|i| -i).collect()) };
            assert_eq!(decode("a", &encode(&array))?, array);
        }
        Ok(())
    }

    #[test]
    fn damage_is_a_fault_at_every_byte() {
        let array = Array { name: "a".into(), shape: vec![2, 2], data: Data::F64(vec![1.0, 2.0, 3.0, 4.0]) };
        let whole = encode(&array);
        for end in 0..whole.len() {
            assert!(decode("a", &whole[..end]).is_err_and(|f| f.to_string().starts_with("array `a`")), "{end}");
        }
        let huge = String::from_utf8_lossy(&whole[..128]).replace("(2, 2)", "(9999999999999, 9999999999999)");
        assert!(decode("a", huge.as_bytes()).is_err());
    }
}
