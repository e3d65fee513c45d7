//! What decides the models of an ensemble, by name: by it shares of one are told from strangers.

use super::{Labels, TrainOptions};
use crate::expression::Expression;

/// Options, and fingerprints of cells and labels, as they are used.
pub(super) fn origin(
    x: &Expression,
    labels: &Labels<'_>,
    options: &TrainOptions,
    logged: bool,
) -> Vec<(String, String)> {
    let nfeature_per_se = options.nfeature_per_se.map_or_else(|| "inf".to_owned(), |n| n.to_string());
    let sample = labels.sample.unwrap_or_default();
    [
        ("mode", options.mode.word().to_owned()),
        ("scale", options.scale.to_string()),
        ("balance_sample", options.balance_sample.to_string()),
        ("nfeature", options.nfeature.to_string()),
        ("nfeature_per_se", nfeature_per_se),
        ("min_cells", options.min_cells.to_string()),
        ("downsample", options.downsample.to_string()),
        ("rng", options.rng().word().to_owned()),
        ("small_classes", options.small_classes().word().to_owned()),
        ("whether logarithms were taken", logged.to_string()),
        ("the fingerprint of genes", Hash::default().texts(x.genes()).word()),
        ("the fingerprint of cells", Hash::default().texts(x.cells()).word()),
        ("the fingerprint of values", Hash::default().values(x).word()),
        ("the fingerprint of cell types", Hash::default().texts(labels.cell_type).word()),
        ("the fingerprint of labels", Hash::default().texts(labels.label).word()),
        ("the fingerprint of samples", Hash::default().texts(sample).word()),
    ]
    .map(|(name, word)| (name.to_owned(), word))
    .to_vec()
}

/// 64 bits of what passed, the same on every machine.
struct Hash(u64);

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

    fn texts(mut self, texts: &[String]) -> Self {
        for text in texts {
            text.bytes().for_each(|byte| self.add(u64::from(byte)));
            self.add(1 << 32);
        }
        self
    }

    fn values(mut self, x: &Expression) -> Self {
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

    fn word(self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_base::Result;

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
}
