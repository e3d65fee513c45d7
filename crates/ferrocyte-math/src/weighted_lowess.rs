//! [`weighted_lowess`]: a robust locally weighted line for points with weights of their own, and [`loess_fit`], which
//! chooses between it, [`lowess`] and a straight line. The numbers are those of limma.
//!
//! The span is a share of the total weight: a point of weight 2 counts like two points. Lines are fitted at up to
//! `places` places; the curve is straight between them.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Fault, Result};

use crate::interpolate::Interpolator;
use crate::lowess::{LowessOptions, Sums, check, lowess, rising, straight};
use crate::wide::{self, Kernel};

/// Radii and variances of `x` below this are none.
const THRESHOLD: f64 = 1e-7;

/// How wide, how robust and how fine a curve is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedLowessOptions {
    /// Share of the total weight that a local line sees.
    pub span: f64,
    /// Passes in all, the first included.
    pub iterations: usize,
    /// About how many places a line is fitted at (`npts`).
    pub places: usize,
}

impl WeightedLowessOptions {
    /// Four passes and 200 places.
    pub fn new(span: f64) -> Self {
        Self { span, iterations: 4, places: 200 }
    }
}

/// A smooth curve through weighted points, in the order in which they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedLowess {
    /// The curve.
    pub fitted: Vec<f64>,
    /// What it leaves.
    pub residuals: Vec<f64>,
    /// Robustness weights after the last pass.
    pub weights: Vec<f64>,
    /// Distance between places.
    pub delta: f64,
    /// The places and the curve there.
    places: Vec<(f64, f64)>,
}

impl WeightedLowess {
    /// The curve between the points, constant beyond them.
    pub fn curve(&self) -> Interpolator {
        Interpolator::of_sorted(self.places.iter().copied())
    }
}

/// The robust locally weighted line of `y` over `x` for points of the given weights.
///
/// # Errors
/// Where lengths differ, a value is not finite, a weight is negative or all are zero, there is no point, or the span or
/// number of passes is not positive.
pub fn weighted_lowess(
    x: &[f64],
    y: &[f64],
    weights: &[f64],
    options: &WeightedLowessOptions,
) -> Result<WeightedLowess> {
    check(x, y, options.span)?;
    check_weights(weights, x.len())?;
    if options.iterations == 0 || options.places < 2 {
        return Err(Fault::bad_input(format!("{} passes at {} places", options.iterations, options.places))
            .hint("give at least 1 pass and 2 places"));
    }
    let order = rising(x);
    let sorted = |values: &[f64]| -> Vec<f64> { order.iter().map(|&i| values[i]).collect() };
    let (x, y, weights) = (sorted(x), sorted(y), sorted(weights));
    let n = x.len();
    let delta = spacing(&x, options.places);
    let places = places(&x, &weights, options.span, delta);
    let mut robust = vec![1.0; n];
    let mut combined = weights.clone();
    let mut curve = vec![0.0; n];
    for _ in 0..options.iterations {
        wide::widest(Pass { x: &x, y: &y, weights: &combined, places: &places, curve: &mut curve });
        if !robustness(&y, &curve, &weights, &mut robust) {
            break;
        }
        for ((c, w), r) in combined.iter_mut().zip(&weights).zip(&robust) {
            *c = w * r;
        }
    }
    let mut out = WeightedLowess {
        fitted: vec![0.0; n],
        residuals: vec![0.0; n],
        weights: vec![0.0; n],
        delta,
        places: places.iter().map(|place| (x[place.at], curve[place.at])).collect(),
    };
    for (k, &i) in order.iter().enumerate() {
        out.fitted[i] = curve[k];
        out.residuals[i] = y[k] - curve[k];
        out.weights[i] = robust[k];
    }
    Ok(out)
}

fn check_weights(weights: &[f64], n: usize) -> Result<()> {
    if weights.len() != n {
        return Err(Fault::bad_input(format!("{} weights for {n} points", weights.len())).at("weights"));
    }
    if let Some(i) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        let message = format!("that of point {} is {}, expected a number that is not negative", i + 1, weights[i]);
        return Err(Fault::bad_input(message).at("weights"));
    }
    if weights.iter().all(|&w| w == 0.0) {
        return Err(Fault::bad_input("all are zero").at("weights"));
    }
    Ok(())
}

