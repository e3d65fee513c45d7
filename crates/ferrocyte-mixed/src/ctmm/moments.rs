//! Haseman-Elston regression: variances by moments, in closed form.
//!
//! With M = I - X(X'X)⁻¹X', regress M(yy' - D)M on M K_k M: θ = G⁻¹h, G_jk = tr(MK_jMK_k), h_k = r'K_kr - Σ_d D_d (MK_kM)_dd, r = My. M is the
//! P of the likelihood at unit covariance, so that G is twice its expected information there; G and the weights
//! (MK_kM)_dd do not depend on the gene.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, scaled_inverse};

use super::design::{ABSENT, Design};
use super::likelihood::{Likelihood, add_outer, add_sums};
use super::options::Model;

/// A diagonal entry of the scaled G below this is a variance that depends on those before it.
const RANK: f64 = 1e-11;

/// What all genes share, with or without one individual.
pub(super) struct Moments<'a> {
    design: &'a Design,
    skip: Option<usize>,
    x_inverse: Matrix,
    inverse: Matrix,
    /// Variances × observations.
    weights: Vec<f64>,
}

impl<'a> Moments<'a> {
    /// The regression of a design, without the individual `skip`; fails where its variances cannot be told apart.
    pub(super) fn new(design: &'a Design, model: Model, skip: Option<usize>) -> Result<Self> {
        let x_inverse = match skip {
            None => design.x_inverse.clone(),
            Some(_) => scaled_inverse(&design.fixed_cross_product(skip), 1e-12).map_err(|_| {
                Fault::bad_input("without one of the individuals the fixed effects cannot be estimated")
            })?,
        };
        let (y, noise) = (vec![0.0; design.n_observations()], vec![1.0; design.n_observations()]);
        let theta = vec![0.0; design.n_variances()];
        let mut unit = Likelihood::new(design, model, true, &y, &noise).without(skip);
        let (_, found) = unit.at(&theta).ok_or_else(|| Fault::internal("unit covariance is not positive definite"))?;
        let mut g = found.expected;
        g.entries_mut().iter_mut().for_each(|x| *x *= 2.0);
        let inverse = scaled_inverse(&g, RANK).map_err(|k| {
            let name = design
                .kernels
                .get(k)
                .map_or_else(|| design.random[k - design.kernels.len()].name.clone(), |k| k.name.clone());
            Fault::bad_input(format!("variance `{name}` cannot be told apart from those before it"))
                .hint("use a smaller model, more individuals, or fewer covariates")
        })?;
        let mut moments = Self { design, skip, x_inverse, inverse, weights: Vec::new() };
        moments.weights = moments.diagonals();
        Ok(moments)
    }

    fn individuals(&self) -> impl Iterator<Item = usize> + use<> {
        let skip = self.skip;
        (0..self.design.n).filter(move |&i| Some(i) != skip)
    }

    /// (MK_kM)_dd of every variance and observation.
    fn diagonals(&self) -> Vec<f64> {
        let design = self.design;
        let (n, n_columns) = (design.n_observations(), design.n_columns);
        let mut out = vec![0.0; n * design.n_variances()];
        // H = (X'X)⁻¹ with zeros for random covariates.
        let mut h = Matrix::zeros(n_columns, n_columns);
        for a in 0..design.n_fixed {
            for b in 0..design.n_fixed {
                h[(a, b)] = self.x_inverse[(a, b)];
            }
        }
        for k in 0..design.kernels.len() {
            let mut g = Matrix::zeros(n_columns, n_columns);
            for i in self.individuals() {
                add_outer(design, i, &extended_kernel(design, i, k), 1.0, &mut g);
            }
            let hgh = h.times(&g).times(&h);
            for i in self.individuals() {
                let rows = design.rows(i);
                let (m, e) = (rows.len(), rows.len() + 1);
                let f = extended_kernel(design, i, k);
                let (hat, twice) = (between(design, i, &h), between(design, i, &hgh));
                for (a, row) in rows.enumerate() {
                    let cross: f64 = (0..m).map(|b| f[a * e + b] * hat[b * m + a]).sum();
                    out[k * n + row] = f[a * e + a] - 2.0 * cross + twice[a * m + a];
                }
            }
        }
        self.random_diagonals(&h, &mut out);
        out
    }

