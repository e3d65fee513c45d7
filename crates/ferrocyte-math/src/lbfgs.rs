//! A minimiser for smooth functions of many variables: limited-memory BFGS.
//!
//! The direction of a step comes from the last few changes of point and gradient (J. Nocedal, *Updating quasi-Newton
//! matrices with limited storage*, 1980), scaled by the last of them; its length from the line search of J. J. Moré and
//! D. J. Thuente (*Line search algorithms with guaranteed sufficient decrease*, 1994). Defaults and stopping rules are
//! those that are usual since L-BFGS-B (C. Zhu, R. H. Byrd, P. Lu and J. Nocedal, 1997), so that a run that is stopped
//! early stops where others do.

use std::collections::VecDeque;

use ferrocyte_base::Result;

/// When to stop, and how much to remember.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// The largest entry of the gradient, in size.
    pub gradient: f64,
    /// The decrease in one step, relative to the larger of 1 and the values before and after it.
    pub decrease: f64,
    /// Steps.
    pub steps: usize,
    /// Evaluations in one line search.
    pub evaluations: usize,
    /// Changes of point and gradient that are remembered.
    pub memory: usize,
}

impl Default for Stop {
    fn default() -> Self {
        Self { gradient: 1e-5, decrease: 1e7 * f64::EPSILON, steps: 15_000, evaluations: 20, memory: 10 }
    }
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The point.
    pub point: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// The largest entry of the gradient there, in size.
    pub gradient: f64,
    /// Steps that were taken.
    pub steps: usize,
    /// Evaluations of the function.
    pub evaluations: usize,
    /// Whether the gradient or the decrease fell below its bound; if not, steps ran out or no step led down.
    pub converged: bool,
}

/// Minimises `objective`, which gives the value at a point and writes the gradient there.
///
/// # Errors
/// Those of the objective.
pub fn minimise(
    start: Vec<f64>,
    stop: &Stop,
    mut objective: impl FnMut(&[f64], &mut [f64]) -> Result<f64>,
) -> Result<Minimum> {
    let n = start.len();
    let (mut point, mut gradient) = (start, vec![0.0; n]);
    let mut value = objective(&point, &mut gradient)?;
    let mut past = Past::new(stop.memory);
    let (mut steps, mut evaluations) = (0, 1);
    let (mut tried, mut gradient_there) = (vec![0.0; n], vec![0.0; n]);
    let mut converged = largest(&gradient) <= stop.gradient;
    while !converged && steps < stop.steps {
        let mut direction = past.direction(&gradient);
        let mut slope = dot(&gradient, &direction);
        if slope >= 0.0 {
            // What is remembered misleads: begin again with the gradient.
            past.forget();
            direction = past.direction(&gradient);
            slope = dot(&gradient, &direction);
        }
        let first = if steps == 0 { (1.0 / dot(&direction, &direction).sqrt()).min(1e10) } else { 1.0 };
        let mut search = LineSearch::new(value, slope, first);
        let mut found = None;
        for _ in 0..stop.evaluations {
            let length = search.length;
            for ((to, from), along) in tried.iter_mut().zip(&point).zip(&direction) {
                *to = from + length * along;
            }
            let value_there = objective(&tried, &mut gradient_there)?;
            evaluations += 1;
            match search.judge(value_there, dot(&gradient_there, &direction)) {
                Verdict::Good => found = Some(value_there),
                Verdict::Again => continue,
                Verdict::Lost => {}
            }
            break;
        }
        let Some(value_there) = found else {
            if past.is_empty() {
                break;
            }
            past.forget();
            continue;
        };
        let decrease = value - value_there;
        let scale = value.abs().max(value_there.abs()).max(1.0);
        past.remember(&point, &tried, &gradient, &gradient_there, -slope * search.length);
        std::mem::swap(&mut point, &mut tried);
        std::mem::swap(&mut gradient, &mut gradient_there);
        value = value_there;
        steps += 1;
        converged = largest(&gradient) <= stop.gradient || decrease <= stop.decrease * scale;
    }
    Ok(Minimum { gradient: largest(&gradient), point, value, steps, evaluations, converged })
}

fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |most, g| most.max(g.abs()))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A change of the point `s` and of the gradient `y`, and `1 / s'y`.
struct Change {
    s: Vec<f64>,
    y: Vec<f64>,
    curvature: f64,
}

/// The last changes, from which a direction is made.
struct Past {
    changes: VecDeque<Change>,
    most: usize,
}

impl Past {
    fn new(most: usize) -> Self {
        Self { changes: VecDeque::with_capacity(most), most }
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn forget(&mut self) {
        self.changes.clear();
    }

    /// Keeps a change unless the curvature along it is lost in rounding; `expected` is the decrease that the slope
    /// promised.
    fn remember(&mut self, from: &[f64], to: &[f64], before: &[f64], after: &[f64], expected: f64) {
        let s: Vec<f64> = to.iter().zip(from).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        let product = dot(&s, &y);
        if product <= f64::EPSILON * expected || self.most == 0 {
            return;
        }
        if self.changes.len() == self.most {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { s, y, curvature: 1.0 / product });
    }

    /// Minus the approximate inverse Hessian times the gradient, by the two loops of Nocedal.
    fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut weights = Vec::with_capacity(self.changes.len());
        for change in self.changes.iter().rev() {
            let weight = change.curvature * dot(&change.s, &q);
            add(&mut q, -weight, &change.y);
            weights.push(weight);
        }
        if let Some(last) = self.changes.back() {
            let scale = 1.0 / (last.curvature * dot(&last.y, &last.y));
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for (change, weight) in self.changes.iter().zip(weights.iter().rev()) {
            let other = change.curvature * dot(&change.y, &q);
            add(&mut q, weight - other, &change.s);
        }
        q
    }
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(t, w)| *t += factor * w);
}

/// What a trial of the line search means.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// The step decreases the function and its slope enough.
    Good,
    /// Try the new length.
    Again,
    /// The interval has shrunk to rounding, and nothing in it is lower.
    Lost,
}

/// A length of a step, the value there and the slope along the direction.
#[derive(Debug, Clone, Copy)]
struct Trial {
    at: f64,
    value: f64,
    slope: f64,
}

/// The line search of Moré and Thuente: a length with `f <= f(0) + 1e-3 s f'(0)` and `|f'| <= 0.9 |f'(0)|`.
struct LineSearch {
    /// The length to try.
    length: f64,
    start: Trial,
    /// The best so far, and the other end of the interval.
    best: Trial,
    other: Trial,
    bracketed: bool,
    /// Until a length falls below the line of sufficient decrease with a slope that rises, the distance to that line is
    /// what is minimised.
    first_stage: bool,
    low: f64,
    high: f64,
    width: f64,
    width_before: f64,
}

const SUFFICIENT: f64 = 1e-3;
const CURVATURE: f64 = 0.9;
const NARROW: f64 = 0.1;
const LONGEST: f64 = 1e10;

impl LineSearch {
    fn new(value: f64, slope: f64, first: f64) -> Self {
        let start = Trial { at: 0.0, value, slope };
        Self {
            length: first,
            start,
            best: start,
            other: start,
            bracketed: false,
            first_stage: true,
            low: 0.0,
            high: 5.0 * first,
            width: LONGEST,
            width_before: 2.0 * LONGEST,
        }
    }

