//! Restricted maximum likelihood: variances from the likelihood with the coefficients integrated out.
//!
//! With b(tau, s2) the maximum over the coefficients and J their information there,
//! `l_R(tau, s2) = l(b, tau, s2) - ln det J / 2`: Laplace's integral over b with a flat prior. Only the two variances are
//! searched, in logarithms, by Newton's method with differences; each evaluation is a concave maximisation from a
//! neighbour of its answer. A variance that falls below [`VANISHING`] is zero.

use std::cell::RefCell;

use ferrocyte_base::Result;
use ferrocyte_math::optimise::{Evaluation, Stop, minimise};

use crate::nbmm::ascent::{S2, TAU, VANISHING};
use crate::nbmm::marginal::{Marginal, Rule, Scratch};
use crate::nbmm::profile::{Along, Point};

/// Step of the differences.
const STEP: f64 = 1e-3;

/// The gradient at which the search ends, relative to the value: what differences of this step can tell from rounding.
const SETTLED: f64 = 1e-8;

/// The Newton decrement of the coefficients: the determinant moves with their distance from the top, which must be no
/// more than rounding where differences are taken.
const EXACT: f64 = 1e-20;

/// Where a variance that is zero by maximum likelihood starts.
const SMALL: f64 = 0.02;

/// The maximum of the restricted likelihood.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Restricted {
    pub(in crate::nbmm) tau: f64,
    pub(in crate::nbmm) s2: f64,
    pub(in crate::nbmm) point: Point,
    pub(in crate::nbmm) converged: bool,
}

impl Marginal<'_> {
    /// The maximum of the restricted likelihood, from variances and coefficients nearby; `nb`: tau may be above zero.
    pub(in crate::nbmm) fn restricted(
        &self,
        (tau, s2): (f64, f64),
        coefficients: &[f64],
        nb: bool,
        rule: &Rule,
    ) -> Result<Restricted> {
        let known = RefCell::new((coefficients.to_vec(), Scratch::default()));
        let at = |tau: f64, s2: f64| -> Point {
            let mut known = known.borrow_mut();
            let (from, scratch) = &mut *known;
            let point = self.point((tau, s2), Along::S2, from.clone(), EXACT, rule, scratch);
            if point.restricted.is_finite() {
                from.clone_from(&point.coefficients);
            }
            point
        };
        let (mut tau_free, mut s2_free) = (nb, true);
        loop {
            let mut start = Vec::new();
            let (mut low, mut high) = (Vec::new(), Vec::new());
            for (free, value, bounds) in [(tau_free, tau, TAU), (s2_free, s2, S2)] {
                if free {
                    start.push(value.max(SMALL).ln());
                    low.push(bounds.0.ln());
                    high.push(bounds.1.ln());
                }
            }
            let place = |x: &[f64]| {
                let mut x = x.iter().map(|x| x.exp());
                let mut next = |free: bool| if free { x.next().unwrap_or(0.0) } else { 0.0 };
                (next(tau_free), next(s2_free))
            };
            if start.is_empty() {
                return Ok(Restricted { tau: 0.0, s2: 0.0, point: at(0.0, 0.0), converged: true });
            }
            let value = |x: &[f64]| {
                let (tau, s2) = place(x);
                -at(tau, s2).restricted
            };
            let stop = Stop { gradient: SETTLED, steps: 60 };
            let found = minimise(&start, &low, &high, stop, |x| Ok(by_differences(x, &value)))?;
            let (tau, s2) = place(&found.point);
            let vanished = (tau_free && tau < VANISHING, s2_free && s2 < VANISHING);
            if vanished == (false, false) {
                return Ok(Restricted { tau, s2, point: at(tau, s2), converged: found.converged });
            }
            (tau_free, s2_free) = (tau_free && !vanished.0, s2_free && !vanished.1);
        }
    }
}

/// Value, gradient and Hessian of a function of one or two variables by central differences.
fn by_differences(x: &[f64], f: &dyn Fn(&[f64]) -> f64) -> Evaluation {
    let n = x.len();
    let moved = |i: usize, a: f64, j: usize, b: f64| {
        let mut at = x.to_vec();
        at[i] += a;
        at[j] += b;
        f(&at)
    };
    let here = f(x);
    let (mut gradient, mut hessian) = (vec![0.0; n], vec![0.0; n * n]);
    for i in 0..n {
        let (up, down) = (moved(i, STEP, i, 0.0), moved(i, -STEP, i, 0.0));
        gradient[i] = (up - down) / (2.0 * STEP);
        hessian[i * n + i] = (up - 2.0 * here + down) / (STEP * STEP);
        for j in 0..i {
            let cross = moved(i, STEP, j, STEP) - moved(i, STEP, j, -STEP) - moved(i, -STEP, j, STEP)
                + moved(i, -STEP, j, -STEP);
            hessian[i * n + j] = cross / (4.0 * STEP * STEP);
            hessian[j * n + i] = hessian[i * n + j];
        }
    }
    Evaluation { value: here, gradient, hessian: Some(hessian) }
}
