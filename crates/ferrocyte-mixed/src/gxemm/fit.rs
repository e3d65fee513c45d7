//! All traits at once.

use ferrocyte_base::{Column, Fault, Kind, Provenance, Result, Run, Table, Value, listing};
use ferrocyte_math::linalg::{Matrix, dot};

use super::answers::{Ratios, heritability, peer, ratios, shares};
use super::data::Study;
use super::ground::Ground;
use super::likelihood::Likelihood;
use super::model::Model;
use super::moments::{Kernel, Moments};
use super::optimum::{Optimum, climb, covariance};
use super::options::{FitOptions, Genetic, Information, Method, Noise, Variance};
use super::pcgc::liability;
use super::status::Outcome;
use super::wald::{ln_equal, ln_joint_wald, ln_wald, ln_wald_two_sided};

/// A trait whose fixed effects leave less than this share of its variance is constant.
const NOTHING: f64 = 1e-20;

/// The heritability of traits by environment.
#[derive(Debug, Clone)]
pub struct Fit {
    /// How it was fitted.
    pub options: FitOptions,
    /// Names of the variances: `g_hom`, `g_het` or `g[A]`, .., then those of noise, `e_hom` last.
    pub variances: Vec<String>,
    /// Names of the fixed effects: `intercept`, then covariates.
    pub coefficients: Vec<String>,
    /// Names of the environments.
    pub environments: Vec<String>,
    /// Whether everybody is in exactly one environment.
    pub partition: bool,
    /// A fit for each trait.
    pub traits: Vec<TraitFit>,
    /// What was done.
    pub provenance: Provenance,
}

/// The fit of one trait. Variances are those of the trait scaled to variance 1 (`reml`), of its residual scaled to variance 1
/// (`he`), or of liability (`pcgc`).
#[derive(Debug, Clone)]
pub struct TraitFit {
    /// Name of the trait.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// People with a value.
    pub n: usize,
    /// The variance of the trait that stands for 1; 1 for `pcgc`.
    pub scale: f64,
    /// Variances.
    pub theta: Vec<f64>,
    /// Their covariance; zero for those held at zero.
    pub theta_covariance: Matrix,
    /// The same as if none were held: what a test at the boundary needs.
    pub free_covariance: Matrix,
    /// Fixed effects on the scaled trait.
    pub beta: Vec<f64>,
    /// Their covariance.
    pub beta_covariance: Matrix,
    /// Log-likelihood without constants; NaN after moments.
    pub log_likelihood: f64,
    /// Log-likelihood with (n - p) / 2 · ln 2π.
    pub log_likelihood_full: f64,
    /// Heritabilities.
    pub h2: Ratios,
    /// Shares of the mean variance.
    pub shares: Ratios,
    /// Mean diagonals of the kernels within the fixed effects' complement.
    pub projected: Vec<f64>,
    /// Factorisations of the covariance.
    pub evaluations: u32,
}

/// Fits the model to every trait. Problems of the whole study are errors; those of one trait are its [`Outcome`].
pub fn fit(run: &Run, study: &Study, options: FitOptions) -> Result<Fit> {
    if options.method == Method::Pcgc {
        check_prevalence(options.prev)?;
    }
    let warnings = study.check(run, &options)?;
    let n = study.individuals.len();
    let whole = Model::new(&options, &study.environments, &study.environment_names);
    let mut out = Fit {
        options,
        variances: whole.names.clone(),
        coefficients: std::iter::once("intercept".to_owned()).chain(study.covariate_names.iter().cloned()).collect(),
        environments: study.environment_names.clone(),
        partition: whole.partition,
        traits: Vec::new(),
        provenance: provenance(study, &options),
    };
    out.provenance.warnings.extend(warnings);
    if options.method == Method::Reml {
        reserve(run, &options, n, n)?;
        if !study.kinship.is_positive_semidefinite(run)? {
            let message = "K is not positive semidefinite: it is no covariance of breeding values, and genetic variances \
                           may have no meaning";
            run.warn(message);
            out.provenance.warnings.push(message.to_owned());
        }
    }
    let mut fits: Vec<Option<TraitFit>> = vec![None; study.traits.len()];
    let task = run.task("fitting", study.traits.len() as u64);
    for (rows, traits) in study.patterns() {
        if rows.len() < n {
            let message = left_out(study, &rows, &traits);
            run.warn(&message);
            out.provenance.warnings.push(message);
        }
        let blank = |t: usize, outcome| empty(&study.traits[t], outcome, rows.len(), &whole, out.coefficients.len());
        if rows.len() <= out.coefficients.len() + whole.len() {
            traits.iter().for_each(|&t| fits[t] = Some(blank(t, Outcome::TooFew)));
            continue;
        }
        reserve(run, &options, rows.len(), n)?;
        match Group::new(run, study, &rows, options) {
            Ok(group) => {
                for t in traits {
                    let values: Vec<f64> = rows.iter().map(|&i| study.values[t * n + i]).collect();
                    fits[t] = Some(group.fit(&study.traits[t], &values)?);
                    task.advance(1);
                }
            }
            // What cannot be told apart among some people may be told apart among all.
            Err(fault) if fault.kind() == Kind::BadInput && rows.len() < n => {
                run.warn(&format!("{} traits are not fitted: {fault}", traits.len()));
                traits.iter().for_each(|&t| fits[t] = Some(blank(t, Outcome::NotIdentifiable)));
            }
            Err(fault) => return Err(fault),
        }
    }
    out.traits = fits.into_iter().flatten().collect();
    Ok(out)
}

