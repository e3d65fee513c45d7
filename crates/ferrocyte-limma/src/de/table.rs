//! The one tidy table of [`de`](super::de).

use std::f64::consts::LN_10;

use ferrocyte_base::{Column, Table};

use crate::status::Outcome;

/// The columns, before and after those that come with the genes.
pub(super) const WORDS: [&str; 15] = [
    "group",
    "contrast",
    "gene",
    "log_fc",
    "se",
    "ave_expr",
    "t",
    "df",
    "p_value",
    "adj_p_value",
    "log10_p_value",
    "b",
    "n_samples",
    "status",
    "reason",
];

/// One row on its way.
pub(super) struct Row {
    pub(super) group: u32,
    pub(super) contrast: u32,
    /// The gene; `None` where a group was not fitted.
    pub(super) gene: Option<usize>,
    pub(super) log_fc: f64,
    pub(super) se: f64,
    pub(super) ave_expr: f64,
    pub(super) t: f64,
    pub(super) df: f64,
    pub(super) ln_p: f64,
    pub(super) ln_adjusted: f64,
    pub(super) b: f64,
    pub(super) n_samples: i64,
    pub(super) outcome: Outcome,
    /// A reason of its own, where the sentence of the outcome does not say it.
    pub(super) reason: Option<String>,
}

impl Row {
    /// A row without numbers.
    pub(super) fn empty(group: u32, contrast: u32, gene: Option<usize>, outcome: Outcome) -> Self {
        let nan = f64::NAN;
        Self {
            group,
            contrast,
            gene,
            log_fc: nan,
            se: nan,
            ave_expr: nan,
            t: nan,
            df: nan,
            ln_p: nan,
            ln_adjusted: nan,
            b: nan,
            n_samples: 0,
            outcome,
            reason: None,
        }
    }
}

/// The table of the rows, in their order.
pub(super) fn table(
    rows: &[Row],
    groups: &[String],
    contrasts: &[String],
    gene: &dyn Fn(usize) -> String,
    annotation: &[(String, Vec<String>)],
) -> Table {
    let floats = |f: &dyn Fn(&Row) -> f64| rows.iter().map(f).collect::<Vec<f64>>();
    let gene_of = |row: &Row| row.gene.map_or_else(String::new, gene);
    let mut table = Table::new("de")
        .with(Column::level("group", "group of samples", rows.iter().map(|r| r.group).collect(), groups.to_vec()))
        .with(Column::level(
            "contrast",
            "what is tested",
            rows.iter().map(|r| r.contrast).collect(),
            contrasts.to_vec(),
        ))
        .with(Column::text("gene", "the gene", rows.iter().map(gene_of).collect()));
    for (name, texts) in annotation {
        let cells = rows.iter().map(|r| r.gene.map_or_else(String::new, |g| texts[g].clone())).collect();
        table = table.with(Column::text(name, "as the genes came with it", cells));
    }
    table
        .with(Column::float("log_fc", "log2 fold change", "the contrast", floats(&|r| r.log_fc)))
        .with(Column::float("se", "log2 fold change", "its moderated standard error", floats(&|r| r.se)))
        .with(Column::float("ave_expr", "log2", "mean over the samples of the group", floats(&|r| r.ave_expr)))
        .with(Column::float("t", "", "moderated t", floats(&|r| r.t)))
        .with(Column::float("df", "", "degrees of freedom, prior included", floats(&|r| r.df)))
        .with(Column::float("p_value", "", "two-sided", floats(&|r| r.ln_p.exp())))
        .with(Column::float(
            "adj_p_value",
            "",
            "false discovery rate (Benjamini-Hochberg)",
            floats(&|r| r.ln_adjusted.exp()),
        ))
        .with(Column::float("log10_p_value", "log10", "also where the p-value underflows", floats(&|r| r.ln_p / LN_10)))
        .with(Column::float("b", "ln odds", "log-odds of a difference", floats(&|r| r.b)))
        .with(Column::int("n_samples", "samples", "samples in the fit", rows.iter().map(|r| r.n_samples).collect()))
        .with(Column::level(
            "status",
            "what became of the gene",
            rows.iter().map(|r| Outcome::ALL.iter().position(|o| *o == r.outcome).unwrap_or(0) as u32).collect(),
            Outcome::ALL.iter().map(|o| o.status().word.to_owned()).collect(),
        ))
        .with(Column::text(
            "reason",
            "why there is no estimate, or what to know about it",
            rows.iter().map(|r| r.reason.clone().unwrap_or_else(|| r.outcome.status().sentence.to_owned())).collect(),
        ))
}
