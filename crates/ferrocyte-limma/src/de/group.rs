//! One group of samples: from its counts to moderated tests.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_design::{Design, Model};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::multiple::benjamini_hochberg_ln;
use ferrocyte_math::student_t;

use super::method::{Counted, Fitted, fit};
use super::table::Row;
use super::{DeOptions, DeStudy};
use crate::status::Outcome;
use crate::{DesignMatrix, Expression, Fit, Moderated, contrasts_fit};

/// A group that was analysed.
#[derive(Debug, Clone)]
pub struct Analysed {
    /// Names of the samples.
    pub samples: Vec<String>,
    /// The genes in the fit, as positions in the study.
    pub genes: Vec<usize>,
    /// The design.
    pub design: DesignMatrix,
    /// The fit of the contrasts.
    pub fit: Fit,
    /// Its moderated statistics.
    pub moderated: Moderated,
    /// Coefficients of the design that can be estimated.
    pub rank: usize,
    /// Totals over the genes in the fit; empty for values that are no counts.
    pub lib_size: Vec<f64>,
    /// What these are multiplied by; empty likewise.
    pub norm_factors: Vec<f64>,
    /// Weights of samples, where they are estimated.
    pub sample_weights: Option<Vec<f64>>,
    /// Correlation within blocks, where there are blocks.
    pub correlation: Option<f64>,
}

/// Analyses the samples of a group.
pub(super) fn analyse(
    run: &Run,
    study: &DeStudy<'_>,
    samples: &[usize],
    model: &Model,
    contrasts: &[(String, String)],
    options: &DeOptions,
    counts: Counted,
) -> Result<Analysed> {
    if samples.is_empty() {
        return Err(Fault::bad_input("no sample has enough cells").hint("allow fewer cells (min_cells)"));
    }
    let names: Vec<String> = samples
        .iter()
        .map(|&i| study.values.samples().get(i).cloned().unwrap_or_else(|| (i + 1).to_string()))
        .collect();
    let (design, bound) = DesignMatrix::bind(model, &study.samples.take(samples), &names)?;
    let (weights, labels) = weights_of(&bound, &design, contrasts)?;
    let values = columns(study.values, samples);
    let blocks = options.block.as_ref().map(|column| study.blocks(column, samples)).transpose()?;
    let y = Expression::new(values.borrowed(), study.values.genes(), &names)?;
    let Fitted { fit, genes, lib_size, norm_factors, sample_weights, correlation, trend } =
        fit(run, &y, &design, blocks.as_deref(), options, counts)?;
    let rank = fit.rank;
    let fit = contrasts_fit(run, &fit, &weights, design.names(), &labels, false)?;
    let moderated = super::method::moderate(run, &fit, options, trend)?;
    Ok(Analysed {
        samples: names,
        genes,
        design,
        fit,
        moderated,
        rank,
        lib_size,
        norm_factors,
        sample_weights,
        correlation,
    })
}

/// The contrasts as columns, and their names; every coefficient but the intercept where none is asked for.
fn weights_of(bound: &Design, design: &DesignMatrix, contrasts: &[(String, String)]) -> Result<(Matrix, Vec<String>)> {
    let p = design.n_coefficients();
    let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
    for (name, expression) in contrasts {
        columns.push((name.clone(), bound.coefficients().contrast(expression)?));
    }
    if contrasts.is_empty() {
        let tested = (0..p).filter(|&j| design.names()[j] != "(Intercept)");
        columns
            .extend(tested.map(|j| (design.names()[j].clone(), (0..p).map(|i| f64::from(u8::from(i == j))).collect())));
        if columns.len() == p {
            return Err(Fault::bad_input("a design without intercept has no difference that is meant without words")
                .at("contrast")
                .hint(format!("name it, such as `{}`", example(design))));
        }
    }
    if columns.is_empty() {
        return Err(Fault::bad_input("the model has no coefficient but the intercept").at("formula"));
    }
    let mut weights = Matrix::zeros(p, columns.len());
    for (k, (_, column)) in columns.iter().enumerate() {
        column.iter().enumerate().for_each(|(j, &w)| weights[(j, k)] = w);
    }
    Ok((weights, columns.into_iter().map(|(name, _)| name).collect()))
}