fn check_prevalence(prev: Option<f64>) -> Result<()> {
    match prev {
        Some(prev) if prev > 0.0 && prev < 1.0 => Ok(()),
        Some(prev) => Err(Fault::bad_input(format!("expected a share between 0 and 1, found {prev}")).at("prev")),
        None => Err(Fault::missing("pcgc needs prev, the share of cases in the population").at("prev").hint(
            "give the prevalence; where cases were not sought out, that is the share of cases among these people",
        )),
    }
}

fn left_out(study: &Study, rows: &[usize], traits: &[usize]) -> String {
    let n = study.individuals.len();
    let without: Vec<&String> = {
        let kept: std::collections::HashSet<usize> = rows.iter().copied().collect();
        (0..n).filter(|i| !kept.contains(i)).map(|i| &study.individuals[i]).collect()
    };
    let names: Vec<&String> = traits.iter().map(|&t| &study.traits[t]).collect();
    let individuals =
        if without.len() == 1 { "1 individual has" } else { &format!("{} individuals have", without.len()) };
    format!(
        "{individuals} no value of y in {} and are left out of y, X, Z and K there: {}",
        listing(&names, 5),
        listing(&without, 10)
    )
}

fn reserve(run: &Run, options: &FitOptions, n: usize, all: usize) -> Result<()> {
    let square = 8 * (n as u64) * (n as u64);
    let copy = if n < all { square } else { 0 };
    let work = if options.method == Method::Reml { square } else { 0 };
    run.reserve("the matrix of work and the kinship of those with a value", copy + work)
}

fn provenance(study: &Study, options: &FitOptions) -> Provenance {
    let names = |names: &[String]| Value::list(names.iter().map(String::as_str));
    let mut out = Provenance::new("gxemm.fit")
        .option("gtype", options.gtype.word())
        .option("etype", options.etype.word())
        .option("method", options.method.word())
        .option("variance", options.variance.word())
        .option("information", options.information.word())
        .option("use_diag", options.use_diag)
        .option("weighted", options.weighted)
        .option("last_noise", options.last_noise)
        .option("covariates", names(&study.covariate_names))
        .option("environments", names(&study.environment_names));
    if let Some(prev) = options.prev {
        out = out.option("prev", prev);
    }
    out
}

fn empty(name: &str, outcome: Outcome, n: usize, model: &Model, p: usize) -> TraitFit {
    let nan = |rows: usize, columns: usize| Matrix::from_rows(rows, columns, vec![f64::NAN; rows * columns]);
    let k = model.len();
    TraitFit {
        name: name.to_owned(),
        outcome,
        n,
        scale: f64::NAN,
        theta: vec![f64::NAN; k],
        theta_covariance: nan(k, k),
        free_covariance: nan(k, k),
        beta: vec![f64::NAN; p],
        beta_covariance: nan(p, p),
        log_likelihood: f64::NAN,
        log_likelihood_full: f64::NAN,
        h2: Ratios::default(),
        shares: Ratios::default(),
        projected: vec![f64::NAN; k],
        evaluations: 0,
    }
}

/// What the traits of the same people share.
struct Group<'a> {
    run: &'a Run,
    options: FitOptions,
    environments: &'a [String],
    ground: Ground<'a>,
    model: Model,
    moments: Moments,
    /// Mean diagonals of the kernels.
    means: Vec<f64>,
    /// The same after the fixed effects were projected out.
    projected: Vec<f64>,
}

