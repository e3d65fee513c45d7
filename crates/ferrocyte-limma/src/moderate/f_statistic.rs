//! Joint tests of several coefficients: the moderated F statistic.

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::f;
use ferrocyte_math::linalg::{Matrix, symmetric_eigen};

use super::{Moderated, df_uncapped};
use crate::Fit;

/// Eigenvalues below this share of the largest are zero.
const SINGULAR: f64 = 1e-8;

/// Groups of genes smaller than this are not worth a table of their own.
const FEW: usize = 8;

/// Moderated F statistics.
#[derive(Debug, Clone, PartialEq)]
pub struct FStatistics {
    /// The statistic of each gene; NaN where a t is.
    pub statistic: Vec<f64>,
    /// Its p-value.
    pub p_value: Vec<f64>,
    /// Numerator degrees of freedom: the number of independent coefficients.
    pub df1: usize,
    /// Denominator degrees of freedom of each gene: residual and prior ones, without the limit of t.
    pub df2: Vec<f64>,
}

impl FStatistics {
    /// F of all columns of `t`, whose covariances are in proportion to `covariance`.
    pub fn of(t: &Matrix, covariance: &Matrix, df2: &[f64]) -> Result<Self> {
        let whitening = Whitening::new(covariance)?;
        let statistic: Vec<f64> = (0..t.n_rows()).map(|g| whitening.f(t.row(g))).collect();
        let p_value = upper_tails(&statistic, whitening.rank, df2);
        Ok(Self { statistic, p_value, df1: whitening.rank, df2: df2.to_vec() })
    }
}

/// Joint tests of the coefficients `coefs`: those of the fit where they are of the same coefficients, else computed.
///
/// # Errors
/// Where a coefficient cannot be estimated, or the fit holds tests against a threshold.
pub(crate) fn joint<'a>(fit: &Fit, moderated: &'a Moderated, coefs: &[usize]) -> Result<Cow<'a, FStatistics>> {
    let k = fit.n_coefficients();
    if let Some(whole) = moderated.f.as_ref().filter(|_| coefs.iter().copied().eq(0..k)) {
        return Ok(Cow::Borrowed(whole));
    }
    let fault = |message: &str| {
        Err(Fault::bad_input(message.to_owned())
            .at("coef")
            .hint("joint tests need e_bayes on a design of full rank; ask for one coefficient"))
    };
    if moderated.threshold.is_some() {
        return fault("tests against a threshold are of one coefficient");
    }
    if fit.rank < fit.pivot.len() || fit.cov_coefficients.n_rows() != k {
        return fault("the fit has no joint tests: some coefficients of the design cannot be estimated");
    }
    let df2 = df_uncapped(fit, &moderated.df_prior);
    let part = |rows: &[f64]| -> Vec<f64> { coefs.iter().map(|&j| rows[j]).collect() };
    let t = (0..fit.n_genes()).flat_map(|g| part(moderated.t.row(g))).collect();
    let covariance = coefs.iter().flat_map(|&i| part(fit.cov_coefficients.row(i))).collect();
    let t = Matrix::from_rows(fit.n_genes(), coefs.len(), t);
    FStatistics::of(&t, &Matrix::from_rows(coefs.len(), coefs.len(), covariance), &df2).map(Cow::Owned)
}

/// What makes correlated t independent: `Q = V diag(l)^(-1/2) / sqrt(r)` of their correlation `V diag(l) V'`.
#[derive(Debug, Clone)]
pub(crate) struct Whitening {
    /// `Q'`, r × k.
    q: Matrix,
    /// The rank, r.
    pub(crate) rank: usize,
}

