//! Haseman-Elston regression: products of residuals on the projected kernels, without any of them in memory.
//!
//! With M = I - QQ' the kernels are A_k = MK_kM, and theta = G⁻¹h with G_jk = Σ_{i<l} A_j,il A_k,il + w Σ_i A_j,ii A_k,ii and h
//! alike with r r' for A_j. w is ¼ (each person's own square at half weight) or 0 (pairs only). Rows of A_k follow from K_kQ:
//! A_k,il = K_k,il - q_i't_l - t_i'q_l with t = K_kQ - ½ Q (Q'K_kQ). Leaving out a person takes a row from G and h: the
//! jackknife costs nothing more. It keeps the projection of all people, as LDAK's does.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use super::ground::Ground;
use super::kinship::ROWS;
use super::pairs::{corrected, squares};

/// A diagonal entry of the scaled G below this is a variance that depends on those before it.
const RANK: f64 = 1e-9;

/// Traits that share a pass over the kinship.
const TRAITS: usize = 32;

/// A kernel of people.
pub(super) enum Kernel<'a> {
    /// K summed over environments.
    Genetic(&'a [usize]),
    /// A diagonal.
    Noise(&'a [f64]),
}

/// The regression of any trait on the same kernels.
#[derive(Debug)]
pub(super) struct Moments {
    k: usize,
    /// People × kernels × kernels: Σ_{l≠i} A_j,il A_k,il.
    gram: Vec<f64>,
    /// People × kernels: A_k,ii.
    diagonal: Vec<f64>,
    /// What each kernel is multiplied by: 1, or 1 over its mean diagonal.
    scale: Vec<f64>,
}

/// Estimates of moments.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    pub(super) theta: Vec<f64>,
    /// From the jackknife over people, corrected or not.
    pub(super) covariance: Matrix,
}

impl Moments {
    /// Of the kernels of `ground`. With `weights` pairs of people count by the product of their weights.
    pub(super) fn new(run: &Run, ground: &Ground, kernels: &[Kernel], weights: Option<&[f64]>) -> Result<Self> {
        let (n, k) = (ground.n(), kernels.len());
        let every = Rows::new(run, ground, kernels)?;
        let parts = run.map_quietly(n, ROWS, |rows| {
            let mut buffer = Vec::new();
            let kinship = ground.kinship.rows(rows.clone(), &mut buffer);
            let mut gram = Vec::with_capacity(rows.len() * k * k);
            let mut diagonal = Vec::with_capacity(rows.len() * k);
            let mut a = vec![0.0; k * n];
            for (i, kin) in rows.zip(kinship.chunks_exact(n)) {
                every.fill(ground, kernels, i, kin, &mut a);
                for row in a.chunks_exact_mut(n) {
                    diagonal.push(row[i]);
                    row[i] = 0.0;
                }
                let mut weighted = vec![0.0; n];
                for j in 0..k {
                    let row = &a[j * n..(j + 1) * n];
                    let left = if let Some(w) = weights {
                        for ((x, a), w) in weighted.iter_mut().zip(row).zip(w) {
                            *x = a * w;
                        }
                        &weighted
                    } else {
                        row
                    };
                    let own = weights.map_or(1.0, |w| w[i]);
                    gram.extend((0..k).map(|l| own * dot(left, &a[l * n..(l + 1) * n])));
                }
            }
            Ok((gram, diagonal))
        })?;
        let (mut gram, mut diagonal) = (Vec::with_capacity(n * k * k), Vec::with_capacity(n * k));
        for (g, d) in parts {
            gram.extend(g);
            diagonal.extend(d);
        }
        Ok(Self { k, gram, diagonal, scale: vec![1.0; k] })
    }

    /// Divides every kernel by its mean diagonal, and gives those.
    pub(super) fn normalise(&mut self) -> Vec<f64> {
        let means = self.mean_diagonals();
        self.scale = means.iter().map(|m| 1.0 / m).collect();
        means
    }

    /// The mean diagonal of every projected kernel.
    pub(super) fn mean_diagonals(&self) -> Vec<f64> {
        let mean = |j: usize| self.diagonal.iter().skip(j).step_by(self.k).sum::<f64>() / self.n() as f64;
        (0..self.k).map(mean).collect()
    }

    /// The first kernel that depends on those before it: its variance cannot be told apart.
    pub(super) fn dependent(&self) -> Option<usize> {
        scaled_inverse(&self.total(0.25), RANK).err()
    }

    fn n(&self) -> usize {
        self.diagonal.len() / self.k
    }

    /// G of everyone.
    fn total(&self, w: f64) -> Matrix {
        let k = self.k;
        let mut out = Matrix::zeros(k, k);
        for i in 0..self.n() {
            let part = self.of(i, w);
            // Every pair stands in two rows; the diagonal once.
            for (x, (pairs, own)) in out.entries_mut().iter_mut().zip(part.0.iter().zip(&part.1)) {
                *x += 0.5 * pairs + own;
            }
        }
        out
    }

