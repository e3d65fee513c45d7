//! Tests of contrasts: one table, a row per group, contrast and gene.

use std::f64::consts::LN_10;

use ferrocyte_base::{Cells, Column, Fault, Result, Run, Table};
use ferrocyte_design::Coefficients;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::multiple::benjamini_hochberg_ln;
use ferrocyte_math::student_t;

use crate::lmm::estimates::Surface;
use crate::lmm::fit::{Fit, GroupFit};
use crate::lmm::inference::long::by_p;
use crate::lmm::moderated::Moderated;
use crate::lmm::one::{ModeratedTest, Priors};
use crate::lmm::options::{Adjust, Alternative, Df, TestOptions, Unit};
use crate::lmm::status::Outcome;

/// What is tested.
#[derive(Debug, Clone, PartialEq)]
pub enum Contrast {
    /// A linear expression of coefficients: `conditionstim`, `cls1:trtB - cls2:trtB`.
    Expression {
        /// Its name in the table; the expression itself where empty.
        name: String,
        /// The expression.
        expression: String,
    },
    /// The difference of two levels of a factor.
    Difference {
        /// The factor.
        variable: String,
        /// The level of interest.
        level: String,
        /// The level that it is compared with.
        reference: String,
        /// Levels of factors that interact with it.
        at: Vec<(String, String)>,
    },
}

impl Contrast {
    /// A linear expression, named by itself.
    pub fn expression(expression: impl Into<String>) -> Self {
        Self::Expression { name: String::new(), expression: expression.into() }
    }

    /// The difference of two levels.
    pub fn difference(variable: impl Into<String>, level: impl Into<String>, reference: impl Into<String>) -> Self {
        Self::Difference { variable: variable.into(), level: level.into(), reference: reference.into(), at: Vec::new() }
    }

    /// The name in the table.
    pub fn name(&self) -> String {
        match self {
            Self::Expression { name, expression } if name.is_empty() => expression.clone(),
            Self::Expression { name, .. } => name.clone(),
            Self::Difference { variable, level, reference, at } => {
                let at: Vec<String> = at.iter().map(|(v, l)| format!(" at {v} = {l}")).collect();
                format!("{variable}: {level} - {reference}{}", at.concat())
            }
        }
    }

    /// The variable that is compared, where it is one.
    pub(crate) fn variable(&self) -> Option<&str> {
        match self {
            Self::Difference { variable, .. } => Some(variable),
            Self::Expression { .. } => None,
        }
    }

    /// The weights of the coefficients of a group.
    pub fn weights(&self, group: &GroupFit) -> Result<Vec<f64>> {
        self.weights_of(&group.coefficients)
    }

    /// The weights of coefficients.
    pub(crate) fn weights_of(&self, coefficients: &Coefficients) -> Result<Vec<f64>> {
        match self {
            Self::Expression { expression, .. } => coefficients.contrast(expression),
            Self::Difference { variable, level, reference, at } => {
                coefficients.difference(variable, level, reference, at)
            }
        }
    }
}

/// One row before it becomes part of a table.
#[derive(Debug, Clone, Copy)]
struct Row {
    estimate: f64,
    se: f64,
    t: f64,
    df: f64,
    ln_p: f64,
    outcome: Outcome,
}

impl Fit {
    /// Tests contrasts in all groups.
    ///
    /// The table has the columns of the common vocabulary, sorted by p-value within each group and contrast (genes
    /// without p-value last, ties in the order of genes). `estimate` and `se` are in units of the transformed counts;
    /// `adj_p_value` controls the false discovery rate (Benjamini and Hochberg 1995) per contrast and group, or over
    /// all rows, over the genes that have a p-value.
    ///
    /// A group in which a contrast cannot be formed (a level has no cells there) has rows with a status that says so;
    /// it is an error only when that is so in every group.
    pub fn test(&self, run: &Run, contrasts: &[Contrast], options: &TestOptions) -> Result<Table> {
        let (factor, unit) = self.scale(options.unit)?;
        let fitted: Vec<&GroupFit> = self.groups.iter().filter(|g| g.refused.is_empty()).collect();
        for contrast in contrasts {
            let attempts: Vec<Result<Vec<f64>>> = fitted.iter().map(|g| contrast.weights(g)).collect();
            if attempts.iter().all(Result::is_err) {
                return Err(attempts
                    .into_iter()
                    .find_map(Result::err)
                    .unwrap_or_else(|| Fault::bad_input("no group was fitted")));
            }
            self.warn_of_replication(run, contrast);
        }
        let mut rows: Vec<(usize, usize, usize, Row)> = Vec::new();
        let mut reasons: Vec<(usize, usize, String)> = Vec::new();
        for (g, group) in self.groups.iter().enumerate() {
            for (c, contrast) in contrasts.iter().enumerate() {
                let tested = if group.refused.is_empty() {
                    match contrast.weights(group) {
                        Ok(weights) => group.test_one(run, &weights, options)?,
                        Err(fault) => {
                            reasons.push((g, c, fault.to_string()));
                            vec![Row::none(Outcome::NotEstimable); self.genes().len()]
                        }
                    }
                } else {
                    reasons.push((g, c, group.refused.clone()));
                    vec![Row::none(Outcome::GroupNotFitted); self.genes().len()]
                };
                let mut order: Vec<usize> = (0..tested.len()).collect();
                order.sort_by(|&a, &b| by_p(tested[a].ln_p, tested[b].ln_p).then(a.cmp(&b)));
                rows.extend(order.into_iter().map(|i| (g, c, i, tested[i])));
            }
        }
        rows.iter_mut().for_each(|(_, _, _, row)| row.rescale(factor));
        Ok(self.table(contrasts, options, &unit, &rows, &reasons))
    }

