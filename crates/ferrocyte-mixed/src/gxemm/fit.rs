//! All traits at once.

use ferrocyte_base::{Fault, Kind, Provenance, Result, Run, Value, listing};
use ferrocyte_math::linalg::Matrix;

use super::answers::Ratios;
use super::data::Study;
use super::genotypes::Markers;
use super::ground::Ground;
use super::group::{Group, answer, least_squares, not_identifiable, ready};
use super::model::Model;
use super::options::{FitOptions, Method, Standardize};
use super::randomised::{self, probes};
use super::status::Outcome;
use super::sweep::Source;

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
    /// Log-likelihood without genetic variance, without constants: where `gtype` and `etype` are `hom`, after `reml`.
    pub log_likelihood_null: f64,
    /// Heritabilities.
    pub h2: Ratios,
    /// Shares of the mean variance.
    pub shares: Ratios,
    /// Mean diagonals of the kernels within the fixed effects' complement.
    pub projected: Vec<f64>,
    /// Factorisations of the covariance.
    pub evaluations: u32,
    /// How REML came to the covariance: `dense`, `families`, `low_rank`, `eigen`, or several joined by `+`.
    pub route: String,
    /// What random vectors add to the error of the variances (`rhe`): a covariance.
    pub monte_carlo: Matrix,
}

/// Fits the model to every trait, from the kinship of the study. Problems of the whole study are errors; those of one trait
/// are its [`Outcome`].
pub fn fit(run: &Run, study: &Study, options: FitOptions) -> Result<Fit> {
    if options.method == Method::Pcgc {
        check_prevalence(options.prev)?;
        study.check_cases()?;
    }
    if options.method == Method::Rhe {
        return Err(Fault::bad_input("rhe reads genotypes, not a kinship")
            .at("method")
            .hint("give PLINK genotypes; or method = he, which is the same with exact traces"));
    }
    let Some(kinship) = &study.kinship else {
        return Err(Fault::missing("a model needs the kinship of its individuals").at("K"));
    };
    let n = study.individuals.len();
    let mut semidefinite = None;
    let mut out = each_pattern(run, study, options, |rows, traits, done| {
        reserve(run, &options, rows.len(), n)?;
        let ground = Ground::new(study, rows)?;
        let group = Group::new(run, study, &ground, options, traits.len())?;
        if rows.len() == n {
            semidefinite = group.plan.as_ref().map(|plan| plan.is_semidefinite(run)).transpose()?;
        }
        group.fit(traits, done)
    })?;
    if options.method == Method::Reml {
        let semidefinite = match semidefinite {
            Some(known) => known,
            None => {
                reserve(run, &options, n, n)?;
                kinship.is_positive_semidefinite(run)?
            }
        };
        if !semidefinite {
            let message = "K is not positive semidefinite: it is no covariance of breeding values, and genetic variances \
                           may have no meaning";
            run.warn(message);
            out.provenance.warnings.push(message.to_owned());
        }
    }
    Ok(out)
}

/// Genotypes from which [`fit_genotypes`] makes what it needs of the kinship.
pub struct Genotypes<'a> {
    /// The markers.
    pub markers: &'a mut dyn Markers,
    /// Which of them count.
    pub chosen: &'a dyn Fn(usize) -> bool,
    /// How they are scaled.
    pub standardize: Standardize,
    /// Where each individual of the study stands among those of the markers.
    pub people: Vec<usize>,
}