    /// What person `i` adds to G: by pairs, and by the diagonal.
    fn of(&self, i: usize, w: f64) -> (Vec<f64>, Vec<f64>) {
        let k = self.k;
        let diagonal = &self.diagonal[i * k..(i + 1) * k];
        let scaled = |j: usize, l: usize| self.scale[j] * self.scale[l];
        let pairs = (0..k * k).map(|x| self.gram[i * k * k + x] * scaled(x / k, x % k)).collect();
        let own = (0..k * k).map(|x| w * diagonal[x / k] * diagonal[x % k] * scaled(x / k, x % k)).collect();
        (pairs, own)
    }

    /// The regression of the products of each of `traits` on the kernels, with weight `w` for each person's own square.
    ///
    /// All traits share one pass over the kinship. `None` where the kernels depend on each other; without `errors` the
    /// covariance is left out.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn estimates(
        &self,
        run: &Run,
        ground: &Ground,
        kernels: &[Kernel],
        traits: &[&[f64]],
        weights: Option<&[f64]>,
        w: f64,
        errors: bool,
    ) -> Result<Vec<Option<Estimate>>> {
        let mut out: Vec<Option<Estimate>> = Vec::with_capacity(traits.len());
        for some in traits.chunks(TRAITS) {
            let given: Vec<Vec<f64>> = some.iter().map(|r| weighted(r, weights)).collect();
            let inside: Vec<Vec<f64>> = given.iter().map(|r| ground.residual(r)).collect();
            let entries = (0..self.n()).flat_map(|i| inside.iter().map(move |r| r[i])).collect();
            let columns = products(run, ground, kernels, &Matrix::from_rows(self.n(), some.len(), entries))?;
            for (t, (r, given)) in some.iter().zip(&given).enumerate() {
                let pulls = self.pulls(ground, &columns, t, given);
                out.push(self.estimate(&pulls, r, w, errors));
            }
        }
        Ok(out)
    }

    /// Takes off the covariance of `estimates` what the jackknife counts twice; `w` weighs each person's own square.
    pub(super) fn correct(
        &self,
        run: &Run,
        ground: &Ground,
        kernels: &[Kernel],
        traits: &[&[f64]],
        w: f64,
        estimates: &mut [Option<Estimate>],
    ) -> Result<()> {
        let Ok(inverse) = scaled_inverse(&self.total(w), 1e-14) else { return Ok(()) };
        let known = traits.iter().zip(estimates.iter()).filter_map(|(r, e)| Some((*r, e.as_ref()?.theta.as_slice())));
        let squares = squares(run, ground, kernels, &known.collect::<Vec<_>>())?;
        for (estimate, square) in estimates.iter_mut().flatten().zip(squares) {
            estimate.covariance = corrected(&estimate.covariance, &inverse.times(&square).times(&inverse));
        }
        Ok(())
    }

    /// The regression of one trait, with its pulls.
    fn estimate(&self, pulls: &[f64], r: &[f64], w: f64, errors: bool) -> Option<Estimate> {
        let (n, k) = (self.n(), self.k);
        let own = |i: usize, j: usize| w * self.diagonal[i * k + j] * self.scale[j] * r[i] * r[i];
        let g = self.total(w);
        let h: Vec<f64> = (0..k).map(|j| (0..n).map(|i| 0.5 * pulls[i * k + j] + own(i, j)).sum()).collect();
        let inverse = scaled_inverse(&g, 1e-14).ok()?;
        let theta: Vec<f64> = (0..k).map(|j| dot(inverse.row(j), &h)).collect();
        if !errors {
            return Some(Estimate { theta, covariance: Matrix::zeros(0, 0) });
        }
        let mut refits = Vec::with_capacity(n * k);
        for i in 0..n {
            let (pairs, diagonal) = self.of(i, w);
            let less = pairs.iter().zip(&diagonal).map(|(a, b)| a + b);
            let without: Vec<f64> = g.entries().iter().zip(less).map(|(a, b)| a - b).collect();
            let inverse = scaled_inverse(&Matrix::from_rows(k, k, without), 1e-14).ok()?;
            let left: Vec<f64> = (0..k).map(|j| h[j] - pulls[i * k + j] - own(i, j)).collect();
            refits.extend((0..k).map(|j| dot(inverse.row(j), &left)));
        }
        Some(Estimate { theta, covariance: jackknife(&refits, k) })
    }

    /// People × kernels: Σ_{l≠i} A_k,il r_i r_l, of the trait in column `t` of K_kMr.
    fn pulls(&self, ground: &Ground, columns: &[Matrix], t: usize, given: &[f64]) -> Vec<f64> {
        let (n, k) = (self.n(), self.k);
        let mut out = vec![0.0; n * k];
        for (j, column) in columns.iter().enumerate() {
            let around = ground.residual(&(0..n).map(|i| column[(i, t)]).collect::<Vec<f64>>());
            for i in 0..n {
                let own = self.diagonal[i * k + j] * given[i];
                out[i * k + j] = self.scale[j] * given[i] * (around[i] - own);
            }
        }
        out
    }
}

