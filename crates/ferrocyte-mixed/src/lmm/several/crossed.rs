//! One large component and a few small effects: samples crossed with batches or locations.
//!
//! M₁₁ = U diag(λ) U' once for the large component, B = U'M₁₂. At a point, with h = 1/(1 + γ₁λ), what is left of the
//! small effects is C = M₂₂ - γ₁ B'diag(h)B, and with T = (I + CΓ₂)⁻¹ and W = Γ₂T
//!
//! * u₂ = T (x₂ - γ₁ B'(h∘x₁)), u₁ = h∘(x₁ - BΓ₂u₂) for u = (I + MΓ)⁻¹x
//! * K₁₁ = diag(λh) - diag(h) B W B'diag(h), K₂₁ = T B'diag(h), K₂₂ = T C
//! * ln|I + MΓ| = Σ ln(1 + γ₁λ) + ln|I + CΓ₂|
//!
//! so that the traces need D = B'diag(h²)B and D₃ = B'diag(λh³)B only: O(q₁q₂²) for each point. (Henderson's absorption
//! of one set of effects, in the eigenvectors of the other.)

use std::ops::Range;

use ferrocyte_base::Result;
use ferrocyte_math::linalg::{Matrix, cross_product, dot, product, symmetric_eigen};

use super::operator::{Evaluator, Operator, Region, Traces, ranges};
use super::signed::Signed;

const RANK_TOLERANCE: f64 = 1e-10;

/// Below this 1 + γ₁λ, digits are lost where the small effects hold the matrix together.
const NEAR_SINGULAR: f64 = 1e-4;

/// A matrix of random effects, its largest component in its own eigenvectors.
#[derive(Debug)]
pub(super) struct Crossed {
    dims: Vec<usize>,
    /// The large component, and its place in a vector.
    large: usize,
    place: Range<usize>,
    /// The component of each small effect.
    owner: Vec<usize>,
    /// Eigenvectors of M₁₁; `None` where it is diagonal.
    u: Option<Matrix>,
    lambda: Vec<f64>,
    /// B = U'M₁₂, q₁ × q₂.
    b: Matrix,
    m22: Matrix,
    rank: usize,
    /// R with R R' = (M₂₂ - B'Λ⁺B)⁺.
    rest: Matrix,
}

impl Crossed {
    /// Prepares m. `scale` is the largest diagonal entry of Z'Z in each component, below a small share of which a
    /// number is nothing.
    pub(super) fn new(m: &Matrix, scale: &[f64], dims: &[usize]) -> Result<Self> {
        let all = ranges(dims);
        let large = (0..dims.len()).rev().max_by_key(|&i| dims[i]).unwrap_or(0);
        let place = all[large].clone();
        let small: Vec<usize> = (0..m.n_rows()).filter(|i| !place.contains(i)).collect();
        let owner: Vec<usize> = small.iter().map(|i| all.iter().position(|r| r.contains(i)).unwrap_or(0)).collect();
        let part = |rows: &[usize], columns: &[usize]| {
            let entries = rows.iter().flat_map(|&i| columns.iter().map(move |&j| m[(i, j)])).collect();
            Matrix::from_rows(rows.len(), columns.len(), entries)
        };
        let big: Vec<usize> = place.clone().collect();
        let m11 = part(&big, &big);
        let diagonal = (0..big.len()).all(|i| m11.row(i).iter().enumerate().all(|(j, &x)| i == j || x == 0.0));
        let mut b = part(&big, &small);
        let (mut lambda, u) = if diagonal {
            (m11.diagonal(), None)
        } else {
            let (values, vectors) = symmetric_eigen(&m11)?;
            b = vectors.transpose().times(&b);
            (values, Some(vectors))
        };
        let nothing = RANK_TOLERANCE * scale[large];
        for (i, l) in lambda.iter_mut().enumerate().filter(|(_, l)| **l <= nothing) {
            *l = 0.0;
            b.row_mut(i).fill(0.0);
        }
        let m22 = part(&small, &small);
        // What the large component leaves of the small effects, in units of their own scale.
        let unit: Vec<f64> = owner.iter().map(|&j| 1.0 / scale[j].max(f64::MIN_POSITIVE).sqrt()).collect();
        let mut left = m22.clone();
        let mut weighted = b.clone();
        for (i, &l) in lambda.iter().enumerate() {
            weighted.row_mut(i).iter_mut().for_each(|x| *x *= if l > 0.0 { 1.0 / l } else { 0.0 });
        }
        let mut taken = Matrix::zeros(small.len(), small.len());
        cross_product(b.entries(), weighted.entries(), &mut taken);
        for i in 0..small.len() {
            for j in 0..small.len() {
                left[(i, j)] = (m22[(i, j)] - taken[(i, j)]) * unit[i] * unit[j];
            }
        }
        let (values, vectors) =
            if small.is_empty() { (Vec::new(), Matrix::default()) } else { symmetric_eigen(&left)? };
        let kept: Vec<usize> = (0..values.len()).filter(|&l| values[l] > RANK_TOLERANCE).collect();
        let mut rest = Matrix::zeros(small.len(), kept.len());
        for i in 0..small.len() {
            for (j, &l) in kept.iter().enumerate() {
                rest[(i, j)] = unit[i] * vectors[(i, l)] / values[l].sqrt();
            }
        }
        let rank = lambda.iter().filter(|l| **l > 0.0).count() + kept.len();
        Ok(Self { dims: dims.to_vec(), large, place, owner, u, lambda, b, m22, rank, rest })
    }

