//! A minimiser for smooth functions of a few variables in a box.
//!
//! Each step solves the quadratic model on the variables that are not held at a bound, with the Hessian that the
//! objective gives, or else with the BFGS approximation, and searches back along the path of the step projected onto
//! the box (D. P. Bertsekas, *Projected Newton methods for optimization problems with simple constraints*, 1982). A
//! ridge makes the model convex where it is not.

use ferrocyte_base::{Fault, Result};

/// What an objective returns at a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The value. One that is not finite marks the point as inadmissible: the search turns back.
    pub value: f64,
    /// The gradient, one entry per variable.
    pub gradient: Vec<f64>,
    /// The Hessian, row-major, if it is at hand.
    pub hessian: Option<Vec<f64>>,
}

/// When to stop. Changes the digits of the answer, nothing else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// Largest entry of the projected gradient, times the size of its variable, relative to the size of the value.
    pub gradient: f64,
    /// Most steps.
    pub steps: usize,
}

impl Default for Stop {
    /// 1e-10 and 200.
    fn default() -> Self {
        Self { gradient: 1e-10, steps: 200 }
    }
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The point.
    pub point: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// Largest absolute entry of the gradient, without the entries that push against a bound.
    pub gradient_norm: f64,
    /// Steps taken.
    pub steps: usize,
    /// Evaluations of the objective.
    pub evaluations: usize,
    /// Whether the rule of [`Stop`] was met, or the value could not be lowered any more within rounding.
    pub converged: bool,
    /// For each variable whether it ended at a bound.
    pub at_bound: Vec<bool>,
}

/// Minimises `objective` over the box `lower <= x <= upper` (entries may be infinite) from `start`, which is first moved
/// into the box.
///
/// An error of the objective ends the search and is returned. Fails when the shapes disagree, a bound is NaN or empty,
/// or the objective is not finite at the start.
///
/// ```
/// use ferrocyte_math::optimise::{Evaluation, Stop, minimise};
/// let found = minimise(&[0.0, 0.0], &[-5.0, -5.0], &[5.0, 0.25], Stop::default(), |x| {
///     let (u, v) = (x[0] - 1.0, x[1] - x[0]);
///     Ok(Evaluation { value: u * u + v * v, gradient: vec![2.0 * u - 2.0 * v, 2.0 * v], hessian: None })
/// })?;
/// assert!(found.converged && found.at_bound == [false, true]);
/// assert!((found.point[0] - 0.625).abs() < 1e-9);
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
pub fn minimise(
    start: &[f64],
    lower: &[f64],
    upper: &[f64],
    stop: Stop,
    mut objective: impl FnMut(&[f64]) -> Result<Evaluation>,
) -> Result<Minimum> {
    check_box(start, lower, upper)?;
    let n = start.len();
    let project = |x: f64, i: usize| x.max(lower[i]).min(upper[i]);
    let mut x: Vec<f64> = (0..n).map(|i| project(start[i], i)).collect();
    let mut here = objective(&x)?;
    if !(here.value.is_finite() && here.gradient.iter().all(|g| g.is_finite())) {
        return Err(Fault::bad_input(format!("the objective is {} at the starting point {x:?}", here.value)));
    }
    let mut model = Model::new(n, &here);
    let (mut steps, mut evaluations, mut converged) = (0, 1, false);
    while steps < stop.steps {
        if residual(&x, &here, lower, upper) <= stop.gradient {
            converged = true;
            break;
        }
        let free: Vec<bool> = (0..n).map(|i| !held(x[i], here.gradient[i], lower[i], upper[i])).collect();
        let direction = model.step(&here.gradient, &free);
        let mut accepted = None;
        let mut length = 1.0;
        for _ in 0..60 {
            let trial: Vec<f64> = (0..n).map(|i| project(x[i] + length * direction[i], i)).collect();
            if trial == x {
                break;
            }
            let there = objective(&trial)?;
            evaluations += 1;
            let decrease: f64 = (0..n).map(|i| here.gradient[i] * (trial[i] - x[i])).sum();
            if is_better(&here, &there, decrease) {
                accepted = Some((trial, there));
                break;
            }
            length *= if there.value.is_finite() { shorter(here.value, there.value, decrease) } else { 0.2 };
        }
        let Some((trial, there)) = accepted else {
            if model.restart(&here) {
                continue;
            }
            // Nothing is lower along a descent direction: rounding is all that is left.
            converged = residual(&x, &here, lower, upper) <= stop.gradient.max(1e-7);
            break;
        };
        model.learn(&x, &here, &trial, &there);
        (x, here) = (trial, there);
        steps += 1;
    }
    let gradient_norm = (0..n)
        .filter(|&i| !held(x[i], here.gradient[i], lower[i], upper[i]))
        .fold(0.0_f64, |m, i| m.max(here.gradient[i].abs()));
    let at_bound = (0..n).map(|i| x[i] <= lower[i] || x[i] >= upper[i]).collect();
    Ok(Minimum { point: x, value: here.value, gradient_norm, steps, evaluations, converged, at_bound })
}