/// The distance that gives about as many places as asked for, had the largest gaps between points not to be stepped
/// over anyway.
fn spacing(x: &[f64], places: usize) -> f64 {
    let n = x.len();
    if places >= n {
        return 0.0;
    }
    let mut gaps: Vec<f64> = x.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_unstable_by(f64::total_cmp);
    let mut sum = 0.0;
    for gap in &mut gaps {
        sum += *gap;
        *gap = sum;
    }
    (0..places).map(|k| gaps[n - 2 - k] / (places - k) as f64).fold(f64::INFINITY, f64::min)
}

/// A point where a line is fitted, and the points `start..end` that it sees.
struct Place {
    at: usize,
    start: usize,
    end: usize,
    radius: f64,
}

fn places(x: &[f64], weights: &[f64], span: f64, delta: f64) -> Vec<Place> {
    let n = x.len();
    let needed = span * weights.iter().sum::<f64>();
    let mut places: Vec<Place> = Vec::new();
    for at in 0..n {
        let far = places.last().is_none_or(|before| x[at] - x[before.at] > delta);
        if far || at + 1 == n {
            places.push(neighbourhood(x, weights, at, needed));
        }
    }
    places
}

/// The points nearest to `at` with the weight needed, and their ties.
fn neighbourhood(x: &[f64], weights: &[f64], at: usize, needed: f64) -> Place {
    let n = x.len();
    let (mut left, mut right) = (at, at);
    let mut weight = weights[at];
    while weight < needed && (left > 0 || right + 1 < n) {
        let leftwards = right + 1 == n || (left > 0 && x[at] - x[left - 1] < x[right + 1] - x[at]);
        if leftwards {
            left -= 1;
            weight += weights[left];
        } else {
            right += 1;
            weight += weights[right];
        }
    }
    while left > 0 && x[left - 1] == x[left] {
        left -= 1;
    }
    while right + 1 < n && x[right + 1] == x[right] {
        right += 1;
    }
    Place { at, start: left, end: right + 1, radius: (x[at] - x[left]).max(x[right] - x[at]) }
}

/// One pass: the curve at all points for given weights.
struct Pass<'a> {
    x: &'a [f64],
    y: &'a [f64],
    weights: &'a [f64],
    places: &'a [Place],
    curve: &'a mut [f64],
}

impl Kernel for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let n = self.x.len();
        let close = THRESHOLD * (self.x[n - 1] - self.x[0]) / n as f64;
        let mut before = 0;
        let mut room = vec![0.0; n];
        for place in self.places {
            let window = place.start..place.end;
            let (x, y) = (&self.x[window.clone()], &self.y[window.clone()]);
            // Within no radius at all the weights are flat.
            let (radius, flat) = if place.radius < THRESHOLD { (1.0, 1.0) } else { (place.radius, 0.0) };
            let sums = Sums::at(self.x[place.at], radius, flat, x, y, &self.weights[window], &mut room);
            self.curve[place.at] = match sums {
                Some(sums) => sums.line(|variance| variance >= THRESHOLD),
                None => self.y[place.at],
            };
            if place.at > before + 1 {
                if self.x[place.at] - self.x[before] > close {
                    straight(self.x, self.curve, before, place.at);
                } else {
                    let mean = 0.5 * (self.curve[before] + self.curve[place.at]);
                    self.curve[before + 1..place.at].fill(mean);
                }
            }
            before = place.at;
        }
    }
}

/// Bisquare weights of the residuals over six weighted medians; false where these are too small to tell points apart.
fn robustness(y: &[f64], curve: &[f64], weights: &[f64], robust: &mut [f64]) -> bool {
    let residuals: Vec<f64> = y.iter().zip(curve).map(|(y, c)| (y - c).abs()).collect();
    let mean = residuals.iter().sum::<f64>() / residuals.len() as f64;
    let bound = 6.0 * weighted_median(&residuals, weights);
    if bound <= THRESHOLD * mean {
        return false;
    }
    for (weight, r) in robust.iter_mut().zip(&residuals) {
        let u = r / bound;
        *weight = if u < 1.0 { (1.0 - u * u) * (1.0 - u * u) } else { 0.0 };
    }
    true
}

