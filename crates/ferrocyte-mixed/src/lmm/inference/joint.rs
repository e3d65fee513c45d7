//! Joint (F) tests of several coefficients: one table, a row per group, hypothesis and gene.

use ferrocyte_base::{Fault, Result, Run, Table};
use ferrocyte_math::linalg::Matrix;

use crate::lmm::core::Structure;
use crate::lmm::fit::{Fit, GroupFit};
use crate::lmm::inference::hypothesis::{Hypothesis, independent};
use crate::lmm::inference::long::{Head, Long, Ranked, assemble};
use crate::lmm::inference::moderated;
use crate::lmm::inference::wald::FTest;
use crate::lmm::moderated::Moderated;
use crate::lmm::options::{Alternative, Df, TestOptions};
use crate::lmm::status::Outcome;

/// The coefficient that is no term to test.
const INTERCEPT: &str = "(Intercept)";

/// One row before it becomes part of a table.
#[derive(Debug, Clone, Copy)]
struct Row {
    test: FTest,
    outcome: Outcome,
}

impl Ranked for Row {
    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn ln_p(&self) -> f64 {
        self.test.ln_p
    }
}

impl Fit {
    /// Tests that all contrasts of a hypothesis are zero, for each hypothesis in all groups.
    ///
    /// The table has the columns of [`joint_test_columns`], sorted by p-value within each group and hypothesis.
    /// Contrasts that depend on those before them are left out; `df1` is the number of those that remain. With one
    /// contrast left, F is t² and the p-value that of the two-sided t test. Tests look to both sides:
    /// `options.alternative` must be two-sided.
    ///
    /// A group in which a hypothesis cannot be formed has rows with a status that says so; it is an error only when
    /// that is so in every group.
    pub fn test_joint(&self, run: &Run, hypotheses: &[Hypothesis], options: &TestOptions) -> Result<Table> {
        if options.alternative != Alternative::TwoSided {
            return Err(Fault::bad_input(format!("a joint test has no side, found `{}`", options.alternative.word()))
                .at("alternative")
                .hint("leave it at `two.sided`, or test contrasts one by one"));
        }
        let mut long = Long::new(self, hypotheses.iter().map(Hypothesis::name).collect());
        for (i, hypothesis) in hypotheses.iter().enumerate() {
            self.refuse_impossible(|group| group.independent(hypothesis).map(|_| ()))?;
            match hypothesis {
                Hypothesis::Term(name) => self.warn_of_term(run, name),
                Hypothesis::Parts { parts, .. } => parts.iter().for_each(|part| self.warn_of_term(run, part)),
                Hypothesis::Contrasts { .. } | Hypothesis::Rows { .. } => {}
            }
            for (g, group) in self.groups.iter().enumerate() {
                let none = |outcome| Row { test: FTest::NONE, outcome };
                if !group.refused.is_empty() {
                    long.push_none(g, i, none(Outcome::GroupNotFitted), group.refused.clone());
                    continue;
                }
                match group.test_hypothesis(run, hypothesis, options.df) {
                    Ok(rows) => long.push(g, i, &rows),
                    Err(Refused::Hypothesis(fault)) => {
                        long.push_none(g, i, none(Outcome::NotEstimable), fault.to_string());
                    }
                    Err(Refused::Test(fault)) => return Err(fault),
                }
            }
        }
        let [group, gene, hypothesis] = long.keys();
        let [p, adjusted, log10_p] = long.p_columns(|r| r.test.ln_p, options.adjust);
        let [status, reason, cells] = long.statuses();
        let cells = vec![
            group,
            gene,
            hypothesis,
            long.floats(|r| r.test.f),
            long.floats(|r| r.test.df1),
            long.floats(|r| r.test.df2),
            p,
            adjusted,
            log10_p,
            status,
            reason,
            cells,
        ];
        Ok(assemble("joint tests", joint_test_columns(), cells))
    }

