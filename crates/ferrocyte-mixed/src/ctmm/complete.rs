//! Haseman-Elston regression and its jackknife where every pair is observed: C × C sums, and rank-one changes of them.
//!
//! With A = I - J/N - QQ' over individuals (Q spans the centred covariates), T = I - J/C over cell types, S_A = Y'AY and
//! S_Q = Y'QQ'Y, h_k = <F_k, S_A> + <TF_kT, S_Q> - Σ_c [(F_k)_cc Σ_i a_i d_ic + (TF_kT)_cc Σ_i q_i d_ic], a and q the diagonals of A and
//! QQ'; G_jk = (N - 1 - q) <F_j, F_k> + q <TF_jT, TF_kT>. Without individual i, residuals e_i and hat values H give
//! S_A - e_ie_i'/(1 - H_ii), a_j - H_ij²/(1 - H_ii), and Y'Y about its mean loses N/(N-1) y_iy_i'.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, scaled_inverse};

use super::design::Design;

const RANK: f64 = 1e-11;

/// What all genes share.
pub(super) struct Complete {
    n: usize,
    c: usize,
    /// Individuals × (1 + covariates): an intercept and the covariates.
    z: Matrix,
    /// (Z'Z)⁻¹.
    inverse: Matrix,
    /// Z (Z'Z)⁻¹.
    reach: Matrix,
    hat: Vec<f64>,
    terms: Vec<Vec<(usize, usize)>>,
    /// Diagonals of F_k and TF_kT, kernels × C.
    diagonal: Vec<f64>,
    centred_diagonal: Vec<f64>,
    /// G⁻¹ of all individuals, and of all but one.
    solve_all: Matrix,
    solve_less: Matrix,
}

impl Complete {
    /// The closed form of a design without missing pairs and random covariates; `None` for any other.
    pub(super) fn new(design: &Design) -> Result<Option<Self>> {
        let (n, c) = (design.n, design.c);
        if design.op || !design.random.is_empty() || design.n_observations() != n * c || n < 3 {
            return Ok(None);
        }
        let q = design.n_fixed - c;
        let mut z = Matrix::zeros(n, q + 1);
        for i in 0..n {
            z[(i, 0)] = 1.0;
            design.z_fixed(i).for_each(|(j, value)| z[(i, 1 + j - c)] = value);
        }
        let inverse = scaled_inverse(&z.transpose().times(&z), 1e-12)
            .map_err(|_| Fault::internal("covariates of full rank have a singular cross product"))?;
        let reach = z.times(&inverse);
        let hat: Vec<f64> = (0..n).map(|i| dot(reach.row(i), z.row(i))).collect();
        if hat.iter().any(|h| 1.0 - h < 1e-9) || n <= q + 2 {
            return Ok(None);
        }
        let terms: Vec<Vec<(usize, usize)>> = design.kernels.iter().map(|k| k.terms.clone()).collect();
        let dense: Vec<Matrix> = terms.iter().map(|t| dense_kernel(t, c)).collect();
        let centre =
            Matrix::from_rows(c, c, (0..c * c).map(|at| f64::from(at % (c + 1) == 0) - 1.0 / c as f64).collect());
        let centred: Vec<Matrix> = dense.iter().map(|f| centre.times(f).times(&centre)).collect();
        let solve = |left: f64| {
            let k = dense.len();
            let mut g = Matrix::zeros(k, k);
            for a in 0..k {
                for b in 0..k {
                    g[(a, b)] = left * dot(dense[a].entries(), dense[b].entries())
                        + q as f64 * dot(centred[a].entries(), centred[b].entries());
                }
            }
            scaled_inverse(&g, RANK)
        };
        let left = (n - 1 - q) as f64;
        let (Ok(solve_all), Ok(solve_less)) = (solve(left), solve(left - 1.0)) else { return Ok(None) };
        let diagonal = dense.iter().flat_map(Matrix::diagonal).collect();
        let centred_diagonal = centred.iter().flat_map(Matrix::diagonal).collect();
        Ok(Some(Self { n, c, z, inverse, reach, hat, terms, diagonal, centred_diagonal, solve_all, solve_less }))
    }