/// The value that half of the weight lies below; where this falls exactly between two, their mean.
fn weighted_median(values: &[f64], weights: &[f64]) -> f64 {
    let order = rising(values);
    let half = 0.5 * weights.iter().sum::<f64>();
    let mut below = 0.0;
    for (k, &i) in order.iter().enumerate() {
        below += weights[i];
        if below == half && k + 1 < order.len() {
            return 0.5 * (values[i] + values[order[k + 1]]);
        }
        if below >= half {
            return values[i];
        }
    }
    order.last().map_or(f64::NAN, |&i| values[i])
}

/// A curve of `y` over `x` and what it leaves; NaN where a point has a value that is not finite, or a weight that is
/// not.
#[derive(Debug, Clone, PartialEq)]
pub struct LoessFit {
    /// The curve.
    pub fitted: Vec<f64>,
    /// What it leaves.
    pub residuals: Vec<f64>,
}

/// A smooth curve of `y` over `x` with limma's choice of method: [`lowess`] for points of equal weight; a weighted
/// straight line for fewer than `4 + 1 / span` points; else [`weighted_lowess`] with weights between 1e-5 and 1e5.
///
/// `iterations` are all passes (limma: 4).
pub fn loess_fit(y: &[f64], x: &[f64], weights: Option<&[f64]>, span: f64, iterations: usize) -> Result<LoessFit> {
    loess_fit_within(y, x, weights, span, iterations, (1e-5, 1e5))
}

/// [`loess_fit`] with other limits of the weights.
pub(crate) fn loess_fit_within(
    y: &[f64],
    x: &[f64],
    weights: Option<&[f64]>,
    span: f64,
    iterations: usize,
    limits: (f64, f64),
) -> Result<LoessFit> {
    if x.len() != y.len() {
        return Err(Fault::bad_input(format!("{} x and {} y: expected as many of both", x.len(), y.len())));
    }
    if let Some(w) = weights
        && w.len() != y.len()
    {
        return Err(Fault::bad_input(format!("{} weights for {} points", w.len(), y.len())).at("weights"));
    }
    let seen: Vec<usize> = (0..y.len())
        .filter(|&i| x[i].is_finite() && y[i].is_finite() && weights.is_none_or(|w| w[i].is_finite()))
        .collect();
    let mut out = LoessFit { fitted: vec![f64::NAN; y.len()], residuals: vec![f64::NAN; y.len()] };
    if seen.is_empty() {
        return Ok(out);
    }
    let chosen = |values: &[f64]| -> Vec<f64> { seen.iter().map(|&i| values[i]).collect() };
    let (x, ys) = (chosen(x), chosen(y));
    let weights = weights.map(chosen).filter(|w| w.iter().any(|v| *v != w[0]));
    let fitted = match weights {
        None => {
            let passes = iterations.saturating_sub(1);
            lowess(&x, &ys, &LowessOptions { iterations: passes, ..LowessOptions::new(span) })?.fitted()
        }
        Some(mut w) => {
            w.iter_mut().for_each(|v| *v = v.clamp(limits.0, limits.1));
            if (x.len() as f64) < 4.0 + 1.0 / span {
                weighted_line(&x, &ys, &w)
            } else {
                let options = WeightedLowessOptions { iterations, ..WeightedLowessOptions::new(span) };
                weighted_lowess(&x, &ys, &w, &options)?.fitted
            }
        }
    };
    for (k, &i) in seen.iter().enumerate() {
        out.fitted[i] = fitted[k];
        out.residuals[i] = ys[k] - fitted[k];
    }
    Ok(out)
}

