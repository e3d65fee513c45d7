//! How much of a gene's variance each part of the model accounts for.
//!
//! Over the cells of the study: the fixed effects vary by b'(X'X/n - x̄x̄')b, x̄ the means of the columns of X; random
//! term i by s_i tr(Z_i'Z_i)/n (s_i itself for indicators; Johnson 2014, doi 10.1111/2041-210X.12225, for slopes); the
//! residual by s₀. The shares are those of their total; the fixed share is the marginal R², the share of all but the
//! residual the conditional R² of Nakagawa and Schielzeth (2013, doi 10.1111/j.2041-210x.2012.00261.x).

use ferrocyte_base::{Cells, Column, Result, Run, Table};
use ferrocyte_math::linalg::{Matrix, dot, product};

use crate::lmm::core::{Core, GENE_BLOCK};
use crate::lmm::fit::{Fit, GroupFit};
use crate::lmm::status::Outcome;
use crate::lmm::sums::GroupSums;

/// How far the sum over indicators may be from the sum over cells, relative to its size.
const SAME_SUM: f64 = 1e-9;

/// Words that columns of the table have besides the random terms.
const TAKEN: [&str; 10] =
    ["group", "gene", "variance", "fixed", "residual", "r2_marginal", "r2_conditional", "status", "reason", "n_cells"];

/// The variances of one group.
struct Parts {
    /// Of the fixed effects, per gene; NaN where the means of the columns cannot be told from the sums.
    fixed: Vec<f64>,
    /// Of each random term, genes × k; those below zero as zero.
    random: Vec<f64>,
    /// Of the residual.
    residual: Vec<f64>,
}

impl Fit {
    /// The share of each part of the model in the variance of each gene: a row per group and gene.
    ///
    /// Columns: `group`, `gene`, `variance` (the total), `fixed`, one per random term, `residual`, `r2_marginal`,
    /// `r2_conditional`, `status`, `reason`, `n_cells`. Negative components count as zero. Where the sums do not tell
    /// the means of the design's columns (no intercept, and no random term that gives every cell one level), `fixed`
    /// and `r2_marginal` are NaN, a warning says so, and the other shares are of the variance that the fixed effects
    /// leave.
    pub fn variance_shares(&self, run: &Run) -> Result<Table> {
        let mut names: Vec<String> = Vec::new();
        for component in self.groups.iter().flat_map(|g| &g.components) {
            if !names.contains(&component.name) {
                names.push(component.name.clone());
            }
        }
        let m = self.genes().len();
        let total_rows = m * self.groups.len();
        let nan = || vec![f64::NAN; total_rows];
        let (mut variance, mut fixed, mut residual, mut marginal, mut conditional) =
            (nan(), nan(), nan(), nan(), nan());
        let mut random: Vec<Vec<f64>> = names.iter().map(|_| nan()).collect();
        for (g, (group, sums)) in self.groups.iter().zip(&self.sums().groups).enumerate() {
            let Some(core) = &group.core else { continue };
            let means = column_means(sums);
            if means.is_none() {
                let place = if group.label.is_empty() { String::new() } else { format!("group `{}`: ", group.label) };
                run.warn(&format!(
                    "{place}the sums do not tell the means of the design's columns: the share of the fixed effects is left out"
                ));
            }
            let parts = group.variances(run, core, sums, means.as_deref())?;
            let k = group.n_components();
            let columns: Vec<Option<usize>> =
                names.iter().map(|name| group.components.iter().position(|c| c.name == *name)).collect();
            for gene in 0..m {
                let row = g * m + gene;
                let mine = &parts.random[gene * k..(gene + 1) * k];
                let by_fixed = if parts.fixed[gene].is_nan() { 0.0 } else { parts.fixed[gene] };
                let total = by_fixed + mine.iter().sum::<f64>() + parts.residual[gene];
                variance[row] = total;
                fixed[row] = parts.fixed[gene] / total;
                residual[row] = parts.residual[gene] / total;
                marginal[row] = fixed[row];
                conditional[row] = 1.0 - residual[row];
                for (column, at) in random.iter_mut().zip(&columns) {
                    column[row] = at.map_or(f64::NAN, |at| mine[at] / total);
                }
            }
        }
        Ok(self.shares_table(&names, variance, [fixed, residual, marginal, conditional], random))
    }