    /// What estimates are multiplied by, and the unit that they then are differences of.
    pub(in crate::lmm) fn scale(&self, unit: Unit) -> Result<(f64, String)> {
        let transform = self.sums().transform;
        match unit {
            Unit::Model => Ok((1.0, transform.unit())),
            Unit::Log2 => transform.in_log2().ok_or_else(|| {
                Fault::bad_input("the values were modelled as they are, no logarithm was taken")
                    .at("unit")
                    .hint("leave `unit` out, or fit counts with a transform that takes logarithms")
            }),
        }
    }

    /// Says what a within-unit contrast costs where the model has no term for the unit treated.
    fn warn_of_replication(&self, run: &Run, contrast: &Contrast) {
        let Some(variable) = contrast.variable() else { return };
        let found = self.sums().replication.iter().find(|(name, _)| name == variable);
        if let Some((_, warning)) = found {
            run.warn(warning);
        }
    }

    fn table(
        &self,
        contrasts: &[Contrast],
        options: &TestOptions,
        unit: &str,
        rows: &[(usize, usize, usize, Row)],
        reasons: &[(usize, usize, String)],
    ) -> Table {
        let ln_p: Vec<f64> = rows.iter().map(|r| r.3.ln_p).collect();
        let adjusted: Vec<f64> = match options.adjust {
            Adjust::All => benjamini_hochberg_ln(&ln_p),
            // Rows stand by group and contrast, one per gene.
            Adjust::Group => ln_p.chunks(self.genes().len().max(1)).flat_map(benjamini_hochberg_ln).collect(),
        };
        let column = |f: &dyn Fn(&Row) -> f64| Cells::Float(rows.iter().map(|r| f(&r.3)).collect());
        let level = |codes: Vec<u32>, levels: Vec<String>| Cells::Level { codes, levels };
        let labels =
            self.groups.iter().map(|g| if g.label.is_empty() { "all".to_owned() } else { g.label.clone() }).collect();
        let words: Vec<String> = Outcome::ALL.iter().map(|o| o.status().word.to_owned()).collect();
        let reason = |g: usize, c: usize, row: &Row| match row.outcome {
            Outcome::NotEstimable | Outcome::GroupNotFitted => reasons
                .iter()
                .find(|(rg, rc, _)| *rg == g && *rc == c)
                .map_or_else(String::new, |(_, _, why)| why.clone()),
            outcome => outcome.status().sentence.to_owned(),
        };
        let cells = [
            level(rows.iter().map(|r| r.0 as u32).collect(), labels),
            Cells::Text(rows.iter().map(|r| self.genes()[r.2].clone()).collect()),
            level(rows.iter().map(|r| r.1 as u32).collect(), contrasts.iter().map(Contrast::name).collect()),
            column(&|r| r.estimate),
            column(&|r| r.se),
            column(&|r| r.t),
            column(&|r| r.df),
            column(&|r| r.ln_p.exp()),
            Cells::Float(adjusted.iter().map(|x| x.exp()).collect()),
            column(&|r| r.ln_p / LN_10),
            level(rows.iter().map(|r| r.3.outcome.code() as u32).collect(), words),
            Cells::Text(rows.iter().map(|(g, c, _, row)| reason(*g, *c, row)).collect()),
            Cells::Int(rows.iter().map(|r| self.groups[r.0].n_cells as i64).collect()),
        ];
        test_columns(unit).into_iter().zip(cells).fold(Table::new("tests"), |table, ((name, unit, meaning), cells)| {
            table.with(Column::new(name, unit, meaning, cells))
        })
    }
}

