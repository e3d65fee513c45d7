//! The likelihood along a grid of one variance, the coefficients maximised at each point.
//!
//! For fixed variances the likelihood is concave in the coefficients, so that each point has one maximum. The information
//! there tells how the maximum moves with the variance (`db/dx = J⁻¹ d²l/(db dx)`), so that two neighbours predict the next
//! to the fourth order; a last Newton step that is not evaluated leaves an error of the square of the decrement.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, scaled_inverse};

use crate::nbmm::ascent::{Free, Limits};
use crate::nbmm::marginal::{Marginal, Place, Rule, Scratch};

/// The Newton decrement at which a point is left.
const DECREMENT: f64 = 1e-6;

/// Donor variances from which the finer rule is taken: the climbing rule has other derivatives than its value there.
const LARGE: f64 = 0.7;

/// The most steps at a point.
const STEPS: usize = 40;

/// One point of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::nbmm) struct Point {
    /// The maximum of the log-likelihood over the coefficients.
    pub(in crate::nbmm) value: f64,
    /// The restricted log-likelihood: coefficients integrated out with a flat prior.
    pub(in crate::nbmm) restricted: f64,
    pub(in crate::nbmm) coefficients: Vec<f64>,
    /// The inverse of the information of the coefficients; NaN where there is none.
    pub(in crate::nbmm) covariance: Matrix,
    /// How the coefficients move with the logarithm of the variance that the profile is along.
    slopes: Vec<f64>,
}

/// The variance that a profile is along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::nbmm) enum Along {
    Tau,
    S2,
}

impl Point {
    /// Estimate and variance of a contrast.
    pub(in crate::nbmm) fn contrast(&self, weights: &[f64]) -> (f64, f64) {
        let variance = (0..weights.len()).map(|i| weights[i] * dot(self.covariance.row(i), weights)).sum();
        (dot(weights, &self.coefficients), variance)
    }
}

impl Marginal<'_> {
    /// The profile over `places` (tau and s2), whose logarithms of the variance `along` are `step` apart, worked through
    /// outwards from the one at `start`, at whose neighbourhood the coefficients are known.
    pub(in crate::nbmm) fn profile(
        &self,
        places: &[(f64, f64)],
        (along, step): (Along, f64),
        start: (usize, &[f64]),
        (rule, fine): (&Rule, &Rule),
        scratch: &mut Scratch,
    ) -> Vec<Point> {
        let mut points: Vec<Option<Point>> = vec![None; places.len()];
        let (start, coefficients) = start;
        let upwards = (start..places.len()).map(|k| (k, -1_i64, step));
        let downwards = (0..start).rev().map(|k| (k, 1, -step));
        for (k, side, step) in upwards.chain(downwards) {
            let known =
                |distance: i64| usize::try_from(k as i64 + side * distance).ok().and_then(|i| points.get(i)?.as_ref());
            let from = predict(known(1), known(2), step).unwrap_or_else(|| coefficients.to_vec());
            let rule = if places[k].1 < LARGE { rule } else { fine };
            points[k] = Some(self.point(places[k], along, from, DECREMENT, rule, scratch));
        }
        points.into_iter().flatten().collect()
    }

    /// The profile at one place, from coefficients nearby: climbed until the Newton decrement is below `decrement`.
    pub(in crate::nbmm) fn point(
        &self,
        (tau, s2): (f64, f64),
        along: Along,
        from: Vec<f64>,
        decrement: f64,
        rule: &Rule,
        scratch: &mut Scratch,
    ) -> Point {
        let p = from.len();
        let free = Free { tau: false, s2: false };
        let limits = Limits { decrement, steps: STEPS, in_tau: along == Along::Tau };
        let climb = self.climb(Place { coefficients: from, tau, s2 }, free, rule, limits, scratch);
        let mut information = Matrix::zeros(p, p);
        for i in 0..p {
            information.row_mut(i).copy_from_slice(&climb.outlook.information.row(i)[..p]);
        }
        let gradient = &climb.outlook.gradient[..p];
        let (mut coefficients, mut value) = (climb.at.coefficients, climb.outlook.value);
        let covariance = scaled_inverse(&information, 0.0).unwrap_or_else(|_| nothing(p));
        let step: Vec<f64> = (0..p).map(|i| dot(covariance.row(i), gradient)).collect();
        let decrement = dot(&step, gradient);
        if decrement < 1e-2 {
            coefficients.iter_mut().zip(&step).for_each(|(b, d)| *b += d);
            value += 0.5 * decrement;
        }
        let moved = &climb.outlook.information.row(p + usize::from(along == Along::S2))[..p];
        let slopes = (0..p).map(|i| -dot(covariance.row(i), moved)).collect();
        Point { value, restricted: value - 0.5 * ln_determinant(information), coefficients, covariance, slopes }
    }
}

/// The coefficients a step further than `one`, with `two` a step before that: by the cubic that meets both with their
/// slopes.
fn predict(one: Option<&Point>, two: Option<&Point>, step: f64) -> Option<Vec<f64>> {
    let one = one?;
    let pairs = one.coefficients.iter().zip(&one.slopes);
    let next: Vec<f64> = match two {
        None => pairs.map(|(b, d)| b + step * d).collect(),
        Some(two) => pairs
            .zip(two.coefficients.iter().zip(&two.slopes))
            .map(|((b, d), (b_2, d_2))| 5.0 * b_2 - 4.0 * b + step * (2.0 * d_2 + 4.0 * d))
            .collect(),
    };
    Some(if next.iter().all(|b| b.is_finite()) { next } else { one.coefficients.clone() })
}

fn nothing(p: usize) -> Matrix {
    Matrix::from_rows(p, p, vec![f64::NAN; p * p])
}

/// ln of the determinant of a positive definite matrix; NaN of any other.
fn ln_determinant(mut a: Matrix) -> f64 {
    match cholesky_in_place(&mut a) {
        Ok(()) => 2.0 * a.diagonal().iter().map(|d| d.ln()).sum::<f64>(),
        Err(_) => f64::NAN,
    }
}
