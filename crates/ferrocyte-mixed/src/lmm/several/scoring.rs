//! The likelihood of one gene with several components, and the climb to its stationary point.
//!
//! With u = (I + AΓ)⁻¹z, K = (I + TΓ)⁻¹T (T = A for REML, Z'Z for ML), t_i = tr K_ii and f_ij = |K_ij|²:
//!
//! * ∂l/∂s_i = ½ (|u_i|²/s₀² - t_i/s₀), ∂l/∂s₀ = ½ ((Q - u'Γu)/s₀² - (ν - q + tr M)/s₀), Q = rss - z'Γu
//! * F_ij = f_ij/(2s₀²), F_i0 = (t_i - Σ γ_j f_ij)/(2s₀²), F_00 = (ν - q + tr M²)/(2s₀²)
//! * tr M = q - Σ γ_i t_i, tr M² = q - 2 Σ γ_i t_i + Σ γ_i γ_j f_ij
//! * observed, with K_A of A and v = (I + AΓ)⁻¹u: H_ij = u_i'(K_A)_ij u_j/s₀³ - F_ij, H_i0 = u_i'v_i/s₀³ - F_i0,
//!   H_00 = (Q - u'Γu - u'Γv)/s₀³ - F_00
//!
//! Negative components are allowed; then the likelihood has several stationary points and unbounded directions, and
//! the estimate is the point that damped Fisher scoring reaches from zero. Near it, where observed and expected
//! information agree about the way, Newton's steps finish.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};

use super::Several;
use super::operator::{GuardedEvaluator, Traces};
use crate::lmm::options::Method;
use crate::lmm::status::Outcome;

const MAX_STEPS: u32 = 500;
const MAX_HALVINGS: u32 = 60;
/// Newton decrement at which the estimate is exact.
const DECREMENT: f64 = 1e-20;
/// A step that was halved away counts as converged below this decrement: rounding hides the rest.
const DECREMENT_HALVED: f64 = 1e-12;
/// Below this decrement a Newton step is tried before one of Fisher's.
const NEWTON_BELOW: f64 = 0.1;
const PIVOT_TOLERANCE: f64 = 1e-13;

/// The likelihood and its derivatives at one point.
#[derive(Debug, Clone)]
pub(in crate::lmm) struct Point {
    /// s_1, .., s_k, s_0.
    pub(in crate::lmm) theta: Vec<f64>,
    /// Log-likelihood at this point.
    pub(in crate::lmm) log_likelihood: f64,
    /// Gradient.
    pub(in crate::lmm) score: Vec<f64>,
    /// Expected information.
    pub(in crate::lmm) information: Matrix,
    /// u = (I + AΓ)⁻¹z.
    pub(in crate::lmm) u: Matrix,
    /// Q = s₀ y'Py.
    pub(in crate::lmm) quadratic: f64,
    /// ln|I + TΓ|.
    pub(in crate::lmm) ln_det: f64,
}

/// The estimate of one gene.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lmm) struct SeveralFit {
    /// s_1, .., s_k, s_0.
    pub(in crate::lmm) theta: Vec<f64>,
    /// Log-likelihood, s₀ at its profile value.
    pub(in crate::lmm) log_likelihood: f64,
    /// What became of the gene.
    pub(in crate::lmm) outcome: Outcome,
    /// Evaluations of the likelihood.
    pub(in crate::lmm) evaluations: u32,
}

/// One gene: its z in the basis of the model, and its residual sum of squares.
#[derive(Debug, Clone, Copy)]
pub(in crate::lmm) struct Gene<'a> {
    pub(in crate::lmm) z: &'a [f64],
    pub(in crate::lmm) rss: f64,
}

/// The likelihood of the genes of a model, one after the other, in buffers of one thread.
pub(in crate::lmm) struct Likelihood<'a> {
    model: &'a Several,
    a: GuardedEvaluator<'a>,
    zz: GuardedEvaluator<'a>,
    gamma: Vec<f64>,
    traces: Traces,
    /// Those at zero, where every gene begins.
    at_zero: Option<Traces>,
}

impl<'a> Likelihood<'a> {
    pub(in crate::lmm) fn new(model: &'a Several) -> Self {
        let k = model.dims.len();
        Self {
            model,
            a: model.a.evaluator(),
            zz: model.zz.evaluator(),
            gamma: vec![0.0; k],
            traces: Traces::zeros(k),
            at_zero: None,
        }
    }

