//! [`lowess`]: Cleveland's robust locally weighted line (1979), with the numbers of R's function of that name.
//!
//! At a point the line is fitted to the `ns = floor(span n)` points nearest to it, with tricube weights of distance; after each
//! pass, points far from the curve lose weight (bisquare of the residual over six medians). Points within `delta` of
//! the last fitted one are interpolated, so that a curve costs some hundred fits however many points there are.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Fault, Result};

use crate::interpolate::Interpolator;
use crate::wide::{self, Kernel};

/// Shares of a radius below which a weight is 1, and above which it is 0.
const NEAR: f64 = 0.001;
const FAR: f64 = 0.999;

/// How wide, how robust and how fine a curve is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowessOptions {
    /// Share of the points that a local line sees (`f` of R).
    pub span: f64,
    /// Robust passes after the first one (`iter` of R).
    pub iterations: usize,
    /// Points no farther than this from the last fitted one are interpolated; `None` is 1 % of the range of `x`.
    pub delta: Option<f64>,
}

impl LowessOptions {
    /// Three robust passes and a delta of 1 % of the range.
    pub fn new(span: f64) -> Self {
        Self { span, iterations: 3, delta: None }
    }
}

/// A smooth curve through points.
#[derive(Debug, Clone, PartialEq)]
pub struct Lowess {
    /// The points in order of `x`, as positions in the input; ties in the order given.
    pub order: Vec<usize>,
    /// `x`, rising.
    pub x: Vec<f64>,
    /// The curve at `x`.
    pub y: Vec<f64>,
    /// Positions in `x` at which lines were fitted; between them the curve is straight.
    anchors: Vec<usize>,
}

impl Lowess {
    /// The curve at the points in the order in which they were given.
    pub fn fitted(&self) -> Vec<f64> {
        let mut fitted = vec![0.0; self.y.len()];
        for (&i, &y) in self.order.iter().zip(&self.y) {
            fitted[i] = y;
        }
        fitted
    }

    /// The curve between the points, constant beyond them.
    pub fn curve(&self) -> Interpolator {
        Interpolator::of_sorted(self.anchors.iter().map(|&i| (self.x[i], self.y[i])))
    }
}

/// The span that leaves a local line enough points: `min(1, least + (1 - least) (small / n)^power)`.
///
/// limma 3.66 takes `small = 50`, `least = 0.3`, `power = 1/3` for a trend over `n` genes.
pub fn choose_lowess_span(n: usize, small: f64, least: f64, power: f64) -> f64 {
    (least + (1.0 - least) * (small / n as f64).powf(power)).min(1.0)
}

/// The robust locally weighted line of `y` over `x`.
///
/// # Errors
/// Where lengths differ, a value is not finite, there is no point, or the span is not positive.
pub fn lowess(x: &[f64], y: &[f64], options: &LowessOptions) -> Result<Lowess> {
    check(x, y, options.span)?;
    let order = rising(x);
    let x: Vec<f64> = order.iter().map(|&i| x[i]).collect();
    let y: Vec<f64> = order.iter().map(|&i| y[i]).collect();
    let n = x.len();
    if n == 1 {
        return Ok(Lowess { order, x, y, anchors: vec![0] });
    }
    let range = x[n - 1] - x[0];
    let ns = ((options.span * n as f64 + 1e-7).floor() as usize).min(n).max(2);
    let places = places(&x, ns, options.delta.unwrap_or(0.01 * range));
    let mut curve = vec![0.0; n];
    let mut robust = vec![1.0; n];
    for pass in 0..=options.iterations {
        wide::widest(Pass { x: &x, y: &y, robust: &robust, places: &places, range, curve: &mut curve });
        if pass == options.iterations {
            break;
        }
        let Some(weights) = robustness(&y, &curve) else { break };
        robust = weights;
    }
    Ok(Lowess { order, x, y: curve, anchors: places.iter().map(|place| place.at).collect() })
}

