//! One gene: from its values to estimates, their covariances and tests.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::scaled_inverse;

use super::complete::Complete;
use super::data::Study;
use super::design::Design;
use super::gls::weighted;
use super::likelihood::Likelihood;
use super::moments::Moments;
use super::optimum::{Optimum, Search};
use super::options::{FitOptions, Jackknife, MeanTest, Method, Model, Variance};
use super::shares::{ShareRule, Shares};
use super::status::Outcome;
use super::wald::{jackknife_covariance, ln_equal_means, ln_f, ln_upper_t};

/// What is left of the values after the fixed effects, relative to the values, below which a gene counts as constant.
const CONSTANT: f64 = 1e-12;

/// Genes with the same pairs observed: what they share.
pub(super) struct Group<'a> {
    /// Individuals in use, as rows of the study.
    pub(super) rows: Vec<usize>,
    /// The design.
    pub(super) design: &'a Design,
    /// How to fit.
    pub(super) options: FitOptions,
    moments: Moments<'a>,
    complete: Option<Complete>,
    left_out: Vec<Moments<'a>>,
    shares: ShareRule,
    ln_x: f64,
}

/// The result of one gene; everything is in the units of the values.
#[derive(Debug, Clone)]
pub(super) struct GeneFit {
    pub(super) outcome: Outcome,
    pub(super) theta: Vec<f64>,
    pub(super) theta_covariance: Vec<f64>,
    pub(super) beta: Vec<f64>,
    pub(super) beta_covariance: Vec<f64>,
    pub(super) log_likelihood: f64,
    pub(super) log_likelihood_full: f64,
    pub(super) evaluations: u32,
    pub(super) bad_refits: u32,
    pub(super) ln_p_hom2: f64,
    pub(super) ln_p_v: f64,
    pub(super) ln_p_mean: f64,
    pub(super) ln_p_types: Vec<f64>,
    pub(super) shares: Shares,
}

impl<'a> Group<'a> {
    /// Prepares what genes share; fails where the model cannot be told from these individuals.
    pub(super) fn new(study: &Study, design: &'a Design, rows: Vec<usize>, options: FitOptions) -> Result<Self> {
        let moments = Moments::new(design, options.model, None)?;
        let complete = Complete::new(design)?;
        let he = options.method == Method::He && options.jackknife != Jackknife::None;
        let left_out = if he && complete.is_none() {
            (0..design.n).map(|i| Moments::new(design, options.model, Some(i))).collect::<Result<_>>()?
        } else {
            Vec::new()
        };
        let random = design.random.iter().map(|r| r.mean_square).collect();
        let shares = ShareRule::new(study, options.model, &rows, random);
        let mut x = design.fixed_cross_product(None);
        ferrocyte_math::linalg::cholesky_in_place(&mut x)
            .map_err(|_| Fault::internal("a design of full rank has a singular cross product"))?;
        let ln_x = 2.0 * x.diagonal().iter().map(|d| d.ln()).sum::<f64>();
        Ok(Self { rows, design, options, moments, complete, left_out, shares, ln_x })
    }

    /// The values of a gene and their noise, in the order of the observations.
    fn gather(&self, study: &Study, gene: usize) -> (Vec<f64>, Vec<f64>) {
        let (values, noise) = study.gene(gene);
        let width = study.width();
        let mut out = (Vec::with_capacity(self.design.n_observations()), Vec::new());
        for (i, &row) in self.rows.iter().enumerate() {
            for at in self.design.rows(i) {
                let place = row * width + if self.design.op { 0 } else { self.design.types[at] };
                out.0.push(values[place]);
                out.1.push(noise[place]);
            }
        }
        out
    }