    /// ‖row d of MU_k‖², MU_k = A (E - HK).
    fn random_diagonals(&self, h: &Matrix, out: &mut [f64]) {
        let design = self.design;
        let (n, n_columns) = (design.n_observations(), design.n_columns);
        let mut k = Matrix::zeros(n_columns, n_columns);
        for i in self.individuals().filter(|_| !design.random.is_empty()) {
            let (m, e) = (design.rows(i).len(), design.rows(i).len() + 1);
            let mut unit = vec![0.0; e * e];
            (0..m).for_each(|a| unit[a * e + a] = 1.0);
            add_sums(&mut unit, m);
            add_outer(design, i, &unit, 1.0, &mut k);
        }
        for (place, term) in design.random.iter().enumerate() {
            let mut c = h.times(&k);
            c.entries_mut().iter_mut().for_each(|x| *x = -*x);
            (0..n_columns).for_each(|j| c[(j, j)] += 1.0);
            let mut square = Matrix::zeros(n_columns, n_columns);
            for a in 0..n_columns {
                for b in 0..n_columns {
                    let columns = term.first..term.first + term.n_levels;
                    square[(a, b)] = columns.map(|l| c[(a, l)] * c[(b, l)]).sum();
                }
            }
            for i in self.individuals() {
                let m = design.rows(i).len();
                let inner = between(design, i, &square);
                for (a, row) in design.rows(i).enumerate() {
                    out[(design.kernels.len() + place) * n + row] = inner[a * m + a];
                }
            }
        }
    }

    /// The variances of a gene with values `y` and their noise, and the residuals of ordinary least squares.
    pub(super) fn estimate(&self, y: &[f64], noise: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let design = self.design;
        let (_, r) = design.least_squares(&self.x_inverse, y, self.skip);
        let n = design.n_observations();
        let mut h: Vec<f64> =
            self.weights.chunks_exact(n).map(|w| -w.iter().zip(noise).map(|(w, d)| w * d).sum::<f64>()).collect();
        let mut levels = vec![0.0; design.n_columns];
        for i in self.individuals() {
            let rows = design.rows(i);
            let total: f64 = r[rows.clone()].iter().sum();
            for (k, kernel) in design.kernels.iter().enumerate() {
                let value = |t: usize| match design.local(i, t) {
                    ABSENT => 0.0,
                    _ if t == design.c => total,
                    place => r[rows.start + place],
                };
                h[k] += if design.op {
                    design.weight(i, k) * total * total
                } else {
                    kernel.terms.iter().map(|&(x, y)| value(x) * value(y)).sum()
                };
            }
            design.z(i).iter().for_each(|&(column, z)| levels[column] += z * total);
        }
        for (place, term) in design.random.iter().enumerate() {
            let own = &levels[term.first..term.first + term.n_levels];
            h[design.kernels.len() + place] += own.iter().map(|x| x * x).sum::<f64>();
        }
        let theta = (0..h.len()).map(|j| self.inverse.row(j).iter().zip(&h).map(|(a, b)| a * b).sum()).collect();
        (theta, r)
    }

    /// (X'X)⁻¹ over the fixed columns.
    pub(super) fn x_inverse(&self) -> &Matrix {
        &self.x_inverse
    }
}

/// [I, 1]'F_k[I, 1] of an individual.
fn extended_kernel(design: &Design, i: usize, k: usize) -> Vec<f64> {
    let m = design.rows(i).len();
    let e = m + 1;
    let mut f = vec![0.0; e * e];
    if design.op {
        f[0] = design.weight(i, k);
    } else {
        for &(x, y) in &design.kernels[k].terms {
            if x == design.c {
                (0..m).for_each(|a| (0..m).for_each(|b| f[a * e + b] += 1.0));
                continue;
            }
            let (x, y) = (design.local(i, x), design.local(i, y));
            if x != ABSENT && y != ABSENT {
                f[x * e + y] += 1.0;
            }
        }
    }
    add_sums(&mut f, m);
    f
}

/// A_i H A_i' of an individual.
fn between(design: &Design, i: usize, h: &Matrix) -> Vec<f64> {
    let rows = design.rows(i);
    let m = rows.len();
    let z = design.z(i);
    let entry = |a: usize, b: usize| {
        let mut sum: f64 = z.iter().map(|&(j, x)| x * z.iter().map(|&(k, y)| y * h[(j, k)]).sum::<f64>()).sum();
        if !design.op {
            let (s, t) = (design.types[rows.start + a], design.types[rows.start + b]);
            sum += h[(s, t)];
            sum += z.iter().map(|&(j, x)| x * (h[(s, j)] + h[(t, j)])).sum::<f64>();
        }
        sum
    };
    let mut out = vec![0.0; m * m];
    for a in 0..m {
        for b in 0..m {
            out[a * m + b] = entry(a, b);
        }
    }
    out
}
