//! The likelihood of one gene and its derivatives, without a matrix larger than a block.
//!
//! V = B + Σ r2_k U_k U_k' with B block-diagonal, a block S_i per individual. Everything that is projected has the form
//! P = B⁻¹ - B⁻¹ A H A' B⁻¹, where A = [X, U] has a row per observation and H is small: one formula serves fixed effects and
//! random covariates alike. With K = A'B⁻¹A, each random covariate adds (E - HK_k) N (E - HK_k)', N = r2 (I + r2 U'V⁻¹U)⁻¹, to H,
//! the fixed effects (E - HK_x) G⁻¹ (E - HK_x)'.
//!
//! Derivatives, with F_k the kernels, T = S⁻¹A_i H A_i'S⁻¹ in block i and u = Py:
//! gradient of -l: ½ Σ_i <F_k, S⁻¹ - T - uu'>; expected information I_jk = ½ [Σ_i tr(S⁻¹F_jS⁻¹F_k) - 2 tr(S⁻¹F_jTF_k) +
//! tr(HG_jHG_k)], G_k = A'B⁻¹K_kB⁻¹A; Hessian 2 AI - I, AI_jk = ½ u'K_jPK_ku. Maximum likelihood has H of the random
//! covariates only in the gradient and in I.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, solve_lower, solve_lower_transposed};

use super::block;
use super::design::{ABSENT, Design};
use super::lanes::{At, GeneLanes};
use super::options::Model;

/// The likelihood of one gene as a function of its variances.
pub(super) struct Likelihood<'a> {
    design: &'a Design,
    model: Model,
    restricted: bool,
    /// Residuals of ordinary least squares: neither P nor a difference of means depends on what X explains.
    y: &'a [f64],
    noise: &'a [f64],
    /// An individual that is left out.
    skip: Option<usize>,
    /// The ratio of a block's eigenvalues at which a point counts as inadmissible.
    wall: f64,
    /// [I, 1]'S⁻¹[I, 1] of each individual.
    inverse: Vec<f64>,
    /// u = Py of each individual, and its sum.
    u: Vec<f64>,
    /// The gene as the short road of `lanes.rs` takes it, where the model and the design have one.
    lanes: Option<GeneLanes>,
}

/// The value at a point.
pub(super) struct Solved {
    /// -l.
    pub(super) value: f64,
    /// Coefficients of the fixed effects.
    pub(super) beta: Vec<f64>,
    /// (X'V⁻¹X)⁻¹.
    pub(super) beta_covariance: Matrix,
}

/// What derivatives need of a point.
struct Projection {
    /// A'B⁻¹A.
    k: Matrix,
    /// H of P.
    h: Matrix,
    /// H of V⁻¹.
    h_random: Matrix,
}

/// Derivatives of -l at a point.
#[derive(Debug, Clone)]
pub(super) struct Derivatives {
    /// With respect to each variance.
    pub(super) gradient: Vec<f64>,
    /// The expected information.
    pub(super) expected: Matrix,
    /// The Hessian.
    pub(super) hessian: Matrix,
}

impl Derivatives {
    /// The derivatives with respect to parameters that move ranges of these together.
    fn summed(&self, ranges: &[std::ops::Range<usize>]) -> Self {
        let n = ranges.len();
        let collapse = |full: &Matrix| {
            let mut out = Matrix::zeros(n, n);
            for (j, rows) in ranges.iter().enumerate() {
                for (k, columns) in ranges.iter().enumerate() {
                    out[(j, k)] = rows.clone().map(|a| full.row(a)[columns.clone()].iter().sum::<f64>()).sum();
                }
            }
            out
        };
        Self {
            gradient: ranges.iter().map(|range| self.gradient[range.clone()].iter().sum()).collect(),
            expected: collapse(&self.expected),
            hessian: collapse(&self.hessian),
        }
    }
}

