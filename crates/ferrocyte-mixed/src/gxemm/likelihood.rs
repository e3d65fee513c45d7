//! The restricted likelihood of a trait, with its slopes, from one kinship and one matrix of work.
//!
//! V is built in the matrix of work, factored there and inverted there. With W = V⁻¹Q and C = (Q'W)⁻¹, P = V⁻¹ - WCW':
//! l = -½ (ln|V| + ln|X'V⁻¹X| + y'Py), slope k is ½ (y'PK_kPy - tr PK_k), the average information ½ a_j'Pa_k with
//! a_k = K_kPy (Gilmour, Thompson & Cullis 1995). Traces need H = V⁻¹∘K only: tr V⁻¹(K∘zz') = z'Hz.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, scaled_inverse};
use ferrocyte_math::spd;

use super::ground::{Ground, transposed_product};
use super::kinship::ROWS;
use super::model::Model;

/// A covariance is at the wall where its largest variance is this many times its smallest conditional variance.
const WALL: f64 = 1e6;

/// The likelihood of one trait, and the matrix it works in.
#[derive(Debug)]
pub(super) struct Likelihood<'a> {
    run: &'a Run,
    ground: &'a Ground<'a>,
    model: &'a Model,
    y: Vec<f64>,
    work: Vec<f64>,
    /// How often the covariance was factored.
    pub(super) evaluations: u32,
}

/// The likelihood at a point, and what its slopes stand on.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// Without (n - p) / 2 · ln 2π.
    pub(super) l: f64,
    /// Py.
    u: Vec<f64>,
    /// V⁻¹Q.
    w: Matrix,
    /// (Q'V⁻¹Q)⁻¹.
    c: Matrix,
    /// Fixed effects in the basis Q.
    b: Vec<f64>,
}

/// Slopes of the likelihood and its average information, in the fitted variances.
#[derive(Debug, Clone)]
pub(super) struct Slopes {
    pub(super) gradient: Vec<f64>,
    pub(super) information: Matrix,
}

impl<'a> Likelihood<'a> {
    /// For the values `y` of the people of `ground`.
    pub(super) fn new(run: &'a Run, ground: &'a Ground<'a>, model: &'a Model, y: Vec<f64>) -> Self {
        let n = ground.n();
        Self { run, ground, model, y, work: vec![0.0; n * n], evaluations: 0 }
    }

    /// Builds the lower triangle of V in the matrix of work.
    fn build(&mut self, theta: &[f64]) -> Result<()> {
        let (ground, model) = (self.ground, self.model);
        let n = ground.n();
        let (all, by_environment) = model.weights(theta);
        let plain = by_environment.iter().all(|&w| w == 0.0);
        let noise = &theta[model.genetic.len()..];
        self.run.for_each_chunk(&mut self.work, ROWS * n, |k, part| {
            let mut buffer = Vec::new();
            let first = k * ROWS;
            let kinship = ground.kinship.rows(first..first + part.len() / n, &mut buffer);
            for (at, (row, kin)) in part.chunks_exact_mut(n).zip(kinship.chunks_exact(n)).enumerate() {
                let i = first + at;
                if plain {
                    row[..=i].iter_mut().zip(kin).for_each(|(v, k)| *v = all * k);
                } else {
                    let own: Vec<f64> = ground.z.row(i).iter().zip(&by_environment).map(|(z, w)| z * w).collect();
                    for (j, (v, k)) in row[..=i].iter_mut().zip(kin).enumerate() {
                        let z = ground.z.row(j);
                        *v = k * (all + own.iter().zip(z).map(|(a, b)| a * b).sum::<f64>());
                    }
                }
                row[i] += model.noise.iter().zip(noise).map(|(d, t)| t * d[i]).sum::<f64>();
            }
        })
    }