pub(crate) fn check(x: &[f64], y: &[f64], span: f64) -> Result<()> {
    if x.len() != y.len() || x.is_empty() {
        return Err(Fault::bad_input(format!("{} x and {} y: expected as many of both, and some", x.len(), y.len())));
    }
    if !(span > 0.0) {
        return Err(Fault::bad_input(format!("{span} is no share of the points"))
            .at("span")
            .hint("give one in (0, 1]"));
    }
    for (name, values) in [("x", x), ("y", y)] {
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(
                Fault::bad_input(format!("point {} is {}, expected a finite number", i + 1, values[i])).at(name)
            );
        }
    }
    Ok(())
}

/// The order of rising `x`; ties as given.
pub(crate) fn rising(x: &[f64]) -> Vec<usize> {
    let mut pairs: Vec<(f64, u32)> = x.iter().zip(0..).map(|(&x, i)| (x, i)).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    pairs.into_iter().map(|(_, i)| i as usize).collect()
}

/// A point where a line is fitted, and the points that it sees.
struct Place {
    at: usize,
    /// The last of the points with the same `x` that follow it.
    last: usize,
    /// Points with weight: `start..end`.
    start: usize,
    end: usize,
    /// The radius of the tricube.
    radius: f64,
}

/// Where lines are fitted. Neither the curve nor the weights matter, so that the places are found once.
fn places(x: &[f64], ns: usize, delta: f64) -> Vec<Place> {
    let n = x.len();
    let (mut left, mut at) = (0, 0);
    let mut places = Vec::new();
    loop {
        while left + ns < n && x[at] - x[left] > x[left + ns] - x[at] {
            left += 1;
        }
        let radius = (x[at] - x[left]).max(x[left + ns - 1] - x[at]);
        let start = left + x[left..at].partition_point(|&v| x[at] - v > FAR * radius);
        let end = at + x[at..].partition_point(|&v| v <= x[at] || v - x[at] <= FAR * radius);
        let last = at + x[at..].partition_point(|&v| v <= x[at]) - 1;
        places.push(Place { at, last, start, end, radius });
        if last + 1 == n {
            return places;
        }
        let beyond = last + 1 + x[last + 1..].partition_point(|&v| v <= x[at] + delta);
        at = (last + 1).max(beyond - 1);
    }
}

/// One pass: the curve at all points for given robustness weights.
struct Pass<'a> {
    x: &'a [f64],
    y: &'a [f64],
    robust: &'a [f64],
    places: &'a [Place],
    range: f64,
    curve: &'a mut [f64],
}

impl Kernel for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut before = 0;
        let mut room = vec![0.0; self.x.len()];
        for place in self.places {
            let window = place.start..place.end;
            let (x, y) = (&self.x[window.clone()], &self.y[window.clone()]);
            let value = match Sums::at(self.x[place.at], place.radius, NEAR, x, y, &self.robust[window], &mut room) {
                Some(sums) => sums.line(|variance| variance.sqrt() > 0.001 * self.range),
                None => self.y[place.at],
            };
            self.curve[place.at..=place.last].fill(value);
            if place.at > before + 1 {
                straight(self.x, self.curve, before, place.at);
            }
            before = place.last;
        }
    }
}

/// Fills the curve between two fitted points with a straight line.
#[inline(always)]
pub(crate) fn straight(x: &[f64], curve: &mut [f64], from: usize, to: usize) {
    let slope = 1.0 / (x[to] - x[from]);
    for j in from + 1..to {
        let share = (x[j] - x[from]) * slope;
        curve[j] = share * curve[to] + (1.0 - share) * curve[from];
    }
}

/// Weighted moments of the points around a place `x0`: means of `d = x - x0`, `d^2`, `y` and `d y`.
pub(crate) struct Sums {
    d: f64,
    dd: f64,
    y: f64,
    dy: f64,
}

/// Numbers worked on at once.
const LANES: usize = 4;

/// Adds some points to the interleaved sums of `w`, `w d`, `w d^2`, `w y` and `w d y`.
#[inline(always)]
fn add(sums: &mut [[f64; LANES]; 5], x0: f64, x: &[f64; LANES], y: &[f64; LANES], w: &[f64; LANES]) {
    for lane in 0..LANES {
        let d = x[lane] - x0;
        let wd = w[lane] * d;
        sums[0][lane] += w[lane];
        sums[1][lane] += wd;
        sums[2][lane] += wd * d;
        sums[3][lane] += w[lane] * y[lane];
        sums[4][lane] += wd * y[lane];
    }
}

