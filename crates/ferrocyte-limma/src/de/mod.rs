//! [`de`]: from counts of samples to a ranked list of genes, in one call.
//!
//! Each group of samples (a cell type) is an analysis of its own: genes with too few counts are left out, library sizes
//! are normalised, the model is fitted ([`DeMethod`]), contrasts are formed, variances are squeezed, and every gene gets
//! a row per contrast, with a status. A group that cannot be analysed (no replication, a level that is missing) is a
//! row with its reason; the others go on.
//!
//! ```text
//! counts: filter_by_expr -> norm_factors -> voom_lm_fit | voom, lm_fit | cpm(log), lm_fit -> contrasts_fit -> e_bayes | treat
//! values:                                                                 lm_fit          -> contrasts_fit -> e_bayes(trend)
//! ```

mod group;
mod method;
mod options;
mod study;
mod table;
mod weighted;

pub use group::Analysed;
pub use options::{Adjust, DeMethod, DeOptions, OPTIONS};
pub use study::DeStudy;

use ferrocyte_base::{Column, Fault, Input, Provenance, Result, Run, Table, Value};
use ferrocyte_design::Model;

use self::group::analyse;
use self::table::Row;
use crate::status::Outcome;

/// What was found.
#[derive(Debug, Clone)]
pub struct De {
    /// A row per group, contrast and gene: see the columns for units and meaning. Within a group and contrast the
    /// smallest p-value comes first, genes without one last.
    pub table: Table,
    /// The method.
    pub method: DeMethod,
    /// The model, as it was understood.
    pub formula: String,
    /// The groups, in their order.
    pub groups: Vec<DeGroup>,
    /// What was done to what.
    pub provenance: Provenance,
    names: Vec<String>,
}

/// One group of samples.
#[derive(Debug, Clone)]
pub struct DeGroup {
    /// Its name; `all` where samples are not grouped.
    pub name: String,
    /// Its samples, as positions in the study.
    pub samples: Vec<usize>,
    /// The analysis, or why there is none.
    pub analysis: std::result::Result<Analysed, String>,
}

/// How many genes were found in a group by a contrast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The group.
    pub group: String,
    /// The contrast.
    pub contrast: String,
    /// Genes with a higher value.
    pub up: usize,
    /// Genes with a lower value.
    pub down: usize,
    /// Genes with a test.
    pub genes: usize,
    /// Samples in the fit.
    pub samples: usize,
    /// Why there is none; empty where there is one.
    pub reason: String,
}

