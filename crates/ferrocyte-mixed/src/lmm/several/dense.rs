//! Any design: dense algebra.
//!
//! With M = C C' (C of full column rank), S = I + C'ΓC has a Cholesky factor exactly where all eigenvalues of I + MΓ
//! are positive, and (I + MΓ)⁻¹C = C S⁻¹, K = C S⁻¹C', |I + MΓ| = |S|.

use ferrocyte_base::Result;
use ferrocyte_math::linalg::{
    Matrix, cholesky_in_place, cross_product, dot, product, solve_lower, solve_lower_transposed, symmetric_eigen,
};

use super::operator::{Evaluator, Operator, Region, Traces, ranges, spread};

const RANK_TOLERANCE: f64 = 1e-10;

/// A matrix of random effects and its factor.
#[derive(Debug)]
pub(super) struct Dense {
    m: Matrix,
    /// C with M = C C', q × r.
    c: Matrix,
    /// L' with L C = I, q × r.
    c_inverse: Matrix,
    dims: Vec<usize>,
}

impl Dense {
    /// Factors m. `scale` is the largest diagonal entry of Z'Z in each component: its unit, in which eigenvalues below
    /// a small number are nothing.
    pub(super) fn new(m: &Matrix, scale: &[f64], dims: &[usize]) -> Result<Self> {
        let n = m.n_rows();
        let mut unit = Vec::with_capacity(n);
        spread(dims, scale, &mut unit);
        unit.iter_mut().for_each(|x| *x = x.max(f64::MIN_POSITIVE).sqrt());
        let mut scaled = m.clone();
        for i in 0..n {
            for j in 0..n {
                scaled[(i, j)] /= unit[i] * unit[j];
            }
        }
        let (values, vectors) = symmetric_eigen(&scaled)?;
        let positive: Vec<usize> = (0..n).filter(|&l| values[l] > RANK_TOLERANCE).collect();
        let (mut c, mut c_inverse) = (Matrix::zeros(n, positive.len()), Matrix::zeros(n, positive.len()));
        for i in 0..n {
            for (j, &l) in positive.iter().enumerate() {
                c[(i, j)] = unit[i] * vectors[(i, l)] * values[l].sqrt();
                c_inverse[(i, j)] = vectors[(i, l)] / (values[l].sqrt() * unit[i]);
            }
        }
        Ok(Self { m: m.clone(), c, c_inverse, dims: dims.to_vec() })
    }
}

impl Operator for Dense {
    fn matrix(&self) -> Matrix {
        self.m.clone()
    }

    fn rank(&self) -> usize {
        self.c.n_cols()
    }

    fn explained(&self, x: &[f64]) -> f64 {
        let mut w = vec![0.0; self.rank()];
        product(x, x.len(), &self.c_inverse, &mut w);
        dot(&w, &w)
    }

    fn enter(&self, _rows: &mut [f64]) {}

    fn leave(&self, _x: &mut [f64]) {}

    fn evaluator(&self) -> Box<dyn Evaluator + '_> {
        let (q, r) = (self.c.n_rows(), self.rank());
        Box::new(DenseEvaluator {
            m: self,
            gamma: Vec::with_capacity(q),
            scaled: Matrix::zeros(q, r),
            s: Matrix::zeros(r, r),
        })
    }
}

struct DenseEvaluator<'a> {
    m: &'a Dense,
    /// γ of each random effect.
    gamma: Vec<f64>,
    /// ΓC, then the rows of C L'⁻¹.
    scaled: Matrix,
    /// The Cholesky factor L of S.
    s: Matrix,
}

impl DenseEvaluator<'_> {
    /// S⁻¹x for each column.
    fn solve_s(&self, x: &mut Matrix) {
        let mut columns = x.transpose();
        for j in 0..columns.n_rows() {
            solve_lower(&self.s, columns.row_mut(j));
            solve_lower_transposed(&self.s, columns.row_mut(j));
        }
        *x = columns.transpose();
    }
}

impl Evaluator for DenseEvaluator<'_> {
    fn factor(&mut self, gamma: &[f64]) -> Region {
        spread(&self.m.dims, gamma, &mut self.gamma);
        let c = &self.m.c;
        for (i, g) in self.gamma.iter().enumerate() {
            self.scaled.row_mut(i).iter_mut().zip(c.row(i)).for_each(|(x, c)| *x = g * c);
        }
        cross_product(c.entries(), self.scaled.entries(), &mut self.s);
        for i in 0..c.n_cols() {
            self.s[(i, i)] += 1.0;
        }
        if cholesky_in_place(&mut self.s).is_ok() { Region::Inside } else { Region::Outside }
    }

    fn ln_det(&self) -> f64 {
        2.0 * (0..self.s.n_rows()).map(|i| self.s[(i, i)].ln()).sum::<f64>()
    }

    fn traces(&mut self, out: &mut Traces) {
        let rows = &mut self.scaled;
        rows.entries_mut().copy_from_slice(self.m.c.entries());
        for i in 0..rows.n_rows() {
            solve_lower(&self.s, rows.row_mut(i));
        }
        let k = rows.times(&rows.transpose());
        let parts = ranges(&self.m.dims);
        for (i, rows) in parts.iter().enumerate() {
            out.t[i] = rows.clone().map(|a| k[(a, a)]).sum();
            for (j, columns) in parts.iter().enumerate() {
                out.f[(i, j)] = rows
                    .clone()
                    .map(|a| {
                        let part = &k.row(a)[columns.clone()];
                        dot(part, part)
                    })
                    .sum();
            }
        }
    }

    fn solve(&mut self, x: &mut Matrix) {
        // x = C w + e with e outside the span of C: (I + MΓ)⁻¹x = C S⁻¹(w - C'Γe) + e.
        let (c, r) = (&self.m.c, x.n_cols());
        let mut w = Matrix::zeros(c.n_cols(), r);
        cross_product(self.m.c_inverse.entries(), x.entries(), &mut w);
        let inside = c.times(&w);
        x.entries_mut().iter_mut().zip(inside.entries()).for_each(|(x, i)| *x -= i);
        let mut scaled = x.clone();
        for (i, g) in self.gamma.iter().enumerate() {
            scaled.row_mut(i).iter_mut().for_each(|x| *x *= g);
        }
        let mut correction = Matrix::zeros(c.n_cols(), r);
        cross_product(c.entries(), scaled.entries(), &mut correction);
        w.entries_mut().iter_mut().zip(correction.entries()).for_each(|(w, c)| *w -= c);
        self.solve_s(&mut w);
        let solved = c.times(&w);
        x.entries_mut().iter_mut().zip(solved.entries()).for_each(|(x, s)| *x += s);
    }

    fn k_times(&mut self, x: &mut Matrix) {
        let c = &self.m.c;
        let mut w = Matrix::zeros(c.n_cols(), x.n_cols());
        cross_product(c.entries(), x.entries(), &mut w);
        self.solve_s(&mut w);
        *x = c.times(&w);
    }
}
