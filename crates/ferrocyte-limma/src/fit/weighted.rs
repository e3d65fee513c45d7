//! [`Solver`]: weighted least squares of many genes, each with weights of its own, by products of matrices.
//!
//! Let Q be an orthonormal basis of the design X = QR, with r columns. Gene g has weights w and wants `δ` in
//! `(Q' D_w Q) δ = Q' D_w e`, e the residuals of its unweighted fit: then its coefficients are `R⁻¹ (Q'y + δ)`. The entries
//! of `Q' D_w Q` are the products of w with the r(r+1)/2 products of columns of Q. So for a block of genes the matrices
//! are one product `W P`, the right sides another, and what remains for a gene is a Cholesky factor of r × r. Working
//! on residuals keeps the digits that the normal equations would lose: only δ, not the fit, has the error of a
//! condition number. A gene whose matrix is badly conditioned is solved by [`super::gene`] instead.
//!
//! A missing value is one of weight zero, and stands at the mean of the others while residuals are taken.
//!
//! With blocks of correlated samples ([`Exchangeable`]) the weight matrix is `D_u V⁻¹ D_u`, u the roots of the weights:
//! the products above divided by `1 - ρ`, less a square for each block.

use std::sync::{Mutex, PoisonError};

use ferrocyte_math::linalg::{
    Matrix, cholesky_in_place, cross_product, dot, product, solve_lower, solve_lower_transposed, subtract_product,
};
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::blocks::Exchangeable;
use super::gene::GeneSolver;
use super::parts::{GenePart, Part};
use crate::DesignMatrix;

/// Squared ratio of pivots of a Cholesky factor above which reflections take over: errors of δ stay below 1e-10 of it.
const WORST_CONDITION: f64 = 1e6;

/// What the weighted fits of all genes share.
#[derive(Debug)]
pub(crate) struct Solver<'a> {
    design: &'a DesignMatrix,
    correlation: Option<&'a Exchangeable>,
    qr: PivotedQr,
    /// Q, n × r, and its transpose.
    basis: Matrix,
    basis_transposed: Matrix,
    /// The inverse of R, transposed: lower triangular r × r.
    inverse_transposed: Matrix,
    /// Which columns of Q the columns of `products` are the products of; those that are zero in all rows are left out.
    pairs: Vec<(usize, usize)>,
    /// n × pairs.
    products: Matrix,
    scratch: Mutex<Vec<Scratch>>,
}

/// Memory for a block of genes.
#[derive(Debug, Default)]
struct Scratch {
    /// Weights, zero where missing, genes × n.
    weights: Vec<f64>,
    /// Roots of the weights, genes × n, where samples are correlated.
    roots: Vec<f64>,
    /// Values, then residuals, genes × n.
    left: Vec<f64>,
    /// Weighted residuals, genes × n.
    weighted: Vec<f64>,
    /// Q'y, genes × r.
    effects: Vec<f64>,
    /// Right sides, then δ, genes × r.
    steps: Vec<f64>,
    /// Entries of Q' D_w Q, genes × pairs.
    grams: Vec<f64>,
    gene: GeneScratch,
}

/// Memory for one gene.
#[derive(Debug, Default)]
struct GeneScratch {
    gram: Matrix,
    root: Matrix,
    solver: GeneSolver,
    shares: Vec<f64>,
    sums: Vec<f64>,
    /// Sums over blocks of the rows of Q times roots of weights, blocks × r, and the same times the shares of blocks.
    block_rows: Vec<f64>,
    shared_rows: Vec<f64>,
    square: Matrix,
}

impl<'a> Solver<'a> {
    /// Prepares fits on a design, with correlated blocks if there are any.
    pub(crate) fn new(design: &'a DesignMatrix, correlation: Option<&'a Exchangeable>) -> Self {
        let x = design.matrix();
        let qr = PivotedQr::new(x);
        let groups = (0..x.n_rows()).all(|i| x.row(i).iter().filter(|&&v| v != 0.0).count() <= 1);
        // Columns that share no row are orthogonal as they are, without the rounding of reflections.
        let (basis, inverse_transposed) = if groups && qr.is_full_rank() {
            (unit_columns(x), diagonal(&norms(x).iter().map(|norm| 1.0 / norm).collect::<Vec<_>>()))
        } else {
            (qr.basis(), qr.r_inverse().transpose())
        };
        let (pairs, products) = products_of_columns(&basis);
        Self {
            design,
            correlation,
            basis_transposed: basis.transpose(),
            qr,
            basis,
            inverse_transposed,
            pairs,
            products,
            scratch: Mutex::default(),
        }
    }