    /// Variances of a gene with values `y` and noise `d` (individuals × cell types), and where `jackknife` says so those
    /// without each individual (individuals × variances, else empty).
    pub(super) fn estimate(&self, y: &[f64], d: &[f64], jackknife: bool) -> (Vec<f64>, Vec<f64>) {
        let (n, c, k) = (self.n, self.c, self.terms.len());
        let centred = centre_columns(y, c);
        let residuals = self.residuals(&centred);
        // Quadratic forms are linear in the sums, so that h is a sum over individuals.
        let (mut h, mut t) = (vec![0.0; k], vec![0.0; c]);
        let (mut form, mut other) = (vec![0.0; k], vec![0.0; k]);
        for i in 0..n {
            let (e, yc) = (&residuals[i * c..(i + 1) * c], &centred[i * c..(i + 1) * c]);
            self.forms(e, &mut form);
            h.iter_mut().zip(&form).for_each(|(h, f)| *h += f);
            if self.z.n_cols() > 1 {
                centre_row(yc, &mut t);
                self.forms(&t, &mut form);
                centre_row(e, &mut t);
                self.forms(&t, &mut other);
                h.iter_mut().zip(&form).zip(&other).for_each(|((h, f), o)| *h += f - o);
            }
        }
        let noise = NoiseSums::new(self, d);
        let own = noise.all();
        let (mut theta, mut left_out) = (vec![0.0; k], vec![0.0; if jackknife { n * k } else { 0 }]);
        let (mut a, mut q) = own;
        self.solve(&self.solve_all, &mut h.clone(), (&a, &q), &mut theta);
        if !jackknife {
            return (theta, left_out);
        }
        let lost = n as f64 / (n as f64 - 1.0);
        let mut less = vec![0.0; k];
        for i in 0..n {
            let (e, yc) = (&residuals[i * c..(i + 1) * c], &centred[i * c..(i + 1) * c]);
            let gain = 1.0 / (1.0 - self.hat[i]);
            self.forms(e, &mut form);
            less.copy_from_slice(&h);
            less.iter_mut().zip(&form).for_each(|(h, f)| *h -= gain * f);
            if self.z.n_cols() > 1 {
                centre_row(yc, &mut t);
                self.forms(&t, &mut form);
                centre_row(e, &mut t);
                self.forms(&t, &mut other);
                less.iter_mut().zip(&form).zip(&other).for_each(|((h, f), o)| *h += gain * o - lost * f);
            }
            noise.without(i, &mut a, &mut q);
            self.solve(&self.solve_less, &mut less, (&a, &q), &mut left_out[i * k..(i + 1) * k]);
        }
        (theta, left_out)
    }

    /// x'F_kx of every kernel.
    fn forms(&self, x: &[f64], out: &mut [f64]) {
        let c = self.c;
        let total: f64 = x.iter().sum();
        let value = |place: usize| if place == c { total } else { x[place] };
        for (out, terms) in out.iter_mut().zip(&self.terms) {
            *out = terms.iter().map(|&(a, b)| value(a) * value(b)).sum();
        }
    }

    /// G⁻¹ (h - noise); `h` loses its noise.
    fn solve(&self, inverse: &Matrix, h: &mut [f64], (a, q): (&[f64], &[f64]), out: &mut [f64]) {
        let c = self.c;
        for (k, h) in h.iter_mut().enumerate() {
            *h -= dot(&self.diagonal[k * c..(k + 1) * c], a) + dot(&self.centred_diagonal[k * c..(k + 1) * c], q);
        }
        out.iter_mut().enumerate().for_each(|(j, out)| *out = dot(inverse.row(j), h));
    }

