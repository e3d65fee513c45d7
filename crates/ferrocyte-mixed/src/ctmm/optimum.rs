//! Which point is the estimate: an interior optimum of the likelihood, or else the best with variances of zero or more.
//!
//! The likelihood has no bound where variances may be negative, so that the estimate is defined by a road, not by a
//! maximum: (b) Newton from the moment estimate, then from (a), the non-negative fit; it counts where it ends at a
//! stationary point with a positive definite Hessian. Otherwise (a) is reported and flagged. There is no random start, and
//! nothing depends on the scale of the data: the caller brings it to one.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, cholesky_in_place};
use ferrocyte_math::optimise::{Evaluation, Minimum, Stop, minimise};

use super::block::{self, eigenvalues};
use super::kernel::{covariance, lower_triangle};
use super::likelihood::{Derivatives, Likelihood, Solved};
use super::options::Model;

/// Most steps of one search.
const STEPS: usize = 200;
/// Half of g'H⁻¹g, which is what the likelihood could still gain, at a stationary point.
const GAIN: f64 = 1e-11;
/// The same at which Newton's method ends, where rounding lets it come so far.
const SETTLED: f64 = 1e-15;
/// Noise below this (of data of unit variance) gives the likelihood of a covariance matrix several optima on its boundary.
const QUIET: f64 = 1e-2;
/// Most steps of one search among variances of zero or more.
const BOX_STEPS: usize = 100;
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

/// Where a search among variances of zero or more ended.
pub(super) struct Constrained {
    /// The variances.
    pub(super) theta: Vec<f64>,
    /// What was solved there.
    pub(super) solved: Solved,
    /// The derivatives there.
    pub(super) derivatives: Derivatives,
    /// Whether it is a stationary point of the box.
    settled: bool,
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
        let mut creeps = 0;
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
            let trials = if gain < GAIN { 1 } else { 40 };
            let accepted = (0..trials).find_map(|halvings| {
                let length = 0.5_f64.powi(halvings);
                let trial: Vec<f64> = theta.iter().zip(&step).map(|(t, s)| t + length * s).collect();
                let (there, slopes) = self.at(&trial)?;
                let falls = there.value <= solved.value - 1e-4 * 2.0 * gain * length;
                let rounding =
                    gain < GAIN && (there.value - solved.value).abs() <= noise && is_lower(&slopes, &derivatives);
                (falls || rounding).then_some((halvings, (trial, there, slopes)))
            });
            match accepted {
                // Steps of a millionth are those of a search that stands at a wall.
                Some((halvings, _)) if halvings > 20 && creeps == 2 => return None,
                Some((halvings, point)) => {
                    creeps = if halvings > 20 { creeps + 1 } else { 0 };
                    (theta, solved, derivatives) = point;
                }
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
        let found = if self.model == Model::Full {
            self.likelihood.walled_at(block::SINGULAR);
            self.semidefinite(start)
        } else {
            Ok(self.in_box(start))
        };
        self.likelihood.walled(true);
        found
    }

    fn in_box(&mut self, start: &[f64]) -> Option<Optimum> {
        let zero = vec![false; start.len()];
        let found = self.constrained(start, &zero)?;
        let interior = found.theta.iter().all(|&x| x > ZERO) && is_stationary(&found.derivatives);
        let Constrained { theta, solved, derivatives, settled } = found;
        Some(self.optimum(theta, solved, derivatives, interior, settled))
    }

    /// The best fit with variances of zero or more, those marked `zero` held there; `None` where there is none.
    pub(super) fn under_null(&mut self, start: &[f64], zero: &[bool]) -> Option<Constrained> {
        self.likelihood.walled(false);
        self.constrained(start, zero).filter(|found| found.settled)
    }

    /// From the start without what is negative, and where that does not settle from a default.
    fn constrained(&mut self, start: &[f64], zero: &[bool]) -> Option<Constrained> {
        let level = 1.0 / (self.n_random + 2) as f64;
        let clipped = start.iter().zip(zero).map(|(&x, &z)| if z { 0.0 } else { x.max(0.0) }).collect::<Vec<f64>>();
        let raised = zero.iter().map(|&z| if z { 0.0 } else { level }).collect::<Vec<f64>>();
        let mut best: Option<Constrained> = None;
        for start in [clipped, raised] {
            let Some(found) = self.descend_in_box(&start, zero) else { continue };
            if found.settled {
                return Some(found);
            }
            if best.as_ref().is_none_or(|b| found.solved.value < b.solved.value) {
                best = Some(found);
            }
        }
        best
    }

