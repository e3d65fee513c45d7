//! Contrasts with several components, gene by gene.

use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use crate::lmm::core::Core;
use crate::lmm::estimates::{Components, Estimates, SharedByGenes, Surface};
use crate::lmm::fit::GroupFit;
use crate::lmm::options::Method;
use crate::lmm::several::Dense;
use crate::lmm::status::Outcome;

impl GroupFit {
    /// Estimates of a block of genes.
    pub(in crate::lmm) fn block_several(
        &self,
        core: &Core,
        dense: &Dense,
        shared: &SharedByGenes,
        genes: std::ops::Range<usize>,
        surface: Surface,
    ) -> Estimates {
        let r = shared.r();
        let mut out = shared.ols(core, genes.clone());
        for (i, gene) in genes.enumerate() {
            let at = self.components_of(gene, surface);
            if !at.outcome.has_estimate() {
                out.forget(i, r, at.outcome);
                continue;
            }
            if at.outcome == Outcome::NotIdentifiable {
                let s0 = at.theta[self.n_components()];
                for j in 0..r {
                    out.variance[i * r + j] = s0 * shared.x0[j];
                    out.df[i * r + j] = core.residual_df();
                }
                continue;
            }
            if gene_of_several(core, dense, shared, gene, &at, &mut out, i).is_none() {
                out.forget(i, r, Outcome::NoResidual);
            }
        }
        out
    }
}

/// Everything about one gene with several components. `None` where the likelihood is not defined.
fn gene_of_several(
    core: &Core,
    dense: &Dense,
    shared: &SharedByGenes,
    gene: usize,
    at: &Components<'_>,
    out: &mut Estimates,
    i: usize,
) -> Option<()> {
    let (q, r, k) = (core.q(), shared.r(), core.shared.dims.len());
    let (theta, s0) = (at.theta, at.theta[k]);
    let z = core.z_of(gene);
    let point = dense.evaluate(theta, &dense.whiten(z), core.rss[gene])?;
    let k_a = dense.k_of_a(theta)?;
    let (gamma, owner) = dense.gammas(theta);
    // x -> x - K Γ x = (I + AΓ)⁻¹ x
    let project = |x: &[f64]| -> Vec<f64> {
        let scaled: Vec<f64> = x.iter().zip(&gamma).map(|(x, g)| x * g).collect();
        (0..q).map(|a| x[a] - dot(k_a.row(a), &scaled)).collect()
    };
    let u = project(z);
    let inverse = scaled_inverse(
        &information(core, dense, &point, &k_a, &u, &project(&u), &gamma, &owner, at.expected_information)?,
        0.0,
    )
    .or_else(|_| scaled_inverse(&point.information, 0.0))
    .ok()?;
    for j in 0..r {
        let hc: Vec<f64> = (0..q).map(|a| shared.a[(a, j)]).collect();
        let a = project(&hc);
        let shift: f64 = (0..q).map(|l| hc[l] * gamma[l] * u[l]).sum();
        // c'(X'V⁻¹X)⁻¹c / s₀ = c'(X'X)⁻¹c + (Hc)'Γ(I + AΓ)⁻¹Hc
        let spread: f64 = (0..q).map(|l| hc[l] * gamma[l] * a[l]).sum();
        let f = s0 * (shared.x0[j] + spread);
        let mut gradient = vec![0.0; k + 1];
        for l in 0..q {
            gradient[owner[l]] += a[l] * a[l];
        }
        let explained: f64 = (0..k).map(|c| theta[c] * gradient[c]).sum();
        gradient[k] = (f - explained) / s0;
        let quadratic: f64 = (0..=k).map(|b| gradient[b] * dot(inverse.row(b), &gradient)).sum();
        let at = i * r + j;
        out.estimate[at] -= shift;
        out.variance[at] = f;
        out.df[at] = 2.0 * f * f / quadratic;
    }
    Some(())
}

/// Information of (s_1, .., s_k, s_0): observed where wanted and positive definite, else expected.
#[expect(clippy::too_many_arguments, reason = "one formula with many symbols")]
pub(in crate::lmm) fn information(
    core: &Core,
    dense: &Dense,
    point: &crate::lmm::several::Point,
    k_a: &Matrix,
    u: &[f64],
    v: &[f64],
    gamma: &[f64],
    owner: &[usize],
    expected: bool,
) -> Option<Matrix> {
    let k = core.shared.dims.len();
    if expected {
        return Some(point.information.clone());
    }
    let s0 = point.theta[k];
    let traces = match core.method {
        Method::Reml => k_a.clone(),
        Method::Ml => dense.k_of_zz(&point.theta)?,
    };
    let q = u.len();
    let mut h = Matrix::zeros(k + 1, k + 1);
    for a in 0..q {
        for b in 0..q {
            h[(owner[a], owner[b])] +=
                u[a] * k_a[(a, b)] * u[b] / (s0 * s0 * s0) - traces[(a, b)] * traces[(a, b)] / (2.0 * s0 * s0);
        }
    }
    // The trace terms of the last row are those of the expected information.
    for i in 0..k {
        let uv: f64 = (0..q).filter(|&a| owner[a] == i).map(|a| u[a] * v[a]).sum();
        h[(i, k)] = uv / (s0 * s0 * s0) - point.information[(i, k)];
        h[(k, i)] = h[(i, k)];
    }
    let u_gamma_u: f64 = (0..q).map(|a| u[a] * gamma[a] * u[a]).sum();
    let u_gamma_v: f64 = (0..q).map(|a| u[a] * gamma[a] * v[a]).sum();
    h[(k, k)] = (point.quadratic - u_gamma_u - u_gamma_v) / (s0 * s0 * s0) - point.information[(k, k)];
    Some(if scaled_inverse(&h, 0.0).is_ok() { h } else { point.information.clone() })
}
