//! Genes measured several times within a sample: their values side by side.
//!
//! Rows come in groups of `ndups · spacing`; within a group the duplicates of a gene are `spacing` rows apart. Side by
//! side, a gene has `ndups` values per sample, those of a sample next to each other.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, MatrixRef};

use crate::DesignMatrix;

/// How rows are duplicates of each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Duplicates {
    ndups: usize,
    spacing: usize,
    n_genes: usize,
}

impl Duplicates {
    /// The layout of `n_rows` rows.
    pub(crate) fn new(n_rows: usize, ndups: usize, spacing: usize) -> Result<Self> {
        if ndups == 0 || spacing == 0 {
            return Err(Fault::bad_input("ndups and spacing must be at least 1").at("ndups"));
        }
        if !n_rows.is_multiple_of(ndups * spacing) {
            return Err(Fault::bad_input(format!(
                "{n_rows} rows are no multiple of ndups * spacing = {}",
                ndups * spacing
            ))
            .at("ndups")
            .hint("give the layout of the array, or order the rows so that duplicates lie `spacing` rows apart"));
        }
        Ok(Self { ndups, spacing, n_genes: n_rows / ndups })
    }

    /// The row of duplicate `d` of gene `g`.
    pub(crate) fn row(&self, g: usize, d: usize) -> usize {
        g / self.spacing * self.spacing * self.ndups + d * self.spacing + g % self.spacing
    }

    /// Values of rows, side by side: genes × (samples · ndups), duplicates next to each other.
    pub(crate) fn side_by_side(&self, values: MatrixRef<'_>) -> Matrix {
        let n = values.n_cols();
        let mut out = Matrix::zeros(self.n_genes, n * self.ndups);
        for g in 0..self.n_genes {
            for d in 0..self.ndups {
                for (j, &x) in values.row(self.row(g, d)).iter().enumerate() {
                    out[(g, j * self.ndups + d)] = x;
                }
            }
        }
        out
    }

    /// Weights of rows, side by side: as many columns as values have.
    pub(crate) fn row_weights(&self, of_rows: &[f64], n_samples: usize) -> Matrix {
        let mut out = Matrix::zeros(self.n_genes, n_samples * self.ndups);
        for g in 0..self.n_genes {
            for (k, w) in out.row_mut(g).iter_mut().enumerate() {
                *w = of_rows[self.row(g, k % self.ndups)];
            }
        }
        out
    }

    /// Something of every row, averaged over the duplicates of a gene; missing ones are left out.
    pub(crate) fn means(&self, of_rows: &[f64]) -> Vec<f64> {
        let mean = |g| mean((0..self.ndups).map(|d| of_rows[self.row(g, d)]));
        (0..self.n_genes).map(mean).collect()
    }

    /// Each sample `ndups` times.
    pub(crate) fn repeated<T: Clone>(&self, of_samples: &[T]) -> Vec<T> {
        of_samples.iter().flat_map(|x| std::iter::repeat_n(x.clone(), self.ndups)).collect()
    }

    /// The design with each row `ndups` times.
    pub(crate) fn design(&self, design: &DesignMatrix) -> Result<DesignMatrix> {
        let x = design.matrix();
        let rows: Vec<f64> = (0..x.n_rows()).flat_map(|i| x.row(i).repeat(self.ndups)).collect();
        DesignMatrix::new(Matrix::from_rows(x.n_rows() * self.ndups, x.n_cols(), rows), design.names().to_vec(), vec![])
    }
}

/// The mean of the finite values; NaN if there are none.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    for x in values.filter(|x| x.is_finite()) {
        sum += x;
        count += 1;
    }
    if count == 0 { f64::NAN } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_lie_a_spacing_apart() -> Result<()> {
        let rows: Vec<f64> = (0..12).flat_map(|i| [f64::from(i), f64::from(i) + 100.0]).collect();
        let layout = Duplicates::new(12, 2, 3)?;
        let beside = layout.side_by_side(MatrixRef::from_rows(12, 2, &rows));
        assert_eq!(beside.row(0), [0.0, 3.0, 100.0, 103.0]);
        assert_eq!(beside.row(4), [7.0, 10.0, 107.0, 110.0]);
        assert_eq!(layout.means(&(0..12).map(f64::from).collect::<Vec<_>>())[3], 7.5);
        assert!(Duplicates::new(10, 2, 3).is_err());
        Ok(())
    }
}