fn check_box(start: &[f64], lower: &[f64], upper: &[f64]) -> Result<()> {
    if start.len() != lower.len() || start.len() != upper.len() {
        return Err(Fault::bad_input(format!(
            "start, lower and upper bounds must have the same length, found {}, {} and {}",
            start.len(),
            lower.len(),
            upper.len()
        )));
    }
    for i in 0..start.len() {
        if start[i].is_nan() || lower[i].is_nan() || upper[i].is_nan() || lower[i] > upper[i] {
            return Err(Fault::bad_input(format!(
                "variable {i}: expected a start and lower <= upper, found start {}, bounds {} and {}",
                start[i], lower[i], upper[i]
            )));
        }
    }
    Ok(())
}

/// Whether a variable stands at a bound and would leave the box downhill.
fn held(x: f64, gradient: f64, lower: f64, upper: f64) -> bool {
    (x <= lower && gradient > 0.0) || (x >= upper && gradient < 0.0)
}

/// The scaled projected gradient that [`Stop::gradient`] bounds.
fn residual(x: &[f64], here: &Evaluation, lower: &[f64], upper: &[f64]) -> f64 {
    let size = here.value.abs().max(1.0);
    (0..x.len())
        .filter(|&i| !held(x[i], here.gradient[i], lower[i], upper[i]))
        .fold(0.0_f64, |m, i| m.max(here.gradient[i].abs() * x[i].abs().max(1.0) / size))
}

/// Armijo's rule; within rounding of the value a smaller gradient decides.
fn is_better(here: &Evaluation, there: &Evaluation, decrease: f64) -> bool {
    if !(there.value.is_finite() && there.gradient.iter().all(|g| g.is_finite())) {
        return false;
    }
    let noise = 4.0 * f64::EPSILON * here.value.abs().max(there.value.abs());
    if there.value <= here.value + 1e-4 * decrease && here.value - there.value > noise {
        return true;
    }
    let norm = |e: &Evaluation| e.gradient.iter().map(|g| g * g).sum::<f64>();
    (there.value - here.value).abs() <= noise && norm(there) < 0.81 * norm(here)
}

/// The factor for the next trial: the minimum of the parabola through both values and the slope, within [0.1, 0.5].
fn shorter(here: f64, there: f64, decrease: f64) -> f64 {
    (-0.5 * decrease / (there - here - decrease)).clamp(0.1, 0.5)
}

/// The quadratic model: a Hessian from the objective, or one learnt from gradients.
struct Model {
    n: usize,
    hessian: Vec<f64>,
    is_given: bool,
    is_fresh: bool,
}

impl Model {
    fn new(n: usize, first: &Evaluation) -> Self {
        let mut model = Self { n, hessian: Vec::new(), is_given: false, is_fresh: true };
        model.reset(first);
        model
    }

    /// Takes the Hessian given, or a multiple of the identity that makes the first step no longer than 1.
    fn reset(&mut self, at: &Evaluation) {
        self.is_given = at.hessian.is_some();
        self.is_fresh = true;
        self.hessian = at.hessian.clone().unwrap_or_else(|| {
            let norm = at.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            scaled_identity(self.n, norm.max(1e-8))
        });
    }

