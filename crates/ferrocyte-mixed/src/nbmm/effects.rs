//! What is known of the donors of each gene, and finite values for infinite coefficients.
//!
//! Both are at the variances that tests stand on: moderated ones where there are, else those of the gene alone.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use crate::nbmm::fit::{BLOCK, Fit};
use crate::nbmm::ground::Ground;
use crate::nbmm::marginal::{Marginal, Place, Scratch};
use crate::nbmm::moderation::{Remains, start_of};
use crate::nbmm::profile::Along;
use crate::nbmm::top::Rules;

/// The Newton decrement of the coefficients at which effects are told.
const DECREMENT: f64 = 1e-10;

/// Steps of the penalised likelihood, the step in the predictor at which it ends, and the longest one.
const STEPS: usize = 60;
const SETTLED: f64 = 1e-6;
const LONGEST: f64 = 2.0;

/// Step of its differences.
const DIFFERENCE: f64 = 1e-4;

/// The effects of the donors of a group, in natural logarithms of the mean.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomEffects {
    /// The donors, in the order of columns.
    pub donors: Vec<String>,
    /// Posterior means, genes × donors. Zero where the donor variance is; NaN without an estimate, and for donors whose
    /// cells all have an infinite coefficient.
    pub means: Vec<f64>,
    /// Posterior standard deviations.
    pub standard_errors: Vec<f64>,
}

/// A gene at the variances that its tests stand on.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Settled {
    /// The linear predictor of each stratum, without offset and effect; -inf where no count is to be expected.
    pub(in crate::nbmm) predictors: Vec<f64>,
    pub(in crate::nbmm) tau: f64,
    pub(in crate::nbmm) s2: f64,
    /// Posterior mean and standard deviation of the effect of each donor; NaN where nothing is left of it.
    pub(in crate::nbmm) effects: Vec<(f64, f64)>,
}

impl Fit {
    /// The effects of the donors on every gene of a group.
    pub fn random_effects(&self, run: &Run, group: usize) -> Result<RandomEffects> {
        let sums = self.fitted(group)?;
        let n = sums.donors.len();
        let settled = self.settled(run, group)?;
        let (mut means, mut standard_errors) = (Vec::new(), Vec::new());
        for gene in &settled {
            match gene {
                Some(gene) => {
                    means.extend(gene.effects.iter().map(|e| e.0));
                    standard_errors.extend(gene.effects.iter().map(|e| e.1));
                }
                None => {
                    means.extend(std::iter::repeat_n(f64::NAN, n));
                    standard_errors.extend(std::iter::repeat_n(f64::NAN, n));
                }
            }
        }
        Ok(RandomEffects { donors: sums.donors.clone(), means, standard_errors })
    }

    /// Coefficients of every gene of a group, genes × p, finite where the likelihood rises for ever: those of genes with an
    /// infinite coefficient maximise `l + ln det J / 2` (Jeffreys' prior; D. Firth, *Biometrika* 80, 1993), J the
    /// information of the coefficients. For ranking and figures; tests and intervals say what is known.
    pub fn shrunken(&self, run: &Run, group: usize) -> Result<Vec<f64>> {
        let sums = self.fitted(group)?;
        let (ground, rules) = (Ground::new(sums.layout.clone()), Rules::new(self.options()));
        let genes = &self.groups[group].genes;
        let rows = run.map_blocks("shrunken coefficients", genes.len(), BLOCK, |g| {
            if genes[g].separation.is_none() {
                return Ok(genes[g].coefficients.clone());
            }
            let counts = sums.counts(g);
            let curves = ground.curves_of(&counts);
            let effect = self.options().effect;
            let marginal = Marginal { ground: &ground, counts: &counts, curves: &curves, effect };
            Ok(marginal.penalised(self.variances(group, g), &rules))
        })?;
        Ok(rows.concat())
    }

    /// The sums of a group that was fitted.
    fn fitted(&self, group: usize) -> Result<&crate::nbmm::GroupSums> {
        let sums = self.sums().groups.get(group);
        let sums = sums.ok_or_else(|| Fault::missing(format!("there is no group {group}")).at("group"))?;
        if sums.refused.is_empty() {
            return Ok(sums);
        }
        Err(Fault::bad_input(format!("the group was not fitted: {}", sums.refused)).at("group"))
    }

