//! A part of the covariance as a whole matrix: one kinship beside one matrix of work.
//!
//! V is built in the matrix of work, factored there and inverted there. Traces need H = V⁻¹∘K only:
//! tr V⁻¹(K∘zz') = z'Hz. Where everybody is in one environment, H is summed by environment instead.

use std::borrow::Cow;
use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Block, Matrix, add_block_product, dot, product};
use ferrocyte_math::spd;

use super::kinship::{Kinship, ROWS};
use super::model::Model;
use super::piece::{Factored, Piece};

/// People, or directions, with kinship among them.
#[derive(Debug)]
pub(super) struct Dense<'a> {
    kinship: Cow<'a, Kinship>,
    /// Of the people × environments.
    z: Matrix,
    /// Diagonals of the noise variances.
    noise: Vec<Vec<f64>>,
    /// The environment of everybody, where it is one.
    of: Option<Vec<usize>>,
}

impl<'a> Dense<'a> {
    /// With the kinship, the environments (people × environments) and the diagonals of the noise variances.
    pub(super) fn new(kinship: Cow<'a, Kinship>, z: Matrix, noise: Vec<Vec<f64>>) -> Self {
        let of = super::model::is_partition(&z)
            .then(|| (0..z.n_rows()).map(|i| z.row(i).iter().position(|&x| x == 1.0).unwrap_or(0)).collect());
        Self { kinship, z, noise, of }
    }

    fn n(&self) -> usize {
        self.kinship.n()
    }

    /// The vector of a place: ones, or the column of an environment.
    fn place(&self, i: usize, place: usize) -> f64 {
        if place == 0 { 1.0 } else { self.z[(i, place - 1)] }
    }

    /// Row `i` of the genetic part of V, up to the diagonal.
    fn row(&self, i: usize, all: f64, by_environment: &[f64], kin: &[f64], row: &mut [f64]) {
        if let Some(of) = &self.of {
            let own = of[i];
            let (apart, together) = (all, all + by_environment[own]);
            for ((v, k), &e) in row.iter_mut().zip(kin).zip(of) {
                *v = k * if e == own { together } else { apart };
            }
            return;
        }
        let own: Vec<f64> = self.z.row(i).iter().zip(by_environment).map(|(z, w)| z * w).collect();
        for (j, (v, k)) in row.iter_mut().zip(kin).enumerate() {
            *v = k * (all + own.iter().zip(self.z.row(j)).map(|(a, b)| a * b).sum::<f64>());
        }
    }

    /// Adds Σ_{j≤i} (V⁻¹)_ij K_ij (twice off the diagonal) to `sums`: of all, then of each environment z_ki z_kj of it.
    fn hadamard(&self, i: usize, inverse: &[f64], kin: &[f64], own: &mut [f64], sums: &mut [f64]) {
        let corner = inverse[i] * kin[i];
        sums[0] += 2.0 * dot(&inverse[..i], &kin[..i]) + corner;
        if own.is_empty() {
            return;
        }
        own.fill(0.0);
        let pairs = inverse[..i].iter().zip(kin);
        if let Some(of) = &self.of {
            pairs.zip(of).for_each(|((v, k), &e)| own[e] += v * k);
            sums[1 + of[i]] += 2.0 * own[of[i]] + corner;
            return;
        }
        for (j, (v, k)) in pairs.enumerate() {
            let h = v * k;
            own.iter_mut().zip(self.z.row(j)).for_each(|(s, z)| *s += h * z);
        }
        for ((sum, own), z) in sums[1..].iter_mut().zip(own).zip(self.z.row(i)) {
            *sum += z * (2.0 * *own + corner * z);
        }
    }