    /// Moves to the ratios of θ; whether the likelihood is defined there.
    fn move_to(&mut self, theta: &[f64]) -> bool {
        let k = self.gamma.len();
        if !(theta[k] > 0.0) {
            return false;
        }
        self.gamma.iter_mut().zip(theta).for_each(|(g, s)| *g = s / theta[k]);
        self.a.factor(&self.gamma) && (self.model.method == Method::Reml || self.zz.factor(&self.gamma))
    }

    /// The likelihood at one point, its derivatives still empty; `None` where it is not defined.
    fn value(&mut self, theta: &[f64], gene: Gene<'_>) -> Option<Point> {
        if !self.move_to(theta) {
            return None;
        }
        let s0 = theta[self.gamma.len()];
        let mut u = Matrix::from_rows(gene.z.len(), 1, gene.z.to_vec());
        self.a.at().solve(&mut u);
        let quadratic = gene.rss - self.weighted(gene.z, u.entries());
        if !(quadratic > 0.0) {
            return None;
        }
        let ln_det = match self.model.method {
            Method::Reml => self.a.at().ln_det(),
            Method::Ml => self.zz.at().ln_det(),
        };
        let log_likelihood = -0.5 * (self.model.nu * (2.0 * std::f64::consts::PI * s0).ln() + ln_det + quadratic / s0);
        let (score, information) = (Vec::new(), Matrix::default());
        Some(Point { theta: theta.to_vec(), log_likelihood, score, information, u, quadratic, ln_det })
    }

    /// x'Γy.
    fn weighted(&self, x: &[f64], y: &[f64]) -> f64 {
        self.model.ranges.iter().zip(&self.gamma).map(|(r, g)| g * dot(&x[r.clone()], &y[r.clone()])).sum()
    }

    /// Gradient and expected information at the present point.
    fn derive(&mut self, point: &mut Point) {
        let k = self.gamma.len();
        let s0 = point.theta[k];
        self.find_traces();
        let (Traces { t, f }, g) = (&self.traces, &self.gamma);
        let gt = dot(g, t);
        let mut gfg = 0.0;
        let mut information = Matrix::zeros(k + 1, k + 1);
        for i in 0..k {
            let fg = dot(f.row(i), g);
            gfg += g[i] * fg;
            for j in 0..k {
                information[(i, j)] = f[(i, j)] / (2.0 * s0 * s0);
            }
            information[(i, k)] = (t[i] - fg) / (2.0 * s0 * s0);
            information[(k, i)] = information[(i, k)];
        }
        information[(k, k)] = (self.model.nu - 2.0 * gt + gfg) / (2.0 * s0 * s0);
        let u = point.u.entries();
        let mut score = Vec::with_capacity(k + 1);
        for (r, t) in self.model.ranges.iter().zip(t) {
            let part = &u[r.clone()];
            score.push(0.5 * (dot(part, part) / (s0 * s0) - t / s0));
        }
        score.push(0.5 * ((point.quadratic - self.weighted(u, u)) / (s0 * s0) - (self.model.nu - gt) / s0));
        (point.score, point.information) = (score, information);
    }

    fn find_traces(&mut self) {
        let start = self.gamma.iter().all(|&g| g == 0.0);
        if let (true, Some(known)) = (start, &self.at_zero) {
            self.traces.clone_from(known);
            return;
        }
        match self.model.method {
            Method::Reml => self.a.at().traces(&mut self.traces),
            Method::Ml => self.zz.at().traces(&mut self.traces),
        }
        if start {
            self.at_zero = Some(self.traces.clone());
        }
    }

    /// Everything at one point; `None` outside the region where the likelihood is defined.
    pub(in crate::lmm) fn evaluate(&mut self, theta: &[f64], gene: Gene<'_>) -> Option<Point> {
        let mut point = self.value(theta, gene)?;
        self.derive(&mut point);
        Some(point)
    }

    /// The observed information at the point that was evaluated last.
    pub(in crate::lmm) fn observed(&mut self, point: &Point) -> Matrix {
        let k = self.gamma.len();
        let s0 = point.theta[k];
        let cube = s0 * s0 * s0;
        let u = point.u.entries();
        let mut v = point.u.clone();
        self.a.at().solve(&mut v);
        // A column for each component: its part of u.
        let mut parts = Matrix::zeros(u.len(), k);
        for (j, r) in self.model.ranges.iter().enumerate() {
            r.clone().for_each(|i| parts[(i, j)] = u[i]);
        }
        self.a.at().k_times(&mut parts);
        let mut h = Matrix::zeros(k + 1, k + 1);
        for (i, r) in self.model.ranges.iter().enumerate() {
            for j in 0..k {
                let uku: f64 = r.clone().map(|a| u[a] * parts[(a, j)]).sum();
                h[(i, j)] = uku / cube - point.information[(i, j)];
            }
            let uv = dot(&u[r.clone()], &v.entries()[r.clone()]);
            h[(i, k)] = uv / cube - point.information[(i, k)];
            h[(k, i)] = h[(i, k)];
        }
        let left = point.quadratic - self.weighted(u, u) - self.weighted(u, v.entries());
        h[(k, k)] = left / cube - point.information[(k, k)];
        h
    }

