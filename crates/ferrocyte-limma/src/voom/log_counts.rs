//! [`LogCounts`]: log2 counts per million, as `voom` takes them, block by block of genes.

#![allow(clippy::inline_always)]

use std::ops::Range;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::{Matrix, MatrixRef};
use ferrocyte_math::wide::{self, Kernel};

use crate::Expression;
use crate::counts::usable_library_sizes;
use crate::fit::genes_at_once;

/// log2 of a million.
fn log2_million() -> f64 {
    1e6_f64.log2()
}

/// Counts that can be logged: `log2((c + 0.5) / (L + 1) 1e6)`.
#[derive(Debug)]
pub(super) struct LogCounts<'a> {
    counts: Expression<'a>,
    lib_size: Vec<f64>,
    shifts: Shifts,
}

/// What log-values lack to what a trend runs over: of log-counts per million `log2(L + 1) - log2(1e6)`.
#[derive(Debug)]
pub(super) struct Shifts {
    /// Of each sample.
    samples: Vec<f64>,
    /// Of each value, where libraries differ between genes.
    values: Option<Matrix>,
}

impl Shifts {
    /// Nothing is lacking.
    pub(super) fn none(n_samples: usize) -> Self {
        Self { samples: vec![0.0; n_samples], values: None }
    }

    /// Those of a gene, one per sample.
    #[inline]
    pub(super) fn row(&self, g: usize) -> &[f64] {
        self.values.as_ref().map_or(&self.samples, |own| own.row(g))
    }
}

impl<'a> LogCounts<'a> {
    /// Counts with library sizes: the totals unless given.
    ///
    /// # Errors
    /// Where there are fewer than two genes, a count is negative or not finite, or nothing was counted in a sample.
    pub(super) fn new(run: &Run, counts: &Expression<'a>, lib_size: Option<&[f64]>) -> Result<Self> {
        if counts.n_genes() < 2 {
            return Err(Fault::bad_input(format!("{} genes, expected at least 2", counts.n_genes()))
                .at("counts")
                .hint("the trend of the variance is learnt from many genes"));
        }
        let lib_size = usable_library_sizes(run, counts, lib_size)?;
        let samples = lib_size.iter().map(|size| (size + 1.0).log2() - log2_million()).collect();
        Ok(Self { counts: *counts, lib_size, shifts: Shifts { samples, values: None } })
    }

    /// The same with offsets of genes × samples on the natural logarithmic scale. What an offset differs from the mean of
    /// its gene scales the library for that gene.
    pub(super) fn with_offset(mut self, offset: MatrixRef<'_>, is_prior: bool) -> Result<Self> {
        let (genes, samples) = (self.n_genes(), self.n_samples());
        if (offset.n_rows(), offset.n_cols()) != (genes, samples) {
            let message = format!("{} x {}, expected {genes} x {samples}", offset.n_rows(), offset.n_cols());
            return Err(Fault::bad_input(message).at("offset"));
        }
        let mut shifts = Matrix::zeros(genes, samples);
        for g in 0..genes {
            let row = offset.row(g);
            if let Some(j) = row.iter().position(|o| !o.is_finite()) {
                let message = format!("{} in {} of {}", row[j], self.counts.sample(j), self.counts.gene(g));
                return Err(Fault::bad_input(message).at("offset").hint("expected finite numbers"));
            }
            let mean = if is_prior { 0.0 } else { row.iter().sum::<f64>() / samples as f64 };
            for ((shift, o), size) in shifts.row_mut(g).iter_mut().zip(row).zip(&self.lib_size) {
                *shift = (size * (o - mean).exp() + 1.0).log2() - log2_million();
            }
        }
        self.shifts.values = Some(shifts);
        Ok(self)
    }

