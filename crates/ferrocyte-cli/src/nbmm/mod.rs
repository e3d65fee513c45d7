//! `ferrocyte nbmm`: negative-binomial mixed models of counts. One file per verb; what they share beside them.

pub(crate) mod arguments;
mod fit;
mod study;
mod sums;
mod test;

use std::path::Path;

use ferrocyte_base::{Cells, Result, Run, Table};
use ferrocyte_data::Additive;
use ferrocyte_mixed::lmm::Contrast;
use ferrocyte_mixed::nbmm::{Adjust, Effect, Family, Fit, FitOptions, Method, Statistic, Sums, TestOptions};
use serde_json::{Value as Json, json};

use crate::Verb;
use crate::config::Settings;
use crate::faults::Failure;
use crate::lmm::read_kind;

/// What does the work of each verb.
pub(crate) const VERBS: &[(&str, Verb)] = &[("sums", sums::run), ("fit", fit::run), ("test", test::run)];

/// The kind of a part that holds sums.
pub(crate) const SUMS: &str = "nbmm.sums";
/// The kind of a part that holds a fit.
pub(crate) const FIT: &str = "nbmm.fit";

/// The coefficient that is tested only when it is named.
const INTERCEPT: &str = "(Intercept)";

/// The false discovery rate at which genes are counted.
const LEVEL: f64 = 0.05;

/// A whole number, if one was given.
fn number<T: std::str::FromStr>(settings: &Settings, name: &str) -> std::result::Result<Option<T>, Failure> {
    let refuse = |text: &str| Failure::usage(name, format!("expected a whole number, found `{text}`"), "give a number");
    settings.one(name).map(|text| text.parse().map_err(|_| refuse(text))).transpose()
}

/// How a model is fitted, from the settings.
fn fit_options(settings: &Settings) -> std::result::Result<FitOptions, Failure> {
    Ok(FitOptions {
        effect: Effect::from_word(settings.word("re"))?,
        family: Family::from_word(settings.word("family"))?,
        method: Method::from_word(settings.word("method"))?,
        moderate: settings.word("moderate") == "true",
        min_count: number(settings, "min_count")?.unwrap_or(0),
        quad: number(settings, "quad")?,
    })
}

/// How contrasts are tested, from the settings.
fn test_options(settings: &Settings) -> Result<TestOptions> {
    Ok(TestOptions {
        statistic: Statistic::from_word(settings.word("statistic"))?,
        adjust: Adjust::from_word(settings.word("adjust"))?,
        allow_no_replication: settings.word("allow_no_replication") == "true",
    })
}

/// Reads a fit, or sums that are fitted with the defaults.
fn saved_fit(run: &Run, path: &Path) -> Result<Fit> {
    let part = read_kind(path, &[FIT, SUMS], "make one with `ferrocyte nbmm fit`")?;
    let fit = if part.kind == FIT {
        Fit::from_part(run, &part)
    } else {
        Sums::from_part(&part).and_then(|sums| Fit::new(run, sums, FitOptions::default()))
    };
    fit.map_err(|f| f.at(path.display().to_string()))
}

/// What is tested: what was asked for, or every coefficient but the intercept.
fn contrasts(settings: &Settings, fit: &Fit) -> std::result::Result<Vec<Contrast>, Failure> {
    let differences = settings.all("contrast").iter().map(|text| crate::lmm::difference(text));
    let asked = differences.chain(settings.all("test").iter().map(|text| Ok(crate::lmm::expression(text))));
    let asked = asked.collect::<std::result::Result<Vec<_>, Failure>>()?;
    if !asked.is_empty() {
        return Ok(asked);
    }
    let mut names: Vec<&String> = Vec::new();
    for group in fit.sums().groups.iter().filter(|g| g.refused.is_empty()) {
        for name in group.coefficients.names() {
            if name != INTERCEPT && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        let message = "the model has no coefficient but the intercept";
        return Err(Failure::usage("test", message, format!("name what is tested: --test \"{INTERCEPT}\"")));
    }
    Ok(names.into_iter().map(Contrast::expression).collect())
}

/// How many genes of each group and contrast are found, in the order of the table.
fn findings(table: &Table) -> Result<Vec<(String, String, usize, usize)>> {
    let level = |name: &str| -> Result<Vec<String>> {
        Ok(match &table.column(name)?.cells {
            Cells::Level { codes, levels } => codes.iter().map(|&c| levels[c as usize].clone()).collect(),
            _ => vec![String::new(); table.n_rows()],
        })
    };
    let (groups, contrasts, adjusted) = (level("group")?, level("contrast")?, table.floats("adj_p_value")?);
    let mut found: Vec<(String, String, usize, usize)> = Vec::new();
    for ((group, contrast), &p) in groups.into_iter().zip(contrasts).zip(adjusted) {
        if found.last().is_none_or(|last| (&last.0, &last.1) != (&group, &contrast)) {
            found.push((group, contrast, 0, 0));
        }
        if let Some((_, _, tested, significant)) = found.last_mut() {
            *tested += usize::from(!p.is_nan());
            *significant += usize::from(p < LEVEL);
        }
    }
    Ok(found)
}

/// A fit and what its tests found, in a few lines.
fn lines(fit: &Fit, found: &[(String, String, usize, usize)]) -> String {
    let mut lines = vec![fit.describe()];
    lines.extend(found.iter().take(40).map(|(group, contrast, tested, significant)| {
        format!("  {group}, {contrast}: {significant} of {tested} genes at 5 % FDR")
    }));
    lines.join("\n")
}

/// The same as data.
fn summary(fit: &Fit, found: &[(String, String, usize, usize)]) -> Vec<(&'static str, Json)> {
    let groups = fit.groups.iter().zip(&fit.sums().groups).map(|(group, sums)| {
        let outcomes: serde_json::Map<String, Json> =
            group.outcome_counts().iter().map(|(o, n)| (o.word(), (*n).into())).collect();
        json!({"group": group.label, "cells": sums.n_cells, "path": sums.path(), "status": outcomes, "refused": group.refused})
    });
    let tests = found.iter().map(|(group, contrast, tested, significant)| {
        json!({"group": group, "contrast": contrast, "tested": tested, "significant": significant})
    });
    vec![
        ("formula", fit.sums().formula.clone().into()),
        ("genes", fit.genes().len().into()),
        ("cells", fit.sums().n_cells().into()),
        ("groups", groups.collect()),
        ("tests", tests.collect()),
    ]
}