    /// Fits a block of genes: values and weights are genes × n. Values that are not finite and values whose weight is not
    /// positive and finite are missing.
    pub(crate) fn solve_block(&self, y: &[f64], w: &[f64], keep_covariances: bool) -> Part {
        let (n, p) = (self.design.n_samples(), self.design.n_coefficients());
        let genes = y.len() / n.max(1);
        let mut part = Part::missing(genes, p, keep_covariances);
        if genes == 0 {
            return part;
        }
        let mut s = self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let counts = s.load(y, w, n);
        if self.correlation.is_some() {
            s.roots.clear();
            s.roots.extend(s.weights.iter().map(|w| w.sqrt()));
        }
        let r = self.qr.rank();
        resize(&mut s.effects, genes * r);
        product(&s.left, n, &self.basis, &mut s.effects);
        subtract_product(&s.effects, r, &self.basis_transposed, &mut s.left);
        self.apply_weights(&mut s);
        resize(&mut s.steps, genes * r);
        product(&s.weighted, n, &self.basis, &mut s.steps);
        resize(&mut s.grams, genes * self.pairs.len());
        product(&s.weights, n, &self.products, &mut s.grams);
        let mut by_reflections = Vec::new();
        for g in 0..genes {
            let solved = counts[g] >= r && self.solve_gene(g, &mut s, &mut part.gene(g, p));
            if !solved {
                s.steps[g * r..(g + 1) * r].fill(0.0);
                by_reflections.push(g);
            }
        }
        subtract_product(&s.steps, r, &self.basis_transposed, &mut s.left);
        self.apply_weights(&mut s);
        for g in 0..genes {
            let row = g * n..(g + 1) * n;
            let total = y[row.clone()].iter().zip(&s.weights[row.clone()]);
            let total: f64 = total.map(|(y, w)| if *w > 0.0 { w * y * y } else { 0.0 }).sum();
            let residual = dot(&s.left[row.clone()], &s.weighted[row]);
            if counts[g] >= r {
                part.gene(g, p).set_variance(counts[g], r, residual, total);
            }
        }
        for g in by_reflections {
            let row = g * n..(g + 1) * n;
            let mut gene = part.gene(g, p);
            gene.clear();
            s.gene.solver.fit(self.design.matrix(), self.correlation, &y[row.clone()], &s.weights[row], &mut gene);
        }
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).push(s);
        part
    }

    /// Residuals times the weight matrix of their gene.
    fn apply_weights(&self, s: &mut Scratch) {
        let n = self.design.n_samples();
        let Some(v) = self.correlation else {
            s.weighted.clear();
            s.weighted.extend(s.left.iter().zip(&s.weights).map(|(x, w)| x * w));
            return;
        };
        resize(&mut s.weighted, s.left.len());
        let GeneScratch { shares, sums, .. } = &mut s.gene;
        let rows = s.weighted.chunks_exact_mut(n).zip(s.left.chunks_exact(n)).zip(s.roots.chunks_exact(n));
        for ((out, left), roots) in rows {
            v.shares(roots.iter().map(|&u| u > 0.0), shares);
            for ((out, x), u) in out.iter_mut().zip(left).zip(roots) {
                *out = x * u;
            }
            v.sums(out, sums);
            sums.iter_mut().zip(shares.iter()).for_each(|(sum, share)| *sum *= share);
            for ((out, u), &b) in out.iter_mut().zip(roots).zip(v.block_of()) {
                *out = u * v.precision() * (*out - sums[b]);
            }
        }
    }

    /// Solves for δ of gene `g` and sets its coefficients and their errors; `false` where the equations are ill-conditioned.
    fn solve_gene(&self, g: usize, s: &mut Scratch, out: &mut GenePart<'_>) -> bool {
        let r = self.qr.rank();
        let kept = &self.qr.pivot()[..r];
        let entries = &s.grams[g * self.pairs.len()..(g + 1) * self.pairs.len()];
        let step = &mut s.steps[g * r..(g + 1) * r];
        let effects = &s.effects[g * r..(g + 1) * r];
        if self.correlation.is_none() && self.pairs.len() == r {
            return self.solve_groups(entries, step, effects, out);
        }
        let n = self.design.n_samples();
        let GeneScratch { gram, root, .. } = &mut s.gene;
        if gram.n_rows() != r {
            (*gram, *root) = (Matrix::zeros(r, r), Matrix::zeros(r, r));
        }
        gram.entries_mut().fill(0.0);
        for (&(a, b), &value) in self.pairs.iter().zip(entries) {
            gram[(b, a)] = value;
        }
        if let Some(v) = self.correlation {
            self.correlate(v, &s.roots[g * n..(g + 1) * n], &mut s.gene);
        }
        let GeneScratch { gram, root, .. } = &mut s.gene;
        if cholesky_in_place(gram).is_err() || !well_conditioned((0..r).map(|a| gram[(a, a)])) {
            return false;
        }
        solve_lower(gram, step);
        solve_lower_transposed(gram, step);
        for (a, &j) in kept.iter().enumerate() {
            out.coefficients[j] = (a..r).map(|b| self.inverse_transposed[(b, a)] * (effects[b] + step[b])).sum();
        }
        // The covariance of the coefficients is M'M with L M = (inverse of R)'.
        root.entries_mut().copy_from_slice(self.inverse_transposed.entries());
        for i in 0..r {
            let (above, row) = root.entries_mut().split_at_mut(i * r);
            let row = &mut row[..r];
            for (k, above) in above.chunks_exact(r).enumerate() {
                let l = gram[(i, k)];
                for (x, m) in row[..=k].iter_mut().zip(above) {
                    *x -= l * m;
                }
            }
            row.iter_mut().for_each(|x| *x /= gram[(i, i)]);
        }
        out.set_covariances(root, kept);
        true
    }

    /// [`Self::solve_gene`] of a design whose columns share no row: everything is diagonal.
    fn solve_groups(&self, gram: &[f64], step: &mut [f64], effects: &[f64], out: &mut GenePart<'_>) -> bool {
        // Also catches NaN.
        if !gram.iter().all(|&v| v > 0.0) {
            return false;
        }
        let p = out.coefficients.len();
        if !out.covariances.is_empty() {
            out.covariances.fill(0.0);
        }
        for (a, &j) in self.qr.pivot()[..self.qr.rank()].iter().enumerate() {
            step[a] /= gram[a];
            let inverse = self.inverse_transposed[(a, a)];
            out.coefficients[j] = inverse * (effects[a] + step[a]);
            let stdev = inverse.abs() / gram[a].sqrt();
            out.stdev_unscaled[j] = stdev;
            if !out.covariances.is_empty() {
                out.covariances[super::parts::packed(p, j, j)] = stdev * stdev;
            }
        }
        true
    }

    /// Turns Q' D_w Q into Q' D_u V⁻¹ D_u Q, given u.
    fn correlate(&self, v: &Exchangeable, roots: &[f64], s: &mut GeneScratch) {
        let r = self.qr.rank();
        s.block_rows.clear();
        s.block_rows.resize(v.n_blocks() * r, 0.0);
        for (i, (u, &b)) in roots.iter().zip(v.block_of()).enumerate() {
            for (sum, q) in s.block_rows[b * r..(b + 1) * r].iter_mut().zip(self.basis.row(i)) {
                *sum += u * q;
            }
        }
        v.shares(roots.iter().map(|&u| u > 0.0), &mut s.shares);
        s.shared_rows.clear();
        for (row, &share) in s.block_rows.chunks_exact(r).zip(&s.shares) {
            s.shared_rows.extend(row.iter().map(|x| share * x));
        }
        if s.square.n_rows() != r {
            s.square = Matrix::zeros(r, r);
        }
        cross_product(&s.block_rows, &s.shared_rows, &mut s.square);
        for (entry, square) in s.gram.entries_mut().iter_mut().zip(s.square.entries()) {
            *entry = v.precision() * (*entry - square);
        }
    }
}

