//! Which cells take part, and in which group.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Frame, ObsColumn};
use ferrocyte_design::{LIBSIZE, Model};

use crate::lmm::options::NaChoice;

/// Levels of the grouping column and the rows of their cells; no rows are listed where all cells take part.
pub(crate) type CellsByGroup = Vec<(String, Option<Vec<usize>>)>;

/// The cells of each level of `groups` (all cells under an empty label without one), rows rising. Cells without a level,
/// and under `drop` those that lack a value which the model needs, are left out with a warning.
pub(crate) fn cells_by_group(
    obs: &Frame,
    model: &Model,
    groups: Option<&str>,
    na: NaChoice,
    warnings: &mut Vec<String>,
) -> Result<CellsByGroup> {
    let mut cells = match groups {
        None => vec![(String::new(), None)],
        Some(column) => {
            let factor = obs.factor(column)?;
            let mut rows: Vec<Vec<usize>> = vec![Vec::new(); factor.levels.len()];
            let mut without = 0;
            for (i, code) in factor.codes.iter().enumerate() {
                match rows.get_mut(code as usize) {
                    Some(list) => list.push(i),
                    None => without += 1,
                }
            }
            if without > 0 {
                warnings.push(format!("{without} cells have no `{column}` and are left out"));
            }
            let used = factor.levels.iter().cloned().zip(rows).filter(|(_, rows)| !rows.is_empty());
            used.map(|(level, rows)| (level, Some(rows))).collect()
        }
    };
    match na {
        NaChoice::Refuse => check_missing(obs, model, &cells)?,
        NaChoice::Drop => warnings.extend(drop_missing(obs, model, &mut cells)?),
    }
    Ok(cells)
}

/// The columns of obs that the model reads.
fn columns_of<'a>(obs: &'a Frame, model: &Model) -> Result<Vec<(String, &'a ObsColumn)>> {
    let mut names = model.variables();
    names.retain(|name| name != LIBSIZE || obs.get(LIBSIZE).is_some());
    names.into_iter().map(|name| obs.column(&name).map(|column| (name, column))).collect()
}

fn is_missing(column: &ObsColumn, row: usize) -> bool {
    match column {
        ObsColumn::Number(values) => values[row].is_nan(),
        ObsColumn::Factor(factor) => factor.level(row).is_none(),
    }
}

/// Missing values of the model's columns among the cells that take part, all in one fault.
fn check_missing(obs: &Frame, model: &Model, cells: &CellsByGroup) -> Result<()> {
    let mut found = Vec::new();
    for (name, column) in columns_of(obs, model)? {
        let count = |rows: &Option<Vec<usize>>| match rows {
            Some(rows) => rows.iter().filter(|&&row| is_missing(column, row)).count(),
            None => (0..obs.n_rows()).filter(|&row| is_missing(column, row)).count(),
        };
        let n: usize = cells.iter().map(|(_, rows)| count(rows)).sum();
        if n > 0 {
            found.push(format!("`{name}` is missing in {n} cells"));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_input(found.join("; "))
        .at("obs")
        .hint("leave those cells out (na = \"drop\" does), or fill the values in"))
}

/// Leaves out the cells that lack a value of the model's columns, and says how many for which column.
fn drop_missing(obs: &Frame, model: &Model, cells: &mut CellsByGroup) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for (name, column) in columns_of(obs, model)? {
        let mut n = 0;
        if (0..obs.n_rows()).all(|row| !is_missing(column, row)) {
            continue;
        }
        for (_, rows) in cells.iter_mut() {
            let rows = rows.get_or_insert_with(|| (0..obs.n_rows()).collect());
            let before = rows.len();
            rows.retain(|&row| !is_missing(column, row));
            n += before - rows.len();
        }
        if n > 0 {
            said.push(format!("{n} cells lack `{name}` and are left out"));
        }
    }
    cells.retain(|(_, rows)| rows.as_ref().is_none_or(|rows| !rows.is_empty()));
    if cells.is_empty() {
        return Err(Fault::bad_input(format!("no cell is left: {}", said.join("; "))).at("obs"));
    }
    Ok(said)
}