impl Sums {
    /// The moments with tricube weights of the given radius (1 within `near` of it) times `extra` weights; `None` if all
    /// weights are zero. `room` has space for the weights.
    #[inline(always)]
    pub(crate) fn at(
        x0: f64,
        radius: f64,
        near: f64,
        x: &[f64],
        y: &[f64],
        extra: &[f64],
        room: &mut [f64],
    ) -> Option<Self> {
        let flat = near * radius;
        let scale = if radius > 0.0 { 1.0 / radius } else { 0.0 };
        let room = &mut room[..x.len()];
        for (((w, x), extra), _) in room.iter_mut().zip(x).zip(extra).zip(y) {
            let distance = (x - x0).abs();
            let u = distance * scale;
            let v = 1.0 - u * u * u;
            let tricube = if distance <= flat { 1.0 } else { v * v * v };
            *w = tricube * extra;
        }
        let mut sums = [[0.0; LANES]; 5];
        let (xs, x_tail) = x.as_chunks::<LANES>();
        let (ys, y_tail) = y.as_chunks::<LANES>();
        let (ws, w_tail) = room.as_chunks::<LANES>();
        for ((x, y), w) in xs.iter().zip(ys).zip(ws) {
            add(&mut sums, x0, x, y, w);
        }
        let (mut x_end, mut y_end, mut w_end) = ([x0; LANES], [0.0; LANES], [0.0; LANES]);
        x_end[..x_tail.len()].copy_from_slice(x_tail);
        y_end[..y_tail.len()].copy_from_slice(y_tail);
        w_end[..w_tail.len()].copy_from_slice(w_tail);
        add(&mut sums, x0, &x_end, &y_end, &w_end);
        let [w, d, dd, y, dy] = sums.map(|[a, b, c, d]| (a + c) + (b + d));
        // Also catches NaN.
        if w > 0.0 { Some(Self { d: d / w, dd: dd / w, y: y / w, dy: dy / w }) } else { None }
    }

    /// The height at the place of the weighted line, or the weighted mean where `sloped` refuses the variance of `x`.
    #[inline(always)]
    pub(crate) fn line(&self, sloped: impl FnOnce(f64) -> bool) -> f64 {
        let variance = (self.dd - self.d * self.d).max(0.0);
        if sloped(variance) { self.y - self.d * ((self.dy - self.d * self.y) / variance) } else { self.y }
    }
}

/// Bisquare weights of the residuals; `None` where these are too small to tell points apart.
fn robustness(y: &[f64], curve: &[f64]) -> Option<Vec<f64>> {
    let residuals: Vec<f64> = y.iter().zip(curve).map(|(y, c)| (y - c).abs()).collect();
    let mean = residuals.iter().sum::<f64>() / residuals.len() as f64;
    let bound = 6.0 * median(&mut residuals.clone());
    if bound < 1e-7 * mean {
        return None;
    }
    let weight = |r: f64| {
        let u = r / bound;
        let v = 1.0 - u * u;
        if r <= NEAR * bound {
            1.0
        } else if r <= FAR * bound {
            v * v
        } else {
            0.0
        }
    };
    Some(residuals.iter().map(|&r| weight(r)).collect())
}

