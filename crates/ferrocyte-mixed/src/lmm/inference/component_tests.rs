//! Tests of variance components: z, and the likelihood ratio against the model without the component.
//!
//! Where components may be negative, zero lies within the parameter space: s/se is standard normal under s = 0, and so
//! is the signed root of the likelihood ratio; a variance above zero is what counts, so that both p-values are of the
//! upper tail. Where components are held at zero or above, the likelihood ratio of one component, whatever the others,
//! is 0 or χ²₁ with even odds (Self and Liang 1987, doi 10.1080/01621459.1987.10478472; Stram and Lee 1994, doi
//! 10.2307/2533455). For a positive component the two p-values of the likelihood ratio are the same number.

use ferrocyte_base::{Result, Run, Table};
use ferrocyte_math::{chi_squared, normal};

use crate::lmm::core::Structure;
use crate::lmm::fit::{Fit, GroupFit};
use crate::lmm::inference::long::{Head, Long, Ranked, assemble};
use crate::lmm::inference::submodel::refit;
use crate::lmm::options::{Adjust, Negative};
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

/// One row before it becomes part of a table.
#[derive(Debug, Clone, Copy)]
struct Row {
    variance: f64,
    se: f64,
    z: f64,
    ln_p_z: f64,
    lr: f64,
    ln_p_lr: f64,
    outcome: Outcome,
}

impl Ranked for Row {
    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn ln_p(&self) -> f64 {
        self.ln_p_lr
    }
}

impl Row {
    const fn none(outcome: Outcome) -> Self {
        let nan = f64::NAN;
        Self { variance: nan, se: nan, z: nan, ln_p_z: nan, lr: nan, ln_p_lr: nan, outcome }
    }
}

/// The likelihood ratio of one gene, and which law it follows.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    lr: f64,
    /// Both fits were held at zero or above.
    held: bool,
}

impl Ratio {
    const NONE: Self = Self { lr: f64::NAN, held: true };

    fn ln_p(self, variance: f64) -> f64 {
        if self.lr.is_nan() {
            f64::NAN
        } else if self.held {
            chi_squared::half_half_ln_upper(self.lr.max(0.0))
        } else {
            normal::ln_upper(self.lr.max(0.0).sqrt().copysign(variance))
        }
    }
}

impl Fit {
    /// Tests every variance component but the residual's in all groups: is it above zero?
    ///
    /// The table has the columns of [`component_test_columns`], a row per group, component and gene, sorted by the
    /// p-value of the likelihood ratio. Components that are held at zero have no z. With several components, each is
    /// tested against the model that lacks it, fitted from the same sums; a gene for which one of the two fits has no
    /// interior estimate is compared between the fits with components at zero or above.
    pub fn test_components(&self, run: &Run, adjust: Adjust) -> Result<Table> {
        let mut names: Vec<String> = Vec::new();
        for component in self.groups.iter().flat_map(|g| &g.components) {
            if !names.contains(&component.name) {
                names.push(component.name.clone());
            }
        }
        let mut long = Long::new(self, names.clone());
        for (g, (group, sums)) in self.groups.iter().zip(&self.sums().groups).enumerate() {
            let tested = if group.refused.is_empty() {
                group.test_components(run, sums, self.options().negative)?
            } else {
                Vec::new()
            };
            for (i, name) in names.iter().enumerate() {
                match group.components.iter().position(|c| c.name == *name).and_then(|c| tested.get(c)) {
                    Some(rows) => long.push(g, i, rows),
                    None => long.push_none(g, i, Row::none(Outcome::GroupNotFitted), group.refused.clone()),
                }
            }
        }
        let [group, gene, component] = long.keys();
        let [p_z, adj_p_z, log10_p_z] = long.p_columns(|r| r.ln_p_z, adjust);
        let [p_lr, adj_p_lr, log10_p_lr] = long.p_columns(|r| r.ln_p_lr, adjust);
        let [status, reason, cells] = long.statuses();
        let cells = vec![
            group,
            gene,
            component,
            long.floats(|r| r.variance),
            long.floats(|r| r.se),
            long.floats(|r| r.z),
            p_z,
            adj_p_z,
            log10_p_z,
            long.floats(|r| r.lr),
            p_lr,
            adj_p_lr,
            log10_p_lr,
            status,
            reason,
            cells,
        ];
        let unit = self.sums().transform.unit();
        Ok(assemble("component tests", component_test_columns(&unit), cells))
    }
}