    /// Eigenvalues of M₁₁.
    pub(super) fn lambda(&self) -> &[f64] {
        &self.lambda
    }

    /// B = U'M₁₂.
    pub(super) fn b(&self) -> &Matrix {
        &self.b
    }

    /// M₂₂.
    pub(super) fn m22(&self) -> &Matrix {
        &self.m22
    }

    /// The components in the order of this matrix: the large one first.
    pub(super) fn order(&self) -> Vec<usize> {
        std::iter::once(self.large).chain((0..self.dims.len()).filter(|&i| i != self.large)).collect()
    }

    /// An upper bound of the eigenvalues of M₁₁, and of those of M₂₂.
    pub(super) fn largest_eigenvalues(&self) -> [f64; 2] {
        let norm = |i: usize| self.m22.row(i).iter().map(|x| x.abs()).sum::<f64>();
        [self.lambda.iter().copied().fold(0.0, f64::max), (0..self.n_small()).map(norm).fold(0.0, f64::max)]
    }

    /// Turns one row vector into the basis of this matrix.
    pub(super) fn enter_row(&self, row: &mut [f64]) {
        Operator::enter(self, row);
    }

    /// The parts of row vectors (each of q numbers) that belong to the large component and to the others.
    pub(super) fn parts(&self, rows: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let q = self.dims.iter().sum();
        let rows = || rows.chunks_exact(q);
        let large = rows().flat_map(|row| &row[self.place.clone()]).copied().collect();
        let small =
            rows().flat_map(|row| row[..self.place.start].iter().chain(&row[self.place.end..])).copied().collect();
        (large, small)
    }

    fn n_small(&self) -> usize {
        self.owner.len()
    }

    /// Splits the rows of x into those of the large component and the others.
    fn split(&self, x: &Matrix, large: &mut Matrix, small: &mut Matrix) {
        let r = x.n_cols();
        let (from, to) = (self.place.start * r, self.place.end * r);
        large.entries_mut().copy_from_slice(&x.entries()[from..to]);
        small.entries_mut()[..from].copy_from_slice(&x.entries()[..from]);
        small.entries_mut()[from..].copy_from_slice(&x.entries()[to..]);
    }

    fn join(&self, large: &Matrix, small: &Matrix, x: &mut Matrix) {
        let r = x.n_cols();
        let (from, to) = (self.place.start * r, self.place.end * r);
        x.entries_mut()[from..to].copy_from_slice(large.entries());
        x.entries_mut()[..from].copy_from_slice(&small.entries()[..from]);
        x.entries_mut()[to..].copy_from_slice(&small.entries()[from..]);
    }
}

impl Operator for Crossed {
    fn matrix(&self) -> Matrix {
        let q = self.dims.iter().sum();
        let mut m = Matrix::zeros(q, q);
        let small: Vec<usize> = (0..q).filter(|i| !self.place.contains(i)).collect();
        for (a, i) in self.place.clone().enumerate() {
            m[(i, i)] = self.lambda[a];
            for (b, &j) in small.iter().enumerate() {
                m[(i, j)] = self.b[(a, b)];
                m[(j, i)] = self.b[(a, b)];
            }
        }
        for (a, &i) in small.iter().enumerate() {
            for (b, &j) in small.iter().enumerate() {
                m[(i, j)] = self.m22[(a, b)];
            }
        }
        m
    }

    fn rank(&self) -> usize {
        self.rank
    }

    fn explained(&self, x: &[f64]) -> f64 {
        let (large, mut small) = (&x[self.place.clone()], Vec::with_capacity(self.n_small()));
        small.extend_from_slice(&x[..self.place.start]);
        small.extend_from_slice(&x[self.place.end..]);
        let mut sum = 0.0;
        for (i, (&x, &l)) in large.iter().zip(&self.lambda).enumerate().filter(|(_, (_, l))| **l > 0.0) {
            sum += x * x / l;
            small.iter_mut().zip(self.b.row(i)).for_each(|(s, b)| *s -= b * x / l);
        }
        let mut rest = vec![0.0; self.rest.n_cols()];
        product(&small, small.len(), &self.rest, &mut rest);
        sum + dot(&rest, &rest)
    }

