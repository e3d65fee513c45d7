//! Two models of the same genes and cells, side by side: likelihoods, AIC and BIC, and the likelihood-ratio test where
//! one is within the other.
//!
//! With d more fixed effects and m more random terms in the larger model, twice the log-likelihood ratio is referred to
//!
//! * χ²_d where m = 0;
//! * where components are held at zero or above: an even mixture of χ²_{d+m-1} and χ²_{d+m}, exact for m = 1 and too
//!   careful for more (Stram and Lee 1994, doi 10.2307/2533455);
//! * where they may be negative: the normal law of the signed root for d = 0, m = 1 (a variance above zero counts), and
//!   χ²_{d+m} else.

use ferrocyte_base::{Fault, Result, Run, Table, listing};
use ferrocyte_math::{chi_squared, normal};

use crate::lmm::fit::{Fit, GroupFit};
use crate::lmm::inference::long::{Head, Long, Ranked, assemble};
use crate::lmm::options::{Adjust, Method, Negative};
use crate::lmm::status::Outcome;
use crate::lmm::sums::{Component, GroupSums};

/// Sums of the same cells differ by no more than this, relative to their size.
const SAME: f64 = 1e-9;

/// One row before it becomes part of a table.
#[derive(Debug, Clone, Copy)]
struct Row {
    ll: [f64; 2],
    parameters: [f64; 2],
    n_cells: f64,
    lr: f64,
    df: f64,
    ln_p: f64,
    outcome: Outcome,
}

impl Ranked for Row {
    fn outcome(&self) -> Outcome {
        self.outcome
    }

    fn ln_p(&self) -> f64 {
        self.ln_p
    }
}

impl Row {
    const fn none(outcome: Outcome) -> Self {
        let nan = f64::NAN;
        Self { ll: [nan; 2], parameters: [nan; 2], n_cells: nan, lr: nan, df: nan, ln_p: nan, outcome }
    }

    fn aic(&self, which: usize) -> f64 {
        2.0 * (self.parameters[which] - self.ll[which])
    }

    fn bic(&self, which: usize) -> f64 {
        self.parameters[which] * self.n_cells.ln() - 2.0 * self.ll[which]
    }
}

/// How two models of a group stand to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Relation {
    /// The second (`larger = 1`) or the first holds the other, with so many more fixed effects and random terms.
    Nested { larger: usize, fixed: usize, random: usize },
    /// Neither holds the other.
    Apart,
}

impl Fit {
    /// Compares two fits of the same genes and cells, gene by gene and group by group.
    ///
    /// The table has the columns of [`comparison_columns`]; `_1` is this fit, `_2` the other. One model is within the
    /// other when its coefficients and random terms are, by name; otherwise there are likelihoods, AIC and BIC, but no
    /// test. Genes for which a fit has no interior estimate (`no_stationary`, `max_iter`) have no test: fit both with
    /// `negative = "zero"` to have one for all.
    ///
    /// Fails, naming what differs, when genes, groups, cells, transform, method or `negative` are not the same, and when
    /// fits by REML differ in their fixed effects: their likelihoods are of different data.
    pub fn compare(&self, run: &Run, other: &Self, adjust: Adjust) -> Result<Table> {
        self.check_same_data(other)?;
        let mut long = Long::new(self, vec!["models".to_owned()]);
        let mut apart = Vec::new();
        for (g, (mine, theirs)) in self.groups.iter().zip(&other.groups).enumerate() {
            let sums = [&self.sums().groups[g], &other.sums().groups[g]];
            if let Some(refused) = [mine, theirs].iter().find(|f| !f.refused.is_empty()) {
                long.push_none(g, 0, Row::none(Outcome::GroupNotFitted), refused.refused.clone());
                continue;
            }
            check_same_cells(sums)?;
            let relation = relation(sums);
            if self.options().method == Method::Reml && mine.coefficients.names() != theirs.coefficients.names() {
                return Err(reml_fault(sums));
            }
            if relation == Relation::Apart {
                apart.push(mine.label.as_str());
            }
            let rows: Vec<Row> = (0..self.genes().len())
                .map(|gene| compare_gene([mine, theirs], gene, relation, self.options().negative))
                .collect();
            long.push(g, 0, &rows);
        }
        if !apart.is_empty() {
            run.warn("neither model is within the other: there are AIC and BIC, but no test");
        }
        let [group, gene, _] = long.keys();
        let [p, adjusted, log10_p] = long.p_columns(|r| r.ln_p, adjust);
        let [status, reason, cells] = long.statuses();
        let cells = vec![
            group,
            gene,
            long.floats(|r| r.ll[0]),
            long.floats(|r| r.ll[1]),
            long.floats(|r| r.parameters[0]),
            long.floats(|r| r.parameters[1]),
            long.floats(|r| r.aic(0)),
            long.floats(|r| r.aic(1)),
            long.floats(|r| r.bic(0)),
            long.floats(|r| r.bic(1)),
            long.floats(|r| r.lr),
            long.floats(|r| r.df),
            p,
            adjusted,
            log10_p,
            status,
            reason,
            cells,
        ];
        Ok(assemble("comparison", comparison_columns(), cells))
    }