    /// Rows of P K_j for the kernel of a genetic variance.
    fn times_kernel(&self, places: &[usize], p: &Matrix, rows: Range<usize>) -> Vec<f64> {
        let n = self.n();
        let mut out = vec![0.0; rows.len() * n];
        let mut buffer = Vec::new();
        for &place in places {
            let mut left = Matrix::zeros(rows.len(), n);
            for (at, i) in rows.clone().enumerate() {
                let row = left.row_mut(at).iter_mut().zip(p.row(i));
                row.enumerate().for_each(|(j, (x, y))| *x = y * self.place(j, place));
            }
            // K is symmetric: its rows, taken in blocks, are its columns.
            for first in (0..n).step_by(ROWS) {
                let last = (first + ROWS).min(n);
                let kin = self.kinship.rows(first..last, &mut buffer);
                let mut part = vec![0.0; left.n_rows() * (last - first)];
                let rhs = Block::new(kin, last - first, n, n).transpose();
                let lhs = Block::new(left.entries(), left.n_rows(), n, n);
                add_block_product(&mut part, last - first, 1.0, lhs, rhs);
                for (at, row) in part.chunks_exact(last - first).enumerate() {
                    for (j, x) in (first..last).zip(row) {
                        out[at * n + j] += x * self.place(j, place);
                    }
                }
            }
        }
        out
    }

    /// Sums of the entries of some rows times those of every kernel.
    fn against_kernels(&self, model: &Model, entries: &[f64], rows: Range<usize>) -> Vec<f64> {
        let n = self.n();
        let mut out = vec![0.0; model.len()];
        let mut buffer = Vec::new();
        let kinship = self.kinship.rows(rows.clone(), &mut buffer);
        for ((i, row), kin) in rows.zip(entries.chunks_exact(n)).zip(kinship.chunks_exact(n)) {
            let h: Vec<f64> = row.iter().zip(kin).map(|(a, b)| a * b).collect();
            for (sum, places) in out.iter_mut().zip(&model.genetic) {
                for &place in places {
                    let along: f64 = h.iter().enumerate().map(|(j, x)| x * self.place(j, place)).sum();
                    *sum += self.place(i, place) * along;
                }
            }
            for (sum, d) in out[model.genetic.len()..].iter_mut().zip(&self.noise) {
                *sum += row[i] * d[i];
            }
        }
        out
    }
}

