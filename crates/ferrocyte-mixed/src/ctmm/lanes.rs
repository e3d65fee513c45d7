//! The likelihood of the models whose blocks are a diagonal and one shared variance, individuals side by side in registers.
//!
//! S_i = hom2 11' + diag(d_i), so that with s = 1/d, t = Σ s, γ = 1/(1 + hom2 t) the inverse is diag(s) - hom2 γ ss', its row sums are γs
//! and their sum is γt. A pair that is missing, or an individual that is left out, has s = 0 and drops out of every sum by itself.
//!
//! With E the inverse bordered by its sums (place 0: the vector of ones), Z_j row j of E without place 0, H_i = X_iG⁻¹X_i' and
//! T_jk = Z_j'H_iZ_k, the formulas of `likelihood.rs` are the same for hom2 (place 0) and for each V_c: gradient Σ E_jj - T_jj - e_j²,
//! information Σ E_jk² - 2 E_jkT_jk + tr(G⁻¹G_jG⁻¹G_k), average Σ e_je_kE_jk - v_j'G⁻¹v_k, where e = [1'u, u].
//!
//! Sums are kept by lane and added at the end, so that they are the same on every machine.

#![allow(clippy::inline_always)]

use ferrocyte_math::linalg::{Matrix, cholesky_in_place};
use ferrocyte_math::wide::{self, Kernel};

use super::design::Design;
use super::likelihood::{Derivatives, Solved};

/// Individuals that are worked on together.
const LANES: usize = 8;

/// One number for each of them.
type Lane = [f64; LANES];

const ZERO: Lane = [0.0; LANES];

/// Determinants of blocks are products within these, or the general road is taken.
const RANGE: (f64, f64) = (1e-280, 1e280);

/// What all genes of a design share.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    c: usize,
    q: usize,
    n_blocks: usize,
    /// Blocks × cell types: 1 where a pair is observed, else 0.
    present: Vec<Lane>,
    /// Blocks × covariates.
    covariates: Vec<Lane>,
    /// Row and lane of each observation.
    places: Vec<(usize, usize)>,
}

/// One gene, and room for what is known of its blocks.
#[derive(Debug, Clone)]
pub(super) struct GeneLanes {
    /// Blocks × cell types.
    y: Vec<Lane>,
    noise: Vec<Lane>,
    /// 1 / d.
    s: Vec<Lane>,
    /// The diagonal of the inverse.
    own: Vec<Lane>,
    /// γ and t of each block.
    gamma: Vec<Lane>,
    total: Vec<Lane>,
    work: Vec<Lane>,
}

/// Where the likelihood is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    /// The variance that cell types share.
    pub(super) hom2: f64,
    /// The variance of each cell type.
    pub(super) v: &'a [f64],
    /// An individual that is left out.
    pub(super) skip: Option<usize>,
    /// Whether fixed effects are integrated out.
    pub(super) restricted: bool,
    /// The ratio of a block's eigenvalues at which a point counts as inadmissible.
    pub(super) wall: f64,
}

impl Lanes {
    /// The lanes of a design of values per cell type without random covariates.
    pub(super) fn new(design: &Design) -> Option<Self> {
        if design.op || !design.random.is_empty() {
            return None;
        }
        let (c, q) = (design.c, design.n_fixed - design.c);
        let n_blocks = design.n.div_ceil(LANES);
        let mut out = Self {
            c,
            q,
            n_blocks,
            present: vec![ZERO; n_blocks * c],
            covariates: vec![ZERO; n_blocks * q],
            places: Vec::with_capacity(design.n_observations()),
        };
        for i in 0..design.n {
            let (block, lane) = (i / LANES, i % LANES);
            for row in design.rows(i) {
                out.present[block * c + design.types[row]][lane] = 1.0;
                out.places.push((block * c + design.types[row], lane));
            }
            design.z_fixed(i).for_each(|(column, value)| out.covariates[block * q + column - c][lane] = value);
        }
        Some(out)
    }

