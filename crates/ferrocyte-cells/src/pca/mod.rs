//! Principal components of cells, without a dense matrix: [`pca`].
//!
//! Standardised or not, the matrix is a constant row plus a matrix `W` as sparse as the data (see [`crate::scale`]), so
//! that its covariance is `(W'W - n m m') / (n - 1)` with `m` the means of `W`. One pass gives `W'W`, an eigenproblem of
//! the size of the genes the loadings, and another pass the scores `(W - 1 m') V`. With so many genes that `W'W` would be
//! too large, it is multiplied with a few vectors at a time without being formed, a pass for each (`implicit`).

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

mod gram;
mod implicit;

use ferrocyte_base::{Column, Fault, Result, Run, Table};
use ferrocyte_data::{RowBlock, RowChunks, Summary, fold};
use ferrocyte_learn::{Eigen, fix_signs, largest_eigen};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::wide::{self, Kernel};

use crate::Names;
use crate::scale::{ScaleOptions, Scaling};
use crate::scan::{Need, scan};
use gram::Gram;

/// With more genes the covariance takes more memory and time than passes over the cells.
const MOST_GENES: usize = 12_000;

/// How components are found.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PcaOptions {
    /// How many; `None` is 50, or one less than there are cells or genes.
    pub n_comps: Option<usize>,
    /// Whether and how genes are standardised first.
    pub scale: Option<ScaleOptions>,
}

/// Principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// Cells × components.
    pub scores: Matrix,
    /// Components × genes: unit vectors; the entry of largest size is positive.
    pub loadings: Matrix,
    /// Variances of the scores.
    pub variance: Vec<f64>,
    /// Their shares of the variance of all genes.
    pub variance_ratio: Vec<f64>,
    /// Singular values of the centred matrix.
    pub singular_values: Vec<f64>,
}

impl Pca {
    /// The table of components.
    pub fn table(&self) -> Table {
        let numbers = (1..=self.variance.len() as i64).collect();
        Table::new("principal components")
            .with(Column::int("component", "", "number of the component", numbers))
            .with(Column::float("variance", "", "variance of the scores", self.variance.clone()))
            .with(Column::float(
                "variance_ratio",
                "",
                "share of the variance of all genes",
                self.variance_ratio.clone(),
            ))
            .with(Column::float("singular_value", "", "of the centred matrix", self.singular_values.clone()))
    }
}

/// Finds the principal components of the genes of `source`: those that vary, chosen before (see
/// [`ferrocyte_data::SelectGenes`]).
///
/// Two passes, three with standardised genes; with more than 12,000 genes about 20. Works in 64 bits throughout.
///
/// # Errors
/// Values that are missing or infinite; as many components as cells or genes; what is needed does not fit the memory of
/// the run.
pub fn pca(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>, options: &PcaOptions) -> Result<Pca> {
    fit(run, source, names, options).map(|(pca, _)| pca)
}

/// [`pca`], and what projects other cells into the same space.
pub(crate) fn fit(
    run: &Run,
    source: &mut dyn RowChunks,
    names: &Names<'_>,
    options: &PcaOptions,
) -> Result<(Pca, Projection)> {
    let (n, p) = (source.n_rows(), source.n_cols());
    let k = components(n, p, options.n_comps)?;
    let weights = match options.scale {
        Some(scale) => Weights::scaled(&Scaling::measure(run, source, names, scale)?),
        None => Weights::Plain,
    };
    let Leading { eigen, means, total, weights } = if p > MOST_GENES {
        implicit::leading(run, source, names, weights, k)?
    } else {
        explicit(run, source, names, weights, k)?
    };
    let mut loadings = eigen.vectors;
    fix_signs(&mut loadings);
    let variance: Vec<f64> = eigen.values.iter().map(|v| v.max(0.0)).collect();
    let projection = Projection { weights, means, loadings: loadings.transpose() };
    let scores = projection.scores(run, source)?;
    let pca = Pca {
        scores,
        loadings,
        variance_ratio: variance.iter().map(|v| if total > 0.0 { v / total } else { 0.0 }).collect(),
        singular_values: variance.iter().map(|v| (v * (n - 1) as f64).sqrt()).collect(),
        variance,
    };
    Ok((pca, projection))
}

/// The leading eigenvectors of the covariance of genes, and what belongs to them.
struct Leading {
    eigen: Eigen,
    /// Means of the columns of `W`.
    means: Vec<f64>,
    /// The variance of all genes.
    total: f64,
    weights: Weights,
}

