//! The fit of one gene: separation found, the maximum of what is left, and what became of it.

use ferrocyte_base::Result;
use ferrocyte_math::linalg::{Matrix, scaled_inverse};

use crate::nbmm::ascent::{S2, TAU};
use crate::nbmm::ground::Ground;
use crate::nbmm::layout::Counts;
use crate::nbmm::marginal::{Marginal, Scratch};
use crate::nbmm::options::{Family, FitOptions, Method};
use crate::nbmm::separation::Separation;
use crate::nbmm::status::{Outcome, Outcomes};
use crate::nbmm::top::Rules;

/// The fit of a gene.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneFit {
    /// What became of it.
    pub outcomes: Outcomes,
    /// Coefficients, natural logarithms; infinite where the likelihood rises for ever, NaN where nothing tells them.
    pub coefficients: Vec<f64>,
    /// Their standard errors, from the observed information of all free parameters (restricted: of the coefficients); NaN
    /// without a finite estimate.
    pub se: Vec<f64>,
    /// Overdispersion of cells: variance mu + tau mu².
    pub tau: f64,
    /// Variance of the donor effect.
    pub s2: f64,
    /// Standard errors of ln tau and ln s2; NaN at zero or at a bound.
    pub se_ln_tau: f64,
    /// See `se_ln_tau`.
    pub se_ln_s2: f64,
    /// Log-likelihood with all constants, or the restricted one; its supremum where a coefficient is infinite.
    pub log_likelihood: f64,
    /// The largest derivative in a free parameter that is left.
    pub max_gradient: f64,
    /// Evaluations of the likelihood.
    pub evaluations: u32,
    /// Counts of the gene.
    pub total: f64,
    /// Donors with a count.
    pub donors_expressing: usize,
    /// Covariance of the coefficients that are left, and of free variances; none without a finite maximum.
    pub(in crate::nbmm) covariance: Option<Matrix>,
    pub(in crate::nbmm) separation: Option<Separation>,
}

impl GeneFit {
    /// A gene without a fit.
    pub(in crate::nbmm) fn none(outcome: Outcome, p: usize) -> Self {
        Self {
            outcomes: Outcomes::one(outcome),
            coefficients: vec![f64::NAN; p],
            se: vec![f64::NAN; p],
            tau: f64::NAN,
            s2: f64::NAN,
            se_ln_tau: f64::NAN,
            se_ln_s2: f64::NAN,
            log_likelihood: f64::NAN,
            max_gradient: f64::NAN,
            evaluations: 0,
            total: 0.0,
            donors_expressing: 0,
            covariance: None,
            separation: None,
        }
    }

    /// Fits one gene.
    pub(in crate::nbmm) fn new(
        ground: &Ground,
        counts: &Counts,
        options: &FitOptions,
        rules: &Rules,
        scratch: &mut Scratch,
    ) -> Result<Self> {
        let layout = &ground.layout;
        let (p, total, donors) = (layout.n_fixed(), counts.total(), counts.n_donors(layout));
        if total == 0.0 {
            return Ok(Self::none(Outcome::AllZero, p));
        }
        let known = Outcomes::default()
            .with(Outcome::FewCounts, total < options.min_count as f64)
            .with(Outcome::SingleDonor, donors == 1);
        match Separation::find(layout, counts) {
            None => {
                let fit = Self::of_finite(ground, counts, options, rules, known, scratch)?;
                Ok(Self { total, donors_expressing: donors, ..fit })
            }
            Some(separation) => {
                let (ground, counts) = separation.reduced(ground, counts);
                let known = known.with(Outcome::Separated, true);
                let left = Self::of_finite(&ground, &counts, options, rules, known, scratch)?;
                let spread = |values: &[f64], other: &dyn Fn(usize) -> f64| -> Vec<f64> {
                    let place = |i: usize| separation.columns.iter().position(|&c| c == i);
                    (0..p).map(|i| place(i).map_or_else(|| other(i), |k| values[k])).collect()
                };
                let infinite = |i: usize| match separation.direction[i] {
                    0.0 => f64::NAN,
                    e => e.signum() * f64::INFINITY,
                };
                // Where a column stands in for an infinite coefficient, its value means nothing by itself.
                let coefficients = spread(&left.coefficients, &infinite);
                let coefficients: Vec<f64> = (0..p)
                    .map(|i| if separation.direction[i] == 0.0 { coefficients[i] } else { infinite(i) })
                    .collect();
                let se = spread(&left.se, &|_| f64::NAN);
                let se = (0..p).map(|i| if coefficients[i].is_finite() { se[i] } else { f64::NAN }).collect();
                Ok(Self { coefficients, se, total, donors_expressing: donors, separation: Some(separation), ..left })
            }
        }
    }