impl Piece for Dense<'_> {
    fn room(&self) -> usize {
        self.n() * self.n()
    }

    fn is_semidefinite(&self, run: &Run) -> Result<bool> {
        self.kinship.is_positive_semidefinite(run)
    }

    fn factor(&self, run: &Run, model: &Model, theta: &[f64], work: &mut [f64]) -> Result<Option<Factored>> {
        let n = self.n();
        let (all, by_environment) = model.weights(theta);
        let plain = by_environment.iter().all(|&w| w == 0.0);
        let noise = &theta[model.genetic.len()..];
        run.for_each_chunk(work, ROWS * n, |k, part| {
            let mut buffer = Vec::new();
            let first = k * ROWS;
            let kinship = self.kinship.rows(first..first + part.len() / n, &mut buffer);
            for (at, (row, kin)) in part.chunks_exact_mut(n).zip(kinship.chunks_exact(n)).enumerate() {
                let i = first + at;
                if plain {
                    row[..=i].iter_mut().zip(kin).for_each(|(v, k)| *v = all * k);
                } else {
                    self.row(i, all, &by_environment, kin, &mut row[..=i]);
                }
                row[i] += self.noise.iter().zip(noise).map(|(d, t)| t * d[i]).sum::<f64>();
            }
        })?;
        if !spd::factor(run, work, n)? {
            return Ok(None);
        }
        let pivot = (0..n).map(|i| work[i * n + i]).fold(f64::INFINITY, f64::min);
        Ok(Some(Factored { ln_v: spd::ln_determinant(work, n), smallest: pivot * pivot }))
    }

    fn solve(&self, work: &[f64], rows: &mut [f64], width: usize) {
        spd::solve(work, self.n(), rows, width);
    }

    fn kernels(&self, run: &Run, model: &Model, x: &Matrix) -> Result<Vec<Matrix>> {
        let (n, width) = (self.n(), x.n_cols());
        // K (a ∘ X) for the vector a of every place.
        let places = if model.genetic.len() > 1 { model.n_environments + 1 } else { 1 };
        let mut wide = Matrix::zeros(n, places * width);
        for i in 0..n {
            for (place, part) in wide.row_mut(i).chunks_exact_mut(width).enumerate() {
                let a = self.place(i, place);
                part.iter_mut().zip(x.row(i)).for_each(|(b, x)| *b = a * x);
            }
        }
        let wide = self.kinship.times(run, &wide)?;
        let genetic = model.genetic.iter().map(|places| {
            let mut out = Matrix::zeros(n, width);
            for i in 0..n {
                for &place in places {
                    let a = self.place(i, place);
                    let part = &wide.row(i)[place * width..(place + 1) * width];
                    out.row_mut(i).iter_mut().zip(part).for_each(|(x, y)| *x += a * y);
                }
            }
            out
        });
        let noise = self.noise.iter().map(|d| {
            let mut out = x.clone();
            (0..n).for_each(|i| out.row_mut(i).iter_mut().for_each(|x| *x *= d[i]));
            out
        });
        Ok(genetic.chain(noise).collect())
    }

    fn traces(&self, run: &Run, model: &Model, work: &mut [f64]) -> Result<Vec<f64>> {
        let n = self.n();
        spd::invert_factor(run, work, n)?;
        let e = if model.genetic.len() > 1 { model.n_environments } else { 0 };
        let inverse: &[f64] = work;
        let parts = run.map_quietly(n, ROWS, |rows| {
            let mut buffer = Vec::new();
            let kinship = self.kinship.rows(rows.clone(), &mut buffer);
            let (mut sums, mut own) = (vec![0.0; 1 + e], vec![0.0; e]);
            for (i, kin) in rows.zip(kinship.chunks_exact(n)) {
                self.hadamard(i, &inverse[i * n..(i + 1) * n], kin, &mut own, &mut sums);
            }
            Ok(sums)
        })?;
        let genetic = model
            .genetic
            .iter()
            .map(|places| places.iter().map(|&place| parts.iter().map(|s| s[place]).sum::<f64>()).sum::<f64>());
        let noise = self.noise.iter().map(|d| (0..n).map(|i| d[i] * inverse[i * n + i]).sum::<f64>());
        Ok(genetic.chain(noise).collect())
    }

    /// V⁻¹K_jV⁻¹ is made rows by rows: nothing as large is kept. Costs 4 n³ operations for each genetic variance.
    fn pairs(&self, run: &Run, model: &Model, work: &mut Vec<f64>) -> Result<Matrix> {
        let (n, g, k) = (self.n(), model.genetic.len(), model.len());
        spd::mirror(work, n);
        let whole = Matrix::from_rows(n, n, std::mem::take(work));
        let mut out = Matrix::zeros(k, k);
        for j in 0..g {
            let parts = run.map_quietly(n, ROWS, |rows| {
                let pk = self.times_kernel(&model.genetic[j], &whole, rows.clone());
                let mut pkp = vec![0.0; pk.len()];
                product(&pk, n, &whole, &mut pkp);
                Ok(self.against_kernels(model, &pkp, rows))
            })?;
            for part in &parts {
                (0..k).for_each(|i| out[(j, i)] += part[i]);
            }
        }
        for (a, da) in self.noise.iter().enumerate() {
            for (b, db) in self.noise.iter().enumerate() {
                let row = |i: usize| da[i] * whole.row(i).iter().zip(db).map(|(p, d)| p * p * d).sum::<f64>();
                out[(g + a, g + b)] = (0..n).map(row).sum::<f64>();
            }
        }
        for j in 0..g {
            (g..k).for_each(|i| out[(i, j)] = out[(j, i)]);
        }
        *work = whole.into_entries();
        Ok(out)
    }
}
