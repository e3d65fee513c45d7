//! Pearson residuals of cells, block by block.
//!
//! With `m` the mean of the count of a cell and `w` the posterior mean of the effect of its donor, at the variances that
//! tests stand on:
//!
//! * conditional: `m = o e^{x'b + w}`, variance `m + tau m²`;
//! * marginal: `m = o e^{x'b + s2/2}`, variance `m + m² (e^{s2} (1 + tau) - 1)`: the effect is part of the noise.

#![allow(clippy::inline_always)]

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Frame, RowBlock, RowChunks, Summary, fold_rows};
use ferrocyte_design::Model;
use ferrocyte_math::wide::{self, Kernel};

use crate::nbmm::fit::Fit;
use crate::nbmm::options::{AliasedChoice, NaChoice, Path};
use crate::nbmm::sums::{CellPlaces, Offset, SumsOptions};

/// No group.
const NONE: u32 = u32::MAX;

/// What gives residuals to the cells of a study.
#[derive(Debug)]
pub struct Residuals {
    n_genes: usize,
    /// The new column of each gene of the matrix; none where the genes are those of the fit.
    columns: Option<Vec<u32>>,
    /// Group and stratum of each cell.
    cells: Vec<(u32, u32)>,
    ln_offset: Vec<f64>,
    groups: Vec<Option<OfGroup>>,
}

/// What the residuals of a group need.
#[derive(Debug)]
struct OfGroup {
    /// Means of cells of offset 1, strata × genes; NaN without an estimate.
    means: Vec<f64>,
    /// What the square of the mean is multiplied by in the variance, per gene.
    excess: Vec<f64>,
}

impl Residuals {
    /// Prepares residuals of the cells of `source`, the study that `fit` came from or another with its donors and groups.
    ///
    /// `genes` names the columns of `source`; those of the fit must be among them, once each. `obs` has a row per cell and
    /// the columns that the model, the groups and the offset name. The matrix is read once where totals of cells are needed.
    pub fn new(
        run: &Run,
        fit: &Fit,
        source: &mut dyn RowChunks,
        (genes, obs): (&[String], &Frame),
        na: NaChoice,
        conditional: bool,
    ) -> Result<Self> {
        let sums = fit.sums();
        let options = SumsOptions {
            groups: Some(sums.groups_by.clone()).filter(|name| !name.is_empty()),
            offset: Offset::from_words(&sums.offset),
            aliased: Some(AliasedChoice::Drop),
            na: Some(na),
            path: Some(Path::Nodes),
            ..SumsOptions::default()
        };
        let model = Model::parse(&sums.formula, &[])?;
        let places = CellPlaces::find(run, source, genes, obs, &model, &options)?;
        let mut groups = Vec::new();
        for (g, (known, found)) in sums.groups.iter().zip(&places.groups).enumerate() {
            let same = known.label == found.label
                && known.donors == found.donors
                && known.coefficients.names() == found.coefficients.names()
                && known.layout.x == found.layout.x
                && known.layout.donors == found.layout.donors;
            if !same || sums.groups.len() != places.groups.len() {
                return Err(Fault::bad_input(
                    "the cells have other donors, groups or covariates than those of the fit",
                )
                .at(source.name())
                .hint("give the study that was fitted"));
            }
            groups.push(if known.refused.is_empty() { Some(OfGroup::new(run, fit, g, conditional)?) } else { None });
        }
        let columns = columns(&sums.genes, genes)?;
        Ok(Self { n_genes: sums.genes.len(), columns, cells: places.cells, ln_offset: places.ln_offset, groups })
    }

    /// The number of genes: columns of the blocks.
    pub fn n_genes(&self) -> usize {
        self.n_genes
    }