impl<'a> Group<'a> {
    fn new(run: &'a Run, study: &'a Study, rows: &[usize], options: FitOptions) -> Result<Self> {
        let ground = Ground::new(study, rows)?;
        let model = Model::new(&options, &ground.z, &study.environment_names);
        let means = model.mean_diagonals(&ground.kinship.diagonal(), &ground.z);
        let plain = Moments::new(run, &ground, &kernels(&model, model.len()), None)?;
        if let Some(k) = plain.dependent().filter(|_| options.method != Method::Pcgc) {
            return Err(not_identifiable(&model.names, k));
        }
        let projected = plain.mean_diagonals();
        Ok(Self {
            run,
            options,
            environments: &study.environment_names,
            ground,
            model,
            moments: plain,
            means,
            projected,
        })
    }

    fn fit(&self, name: &str, values: &[f64]) -> Result<TraitFit> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / (n - 1.0);
        let none = |outcome| empty(name, outcome, values.len(), &self.model, self.ground.p());
        if !(variance > 0.0) {
            return Ok(none(if self.options.method == Method::Pcgc { Outcome::OneClass } else { Outcome::Constant }));
        }
        if self.options.method == Method::Pcgc {
            return self.pcgc(name, values);
        }
        let y: Vec<f64> = values.iter().map(|y| (y - mean) / variance.sqrt()).collect();
        let residual = self.ground.residual(&y);
        let left = dot(&residual, &residual) / (n - 1.0);
        if left < NOTHING {
            return Ok(none(Outcome::Constant));
        }
        let mut out = none(Outcome::Ok);
        out.scale = variance;
        out.projected.clone_from(&self.projected);
        let unit: Vec<f64> = residual.iter().map(|r| r / left.sqrt()).collect();
        let w = if self.options.use_diag { 0.25 } else { 0.0 };
        let of = kernels(&self.model, self.model.len());
        let w = if self.options.method == Method::He { w } else { 0.25 };
        let moments = self.moments.estimate(self.run, &self.ground, &of, &unit, None, w)?;
        if self.options.method == Method::He {
            let Some(moments) = moments else { return Ok(none(Outcome::NotIdentifiable)) };
            out.scale = variance * left;
            out.beta = self.least_squares(&y);
            self.answer(&mut out, moments.theta, moments.covariance);
            return Ok(out);
        }
        let start = moments.map(|m| self.model.fitted(&m.theta.iter().map(|t| t * left).collect::<Vec<f64>>()));
        self.reml(out, y, start.as_deref(), left)
    }

    fn reml(&self, mut out: TraitFit, y: Vec<f64>, start: Option<&[f64]>, left: f64) -> Result<TraitFit> {
        let mut likelihood = Likelihood::new(self.run, &self.ground, &self.model, y);
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
                likelihood.slopes(&value)?;
                information = likelihood.expected_information(&value)?;
            }
        }
        out.evaluations = likelihood.evaluations;
        (out.beta, out.beta_covariance) = likelihood.fixed_effects(&found.value)?;
        let n = self.ground.n() as f64;
        out.log_likelihood = found.value.l;
        out.log_likelihood_full =
            found.value.l - 0.5 * (n - self.ground.p() as f64) * (2.0 * std::f64::consts::PI).ln();
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

    /// Fixed effects by ordinary least squares.
    fn least_squares(&self, y: &[f64]) -> Vec<f64> {
        let p = self.ground.p();
        let mut b = super::ground::transposed_product(&self.ground.q, y);
        for i in (0..p).rev() {
            let rest: f64 = (i + 1..p).map(|j| self.ground.r[(i, j)] * b[j]).sum();
            b[i] = (b[i] - rest) / self.ground.r[(i, i)];
        }
        b
    }

    fn pcgc(&self, name: &str, values: &[f64]) -> Result<TraitFit> {
        let mut out = empty(name, Outcome::OneClass, values.len(), &self.model, self.ground.p());
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        if let Some(other) = values.iter().find(|y| **y != low && **y != high) {
            return Err(Fault::bad_input(format!(
                "trait `{name}` has the values {low}, {other} and {high}: pcgc needs cases and controls, two values"
            ))
            .at("y"));
        }
        let cases: Vec<f64> = values.iter().map(|y| f64::from(u8::from(*y == high))).collect();
        let prev = self.options.prev.unwrap_or(f64::NAN);
        let Some(liability) = liability(&self.ground, &cases, prev) else { return Ok(out) };
        let k = self.model.len();
        let of = kernels(&self.model, k - 1);
        let square: Vec<f64> = liability.slope.iter().map(|q| q * q).collect();
        let weights = self.options.weighted.then_some(square.as_slice());
        let mut moments = Moments::new(self.run, &self.ground, &of, weights)?;
        let means = moments.normalise();
        let found = moments.estimate(self.run, &self.ground, &of, &liability.response, weights, 0.0)?;
        let Some(found) = found else {
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

    /// Fills in what follows from the variances.
    fn answer(&self, out: &mut TraitFit, theta: Vec<f64>, theta_covariance: Matrix) {
        let forms = heritability(&self.options, &self.model, self.environments);
        let totals: Vec<f64> = forms.iter().map(|(_, _, bottom)| dot(bottom, &theta)).collect();
        let noises = forms.iter().map(|(_, top, bottom)| dot(bottom, &theta) - dot(top, &theta));
        let outside = totals.iter().any(|t| !(*t > 0.0)) || noises.into_iter().any(|t| !(t > 0.0));
        out.h2 = ratios(forms, &theta, &theta_covariance);
        out.shares = ratios(shares(&self.model, &self.means), &theta, &theta_covariance);
        out.outcome = if outside && self.options.method != Method::Reml { Outcome::Outside } else { Outcome::Ok };
        (out.theta, out.theta_covariance) = (theta, theta_covariance);
    }
}

/// The first `k` reported kernels of a model.
fn kernels(model: &Model, k: usize) -> Vec<Kernel<'_>> {
    let genetic = model.genetic.iter().map(|places| Kernel::Genetic(places));
    genetic.chain(model.reported_noise.iter().map(|d| Kernel::Noise(d))).take(k).collect()
}

