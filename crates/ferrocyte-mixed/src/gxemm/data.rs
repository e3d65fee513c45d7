//! What is fitted: traits, covariates, environments and kinship of the same people.

use std::collections::HashSet;

use ferrocyte_base::{Fault, Result, Run, listing};
use ferrocyte_math::linalg::Matrix;

use super::ground::Ground;
use super::kinship::Kinship;
use super::model::is_partition;
use super::options::{FitOptions, Genetic, Noise};

/// An environment with fewer people than this is warned of.
const FEW: usize = 20;

/// A column of an environment outside of the fixed effects by this share of its length is not adjusted for.
const OUTSIDE: f64 = 1e-6;

/// Traits of people, and what explains them.
#[derive(Debug, Clone)]
pub struct Study {
    /// Names of people.
    pub individuals: Vec<String>,
    /// Names of traits.
    pub traits: Vec<String>,
    /// Values, traits × people; NaN where there is none.
    pub values: Vec<f64>,
    /// Names of covariates.
    pub covariate_names: Vec<String>,
    /// People × covariates, without intercept; the main effects of the environments belong here.
    pub covariates: Matrix,
    /// Names of environments.
    pub environment_names: Vec<String>,
    /// People × environments.
    pub environments: Matrix,
    /// Kinship of all people; none for what reads genotypes.
    pub kinship: Option<Kinship>,
}

impl Study {
    /// Checks shapes, names and numbers, and says what should be known before the result is believed.
    pub(super) fn check(&self, run: &Run, options: &FitOptions) -> Result<Vec<String>> {
        let n = self.individuals.len();
        let mut seen = HashSet::new();
        let twice: Vec<&String> = self.individuals.iter().filter(|id| !seen.insert(id.as_str())).collect();
        if !twice.is_empty() {
            return Err(
                Fault::bad_input(format!("individuals appear twice: {}", listing(&twice, 10))).at("individuals")
            );
        }
        let shapes = [
            ("y", self.values.len(), self.traits.len() * n),
            ("X", self.covariates.n_rows(), n),
            ("Z", self.environments.n_rows(), n),
            ("K", self.kinship.as_ref().map_or(n, Kinship::n), n),
        ];
        for (what, found, expected) in shapes {
            if found != expected {
                return Err(Fault::bad_input(format!(
                    "{what} has {found} values or rows, {n} individuals and {} traits need {expected}",
                    self.traits.len()
                ))
                .at(what));
            }
        }
        self.finite("X", &self.covariates, &self.covariate_names)?;
        self.finite("Z", &self.environments, &self.environment_names)?;
        if let Some(k) = self.values.iter().position(|y| y.is_infinite()) {
            let (t, i) = (k / n, k % n);
            return Err(Fault::bad_input(format!(
                "the value of individual {i} (`{}`) of trait `{}` is infinite",
                self.individuals[i], self.traits[t]
            ))
            .at("y"));
        }
        if options.gtype == Genetic::Hom && options.etype == Noise::Hom {
            return Ok(Vec::new());
        }
        self.check_environments(run, options)
    }

    fn finite(&self, what: &str, matrix: &Matrix, names: &[String]) -> Result<()> {
        for i in 0..matrix.n_rows() {
            if let Some(k) = matrix.row(i).iter().position(|x| !x.is_finite()) {
                return Err(Fault::bad_input(format!(
                    "column `{}` of {what} has no finite number for individual {i} (`{}`)",
                    names[k], self.individuals[i]
                ))
                .at(what)
                .hint("leave these individuals out, or the column"));
            }
        }
        Ok(())
    }

    fn check_environments(&self, run: &Run, options: &FitOptions) -> Result<Vec<String>> {
        let (z, names, n) = (&self.environments, &self.environment_names, self.individuals.len());
        if names.is_empty() {
            return Err(Fault::missing("a model by environment needs environments")
                .at("Z")
                .hint("give Z, or gtype = hom and etype = hom"));
        }
        let mut warnings = Vec::new();
        for (k, name) in names.iter().enumerate() {
            let column: Vec<f64> = (0..n).map(|i| z[(i, k)]).collect();
            if column.iter().all(|x| *x == column[0]) {
                return Err(Fault::bad_input(format!(
                    "environment `{name}` is constant: it has the value {} for everybody",
                    column[0]
                ))
                .at(format!("Z, column `{name}`"))
                .hint("leave it out"));
            }
            let inside = column.iter().filter(|x| **x != 0.0).count();
            if column.iter().all(|x| *x == 0.0 || *x == 1.0) && inside < FEW {
                warnings.push(format!(
                    "environment `{name}` has only {inside} individuals: its variances are hardly known"
                ));
            }
        }
        if options.gtype != Genetic::Hom {
            let everyone: Vec<usize> = (0..n).collect();
            let ground = Ground::new(self, &everyone)?;
            let missing: Vec<&String> = (0..names.len())
                .filter(|&k| {
                    let column: Vec<f64> = (0..n).map(|i| z[(i, k)]).collect();
                    let left = ground.residual(&column);
                    let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>();
                    square(&left) > OUTSIDE * OUTSIDE * square(&column)
                })
                .map(|k| &names[k])
                .collect();
            if !missing.is_empty() {
                warnings.push(format!(
                    "main effects of environments are not adjusted for: X lacks columns of Z ({}){}",
                    listing(&missing, 10),
                    if is_partition(z) { "; it should hold all but one of them" } else { "" }
                ));
            }
        }
        warnings.iter().for_each(|warning| run.warn(warning));
        Ok(warnings)
    }

    /// Whether every trait has two values at most, as cases and controls have.
    pub(super) fn check_cases(&self) -> Result<()> {
        let n = self.individuals.len().max(1);
        for (name, values) in self.traits.iter().zip(self.values.chunks_exact(n)) {
            let known = || values.iter().copied().filter(|y| !y.is_nan());
            let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
            if let Some(other) = known().find(|y| *y != low && *y != high) {
                return Err(Fault::bad_input(format!(
                    "trait `{name}` has the values {low}, {other} and {high}: pcgc needs cases and controls, two values"
                ))
                .at("y"));
            }
        }
        Ok(())
    }

    /// The people with a value, trait by trait, those with the same people together.
    pub(super) fn patterns(&self) -> Vec<(Vec<usize>, Vec<usize>)> {
        let n = self.individuals.len();
        let mut out: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
        for (t, values) in self.values.chunks_exact(n.max(1)).enumerate() {
            let rows: Vec<usize> = (0..n).filter(|&i| !values[i].is_nan()).collect();
            match out.iter_mut().find(|(known, _)| *known == rows) {
                Some((_, traits)) => traits.push(t),
                None => out.push((rows, vec![t])),
            }
        }
        out
    }
}
