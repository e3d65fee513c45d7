//! [`SparseRows`]: the matrix that is factorised, in memory.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_data::{RowChunks, rows_per_block};
use ferrocyte_learn::nmf::{Input, Values};

/// Rows that one thread works on at a time.
const ROWS: usize = 256;

/// Compressed rows of 64-bit numbers: cells × genes. Columns rise within each row.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseRows {
    n_cols: usize,
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl SparseRows {
    /// All rows of a stream. Refused before they are read where they are known not to fit the memory of the run.
    pub fn collect(run: &Run, source: &mut dyn RowChunks) -> Result<Self> {
        let (n_rows, n_cols) = (source.n_rows(), source.n_cols());
        let mut whole = Self { n_cols, starts: vec![0], columns: Vec::new(), values: Vec::new() };
        let task = run.task("reading", n_rows as u64);
        let (step, mut start) = (rows_per_block(run, source), 0);
        while start < n_rows {
            run.check()?;
            let end = (start + step).min(n_rows);
            let block = source.read(run, start..end)?;
            for i in 0..block.n_rows() {
                let row = block.row(i).filter(|(_, x)| *x != 0.0);
                row.for_each(|(column, x)| {
                    whole.columns.push(column as u32);
                    whole.values.push(x);
                });
                whole.starts.push(whole.values.len());
            }
            run.reserve("the counts of the selected genes", 12 * whole.values.len() as u64)?;
            task.advance((end - start) as u64);
            start = end;
        }
        Ok(whole)
    }

    /// From scipy's three arrays; stored zeros are kept.
    ///
    /// # Errors
    /// Arrays that do not fit one another.
    pub fn new(n_cols: usize, starts: Vec<usize>, columns: Vec<u32>, values: Vec<f64>) -> Result<Self> {
        let whole = Self { n_cols, starts, columns, values };
        whole.input()?;
        Ok(whole)
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of columns.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Where each row begins; one more entry than rows.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The columns of the values.
    pub fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// The values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Columns and values of a row.
    pub fn row(&self, i: usize) -> (&[u32], &[f64]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// As factorisations take it.
    pub fn input(&self) -> Result<Input<'_>> {
        Input::rows(&self.starts, &self.columns, Values::Double(&self.values), self.n_rows(), self.n_cols)
    }

    /// Turned over, genes × cells, without a copy.
    pub fn turned(&self) -> Result<Input<'_>> {
        Input::columns(&self.starts, &self.columns, Values::Double(&self.values), self.n_cols, self.n_rows())
    }

    /// The sum of the squares.
    pub fn squares(&self) -> f64 {
        self.starts.windows(2).map(|w| self.values[w[0]..w[1]].iter().map(|x| x * x).sum::<f64>()).sum()
    }

    /// X H' of `n x k` for spectra of `k x g`, row after row.
    ///
    /// # Errors
    /// Spectra of another number of columns.
    pub fn times_spectra(&self, run: &Run, spectra: &[f64], k: usize) -> Result<Vec<f64>> {
        check_spectra(spectra, k, self.n_cols)?;
        let by_gene = turned(spectra, k);
        let mut out = vec![0.0; self.n_rows() * k];
        run.for_each_chunk(&mut out, ROWS * k, |block, part| {
            for (i, sums) in part.chunks_exact_mut(k).enumerate() {
                let (columns, values) = self.row(block * ROWS + i);
                for (&j, x) in columns.iter().zip(values) {
                    let spectrum = &by_gene[j as usize * k..(j as usize + 1) * k];
                    sums.iter_mut().zip(spectrum).for_each(|(sum, h)| *sum += x * h);
                }
            }
        })?;
        Ok(out)
    }
}

/// Refuses spectra of another size than `k x g`.
pub(crate) fn check_spectra(spectra: &[f64], k: usize, g: usize) -> Result<()> {
    if k > 0 && k.checked_mul(g) == Some(spectra.len()) {
        return Ok(());
    }
    Err(Fault::bad_input(format!("{k} spectra of {g} genes were expected, found {} numbers", spectra.len())))
}

/// A matrix of `rows` rows, columns first.
pub(crate) fn turned(entries: &[f64], rows: usize) -> Vec<f64> {
    let columns = entries.len().checked_div(rows).unwrap_or(0);
    (0..entries.len()).map(|t| entries[t % rows * columns + t / rows]).collect()
}

/// A A' of `k x k` for `k` rows of numbers.
pub(crate) fn gram(entries: &[f64], k: usize) -> Vec<f64> {
    let width = entries.len() / k;
    let row = |t: usize| &entries[t * width..(t + 1) * width];
    let mut out = vec![0.0; k * k];
    for s in 0..k {
        for t in 0..=s {
            out[s * k + t] = row(s).iter().zip(row(t)).map(|(a, b)| a * b).sum();
            out[t * k + s] = out[s * k + t];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_with_spectra() -> Result<()> {
        let x = SparseRows::new(3, vec![0, 2, 2, 3], vec![0, 2, 1], vec![1.0, 2.0, 5.0])?;
        let run = Run::new().threads(2);
        assert_eq!(x.times_spectra(&run, &[1.0, 2.0, 3.0, 0.0, 1.0, 10.0], 2)?, [7.0, 20.0, 0.0, 0.0, 10.0, 5.0]);
        assert!(x.times_spectra(&run, &[1.0; 5], 2).is_err());
        assert_eq!((x.squares(), x.n_rows()), (30.0, 3));
        Ok(())
    }

    #[test]
    fn turning_and_gram() {
        assert_eq!(turned(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(gram(&[1.0, 2.0, 0.0, 3.0], 2), [5.0, 6.0, 6.0, 9.0]);
    }
}
