//! The fits of all traits as one table, and what follows from one fit.

use ferrocyte_base::{Column, Table};
use ferrocyte_math::linalg::Matrix;

use super::answers::{Ratios, peer, ratios};
use super::fit::{Fit, TraitFit};
use super::options::{Genetic, Method, Noise};
use super::status::Outcome;
use super::wald::{ln_equal, ln_joint_wald, ln_likelihood_ratio, ln_wald, ln_wald_two_sided};

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
            if self.options.method == Method::Rhe {
                let error = |t: &TraitFit| se(t.monte_carlo[(k, k)]);
                table = self.with(table, &format!("mc_se[{name}]"), "trait²", "its error from random vectors", error);
            }
            table = self.with_p(table, name, "of the variance being zero (Wald)", p);
        }
        let labels: Vec<String> =
            self.traits.iter().map(|t| &t.h2.names).max_by_key(|n| n.len()).cloned().unwrap_or_default();
        for (k, name) in labels.iter().enumerate() {
            let one = |t: &TraitFit| if k < t.h2.values.len() { t.h2.one(k) } else { (f64::NAN, f64::NAN) };
            table = self.with(table, name, "share", "heritability", |t| one(t).0);
            table = self.with(table, &format!("se[{name}]"), "share", "its standard error", |t| se(one(t).1));
            if self.options.method == Method::Rhe {
                let error = |t: &TraitFit| {
                    let of = ratios(t.h2.forms.clone(), &t.theta, &t.monte_carlo);
                    if k < of.values.len() { se(of.one(k).1) } else { f64::NAN }
                };
                table = self.with(table, &format!("mc_se[{name}]"), "share", "its error from random vectors", error);
            }
            table = self.with_p(table, name, "of no heritability (Wald)", |t| ln_wald(one(t).0, one(t).1));
        }
        let plain = self.options.gtype == Genetic::Hom && self.options.etype == Noise::Hom;
        if plain && self.options.method == Method::Reml {
            let what = "of no heritability (likelihood ratio, half of a χ² of one degree)";
            table = self.with_p(table, "h2 ratio", what, Self::ln_no_heritability);
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
        let routes = self.traits.iter().map(|t| t.route.clone()).collect();
        table = table.with(Column::text("route", "how the covariance of people was solved (reml)", routes));
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

    /// ln p of no heritability by the likelihood ratio: at zero a variance lies on its boundary, and half of the time below.
    fn ln_no_heritability(of: &TraitFit) -> f64 {
        if !(of.theta[0] > 0.0) {
            return if of.theta[0] <= 0.0 { 0.0 } else { f64::NAN };
        }
        0.5_f64.ln() + ln_likelihood_ratio(of.log_likelihood, of.log_likelihood_null, 1.0)
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
