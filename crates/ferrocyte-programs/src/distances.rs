//! Distances of spectra, a few rows at a time: local density, silhouette, and the order of a clustergram.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, product};

use crate::linkage::leaves;

/// Rows of distances that are in memory at a time, for each thread.
const ROWS: usize = 64;

/// Spectra as unit vectors, and what their distances need.
#[derive(Debug, Clone)]
pub struct UnitSpectra {
    rows: Matrix,
    columns: Matrix,
    squares: Vec<f64>,
}

impl UnitSpectra {
    /// Rows of `n x g` divided by their lengths; none may be all 0.
    pub fn new(spectra: &[f64], n: usize) -> Self {
        let g = spectra.len().checked_div(n).unwrap_or(0);
        let mut rows = Matrix::from_rows(n, g, spectra.to_vec());
        for i in 0..n {
            let length = rows.row(i).iter().map(|x| x * x).sum::<f64>().sqrt();
            rows.row_mut(i).iter_mut().for_each(|x| *x /= length);
        }
        Self::of_units(rows)
    }

    fn of_units(rows: Matrix) -> Self {
        let squares = (0..rows.n_rows()).map(|i| rows.row(i).iter().map(|x| x * x).sum()).collect();
        let columns = rows.transpose();
        Self { rows, columns, squares }
    }

    /// Some of the rows.
    #[must_use]
    pub fn some(&self, which: &[usize]) -> Self {
        let entries = which.iter().flat_map(|&i| self.rows.row(i)).copied().collect();
        Self::of_units(Matrix::from_rows(which.len(), self.rows.n_cols(), entries))
    }

    /// The unit vectors.
    pub fn rows(&self) -> &Matrix {
        &self.rows
    }

    /// How many there are.
    pub fn n(&self) -> usize {
        self.rows.n_rows()
    }

