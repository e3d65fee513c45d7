//! Genes brought to one scale: [`Scaling`] has mean and deviation of each gene.
//!
//! With `z0` the standardised, clipped value of a zero, the standardised matrix is `1 z0' + W`: `W` has an entry only
//! where the data have one. What needs a dense matrix (a heat map) writes it block by block with [`Scaling::dense`]; what
//! does not (principal components) works with `W`.

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_data::{RowChunks, rows_per_block};

use crate::Names;
use crate::in_place::Float;
use crate::moments::{Moments, Of};
use crate::scan::{Need, scan};

/// How genes are standardised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleOptions {
    /// What is taken from the number of cells for the variance: 1 as scanpy has it, 0 for the population's.
    pub ddof: usize,
    /// Whether the mean is taken away.
    pub zero_center: bool,
    /// Values above this become this; with `zero_center` also those below its negative.
    pub max_value: Option<f64>,
}

impl Default for ScaleOptions {
    fn default() -> Self {
        Self { ddof: 1, zero_center: true, max_value: None }
    }
}

/// Mean and standard deviation of each gene.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// Means.
    pub mean: Vec<f64>,
    /// Standard deviations; 1 for a gene that does not vary.
    pub sd: Vec<f64>,
    /// Genes that do not vary.
    pub constant: Vec<usize>,
    options: ScaleOptions,
}

impl Scaling {
    /// Measures all genes in one pass. Genes that do not vary are warned of by name: they come out as 0.
    ///
    /// # Errors
    /// Values that are missing or infinite; a largest value that is not positive.
    pub fn measure(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>, options: ScaleOptions) -> Result<Self> {
        if let Some(most) = options.max_value.filter(|most| !(*most > 0.0)) {
            return Err(Fault::bad_input(format!("a number above 0 is expected, found {most}")).at("max_value"));
        }
        let n_genes = source.n_cols();
        let mut moments = Moments::new(Of::Values, n_genes, None);
        scan(run, source, names, Need::Finite, &mut [&mut moments])?;
        let (mean, var): (Vec<f64>, Vec<f64>) =
            (0..n_genes).map(|gene| moments.mean_var(0, gene, options.ddof as f64)).unzip();
        let constant: Vec<usize> = (0..n_genes).filter(|&gene| var[gene] == 0.0).collect();
        if !constant.is_empty() {
            run.warn(&format!("{} genes do not vary: {}", constant.len(), names.genes(&constant)));
        }
        let sd = var.iter().map(|&var| if var == 0.0 { 1.0 } else { var.sqrt() }).collect();
        Ok(Self { mean, sd, constant, options })
    }

    /// The table of genes: `mean`, `std`.
    pub fn table(&self) -> Table {
        Table::new("scale").with(Column::float("mean", "", "mean of the gene", self.mean.clone())).with(Column::float(
            "std",
            "",
            "standard deviation of the gene; 1 where it does not vary",
            self.sd.clone(),
        ))
    }

    /// The standardised value of `x`.
    #[inline]
    pub fn apply(&self, gene: usize, x: f64) -> f64 {
        let (least, most) = self.limits();
        ((x - self.centre(gene)) / self.sd[gene]).max(least).min(most)
    }

    /// What is taken from the values of a gene.
    pub(crate) fn centre(&self, gene: usize) -> f64 {
        if self.options.zero_center { self.mean[gene] } else { 0.0 }
    }

    /// The least and the largest standardised value.
    pub(crate) fn limits(&self) -> (f64, f64) {
        let most = self.options.max_value.unwrap_or(f64::INFINITY);
        (if self.options.zero_center { -most } else { f64::NEG_INFINITY }, most)
    }

    /// The standardised values of zero.
    pub(crate) fn of_zero(&self) -> Vec<f64> {
        (0..self.mean.len()).map(|gene| self.apply(gene, 0.0)).collect()
    }

    /// Writes all rows of `source` as standardised numbers to `out`, row after row, `n × genes`.
    ///
    /// # Errors
    /// Room for another number of values.
    pub fn fill<T: Float>(&self, run: &Run, source: &mut dyn RowChunks, out: &mut [T]) -> Result<()> {
        let (n, p) = (source.n_rows(), self.mean.len());
        if source.n_cols() != p || n.checked_mul(p) != Some(out.len()) {
            return Err(Fault::bad_input(format!("{} numbers for {n} cells of {p} genes", out.len())));
        }
        if out.is_empty() {
            return Ok(());
        }
        let zeros = self.of_zero();
        let step = rows_per_block(run, source);
        let task = run.task("scaling", n as u64);
        for (index, part) in out.chunks_mut(step * p).enumerate() {
            run.check()?;
            let first = index * step;
            let block = source.read(run, first..first + part.len() / p)?;
            run.for_each_chunk(part, p, |row, out| {
                out.iter_mut().zip(&zeros).for_each(|(out, &zero)| *out = T::rounded(zero));
                block.row(row).for_each(|(gene, x)| out[gene] = T::rounded(self.apply(gene, x)));
            })?;
            task.advance((part.len() / p) as u64);
        }
        Ok(())
    }

    /// Some rows of `source` as standardised numbers, row after row, `n × genes`.
    pub fn dense(&self, run: &Run, source: &mut dyn RowChunks, rows: std::ops::Range<usize>) -> Result<Vec<f64>> {
        let zeros = self.of_zero();
        let block = source.read(run, rows)?;
        let mut dense = Vec::with_capacity(block.n_rows() * zeros.len());
        for row in 0..block.n_rows() {
            let from = dense.len();
            dense.extend_from_slice(&zeros);
            block.row(row).for_each(|(gene, x)| dense[from + gene] = self.apply(gene, x));
        }
        Ok(dense)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_data::Dense;

    #[test]
    fn standardised_and_clipped() -> Result<()> {
        let values = [0.0, 2.0, 7.0, 4.0, 2.0, 7.0, 2.0, 2.0, 1.0];
        let (run, names) = (Run::new(), Names::default());
        let mut source = Dense::row_major(3, 3, &values)?;
        let options = ScaleOptions { max_value: Some(0.8), ..ScaleOptions::default() };
        let scaling = Scaling::measure(&run, &mut source, &names, options)?;
        assert_eq!((scaling.mean[0], scaling.sd[0], scaling.constant.clone()), (2.0, 2.0, vec![1]));
        let dense = scaling.dense(&run, &mut source, 0..3)?;
        assert_eq!([dense[0], dense[3], dense[6], dense[1]], [-0.8, 0.8, 0.0, 0.0]);
        let mut filled = vec![0.0_f64; 9];
        scaling.fill(&run, &mut source, &mut filled)?;
        assert_eq!(filled, dense);
        assert!(scaling.fill(&run, &mut source, &mut [0.0_f32; 8]).is_err());
        let options = ScaleOptions { ddof: 0, zero_center: false, max_value: Some(1.5) };
        let scaling = Scaling::measure(&run, &mut source, &names, options)?;
        let sd = (8.0_f64 / 3.0).sqrt();
        assert_eq!([scaling.apply(0, 0.0), scaling.apply(0, 2.0), scaling.apply(0, 4.0)], [0.0, 2.0 / sd, 1.5]);
        let options = ScaleOptions { max_value: Some(0.0), ..options };
        assert!(Scaling::measure(&run, &mut source, &names, options).is_err());
        Ok(())
    }
}