    /// Fits one gene.
    pub(super) fn fit(&self, study: &Study, gene: usize) -> Result<GeneFit> {
        let design = self.design;
        let (mut y, mut noise) = self.gather(study, gene);
        let (_, r) = design.least_squares(self.moments.x_inverse(), &y, None);
        let square = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>();
        let left = square(&r);
        if !(left > CONSTANT * CONSTANT * square(&y)) {
            return Ok(self.constant(&y));
        }
        if self.options.model == Model::Hom && !design.op && self.options.method != Method::He {
            let silent = |i: usize| noise[design.rows(i)].iter().filter(|&&d| d == 0.0).count() > 1;
            if (0..design.n).any(silent) {
                return Ok(empty(design, Outcome::HomSingular));
            }
        }
        // A power of two brings the residuals to unit variance without changing a digit, so that results have no scale.
        let scale = 2.0_f64.powi((0.5 * (left / y.len() as f64).log2()).round() as i32);
        y.iter_mut().for_each(|v| *v /= scale);
        noise.iter_mut().for_each(|v| *v /= scale * scale);
        let mut fit = match self.options.method {
            Method::He => self.by_moments(&y, &noise),
            Method::Reml | Method::Ml => self.by_likelihood(&y, &noise)?,
        };
        self.unscale(&mut fit, scale);
        fit.shares = self.shares.of(&fit.theta, &fit.beta);
        if !(design.df() > 0.0) && fit.outcome == Outcome::Ok {
            fit.outcome = Outcome::NoDf;
        }
        Ok(fit)
    }

    fn constant(&self, y: &[f64]) -> GeneFit {
        let mut fit = empty(self.design, Outcome::Constant);
        fit.theta.fill(0.0);
        fit.beta = self.design.least_squares(self.moments.x_inverse(), y, None).0;
        fit.shares = self.shares.of(&fit.theta, &fit.beta);
        fit
    }

    fn unscale(&self, fit: &mut GeneFit, scale: f64) {
        let s2 = scale * scale;
        fit.theta.iter_mut().for_each(|x| *x *= s2);
        fit.theta_covariance.iter_mut().for_each(|x| *x *= s2 * s2);
        fit.beta.iter_mut().for_each(|x| *x *= scale);
        fit.beta_covariance.iter_mut().for_each(|x| *x *= s2);
        let n = self.design.n_observations() as f64;
        let p = self.design.n_fixed as f64;
        let restricted = self.options.method == Method::Reml;
        let free = if restricted { n - p } else { n };
        fit.log_likelihood -= 0.5 * free * s2.ln();
        let constants = free * (2.0 * std::f64::consts::PI).ln() - if restricted { self.ln_x } else { 0.0 };
        fit.log_likelihood_full = fit.log_likelihood - 0.5 * constants;
    }

    /// Variances by moments, and where wanted those without each individual.
    fn moment_estimates(&self, y: &[f64], noise: &[f64], jackknife: bool) -> (Vec<f64>, Vec<f64>) {
        if let Some(complete) = &self.complete {
            return complete.estimate(y, noise, jackknife);
        }
        let (theta, _) = self.moments.estimate(y, noise);
        let left_out = if jackknife {
            self.left_out.iter().flat_map(|moments| moments.estimate(y, noise).0).collect()
        } else {
            Vec::new()
        };
        (theta, left_out)
    }

    fn by_moments(&self, y: &[f64], noise: &[f64]) -> GeneFit {
        let design = self.design;
        let jackknife = self.options.jackknife != Jackknife::None;
        let (theta, left_out) = self.moment_estimates(y, noise, jackknife);
        let mut fit = empty(design, Outcome::Ok);
        let k = design.n_variances();
        if jackknife {
            fit.theta_covariance = jackknife_covariance(&left_out, k);
        }
        let (ols, r) = design.least_squares(self.moments.x_inverse(), y, None);
        let wants_ols =
            !design.op && self.options.model == Model::Free && self.options.mean_test != MeanTest::GlsJackknife;
        fit.beta.clone_from(&ols);
        let is_plain = wants_ols && is_definite(design, noise, &theta);
        if !is_plain {
            let gls = weighted(design, y, noise, &theta, None);
            if gls.as_ref().map_or(true, |w| w.singular) {
                fit.outcome = Outcome::Singular;
            }
            if let Some(gls) = gls.ok().filter(|_| !wants_ols) {
                fit.beta = gls.beta;
            }
        }
        fit.beta_covariance = self.mean_covariance(y, noise, &r, &left_out);
        fit.theta = theta;
        // The classical test is about the means of ordinary least squares, whatever is reported.
        let means = if self.options.mean_test == MeanTest::GlsJackknife { fit.beta.clone() } else { ols };
        self.test(&mut fit, &means);
        fit
    }

