//! [`Exchangeable`]: samples of a block are equally correlated, others not at all.
//!
//! The correlation matrix V of a block of m samples is `(1 - ρ) I + ρ 11'`. Its inverse is
//! `(I - c 11') / (1 - ρ)` with `c = ρ / (1 + (m - 1) ρ)`, and the symmetric root of that is
//! `(I - k 11') / sqrt(1 - ρ)` with `k = (1 - sqrt((1 - ρ) / (1 + (m - 1) ρ))) / m`. So whitening takes one sum per block
//! instead of a Cholesky factor. A sample that a gene has no value of leaves its block, whose m is then smaller.

use ferrocyte_base::{Fault, Result};

/// Blocks of samples with a common correlation within each.
#[derive(Debug, Clone)]
pub(crate) struct Exchangeable {
    block_of: Vec<usize>,
    n_blocks: usize,
    correlation: f64,
}

impl Exchangeable {
    /// Blocks numbered from 0, one number per sample.
    pub(crate) fn new(block_of: Vec<usize>, correlation: f64) -> Result<Self> {
        if !(correlation.abs() < 1.0) {
            return Err(Fault::bad_input(format!("{correlation} is no correlation between -1 and 1"))
                .at("correlation")
                .hint("take it from duplicate_correlation"));
        }
        let n_blocks = block_of.iter().max().map_or(0, |&b| b + 1);
        let mut sizes = vec![0_usize; n_blocks];
        block_of.iter().for_each(|&b| sizes[b] += 1);
        let largest = sizes.iter().copied().max().unwrap_or(0);
        if largest > 1 && 1.0 + (largest - 1) as f64 * correlation <= 1e-12 {
            return Err(Fault::bad_input(format!(
                "{correlation} cannot be the correlation of {largest} samples of a block, expected more than {}",
                -1.0 / (largest - 1) as f64
            ))
            .at("correlation"));
        }
        Ok(Self { block_of, n_blocks, correlation })
    }

    /// The block of each sample.
    pub(crate) fn block_of(&self) -> &[usize] {
        &self.block_of
    }

    /// Number of blocks.
    pub(crate) fn n_blocks(&self) -> usize {
        self.n_blocks
    }

    /// `1 / (1 - ρ)`.
    pub(crate) fn precision(&self) -> f64 {
        1.0 / (1.0 - self.correlation)
    }

    /// c of every block, given which samples are observed.
    pub(crate) fn shares(&self, observed: impl Iterator<Item = bool>, shares: &mut Vec<f64>) {
        self.sizes(observed, shares);
        for m in shares {
            *m = self.correlation / (1.0 + (*m - 1.0) * self.correlation);
        }
    }

    /// k of every block, given which samples are observed.
    pub(crate) fn root_shares(&self, observed: impl Iterator<Item = bool>, shares: &mut Vec<f64>) {
        self.sizes(observed, shares);
        for m in shares {
            if *m > 0.0 {
                *m = (1.0 - ((1.0 - self.correlation) / (1.0 + (*m - 1.0) * self.correlation)).sqrt()) / *m;
            }
        }
    }

    fn sizes(&self, observed: impl Iterator<Item = bool>, sizes: &mut Vec<f64>) {
        sizes.clear();
        sizes.resize(self.n_blocks, 0.0);
        for (&b, seen) in self.block_of.iter().zip(observed) {
            sizes[b] += f64::from(u8::from(seen));
        }
    }

    /// Sums of values over blocks. Values of samples that are not observed must be zero.
    pub(crate) fn sums(&self, values: &[f64], sums: &mut Vec<f64>) {
        sums.clear();
        sums.resize(self.n_blocks, 0.0);
        for (&b, &x) in self.block_of.iter().zip(values) {
            sums[b] += x;
        }
    }

    /// Whitens the observed values in place, given k of every block. Values of the other samples must be zero; what comes
    /// out for them means nothing.
    pub(crate) fn whiten(&self, values: &mut [f64], root_shares: &[f64], sums: &mut Vec<f64>) {
        let scale = self.precision().sqrt();
        self.sums(values, sums);
        for (sum, k) in sums.iter_mut().zip(root_shares) {
            *sum *= k;
        }
        for (x, &b) in values.iter_mut().zip(&self.block_of) {
            *x = (*x - sums[b]) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::linalg::Matrix;

    #[test]
    fn whitening_twice_is_the_inverse() -> Result<()> {
        let blocks = [0, 1, 0, 1, 0, 2];
        for correlation in [0.6, -0.3, 0.0] {
            let v = Exchangeable::new(blocks.to_vec(), correlation)?;
            let (mut k, mut c, mut sums) = (Vec::new(), Vec::new(), Vec::new());
            v.root_shares([true; 6].into_iter(), &mut k);
            v.shares([true; 6].into_iter(), &mut c);
            let mut dense = Matrix::zeros(6, 6);
            for i in 0..6 {
                for j in 0..6 {
                    let within = f64::from(u8::from(blocks[i] == blocks[j])) * correlation;
                    dense[(i, j)] = if i == j { 1.0 } else { within };
                }
            }
            let x = [1.0, -2.0, 0.5, 3.0, 0.1, -1.0];
            let mut twice = x;
            v.whiten(&mut twice, &k, &mut sums);
            v.whiten(&mut twice, &k, &mut sums);
            let back = dense.times(&Matrix::from_rows(6, 1, twice.to_vec()));
            assert!(back.entries().iter().zip(x).all(|(a, b)| (a - b).abs() < 1e-13));
            // The closed form of the inverse.
            v.sums(&x, &mut sums);
            for i in 0..6 {
                let direct = (x[i] - c[blocks[i]] * sums[blocks[i]]) * v.precision();
                assert!((direct - twice[i]).abs() < 1e-13);
            }
        }
        Ok(())
    }

    #[test]
    fn impossible_correlations() {
        assert!(Exchangeable::new(vec![0, 0], 1.0).is_err());
        assert!(Exchangeable::new(vec![0, 0], f64::NAN).is_err());
        assert!(Exchangeable::new(vec![0, 0, 0], -0.5).is_err());
        assert!(Exchangeable::new(vec![0, 1, 2], -0.9).is_ok());
    }
}
