//! The largest restricted likelihood, with and without bounds on the variances.

use ferrocyte_base::Result;
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use super::likelihood::{Likelihood, Slopes, Value};
use super::nonnegative::minimum;

/// Turns before it is given up.
const MOST_TURNS: usize = 60;

/// The search ends once another step promises less than this.
const PROMISE: f64 = 1e-13;

/// The shortest share of a step that is tried.
const SHORTEST: f64 = 1.0 / 4096.0;

/// Where the search ended.
#[derive(Debug, Clone)]
pub(super) struct Optimum {
    /// Fitted variances.
    pub(super) theta: Vec<f64>,
    pub(super) value: Value,
    pub(super) slopes: Slopes,
    /// Whether nothing better is near.
    pub(super) converged: bool,
}

/// Climbs from `start` by steps of the average information; with `bounded` no variance becomes negative.
///
/// Gives nothing where the likelihood has no value at the start. The matrix of work holds the inverse of the last point.
pub(super) fn climb(of: &mut Likelihood, start: &[f64], bounded: bool) -> Result<Option<Optimum>> {
    let mut theta = start.to_vec();
    let Some(mut value) = of.value(&theta)? else { return Ok(None) };
    let mut slopes = of.slopes(&value)?;
    for _ in 0..MOST_TURNS {
        let Some(step) = step(&slopes, &theta, bounded) else { break };
        let promise = dot(&step, &slopes.gradient);
        if !(promise > PROMISE) {
            return Ok(Some(Optimum { theta, value, slopes, converged: true }));
        }
        let mut share = 1.0;
        let found = loop {
            let trial: Vec<f64> = theta
                .iter()
                .zip(&step)
                .map(|(t, s)| if bounded { (t + share * s).max(0.0) } else { t + share * s })
                .collect();
            let at = of.value(&trial)?;
            // Near the top the gain is less than the rounding of the likelihood.
            let slack = if promise < 1e-6 { 1e-9 } else { 0.0 };
            if let Some(at) = at.filter(|at| at.l >= value.l + 1e-4 * share * promise - slack) {
                break Some((trial, at));
            }
            share *= 0.5;
            if share < SHORTEST {
                break None;
            }
        };
        let Some((next, at)) = found else { break };
        (theta, value) = (next, at);
        slopes = of.slopes(&value)?;
    }
    // A failed search leaves another point in the matrix of work.
    if let Some(at) = of.value(&theta)? {
        slopes = of.slopes(&at)?;
        value = at;
    }
    Ok(Some(Optimum { theta, value, slopes, converged: false }))
}

/// The step to the top of the parabola with the curvature of the average information.
fn step(slopes: &Slopes, theta: &[f64], bounded: bool) -> Option<Vec<f64>> {
    let h = &slopes.information;
    if bounded {
        let c: Vec<f64> = (0..theta.len()).map(|i| slopes.gradient[i] + dot(h.row(i), theta)).collect();
        let top = minimum(h, &c)?;
        return Some(top.iter().zip(theta).map(|(x, t)| x - t).collect());
    }
    let inverse = scaled_inverse(h, 1e-14).ok()?;
    Some((0..theta.len()).map(|i| dot(inverse.row(i), &slopes.gradient)).collect())
}

/// The inverse of an information over the variances that are not `held`; zeros for those. `None` where it has none.
pub(super) fn covariance(information: &Matrix, held: &[bool]) -> Option<Matrix> {
    let of: Vec<usize> = (0..held.len()).filter(|&i| !held[i]).collect();
    let mut small = Matrix::zeros(of.len(), of.len());
    for (a, &i) in of.iter().enumerate() {
        for (b, &j) in of.iter().enumerate() {
            small[(a, b)] = information[(i, j)];
        }
    }
    let inverse = scaled_inverse(&small, 1e-14).ok()?;
    let mut out = Matrix::zeros(held.len(), held.len());
    for (a, &i) in of.iter().enumerate() {
        for (b, &j) in of.iter().enumerate() {
            out[(i, j)] = inverse[(a, b)];
        }
    }
    Some(out)
}
