//! Annotation in memory: names and columns of a [`FrameData`], as a study tells them.

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::element::FrameData;
use crate::element::columns::{ColumnData, ColumnKind};
use crate::store::Numbers;

/// The names of the rows; `NA` where there is none.
pub(crate) fn names_of(frame: &FrameData) -> Vec<String> {
    frame.index.to_texts().into_iter().map(|name| name.unwrap_or_else(|| "NA".to_owned())).collect()
}

/// What each column holds.
pub(crate) fn kinds_of(frame: &FrameData) -> Vec<(String, ColumnKind)> {
    frame.columns.iter().map(|(name, column)| (name.clone(), kind_of(column))).collect()
}

/// What a column holds.
pub(crate) fn kind_of(column: &ColumnData) -> ColumnKind {
    match column {
        ColumnData::Numbers(Numbers::Bool(_)) | ColumnData::NullableNumbers { values: Numbers::Bool(_), .. } => {
            ColumnKind::Bool
        }
        ColumnData::Numbers(values) | ColumnData::NullableNumbers { values, .. } => {
            ColumnKind::Number(values.dtype().name().to_owned())
        }
        ColumnData::Texts { .. } => ColumnKind::Text,
        ColumnData::Categorical { levels, ordered, .. } => {
            ColumnKind::Category { n_levels: levels.len(), ordered: *ordered }
        }
    }
}

/// A column, or a fault with the nearest names.
pub(crate) fn column_of(frame: &FrameData, name: &str, table: &str) -> Result<ColumnData> {
    match frame.columns.iter().find(|(known, _)| known == name) {
        Some((_, column)) => Ok(column.clone()),
        None => {
            let known: Vec<String> = frame.columns.iter().map(|(known, _)| known.clone()).collect();
            Err(no_column(name, &known).at(table))
        }
    }
}

/// What to say where a column does not exist.
pub(crate) fn no_column(name: &str, known: &[String]) -> Fault {
    let near = nearest(name, known, 3);
    let hint = if known.is_empty() {
        "there are no columns: join a table of cells".to_owned()
    } else if near.is_empty() {
        format!("the columns are {}", listing(known, 20))
    } else {
        format!("did you mean {}?", listing(&near, 3))
    };
    Fault::missing(format!("there is no column `{name}`")).hint(hint)
}
