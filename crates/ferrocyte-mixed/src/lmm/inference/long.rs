//! Long tables: a row per group, per what was asked, and per gene, sorted by p-value.

use std::f64::consts::LN_10;

use ferrocyte_base::{Cells, Column, Table};
use ferrocyte_math::multiple::benjamini_hochberg_ln;

use crate::lmm::fit::Fit;
use crate::lmm::options::Adjust;
use crate::lmm::status::Outcome;

/// A row, as far as the table must know it.
pub(super) trait Ranked {
    /// What became of the gene.
    fn outcome(&self) -> Outcome;
    /// ln of the p-value by which rows are sorted; NaN without.
    fn ln_p(&self) -> f64;
}

/// Rising p-values, NaN last.
pub(super) fn by_p(a: f64, b: f64) -> std::cmp::Ordering {
    a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(&b))
}

/// A name, unit and meaning of a column.
pub(super) type Head = (&'static str, String, &'static str);

/// The rows of a table while it is made. Every pair of group and item has a row per gene.
pub(super) struct Long<'a, R> {
    fit: &'a Fit,
    items: Vec<String>,
    rows: Vec<(usize, usize, usize, R)>,
    reasons: Vec<(usize, usize, String)>,
}

impl<'a, R: Ranked + Copy> Long<'a, R> {
    /// An empty table over items: hypotheses, components.
    pub(super) fn new(fit: &'a Fit, items: Vec<String>) -> Self {
        Self { fit, items, rows: Vec::new(), reasons: Vec::new() }
    }

    /// Adds the rows of all genes for one group and item, by p-value, ties in the order of genes.
    pub(super) fn push(&mut self, group: usize, item: usize, rows: &[R]) {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| by_p(rows[a].ln_p(), rows[b].ln_p()).then(a.cmp(&b)));
        self.rows.extend(order.into_iter().map(|i| (group, item, i, rows[i])));
    }

    /// Adds rows without result, and why there is none.
    pub(super) fn push_none(&mut self, group: usize, item: usize, row: R, reason: String) {
        let rows = vec![row; self.fit.genes().len()];
        self.reasons.push((group, item, reason));
        self.push(group, item, &rows);
    }

    /// A column of numbers.
    pub(super) fn floats(&self, value: impl Fn(&R) -> f64) -> Cells {
        Cells::Float(self.rows.iter().map(|r| value(&r.3)).collect())
    }

    /// p-values, adjusted p-values and log10 p-values from ln p.
    pub(super) fn p_columns(&self, ln_p: impl Fn(&R) -> f64, adjust: Adjust) -> [Cells; 3] {
        let all: Vec<f64> = self.rows.iter().map(|r| ln_p(&r.3)).collect();
        let adjusted: Vec<f64> = match adjust {
            Adjust::All => benjamini_hochberg_ln(&all),
            // Rows stand by group and item, one per gene.
            Adjust::Group => all.chunks(self.fit.genes().len().max(1)).flat_map(benjamini_hochberg_ln).collect(),
        };
        [
            Cells::Float(all.iter().map(|x| x.exp()).collect()),
            Cells::Float(adjusted.iter().map(|x| x.exp()).collect()),
            Cells::Float(all.iter().map(|x| x / LN_10).collect()),
        ]
    }

    /// The columns group, gene and item.
    pub(super) fn keys(&self) -> [Cells; 3] {
        let labels = self.fit.groups.iter().map(|g| if g.label.is_empty() { "all" } else { &g.label });
        [
            Cells::Level {
                codes: self.rows.iter().map(|r| r.0 as u32).collect(),
                levels: labels.map(str::to_owned).collect(),
            },
            Cells::Text(self.rows.iter().map(|r| self.fit.genes()[r.2].clone()).collect()),
            Cells::Level { codes: self.rows.iter().map(|r| r.1 as u32).collect(), levels: self.items.clone() },
        ]
    }

    /// The columns status, reason and cells of the group.
    pub(super) fn statuses(&self) -> [Cells; 3] {
        let words = Outcome::ALL.iter().map(|o| o.status().word.to_owned()).collect();
        let reason = |(g, i, _, row): &(usize, usize, usize, R)| {
            let told = self.reasons.iter().find(|(rg, ri, _)| rg == g && ri == i);
            told.map_or_else(|| row.outcome().status().sentence.to_owned(), |(.., why)| why.clone())
        };
        [
            Cells::Level { codes: self.rows.iter().map(|r| r.3.outcome().code() as u32).collect(), levels: words },
            Cells::Text(self.rows.iter().map(reason).collect()),
            Cells::Int(self.rows.iter().map(|r| self.fit.groups[r.0].n_cells as i64).collect()),
        ]
    }
}

/// A table from heads and cells.
pub(super) fn assemble(name: &str, heads: impl IntoIterator<Item = Head>, cells: Vec<Cells>) -> Table {
    heads.into_iter().zip(cells).fold(Table::new(name), |table, ((name, unit, meaning), cells)| {
        table.with(Column::new(name, unit, meaning, cells))
    })
}
