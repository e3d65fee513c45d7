//! Contrasts with one component: all genes of a block share three matrix products.

use ferrocyte_math::linalg::{Matrix, product};

use crate::lmm::canonical::Spectrum;
use crate::lmm::core::{Core, Structure};
use crate::lmm::estimates::{Estimates, SharedByGenes, Surface};
use crate::lmm::fit::GroupFit;
use crate::lmm::options::Method;
use crate::lmm::status::Outcome;

impl GroupFit {
    /// Estimates of a block of genes.
    pub(in crate::lmm) fn block_one(
        &self,
        core: &Core,
        spectrum: &Spectrum,
        shared: &SharedByGenes,
        genes: std::ops::Range<usize>,
        surface: Surface,
    ) -> Estimates {
        let (p, q, r) = (core.p(), core.q(), shared.r());
        let mut out = shared.ols(core, genes.clone());
        let n = genes.len();
        // Per gene and random effect: γhw, γh, 1/v², λ/v².
        let mut rows = [vec![0.0; n * q], vec![0.0; n * q], vec![0.0; n * q], vec![0.0; n * q]];
        for (i, gene) in genes.clone().enumerate() {
            let at = self.components_of(gene, surface);
            if !at.outcome.has_estimate() {
                continue;
            }
            let (s1, s0) = (at.theta[0], at.theta[1]);
            let gamma = s1 / s0;
            let w = core.z_of(gene);
            for l in 0..q {
                let lambda = spectrum.lambda[l];
                let h = 1.0 / (1.0 + gamma * lambda);
                let v2 = (h / s0) * (h / s0);
                rows[0][i * q + l] = gamma * h * w[l];
                rows[1][i * q + l] = gamma * h;
                rows[2][i * q + l] = v2;
                rows[3][i * q + l] = lambda * v2;
            }
        }
        let times = |rows: &[f64], matrix: &Matrix| {
            let mut out = vec![0.0; n * r];
            product(rows, q, matrix, &mut out);
            out
        };
        let shift = times(&rows[0], &shared.a);
        let [spread, over_v2, lambda_over_v2] =
            [&rows[1], &rows[2], &rows[3]].map(|rows| times(rows, &shared.a_squared));
        for (i, gene) in genes.enumerate() {
            let at = self.components_of(gene, surface);
            if !at.outcome.has_estimate() {
                out.forget(i, r, at.outcome);
                continue;
            }
            let (s1, s0) = (at.theta[0], at.theta[1]);
            let information = observed_one(core, spectrum, gene, s1, s0, p, at.expected_information);
            for j in 0..r {
                let k = i * r + j;
                let x0 = shared.x0[j];
                let f = s0 * (x0 + spread[k]);
                let gradient = [s0 * s0 * over_v2[k], x0 + s1 * s1 * lambda_over_v2[k]];
                out.estimate[k] -= shift[k];
                out.variance[k] = f;
                out.df[k] = if at.outcome == Outcome::NotIdentifiable {
                    core.residual_df()
                } else {
                    let [h11, h10, h00] = information;
                    let det = h11 * h00 - h10 * h10;
                    let [g1, g0] = gradient;
                    2.0 * f * f * det / (g1 * g1 * h00 - 2.0 * g1 * g0 * h10 + g0 * g0 * h11)
                };
            }
        }
        out
    }
}

/// Information of (s₁, s₀): observed where it is positive definite and wanted, else expected.
pub(in crate::lmm) fn observed_one(
    core: &Core,
    spectrum: &Spectrum,
    gene: usize,
    s1: f64,
    s0: f64,
    p: usize,
    expected: bool,
) -> [f64; 3] {
    let Structure::One { profile, .. } = &core.structure else { return [f64::NAN; 3] };
    let (f11, f10, f00) = profile.expected_information(s1 / s0, s0);
    if expected {
        return [f11, f10, f00];
    }
    let n = core.shared.n;
    let (mut h11, mut h10, mut h00) = (0.0, 0.0, 0.0);
    let mut residual = core.rss[gene];
    for (w, &lambda) in core.z_of(gene).iter().zip(&spectrum.lambda) {
        if lambda > 0.0 {
            let (c, v) = (w * w / lambda, s0 + lambda * s1);
            let c3 = c / (v * v * v);
            residual -= c;
            h11 += lambda * lambda * c3;
            h10 += lambda * c3;
            h00 += c3;
        }
    }
    let (traces, degrees) = match core.method {
        Method::Reml => (&spectrum.lambda, n - p as f64),
        Method::Ml => (&spectrum.mu, n),
    };
    let mut positive = 0.0;
    for &m in traces.iter().filter(|&&m| m > 0.0) {
        let v = s0 + m * s1;
        let half = 0.5 / (v * v);
        h11 -= m * m * half;
        h10 -= m * half;
        h00 -= half;
        positive += 1.0;
    }
    h00 += residual.max(0.0) / (s0 * s0 * s0) - (degrees - positive) / (2.0 * s0 * s0);
    let positive_definite = h11 > 0.0 && h11 * h00 - h10 * h10 > 0.0;
    if positive_definite { [h11, h10, h00] } else { [f11, f10, f00] }
}
