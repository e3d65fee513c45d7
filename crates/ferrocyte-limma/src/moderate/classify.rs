//! Which of several coefficients make a joint test significant: nested F tests.

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::f;
use ferrocyte_math::linalg::Matrix;

use super::f_statistic::Whitening;

/// Nested F tests of correlated t at one level.
#[derive(Debug)]
pub struct Classifier {
    whitening: Whitening,
    p_value: f64,
    /// Critical values by the bits of the denominator degrees of freedom.
    critical: HashMap<u64, f64>,
}

impl Classifier {
    /// Tests of t whose covariances are in proportion to `covariance`, at the level `p_value`.
    pub fn new(covariance: &Matrix, p_value: f64) -> Result<Self> {
        if !(p_value > 0.0 && p_value < 1.0) {
            return Err(Fault::bad_input(format!("expected a level between 0 and 1, found {p_value}")).at("p_value"));
        }
        Ok(Self { whitening: Whitening::new(covariance)?, p_value, critical: HashMap::new() })
    }

    /// The sign of each t that is significant, else 0, into `calls`.
    ///
    /// If F of all t exceeds its critical value, the largest |t| is significant. The next largest is so too if F still
    /// exceeds with all larger ones cut down to it; and so on until it does not. NaN anywhere: nothing is.
    pub fn classify(&mut self, t: &[f64], df2: f64, calls: &mut [f64]) {
        calls.fill(0.0);
        let (rank, level) = (self.whitening.rank as f64, self.p_value);
        let critical =
            *self.critical.entry(df2.to_bits()).or_insert_with(|| f::quantile_ln_upper(level.ln(), rank, df2));
        if !(self.whitening.f(t) > critical) {
            return;
        }
        let mut order: Vec<usize> = (0..t.len()).collect();
        order.sort_by(|&i, &j| t[j].abs().total_cmp(&t[i].abs()));
        let mut cut = t.to_vec();
        for (k, &j) in order.iter().enumerate() {
            for &larger in &order[..k] {
                cut[larger] = t[j].abs().copysign(t[larger]);
            }
            if k > 0 && !(self.whitening.f(&cut) > critical) {
                break;
            }
            calls[j] = 1.0_f64.copysign(t[j]);
        }
    }
}

/// Nested F tests of each row of `t`, genes × tests: -1, 0 or 1 for each.
///
/// `covariance` is that of the t up to a factor of each; `df2` has one entry per gene.
///
/// # Errors
/// Where shapes differ or the level is not between 0 and 1.
pub fn classify_tests_f(t: &Matrix, covariance: &Matrix, df2: &[f64], p_value: f64) -> Result<Matrix> {
    let k = t.n_cols();
    if covariance.n_rows() != k || covariance.n_cols() != k || df2.len() != t.n_rows() {
        return Err(Fault::bad_input(format!(
            "{} x {k} statistics, a {} x {} correlation and {} degrees of freedom",
            t.n_rows(),
            covariance.n_rows(),
            covariance.n_cols(),
            df2.len()
        ))
        .hint("give a square correlation for the columns, and degrees of freedom for the rows"));
    }
    let mut classifier = Classifier::new(covariance, p_value)?;
    let mut calls = Matrix::zeros(t.n_rows(), k);
    for (g, df2) in df2.iter().enumerate() {
        classifier.classify(t.row(g), *df2, calls.row_mut(g));
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_tests_by_hand() -> Result<()> {
        let t = Matrix::from_rows(4, 2, vec![5.0, -4.0, 5.0, 0.5, 0.3, -0.2, f64::NAN, 9.0]);
        let identity = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, 1.0]);
        // The critical value of F on (2, inf) at 5 % is 3.0: |t| of both must exceed 1.73 together.
        let calls = classify_tests_f(&t, &identity, &[f64::INFINITY; 4], 0.05)?;
        assert_eq!(calls.entries(), [1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(classify_tests_f(&t, &identity, &[1.0], 0.05).is_err());
        assert!(classify_tests_f(&t, &identity, &[1.0; 4], 0.0).is_err());
        Ok(())
    }
}
