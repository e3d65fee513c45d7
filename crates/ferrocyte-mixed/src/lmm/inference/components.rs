//! The variance components themselves: standard errors, gradients, random effects.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use crate::lmm::core::{Core, Structure};
use crate::lmm::fit::GroupFit;
use crate::lmm::several::{Gene, Likelihood};
use crate::lmm::status::Outcome;

/// Standard errors and gradients of the variance components, genes × (k + 1), in the order of `theta`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComponentErrors {
    /// Square roots of the diagonal of the inverse expected information.
    pub se: Vec<f64>,
    /// Gradient of the (restricted) log-likelihood at the estimate.
    pub score: Vec<f64>,
}

impl GroupFit {
    /// Standard errors and gradients at the estimates; NaN without estimate.
    pub fn component_errors(&self, run: &Run) -> Result<ComponentErrors> {
        let width = self.n_components() + 1;
        let Some(core) = &self.core else {
            let nan = vec![f64::NAN; width * self.outcomes.len()];
            return Ok(ComponentErrors { se: nan.clone(), score: nan });
        };
        let genes = run.map_blocks("variance components", core.n_genes(), core.gene_block(), |gene| {
            let theta = &self.theta[gene * width..(gene + 1) * width];
            let known = self.outcomes[gene].has_estimate() && self.outcomes[gene] != Outcome::NotIdentifiable;
            Ok(known
                .then(|| at_estimate(core, gene, theta))
                .flatten()
                .unwrap_or_else(|| (vec![f64::NAN; width], vec![f64::NAN; width])))
        })?;
        let mut out = ComponentErrors::default();
        for (se, score) in genes {
            out.se.extend(se);
            out.score.extend(score);
        }
        Ok(out)
    }

    /// Best linear unbiased predictions of the random effects, genes × q; NaN without estimate.
    pub fn random_effects(&self, run: &Run) -> Result<Vec<f64>> {
        let Some(core) = &self.core else { return Ok(Vec::new()) };
        let (q, width) = (core.q(), self.n_components() + 1);
        let genes = run.map_blocks("random effects", core.n_genes(), core.gene_block(), |gene| {
            let theta = &self.theta[gene * width..(gene + 1) * width];
            let known = self.outcomes[gene].has_estimate();
            Ok(known.then(|| predict(core, gene, theta)).flatten().unwrap_or_else(|| vec![f64::NAN; q]))
        })?;
        Ok(genes.into_iter().flatten().collect())
    }
}

/// Covariances of one gene.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneCovariance {
    /// (X'V⁻¹X)⁻¹, p × p.
    pub coefficients: Matrix,
    /// Expected information of s_1, .., s_k, s_0.
    pub information: Matrix,
}

impl GroupFit {
    /// The covariance of the coefficients of one gene and the information of its variance components; `None` without
    /// estimate. Formed on request: contrasts do not need it.
    pub fn covariance(&self, gene: usize) -> Option<GeneCovariance> {
        let core = self.core.as_ref()?;
        let width = self.n_components() + 1;
        let theta = &self.theta[gene * width..(gene + 1) * width];
        if !self.outcomes.get(gene)?.has_estimate() {
            return None;
        }
        let (information, _) = derivatives(core, gene, theta)?;
        let (p, s0) = (core.p(), theta[width - 1]);
        // H'Γ(I + AΓ)⁻¹H, in the eigenvectors of A where there is one component.
        let spread = match &core.structure {
            Structure::One { spectrum, .. } => {
                let gamma = theta[0] / s0;
                let mut scaled = spectrum.g.clone();
                for i in 0..p {
                    for (x, l) in scaled.row_mut(i).iter_mut().zip(&spectrum.lambda) {
                        *x *= gamma / (1.0 + gamma * l);
                    }
                }
                scaled.times(&spectrum.g.transpose())
            }
            Structure::Several(several) => {
                let mut likelihood = Likelihood::new(several);
                let z = Gene { z: core.z_of(gene), rss: core.rss[gene] };
                likelihood.evaluate(theta, z)?;
                let h = several.enter_columns(&core.shared.projection.transpose());
                let mut solved = h.clone();
                likelihood.solve(&mut solved);
                for (i, g) in several.spread(likelihood.gamma()).iter().enumerate() {
                    solved.row_mut(i).iter_mut().for_each(|x| *x *= g);
                }
                h.transpose().times(&solved)
            }
        };
        let mut coefficients = core.shared.xx_inverse.clone();
        coefficients.entries_mut().iter_mut().zip(spread.entries()).for_each(|(x, s)| *x = s0 * (*x + s));
        Some(GeneCovariance { coefficients, information })
    }
}

/// Information and gradient at an estimate.
fn derivatives(core: &Core, gene: usize, theta: &[f64]) -> Option<(Matrix, Vec<f64>)> {
    Some(match &core.structure {
        Structure::One { profile, .. } => {
            let (gamma, s0) = (theta[0] / theta[1], theta[1]);
            let (f11, f10, f00) = profile.expected_information(gamma, s0);
            let (d1, d0) = profile.score(gamma, s0, core.z_of(gene), core.rss[gene]);
            (Matrix::from_rows(2, 2, vec![f11, f10, f10, f00]), vec![d1, d0])
        }
        Structure::Several(several) => {
            let gene = Gene { z: core.z_of(gene), rss: core.rss[gene] };
            let point = Likelihood::new(several).evaluate(theta, gene)?;
            (point.information, point.score)
        }
    })
}

/// Standard errors and gradient at an estimate.
fn at_estimate(core: &Core, gene: usize, theta: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    if let Structure::One { profile, .. } = &core.structure {
        return profile.errors(theta, core.z_of(gene), core.rss[gene]);
    }
    let (information, score) = derivatives(core, gene, theta)?;
    let inverse = scaled_inverse(&information, 0.0).ok()?;
    Some((inverse.diagonal().iter().map(|v| v.sqrt()).collect(), score))
}

/// Γu with u = (I + AΓ)⁻¹z.
fn predict(core: &Core, gene: usize, theta: &[f64]) -> Option<Vec<f64>> {
    match &core.structure {
        Structure::One { spectrum, .. } => {
            let gamma = theta[0] / theta[1];
            let shrunk: Vec<f64> =
                core.z_of(gene).iter().zip(&spectrum.lambda).map(|(w, l)| gamma * w / (1.0 + gamma * l)).collect();
            Some((0..shrunk.len()).map(|i| dot(spectrum.u.row(i), &shrunk)).collect())
        }
        Structure::Several(several) => {
            let mut likelihood = Likelihood::new(several);
            let point = likelihood.evaluate(theta, Gene { z: core.z_of(gene), rss: core.rss[gene] })?;
            let gamma = several.spread(likelihood.gamma());
            let mut effects: Vec<f64> = point.u.entries().iter().zip(&gamma).map(|(u, g)| u * g).collect();
            several.leave(&mut effects);
            Some(effects)
        }
    }
}
