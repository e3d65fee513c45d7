//! [`GeneSolver`]: weighted least squares of one gene by Householder's reflections.
//!
//! Slower than [`super::weighted`], which hands over the genes that it cannot solve to full accuracy: those whose
//! observed samples leave a coefficient inestimable or nearly so.

use ferrocyte_math::linalg::{Matrix, dot};
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::blocks::Exchangeable;
use super::parts::GenePart;

/// Memory for the fits of single genes.
#[derive(Debug, Default)]
pub(crate) struct GeneSolver {
    qr: PivotedQr,
    observed: Vec<usize>,
    roots: Vec<f64>,
    y: Vec<f64>,
    column: Vec<f64>,
    root_shares: Vec<f64>,
    sums: Vec<f64>,
}

impl GeneSolver {
    /// Fits values `y` on the rows of `design` with weights `w`. Values that are not finite and values whose weight is
    /// not positive are missing.
    pub(crate) fn fit(
        &mut self,
        design: &Matrix,
        correlation: Option<&Exchangeable>,
        y: &[f64],
        w: &[f64],
        out: &mut GenePart<'_>,
    ) {
        self.decompose(design, correlation, y, w);
        let (n, rank) = (self.observed.len(), self.qr.rank());
        if n == 0 {
            return;
        }
        let total = dot(&self.y, &self.y);
        self.qr.apply_transposed(&mut self.y);
        let (effects, left) = self.y.split_at_mut(rank);
        let residual = dot(left, left);
        if rank == 0 {
            // Nothing of the design is seen: the values themselves are what is left.
            out.set_variance(n, 0, residual, total);
            return;
        }
        out.set_variance(n, rank, residual, total);
        self.qr.solve(effects);
        let kept = &self.qr.pivot()[..rank];
        for (&j, b) in kept.iter().zip(effects.iter()) {
            out.coefficients[j] = *b;
        }
        out.set_covariances(&self.qr.r_inverse().transpose(), kept);
    }

    /// Decomposes the whitened rows of the design that are observed, and leaves the whitened values in `self.y`.
    fn decompose(&mut self, design: &Matrix, correlation: Option<&Exchangeable>, y: &[f64], w: &[f64]) {
        let Self { qr, observed, roots, y: values, column: whole, root_shares, sums } = self;
        roots.clear();
        roots.extend(y.iter().zip(w).map(|(y, w)| if y.is_finite() && *w > 0.0 { w.sqrt() } else { 0.0 }));
        observed.clear();
        observed.extend((0..y.len()).filter(|&i| roots[i] > 0.0));
        if let Some(v) = correlation {
            v.root_shares(roots.iter().map(|&u| u > 0.0), root_shares);
        }
        let mut white = |value: &dyn Fn(usize) -> f64, out: &mut [f64]| {
            whole.clear();
            whole.extend(roots.iter().enumerate().map(|(i, &u)| if u > 0.0 { u * value(i) } else { 0.0 }));
            if let Some(v) = correlation {
                v.whiten(whole, root_shares, sums);
            }
            for (out, &i) in out.iter_mut().zip(&*observed) {
                *out = whole[i];
            }
        };
        values.clear();
        values.resize(observed.len(), 0.0);
        white(&|i| y[i], values);
        qr.factor(observed.len(), design.n_cols(), |j, out| white(&|i| design[(i, j)], out));
    }
}