impl<'a> Likelihood<'a> {
    /// The likelihood of values `y` (residuals of ordinary least squares) with known `noise`, restricted or not.
    pub(super) fn new(design: &'a Design, model: Model, restricted: bool, y: &'a [f64], noise: &'a [f64]) -> Self {
        let e = if design.op { 2 } else { design.c + 1 };
        let inverse = vec![0.0; design.n * e * e];
        Self {
            design,
            model,
            restricted,
            y,
            noise,
            skip: None,
            wall: block::MAX_RATIO,
            inverse,
            u: vec![0.0; design.n * e],
            lanes: design.lanes.as_ref().filter(|_| model != Model::Full).map(|lanes| lanes.gene(y, noise)),
        }
    }

    /// The same without an individual.
    pub(super) fn without(mut self, skip: Option<usize>) -> Self {
        self.skip = skip;
        self
    }

    /// The value and its derivatives; `None` where the covariance is not positive definite or a block's eigenvalues are
    /// too far apart.
    pub(super) fn at(&mut self, theta: &[f64]) -> Option<(Solved, Derivatives)> {
        if let Some(found) = self.along_lanes(theta) {
            return Some(found);
        }
        let (solved, projection) = self.solve_blocks(theta)?;
        let derivatives = self.derivatives(theta, &projection);
        Some((solved, derivatives))
    }

    /// The value alone.
    pub(super) fn solve(&mut self, theta: &[f64]) -> Option<Solved> {
        self.solve_blocks(theta).map(|(solved, _)| solved)
    }

    /// The same by the short road. It has hom2 and all V_c for parameters; those of the model are sums of them.
    fn along_lanes(&mut self, theta: &[f64]) -> Option<(Solved, Derivatives)> {
        let (lanes, gene) = (self.design.lanes.as_ref()?, self.lanes.as_mut()?);
        let c = self.design.c;
        let v = match self.model {
            Model::Hom => vec![0.0; c],
            Model::Iid => vec![theta[1]; c],
            Model::Free => theta[1..].to_vec(),
            Model::Full => return None,
        };
        let at = At { hom2: theta[0], v: &v, skip: self.skip, restricted: self.restricted, wall: self.wall };
        let (solved, free) = lanes.at(gene, at)?;
        let derivatives = match self.model {
            Model::Free | Model::Full => free,
            Model::Hom => free.summed(std::slice::from_ref(&(0..1))),
            Model::Iid => free.summed(&[0..1, 1..1 + c]),
        };
        Some((solved, derivatives))
    }

    /// Whether points count as inadmissible where a block's eigenvalues are far apart. Only variances below zero lead to
    /// such walls by themselves.
    pub(super) fn walled(&mut self, walled: bool) {
        self.wall = if walled { block::MAX_RATIO } else { f64::INFINITY };
    }

    /// The same at another ratio of a block's eigenvalues.
    pub(super) fn walled_at(&mut self, ratio: f64) {
        self.wall = ratio;
    }

    /// The least of the known noise.
    pub(super) fn least_noise(&self) -> f64 {
        self.noise.iter().fold(f64::INFINITY, |least, &d| least.min(d))
    }

    /// Which individual is left out.
    pub(super) fn leave_out(&mut self, skip: Option<usize>) {
        self.skip = skip;
    }

    fn individuals(&self) -> impl Iterator<Item = usize> + use<> {
        let skip = self.skip;
        (0..self.design.n).filter(move |&i| Some(i) != skip)
    }

    /// Room of a block.
    fn room(&self) -> usize {
        if self.design.op { 2 } else { self.design.c + 1 }
    }

