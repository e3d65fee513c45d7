//! [`Factorised`]: the matrix that is factorised, in memory ([`SparseRows`]) or read whenever it is needed ([`ReadRows`]).

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{RowBlock, RowChunks, Summary, Values, fold};
use ferrocyte_learn::nmf::{self, Portions};

use crate::SparseRows;
use crate::sparse::{check_spectra, turned};
use crate::stream::ByCell;

/// What replicas and consensus ask of the matrix, cells × selected genes: no more than passes over its rows.
pub trait Factorised: Sync {
    /// Number of cells.
    fn n_rows(&self) -> usize;

    /// Number of genes.
    fn n_cols(&self) -> usize;

    /// How many values are above 0, or stored where that is not known.
    fn n_positive(&self) -> usize;

    /// X H' of `n x k` for spectra of `k x g`, row after row, and the sum of the squares of X.
    ///
    /// # Errors
    /// Spectra of another number of genes, what cannot be read, and the wish to stop.
    fn products(&self, run: &Run, spectra: &[f64], k: usize) -> Result<(Vec<f64>, f64)>;

    /// The matrix laid out for factorisation or refits: about five bytes, or half of it, for each count.
    ///
    /// # Errors
    /// Values that are missing, infinite or negative, what cannot be read, and the wish to stop.
    fn lay_out(&self, run: &Run, portions: Portions) -> Result<nmf::Prepared>;
}

impl Factorised for SparseRows {
    fn n_rows(&self) -> usize {
        Self::n_rows(self)
    }
    fn n_cols(&self) -> usize {
        Self::n_cols(self)
    }
    fn n_positive(&self) -> usize {
        self.values().iter().filter(|x| **x > 0.0).count()
    }
    fn products(&self, run: &Run, spectra: &[f64], k: usize) -> Result<(Vec<f64>, f64)> {
        Ok((self.times_spectra(run, spectra, k)?, self.squares()))
    }
    fn lay_out(&self, _run: &Run, mut portions: Portions) -> Result<nmf::Prepared> {
        portions.add_rows_of(&self.input()?)?;
        Ok(portions.finish())
    }
}

/// A matrix that is read anew for each pass, block by block.
pub struct ReadRows {
    source: Mutex<Box<dyn RowChunks>>,
    n_rows: usize,
    n_cols: usize,
    n_stored: usize,
}

impl ReadRows {
    /// Of a stream, such as a matrix in a file.
    pub fn new(source: Box<dyn RowChunks>) -> Self {
        let (n_rows, n_cols) = (source.n_rows(), source.n_cols());
        let n_stored = source.n_stored().map_or(n_rows * n_cols, |n| n as usize);
        Self { source: Mutex::new(source), n_rows, n_cols, n_stored }
    }

    /// One pass over all rows.
    fn pass(&self, run: &Run, summaries: &mut [&mut dyn Summary]) -> Result<()> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        fold(run, &mut **source, summaries)
    }

    /// Whether another stream has the same values, zeros apart.
    ///
    /// # Errors
    /// What cannot be read, and the wish to stop.
    pub fn is(&self, run: &Run, other: &mut dyn RowChunks) -> Result<bool> {
        /// Rows that are compared at a time.
        const ROWS: usize = 1024;
        let mut mine = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if (self.n_rows, self.n_cols) != (other.n_rows(), other.n_cols()) {
            return Ok(false);
        }
        for start in (0..self.n_rows).step_by(ROWS) {
            run.check()?;
            let rows = start..(start + ROWS).min(self.n_rows);
            let (a, b) = (mine.read(run, rows.clone())?, other.read(run, rows)?);
            let row = |block: &RowBlock, i: usize| block.row(i).filter(|e| e.1 != 0.0).collect::<Vec<_>>();
            if (0..a.n_rows()).any(|i| row(&a, i) != row(&b, i)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for ReadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadRows({} x {})", self.n_rows, self.n_cols)
    }
}

impl Factorised for ReadRows {
    fn n_rows(&self) -> usize {
        self.n_rows
    }
    fn n_cols(&self) -> usize {
        self.n_cols
    }
    fn n_positive(&self) -> usize {
        self.n_stored
    }
    fn products(&self, run: &Run, spectra: &[f64], k: usize) -> Result<(Vec<f64>, f64)> {
        check_spectra(spectra, k, self.n_cols)?;
        let by_gene = turned(spectra, k);
        let mut cross = ByCell::new(self.n_rows, k, |gene, x, sums: &mut [f64]| {
            sums.iter_mut().zip(&by_gene[gene * k..(gene + 1) * k]).for_each(|(s, h)| *s += x * h);
        });
        let mut squares = Squares(0.0);
        self.pass(run, &mut [&mut cross, &mut squares])?;
        Ok((cross.sums, squares.0))
    }
    fn lay_out(&self, run: &Run, portions: Portions) -> Result<nmf::Prepared> {
        let mut laying = Laying(portions);
        self.pass(run, &mut [&mut laying])?;
        Ok(laying.0.finish())
    }
}

/// A stream laid out for refits or factorisation.
///
/// # Errors
/// As [`Factorised::lay_out`].
pub(crate) fn lay_out(run: &Run, source: &mut dyn RowChunks, portions: Portions) -> Result<nmf::Prepared> {
    let mut laying = Laying(portions);
    fold(run, source, &mut [&mut laying])?;
    Ok(laying.0.finish())
}

/// Rows on their way into a layout.
struct Laying(Portions);

impl Summary for Laying {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        let values = match block.values() {
            Values::F32(values) => nmf::Values::Single(values),
            Values::F64(values) => nmf::Values::Double(values),
        };
        self.0.add(block.pointers(), block.indices(), values)
    }
}

