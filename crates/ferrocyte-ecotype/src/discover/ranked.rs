//! [`Ranked`]: entries of a fused network as ranks within their columns, and the components of these.

use std::sync::{Mutex, PoisonError};

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_learn::{Eigen, fix_signs, largest_eigen_of};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::ranks;

use super::fusion::Fused;
use super::tiles::{AREA, SIDE, sides};

/// Items whose share of a product a thread makes at once.
const BLOCK: usize = 512;

/// The ranks of entries that are not 0 within their columns, ties sharing their mean.
///
/// Twice a rank is a whole number, which 32 bits hold exactly.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    n: usize,
    /// Twice the ranks, column after column.
    doubled: Vec<f32>,
}

impl Ranked {
    /// Ranks a fused network. Needs 4 bytes for each pair of items.
    pub fn of(run: &Run, fused: &Fused) -> Result<Self> {
        let n = fused.n();
        run.reserve("ranks of the fused network", 4 * (n * n) as u64)?;
        let mut doubled = vec![0.0; n * n];
        let broken: Mutex<Option<Fault>> = Mutex::new(None);
        run.for_each_chunk(&mut doubled, SIDE * n, |column, out| {
            let mut panel = vec![0.0; sides(n) * AREA];
            if let Err(fault) = run.check().and_then(|()| fused.0.panel(column, &mut panel)) {
                *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                return;
            }
            for (j, out) in out.chunks_exact_mut(n).enumerate() {
                let values: Vec<f64> = (0..n).map(|i| panel[i * SIDE + j]).collect();
                ranks_of(&values, |i, rank| out[i] = (2.0 * rank) as f32);
            }
        })?;
        match broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(fault) => Err(fault),
            None => Ok(Self { n, doubled }),
        }
    }

    /// How many items there are.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Twice the ranks of a column; 0 where there is no entry.
    fn column(&self, j: usize) -> &[f32] {
        &self.doubled[j * self.n..(j + 1) * self.n]
    }

    /// The mean of this and its transpose, ranks divided by the number of items: items × items.
    pub fn symmetric(&self) -> Matrix {
        let n = self.n;
        let mut both = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                let sum = f64::from(self.column(j)[i]) + f64::from(self.column(i)[j]);
                both[(i, j)] = 0.25 * sum / n as f64;
            }
        }
        both
    }

    /// Scores of items in the first `k` principal components of the ranks, rows of which are centred: items × components.
    pub fn components(&self, run: &Run, k: usize) -> Result<Matrix> {
        let n = self.n;
        let k = k.min(n.saturating_sub(1));
        let means = self.row_means(run)?;
        let task = run.task("components", 0);
        let mut images = |vectors: &Matrix| {
            task.advance(1);
            self.gram(run, &means, vectors)
        };
        let mut eigen = largest_eigen_of(run, n, k, &mut images)?;
        fix_signs(&mut eigen.vectors);
        let Eigen { values, vectors } = eigen;
        let mut scores = Matrix::zeros(n, k);
        for (c, value) in values.iter().enumerate() {
            let length = value.max(0.0).sqrt();
            vectors.row(c).iter().enumerate().for_each(|(i, x)| scores[(i, c)] = x * length);
        }
        Ok(scores)
    }

    /// The mean rank of each row, divided by the number of items.
    fn row_means(&self, run: &Run) -> Result<Vec<f64>> {
        let scale = 0.5 / (self.n as f64 * self.n as f64);
        let parts = run.map_quietly(self.n, BLOCK, |rows| {
            let mut sums = vec![0.0; rows.len()];
            for j in 0..self.n {
                sums.iter_mut().zip(&self.column(j)[rows.clone()]).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            Ok(sums)
        })?;
        Ok(parts.into_iter().flatten().map(|sum| sum * scale).collect())
    }

    /// `X'(X v)` for the columns of `vectors`, with X the ranks less the means of their rows.
    fn gram(&self, run: &Run, means: &[f64], vectors: &Matrix) -> Result<Matrix> {
        let (n, m) = (self.n, vectors.n_cols());
        let unit = 0.5 / n as f64;
        let totals: Vec<f64> = (0..m).map(|c| (0..n).map(|j| vectors[(j, c)]).sum()).collect();
        let along = run.map_quietly(n, BLOCK, |rows| {
            let mut sums = vec![0.0; rows.len() * m];
            for j in 0..n {
                let weights = vectors.row(j);
                for (sums, &x) in sums.chunks_exact_mut(m).zip(&self.column(j)[rows.clone()]) {
                    let x = f64::from(x);
                    sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += x * w);
                }
            }
            for (sums, mean) in sums.chunks_exact_mut(m).zip(&means[rows]) {
                sums.iter_mut().zip(&totals).for_each(|(sum, total)| *sum = *sum * unit - mean * total);
            }
            Ok(sums)
        })?;
        let along = Matrix::from_rows(n, m, along.into_iter().flatten().collect());
        let common: Vec<f64> = (0..m).map(|c| (0..n).map(|i| means[i] * along[(i, c)]).sum()).collect();
        let across = run.map_quietly(n, 64, |columns| {
            let mut out = vec![0.0; columns.len() * m];
            for (out, j) in out.chunks_exact_mut(m).zip(columns) {
                for (&x, along) in self.column(j).iter().zip(along.entries().chunks_exact(m)) {
                    let x = f64::from(x);
                    out.iter_mut().zip(along).for_each(|(sum, a)| *sum += x * a);
                }
                out.iter_mut().zip(&common).for_each(|(sum, common)| *sum = *sum * unit - common);
            }
            Ok(out)
        })?;
        Ok(Matrix::from_rows(n, m, across.into_iter().flatten().collect()))
    }
}

