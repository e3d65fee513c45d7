//! [`Table`]: named, typed columns with units. Every result ends as one; writers are written once, from it.

use crate::{Fault, Result};

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Text.
    Text(Vec<String>),
    /// Text with few distinct values: codes into levels, [`Column::MISSING`] for none.
    Level {
        /// One code per row.
        codes: Vec<u32>,
        /// The distinct values.
        levels: Vec<String>,
    },
    /// Real numbers; NaN is missing.
    Float(Vec<f64>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
}

impl Cells {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(v) => v.len(),
            Self::Level { codes, .. } => codes.len(),
            Self::Float(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Bool(v) => v.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&self, rows: &[usize]) -> Self {
        fn pick<T: Clone>(v: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&i| v[i].clone()).collect()
        }
        match self {
            Self::Text(v) => Self::Text(pick(v, rows)),
            Self::Level { codes, levels } => Self::Level { codes: pick(codes, rows), levels: levels.clone() },
            Self::Float(v) => Self::Float(pick(v, rows)),
            Self::Int(v) => Self::Int(pick(v, rows)),
            Self::Bool(v) => Self::Bool(pick(v, rows)),
        }
    }
}

/// A column: its name, its unit, one line of meaning, and its cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name, from the vocabulary of `docs/architecture.md` where it has one.
    pub name: String,
    /// The unit (`difference of ln(1 + count)`, `cells`); empty where there is none.
    pub unit: String,
    /// One line of meaning.
    pub meaning: String,
    /// The cells.
    pub cells: Cells,
}

impl Column {
    /// The code of a missing level.
    pub const MISSING: u32 = u32::MAX;

    /// A column of any kind.
    pub fn new(name: impl Into<String>, unit: impl Into<String>, meaning: impl Into<String>, cells: Cells) -> Self {
        Self { name: name.into(), unit: unit.into(), meaning: meaning.into(), cells }
    }

    /// A column of real numbers.
    pub fn float(name: &str, unit: &str, meaning: &str, values: Vec<f64>) -> Self {
        Self::new(name, unit, meaning, Cells::Float(values))
    }

    /// A column of whole numbers.
    pub fn int(name: &str, unit: &str, meaning: &str, values: Vec<i64>) -> Self {
        Self::new(name, unit, meaning, Cells::Int(values))
    }

    /// A column of text.
    pub fn text(name: &str, meaning: &str, values: Vec<String>) -> Self {
        Self::new(name, "", meaning, Cells::Text(values))
    }

    /// A column of text with few distinct values.
    pub fn level(name: &str, meaning: &str, codes: Vec<u32>, levels: Vec<String>) -> Self {
        Self::new(name, "", meaning, Cells::Level { codes, levels })
    }
}

/// Named columns of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    name: String,
    columns: Vec<Column>,
}

impl Table {
    /// An empty table.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), columns: Vec::new() }
    }

    /// Adds a column at the end.
    ///
    /// # Panics
    /// In debug builds, when the column has another length or its name is taken: a mistake in the code, not in data.
    #[must_use]
    pub fn with(mut self, column: Column) -> Self {
        debug_assert!(
            self.columns.iter().all(|c| c.cells.len() == column.cells.len()),
            "column `{}` has another length",
            column.name
        );
        debug_assert!(self.columns.iter().all(|c| c.name != column.name), "column `{}` exists", column.name);
        self.columns.push(column);
        self
    }

    /// The name of the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, |c| c.cells.len())
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|c| c.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
            Fault::missing(format!("no column `{name}`"))
                .at(format!("table `{}`", self.name))
                .hint(format!("its columns are {}", crate::listing(&names, 30)))
        })
    }

    /// The numbers of a column of real numbers.
    pub fn floats(&self, name: &str) -> Result<&[f64]> {
        match &self.column(name)?.cells {
            Cells::Float(v) => Ok(v),
            _ => Err(Fault::internal(format!("column `{name}` of table `{}` is not of real numbers", self.name))),
        }
    }

    /// The rows in the given order (repeats and omissions allowed).
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter().map(|c| Column { cells: c.cells.take(rows), ..c.clone() }).collect();
        Self { name: self.name.clone(), columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_rows_in_the_order_asked_for() {
        let table = Table::new("t").with(Column::float("x", "", "", vec![1.0, 2.0, 3.0])).with(Column::level(
            "g",
            "",
            vec![0, 1, 0],
            vec!["a".into(), "b".into()],
        ));
        let taken = table.take(&[2, 0]);
        assert_eq!(taken.floats("x").ok(), Some(&[3.0, 1.0][..]));
        assert_eq!(taken.n_rows(), 2);
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_exist() {
        let table = Table::new("t").with(Column::float("x", "", "", vec![]));
        let fault = table.floats("y").err();
        assert!(fault.is_some_and(|f| f.way_out().is_some_and(|h| h.contains("`x`"))));
    }
}