    /// `f(row, its Euclidean distances to all rows)` for every row, in order.
    fn each<T: Send>(&self, run: &Run, f: impl Fn(usize, &mut [f64]) -> T + Sync) -> Result<Vec<T>> {
        let (n, g) = (self.n(), self.rows.n_cols());
        let parts = run.map_quietly(n, ROWS, |range| {
            let mut out = vec![0.0; range.len() * n];
            product(&self.rows.entries()[range.start * g..range.end * g], g, &self.columns, &mut out);
            let rows = out.chunks_exact_mut(n).zip(range);
            Ok(rows
                .map(|(row, i)| {
                    self.to_distances(i, row);
                    f(i, row)
                })
                .collect::<Vec<T>>())
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Inner products with row `i` become distances.
    fn to_distances(&self, i: usize, products: &mut [f64]) {
        for (product, square) in products.iter_mut().zip(&self.squares) {
            *product = (self.squares[i] + square - 2.0 * *product).max(0.0).sqrt();
        }
        products[i] = 0.0;
    }

    /// All distances, row after row; for figures.
    pub fn distances(&self, run: &Run) -> Result<Vec<f64>> {
        run.reserve("the distances of all spectra", 8 * (self.n() * self.n()) as u64)?;
        Ok(self.each(run, |_, row| row.to_vec())?.into_iter().flatten().collect())
    }

    /// The mean distance of each row to its `neighbours` nearest others; 0 neighbours make all densities 0.
    pub fn local_density(&self, run: &Run, neighbours: usize) -> Result<Vec<f64>> {
        if neighbours == 0 {
            return Ok(vec![0.0; self.n()]);
        }
        let taken = (neighbours + 1).min(self.n());
        self.each(run, |_, row| {
            row.select_nth_unstable_by(taken - 1, f64::total_cmp);
            let nearest = &mut row[..taken];
            nearest.sort_by(f64::total_cmp);
            nearest.iter().sum::<f64>() / neighbours as f64
        })
    }

    /// The mean silhouette of labels from 0 to `k - 1`: 0 for a row alone in its cluster. `None` where there are not at
    /// least two clusters, or as many clusters as rows.
    pub fn silhouette(&self, run: &Run, labels: &[u32], k: usize) -> Result<Option<f64>> {
        let mut sizes = vec![0.0_f64; k];
        labels.iter().for_each(|&label| sizes[label as usize] += 1.0);
        let clusters = sizes.iter().filter(|size| **size > 0.0).count();
        if clusters < 2 || clusters >= self.n() {
            return Ok(None);
        }
        let widths = self.each(run, |i, row| {
            let mut sums = vec![0.0; k];
            row.iter().zip(labels).for_each(|(d, &label)| sums[label as usize] += d);
            let own = labels[i] as usize;
            if sizes[own] == 1.0 {
                return 0.0;
            }
            let a = sums[own] / (sizes[own] - 1.0);
            let others = (0..k).filter(|&t| t != own && sizes[t] > 0.0).map(|t| sums[t] / sizes[t]);
            let b = others.fold(f64::INFINITY, f64::min);
            if a.max(b) > 0.0 { (b - a) / a.max(b) } else { 0.0 }
        })?;
        Ok(Some(widths.iter().sum::<f64>() / self.n() as f64))
    }

    /// Rows cluster by cluster; within one, as average linkage lines up its leaves.
    pub fn clustergram_order(&self, run: &Run, labels: &[u32], k: usize) -> Result<Vec<u32>> {
        let mut order = Vec::with_capacity(self.n());
        for t in 0..k {
            let members: Vec<usize> = (0..self.n()).filter(|&i| labels[i] as usize == t).collect();
            let distances = self.some(&members).distances(run)?;
            order.extend(leaves(distances, members.len()).into_iter().map(|leaf| members[leaf] as u32));
        }
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    /// 150 vectors near three axes.
    fn spectra() -> (UnitSpectra, Vec<u32>) {
        let labels: Vec<u32> = (0..150).map(|i| i % 3).collect();
        let entry = |i: usize, j: usize| f64::from(u8::from(i % 3 == j)) + 0.01 * ((i * 31 + j * 17) % 23) as f64;
        let entries: Vec<f64> = (0..150).flat_map(|i| (0..3).map(move |j| entry(i, j))).collect();
        (UnitSpectra::new(&entries, 150), labels)
    }

    #[test]
    fn densities_and_silhouettes_are_those_of_plain_sums() -> Result<()> {
        let (units, labels) = spectra();
        let run = Run::new().threads(1);
        let all = units.distances(&run)?;
        let plain = |i: usize, j: usize| {
            let rows = units.rows().row(i).iter().zip(units.rows().row(j));
            rows.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        };
        assert!((all[5] - plain(0, 5)).abs() < 1e-12 && all[0] == 0.0);
        let mut first: Vec<f64> = (0..150).map(|j| plain(7, j)).collect();
        first.sort_by(f64::total_cmp);
        let density = units.local_density(&run, 4)?[7];
        assert!((density - first[..5].iter().sum::<f64>() / 4.0).abs() < 1e-7);
        assert_eq!(units.local_density(&run, 0)?, vec![0.0; 150]);
        let points = ferrocyte_learn::Points::new(units.rows().entries(), 150, 3)?;
        let expected = ferrocyte_learn::silhouette(&run, points, &labels)?;
        let found = units.silhouette(&run, &labels, 3)?;
        assert!(found.is_some_and(|s| (s - expected).abs() < 1e-9));
        assert_eq!(units.silhouette(&run, &vec![0; 150], 1)?, None);
        assert_same_bits_over_runs(|run| units.local_density(run, 9), Clone::clone)
    }

    #[test]
    fn clusters_stand_together_in_a_clustergram() -> Result<()> {
        let (units, labels) = spectra();
        let order = units.clustergram_order(&Run::new(), &labels, 3)?;
        assert!(order.windows(2).all(|w| labels[w[0] as usize] <= labels[w[1] as usize]));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..150).collect::<Vec<u32>>());
        Ok(())
    }
}
