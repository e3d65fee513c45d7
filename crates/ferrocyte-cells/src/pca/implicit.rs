//! Leading eigenvectors of a covariance that is never formed: `W'(W - 1 m') V` for a few columns `V` at a time, a pass
//! over the cells for each.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Summary, fold};
use ferrocyte_learn::largest_eigen_of;
use ferrocyte_math::linalg::Matrix;

use super::{Leading, Projection, Scores, Weights};
use crate::Names;
use crate::by_gene::{Piece, by_gene};
use crate::scan::{Need, scan};

/// Vectors of the search that are kept for each eigenvector, about.
const KEPT: usize = 6;

/// The `k` leading eigenvectors of the covariance of the columns of `W`.
pub(super) fn leading(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    weights: Weights,
    k: usize,
) -> Result<Leading> {
    let (n, p) = (source.n_rows() as f64, source.n_cols());
    run.reserve(&format!("the search for {k} components of {p} genes"), (KEPT * (k + 12) * p * 8) as u64)?;
    let mut columns = Columns { weights: &weights, sums: vec![(0.0, 0.0); p] };
    scan(run, source, names, Need::Finite, &mut [&mut columns])?;
    let means: Vec<f64> = columns.sums.iter().map(|(sum, _)| sum / n).collect();
    let squares = columns.sums.iter().zip(&means).map(|((_, squares), mean)| squares - n * mean * mean);
    let total = squares.sum::<f64>() / (n - 1.0);
    let mut projection = Projection { weights, means, loadings: Matrix::zeros(p, 0) };
    let eigen = largest_eigen_of(run, p, k, &mut |columns| {
        projection.loadings = columns.clone();
        let mut images = Images { projection: &projection, out: vec![0.0; p * columns.n_cols()] };
        fold(run, source, &mut [&mut images])?;
        images.out.iter_mut().for_each(|x| *x /= n - 1.0);
        Ok(Matrix::from_rows(p, columns.n_cols(), images.out))
    })?;
    let Projection { weights, means, .. } = projection;
    Ok(Leading { eigen, means, total, weights })
}

/// The values of `W` that belong to a piece of a row.
fn weighted<'a>(weights: &Weights, piece: &'a Piece<'_>, room: &'a mut Vec<f64>) -> &'a [f64] {
    let Weights::Scaled(_) = weights else { return piece.values };
    let columns: Vec<u32> = piece.columns.iter().map(|column| column + piece.first as u32).collect();
    room.clear();
    room.extend_from_slice(piece.values);
    weights.apply(&columns, room);
    room
}

/// Sums and sums of squares of the columns of `W`.
struct Columns<'a> {
    weights: &'a Weights,
    sums: Vec<(f64, f64)>,
}

impl Summary for Columns<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let weights = self.weights;
        by_gene(run, block, &mut self.sums, 1, |tile, piece| {
            let mut room = Vec::new();
            for (&column, &w) in piece.columns.iter().zip(weighted(weights, piece, &mut room)) {
                let (sum, squares) = &mut tile[column as usize];
                *sum += w;
                *squares += w * w;
            }
        })
    }
}

/// `W'(W - 1 m') V`: the scores of a block of cells, then each gene adds those of the cells that have it.
struct Images<'a> {
    projection: &'a Projection,
    /// Genes × columns of `V`.
    out: Vec<f64>,
}

impl Summary for Images<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let mut scores = Scores::new(self.projection, block.n_rows());
        scores.observe(run, block)?;
        let m = self.projection.loadings.n_cols();
        let weights = &self.projection.weights;
        by_gene(run, block, &mut self.out, m, |tile, piece| {
            let row = &scores.rows[piece.row * m..][..m];
            let mut room = Vec::new();
            for (&column, &w) in piece.columns.iter().zip(weighted(weights, piece, &mut room)) {
                tile[column as usize * m..][..m].iter_mut().zip(row).for_each(|(x, z)| *x += w * z);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pca::{Scaling, explicit};
    use crate::scale::ScaleOptions;
    use ferrocyte_testkit::{Counts, assert_same_bits_over_runs};

    #[test]
    fn eigenvectors_are_those_of_the_covariance() -> Result<()> {
        let counts = Counts::random(4, 500, 260, 0.3)?;
        let names = Names::default();
        let run = Run::new();
        for scale in [None, Some(ScaleOptions { max_value: Some(2.0), ..ScaleOptions::default() })] {
            let weights = || -> Result<Weights> {
                Ok(match scale {
                    Some(options) => Weights::scaled(&Scaling::measure(&run, &mut counts.source()?, &names, options)?),
                    None => Weights::Plain,
                })
            };
            let plain = explicit(&run, &mut counts.source()?, &names, weights()?, 8)?;
            let found = leading(&run, &mut counts.source()?, &names, weights()?, 8)?;
            assert!((found.total - plain.total).abs() < 1e-11 * plain.total);
            for i in 0..8 {
                assert!((found.eigen.values[i] - plain.eigen.values[i]).abs() < 1e-12 * plain.eigen.values[0]);
            }
            let same: f64 = found.eigen.vectors.row(0).iter().zip(plain.eigen.vectors.row(0)).map(|(a, b)| a * b).sum();
            assert!((same.abs() - 1.0).abs() < 1e-9);
        }
        Ok(())
    }

    #[test]
    fn threads_and_blocks_change_no_bit() -> Result<()> {
        let counts = Counts::random(9, 700, 230, 0.2)?;
        let work = |run: &Run| leading(run, &mut counts.source()?, &Names::default(), Weights::Plain, 4);
        assert_same_bits_over_runs(work, |found| [found.eigen.vectors.entries(), &found.eigen.values].concat())
    }
}