    /// Fills the inverse of every block; the sum of the logarithms of their determinants.
    fn invert_blocks(&mut self, theta: &[f64]) -> Option<f64> {
        let (design, room) = (self.design, self.room());
        let mut ln = 0.0;
        let mut d = vec![0.0; design.c];
        for i in self.individuals() {
            let rows = design.rows(i);
            let (m, e) = (rows.len(), rows.len() + 1);
            let s = &mut self.inverse[i * room * room..][..e * e];
            if design.op {
                let variance: f64 = (0..design.kernels.len()).map(|k| design.weight(i, k) * theta[k]).sum();
                let variance = variance + self.noise[rows.start];
                if !(variance > 0.0) {
                    return None;
                }
                s.fill(1.0 / variance);
                ln += variance.ln();
                continue;
            }
            let noise = &self.noise[rows.clone()];
            ln += if self.model == Model::Full {
                fill_full(design, i, theta, noise, s);
                block::invert(s, m, e, self.wall)?
            } else {
                for (a, &cell_type) in design.types[rows].iter().enumerate() {
                    d[a] = noise[a]
                        + match self.model {
                            Model::Iid => theta[1],
                            Model::Free => theta[1 + cell_type],
                            Model::Hom | Model::Full => 0.0,
                        };
                }
                block::invert_rank_one(&d[..m], theta[0], s, e, self.wall)?
            };
            add_sums(s, m);
        }
        Some(ln)
    }

    /// -l, the fixed effects and what derivatives need, block by block.
    fn solve_blocks(&mut self, theta: &[f64]) -> Option<(Solved, Projection)> {
        let design = self.design;
        let (room, n_columns, p) = (self.room(), design.n_columns, design.n_fixed);
        let ln_blocks = self.invert_blocks(theta)?;
        let mut k = Matrix::zeros(n_columns, n_columns);
        let mut v = vec![0.0; n_columns];
        let mut sy = vec![0.0; room];
        for i in self.individuals() {
            let rows = design.rows(i);
            let (m, e) = (rows.len(), rows.len() + 1);
            let s = &self.inverse[i * room * room..][..e * e];
            add_outer(design, i, s, 1.0, &mut k);
            for (a, out) in sy[..e].iter_mut().enumerate() {
                *out = s[a * e..a * e + m].iter().zip(&self.y[rows.clone()]).map(|(s, y)| s * y).sum();
            }
            add_vector(design, i, &sy[..e], &mut v);
        }
        let (h_random, ln_random) = self.random_effects(theta, &k)?;
        let (h, beta_covariance, ln_fixed) = fixed_effects(&k, &h_random, p)?;
        let g = times_vector(&h, &v);
        // The fixed part of a generalised least squares fit is G⁻¹X'V⁻¹y, and H v has exactly that in its first rows.
        let beta = g[..p].to_vec();
        let mut quadratic = 0.0;
        for i in self.individuals() {
            let rows = design.rows(i);
            let (m, e) = (rows.len(), rows.len() + 1);
            let s = &self.inverse[i * room * room..][..e * e];
            let z: f64 = design.z(i).iter().map(|&(j, z)| z * g[j]).sum();
            let u = &mut self.u[i * room..][..e];
            u.fill(0.0);
            for (b, row) in rows.clone().enumerate() {
                let residual = self.y[row] - z - if design.op { 0.0 } else { g[design.types[row]] };
                for a in 0..m {
                    u[a] += s[a * e + b] * residual;
                }
            }
            u[m] = u[..m].iter().sum();
            quadratic += u[..m].iter().zip(&self.y[rows]).map(|(u, y)| u * y).sum::<f64>();
        }
        let ln = ln_blocks + ln_random + if self.restricted { ln_fixed } else { 0.0 };
        let value = 0.5 * (ln + quadratic);
        value.is_finite().then_some((Solved { value, beta, beta_covariance }, Projection { k, h, h_random }))
    }

