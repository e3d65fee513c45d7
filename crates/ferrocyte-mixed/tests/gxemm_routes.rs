//! Every way to the likelihood of heritability by environment gives the numbers of the plain one.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::random::Stream;
use ferrocyte_mixed::gxemm::{Fit, FitOptions, Genetic, Information, Kinship, Noise, Outcome, Route, Study, fit};

/// A study of `n` people with the kinship of the rows of `factor` and traits that have it.
struct Made {
    factor: Matrix,
    environments: Matrix,
    covariates: usize,
    traits: usize,
}

impl Made {
    fn study(&self, seed: u64) -> Result<Study> {
        let (n, r) = (self.factor.n_rows(), self.factor.n_cols());
        let e = self.environments.n_cols();
        let mut stream = Stream::new(seed, 0);
        let mut values = Vec::new();
        for _ in 0..self.traits {
            let effects: Vec<f64> = (0..r * (e + 1)).map(|_| stream.normal()).collect();
            for i in 0..n {
                let of = |k: usize| (0..r).map(|j| self.factor[(i, j)] * effects[k * r + j]).sum::<f64>();
                let own: f64 = (0..e).map(|k| 0.5 * self.environments[(i, k)] * of(k + 1)).sum();
                values.push(0.7 * of(0) + own + stream.normal());
            }
        }
        let covariates = (0..n * self.covariates).map(|_| stream.normal()).collect();
        let individuals: Vec<String> = (0..n).map(|i| format!("i{i}")).collect();
        let kinship = self.factor.times(&self.factor.transpose()).into_entries();
        Ok(Study {
            kinship: Some(Kinship::new(n, kinship, &individuals)?),
            individuals,
            traits: (0..self.traits).map(|t| format!("t{t}")).collect(),
            values,
            covariate_names: (0..self.covariates).map(|k| format!("x{k}")).collect(),
            covariates: Matrix::from_rows(n, self.covariates, covariates),
            environment_names: (0..e).map(|k| format!("E{k}")).collect(),
            environments: self.environments.clone(),
        })
    }
}

/// Scaled genotypes of `m` markers.
fn markers(n: usize, m: usize) -> Matrix {
    let mut stream = Stream::new(17, 1);
    let scale = 1.0 / (m as f64).sqrt();
    Matrix::from_rows(n, m, (0..n * m).map(|_| scale * stream.normal()).collect())
}

/// Families of up to `size` who share a value, and values of their own.
fn families(n: usize, size: usize) -> Matrix {
    let count = n.div_ceil(size);
    let mut out = Matrix::zeros(n, count + n);
    for i in 0..n {
        out[(i, i / size)] = if i % 7 == 0 { 0.5 } else { 0.8 };
        out[(i, count + i)] = 0.6;
    }
    out
}

/// One environment of `e` for everybody.
fn partition(n: usize, e: usize, of: impl Fn(usize) -> usize) -> Matrix {
    let mut out = Matrix::zeros(n, e);
    (0..n).for_each(|i| out[(i, of(i) % e)] = 1.0);
    out
}

fn fitted(study: &Study, options: FitOptions, route: Route) -> Result<Fit> {
    fit(&Run::new().threads(2), study, FitOptions { route, ..options })
}

/// Fits both ways, and wants the same numbers and the way with that word.
fn compare(made: &Made, options: FitOptions, word: &str) -> Result<()> {
    for covariates in [0, 2] {
        let study = Made { covariates, factor: made.factor.clone(), environments: made.environments.clone(), ..*made }
            .study(3)?;
        let (ours, plain) = (fitted(&study, options, Route::Auto)?, fitted(&study, options, Route::Dense)?);
        for (a, b) in ours.traits.iter().zip(&plain.traits) {
            assert_eq!((a.route.as_str(), b.route.as_str()), (word, "dense"));
            assert_eq!(a.outcome, b.outcome);
            assert!((a.log_likelihood - b.log_likelihood).abs() < 1e-8, "{} {}", a.log_likelihood, b.log_likelihood);
            near(&a.theta, &b.theta, "variances");
            near(a.theta_covariance.entries(), b.theta_covariance.entries(), "covariance");
            near(&a.beta, &b.beta, "fixed effects");
            near(a.beta_covariance.entries(), b.beta_covariance.entries(), "their covariance");
            near(&a.h2.values, &b.h2.values, "heritability");
        }
    }
    Ok(())
}

fn near(a: &[f64], b: &[f64], what: &str) {
    let size = b.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for (x, y) in a.iter().zip(b) {
        // The top of the likelihood is known to the square root of its rounding.
        assert!((x - y).abs() <= 2e-6 * size, "{what}: {a:?} {b:?}");
    }
}

