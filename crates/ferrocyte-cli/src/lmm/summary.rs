//! What a fit and its tests found, in a few lines for people and as data for programs.

use ferrocyte_base::{Cells, Fault, Result, Table, listing};
use ferrocyte_mixed::lmm::Fit;
use serde_json::{Value as Json, json};

/// The false discovery rate at which genes are counted.
const LEVEL: f64 = 0.05;

/// How many genes are named.
const FIRST: usize = 5;

/// How many lines of findings people get; a program gets all.
const MOST_LINES: usize = 40;

/// What the tests of one contrast in one group found.
#[derive(Debug, PartialEq)]
pub(super) struct Finding {
    group: String,
    contrast: String,
    /// Genes with a p-value.
    tested: usize,
    /// Genes at 5 % false discovery rate.
    significant: usize,
    /// The genes with the smallest p-values.
    first: Vec<String>,
}

/// What a table of tests found, in its order. Its rows are sorted by p-value within each group and contrast.
pub(super) fn findings(table: &Table) -> Result<Vec<Finding>> {
    let (groups, contrasts) = (levels(table, "group")?, levels(table, "contrast")?);
    let Cells::Text(genes) = &table.column("gene")?.cells else { return Err(unexpected("gene")) };
    let adjusted = table.floats("adj_p_value")?;
    let mut found: Vec<Finding> = Vec::new();
    let mut last = None;
    for row in 0..table.n_rows() {
        let (group, contrast) = (groups.0[row], contrasts.0[row]);
        if last != Some((group, contrast)) {
            last = Some((group, contrast));
            let name =
                |(_, levels): (&[u32], &[String]), code: u32| levels.get(code as usize).cloned().unwrap_or_default();
            let (group, contrast) = (name(groups, group), name(contrasts, contrast));
            found.push(Finding { group, contrast, tested: 0, significant: 0, first: Vec::new() });
        }
        let Some(finding) = found.last_mut() else { continue };
        if !adjusted[row].is_nan() {
            finding.tested += 1;
            finding.significant += usize::from(adjusted[row] < LEVEL);
            if finding.first.len() < FIRST {
                finding.first.push(genes[row].clone());
            }
        }
    }
    Ok(found)
}

fn levels<'a>(table: &'a Table, name: &str) -> Result<(&'a [u32], &'a [String])> {
    match &table.column(name)?.cells {
        Cells::Level { codes, levels } => Ok((codes, levels)),
        _ => Err(unexpected(name)),
    }
}

fn unexpected(name: &str) -> Fault {
    Fault::internal(format!("column `{name}` of the tests is of another type than expected"))
}

/// A fit and what its tests found, in a few lines.
pub(super) fn of_fit(fit: &Fit, found: &[Finding]) -> String {
    let mut lines = vec![fit.describe()];
    let mut contrast = None;
    for finding in found.iter().take(MOST_LINES) {
        if contrast != Some(&finding.contrast) && found.iter().any(|f| f.group != finding.group) {
            lines.push(format!("tests of {}", finding.contrast));
        }
        contrast = Some(&finding.contrast);
        let name = if found.iter().any(|f| f.group != finding.group) { &finding.group } else { &finding.contrast };
        let first = if finding.first.is_empty() {
            String::new()
        } else {
            format!("; first {}", listing(&finding.first, FIRST))
        };
        lines.push(format!("  {name}: {} of {} genes at 5 % FDR{first}", finding.significant, finding.tested));
    }
    if found.len() > MOST_LINES {
        lines.push(format!("  and {} more", found.len() - MOST_LINES));
    }
    lines.join("\n")
}

/// The same as data.
pub(super) fn of_fit_as_data(fit: &Fit, found: &[Finding]) -> Vec<(&'static str, Json)> {
    let groups = fit.groups.iter().map(|group| {
        let units: serde_json::Map<String, Json> =
            group.components.iter().zip(&group.n_units).map(|(c, &n)| (c.name.clone(), n.into())).collect();
        let outcomes: serde_json::Map<String, Json> =
            group.outcome_counts().iter().map(|(o, n)| (o.status().word.to_owned(), (*n).into())).collect();
        json!({"group": group.label, "cells": group.n_cells, "units": units, "status": outcomes, "refused": group.refused})
    });
    let tests = found.iter().map(|f| {
        json!({"group": f.group, "contrast": f.contrast, "tested": f.tested, "significant": f.significant, "first": f.first})
    });
    vec![
        ("formula", fit.sums().formula.clone().into()),
        ("genes", fit.genes().len().into()),
        ("cells", fit.sums().n_cells().into()),
        ("groups", groups.collect()),
        ("tests", tests.collect()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_base::Column;

    #[test]
    fn findings_follow_the_table() -> Result<()> {
        let text = |all: &str| all.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let table = Table::new("tests")
            .with(Column::level("group", "", vec![0, 0, 0, 1, 1, 1], text("B T")))
            .with(Column::text("gene", "", text("g2 g1 g3 g1 g2 g3")))
            .with(Column::level("contrast", "", vec![0; 6], text("trt")))
            .with(Column::float("adj_p_value", "", "", vec![0.01, 0.05, f64::NAN, 0.001, 0.02, 0.03]));
        let found = findings(&table)?;
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].group.as_str(), found[0].tested, found[0].significant), ("B", 2, 1));
        assert_eq!((found[1].tested, found[1].significant, found[1].first.join(" ")), (3, 3, "g1 g2 g3".to_owned()));
        Ok(())
    }
}
