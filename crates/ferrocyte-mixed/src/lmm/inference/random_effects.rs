//! Standard errors of predicted random effects.
//!
//! The variance of the prediction error u - û is s₀(Γ - ΓK_AΓ), K_A = (I + AΓ)⁻¹A: what is left of the variance of u
//! once û and the estimated fixed effects are taken into account (the corner of the inverse of Henderson's
//! mixed-model equations; Henderson 1975, doi 10.2307/2529430). With one component its diagonal is s₁ Σ_l U_il²/(1 + γλ_l).

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::product;

use crate::lmm::core::Structure;
use crate::lmm::fit::GroupFit;
use crate::lmm::inference::several;
use crate::lmm::several::{Gene, Likelihood};
use crate::lmm::status::Outcome;

impl GroupFit {
    /// Standard errors of the predictions of [`GroupFit::random_effects`], genes × q. NaN without estimate, and where
    /// a component is below zero: its effects have no variance.
    pub fn random_effect_errors(&self, run: &Run) -> Result<Vec<f64>> {
        let Some(core) = &self.core else { return Ok(Vec::new()) };
        let (q, width) = (core.q(), self.n_components() + 1);
        let theta = |gene: usize| {
            let outcome = self.outcomes[gene];
            let known = outcome.has_estimate() && outcome != Outcome::NotIdentifiable;
            known.then(|| &self.theta[gene * width..(gene + 1) * width])
        };
        let squares = match &core.structure {
            Structure::One { spectrum, .. } => {
                let mut squares = spectrum.u.transpose();
                squares.entries_mut().iter_mut().for_each(|x| *x *= *x);
                Some((squares, &spectrum.lambda))
            }
            Structure::Several(_) => None,
        };
        let units = match &core.structure {
            Structure::One { .. } => None,
            Structure::Several(model) => Some(several::units(model, q)),
        };
        let blocks = run.map_ranges("random effects", core.n_genes(), core.gene_block(), |genes| {
            let mut variances = vec![f64::NAN; genes.len() * q];
            match (&core.structure, &squares) {
                (Structure::Several(model), _) => {
                    let mut likelihood = Likelihood::new(model);
                    for (row, gene) in variances.chunks_exact_mut(q.max(1)).zip(genes) {
                        let (Some(theta), Some(units)) = (theta(gene), &units) else { continue };
                        let gene = Gene { z: core.z_of(gene), rss: core.rss[gene] };
                        if let Some(found) = several::prediction_variances(model, &mut likelihood, units, gene, theta) {
                            row.copy_from_slice(&found);
                        }
                    }
                }
                (Structure::One { .. }, Some((squares, lambda))) => {
                    let mut rows = vec![f64::NAN; genes.len() * q];
                    for (row, gene) in rows.chunks_exact_mut(q.max(1)).zip(genes) {
                        let Some(&[s1, s0]) = theta(gene) else { continue };
                        row.iter_mut().zip(*lambda).for_each(|(x, l)| *x = s1 / (1.0 + s1 / s0 * l));
                    }
                    product(&rows, q, squares, &mut variances);
                }
                (Structure::One { .. }, None) => {}
            }
            Ok(variances.into_iter().map(f64::sqrt).collect::<Vec<_>>())
        })?;
        Ok(blocks.into_iter().flatten().collect())
    }
}
