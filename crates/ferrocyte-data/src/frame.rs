//! [`Frame`]: named columns of cells, as a model needs them.

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::Codes;

/// A column with few distinct values: a code into `levels` per row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// The distinct values, in their order; some may be unused.
    pub levels: Vec<String>,
    /// One code per row; [`Factor::MISSING`] where there is no value.
    pub codes: Codes,
}

impl Factor {
    /// The code of a missing value.
    pub const MISSING: u32 = u32::MAX;

    /// A factor from one text per row; its levels are the distinct texts in sorted order (`A1, A10, A2`).
    ///
    /// ```
    /// let factor = ferrocyte_data::Factor::from_texts(["b", "a", "b"].map(Some));
    /// assert_eq!(factor.levels, ["a", "b"]);
    /// assert_eq!(factor.codes, [1, 0, 1]);
    /// ```
    pub fn from_texts<S: AsRef<str>>(texts: impl IntoIterator<Item = Option<S>>) -> Self {
        let mut seen: std::collections::HashMap<String, u32> = std::collections::HashMap::new();
        let mut first_seen: Vec<String> = Vec::new();
        let mut codes: Vec<u32> = Vec::new();
        for text in texts {
            let Some(text) = text else {
                codes.push(Self::MISSING);
                continue;
            };
            let code = seen.get(text.as_ref()).copied().unwrap_or_else(|| {
                let code = first_seen.len() as u32;
                seen.insert(text.as_ref().to_owned(), code);
                first_seen.push(text.as_ref().to_owned());
                code
            });
            codes.push(code);
        }
        let mut order: Vec<usize> = (0..first_seen.len()).collect();
        order.sort_by(|&a, &b| first_seen[a].cmp(&first_seen[b]));
        let mut rank = vec![0_u32; order.len()];
        for (new, &old) in order.iter().enumerate() {
            rank[old] = new as u32;
        }
        let levels = order.iter().map(|&i| std::mem::take(&mut first_seen[i])).collect();
        let rank = |code: u32| if code == Self::MISSING { code } else { rank[code as usize] };
        Self { levels, codes: codes.into_iter().map(rank).collect() }
    }

    /// How many rows have each level.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.levels.len()];
        for code in self.codes.iter() {
            if code != Self::MISSING {
                counts[code as usize] += 1;
            }
        }
        counts
    }

    /// The level of a row, unless it is missing.
    pub fn level(&self, row: usize) -> Option<&str> {
        let code = self.codes.get(row);
        (code != Self::MISSING).then(|| self.levels[code as usize].as_str())
    }
}

/// One column of a [`Frame`].
#[derive(Debug, Clone, PartialEq)]
pub enum ObsColumn {
    /// A covariate; NaN where there is no value.
    Number(Vec<f64>),
    /// Text, categories or truth values (levels `FALSE`, `TRUE`).
    Factor(Factor),
}

impl ObsColumn {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Number(values) => values.len(),
            Self::Factor(factor) => factor.codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rows have no value.
    pub fn n_missing(&self) -> usize {
        match self {
            Self::Number(values) => values.iter().filter(|v| v.is_nan()).count(),
            Self::Factor(factor) => factor.codes.iter().filter(|&c| c == Factor::MISSING).count(),
        }
    }

    fn take(&self, rows: &[usize]) -> Self {
        match self {
            Self::Number(values) => Self::Number(rows.iter().map(|&i| values[i]).collect()),
            Self::Factor(factor) => Self::Factor(Factor {
                levels: factor.levels.clone(),
                codes: rows.iter().map(|&i| factor.codes.get(i)).collect(),
            }),
        }
    }
}

/// Named columns with one row per cell: `obs`, or the part of it that a model names.
///
/// ```
/// use ferrocyte_data::{Factor, Frame, ObsColumn};
/// let mut obs = Frame::new(2);
/// obs.insert("donor", ObsColumn::Factor(Factor::from_texts(["d1", "d2"].map(Some))))?;
/// assert!(obs.column("doner").is_err_and(|f| f.way_out().is_some_and(|h| h.contains("donor"))));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    n_rows: usize,
    columns: Vec<(String, ObsColumn)>,
}

impl Frame {
    /// A frame without columns.
    pub fn new(n_rows: usize) -> Self {
        Self { n_rows, columns: Vec::new() }
    }

    /// Adds a column, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, column: ObsColumn) -> Result<()> {
        let name = name.into();
        if column.len() != self.n_rows {
            return Err(Fault::bad_input(format!("{} values for {} cells", column.len(), self.n_rows))
                .at(format!("obs column `{name}`")));
        }
        match self.columns.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = column,
            None => self.columns.push((name, column)),
        }
        Ok(())
    }

    /// Number of rows (cells).
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|(n, _)| n.as_str()).collect()
    }

    /// The column of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&ObsColumn> {
        self.columns.iter().find(|(n, _)| n == name).map(|(_, c)| c)
    }

    /// The column of that name, or a fault with the nearest names.
    pub fn column(&self, name: &str) -> Result<&ObsColumn> {
        self.get(name).ok_or_else(|| {
            let names = self.names();
            let near = nearest(name, &names, 3);
            let hint = if near.is_empty() {
                format!("the columns are {}", listing(&names, 20))
            } else {
                format!("did you mean {}?", listing(&near, 3))
            };
            Fault::missing(format!("there is no column `{name}`")).at("obs").hint(hint)
        })
    }

    /// The column of that name as a factor, or a fault.
    pub fn factor(&self, name: &str) -> Result<&Factor> {
        match self.column(name)? {
            ObsColumn::Factor(factor) => Ok(factor),
            ObsColumn::Number(_) => Err(Fault::bad_input("the column holds numbers, expected text or categories")
                .at(format!("obs column `{name}`"))
                .hint(format!("make it categorical, or write `factor({name})`"))),
        }
    }

    /// The given rows, in that order. Levels stay, also those that no row has any more.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        Self { n_rows: rows.len(), columns: self.columns.iter().map(|(n, c)| (n.clone(), c.take(rows))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_sort_as_text() {
        let factor = Factor::from_texts([Some("A2"), Some("A10"), None, Some("A1"), Some("A10")]);
        assert_eq!(factor.levels, ["A1", "A10", "A2"]);
        assert_eq!(factor.codes, [2, 1, Factor::MISSING, 0, 1]);
        assert_eq!(factor.counts(), [1, 2, 1]);
    }

    #[test]
    fn a_column_of_another_length_is_refused_by_name() {
        let outcome = Frame::new(3).insert("age", ObsColumn::Number(vec![1.0]));
        assert!(outcome.is_err_and(|f| f.to_string() == "obs column `age`: 1 values for 3 cells"));
    }
}