    /// H of V⁻¹, and ln |V| - ln |B|.
    fn random_effects(&self, theta: &[f64], k: &Matrix) -> Option<(Matrix, f64)> {
        let design = self.design;
        let n = design.n_columns;
        let mut h = Matrix::zeros(n, n);
        let mut ln = 0.0;
        for (term, &r2) in design.random.iter().zip(&theta[design.kernels.len()..]) {
            let columns = term.first..term.first + term.n_levels;
            let a = projected_columns(&h, k, columns.clone());
            // U'V⁻¹U = U'B⁻¹A (E - HK_u).
            let mut inner = Matrix::zeros(term.n_levels, term.n_levels);
            for (x, row) in columns.clone().enumerate() {
                for y in 0..term.n_levels {
                    let sum: f64 = (0..n).map(|j| k[(row, j)] * a[(j, y)]).sum();
                    inner[(x, y)] = r2 * sum + if x == y { 1.0 } else { 0.0 };
                }
            }
            cholesky_in_place(&mut inner).ok()?;
            ln += 2.0 * inner.diagonal().iter().map(|x| x.ln()).sum::<f64>();
            if r2 != 0.0 {
                add_quadratic(&a, &inner, r2, &mut h);
            }
        }
        Some((h, ln))
    }

    /// Derivatives at the point that was solved last.
    fn derivatives(&self, theta: &[f64], projection: &Projection) -> Derivatives {
        let design = self.design;
        let (room, n_kernels, n_variances) = (self.room(), design.kernels.len(), design.n_variances());
        let n_columns = design.n_columns;
        debug_assert_eq!(theta.len(), n_variances, "one variance per parameter");
        let h = if self.restricted { &projection.h } else { &projection.h_random };
        let projected = self.restricted || !design.random.is_empty();
        let mut sums = Sums::new(n_variances, n_kernels, n_columns);
        let levels = self.level_sums();
        let mut scratch = Scratch::new(room, n_variances);
        for i in self.individuals() {
            let e = design.rows(i).len() + 1;
            let s = &self.inverse[i * room * room..][..e * e];
            let u = &self.u[i * room..][..e];
            if projected {
                scratch.project(design, i, s, h);
            }
            scratch.place_terms(design, i);
            sums.add_gradient(&scratch, s, u, projected);
            sums.add_information(&scratch, s, projected);
            if projected {
                sums.add_products(design, i, &mut scratch, s);
            }
            sums.add_average(design, i, &mut scratch, s, u, &levels);
        }
        sums.finish(design, projection, h, &levels)
    }

    /// Eigenvalues of S^(-1/2) K S^(-1/2) of every individual, K = Σ weight_k F_k, at a point.
    pub(super) fn eigenvalues(&mut self, theta: &[f64], weights: &[f64]) -> Vec<f64> {
        let (design, room) = (self.design, self.room());
        let mut out = Vec::with_capacity(design.n_observations());
        if self.invert_blocks(theta).is_none() {
            return out;
        }
        for i in self.individuals() {
            let m = design.rows(i).len();
            let e = m + 1;
            let s = &self.inverse[i * room * room..][..e * e];
            let mut factor: Vec<f64> = (0..m).flat_map(|a| s[a * e..a * e + m].to_vec()).collect();
            if block::cholesky(&mut factor, m).is_none() {
                continue;
            }
            let mut k = vec![0.0; m * m];
            for (number, kernel) in design.kernels.iter().enumerate().filter(|&(number, _)| weights[number] != 0.0) {
                let weight = weights[number] * design.weight(i, number);
                for &(x, y) in &kernel.terms {
                    if design.op || x == design.c {
                        k.iter_mut().for_each(|entry| *entry += weight);
                        continue;
                    }
                    let (x, y) = (design.local(i, x), design.local(i, y));
                    if x != ABSENT && y != ABSENT {
                        k[x * m + y] += weight;
                    }
                }
            }
            // L'KL has the eigenvalues of S^(-1/2) K S^(-1/2) where S⁻¹ = LL'.
            let mut half = vec![0.0; m * m];
            for a in 0..m {
                for b in 0..m {
                    half[a * m + b] = (b..m).map(|j| k[a * m + j] * factor[j * m + b]).sum();
                }
            }
            for a in 0..m {
                for b in 0..m {
                    k[a * m + b] = (a..m).map(|j| factor[j * m + a] * half[j * m + b]).sum();
                }
            }
            out.extend(block::eigenvalues(&mut k, m));
        }
        out
    }