    /// Forgets what was learnt; false if there was nothing to forget.
    fn restart(&mut self, at: &Evaluation) -> bool {
        let had_learnt = !self.is_given && !self.is_fresh;
        self.reset(at);
        had_learnt
    }

    /// The step `-(H + ridge)^-1 g` over the free variables, 0 for the others.
    fn step(&self, gradient: &[f64], free: &[bool]) -> Vec<f64> {
        let index: Vec<usize> = (0..self.n).filter(|&i| free[i]).collect();
        let k = index.len();
        let mut step = vec![0.0; self.n];
        let largest = index.iter().fold(0.0_f64, |m, &i| m.max(self.hessian[i * self.n + i].abs()));
        let mut ridge = 0.0;
        for _ in 0..80 {
            let mut a: Vec<f64> = Vec::with_capacity(k * k);
            for &i in &index {
                a.extend(index.iter().map(|&j| self.hessian[i * self.n + j] + if i == j { ridge } else { 0.0 }));
            }
            let mut b: Vec<f64> = index.iter().map(|&i| -gradient[i]).collect();
            if solve_positive_definite(&mut a, &mut b) {
                index.iter().zip(&b).for_each(|(&i, &s)| step[i] = s);
                return step;
            }
            ridge = if ridge == 0.0 { 1e-3 * largest.max(1e-8) } else { 4.0 * ridge };
        }
        for &i in &index {
            step[i] = -gradient[i];
        }
        step
    }

