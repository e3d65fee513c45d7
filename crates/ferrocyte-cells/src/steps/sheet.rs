//! [`Sheet`]: cells × genes in memory, as compressed rows whose pattern the matrices made of each other share.

use std::sync::Arc;

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{Csr, OwnedCsr, RowChunks, Values};

use crate::Names;
use crate::in_place::{Float, Lines, normalize_in_place, size_factors_in_place};
use crate::normalize::{NormalizeOptions, SizeFactors, Then, size_factors};

/// The stored values of a sheet.
#[derive(Debug, Clone, PartialEq)]
pub enum Reals {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
}

impl Reals {
    /// Whether they are 32-bit floats.
    pub fn single(&self) -> bool {
        matches!(self, Self::F32(_))
    }
}

/// A sparse matrix of cells × genes in memory. Cloning it copies nothing.
#[derive(Debug, Clone)]
pub struct Sheet {
    n_genes: usize,
    pointers: Arc<Vec<usize>>,
    indices: Arc<Vec<u32>>,
    values: Arc<Reals>,
}

impl Sheet {
    /// Reads all of a stream.
    ///
    /// # Errors
    /// What reading it meets; more than the memory of the run.
    pub fn collect(run: &Run, source: &mut dyn RowChunks) -> Result<Self> {
        let n_genes = source.n_cols();
        let (pointers, indices, values) = OwnedCsr::collect(run, source)?.into_parts();
        let values = match values {
            Values::F32(v) => Reals::F32(v.into_owned()),
            Values::F64(v) => Reals::F64(v.into_owned()),
        };
        Ok(Self { n_genes, pointers: Arc::new(pointers), indices: Arc::new(indices), values: Arc::new(values) })
    }

    /// The parts of compressed rows whose columns rise in each row.
    ///
    /// # Errors
    /// Parts that do not fit each other, or columns that do not rise.
    pub fn new(n_genes: usize, pointers: Vec<usize>, indices: Vec<u32>, values: Reals) -> Result<Self> {
        let n_values = match &values {
            Reals::F32(v) => v.len(),
            Reals::F64(v) => v.len(),
        };
        let fits = pointers.first() == Some(&0)
            && pointers.is_sorted()
            && pointers.last() == Some(&indices.len())
            && indices.len() == n_values;
        let rises = |w: &[usize]| {
            let row = &indices[w[0]..w[1]];
            row.windows(2).all(|pair| pair[0] < pair[1]) && row.last().is_none_or(|&last| (last as usize) < n_genes)
        };
        if !fits || !pointers.windows(2).all(rises) {
            return Err(Fault::bad_input("rows whose columns rise, and pointers that fit them, are expected"));
        }
        Ok(Self { n_genes, pointers: Arc::new(pointers), indices: Arc::new(indices), values: Arc::new(values) })
    }

    /// Cells.
    pub fn n_cells(&self) -> usize {
        self.pointers.len() - 1
    }

    /// Genes.
    pub fn n_genes(&self) -> usize {
        self.n_genes
    }

    /// Where the values of each cell begin, and the end of all.
    pub fn pointers(&self) -> &[usize] {
        &self.pointers
    }

    /// The gene of each value.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// The values, cell after cell.
    pub fn values(&self) -> &Reals {
        &self.values
    }

    /// The same values in 64 bits.
    #[must_use]
    pub fn widened(self) -> Self {
        let values = match &*self.values {
            Reals::F32(v) => Arc::new(Reals::F64(v.iter().map(|&x| f64::from(x)).collect())),
            Reals::F64(_) => Arc::clone(&self.values),
        };
        Self { values, ..self }
    }

    /// The rows as a stream.
    ///
    /// # Errors
    /// None that [`Sheet::new`] lets pass.
    pub fn rows(&self) -> Result<Box<dyn RowChunks + '_>> {
        let (n, p) = (self.n_cells(), self.n_genes);
        Ok(match &*self.values {
            Reals::F32(v) => Box::new(Csr::new(n, p, v, &self.indices, &self.pointers)?),
            Reals::F64(v) => Box::new(Csr::new(n, p, v, &self.indices, &self.pointers)?),
        })
    }

    /// Cells brought to one total, and ln(1 + x) of that, computed in 64 bits and rounded once; and the factors.
    ///
    /// # Errors
    /// Those of [`size_factors`].
    pub fn log_normalized(
        &self,
        run: &Run,
        names: &Names<'_>,
        options: &NormalizeOptions,
    ) -> Result<(Self, SizeFactors)> {
        let quick = match &*self.values {
            Reals::F32(v) => self.factors_of(run, v, options)?,
            Reals::F64(v) => self.factors_of(run, v, options)?,
        };
        let found = match quick {
            Some(found) => found,
            None => size_factors(run, &mut *self.rows()?, names, options)?,
        };
        Ok((self.logged(run, &found.factors)?, found))
    }

    fn factors_of<T: Float>(&self, run: &Run, values: &[T], options: &NormalizeOptions) -> Result<Option<SizeFactors>> {
        if options.exclude_highly_expressed.is_some() {
            return Ok(None);
        }
        size_factors_in_place(run, values, &self.pointers, options.target)
    }

    /// ln(1 + x) of the values of each cell times its factor.
    ///
    /// # Errors
    /// Another number of factors than cells.
    pub fn logged(&self, run: &Run, factors: &[f64]) -> Result<Self> {
        let mut values = (*self.values).clone();
        let (lines, then) = (Lines::<i32>::Runs(&self.pointers), Then::Log1p { base: None });
        match &mut values {
            Reals::F32(v) => normalize_in_place(run, v, lines, Some(factors), then)?,
            Reals::F64(v) => normalize_in_place(run, v, lines, Some(factors), then)?,
        }
        Ok(Self { values: Arc::new(values), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::Target;
    use ferrocyte_testkit::{Counts, all_values};

    const MEDIAN: NormalizeOptions = NormalizeOptions { target: Target::Median, exclude_highly_expressed: None };

    #[test]
    fn what_is_normalised_shares_its_pattern() -> Result<()> {
        let counts = Counts::random(7, 60, 30, 0.3)?;
        let sheet = Sheet::collect(&Run::new(), &mut counts.source()?)?;
        let (logged, found) = sheet.log_normalized(&Run::new(), &Names::default(), &MEDIAN)?;
        assert!(Arc::ptr_eq(&sheet.indices, &logged.indices) && Arc::ptr_eq(&sheet.pointers, &logged.pointers));
        let (before, after) = (all_values(&mut sheet.rows()?, 16)?, all_values(&mut logged.rows()?, 16)?);
        for (cell, (counts, logs)) in before.iter().zip(&after).enumerate() {
            for (&(gene, x), &(same, y)) in counts.iter().zip(logs) {
                assert_eq!((gene, ((x * found.factors[cell]).ln_1p() as f32).to_bits()), (same, (y as f32).to_bits()));
            }
        }
        Ok(())
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let of = |pointers: &[usize], indices: &[u32]| {
            Sheet::new(3, pointers.to_vec(), indices.to_vec(), Reals::F32(vec![1.0; indices.len()])).is_err()
        };
        assert!(!of(&[0, 2, 3], &[0, 2, 1]));
        assert!(of(&[0, 2, 3], &[2, 0, 1]) && of(&[0, 2, 3], &[0, 0, 1]) && of(&[0, 1], &[3]) && of(&[0, 1], &[0, 1]));
    }
}
