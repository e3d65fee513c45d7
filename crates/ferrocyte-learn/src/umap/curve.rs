//! [`Curve`]: how sure it is that points at a distance in the embedding are neighbours.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::optimise::{Evaluation, Stop, minimise};

/// Distances at which the curve is fitted.
const POINTS: usize = 300;

/// Sureness `1 / (1 + a d^(2b))` at distance d.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// How fast sureness falls.
    pub a: f64,
    /// How flat it is near 0.
    pub b: f64,
}

/// The curve nearest, by least squares at 300 distances up to three times `spread`, to one that is 1 up to `min_dist`
/// and then falls as `exp(-(d - min_dist) / spread)`.
///
/// # Errors
///
/// Not `0 <= min_dist <= spread`, or a spread of 0.
///
/// ```
/// let curve = ferrocyte_learn::curve(0.1, 1.0)?;
/// assert!((curve.a - 1.5769).abs() < 1e-4 && (curve.b - 0.8951).abs() < 1e-4);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn curve(min_dist: f64, spread: f64) -> Result<Curve> {
    if !(spread > 0.0 && spread.is_finite() && (0.0..=spread).contains(&min_dist)) {
        let message = format!("0 <= min_dist <= spread and spread > 0 were expected, found {min_dist} and {spread}");
        return Err(Fault::bad_input(message));
    }
    let distance = |t: usize| 3.0 * spread * t as f64 / (POINTS - 1) as f64;
    let wanted = |d: f64| if d < min_dist { 1.0 } else { (-(d - min_dist) / spread).exp() };
    let objective = |x: &[f64]| {
        let (a, b) = (x[0], x[1]);
        let (mut value, mut gradient, mut hessian) = (0.0, vec![0.0; 2], vec![0.0; 4]);
        // At distance 0 both are 1.
        for d in (1..POINTS).map(distance) {
            let power = d.powf(2.0 * b);
            let fitted = 1.0 / (1.0 + a * power);
            let rest = fitted - wanted(d);
            let slope = -fitted * fitted * power;
            let slopes = [slope, slope * a * 2.0 * d.ln()];
            value += 0.5 * rest * rest;
            for s in 0..2 {
                gradient[s] += rest * slopes[s];
                for t in 0..2 {
                    hessian[2 * s + t] += slopes[s] * slopes[t];
                }
            }
        }
        Ok(Evaluation { value, gradient, hessian: Some(hessian) })
    };
    let least = minimise(&[1.0, 1.0], &[1e-9, 1e-3], &[f64::INFINITY; 2], Stop::default(), objective)?;
    Ok(Curve { a: least.point[0], b: least.point[1] })
}