    /// Takes the new Hessian, or the BFGS update with Powell's damping, which keeps the model convex.
    fn learn(&mut self, x: &[f64], here: &Evaluation, trial: &[f64], there: &Evaluation) {
        if there.hessian.is_some() {
            self.reset(there);
            return;
        }
        let n = self.n;
        let s: Vec<f64> = trial.iter().zip(x).map(|(t, x)| t - x).collect();
        let mut y: Vec<f64> = there.gradient.iter().zip(&here.gradient).map(|(t, h)| t - h).collect();
        let mut sy = dot(&s, &y);
        if self.is_fresh && sy > 0.0 {
            self.hessian = scaled_identity(n, dot(&y, &y) / sy);
        }
        self.is_fresh = false;
        let hs: Vec<f64> = (0..n).map(|i| dot(&self.hessian[i * n..(i + 1) * n], &s)).collect();
        let shs = dot(&s, &hs);
        if shs.is_nan() || shs <= 0.0 {
            return;
        }
        if sy < 0.2 * shs {
            let share = 0.8 * shs / (shs - sy);
            y.iter_mut().zip(&hs).for_each(|(y, h)| *y = share * *y + (1.0 - share) * h);
            sy = dot(&s, &y);
        }
        for i in 0..n {
            for j in 0..n {
                self.hessian[i * n + j] += y[i] * y[j] / sy - hs[i] * hs[j] / shs;
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn scaled_identity(n: usize, scale: f64) -> Vec<f64> {
    (0..n * n).map(|i| if i / n == i % n { scale } else { 0.0 }).collect()
}

/// Solves `a x = b` in place by Cholesky's method; false if `a` is not safely positive definite.
fn solve_positive_definite(a: &mut [f64], b: &mut [f64]) -> bool {
    let n = b.len();
    for j in 0..n {
        let before = a[j * n + j];
        let pivot = before - (0..j).map(|k| a[j * n + k] * a[j * n + k]).sum::<f64>();
        if !(pivot > 1e-13 * before.abs() && pivot.is_finite()) {
            return false;
        }
        let root = pivot.sqrt();
        a[j * n + j] = root;
        for i in j + 1..n {
            let rest = a[i * n + j] - (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum::<f64>();
            a[i * n + j] = rest / root;
        }
        b[j] = (b[j] - (0..j).map(|k| a[j * n + k] * b[k]).sum::<f64>()) / root;
    }
    for j in (0..n).rev() {
        b[j] = (b[j] - (j + 1..n).map(|k| a[k * n + j] * b[k]).sum::<f64>()) / a[j * n + j];
    }
    b.iter().all(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: [f64; 4] = [f64::INFINITY; 4];
    const MINUS: [f64; 4] = [f64::NEG_INFINITY; 4];

    fn rosenbrock(x: &[f64], with_hessian: bool) -> Evaluation {
        let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
        Evaluation {
            value: a * a + 100.0 * b * b,
            gradient: vec![-2.0 * a - 400.0 * x[0] * b, 200.0 * b],
            hessian: with_hessian
                .then(|| vec![2.0 - 400.0 * (b - 2.0 * x[0] * x[0]), -400.0 * x[0], -400.0 * x[0], 200.0]),
        }
    }

    #[test]
    fn the_banana_valley() -> Result<()> {
        for with_hessian in [false, true] {
            let found =
                minimise(&[-1.2, 1.0], &MINUS[..2], &FREE[..2], Stop::default(), |x| Ok(rosenbrock(x, with_hessian)))?;
            assert!(found.converged && found.steps < 60, "{found:?}");
            assert!(found.point.iter().all(|x| (x - 1.0).abs() < 1e-8), "{found:?}");
        }
        Ok(())
    }

    #[test]
    fn bounds_hold() -> Result<()> {
        for with_hessian in [false, true] {
            let found = minimise(&[-1.2, 1.0], &[-2.0, -2.0], &[0.5, 2.0], Stop::default(), |x| {
                assert!(x[0] <= 0.5 && x[0] >= -2.0);
                Ok(rosenbrock(x, with_hessian))
            })?;
            assert!(found.converged && found.at_bound == [true, false], "{found:?}");
            assert!((found.point[1] - 0.25).abs() < 1e-9);
            assert!(found.gradient_norm < 1e-8);
        }
        Ok(())
    }

    #[test]
    fn walls_and_saddles() -> Result<()> {
        // x - ln x is not defined for x <= 0; the start is far to the right.
        let found = minimise(&[50.0], &MINUS[..1], &FREE[..1], Stop::default(), |x| {
            Ok(Evaluation { value: x[0] - x[0].ln(), gradient: vec![1.0 - 1.0 / x[0]], hessian: None })
        })?;
        assert!(found.converged && (found.point[0] - 1.0).abs() < 1e-8, "{found:?}");
        // cos(x) + y^2 starts where its Hessian is indefinite.
        let found = minimise(&[0.1, 1.0], &MINUS[..2], &FREE[..2], Stop::default(), |x| {
            Ok(Evaluation {
                value: x[0].cos() + x[1] * x[1],
                gradient: vec![-x[0].sin(), 2.0 * x[1]],
                hessian: Some(vec![-x[0].cos(), 0.0, 0.0, 2.0]),
            })
        })?;
        assert!(found.converged && (found.value + 1.0).abs() < 1e-14, "{found:?}");
        Ok(())
    }

    #[test]
    fn six_badly_scaled_variables() -> Result<()> {
        let found = minimise(&[3.0; 6], &[-10.0; 6], &[10.0; 6], Stop::default(), |x| {
            let scale = |i: usize| 10f64.powi(i as i32 - 2);
            Ok(Evaluation {
                value: (0..6).map(|i| scale(i) * ((x[i] - i as f64).powi(2) + (x[i] - i as f64).powi(4))).sum(),
                gradient: (0..6)
                    .map(|i| scale(i) * (2.0 * (x[i] - i as f64) + 4.0 * (x[i] - i as f64).powi(3)))
                    .collect(),
                hessian: None,
            })
        })?;
        assert!(found.converged, "{found:?}");
        assert!(found.point.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-7), "{found:?}");
        Ok(())
    }

    #[test]
    fn bad_input_is_named() {
        let flat = |_: &[f64]| Ok(Evaluation { value: f64::NAN, gradient: vec![0.0], hessian: None });
        assert!(minimise(&[0.0], &[1.0], &[0.0], Stop::default(), flat).is_err());
        assert!(minimise(&[0.0], &[0.0, 1.0], &[1.0], Stop::default(), flat).is_err());
        assert!(minimise(&[0.0], &[0.0], &[1.0], Stop::default(), flat).is_err());
    }
}
