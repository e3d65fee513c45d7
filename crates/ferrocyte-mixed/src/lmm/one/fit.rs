//! The fit of a block of genes with one component.

#![allow(clippy::inline_always)]

use std::ops::Range;

use ferrocyte_math::wide::{self, Kernel};

use crate::lmm::core::{BlockFit, Core, GeneFit, Responses};
use crate::lmm::one::profile::{OneFit, Profile};
use crate::lmm::one::search::Gene;
use crate::lmm::options::{FitOptions, Negative};

/// Fits `genes`.
pub(in crate::lmm) fn fit_block(
    core: &Core,
    profile: &Profile,
    genes: Range<usize>,
    y: Responses<'_>,
    options: &FitOptions,
) -> BlockFit {
    let decided: Vec<_> = genes.clone().map(|gene| core.decided(gene, y, options.min_cells)).collect();
    let open: Vec<Gene<'_>> = genes
        .clone()
        .zip(&decided)
        .filter(|(_, outcome)| outcome.is_none())
        .map(|(gene, _)| Gene { w: core.z_of(gene), rss: core.rss[gene] })
        .collect();
    let fits = profile.fit(&open, options.negative == Negative::Zero);
    let likelihoods = wide::widest(Likelihoods { profile, fits: &fits });
    let mut fits = fits.into_iter().zip(likelihoods);
    let mut block = BlockFit::with_capacity(genes.len(), 2);
    for (gene, outcome) in genes.zip(decided) {
        if let Some(outcome) = outcome {
            block.push(&GeneFit::none(1, outcome));
            continue;
        }
        let Some((fit, log_likelihood)) = fits.next() else { break };
        let theta = [fit.gamma * fit.s0, fit.s0];
        let at_zero = [0.0, core.rss[gene] / profile.nu()];
        block.theta.extend(theta);
        block.tested.extend(if fit.outcome.tested_at_zero() { at_zero } else { theta });
        block.outcomes.push(fit.outcome);
        block.log_likelihood.push(log_likelihood);
        block.evaluations.push(fit.evaluations);
    }
    block
}

/// The log-likelihoods of fits.
struct Likelihoods<'a> {
    profile: &'a Profile,
    fits: &'a [OneFit],
}

impl Kernel for Likelihoods<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.fits.len());
        for fit in self.fits {
            out.push(self.profile.log_likelihood(fit.gamma, fit.s0));
        }
        out
    }
}
