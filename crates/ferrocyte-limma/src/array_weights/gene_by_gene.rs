//! One scoring step per gene, in the order of the genes.
//!
//! The information of the genes seen so far is kept, so that later genes move the weights less and less. A gene's
//! step needs a solution with a matrix that has hardly changed since the last gene: beyond a few parameters that is found by
//! conjugate gradients, preconditioned with an earlier Cholesky factor.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, solve_lower, solve_lower_transposed};
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::variance_design::VarianceDesign;
use super::{ArrayWeightOptions, NO_VARIANCE};
use crate::{DesignMatrix, Expression};

/// Up to this number of parameters a Cholesky factor costs less than iterations.
const FEW: usize = 24;
/// Relative residual of a solution.
const ACCURACY: f64 = 1e-12;
/// With more iterations than this the preconditioner is made anew.
const MOST_ITERATIONS: usize = 6;
/// Genes between two looks at whether to stop.
const GENES: usize = 256;

pub(super) fn estimate(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    variances: &VarianceDesign,
    options: &ArrayWeightOptions<'_>,
) -> Result<Vec<f64>> {
    let n = y.n_samples();
    let m = variances.n_parameters();
    let mut information = Information::new(variances.prior(options.prior_n));
    let mut gamma = vec![0.0; m];
    let mut weights = vec![1.0; n];
    let mut gene = Gene::default();
    let mut step = vec![0.0; m];
    let ticker = run.task("weights of samples", y.n_genes() as u64);
    for g in 0..y.n_genes() {
        if g % GENES == 0 {
            run.check()?;
            ticker.advance(GENES.min(y.n_genes() - g) as u64);
        }
        let prior = options.weights.row(g, n);
        if !gene.fit(design.matrix(), y.row(g), &weights, prior.as_deref()) {
            continue;
        }
        variances.add_diagonal(&gene.left, &mut information.matrix);
        variances.transposed_times(&gene.left, &mut step);
        information.subtract_square(&step, 1.0 / gene.left.iter().sum::<f64>());
        variances.transposed_times(&gene.excess, &mut step);
        information.solve(&mut step);
        gamma.iter_mut().zip(&step).for_each(|(g, s)| *g += s);
        variances.weights(&gamma, &mut weights);
    }
    Ok(weights)
}

/// What one gene says.
#[derive(Debug, Default)]
struct Gene {
    qr: PivotedQr,
    observed: Vec<usize>,
    roots: Vec<f64>,
    effects: Vec<f64>,
    column: Vec<f64>,
    /// One less the leverage of each sample; 0 where it is missing.
    left: Vec<f64>,
    /// How much a squared residual exceeds what is expected, in units of the residual variance.
    excess: Vec<f64>,
}

impl Gene {
    /// Fits a gene; `false` where it says nothing.
    fn fit(&mut self, design: &Matrix, y: &[f64], weights: &[f64], prior: Option<&[f64]>) -> bool {
        let n = y.len();
        let weight = |i: usize| weights[i] * prior.map_or(1.0, |w| w[i]);
        self.observed.clear();
        self.observed.extend((0..n).filter(|&i| y[i].is_finite() && weight(i) > 0.0));
        let seen = self.observed.len();
        if seen < n && seen <= 2 {
            return false;
        }
        self.roots.clear();
        self.roots.extend(self.observed.iter().map(|&i| weight(i).sqrt()));
        let (observed, roots) = (&self.observed, &self.roots);
        self.qr.factor(seen, design.n_cols(), |j, column| {
            for ((out, &i), u) in column.iter_mut().zip(observed).zip(roots) {
                *out = design[(i, j)] * u;
            }
        });
        let rank = self.qr.rank();
        if seen <= rank || (seen < n && seen - rank < 2) {
            return false;
        }
        self.effects.clear();
        self.effects.extend(self.observed.iter().zip(&self.roots).map(|(&i, u)| y[i] * u));
        self.qr.apply_transposed(&mut self.effects);
        let variance = dot(&self.effects[rank..], &self.effects[rank..]) / (seen - rank) as f64;
        if variance < NO_VARIANCE {
            return false;
        }
        // Back without the part that is fitted: residuals times the roots of the weights.
        self.effects[..rank].fill(0.0);
        self.qr.apply(&mut self.effects);
        for values in [&mut self.left, &mut self.excess] {
            values.clear();
            values.resize(n, 0.0);
        }
        self.observed.iter().for_each(|&i| self.left[i] = 1.0);
        for k in 0..rank {
            self.column.clear();
            self.column.resize(seen, 0.0);
            self.column[k] = 1.0;
            self.qr.apply(&mut self.column);
            self.observed.iter().zip(&self.column).for_each(|(&i, q)| self.left[i] -= q * q);
        }
        for (&i, r) in self.observed.iter().zip(&self.effects) {
            self.excess[i] = r * r / variance - self.left[i];
        }
        true
    }
}