    /// The covariance of the fixed effects after moments, by the test that was asked for.
    fn mean_covariance(&self, y: &[f64], noise: &[f64], r: &[f64], left_out: &[f64]) -> Vec<f64> {
        let design = self.design;
        let (p, k) = (design.n_fixed, design.n_variances());
        let mut refits = Vec::with_capacity(design.n * p);
        match self.options.mean_test {
            MeanTest::Ols => {
                let rss: f64 = r.iter().map(|x| x * x).sum();
                let s2 = rss / (y.len() as f64 - p as f64);
                return self.moments.x_inverse().entries().iter().map(|x| s2 * x).collect();
            }
            MeanTest::OlsJackknife => {
                for i in 0..design.n {
                    let Ok(inverse) = scaled_inverse(&design.fixed_cross_product(Some(i)), 1e-12) else {
                        return vec![f64::NAN; p * p];
                    };
                    refits.extend(design.least_squares(&inverse, y, Some(i)).0);
                }
            }
            MeanTest::GlsJackknife => {
                if left_out.is_empty() {
                    return vec![f64::NAN; p * p];
                }
                for (i, theta) in left_out.chunks_exact(k).enumerate() {
                    match weighted(design, y, noise, theta, Some(i)) {
                        Ok(w) => refits.extend(w.beta),
                        Err(_) => return vec![f64::NAN; p * p],
                    }
                }
            }
        }
        jackknife_covariance(&refits, p)
    }

    fn by_likelihood(&self, y: &[f64], noise: &[f64]) -> Result<GeneFit> {
        let design = self.design;
        let (start, _) = self.moment_estimates(y, noise, false);
        let (ols, r) = design.least_squares(self.moments.x_inverse(), y, None);
        let restricted = self.options.method == Method::Reml;
        let mut likelihood = Likelihood::new(design, self.options.model, restricted, &r, noise);
        let found = {
            let mut search = self.search(&mut likelihood);
            match self.options.variance {
                Variance::Unconstrained => search.unconstrained(&start)?,
                Variance::Nonnegative => search.nonnegative(&start)?,
            }
        };
        let Some(found) = found else {
            let silent = noise.contains(&0.0);
            return Ok(empty(design, if silent { Outcome::Unbounded } else { Outcome::NoLikelihood }));
        };
        let mut fit = empty(design, outcome(&found, noise));
        fit.evaluations = found.evaluations;
        fit.log_likelihood = -found.solved.value;
        fit.beta = found.solved.beta.iter().zip(&ols).map(|(b, o)| b + o).collect();
        if self.options.jackknife == Jackknife::None {
            fit.beta_covariance = found.solved.beta_covariance.entries().to_vec();
            if let Ok(covariance) = scaled_inverse(&found.expected, 1e-14) {
                fit.theta_covariance = covariance.into_entries();
            }
        } else {
            self.refits(&mut likelihood, &found, &mut fit)?;
        }
        fit.theta = found.theta;
        let means = fit.beta.clone();
        self.test(&mut fit, &means);
        Ok(fit)
    }