    /// The fit of a gene without separation.
    fn of_finite(
        ground: &Ground,
        counts: &Counts,
        options: &FitOptions,
        rules: &Rules,
        known: Outcomes,
        scratch: &mut Scratch,
    ) -> Result<Self> {
        *scratch = Scratch::default();
        let p = ground.layout.n_fixed();
        let curves = ground.curves_of(counts);
        let marginal = Marginal { ground, counts, curves: &curves, effect: options.effect };
        let top = marginal.maximise(options.family, rules, scratch);
        let (at, outlook) = (&top.climb.at, &top.climb.outlook);
        let tau_moves = top.free.tau && at.tau > 0.0 && at.tau < TAU.1;
        let s2_moves = top.free.s2 && at.s2 > 0.0 && at.s2 < S2.1;
        let moving: Vec<usize> = (0..p).chain(tau_moves.then_some(p)).chain(s2_moves.then_some(p + 1)).collect();
        let mut information = Matrix::zeros(moving.len(), moving.len());
        for (a, &i) in moving.iter().enumerate() {
            for (b, &j) in moving.iter().enumerate() {
                information[(a, b)] = outlook.information[(i, j)];
            }
        }
        let covariance = scaled_inverse(&information, 0.0).ok();
        let errors: Vec<f64> = match &covariance {
            Some(covariance) => covariance.diagonal().iter().map(|v| v.sqrt()).collect(),
            None => vec![f64::NAN; moving.len()],
        };
        let error = |i: usize| moving.iter().position(|&m| m == i).map_or(f64::NAN, |k| errors[k]);
        let fit = Self {
            outcomes: known,
            coefficients: at.coefficients.clone(),
            se: (0..p).map(error).collect(),
            tau: at.tau,
            s2: at.s2,
            se_ln_tau: error(p),
            se_ln_s2: error(p + 1),
            log_likelihood: outlook.value,
            max_gradient: moving.iter().map(|&i| outlook.gradient[i].abs()).fold(0.0, f64::max),
            evaluations: top.climb.evaluations,
            total: 0.0,
            donors_expressing: 0,
            covariance,
            separation: None,
        };
        match options.method {
            Method::Ml => Ok(fit.with_variances(top.converged)),
            Method::Reml => fit.restricted(&marginal, options, rules),
        }
    }

    /// The fit whose variances maximise the restricted likelihood; standard errors are those at known variances.
    fn restricted(self, marginal: &Marginal<'_>, options: &FitOptions, rules: &Rules) -> Result<Self> {
        let nb = options.family == Family::Nb;
        let found = marginal.restricted((self.tau, self.s2), &self.coefficients, nb, rules.middle())?;
        let se = found.point.covariance.diagonal().iter().map(|v| v.sqrt()).collect();
        let fit = Self {
            coefficients: found.point.coefficients,
            se,
            tau: found.tau,
            s2: found.s2,
            se_ln_tau: f64::NAN,
            se_ln_s2: f64::NAN,
            log_likelihood: found.point.restricted,
            max_gradient: f64::NAN,
            covariance: Some(found.point.covariance),
            ..self
        };
        Ok(fit.with_variances(found.converged))
    }

    /// The same with what its variances say of it.
    fn with_variances(self, converged: bool) -> Self {
        let outcomes = self
            .outcomes
            .with(Outcome::Poisson, self.tau == 0.0)
            .with(Outcome::NoDonorVariance, self.s2 == 0.0)
            .with(Outcome::TauAtBound, self.tau >= TAU.1)
            .with(Outcome::S2AtBound, self.s2 >= S2.1)
            .with(Outcome::MaxIter, !converged);
        Self { outcomes, ..self }
    }
}

impl Separation {
    /// The model and the counts that are left.
    pub(in crate::nbmm) fn reduced(&self, ground: &Ground, counts: &Counts) -> (Ground, Counts) {
        let layout = &ground.layout;
        let mut map = Matrix::zeros(layout.n_fixed(), self.columns.len());
        for (k, &column) in self.columns.iter().enumerate() {
            map[(column, k)] = 1.0;
        }
        (ground.with_strata(&self.strata).mapped(&map), counts.with_strata(layout, &self.strata))
    }
}
