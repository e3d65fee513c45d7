//! What blocks leave of a gene: the eigenvalues of `Z'MZ`, M the projection beside the design, and the squares along the
//! eigenvectors.
//!
//! The eigenvectors of `MZZ'M` that have a positive eigenvalue d are `MZv / √d`, v those of the blocks × blocks matrix
//! `Z'MZ`. A gene's value along one is `v'(block sums of its residuals) / √d`. All other directions beside the design have
//! eigenvalue 0 and share what is left of the residual sum of squares.

use ferrocyte_base::Result;
use ferrocyte_math::linalg::{Matrix, dot, product, subtract_product, symmetric_eigen};
use ferrocyte_math::pivoted_qr::PivotedQr;
use ferrocyte_math::spectrum::Spectrum;

use super::gamma::Group;

/// Eigenvalues below this share of the largest are rounding.
const ROUNDING: f64 = 1e-10;
/// Residual sizes of block indicators below which the design holds the blocks.
const WITHIN_DESIGN: f64 = 1e-8;

/// The spectrum that all genes share.
#[derive(Debug)]
pub(crate) struct SharedSpectrum {
    basis: Matrix,
    basis_transposed: Matrix,
    /// Positive eigenvalues, equal ones together: (eigenvalue, number).
    values: Vec<(f64, usize)>,
    /// Columns `v / √d`, blocks × eigenvectors.
    vectors: Matrix,
    /// Directions of eigenvalue 0.
    n_zero: usize,
}

impl SharedSpectrum {
    /// The spectrum of a whitened design and blocks of samples; `None` where the design holds the blocks.
    pub(crate) fn new(design: &Matrix, block_of: &[usize], n_blocks: usize) -> Result<Option<Self>> {
        let qr = PivotedQr::new(design);
        let (n, r) = (design.n_rows(), qr.rank());
        let basis = qr.basis();
        let basis_transposed = basis.transpose();
        let mut left = Matrix::zeros(n, n_blocks);
        block_of.iter().enumerate().for_each(|(i, &b)| left[(i, b)] = 1.0);
        let sums = sums_of_rows(&basis, block_of, n_blocks);
        subtract_product(basis.entries(), r, &sums.transpose(), left.entries_mut());
        if left.entries().iter().all(|x| x.abs() < WITHIN_DESIGN) {
            return Ok(None);
        }
        let (values, vectors) = symmetric_eigen(&sums_of_rows(&left, block_of, n_blocks))?;
        let largest = values.last().copied().unwrap_or(0.0);
        let positive: Vec<usize> = (0..n_blocks).filter(|&k| values[k] > ROUNDING * largest).collect();
        let mut scaled = Matrix::zeros(n_blocks, positive.len());
        for b in 0..n_blocks {
            for (to, &k) in positive.iter().enumerate() {
                scaled[(b, to)] = vectors[(b, k)] / values[k].sqrt();
            }
        }
        let n_zero = n - r - positive.len();
        let kept: Vec<f64> = positive.iter().map(|&k| values[k]).collect();
        let values = grouped(&kept, ROUNDING * largest);
        Ok(Some(Self { basis, basis_transposed, values, vectors: scaled, n_zero }))
    }

    /// Groups of squares of a block of genes, whose values (genes × samples) become residuals.
    pub(crate) fn squares(&self, y: &mut [f64], block_of: &[usize], mut each: impl FnMut(&[Group])) {
        let (n, r) = (self.basis.n_rows(), self.basis.n_cols());
        let (n_blocks, k) = (self.vectors.n_rows(), self.vectors.n_cols());
        let genes = y.len() / n;
        let mut effects = vec![0.0; genes * r];
        product(y, n, &self.basis, &mut effects);
        subtract_product(&effects, r, &self.basis_transposed, y);
        let mut sums = vec![0.0; genes * n_blocks];
        for (row, sums) in y.chunks_exact(n).zip(sums.chunks_exact_mut(n_blocks)) {
            row.iter().zip(block_of).for_each(|(x, &b)| sums[b] += x);
        }
        let mut along = vec![0.0; genes * k];
        product(&sums, n_blocks, &self.vectors, &mut along);
        let mut groups = Vec::with_capacity(self.values.len() + 1);
        for (row, along) in y.chunks_exact(n).zip(along.chunks_exact(k.max(1))) {
            groups.clear();
            let mut at = 0;
            let mut explained = 0.0;
            for &(eigenvalue, count) in &self.values {
                let squares: f64 = along[at..at + count].iter().map(|u| u * u).sum();
                groups.push(Group { eigenvalue, count: count as f64, squares });
                at += count;
                explained += squares;
            }
            push_zero(&mut groups, self.n_zero, dot(row, row) - explained);
            each(&groups);
        }
    }
}

