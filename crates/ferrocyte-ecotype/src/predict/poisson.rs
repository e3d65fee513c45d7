//! One cell, fixed weights: its coefficients at the optimum.
//!
//! What is made small is `c'h - sum v_f ln(w_f'h)` over `h >= 0`, where `c` are the sums of the weights over all features,
//! those included that are 0 in this cell. It is convex, and strictly so where the features that are not 0 have weights
//! of full rank.

#![allow(clippy::inline_always)]

use ferrocyte_math::wide::{self, Kernel};

/// Features are padded to a multiple of this, and sums run in as many lanes, so that every machine adds alike.
const LANES: usize = 8;

/// In place of a fit of 0, which only padding has.
const TINY: f64 = 1e-300;

/// Newton's steps before giving up; ten are usual.
const MOST_STEPS: usize = 200;

/// Where a coefficient counts as 0, relative to the start.
const ZERO: f64 = 1e-14;

/// Gradients, relative to the largest sum of weights, at which the optimum is reached.
const CLOSE: f64 = 1e-10;

/// Of sufficient decrease.
const ARMIJO: f64 = 1e-4;

/// Pivots below this share mean that weights are not of full rank.
const SINGULAR: f64 = 1e-11;

/// Values of features and their weights, class after class.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problem {
    /// Number of classes.
    k: usize,
    /// Number of features, padding included.
    width: usize,
    /// Values, 0 in the padding.
    v: Vec<f64>,
    /// Classes × features, 0 in the padding.
    w: Vec<f64>,
    /// Number of features.
    n: usize,
    /// Sums of the weights of each class over all features.
    c: Vec<f64>,
}

/// What a problem is solved with, kept between problems.
#[derive(Debug, Clone, Default)]
pub(crate) struct Workspace {
    p: Vec<f64>,
    q: Vec<f64>,
    moved: Vec<f64>,
    scaled: Vec<f64>,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
    step: Vec<f64>,
    trial: Vec<f64>,
}

/// The optimum of a problem.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found {
    /// The largest violation of the conditions of an optimum, relative to the largest sum of weights.
    pub(crate) residual: f64,
    /// Whether there is no other optimum.
    pub(crate) unique: bool,
}

impl Problem {
    /// No features yet, with the sums of the weights of each class.
    pub(crate) fn new(c: Vec<f64>) -> Self {
        Self { k: c.len(), c, ..Self::default() }
    }

    /// Sets the values and weights: an iterator of values that are above 0 with the weights of their features.
    pub(crate) fn set<'a>(&mut self, features: impl Iterator<Item = (f64, &'a [f64])> + Clone) {
        let n = features.clone().count();
        let (k, width) = (self.k, n.div_ceil(LANES) * LANES);
        (self.n, self.width) = (n, width);
        self.v.clear();
        self.v.resize(width, 0.0);
        self.w.clear();
        self.w.resize(k * width, 0.0);
        for (f, (value, weights)) in features.enumerate() {
            self.v[f] = value;
            for (class, &weight) in weights.iter().enumerate() {
                self.w[class * width + f] = weight;
            }
        }
    }

    /// Brings `h` to the optimum.
    pub(crate) fn solve(&self, room: &mut Workspace, h: &mut [f64]) -> Found {
        let k = self.k;
        room.resize(self);
        let total: f64 = self.v.iter().sum();
        let start = total / self.c.iter().sum::<f64>();
        h.fill(start);
        let largest = self.c.iter().fold(0.0, |a: f64, &b| a.max(b));
        let mut residual = self.look(room, h, start) / largest;
        for _ in 0..MOST_STEPS {
            if residual <= CLOSE {
                break;
            }
            let free: Vec<usize> = (0..k).filter(|&i| !(h[i] <= ZERO * start && room.gradient[i] > 0.0)).collect();
            self.bend(room, &free);
            let solved = newton(&mut room.hessian, &room.gradient, &free, k, &mut room.step);
            let reached = if solved { self.search(room, h, start, largest, residual) } else { None };
            // Where Newton's step leads nowhere the update does not lead up.
            residual = reached.unwrap_or_else(|| {
                // The gradient is c - W'q, so that this is the multiplicative update.
                for ((h, g), c) in h.iter_mut().zip(&room.gradient).zip(&self.c) {
                    *h *= (c - g) / c;
                }
                self.look(room, h, start) / largest
            });
        }
        let all: Vec<usize> = (0..k).collect();
        self.bend(room, &all);
        h.iter_mut().filter(|h| **h <= ZERO * start).for_each(|h| *h = 0.0);
        Found { residual, unique: self.n >= k && is_definite(&mut room.hessian, k) }
    }

    /// Fits, ratios and gradient at `h`, and by how much it is not optimal.
    fn look(&self, room: &mut Workspace, h: &[f64], start: f64) -> f64 {
        wide::widest(Gradient { problem: self, h, p: &mut room.p, q: &mut room.q, out: &mut room.gradient });
        let mut worst = 0.0_f64;
        for (&h, &g) in h.iter().zip(&room.gradient) {
            let bound = h <= ZERO * start;
            worst = worst.max(if bound { (-g).max(0.0) } else { g.abs() });
        }
        worst
    }

    /// The second derivatives between the free classes, in the places of all.
    fn bend(&self, room: &mut Workspace, free: &[usize]) {
        wide::widest(Hessian {
            problem: self,
            p: &room.p,
            q: &room.q,
            scaled: &mut room.scaled,
            free,
            out: &mut room.hessian,
        });
    }

    /// Goes along the step as far as it leads down; `None` if it does not.
    fn search(&self, room: &mut Workspace, h: &mut [f64], start: f64, largest: f64, before: f64) -> Option<f64> {
        let mut t = 1.0;
        for _ in 0..30 {
            let mut slope = 0.0;
            let mut change = 0.0;
            for i in 0..self.k {
                room.trial[i] = (h[i] + t * room.step[i]).max(0.0);
                slope += room.gradient[i] * (room.trial[i] - h[i]);
                change += self.c[i] * (room.trial[i] - h[i]);
            }
            change -= wide::widest(LogRatio { problem: self, h: &room.trial, p: &room.p, moved: &mut room.moved });
            if slope < 0.0 && change <= ARMIJO * slope {
                h.copy_from_slice(&room.trial);
                return Some(self.look(room, h, start) / largest);
            }
            let scale: f64 = self.v.iter().sum();
            if change.abs() <= 1e-13 * scale {
                // The change drowns in rounding: the residual tells.
                let kept = h.to_vec();
                h.copy_from_slice(&room.trial);
                let after = self.look(room, h, start) / largest;
                if after < before {
                    return Some(after);
                }
                h.copy_from_slice(&kept);
                self.look(room, h, start);
            }
            t *= 0.5;
        }
        None
    }
}

