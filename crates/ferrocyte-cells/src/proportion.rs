//! How many cells of each type each sample has: [`proportion`].
//!
//! The table of counts is what comparisons between samples start from (see [`crate::composition`]).

use ferrocyte_base::{Column, Fault, Result, Table, choice};
use ferrocyte_data::Factor;

choice! {
    /// Within what proportions sum to 1.
    Within, "within" {
        /// Within each level of the major factor: the types of a sample.
        Major = "major",
        /// Within each level of the minor factor: the samples of a type.
        Minor = "minor",
        /// Over all cells.
        All = "all",
        /// Not at all: counts.
        Nothing = "none",
    }
}

impl Within {
    /// What the peers' word for it means: `index` and `True`-like words of crosstabs.
    pub fn from_crosstab_word(word: &str) -> Result<Self> {
        match word {
            "index" => Ok(Self::Major),
            "columns" => Ok(Self::Minor),
            "False" => Ok(Self::Nothing),
            other => Self::from_word(other),
        }
    }
}

/// Cells by two factors.
#[derive(Debug, Clone, PartialEq)]
pub struct Proportions {
    /// Levels of the major factor: rows.
    pub majors: Vec<String>,
    /// Levels of the minor factor: columns.
    pub minors: Vec<String>,
    /// Cells: majors × minors, row by row.
    pub counts: Vec<usize>,
    /// The same, brought to the sum 1 within what was asked for; 0 where there is no cell.
    pub values: Vec<f64>,
    /// Cells of each major level that have a minor one.
    pub n_per_major: Vec<usize>,
    /// Cells without one label or the other, which are left out.
    pub n_missing: usize,
}

impl Proportions {
    /// A row for each major level: its cells, and a column for each minor level.
    pub fn table(&self, major: &str) -> Table {
        let cells = self.n_per_major.iter().map(|&n| n as i64).collect();
        let width = self.minors.len();
        let table = Table::new("proportions")
            .with(Column::text(major, "level of the major factor", self.majors.clone()))
            .with(Column::int("n_cells", "cells", "cells of the level", cells));
        self.minors.iter().enumerate().fold(table, |table, (j, minor)| {
            let values = self.values.iter().skip(j).step_by(width).copied().collect();
            table.with(Column::float(minor, "", "cells, or their share", values))
        })
    }
}

/// Counts cells by two factors, in the order of their levels. Levels that no cell has are left out unless
/// `show_unused`; cells without one of the labels are left out and counted.
///
/// # Errors
/// Factors of different lengths.
pub fn proportion(major: &Factor, minor: &Factor, within: Within, show_unused: bool) -> Result<Proportions> {
    if major.codes.len() != minor.codes.len() {
        let message = format!("{} labels on one side, {} on the other", major.codes.len(), minor.codes.len());
        return Err(Fault::bad_input(message));
    }
    let (n_majors, n_minors) = (major.levels.len(), minor.levels.len());
    let mut all = vec![0_usize; n_majors * n_minors];
    let mut n_missing = 0;
    for (i, j) in major.codes.iter().zip(minor.codes.iter()) {
        if i == Factor::MISSING || j == Factor::MISSING {
            n_missing += 1;
        } else {
            all[i as usize * n_minors + j as usize] += 1;
        }
    }
    let row = |i: usize| -> usize { all[i * n_minors..(i + 1) * n_minors].iter().sum() };
    let column = |j: usize| -> usize { all.iter().skip(j).step_by(n_minors).sum() };
    let rows: Vec<usize> = (0..n_majors).filter(|&i| show_unused || row(i) > 0).collect();
    let columns: Vec<usize> = (0..n_minors).filter(|&j| show_unused || column(j) > 0).collect();
    let total: usize = all.iter().sum();
    let (mut counts, mut values) = (Vec::new(), Vec::new());
    for &i in &rows {
        for &j in &columns {
            let n = all[i * n_minors + j];
            let of = match within {
                Within::Major => row(i),
                Within::Minor => column(j),
                Within::All => total,
                Within::Nothing => 1,
            };
            counts.push(n);
            values.push(if n > 0 { n as f64 / of as f64 } else { 0.0 });
        }
    }
    Ok(Proportions {
        majors: rows.iter().map(|&i| major.levels[i].clone()).collect(),
        minors: columns.iter().map(|&j| minor.levels[j].clone()).collect(),
        n_per_major: rows.iter().map(|&i| row(i)).collect(),
        counts,
        values,
        n_missing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_what_they_sum_to_one() -> Result<()> {
        let major = Factor {
            levels: ["s2", "s1", "unused"].map(str::to_owned).to_vec(),
            codes: vec![0, 0, 0, 1, Factor::MISSING, 1].into(),
        };
        let minor = Factor::from_texts([Some("T"), Some("B"), Some("T"), Some("T"), Some("B"), None]);
        let found = proportion(&major, &minor, Within::Major, false)?;
        assert_eq!(
            (&found.majors[..], &found.minors[..]),
            (&["s2".into(), "s1".into()][..], &["B".into(), "T".into()][..])
        );
        assert_eq!((found.counts, found.n_per_major, found.n_missing), (vec![1, 2, 0, 1], vec![3, 1], 2));
        assert_eq!(found.values, [1.0 / 3.0, 2.0 / 3.0, 0.0, 1.0]);
        assert_eq!(proportion(&major, &minor, Within::Minor, false)?.values, [1.0, 2.0 / 3.0, 0.0, 1.0 / 3.0]);
        assert_eq!(proportion(&major, &minor, Within::All, false)?.values, [0.25, 0.5, 0.0, 0.25]);
        let shown = proportion(&major, &minor, Within::Nothing, true)?;
        assert_eq!((shown.majors.len(), shown.table("sample").columns().len()), (3, 4));
        assert_eq!(Within::from_crosstab_word("index")?, Within::Major);
        assert!(proportion(&major, &Factor::from_texts([Some("T")]), Within::All, false).is_err());
        Ok(())
    }
}
