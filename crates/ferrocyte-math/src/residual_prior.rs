//! The distribution of residual variances over genes: an inverse chi-squared prior around a quadratic trend.
//!
//! The residual sum of squares of a gene obeys `e_0 / s_0 ~ chi2_d` exactly; the prior is
//! `s_0 ~ d0 s00_g / chi2_{d0}`. Hence `u_g = ln(e_0 / d) - psi(d/2) + ln(d/2)` estimates `ln s_0` without bias and with
//! variance `psi'(d/2)`; what it varies beyond that around its trend is `psi'(d0/2)` (G. K. Smyth, *Linear models and
//! empirical Bayes methods*, 2004).

use ferrocyte_base::{Fault, Result};

use crate::gamma::{digamma, trigamma, trigamma_inverse};
use crate::trend::Trend;
use crate::variance_prior::MIN_GENES;

/// Excess variance of `u` at or below which all genes share their trend.
const NO_EXCESS: f64 = 1e-5;

/// Prior degrees of freedom in that case.
const MOST_DF: f64 = 2e5;

/// A fitted prior of residual variances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResidualPrior {
    /// Prior degrees of freedom `d0`; 200,000 where genes do not differ beyond chance.
    pub df: f64,
    /// `b_0, b_1, b_2` of the trend of `u`, the log variance.
    pub coefficients: [f64; 3],
    /// The range of the trend covariate over the genes used.
    pub trend: Trend,
    /// The excess variance of `u` around its trend, `psi'(d0 / 2)`; may be negative.
    pub excess: f64,
    /// Genes that the prior was learnt from.
    pub n_genes: usize,
}

impl ResidualPrior {
    /// The prior variance `s00 = exp(fit + psi(d0/2) - ln(d0/2))` at a value of the trend covariate.
    pub fn variance(&self, trend: f64) -> f64 {
        let half = 0.5 * self.df;
        (self.trend.at(&self.coefficients, trend) + digamma(half) - half.ln()).exp()
    }
}

/// Learns the prior of residual variances.
///
/// * `e_0`: residual sum of squares per gene;
/// * `d`: its degrees of freedom, the same for all genes;
/// * `trend`: one covariate value per gene;
/// * `use_gene`: which genes to learn from; of these, genes whose `e_0` is not positive are left out.
///
/// Fails when shapes disagree, `d` is not positive, a used gene has a NaN or infinite value, or fewer than
/// [`MIN_GENES`] genes are left.
pub fn fit_residual_prior(e_0: &[f64], d: f64, trend: &[f64], use_gene: &[bool]) -> Result<ResidualPrior> {
    if e_0.len() != trend.len() || e_0.len() != use_gene.len() {
        return Err(Fault::bad_input(format!(
            "expected as many sums of squares as trend values and flags, found {}, {} and {}",
            e_0.len(),
            trend.len(),
            use_gene.len()
        )));
    }
    if !(d > 0.0 && d.is_finite()) {
        return Err(Fault::bad_input(format!("residual degrees of freedom must be positive, found {d}")));
    }
    let used = |g: &usize| use_gene[*g];
    if let Some(g) = (0..e_0.len()).filter(used).find(|&g| !e_0[g].is_finite() || !trend[g].is_finite()) {
        return Err(Fault::bad_input(format!(
            "gene {g} (from 0) has the residual sum of squares {} and the trend {}",
            e_0[g], trend[g]
        )));
    }
    let genes: Vec<usize> = (0..e_0.len()).filter(used).filter(|&g| e_0[g] > 0.0).collect();
    if genes.len() < MIN_GENES {
        return Err(Fault::bad_input(format!(
            "a variance prior needs at least {MIN_GENES} genes, found {}",
            genes.len()
        ))
        .hint("fit without moderation, or lower the filter on genes"));
    }
    let range = Trend::over(&genes.iter().map(|&g| trend[g]).collect::<Vec<f64>>())?;
    let shift = (0.5 * d).ln() - digamma(0.5 * d);
    let u: Vec<f64> = genes.iter().map(|&g| (e_0[g] / d).ln() + shift).collect();
    let z: Vec<f64> = genes.iter().map(|&g| range.scaled(trend[g])).collect();
    let coefficients = quadratic(&z, &u);
    let rss: f64 = z
        .iter()
        .zip(&u)
        .map(|(z, u)| u - (coefficients[0] + z * (coefficients[1] + z * coefficients[2])))
        .map(|r| r * r)
        .sum();
    let excess = rss / (genes.len() - 3) as f64 - trigamma(0.5 * d);
    let df = if excess > NO_EXCESS { 2.0 * trigamma_inverse(excess) } else { MOST_DF };
    Ok(ResidualPrior { df, coefficients, trend: range, excess, n_genes: genes.len() })
}