    fn search<'s>(&self, likelihood: &'s mut Likelihood<'a>) -> Search<'s, 'a> {
        Search {
            likelihood,
            model: self.options.model,
            c: self.design.c,
            n_random: self.design.random.len(),
            evaluations: 0,
        }
    }

    /// The fits without each individual, from the fit of all.
    fn refits(&self, likelihood: &mut Likelihood<'a>, found: &Optimum, fit: &mut GeneFit) -> Result<()> {
        let design = self.design;
        let (k, p) = (design.n_variances(), design.n_fixed);
        let (mut thetas, mut betas) = (Vec::with_capacity(design.n * k), Vec::with_capacity(design.n * p));
        for i in 0..design.n {
            likelihood.leave_out(Some(i));
            let mut search = self.search(likelihood);
            let refit = match (self.options.jackknife, self.options.variance) {
                (Jackknife::OneStep, _) => {
                    let stepped = search.one_step(&found.theta);
                    let refit = match &stepped {
                        Some(theta) => search.stay(theta),
                        None => None,
                    };
                    fit.bad_refits += u32::from(refit.is_none());
                    refit.or_else(|| search.stay(&found.theta))
                }
                (_, Variance::Unconstrained) => {
                    let refit = search.unconstrained(&found.theta)?;
                    fit.bad_refits += u32::from(refit.as_ref().is_none_or(|r| !r.interior));
                    refit
                }
                (_, Variance::Nonnegative) => search.nonnegative(&found.theta)?,
            };
            fit.evaluations += search.evaluations;
            match refit {
                Some(refit) => {
                    thetas.extend(refit.theta);
                    betas.extend(refit.solved.beta);
                }
                None => {
                    thetas.extend(vec![f64::NAN; k]);
                    betas.extend(vec![f64::NAN; p]);
                }
            }
        }
        likelihood.leave_out(None);
        if fit.bad_refits > 0 && fit.outcome == Outcome::Ok {
            fit.outcome = Outcome::BoundaryRefits;
        }
        fit.theta_covariance = jackknife_covariance(&thetas, k);
        fit.beta_covariance = jackknife_covariance(&betas, p);
        Ok(())
    }

    /// Fills in the p-values; `means` starts with those of the cell types.
    fn test(&self, fit: &mut GeneFit, means: &[f64]) {
        let design = self.design;
        let (c, k, p, df) = (design.c, design.n_variances(), design.n_fixed, design.df());
        let variance = |j: usize| fit.theta_covariance[j * k + j];
        let upper = |j: usize| ln_upper_t(fit.theta[j], variance(j), df);
        match self.options.model {
            Model::Full => {}
            Model::Hom => fit.ln_p_hom2 = upper(0),
            Model::Iid => (fit.ln_p_hom2, fit.ln_p_v) = (upper(0), upper(1)),
            Model::Free => {
                let own: Vec<f64> =
                    (1..=c).flat_map(|a| fit.theta_covariance[a * k + 1..a * k + 1 + c].to_vec()).collect();
                (fit.ln_p_hom2, fit.ln_p_v) = (upper(0), ln_f(&fit.theta[1..=c], &own, df));
                fit.ln_p_types = (1..=c).map(upper).collect();
            }
        }
        let of_means: Vec<f64> = (0..c).flat_map(|a| fit.beta_covariance[a * p..a * p + c].to_vec()).collect();
        fit.ln_p_mean = ln_equal_means(&means[..c], &of_means, df);
    }
}

/// Whether the covariance of the model `free` is positive definite by a sufficient rule: every own variance is more than zero,
/// and 1 + hom2 Σ 1/d.
fn is_definite(design: &Design, noise: &[f64], theta: &[f64]) -> bool {
    design.random.is_empty()
        && (0..design.n).all(|i| {
            let rows = design.rows(i);
            let own = || rows.clone().map(|row| theta[1 + design.types[row]] + noise[row]);
            own().all(|d| d > 0.0) && 1.0 + theta[0] * own().map(|d| 1.0 / d).sum::<f64>() > 0.0
        })
}

