//! Newton's method uphill, in coefficients, ln tau and ln s2, within their bounds.
//!
//! A step that would not climb is shortened by a ridge, so that the value never falls; the step is bounded in the
//! predictor of the cells and in the logarithms of the variances, so that units of covariates do not matter.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, solve_lower, solve_lower_transposed};

use crate::nbmm::marginal::{Marginal, Outlook, Place, Rule, Scratch};

/// Bounds of ln tau and of ln s2.
pub(in crate::nbmm) const TAU: (f64, f64) = (1e-8, 1e3);
pub(in crate::nbmm) const S2: (f64, f64) = (1e-8, 10.0);

/// A variance that falls below this is on its way to zero.
pub(in crate::nbmm) const VANISHING: f64 = 1e-6;

/// Longest steps in the predictor and in the logarithm of a variance.
const LONGEST: (f64, f64) = (3.0, 2.0);

/// What rounding and quadrature may take from the value of a step that is accepted.
const SLACK: f64 = 1e-9;

/// Which variances are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nbmm) struct Free {
    pub(in crate::nbmm) tau: bool,
    pub(in crate::nbmm) s2: bool,
}

/// Why a climb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nbmm) enum End {
    /// At the top: the Newton decrement is below what was asked for.
    Top,
    /// A variance fell below [`VANISHING`].
    TauVanished,
    S2Vanished,
    /// The steps were used up, or no step climbed.
    Stuck,
}

/// How a climb went.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Climb {
    pub(in crate::nbmm) at: Place,
    pub(in crate::nbmm) outlook: Outlook,
    pub(in crate::nbmm) end: End,
    pub(in crate::nbmm) evaluations: u32,
}

/// How far and how long.
#[derive(Debug, Clone, Copy)]
pub(in crate::nbmm) struct Limits {
    /// The Newton decrement at which the top is reached.
    pub(in crate::nbmm) decrement: f64,
    pub(in crate::nbmm) steps: usize,
    /// Whether derivatives in tau are wanted though it is held.
    pub(in crate::nbmm) in_tau: bool,
}

/// A Newton step, and what it promises.
struct Step {
    delta: Vec<f64>,
    /// Gradient times step.
    decrement: f64,
    /// Whether the information was taken as it is.
    plain: bool,
}

impl Marginal<'_> {
    /// Climbs from `start` to the top over the free parameters.
    pub(in crate::nbmm) fn climb(
        &self,
        start: Place,
        free: Free,
        rule: &Rule,
        limits: Limits,
        scratch: &mut Scratch,
    ) -> Climb {
        let in_tau = free.tau || limits.in_tau;
        let mut here =
            Climb { outlook: self.look(&start, rule, in_tau, scratch), at: start, end: End::Stuck, evaluations: 1 };
        let mut ridge = 0.0;
        for _ in 0..limits.steps {
            if !here.outlook.value.is_finite() {
                return here;
            }
            let moving = self.moving(&here, free);
            let mut climbed = false;
            // A ridge of 6^20 leaves no step worth the name.
            for _ in 0..24 {
                let Some(step) = self.step(&here, &moving, ridge) else {
                    ridge = next_ridge(ridge);
                    continue;
                };
                if step.plain && step.decrement < limits.decrement {
                    here.end = End::Top;
                    return here;
                }
                let at = self.moved(&here.at, &moving, &step.delta);
                let outlook = self.look(&at, rule, in_tau, scratch);
                here.evaluations += 1;
                if outlook.value >= here.outlook.value - SLACK * (1.0 + 1e-3 * here.outlook.value.abs()) {
                    (here.at, here.outlook) = (at, outlook);
                    ridge = if ridge < 1e-3 { 0.0 } else { ridge / 6.0 };
                    climbed = true;
                    break;
                }
                ridge = next_ridge(ridge);
            }
            if !climbed {
                return here;
            }
            if free.s2 && here.at.s2 < VANISHING {
                here.end = End::S2Vanished;
                return here;
            }
            if free.tau && here.at.tau < VANISHING {
                here.end = End::TauVanished;
                return here;
            }
        }
        here
    }

    /// The parameters that move: all coefficients, and free variances but at a bound that they push against.
    fn moving(&self, here: &Climb, free: Free) -> Vec<usize> {
        let p = self.layout().n_fixed();
        let held = |value: f64, (low, high): (f64, f64), slope: f64| {
            (value <= low && slope < 0.0) || (value >= high && slope > 0.0)
        };
        let mut moving: Vec<usize> = (0..p).collect();
        if free.tau && here.at.tau > 0.0 && !held(here.at.tau, TAU, here.outlook.gradient[p]) {
            moving.push(p);
        }
        if free.s2 && here.at.s2 > 0.0 && !held(here.at.s2, S2, here.outlook.gradient[p + 1]) {
            moving.push(p + 1);
        }
        moving
    }

    /// The step of the moving parameters; nothing where the information with the ridge is not positive definite.
    fn step(&self, here: &Climb, moving: &[usize], ridge: f64) -> Option<Step> {
        let p = self.layout().n_fixed();
        let (information, gradient) = (&here.outlook.information, &here.outlook.gradient);
        let scale: Vec<f64> = moving.iter().map(|&i| 1.0 / information[(i, i)].abs().max(1e-300).sqrt()).collect();
        let n = moving.len();
        let mut factor = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..=i {
                factor[(i, j)] = information[(moving[i], moving[j])] * scale[i] * scale[j];
            }
            factor[(i, i)] += ridge;
        }
        cholesky_in_place(&mut factor).ok()?;
        let mut delta: Vec<f64> = moving.iter().zip(&scale).map(|(&i, s)| gradient[i] * s).collect();
        solve_lower(&factor, &mut delta);
        solve_lower_transposed(&factor, &mut delta);
        delta.iter_mut().zip(&scale).for_each(|(d, s)| *d *= s);
        let decrement: f64 = moving.iter().zip(&delta).map(|(&i, d)| gradient[i] * d).sum();
        if !decrement.is_finite() {
            return None;
        }
        let farthest = (0..self.layout().n_strata())
            .map(|c| dot(&self.layout().x.row(c)[..p], &delta[..p]).abs())
            .fold(0.0, f64::max);
        let mut shrink = (LONGEST.0 / farthest).min(1.0);
        for d in &delta[p..] {
            shrink = shrink.min(LONGEST.1 / d.abs());
        }
        delta.iter_mut().for_each(|d| *d *= shrink);
        Some(Step { delta, decrement, plain: ridge == 0.0 })
    }

    fn moved(&self, from: &Place, moving: &[usize], delta: &[f64]) -> Place {
        let p = self.layout().n_fixed();
        let mut at = from.clone();
        for (&i, &d) in moving.iter().zip(delta) {
            match i.checked_sub(p) {
                None => at.coefficients[i] += d,
                Some(0) => at.tau = (at.tau * d.exp()).clamp(TAU.0, TAU.1),
                Some(_) => at.s2 = (at.s2 * d.exp()).clamp(S2.0, S2.1),
            }
        }
        at
    }
}

fn next_ridge(ridge: f64) -> f64 {
    if ridge == 0.0 { 1e-3 } else { ridge * 6.0 }
}