impl GenePart<'_> {
    /// Sets everything to missing.
    fn clear(&mut self) {
        self.coefficients.fill(f64::NAN);
        self.stdev_unscaled.fill(f64::NAN);
        self.covariances.fill(f64::NAN);
        *self.sigma = f64::NAN;
        *self.df_residual = 0.0;
    }
}

impl Scratch {
    /// Copies values and weights, those of missing values zero, and gives the number of values of each gene.
    fn load(&mut self, y: &[f64], w: &[f64], n: usize) -> Vec<usize> {
        self.left.clear();
        self.left.extend_from_slice(y);
        self.weights.clear();
        self.weights.extend_from_slice(w);
        let rows = self.left.chunks_exact_mut(n).zip(self.weights.chunks_exact_mut(n));
        rows.map(|(y, w)| set_missing_aside(y, w)).collect()
    }
}

/// Gives missing values weight zero and the mean of the others; returns the number of the others.
fn set_missing_aside(y: &mut [f64], w: &mut [f64]) -> usize {
    let present = |y: f64, w: f64| y.is_finite() && w.is_finite() && w > 0.0;
    let count = y.iter().zip(&*w).filter(|&(&y, &w)| present(y, w)).count();
    if count == y.len() {
        return count;
    }
    let sum: f64 = y.iter().zip(&*w).filter(|&(&y, &w)| present(y, w)).map(|(y, _)| y).sum();
    let mean = if count == 0 { 0.0 } else { sum / count as f64 };
    for (y, w) in y.iter_mut().zip(w) {
        if !present(*y, *w) {
            (*y, *w) = (mean, 0.0);
        }
    }
    count
}