    /// Tests every term of the model but the intercept, each jointly and given all others: as hypotheses of
    /// [`Fit::test_joint`].
    ///
    /// This is a type III analysis *of the coefficients*: where a factor takes part in an interaction, its own term
    /// is its effect at the reference level of the other factor, not an average over levels.
    pub fn terms(&self) -> Result<Vec<Hypothesis>> {
        let mut names: Vec<String> = Vec::new();
        for group in self.groups.iter().filter(|g| g.refused.is_empty()) {
            for term in group.coefficients.terms().into_iter().filter(|term| !term.columns.is_empty()) {
                if term.name != INTERCEPT && !names.contains(&term.name) {
                    names.push(term.name);
                }
            }
        }
        if names.is_empty() {
            return Err(Fault::bad_input("the model has no term but the intercept")
                .hint(format!("name what is tested: `{INTERCEPT}`")));
        }
        Ok(names.into_iter().map(Hypothesis::Term).collect())
    }

    /// Fails with the first reason when something can be formed in no group.
    pub(super) fn refuse_impossible(&self, form: impl Fn(&GroupFit) -> Result<()>) -> Result<()> {
        let mut first = None;
        for group in self.groups.iter().filter(|g| g.refused.is_empty()) {
            match form(group) {
                Ok(()) => return Ok(()),
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        Err(first.unwrap_or_else(|| Fault::bad_input("no group was fitted")))
    }

    /// Says what a within-unit comparison costs where the model has no term for the unit treated.
    fn warn_of_term(&self, run: &Run, term: &str) {
        for (name, warning) in &self.sums().replication {
            if term.split(':').any(|variable| variable.trim() == name) {
                run.warn(warning);
            }
        }
    }
}

/// Why a group has no rows: the hypothesis has no meaning there, or it cannot be tested as asked at all.
enum Refused {
    Hypothesis(Fault),
    Test(Fault),
}

impl GroupFit {
    /// The independent contrasts of a hypothesis, p × r.
    fn independent(&self, hypothesis: &Hypothesis) -> Result<Matrix> {
        let weights = hypothesis.weights(self)?;
        match &self.core {
            Some(core) => independent(&weights, &core.shared.xx_inverse),
            None => Ok(weights),
        }
    }

    fn test_hypothesis(
        &self,
        run: &Run,
        hypothesis: &Hypothesis,
        df: Option<Df>,
    ) -> std::result::Result<Vec<Row>, Refused> {
        let Some(core) = &self.core else {
            let none = Row { test: FTest::NONE, outcome: Outcome::GroupNotFitted };
            return Ok(vec![none; self.outcomes.len()]);
        };
        let contrasts = self.independent(hypothesis).map_err(Refused::Hypothesis)?;
        // With two components single contrasts are moderated, joint tests are not.
        let of_one = match &self.moderation {
            Some(Moderated::One(moderation)) => Some(moderation),
            _ => None,
        };
        let rule = df.unwrap_or(if of_one.is_some() { Df::Moderated } else { Df::Satterthwaite });
        let tests = if rule == Df::Moderated {
            match (of_one, &core.structure) {
                (Some(moderation), Structure::One { spectrum, .. }) => {
                    moderated::f_tests(run, core, spectrum, moderation, &contrasts)
                }
                (None, Structure::Several(_)) if self.moderation.is_some() => Err(Fault::bad_input(
                    "joint tests are moderated where there is one random term, this model has two",
                )
                .at("df")
                .hint("use df = \"satterthwaite\"")),
                _ => Err(self.moderation_fault()),
            }
        } else {
            self.f_tests(run, core, &contrasts, rule == Df::Satterthwaite)
        }
        .map_err(Refused::Test)?;
        Ok(tests.into_iter().zip(&self.outcomes).map(|(test, &outcome)| Row { test, outcome }).collect())
    }
}

/// The columns of a table of joint tests: name, unit, meaning.
pub fn joint_test_columns() -> [Head; 12] {
    let none = String::new;
    [
        ("group", none(), "level of the grouping column; `all` without one"),
        ("gene", none(), "gene"),
        ("contrast", none(), "the hypothesis: what is zero together"),
        ("F", none(), "F statistic"),
        ("df1", none(), "numerator degrees of freedom: independent contrasts"),
        ("df2", none(), "denominator degrees of freedom of the reference distribution"),
        ("p_value", none(), "p-value"),
        ("adj_p_value", none(), "p-value adjusted for the false discovery rate"),
        ("log10_p_value", none(), "log10 of the p-value, also where the p-value itself is too small for a number"),
        ("status", none(), "what became of the gene"),
        ("reason", none(), "the status in a sentence"),
        ("n_cells", "cells".to_owned(), "cells of the group"),
    ]
}
