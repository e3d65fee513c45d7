//! What inference takes from the route of several components, in one place: quantities of one gene at its estimate.

use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use crate::lmm::core::Core;
use crate::lmm::estimates::Surface;
use crate::lmm::fit::GroupFit;
use crate::lmm::inference::moments::Shared;
use crate::lmm::inference::wald::Moments;
use crate::lmm::several::{Gene, Likelihood, Several};
use crate::lmm::status::Outcome;

/// Estimates and covariance of the contrasts of one gene, at the components that tests use; `None` without estimate.
///
/// With a_j = (I + AΓ)⁻¹Hc_j: covariance s₀ (c_i'(X'X)⁻¹c_j + (Hc_i)'Γa_j), its derivative in s_m the product of a_i
/// and a_j over the random effects of component m, and in s₀ what Euler's relation leaves.
pub(super) fn moments(
    group: &GroupFit,
    core: &Core,
    several: &Several,
    likelihood: &mut Likelihood<'_>,
    shared: &Shared,
    gene: usize,
) -> Option<Moments> {
    let at = group.components_of(gene, Surface::Tested);
    if !at.outcome.has_estimate() {
        return None;
    }
    let (r, k) = (shared.r(), group.n_components());
    let (theta, s0) = (at.theta, at.theta[k]);
    let mut estimate = shared.base.ols(core, gene..gene + 1).estimate;
    if at.outcome == Outcome::NotIdentifiable {
        let entries = shared.x0.entries().iter().map(|x| s0 * x).collect();
        let covariance = Matrix::from_rows(r, r, entries);
        return Some(Moments { estimate, covariance, derivatives: Vec::new(), information_inverse: None });
    }
    let point = likelihood.evaluate(theta, Gene { z: core.z_of(gene), rss: core.rss[gene] })?;
    let information = if at.expected_information {
        scaled_inverse(&point.information, 0.0)
    } else {
        scaled_inverse(&likelihood.observed(&point), 0.0).or_else(|_| scaled_inverse(&point.information, 0.0))
    };
    let information_inverse = Some(information.ok()?);

    let hc = &shared.base.a;
    let mut a = hc.clone();
    likelihood.solve(&mut a);
    let gamma = likelihood.gamma();
    let mut covariance = scaled(&shared.x0, s0);
    let mut derivatives = vec![Matrix::zeros(r, r); k + 1];
    for ((range, &g), derivative) in several.ranges().iter().zip(gamma).zip(&mut derivatives) {
        for l in range.clone() {
            let (hc, a, gu) = (hc.row(l), a.row(l), g * point.u.entries()[l]);
            for i in 0..r {
                estimate[i] -= gu * hc[i];
                for j in 0..r {
                    covariance[(i, j)] += s0 * g * hc[i] * a[j];
                    derivative[(i, j)] += a[i] * a[j];
                }
            }
        }
    }
    symmetrise(&mut covariance);
    for i in 0..r {
        for j in 0..r {
            let explained: f64 = (0..k).map(|m| theta[m] * derivatives[m][(i, j)]).sum();
            derivatives[k][(i, j)] = (covariance[(i, j)] - explained) / s0;
        }
    }
    Some(Moments { estimate, covariance, derivatives, information_inverse })
}

/// `scale` times a matrix.
fn scaled(matrix: &Matrix, scale: f64) -> Matrix {
    let entries = matrix.entries().iter().map(|x| scale * x).collect();
    Matrix::from_rows(matrix.n_rows(), matrix.n_cols(), entries)
}

/// The mean of both triangles, which differ in their last bits.
fn symmetrise(a: &mut Matrix) {
    for i in 0..a.n_rows() {
        for j in 0..i {
            let mean = 0.5 * (a[(i, j)] + a[(j, i)]);
            a[(i, j)] = mean;
            a[(j, i)] = mean;
        }
    }
}

/// Unit vectors of the random effects in the basis of the model, q × q.
pub(super) fn units(several: &Several, q: usize) -> Matrix {
    let mut units = Matrix::zeros(q, q);
    for l in 0..q {
        units[(l, l)] = 1.0;
    }
    several.enter_columns(&units)
}

/// Variances of the prediction errors u - û of one gene, one per random effect: the diagonal of
/// s₀(Γ - ΓK_AΓ) = s₀Γ(I + AΓ)⁻¹. `None` where the likelihood is not defined. `units`: of [`units`].
pub(super) fn prediction_variances(
    several: &Several,
    likelihood: &mut Likelihood<'_>,
    units: &Matrix,
    gene: Gene<'_>,
    theta: &[f64],
) -> Option<Vec<f64>> {
    likelihood.evaluate(theta, gene)?;
    let mut solved = units.clone();
    likelihood.solve(&mut solved);
    for (l, g) in several.spread(likelihood.gamma()).iter().enumerate() {
        solved.row_mut(l).iter_mut().for_each(|x| *x *= g);
    }
    let (units, solved) = (units.transpose(), solved.transpose());
    let s0 = theta[theta.len() - 1];
    Some((0..units.n_rows()).map(|l| s0 * dot(units.row(l), solved.row(l))).collect())
}