    /// The likelihood at `theta`; `None` where V is not positive definite, or too near to where it is not.
    pub(super) fn value(&mut self, theta: &[f64]) -> Result<Option<Value>> {
        let (n, p) = (self.ground.n(), self.ground.p());
        self.build(theta)?;
        self.evaluations += 1;
        let largest = (0..n).map(|i| self.work[i * n + i]).fold(0.0, f64::max);
        if !spd::factor(self.run, &mut self.work, n)? {
            return Ok(None);
        }
        let smallest = (0..n).map(|i| self.work[i * n + i]).fold(f64::INFINITY, f64::min);
        if !(largest < WALL * smallest * smallest) {
            return Ok(None);
        }
        let ln_v = spd::ln_determinant(&self.work, n);
        let mut both = Vec::with_capacity(n * (p + 1));
        for i in 0..n {
            both.extend_from_slice(self.ground.q.row(i));
            both.push(self.y[i]);
        }
        spd::solve(&self.work, n, &mut both, p + 1);
        let mut w = Matrix::zeros(n, p);
        let mut u = Vec::with_capacity(n);
        for (i, row) in both.chunks_exact(p + 1).enumerate() {
            w.row_mut(i).copy_from_slice(&row[..p]);
            u.push(row[p]);
        }
        let a = self.ground.q.transpose().times(&w);
        let mut root = a.clone();
        let Ok(c) = scaled_inverse(&a, 0.0) else { return Ok(None) };
        if cholesky_in_place(&mut root).is_err() {
            return Ok(None);
        }
        let ln_x = 2.0 * (0..p).map(|i| (root[(i, i)] * self.ground.r[(i, i)]).ln()).sum::<f64>();
        let qu = transposed_product(&self.ground.q, &u);
        let b: Vec<f64> = (0..p).map(|i| dot(c.row(i), &qu)).collect();
        for (i, x) in u.iter_mut().enumerate() {
            *x -= dot(w.row(i), &b);
        }
        let l = -0.5 * (ln_v + ln_x + dot(&self.y, &u));
        Ok(l.is_finite().then_some(Value { l, u, w, c, b }))
    }

    /// Slopes at the point whose likelihood was asked for last. The matrix of work then holds V⁻¹, its lower triangle.
    pub(super) fn slopes(&mut self, value: &Value) -> Result<Slopes> {
        let (ground, model) = (self.ground, self.model);
        let (n, p, k) = (ground.n(), ground.p(), model.len());
        // K (a ∘ [u, W]) for the vector a of every place.
        let places = if model.genetic.len() > 1 { model.n_environments + 1 } else { 1 };
        let width = p + 1;
        let mut b = Matrix::zeros(n, places * width);
        for i in 0..n {
            let row = b.row_mut(i);
            for place in 0..places {
                let a = ground.place(i, place);
                let part = &mut row[place * width..(place + 1) * width];
                part[0] = a * value.u[i];
                part[1..].iter_mut().zip(value.w.row(i)).for_each(|(x, w)| *x = a * w);
            }
        }
        let kb = ground.kinship.times(self.run, &b)?;
        let mut along = Matrix::zeros(n, k);
        let mut traces = vec![0.0; k];
        for (g, places) in model.genetic.iter().enumerate() {
            let mut kw = Matrix::zeros(n, p);
            for i in 0..n {
                for &place in places {
                    let a = ground.place(i, place);
                    let part = &kb.row(i)[place * width..(place + 1) * width];
                    along[(i, g)] += a * part[0];
                    kw.row_mut(i).iter_mut().zip(&part[1..]).for_each(|(x, y)| *x += a * y);
                }
            }
            traces[g] = -of_product(&value.c, &value.w.transpose().times(&kw));
        }
        for (e, d) in model.noise.iter().enumerate() {
            let at = model.genetic.len() + e;
            let mut dw = value.w.clone();
            for i in 0..n {
                along[(i, at)] = d[i] * value.u[i];
                dw.row_mut(i).iter_mut().for_each(|x| *x *= d[i]);
            }
            traces[at] = -of_product(&value.c, &value.w.transpose().times(&dw));
        }
        let information = self.average_information(value, &along);
        spd::invert_factor(self.run, &mut self.work, n)?;
        self.add_traces(&mut traces)?;
        let pull = transposed_product(&along, &value.u);
        let gradient = pull.iter().zip(&traces).map(|(a, t)| 0.5 * (a - t)).collect();
        Ok(Slopes { gradient, information })
    }

