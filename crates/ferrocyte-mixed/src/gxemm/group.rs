//! Traits of the same people: what they share, and the fit of each.

use std::sync::{Mutex, PoisonError};

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_math::linalg::{Matrix, dot};

use super::answers::{heritability, ratios, shares};
use super::data::Study;
use super::fit::TraitFit;
use super::ground::{Ground, transposed_product};
use super::likelihood::Likelihood;
use super::model::Model;
use super::moments::{Estimate, Kernel, Moments};
use super::optimum::{Optimum, climb, covariance};
use super::options::{Errors, FitOptions, Information, Method, Variance};
use super::pcgc::liability;
use super::plan::Plan;
use super::status::Outcome;

/// A trait whose fixed effects leave less than this share of its variance is constant.
const NOTHING: f64 = 1e-20;

/// Traits that are turned at a time.
const TRAITS: usize = 32;

/// Matrices of work of fewer people than this do not keep all threads busy.
const SMALL: usize = 500;

/// What the traits of the same people share.
pub(super) struct Group<'a> {
    run: &'a Run,
    options: FitOptions,
    environments: &'a [String],
    ground: &'a Ground<'a>,
    model: Model,
    moments: Moments,
    /// The way to the likelihood, for `reml`.
    pub(super) plan: Option<Plan<'a>>,
    /// Mean diagonals of the kernels.
    means: Vec<f64>,
    /// The same after the fixed effects were projected out.
    projected: Vec<f64>,
}

/// A trait on its way into a fit.
pub(super) struct Ready {
    pub(super) out: TraitFit,
    /// Scaled to variance 1.
    pub(super) y: Vec<f64>,
    /// What fixed effects leave, scaled to variance 1.
    pub(super) unit: Vec<f64>,
    /// The variance that they leave.
    pub(super) left: f64,
}

impl<'a> Group<'a> {
    /// Of the people of `ground`. Fails where the variances cannot be told apart.
    pub(super) fn new(
        run: &'a Run,
        study: &'a Study,
        ground: &'a Ground<'a>,
        options: FitOptions,
        n_traits: usize,
    ) -> Result<Self> {
        let model = Model::new(&options, &ground.z, &study.environment_names);
        let means = model.mean_diagonals(&ground.kinship.diagonal(), &ground.z);
        let plain = Moments::new(run, ground, &kernels(&model, model.len()), None)?;
        if let Some(k) = plain.dependent().filter(|_| options.method != Method::Pcgc) {
            return Err(not_identifiable(&model.names, k));
        }
        let plan = if options.method == Method::Reml {
            Some(Plan::new(run, ground, &model, options.route, n_traits)?)
        } else {
            None
        };
        let projected = plain.mean_diagonals();
        let environments = &study.environment_names;
        Ok(Self { run, options, environments, ground, model, moments: plain, plan, means, projected })
    }

    /// Fits the traits with these names and values, and tells `done` of each.
    pub(super) fn fit(&self, traits: &[(&str, Vec<f64>)], done: impl Fn() + Sync) -> Result<Vec<TraitFit>> {
        if self.options.method == Method::Pcgc {
            let one = |(name, values): &(&str, Vec<f64>)| {
                let fitted = self.pcgc(name, values);
                done();
                fitted
            };
            return traits.iter().map(one).collect();
        }
        let ready: Vec<Ready> = traits.iter().map(|(name, values)| self.ready(name, values)).collect();
        let units: Vec<&[f64]> = ready.iter().filter(|r| r.left > 0.0).map(|r| r.unit.as_slice()).collect();
        let he = self.options.method == Method::He;
        let w = if self.options.use_diag || !he { 0.25 } else { 0.0 };
        let of = kernels(&self.model, self.model.len());
        let mut moments = self.moments.estimates(self.run, self.ground, &of, &units, None, w, he)?;
        if he && self.options.errors == Errors::Corrected {
            self.moments.correct(self.run, self.ground, &of, &units, w, &mut moments)?;
        }
        let mut moments = moments.into_iter();
        let mut turned = self.turned(&ready)?.into_iter();
        let mut todo = Vec::with_capacity(ready.len());
        for one in ready {
            let moments = if one.left > 0.0 { moments.next().flatten() } else { None };
            todo.push((one, moments, turned.next().unwrap_or_default()));
        }
        let one = |(ready, moments, turned): (Ready, Option<Estimate>, Vec<Vec<f64>>)| {
            let fitted = self.one(ready, moments, turned);
            done();
            fitted
        };
        // Small parts leave threads without work: traits go side by side.
        if self.plan.as_ref().is_some_and(|plan| plan.largest_part <= SMALL * SMALL) {
            let slots: Vec<Mutex<Option<_>>> = todo.into_iter().map(|one| Mutex::new(Some(one))).collect();
            let take = |t: usize| slots[t].lock().unwrap_or_else(PoisonError::into_inner).take();
            let parts = self.run.map_quietly(slots.len(), 1, |range| {
                range.filter_map(take).map(one).collect::<Result<Vec<TraitFit>>>()
            })?;
            return Ok(parts.into_iter().flatten().collect());
        }
        todo.into_iter().map(one).collect()
    }

