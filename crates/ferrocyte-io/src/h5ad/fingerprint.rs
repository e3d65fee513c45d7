//! A cheap fingerprint of a matrix, for provenance and for refusing to merge strangers.
//!
//! It covers the layout, shape, type and number of stored values, and a hash of up to 64 stretches of 1,024 entries
//! spread evenly over each of the arrays behind the matrix, the first and the last among them. It depends on
//! content only: neither on compression, the width of indices, path nor time. A change that leaves all of that as
//! it was goes unseen; it is a label, not a proof.

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{OwnedCsr, RowChunks, Values};

use crate::h5ad::H5ad;
use crate::h5ad::matrix::{H5adMatrix, MatrixKind};
use crate::store::{Numbers, Store};

const STRETCHES: usize = 64;
const LENGTH: usize = 1024;

impl H5ad {
    /// The fingerprint of a matrix (named as in [`H5ad::matrix`]), such as
    /// `csr float32 4470 x 9015, 2865213 stored, sample 9f1c...`. The same content gives the same text, whatever
    /// the compression and the widths of indices; see the module for what is looked at.
    pub fn fingerprint(&self, run: &Run, element: &str) -> Result<String> {
        of_matrix(run, self.store(), &self.matrix(element)?)
    }
}

/// The fingerprint of a matrix of a store.
pub(crate) fn of_matrix(run: &Run, store: &dyn Store, matrix: &H5adMatrix) -> Result<String> {
    let path = matrix.element();
    let mut hash = Hash::new();
    if matrix.kind() == MatrixKind::Dense {
        sample(run, store, path, &mut hash)?;
    } else {
        for array in ["indptr", "indices", "data"] {
            sample(run, store, &format!("{path}/{array}"), &mut hash)?;
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

/// The fingerprint of a matrix in memory: that of a file of the same arrays.
pub(crate) fn of_rows(matrix: &OwnedCsr) -> String {
    let mut hash = Hash::new();
    let mut add = |n: usize, value: &dyn Fn(usize) -> f64| {
        stretches(n, 1).into_iter().flatten().for_each(|k| hash.word(value(k).to_bits()));
    };
    let (pointers, indices, values) = (matrix.pointers(), matrix.indices(), matrix.values());
    add(pointers.len(), &|k| pointers[k] as f64);
    add(indices.len(), &|k| f64::from(indices[k]));
    add(values.len(), &|k| values.get(k));
    let dtype = if matches!(values, Values::F32(_)) { "float32" } else { "float64" };
    let (n_rows, n_cols, stored) = (matrix.n_rows(), matrix.n_cols(), values.len());
    format!("csr {dtype} {n_rows} x {n_cols}, {stored} stored, sample {:016x}", hash.0)
}

/// The fingerprint of some columns of a matrix: that of the whole, and which they are.
pub(crate) fn of_genes(whole: String, kept: Option<&[usize]>, n_columns: usize) -> String {
    let Some(kept) = kept else { return whole };
    let mut hash = Hash::new();
    kept.iter().for_each(|&k| hash.word(k as u64));
    format!("{whole}, {} of {n_columns} features, {:016x}", kept.len(), hash.0)
}

/// Adds stretches of an array, spread evenly, to the hash.
fn sample(run: &Run, store: &dyn Store, path: &str, hash: &mut Hash) -> Result<()> {
    let array = store.array(path)?;
    let (n, width) = (array.info().n_rows(), array.info().width());
    let stretches = stretches(n, width);
    let found = array.numbers_of(run, &stretches).map_err(|fault: Fault| fault.at(store.place()))?;
    found.iter().for_each(|numbers| hash.add(numbers));
    Ok(())
}

/// Stretches of `n` rows, spread evenly, the first and the last among them.
fn stretches(n: usize, width: usize) -> Vec<Range<usize>> {
    // Of wide rows fewer are taken, so that the work stays the same.
    let length = (LENGTH / width.max(1)).max(1).min(n);
    let steps = STRETCHES.min(n.div_ceil(length.max(1)));
    let start =
        |i: usize| if steps == 1 { 0 } else { ((n - length) as u128 * i as u128 / (steps - 1) as u128) as usize };
    (0..steps).map(|i| start(i)..start(i) + length).collect()
}

/// The prime of FNV-1a for 64 bits.
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Its powers 0 to 8.
const POWERS: [u64; 9] = {
    let mut powers = [1_u64; 9];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = powers[k - 1].wrapping_mul(PRIME);
        k += 1;
    }
    powers
};

/// FNV-1a over the bytes of 64-bit words, the lowest first.
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

    /// Adds a word.
    pub(crate) fn word(&mut self, word: u64) {
        // The low bytes of small whole numbers are zero, and a zero byte only multiplies: all of them at once.
        let zeros = word.trailing_zeros() as usize / 8;
        self.0 = self.0.wrapping_mul(POWERS[zeros]);
        for &byte in &word.to_le_bytes()[zeros..] {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
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
        let start = 0xcbf2_9ce4_8422_2325_u64;
        let by_bytes = |word: u64| {
            word.to_le_bytes().iter().fold(start, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
        };
        assert_eq!(hash.0, by_bytes(0x3ff0_0000_0000_0000));
        for word in [0, 1, 0x100, 0xff00_0000, 0x4008_0000_0000_0000, 0x1200_0000_0000_0034, 1 << 63, u64::MAX] {
            let mut hash = Hash::new();
            hash.word(word);
            assert_eq!(hash.0, by_bytes(word), "{word:x}");
        }
    }
}