    /// Newton's method where variables are zero or more, those marked `zero` zero: each step is the minimum of the parabola in
    /// that box.
    fn descend_in_box(&mut self, start: &[f64], zero: &[bool]) -> Option<Constrained> {
        let free: Vec<usize> = (0..start.len()).filter(|&k| !zero[k]).collect();
        let (mut solved, mut derivatives) = self.at(start)?;
        let mut theta = start.to_vec();
        for _ in 0..BOX_STEPS {
            let step = box_step(&derivatives.hessian, &derivatives.gradient, &theta, &free)
                .or_else(|| box_step(&derivatives.expected, &derivatives.gradient, &theta, &free));
            let Some(step) = step else { break };
            let gain = gain_of(&step, &derivatives.gradient);
            if gain < SETTLED {
                return Some(Constrained { theta, solved, derivatives, settled: true });
            }
            let rounding = 4.0 * f64::EPSILON * solved.value.abs().max(1.0);
            let accepted = (0..if gain < GAIN { 1 } else { 40 }).find_map(|halvings| {
                let length = 0.5_f64.powi(halvings);
                let trial: Vec<f64> = theta.iter().zip(&step).map(|(t, s)| (t + length * s).max(0.0)).collect();
                let (there, slopes) = self.at(&trial)?;
                let falls = there.value <= solved.value - 1e-4 * 2.0 * gain * length;
                let level = gain < GAIN && (there.value - solved.value).abs() <= rounding;
                (falls || level).then_some((trial, there, slopes))
            });
            let last = gain < GAIN;
            match accepted {
                Some(point) => (theta, solved, derivatives) = point,
                None => return Some(Constrained { theta, solved, derivatives, settled: last }),
            }
            if last {
                return Some(Constrained { theta, solved, derivatives, settled: true });
            }
        }
        Some(Constrained { theta, solved, derivatives, settled: false })
    }

    /// The same for a covariance matrix over cell types: V = LL', searched over the triangle L.
    fn semidefinite(&mut self, start: &[f64]) -> Result<Option<Optimum>> {
        let c = self.c;
        let n_triangle = start.len() - self.n_random;
        let level = 1.0 / (self.n_random + 2) as f64;
        let rest: Vec<f64> = start[n_triangle..].iter().map(|r2| r2.max(0.0)).collect();
        let mut best: Option<Minimum> = None;
        let several = self.likelihood.least_noise() < QUIET;
        for (v, floor) in starts(&covariance(Model::Full, start, c), c, level, several) {
            let Some(found) = self.descend_root(&v, floor * level, &rest)? else { continue };
            if best.as_ref().is_none_or(|b| found.value < b.value) {
                best = Some(found);
            }
        }
        let Some(found) = best else { return Ok(None) };
        let found = self.on_face(found)?;
        let theta = squared(&found.point, c, n_triangle);
        let Some((solved, derivatives)) = self.at(&theta) else { return Ok(None) };
        let low = eigenvalues(&mut covariance(Model::Full, &theta, c), c).into_iter().fold(f64::INFINITY, f64::min);
        let inside = low > ZERO && theta[n_triangle..].iter().all(|&r2| r2 > ZERO);
        let interior = inside && is_stationary(&derivatives);
        Ok(Some(self.optimum(theta, solved, derivatives, interior, found.converged)))
    }

    /// From V with its eigenvalues raised to `floor`, and on from where the descent ends as long as that is a saddle.
    fn descend_root(&mut self, v: &[f64], floor: f64, rest: &[f64]) -> Result<Option<Minimum>> {
        let c = self.c;
        let n = c * (c + 1) / 2;
        let Some(l) = root(v, c, floor) else { return Ok(None) };
        let mut x = pack(&l, c);
        x.extend(rest);
        let mut lower = vec![f64::NEG_INFINITY; n];
        lower.resize(x.len(), 0.0);
        let upper = vec![f64::INFINITY; x.len()];
        let mut best: Option<Minimum> = None;
        for _ in 0..=c {
            if self.likelihood.solve(&squared(&x, c, n)).is_none() {
                break;
            }
            let found = self.descend(&x, &lower, &upper, |search, x| Ok(search.over_root(x)))?;
            if !self.stands(&found) || best.as_ref().is_some_and(|b| found.value >= b.value) {
                break;
            }
            let way_out = self.off_saddle(&found);
            best = Some(found);
            match way_out {
                Some(there) => x = there,
                None => break,
            }
        }
        Ok(best)
    }