    /// ½ a_j'Pa_k for the columns of `along`.
    fn average_information(&self, value: &Value, along: &Matrix) -> Matrix {
        let (n, k) = (along.n_rows(), along.n_cols());
        let mut solved = along.clone();
        spd::solve(&self.work, n, solved.entries_mut(), k);
        let mut out = along.transpose().times(&solved);
        let wa = value.w.transpose().times(along);
        let less = wa.transpose().times(&value.c).times(&wa);
        for (x, l) in out.entries_mut().iter_mut().zip(less.entries()) {
            *x = 0.5 * (*x - l);
        }
        symmetric(&mut out);
        out
    }

    /// Adds tr V⁻¹K_k to `traces`, with V⁻¹ in the matrix of work.
    fn add_traces(&self, traces: &mut [f64]) -> Result<()> {
        let (ground, model) = (self.ground, self.model);
        let n = ground.n();
        let e = if model.genetic.len() > 1 { model.n_environments } else { 0 };
        let parts = self.run.map_quietly(n, ROWS, |rows| {
            let mut buffer = Vec::new();
            let kinship = ground.kinship.rows(rows.clone(), &mut buffer);
            let mut sums = vec![0.0; 1 + e];
            let mut own = vec![0.0; e];
            for (i, kin) in rows.zip(kinship.chunks_exact(n)) {
                let inverse = &self.work[i * n..i * n + i];
                let corner = self.work[i * n + i] * kin[i];
                sums[0] += 2.0 * dot(inverse, &kin[..i]) + corner;
                if e > 0 {
                    own.fill(0.0);
                    for (j, (v, k)) in inverse.iter().zip(kin).enumerate() {
                        let h = v * k;
                        own.iter_mut().zip(ground.z.row(j)).for_each(|(s, z)| *s += h * z);
                    }
                    for ((sum, own), z) in sums[1..].iter_mut().zip(&own).zip(ground.z.row(i)) {
                        *sum += z * (2.0 * own + corner * z);
                    }
                }
            }
            Ok(sums)
        })?;
        for (g, places) in model.genetic.iter().enumerate() {
            traces[g] += places.iter().map(|&place| parts.iter().map(|s| s[place]).sum::<f64>()).sum::<f64>();
        }
        for (e, d) in model.noise.iter().enumerate() {
            traces[model.genetic.len() + e] += (0..n).map(|i| d[i] * self.work[i * n + i]).sum::<f64>();
        }
        Ok(())
    }

    /// Expected information ½ tr PK_jPK_k at the point whose slopes were asked for last. The matrix of work then holds P.
    ///
    /// PK_jP is made rows by rows: nothing as large as P is kept. Costs 4 n³ operations for each genetic variance.
    pub(super) fn expected_information(&mut self, value: &Value) -> Result<Matrix> {
        let (run, ground, model) = (self.run, self.ground, self.model);
        let (n, g, k) = (ground.n(), model.genetic.len(), model.len());
        spd::mirror(&mut self.work, n);
        let wc = value.w.times(&value.c);
        run.for_each_chunk(&mut self.work, ROWS * n, |block, part| {
            for (at, row) in part.chunks_exact_mut(n).enumerate() {
                let own = wc.row(block * ROWS + at);
                row.iter_mut().enumerate().for_each(|(j, x)| *x -= dot(own, value.w.row(j)));
            }
        })?;
        let whole = Matrix::from_rows(n, n, std::mem::take(&mut self.work));
        let mut out = Matrix::zeros(k, k);
        for j in 0..g {
            let parts = run.map_quietly(n, ROWS, |rows| {
                let pk = times_kernel(ground, &model.genetic[j], &whole, rows.clone());
                let mut pkp = vec![0.0; pk.len()];
                ferrocyte_math::linalg::product(&pk, n, &whole, &mut pkp);
                Ok(against_kernels(ground, model, &pkp, rows))
            })?;
            for part in &parts {
                (0..k).for_each(|i| out[(j, i)] += 0.5 * part[i]);
            }
        }
        for a in 0..model.noise.len() {
            for b in 0..=a {
                let (da, db) = (&model.noise[a], &model.noise[b]);
                let row = |i: usize| da[i] * whole.row(i).iter().zip(db).map(|(p, d)| p * p * d).sum::<f64>();
                out[(g + a, g + b)] = 0.5 * (0..n).map(row).sum::<f64>();
                out[(g + b, g + a)] = out[(g + a, g + b)];
            }
        }
        for j in 0..g {
            (g..k).for_each(|i| out[(i, j)] = out[(j, i)]);
        }
        symmetric(&mut out);
        self.work = whole.into_entries();
        Ok(out)
    }

