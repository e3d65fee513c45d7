//! Which point is the estimate: an interior optimum of the likelihood, or else the best with variances of zero or more.
//!
//! The likelihood has no bound where variances may be negative, so that the estimate is defined by a road, not by a
//! maximum: (b) Newton from the moment estimate, then from (a), the non-negative fit; it counts where it ends at a
//! stationary point with a positive definite Hessian. Otherwise (a) is reported and flagged. There is no random start, and
//! nothing depends on the scale of the data: the caller brings it to one.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place};
use ferrocyte_math::optimise::{Evaluation, Minimum, Stop, minimise};

use super::block::eigenvalues;
use super::kernel::{covariance, lower_triangle};
use super::likelihood::{Derivatives, Likelihood, Solved};
use super::options::Model;

/// Most steps of one search.
const STEPS: usize = 200;
/// Half of g'H⁻¹g, which is what the likelihood could still gain, at a stationary point.
const GAIN: f64 = 1e-11;
/// The same at which Newton's method ends, where rounding lets it come so far.
const SETTLED: f64 = 1e-15;
/// A gradient below this, of a log-likelihood of data of unit variance, moves no score test.
const FLAT: f64 = 1e-4;
/// A variance below this (of data of unit variance) is at zero.
const ZERO: f64 = 1e-9;

/// Where the search ended.
pub(super) struct Optimum {
    /// The variances.
    pub(super) theta: Vec<f64>,
    /// What was solved there.
    pub(super) solved: Solved,
    /// The expected information there.
    pub(super) expected: Matrix,
    /// Whether it is an interior stationary point.
    pub(super) interior: bool,
    /// Whether the search settled.
    pub(super) converged: bool,
    /// Evaluations of the likelihood.
    pub(super) evaluations: u32,
}

/// A fit to be made: the model and the likelihood of a gene.
pub(super) struct Search<'s, 'a> {
    /// The likelihood.
    pub(super) likelihood: &'s mut Likelihood<'a>,
    /// The model.
    pub(super) model: Model,
    /// Number of cell types.
    pub(super) c: usize,
    /// Number of variances that random covariates have.
    pub(super) n_random: usize,
    /// Evaluations so far.
    pub(super) evaluations: u32,
}

impl Search<'_, '_> {
    /// The estimate by its definition; `None` where the likelihood has no value at any start.
    pub(super) fn unconstrained(&mut self, start: &[f64]) -> Result<Option<Optimum>> {
        if let Some(found) = self.interior(start) {
            return Ok(Some(found));
        }
        let Some(low) = self.nonnegative(start)? else { return Ok(None) };
        Ok(Some(self.interior(&low.theta).unwrap_or(low)))
    }

    /// (b) from one start, where it counts.
    pub(super) fn interior(&mut self, start: &[f64]) -> Option<Optimum> {
        let (mut solved, mut derivatives) = self.at(start)?;
        let mut theta = start.to_vec();
        for _ in 0..STEPS {
            let convex = newton_step(&derivatives.hessian, &derivatives.gradient);
            let step = match &convex {
                Some(step) => step.clone(),
                None => newton_step(&derivatives.expected, &derivatives.gradient)?,
            };
            let gain = gain_of(&step, &derivatives.gradient);
            if convex.is_some() && gain < SETTLED {
                return Some(self.optimum(theta, solved, derivatives, true, true));
            }
            let noise = 4.0 * f64::EPSILON * solved.value.abs().max(1.0);
            // At the optimum within rounding a full step is all that is tried.
            let trials = if gain < GAIN { 1 } else { 60 };
            let accepted = (0..trials).find_map(|halvings| {
                let length = 0.5_f64.powi(halvings);
                let trial: Vec<f64> = theta.iter().zip(&step).map(|(t, s)| t + length * s).collect();
                let (there, slopes) = self.at(&trial)?;
                let falls = there.value <= solved.value - 1e-4 * 2.0 * gain * length;
                let rounding =
                    gain < GAIN && (there.value - solved.value).abs() <= noise && is_lower(&slopes, &derivatives);
                (falls || rounding).then_some((trial, there, slopes))
            });
            match accepted {
                Some(point) => (theta, solved, derivatives) = point,
                None if convex.is_some() && gain < GAIN => {
                    return Some(self.optimum(theta, solved, derivatives, true, true));
                }
                None => return None,
            }
        }
        None
    }

