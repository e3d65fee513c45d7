//! Contrasts with several components: all contrasts of a gene in one system.

use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use super::{Gene, Likelihood, Several};
use crate::lmm::core::Core;
use crate::lmm::estimates::{Components, Estimates, SharedByGenes, Surface};
use crate::lmm::fit::GroupFit;
use crate::lmm::status::Outcome;

impl GroupFit {
    /// Estimates of a block of genes.
    pub(in crate::lmm) fn block_several(
        &self,
        core: &Core,
        several: &Several,
        shared: &SharedByGenes,
        genes: std::ops::Range<usize>,
        surface: Surface,
    ) -> Estimates {
        let r = shared.r();
        let mut out = shared.ols(core, genes.clone());
        let mut likelihood = Likelihood::new(several);
        let mut system = Contrasts::new(shared, self.n_components());
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
            let gene = Gene { z: core.z_of(gene), rss: core.rss[gene] };
            if system.solve(several, &mut likelihood, gene, &at, &mut out, i).is_none() {
                out.forget(i, r, Outcome::NoResidual);
            }
        }
        out
    }
}

/// The system (I + AΓ)⁻¹Hc of all contrasts, and sums over it.
struct Contrasts<'a> {
    shared: &'a SharedByGenes,
    /// a = (I + AΓ)⁻¹Hc, q × r.
    a: Matrix,
    /// |a_j|² of each component, k × r.
    norms: Matrix,
    /// (Hc)'Γa.
    spread: Vec<f64>,
    /// (Hc)'Γu.
    shift: Vec<f64>,
}

impl<'a> Contrasts<'a> {
    fn new(shared: &'a SharedByGenes, k: usize) -> Self {
        let r = shared.r();
        Self {
            shared,
            a: Matrix::zeros(shared.a.n_rows(), r),
            norms: Matrix::zeros(k, r),
            spread: vec![0.0; r],
            shift: vec![0.0; r],
        }
    }

    /// Everything about one gene, row `i` of the block. `None` where the likelihood is not defined.
    fn solve(
        &mut self,
        several: &Several,
        likelihood: &mut Likelihood<'_>,
        gene: Gene<'_>,
        at: &Components<'_>,
        out: &mut Estimates,
        i: usize,
    ) -> Option<()> {
        let (theta, k) = (at.theta, at.theta.len() - 1);
        let s0 = theta[k];
        let point = likelihood.evaluate(theta, gene)?;
        let inverse = if at.expected_information {
            scaled_inverse(&point.information, 0.0)
        } else {
            scaled_inverse(&likelihood.observed(&point), 0.0).or_else(|_| scaled_inverse(&point.information, 0.0))
        }
        .ok()?;
        self.a.entries_mut().copy_from_slice(self.shared.a.entries());
        likelihood.solve(&mut self.a);
        self.add_up(several, likelihood.gamma(), point.u.entries());
        let r = self.shared.r();
        let mut gradient = vec![0.0; k + 1];
        for j in 0..r {
            // c'(X'V⁻¹X)⁻¹c / s₀ = c'(X'X)⁻¹c + (Hc)'Γ(I + AΓ)⁻¹Hc
            let f = s0 * (self.shared.x0[j] + self.spread[j]);
            for c in 0..k {
                gradient[c] = self.norms[(c, j)];
            }
            gradient[k] = (f - dot(&theta[..k], &gradient[..k])) / s0;
            let quadratic: f64 = (0..=k).map(|b| gradient[b] * dot(inverse.row(b), &gradient)).sum();
            let at = i * r + j;
            out.estimate[at] -= self.shift[j];
            out.variance[at] = f;
            out.df[at] = 2.0 * f * f / quadratic;
        }
        Some(())
    }

    fn add_up(&mut self, several: &Several, gamma: &[f64], u: &[f64]) {
        self.norms.entries_mut().fill(0.0);
        self.spread.fill(0.0);
        self.shift.fill(0.0);
        for (c, (range, &g)) in several.ranges().iter().zip(gamma).enumerate() {
            for l in range.clone() {
                let (hc, a, gu) = (self.shared.a.row(l), self.a.row(l), g * u[l]);
                let sums = self.norms.row_mut(c).iter_mut().zip(&mut self.spread).zip(&mut self.shift);
                for (((norm, spread), shift), (&hc, &a)) in sums.zip(hc.iter().zip(a)) {
                    *norm += a * a;
                    *spread += g * hc * a;
                    *shift += gu * hc;
                }
            }
        }
    }
}
