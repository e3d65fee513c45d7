//! Moderation of a group, whichever number of components its model has.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::variance_prior::{ResidualPrior, fit_residual_prior};

use crate::lmm::core::{Core, Structure};
use crate::lmm::one::{self, ModeratedTest, Priors};
use crate::lmm::options::{Alternative, Method};
use crate::lmm::several;
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

/// Fewer usable genes than this say too little about a distribution.
const FEWEST_GENES: usize = 20;

/// What moderation starts from, whichever number of components the model has.
pub(in crate::lmm) struct Evidence {
    /// The covariate of the priors, per gene: ln of the mean of y, or the mean itself where it can be negative.
    pub(in crate::lmm) trend: Vec<f64>,
    /// Which genes inform the others.
    pub(in crate::lmm) usable: Vec<bool>,
    /// The prior of the residual variance.
    pub(in crate::lmm) residual: ResidualPrior,
}

impl Evidence {
    /// Gathers it, or says why there is too little. `rank` is that of A, `e0` what the random effects cannot explain of
    /// each gene.
    pub(in crate::lmm) fn gather(
        core: &Core,
        sums: &GroupSums,
        outcomes: &[Outcome],
        counts: bool,
        rank: usize,
        e0: &[f64],
    ) -> Result<std::result::Result<Self, String>> {
        if core.method == Method::Ml {
            return Ok(Err("moderation needs method=\"REML\"".to_owned()));
        }
        let d = core.residual_df() - rank as f64;
        if rank == 0 || d < 1.0 {
            return Ok(Err("the random effects cannot be told from the fixed effects or the residual".to_owned()));
        }
        let m = core.n_genes();
        let mean = |g: usize| sums.y_sum[g] / core.shared.n;
        let positive = counts || (0..m).all(|g| mean(g) > 0.0 || sums.y_norm[g] == 0.0);
        let trend: Vec<f64> = (0..m).map(|g| if positive { mean(g).ln() } else { mean(g) }).collect();
        let usable: Vec<bool> =
            (0..m).map(|g| outcomes[g].has_estimate() && trend[g].is_finite() && e0[g] > 0.0).collect();
        let n_usable = usable.iter().filter(|&&u| u).count();
        if n_usable < FEWEST_GENES {
            return Ok(Err(format!("{n_usable} genes can inform each other, {FEWEST_GENES} are needed")));
        }
        let residual = fit_residual_prior(e0, d, &trend, &usable)?;
        Ok(Ok(Self { trend, usable, residual }))
    }
}

/// What the genes of a group taught about their variance components.
#[derive(Debug)]
pub(in crate::lmm) enum Moderated {
    /// One component.
    One(Box<one::Moderation>),
    /// Two components.
    Two(Box<several::Moderation>),
}

impl Moderated {
    /// Fits the priors, or says why it cannot.
    pub(in crate::lmm) fn new(
        run: &Run,
        core: &Core,
        sums: &GroupSums,
        outcomes: &[Outcome],
        counts: bool,
    ) -> Result<std::result::Result<Self, String>> {
        Ok(match &core.structure {
            Structure::One { .. } => {
                one::Moderation::new(run, core, sums, outcomes, counts)?.map(|m| Self::One(Box::new(m)))
            }
            Structure::Several(_) => {
                several::Moderation::new(run, core, sums, outcomes, counts)?.map(|m| Self::Two(Box::new(m)))
            }
        })
    }

    /// Tests the contrast c (p numbers) for every gene.
    pub(in crate::lmm) fn test(
        &self,
        run: &Run,
        core: &Core,
        contrast: &[f64],
        alternative: Alternative,
    ) -> Result<Vec<ModeratedTest>> {
        match self {
            Self::One(m) => m.test(run, core, contrast, alternative),
            Self::Two(m) => m.test(run, core, contrast, alternative),
        }
    }

    /// A few words for people.
    pub(in crate::lmm) fn describe(&self) -> String {
        match self {
            Self::One(m) => m.describe(),
            Self::Two(m) => m.describe(),
        }
    }

    /// What was learnt of each component, in the order of the model.
    pub(in crate::lmm) fn priors(&self) -> Vec<Priors> {
        match self {
            Self::One(m) => vec![m.priors()],
            Self::Two(m) => m.priors(),
        }
    }
}