/// Products of pairs of columns, n × pairs, and which columns they are of. Diagonal pairs come first; a pair of columns
/// that share no row is left out.
fn products_of_columns(q: &Matrix) -> (Vec<(usize, usize)>, Matrix) {
    let (n, r) = (q.n_rows(), q.n_cols());
    let apart = |a: usize, b: usize| (0..n).all(|i| q[(i, a)] * q[(i, b)] == 0.0);
    let mut pairs: Vec<(usize, usize)> = (0..r).map(|a| (a, a)).collect();
    pairs.extend((0..r).flat_map(|b| (0..b).map(move |a| (a, b))).filter(|&(a, b)| !apart(a, b)));
    let mut products = Matrix::zeros(n, pairs.len());
    for i in 0..n {
        for (value, &(a, b)) in products.row_mut(i).iter_mut().zip(&pairs) {
            *value = q[(i, a)] * q[(i, b)];
        }
    }
    (pairs, products)
}

fn norms(x: &Matrix) -> Vec<f64> {
    (0..x.n_cols()).map(|j| (0..x.n_rows()).map(|i| x[(i, j)] * x[(i, j)]).sum::<f64>().sqrt()).collect()
}

fn unit_columns(x: &Matrix) -> Matrix {
    let norms = norms(x);
    let mut unit = x.clone();
    for i in 0..x.n_rows() {
        unit.row_mut(i).iter_mut().zip(&norms).for_each(|(x, norm)| *x /= norm);
    }
    unit
}

fn diagonal(values: &[f64]) -> Matrix {
    let mut matrix = Matrix::zeros(values.len(), values.len());
    values.iter().enumerate().for_each(|(i, &x)| matrix[(i, i)] = x);
    matrix
}

fn well_conditioned(pivots: impl Iterator<Item = f64>) -> bool {
    let (least, most) = pivots.fold((f64::INFINITY, 0.0_f64), |(least, most), x| (least.min(x), most.max(x)));
    most * most <= WORST_CONDITION * least * least
}

/// Sets the length; what is inside will be overwritten.
fn resize(buffer: &mut Vec<f64>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    buffer.truncate(length);
}
