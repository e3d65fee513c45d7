//! k-means with the random numbers and decisions of scikit-learn, for spectra of a consensus.
//!
//! Not [`ferrocyte_learn::kmeans()`], which has a generator of ferrocyte's own and passes over points whose centre is
//! certain: here ten greedy k-means++ starts draw from one Mersenne Twister, Lloyd's iterations stop by the rules of
//! others, and a later start wins only with a smaller inertia *and* another partition, so that labels are those of a
//! published run even where good partitions compete.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, product};
use ferrocyte_math::mersenne_twister::MersenneTwister;

/// Starts.
const STARTS: usize = 10;

/// The most iterations of a start.
const MOST: usize = 300;

/// Rows of one product.
const ROWS: usize = 64;

/// Clusters found by [`peer_kmeans`].
#[derive(Debug, Clone, PartialEq)]
pub struct PeerKmeans {
    /// The cluster of each row, from 0.
    pub labels: Vec<u32>,
    /// Clusters × columns.
    pub centres: Matrix,
    /// The sum of squared distances to the centres.
    pub inertia: f64,
    /// Iterations of the start that was kept.
    pub iterations: usize,
}

/// Finds `k` clusters of the rows of a matrix.
///
/// # Errors
/// No cluster, or more than rows; the wish to stop.
pub fn peer_kmeans(run: &Run, rows: &Matrix, k: usize, seed: u32) -> Result<PeerKmeans> {
    let n = rows.n_rows();
    if k == 0 || k > n {
        return Err(Fault::bad_input(format!("{k} clusters of {n} spectra were asked for")));
    }
    let points = Points::centred(rows);
    let tolerance = 1e-4 * points.mean_variance();
    let mut generator = MersenneTwister::new(seed);
    let mut best: Option<PeerKmeans> = None;
    for _ in 0..STARTS {
        run.check()?;
        let centres = points.plus_plus(run, k, &mut generator)?;
        let found = points.lloyd(run, centres, tolerance)?;
        let better = best
            .as_ref()
            .is_none_or(|best| found.inertia < best.inertia && !same_partition(&found.labels, &best.labels, k));
        if better {
            best = Some(found);
        }
    }
    let mut best = best.ok_or_else(|| Fault::internal("no start of k-means was made"))?;
    for t in 0..k {
        best.centres.row_mut(t).iter_mut().zip(&points.means).for_each(|(c, m)| *c += m);
    }
    Ok(best)
}

/// Whether labels are the same but for their names.
fn same_partition(a: &[u32], b: &[u32], k: usize) -> bool {
    let mut names = vec![u32::MAX; k];
    a.iter().zip(b).all(|(&a, &b)| {
        let name = &mut names[a as usize];
        if *name == u32::MAX {
            *name = b;
        }
        *name == b
    })
}

/// Rows about the mean of their columns.
struct Points {
    rows: Matrix,
    means: Vec<f64>,
    /// Squared lengths.
    squares: Vec<f64>,
}

impl Points {
    fn centred(rows: &Matrix) -> Self {
        let (n, d) = (rows.n_rows(), rows.n_cols());
        let mut means = vec![0.0; d];
        (0..n).for_each(|i| means.iter_mut().zip(rows.row(i)).for_each(|(m, x)| *m += x));
        means.iter_mut().for_each(|m| *m /= n as f64);
        let mut rows = rows.clone();
        (0..n).for_each(|i| rows.row_mut(i).iter_mut().zip(&means).for_each(|(x, m)| *x -= m));
        let squares = (0..n).map(|i| rows.row(i).iter().map(|x| x * x).sum()).collect();
        Self { rows, means, squares }
    }

    fn n(&self) -> usize {
        self.rows.n_rows()
    }

    /// The mean over columns of their variances, ddof 0.
    fn mean_variance(&self) -> f64 {
        self.squares.iter().sum::<f64>() / (self.n() * self.rows.n_cols()) as f64
    }

    /// Inner products of all rows with some others, row after row.
    fn products(&self, run: &Run, others: &Matrix) -> Result<Vec<f64>> {
        let (d, m) = (self.rows.n_cols(), others.n_rows());
        let columns = others.transpose();
        let mut out = vec![0.0; self.n() * m];
        run.for_each_chunk(&mut out, ROWS * m, |block, part| {
            let first = block * ROWS;
            let rows = &self.rows.entries()[first * d..(first + part.len() / m) * d];
            product(rows, d, &columns, part);
        })?;
        Ok(out)
    }