    fn enter(&self, rows: &mut [f64]) {
        let Some(u) = &self.u else { return };
        let q: usize = self.dims.iter().sum();
        let d = self.place.len();
        let large: Vec<f64> = rows.chunks_exact(q).flat_map(|row| &row[self.place.clone()]).copied().collect();
        let mut turned = vec![0.0; large.len()];
        product(&large, d, u, &mut turned);
        for (row, turned) in rows.chunks_exact_mut(q).zip(turned.chunks_exact(d)) {
            row[self.place.clone()].copy_from_slice(turned);
        }
    }

    fn leave(&self, x: &mut [f64]) {
        let Some(u) = &self.u else { return };
        let turned = x[self.place.clone()].to_vec();
        for (i, x) in x[self.place.clone()].iter_mut().enumerate() {
            *x = dot(u.row(i), &turned);
        }
    }

    fn evaluator(&self) -> Box<dyn Evaluator + '_> {
        let (q1, q2) = (self.lambda.len(), self.n_small());
        let square = || Matrix::zeros(q2, q2);
        Box::new(CrossedEvaluator {
            m: self,
            gamma: 0.0,
            h: vec![0.0; q1],
            spread: Vec::with_capacity(q2),
            hb: Matrix::zeros(q1, q2),
            bhb: square(),
            c: square(),
            t: square(),
            w: square(),
            d: square(),
            d3: square(),
            work: square(),
            signed: Signed::default(),
            inverted: false,
            ln_det: 0.0,
            columns: Columns::default(),
        })
    }
}

/// Buffers for the columns of a system, kept while their number is the same.
#[derive(Debug, Default)]
struct Columns {
    large: Matrix,
    scaled: Matrix,
    small: Matrix,
    solved: Matrix,
}

impl Columns {
    fn fit(&mut self, q1: usize, q2: usize, r: usize) {
        if self.large.n_cols() != r || self.large.n_rows() != q1 {
            self.large = Matrix::zeros(q1, r);
            self.scaled = Matrix::zeros(q1, r);
            self.small = Matrix::zeros(q2, r);
            self.solved = Matrix::zeros(q2, r);
        }
    }
}

struct CrossedEvaluator<'a> {
    m: &'a Crossed,
    /// γ₁.
    gamma: f64,
    h: Vec<f64>,
    /// γ of each small effect.
    spread: Vec<f64>,
    /// diag(h)B, then with higher powers of h.
    hb: Matrix,
    bhb: Matrix,
    c: Matrix,
    t: Matrix,
    w: Matrix,
    d: Matrix,
    d3: Matrix,
    work: Matrix,
    signed: Signed,
    inverted: bool,
    ln_det: f64,
    columns: Columns,
}

/// out = diag(h) rows.
fn scale_rows(h: &[f64], rows: &Matrix, out: &mut Matrix) {
    let r = rows.n_cols().max(1);
    for ((h, row), out) in h.iter().zip(rows.entries().chunks_exact(r)).zip(out.entries_mut().chunks_exact_mut(r)) {
        out.iter_mut().zip(row).for_each(|(o, x)| *o = h * x);
    }
}

impl CrossedEvaluator<'_> {
    /// T and W, when first asked for at a point.
    fn invert(&mut self) {
        if !self.inverted {
            self.signed.inverses(self.c.entries(), self.t.entries_mut(), self.w.entries_mut());
            self.inverted = true;
        }
    }
}

