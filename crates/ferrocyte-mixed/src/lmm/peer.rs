//! Fisher scoring as FLASH-MM publishes it, stopped where one asks: for parity with its numbers after few steps.

use ferrocyte_base::{Fault, Result, Run};

use crate::lmm::core::Structure;
use crate::lmm::fit::{Fit, GroupFit};
use crate::lmm::several::{Gene, Likelihood, Several};
use crate::lmm::status::Outcome;

/// How the published iteration starts and stops.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerStop {
    /// Most evaluations of the gradient.
    pub max_iter: u32,
    /// The largest absolute gradient at which it stops.
    pub epsilon: f64,
    /// s_1, .., s_k, s_0 to start from, the same for all genes; `None`: (0, .., 0, rss/(n - p)).
    pub theta0: Option<Vec<f64>>,
}

impl Default for PeerStop {
    fn default() -> Self {
        Self { max_iter: 50, epsilon: 1e-5, theta0: None }
    }
}

impl Fit {
    /// Replaces the estimates by those of the published, undamped iteration.
    ///
    /// Use it to compare with numbers of that program; the exact solver needs no start and no stopping rule.
    pub fn iterate_as_published(&mut self, run: &Run, stop: &PeerStop) -> Result<()> {
        for group in &mut self.groups {
            group.iterate_as_published(run, stop)?;
        }
        Ok(())
    }
}

impl GroupFit {
    fn iterate_as_published(&mut self, run: &Run, stop: &PeerStop) -> Result<()> {
        let k = self.n_components();
        if let Some(theta0) = &stop.theta0 {
            if theta0.len() != k + 1 {
                return Err(Fault::bad_input(format!(
                    "{} numbers, expected {} (each component, then the residual)",
                    theta0.len(),
                    k + 1
                ))
                .at("theta0"));
            }
            if !(theta0[k] > 0.0) || theta0.iter().any(|s| !s.is_finite()) {
                return Err(Fault::bad_input(format!(
                    "the residual variance must be above zero and all numbers finite, found {theta0:?}"
                ))
                .at("theta0"));
            }
        }
        let Some(core) = &self.core else { return Ok(()) };
        let made;
        let several = match &core.structure {
            Structure::One { .. } => {
                made = Several::new(&core.shared, core.method)?;
                &made
            }
            Structure::Several(several) => several,
        };
        let fits = run.map_ranges("fitting", core.n_genes(), core.gene_block(), |genes| {
            let mut likelihood = Likelihood::new(several);
            let mut fit = |gene: usize| {
                if !self.outcomes[gene].has_estimate() || several.rank() == 0 {
                    return None;
                }
                let mut z = core.z_of(gene).to_vec();
                if let Structure::One { spectrum, .. } = &core.structure {
                    // w = U'z was kept; back to z.
                    z = (0..core.q()).map(|i| ferrocyte_math::linalg::dot(spectrum.u.row(i), &z)).collect();
                    several.enter(&mut z);
                }
                let gene = Gene { z: &z, rss: core.rss[gene] };
                Some(likelihood.score_undamped(gene, stop.theta0.as_deref(), stop.max_iter, stop.epsilon))
            };
            Ok(genes.map(&mut fit).collect::<Vec<_>>())
        })?;
        for (gene, fit) in fits.into_iter().flatten().enumerate() {
            // A path that leaves the region of the likelihood has nothing to report: the exact estimate stays.
            let Some(fit) = fit.filter(|f| f.outcome != Outcome::NoStationary) else { continue };
            self.theta[gene * (k + 1)..(gene + 1) * (k + 1)].copy_from_slice(&fit.theta);
            self.outcomes[gene] = fit.outcome;
            self.log_likelihood[gene] = fit.log_likelihood;
            self.evaluations[gene] = fit.evaluations;
        }
        Ok(())
    }
}
