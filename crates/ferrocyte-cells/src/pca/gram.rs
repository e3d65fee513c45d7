//! [`Gram`]: `W'W` of sparse rows in one pass.
//!
//! A batch of rows is brought into the order of genes; then every gene adds the rows that have it to its own row of the
//! product, which stays in the first-level cache. Only the columns from the gene on are added: the rest is symmetric.

use ferrocyte_base::{Result, Run};
use ferrocyte_data::{RowBlock, Summary};
use ferrocyte_math::linalg::Matrix;

use super::Weights;
use crate::by_gene::widen;

/// Values of a batch: rows of it are read again for each of their genes, and stay in the second-level cache.
const BATCH: usize = 96 * 1024;

/// Sums of products of columns, and sums of columns.
pub(super) struct Gram<'a> {
    weights: &'a Weights,
    n: usize,
    /// Genes × genes; the lower triangle is filled in at the end.
    products: Matrix,
    sums: Vec<f64>,
}

/// Rows of `W`, and where each gene occurs in them.
struct Batch<'a> {
    pointers: &'a [usize],
    columns: &'a [u32],
    values: Vec<f64>,
    /// Where each gene begins in `places`.
    starts: Vec<u32>,
    /// For each gene the places of its values, rising; and where their rows end.
    places: Vec<(u32, u32)>,
}

impl<'a> Batch<'a> {
    fn new(gram: &Gram<'_>, block: &'a RowBlock<'_>, rows: std::ops::Range<usize>) -> Self {
        let pointers = &block.pointers()[rows.start..=rows.end];
        let all = pointers[0]..pointers[pointers.len() - 1];
        let columns = &block.indices()[all.clone()];
        let mut values = Vec::new();
        widen(block.values(), all, &mut values);
        gram.weights.apply(columns, &mut values);
        let mut starts = vec![0_u32; gram.sums.len() + 1];
        columns.iter().for_each(|&c| starts[c as usize + 1] += 1);
        (1..starts.len()).for_each(|i| starts[i] += starts[i - 1]);
        let mut next = starts.clone();
        let mut places = vec![(0, 0); columns.len()];
        for row in pointers.windows(2) {
            let end = (row[1] - pointers[0]) as u32;
            for k in row[0] - pointers[0]..row[1] - pointers[0] {
                let slot = &mut next[columns[k] as usize];
                places[*slot as usize] = (k as u32, end);
                *slot += 1;
            }
        }
        Self { pointers, columns, values, starts, places }
    }

    /// Adds to the row of a gene the products with all genes from it on.
    fn add(&self, gene: usize, out: &mut [f64]) {
        for &(place, end) in &self.places[self.starts[gene] as usize..self.starts[gene + 1] as usize] {
            let (place, end) = (place as usize, end as usize);
            let w = self.values[place];
            for (&column, &v) in self.columns[place..end].iter().zip(&self.values[place..end]) {
                out[column as usize] += w * v;
            }
        }
    }
}

impl<'a> Gram<'a> {
    pub(super) fn new(weights: &'a Weights, n_genes: usize) -> Self {
        Self { weights, n: 0, products: Matrix::zeros(n_genes, n_genes), sums: vec![0.0; n_genes] }
    }

    /// `(W'W - n m m') / (n - 1)`, and `m`.
    pub(super) fn covariance(self) -> (Matrix, Vec<f64>) {
        let n = self.n as f64;
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / n).collect();
        let mut covariance = self.products;
        for i in 0..means.len() {
            for j in i..means.len() {
                let value = (covariance[(i, j)] - n * means[i] * means[j]) / (n - 1.0);
                covariance[(i, j)] = value;
                covariance[(j, i)] = value;
            }
        }
        (covariance, means)
    }
}

impl Summary for Gram<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        /// Genes that a thread takes at a time: the first have the longest rows.
        const GENES: usize = 16;
        let p = self.sums.len();
        self.n += block.n_rows();
        let mut start = 0;
        while start < block.n_rows() {
            let limit = block.pointers()[start] + BATCH;
            let end = block.pointers().partition_point(|&pointer| pointer <= limit).saturating_sub(1);
            let end = end.clamp(start + 1, block.n_rows());
            let batch = Batch::new(self, block, start..end);
            debug_assert_eq!(batch.pointers.len(), end - start + 1);
            for (&column, &v) in batch.columns.iter().zip(&batch.values) {
                self.sums[column as usize] += v;
            }
            run.for_each_chunk(self.products.entries_mut(), GENES * p, |part, rows| {
                rows.chunks_exact_mut(p).enumerate().for_each(|(i, row)| batch.add(part * GENES + i, row));
            })?;
            start = end;
        }
        Ok(())
    }
}