    /// Traits as the parts of the plan have them: trait × part.
    fn turned(&self, ready: &[Ready]) -> Result<Vec<Vec<Vec<f64>>>> {
        let Some(plan) = &self.plan else { return Ok(Vec::new()) };
        let mut out = Vec::with_capacity(ready.len());
        for some in ready.chunks(TRAITS) {
            let n = self.ground.n();
            let entries = (0..n).flat_map(|i| some.iter().map(move |one| one.y[i])).collect();
            let parts = plan.turn(self.run, &Matrix::from_rows(n, some.len(), entries))?;
            for t in 0..some.len() {
                out.push(parts.iter().map(|part| (0..part.n_rows()).map(|i| part[(i, t)]).collect()).collect());
            }
        }
        Ok(out)
    }

    fn ready(&self, name: &str, values: &[f64]) -> Ready {
        let mut made = ready(self.ground, &self.model, name, values);
        if made.left > 0.0 {
            made.out.projected.clone_from(&self.projected);
        }
        made
    }

    fn answer(&self, out: &mut TraitFit, theta: Vec<f64>, covariance: Matrix) {
        answer(out, &self.options, &self.model, self.environments, &self.means, theta, covariance);
    }

    fn one(&self, ready: Ready, moments: Option<Estimate>, turned: Vec<Vec<f64>>) -> Result<TraitFit> {
        let Ready { mut out, y, left, .. } = ready;
        if !(left > 0.0) {
            return Ok(out);
        }
        if let Some(plan) = &self.plan {
            let start = moments.map(|m| self.model.fitted(&m.theta.iter().map(|t| t * left).collect::<Vec<f64>>()));
            return self.reml(out, plan, turned, start.as_deref(), left);
        }
        let Some(moments) = moments else {
            return Ok(TraitFit::empty(&out.name, Outcome::NotIdentifiable, out.n, &self.model, self.ground.p()));
        };
        out.scale *= left;
        out.beta = least_squares(self.ground, &y);
        self.answer(&mut out, moments.theta, moments.covariance);
        Ok(out)
    }

