//! The additive sums: all that a count model needs of the cells.
//!
//! Per group: strata (donor and row of the design), their points with the number of cells that each stands for, and per
//! gene the counts at the points and how often each count occurs. They add over disjoint cells (shards, machines).

mod collect;
mod merge;
mod part;
mod strata;

pub(in crate::nbmm) use collect::CellPlaces;
pub use collect::{Offset, SumsOptions, sums};

use ferrocyte_base::{Input, Provenance};
use ferrocyte_design::Coefficients;

use crate::lmm::SumsInput;
use crate::nbmm::layout::{Counts, Layout};
use crate::nbmm::nodes::OffsetNodes;
use crate::nbmm::tails::Tails;

/// Counts of every gene at the points.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::nbmm) enum PointSums {
    /// On nodes: genes × points.
    Dense(Vec<f64>),
    /// Of cells: per gene the points that have counts, rising, and these.
    Listed(Vec<Vec<(u32, f64)>>),
}

/// The sums of one group of cells (of all cells, where there are no groups).
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSums {
    /// The level of the grouping column; empty where there are no groups.
    pub label: String,
    /// Names and terms of the fixed effects.
    pub coefficients: Coefficients,
    /// What the donor effect is over: `donor`.
    pub unit: String,
    /// The donors, in the order of the random effects.
    pub donors: Vec<String>,
    /// Number of cells.
    pub n_cells: u64,
    /// The nodes of the offset; none where every cell is a point.
    pub nodes: Option<OffsetNodes>,
    /// Why the model cannot be fitted to this group; empty where it can.
    pub refused: String,
    pub(in crate::nbmm) layout: Layout,
    pub(in crate::nbmm) points: PointSums,
    /// Per gene: counts above zero, rising, and how many cells have each.
    pub(in crate::nbmm) histograms: Vec<Vec<(u64, f64)>>,
}

impl GroupSums {
    /// Number of fixed effects.
    pub fn n_fixed(&self) -> usize {
        self.coefficients.len()
    }

    /// Number of strata: donors by rows of the design.
    pub fn n_strata(&self) -> usize {
        self.layout.n_strata()
    }

    /// Which path the likelihood takes: `nodes` or `cells`.
    pub fn path(&self) -> &'static str {
        if self.nodes.is_some() { "nodes" } else { "cells" }
    }

    /// What the likelihood needs of a gene.
    pub(in crate::nbmm) fn counts(&self, gene: usize) -> Counts {
        let n = self.layout.offsets.len();
        let points = match &self.points {
            PointSums::Dense(all) => all[gene * n..(gene + 1) * n].to_vec(),
            PointSums::Listed(lists) => {
                let mut points = vec![0.0; n];
                lists[gene].iter().for_each(|&(k, y)| points[k as usize] += y);
                points
            }
        };
        Counts::new(&self.layout, points, Tails::new(self.histograms[gene].iter().copied()))
    }
}

/// The sums of a study: a header, and the sums of each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// The genes, in order; names may repeat.
    pub genes: Vec<String>,
    /// The model, in canonical text.
    pub formula: String,
    /// The grouping column; empty where there is none.
    pub groups_by: String,
    /// What the offset of a cell is, in words.
    pub offset: String,
    /// The column of var that chose the genes; empty if all were taken or no name is known.
    pub genes_from: String,
    /// What was said while the design was made.
    pub warnings: Vec<String>,
    /// For each factor that varies within a unit without a term for what was treated: its name and what that costs.
    pub replication: Vec<(String, String)>,
    /// The sources, and which of their rows were observed.
    pub inputs: Vec<SumsInput>,
    /// The groups, in order of their levels.
    pub groups: Vec<GroupSums>,
}

impl Sums {
    /// Number of genes.
    pub fn n_genes(&self) -> usize {
        self.genes.len()
    }

    /// Number of cells in all groups.
    pub fn n_cells(&self) -> u64 {
        self.groups.iter().map(|g| g.n_cells).sum()
    }

    /// What was done to what, so far; `method` names who did it.
    pub fn provenance(&self, method: &str) -> Provenance {
        let paths: Vec<&str> = self.groups.iter().map(GroupSums::path).collect();
        let path = paths.first().filter(|first| paths.iter().all(|p| p == *first)).copied().unwrap_or("nodes, cells");
        let mut provenance = Provenance::new(method)
            .option("formula", self.formula.as_str())
            .option("groups", self.groups_by.as_str())
            .option("offset", self.offset.as_str())
            .option("mask_var", self.genes_from.as_str())
            .option("path", path);
        let inputs = self.inputs.iter().map(|i| Input { name: i.describe(), fingerprint: i.fingerprint.clone() });
        provenance.inputs = inputs.collect();
        provenance.warnings.clone_from(&self.warnings);
        provenance
    }

    /// A few lines for people: model, size, groups.
    pub fn describe(&self) -> String {
        let mut lines = vec![
            format!("nbmm sums  {}", self.formula),
            format!("{} genes, {} cells, offset: {}", self.n_genes(), self.n_cells(), self.offset),
        ];
        for group in &self.groups {
            let name = if group.label.is_empty() { String::new() } else { format!("{}: ", group.label) };
            lines.push(if group.refused.is_empty() {
                format!("  {name}{}", group.describe())
            } else {
                format!("  {name}{} cells, cannot be fitted: {}", group.n_cells, group.refused)
            });
        }
        lines.join("\n")
    }
}

impl GroupSums {
    /// A line for people.
    pub(in crate::nbmm) fn describe(&self) -> String {
        let points = match &self.nodes {
            Some(nodes) => format!("{} nodes of the offset", nodes.len()),
            None => "cell by cell".to_owned(),
        };
        format!(
            "{} cells, {} fixed effects, {} x {}, {} strata, {points}",
            self.n_cells,
            self.n_fixed(),
            self.donors.len(),
            self.unit,
            self.n_strata()
        )
    }
}