/// The median, by selection; the values are reordered.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    let (lower, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return upper;
    }
    0.5 * (lower.iter().copied().fold(f64::NEG_INFINITY, f64::max) + upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The curve written out without windows that move, places found once, or moments.
    fn plain(x: &[f64], y: &[f64], options: &LowessOptions) -> Vec<f64> {
        let n = x.len();
        let range = x[n - 1] - x[0];
        let ns = ((options.span * n as f64 + 1e-7).floor() as usize).min(n).max(2);
        let mut robust = vec![1.0; n];
        let mut curve = vec![0.0; n];
        for _ in 0..=options.iterations {
            for i in 0..n {
                let mut distances: Vec<f64> = x.iter().map(|v| (v - x[i]).abs()).collect();
                let h = *distances.clone().select_nth_unstable_by(ns - 1, f64::total_cmp).1;
                for (d, r) in distances.iter_mut().zip(&robust) {
                    *d = if *d <= 0.001 * h {
                        *r
                    } else if *d <= 0.999 * h {
                        (1.0 - (*d / h).powi(3)).powi(3) * r
                    } else {
                        0.0
                    };
                }
                let total: f64 = distances.iter().sum();
                let mean: f64 = distances.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() / total;
                let c: f64 = distances.iter().zip(x).map(|(w, x)| w * (x - mean).powi(2)).sum::<f64>() / total;
                let slope = if c.sqrt() > 0.001 * range { (x[i] - mean) / c } else { 0.0 };
                curve[i] = (0..n).map(|j| distances[j] / total * (1.0 + slope * (x[j] - mean)) * y[j]).sum();
            }
            let r: Vec<f64> = y.iter().zip(&curve).map(|(y, c)| (y - c).abs()).collect();
            let bound = 6.0 * median(&mut r.clone());
            for (w, r) in robust.iter_mut().zip(&r) {
                *w = if *r <= 0.001 * bound { 1.0 } else { (1.0 - (r / bound).powi(2)).max(0.0).powi(2) };
                if *r > 0.999 * bound {
                    *w = 0.0;
                }
            }
        }
        curve
    }

    fn example(n: usize) -> (Vec<f64>, Vec<f64>) {
        let x: Vec<f64> = (0..n).map(|i| (i as f64 * 0.37).sqrt() * 3.0).collect();
        let y = x.iter().enumerate().map(|(i, x)| x.sin() + ((i * i * 7919) % 101) as f64 * 0.01).collect();
        (x, y)
    }

    #[test]
    fn the_curve_is_the_plain_one() -> Result<()> {
        let (x, y) = example(157);
        for (span, iterations) in [(0.2, 0), (0.5, 3), (1.0, 2)] {
            let options = LowessOptions { span, iterations, delta: Some(0.0) };
            for (found, expected) in lowess(&x, &y, &options)?.y.iter().zip(plain(&x, &y, &options)) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn order_and_threads_of_points_do_not_matter() -> Result<()> {
        let (x, y) = example(101);
        let shuffled: Vec<usize> = (0..101).map(|i| (i * 37) % 101).collect();
        let options = LowessOptions::new(0.4);
        let straight = lowess(&x, &y, &options)?;
        let (xs, ys): (Vec<f64>, Vec<f64>) = shuffled.iter().map(|&i| (x[i], y[i])).unzip();
        let mixed = lowess(&xs, &ys, &options)?;
        assert_eq!((&mixed.x, &mixed.y), (&straight.x, &straight.y));
        for (k, &i) in shuffled.iter().enumerate() {
            assert_eq!(mixed.fitted()[k], straight.y[i]);
        }
        Ok(())
    }

    #[test]
    fn the_curve_between_points_passes_through_them() -> Result<()> {
        let (x, y) = example(300);
        let fit = lowess(&x, &y, &LowessOptions::new(0.3))?;
        assert!(fit.anchors.len() < 150);
        let curve = fit.curve();
        for (x, y) in fit.x.iter().zip(&fit.y) {
            assert!((curve.at(*x) - y).abs() < 1e-13);
        }
        assert_eq!((curve.at(-5.0), curve.at(1e9)), (fit.y[0], fit.y[299]));
        Ok(())
    }

    #[test]
    fn odd_inputs() -> Result<()> {
        let options = LowessOptions::new(0.5);
        assert_eq!(lowess(&[2.0], &[3.0], &options)?.y, [3.0]);
        assert_eq!(lowess(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0], &options)?.y, [2.5; 4]);
        assert!(lowess(&[], &[], &options).is_err());
        assert!(lowess(&[1.0], &[1.0, 2.0], &options).is_err());
        assert!(lowess(&[1.0, 2.0], &[1.0, f64::NAN], &options).is_err_and(|e| e.to_string().contains("point 2")));
        assert!(lowess(&[1.0], &[1.0], &LowessOptions::new(0.0)).is_err());
        Ok(())
    }

    #[test]
    fn spans_of_few_and_many_points() {
        assert_eq!(choose_lowess_span(10, 50.0, 0.3, 1.0 / 3.0), 1.0);
        assert!((choose_lowess_span(14_453, 50.0, 0.3, 1.0 / 3.0) - 0.405_868_974_726_135_03).abs() < 1e-15);
    }
}