    /// tau and s2 of a gene: moderated ones where there are.
    fn variances(&self, group: usize, gene: usize) -> (f64, f64) {
        let fit = &self.groups[group];
        let profile = fit.moderation.as_ref().and_then(|m| m.genes[gene].as_ref());
        profile.map_or((fit.genes[gene].tau, fit.genes[gene].s2), |p| (p.ln_tau.exp(), p.ln_s2.exp()))
    }

    /// Every gene of a group at its variances; none without an estimate.
    pub(in crate::nbmm) fn settled(&self, run: &Run, group: usize) -> Result<Vec<Option<Settled>>> {
        let sums = self.fitted(group)?;
        let (ground, rules) = (Ground::new(sums.layout.clone()), Rules::new(self.options()));
        let genes = &self.groups[group].genes;
        run.map_blocks("effects of donors", genes.len(), BLOCK, |g| {
            let fit = &genes[g];
            if !fit.outcomes.has_estimate() {
                return Ok(None);
            }
            let remains = Remains::of(&ground, sums.counts(g), fit);
            let marginal = remains.marginal(self.options());
            let (tau, s2) = self.variances(group, g);
            let (rule, mut scratch) = (rules.middle(), Scratch::default());
            let from = start_of(fit, &remains);
            let point = marginal.point((tau, s2), Along::S2, from, DECREMENT, rule, &mut scratch);
            let at = Place { coefficients: point.coefficients, tau, s2 };
            let outlook = marginal.look(&at, rule, false, &mut scratch);
            let layout = remains.layout();
            let mut left = (0..layout.n_strata()).map(|c| dot(layout.x.row(c), &at.coefficients));
            let kept = |c: usize| fit.separation.as_ref().is_none_or(|s| s.strata[c]);
            let predictors = (0..ground.layout.n_strata())
                .map(|c| if kept(c) { left.next().unwrap_or(f64::NAN) } else { f64::NEG_INFINITY })
                .collect();
            let effects = layout
                .donors
                .windows(2)
                .zip(outlook.effects.iter().zip(&outlook.spreads))
                .map(|(ends, (&mean, &spread))| if ends[0] < ends[1] { (mean, spread) } else { (f64::NAN, f64::NAN) })
                .collect();
            Ok(Some(Settled { predictors, tau, s2, effects }))
        })
    }
}

impl Marginal<'_> {
    /// The maximum of the likelihood times Jeffreys' prior over the coefficients: Fisher's steps by the score
    /// `g + tr(J⁻¹ dJ/db) / 2`, with differences of the information J.
    fn penalised(&self, (tau, s2): (f64, f64), rules: &Rules) -> Vec<f64> {
        let (rule, mut scratch) = (rules.middle(), Scratch::default());
        let p = self.layout().n_fixed();
        let mut at = Place { tau, s2, ..self.start(&mut Scratch::default()) };
        at.coefficients = self.least_squares();
        for _ in 0..STEPS {
            let here = self.look(&at, rule, false, &mut scratch);
            let block = |information: &Matrix| {
                let mut out = Matrix::zeros(p, p);
                (0..p).for_each(|i| out.row_mut(i).copy_from_slice(&information.row(i)[..p]));
                out
            };
            let Ok(inverse) = scaled_inverse(&block(&here.information), 0.0) else {
                return vec![f64::NAN; p];
            };
            let score: Vec<f64> = (0..p)
                .map(|k| {
                    let mut moved = |step: f64| {
                        let mut place = at.clone();
                        place.coefficients[k] += step;
                        self.look(&place, rule, false, &mut scratch).information
                    };
                    // In units of the coefficient's own standard error.
                    let step = DIFFERENCE * inverse[(k, k)].sqrt().clamp(1e-6, 1e3);
                    let (up, down) = (moved(step), moved(-step));
                    let trace: f64 = (0..p)
                        .map(|i| (0..p).map(|j| inverse[(i, j)] * (up[(i, j)] - down[(i, j)])).sum::<f64>())
                        .sum();
                    here.gradient[k] + 0.25 * trace / step
                })
                .collect();
            let mut step: Vec<f64> = (0..p).map(|i| dot(inverse.row(i), &score)).collect();
            let x = &self.layout().x;
            let farthest = (0..x.n_rows()).map(|c| dot(x.row(c), &step).abs()).fold(0.0, f64::max);
            if farthest.is_nan() {
                return vec![f64::NAN; p];
            }
            let shrink = (LONGEST / farthest).min(1.0);
            step.iter_mut().for_each(|s| *s *= shrink);
            at.coefficients.iter_mut().zip(&step).for_each(|(b, s)| *b += s);
            if farthest < SETTLED {
                break;
            }
        }
        at.coefficients
    }
}