fn with(gtype: Genetic, etype: Noise) -> FitOptions {
    FitOptions { gtype, etype, ..FitOptions::default() }
}

#[test]
fn eigenvectors() -> Result<()> {
    let n = 80;
    let made = Made { factor: markers(n, 150), environments: Matrix::zeros(n, 0), covariates: 0, traits: 5 };
    compare(&made, with(Genetic::Hom, Noise::Hom), "eigen")?;
    compare(&made, FitOptions { information: Information::Expected, ..FitOptions::default() }, "eigen")
}

#[test]
fn few_markers() -> Result<()> {
    let n = 120;
    let made =
        |e: usize| Made { factor: markers(n, 12), environments: partition(n, e, |i| i / 5), covariates: 0, traits: 3 };
    compare(&made(2), with(Genetic::Free, Noise::Free), "low_rank")?;
    compare(&made(3), with(Genetic::Iid, Noise::Free), "low_rank")?;
    compare(&made(2), with(Genetic::Hom, Noise::Free), "low_rank")?;
    compare(&made(2), with(Genetic::Hom, Noise::Hom), "low_rank+eigen")?;
    let expected = FitOptions { information: Information::Expected, ..with(Genetic::Free, Noise::Free) };
    compare(&made(2), expected, "low_rank")
}

#[test]
fn families_one_by_one() -> Result<()> {
    let n = 90;
    let of = |environments: Matrix| Made { factor: families(n, 4), environments, covariates: 0, traits: 3 };
    compare(&of(partition(n, 2, |i| i)), with(Genetic::Free, Noise::Free), "families")?;
    compare(&of(partition(n, 2, |i| i / 4)), with(Genetic::Hom, Noise::Free), "families+eigen")?;
    compare(&of(Matrix::zeros(n, 0)), with(Genetic::Hom, Noise::Hom), "families+eigen")?;
    let expected = FitOptions { information: Information::Expected, ..with(Genetic::Free, Noise::Free) };
    compare(&of(partition(n, 3, |i| i)), expected, "families")?;
    // Environments that are numbers.
    let mut stream = Stream::new(4, 4);
    let z = Matrix::from_rows(n, 2, (0..2 * n).map(|_| stream.normal()).collect());
    compare(&of(z), with(Genetic::Free, Noise::Free), "families")
}

#[test]
fn what_has_no_structure_is_one_matrix() -> Result<()> {
    let n = 60;
    let made = Made { factor: markers(n, 100), environments: partition(n, 2, |i| i), covariates: 0, traits: 2 };
    compare(&made, with(Genetic::Free, Noise::Free), "dense")
}

#[test]
fn a_bad_trait_stops_no_other() -> Result<()> {
    let n = 80;
    let made = Made { factor: markers(n, 150), environments: Matrix::zeros(n, 0), covariates: 1, traits: 6 };
    let mut study = made.study(5)?;
    let alone = fitted(&study, FitOptions::default(), Route::Auto)?;
    study.values[n..2 * n].fill(3.0);
    study.values[2 * n..3 * n - 2].fill(f64::NAN);
    study.values[3 * n] = f64::NAN;
    let found = fitted(&study, FitOptions::default(), Route::Auto)?;
    let outcomes: Vec<Outcome> = found.traits.iter().map(|t| t.outcome).collect();
    assert_eq!(outcomes[1..3], [Outcome::Constant, Outcome::TooFew]);
    assert_eq!((found.traits[3].n, found.traits[4].n), (n - 1, n));
    for t in [0, 4, 5] {
        assert_eq!(found.traits[t].theta, alone.traits[t].theta);
    }
    Ok(())
}

#[test]
fn a_kinship_that_is_indefinite_is_told() -> Result<()> {
    let n = 40;
    let mut study =
        Made { factor: markers(n, 80), environments: Matrix::zeros(n, 0), covariates: 0, traits: 1 }.study(5)?;
    let entries =
        (0..n * n).map(|k| if k / n == k % n { 1.0 } else { 0.9 * f64::from(k as u8 % 2) }).collect::<Vec<_>>();
    let symmetric = (0..n * n).map(|k| 0.5 * (entries[k] + entries[(k % n) * n + k / n])).collect();
    study.kinship = Some(Kinship::new(n, symmetric, &study.individuals)?);
    for route in [Route::Auto, Route::Dense] {
        let found = fitted(&study, FitOptions::default(), route)?;
        assert!(found.provenance.warnings.iter().any(|w| w.contains("not positive semidefinite")), "{route:?}");
    }
    Ok(())
}