    /// A gene with values `y` and their noise, in the order of the observations.
    pub(super) fn gene(&self, y: &[f64], noise: &[f64]) -> GeneLanes {
        let size = self.n_blocks * self.c;
        let (p, e) = (self.c + self.q, self.c + 1);
        // Bordered inverse, half of T, X; then the sums of gradient, two informations, v and G.
        let work = 2 * e * e + e * p + p + e + e * (e + 1) + e * p + e * p * (p + 1) / 2 + p * (p + 1) / 2 + p + e;
        let mut out = GeneLanes {
            y: vec![ZERO; size],
            noise: vec![ZERO; size],
            s: vec![ZERO; size],
            own: vec![ZERO; size],
            gamma: vec![ZERO; self.n_blocks],
            total: vec![ZERO; self.n_blocks],
            work: vec![ZERO; work],
        };
        for (&(row, lane), (&y, &d)) in self.places.iter().zip(y.iter().zip(noise)) {
            out.y[row][lane] = y;
            out.noise[row][lane] = d;
        }
        out
    }

    /// -l and its derivatives with respect to hom2 and every V_c; `None` where the general road has to decide.
    pub(super) fn at(&self, gene: &mut GeneLanes, at: At<'_>) -> Option<(Solved, Derivatives)> {
        let p = self.c + self.q;
        let mut k = Matrix::zeros(p, p);
        let mut xy = vec![0.0; p];
        let ln_blocks = wide::widest(Invert { lanes: self, gene, at, k: &mut k, xy: &mut xy })?;
        let (inverse, ln_fixed) = inverse_of(k)?;
        let beta: Vec<f64> = (0..p).map(|j| dot(inverse.row(j), &xy)).collect();
        let sums = wide::widest(Differentiate { lanes: self, gene, at, inverse: &inverse, beta: &beta });
        let value = 0.5 * (ln_blocks + sums.quadratic + if at.restricted { ln_fixed } else { 0.0 });
        let derivatives = sums.finish(&inverse, at.restricted);
        value.is_finite().then_some((Solved { value, beta, beta_covariance: inverse }, derivatives))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The inverse of a symmetric positive definite matrix, and ln of its determinant.
fn inverse_of(mut a: Matrix) -> Option<(Matrix, f64)> {
    let n = a.n_rows();
    cholesky_in_place(&mut a).ok()?;
    let ln = 2.0 * (0..n).map(|j| a[(j, j)].ln()).sum::<f64>();
    // L⁻¹ in the lower triangle of `a`, then its square.
    for j in 0..n {
        a[(j, j)] = 1.0 / a[(j, j)];
        for i in j + 1..n {
            let sum: f64 = (j..i).map(|k| a[(i, k)] * a[(k, j)]).sum();
            a[(i, j)] = -sum / a[(i, i)];
        }
    }
    let mut out = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (i..n).map(|k| a[(k, i)] * a[(k, j)]).sum();
            out[(i, j)] = sum;
            out[(j, i)] = sum;
        }
    }
    Some((out, ln))
}

#[inline(always)]
fn add_product(sum: &mut Lane, a: &Lane, b: &Lane) {
    for l in 0..LANES {
        sum[l] += a[l] * b[l];
    }
}

#[inline(always)]
fn product(a: &Lane, b: &Lane) -> Lane {
    let mut out = ZERO;
    for l in 0..LANES {
        out[l] = a[l] * b[l];
    }
    out
}

#[inline(always)]
fn all(lane: &Lane) -> f64 {
    ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]))
}

/// First pass: inverts the blocks; X'S⁻¹X, X'S⁻¹y and Σ ln |S|.
struct Invert<'a> {
    lanes: &'a Lanes,
    gene: &'a mut GeneLanes,
    at: At<'a>,
    k: &'a mut Matrix,
    xy: &'a mut [f64],
}