/// Weighted least squares of `y` on 1 and `x`; the weighted mean if `x` does not vary.
fn weighted_line(x: &[f64], y: &[f64], weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let mean = |values: &[f64]| values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / total;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xx, mut xy) = (0.0, 0.0);
    for ((x, y), w) in x.iter().zip(y).zip(weights) {
        xx += w * (x - mean_x) * (x - mean_x);
        xy += w * (x - mean_x) * (y - mean_y);
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    x.iter().map(|x| mean_y + slope * (x - mean_x)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sqrt() * 3.0).collect();
        let y = x.iter().enumerate().map(|(i, x)| x.sin() + ((i * i * 7919) % 101) as f64 * 0.01).collect();
        let w = (0..n).map(|i| 0.5 + ((i * 31) % 17) as f64 * 0.1).collect();
        (x, y, w)
    }

    #[test]
    fn weights_count_like_repeated_points() -> Result<()> {
        let (x, y, _) = example(80);
        let doubled: Vec<f64> = (0..80).map(|i| if i % 3 == 0 { 2.0 } else { 1.0 }).collect();
        let (mut xs, mut ys) = (Vec::new(), Vec::new());
        for i in 0..80 {
            for _ in 0..doubled[i] as usize {
                xs.push(x[i]);
                ys.push(y[i]);
            }
        }
        let options = WeightedLowessOptions::new(0.37);
        let once = weighted_lowess(&x, &y, &doubled, &options)?;
        let twice = weighted_lowess(&xs, &ys, &vec![1.0; xs.len()], &options)?;
        for i in 0..80 {
            let k = xs.iter().position(|v| *v == x[i]).unwrap_or(0);
            assert!((once.fitted[i] - twice.fitted[k]).abs() < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn a_line_is_found_again() -> Result<()> {
        let (x, _, w) = example(300);
        let y: Vec<f64> = x.iter().map(|x| 3.0 - 0.5 * x).collect();
        for fit in [weighted_lowess(&x, &y, &w, &WeightedLowessOptions::new(0.3))?.fitted, weighted_line(&x, &y, &w)] {
            for (f, y) in fit.iter().zip(&y) {
                assert!((f - y).abs() < 1e-11);
            }
        }
        Ok(())
    }

    #[test]
    fn places_are_about_as_many_as_asked_for() {
        let (x, _, w) = example(5000);
        let n = places(&x, &w, 0.3, spacing(&x, 200)).len();
        assert!((190..=202).contains(&n), "{n}");
        assert_eq!(places(&x, &w, 0.3, 0.0).len(), 5000);
    }

    #[test]
    fn the_method_follows_the_weights() -> Result<()> {
        let (x, y, w) = example(50);
        let plain = loess_fit(&y, &x, None, 0.4, 4)?;
        assert_eq!(plain, loess_fit(&y, &x, Some(&[2.0; 50]), 0.4, 4)?);
        assert_eq!(plain.fitted, lowess(&x, &y, &LowessOptions::new(0.4))?.fitted());
        let few = loess_fit(&y[..5], &x[..5], Some(&w[..5]), 0.4, 4)?;
        assert_eq!(few.fitted, weighted_line(&x[..5], &y[..5], &w[..5]));
        let mut holed = y.clone();
        holed[7] = f64::NAN;
        let fit = loess_fit(&holed, &x, Some(&w), 0.4, 4)?;
        assert!(fit.fitted[7].is_nan() && fit.fitted.iter().filter(|f| f.is_nan()).count() == 1);
        assert!(weighted_lowess(&x, &y, &vec![0.0; 50], &WeightedLowessOptions::new(0.4)).is_err());
        Ok(())
    }

    #[test]
    fn the_curve_between_points_passes_through_them() -> Result<()> {
        let (x, y, w) = example(1000);
        let fit = weighted_lowess(&x, &y, &w, &WeightedLowessOptions::new(0.3))?;
        let curve = fit.curve();
        assert!(x.iter().zip(&fit.fitted).all(|(x, f)| (curve.at(*x) - f).abs() < 1e-12));
        Ok(())
    }

    #[test]
    fn medians_of_weights() {
        assert_eq!(weighted_median(&[3.0, 1.0, 2.0], &[1.0, 1.0, 1.0]), 2.0);
        assert_eq!(weighted_median(&[3.0, 1.0, 2.0, 4.0], &[1.0; 4]), 2.5);
        assert_eq!(weighted_median(&[3.0, 1.0], &[5.0, 1.0]), 3.0);
    }
}
