//! A cheap fingerprint of a matrix, for provenance and for refusing to merge strangers.
//!
//! It covers the layout, shape, type and number of stored values, and a hash of up to 64 stretches of 1,024 entries
//! spread evenly over each of the arrays behind the matrix, the first and the last among them. It depends on
//! content only: neither on compression, the width of indices, path nor time. A change that leaves all of that as
//! it was goes unseen; it is a label, not a proof.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::RowChunks;

use crate::h5ad::H5ad;
use crate::matrix::MatrixKind;
use crate::store::{Numbers, Store};

const STRETCHES: usize = 64;
const LENGTH: usize = 1024;

impl H5ad {
    /// The fingerprint of a matrix (named as in [`H5ad::matrix`]), such as
    /// `csr float32 4470 x 9015, 2865213 stored, sample 9f1c...`. The same content gives the same text, whatever
    /// the compression and the widths of indices; see the module for what is looked at.
    pub fn fingerprint(&self, element: &str) -> Result<String> {
        let matrix = self.matrix(element)?;
        let path = matrix.element();
        let mut hash = Hash::new();
        if matrix.kind() == MatrixKind::Dense {
            sample(self.store(), path, &mut hash)?;
        } else {
            for array in ["indptr", "indices", "data"] {
                sample(self.store(), &format!("{path}/{array}"), &mut hash)?;
            }
        }
        let stored = matrix.n_stored().map_or_else(String::new, |n| format!(", {n} stored"));
        Ok(format!(
            "{} {} {} x {}{stored}, sample {:016x}",
            matrix.kind().word(),
            matrix.dtype().name(),
            matrix.n_rows(),
            matrix.n_cols(),
            hash.0
        ))
    }
}

/// Adds stretches of an array, spread evenly, to the hash.
fn sample(store: &dyn Store, path: &str, hash: &mut Hash) -> Result<()> {
    let array = store.array(path)?;
    let (n, width) = (array.info().n_rows(), array.info().width());
    // Of wide rows fewer are taken, so that the work stays the same.
    let length = (LENGTH / width.max(1)).max(1).min(n);
    let steps = STRETCHES.min(n.div_ceil(length.max(1)));
    for i in 0..steps {
        let start = if steps == 1 { 0 } else { ((n - length) as u128 * i as u128 / (steps - 1) as u128) as usize };
        let at = |f: Fault| f.at(store.place());
        hash.add(&array.numbers(start..start + length).map_err(at)?);
    }
    Ok(())
}

/// FNV-1a over 64-bit words, with a final mix.
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, numbers: &Numbers) {
        for x in numbers.to_f64() {
            self.word(x.to_bits());
        }
    }

    /// The hash so far.
    pub(crate) fn value(&self) -> u64 {
        self.0
    }

    pub(crate) fn word(&mut self, word: u64) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_bytes() {
        // FNV-1a of the eight bytes of 1.0 is fixed for ever: fingerprints are compared between versions.
        let mut hash = Hash::new();
        hash.add(&Numbers::U8(vec![1]));
        let mut wide = Hash::new();
        wide.add(&Numbers::I64(vec![1]));
        assert_eq!(hash.0, wide.0);
        let mut expected = 0xcbf2_9ce4_8422_2325_u64;
        for byte in [0, 0, 0, 0, 0, 0, 0xf0, 0x3f] {
            expected = (expected ^ byte).wrapping_mul(0x0000_0100_0000_01b3);
        }
        assert_eq!(hash.0, expected);
    }
}