    /// U_k'u of every column of a random covariate, at the place of the column.
    fn level_sums(&self) -> Vec<f64> {
        let (design, room) = (self.design, self.room());
        let mut out = vec![0.0; design.n_columns];
        if design.random.is_empty() {
            return out;
        }
        for i in self.individuals() {
            let m = design.rows(i).len();
            let total = self.u[i * room + m];
            design.z(i).iter().for_each(|&(column, z)| out[column] += z * total);
        }
        out
    }
}

/// S = V + diag(noise) of the observed cell types.
fn fill_full(design: &Design, i: usize, theta: &[f64], noise: &[f64], s: &mut [f64]) {
    let (m, e) = (noise.len(), noise.len() + 1);
    s.fill(0.0);
    for (kernel, &value) in design.kernels.iter().zip(theta) {
        for &(x, y) in &kernel.terms {
            let (x, y) = (design.local(i, x), design.local(i, y));
            if x != ABSENT && y != ABSENT {
                s[x * e + y] = value;
            }
        }
    }
    (0..m).for_each(|a| s[a * e + a] += noise[a]);
}

/// Fills the last row and column with sums.
pub(super) fn add_sums(s: &mut [f64], m: usize) {
    let e = m + 1;
    let mut all = 0.0;
    for a in 0..m {
        let sum: f64 = s[a * e..a * e + m].iter().sum();
        s[a * e + m] = sum;
        s[m * e + a] = sum;
        all += sum;
    }
    s[m * e + m] = all;
}

/// Adds A_i' M A_i, where `s` is [I, 1]'M[I, 1] of the individual.
pub(super) fn add_outer(design: &Design, i: usize, s: &[f64], weight: f64, out: &mut Matrix) {
    let rows = design.rows(i);
    let (m, e) = (rows.len(), rows.len() + 1);
    let z = design.z(i);
    if !design.op {
        let types = &design.types[rows];
        for (a, &x) in types.iter().enumerate() {
            for (b, &y) in types.iter().enumerate() {
                out[(x, y)] += weight * s[a * e + b];
            }
            for &(j, value) in z {
                let entry = weight * value * s[a * e + m];
                out[(x, j)] += entry;
                out[(j, x)] += entry;
            }
        }
    }
    for &(j, x) in z {
        for &(k, y) in z {
            out[(j, k)] += weight * s[m * e + m] * x * y;
        }
    }
}

/// Adds A_i'v, where `v` is [I, 1]'v of the individual.
pub(super) fn add_vector(design: &Design, i: usize, v: &[f64], out: &mut [f64]) {
    let rows = design.rows(i);
    let m = rows.len();
    if !design.op {
        design.types[rows].iter().zip(v).for_each(|(&t, x)| out[t] += x);
    }
    design.z(i).iter().for_each(|&(j, z)| out[j] += z * v[m]);
}

fn times_vector(h: &Matrix, v: &[f64]) -> Vec<f64> {
    (0..h.n_rows()).map(|j| h.row(j).iter().zip(v).map(|(a, b)| a * b).sum()).collect()
}

/// E - HK over some columns.
fn projected_columns(h: &Matrix, k: &Matrix, columns: std::ops::Range<usize>) -> Matrix {
    let n = h.n_rows();
    let mut out = Matrix::zeros(n, columns.len());
    for j in 0..n {
        for (y, column) in columns.clone().enumerate() {
            let sum: f64 = (0..n).map(|l| h[(j, l)] * k[(l, column)]).sum();
            out[(j, y)] = if j == column { 1.0 } else { 0.0 } - sum;
        }
    }
    out
}