/// From the covariance itself.
fn explicit(run: &Run, source: &mut dyn RowChunks, names: &Names<'_>, weights: Weights, k: usize) -> Result<Leading> {
    let p = source.n_cols();
    run.reserve(&format!("the covariance of {p} genes"), (2 * p * p * 8) as u64)?;
    let mut gram = Gram::new(&weights, p);
    scan(run, source, names, Need::Finite, &mut [&mut gram])?;
    let (covariance, means) = gram.covariance();
    let total = covariance.diagonal().iter().sum();
    Ok(Leading { eigen: largest_eigen(run, &covariance, k)?, means, total, weights })
}

/// The way from the values of a cell to its scores: standardised as those from which it was learnt.
pub(crate) struct Projection {
    weights: Weights,
    means: Vec<f64>,
    /// Genes × components.
    loadings: Matrix,
}

impl Projection {
    /// Cells × components.
    pub(crate) fn scores(&self, run: &Run, source: &mut dyn RowChunks) -> Result<Matrix> {
        let mut scores = Scores::new(self, source.n_rows());
        fold(run, source, &mut [&mut scores])?;
        Ok(Matrix::from_rows(source.n_rows(), self.loadings.n_cols(), scores.rows))
    }
}

fn components(n: usize, p: usize, asked: Option<usize>) -> Result<usize> {
    const USUAL: usize = 50;
    let most = n.min(p).saturating_sub(1);
    let k = asked.unwrap_or(USUAL.min(most));
    if k == 0 || k > most {
        return Err(Fault::bad_input(format!(
            "{k} components of {n} cells and {p} genes, from 1 to {most} are possible"
        ))
        .at("n_comps"));
    }
    Ok(k)
}

/// What stands in `W` for a stored value.
pub(crate) enum Weights {
    /// The value.
    Plain,
    /// The standardised value without that of zero.
    Scaled(Vec<Standard>),
}

/// How the values of a gene are standardised: `clamp((x - centre) / sd) - of_zero`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standard {
    centre: f64,
    over_sd: f64,
    least: f64,
    most: f64,
    of_zero: f64,
}

impl Weights {
    fn scaled(scaling: &Scaling) -> Self {
        let of_zero = scaling.of_zero();
        let (least, most) = scaling.limits();
        let standard = |gene: usize| Standard {
            centre: scaling.centre(gene),
            over_sd: 1.0 / scaling.sd[gene],
            least,
            most,
            of_zero: of_zero[gene],
        };
        Self::Scaled((0..of_zero.len()).map(standard).collect())
    }

    /// Turns the stored values of a row into those of `W`.
    #[inline]
    pub(crate) fn apply(&self, columns: &[u32], values: &mut [f64]) {
        if let Self::Scaled(genes) = self {
            for (&column, v) in columns.iter().zip(values) {
                let gene = &genes[column as usize];
                *v = ((*v - gene.centre) * gene.over_sd).max(gene.least).min(gene.most) - gene.of_zero;
            }
        }
    }
}

/// `(W - 1 m') V`.
struct Scores<'a> {
    projection: &'a Projection,
    /// `m'V`.
    origin: Vec<f64>,
    rows: Vec<f64>,
}

impl<'a> Scores<'a> {
    fn new(projection: &'a Projection, n: usize) -> Self {
        let loadings = &projection.loadings;
        let mut origin = vec![0.0; loadings.n_cols()];
        for (gene, mean) in projection.means.iter().enumerate() {
            origin.iter_mut().zip(loadings.row(gene)).for_each(|(o, v)| *o += mean * v);
        }
        let rows = Vec::with_capacity(n * origin.len());
        Self { projection, origin, rows }
    }
}

impl Summary for Scores<'_> {
    fn observe(&mut self, run: &Run, block: &RowBlock<'_>) -> Result<()> {
        const ROWS: usize = 128;
        let k = self.origin.len();
        let from = self.rows.len();
        self.rows.resize(from + block.n_rows() * k, 0.0);
        let Projection { weights, loadings, .. } = self.projection;
        let origin = &self.origin;
        run.for_each_chunk(&mut self.rows[from..], ROWS * k, |part, scores| {
            let mut values = Vec::new();
            for (i, out) in scores.chunks_exact_mut(k).enumerate() {
                let bounds = block.pointers()[part * ROWS + i]..block.pointers()[part * ROWS + i + 1];
                let columns = &block.indices()[bounds.clone()];
                crate::by_gene::widen(block.values(), bounds, &mut values);
                weights.apply(columns, &mut values);
                out.iter_mut().zip(origin).for_each(|(o, m)| *o = -m);
                wide::widest(Project { columns, values: &values, loadings, out });
            }
        })
    }
}