    /// (a): the best fit with variances of zero or more.
    pub(super) fn nonnegative(&mut self, start: &[f64]) -> Result<Option<Optimum>> {
        self.likelihood.walled(false);
        let found = if self.model == Model::Full { self.semidefinite(start) } else { self.in_box(start) };
        self.likelihood.walled(true);
        found
    }

    fn in_box(&mut self, start: &[f64]) -> Result<Option<Optimum>> {
        let clipped: Vec<f64> = start.iter().map(|x| x.max(0.0)).collect();
        let n = start.len();
        let level = vec![1.0 / (self.n_random + 2) as f64; n];
        let mut best: Option<Minimum> = None;
        for start in [clipped, level] {
            if self.likelihood.solve(&start).is_none() {
                continue;
            }
            let found =
                self.descend(&start, &vec![0.0; n], &vec![f64::INFINITY; n], |search, x| Ok(search.evaluate(x)))?;
            let better = best.as_ref().is_none_or(|b| !b.converged || (found.converged && found.value < b.value));
            if better {
                best = Some(found);
            }
            if best.as_ref().is_some_and(|b| b.converged) {
                break;
            }
        }
        let Some(found) = best else { return Ok(None) };
        let Some((solved, derivatives)) = self.at(&found.point) else { return Ok(None) };
        let interior = found.point.iter().all(|&x| x > ZERO) && is_stationary(&derivatives);
        Ok(Some(self.optimum(found.point, solved, derivatives, interior, found.converged)))
    }

    /// The best fit with variances of zero or more, those marked `zero` held there: value, gradient and information.
    pub(super) fn under_null(
        &mut self,
        start: &[f64],
        zero: &[bool],
    ) -> Result<Option<(Vec<f64>, Derivatives, Solved)>> {
        let upper: Vec<f64> = zero.iter().map(|&z| if z { 0.0 } else { f64::INFINITY }).collect();
        let n = start.len();
        let clipped: Vec<f64> = start.iter().zip(&upper).map(|(x, u)| x.max(0.0).min(*u)).collect();
        let level: Vec<f64> = upper.iter().map(|u| u.min(1.0 / (self.n_random + 2) as f64)).collect();
        self.likelihood.walled(false);
        for start in [clipped, level] {
            if self.likelihood.solve(&start).is_none() {
                continue;
            }
            let found = self.descend(&start, &vec![0.0; n], &upper, |search, x| Ok(search.evaluate(x)))?;
            if found.converged || found.gradient_norm < FLAT {
                return Ok(self.at(&found.point).map(|(solved, derivatives)| (found.point, derivatives, solved)));
            }
        }
        Ok(None)
    }

    /// The same for a covariance matrix over cell types: V = LL', searched over the triangle L.
    fn semidefinite(&mut self, start: &[f64]) -> Result<Option<Optimum>> {
        let c = self.c;
        let n = start.len();
        let n_triangle = n - self.n_random;
        let level = 1.0 / (self.n_random + 2) as f64;
        let mut best: Option<Minimum> = None;
        // The surface over L has saddles where a column is zero: the best of a few starts is taken.
        let (given, none) = (covariance(Model::Full, start, c), vec![0.0; c * c]);
        for (v, floor) in [(&given, 0.3), (&given, 0.05), (&given, 1.0), (&none, 1.0), (&none, 0.05)] {
            let Some(l) = root(v, c, floor * level) else { continue };
            let mut x = pack(&l, c);
            x.extend(start[n_triangle..].iter().map(|r2| r2.max(0.0)));
            if self.likelihood.solve(&squared(&x, c, n_triangle)).is_none() {
                continue;
            }
            let mut lower = vec![f64::NEG_INFINITY; n_triangle];
            lower.resize(n, 0.0);
            let found = self.descend(&x, &lower, &vec![f64::INFINITY; n], |search, x| Ok(search.over_root(x)))?;
            if best.as_ref().is_none_or(|b| found.value < b.value) {
                best = Some(found);
            }
        }
        let Some(found) = best else { return Ok(None) };
        let theta = squared(&found.point, c, n_triangle);
        let Some((solved, derivatives)) = self.at(&theta) else { return Ok(None) };
        let low = eigenvalues(&mut covariance(Model::Full, &theta, c), c).into_iter().fold(f64::INFINITY, f64::min);
        let inside = low > ZERO && theta[n_triangle..].iter().all(|&r2| r2 > ZERO);
        let interior = inside && is_stationary(&derivatives);
        Ok(Some(self.optimum(theta, solved, derivatives, interior, found.converged)))
    }

