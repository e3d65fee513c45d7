//! Genes without missing values or weights of their own: one decomposition for all, and two products of matrices.

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::{Matrix, dot, product, subtract_product};
use ferrocyte_math::pivoted_qr::PivotedQr;

use super::blocks::Exchangeable;
use super::parts::{Part, genes_at_once};
use crate::{DesignMatrix, Expression};

/// Least squares of every gene with weights of samples, all positive, and correlated blocks. Also gives the decomposition
/// of the whitened design.
pub(crate) fn fit(
    run: &Run,
    y: &Expression<'_>,
    design: &DesignMatrix,
    weights: Option<&[f64]>,
    correlation: Option<&Exchangeable>,
) -> Result<(Part, PivotedQr)> {
    let n = y.n_samples();
    let solver = SharedSolver::new(design, weights, correlation);
    let parts = run.map_ranges("fitting genes", y.n_genes(), genes_at_once(n), |genes| {
        let mut values = y.values().entries()[genes.start * n..genes.end * n].to_vec();
        Ok(solver.solve_block(&mut values))
    })?;
    Ok((Part::join(parts), solver.qr))
}

/// What the fits of all genes share where nothing distinguishes them.
#[derive(Debug)]
pub(crate) struct SharedSolver<'a> {
    whitening: Whitening<'a>,
    qr: PivotedQr,
    n_coefficients: usize,
    basis: Matrix,
    basis_transposed: Matrix,
    to_coefficients: Matrix,
    stdev: Vec<f64>,
}

impl<'a> SharedSolver<'a> {
    /// Prepares fits on a design.
    pub(crate) fn new(design: &DesignMatrix, weights: Option<&[f64]>, correlation: Option<&'a Exchangeable>) -> Self {
        let whitening = Whitening::new(design.n_samples(), weights, correlation);
        let qr = whitening.design(design.matrix());
        let basis = qr.basis();
        Self {
            whitening,
            n_coefficients: design.n_coefficients(),
            basis_transposed: basis.transpose(),
            basis,
            to_coefficients: qr.r_inverse().transpose(),
            stdev: qr.covariance().diagonal().iter().map(|v| v.sqrt()).collect(),
            qr,
        }
    }

    /// The decomposition of the whitened design.
    pub(crate) fn qr(&self) -> &PivotedQr {
        &self.qr
    }

    /// Fits a block of genes, genes × n; in place of `values` it leaves their whitened residuals.
    pub(crate) fn solve_block(&self, values: &mut [f64]) -> Part {
        let (n, p, r) = (self.basis.n_rows(), self.n_coefficients, self.qr.rank());
        let genes = values.len() / n.max(1);
        let mut part = Part::missing(genes, p, false);
        self.whitening.rows(values);
        let totals: Vec<f64> = values.chunks_exact(n.max(1)).map(|row| dot(row, row)).collect();
        let mut effects = vec![0.0; genes * r];
        let mut estimates = vec![0.0; genes * r];
        product(values, n, &self.basis, &mut effects);
        subtract_product(&effects, r, &self.basis_transposed, values);
        product(&effects, r, &self.to_coefficients, &mut estimates);
        for (g, &total) in totals.iter().enumerate() {
            let mut gene = part.gene(g, p);
            let left = &values[g * n..(g + 1) * n];
            gene.set_variance(n, r, dot(left, left), total);
            for (a, &j) in self.qr.pivot()[..r].iter().enumerate() {
                gene.coefficients[j] = estimates[g * r + a];
                gene.stdev_unscaled[j] = self.stdev[a];
            }
        }
        part
    }
}

/// What makes the values of all samples uncorrelated, with equal variance.
#[derive(Debug)]
pub(crate) struct Whitening<'a> {
    roots: Option<Vec<f64>>,
    correlation: Option<(&'a Exchangeable, Vec<f64>)>,
    n: usize,
}

impl<'a> Whitening<'a> {
    pub(crate) fn new(n: usize, weights: Option<&[f64]>, correlation: Option<&'a Exchangeable>) -> Self {
        let roots = weights.map(|w| w.iter().map(|w| w.sqrt()).collect());
        let correlation = correlation.map(|v| {
            let mut shares = Vec::new();
            v.root_shares(std::iter::repeat_n(true, n), &mut shares);
            (v, shares)
        });
        Self { roots, correlation, n }
    }

    /// Whitens rows of n values in place.
    pub(crate) fn rows(&self, values: &mut [f64]) {
        if self.roots.is_none() && self.correlation.is_none() {
            return;
        }
        let mut sums = Vec::new();
        for row in values.chunks_exact_mut(self.n.max(1)) {
            if let Some(roots) = &self.roots {
                for (x, u) in row.iter_mut().zip(roots) {
                    *x *= u;
                }
            }
            if let Some((v, shares)) = &self.correlation {
                v.whiten(row, shares, &mut sums);
            }
        }
    }

    /// The decomposition of the whitened design.
    pub(crate) fn design(&self, design: &Matrix) -> PivotedQr {
        let mut columns = design.transpose();
        self.rows(columns.entries_mut());
        PivotedQr::new(&columns.transpose())
    }
}