    fn reml(
        &self,
        mut out: TraitFit,
        plan: &Plan,
        turned: Vec<Vec<f64>>,
        start: Option<&[f64]>,
        left: f64,
    ) -> Result<TraitFit> {
        let mut likelihood = Likelihood::new(self.run, plan, &self.model, turned);
        out.route.clone_from(&plan.route);
        let mut outcome = Outcome::Ok;
        let mut found: Option<Optimum> = None;
        if let Some(start) = start.filter(|_| self.options.variance == Variance::Unconstrained) {
            found = climb(&mut likelihood, start, false)?.filter(|at| at.converged);
        }
        if found.is_none() {
            let bounded = climb(&mut likelihood, &self.inside(start, left), true)?;
            let Some(bounded) = bounded else {
                out.outcome = Outcome::NoLikelihood;
                out.theta.fill(f64::NAN);
                return Ok(out);
            };
            let at_zero = bounded.theta.contains(&0.0);
            if self.options.variance == Variance::Unconstrained {
                let again = climb(&mut likelihood, &bounded.theta, false)?.filter(|at| at.converged);
                if again.is_none() {
                    outcome = Outcome::Boundary;
                }
                found = again.or(Some(bounded));
            } else {
                outcome = match (bounded.converged, at_zero) {
                    (false, _) => Outcome::NotConverged,
                    (true, true) => Outcome::Zero,
                    (true, false) => Outcome::Ok,
                };
                found = Some(bounded);
            }
        }
        let Some(found) = found else { return Ok(out) };
        let mut information = found.slopes.information.clone();
        if self.options.information == Information::Expected {
            // The last point that was looked at may be another one.
            if let Some(value) = likelihood.value(&found.theta)? {
                information = likelihood.expected_information(&value)?;
            }
        }
        out.evaluations = likelihood.evaluations;
        (out.beta, out.beta_covariance) = likelihood.fixed_effects(&found.value)?;
        let n = self.ground.n() as f64;
        out.log_likelihood = found.value.l;
        out.log_likelihood_full =
            found.value.l - 0.5 * (n - self.ground.p() as f64) * (2.0 * std::f64::consts::PI).ln();
        if self.model.len() == 2 {
            out.log_likelihood_null = no_kinship(self.ground, left * (n - 1.0));
        }
        let bounded = outcome == Outcome::Boundary || outcome == Outcome::Zero;
        let held: Vec<bool> = found.theta.iter().map(|t| bounded && *t == 0.0).collect();
        let k = self.model.len();
        let inverse = |held: &[bool]| {
            covariance(&information, held).unwrap_or_else(|| Matrix::from_rows(k, k, vec![f64::NAN; k * k]))
        };
        let fitted = inverse(&held);
        out.free_covariance = self.model.report_covariance(&inverse(&vec![false; k]));
        self.answer(&mut out, self.model.report(&found.theta), self.model.report_covariance(&fitted));
        out.outcome = outcome;
        Ok(out)
    }

    /// A start of which no variance is negative, and the noise is positive.
    fn inside(&self, start: Option<&[f64]>, left: f64) -> Vec<f64> {
        let (k, g) = (self.model.len(), self.model.genetic.len());
        let by_environment = self.model.noise.iter().all(|d| d.contains(&0.0));
        let mut out = start.map_or_else(|| vec![0.0; k], <[f64]>::to_vec);
        for (j, t) in out.iter_mut().enumerate() {
            let last = j + 1 == k || (by_environment && j >= g);
            let least = if last { 0.1 * left } else { 0.0 };
            *t = if t.is_finite() { t.clamp(least, 2.0 * left) } else { least };
        }
        out
    }

    fn pcgc(&self, name: &str, values: &[f64]) -> Result<TraitFit> {
        let mut out = TraitFit::empty(name, Outcome::OneClass, values.len(), &self.model, self.ground.p());
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        if !(high > low) {
            return Ok(out);
        }
        let cases: Vec<f64> = values.iter().map(|y| f64::from(u8::from(*y == high))).collect();
        let prev = self.options.prev.unwrap_or(f64::NAN);
        let Some(liability) = liability(self.ground, &cases, prev) else { return Ok(out) };
        let k = self.model.len();
        let of = kernels(&self.model, k - 1);
        let square: Vec<f64> = liability.slope.iter().map(|q| q * q).collect();
        let weights = self.options.weighted.then_some(square.as_slice());
        let mut moments = Moments::new(self.run, self.ground, &of, weights)?;
        let means = moments.normalise();
        let traits = [liability.response.as_slice()];
        let mut found = moments.estimates(self.run, self.ground, &of, &traits, weights, 0.0, true)?;
        let Some(found) = found.pop().flatten() else {
            out.outcome = Outcome::NotIdentifiable;
            return Ok(out);
        };
        // The last variance is what is left of 1; all are then put on their own kernels' scale.
        out.projected.clone_from(&self.projected);
        out.projected[..k - 1].copy_from_slice(&means);
        let mut slopes = Matrix::zeros(k, k - 1);
        for j in 0..k - 1 {
            slopes[(j, j)] = 1.0 / means[j];
            slopes[(k - 1, j)] = -1.0 / out.projected[k - 1];
        }
        let mut theta: Vec<f64> = found.theta.iter().zip(&means).map(|(t, m)| t / m).collect();
        theta.push((1.0 - found.theta.iter().sum::<f64>()) / out.projected[k - 1]);
        out.scale = 1.0;
        self.answer(&mut out, theta, slopes.times(&found.covariance).times(&slopes.transpose()));
        Ok(out)
    }
}