impl Kernel for Invert<'_> {
    type Output = Option<f64>;

    #[inline(always)]
    fn run(self) -> Option<f64> {
        let Self { lanes, gene, at, k, xy } = self;
        let (c, q) = (lanes.c, lanes.q);
        let p = c + q;
        let (sums, rest) = gene.work.split_at_mut(p * (p + 1) / 2);
        let (right, _) = rest.split_at_mut(p);
        for lane in sums.iter_mut() {
            *lane = ZERO;
        }
        for lane in right.iter_mut() {
            *lane = ZERO;
        }
        let (mut ln, mut fine) = (ZERO, [1.0; LANES]);
        for block in 0..lanes.n_blocks {
            let present = &lanes.present[block * c..(block + 1) * c];
            let w = &lanes.covariates[block * q..(block + 1) * q];
            let y = &gene.y[block * c..(block + 1) * c];
            let noise = &gene.noise[block * c..(block + 1) * c];
            let s = &mut gene.s[block * c..(block + 1) * c];
            let own = &mut gene.own[block * c..(block + 1) * c];
            let mut keep = [1.0; LANES];
            if let Some(i) = at.skip
                && i / LANES == block
            {
                keep[i % LANES] = 0.0;
            }
            let (mut total, mut determinant, mut least, mut trace) = (ZERO, [1.0; LANES], [f64::INFINITY; LANES], ZERO);
            for a in 0..c {
                let v = at.v[a];
                for l in 0..LANES {
                    let there = present[a][l] * keep[l];
                    let d = there * (v + noise[a][l]) + (1.0 - there);
                    let inverse = there / d;
                    s[a][l] = inverse;
                    total[l] += inverse;
                    determinant[l] *= d;
                    least[l] = if d < least[l] { d } else { least[l] };
                    trace[l] += there * (d + at.hom2);
                }
            }
            let (mut gamma, mut phi) = (ZERO, ZERO);
            for l in 0..LANES {
                let growth = 1.0 + at.hom2 * total[l];
                least[l] = if growth < least[l] { growth } else { least[l] };
                determinant[l] *= growth;
                gamma[l] = 1.0 / growth;
                phi[l] = at.hom2 * gamma[l];
            }
            let mut inverse_trace = ZERO;
            for a in 0..c {
                let mut others = ZERO;
                for b in 0..c {
                    if b != a {
                        for l in 0..LANES {
                            others[l] += s[b][l];
                        }
                    }
                }
                for l in 0..LANES {
                    // s - φs², without a difference of like numbers.
                    own[a][l] = s[a][l] * (1.0 + at.hom2 * others[l]) * gamma[l];
                    inverse_trace[l] += own[a][l];
                }
            }
            for l in 0..LANES {
                let inside = least[l] > 0.0
                    && trace[l] * inverse_trace[l] < at.wall
                    && determinant[l] > RANGE.0
                    && determinant[l] < RANGE.1;
                fine[l] = if inside { fine[l] } else { 0.0 };
                ln[l] += wide::ln(determinant[l]);
            }
            gene.gamma[block] = gamma;
            gene.total[block] = total;
            let mut place = 0;
            for a in 0..c {
                let mut sy = product(&own[a], &y[a]);
                let scaled = product(&phi, &s[a]);
                let mut cross = ZERO;
                for b in 0..c {
                    if b < a {
                        for l in 0..LANES {
                            sums[place][l] -= scaled[l] * s[b][l];
                        }
                        place += 1;
                    }
                    if b != a {
                        add_product(&mut cross, &s[b], &y[b]);
                    }
                }
                for l in 0..LANES {
                    sums[place][l] += own[a][l];
                    sy[l] -= scaled[l] * cross[l];
                    right[a][l] += sy[l];
                }
                place += 1;
                for (j, w) in w.iter().enumerate() {
                    add_product(&mut right[c + j], &sy, w);
                }
            }
            let sum = product(&gamma, &total);
            for i in 0..q {
                let row = product(&gamma, &w[i]);
                for a in 0..c {
                    add_product(&mut sums[place], &row, &s[a]);
                    place += 1;
                }
                let row = product(&sum, &w[i]);
                for j in 0..=i {
                    add_product(&mut sums[place], &row, &w[j]);
                    place += 1;
                }
            }
        }
        let mut place = 0;
        for i in 0..p {
            for j in 0..=i {
                let sum = all(&sums[place]);
                k[(i, j)] = sum;
                k[(j, i)] = sum;
                place += 1;
            }
            xy[i] = all(&right[i]);
        }
        // The product of flags is 1 where every lane is fine.
        let fine = fine[0] * fine[1] * fine[2] * fine[3] * fine[4] * fine[5] * fine[6] * fine[7];
        if fine == 1.0 { Some(all(&ln)) } else { None }
    }
}

/// Second pass: the quadratic form and the sums of the derivatives.
struct Differentiate<'a> {
    lanes: &'a Lanes,
    gene: &'a mut GeneLanes,
    at: At<'a>,
    inverse: &'a Matrix,
    beta: &'a [f64],
}