/// The columns of a table of tests: name, unit, meaning. `unit` is that of the transformed counts.
pub fn test_columns(unit: &str) -> [(&'static str, String, &'static str); 13] {
    let difference = format!("difference of {unit}");
    let none = String::new;
    [
        ("group", none(), "level of the grouping column; `all` without one"),
        ("gene", none(), "gene"),
        ("contrast", none(), "what is tested against zero"),
        ("estimate", difference.clone(), "estimate of the contrast"),
        ("se", difference, "standard error of the estimate"),
        ("t", none(), "estimate / se"),
        ("df", none(), "degrees of freedom of the reference distribution"),
        ("p_value", none(), "p-value"),
        ("adj_p_value", none(), "p-value adjusted for the false discovery rate"),
        ("log10_p_value", none(), "log10 of the p-value, also where the p-value itself is too small for a number"),
        ("status", none(), "what became of the gene"),
        ("reason", none(), "the status in a sentence"),
        ("n_cells", "cells".to_owned(), "cells of the group"),
    ]
}

impl Row {
    fn rescale(&mut self, factor: f64) {
        self.estimate *= factor;
        self.se *= factor;
    }

    const fn none(outcome: Outcome) -> Self {
        Self { estimate: f64::NAN, se: f64::NAN, t: f64::NAN, df: f64::NAN, ln_p: f64::NAN, outcome }
    }
}

/// ln of the p-value of t with the given degrees of freedom.
pub fn ln_p_value(t: f64, df: f64, alternative: Alternative) -> f64 {
    match alternative {
        Alternative::TwoSided => student_t::ln_two_sided(t, df),
        Alternative::Less => student_t::ln_lower(t, df),
        Alternative::Greater => student_t::ln_upper(t, df),
    }
}

impl GroupFit {
    /// The reference distribution that a test uses when none is asked for.
    pub fn default_df(&self) -> Df {
        if self.moderation.is_some() { Df::Moderated } else { Df::Satterthwaite }
    }

    /// Moderated tests of a contrast, where the group has them.
    pub fn moderated(
        &self,
        run: &Run,
        weights: &[f64],
        alternative: Alternative,
    ) -> Result<Option<Vec<ModeratedTest>>> {
        match (&self.moderation, &self.core) {
            (Some(moderation), Some(core)) => moderation.test(run, core, weights, alternative).map(Some),
            _ => Ok(None),
        }
    }

    /// The priors that were learnt from the genes, one for each component; empty where tests are not moderated.
    pub fn priors(&self) -> Vec<Priors> {
        self.moderation.as_ref().map(Moderated::priors).unwrap_or_default()
    }

    /// Why moderated tests of this group are not possible.
    pub(super) fn moderation_fault(&self) -> Fault {
        let place = if self.label.is_empty() { "df".to_owned() } else { format!("df, group `{}`", self.label) };
        let why =
            if self.not_moderated.is_empty() { "the fit was made with moderate = false" } else { &self.not_moderated };
        Fault::bad_input(format!("moderated tests are not possible: {why}"))
            .at(place)
            .hint("use df = \"satterthwaite\"")
    }

    fn test_one(&self, run: &Run, weights: &[f64], options: &TestOptions) -> Result<Vec<Row>> {
        let rule = options.df.unwrap_or_else(|| self.default_df());
        if rule == Df::Moderated {
            let Some(tests) = self.moderated(run, weights, options.alternative)? else {
                return Err(self.moderation_fault());
            };
            return Ok(tests
                .iter()
                .zip(&self.outcomes)
                .map(|(test, &outcome)| Row {
                    estimate: test.estimate,
                    se: test.se,
                    t: test.estimate / test.se,
                    df: test.df,
                    ln_p: test.ln_p,
                    outcome,
                })
                .collect());
        }
        let contrasts = Matrix::from_rows(weights.len(), 1, weights.to_vec());
        let estimates = self.estimates(run, &contrasts, Surface::Tested)?;
        let residual_df = self.n_cells as f64 - self.coefficients.len() as f64;
        Ok((0..self.outcomes.len())
            .map(|g| {
                let (estimate, se) = (estimates.estimate[g], estimates.variance[g].sqrt());
                let df = if rule == Df::Residual && !se.is_nan() { residual_df } else { estimates.df[g] };
                let t = estimate / se;
                Row { estimate, se, t, df, ln_p: ln_p_value(t, df, options.alternative), outcome: self.outcomes[g] }
            })
            .collect())
    }
}