    /// x ← (I + AΓ)⁻¹x at the point that was evaluated last, for each column of x.
    pub(in crate::lmm) fn solve(&mut self, x: &mut Matrix) {
        self.a.at().solve(x);
    }

    /// γ at the point that was evaluated last.
    pub(in crate::lmm) fn gamma(&self) -> &[f64] {
        &self.gamma
    }

    /// Whether the covariance of the cells is positive definite there.
    fn v_is_positive(&mut self, theta: &[f64]) -> bool {
        let k = self.gamma.len();
        let gamma: Vec<f64> = theta[..k].iter().map(|s| s / theta[k]).collect();
        theta[k] > 0.0 && self.zz.factor(&gamma)
    }

    /// Fits one gene, its components of either sign or none below zero.
    pub(in crate::lmm) fn fit(&mut self, run: &Run, gene: Gene<'_>, non_negative: bool) -> Result<SeveralFit> {
        if self.model.rank() == 0 {
            return Ok(self.model.held_at_zero(gene.rss, Outcome::NotIdentifiable, 0));
        }
        let k = self.gamma.len();
        let mut start = vec![0.0; k + 1];
        start[k] = gene.rss / self.model.nu;
        let Some(mut point) = self.evaluate(&start, gene) else {
            return Ok(self.model.held_at_zero(gene.rss, Outcome::NoStationary, 1));
        };
        let mut climb = Climb { gene, non_negative, evaluations: 1 };
        let mut before = f64::INFINITY;
        while climb.evaluations < MAX_STEPS {
            // With hundreds of random effects of a general design one evaluation takes a tenth of a second.
            run.check()?;
            let free = climb.free(&point);
            let Some(step) = newton_step(&point.information, &point.score, &free) else {
                return Ok(self.model.held_at_zero(gene.rss, Outcome::NoStationary, climb.evaluations));
            };
            let decrement: f64 = free.iter().zip(&step).map(|(&i, d)| point.score[i] * d).sum();
            // What a step does not make smaller is rounding.
            let settled = decrement < DECREMENT_HALVED && decrement >= before;
            if decrement < DECREMENT || settled {
                return Ok(self.judge(&point, non_negative, climb.evaluations));
            }
            before = decrement;
            let newton = (decrement < NEWTON_BELOW).then(|| self.newton(&point, &free, decrement)).flatten();
            let next = newton.and_then(|step| climb.attempt(self, &point, &free, &step, 1.0));
            match next.or_else(|| climb.halve(self, &point, &free, &step)) {
                Some(next) => point = next,
                None if decrement > DECREMENT_HALVED => {
                    return Ok(self.model.held_at_zero(gene.rss, Outcome::NoStationary, climb.evaluations));
                }
                None => return Ok(self.judge(&point, non_negative, climb.evaluations)),
            }
        }
        Ok(if non_negative {
            self.model.finish(&point, Outcome::MaxIter, climb.evaluations)
        } else {
            self.model.held_at_zero(gene.rss, Outcome::NoStationary, climb.evaluations)
        })
    }

    /// A step by the observed information, where that is positive definite and not far from the expected one.
    fn newton(&mut self, point: &Point, free: &[usize], fisher: f64) -> Option<Vec<f64>> {
        let step = newton_step(&self.observed(point), &point.score, free)?;
        let decrement: f64 = free.iter().zip(&step).map(|(&i, d)| point.score[i] * d).sum();
        (decrement < 4.0 * fisher).then_some(step)
    }

    /// The status of a stationary point.
    fn judge(&mut self, point: &Point, non_negative: bool, evaluations: u32) -> SeveralFit {
        let components = &point.theta[..self.gamma.len()];
        let outcome = if non_negative {
            if components.contains(&0.0) { Outcome::Boundary } else { Outcome::Ok }
        } else if components.iter().all(|&s| s >= 0.0) {
            Outcome::Ok
        } else if self.v_is_positive(&point.theta) {
            Outcome::Negative
        } else {
            Outcome::VNotPd
        };
        self.model.finish(point, outcome, evaluations)
    }

