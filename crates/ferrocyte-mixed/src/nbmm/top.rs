//! The maximum of the likelihood of a gene whose coefficients have a finite one: the inside and the faces compared.
//!
//! tau and s2 may be zero. A climb from inside tells whether they run there; the faces are climbed too, and the variance
//! is zero unless the inside is higher by more than rounding.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, solve_lower, solve_lower_transposed};

use crate::nbmm::ascent::{Climb, End, Free, Limits, VANISHING};
use crate::nbmm::marginal::{Marginal, Place, Rule, Scratch};
use crate::nbmm::options::{Effect, Family, FitOptions};

/// Where climbs start.
const TAU: f64 = 0.5;
const S2: f64 = 0.1;

/// The decrement at which a climb ends, and that of the last steps.
const DECREMENT: f64 = 1e-8;
const LAST: f64 = 1e-12;

/// Steps with each rule.
const STEPS: usize = 20;

/// Donor variances from which the last steps take more nodes.
const LARGE: (f64, f64) = (0.5, 2.0);

/// Overdispersion below which the Poisson face is looked at too.
const SMALL_TAU: f64 = 0.02;

/// The quadrature rules of a fit.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Rules {
    /// While climbing, and from where that ends.
    pub(in crate::nbmm) climbing: Rule,
    last: Rule,
    /// Where those do not settle, or the donor variance is large.
    fine: Rule,
    /// Where it is larger still: the effects of donors without counts are skewed then.
    finest: Rule,
    /// How much higher the inside must be than the face s2 = 0.
    gain: f64,
}

impl Rules {
    pub(in crate::nbmm) fn new(options: &FitOptions) -> Self {
        let (few, more, gain) = match options.effect {
            Effect::Lognormal => (7, 15, 1e-8),
            Effect::Gamma => (11, 31, 1e-6),
        };
        let rule = |n: usize| Rule::new(options.quad.unwrap_or(n));
        Self { climbing: rule(few), last: rule(more), fine: rule(31), finest: rule(61), gain }
    }

    /// The rules of a profile, the second for large donor variances.
    pub(in crate::nbmm) fn along(&self) -> (&Rule, &Rule) {
        (&self.climbing, &self.last)
    }

    /// A rule for answers that stand by themselves, and for values that are differenced.
    pub(in crate::nbmm) fn middle(&self) -> &Rule {
        &self.last
    }

    /// The rule of the last steps at a donor variance.
    fn last_at(&self, s2: f64) -> &Rule {
        match s2 {
            0.0 => &self.climbing,
            s2 if s2 < LARGE.0 => &self.last,
            s2 if s2 < LARGE.1 => &self.fine,
            _ => &self.finest,
        }
    }
}

/// The maximum.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Top {
    pub(in crate::nbmm) climb: Climb,
    pub(in crate::nbmm) free: Free,
    /// Whether the climbing rule met its stop.
    pub(in crate::nbmm) converged: bool,
}

