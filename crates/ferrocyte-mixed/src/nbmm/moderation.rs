//! What the genes teach each other about overdispersion and donor variance.
//!
//! 1. The restricted likelihood of every gene on a grid of ln tau, at its own s2, teaches the prior of ln tau; the
//!    posterior mean is its moderated overdispersion.
//! 2. With that, the restricted likelihood on a grid of ln s2, with estimate and variance of the coefficients at each
//!    point, teaches the prior of ln s2. The posterior weights over the grid are what tests average with.
//!
//! The trend of both priors is over ln(total count + 1/2). Separated genes take part with what is left of their model.
//!
//! The restricted likelihood is Laplace's approximation of the integral over the coefficients. Where these tell many donors
//! apart (a fixed effect per donor of a paired design) and counts are few it favours large variances, so that genes with
//! less than `min_count` counts for each such coefficient beyond [`FREE`] inform no prior, but have a posterior.

use std::borrow::Cow;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::variance_prior::{MIN_GENES, Prior, fit_prior};

use crate::nbmm::contrasts::rank_between;
use crate::nbmm::fit::BLOCK;
use crate::nbmm::gene::GeneFit;
use crate::nbmm::ground::Ground;
use crate::nbmm::layout::{Counts, Layout};
use crate::nbmm::marginal::{Marginal, Scratch};
use crate::nbmm::options::{Family, FitOptions};
use crate::nbmm::profile::{Along, Point};
use crate::nbmm::refine::refine;
use crate::nbmm::status::Outcome;
use crate::nbmm::sums::GroupSums;
use crate::nbmm::top::Rules;

/// The grid of ln tau: first, step, number of points; and how many fine steps each has.
const TAU: (f64, f64, usize, usize) = (-5.0, 0.8, 11, 4);

/// The grid of ln s2.
pub(in crate::nbmm) const S2: (f64, f64, usize, usize) = (-9.0, 0.75, 15, 6);

/// ln s2 at which the grid of ln tau is looked at.
const S2_OF_TAU: (f64, f64) = (-9.0, 1.5);

/// Coefficients between donors that a gene of `min_count` counts can bear.
const FREE: usize = 2;

/// Fine steps of each.
pub(in crate::nbmm) const PARTS: usize = S2.3;

/// What moderation knows of a gene.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::nbmm) struct GeneProfile {
    /// Moderated ln tau.
    pub(in crate::nbmm) ln_tau: f64,
    /// Moderated ln s2.
    pub(in crate::nbmm) ln_s2: f64,
    /// The points of the grid of ln s2.
    pub(in crate::nbmm) points: Vec<Point>,
    /// ln of the posterior weights over the fine grid.
    pub(in crate::nbmm) ln_weights: Vec<f64>,
}

/// What the genes of a group taught each other.
#[derive(Debug)]
pub(in crate::nbmm) struct Moderation {
    /// The prior of ln tau; none in the Poisson family.
    pub(in crate::nbmm) tau: Option<Prior>,
    /// The prior of ln s2.
    pub(in crate::nbmm) s2: Prior,
    /// One per gene; none without counts.
    pub(in crate::nbmm) genes: Vec<Option<GeneProfile>>,
}

/// A gene and its model, what is left of it where a coefficient is infinite.
pub(in crate::nbmm) struct Remains<'a> {
    pub(in crate::nbmm) ground: Cow<'a, Ground>,
    pub(in crate::nbmm) counts: Counts,
    curves: Vec<f64>,
}

impl<'a> Remains<'a> {
    /// What is left of the model of a gene.
    pub(in crate::nbmm) fn of(ground: &'a Ground, counts: Counts, fit: &GeneFit) -> Self {
        match &fit.separation {
            Some(separation) => {
                let (ground, counts) = separation.reduced(ground, &counts);
                Self::new(Cow::Owned(ground), counts)
            }
            None => Self::new(Cow::Borrowed(ground), counts),
        }
    }

    pub(in crate::nbmm) fn new(ground: Cow<'a, Ground>, counts: Counts) -> Self {
        let curves = ground.curves_of(&counts);
        Self { ground, counts, curves }
    }

    pub(in crate::nbmm) fn layout(&self) -> &Layout {
        &self.ground.layout
    }