impl Workspace {
    fn resize(&mut self, problem: &Problem) {
        let (k, width) = (problem.k, problem.width);
        for room in [&mut self.p, &mut self.q, &mut self.moved, &mut self.scaled] {
            room.clear();
            room.resize(width, 0.0);
        }
        for room in [&mut self.gradient, &mut self.step, &mut self.trial] {
            room.clear();
            room.resize(k, 0.0);
        }
        self.hessian.clear();
        self.hessian.resize(k * k, 0.0);
    }
}

/// Solves for the step of the free classes, by Cholesky with a slight ridge; the others stand still.
fn newton(a: &mut [f64], gradient: &[f64], free: &[usize], k: usize, step: &mut [f64]) -> bool {
    step.fill(0.0);
    for &i in free {
        a[i * k + i] *= 1.0 + 1e-12;
        a[i * k + i] += TINY;
    }
    if !cholesky(a, free, k, 0.0) {
        return false;
    }
    for (at, &i) in free.iter().enumerate() {
        let sum: f64 = free[..at].iter().map(|&j| a[i * k + j] * step[j]).sum();
        step[i] = (-gradient[i] - sum) / a[i * k + i];
    }
    for (at, &i) in free.iter().enumerate().rev() {
        let sum: f64 = free[at + 1..].iter().map(|&j| a[j * k + i] * step[j]).sum();
        step[i] = (step[i] - sum) / a[i * k + i];
    }
    true
}

/// The lower factor, in place, of the rows and columns named; false where a pivot falls to `least` of its diagonal.
fn cholesky(a: &mut [f64], free: &[usize], k: usize, least: f64) -> bool {
    for (at, &i) in free.iter().enumerate() {
        for (below, &j) in free[..=at].iter().enumerate() {
            let sum: f64 = free[..below].iter().map(|&l| a[i * k + l] * a[j * k + l]).sum();
            let rest = a[i * k + j] - sum;
            if i == j {
                if !(rest > least * a[i * k + i]) {
                    return false;
                }
                a[i * k + i] = rest.sqrt();
            } else {
                a[i * k + j] = rest / a[j * k + j];
            }
        }
    }
    true
}

fn is_definite(a: &mut [f64], k: usize) -> bool {
    let all: Vec<usize> = (0..k).collect();
    cholesky(a, &all, k, SINGULAR)
}

/// The sum of products, in lanes.
#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a, _) = a.as_chunks::<LANES>();
    let (b, _) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let mut sum = 0.0;
    for lane in lanes {
        sum += lane;
    }
    sum
}

/// `out = W h`.
#[inline(always)]
fn fitted(problem: &Problem, h: &[f64], out: &mut [f64]) {
    let width = problem.width;
    for x in out.iter_mut() {
        *x = 0.0;
    }
    for (k, &h) in h.iter().enumerate() {
        for (x, w) in out.iter_mut().zip(&problem.w[k * width..(k + 1) * width]) {
            *x += h * w;
        }
    }
}

