//! The problem as `benches/lmm.py` writes it: a folder of little-endian arrays of 64 bits, cells sorted by sample.

use std::error::Error;
use std::fs;
use std::path::Path;

use faer::Mat;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Genes, cells, design and samples.
pub(crate) struct Problem {
    pub(crate) n_genes: usize,
    pub(crate) n_cells: usize,
    pub(crate) n_coefficients: usize,
    pub(crate) n_samples: usize,
    /// Cells × coefficients, row by row.
    pub(crate) design: Vec<f64>,
    /// Genes × cells, row by row.
    pub(crate) counts: Vec<f64>,
    /// The sample of each cell; the cells of a sample stand together.
    pub(crate) samples: Vec<usize>,
    /// Genes × cells: ln(1 + count).
    responses: Vec<f64>,
}

impl Problem {
    /// Reads `shape.txt` (genes, cells, coefficients, samples) and the arrays of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let shape = fs::read_to_string(folder.join("shape.txt"))?;
        let sizes = shape.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<usize>, _>>()?;
        let &[n_genes, n_cells, n_coefficients, n_samples] = sizes.as_slice() else {
            return Err(format!("expected 4 sizes in shape.txt, found {}", sizes.len()).into());
        };
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
    pub(crate) fn response(&self, gene: usize) -> &[f64] {
        &self.responses[gene * self.n_cells..][..self.n_cells]
    }

    /// The design as the matrix type of the peer: cells × coefficients.
    pub(crate) fn design_matrix(&self) -> Mat<f64> {
        Mat::from_fn(self.n_cells, self.n_coefficients, |i, j| self.design[i * self.n_coefficients + j])
    }
}

fn numbers(path: &Path, expected: usize) -> Result<Vec<f64>> {
    let bytes = fs::read(path)?;
    let (values, rest) = bytes.as_chunks::<8>();
    if values.len() != expected || !rest.is_empty() {
        return Err(format!("{}: expected {expected} numbers, found {} bytes", path.display(), bytes.len()).into());
    }
    Ok(values.iter().map(|&value| f64::from_le_bytes(value)).collect())
}