    /// Refuses fits of other genes, groups, values or kinds of likelihood.
    fn check_same_data(&self, other: &Self) -> Result<()> {
        let differ = |what: &str, mine: &str, theirs: &str| {
            Err(Fault::bad_input(format!("{what} differs: `{mine}` here, `{theirs}` there"))
                .at("compare")
                .hint("compare two models of the same genes and cells, fitted in the same way"))
        };
        if let Some(at) = self.genes().iter().zip(other.genes()).position(|(a, b)| a != b) {
            return differ(&format!("gene {at}"), &self.genes()[at], &other.genes()[at]);
        }
        let labels = |fit: &Self| {
            let all: Vec<String> = fit.groups.iter().map(|g| g.label.clone()).collect();
            listing(&all, 20)
        };
        for (what, mine, theirs) in [
            ("the number of genes", self.genes().len().to_string(), other.genes().len().to_string()),
            ("the list of groups", labels(self), labels(other)),
            ("the transform", self.sums().transform.unit(), other.sums().transform.unit()),
            ("`method`", self.options().method.word().to_owned(), other.options().method.word().to_owned()),
            ("`negative`", self.options().negative.word().to_owned(), other.options().negative.word().to_owned()),
        ] {
            if mine != theirs {
                return differ(what, &mine, &theirs);
            }
        }
        for (mine, theirs) in self.groups.iter().zip(&other.groups) {
            if mine.n_cells != theirs.n_cells {
                let place = if mine.label.is_empty() { String::new() } else { format!(" of group `{}`", mine.label) };
                let what = format!("the number of cells{place}");
                return differ(&what, &mine.n_cells.to_string(), &theirs.n_cells.to_string());
            }
        }
        Ok(())
    }
}

/// Refuses sums that are not of the same cells: y'y differs, or X'X of the coefficients that both have.
fn check_same_cells(sums: [&GroupSums; 2]) -> Result<()> {
    let close = |a: f64, b: f64, size: f64| (a - b).abs() <= SAME * size;
    let refuse = |what: String| {
        Err(Fault::bad_input(format!("{what}: the two fits are not of the same cells"))
            .at("compare")
            .hint("make both sums from the same study, layer and cells"))
    };
    let [mine, theirs] = sums;
    if let Some(gene) = mine.y_norm.iter().zip(&theirs.y_norm).position(|(a, b)| !close(*a, *b, a.abs().max(b.abs()))) {
        return refuse(format!("the sum of squares of gene {gene} differs"));
    }
    let names = mine.coefficients.names();
    let shared: Vec<(usize, usize)> = names
        .iter()
        .enumerate()
        .filter_map(|(i, name)| Some((i, theirs.coefficients.names().iter().position(|n| n == name)?)))
        .collect();
    for &(i, j) in &shared {
        if !close(mine.xx[(i, i)], theirs.xx[(j, j)], mine.xx[(i, i)].abs()) {
            return refuse(format!("the column `{}` differs", names[i]));
        }
    }
    Ok(())
}

fn reml_fault(sums: [&GroupSums; 2]) -> Fault {
    let only = |a: &GroupSums, b: &GroupSums| {
        let theirs = b.coefficients.names();
        let names: Vec<String> = a.coefficients.names().iter().filter(|n| !theirs.contains(n)).cloned().collect();
        if names.is_empty() { "none".to_owned() } else { listing(&names, 5) }
    };
    Fault::bad_input(format!(
        "REML likelihoods of models with different fixed effects cannot be compared (only here: {}; only there: {})",
        only(sums[0], sums[1]),
        only(sums[1], sums[0])
    ))
    .at("compare")
    .hint("fit both with method=\"ML\" from the same sums; or test the coefficients jointly in the larger model")
}

/// Which model holds the other, by the names of coefficients and random effects.
fn relation(sums: [&GroupSums; 2]) -> Relation {
    let within = |small: &GroupSums, large: &GroupSums| {
        let fixed = small.coefficients.names().iter().all(|n| large.coefficients.names().contains(n));
        let random = small.components.iter().all(|c: &Component| large.components.contains(c));
        fixed && random
    };
    let more = |large: &GroupSums, small: &GroupSums, larger: usize| Relation::Nested {
        larger,
        fixed: large.n_fixed() - small.n_fixed(),
        random: large.components.len() - small.components.len(),
    };
    if within(sums[0], sums[1]) {
        more(sums[1], sums[0], 1)
    } else if within(sums[1], sums[0]) {
        more(sums[0], sums[1], 0)
    } else {
        Relation::Apart
    }
}