    /// Residuals of the intercept and the covariates, column by column.
    fn residuals(&self, y: &[f64]) -> Vec<f64> {
        let (n, c, p) = (self.n, self.c, self.z.n_cols());
        let mut out = y.to_vec();
        if p == 1 {
            return out;
        }
        let mut zy = vec![0.0; p * c];
        for i in 0..n {
            for (j, z) in self.z.row(i).iter().enumerate() {
                (0..c).for_each(|a| zy[j * c + a] += z * y[i * c + a]);
            }
        }
        for i in 0..n {
            for (j, r) in self.reach.row(i).iter().enumerate() {
                (0..c).for_each(|a| out[i * c + a] -= r * zy[j * c + a]);
            }
        }
        out
    }
}

/// Sums of the noise of a gene, with the weights of all individuals or of all but one.
struct NoiseSums<'a> {
    shared: &'a Complete,
    d: &'a [f64],
    /// Σ_i d_ic and Σ_i a_i d_ic.
    total: Vec<f64>,
    weighted: Vec<f64>,
    /// Σ_i d_ic z_i z_i', per cell type.
    moments: Vec<f64>,
}

impl<'a> NoiseSums<'a> {
    fn new(shared: &'a Complete, d: &'a [f64]) -> Self {
        let (c, p) = (shared.c, shared.z.n_cols());
        let (mut total, mut weighted, mut moments) = (vec![0.0; c], vec![0.0; c], vec![0.0; c * p * p]);
        for (i, row) in d.chunks_exact(c).enumerate() {
            let z = shared.z.row(i);
            for (a, &x) in row.iter().enumerate() {
                total[a] += x;
                weighted[a] += x * (1.0 - shared.hat[i]);
                if p > 1 {
                    for j in 0..p {
                        (0..p).for_each(|k| moments[(a * p + j) * p + k] += x * z[j] * z[k]);
                    }
                }
            }
        }
        Self { shared, d, total, weighted, moments }
    }

    /// Σ a_i d_ic and Σ q_i d_ic of each cell type.
    fn all(&self) -> (Vec<f64>, Vec<f64>) {
        let keep = 1.0 - 1.0 / self.shared.n as f64;
        let q = self.total.iter().zip(&self.weighted).map(|(t, w)| keep * t - w).collect();
        (self.weighted.clone(), q)
    }

    /// The same without an individual.
    fn without(&self, i: usize, a: &mut [f64], q: &mut [f64]) {
        let shared = self.shared;
        let (n, c, p) = (shared.n as f64, shared.c, shared.z.n_cols());
        let (hat, reach) = (shared.hat[i], shared.reach.row(i));
        let own = &self.d[i * c..(i + 1) * c];
        let keep = 1.0 - 1.0 / (n - 1.0);
        for cell_type in 0..c {
            let squares = if p == 1 {
                self.total[cell_type] * shared.inverse[(0, 0)] * shared.inverse[(0, 0)]
            } else {
                let m = &self.moments[cell_type * p * p..(cell_type + 1) * p * p];
                (0..p).map(|j| reach[j] * dot(&m[j * p..(j + 1) * p], reach)).sum()
            };
            let d = own[cell_type];
            let weighted = self.weighted[cell_type] - d * (1.0 - hat) - (squares - d * hat * hat) / (1.0 - hat);
            a[cell_type] = weighted;
            q[cell_type] = keep * (self.total[cell_type] - d) - weighted;
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// F as a matrix over cell types.
fn dense_kernel(terms: &[(usize, usize)], c: usize) -> Matrix {
    let mut f = Matrix::zeros(c, c);
    for &(x, y) in terms {
        if x == c {
            f.entries_mut().iter_mut().for_each(|v| *v += 1.0);
        } else {
            f[(x, y)] += 1.0;
        }
    }
    f
}

fn centre_columns(y: &[f64], c: usize) -> Vec<f64> {
    let n = y.len() / c;
    let mut mean = vec![0.0; c];
    y.chunks_exact(c).for_each(|row| mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n as f64));
    let mut out = y.to_vec();
    out.chunks_exact_mut(c).for_each(|row| row.iter_mut().zip(&mean).for_each(|(x, m)| *x -= m));
    out
}

fn centre_row(x: &[f64], out: &mut [f64]) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    out.iter_mut().zip(x).for_each(|(o, x)| *o = x - mean);
}
