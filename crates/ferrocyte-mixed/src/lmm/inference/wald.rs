//! The F test of several contrasts of one gene, and its denominator degrees of freedom.
//!
//! With b the r estimates and C their covariance, F = b'C⁻¹b / r. The denominator follows lmerTest: along the
//! eigenvectors of C the contrasts are uncorrelated, F is the mean of their squared t, and each has Satterthwaite's
//! ν_m; with E = Σ ν_m/(ν_m - 2), F has about the mean of an F distribution with 2E/(E - r) denominator degrees of
//! freedom (Fai and Cornelius 1996, doi 10.1080/00949659608811740).

use ferrocyte_base::Result;
use ferrocyte_math::f;
use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse, symmetric_eigen};

/// ν_m that differ by less than this are one number, of which no average need be taken.
const EQUAL: f64 = 1e-8;

/// What a joint test needs of one gene: no more than r × r matrices.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    /// Estimates of the r contrasts.
    pub(super) estimate: Vec<f64>,
    /// Their covariance, r × r.
    pub(super) covariance: Matrix,
    /// Its derivatives in s_1, .., s_k, s_0.
    pub(super) derivatives: Vec<Matrix>,
    /// The inverse of the information of s_1, .., s_k, s_0; `None` where n - p is all that is known.
    pub(super) information_inverse: Option<Matrix>,
}

/// The F test of one gene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FTest {
    pub(super) f: f64,
    pub(super) df1: f64,
    pub(super) df2: f64,
    pub(super) ln_p: f64,
}

impl FTest {
    pub(super) const NONE: Self = Self { f: f64::NAN, df1: f64::NAN, df2: f64::NAN, ln_p: f64::NAN };
}

impl Moments {
    /// The F test with Satterthwaite's denominator, or with `residual_df` where that is given. Without a covariance
    /// that can be inverted there is none.
    pub(super) fn test(&self, residual_df: f64, satterthwaite: bool) -> Result<FTest> {
        let r = self.estimate.len();
        let Ok(inverse) = scaled_inverse(&self.covariance, 0.0) else { return Ok(FTest::NONE) };
        let f = quadratic(&inverse, &self.estimate).max(0.0) / r as f64;
        let df2 = match &self.information_inverse {
            Some(information) if satterthwaite => self.denominator(information)?,
            _ => residual_df,
        };
        Ok(FTest { f, df1: r as f64, df2, ln_p: f::ln_upper(f, r as f64, df2) })
    }

    /// Satterthwaite's denominator degrees of freedom.
    fn denominator(&self, information_inverse: &Matrix) -> Result<f64> {
        let r = self.estimate.len();
        let (values, vectors) = symmetric_eigen(&self.covariance)?;
        let columns = vectors.transpose();
        let nu: Vec<f64> = (0..r)
            .map(|m| {
                let gradient: Vec<f64> = self.derivatives.iter().map(|d| quadratic(d, columns.row(m))).collect();
                2.0 * values[m] * values[m] / quadratic(information_inverse, &gradient)
            })
            .collect();
        Ok(combine(&nu))
    }
}

/// x'Ax.
pub(super) fn quadratic(a: &Matrix, x: &[f64]) -> f64 {
    (0..x.len()).map(|i| x[i] * dot(a.row(i), x)).sum()
}

/// One denominator from those of uncorrelated contrasts: their own where they agree; 2, the least for which F is
/// heavy-tailed enough to have no mean, where one of them is 2 or less; else by the mean of F.
fn combine(nu: &[f64]) -> f64 {
    let (low, high) = nu.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
    if nu.iter().any(|x| x.is_nan()) {
        f64::NAN
    } else if high - low < EQUAL * high {
        nu.iter().sum::<f64>() / nu.len() as f64
    } else if low <= 2.0 {
        2.0
    } else {
        // E - r = Σ 2/(ν - 2), without cancellation.
        let excess: f64 = nu.iter().map(|x| 2.0 / (x - 2.0)).sum();
        2.0 * (nu.len() as f64 + excess) / excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::student_t;

    #[test]
    fn denominators_combine_as_published() {
        assert_eq!(combine(&[7.0]), 7.0);
        assert_eq!(combine(&[1.3, 1.3]), 1.3);
        assert_eq!(combine(&[1.9, 40.0]), 2.0);
        // E = 6/4 + 12/10 = 2.7, 2E/(E - 2) = 5.4/0.7.
        assert!((combine(&[6.0, 12.0]) - 5.4 / 0.7).abs() < 1e-12);
        assert!(combine(&[f64::NAN, 5.0]).is_nan());
    }

    #[test]
    fn one_contrast_is_the_t_test() -> Result<()> {
        let moments = Moments {
            estimate: vec![1.2],
            covariance: Matrix::from_rows(1, 1, vec![0.25]),
            derivatives: vec![Matrix::from_rows(1, 1, vec![0.5]), Matrix::from_rows(1, 1, vec![0.1])],
            information_inverse: Some(Matrix::from_rows(2, 2, vec![0.06, -0.01, -0.01, 0.04])),
        };
        let test = moments.test(100.0, true)?;
        let df = 2.0 * 0.0625 / (0.25 * 0.06 - 2.0 * 0.05 * 0.01 + 0.01 * 0.04);
        assert!((test.f - 5.76).abs() < 1e-12 && (test.df2 - df).abs() < 1e-10);
        assert!((test.ln_p - student_t::ln_two_sided(2.4, df)).abs() < 1e-12);
        assert_eq!(moments.test(100.0, false)?.df2, 100.0);
        // Where the p-value itself is no number any more.
        let far = Moments { estimate: vec![60.0], ..moments }.test(1e4, false)?;
        assert!(far.ln_p < -3000.0);
        assert!((far.ln_p / student_t::ln_two_sided(120.0, 1e4) - 1.0).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn a_covariance_that_is_none_has_no_test() -> Result<()> {
        let moments = Moments {
            estimate: vec![1.0, 2.0],
            covariance: Matrix::from_rows(2, 2, vec![1.0, 2.0, 2.0, 1.0]),
            derivatives: Vec::new(),
            information_inverse: None,
        };
        assert!(moments.test(10.0, true)?.ln_p.is_nan());
        Ok(())
    }
}
