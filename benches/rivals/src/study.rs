//! A study as `benches/limma.py` writes it: a folder of little-endian arrays of 64 bits.

use std::path::Path;

use crate::{Result, numbers, sizes};

/// Counts of samples, with all that any verb asks for.
pub struct Study {
    pub n_genes: usize,
    pub n_samples: usize,
    pub n_coefficients: usize,
    /// Genes × samples, row by row.
    pub counts: Vec<f64>,
    /// Samples × coefficients, row by row.
    pub design: Vec<f64>,
    /// The group and the block of each sample.
    pub groups: Vec<usize>,
    pub blocks: Vec<usize>,
}

impl Study {
    /// Reads `shape.txt` (genes, samples, coefficients) and the arrays of a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let [n_genes, n_samples, n_coefficients] = sizes(folder)?;
        let array = |name: &str, expected| numbers(&folder.join(format!("{name}.f64")), expected);
        let codes = |name: &str| -> Result<Vec<usize>> {
            Ok(array(name, n_samples)?.iter().map(|&code| code as usize).collect())
        };
        Ok(Self {
            n_genes,
            n_samples,
            n_coefficients,
            counts: array("counts", n_genes * n_samples)?,
            design: array("design", n_samples * n_coefficients)?,
            groups: codes("groups")?,
            blocks: codes("blocks")?,
        })
    }

    /// The second coefficient less the first.
    pub fn contrast(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.n_coefficients];
        (out[0], out[1]) = (-1.0, 1.0);
        out
    }

    /// Log2 counts per million with half a count added, genes × samples.
    pub fn log_values(&self) -> Vec<f64> {
        let mut sizes = vec![1.0; self.n_samples];
        for row in self.counts.chunks_exact(self.n_samples) {
            sizes.iter_mut().zip(row).for_each(|(size, count)| *size += count);
        }
        let of_gene = |row: &[f64]| -> Vec<f64> {
            row.iter().zip(&sizes).map(|(count, size)| ((count + 0.5) / size * 1e6).log2()).collect()
        };
        self.counts.chunks_exact(self.n_samples).flat_map(of_gene).collect()
    }
}