/// Fisher's information of the genes so far.
struct Information {
    matrix: Matrix,
    factor: Option<Matrix>,
    direction: Vec<f64>,
    residual: Vec<f64>,
    scaled: Vec<f64>,
    image: Vec<f64>,
}

impl Information {
    fn new(matrix: Matrix) -> Self {
        Self { matrix, factor: None, direction: vec![], residual: vec![], scaled: vec![], image: vec![] }
    }

    /// Subtracts `v v'` times `scale`.
    fn subtract_square(&mut self, v: &[f64], scale: f64) {
        for (a, va) in v.iter().enumerate() {
            let share = scale * va;
            self.matrix.row_mut(a).iter_mut().zip(v).for_each(|(x, vb)| *x -= share * vb);
        }
    }

    /// Replaces `b` by the solution.
    fn solve(&mut self, b: &mut [f64]) {
        if b.len() <= FEW {
            self.refactor();
            precondition(self.factor.as_ref(), b);
            return;
        }
        if self.factor.is_none() {
            self.refactor();
        }
        if self.iterate(b) > MOST_ITERATIONS {
            self.refactor();
        }
    }

    fn refactor(&mut self) {
        let mut factor = self.factor.take().unwrap_or_else(|| Matrix::zeros(0, 0));
        if factor.n_rows() == self.matrix.n_rows() {
            factor.entries_mut().copy_from_slice(self.matrix.entries());
        } else {
            factor = self.matrix.clone();
        }
        // Positive definite since it began with the prior, and every gene adds a matrix without negative eigenvalues.
        let _ = cholesky_in_place(&mut factor);
        self.factor = Some(factor);
    }

    /// Conjugate gradients from zero; returns the number of iterations.
    fn iterate(&mut self, b: &mut [f64]) -> usize {
        let enough = ACCURACY * dot(b, b).sqrt();
        self.residual.clear();
        self.residual.extend_from_slice(b);
        b.fill(0.0);
        self.direction.clear();
        let mut before = 0.0;
        for iteration in 0..2 * b.len() {
            if dot(&self.residual, &self.residual).sqrt() <= enough {
                return iteration;
            }
            self.scaled.clone_from(&self.residual);
            precondition(self.factor.as_ref(), &mut self.scaled);
            let now = dot(&self.residual, &self.scaled);
            if self.direction.is_empty() {
                self.direction.clone_from(&self.scaled);
            } else {
                self.direction.iter_mut().zip(&self.scaled).for_each(|(d, s)| *d = s + now / before * *d);
            }
            before = now;
            self.image.clear();
            let Self { matrix, direction, image, .. } = self;
            image.extend((0..direction.len()).map(|i| dot(matrix.row(i), direction)));
            let length = now / dot(&self.direction, &self.image);
            b.iter_mut().zip(&self.direction).for_each(|(x, d)| *x += length * d);
            self.residual.iter_mut().zip(&self.image).for_each(|(r, a)| *r -= length * a);
        }
        2 * b.len()
    }
}

fn precondition(factor: Option<&Matrix>, b: &mut [f64]) {
    if let Some(factor) = factor {
        solve_lower(factor, b);
        solve_lower_transposed(factor, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    #[test]
    fn gradients_solve_as_a_factor_does() {
        let m = 40;
        let mut stream = Stream::new(5, 0);
        let half = Matrix::from_rows(m, m, (0..m * m).map(|_| stream.normal()).collect());
        let mut matrix = half.times(&half.transpose());
        (0..m).for_each(|i| matrix[(i, i)] += 10.0);
        let mut information = Information::new(matrix.clone());
        for _ in 0..3 {
            let v: Vec<f64> = (0..m).map(|_| stream.normal()).collect();
            information.subtract_square(&v, -1.0);
            let b: Vec<f64> = (0..m).map(|_| stream.normal()).collect();
            let mut x = b.clone();
            information.solve(&mut x);
            for i in 0..m {
                assert!((dot(information.matrix.row(i), &x) - b[i]).abs() < 1e-11);
            }
        }
    }
}
