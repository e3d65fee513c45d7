//! Several variance components.
//!
//! One likelihood ([`Likelihood`], in scoring.rs) written once against what it needs of the random effects' matrices
//! (operator.rs), and three routes to that: crossed.rs, blocks.rs, dense.rs.

mod blocks;
mod crossed;
mod dense;
mod estimates;
mod moderate;
mod operator;
mod scoring;
mod signed;
#[cfg(test)]
mod tests;

use std::ops::Range;

use ferrocyte_base::Result;
use ferrocyte_math::linalg::Matrix;

use crate::lmm::canonical::Canonical;
use crate::lmm::options::Method;
use crate::lmm::status::Outcome;
use crossed::Crossed;
pub(in crate::lmm) use moderate::Moderation;
use operator::{Guarded, Route, Which};
pub(in crate::lmm) use scoring::{Gene, Likelihood, Point, SeveralFit};

/// What the genes of a model with several components share.
#[derive(Debug)]
pub(in crate::lmm) struct Several {
    /// A = Z'RZ.
    a: Guarded,
    /// Z'Z, for the traces of ML and for the check of the cells' covariance.
    zz: Guarded,
    dims: Vec<usize>,
    ranges: Vec<Range<usize>>,
    nu: f64,
    /// n - p, whatever the method.
    residual_df: f64,
    method: Method,
}

impl Several {
    /// Prepares A and Z'Z, each by the cheapest route.
    pub(in crate::lmm) fn new(shared: &Canonical, method: Method) -> Result<Self> {
        let (a, zz) = (Guarded::new(shared, Which::Projected)?, Guarded::new(shared, Which::Plain)?);
        Ok(Self::from_routes(shared, method, a, zz))
    }

    fn from_routes(shared: &Canonical, method: Method, a: Guarded, zz: Guarded) -> Self {
        let residual_df = shared.n - shared.p() as f64;
        let nu = match method {
            Method::Reml => residual_df,
            Method::Ml => shared.n,
        };
        let dims = shared.dims.clone();
        Self { a, zz, ranges: operator::ranges(&dims), dims, nu, residual_df, method }
    }

    /// The rank of A.
    pub(in crate::lmm) fn rank(&self) -> usize {
        self.a.operator().rank()
    }

    /// z'A⁺z: the most that the random effects can explain of a gene; z in the basis of this model.
    pub(in crate::lmm) fn explained(&self, z: &[f64]) -> f64 {
        self.a.operator().explained(z)
    }

    /// Turns row vectors of random effects (genes × q) into the basis of this model.
    pub(in crate::lmm) fn enter(&self, rows: &mut [f64]) {
        self.a.operator().enter(rows);
    }

    /// Turns the columns of a matrix (q × r) into the basis of this model.
    pub(in crate::lmm) fn enter_columns(&self, columns: &Matrix) -> Matrix {
        let mut rows = columns.transpose();
        self.enter(rows.entries_mut());
        rows.transpose()
    }

    /// Turns a vector back.
    pub(in crate::lmm) fn leave(&self, x: &mut [f64]) {
        self.a.operator().leave(x);
    }

    /// One number per component, spread over its random effects.
    pub(in crate::lmm) fn spread(&self, of_components: &[f64]) -> Vec<f64> {
        let mut out = Vec::new();
        operator::spread(&self.dims, of_components, &mut out);
        out
    }

    /// The positions of each component in a vector of random effects.
    pub(in crate::lmm) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// A with its largest component in its own eigenvectors, whatever route is taken.
    fn as_crossed(&self, shared: &Canonical) -> Result<Crossed> {
        Crossed::new(&shared.a, self.a.scale(), &self.dims)
    }

    /// Turns row vectors of this model into the basis of [`Several::as_crossed`].
    fn to_crossed(&self, crossed: &Crossed, rows: &mut [f64]) {
        if self.a.kind() != Route::Crossed {
            crossed.enter_row(rows);
        }
    }

    /// Moves s₀ to its profile value at the same ratios and reports (components, s₀) as they then stand.
    fn finish(&self, point: &Point, outcome: Outcome, evaluations: u32) -> SeveralFit {
        let k = self.dims.len();
        let mut theta = point.theta.clone();
        theta[k] = point.quadratic / self.nu;
        let log_likelihood = -0.5 * (self.nu * (1.0 + (2.0 * std::f64::consts::PI * theta[k]).ln()) + point.ln_det);
        SeveralFit { theta, log_likelihood, outcome, evaluations }
    }

    /// Components held at zero, for genes without estimate.
    fn held_at_zero(&self, rss: f64, outcome: Outcome, evaluations: u32) -> SeveralFit {
        let k = self.dims.len();
        let mut theta = vec![0.0; k + 1];
        theta[k] = rss / self.nu;
        let log_likelihood = -0.5 * self.nu * (1.0 + (2.0 * std::f64::consts::PI * theta[k]).ln());
        SeveralFit { theta, log_likelihood, outcome, evaluations }
    }
}