/// Adds factor · A (LL')⁻¹ A' to `h`, `factor_of` being L.
fn add_quadratic(a: &Matrix, lower: &Matrix, factor: f64, h: &mut Matrix) {
    let n = a.n_rows();
    let mut half = a.clone();
    (0..n).for_each(|j| solve_lower(lower, half.row_mut(j)));
    for j in 0..n {
        for l in 0..=j {
            let sum: f64 = half.row(j).iter().zip(half.row(l)).map(|(a, b)| a * b).sum();
            h[(j, l)] += factor * sum;
            if l != j {
                h[(l, j)] += factor * sum;
            }
        }
    }
}

/// H of P, (X'V⁻¹X)⁻¹ and ln |X'V⁻¹X|.
fn fixed_effects(k: &Matrix, h_random: &Matrix, p: usize) -> Option<(Matrix, Matrix, f64)> {
    let n = k.n_rows();
    let a = projected_columns(h_random, k, 0..p);
    let mut g = Matrix::zeros(p, p);
    for x in 0..p {
        for y in 0..=x {
            let sum: f64 = (0..n).map(|j| k[(x, j)] * a[(j, y)]).sum();
            g[(x, y)] = sum;
            g[(y, x)] = sum;
        }
    }
    cholesky_in_place(&mut g).ok()?;
    let ln = 2.0 * g.diagonal().iter().map(|x| x.ln()).sum::<f64>();
    let mut h = h_random.clone();
    add_quadratic(&a, &g, 1.0, &mut h);
    let mut covariance = Matrix::zeros(p, p);
    let mut column = vec![0.0; p];
    for j in 0..p {
        column.fill(0.0);
        column[j] = 1.0;
        solve_lower(&g, &mut column);
        solve_lower_transposed(&g, &mut column);
        (0..p).for_each(|i| covariance[(i, j)] = column[i]);
    }
    Some((h, covariance, ln))
}

/// One term x y' of a kernel in an individual's block.
#[derive(Debug, Clone, Copy)]
struct Term {
    kernel: usize,
    weight: f64,
    x: usize,
    y: usize,
}

/// What one individual needs, reused from one to the next.
struct Scratch {
    /// [I, 1]'T[I, 1].
    t: Vec<f64>,
    /// A_i H A_i'.
    inner: Vec<f64>,
    half: Vec<f64>,
    outer: Vec<f64>,
    terms: Vec<Term>,
    q: Vec<f64>,
    room: usize,
}

impl Scratch {
    fn new(room: usize, n_variances: usize) -> Self {
        let square = vec![0.0; room * room];
        let q = vec![0.0; n_variances * room];
        Self {
            t: square.clone(),
            inner: square.clone(),
            outer: square.clone(),
            half: square,
            terms: Vec::new(),
            q,
            room,
        }
    }

    /// T = S⁻¹ (A_i H A_i') S⁻¹ with its sums.
    fn project(&mut self, design: &Design, i: usize, s: &[f64], h: &Matrix) {
        let rows = design.rows(i);
        let (m, e) = (rows.len(), rows.len() + 1);
        let z = design.z(i);
        let zz: f64 = z.iter().map(|&(j, x)| x * z.iter().map(|&(k, y)| y * h[(j, k)]).sum::<f64>()).sum();
        if design.op {
            self.inner[0] = zz;
        } else {
            let types = &design.types[rows];
            let along: &mut [f64] = &mut self.half[..m];
            for (a, &t) in types.iter().enumerate() {
                along[a] = z.iter().map(|&(k, y)| y * h[(t, k)]).sum();
            }
            for (a, &x) in types.iter().enumerate() {
                for (b, &y) in types.iter().enumerate() {
                    self.inner[a * m + b] = h[(x, y)] + self.half[a] + self.half[b] + zz;
                }
            }
        }
        multiply(s, e, &self.inner, m, m, &mut self.half);
        for a in 0..m {
            for b in 0..m {
                self.t[a * e + b] = (0..m).map(|k| self.half[a * m + k] * s[k * e + b]).sum();
            }
        }
        add_sums(&mut self.t, m);
    }

