//! The likelihood along a grid of one variance, the coefficients maximised at each point.
//!
//! For fixed variances the likelihood is concave in the coefficients, so that each point has one maximum. Neighbours
//! predict each other; a last Newton step that is not evaluated leaves an error of the square of the decrement.

use ferrocyte_math::linalg::{Matrix, cholesky_in_place, dot, scaled_inverse};

use crate::nbmm::ascent::{Free, Limits};
use crate::nbmm::marginal::{Marginal, Place, Rule, Scratch};

/// The Newton decrement at which a point is left.
const DECREMENT: f64 = 1e-6;

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
}

impl Point {
    /// Estimate and variance of a contrast.
    pub(in crate::nbmm) fn contrast(&self, weights: &[f64]) -> (f64, f64) {
        let variance = (0..weights.len()).map(|i| weights[i] * dot(self.covariance.row(i), weights)).sum();
        (dot(weights, &self.coefficients), variance)
    }
}

impl Marginal<'_> {
    /// The profile over `places` (tau and s2), worked through outwards from the one at `start`, at whose neighbourhood
    /// the coefficients are known.
    pub(in crate::nbmm) fn profile(
        &self,
        places: &[(f64, f64)],
        start: usize,
        coefficients: &[f64],
        rule: &Rule,
        scratch: &mut Scratch,
    ) -> Vec<Point> {
        let mut points: Vec<Option<Point>> = vec![None; places.len()];
        let upwards = start..places.len();
        let downwards = (0..start).rev();
        for k in upwards.chain(downwards) {
            let side: i64 = if k >= start { -1 } else { 1 };
            let known = |distance: i64| {
                let i = usize::try_from(k as i64 + side * distance).ok()?;
                points.get(i)?.as_ref().map(|point| &point.coefficients)
            };
            let from = predict(known(1), known(2), known(3)).unwrap_or_else(|| coefficients.to_vec());
            points[k] = Some(self.point(places[k], from, DECREMENT, rule, scratch));
        }
        points.into_iter().flatten().collect()
    }

    /// The profile at one place, from coefficients nearby: climbed until the Newton decrement is below `decrement`.
    pub(in crate::nbmm) fn point(
        &self,
        (tau, s2): (f64, f64),
        from: Vec<f64>,
        decrement: f64,
        rule: &Rule,
        scratch: &mut Scratch,
    ) -> Point {
        let p = from.len();
        let free = Free { tau: false, s2: false };
        let limits = Limits { decrement, steps: STEPS };
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
        Point { value, restricted: value - 0.5 * ln_determinant(information), coefficients, covariance }
    }
}

/// The next value from up to three before it.
fn predict(one: Option<&Vec<f64>>, two: Option<&Vec<f64>>, three: Option<&Vec<f64>>) -> Option<Vec<f64>> {
    let one = one?;
    Some(match (two, three) {
        (Some(two), Some(three)) => one.iter().zip(two).zip(three).map(|((a, b), c)| 3.0 * a - 3.0 * b + c).collect(),
        (Some(two), None) => one.iter().zip(two).map(|(a, b)| 2.0 * a - b).collect(),
        _ => one.clone(),
    })
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
