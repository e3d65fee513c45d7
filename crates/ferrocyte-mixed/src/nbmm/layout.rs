//! The cells as the likelihood sees them: strata of donors, and points of strata.
//!
//! Cells of one donor with one row of the design are a *stratum*; within it only the offset varies. What stands for its
//! cells are *points*: either the nodes of the offset ([`crate::nbmm::OffsetNodes`]), to which every cell adds its
//! cardinal polynomials, or the cells themselves, each with weight 1. The likelihood is the same sum over points.

use ferrocyte_math::linalg::Matrix;

use crate::nbmm::tails::Tails;

/// The strata and points of one group of cells.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::nbmm) struct Layout {
    /// Rows of the design, strata × p.
    pub(in crate::nbmm) x: Matrix,
    /// The first stratum of each donor, and the end of the last.
    pub(in crate::nbmm) donors: Vec<usize>,
    /// The first point of each stratum, and the end of the last.
    pub(in crate::nbmm) points: Vec<usize>,
    /// Offset of each point.
    pub(in crate::nbmm) offsets: Vec<f64>,
    /// How many cells each point stands for; weights of nodes may be negative.
    pub(in crate::nbmm) cells: Vec<f64>,
}

impl Layout {
    /// Number of coefficients.
    pub(in crate::nbmm) fn n_fixed(&self) -> usize {
        self.x.n_cols()
    }

    pub(in crate::nbmm) fn n_strata(&self) -> usize {
        self.x.n_rows()
    }

    pub(in crate::nbmm) fn n_donors(&self) -> usize {
        self.donors.len() - 1
    }

    /// The sum of the offsets of the cells of each stratum.
    pub(in crate::nbmm) fn exposures(&self) -> Vec<f64> {
        self.per_stratum(|k| self.cells[k] * self.offsets[k])
    }

    /// The offsets of the points of a stratum, where they are the same for all strata and few.
    pub(in crate::nbmm) fn shared_offsets(&self) -> Option<&[f64]> {
        /// More points than this are cells, or as good as cells.
        const MOST: usize = 32;
        let first = &self.offsets[..*self.points.get(1)?];
        let same = |ends: &[usize]| self.offsets[ends[0]..ends[1]] == *first;
        (!first.is_empty() && first.len() <= MOST && self.points.windows(2).all(same)).then_some(first)
    }

    /// The sums over the points of each stratum.
    pub(in crate::nbmm) fn per_stratum(&self, f: impl Fn(usize) -> f64) -> Vec<f64> {
        self.points.windows(2).map(|ends| (ends[0]..ends[1]).map(&f).sum()).collect()
    }

    /// The same cells under another design: `map` (p × p') turns rows of this one into rows of the other.
    pub(in crate::nbmm) fn mapped(&self, map: &Matrix) -> Self {
        Self { x: self.x.times(map), ..self.clone() }
    }

    /// Only the strata that are kept.
    pub(in crate::nbmm) fn with_strata(&self, kept: &[bool]) -> Self {
        let mut new = Self {
            x: Matrix::zeros(kept.iter().filter(|&&k| k).count(), self.n_fixed()),
            donors: vec![0],
            points: vec![0],
            offsets: Vec::new(),
            cells: Vec::new(),
        };
        for donor in self.donors.windows(2) {
            for c in (donor[0]..donor[1]).filter(|&c| kept[c]) {
                let at = new.points.len() - 1;
                new.x.row_mut(at).copy_from_slice(self.x.row(c));
                new.offsets.extend(&self.offsets[self.points[c]..self.points[c + 1]]);
                new.cells.extend(&self.cells[self.points[c]..self.points[c + 1]]);
                new.points.push(new.offsets.len());
            }
            new.donors.push(new.points.len() - 1);
        }
        new
    }
}

/// What the likelihood needs of one gene.
#[derive(Debug, Clone)]
pub(in crate::nbmm) struct Counts {
    /// Sum of counts of each stratum.
    pub(in crate::nbmm) strata: Vec<f64>,
    /// Sum of counts that each point stands for.
    pub(in crate::nbmm) points: Vec<f64>,
    /// How often each count occurs.
    pub(in crate::nbmm) tails: Tails,
    /// `sum_j y_j ln(offset_j) - ln y_j!`.
    pub(in crate::nbmm) constant: f64,
}

impl Counts {
    /// From the sums of a gene.
    ///
    /// Sums of strata and the term of the offsets follow from those of points: cardinal polynomials sum to 1, and meet
    /// straight lines in ln(offset) exactly.
    pub(in crate::nbmm) fn new(layout: &Layout, points: Vec<f64>, tails: Tails) -> Self {
        let strata = layout.per_stratum(|k| points[k]).into_iter().map(f64::round).collect();
        let offsets: f64 = points.iter().zip(&layout.offsets).map(|(w, o)| w * o.ln()).sum();
        let constant = offsets - tails.ln_factorials();
        Self { strata, points, tails, constant }
    }

    /// All counts of the gene.
    pub(in crate::nbmm) fn total(&self) -> f64 {
        self.strata.iter().sum()
    }

    /// Only the strata that are kept; those left out must be without counts.
    pub(in crate::nbmm) fn with_strata(&self, layout: &Layout, kept: &[bool]) -> Self {
        let strata = self.strata.iter().zip(kept).filter(|(_, k)| **k).map(|(y, _)| *y).collect();
        let ranges = layout.points.windows(2).zip(kept).filter(|(_, k)| **k);
        let points = ranges.flat_map(|(ends, _)| self.points[ends[0]..ends[1]].iter().copied()).collect();
        Self { strata, points, tails: self.tails.clone(), constant: self.constant }
    }

    /// Number of donors with a count.
    pub(in crate::nbmm) fn n_donors(&self, layout: &Layout) -> usize {
        let some = |donor: &&[usize]| self.strata[donor[0]..donor[1]].iter().any(|&y| y > 0.0);
        layout.donors.windows(2).filter(some).count()
    }
}