impl Whitening {
    pub(crate) fn new(covariance: &Matrix) -> Result<Self> {
        let k = covariance.n_rows();
        if k == 0 {
            return Err(Fault::bad_input("no coefficients to test"));
        }
        if k == 1 {
            return Ok(Self { q: Matrix::from_rows(1, 1, vec![1.0]), rank: 1 });
        }
        let scale: Vec<f64> = covariance.diagonal().iter().map(|d| if *d > 0.0 { d.sqrt() } else { 1.0 }).collect();
        let mut correlation = Matrix::zeros(k, k);
        for i in 0..k {
            for j in 0..k {
                correlation[(i, j)] = covariance[(i, j)] / scale[i] / scale[j];
            }
            if !(covariance[(i, i)] > 0.0) {
                correlation[(i, i)] = 1.0;
            }
        }
        let (values, vectors) = symmetric_eigen(&correlation)?;
        let largest = values[k - 1];
        let kept: Vec<usize> = (0..k).rev().filter(|&i| values[i] > SINGULAR * largest).collect();
        let mut q = Matrix::zeros(kept.len(), k);
        for (row, &i) in kept.iter().enumerate() {
            let factor = 1.0 / (values[i] * kept.len() as f64).sqrt();
            for j in 0..k {
                q[(row, j)] = vectors[(j, i)] * factor;
            }
        }
        Ok(Self { q, rank: kept.len() })
    }

    /// `|Q't|^2`.
    pub(crate) fn f(&self, t: &[f64]) -> f64 {
        (0..self.rank)
            .map(|i| {
                let z: f64 = self.q.row(i).iter().zip(t).map(|(q, t)| q * t).sum();
                z * z
            })
            .sum()
    }
}

/// `P(F > statistic)`, genes of the same degrees of freedom together.
pub(crate) fn upper_tails(statistic: &[f64], df1: usize, df2: &[f64]) -> Vec<f64> {
    let mut p = vec![0.0; statistic.len()];
    if df2.windows(2).all(|pair| pair[0] == pair[1]) {
        if let Some(&df2) = df2.first() {
            f::many::upper(statistic, df1, df2, &mut p);
        }
        return p;
    }
    let mut order: Vec<usize> = (0..statistic.len()).collect();
    order.sort_by(|&i, &j| df2[i].total_cmp(&df2[j]));
    let (mut arguments, mut tails) = (Vec::new(), Vec::new());
    for group in order.chunk_by(|&i, &j| df2[i] == df2[j]) {
        let df2 = df2[group[0]];
        if group.len() < FEW {
            group.iter().for_each(|&g| p[g] = f::upper(statistic[g], df1 as f64, df2));
            continue;
        }
        arguments.clear();
        arguments.extend(group.iter().map(|&g| statistic[g]));
        tails.resize(group.len(), 0.0);
        f::many::upper(&arguments, df1, df2, &mut tails);
        group.iter().zip(&tails).for_each(|(&g, &tail)| p[g] = tail);
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f_is_the_quadratic_form() -> Result<()> {
        let covariance = Matrix::from_rows(2, 2, vec![4.0, 1.0, 1.0, 9.0]);
        let whitening = Whitening::new(&covariance)?;
        let rho: f64 = 1.0 / 6.0;
        let (a, b) = (1.3, -2.1);
        let expected = (a * a + b * b - 2.0 * rho * a * b) / (1.0 - rho * rho) / 2.0;
        assert!((whitening.f(&[a, b]) - expected).abs() < 1e-13);
        assert!(whitening.f(&[f64::NAN, 1.0]).is_nan());
        // A contrast that is the difference of two others adds nothing.
        let three = Matrix::from_rows(3, 3, vec![1.0, 0.0, 1.0, 0.0, 1.0, -1.0, 1.0, -1.0, 2.0]);
        let whitening = Whitening::new(&three)?;
        assert_eq!(whitening.rank, 2);
        assert!((whitening.f(&[a, b, (a - b) / 2.0_f64.sqrt()]) - 0.5 * (a * a + b * b)).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn groups_of_df() {
        let statistic: Vec<f64> = (0..40).map(|i| 0.1 * f64::from(i)).collect();
        let df2: Vec<f64> = (0..40).map(|i| if i == 7 { f64::INFINITY } else { f64::from(3 + i % 3) }).collect();
        for (g, p) in upper_tails(&statistic, 3, &df2).iter().enumerate() {
            assert!((p / f::upper(statistic[g], 3.0, df2[g]) - 1.0).abs() < 1e-13);
        }
    }
}