/// Adds the loadings of genes times the values of a row.
struct Project<'a> {
    columns: &'a [u32],
    values: &'a [f64],
    loadings: &'a Matrix,
    out: &'a mut [f64],
}

impl Kernel for Project<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (&column, &w) in self.columns.iter().zip(self.values) {
            let loadings = self.loadings.row(column as usize);
            self.out.iter_mut().zip(loadings).for_each(|(o, v)| *o += w * v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::linalg::symmetric_eigen;
    use ferrocyte_testkit::{Counts, assert_same_bits_over_runs};

    const NAMES: Names<'static> = Names { cells: &[], genes: &[] };

    /// The covariance from the dense matrix.
    fn dense_covariance(counts: &Counts, scale: Option<ScaleOptions>) -> Result<Matrix> {
        let run = Run::new();
        let mut source = counts.source()?;
        let (n, p) = (counts.n_rows, counts.n_cols);
        let mut x = match scale {
            Some(options) => Scaling::measure(&run, &mut source, &NAMES, options)?.dense(&run, &mut source, 0..n)?,
            None => {
                let block = source.read(&run, 0..n)?;
                let mut dense = vec![0.0; n * p];
                (0..n).for_each(|i| block.row(i).for_each(|(j, v)| dense[i * p + j] = v));
                dense
            }
        };
        for j in 0..p {
            let mean = (0..n).map(|i| x[i * p + j]).sum::<f64>() / n as f64;
            (0..n).for_each(|i| x[i * p + j] -= mean);
        }
        let mut out = Matrix::zeros(p, p);
        ferrocyte_math::linalg::cross_product(&x, &x, &mut out);
        out.entries_mut().iter_mut().for_each(|v| *v /= (n - 1) as f64);
        Ok(out)
    }

    #[test]
    fn components_are_those_of_the_dense_matrix() -> Result<()> {
        let counts = Counts::random(11, 300, 40, 0.4)?;
        let clipped = ScaleOptions { max_value: Some(1.3), ..ScaleOptions::default() };
        for scale in
            [None, Some(ScaleOptions::default()), Some(clipped), Some(ScaleOptions { zero_center: false, ..clipped })]
        {
            let options = PcaOptions { n_comps: Some(6), scale };
            let found = pca(&Run::new(), &mut counts.source()?, &NAMES, &options)?;
            let covariance = dense_covariance(&counts, scale)?;
            let (values, _) = symmetric_eigen(&covariance)?;
            let total: f64 = values.iter().sum();
            for (i, v) in found.variance.iter().enumerate() {
                assert!((v - values[39 - i]).abs() < 1e-12 * values[39], "{scale:?}");
                assert!((found.variance_ratio[i] - v / total).abs() < 1e-12);
                let scores: Vec<f64> = (0..300).map(|c| found.scores[(c, i)]).collect();
                let mean = scores.iter().sum::<f64>() / 300.0;
                let var = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 299.0;
                assert!(mean.abs() < 1e-12 && (var - v).abs() < 1e-11);
            }
        }
        Ok(())
    }

    #[test]
    fn threads_and_blocks_change_no_bit() -> Result<()> {
        let counts = Counts::random(12, 700, 60, 0.4)?;
        let options = PcaOptions { n_comps: Some(5), scale: Some(ScaleOptions::default()) };
        let work = |run: &Run| pca(run, &mut counts.source()?, &NAMES, &options);
        assert_same_bits_over_runs(work, |pca| [pca.scores.entries(), pca.loadings.entries(), &pca.variance].concat())
    }

    #[test]
    fn impossible_numbers_of_components_are_named() -> Result<()> {
        let counts = Counts::random(1, 20, 10, 1.0)?;
        let options = PcaOptions { n_comps: Some(10), scale: None };
        let fault = pca(&Run::new(), &mut counts.source()?, &NAMES, &options).err().map(|f| f.to_string());
        assert_eq!(fault.as_deref(), Some("n_comps: 10 components of 20 cells and 10 genes, from 1 to 9 are possible"));
        assert_eq!(pca(&Run::new(), &mut counts.source()?, &NAMES, &PcaOptions::default())?.variance.len(), 9);
        Ok(())
    }
}