    fn shares_table(
        &self,
        names: &[String],
        variance: Vec<f64>,
        [fixed, residual, marginal, conditional]: [Vec<f64>; 4],
        random: Vec<Vec<f64>>,
    ) -> Table {
        let m = self.genes().len();
        let labels = self.groups.iter().map(|g| if g.label.is_empty() { "all" } else { &g.label }).map(str::to_owned);
        let groups: Vec<u32> = (0..self.groups.len()).flat_map(|g| std::iter::repeat_n(g as u32, m)).collect();
        let outcomes: Vec<Outcome> = self.groups.iter().flat_map(|g| g.outcomes.iter().copied()).collect();
        let words = Outcome::ALL.iter().map(|o| o.status().word.to_owned()).collect();
        let reasons = groups.iter().zip(&outcomes).map(|(&g, outcome)| match outcome {
            Outcome::GroupNotFitted => self.groups[g as usize].refused.clone(),
            other => other.status().sentence.to_owned(),
        });
        let cells = groups.iter().map(|&g| self.groups[g as usize].n_cells as i64).collect();
        let genes = self.groups.iter().flat_map(|_| self.genes().iter().cloned()).collect();
        let squared = format!("({})²", self.sums().transform.unit());
        let mut table = Table::new("variance shares")
            .with(Column::level(
                "group",
                "level of the grouping column; `all` without one",
                groups.clone(),
                labels.collect(),
            ))
            .with(Column::text("gene", "gene", genes))
            .with(Column::float("variance", &squared, "total variance over cells, by the model", variance))
            .with(Column::float("fixed", "share", "share of the fixed effects", fixed));
        for (name, shares) in names.iter().zip(random) {
            let column = if TAKEN.contains(&name.as_str()) { format!("random {name}") } else { name.clone() };
            let meaning = format!("share of the random term `{name}`; zero where its variance is below zero");
            table = table.with(Column::new(column, "share", meaning, Cells::Float(shares)));
        }
        table
            .with(Column::float("residual", "share", "share of the residual", residual))
            .with(Column::float("r2_marginal", "share", "marginal R²: by the fixed effects", marginal))
            .with(Column::float("r2_conditional", "share", "conditional R²: by fixed and random effects", conditional))
            .with(Column::level(
                "status",
                "what became of the gene",
                outcomes.iter().map(|o| o.code() as u32).collect(),
                words,
            ))
            .with(Column::text("reason", "the status in a sentence", reasons.collect()))
            .with(Column::int("n_cells", "cells", "cells of the group", cells))
    }
}

impl GroupFit {
    /// `means`: of the columns of X, where they are known.
    fn variances(&self, run: &Run, core: &Core, sums: &GroupSums, means: Option<&[f64]>) -> Result<Parts> {
        let (k, m, p, q) = (self.n_components(), self.outcomes.len(), core.p(), core.q());
        let effects = self.random_effects(run)?;
        let spread = means.map(|means| centred(&sums.xx, means, core.shared.n));
        let back = core.shared.projection.transpose();
        let fixed = run.map_ranges("variance shares", m, GENE_BLOCK, |genes| {
            let Some(spread) = &spread else { return Ok(vec![f64::NAN; genes.len()]) };
            // b = b_ols - H'(Γu)
            let mut shift = vec![0.0; genes.len() * p];
            product(&effects[genes.start * q..genes.end * q], q, &back, &mut shift);
            let ols = &core.b_ols[genes.start * p..genes.end * p];
            let b: Vec<f64> = ols.iter().zip(&shift).map(|(b, s)| b - s).collect();
            let mut image = vec![0.0; b.len()];
            product(&b, p, spread, &mut image);
            Ok(b.chunks_exact(p).zip(image.chunks_exact(p)).map(|(b, i)| dot(b, i).max(0.0)).collect::<Vec<_>>())
        })?;
        let mut weights = Vec::with_capacity(k);
        let mut from = 0;
        for component in &self.components {
            let to = from + component.columns.len();
            weights.push((from..to).map(|j| sums.zz[(j, j)]).sum::<f64>() / core.shared.n);
            from = to;
        }
        let theta = |gene: usize| &self.theta[gene * (k + 1)..(gene + 1) * (k + 1)];
        // NaN stays NaN: `max` alone would turn it into zero.
        let above = |x: f64| if x < 0.0 { 0.0 } else { x };
        Ok(Parts {
            fixed: fixed
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(g, x)| if theta(g)[k].is_nan() { f64::NAN } else { x })
                .collect(),
            random: (0..m).flat_map(|g| theta(g)[..k].iter().zip(&weights).map(|(&s, w)| w * above(s))).collect(),
            residual: (0..m).map(|g| theta(g)[k]).collect(),
        })
    }
}

/// The means of the columns of X, where the sums tell them: from the intercept, or from a random term that gives every
/// cell one of its levels.
fn column_means(sums: &GroupSums) -> Option<Vec<f64>> {
    let (p, n) = (sums.n_fixed(), sums.n_cells as f64);
    if let Some(k) = sums.coefficients.names().iter().position(|name| name == "(Intercept)") {
        return Some(sums.xx.row(k).iter().map(|x| x / n).collect());
    }
    let mut from = 0;
    for component in &sums.components {
        let columns = from..from + component.columns.len();
        from = columns.end;
        if covers_every_cell(sums, columns.clone()) {
            return Some((0..p).map(|i| columns.clone().map(|j| sums.zx[(j, i)]).sum::<f64>() / n).collect());
        }
    }
    None
}

/// Whether columns of Z are indicators of which each cell has one: Z'Z is diagonal and adds up to the number of cells,
/// and Z'y adds up to the sum of y for every gene.
fn covers_every_cell(sums: &GroupSums, columns: std::ops::Range<usize>) -> bool {
    let q = sums.n_random();
    let diagonal = columns.clone().all(|i| columns.clone().all(|j| i == j || sums.zz[(i, j)] == 0.0));
    let total: f64 = columns.clone().map(|j| sums.zz[(j, j)]).sum();
    let adds_up = |gene: usize| {
        let sum: f64 = columns.clone().map(|j| sums.zy[gene * q + j]).sum();
        (sum - sums.y_sum[gene]).abs() <= SAME_SUM * (sums.y_norm[gene] * sums.n_cells as f64).sqrt()
    };
    diagonal && total == sums.n_cells as f64 && (0..sums.y_sum.len()).all(adds_up)
}

/// X'X/n - x̄x̄'.
fn centred(xx: &Matrix, means: &[f64], n: f64) -> Matrix {
    let mut out = xx.clone();
    for (i, mean) in means.iter().enumerate() {
        for (x, other) in out.row_mut(i).iter_mut().zip(means) {
            *x = *x / n - mean * other;
        }
    }
    out
}