/// A difference of the first two coefficients, in words.
fn example(design: &DesignMatrix) -> String {
    design.names().iter().take(2).rev().cloned().collect::<Vec<_>>().join(" - ")
}

/// Some columns of a matrix.
fn columns(y: Expression<'_>, samples: &[usize]) -> Matrix {
    let mut out = Vec::with_capacity(y.n_genes() * samples.len());
    for g in 0..y.n_genes() {
        let row = y.row(g);
        out.extend(samples.iter().map(|&j| row[j]));
    }
    Matrix::from_rows(y.n_genes(), samples.len(), out)
}

impl Analysed {
    /// The rows of the table: for each contrast the genes in the order of their p-values, then those without.
    pub(super) fn rows(
        &self,
        run: &Run,
        group: u32,
        names: &[String],
        n_genes: usize,
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        let mut kept = vec![false; n_genes];
        self.genes.iter().for_each(|&g| kept[g] = true);
        for (k, name) in self.fit.names.iter().enumerate() {
            run.check()?;
            let contrast = names.iter().position(|n| n == name).unwrap_or(0) as u32;
            let ln_p = self.ln_p(k);
            let adjusted = benjamini_hochberg_ln(&ln_p);
            let mut order: Vec<usize> = (0..self.genes.len()).collect();
            let key = |i: &usize| if ln_p[*i].is_nan() { f64::INFINITY } else { ln_p[*i] };
            order.sort_by(|a, b| key(a).total_cmp(&key(b)));
            for i in order {
                rows.push(Row {
                    n_samples: self.samples.len() as i64,
                    ..self.row(group, contrast, k, i, ln_p[i], adjusted[i])
                });
            }
            for gene in (0..n_genes).filter(|&g| !kept[g]) {
                let mut row = Row::empty(group, contrast, Some(gene), Outcome::FewCounts);
                row.n_samples = self.samples.len() as i64;
                rows.push(row);
            }
        }
        Ok(())
    }

    /// Logarithms of the p-values of a contrast; of a threshold test those of its p-values.
    fn ln_p(&self, k: usize) -> Vec<f64> {
        let p = |i: usize| self.moderated.p_value[(i, k)];
        let t = |i: usize| self.moderated.t[(i, k)];
        (0..self.genes.len())
            .map(|i| match p(i) {
                // Where the p-value underflows, its logarithm does not.
                p if p > 1e-290 || p.is_nan() => p.ln(),
                _ => student_t::ln_two_sided(t(i), self.moderated.df_total[i]),
            })
            .collect()
    }

    fn row(&self, group: u32, contrast: u32, k: usize, i: usize, ln_p: f64, ln_adjusted: f64) -> Row {
        let (fit, moderated) = (&self.fit, &self.moderated);
        let outcome = if ln_p.is_nan() {
            Outcome::NotEstimable
        } else if fit.df_residual[i] == 0.0 {
            Outcome::PriorOnly
        } else if fit.sigma[i] == 0.0 {
            Outcome::NoVariance
        } else {
            Outcome::Ok
        };
        Row {
            log_fc: fit.coefficients[(i, k)],
            se: fit.stdev_unscaled[(i, k)] * moderated.s2_post[i].sqrt(),
            ave_expr: fit.amean[i],
            t: moderated.t[(i, k)],
            df: moderated.df_total[i],
            ln_p,
            ln_adjusted,
            b: moderated.odds.as_ref().map_or(f64::NAN, |odds| odds.lods[(i, k)]),
            ..Row::empty(group, contrast, Some(self.genes[i]), outcome)
        }
    }

    /// Genes up, genes down and genes with a test of a contrast, at a false discovery rate.
    pub(super) fn count(&self, contrast: &str, fdr: f64) -> (usize, usize, usize) {
        let Some(k) = self.fit.names.iter().position(|n| n == contrast) else { return (0, 0, 0) };
        let ln_p = self.ln_p(k);
        let adjusted = benjamini_hochberg_ln(&ln_p);
        let found = |up: bool| {
            (0..self.genes.len())
                .filter(|&i| adjusted[i] < fdr.ln() && (self.fit.coefficients[(i, k)] > 0.0) == up)
                .count()
        };
        (found(true), found(false), ln_p.iter().filter(|p| !p.is_nan()).count())
    }
}