    /// Squared distances of all rows to some others.
    fn distances(&self, run: &Run, others: &Matrix) -> Result<Vec<f64>> {
        let m = others.n_rows();
        let lengths: Vec<f64> = (0..m).map(|t| others.row(t).iter().map(|x| x * x).sum()).collect();
        let mut out = self.products(run, others)?;
        for (i, row) in out.chunks_exact_mut(m).enumerate() {
            row.iter_mut().zip(&lengths).for_each(|(p, square)| *p = (self.squares[i] + square - 2.0 * *p).max(0.0));
        }
        Ok(out)
    }

    /// Some rows as a matrix.
    fn some(&self, which: &[usize]) -> Matrix {
        let entries = which.iter().flat_map(|&i| self.rows.row(i)).copied().collect();
        Matrix::from_rows(which.len(), self.rows.n_cols(), entries)
    }

    /// Greedy k-means++ centres.
    fn plus_plus(&self, run: &Run, k: usize, generator: &mut MersenneTwister) -> Result<Matrix> {
        let n = self.n();
        let trials = 2 + (k as f64).ln() as usize;
        let mut chosen = vec![first_centre(n, generator.uniform())];
        let mut closest = self.distances(run, &self.some(&chosen))?;
        closest[chosen[0]] = 0.0;
        while chosen.len() < k {
            let potential: f64 = closest.iter().sum();
            let sums: Vec<f64> = closest
                .iter()
                .scan(0.0, |sum, x| {
                    *sum += x;
                    Some(*sum)
                })
                .collect();
            let draw = |_| {
                let value = generator.uniform() * potential;
                sums.partition_point(|s| *s < value).min(n - 1)
            };
            let candidates: Vec<usize> = (0..trials).map(draw).collect();
            let mut distances = self.distances(run, &self.some(&candidates))?;
            for (i, row) in distances.chunks_exact_mut(trials).enumerate() {
                row.iter_mut().for_each(|d| *d = d.min(closest[i]));
            }
            let mut potentials = vec![0.0; trials];
            for row in distances.chunks_exact(trials) {
                potentials.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
            }
            let best = first_smallest(&potentials);
            closest.iter_mut().zip(distances.chunks_exact(trials)).for_each(|(c, row)| *c = row[best]);
            closest[candidates[best]] = 0.0;
            chosen.push(candidates[best]);
        }
        Ok(self.some(&chosen))
    }

    /// Lloyd's iterations from given centres.
    fn lloyd(&self, run: &Run, mut centres: Matrix, tolerance: f64) -> Result<PeerKmeans> {
        let mut labels: Vec<u32> = Vec::new();
        let (mut iterations, mut strict) = (0, false);
        while iterations < MOST {
            iterations += 1;
            let found = self.nearest(run, &centres)?;
            let moved = self.means_of(&found, &centres);
            let shift: f64 = moved.entries().iter().zip(centres.entries()).map(|(a, b)| (a - b) * (a - b)).sum();
            strict = found == labels;
            (labels, centres) = (found, moved);
            if strict || shift <= tolerance {
                break;
            }
        }
        if !strict {
            labels = self.nearest(run, &centres)?;
        }
        let off = |i: usize| self.off(i, centres.row(labels[i] as usize));
        let inertia = (0..self.n()).map(off).sum();
        Ok(PeerKmeans { labels, centres, inertia, iterations })
    }

    /// The squared distance of a row to a centre.
    fn off(&self, i: usize, centre: &[f64]) -> f64 {
        self.rows.row(i).iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum()
    }

    /// The nearest centre of each row, the first among equals.
    fn nearest(&self, run: &Run, centres: &Matrix) -> Result<Vec<u32>> {
        let k = centres.n_rows();
        let lengths: Vec<f64> = (0..k).map(|t| centres.row(t).iter().map(|x| x * x).sum()).collect();
        let products = self.products(run, centres)?;
        let label = |row: &[f64]| {
            let scores: Vec<f64> = row.iter().zip(&lengths).map(|(p, square)| square - 2.0 * p).collect();
            first_smallest(&scores) as u32
        };
        Ok(products.chunks_exact(k).map(label).collect())
    }