impl Evaluator for CrossedEvaluator<'_> {
    fn factor(&mut self, gamma: &[f64]) -> Region {
        let m = self.m;
        self.inverted = false;
        self.gamma = gamma[m.large];
        self.spread.clear();
        self.spread.extend(m.owner.iter().map(|&j| gamma[j]));
        let (mut ln_det, mut least, mut negative) = (0.0, f64::INFINITY, 0);
        for (h, l) in self.h.iter_mut().zip(&m.lambda) {
            let v = 1.0 + self.gamma * l;
            least = f64::min(least, v);
            negative += usize::from(!(v > 0.0));
            ln_det += v.ln();
            *h = 1.0 / v;
        }
        if least < NEAR_SINGULAR {
            // Small effects with positive ratios can hold as many eigenvalues above zero as there are of them.
            let positive = self.spread.iter().filter(|&&g| g > 0.0).count();
            if negative > positive {
                return Region::Outside;
            }
            if positive > 0 {
                return Region::Unsure;
            }
        }
        scale_rows(&self.h, &m.b, &mut self.hb);
        cross_product(m.b.entries(), self.hb.entries(), &mut self.bhb);
        for ((c, m22), bhb) in self.c.entries_mut().iter_mut().zip(m.m22.entries()).zip(self.bhb.entries()) {
            *c = m22 - self.gamma * bhb;
        }
        match self.signed.factor(self.c.entries(), &self.spread) {
            Some(rest) => {
                self.ln_det = ln_det + rest;
                Region::Inside
            }
            None => Region::Outside,
        }
    }

    fn ln_det(&self) -> f64 {
        self.ln_det
    }

    fn traces(&mut self, out: &mut Traces) {
        self.invert();
        let (m, q2) = (self.m, self.m.n_small());
        let one = m.large;
        out.t.fill(0.0);
        out.f.entries_mut().fill(0.0);
        for (h, l) in self.h.iter().zip(&m.lambda) {
            out.t[one] += l * h;
            out.f[(one, one)] += (l * h) * (l * h);
        }
        if q2 == 0 {
            return;
        }
        // D = B'H²B = (HB)'(HB), D₃ = (HB)'(ΛH HB).
        cross_product(self.hb.entries(), self.hb.entries(), &mut self.d);
        for (i, (h, l)) in self.h.iter().zip(&m.lambda).enumerate() {
            let scale = h * l;
            let (row, b) = (self.hb.row_mut(i), m.b.row(i));
            row.iter_mut().zip(b).for_each(|(x, b)| *x = h * scale * b);
        }
        scale_rows_in_place(&self.h, &mut self.hb);
        cross_product(m.b.entries(), self.hb.entries(), &mut self.d3);
        // The factor may be asked again at this point.
        scale_rows(&self.h, &m.b, &mut self.hb);
        out.t[one] -= dot(self.w.entries(), self.d.entries());
        out.f[(one, one)] -= 2.0 * dot(self.w.entries(), self.d3.entries());
        product(self.w.entries(), q2, &self.d, self.work.entries_mut());
        for i in 0..q2 {
            for j in 0..q2 {
                out.f[(one, one)] += self.work[(i, j)] * self.work[(j, i)];
            }
        }
        product(self.t.entries(), q2, &self.d, self.work.entries_mut());
        for (i, &j) in m.owner.iter().enumerate() {
            out.f[(one, j)] += dot(self.work.row(i), self.t.row(i));
        }
        product(self.t.entries(), q2, &self.c, self.work.entries_mut());
        for (a, &i) in m.owner.iter().enumerate() {
            out.t[i] += self.work[(a, a)];
            for (&j, x) in m.owner.iter().zip(self.work.row(a)) {
                out.f[(i, j)] += x * x;
            }
        }
        for j in (0..m.dims.len()).filter(|&j| j != one) {
            out.f[(j, one)] = out.f[(one, j)];
        }
    }

    fn solve(&mut self, x: &mut Matrix) {
        self.invert();
        let (m, q2) = (self.m, self.m.n_small());
        self.columns.fit(m.lambda.len(), q2, x.n_cols());
        let Columns { large, scaled, small, solved } = &mut self.columns;
        m.split(x, large, small);
        scale_rows(&self.h, large, scaled);
        cross_product(m.b.entries(), scaled.entries(), solved);
        for (s, taken) in small.entries_mut().iter_mut().zip(solved.entries()) {
            *s -= self.gamma * taken;
        }
        // h∘x₁ - h∘(B W x₂), for Γ₂T = W.
        product(self.w.entries(), q2, small, solved.entries_mut());
        product(self.hb.entries(), q2, solved, large.entries_mut());
        for (l, s) in large.entries_mut().iter_mut().zip(scaled.entries()) {
            *l = s - *l;
        }
        product(self.t.entries(), q2, small, solved.entries_mut());
        m.join(large, solved, x);
    }

    fn k_times(&mut self, x: &mut Matrix) {
        // K = (I + MΓ)⁻¹M.
        let (m, q2) = (self.m, self.m.n_small());
        self.columns.fit(m.lambda.len(), q2, x.n_cols());
        let Columns { large, scaled, small, solved } = &mut self.columns;
        m.split(x, large, small);
        cross_product(m.b.entries(), large.entries(), solved);
        product(m.b.entries(), q2, small, scaled.entries_mut());
        let r = x.n_cols();
        for (i, l) in m.lambda.iter().enumerate() {
            for (y, x) in scaled.entries_mut()[i * r..(i + 1) * r].iter_mut().zip(large.row(i)) {
                *y += l * x;
            }
        }
        let from_large = solved.clone();
        product(m.m22.entries(), q2, small, solved.entries_mut());
        solved.entries_mut().iter_mut().zip(from_large.entries()).for_each(|(s, f)| *s += f);
        m.join(scaled, solved, x);
        self.solve(x);
    }
}

fn scale_rows_in_place(h: &[f64], rows: &mut Matrix) {
    let r = rows.n_cols().max(1);
    for (h, row) in h.iter().zip(rows.entries_mut().chunks_exact_mut(r)) {
        row.iter_mut().for_each(|x| *x *= h);
    }
}
