//! Tests from estimates and their covariance; all p-values as natural logarithms.

use ferrocyte_math::linalg::{Matrix, scaled_inverse};
use ferrocyte_math::{chi_squared, f, student_t};

/// A diagonal entry of the scaled covariance below this is a combination of those before it.
const RANK: f64 = 1e-14;

/// ln p of `estimate` being above zero by chance: t = estimate / sqrt(variance) on `df` degrees of freedom, upper tail. NaN without
/// a positive variance or degrees of freedom.
pub fn ln_upper_t(estimate: f64, variance: f64, df: f64) -> f64 {
    if !(variance > 0.0 && df > 0.0) {
        return f64::NAN;
    }
    student_t::ln_upper(estimate / variance.sqrt(), df)
}

/// ln p of all `estimates` being zero: e' Cov⁻¹ e / k against F(k, df). NaN where the covariance (k × k, row-major) is not positive
/// definite or there are no degrees of freedom.
pub fn ln_f(estimates: &[f64], covariance: &[f64], df: f64) -> f64 {
    let k = estimates.len();
    if !(df > 0.0) || k == 0 || covariance.iter().any(|x| !x.is_finite()) {
        return f64::NAN;
    }
    let Ok(inverse) = scaled_inverse(&Matrix::from_rows(k, k, covariance.to_vec()), RANK) else {
        return f64::NAN;
    };
    let quadratic: f64 =
        (0..k).map(|i| estimates[i] * inverse.row(i).iter().zip(estimates).map(|(a, b)| a * b).sum::<f64>()).sum();
    f::ln_upper(quadratic / k as f64, k as f64, df)
}

/// ln p of all means of cell types being equal: contrasts of each with the last against F(C - 1, df). `covariance` is that of the
/// means, C × C row-major.
pub fn ln_equal_means(means: &[f64], covariance: &[f64], df: f64) -> f64 {
    let c = means.len();
    let last = c - 1;
    let at = |i: usize, j: usize| covariance[i * c + j];
    let contrasts: Vec<f64> = (0..last).map(|i| means[i] - means[last]).collect();
    let mut between = Vec::with_capacity(last * last);
    for i in 0..last {
        between.extend((0..last).map(|j| at(i, j) - at(i, last) - at(last, j) + at(last, last)));
    }
    ln_f(&contrasts, &between, df)
}

/// ln p of the likelihood-ratio test of a model with `df` parameters fewer: 2 (l - l0) against χ²(df); 0 where the smaller model
/// fits as well or better.
pub fn ln_likelihood_ratio(l: f64, l0: f64, df: f64) -> f64 {
    if l.is_nan() || l0.is_nan() {
        return f64::NAN;
    }
    chi_squared::ln_upper((2.0 * (l - l0)).max(0.0), df)
}

/// The jackknife's covariance, (n - 1)/n Σ (x_i - mean)(x_i - mean)', of `n` rows of `k` numbers; row-major.
pub(super) fn jackknife_covariance(rows: &[f64], k: usize) -> Vec<f64> {
    let n = rows.len() / k.max(1);
    let mut mean = vec![0.0; k];
    for row in rows.chunks_exact(k) {
        mean.iter_mut().zip(row).for_each(|(m, x)| *m += x);
    }
    mean.iter_mut().for_each(|m| *m /= n as f64);
    let mut out = vec![0.0; k * k];
    let mut centred = vec![0.0; k];
    for row in rows.chunks_exact(k) {
        centred.iter_mut().zip(row).zip(&mean).for_each(|((c, x), m)| *c = x - m);
        for a in 0..k {
            for b in 0..k {
                out[a * k + b] += centred[a] * centred[b];
            }
        }
    }
    let factor = (n as f64 - 1.0) / n as f64;
    out.iter_mut().for_each(|x| *x *= factor);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_stay_finite_as_logarithms() {
        assert!((ln_upper_t(0.3, 0.01, 87.0).exp() - 0.001_760_562_216_638_804).abs() < 1e-15);
        assert!((ln_likelihood_ratio(-10.0, -800.0, 9.0) + 769.097_186_682_452_8).abs() < 1e-7);
        assert_eq!(ln_likelihood_ratio(-80.5, -80.0, 1.0), 0.0);
        assert!(ln_upper_t(1.0, 1.0, 0.0).is_nan() && ln_f(&[1.0], &[0.0], 5.0).is_nan());
    }

    #[test]
    fn jackknife_of_means_is_the_variance_of_the_mean() {
        let x = [1.0, 4.0, 2.0, 8.0];
        let total: f64 = x.iter().sum();
        let left: Vec<f64> = x.iter().map(|v| (total - v) / 3.0).collect();
        let s2 = x.iter().map(|v| (v - total / 4.0).powi(2)).sum::<f64>() / 3.0;
        assert!((jackknife_covariance(&left, 1)[0] - s2 / 4.0).abs() < 1e-14);
    }
}
