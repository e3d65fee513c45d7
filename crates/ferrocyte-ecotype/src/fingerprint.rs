//! Fingerprints of cells, their values and columns: by them inputs are told apart.

use ferrocyte_base::Result;
use ferrocyte_data::{Frame, ObsColumn};

use crate::expression::Expression;

/// The fingerprint of named cells and some of their columns, such as `900 cells, SE, X, Y, all 5d0c...`.
///
/// # Errors
/// A column that is not there.
pub fn fingerprint_of_columns(cells: &[String], frame: &Frame, columns: &[&str]) -> Result<String> {
    let mut hash = Hash::default().texts(cells);
    for name in columns {
        match frame.column(name)? {
            ObsColumn::Number(numbers) => numbers.iter().for_each(|x| hash.add(x.to_bits())),
            ObsColumn::Factor(factor) => {
                hash = hash.texts(&factor.levels);
                factor.codes.iter().for_each(|code| hash.add(u64::from(code)));
            }
        }
    }
    Ok(format!("{} cells, {}, all {}", cells.len(), columns.join(", "), hash.word()))
}

/// 64 bits of what passed, the same on every machine.
pub(crate) struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Hash {
    /// Multiplied by an odd number and shifted, so that every bit comes to bear on all of those above it.
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.0 ^= self.0 >> 29;
    }

    /// Adds texts, each with its end.
    pub(crate) fn texts(mut self, texts: &[String]) -> Self {
        for text in texts {
            text.bytes().for_each(|byte| self.add(u64::from(byte)));
            self.add(1 << 32);
        }
        self
    }

    /// Adds the values of all cells, with their places.
    pub(crate) fn values(mut self, x: &Expression) -> Self {
        for cell in 0..x.n_cells() {
            let (genes, values) = x.cell(cell);
            self.add(genes.len() as u64);
            genes.iter().zip(values).for_each(|(&gene, value)| {
                self.add(u64::from(gene));
                self.add(value.to_bits());
            });
        }
        self
    }

    /// The hash as a word.
    pub(crate) fn word(self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Factor;

    #[test]
    fn every_change_is_seen() -> Result<()> {
        let texts = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let x = |rows: &[Vec<f64>]| Expression::from_rows(texts(&["c", "d"]), texts(&["g", "h"]), rows);
        let of = |x: &Expression| Hash::default().values(x).word();
        let plain = of(&x(&[vec![1.0, 0.0], vec![0.0, 2.0]])?);
        assert_eq!(plain, of(&x(&[vec![1.0, 0.0], vec![0.0, 2.0]])?));
        assert_ne!(plain, of(&x(&[vec![0.0, 1.0], vec![0.0, 2.0]])?));
        assert_ne!(plain, of(&x(&[vec![1.0, 2.0], vec![0.0, 0.0]])?));
        let of = |words: &[&str]| Hash::default().texts(&texts(words)).word();
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        Ok(())
    }

    #[test]
    fn columns_tell_themselves() -> Result<()> {
        let cells = ["c", "d"].map(str::to_owned);
        let of = |labels: [&str; 2], x: f64| {
            let mut frame = Frame::new(2);
            frame.insert("SE", ObsColumn::Factor(Factor::from_texts(labels.map(Some))))?;
            frame.insert("X", ObsColumn::Number(vec![x, 0.0]))?;
            fingerprint_of_columns(&cells, &frame, &["SE", "X"])
        };
        let plain = of(["a", "b"], 1.0)?;
        assert!(plain.starts_with("2 cells, SE, X, all ") && plain == of(["a", "b"], 1.0)?);
        assert!(plain != of(["b", "a"], 1.0)? && plain != of(["a", "b"], 2.0)?);
        Ok(())
    }
}