/// Fits the model to every trait by randomised moments (`rhe`), from genotypes that are read twice and never held. The study
/// needs no kinship. Errors and outcomes are those of [`fit`].
pub fn fit_genotypes(run: &Run, study: &Study, genotypes: &mut Genotypes, options: FitOptions) -> Result<Fit> {
    if options.method != Method::Rhe {
        return Err(Fault::bad_input(format!("{} needs a kinship, only rhe reads genotypes", options.method.word()))
            .at("method"));
    }
    let least = [("probes", options.probes), ("blocks", options.blocks)];
    if let Some((name, found)) = least.into_iter().find(|(_, count)| *count < 2) {
        return Err(Fault::bad_input(format!("expected 2 or more, found {found}")).at(name));
    }
    let signs = probes(options.seed, study.individuals.len(), options.probes);
    let mut used = 0;
    let mut out = each_pattern(run, study, options, |rows, traits, done| {
        let ground = Ground::new(study, rows)?;
        let model = Model::new(&options, &ground.z, &study.environment_names);
        let people: Vec<usize> = rows.iter().map(|&i| genotypes.people[i]).collect();
        let ready: Vec<_> = traits.iter().map(|(name, values)| ready(&ground, &model, name, values)).collect();
        let units: Vec<&[f64]> = ready.iter().filter(|r| r.left > 0.0).map(|r| r.unit.as_slice()).collect();
        let mut source = Source {
            markers: &mut *genotypes.markers,
            chosen: genotypes.chosen,
            standardize: genotypes.standardize,
            people: &people,
        };
        let own =
            Matrix::from_rows(rows.len(), options.probes, rows.iter().flat_map(|&i| signs.row(i)).copied().collect());
        let w = if options.use_diag { 0.25 } else { 0.0 };
        let found = randomised::estimate(run, &ground, &model, &mut source, &units, &own, options.blocks, w)?;
        used = used.max(found.used);
        let estimates = found.estimates.map_err(|k| not_identifiable(&model.names, k))?;
        let mut estimates = estimates.into_iter();
        let one = |ready: super::group::Ready| {
            done();
            let mut out = ready.out;
            if !(ready.left > 0.0) {
                return out;
            }
            let Some(estimate) = estimates.next() else { return out };
            out.projected.clone_from(&found.projected);
            out.scale *= ready.left;
            out.beta = least_squares(&ground, &ready.y);
            out.monte_carlo = estimate.monte_carlo;
            let (theta, covariance) = (estimate.theta, estimate.covariance);
            answer(&mut out, &options, &model, &study.environment_names, &found.means, theta, covariance);
            out
        };
        Ok(ready.into_iter().map(one).collect())
    })?;
    out.provenance = out.provenance.option("markers", used);
    Ok(out)
}

/// Fits traits of the same people together: `of` has these people, the names and values of the traits, and says when each is
/// done.
fn each_pattern(
    run: &Run,
    study: &Study,
    options: FitOptions,
    mut of: impl FnMut(&[usize], &[(&str, Vec<f64>)], &(dyn Fn() + Sync)) -> Result<Vec<TraitFit>>,
) -> Result<Fit> {
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
    let mut fits: Vec<Option<TraitFit>> = vec![None; study.traits.len()];
    let task = run.task("fitting", study.traits.len() as u64);
    for (rows, traits) in study.patterns() {
        if rows.len() < n {
            let message = left_out(study, &rows, &traits);
            run.warn(&message);
            out.provenance.warnings.push(message);
        }
        let p = out.coefficients.len();
        let blank = |t: usize, outcome| TraitFit::empty(&study.traits[t], outcome, rows.len(), &whole, p);
        if rows.len() <= p + whole.len() {
            traits.iter().for_each(|&t| fits[t] = Some(blank(t, Outcome::TooFew)));
            continue;
        }
        let values = |&t: &usize| {
            let of = &study.values[t * n..(t + 1) * n];
            (study.traits[t].as_str(), rows.iter().map(|&i| of[i]).collect())
        };
        let named: Vec<(&str, Vec<f64>)> = traits.iter().map(values).collect();
        match of(&rows, &named, &|| task.advance(1)) {
            Ok(found) => traits.iter().zip(found).for_each(|(&t, found)| fits[t] = Some(found)),
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
        .option("errors", options.errors.word())
        .option("route", options.route.word())
        .option("probes", options.probes)
        .option("blocks", options.blocks)
        .option("seed", options.seed as usize)
        .option("covariates", names(&study.covariate_names))
        .option("environments", names(&study.environment_names));
    if let Some(prev) = options.prev {
        out = out.option("prev", prev);
    }
    out
}

impl TraitFit {
    /// What is known before anything is fitted.
    pub(super) fn empty(name: &str, outcome: Outcome, n: usize, model: &Model, p: usize) -> Self {
        let nan = |rows: usize, columns: usize| Matrix::from_rows(rows, columns, vec![f64::NAN; rows * columns]);
        let k = model.len();
        Self {
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
            log_likelihood_null: f64::NAN,
            h2: Ratios::default(),
            shares: Ratios::default(),
            projected: vec![f64::NAN; k],
            evaluations: 0,
            route: String::new(),
            monte_carlo: nan(k, k),
        }
    }
}