/// Tells the rank of each value that is not 0.
fn ranks_of(values: &[f64], mut tell: impl FnMut(usize, f64)) {
    let places: Vec<usize> = (0..values.len()).filter(|&i| values[i] != 0.0).collect();
    let known: Vec<f64> = places.iter().map(|&i| values[i]).collect();
    places.iter().zip(ranks::average(&known)).for_each(|(&i, rank)| tell(i, rank));
}

/// The rank of each entry that is not 0 among those of its column, ties sharing their mean, divided by the number of rows.
pub fn rank_columns(x: &Matrix) -> Matrix {
    let n = x.n_rows();
    let mut ranked = Matrix::zeros(n, x.n_cols());
    for column in 0..x.n_cols() {
        let values: Vec<f64> = (0..n).map(|i| x[(i, column)]).collect();
        ranks_of(&values, |i, rank| ranked[(i, column)] = rank / n as f64);
    }
    ranked
}

#[cfg(test)]
mod tests {
    use super::super::fusion::{FusionOptions, fuse};
    use super::super::network::Network;
    use super::*;
    use ferrocyte_math::linalg::symmetric_eigen;

    #[test]
    fn zeros_have_no_rank() {
        let ranked = rank_columns(&Matrix::from_rows(3, 2, vec![5.0, 0.0, 2.0, 1.0, 5.0, 0.0]));
        assert_eq!(ranked.entries(), [2.5 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0, 2.5 / 3.0, 0.0]);
    }

    fn example() -> Result<Fused> {
        let view = |m: usize| {
            Network::from_rows((0..200_usize).map(|i| {
                let near = (0..200_usize).filter(|j| i % 4 == j % 4 && i.abs_diff(*j) <= 40 * m);
                near.map(|j| (j as u32, 1.0 / (2.0 + i.abs_diff(j) as f64))).collect()
            }))
        };
        fuse(&Run::new(), &[view(1), view(2)], &FusionOptions { iterations: 2, ..FusionOptions::default() }, None)
    }

    #[test]
    fn ranks_are_those_of_the_whole_matrix() -> Result<()> {
        let fused = example()?;
        let (ranked, whole) = (Ranked::of(&Run::new(), &fused)?, rank_columns(&fused.dense()?));
        let both = ranked.symmetric();
        for i in 0..200 {
            for j in 0..200 {
                assert!((both[(i, j)] - 0.5 * (whole[(i, j)] + whole[(j, i)])).abs() < 1e-15);
            }
        }
        Ok(())
    }

    #[test]
    fn components_are_those_of_the_centred_ranks() -> Result<()> {
        let fused = example()?;
        let ranked = Ranked::of(&Run::new().threads(1), &fused)?;
        let scores = ranked.components(&Run::new().threads(1), 3)?;
        assert_eq!(ranked.components(&Run::new().threads(3), 3)?, scores);
        let mut x = rank_columns(&fused.dense()?);
        for i in 0..200 {
            let mean = x.row(i).iter().sum::<f64>() / 200.0;
            x.row_mut(i).iter_mut().for_each(|x| *x -= mean);
        }
        let (values, _) = symmetric_eigen(&x.transpose().times(&x))?;
        for c in 0..3 {
            let square: f64 = (0..200).map(|i| scores[(i, c)] * scores[(i, c)]).sum();
            assert!((square - values[199 - c]).abs() < 1e-8 * values[199], "{square} {}", values[199 - c]);
        }
        Ok(())
    }
}