/// Sums over individuals; places 0 (hom2) and 1 + c, packed by rows of lower triangles.
struct Sums {
    quadratic: f64,
    gradient: Vec<f64>,
    information: Vec<f64>,
    average: Vec<f64>,
    /// Places × columns of X.
    v: Vec<f64>,
    /// Places × lower triangles over columns of X.
    g: Vec<f64>,
}

impl Kernel for Differentiate<'_> {
    type Output = Sums;

    #[inline(always)]
    fn run(self) -> Sums {
        let Self { lanes, gene, at, inverse, beta } = self;
        let (c, q) = (lanes.c, lanes.q);
        let (p, e) = (c + q, c + 1);
        let (pairs, triangle) = (e * (e + 1) / 2, p * (p + 1) / 2);
        let (bordered, rest) = gene.work.split_at_mut(e * e);
        let (half, rest) = rest.split_at_mut(c);
        let (x, rest) = rest.split_at_mut(e * p);
        let (along, rest) = rest.split_at_mut(c);
        let (u, rest) = rest.split_at_mut(e);
        let (gradient, rest) = rest.split_at_mut(e);
        let (information, rest) = rest.split_at_mut(pairs);
        let (average, rest) = rest.split_at_mut(pairs);
        let (v, rest) = rest.split_at_mut(e * p);
        let g = &mut rest[..e * triangle];
        for lane in gradient.iter_mut() {
            *lane = ZERO;
        }
        for lane in information.iter_mut() {
            *lane = ZERO;
        }
        for lane in average.iter_mut() {
            *lane = ZERO;
        }
        for lane in v.iter_mut() {
            *lane = ZERO;
        }
        for lane in g.iter_mut() {
            *lane = ZERO;
        }
        let mut quadratic = ZERO;
        for block in 0..lanes.n_blocks {
            let w = &lanes.covariates[block * q..(block + 1) * q];
            let y = &gene.y[block * c..(block + 1) * c];
            let s = &gene.s[block * c..(block + 1) * c];
            let own = &gene.own[block * c..(block + 1) * c];
            let (gamma, total) = (&gene.gamma[block], &gene.total[block]);
            bordered[0] = product(gamma, total);
            for a in 0..c {
                let sum = product(gamma, &s[a]);
                bordered[1 + a] = sum;
                bordered[(1 + a) * e] = sum;
                bordered[(1 + a) * e + 1 + a] = own[a];
                for b in 0..a {
                    let mut entry = product(&sum, &s[b]);
                    for l in 0..LANES {
                        entry[l] *= -at.hom2;
                    }
                    bordered[(1 + a) * e + 1 + b] = entry;
                    bordered[(1 + b) * e + 1 + a] = entry;
                }
            }
            // Residuals in `half`, u = S⁻¹ of them.
            for a in 0..c {
                for l in 0..LANES {
                    half[a][l] = y[a][l] - beta[a];
                }
                for j in 0..q {
                    for l in 0..LANES {
                        half[a][l] -= w[j][l] * beta[c + j];
                    }
                }
            }
            u[0] = ZERO;
            for a in 0..c {
                u[1 + a] = ZERO;
                for b in 0..c {
                    add_product(&mut u[1 + a], &bordered[(1 + a) * e + 1 + b], &half[b]);
                }
                for l in 0..LANES {
                    u[0][l] += u[1 + a][l];
                }
                add_product(&mut quadratic, &u[1 + a], &y[a]);
            }
            // Columns S⁻¹F of X'S⁻¹: cell types, then covariates.
            for j in 0..e {
                for a in 0..c {
                    x[j * p + a] = bordered[j * e + 1 + a];
                }
                for k in 0..q {
                    x[j * p + c + k] = product(&bordered[j * e], &w[k]);
                }
            }
            let mut shift = ZERO;
            for a in 0..c {
                along[a] = ZERO;
                for j in 0..q {
                    for l in 0..LANES {
                        along[a][l] += w[j][l] * inverse[(a, c + j)];
                    }
                }
            }
            for i in 0..q {
                for j in 0..q {
                    for l in 0..LANES {
                        shift[l] += w[i][l] * w[j][l] * inverse[(c + i, c + j)];
                    }
                }
            }
            let mut place = 0;
            for j in 0..e {
                if at.restricted {
                    // H Z_j.
                    for a in 0..c {
                        let mut sum = ZERO;
                        for b in 0..c {
                            let h = inverse[(a, b)];
                            let z = &bordered[j * e + 1 + b];
                            if q == 0 {
                                for l in 0..LANES {
                                    sum[l] += h * z[l];
                                }
                            } else {
                                for l in 0..LANES {
                                    sum[l] += (h + along[a][l] + along[b][l] + shift[l]) * z[l];
                                }
                            }
                        }
                        half[a] = sum;
                    }
                }
                for k in 0..=j {
                    let entry = bordered[j * e + k];
                    let mut t = ZERO;
                    if at.restricted {
                        for a in 0..c {
                            add_product(&mut t, &half[a], &bordered[k * e + 1 + a]);
                        }
                    }
                    for l in 0..LANES {
                        information[place][l] += entry[l] * (entry[l] - 2.0 * t[l]);
                        average[place][l] += u[j][l] * u[k][l] * entry[l];
                    }
                    if k == j {
                        for l in 0..LANES {
                            gradient[j][l] += entry[l] - t[l] - u[j][l] * u[j][l];
                        }
                    }
                    place += 1;
                }
                let mut at_g = j * triangle;
                for a in 0..p {
                    let left = x[j * p + a];
                    add_product(&mut v[j * p + a], &u[j], &left);
                    if at.restricted {
                        for b in 0..=a {
                            add_product(&mut g[at_g], &left, &x[j * p + b]);
                            at_g += 1;
                        }
                    }
                }
            }
        }
        let summed = |lanes: &[Lane]| lanes.iter().map(all).collect::<Vec<f64>>();
        Sums {
            quadratic: all(&quadratic),
            gradient: summed(gradient),
            information: summed(information),
            average: summed(average),
            v: summed(v),
            g: summed(g),
        }
    }
}

