//! Tests of variances and heritabilities. All give the natural logarithm of p, NaN where there is no test.

use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse, symmetric_eigen};
use ferrocyte_math::random::Stream;
use ferrocyte_math::{chi_squared, normal};

use super::nonnegative::minimum;

/// A covariance whose eigenvalues span more than this gives no joint test.
const SPAN: f64 = 1e8;

/// Draws for the weights of a mixture over more than two variances.
const DRAWS: u64 = 20_000;

/// One-sided: an estimate of zero against a larger one.
pub fn ln_wald(estimate: f64, variance: f64) -> f64 {
    if variance > 0.0 { normal::ln_upper(estimate / variance.sqrt()) } else { f64::NAN }
}

/// Two-sided: for what may have either sign, as a difference between environments.
pub fn ln_wald_two_sided(estimate: f64, variance: f64) -> f64 {
    if variance > 0.0 { normal::ln_two_sided(estimate / variance.sqrt()) } else { f64::NAN }
}

/// All estimates zero: χ² with as many degrees of freedom; NaN where the covariance is not well positive definite.
pub fn ln_joint_wald(estimates: &[f64], covariance: &Matrix) -> f64 {
    let k = estimates.len();
    let Ok((values, _)) = symmetric_eigen(covariance) else { return f64::NAN };
    let (Some(&low), Some(&high)) = (values.first(), values.last()) else { return f64::NAN };
    if !(low > 0.0 && high / low <= SPAN) {
        return f64::NAN;
    }
    let Ok(inverse) = scaled_inverse(covariance, 0.0) else { return f64::NAN };
    let statistic: f64 = (0..k).map(|i| estimates[i] * dot(inverse.row(i), estimates)).sum();
    chi_squared::ln_upper(statistic, k as f64)
}

/// All heritabilities equal: the contrasts of the first with each other.
pub fn ln_equal(h2: &[f64], covariance: &Matrix) -> f64 {
    let k = h2.len();
    if k < 2 {
        return f64::NAN;
    }
    let contrasts: Vec<f64> = h2[1..].iter().map(|x| h2[0] - x).collect();
    let mut of = Matrix::zeros(k - 1, k - 1);
    for i in 1..k {
        for j in 1..k {
            of[(i - 1, j - 1)] = covariance[(0, 0)] - covariance[(0, j)] - covariance[(i, 0)] + covariance[(i, j)];
        }
    }
    ln_joint_wald(&contrasts, &of)
}

/// The likelihood ratio of two nested fits with χ² of `df` degrees of freedom.
pub fn ln_likelihood_ratio(l: f64, l0: f64, df: f64) -> f64 {
    chi_squared::ln_upper((2.0 * (l - l0)).max(0.0), df)
}

/// The likelihood ratio where variances are zero under the hypothesis and may not be negative: a mixture of χ².
///
/// `covariance` is that of the variances under test, in which case the weight of j positive ones is the chance that the
/// nearest non-negative point to a normal draw with it has j positive entries (Self & Liang 1987). `free` more parameters
/// have no bound. Exact for one and two variances, otherwise from draws of a fixed seed.
pub fn ln_mixture(l: f64, l0: f64, covariance: &Matrix, free: usize) -> f64 {
    let statistic = (2.0 * (l - l0)).max(0.0);
    let Some(weights) = mixture_weights(covariance) else { return f64::NAN };
    let terms = weights.iter().enumerate().map(|(j, w)| {
        let df = j + free;
        let tail = if df == 0 {
            if statistic > 0.0 { f64::NEG_INFINITY } else { 0.0 }
        } else {
            chi_squared::ln_upper(statistic, df as f64)
        };
        w.ln() + tail
    });
    let terms: Vec<f64> = terms.collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.iter().map(|t| (t - largest).exp()).sum::<f64>().ln()
}

/// The chances of 0, 1, .. positive variances; `None` where the covariance is not positive definite.
pub fn mixture_weights(covariance: &Matrix) -> Option<Vec<f64>> {
    let k = covariance.n_rows();
    let information = scaled_inverse(covariance, 0.0).ok()?;
    if k == 0 {
        return Some(vec![1.0]);
    }
    if k == 1 {
        return Some(vec![0.5, 0.5]);
    }
    if k == 2 {
        // The metric is the information: the angle of the quadrant is that of its correlation with changed sign.
        let rho = covariance[(0, 1)] / (covariance[(0, 0)] * covariance[(1, 1)]).sqrt();
        let both = 0.5 - rho.clamp(-1.0, 1.0).acos() / (2.0 * std::f64::consts::PI);
        return Some(vec![0.5 - both, 0.5, both]);
    }
    let (values, vectors) = symmetric_eigen(covariance).ok()?;
    let mut counts = vec![0.0; k + 1];
    for draw in 0..DRAWS {
        let mut stream = Stream::new(0, draw);
        let z: Vec<f64> = values.iter().map(|v| v.max(0.0).sqrt() * stream.normal()).collect();
        let x: Vec<f64> = (0..k).map(|i| dot(vectors.row(i), &z)).collect();
        let c: Vec<f64> = (0..k).map(|i| dot(information.row(i), &x)).collect();
        let near = minimum(&information, &c)?;
        counts[near.iter().filter(|&&x| x > 0.0).count()] += 1.0 / DRAWS as f64;
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joint_tests_are_wald_tests_of_one() {
        let v = Matrix::from_rows(1, 1, vec![0.25]);
        assert!((ln_joint_wald(&[1.0], &v) - ln_wald_two_sided(1.0, 0.25)).abs() < 1e-12);
        let flat = Matrix::from_rows(2, 2, vec![1.0, 1.0, 1.0, 1.0]);
        assert!(ln_joint_wald(&[1.0, 2.0], &flat).is_nan());
        assert!(ln_wald(1.0, 0.0).is_nan());
    }

    #[test]
    fn weights_of_mixtures() {
        let unit = |k: usize| {
            let mut m = Matrix::zeros(k, k);
            (0..k).for_each(|i| m[(i, i)] = 1.0 + i as f64);
            m
        };
        assert_eq!(mixture_weights(&unit(2)), Some(vec![0.25, 0.5, 0.25]));
        // Independent variances: binomial weights.
        let three = mixture_weights(&unit(3)).unwrap_or_default();
        for (w, b) in three.iter().zip([0.125, 0.375, 0.375, 0.125]) {
            assert!((w - b).abs() < 0.01, "{three:?}");
        }
        let p = ln_mixture(3.0, 2.0, &unit(1), 0).exp();
        assert!((p - 0.5 * chi_squared::upper(2.0, 1.0)).abs() < 1e-15);
        assert_eq!(ln_mixture(2.0, 2.0, &unit(1), 0), 0.0);
    }

    #[test]
    fn a_pair_of_variances_has_the_weights_of_draws() {
        // The general way on two variances that go together, by putting them beside an independent third.
        let two = Matrix::from_rows(2, 2, vec![1.0, 0.6, 0.6, 1.0]);
        let mut three = Matrix::zeros(3, 3);
        for i in 0..2 {
            for j in 0..2 {
                three[(i, j)] = two[(i, j)];
            }
        }
        three[(2, 2)] = 1.0;
        let exact = mixture_weights(&two).unwrap_or_default();
        let drawn = mixture_weights(&three).unwrap_or_default();
        assert!((drawn[3] - 0.5 * exact[2]).abs() < 0.01, "{drawn:?} {exact:?}");
        assert!((drawn[0] - 0.5 * exact[0]).abs() < 0.01, "{drawn:?} {exact:?}");
    }
}