impl GroupFit {
    /// The rows of each component, genes in order.
    fn test_components(&self, run: &Run, sums: &GroupSums, negative: Negative) -> Result<Vec<Vec<Row>>> {
        let (k, width) = (self.n_components(), self.n_components() + 1);
        let errors = self.component_errors(run)?;
        (0..k)
            .map(|component| {
                let ratios = self.likelihood_ratios(run, sums, component, negative)?;
                let rows = ratios.into_iter().enumerate().map(|(gene, ratio)| {
                    let outcome = self.outcomes[gene];
                    if !outcome.has_estimate() || outcome == Outcome::NotIdentifiable {
                        return Row::none(outcome);
                    }
                    let (variance, se) = (self.theta[gene * width + component], errors.se[gene * width + component]);
                    let at_zero = variance == 0.0 && matches!(outcome, Outcome::Boundary | Outcome::NoStationary);
                    let z = if at_zero { f64::NAN } else { variance / se };
                    Row {
                        variance,
                        se,
                        z,
                        ln_p_z: normal::ln_upper(z),
                        lr: ratio.lr,
                        ln_p_lr: ratio.ln_p(variance),
                        outcome,
                    }
                });
                Ok(rows.collect())
            })
            .collect()
    }

    /// Twice the difference of the log-likelihoods with and without a component.
    fn likelihood_ratios(
        &self,
        run: &Run,
        sums: &GroupSums,
        component: usize,
        negative: Negative,
    ) -> Result<Vec<Ratio>> {
        let Some(core) = &self.core else { return Ok(vec![Ratio::NONE; self.outcomes.len()]) };
        let n_genes = self.outcomes.len();
        if let Structure::One { profile, .. } = &core.structure {
            // Without its one component the model is ordinary least squares.
            return Ok((0..n_genes)
                .map(|gene| {
                    let held = negative == Negative::Zero || self.outcomes[gene].tested_at_zero();
                    let at_zero = profile.log_likelihood(0.0, core.rss[gene] / profile.nu());
                    let full = if self.outcomes[gene].tested_at_zero() { at_zero } else { self.log_likelihood[gene] };
                    Ratio { lr: 2.0 * (full - at_zero), held }
                })
                .collect());
        }
        let all: Vec<usize> = (0..self.n_components()).collect();
        let others: Vec<usize> = all.iter().copied().filter(|&c| c != component).collect();
        let genes: Vec<usize> = (0..n_genes).filter(|&g| self.outcomes[g].has_estimate()).collect();
        let mut ratios = vec![Ratio::NONE; n_genes];
        let sub = refit(run, sums, &others, &genes, core.method, negative)?;
        let mut uneven = Vec::new();
        for (i, &gene) in genes.iter().enumerate() {
            let interior = !self.outcomes[gene].tested_at_zero() && !sub.outcomes[i].tested_at_zero();
            if negative == Negative::Zero || interior {
                let lr = 2.0 * (self.log_likelihood[gene] - sub.log_likelihood[i]);
                ratios[gene] = Ratio { lr, held: negative == Negative::Zero };
            } else {
                uneven.push(gene);
            }
        }
        if !uneven.is_empty() {
            let full = refit(run, sums, &all, &uneven, core.method, Negative::Zero)?;
            let sub = refit(run, sums, &others, &uneven, core.method, Negative::Zero)?;
            for (i, &gene) in uneven.iter().enumerate() {
                ratios[gene] = Ratio { lr: 2.0 * (full.log_likelihood[i] - sub.log_likelihood[i]), held: true };
            }
        }
        Ok(ratios)
    }
}

/// The columns of a table of tests of variance components: name, unit, meaning. `unit` is that of the transformed
/// counts.
pub fn component_test_columns(unit: &str) -> [Head; 16] {
    let none = String::new;
    let squared = format!("({unit})²");
    [
        ("group", none(), "level of the grouping column; `all` without one"),
        ("gene", none(), "gene"),
        ("component", none(), "the random term whose variance is tested"),
        ("variance", squared.clone(), "estimate of the variance component"),
        ("se", squared, "its standard error, from the expected information"),
        ("z", none(), "variance / se; none where the component is held at zero"),
        ("p_z", none(), "p-value of z: the variance is above zero"),
        ("adj_p_z", none(), "the same, adjusted for the false discovery rate"),
        ("log10_p_z", none(), "log10 of the p-value of z"),
        ("lr", none(), "twice the log-likelihood ratio against the model without the component"),
        ("p_lr", none(), "p-value of the likelihood ratio: the variance is above zero"),
        ("adj_p_lr", none(), "the same, adjusted for the false discovery rate"),
        ("log10_p_lr", none(), "log10 of the p-value of the likelihood ratio"),
        ("status", none(), "what became of the gene"),
        ("reason", none(), "the status in a sentence"),
        ("n_cells", "cells".to_owned(), "cells of the group"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_laws_agree_above_zero() {
        for lr in [0.3, 4.0, 900.0] {
            let held = Ratio { lr, held: true }.ln_p(0.1);
            let signed = Ratio { lr, held: false }.ln_p(0.1);
            assert!((held - signed).abs() < 1e-12 * signed.abs(), "{held} {signed}");
        }
    }

    #[test]
    fn below_zero_speaks_against_a_variance() {
        let below = Ratio { lr: 4.0, held: false }.ln_p(-0.1);
        assert!((below.exp() - normal::lower(2.0)).abs() < 1e-14);
        assert_eq!(Ratio { lr: 0.0, held: true }.ln_p(0.0), 0.0);
        assert!(Ratio::NONE.ln_p(1.0).is_nan());
    }
}
