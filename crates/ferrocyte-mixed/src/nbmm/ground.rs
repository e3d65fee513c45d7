//! What all genes of a group share: the layout of its cells, and what follows from it.

use std::sync::Arc;

use ferrocyte_math::linalg::Matrix;

use crate::nbmm::curves::Basis;
use crate::nbmm::layout::{Counts, Layout};

/// A layout, with the sums of offsets of its strata and their curves.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Ground {
    pub(in crate::nbmm) layout: Layout,
    /// The sum of the offsets of the cells of each stratum.
    pub(in crate::nbmm) exposures: Vec<f64>,
    /// What is added to the predictor of each stratum; empty for nothing.
    pub(in crate::nbmm) shifts: Vec<f64>,
    /// The curves of the cells; none where points are not nodes that all strata share.
    pub(in crate::nbmm) curves: Option<Curves>,
}

/// The curves of the cells of strata.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Curves {
    pub(in crate::nbmm) basis: Arc<Basis>,
    /// Strata × width of the basis.
    pub(in crate::nbmm) cells: Vec<f64>,
}

impl Ground {
    pub(in crate::nbmm) fn new(layout: Layout) -> Self {
        let exposures = layout.exposures();
        let curves = layout.shared_offsets().map(|offsets| {
            let basis = Basis::new(offsets);
            let cells = basis.curves(&layout.cells);
            Curves { basis: Arc::new(basis), cells }
        });
        Self { layout, exposures, shifts: Vec::new(), curves }
    }

    /// The same cells under another design: `map` (p × p') turns rows of this one into rows of the other.
    pub(in crate::nbmm) fn mapped(&self, map: &Matrix) -> Self {
        Self { layout: self.layout.mapped(map), ..self.clone() }
    }

    /// Only the strata that are kept.
    pub(in crate::nbmm) fn with_strata(&self, kept: &[bool]) -> Self {
        let of_kept = |values: &[f64], width: usize| -> Vec<f64> {
            let rows = values.chunks_exact(width).zip(kept).filter(|(_, k)| **k);
            rows.flat_map(|(row, _)| row.iter().copied()).collect()
        };
        Self {
            layout: self.layout.with_strata(kept),
            exposures: of_kept(&self.exposures, 1),
            shifts: of_kept(&self.shifts, 1),
            curves: self
                .curves
                .as_ref()
                .map(|c| Curves { basis: Arc::clone(&c.basis), cells: of_kept(&c.cells, c.basis.width()) }),
        }
    }

    /// The curves of the counts of a gene, strata × width of the basis; empty where there are none.
    pub(in crate::nbmm) fn curves_of(&self, counts: &Counts) -> Vec<f64> {
        self.curves.as_ref().map_or_else(Vec::new, |curves| curves.basis.curves(&counts.points))
    }
}