    /// Fixed effects of `[1, X]` and their covariance.
    pub(super) fn fixed_effects(&self, value: &Value) -> Result<(Vec<f64>, Matrix)> {
        let p = self.ground.p();
        let back = upper_inverse(&self.ground.r);
        let b = Matrix::from_rows(p, 1, value.b.clone());
        let beta = back.times(&b).into_entries();
        if beta.iter().any(|x| !x.is_finite()) {
            return Err(Fault::internal("fixed effects that are not finite"));
        }
        Ok((beta, back.times(&value.c).times(&back.transpose())))
    }
}

/// Rows of P K_j.
fn times_kernel(ground: &Ground, places: &[usize], p: &Matrix, rows: std::ops::Range<usize>) -> Vec<f64> {
    let n = p.n_rows();
    let mut out = vec![0.0; rows.len() * n];
    for &place in places {
        let mut left = Matrix::zeros(rows.len(), n);
        for (at, i) in rows.clone().enumerate() {
            left.row_mut(at)
                .iter_mut()
                .zip(p.row(i))
                .enumerate()
                .for_each(|(j, (x, y))| *x = y * ground.place(j, place));
        }
        let mut buffer = Vec::new();
        // K is symmetric: its rows, taken in blocks, are its columns.
        for first in (0..n).step_by(ROWS) {
            let last = (first + ROWS).min(n);
            let kin = ground.kinship.rows(first..last, &mut buffer);
            let mut part = vec![0.0; left.n_rows() * (last - first)];
            let rhs = ferrocyte_math::linalg::Block::new(kin, last - first, n, n).transpose();
            let lhs = ferrocyte_math::linalg::Block::new(left.entries(), left.n_rows(), n, n);
            ferrocyte_math::linalg::add_block_product(&mut part, last - first, 1.0, lhs, rhs);
            for (at, row) in part.chunks_exact(last - first).enumerate() {
                for (j, x) in (first..last).zip(row) {
                    out[at * n + j] += x * ground.place(j, place);
                }
            }
        }
    }
    out
}

/// Sums of the entries of some rows times those of every kernel.
fn against_kernels(ground: &Ground, model: &Model, entries: &[f64], rows: std::ops::Range<usize>) -> Vec<f64> {
    let n = ground.n();
    let mut out = vec![0.0; model.len()];
    let mut buffer = Vec::new();
    let kinship = ground.kinship.rows(rows.clone(), &mut buffer);
    for ((i, row), kin) in rows.zip(entries.chunks_exact(n)).zip(kinship.chunks_exact(n)) {
        let h: Vec<f64> = row.iter().zip(kin).map(|(a, b)| a * b).collect();
        for (sum, places) in out.iter_mut().zip(&model.genetic) {
            for &place in places {
                let along: f64 = h.iter().enumerate().map(|(j, x)| x * ground.place(j, place)).sum();
                *sum += ground.place(i, place) * along;
            }
        }
        for (sum, d) in out[model.genetic.len()..].iter_mut().zip(&model.noise) {
            *sum += row[i] * d[i];
        }
    }
    out
}

/// tr AB for symmetric A.
fn of_product(a: &Matrix, b: &Matrix) -> f64 {
    a.entries().iter().zip(b.entries()).map(|(x, y)| x * y).sum()
}

/// Takes the mean of both triangles, which differ by rounding.
fn symmetric(a: &mut Matrix) {
    for i in 0..a.n_rows() {
        for j in 0..i {
            let mean = 0.5 * (a[(i, j)] + a[(j, i)]);
            a[(i, j)] = mean;
            a[(j, i)] = mean;
        }
    }
}

fn upper_inverse(r: &Matrix) -> Matrix {
    let p = r.n_rows();
    let mut out = Matrix::zeros(p, p);
    for k in 0..p {
        for i in (0..=k).rev() {
            let rest: f64 = (i + 1..=k).map(|j| r[(i, j)] * out[(j, k)]).sum();
            out[(i, k)] = (f64::from(u8::from(i == k)) - rest) / r[(i, i)];
        }
    }
    out
}