fn compare_gene(fits: [&GroupFit; 2], gene: usize, relation: Relation, negative: Negative) -> Row {
    let unsettled = |o: Outcome| matches!(o, Outcome::NoStationary | Outcome::MaxIter | Outcome::NotIdentifiable);
    let larger = if let Relation::Nested { larger, .. } = relation { larger } else { 1 };
    // The row tells what is wrong with either fit.
    let outcomes = fits.map(|f| f.outcomes[gene]);
    let smaller_speaks = unsettled(outcomes[1 - larger]) || !outcomes[1 - larger].has_estimate();
    let outcome = outcomes[if smaller_speaks { 1 - larger } else { larger }];
    let mut row = Row {
        ll: fits.map(|f| f.log_likelihood[gene]),
        parameters: fits.map(|f| (f.coefficients.len() + f.n_components() + 1) as f64),
        n_cells: fits[0].n_cells as f64,
        ..Row::none(outcome)
    };
    let Relation::Nested { fixed, random, .. } = relation else { return row };
    if fixed + random == 0 || outcomes.iter().any(|&o| unsettled(o) || !o.has_estimate()) {
        return row;
    }
    row.lr = 2.0 * (row.ll[larger] - row.ll[1 - larger]);
    row.df = (fixed + random) as f64;
    let positive = || extra_is_positive(fits, larger, gene);
    row.ln_p = ln_p_of_ratio(row.lr, fixed, random, negative, positive);
    row
}

/// Whether the one component that only the larger model has is at zero or above.
fn extra_is_positive(fits: [&GroupFit; 2], larger: usize, gene: usize) -> bool {
    let (large, small) = (fits[larger], fits[1 - larger]);
    let extra = large.components.iter().position(|c| !small.components.contains(c)).unwrap_or(0);
    large.theta[gene * (large.n_components() + 1) + extra] >= 0.0
}

/// ln of the p-value of a likelihood ratio.
fn ln_p_of_ratio(lr: f64, fixed: usize, random: usize, negative: Negative, positive: impl Fn() -> bool) -> f64 {
    if lr.is_nan() {
        return f64::NAN;
    }
    let (lr, df) = (lr.max(0.0), (fixed + random) as f64);
    match (negative, fixed, random) {
        (_, _, 0) => chi_squared::ln_upper(lr, df),
        (Negative::Zero, 0, 1) => chi_squared::half_half_ln_upper(lr),
        (Negative::Zero, ..) => {
            let (less, more) = (chi_squared::ln_upper(lr, df - 1.0), chi_squared::ln_upper(lr, df));
            // `more` is the larger of the two.
            more + (0.5 * (1.0 + (less - more).exp())).ln()
        }
        (Negative::Allow, 0, 1) => normal::ln_upper(if positive() { lr.sqrt() } else { -lr.sqrt() }),
        (Negative::Allow, ..) => chi_squared::ln_upper(lr, df),
    }
}

/// The columns of a comparison: name, unit, meaning.
pub fn comparison_columns() -> [Head; 18] {
    let none = String::new;
    [
        ("group", none(), "level of the grouping column; `all` without one"),
        ("gene", none(), "gene"),
        ("ll_1", none(), "log-likelihood of the first model"),
        ("ll_2", none(), "log-likelihood of the second model"),
        ("parameters_1", none(), "fixed effects and variances of the first model"),
        ("parameters_2", none(), "fixed effects and variances of the second model"),
        ("aic_1", none(), "Akaike's criterion of the first model; less is better"),
        ("aic_2", none(), "Akaike's criterion of the second model"),
        ("bic_1", none(), "Bayesian criterion of the first model, with the number of cells"),
        ("bic_2", none(), "Bayesian criterion of the second model"),
        ("lr", none(), "twice the log-likelihood ratio of the larger model over the smaller"),
        ("df", none(), "how many more parameters the larger model has"),
        ("p_value", none(), "p-value of the smaller model"),
        ("adj_p_value", none(), "p-value adjusted for the false discovery rate"),
        ("log10_p_value", none(), "log10 of the p-value, also where the p-value itself is too small for a number"),
        ("status", none(), "what became of the gene"),
        ("reason", none(), "the status in a sentence"),
        ("n_cells", "cells".to_owned(), "cells of the group"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_of_the_ratio() {
        let p = |lr, fixed, random, negative, positive| ln_p_of_ratio(lr, fixed, random, negative, || positive).exp();
        let chi = chi_squared::upper;
        assert_eq!(p(5.0, 2, 0, Negative::Zero, true), chi(5.0, 2.0));
        assert!((p(5.0, 0, 1, Negative::Zero, true) - 0.5 * chi(5.0, 1.0)).abs() < 1e-15);
        assert!((p(5.0, 0, 1, Negative::Allow, true) - 0.5 * chi(5.0, 1.0)).abs() < 1e-15);
        assert!(p(5.0, 0, 1, Negative::Allow, false) > 0.98);
        let mixed = 0.5 * (chi(5.0, 2.0) + chi(5.0, 3.0));
        assert!((p(5.0, 2, 1, Negative::Zero, true) - mixed).abs() < 1e-15);
        assert_eq!(p(-1.0, 0, 1, Negative::Zero, true), 1.0);
        assert_eq!(p(5.0, 0, 2, Negative::Allow, true), chi(5.0, 2.0));
        // Far out the mixture keeps its digits: half of each tail, the smaller negligible.
        let far = ln_p_of_ratio(5000.0, 0, 2, Negative::Zero, || true);
        let exact = chi_squared::ln_upper(5000.0, 2.0) + (0.5_f64).ln();
        assert!(far > exact && far < exact + 0.02, "{far} {exact}");
    }
}