/// The spectra of genes that have one of their own.
#[derive(Debug, Default)]
pub(crate) struct OwnSpectrum {
    qr: PivotedQr,
    spectrum: Spectrum,
    projected: Matrix,
    sums: Vec<f64>,
    sizes: Vec<f64>,
    column: Vec<f64>,
    groups: Vec<Group>,
}

impl OwnSpectrum {
    /// Groups of squares of one gene, given its whitened values and rows of the design (`fill` as of
    /// [`PivotedQr::factor`]) and their blocks; `None` where there are none or the design holds the blocks.
    pub(crate) fn squares(
        &mut self,
        y: &mut [f64],
        n_cols: usize,
        fill: impl FnMut(usize, &mut [f64]),
        block_of: &[usize],
        n_blocks: usize,
    ) -> Option<&[Group]> {
        let n = y.len();
        self.qr.factor(n, n_cols, fill);
        let r = self.qr.rank();
        // Z'MZ: sizes of blocks less the products of block sums of the basis.
        self.sizes.clear();
        self.sizes.resize(n_blocks, 0.0);
        block_of.iter().for_each(|&b| self.sizes[b] += 1.0);
        if self.projected.n_rows() != n_blocks {
            self.projected = Matrix::zeros(n_blocks, n_blocks);
        }
        self.projected.entries_mut().fill(0.0);
        (0..n_blocks).for_each(|b| self.projected[(b, b)] = self.sizes[b]);
        for k in 0..r {
            self.column.clear();
            self.column.resize(n, 0.0);
            self.column[k] = 1.0;
            self.qr.apply(&mut self.column);
            self.sum_over_blocks(None, block_of, n_blocks);
            for (b, &sum) in self.sums.iter().enumerate() {
                let row = self.projected.row_mut(b);
                row.iter_mut().zip(&self.sums).for_each(|(x, other)| *x -= sum * other);
            }
        }
        if (0..n_blocks).all(|b| self.projected[(b, b)] < WITHIN_DESIGN) {
            return None;
        }
        self.qr.apply_transposed(y);
        y[..r].fill(0.0);
        let total = dot(y, y);
        self.qr.apply(y);
        self.sum_over_blocks(Some(y), block_of, n_blocks);
        if !self.spectrum.decompose(&mut self.projected, &self.sums) {
            return None;
        }
        let largest = self.spectrum.values().iter().copied().fold(0.0, f64::max);
        self.groups.clear();
        let mut explained = 0.0;
        for (&eigenvalue, &component) in self.spectrum.values().iter().zip(self.spectrum.components()) {
            if eigenvalue > ROUNDING * largest {
                let squares = component * component / eigenvalue;
                self.groups.push(Group { eigenvalue, count: 1.0, squares });
                explained += squares;
            }
        }
        let n_zero = (n - r).saturating_sub(self.groups.len());
        push_zero(&mut self.groups, n_zero, total - explained);
        Some(&self.groups)
    }

    /// Sums of `values`, or of the column at hand, over blocks.
    fn sum_over_blocks(&mut self, values: Option<&[f64]>, block_of: &[usize], n_blocks: usize) {
        self.sums.clear();
        self.sums.resize(n_blocks, 0.0);
        let values = values.unwrap_or(&self.column);
        values.iter().zip(block_of).for_each(|(x, &b)| self.sums[b] += x);
    }
}

fn push_zero(groups: &mut Vec<Group>, count: usize, squares: f64) {
    if count > 0 {
        groups.push(Group { eigenvalue: 0.0, count: count as f64, squares: squares.max(0.0) });
    }
}

/// Runs of rising values that differ by less than `tolerance`: their mean and number.
fn grouped(values: &[f64], tolerance: f64) -> Vec<(f64, usize)> {
    let mut groups: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        match groups.last_mut() {
            Some((mean, count)) if value - *mean < tolerance => {
                *mean += (value - *mean) / (*count + 1) as f64;
                *count += 1;
            }
            _ => groups.push((value, 1)),
        }
    }
    groups
}

/// Rows of the same block, added: blocks × columns.
fn sums_of_rows(rows: &Matrix, block_of: &[usize], n_blocks: usize) -> Matrix {
    let mut sums = Matrix::zeros(n_blocks, rows.n_cols());
    for (i, &b) in block_of.iter().enumerate() {
        sums.row_mut(b).iter_mut().zip(rows.row(i)).for_each(|(sum, x)| *sum += x);
    }
    sums
}