    fn judge(&mut self, value: f64, slope: f64) -> Verdict {
        let line = SUFFICIENT * self.start.slope;
        let enough = self.start.value + self.length * line;
        if value <= enough && slope.abs() <= CURVATURE * -self.start.slope {
            return Verdict::Good;
        }
        let at_end = self.length <= self.low || self.length >= self.high;
        let squeezed = self.bracketed && (at_end || self.high - self.low <= NARROW * self.high);
        if squeezed || self.length >= LONGEST || !value.is_finite() {
            // Rounding leaves no better length than one that is lower at all.
            return if value < self.start.value { Verdict::Good } else { Verdict::Lost };
        }
        self.first_stage &= !(value <= enough && slope >= 0.0);
        let there = Trial { at: self.length, value, slope };
        if self.first_stage && value <= self.best.value && value > enough {
            let tilt =
                |t: Trial, by: f64| Trial { at: t.at, value: t.value - by * t.at * line, slope: t.slope - by * line };
            self.best = tilt(self.best, 1.0);
            self.other = tilt(self.other, 1.0);
            self.update(tilt(there, 1.0));
            self.best = tilt(self.best, -1.0);
            self.other = tilt(self.other, -1.0);
        } else {
            self.update(there);
        }
        self.narrow();
        Verdict::Again
    }

    /// Keeps the interval shrinking, and the next length inside of it.
    fn narrow(&mut self) {
        if self.bracketed {
            if (self.other.at - self.best.at).abs() >= 0.66 * self.width_before {
                self.length = self.best.at + 0.5 * (self.other.at - self.best.at);
            }
            self.width_before = self.width;
            self.width = (self.other.at - self.best.at).abs();
            self.low = self.best.at.min(self.other.at);
            self.high = self.best.at.max(self.other.at);
        } else {
            self.low = self.length + 1.1 * (self.length - self.best.at);
            self.high = self.length + 4.0 * (self.length - self.best.at);
        }
        self.length = self.length.clamp(0.0, LONGEST);
        let at_end = self.length <= self.low || self.length >= self.high;
        if self.bracketed && (at_end || self.high - self.low <= NARROW * self.high) {
            self.length = self.best.at;
        }
    }

    /// The next length by interpolation, and the new interval (section 4 of the paper).
    fn update(&mut self, t: Trial) {
        let best = self.best;
        let opposite = t.slope * best.slope.signum() < 0.0;
        let next = if t.value > best.value {
            // Higher: a minimum lies between.
            self.bracketed = true;
            let (cubic, quadratic) = (cubic(best, t), quadratic(best, t));
            if (cubic - best.at).abs() < (quadratic - best.at).abs() { cubic } else { 0.5 * (cubic + quadratic) }
        } else if opposite {
            // Lower, and the slope turned: a minimum lies between.
            self.bracketed = true;
            let (cubic, secant) = (cubic(t, best), secant(t, best));
            if (cubic - t.at).abs() > (secant - t.at).abs() { cubic } else { secant }
        } else if t.slope.abs() < best.slope.abs() {
            self.flatter(t)
        } else if self.bracketed {
            cubic(t, self.other)
        } else if t.at > best.at {
            self.high
        } else {
            self.low
        };
        if t.value > best.value {
            self.other = t;
        } else {
            if opposite {
                self.other = best;
            }
            self.best = t;
        }
        self.length = next;
    }

    /// Lower, the slope keeps its sign and is flatter: the cubic may tend to infinity the right way, or not.
    fn flatter(&self, t: Trial) -> f64 {
        let best = self.best;
        let theta = 3.0 * (best.value - t.value) / (t.at - best.at) + best.slope + t.slope;
        let s = theta.abs().max(best.slope.abs()).max(t.slope.abs());
        let root = s * ((theta / s).powi(2) - best.slope / s * (t.slope / s)).max(0.0).sqrt();
        let gamma = if t.at > best.at { -root } else { root };
        let ratio = (gamma - t.slope + theta) / (gamma + (best.slope - t.slope) + gamma);
        let cubic = if ratio < 0.0 && gamma != 0.0 {
            t.at + ratio * (best.at - t.at)
        } else if t.at > best.at {
            self.high
        } else {
            self.low
        };
        let secant = secant(t, best);
        if self.bracketed {
            let nearer = if (cubic - t.at).abs() < (secant - t.at).abs() { cubic } else { secant };
            let end = t.at + 0.66 * (self.other.at - t.at);
            if t.at > best.at { nearer.min(end) } else { nearer.max(end) }
        } else {
            let farther = if (cubic - t.at).abs() > (secant - t.at).abs() { cubic } else { secant };
            farther.clamp(self.low, self.high)
        }
    }
}