impl Sums {
    fn finish(self, inverse: &Matrix, restricted: bool) -> Derivatives {
        let p = inverse.n_rows();
        let e = self.gradient.len();
        let triangle = p * (p + 1) / 2;
        // G⁻¹G_j.
        let mut products = vec![0.0; if restricted { e * p * p } else { 0 }];
        if restricted {
            let mut full = vec![0.0; p * p];
            for (j, out) in products.chunks_exact_mut(p * p).enumerate() {
                unpack(&self.g[j * triangle..(j + 1) * triangle], p, &mut full);
                for (a, row) in out.chunks_exact_mut(p).enumerate() {
                    for (k, &left) in inverse.row(a).iter().enumerate() {
                        row.iter_mut().zip(&full[k * p..(k + 1) * p]).for_each(|(out, g)| *out += left * g);
                    }
                }
            }
        }
        let mut transposed = vec![0.0; p * p];
        let (mut expected, mut hessian) = (Matrix::zeros(e, e), Matrix::zeros(e, e));
        let mut place = 0;
        for j in 0..e {
            if restricted {
                let own = &products[j * p * p..(j + 1) * p * p];
                for (at, out) in transposed.iter_mut().enumerate() {
                    *out = own[at % p * p + at / p];
                }
            }
            let v = &self.v[j * p..(j + 1) * p];
            let hv: Vec<f64> = (0..p).map(|a| dot(inverse.row(a), v)).collect();
            for k in 0..=j {
                let trace = if restricted { dot(&transposed, &products[k * p * p..(k + 1) * p * p]) } else { 0.0 };
                let information = 0.5 * (self.information[place] + trace);
                let average = self.average[place] - dot(&hv, &self.v[k * p..(k + 1) * p]);
                for at in [(j, k), (k, j)] {
                    expected[at] = information;
                    hessian[at] = average - information;
                }
                place += 1;
            }
        }
        Derivatives { gradient: self.gradient.iter().map(|g| 0.5 * g).collect(), expected, hessian }
    }
}

/// A symmetric matrix from its lower triangle.
fn unpack(packed: &[f64], n: usize, out: &mut [f64]) {
    let mut place = 0;
    for i in 0..n {
        for j in 0..=i {
            out[i * n + j] = packed[place];
            out[j * n + i] = packed[place];
            place += 1;
        }
    }
}