fn not_identifiable(names: &[String], k: usize) -> Fault {
    Fault::bad_input(format!(
        "the variance `{}` is not identifiable: its kernel is a combination of those of {}, as K and Z are",
        names[k],
        listing(&names[..k], 10)
    ))
    .at("K")
    .hint("K must differ from the identity, and have kin across environments; or take a smaller model")
}

impl Fit {
    /// How many traits have each outcome, in the order of [`Outcome::ALL`], those without traits left out.
    pub fn outcome_counts(&self) -> Vec<(Outcome, usize)> {
        Outcome::ALL
            .into_iter()
            .map(|o| (o, self.traits.iter().filter(|t| t.outcome == o).count()))
            .filter(|&(_, n)| n > 0)
            .collect()
    }

    /// Variances and their covariance of a trait as the package GxEMM reports them.
    pub fn peer(&self, t: usize) -> (Vec<f64>, Matrix) {
        let of = &self.traits[t];
        if self.options.method == Method::Reml {
            peer(&of.theta, &of.theta_covariance, &of.projected)
        } else {
            (of.theta.clone(), of.theta_covariance.clone())
        }
    }

    /// Heritabilities of a trait as the package GxEMM reports them.
    pub fn peer_h2(&self, t: usize) -> Ratios {
        let of = &self.traits[t];
        if of.h2.forms.is_empty() {
            return Ratios::default();
        }
        let (theta, covariance) = self.peer(t);
        ratios(of.h2.forms.clone(), &theta, &covariance)
    }