    pub(in crate::nbmm) fn marginal(&self, options: &FitOptions) -> Marginal<'_> {
        Marginal { ground: &self.ground, counts: &self.counts, curves: &self.curves, effect: options.effect }
    }
}

/// Coefficients of a fit among the columns that are left; those that stood in for infinite ones are told by the strata.
pub(in crate::nbmm) fn start_of(fit: &GeneFit, remains: &Remains<'_>) -> Vec<f64> {
    let Some(separation) = &fit.separation else { return fit.coefficients.clone() };
    let known: Vec<f64> = separation.columns.iter().map(|&c| fit.coefficients[c]).collect();
    if known.iter().all(|b| b.is_finite()) {
        return known;
    }
    let overall = (remains.counts.total() / remains.ground.exposures.iter().sum::<f64>()).ln();
    // The column that stands in carries the level of what is left; any start will do, the likelihood is concave.
    let rows = remains.layout().n_strata() as f64;
    known
        .iter()
        .enumerate()
        .map(|(k, &b)| {
            let mean = (0..remains.layout().n_strata()).map(|c| remains.layout().x[(c, k)]).sum::<f64>() / rows;
            if b.is_finite() {
                b
            } else if mean != 0.0 {
                overall / mean
            } else {
                0.0
            }
        })
        .collect()
}

fn grid((first, step, n, _): (f64, f64, usize, usize)) -> Vec<f64> {
    (0..n).map(|k| first + step * k as f64).collect()
}

fn fine_grid((first, step, n, parts): (f64, f64, usize, usize)) -> Vec<f64> {
    (0..=parts * (n - 1)).map(|k| first + step * k as f64 / parts as f64).collect()
}

fn nearest(x: f64, (first, step, n, _): (f64, f64, usize, usize)) -> usize {
    ((x - first) / step).round().clamp(0.0, (n - 1) as f64) as usize
}

/// Rows of a matrix, NaN where there is none.
fn stacked(rows: &[Option<Vec<f64>>], width: usize) -> Vec<f64> {
    rows.iter().flat_map(|row| row.clone().unwrap_or_else(|| vec![f64::NAN; width])).collect()
}

