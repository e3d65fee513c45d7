//! [`VarianceDesign`]: what the log-variances of samples depend on.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, MatrixRef};
use ferrocyte_math::pivoted_qr::PivotedQr;

/// What variances of samples depend on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum VarianceModel<'a> {
    /// Each sample has its own.
    #[default]
    Samples,
    /// Each group has its own: the group of each sample, as a number from 0.
    Groups(&'a [usize]),
    /// A design, samples × parameters.
    Design(MatrixRef<'a>),
}

/// Log-variances of samples are `Z γ`; γ = 0 means that all are alike.
#[derive(Debug, Clone)]
pub(super) struct VarianceDesign {
    /// Z, samples × parameters.
    z: Matrix,
    /// Whether Z holds the sum-to-zero contrasts of all samples: the last row is -1, the others a unit matrix.
    sum_to_zero: bool,
}

impl VarianceDesign {
    pub(super) fn new(model: &VarianceModel<'_>, n: usize) -> Result<Self> {
        let z = match *model {
            VarianceModel::Samples => return Ok(Self { z: sum_contrasts(n), sum_to_zero: true }),
            VarianceModel::Groups(group) => {
                if group.len() != n {
                    return Err(Fault::bad_input(format!("{} entries for {n} samples", group.len())).at("var_group"));
                }
                let levels = sum_contrasts(group.iter().max().map_or(0, |&k| k + 1));
                let rows = group.iter().flat_map(|&k| levels.row(k).to_vec()).collect();
                Matrix::from_rows(n, levels.n_cols(), rows)
            }
            VarianceModel::Design(z) => {
                if z.n_rows() != n {
                    return Err(Fault::bad_input(format!("{} rows for {n} samples", z.n_rows())).at("var_design"));
                }
                if z.entries().iter().any(|x| !x.is_finite()) {
                    return Err(Fault::bad_input("an entry is not finite").at("var_design"));
                }
                Matrix::from_rows(n, z.n_cols(), z.entries().to_vec())
            }
        };
        Ok(Self { z: independent(&centred(z)), sum_to_zero: false })
    }

    /// Number of parameters.
    pub(super) fn n_parameters(&self) -> usize {
        self.z.n_cols()
    }

    /// Weights of samples, `exp(-Z γ)`.
    pub(super) fn weights(&self, gamma: &[f64], weights: &mut [f64]) {
        for (i, w) in weights.iter_mut().enumerate() {
            let log_variance: f64 = self.z.row(i).iter().zip(gamma).map(|(z, g)| z * g).sum();
            *w = (-log_variance).exp();
        }
    }

    /// `Z'x`.
    pub(super) fn transposed_times(&self, x: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        if self.sum_to_zero {
            let (last, others) = x.split_last().unwrap_or((&0.0, &[]));
            out.iter_mut().zip(others).for_each(|(o, x)| *o = x - last);
            return;
        }
        for (i, x) in x.iter().enumerate() {
            out.iter_mut().zip(self.z.row(i)).for_each(|(o, z)| *o += z * x);
        }
    }

    /// Adds `Z' diag(d) Z` to a symmetric matrix.
    pub(super) fn add_diagonal(&self, d: &[f64], to: &mut Matrix) {
        if self.sum_to_zero {
            let (last, others) = d.split_last().unwrap_or((&0.0, &[]));
            to.entries_mut().iter_mut().for_each(|x| *x += last);
            others.iter().enumerate().for_each(|(i, d)| to[(i, i)] += d);
            return;
        }
        for (i, d) in d.iter().enumerate() {
            let z = self.z.row(i);
            for (a, za) in z.iter().enumerate() {
                to.row_mut(a).iter_mut().zip(z).for_each(|(x, zb)| *x += d * za * zb);
            }
        }
    }

    /// `Z'AZ` of a symmetric samples × samples matrix.
    pub(super) fn sandwich(&self, a: &Matrix) -> Matrix {
        self.z.transpose().times(&a.times(&self.z))
    }

    /// `Z'Z` times a number.
    pub(super) fn prior(&self, prior_n: f64) -> Matrix {
        let mut prior = Matrix::zeros(self.n_parameters(), self.n_parameters());
        self.add_diagonal(&vec![prior_n; self.z.n_rows()], &mut prior);
        prior
    }
}

/// Contrasts of n levels that sum to zero: n × (n - 1).
fn sum_contrasts(n: usize) -> Matrix {
    let mut z = Matrix::zeros(n, n.saturating_sub(1));
    for j in 0..z.n_cols() {
        z[(j, j)] = 1.0;
        z[(n - 1, j)] = -1.0;
    }
    z
}

fn centred(mut z: Matrix) -> Matrix {
    let n = z.n_rows();
    for j in 0..z.n_cols() {
        let mean = (0..n).map(|i| z[(i, j)]).sum::<f64>() / n as f64;
        (0..n).for_each(|i| z[(i, j)] -= mean);
    }
    z
}

fn independent(z: &Matrix) -> Matrix {
    let qr = PivotedQr::new(z);
    let kept = &qr.pivot()[..qr.rank()];
    let entries = (0..z.n_rows()).flat_map(|i| kept.iter().map(move |&j| z[(i, j)])).collect();
    Matrix::from_rows(z.n_rows(), kept.len(), entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_cuts_of_contrasts_are_products() -> Result<()> {
        let short = VarianceDesign::new(&VarianceModel::Samples, 4)?;
        let long = VarianceDesign { sum_to_zero: false, ..short.clone() };
        let x = [0.3, -1.0, 2.0, 5.0];
        let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
        short.transposed_times(&x, &mut a);
        long.transposed_times(&x, &mut b);
        assert_eq!(a, b);
        let (mut a, mut b) = (Matrix::zeros(3, 3), Matrix::zeros(3, 3));
        short.add_diagonal(&x, &mut a);
        long.add_diagonal(&x, &mut b);
        assert_eq!(a, b);
        Ok(())
    }

    #[test]
    fn groups_and_designs_are_centred_and_independent() -> Result<()> {
        let groups = VarianceDesign::new(&VarianceModel::Groups(&[0, 0, 1]), 3)?;
        assert_eq!(groups.n_parameters(), 1);
        let sums: f64 = groups.z.entries().iter().sum();
        assert!(sums.abs() < 1e-15);
        // A constant column and a repeated one.
        let z = [1.0, 2.0, 4.0, 1.0, 3.0, 6.0, 1.0, 7.0, 14.0];
        let design = VarianceDesign::new(&VarianceModel::Design(MatrixRef::from_rows(3, 3, &z)), 3)?;
        assert_eq!(design.n_parameters(), 1);
        Ok(())
    }
}