fn outcome(found: &Optimum, noise: &[f64]) -> Outcome {
    if !found.converged && noise.contains(&0.0) {
        Outcome::Unbounded
    } else if !found.converged {
        Outcome::NotConverged
    } else if found.interior {
        Outcome::Ok
    } else {
        Outcome::Boundary
    }
}

/// A fit of which nothing is known yet.
pub(super) fn empty(design: &Design, outcome: Outcome) -> GeneFit {
    let (k, p, c) = (design.n_variances(), design.n_fixed, design.c);
    GeneFit {
        outcome,
        theta: vec![f64::NAN; k],
        theta_covariance: vec![f64::NAN; k * k],
        beta: vec![f64::NAN; p],
        beta_covariance: vec![f64::NAN; p * p],
        log_likelihood: f64::NAN,
        log_likelihood_full: f64::NAN,
        evaluations: 0,
        bad_refits: 0,
        ln_p_hom2: f64::NAN,
        ln_p_v: f64::NAN,
        ln_p_mean: f64::NAN,
        ln_p_types: vec![f64::NAN; c],
        shares: Shares::none(design),
    }
}

/// The coefficient names of a study: `beta[B]` of cell types, then the columns of fixed covariates.
pub(super) fn coefficient_names(study: &Study) -> Vec<String> {
    let own = study.cell_types.iter().map(|c| format!("mean[{c}]"));
    let fixed = study.fixed.iter().flat_map(|f| match f.values.n_cols() {
        1 => vec![f.name.clone()],
        n => (1..=n).map(|k| format!("{}[{k}]", f.name)).collect(),
    });
    own.chain(fixed).collect()
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::Matrix;
    use ferrocyte_math::random::Stream;

    use super::super::options::Level;
    use super::*;

    fn study(n: usize, missing: bool) -> Study {
        let mut stream = Stream::new(7, 0);
        let values: Vec<f64> = (0..n * 3).map(|at| stream.normal() + if at % 3 == 0 { 2.0 } else { 0.0 }).collect();
        let noise: Vec<f64> = (0..n * 3).map(|_| 0.05 + 0.2 * stream.uniform()).collect();
        let mut study = Study {
            genes: vec!["g".into()],
            individuals: (0..n).map(|i| format!("d{i}")).collect(),
            cell_types: ["B", "NK", "T"].map(str::to_owned).into(),
            level: Level::Ctp,
            values,
            noise,
            proportions: None,
            fixed: vec![super::super::Covariate {
                name: "age".into(),
                values: Matrix::from_rows(n, 1, (0..n).map(|_| stream.normal()).collect()),
            }],
            random: Vec::new(),
        };
        if missing {
            for at in [4, 9, 17] {
                study.values[at] = f64::NAN;
                study.noise[at] = f64::NAN;
            }
        }
        study
    }

    #[test]
    fn the_closed_form_is_the_definition() -> Result<()> {
        for model in [Model::Hom, Model::Iid, Model::Free, Model::Full] {
            let study = study(12, false);
            let rows: Vec<usize> = (0..12).collect();
            let design = Design::new(&study, model, &rows, &[true; 36])?;
            let Some(complete) = Complete::new(&design)? else { return Err(Fault::internal("not complete")) };
            let (theta, left_out) = complete.estimate(&study.values, &study.noise, true);
            let all = Moments::new(&design, model, None)?.estimate(&study.values, &study.noise).0;
            for (a, b) in theta.iter().zip(&all) {
                assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
            for i in [0, 5, 11] {
                let less = Moments::new(&design, model, Some(i))?.estimate(&study.values, &study.noise).0;
                for (a, b) in left_out[i * theta.len()..].iter().zip(&less) {
                    assert!((a - b).abs() < 1e-12, "{a} {b}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn both_roads_to_the_likelihood_agree() -> Result<()> {
        for (model, restricted) in [(Model::Hom, true), (Model::Free, true), (Model::Free, false), (Model::Iid, true)] {
            let study = study(21, true);
            let observed: Vec<bool> = study.values.iter().map(|y| !y.is_nan()).collect();
            let design = Design::new(&study, model, &(0..21).collect::<Vec<_>>(), &observed)?;
            let mut blocks_only = design.clone();
            blocks_only.lanes = None;
            let keep = |v: &[f64]| v.iter().copied().filter(|x| !x.is_nan()).collect::<Vec<_>>();
            let (y, noise) = (keep(&study.values), keep(&study.noise));
            let theta: Vec<f64> = (0..design.n_variances()).map(|k| 0.3 - 0.02 * k as f64).collect();
            for skip in [None, Some(3), Some(20)] {
                let mut short = Likelihood::new(&design, model, restricted, &y, &noise).without(skip);
                let mut long = Likelihood::new(&blocks_only, model, restricted, &y, &noise).without(skip);
                let (Some((a, da)), Some((b, db))) = (short.at(&theta), long.at(&theta)) else {
                    return Err(Fault::internal("no value"));
                };
                let near = |a: f64, b: f64| (a - b).abs() < 1e-10 * b.abs().max(1.0);
                assert!(near(a.value, b.value), "{} {}", a.value, b.value);
                assert!(a.beta.iter().zip(&b.beta).all(|(a, b)| near(*a, *b)));
                assert!(da.gradient.iter().zip(&db.gradient).all(|(a, b)| near(*a, *b)));
                for (one, other) in [(&da.expected, &db.expected), (&da.hessian, &db.hessian)] {
                    assert!(one.entries().iter().zip(other.entries()).all(|(a, b)| near(*a, *b)), "{model:?}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn derivatives_are_differences() -> Result<()> {
        for (model, restricted) in [(Model::Free, true), (Model::Full, true), (Model::Free, false), (Model::Iid, false)]
        {
            let mut study = study(14, true);
            let batch = (0..14).flat_map(|i| (0..3).map(move |b| f64::from(i % 3 == b))).collect();
            study.random =
                vec![super::super::Covariate { name: "batch".into(), values: Matrix::from_rows(14, 3, batch) }];
            let observed: Vec<bool> = study.values.iter().map(|y| !y.is_nan()).collect();
            let design = Design::new(&study, model, &(0..14).collect::<Vec<_>>(), &observed)?;
            let keep = |v: &[f64]| v.iter().copied().filter(|x| !x.is_nan()).collect::<Vec<_>>();
            let (y, noise) = (keep(&study.values), keep(&study.noise));
            let mut likelihood = Likelihood::new(&design, model, restricted, &y, &noise);
            let n = design.n_variances();
            let theta: Vec<f64> = (0..n)
                .map(|k| if k < n - 1 && model == Model::Full && k > 2 { 0.1 } else { 0.4 + 0.05 * k as f64 })
                .collect();
            let mut at = |theta: &[f64]| likelihood.at(theta).map(|(solved, slopes)| (solved.value, slopes));
            let Some((_, here)) = at(&theta) else { return Err(Fault::internal("no value")) };
            for k in 0..n {
                let mut moved = theta.clone();
                moved[k] += 1e-5;
                let Some(up) = at(&moved) else { return Err(Fault::internal("no value")) };
                moved[k] -= 2e-5;
                let Some(down) = at(&moved) else { return Err(Fault::internal("no value")) };
                assert!(((up.0 - down.0) / 2e-5 - here.gradient[k]).abs() < 1e-7, "gradient {k}");
                for j in 0..n {
                    let slope = (up.1.gradient[j] - down.1.gradient[j]) / 2e-5;
                    assert!(
                        (slope - here.hessian[(j, k)]).abs() < 1e-6,
                        "hessian {j} {k}: {slope} {}",
                        here.hessian[(j, k)]
                    );
                }
            }
        }
        Ok(())
    }
}