    /// The means of clusters. One that is empty takes the row farthest from its old centre.
    fn means_of(&self, labels: &[u32], old: &Matrix) -> Matrix {
        let k = old.n_rows();
        let mut sums = Matrix::zeros(k, self.rows.n_cols());
        let mut sizes = vec![0.0_f64; k];
        for (i, &label) in labels.iter().enumerate() {
            sizes[label as usize] += 1.0;
            sums.row_mut(label as usize).iter_mut().zip(self.rows.row(i)).for_each(|(s, x)| *s += x);
        }
        let empty: Vec<usize> = (0..k).filter(|&t| sizes[t] == 0.0).collect();
        if !empty.is_empty() {
            let off: Vec<f64> = (0..self.n()).map(|i| self.off(i, old.row(labels[i] as usize))).collect();
            let mut farthest: Vec<usize> = (0..self.n()).collect();
            farthest.sort_by(|&a, &b| off[b].total_cmp(&off[a]));
            for (&t, &i) in empty.iter().zip(&farthest) {
                let from = labels[i] as usize;
                sums.row_mut(from).iter_mut().zip(self.rows.row(i)).for_each(|(s, x)| *s -= x);
                sums.row_mut(t).copy_from_slice(self.rows.row(i));
                sizes[from] -= 1.0;
                sizes[t] = 1.0;
            }
        }
        for t in 0..k {
            if sizes[t] > 0.0 {
                sums.row_mut(t).iter_mut().for_each(|s| *s /= sizes[t]);
            }
        }
        sums
    }
}

/// The row of a uniform number, each row as likely as the others.
fn first_centre(n: usize, u: f64) -> usize {
    let share = 1.0 / n as f64;
    let sums: Vec<f64> = (0..n)
        .scan(0.0, |sum, _| {
            *sum += share;
            Some(*sum)
        })
        .collect();
    let last = sums[n - 1];
    sums.partition_point(|s| s / last <= u).min(n - 1)
}

/// The first of the smallest.
fn first_smallest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, t| if values[t] < values[best] { t } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_testkit::assert_same_bits_over_runs;

    /// Two heaps of ten points and one far away.
    fn heaps() -> Matrix {
        let mut entries: Vec<f64> = (0..20).flat_map(|i| [f64::from(i / 10) * 10.0, f64::from(i % 10) * 0.1]).collect();
        entries.extend([100.0, 100.0]);
        Matrix::from_rows(21, 2, entries)
    }

    #[test]
    fn heaps_are_found_on_any_number_of_threads() -> Result<()> {
        let found = peer_kmeans(&Run::new(), &heaps(), 3, 1)?;
        let first = found.labels[0];
        assert!(found.labels[..10].iter().all(|l| *l == first) && found.labels[10] != first);
        assert!(found.labels[10..20].iter().all(|l| *l == found.labels[10]) && found.labels[20] != first);
        assert!((found.inertia - 2.0 * 0.825).abs() < 1e-9);
        let own = found.centres.row(first as usize);
        assert!(own[0].abs() < 1e-12 && (own[1] - 0.45).abs() < 1e-12);
        assert_same_bits_over_runs(|run| peer_kmeans(run, &heaps(), 3, 1), |f| f.centres.entries().to_vec())
    }

    #[test]
    fn as_many_clusters_as_rows_and_not_more() -> Result<()> {
        let rows = heaps();
        let all = peer_kmeans(&Run::new(), &rows, 21, 1)?;
        assert!(all.inertia < 1e-20);
        assert!(peer_kmeans(&Run::new(), &rows, 22, 1).is_err() && peer_kmeans(&Run::new(), &rows, 0, 1).is_err());
        let equal = Matrix::from_rows(4, 2, vec![1.0; 8]);
        assert_eq!(peer_kmeans(&Run::new(), &equal, 2, 1)?.inertia, 0.0);
        Ok(())
    }

    #[test]
    fn partitions_have_no_names() {
        assert!(same_partition(&[0, 0, 1, 2], &[2, 2, 0, 1], 3));
        assert!(!same_partition(&[0, 0, 1, 2], &[2, 1, 0, 1], 3));
    }
}