/// Least squares of `u` on `1, z, z^2`, by orthogonal polynomials; powers that are not identifiable get 0.
fn quadratic(z: &[f64], u: &[f64]) -> [f64; 3] {
    let m = z.len() as f64;
    let mean = z.iter().sum::<f64>() / m;
    // P_1 = z - mean, P_2 = P_1^2 - b P_1 - c.
    let p1: Vec<f64> = z.iter().map(|z| z - mean).collect();
    let n1: f64 = p1.iter().map(|p| p * p).sum();
    let c0 = u.iter().sum::<f64>() / m;
    if n1 <= 1e-20 * m {
        return [c0, 0.0, 0.0];
    }
    let c1 = p1.iter().zip(u).map(|(p, u)| p * (u - c0)).sum::<f64>() / n1;
    let b = p1.iter().map(|p| p * p * p).sum::<f64>() / n1;
    let c = n1 / m;
    let p2: Vec<f64> = p1.iter().map(|p| p * p - b * p - c).collect();
    let n2: f64 = p2.iter().map(|p| p * p).sum();
    let c2 = if n2 <= 1e-20 * m {
        0.0
    } else {
        p2.iter().zip(&p1).zip(u).map(|((p2, p1), u)| p2 * (u - c0 - c1 * p1)).sum::<f64>() / n2
    };
    // Back to powers of z.
    let linear = c1 - c2 * (b + 2.0 * mean);
    [c0 - c1 * mean + c2 * (mean * mean + b * mean - c), linear, c2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn least_squares() {
        let z = [-1.0, -0.9, -0.3, 0.2, 1.0];
        let u: Vec<f64> = z.iter().map(|z| 2.0 - 0.5 * z + 3.0 * z * z).collect();
        let found = quadratic(&z, &u);
        assert!(found.iter().zip([2.0, -0.5, 3.0]).all(|(f, e)| (f - e).abs() < 1e-13), "{found:?}");
        assert_eq!(quadratic(&[0.0; 4], &[1.0, 2.0, 3.0, 6.0]), [3.0, 0.0, 0.0]);
        let line = quadratic(&[-1.0, 1.0, -1.0, 1.0], &[0.0, 2.0, 0.0, 2.0]);
        assert!((line[0] + line[2] - 1.0).abs() < 1e-14 && (line[1] - 1.0).abs() < 1e-14);
    }

    #[test]
    fn recovers_what_was_simulated() -> Result<()> {
        let (d, d0, n) = (20.0, 8.0, 4000);
        let (mut e_0, mut trend) = (Vec::new(), Vec::new());
        for g in 0..n {
            let mut s = Stream::new(3, g);
            let t = s.uniform();
            let variance = (-2.0 + t).exp() * d0 / s.gamma(0.5 * d0, 2.0)?;
            e_0.push(variance * s.gamma(0.5 * d, 2.0)?);
            trend.push(t);
        }
        let prior = fit_residual_prior(&e_0, d, &trend, &vec![true; n as usize])?;
        assert!((prior.df / d0 - 1.0).abs() < 0.1, "{prior:?}");
        assert!((prior.variance(0.5).ln() + 1.5).abs() < 0.05, "{prior:?}");
        Ok(())
    }

    #[test]
    fn genes_that_do_not_differ_share_their_trend() -> Result<()> {
        let prior = fit_residual_prior(&[5.0; 30], 10.0, &[1.0; 30], &[true; 30])?;
        assert!(prior.df == MOST_DF && prior.excess < 0.0 && prior.coefficients[1] == 0.0);
        let mut e_0 = [5.0; 30];
        e_0[3] = 0.0;
        assert_eq!(fit_residual_prior(&e_0, 10.0, &[1.0; 30], &[true; 30])?.n_genes, 29);
        e_0[4] = f64::NAN;
        assert!(
            fit_residual_prior(&e_0, 10.0, &[1.0; 30], &[true; 30]).is_err_and(|f| f.to_string().contains("gene 4"))
        );
        assert!(fit_residual_prior(&[5.0; 30], 0.0, &[1.0; 30], &[true; 30]).is_err());
        assert!(fit_residual_prior(&[5.0; 3], 1.0, &[1.0; 3], &[true; 3]).is_err());
        Ok(())
    }
}