    /// Whether a search did not run up a wall: where values have no noise the likelihood of a singular V has no bound.
    fn stands(&mut self, end: &Minimum) -> bool {
        self.likelihood.walled_at(block::STEEP);
        let solved = self.likelihood.solve(&squared(&end.point, self.c, self.c * (self.c + 1) / 2));
        self.likelihood.walled_at(block::SINGULAR);
        solved.is_some()
    }

    /// The same optimum where V has a lower rank: columns of L that should be zero make the surface flat, and the descent slow.
    /// Each rank is tried from the principal part of V, with these columns held at zero.
    fn on_face(&mut self, best: Minimum) -> Result<Minimum> {
        let c = self.c;
        let n = c * (c + 1) / 2;
        let rest = best.point[n..].to_vec();
        let v = Matrix::from_rows(c, c, covariance(Model::Full, &squared(&best.point, c, n), c));
        let (values, vectors) = ferrocyte_math::linalg::symmetric_eigen(&v)?;
        let mut order: Vec<usize> = (0..c).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let mut best = best;
        for rank in 1..c {
            let mut x = pack(&trapezoid(&values, &vectors, &order[..rank], c), c);
            x.extend(&rest);
            if self.likelihood.solve(&squared(&x, c, n)).is_none() {
                continue;
            }
            let bound = |sign: f64| {
                let places = triangle(c).map(move |(_, b)| if b < rank { sign * f64::INFINITY } else { 0.0 });
                places.chain(rest.iter().map(move |_| if sign > 0.0 { f64::INFINITY } else { 0.0 })).collect::<Vec<_>>()
            };
            let found = self.descend(&x, &bound(-1.0), &bound(1.0), |search, x| Ok(search.over_root(x)))?;
            let settles = found.converged && !best.converged && found.value < best.value + 1e-7;
            if self.stands(&found) && (settles || found.value < best.value) {
                best = found;
            }
        }
        Ok(best)
    }

