//! Moderation of a group, whichever number of components its model has.

use ferrocyte_base::{Result, Run};

use crate::lmm::core::{Core, Structure};
use crate::lmm::one::{self, ModeratedTest, Priors};
use crate::lmm::options::Alternative;
use crate::lmm::several;
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

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
