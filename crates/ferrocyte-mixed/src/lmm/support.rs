//! How many cells and units (samples, donors) stand behind each coefficient.

use ferrocyte_base::{Cells, Column, Table};
use ferrocyte_design::{Coefficients, Part};

use crate::lmm::sums::{GroupSums, Sums};

/// What stands behind one coefficient of one group.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lmm) struct Support {
    pub(in crate::lmm) group: String,
    pub(in crate::lmm) coefficient: String,
    pub(in crate::lmm) term: String,
    /// Cells in which its column is not zero; NaN where that is not known.
    pub(in crate::lmm) n_cells: f64,
    /// Units of each random grouping with such a cell.
    pub(in crate::lmm) n_units: Vec<f64>,
}

/// The table of what stands behind coefficients; `groupings` names the columns of units.
pub(in crate::lmm) fn support_table(groupings: &[String], rows: &[Support]) -> Table {
    let text = |f: &dyn Fn(&Support) -> &String| rows.iter().map(|r| f(r).clone()).collect();
    let table = Table::new("support")
        .with(Column::text("group", "level of the grouping column; `all` without one", text(&|r| &r.group)))
        .with(Column::text("coefficient", "fixed effect", text(&|r| &r.coefficient)))
        .with(Column::text("term", "the term of the formula that it belongs to", text(&|r| &r.term)))
        .with(Column::float(
            "n_cells",
            "cells",
            "cells that have its level, or levels; all of them for covariates",
            rows.iter().map(|r| r.n_cells).collect(),
        ));
    groupings.iter().enumerate().fold(table, |table, (c, name)| {
        table.with(Column::new(
            format!("n_{name}"),
            name.as_str(),
            "levels of the random term with such a cell",
            Cells::Float(rows.iter().map(|r| r.n_units[c]).collect()),
        ))
    })
}

/// The label of a group in tables.
pub(in crate::lmm) fn group_label(label: &str) -> String {
    if label.is_empty() { "all".to_owned() } else { label.to_owned() }
}

impl Sums {
    /// How many cells and units stand behind each coefficient: `group`, `coefficient`, `term`, `n_cells`, and `n_...`
    /// for each random grouping. A difference between arms is as good as its smaller arm. Read off X'X and Z'X.
    pub fn support(&self) -> Table {
        let fitted = || self.groups.iter().filter(|g| g.refused.is_empty());
        let groupings: Vec<usize> = fitted().next().map(indicator_components).unwrap_or_default();
        let names: Vec<String> = fitted()
            .next()
            .map(|g| groupings.iter().map(|&c| g.components[c].name.clone()).collect())
            .unwrap_or_default();
        let rows: Vec<Support> = fitted().flat_map(|g| support_of(g, &groupings)).collect();
        support_table(&names, &rows)
    }
}

/// The components whose columns are indicators: they count units, slopes do not.
fn indicator_components(group: &GroupSums) -> Vec<usize> {
    let mut from = 0;
    let mut found = Vec::new();
    for (c, component) in group.components.iter().enumerate() {
        let to = from + component.columns.len();
        let total: f64 = (from..to).map(|j| group.zz[(j, j)]).sum();
        if total == group.n_cells as f64 {
            found.push(c);
        }
        from = to;
    }
    found
}

fn support_of(group: &GroupSums, groupings: &[usize]) -> Vec<Support> {
    let terms = group.coefficients.terms();
    let mut starts = vec![0];
    for component in &group.components {
        starts.push(starts[starts.len() - 1] + component.columns.len());
    }
    let units = |c: usize, column: usize| {
        (starts[c]..starts[c + 1]).filter(|&unit| group.zx[(unit, column)] != 0.0).count() as f64
    };
    group
        .coefficients
        .names()
        .iter()
        .enumerate()
        .map(|(column, name)| Support {
            group: group_label(&group.label),
            coefficient: name.clone(),
            term: terms.iter().find(|t| t.columns.contains(&column)).map(|t| t.name.clone()).unwrap_or_default(),
            n_cells: cells_behind(group, column),
            n_units: groupings.iter().map(|&c| units(c, column)).collect(),
        })
        .collect()
}

/// Cells with the levels of a coefficient: the sum of squares of an indicator; for the product of an indicator and a
/// covariate, that of the indicator, where the model has it by itself.
fn cells_behind(group: &GroupSums, column: usize) -> f64 {
    let Some(parts) = group.coefficients.parts(column) else { return f64::NAN };
    let levels: Vec<&Part> = parts.iter().filter(|p| matches!(p, Part::Level { .. })).collect();
    if levels.is_empty() {
        return group.n_cells as f64;
    }
    let same = |coefficients: &Coefficients, other: usize| {
        coefficients.parts(other).is_some_and(|o| o.len() == levels.len() && levels.iter().all(|l| o.contains(l)))
    };
    (0..group.n_fixed())
        .find(|&other| same(&group.coefficients, other))
        .map_or(f64::NAN, |other| group.xx[(other, other)])
}
