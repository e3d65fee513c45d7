//! The problem as `benches/lmm.py` writes it: a folder of little-endian arrays of 64 bits, cells sorted by sample.

use std::path::Path;

use faer::Mat;

use crate::{Result, numbers, sizes};

/// Genes, cells, design and samples.
pub struct Problem {
    pub n_genes: usize,
    pub n_cells: usize,
    pub n_coefficients: usize,
    pub n_samples: usize,
    /// Cells × coefficients, row by row.
    pub design: Vec<f64>,
    /// Genes × cells, row by row.
    pub counts: Vec<f64>,
    /// The sample of each cell; the cells of a sample stand together.
    pub samples: Vec<usize>,
    /// Genes × cells: ln(1 + count).
    responses: Vec<f64>,
}

impl Problem {
    /// Reads `shape.txt` (genes, cells, coefficients, samples) and the arrays of a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let [n_genes, n_cells, n_coefficients, n_samples] = sizes(folder)?;
        let counts = numbers(&folder.join("counts.f64"), n_genes * n_cells)?;
        Ok(Self {
            n_genes,
            n_cells,
            n_coefficients,
            n_samples,
            design: numbers(&folder.join("design.f64"), n_cells * n_coefficients)?,
            samples: numbers(&folder.join("samples.f64"), n_cells)?.iter().map(|&code| code as usize).collect(),
            responses: counts.iter().map(|count| count.ln_1p()).collect(),
            counts,
        })
    }

    /// The response of one gene: ln(1 + count) of each cell.
    pub fn response(&self, gene: usize) -> &[f64] {
        &self.responses[gene * self.n_cells..][..self.n_cells]
    }

    /// The design as the matrix type of the peer: cells × coefficients.
    pub fn design_matrix(&self) -> Mat<f64> {
        Mat::from_fn(self.n_cells, self.n_coefficients, |i, j| self.design[i * self.n_coefficients + j])
    }
}