/// The sum of all squares, row by row.
struct Squares(f64);

impl Summary for Squares {
    fn observe(&mut self, _run: &Run, block: &RowBlock<'_>) -> Result<()> {
        self.0 = (0..block.n_rows()).fold(self.0, |sum, i| sum + block.row(i).map(|e| e.1 * e.1).sum::<f64>());
        Ok(())
    }
}

/// A stream whose columns are divided by one number each, in 64 bits.
pub(crate) struct DividedRows<S> {
    pub(crate) source: S,
    pub(crate) by: Vec<f64>,
}

impl<S: RowChunks> RowChunks for DividedRows<S> {
    fn n_rows(&self) -> usize {
        self.source.n_rows()
    }
    fn n_cols(&self) -> usize {
        self.source.n_cols()
    }
    fn n_stored(&self) -> Option<u64> {
        self.source.n_stored()
    }
    fn name(&self) -> String {
        self.source.name()
    }
    fn reads_ahead(&self) -> bool {
        self.source.reads_ahead()
    }
    fn read(&mut self, run: &Run, rows: Range<usize>) -> Result<RowBlock<'_>> {
        let block = self.source.read(run, rows)?;
        let divided =
            (0..block.values().len()).map(|at| block.values().get(at) / self.by[block.indices()[at] as usize]);
        let divided = Values::F64(divided.collect::<Vec<f64>>().into());
        block.with_values(divided)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::{Dense, SelectRows};
    use ferrocyte_learn::nmf::{Options, Precision, Rule};

    fn rows(values: &'static [f64]) -> Result<Box<dyn RowChunks>> {
        Ok(Box::new(Dense::row_major(values.len() / 3, 3, values)?))
    }

    const VALUES: &[f64] = &[1.0, 0.0, 2.0, 0.0, 3.0, 0.5, 4.0, 1.0, 0.0, 0.0, 0.0, 7.0];

    #[test]
    fn a_matrix_that_is_read_is_the_one_in_memory() -> Result<()> {
        let run = Run::new();
        let (read, held) = (ReadRows::new(rows(VALUES)?), SparseRows::collect(&run, &mut *rows(VALUES)?)?);
        let spectra = [1.0, 2.0, 3.0, 0.0, 1.0, 10.0];
        assert_eq!(read.products(&run, &spectra, 2)?, held.products(&run, &spectra, 2)?);
        assert!(read.products(&run, &spectra, 3).is_err());
        let fit = |x: &dyn Factorised| -> Result<Vec<f64>> {
            let laid = x.lay_out(&run, Portions::for_refits(3, Precision::Double))?;
            Ok(laid.refit(&run, &spectra, 2, &Options::default(), Rule::Exact)?.w)
        };
        assert_eq!(fit(&read)?, fit(&held)?);
        Ok(())
    }

    #[test]
    fn another_matrix_is_told() -> Result<()> {
        let (run, read) = (Run::new(), ReadRows::new(rows(VALUES)?));
        assert!(read.is(&run, &mut *rows(VALUES)?)?);
        assert!(!read.is(&run, &mut SelectRows::list(rows(VALUES)?, vec![0, 2, 1, 3])?)?);
        assert!(!read.is(&run, &mut *rows(&VALUES[3..])?)?);
        Ok(())
    }

    #[test]
    fn columns_are_divided() -> Result<()> {
        let mut divided = DividedRows { source: rows(VALUES)?, by: vec![2.0, 1.0, 4.0] };
        let block = divided.read(&Run::new(), 0..2)?;
        let row = |i: usize| block.row(i).filter(|e| e.1 != 0.0).collect::<Vec<_>>();
        assert_eq!((row(0), row(1)), (vec![(0, 0.5), (2, 0.5)], vec![(1, 3.0), (2, 0.125)]));
        Ok(())
    }
}