    pub(super) fn counts(&self) -> &Expression<'a> {
        &self.counts
    }

    pub(super) fn lib_size(&self) -> &[f64] {
        &self.lib_size
    }

    pub(super) fn n_genes(&self) -> usize {
        self.counts.n_genes()
    }

    pub(super) fn n_samples(&self) -> usize {
        self.counts.n_samples()
    }

    /// What a mean log-count per million lacks to a mean log-count.
    pub(super) fn mean_shift(&self) -> f64 {
        self.shifts.samples.iter().sum::<f64>() / self.lib_size.len() as f64
    }

    /// What log-counts per million lack to log-counts.
    pub(super) fn shifts(&self) -> &Shifts {
        &self.shifts
    }

    /// The log-values of some genes, genes × samples.
    pub(super) fn write(&self, genes: Range<usize>, out: &mut Vec<f64>) {
        let n = self.n_samples();
        out.clear();
        out.resize(genes.len() * n, 0.0);
        for (row, g) in out.chunks_exact_mut(n).zip(genes) {
            wide::widest(Logged { counts: self.counts.row(g), shifts: self.shifts.row(g), out: row });
        }
    }

    /// All log-values.
    pub(super) fn all(&self, run: &Run) -> Result<Matrix> {
        let n = self.n_samples();
        let mut out = Matrix::zeros(self.n_genes(), n);
        let at_once = genes_at_once(n);
        run.for_each_chunk(out.entries_mut(), at_once * n, |block, rows| {
            for (k, row) in rows.chunks_exact_mut(n).enumerate() {
                let g = block * at_once + k;
                wide::widest(Logged { counts: self.counts.row(g), shifts: self.shifts.row(g), out: row });
            }
        })?;
        Ok(out)
    }
}

struct Logged<'a> {
    counts: &'a [f64],
    shifts: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel for Logged<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((out, count), shift) in self.out.iter_mut().zip(self.counts).zip(self.shifts) {
            *out = wide::ln(count + 0.5) * std::f64::consts::LOG2_E - shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [f64; 6] = [0.0, 3.0, 10.0, 99.0, 1000.0, 7.0];

    #[test]
    fn values_are_those_of_the_formula() -> Result<()> {
        let counts = Expression::unnamed(MatrixRef::from_rows(3, 2, &COUNTS));
        let run = Run::new();
        let logged = LogCounts::new(&run, &counts, None)?;
        assert_eq!(logged.lib_size(), [1010.0, 109.0]);
        let all = logged.all(&run)?;
        let mut some = Vec::new();
        logged.write(1..3, &mut some);
        assert_eq!(some, all.entries()[2..]);
        for (i, value) in all.entries().iter().enumerate() {
            let expected = ((COUNTS[i] + 0.5) / (logged.lib_size()[i % 2] + 1.0) * 1e6).log2();
            assert!((value - expected).abs() < 1e-13);
        }
        Ok(())
    }

    #[test]
    fn offsets_scale_libraries() -> Result<()> {
        let counts = Expression::unnamed(MatrixRef::from_rows(3, 2, &COUNTS));
        let run = Run::new();
        let offset = [0.0, 0.4, 1.0, 1.0, -2.0, 0.0];
        let logged = LogCounts::new(&run, &counts, None)?.with_offset(MatrixRef::from_rows(3, 2, &offset), false)?;
        let all = logged.all(&run)?;
        let expected = (0.5 / (1010.0 * (-0.2_f64).exp() + 1.0) * 1e6).log2();
        assert!((all[(0, 0)] - expected).abs() < 1e-13);
        assert!((all[(1, 1)] - (99.5 / 110.0 * 1e6_f64).log2()).abs() < 1e-13);
        let short = MatrixRef::from_rows(2, 2, &offset[..4]);
        assert!(LogCounts::new(&run, &counts, None)?.with_offset(short, false).is_err());
        Ok(())
    }

    #[test]
    fn a_trend_needs_two_genes() {
        let counts = Expression::unnamed(MatrixRef::from_rows(1, 2, &COUNTS[2..4]));
        assert!(LogCounts::new(&Run::new(), &counts, None).is_err());
    }
}