    fn descend(
        &mut self,
        start: &[f64],
        lower: &[f64],
        upper: &[f64],
        mut objective: impl FnMut(&mut Self, &[f64]) -> Result<Evaluation>,
    ) -> Result<Minimum> {
        // The rule is on gradient over value; data are of unit variance, so that values are of the size of their number.
        let stop = Stop { gradient: 1e-9, steps: STEPS };
        minimise(start, lower, upper, stop, |theta| objective(self, theta))
    }

    /// Value and derivatives, the Hessian replaced by the expected information where it is not positive definite.
    fn evaluate(&mut self, theta: &[f64]) -> Evaluation {
        match self.at(theta) {
            None => inadmissible(theta.len()),
            Some((solved, derivatives)) => {
                let convex = is_positive_definite(&derivatives.hessian);
                let hessian = if convex { derivatives.hessian } else { derivatives.expected };
                Evaluation {
                    value: solved.value,
                    gradient: derivatives.gradient,
                    hessian: Some(hessian.into_entries()),
                }
            }
        }
    }

    /// The same as a function of the triangle L.
    fn over_root(&mut self, x: &[f64]) -> Evaluation {
        let c = self.c;
        let n = x.len();
        let n_triangle = n - self.n_random;
        let theta = squared(x, c, n_triangle);
        let Some((solved, derivatives)) = self.at(&theta) else { return inadmissible(n) };
        let l = unpack(x, c);
        // dV / dL_ab = e_a l_b' + l_b e_a', l_b the column b of L; rows of the Jacobian are variables, columns parameters.
        let places: Vec<(usize, usize)> = triangle(c).collect();
        let mut jacobian = Matrix::zeros(n, n);
        for (row, &(a, b)) in places.iter().enumerate() {
            for k in 0..c {
                let slope = l[k * c + b] * if k == a { 2.0 } else { 1.0 };
                jacobian[(row, parameter(c, a, k))] += slope;
            }
        }
        (n_triangle..n).for_each(|k| jacobian[(k, k)] = 1.0);
        let gradient: Vec<f64> =
            (0..n).map(|j| jacobian.row(j).iter().zip(&derivatives.gradient).map(|(a, b)| a * b).sum()).collect();
        let mut hessian = jacobian.times(&derivatives.hessian).times(&jacobian.transpose());
        // The curvature of V itself: the second derivative of V_ak with respect to L_ab and L_kb is 1, of V_aa 2.
        for (row, &(a, b)) in places.iter().enumerate() {
            for (column, &(k, d)) in places.iter().enumerate() {
                if b == d {
                    let slope = derivatives.gradient[parameter(c, a, k)];
                    hessian[(row, column)] += if a == k { 2.0 * slope } else { slope };
                }
            }
        }
        Evaluation { value: solved.value, gradient, hessian: Some(hessian.into_entries()) }
    }

    /// Value and derivatives at a point.
    pub(super) fn at(&mut self, theta: &[f64]) -> Option<(Solved, Derivatives)> {
        self.evaluations += 1;
        let (solved, derivatives) = self.likelihood.at(theta)?;
        derivatives.gradient.iter().all(|g| g.is_finite()).then_some((solved, derivatives))
    }

    /// The value, the information and the fixed effects at a given point.
    pub(super) fn stay(&mut self, theta: &[f64]) -> Option<Optimum> {
        let (solved, derivatives) = self.at(theta)?;
        Some(self.optimum(theta.to_vec(), solved, derivatives, false, true))
    }

    /// One Newton step from a point, in full.
    pub(super) fn one_step(&mut self, theta: &[f64]) -> Option<Vec<f64>> {
        let (_, derivatives) = self.at(theta)?;
        let step = newton_step(&derivatives.hessian, &derivatives.gradient)?;
        Some(theta.iter().zip(step).map(|(t, s)| t + s).collect())
    }