impl Moderation {
    /// Learns both priors, or says why it cannot.
    pub(in crate::nbmm) fn new(
        run: &Run,
        sums: &GroupSums,
        genes: &[GeneFit],
        options: &FitOptions,
    ) -> Result<std::result::Result<Self, String>> {
        let n = genes.len();
        let fitted: Vec<bool> = genes.iter().map(|g| g.outcomes.has_estimate()).collect();
        let totals = run.map_blocks("totals", n, 64, |g| Ok(sums.counts(g).total()))?;
        let trend: Vec<f64> = totals.iter().map(|t| (t + 0.5).ln()).collect();
        let informed = |least: f64| -> Vec<bool> {
            let few = |g: usize| genes[g].outcomes.has(Outcome::FewCounts) || totals[g] < least;
            (0..n).map(|g| fitted[g] && !few(g)).collect()
        };
        let count = |wanted: &[bool]| wanted.iter().filter(|&&u| u).count();
        let burden = rank_between(&sums.layout).saturating_sub(FREE).max(1);
        let mut wanted = informed(options.min_count as f64 * burden as f64);
        if count(&wanted) < MIN_GENES {
            wanted = informed(0.0);
        }
        let n_usable = count(&wanted);
        if n_usable < MIN_GENES {
            return Ok(Err(format!("{n_usable} genes can inform each other, {MIN_GENES} are needed")));
        }
        let rules = Rules::new(options);
        let ground = Ground::new(sums.layout.clone());
        let remains = |g: usize| Remains::of(&ground, sums.counts(g), &genes[g]);
        let learn = |x: &[f64], rows: &[Option<Vec<f64>>]| -> Result<(Prior, Vec<f64>)> {
            let likelihood = stacked(rows, x.len());
            let usable: Vec<bool> = (0..n)
                .map(|g| wanted[g] && likelihood[g * x.len()..(g + 1) * x.len()].iter().all(|l| l.is_finite()))
                .collect();
            Ok((fit_prior(run, x, &likelihood, &trend, &usable)?, likelihood))
        };
        // Overdispersion.
        let (tau_prior, ln_tau) = if options.family == Family::Poisson {
            (None, vec![f64::NEG_INFINITY; n])
        } else {
            let places = grid(TAU);
            let rows = run.map_blocks("overdispersion over genes", n, BLOCK, |g| {
                if !fitted[g] {
                    return Ok(None);
                }
                let (fit, remains) = (&genes[g], remains(g));
                let s2 = fit.s2.ln().clamp(S2_OF_TAU.0, S2_OF_TAU.1).exp();
                let along: Vec<(f64, f64)> = places.iter().map(|x| (x.exp(), s2)).collect();
                let start = nearest(fit.tau.ln(), TAU);
                let from = start_of(fit, &remains);
                let points = remains.marginal(options).profile(
                    &along,
                    (Along::Tau, TAU.1),
                    (start, &from),
                    rules.along(),
                    &mut Scratch::default(),
                );
                let restricted: Vec<f64> = points.iter().map(|p| p.restricted).collect();
                Ok(Some(refine(&restricted, TAU.3)))
            })?;
            let fine = fine_grid(TAU);
            let (prior, likelihood) = learn(&fine, &rows)?;
            let mut weights = vec![0.0; fine.len()];
            let means =
                likelihood.chunks_exact(fine.len()).zip(&trend).map(|(l, &t)| prior.posterior(l, t, &mut weights));
            let means = means.collect();
            (Some(prior), means)
        };
        // Donor variance.
        let places = grid(S2);
        let profiles = run.map_blocks("donor variance over genes", n, BLOCK, |g| {
            if !fitted[g] {
                return Ok(None);
            }
            let (fit, remains) = (&genes[g], remains(g));
            let along: Vec<(f64, f64)> = places.iter().map(|x| (ln_tau[g].exp(), x.exp())).collect();
            let start = nearest(fit.s2.ln(), S2);
            let from = start_of(fit, &remains);
            let (along_s2, start) = ((Along::S2, S2.1), (start, &from[..]));
            let marginal = remains.marginal(options);
            Ok(Some(marginal.profile(&along, along_s2, start, rules.along(), &mut Scratch::default())))
        })?;
        let rows: Vec<Option<Vec<f64>>> = profiles
            .iter()
            .map(|points| {
                let restricted = |points: &Vec<Point>| points.iter().map(|p| p.restricted).collect::<Vec<f64>>();
                points.as_ref().map(|points| refine(&restricted(points), S2.3))
            })
            .collect();
        let fine = fine_grid(S2);
        let (prior, likelihood) = learn(&fine, &rows)?;
        let genes = profiles
            .into_iter()
            .zip(likelihood.chunks_exact(fine.len()))
            .enumerate()
            .map(|(g, (points, likelihood))| {
                points.map(|points| {
                    let mut ln_weights = vec![0.0; fine.len()];
                    let ln_s2 = prior.ln_posterior(likelihood, trend[g], &mut ln_weights);
                    GeneProfile { ln_tau: ln_tau[g], ln_s2, points, ln_weights }
                })
            })
            .collect();
        Ok(Ok(Self { tau: tau_prior, s2: prior, genes }))
    }

    /// A few words for people.
    pub(in crate::nbmm) fn describe(&self) -> String {
        let spread = |prior: &Prior| {
            let z0 = prior.coefficients[0].exp();
            format!("{z0:.3} (x/÷ {:.2})", prior.omega.exp())
        };
        match &self.tau {
            Some(tau) => format!("moderated: tau {}, s2 {}", spread(tau), spread(&self.s2)),
            None => format!("moderated: s2 {}", spread(&self.s2)),
        }
    }
}

impl GeneProfile {
    /// Estimate and variance of a contrast of the coefficients that are left, on the fine grid of ln s2.
    pub(in crate::nbmm) fn along(&self, contrast: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (estimates, variances): (Vec<f64>, Vec<f64>) = self.points.iter().map(|p| p.contrast(contrast)).unzip();
        let ln_variances: Vec<f64> = variances.iter().map(|v| v.ln()).collect();
        let variances = refine(&ln_variances, PARTS).iter().map(|v| v.exp()).collect();
        (refine(&estimates, PARTS), variances)
    }

    /// The places of the grid of ln s2.
    pub(in crate::nbmm) fn places(&self) -> Vec<(f64, f64)> {
        grid(S2).iter().map(|x| (self.ln_tau.exp(), x.exp())).collect()
    }
}