/// `out = v / out`.
#[inline(always)]
fn ratios(v: &[f64], out: &mut [f64]) {
    for (x, v) in out.iter_mut().zip(v) {
        let p = if *x > TINY { *x } else { TINY };
        *x = v / p;
    }
}

struct Gradient<'a> {
    problem: &'a Problem,
    h: &'a [f64],
    p: &'a mut [f64],
    q: &'a mut [f64],
    out: &'a mut [f64],
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { problem, h, p, q, out } = self;
        let width = problem.width;
        fitted(problem, h, p);
        q.copy_from_slice(p);
        ratios(&problem.v, q);
        for k in 0..problem.k {
            out[k] = problem.c[k] - dot(&problem.w[k * width..(k + 1) * width], q);
        }
    }
}

struct Hessian<'a> {
    problem: &'a Problem,
    p: &'a [f64],
    q: &'a [f64],
    scaled: &'a mut [f64],
    free: &'a [usize],
    out: &'a mut [f64],
}

impl Kernel for Hessian<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { problem, p, q, scaled, free, out } = self;
        let (k, width) = (problem.k, problem.width);
        for at in 0..free.len() {
            let i = free[at];
            let row = &problem.w[i * width..(i + 1) * width];
            for f in 0..width {
                let fit = if p[f] > TINY { p[f] } else { 1.0 };
                scaled[f] = row[f] * q[f] / fit;
            }
            for &j in &free[..=at] {
                out[i * k + j] = dot(scaled, &problem.w[j * width..(j + 1) * width]);
            }
        }
    }
}

/// `sum v ln(p' / p)` of the fits `p'` at another `h`.
struct LogRatio<'a> {
    problem: &'a Problem,
    h: &'a [f64],
    p: &'a [f64],
    moved: &'a mut [f64],
}

impl Kernel for LogRatio<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Self { problem, h, p, moved } = self;
        fitted(problem, h, moved);
        for (x, p) in moved.iter_mut().zip(p) {
            let by = (*x - p) / (if *p > TINY { *p } else { 1.0 });
            *x = wide::ln_1p(by);
        }
        dot(&problem.v, moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::Updates;
    use ferrocyte_math::random::Stream;

    /// Random weights of features in classes, and a mixture of classes with noise.
    fn problem(seed: u64, n: usize, k: usize) -> Problem {
        let mut draws = Stream::new(seed, 0);
        let weights: Vec<Vec<f64>> = (0..n).map(|_| (0..k).map(|_| draws.uniform()).collect()).collect();
        let values: Vec<f64> =
            weights.iter().map(|w| if draws.chance(0.3) { 0.0 } else { w[0] + 0.5 * w[1] + draws.uniform() }).collect();
        let mut problem = Problem::new((0..k).map(|i| weights.iter().map(|w| w[i]).sum()).collect());
        problem.set(values.iter().zip(&weights).filter(|(v, _)| **v > 0.0).map(|(v, w)| (*v, &w[..])));
        problem
    }

    #[test]
    fn the_optimum_is_where_updates_stand_still() {
        let mut room = Workspace::default();
        for (seed, n, k) in [(1, 40, 3), (2, 300, 9), (3, 61, 5)] {
            let problem = problem(seed, n, k);
            let mut h = vec![0.0; k];
            let found = problem.solve(&mut room, &mut h);
            assert!(found.unique && found.residual <= CLOSE, "{found:?}");
            let mut again = h.clone();
            let mut updates = Updates::new(problem.c.clone());
            let weights: Vec<Vec<f64>> =
                (0..problem.n).map(|f| (0..k).map(|t| problem.w[t * problem.width + f]).collect()).collect();
            updates.set(problem.v.iter().zip(&weights).map(|(v, w)| (*v, &w[..])));
            updates.update(&mut again, 1);
            for (a, b) in h.iter().zip(&again) {
                assert!((a - b).abs() <= 1e-8 * h.iter().sum::<f64>(), "{h:?} {again:?}");
            }
            // c'h = sum v at the optimum.
            let total: f64 = problem.c.iter().zip(&h).map(|(c, h)| c * h).sum();
            assert!((total / problem.v.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn two_equal_classes_are_flagged() {
        let weights = [[1.0, 1.0, 0.2], [0.5, 0.5, 2.0], [0.1, 0.1, 0.3], [0.7, 0.7, 1.0]];
        let mut problem = Problem::new((0..3).map(|i| weights.iter().map(|w| w[i]).sum()).collect());
        problem.set(weights.iter().map(|w| (1.0, &w[..])));
        let mut h = vec![0.0; 3];
        let found = problem.solve(&mut Workspace::default(), &mut h);
        assert!(!found.unique && found.residual < 1e-6, "{found:?}");
    }
}