impl Marginal<'_> {
    /// The maximum over coefficients and variances.
    pub(in crate::nbmm) fn maximise(&self, family: Family, rules: &Rules, scratch: &mut Scratch) -> Top {
        let start = self.start(scratch);
        let nb = family == Family::Nb;
        let inside = self.over_tau(Place { s2: S2, ..start.clone() }, true, nb, rules, scratch);
        let from = inside.as_ref().map_or(&start, |top| &top.climb.at);
        let face = self.over_tau(Place { s2: 0.0, ..from.clone() }, false, nb, rules, scratch);
        let face = face.unwrap_or_else(|| self.stuck(start, scratch, rules));
        let inside = inside.or_else(|| {
            // It may have run past a maximum near the face.
            let rises = self.rises_from_zero(&face.climb.at, rules, scratch);
            rises
                .then(|| self.over_tau(Place { s2: 1e-2, ..face.climb.at.clone() }, true, nb, rules, scratch))
                .flatten()
        });
        match inside {
            Some(inside) if inside.climb.outlook.value - face.climb.outlook.value >= rules.gain => inside,
            Some(inside) if !face.climb.outlook.value.is_finite() => inside,
            _ => face,
        }
    }

    /// The maximum with s2 free, or at zero; none where s2 vanishes on the way.
    fn over_tau(&self, from: Place, s2: bool, nb: bool, rules: &Rules, scratch: &mut Scratch) -> Option<Top> {
        let none = Place { tau: 0.0, ..from.clone() };
        if !nb {
            return self.climb_in_turns(none, Free { tau: false, s2 }, rules, scratch);
        }
        let from = Place { tau: if from.tau > 0.0 { from.tau.max(1e-3) } else { TAU }, ..from };
        let first = self.climb_in_turns(from, Free { tau: true, s2 }, rules, scratch);
        if let Some(top) = &first
            && top.climb.end != End::TauVanished
            && top.climb.at.tau > SMALL_TAU
        {
            return first;
        }
        // s2 may have vanished, and still be above zero without overdispersion.
        let start = first.as_ref().map_or(none, |top| Place { tau: 0.0, ..top.climb.at.clone() });
        let poisson = self.climb_in_turns(start, Free { tau: false, s2 }, rules, scratch);
        match (first, poisson) {
            (Some(first), Some(poisson)) => {
                let inside = first.climb.end != End::TauVanished
                    && first.climb.outlook.value - poisson.climb.outlook.value >= rules.gain;
                Some(if inside { first } else { poisson })
            }
            (first, poisson) => poisson.or(first.filter(|top| top.climb.end != End::TauVanished)),
        }
    }

    /// Climbs with more nodes where fewer do not settle, and to the end with the last rule.
    fn climb_in_turns(&self, from: Place, free: Free, rules: &Rules, scratch: &mut Scratch) -> Option<Top> {
        let limits = Limits { decrement: DECREMENT, steps: STEPS, in_tau: false };
        let mut climb = self.climb(from, free, &rules.climbing, limits, scratch);
        for rule in [&rules.last, &rules.fine, &rules.finest] {
            if climb.end != End::Stuck {
                break;
            }
            let evaluations = climb.evaluations;
            climb = self.climb(climb.at, free, rule, limits, scratch);
            climb.evaluations += evaluations;
        }
        if climb.end == End::S2Vanished {
            return None;
        }
        let converged = climb.end == End::Top;
        if converged {
            let end = climb.end;
            let evaluations = climb.evaluations;
            let limits = Limits { decrement: LAST, steps: 4, in_tau: false };
            let rule = rules.last_at(climb.at.s2);
            climb = self.climb(climb.at, free, rule, limits, scratch);
            climb.evaluations += evaluations;
            climb.end = match climb.end {
                End::Stuck => end,
                other => other,
            };
            if climb.end == End::S2Vanished {
                return None;
            }
        }
        Some(Top { climb, free, converged })
    }

    /// What is left where nothing climbs: the start itself.
    fn stuck(&self, at: Place, scratch: &mut Scratch, rules: &Rules) -> Top {
        let free = Free { tau: false, s2: false };
        let climb = self.climb(
            Place { tau: 0.0, s2: 0.0, ..at },
            free,
            &rules.climbing,
            Limits { decrement: DECREMENT, steps: 0, in_tau: false },
            scratch,
        );
        Top { climb, free, converged: false }
    }

    /// Whether the likelihood rises with s2 from a maximum at zero: the sum over donors of squared score plus its
    /// derivative, in w at 0, is above zero.
    fn rises_from_zero(&self, at: &Place, rules: &Rules, scratch: &mut Scratch) -> bool {
        let at = Place { s2: 10.0 * VANISHING, ..at.clone() };
        self.look(&at, &rules.last, false, scratch).gradient[at.coefficients.len() + 1] > 0.0
    }

    /// Coefficients of the Poisson regression of the sums of strata, with overdispersion and donor variance to start
    /// from.
    pub(in crate::nbmm) fn start(&self, scratch: &mut Scratch) -> Place {
        let coefficients = self.least_squares();
        let limits = Limits { decrement: 1e-3, steps: 6, in_tau: false };
        let free = Free { tau: false, s2: false };
        let at = Place { coefficients, tau: 0.0, s2: 0.0 };
        let climb = self.climb(at, free, &Rule::new(1), limits, scratch);
        Place { tau: TAU, s2: S2, ..climb.at }
    }

    /// Weighted least squares of the logarithms of mean counts of strata: one step of a Poisson regression.
    pub(in crate::nbmm) fn least_squares(&self) -> Vec<f64> {
        let p = self.layout().n_fixed();
        let (mut normal, mut right) = (Matrix::zeros(p, p), vec![0.0; p]);
        let overall = (self.counts.total() + 0.5) / self.ground.exposures.iter().sum::<f64>().max(1e-300);
        for (c, (&y, &e)) in self.counts.strata.iter().zip(&self.ground.exposures).enumerate() {
            let x = self.layout().x.row(c);
            // Half a count at the overall mean keeps empty strata finite.
            let weight = y + 0.5;
            let target = if e > 0.0 { (weight / (e + 0.5 / overall)).ln() } else { overall.ln() };
            let target = target - self.ground.shifts.get(c).unwrap_or(&0.0);
            for i in 0..p {
                right[i] += x[i] * weight * target;
                for j in 0..=i {
                    normal[(i, j)] += x[i] * x[j] * weight;
                }
            }
        }
        let scale: Vec<f64> = normal.diagonal().iter().map(|d| if *d > 0.0 { 1.0 / d.sqrt() } else { 0.0 }).collect();
        for i in 0..p {
            for j in 0..=i {
                normal[(i, j)] *= scale[i] * scale[j];
            }
            normal[(i, i)] += 1e-9;
            right[i] *= scale[i];
        }
        if cholesky_in_place(&mut normal).is_err() {
            return vec![0.0; p];
        }
        solve_lower(&normal, &mut right);
        solve_lower_transposed(&normal, &mut right);
        right.iter().zip(&scale).map(|(b, s)| b * s).collect()
    }
}