/// Each product of two people's values counts by the product of their weights.
fn weighted(r: &[f64], weights: Option<&[f64]>) -> Vec<f64> {
    weights.map_or_else(|| r.to_vec(), |w| r.iter().zip(w).map(|(r, w)| r * w).collect())
}

/// (n - 1) / n times the scatter of the estimates without one person.
fn jackknife(refits: &[f64], k: usize) -> Matrix {
    let n = (refits.len() / k) as f64;
    let mean: Vec<f64> = (0..k).map(|j| refits.iter().skip(j).step_by(k).sum::<f64>() / n).collect();
    let mut out = Matrix::zeros(k, k);
    for row in refits.chunks_exact(k) {
        for i in 0..k {
            for j in 0..k {
                out[(i, j)] += (row[i] - mean[i]) * (row[j] - mean[j]) * (n - 1.0) / n;
            }
        }
    }
    out
}

/// Row `i` of a kernel.
fn kernel_row(ground: &Ground, kernel: &Kernel, i: usize, kin: &[f64], row: &mut [f64]) {
    match kernel {
        Kernel::Genetic(places) if **places == [0] => row.copy_from_slice(kin),
        Kernel::Genetic(places) => {
            let own: Vec<f64> = places.iter().map(|&place| ground.place(i, place)).collect();
            for (j, (x, k)) in row.iter_mut().zip(kin).enumerate() {
                *x = k * places.iter().zip(&own).map(|(&place, own)| own * ground.place(j, place)).sum::<f64>();
            }
        }
        Kernel::Noise(d) => {
            row.fill(0.0);
            row[i] = d[i];
        }
    }
}

/// K_k B for every kernel.
fn products(run: &Run, ground: &Ground, kernels: &[Kernel], b: &Matrix) -> Result<Vec<Matrix>> {
    let (n, width) = (b.n_rows(), b.n_cols());
    let most =
        kernels.iter().map(|kernel| if let Kernel::Genetic(p) = kernel { p.iter().copied().max() } else { None });
    let places = most.flatten().max().unwrap_or(0) + 1;
    let mut wide = Matrix::zeros(n, places * width);
    for i in 0..n {
        for place in 0..places {
            let a = ground.place(i, place);
            let part = &mut wide.row_mut(i)[place * width..(place + 1) * width];
            part.iter_mut().zip(b.row(i)).for_each(|(x, b)| *x = a * b);
        }
    }
    let wide = ground.kinship.times(run, &wide)?;
    let of = |kernel: &Kernel| {
        let mut out = Matrix::zeros(n, width);
        for i in 0..n {
            let row = out.row_mut(i);
            match kernel {
                Kernel::Genetic(places) => {
                    for &place in *places {
                        let a = ground.place(i, place);
                        let part = &wide.row(i)[place * width..(place + 1) * width];
                        row.iter_mut().zip(part).for_each(|(x, y)| *x += a * y);
                    }
                }
                Kernel::Noise(d) => row.iter_mut().zip(b.row(i)).for_each(|(x, b)| *x = d[i] * b),
            }
        }
        out
    };
    Ok(kernels.iter().map(of).collect())
}

/// Rows of the projected kernels.
pub(super) struct Rows {
    /// Q, column after column: a row of A_k is a few long additions.
    q: Vec<f64>,
    corners: Vec<Vec<f64>>,
}

impl Rows {
    /// Of these kernels.
    pub(super) fn new(run: &Run, ground: &Ground, kernels: &[Kernel]) -> Result<Self> {
        Ok(Self { q: ground.q.transpose().into_entries(), corners: corners(run, ground, kernels)? })
    }

    /// Row `i` of every A_k, one after the other, from row `i` of K.
    pub(super) fn fill(&self, ground: &Ground, kernels: &[Kernel], i: usize, kin: &[f64], a: &mut [f64]) {
        let n = ground.n();
        for ((row, kernel), t) in a.chunks_exact_mut(n).zip(kernels).zip(&self.corners) {
            kernel_row(ground, kernel, i, kin, row);
            for (qc, tc) in self.q.chunks_exact(n).zip(t.chunks_exact(n)) {
                let (qi, ti) = (qc[i], tc[i]);
                for ((x, q), t) in row.iter_mut().zip(qc).zip(tc) {
                    *x -= qi * t + ti * q;
                }
            }
        }
    }
}

/// t = K_kQ - ½ Q (Q'K_kQ) for every kernel, column after column.
fn corners(run: &Run, ground: &Ground, kernels: &[Kernel]) -> Result<Vec<Vec<f64>>> {
    let made = products(run, ground, kernels, &ground.q)?;
    let corner = |kq: Matrix| {
        let within = ground.q.times(&ground.q.transpose().times(&kq));
        let entries = kq.entries().iter().zip(within.entries()).map(|(a, b)| a - 0.5 * b).collect();
        Matrix::from_rows(kq.n_rows(), kq.n_cols(), entries).transpose().into_entries()
    };
    Ok(made.into_iter().map(corner).collect())
}