    /// The terms of all kernels as places in the individual's block.
    fn place_terms(&mut self, design: &Design, i: usize) {
        self.terms.clear();
        if design.op {
            let weights = (0..design.kernels.len()).map(|kernel| (kernel, design.weight(i, kernel)));
            self.terms.extend(weights.map(|(kernel, weight)| Term { kernel, weight, x: 0, y: 0 }));
            return;
        }
        for (kernel, k) in design.kernels.iter().enumerate() {
            for &(x, y) in &k.terms {
                let (x, y) = (design.local(i, x), design.local(i, y));
                if x != ABSENT && y != ABSENT {
                    self.terms.push(Term { kernel, weight: 1.0, x, y });
                }
            }
        }
    }
}

/// `out` = the m × m head of `a` (rows of length `stride`) times `b` (m × m within rows of length `width`).
fn multiply(a: &[f64], stride: usize, b: &[f64], width: usize, m: usize, out: &mut [f64]) {
    for i in 0..m {
        for j in 0..m {
            out[i * m + j] = (0..m).map(|k| a[i * stride + k] * b[k * width + j]).sum();
        }
    }
}

/// Sums over individuals.
struct Sums {
    gradient: Vec<f64>,
    information: Matrix,
    average: Matrix,
    /// A'B⁻¹K_kB⁻¹A.
    g: Vec<Matrix>,
    /// A'B⁻¹K_ku.
    v: Matrix,
}

impl Sums {
    fn new(n_variances: usize, n_kernels: usize, n_columns: usize) -> Self {
        Self {
            gradient: vec![0.0; n_variances],
            information: Matrix::zeros(n_variances, n_variances),
            average: Matrix::zeros(n_variances, n_variances),
            g: vec![Matrix::zeros(n_columns, n_columns); n_kernels],
            v: Matrix::zeros(n_variances, n_columns),
        }
    }

    fn add_gradient(&mut self, scratch: &Scratch, s: &[f64], u: &[f64], projected: bool) {
        let e = u.len();
        for term in &scratch.terms {
            let at = term.x * e + term.y;
            let t = if projected { scratch.t[at] } else { 0.0 };
            self.gradient[term.kernel] += term.weight * (s[at] - t - u[term.x] * u[term.y]);
        }
    }

    fn add_information(&mut self, scratch: &Scratch, s: &[f64], projected: bool) {
        let e = s.len().isqrt();
        for j in &scratch.terms {
            for k in scratch.terms.iter().filter(|k| k.kernel <= j.kernel) {
                let at = j.y * e + k.x;
                let other = if projected { s[at] - 2.0 * scratch.t[at] } else { s[at] };
                self.information[(j.kernel, k.kernel)] += j.weight * k.weight * s[k.y * e + j.x] * other;
            }
        }
    }

    fn add_products(&mut self, design: &Design, i: usize, scratch: &mut Scratch, s: &[f64]) {
        let e = s.len().isqrt();
        let outer = &mut scratch.outer[..e * e];
        for (kernel, g) in self.g.iter_mut().enumerate() {
            outer.fill(0.0);
            for term in scratch.terms.iter().filter(|t| t.kernel == kernel) {
                for a in 0..e {
                    let left = term.weight * s[a * e + term.x];
                    for b in 0..e {
                        outer[a * e + b] += left * s[term.y * e + b];
                    }
                }
            }
            add_outer(design, i, outer, 1.0, g);
        }
    }