    /// Fisher scoring as published, without damping, for parity with a peer's numbers after few iterations: from
    /// `start` (or zero), until the largest absolute gradient is at most `epsilon` or `max_iter` evaluations were made.
    pub(in crate::lmm) fn score_undamped(
        &mut self,
        gene: Gene<'_>,
        start: Option<&[f64]>,
        max_iter: u32,
        epsilon: f64,
    ) -> SeveralFit {
        let k = self.gamma.len();
        let mut theta = start.map_or_else(
            || {
                let mut zero = vec![0.0; k + 1];
                // The published start divides by n - p for ML, too.
                zero[k] = gene.rss / self.model.residual_df;
                zero
            },
            <[f64]>::to_vec,
        );
        let all: Vec<usize> = (0..=k).collect();
        let mut largest = f64::INFINITY;
        let mut evaluations = 0;
        while largest > epsilon && evaluations < max_iter {
            evaluations += 1;
            let step = self.evaluate(&theta, gene).and_then(|point| {
                largest = point.score.iter().fold(0.0, |a, d| f64::max(a, d.abs()));
                newton_step(&point.information, &point.score, &all)
            });
            let Some(step) = step else {
                return self.model.held_at_zero(gene.rss, Outcome::NoStationary, evaluations);
            };
            theta.iter_mut().zip(&step).for_each(|(t, d)| *t += d);
        }
        let Some(point) = self.value(&theta, gene) else {
            return self.model.held_at_zero(gene.rss, Outcome::NoStationary, evaluations);
        };
        let mut fit = self.judge(&point, false, evaluations);
        // The published log-likelihood takes the determinant at the new ratios, which matters before convergence only.
        if let Some(moved) = self.value(&fit.theta, gene) {
            fit.log_likelihood += 0.5 * (point.ln_det - moved.ln_det);
        }
        if largest > epsilon && fit.outcome != Outcome::VNotPd {
            fit.outcome = Outcome::MaxIter;
        }
        fit
    }
}

/// The way of one gene.
struct Climb<'a> {
    gene: Gene<'a>,
    non_negative: bool,
    evaluations: u32,
}

impl Climb<'_> {
    /// The parameters that may move: those held at zero stay while the gradient points below.
    fn free(&self, point: &Point) -> Vec<usize> {
        let k = point.theta.len() - 1;
        (0..=k).filter(|&i| !self.non_negative || i == k || point.theta[i] > 0.0 || point.score[i] > 0.0).collect()
    }

    /// The point after a share of a step, unless the likelihood goes down or is not defined there.
    fn attempt(
        &mut self,
        likelihood: &mut Likelihood<'_>,
        from: &Point,
        free: &[usize],
        step: &[f64],
        share: f64,
    ) -> Option<Point> {
        let k = from.theta.len() - 1;
        let mut theta = from.theta.clone();
        for (&i, d) in free.iter().zip(step) {
            theta[i] += share * d;
            if self.non_negative && i < k {
                theta[i] = theta[i].max(0.0);
            }
        }
        self.evaluations += 1;
        let slack = 1e-12 * (1.0 + from.log_likelihood.abs());
        let mut next = likelihood.value(&theta, self.gene)?;
        if !(next.log_likelihood >= from.log_likelihood - slack) {
            return None;
        }
        likelihood.derive(&mut next);
        Some(next)
    }

    /// The point after the largest share of a step that is allowed.
    fn halve(&mut self, likelihood: &mut Likelihood<'_>, from: &Point, free: &[usize], step: &[f64]) -> Option<Point> {
        let mut share = 1.0;
        for _ in 0..=MAX_HALVINGS {
            if let Some(next) = self.attempt(likelihood, from, free, step, share) {
                return Some(next);
            }
            share *= 0.5;
        }
        None
    }
}

/// Information⁻¹ · score over the free parameters, scaled by the diagonal; `None` where it is singular.
fn newton_step(information: &Matrix, score: &[f64], free: &[usize]) -> Option<Vec<f64>> {
    let entries = free.iter().flat_map(|&i| free.iter().map(move |&j| information[(i, j)])).collect();
    let inverse = scaled_inverse(&Matrix::from_rows(free.len(), free.len(), entries), PIVOT_TOLERANCE).ok()?;
    let score: Vec<f64> = free.iter().map(|&i| score[i]).collect();
    Some((0..free.len()).map(|a| dot(inverse.row(a), &score)).collect())
}