/// Compares genes between samples.
///
/// `contrasts` are names and expressions of coefficients or levels (`("LvB", "luminal - basal")`); without any, every
/// coefficient but the intercept is tested.
///
/// # Errors
/// Where the formula or an option makes no sense, values are no counts but the method needs counts, or no group can be
/// analysed.
pub fn de(
    run: &Run,
    study: &DeStudy<'_>,
    formula: &str,
    contrasts: &[(String, String)],
    options: &DeOptions,
) -> Result<De> {
    study.check()?;
    let model = Model::parse_for_samples(formula)?;
    let counts = method::kind_of_values(run, study, options)?;
    let mut groups = Vec::new();
    let mut first_fault = None;
    for (name, samples) in study.parts() {
        run.check()?;
        match analyse(run, study, &samples, &model, contrasts, options, counts) {
            Ok(analysis) => groups.push(DeGroup { name, samples, analysis: Ok(analysis) }),
            Err(fault) if fault.kind() == ferrocyte_base::Kind::Cancelled => return Err(fault),
            Err(fault) => {
                groups.push(DeGroup { name, samples, analysis: Err(one_line(&fault)) });
                first_fault.get_or_insert(fault);
            }
        }
    }
    // Where nothing could be done, the first fault says why, with its place and the way out.
    let fitted = groups.iter().filter(|g| g.analysis.is_ok()).count();
    if let Some(fault) = first_fault {
        if fitted == 0 {
            return Err(fault);
        }
        run.warn(&format!("{} of {} groups are not fitted; their rows say why", groups.len() - fitted, groups.len()));
    }
    let mut names: Vec<String> = contrasts.iter().map(|(name, _)| name.clone()).collect();
    for analysis in groups.iter().filter_map(|g| g.analysis.as_ref().ok()) {
        for name in &analysis.fit.names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    let mut rows = Vec::new();
    for (g, group) in groups.iter().enumerate() {
        let first = rows.len();
        match &group.analysis {
            Ok(analysis) => analysis.rows(run, g as u32, &names, study.values.n_genes(), &mut rows)?,
            Err(reason) => {
                for contrast in 0..names.len() {
                    let mut row = Row::empty(g as u32, contrast as u32, None, Outcome::GroupNotFitted);
                    row.reason = Some(reason.clone());
                    row.n_samples = group.samples.len() as i64;
                    rows.push(row);
                }
            }
        }
        debug_assert!(rows.len() > first);
    }
    if options.adjust == Adjust::All {
        let ln_p: Vec<f64> = rows.iter().map(|row| row.ln_p).collect();
        let adjusted = ferrocyte_math::multiple::benjamini_hochberg_ln(&ln_p);
        rows.iter_mut().zip(adjusted).for_each(|(row, ln)| row.ln_adjusted = ln);
    }
    let group_names: Vec<String> = groups.iter().map(|g| g.name.clone()).collect();
    let gene = |g: usize| study.values.genes().get(g).cloned().unwrap_or_else(|| (g + 1).to_string());
    let table = table::table(&rows, &group_names, &names, &gene, study.annotation);
    Ok(De {
        table,
        method: options.method,
        formula: model.display(),
        provenance: provenance(study, &model, contrasts, options),
        groups,
        names,
    })
}

impl De {
    /// Names of the contrasts.
    pub fn contrasts(&self) -> &[String] {
        &self.names
    }

    /// How many genes are below a false discovery rate, by group and contrast.
    pub fn calls(&self, fdr: f64) -> Vec<Call> {
        let mut calls = Vec::new();
        for group in &self.groups {
            for contrast in &self.names {
                let mut call = Call {
                    group: group.name.clone(),
                    contrast: contrast.clone(),
                    up: 0,
                    down: 0,
                    genes: 0,
                    samples: group.samples.len(),
                    reason: group.analysis.as_ref().err().cloned().unwrap_or_default(),
                };
                if let Ok(analysis) = &group.analysis {
                    (call.up, call.down, call.genes) = analysis.count(contrast, fdr);
                }
                calls.push(call);
            }
        }
        calls
    }

    /// A row per group: samples, genes, what the prior is.
    pub fn groups_table(&self) -> Table {
        let analysed = |f: &dyn Fn(&Analysed) -> f64| {
            self.groups.iter().map(|g| g.analysis.as_ref().map_or(f64::NAN, f)).collect::<Vec<f64>>()
        };
        let reasons = self.groups.iter().map(|g| g.analysis.as_ref().err().cloned().unwrap_or_default()).collect();
        Table::new("groups")
            .with(Column::text("group", "group of samples", self.groups.iter().map(|g| g.name.clone()).collect()))
            .with(Column::int(
                "n_samples",
                "samples",
                "its samples",
                self.groups.iter().map(|g| g.samples.len() as i64).collect(),
            ))
            .with(Column::float("n_genes", "genes", "genes in the fit", analysed(&|a| a.genes.len() as f64)))
            .with(Column::float("rank", "", "coefficients that can be estimated", analysed(&|a| a.rank as f64)))
            .with(Column::float(
                "s2_prior",
                "log2 squared",
                "prior variance (the median with a trend)",
                analysed(&|a| a.moderated.s2_prior.median()),
            ))
            .with(Column::float(
                "df_prior",
                "",
                "prior degrees of freedom (the median if robust)",
                analysed(&|a| a.moderated.df_prior.median()),
            ))
            .with(Column::float(
                "correlation",
                "",
                "correlation of samples of a block",
                analysed(&|a| a.correlation.unwrap_or(f64::NAN)),
            ))
            .with(Column::text("reason", "why a group was not fitted", reasons))
    }

    /// A row per sample of a group: its library.
    pub fn samples_table(&self) -> Table {
        let mut columns = (vec![], vec![], vec![], vec![], vec![]);
        for group in &self.groups {
            let Ok(analysis) = &group.analysis else { continue };
            for (j, name) in analysis.samples.iter().enumerate() {
                columns.0.push(group.name.clone());
                columns.1.push(name.clone());
                columns.2.push(analysis.lib_size.get(j).copied().unwrap_or(f64::NAN));
                columns.3.push(analysis.norm_factors.get(j).copied().unwrap_or(f64::NAN));
                columns.4.push(analysis.sample_weights.as_ref().map_or(f64::NAN, |w| w[j]));
            }
        }
        Table::new("samples")
            .with(Column::text("group", "group of samples", columns.0))
            .with(Column::text("sample", "its name", columns.1))
            .with(Column::float("lib_size", "counts", "total over the genes in the fit", columns.2))
            .with(Column::float("norm_factors", "", "what library sizes are multiplied by", columns.3))
            .with(Column::float("weight", "", "weight of the sample, where they are estimated", columns.4))
    }
}

/// A fault in one line, for a column.
fn one_line(fault: &Fault) -> String {
    let text = fault.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match fault.way_out() {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}

fn provenance(study: &DeStudy<'_>, model: &Model, contrasts: &[(String, String)], options: &DeOptions) -> Provenance {
    let expressions = contrasts.iter().map(|(name, expression)| {
        Value::Text(if name == expression { name.clone() } else { format!("{name}={expression}") })
    });
    let mut provenance = Provenance::new("limma.de")
        .option("formula", model.display())
        .option("contrast", Value::list(expressions))
        .option("method", options.method.word())
        .option("block", options.block.clone().unwrap_or_default())
        .option("robust", options.robust)
        .option("sample_weights", options.sample_weights)
        .option("lfc", options.lfc)
        .option("normalize", options.normalize.word())
        .option("min_count", options.min_count)
        .option("min_total_count", options.min_total_count)
        .option("adjust", options.adjust.word());
    provenance.inputs.push(Input { name: study.name.to_owned(), fingerprint: study.fingerprint.to_owned() });
    provenance
}