    /// A lower point near a stationary point of L where V is singular and the likelihood grows in a direction ww' of V: where a
    /// column of L is zero its slope is zero, too.
    fn off_saddle(&mut self, found: &Minimum) -> Option<Vec<f64>> {
        let c = self.c;
        let n = c * (c + 1) / 2;
        let theta = squared(&found.point, c, n);
        let (_, derivatives) = self.at(&theta)?;
        let mut slope = Matrix::zeros(c, c);
        for (a, b) in triangle(c) {
            let g = derivatives.gradient[parameter(c, a, b)] * if a == b { 1.0 } else { 0.5 };
            slope[(a, b)] = g;
            slope[(b, a)] = g;
        }
        let (values, vectors) = ferrocyte_math::linalg::symmetric_eigen(&slope).ok()?;
        let steepest = (0..c).min_by(|&a, &b| values[a].total_cmp(&values[b]))?;
        if values[steepest] > -1e-6 {
            return None;
        }
        let v = covariance(Model::Full, &theta, c);
        (0..40).find_map(|halvings| {
            let length = 0.5_f64.powi(halvings);
            let mut moved = v.clone();
            for a in 0..c {
                for b in 0..c {
                    moved[a * c + b] += length * vectors[(a, steepest)] * vectors[(b, steepest)];
                }
            }
            let mut x = pack(&root(&moved, c, 1e-12)?, c);
            x.extend(&found.point[n..]);
            let there = self.likelihood.solve(&squared(&x, c, n))?;
            (there.value < found.value - 1e-9).then_some(x)
        })
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

    /// -l and its derivatives as a function of the triangle L.
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

/// -H⁻¹g; `None` where H is not positive definite.
fn newton_step(hessian: &Matrix, gradient: &[f64]) -> Option<Vec<f64>> {
    let mut factor = hessian.clone();
    cholesky_in_place(&mut factor).ok()?;
    let mut step: Vec<f64> = gradient.iter().map(|g| -g).collect();
    ferrocyte_math::linalg::solve_lower(&factor, &mut step);
    ferrocyte_math::linalg::solve_lower_transposed(&factor, &mut step);
    Some(step)
}

/// The step s to the minimum of g's + s'Hs/2 where the variables `free` move and none becomes negative, by active sets; `None`
/// where H is not positive definite over the variables that move.
fn box_step(hessian: &Matrix, gradient: &[f64], theta: &[f64], free: &[usize]) -> Option<Vec<f64>> {
    let n = free.len();
    // Those at zero that the gradient pushes out stay there at first.
    let mut held: Vec<bool> = free.iter().map(|&k| theta[k] <= 0.0 && gradient[k] > 0.0).collect();
    let mut step = vec![0.0; gradient.len()];
    for _ in 0..8 * n + 8 {
        for (&k, &held) in free.iter().zip(&held) {
            step[k] = if held { -theta[k] } else { 0.0 };
        }
        let moving: Vec<usize> = (0..n).filter(|&j| !held[j]).map(|j| free[j]).collect();
        let mut right: Vec<f64> = moving
            .iter()
            .map(|&j| -gradient[j] - free.iter().map(|&k| hessian[(j, k)] * step[k]).sum::<f64>())
            .collect();
        let mut block = Matrix::zeros(moving.len(), moving.len());
        for (a, &j) in moving.iter().enumerate() {
            moving.iter().enumerate().for_each(|(b, &k)| block[(a, b)] = hessian[(j, k)]);
        }
        cholesky_in_place(&mut block).ok()?;
        ferrocyte_math::linalg::solve_lower(&block, &mut right);
        ferrocyte_math::linalg::solve_lower_transposed(&block, &mut right);
        moving.iter().zip(&right).for_each(|(&k, &s)| step[k] = s);
        let leaves = |j: usize| !held[j] && theta[free[j]] + step[free[j]] < 0.0;
        let out: Vec<usize> = (0..n).filter(|&j| leaves(j)).collect();
        if !out.is_empty() {
            out.into_iter().for_each(|j| held[j] = true);
            continue;
        }
        // The slope of the parabola at a held variable: below zero it wants to come in.
        let slope = |k: usize| gradient[k] + free.iter().map(|&l| hessian[(k, l)] * step[l]).sum::<f64>();
        let wants = |j: usize| held[j] && slope(free[j]) < -1e-12 * (1.0 + gradient[free[j]].abs());
        match (0..n).filter(|&j| wants(j)).min_by(|&a, &b| slope(free[a]).total_cmp(&slope(free[b]))) {
            Some(j) => held[j] = false,
            None => return Some(step),
        }
    }
    None
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

/// Where searches for a covariance matrix start, with the floor of the eigenvalues: the moment estimate and nothing. Where
/// there are `several` optima, also its diagonal, each of its principal parts, and each cell type alone.
fn starts(given: &[f64], c: usize, level: f64, several: bool) -> Vec<(Vec<f64>, f64)> {
    let none = vec![0.0; c * c];
    let mut out = vec![(given.to_vec(), 0.3), (none.clone(), 1.0)];
    if !several {
        return out;
    }
    out.extend([0.05, 1.0].map(|floor| (given.to_vec(), floor)));
    out.push((none, 0.05));
    out.push(((0..c * c).map(|at| if at % (c + 1) == 0 { given[at] } else { 0.0 }).collect(), 1e-3));
    if let Ok((values, vectors)) = ferrocyte_math::linalg::symmetric_eigen(&Matrix::from_rows(c, c, given.to_vec())) {
        for k in 0..c {
            let size = values[k].abs().max(0.01 * level);
            let part = (0..c * c).map(|at| size * vectors[(at / c, k)] * vectors[(at % c, k)]).collect();
            out.push((part, 1e-3));
        }
    }
    for k in 0..c {
        let alone = (0..c * c).map(|at| if at == k * (c + 1) { level } else { 0.0 }).collect();
        out.push((alone, 1e-3));
    }
    out
}

/// Places (row, column) of a lower triangle, row by row, diagonal included.
fn triangle(c: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..c).flat_map(|a| (0..=a).map(move |b| (a, b)))
}

/// L with zeros from column `principal.len()` on, such that LL' is the part of a matrix that some of its eigenvectors make.
fn trapezoid(values: &[f64], vectors: &Matrix, principal: &[usize], c: usize) -> Vec<f64> {
    let mut l = vec![0.0; c * c];
    for a in 0..c {
        principal.iter().enumerate().for_each(|(b, &k)| l[a * c + b] = vectors[(a, k)] * values[k].max(0.0).sqrt());
    }
    // Rotations of columns leave LL' as it is.
    for a in 0..principal.len() {
        for b in a + 1..principal.len() {
            let size = l[a * c + a].hypot(l[a * c + b]);
            if size > 0.0 {
                let (cosine, sine) = (l[a * c + a] / size, l[a * c + b] / size);
                for row in 0..c {
                    let (x, y) = (l[row * c + a], l[row * c + b]);
                    l[row * c + a] = cosine * x + sine * y;
                    l[row * c + b] = cosine * y - sine * x;
                }
            }
        }
    }
    l
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