    /// The residuals of some cells of `source`, cells × genes, row by row. NaN for cells that were left out and genes
    /// without an estimate.
    pub fn rows(&self, run: &Run, source: &mut dyn RowChunks, rows: Range<usize>) -> Result<Vec<f32>> {
        if rows.start > rows.end || rows.end > self.cells.len() || source.n_rows() != self.cells.len() {
            return Err(Fault::bad_input(format!(
                "rows {}:{} of {}, prepared for {}",
                rows.start,
                rows.end,
                source.n_rows(),
                self.cells.len()
            ))
            .at("rows"));
        }
        run.reserve("residuals", 4 * (rows.len() * self.n_genes) as u64)?;
        let mut block = Block { of: self, first: rows.start, out: vec![f32::NAN; rows.len() * self.n_genes] };
        fold_rows(run, source, rows, &mut [&mut block])?;
        Ok(block.out)
    }
}

/// Where the genes of a matrix stand in the fit.
fn columns(known: &[String], genes: &[String]) -> Result<Option<Vec<u32>>> {
    if known == genes {
        return Ok(None);
    }
    let mut place = std::collections::HashMap::new();
    for (k, name) in known.iter().enumerate() {
        if place.insert(name.as_str(), k as u32).is_some() {
            return Err(Fault::bad_input(format!("the fit has several genes named `{name}`")).at("genes"));
        }
    }
    let columns: Vec<u32> = genes.iter().map(|g| place.remove(g.as_str()).unwrap_or(NONE)).collect();
    match place.keys().min() {
        None => Ok(Some(columns)),
        Some(gene) => Err(Fault::missing(format!("gene `{gene}` of the fit is not in the matrix")).at("genes")),
    }
}

impl OfGroup {
    fn new(run: &Run, fit: &Fit, group: usize, conditional: bool) -> Result<Self> {
        let layout = &fit.sums().groups[group].layout;
        let genes = fit.settled(run, group)?;
        let (n, n_strata) = (genes.len(), layout.n_strata());
        let mut means = vec![f64::NAN; n_strata * n];
        let mut excess = vec![f64::NAN; n];
        for (g, gene) in genes.iter().enumerate() {
            let Some(gene) = gene else { continue };
            excess[g] = if conditional { gene.tau } else { gene.s2.exp() * (1.0 + gene.tau) - 1.0 };
            for donor in 0..layout.n_donors() {
                let shift = if conditional { gene.effects[donor].0 } else { 0.5 * gene.s2 };
                for c in layout.donors[donor]..layout.donors[donor + 1] {
                    let ln = gene.predictors[c];
                    means[c * n + g] = if ln == f64::NEG_INFINITY { 0.0 } else { (ln + shift).exp() };
                }
            }
        }
        Ok(Self { means, excess })
    }
}

/// Rows on their way out.
struct Block<'a> {
    of: &'a Residuals,
    first: usize,
    out: Vec<f32>,
}

impl Summary for Block<'_> {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let kept = match &self.of.columns {
            Some(columns) => Some(block.with_columns(columns, self.of.n_genes)?),
            None => None,
        };
        let block = kept.as_ref().unwrap_or(block);
        let n = self.of.n_genes;
        for i in 0..block.n_rows() {
            let cell = block.start() + i;
            let (g, stratum) = self.of.cells[cell];
            let Some(group) = self.of.groups.get(g as usize).and_then(Option::as_ref) else { continue };
            let means = &group.means[stratum as usize * n..][..n];
            let offset = self.of.ln_offset[cell].exp();
            let out = &mut self.out[(cell - self.first) * n..][..n];
            wide::widest(OfZeros { means, excess: &group.excess, offset, out });
            for (gene, y) in block.row(i).filter(|(_, y)| *y != 0.0) {
                let mean = offset * means[gene];
                out[gene] = ((y - mean) / (mean + group.excess[gene] * mean * mean).sqrt()) as f32;
            }
        }
        Ok(())
    }
}

/// The residuals of a cell as if all its counts were zero.
struct OfZeros<'a> {
    means: &'a [f64],
    excess: &'a [f64],
    offset: f64,
    out: &'a mut [f32],
}

impl Kernel for OfZeros<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, mean), excess) in self.out.iter_mut().zip(self.means).zip(self.excess) {
            let mean = self.offset * mean;
            // -m / sqrt(m + e m²), which is 0 where nothing is expected.
            *out = -(mean / (1.0 + excess * mean)).sqrt() as f32;
        }
    }
}