/// The first `k` reported kernels of a model.
fn kernels(model: &Model, k: usize) -> Vec<Kernel<'_>> {
    let genetic = model.genetic.iter().map(|places| Kernel::Genetic(places));
    genetic.chain(model.reported_noise.iter().map(|d| Kernel::Noise(d))).take(k).collect()
}

pub(super) fn not_identifiable(names: &[String], k: usize) -> Fault {
    Fault::bad_input(format!(
        "the variance `{}` is not identifiable: its kernel is a combination of those of {}, as K and Z are",
        names[k],
        listing(&names[..k], 10)
    ))
    .at("K")
    .hint("K must differ from the identity, and have kin across environments; or take a smaller model")
}

/// Scales a trait; where nothing of it varies, nothing is left.
pub(super) fn ready(ground: &Ground, model: &Model, name: &str, values: &[f64]) -> Ready {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / (n - 1.0);
    let mut out = TraitFit::empty(name, Outcome::Constant, values.len(), model, ground.p());
    let sd = if variance > 0.0 { variance.sqrt() } else { 1.0 };
    let y: Vec<f64> = values.iter().map(|y| (y - mean) / sd).collect();
    let residual = ground.residual(&y);
    let left = dot(&residual, &residual) / (n - 1.0);
    if !(variance > 0.0) || left < NOTHING {
        return Ready { out, y, unit: Vec::new(), left: 0.0 };
    }
    out.outcome = Outcome::Ok;
    out.scale = variance;
    Ready { out, y, unit: residual.iter().map(|r| r / left.sqrt()).collect(), left }
}

/// The restricted likelihood where V = s I, at its top: s is the residual sum of squares over n - p.
fn no_kinship(ground: &Ground, squares: f64) -> f64 {
    let free = (ground.n() - ground.p()) as f64;
    let ln_x = 2.0 * (0..ground.p()).map(|i| ground.r[(i, i)].ln()).sum::<f64>();
    -0.5 * (free * (squares / free).ln() + ln_x + free)
}

/// Fixed effects by ordinary least squares.
pub(super) fn least_squares(ground: &Ground, y: &[f64]) -> Vec<f64> {
    let p = ground.p();
    let mut b = transposed_product(&ground.q, y);
    for i in (0..p).rev() {
        let rest: f64 = (i + 1..p).map(|j| ground.r[(i, j)] * b[j]).sum();
        b[i] = (b[i] - rest) / ground.r[(i, i)];
    }
    b
}

/// Fills in what follows from the variances.
pub(super) fn answer(
    out: &mut TraitFit,
    options: &FitOptions,
    model: &Model,
    environments: &[String],
    means: &[f64],
    theta: Vec<f64>,
    theta_covariance: Matrix,
) {
    let forms = heritability(options, model, environments);
    let totals: Vec<f64> = forms.iter().map(|(_, _, bottom)| dot(bottom, &theta)).collect();
    let noises = forms.iter().map(|(_, top, bottom)| dot(bottom, &theta) - dot(top, &theta));
    let outside = totals.iter().any(|t| !(*t > 0.0)) || noises.into_iter().any(|t| !(t > 0.0));
    out.h2 = ratios(forms, &theta, &theta_covariance);
    out.shares = ratios(shares(model, means), &theta, &theta_covariance);
    out.outcome = if outside && options.method != Method::Reml { Outcome::Outside } else { Outcome::Ok };
    (out.theta, out.theta_covariance) = (theta, theta_covariance);
}
