//! Cells and genes that are kept: [`filter_cells`], [`filter_genes`].

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::RowChunks;

use crate::Names;
use crate::qc::{QcOptions, QcSummary};
use crate::scan::{Need, scan};

/// One bound, which belongs to what is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At least so many genes detected (of a cell), or cells that have it (of a gene).
    MinDetected(usize),
    /// At most so many.
    MaxDetected(usize),
    /// A total of at least this.
    MinCounts(f64),
    /// A total of at most this.
    MaxCounts(f64),
}

impl Bound {
    /// The one bound among four options that may each be given.
    ///
    /// # Errors
    /// None is given, or more than one.
    pub fn one_of(
        min_detected: Option<usize>,
        max_detected: Option<usize>,
        min_counts: Option<f64>,
        max_counts: Option<f64>,
    ) -> Result<Self> {
        let given: Vec<Self> = [
            min_detected.map(Self::MinDetected),
            max_detected.map(Self::MaxDetected),
            min_counts.map(Self::MinCounts),
            max_counts.map(Self::MaxCounts),
        ]
        .into_iter()
        .flatten()
        .collect();
        match given[..] {
            [bound] => Ok(bound),
            _ => Err(Fault::bad_input(format!("{} bounds are given, exactly one is expected", given.len()))
                .hint("call it once for each bound")),
        }
    }

    fn keeps(self, detected: f64, total: f64) -> bool {
        match self {
            Self::MinDetected(n) => detected >= n as f64,
            Self::MaxDetected(n) => detected <= n as f64,
            Self::MinCounts(n) => total >= n,
            Self::MaxCounts(n) => total <= n,
        }
    }

    fn keep(self, detected: &[f64], total: &[f64]) -> Kept {
        Kept(detected.iter().zip(total).map(|(&d, &t)| self.keeps(d, t)).collect())
    }
}

/// Which rows, or columns, are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept(pub Vec<bool>);

impl Kept {
    /// The positions of those that are kept, in order.
    pub fn indices(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|&i| self.0[i]).collect()
    }

    /// How many are kept.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|&&kept| kept).count()
    }

    /// What both keep.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(&a, &b)| a && b).collect())
    }
}

/// Cells or genes after a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct Filtered {
    /// Which are kept.
    pub kept: Kept,
    /// For each, kept or not: genes detected of a cell, cells that have a gene.
    pub detected: Vec<f64>,
    /// For each, kept or not: its total.
    pub total: Vec<f64>,
}

/// Which cells are within `bound`.
///
/// # Errors
/// Values that are missing, infinite or negative.
pub fn filter_cells(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>, bound: Bound) -> Result<Filtered> {
    let metrics = measure(run, source, names)?.into_metrics();
    let kept = bound.keep(&metrics.n_genes, &metrics.total);
    run.info(&format!("{} of {} cells are kept", kept.count(), kept.0.len()));
    Ok(Filtered { kept, detected: metrics.n_genes, total: metrics.total })
}

/// Which genes are within `bound`.
///
/// # Errors
/// Values that are missing, infinite or negative.
pub fn filter_genes(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>, bound: Bound) -> Result<Filtered> {
    let metrics = measure(run, source, names)?.into_metrics();
    let kept = bound.keep(&metrics.n_cells, &metrics.gene_total);
    run.info(&format!("{} of {} genes are kept", kept.count(), kept.0.len()));
    Ok(Filtered { kept, detected: metrics.n_cells, total: metrics.gene_total })
}

fn measure(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>) -> Result<QcSummary> {
    let mut summary = QcSummary::new(source.n_cols(), &QcOptions::default())?;
    scan(run, source, names, Need::NotNegative, &mut [&mut summary])?;
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;

    #[test]
    fn bounds_belong_to_what_is_kept() -> Result<()> {
        let values = [0.0_f32, 3.0, 1.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0];
        let mut source = Dense::row_major(3, 3, &values)?;
        let (run, names) = (Run::new(), Names::default());
        for (bound, kept) in [
            (Bound::MinDetected(2), vec![0, 2]),
            (Bound::MaxDetected(2), vec![0, 1]),
            (Bound::MinCounts(4.0), vec![0, 2]),
            (Bound::MaxCounts(4.0), vec![0, 1]),
        ] {
            assert_eq!(filter_cells(&run, &mut source, &names, bound)?.kept.indices(), kept);
        }
        let genes = filter_genes(&run, &mut source, &names, Bound::MinDetected(2))?;
        assert_eq!((genes.kept.indices(), genes.detected), (vec![1, 2], vec![1.0, 2.0, 2.0]));
        assert!(genes.kept.and(&Kept(vec![true, true, false])).count() == 1);
        Ok(())
    }

    #[test]
    fn exactly_one_bound() {
        assert_eq!(Bound::one_of(None, Some(2), None, None).ok(), Some(Bound::MaxDetected(2)));
        for (a, b) in [(None, None), (Some(1), Some(2.0))] {
            let fault = Bound::one_of(a, None, b, None).err().map(|f| f.to_string()).unwrap_or_default();
            assert!(fault.ends_with("bounds are given, exactly one is expected"), "{fault}");
        }
    }
}
