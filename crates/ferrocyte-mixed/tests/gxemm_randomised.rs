//! Randomised moments of heritability by environment: beside exact ones, with their errors.

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_mixed::gxemm::{
    Fit, FitOptions, Genetic, Genotypes, Kinship, Markers, Method, Noise, Outcome, SimulateOptions, Standardize, Study,
    fit, fit_genotypes, kinship_of, simulate,
};

/// Counts, markers × individuals.
struct Given(Vec<i8>, usize);

impl Markers for Given {
    fn n_individuals(&self) -> usize {
        self.1
    }
    fn n_markers(&self) -> usize {
        self.0.len() / self.1
    }
    fn read(&mut self, markers: Range<usize>) -> Result<Vec<i8>> {
        Ok(self.0[markers.start * self.1..markers.end * self.1].to_vec())
    }
}

fn study(n: usize, m: usize) -> Result<(Study, Given)> {
    let made = simulate(
        &Run::new(),
        &SimulateOptions {
            n_individuals: n,
            n_snps: m,
            hom: 0.3,
            specific: vec![0.0, 0.3],
            ..SimulateOptions::default()
        },
    )?;
    let counts = (0..m).flat_map(|j| (0..n).map(move |i| i * m + j)).map(|k| made.genotypes[k]).collect();
    let z = made.environment.iter().flat_map(|&e| [f64::from(u8::from(e == 0)), f64::from(u8::from(e == 1))]).collect();
    let environments = Matrix::from_rows(n, 2, z);
    let study = Study {
        individuals: made.individuals,
        traits: vec!["y".into()],
        values: made.values,
        covariate_names: vec!["A".into()],
        covariates: Matrix::from_rows(n, 1, (0..n).map(|i| environments[(i, 0)]).collect()),
        environment_names: vec!["A".into(), "B".into()],
        environments,
        kinship: None,
    };
    Ok((study, Given(counts, n)))
}

fn randomised(study: &Study, given: &mut Given, threads: usize, options: FitOptions) -> Result<Fit> {
    let people = (0..study.individuals.len()).collect();
    let mut genotypes = Genotypes { markers: given, chosen: &|_| true, standardize: Standardize::Sample, people };
    fit_genotypes(&Run::new().threads(threads), study, &mut genotypes, options)
}

fn options() -> FitOptions {
    FitOptions { gtype: Genetic::Free, etype: Noise::Free, method: Method::Rhe, probes: 20, ..FitOptions::default() }
}

#[test]
fn estimates_are_the_exact_ones_within_the_error_of_the_traces() -> Result<()> {
    let (mut study, mut given) = study(600, 500)?;
    let (kinship, _) = kinship_of(&Run::new(), &mut given, |_| true, Standardize::Sample)?;
    study.kinship = Some(Kinship::new(600, kinship, &study.individuals)?);
    let exact = fit(&Run::new(), &study, FitOptions { method: Method::He, ..options() })?;
    let mut squares = 0.0;
    let seeds = 20;
    for seed in 0..seeds {
        let found = randomised(&study, &mut given, 2, FitOptions { seed, blocks: 10, ..options() })?;
        let (a, b) = (&found.traits[0], &exact.traits[0]);
        assert_eq!(a.outcome, Outcome::Ok);
        for k in 0..a.theta.len() {
            let error = a.monte_carlo[(k, k)].sqrt();
            assert!(error > 0.0 && (a.theta[k] - b.theta[k]).abs() < 6.0 * error, "{k}: {:?} {:?}", a.theta, b.theta);
        }
        squares += (a.theta[0] - b.theta[0]).powi(2) / a.monte_carlo[(0, 0)];
        assert!((a.beta[1] - b.beta[1]).abs() < 1e-12 && (a.scale - b.scale).abs() < 1e-12 * b.scale);
    }
    // Over seeds the error is what it says: a mean of about 1.1 with 19 degrees of freedom behind each.
    let mean = squares / seeds as f64;
    assert!((0.4..2.4).contains(&mean), "{mean}");
    Ok(())
}

#[test]
fn threads_change_no_bit_and_missing_values_leave_people_out() -> Result<()> {
    let (mut study, mut given) = study(300, 200)?;
    let one = randomised(&study, &mut given, 1, options())?;
    let two = randomised(&study, &mut given, 3, options())?;
    assert_eq!(one.traits[0].theta, two.traits[0].theta);
    assert_eq!(one.traits[0].theta_covariance, two.traits[0].theta_covariance);
    study.traits.extend(["gaps".to_owned(), "flat".to_owned()]);
    let mut gaps = study.values.clone();
    gaps[..20].fill(f64::NAN);
    study.values.extend(gaps);
    study.values.extend(vec![1.0; 300]);
    let all = randomised(&study, &mut given, 2, options())?;
    assert_eq!(all.traits[0].theta, one.traits[0].theta);
    assert_eq!((all.traits[1].n, all.traits[1].outcome), (280, Outcome::Ok));
    assert_eq!(all.traits[2].outcome, Outcome::Constant);
    Ok(())
}

#[test]
fn a_kinship_is_no_source_and_counts_are_checked() -> Result<()> {
    let (study, mut given) = study(60, 50)?;
    assert!(fit(&Run::new(), &study, options()).is_err_and(|f| f.to_string().contains("reads genotypes")));
    let told = randomised(&study, &mut given, 1, FitOptions { probes: 1, ..options() }).map_err(|f| f.to_string());
    assert!(told.is_err_and(|t| t.contains("2 or more")));
    assert!(randomised(&study, &mut given, 1, FitOptions { method: Method::He, ..options() }).is_err());
    Ok(())
}
