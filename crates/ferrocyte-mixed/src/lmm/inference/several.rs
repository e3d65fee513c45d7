//! What inference takes from the route of several components, in one place: quantities of one gene at its estimate.

use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use crate::lmm::core::Core;
use crate::lmm::estimates::Surface;
use crate::lmm::fit::GroupFit;
use crate::lmm::inference::moments::Shared;
use crate::lmm::inference::wald::Moments;
use crate::lmm::several::{Dense, information};
use crate::lmm::status::Outcome;

/// K_A = (I + AΓ)⁻¹A at a point, γ per random effect, and the component of each.
struct At {
    k_a: Matrix,
    gamma: Vec<f64>,
    owner: Vec<usize>,
}

impl At {
    fn new(dense: &Dense, theta: &[f64]) -> Option<Self> {
        let k_a = dense.k_of_a(theta)?;
        let (gamma, owner) = dense.gammas(theta);
        Some(Self { k_a, gamma, owner })
    }

    /// (I + AΓ)⁻¹x = x - K_A Γx.
    fn project(&self, x: &[f64]) -> Vec<f64> {
        let scaled: Vec<f64> = x.iter().zip(&self.gamma).map(|(x, g)| x * g).collect();
        (0..x.len()).map(|i| x[i] - dot(self.k_a.row(i), &scaled)).collect()
    }

    /// Σ x γ y over random effects.
    fn weighted(&self, x: &[f64], y: &[f64]) -> f64 {
        (0..x.len()).map(|l| x[l] * self.gamma[l] * y[l]).sum()
    }
}

/// Estimates and covariance of the contrasts of one gene, at the components that tests use; `None` without estimate.
///
/// With a_j = (I + AΓ)⁻¹Hc_j: covariance s₀ (c_i'(X'X)⁻¹c_j + (Hc_i)'Γa_j), its derivative in s_m the product of a_i
/// and a_j over the random effects of component m, and in s₀ what Euler's relation leaves.
pub(super) fn moments(group: &GroupFit, core: &Core, dense: &Dense, shared: &Shared, gene: usize) -> Option<Moments> {
    let at = group.components_of(gene, Surface::Tested);
    if !at.outcome.has_estimate() {
        return None;
    }
    let (q, r, k) = (core.q(), shared.r(), group.n_components());
    let (theta, s0) = (at.theta, at.theta[k]);
    let mut estimate = shared.base.ols(core, gene..gene + 1).estimate;
    if at.outcome == Outcome::NotIdentifiable {
        let entries = shared.x0.entries().iter().map(|x| s0 * x).collect();
        let covariance = Matrix::from_rows(r, r, entries);
        return Some(Moments { estimate, covariance, derivatives: Vec::new(), information_inverse: None });
    }
    let z = core.z_of(gene);
    let point = dense.evaluate(theta, &dense.whiten(z), core.rss[gene])?;
    let here = At::new(dense, theta)?;
    let u = here.project(z);
    let v = here.project(&u);
    let h = information(core, dense, &point, &here.k_a, &u, &v, &here.gamma, &here.owner, at.expected_information)?;
    let information_inverse = Some(scaled_inverse(&h, 0.0).or_else(|_| scaled_inverse(&point.information, 0.0)).ok()?);

    let hc: Vec<Vec<f64>> = (0..r).map(|j| (0..q).map(|l| shared.base.a[(l, j)]).collect()).collect();
    let a: Vec<Vec<f64>> = hc.iter().map(|x| here.project(x)).collect();
    let mut covariance = Matrix::zeros(r, r);
    let mut derivatives = vec![Matrix::zeros(r, r); k + 1];
    for i in 0..r {
        estimate[i] -= here.weighted(&hc[i], &u);
        for j in 0..=i {
            let c = s0 * (shared.x0[(i, j)] + here.weighted(&hc[i], &a[j]));
            let mut parts = vec![0.0; k + 1];
            for l in 0..q {
                parts[here.owner[l]] += a[i][l] * a[j][l];
            }
            parts[k] = (c - (0..k).map(|m| theta[m] * parts[m]).sum::<f64>()) / s0;
            covariance[(i, j)] = c;
            covariance[(j, i)] = c;
            for (d, part) in derivatives.iter_mut().zip(parts) {
                d[(i, j)] = part;
                d[(j, i)] = part;
            }
        }
    }
    Some(Moments { estimate, covariance, derivatives, information_inverse })
}

/// Variances of the prediction errors u - û of one gene, one per random effect: the diagonal of s₀(Γ - ΓK_AΓ). `None`
/// where the likelihood is not defined.
pub(super) fn prediction_variances(dense: &Dense, theta: &[f64]) -> Option<Vec<f64>> {
    let here = At::new(dense, theta)?;
    let s0 = theta[theta.len() - 1];
    let variance = here.gamma.iter().enumerate().map(|(l, g)| s0 * g * (1.0 - g * here.k_a[(l, l)]));
    Some(variance.collect())
}