    /// One row per trait: variances, heritabilities and shares with standard errors and p-values, tests, status.
    pub fn table(&self) -> Table {
        let names = self.traits.iter().map(|t| t.name.clone()).collect();
        let mut table = Table::new("gxemm").with(Column::text("trait", "name of the trait", names));
        table = table.with(Column::int(
            "n",
            "people",
            "people with a value",
            self.traits.iter().map(|t| t.n as i64).collect(),
        ));
        let se = |variance: f64| variance.max(0.0).sqrt();
        for (k, name) in self.variances.iter().enumerate() {
            let p = |t: &TraitFit| {
                let of = if name.starts_with("e[") && self.partition { ln_wald_two_sided } else { ln_wald };
                of(t.theta[k], t.theta_covariance[(k, k)])
            };
            let error = |t: &TraitFit| se(t.theta_covariance[(k, k)]);
            table = self.with(table, name, "trait²", "variance, of the scaled trait", |t| t.theta[k]);
            table = self.with(table, &format!("se[{name}]"), "trait²", "its standard error", error);
            table = self.with_p(table, name, "of the variance being zero (Wald)", p);
        }
        let labels: Vec<String> =
            self.traits.iter().map(|t| &t.h2.names).max_by_key(|n| n.len()).cloned().unwrap_or_default();
        for (k, name) in labels.iter().enumerate() {
            let one = |t: &TraitFit| if k < t.h2.values.len() { t.h2.one(k) } else { (f64::NAN, f64::NAN) };
            table = self.with(table, name, "share", "heritability", |t| one(t).0);
            table = self.with(table, &format!("se[{name}]"), "share", "its standard error", |t| se(one(t).1));
            table = self.with_p(table, name, "of no heritability (Wald)", |t| ln_wald(one(t).0, one(t).1));
        }
        table = self.with_joint(table);
        for (k, name) in self.variances.iter().enumerate() {
            let one = |t: &TraitFit| t.shares.values.get(k).copied().unwrap_or(f64::NAN);
            table = self.with(table, &format!("share[{name}]"), "share", "share of the mean variance of people", one);
            let error = |t: &TraitFit| if t.shares.values.is_empty() { f64::NAN } else { se(t.shares.one(k).1) };
            table = self.with(table, &format!("se[share[{name}]]"), "share", "its standard error", error);
        }
        for (k, name) in self.coefficients.iter().enumerate() {
            table =
                self.with(table, &format!("beta[{name}]"), "trait", "fixed effect, on the scaled trait", |t| t.beta[k]);
        }
        table =
            self.with(table, "log_likelihood", "", "restricted log-likelihood without constants", |t| t.log_likelihood);
        table = self.with(table, "scale", "trait²", "the variance of the trait that stands for 1", |t| t.scale);
        let words = self.traits.iter().map(|t| t.outcome.status().word.to_owned()).collect();
        let reasons = self.traits.iter().map(|t| t.outcome.status().sentence.to_owned()).collect();
        table.with(Column::text("status", "what became of the trait", words)).with(Column::text(
            "reason",
            "the status in words",
            reasons,
        ))
    }

    fn with(&self, table: Table, name: &str, unit: &str, meaning: &str, of: impl Fn(&TraitFit) -> f64) -> Table {
        table.with(Column::float(name, unit, meaning, self.traits.iter().map(of).collect()))
    }

    fn with_p(&self, table: Table, name: &str, what: &str, ln_p: impl Fn(&TraitFit) -> f64) -> Table {
        let ln_p: Vec<f64> = self.traits.iter().map(ln_p).collect();
        let p = ln_p.iter().map(|x| x.exp()).collect();
        let log10 = ln_p.iter().map(|x| x / std::f64::consts::LN_10).collect();
        table.with(Column::float(&format!("p[{name}]"), "", &format!("p-value {what}"), p)).with(Column::float(
            &format!("log10_p[{name}]"),
            "",
            &format!("log10 of p[{name}]"),
            log10,
        ))
    }

    /// Tests of several variances or heritabilities at once.
    fn with_joint(&self, mut table: Table) -> Table {
        let specific: Vec<usize> = (0..self.variances.len()).filter(|&k| self.variances[k].starts_with("g[")).collect();
        if !specific.is_empty() {
            table = self
                .with_p(table, "het", "of no variance specific to environments (joint Wald)", |t| t.joint(&specific));
        }
        if specific.len() > 1 || (self.options.etype == Noise::Free && self.environments.len() > 1) {
            table = self.with_p(table, "h2 equal", "of the same heritability in all environments (joint Wald)", |t| {
                ln_equal(&t.h2.values, &t.h2.covariance)
            });
        }
        if self.options.gtype == Genetic::Free && self.options.etype == Noise::Free {
            let any: Vec<usize> = (1..self.variances.len() - 1).collect();
            table = self
                .with_p(table, "any", "of no dependence of variances on environments (joint Wald)", |t| t.joint(&any));
        }
        table
    }
}

impl TraitFit {
    /// ln p of all of these variances being zero.
    pub fn joint(&self, places: &[usize]) -> f64 {
        let k = places.len();
        let mut covariance = Matrix::zeros(k, k);
        for (a, &i) in places.iter().enumerate() {
            for (b, &j) in places.iter().enumerate() {
                covariance[(a, b)] = self.theta_covariance[(i, j)];
            }
        }
        let estimates: Vec<f64> = places.iter().map(|&i| self.theta[i]).collect();
        ln_joint_wald(&estimates, &covariance)
    }
}