/// The minimum of the cubic through values and slopes of two trials, from the first of them.
fn cubic(from: Trial, to: Trial) -> f64 {
    let theta = 3.0 * (from.value - to.value) / (to.at - from.at) + from.slope + to.slope;
    let s = theta.abs().max(from.slope.abs()).max(to.slope.abs());
    let root = s * ((theta / s).powi(2) - from.slope / s * (to.slope / s)).max(0.0).sqrt();
    let gamma = if to.at < from.at { -root } else { root };
    let ratio = (gamma - from.slope + theta) / (gamma - from.slope + gamma + to.slope);
    from.at + ratio * (to.at - from.at)
}

/// The minimum of the parabola through the value and slope of one trial and the value of the other.
fn quadratic(from: Trial, to: Trial) -> f64 {
    let rise = (from.value - to.value) / (to.at - from.at) + from.slope;
    from.at + 0.5 * from.slope / rise * (to.at - from.at)
}

/// Where the line through two slopes crosses 0.
fn secant(from: Trial, to: Trial) -> f64 {
    from.at + from.slope / (from.slope - to.slope) * (to.at - from.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64], g: &mut [f64]) -> f64 {
        g.fill(0.0);
        let mut value = 0.0;
        for i in 0..x.len() - 1 {
            let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            value += 100.0 * a * a + b * b;
            g[i] -= 400.0 * a * x[i] + 2.0 * b;
            g[i + 1] += 200.0 * a;
        }
        value
    }

    #[test]
    fn the_valley_is_followed_to_its_end() -> Result<()> {
        let stop = Stop { gradient: 1e-9, decrease: 0.0, ..Stop::default() };
        let found = minimise(vec![-1.2; 30], &stop, |x, g| Ok(rosenbrock(x, g)))?;
        assert!(found.converged, "{found:?}");
        assert!(found.point.iter().all(|x| (x - 1.0).abs() < 1e-8), "{found:?}");
        assert!(found.evaluations < 3 * found.steps, "{found:?}");
        Ok(())
    }

    #[test]
    fn steps_run_out_and_nothing_to_do() -> Result<()> {
        let stop = Stop { steps: 3, ..Stop::default() };
        let found = minimise(vec![-1.2; 4], &stop, |x, g| Ok(rosenbrock(x, g)))?;
        assert_eq!((found.steps, found.converged), (3, false));
        let at_rest = minimise(vec![1.0; 4], &stop, |x, g| Ok(rosenbrock(x, g)))?;
        assert_eq!((at_rest.steps, at_rest.evaluations, at_rest.converged), (0, 1, true));
        Ok(())
    }

    /// The first function of the paper, and a valley with a sharp bend: every first length leads to an acceptable one.
    #[test]
    fn acceptable_lengths_are_found_from_far() {
        let first = |x: f64| (-x / (x * x + 2.0), (x * x - 2.0) / (x * x + 2.0).powi(2));
        let second = |x: f64| {
            let root = ((x - 5.0).powi(2) + 0.01).sqrt();
            (root, (x - 5.0) / root)
        };
        for f in [&first as &dyn Fn(f64) -> (f64, f64), &second] {
            for length in [1e-3, 0.1, 10.0, 1e3] {
                let (value, slope) = f(0.0);
                let mut search = LineSearch::new(value, slope, length);
                let mut verdict = Verdict::Again;
                for _ in 0..30 {
                    let (v, s) = f(search.length);
                    verdict = search.judge(v, s);
                    if verdict != Verdict::Again {
                        assert!(v <= value + SUFFICIENT * search.length * slope && s.abs() <= CURVATURE * -slope);
                        break;
                    }
                }
                assert_eq!(verdict, Verdict::Good, "{length}");
            }
        }
    }

    #[test]
    fn faults_of_the_objective_pass() {
        let outcome = minimise(vec![0.0], &Stop::default(), |_, _| Err(ferrocyte_base::Fault::internal("no")));
        assert!(outcome.is_err());
    }
}