    /// Terms of AI: α_k = K_ku of the individual in terms of [I, 1], S⁻¹α_k, and their products.
    fn add_average(&mut self, design: &Design, i: usize, scratch: &mut Scratch, s: &[f64], u: &[f64], levels: &[f64]) {
        let e = u.len();
        let (n_kernels, room) = (design.kernels.len(), scratch.room);
        scratch.q.fill(0.0);
        for term in &scratch.terms {
            let factor = term.weight * u[term.y];
            let q = &mut scratch.q[term.kernel * room..][..e];
            for (a, q) in q.iter_mut().enumerate() {
                *q += factor * s[a * e + term.x];
            }
        }
        let mut shifts = vec![0.0; design.random.len()];
        for (place, term) in design.random.iter().enumerate() {
            let own = term.first..term.first + term.n_levels;
            shifts[place] = design.z(i).iter().filter(|(j, _)| own.contains(j)).map(|&(j, z)| z * levels[j]).sum();
            let q = &mut scratch.q[(n_kernels + place) * room..][..e];
            for (a, q) in q.iter_mut().enumerate() {
                *q = shifts[place] * s[a * e + e - 1];
            }
        }
        let n_variances = n_kernels + shifts.len();
        for k in 0..n_variances {
            let q = &scratch.q[k * room..][..e];
            for term in scratch.terms.iter().filter(|t| t.kernel >= k) {
                self.average[(term.kernel, k)] += term.weight * u[term.y] * q[term.x];
            }
            for (place, shift) in shifts.iter().enumerate().filter(|(place, _)| n_kernels + place >= k) {
                self.average[(n_kernels + place, k)] += shift * q[e - 1];
            }
            add_vector(design, i, q, self.v.row_mut(k));
        }
    }

    fn finish(mut self, design: &Design, projection: &Projection, h: &Matrix, levels: &[f64]) -> Derivatives {
        let (n_kernels, n) = (design.kernels.len(), design.n_variances());
        let hg: Vec<Matrix> = self.g.iter().map(|g| h.times(g)).collect();
        for j in 0..n_kernels {
            for k in 0..=j {
                self.information[(j, k)] += trace_of_product(&hg[j], &hg[k]);
            }
        }
        self.add_random(design, projection, h, levels);
        let mut out = Derivatives {
            gradient: self.gradient.iter().map(|g| 0.5 * g).collect(),
            expected: Matrix::zeros(n, n),
            hessian: Matrix::zeros(n, n),
        };
        for j in 0..n {
            for k in 0..=j {
                let hv = times_vector(&projection.h, self.v.row(k));
                let projected: f64 = self.v.row(j).iter().zip(&hv).map(|(a, b)| a * b).sum();
                let average = self.average[(j, k)] - projected;
                let expected = 0.5 * self.information[(j, k)];
                for (a, b) in [(j, k), (k, j)] {
                    out.expected[(a, b)] = expected;
                    out.hessian[(a, b)] = average - expected;
                }
            }
        }
        out
    }

    /// Rows of the variances of random covariates: with C_k = E - HK_k, tr(P K_j P U_kU_k') = tr(C_k'G_jC_k) and
    /// U_j'PU_k = K_jC_k.
    fn add_random(&mut self, design: &Design, projection: &Projection, h: &Matrix, levels: &[f64]) {
        let n_kernels = design.kernels.len();
        for (place, term) in design.random.iter().enumerate() {
            let columns = term.first..term.first + term.n_levels;
            let c = projected_columns(h, &projection.k, columns.clone());
            let row = n_kernels + place;
            let squares: f64 = columns.clone().map(|j| levels[j] * levels[j]).sum();
            let inner = projection.k.times(&c);
            self.gradient[row] = columns.clone().enumerate().map(|(y, j)| inner[(j, y)]).sum::<f64>() - squares;
            for (kernel, g) in self.g.iter().enumerate() {
                let gc = g.times(&c);
                self.information[(row, kernel)] = c.entries().iter().zip(gc.entries()).map(|(a, b)| a * b).sum();
            }
            for (other, before) in design.random[..=place].iter().enumerate() {
                let rows = before.first..before.first + before.n_levels;
                let sum = rows.flat_map(|j| inner.row(j)).map(|x| x * x).sum();
                self.information[(row, n_kernels + other)] = sum;
            }
        }
    }
}

fn trace_of_product(a: &Matrix, b: &Matrix) -> f64 {
    let n = a.n_rows();
    (0..n).map(|i| (0..n).map(|j| a[(i, j)] * b[(j, i)]).sum::<f64>()).sum()
}