    fn optimum(
        &self,
        theta: Vec<f64>,
        solved: Solved,
        derivatives: Derivatives,
        interior: bool,
        converged: bool,
    ) -> Optimum {
        Optimum { theta, solved, expected: derivatives.expected, interior, converged, evaluations: self.evaluations }
    }
}

fn inadmissible(n: usize) -> Evaluation {
    Evaluation { value: f64::INFINITY, gradient: vec![0.0; n], hessian: Some(vec![0.0; n * n]) }
}

fn is_positive_definite(a: &Matrix) -> bool {
    cholesky_in_place(&mut a.clone()).is_ok()
}

/// -H⁻¹g; `None` where H is not positive definite.
fn newton_step(hessian: &Matrix, gradient: &[f64]) -> Option<Vec<f64>> {
    let mut factor = hessian.clone();
    cholesky_in_place(&mut factor).ok()?;
    let mut step: Vec<f64> = gradient.iter().map(|g| -g).collect();
    ferrocyte_math::linalg::solve_lower(&factor, &mut step);
    ferrocyte_math::linalg::solve_lower_transposed(&factor, &mut step);
    Some(step)
}

/// A gradient of zero, measured by what a step could gain, and a positive definite Hessian.
fn is_stationary(derivatives: &Derivatives) -> bool {
    let step = newton_step(&derivatives.hessian, &derivatives.gradient);
    step.is_some_and(|step| gain_of(&step, &derivatives.gradient) < GAIN)
}

/// What a Newton step gains if the function is the parabola that it is near the optimum.
fn gain_of(step: &[f64], gradient: &[f64]) -> f64 {
    step.iter().zip(gradient).map(|(s, g)| -0.5 * s * g).sum()
}

/// Whether a gradient is smaller than another.
fn is_lower(there: &Derivatives, here: &Derivatives) -> bool {
    let square = |d: &Derivatives| d.gradient.iter().map(|g| g * g).sum::<f64>();
    square(there) < 0.81 * square(here)
}

/// Places (row, column) of a lower triangle, row by row, diagonal included.
fn triangle(c: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..c).flat_map(|a| (0..=a).map(move |b| (a, b)))
}

/// The parameter that V_ab is.
fn parameter(c: usize, a: usize, b: usize) -> usize {
    if a == b {
        return a;
    }
    let (a, b) = (a.max(b), a.min(b));
    c + a * (a - 1) / 2 + b
}

fn pack(l: &[f64], c: usize) -> Vec<f64> {
    triangle(c).map(|(a, b)| l[a * c + b]).collect()
}

fn unpack(x: &[f64], c: usize) -> Vec<f64> {
    let mut l = vec![0.0; c * c];
    triangle(c).zip(x).for_each(|((a, b), &value)| l[a * c + b] = value);
    l
}

/// The parameters that a triangle means: V = LL', then the variances of random covariates.
fn squared(x: &[f64], c: usize, n_triangle: usize) -> Vec<f64> {
    let l = unpack(x, c);
    let entry = |a: usize, b: usize| (0..c).map(|k| l[a * c + k] * l[b * c + k]).sum::<f64>();
    let mut theta: Vec<f64> = (0..c).map(|a| entry(a, a)).collect();
    theta.extend(lower_triangle(c).map(|(a, b)| entry(a, b)));
    theta.extend(&x[n_triangle..]);
    theta
}

/// The Cholesky factor of V with its eigenvalues raised to `floor` at least; C × C.
fn root(v: &[f64], c: usize, floor: f64) -> Option<Vec<f64>> {
    let matrix = Matrix::from_rows(c, c, v.to_vec());
    let raised = |matrix: &Matrix| -> Result<Matrix> {
        let (values, vectors) = ferrocyte_math::linalg::symmetric_eigen(matrix)?;
        let mut out = Matrix::zeros(c, c);
        for a in 0..c {
            for b in 0..c {
                out[(a, b)] = (0..c).map(|k| vectors[(a, k)] * values[k].max(floor) * vectors[(b, k)]).sum();
            }
        }
        cholesky_in_place(&mut out).map_err(|_| Fault::internal("a raised matrix is not positive definite"))?;
        Ok(out)
    };
    let factor = raised(&matrix).ok()?;
    let mut l = vec![0.0; c * c];
    triangle(c).for_each(|(a, b)| l[a * c + b] = factor[(a, b)]);
    Some(l)
}
