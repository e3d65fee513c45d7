//! Tests against a threshold: is the fold change larger than one that matters? (McCarthy and Smyth 2009)

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::quadrature::gauss_legendre;
use ferrocyte_math::student_t::StudentT;

use super::{Moderated, Moderation, Threshold, df_total, p_values, squeezed};
use crate::Fit;

/// Nodes over which `upshot` averages.
const NODES: usize = 16;

/// Options of [`treat`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TreatOptions<'a> {
    /// Log2 fold change that does not count; its sign is ignored.
    pub lfc: f64,
    /// Average p-values over thresholds up to `lfc`, which gains power where effects are just above it.
    pub upshot: bool,
    /// How variances are moderated.
    pub moderation: Moderation<'a>,
}

impl Default for TreatOptions<'_> {
    /// A fold change of 1.2.
    fn default() -> Self {
        Self { lfc: 1.2_f64.log2(), upshot: false, moderation: Moderation::default() }
    }
}

/// Moderated tests that coefficients are beyond a threshold.
///
/// The p-value is the larger one over all true coefficients within the threshold: `P(T > (|b| - lfc)/se) + P(T > (|b| +
/// lfc)/se)`. Where a coefficient is NaN, t is 0 and p NaN.
///
/// # Errors
/// As [`e_bayes`](super::e_bayes), and where the threshold is not finite.
pub fn treat(run: &Run, fit: &Fit, options: &TreatOptions<'_>) -> Result<Moderated> {
    if !options.lfc.is_finite() {
        return Err(Fault::bad_input(format!("expected a number, found {}", options.lfc)).at("lfc"));
    }
    let threshold = Threshold { lfc: options.lfc.abs(), upshot: options.upshot && options.lfc != 0.0 };
    let squeezed = squeezed(run, fit, &options.moderation)?;
    let df_total = df_total(fit, &squeezed.df_prior);
    let (n, k) = (fit.n_genes(), fit.n_coefficients());
    let errors: Vec<f64> = squeezed.var_post.iter().map(|s2| s2.sqrt()).collect();
    let se = |g: usize, j: usize| fit.stdev_unscaled[(g, j)] * errors[g];
    // Tails at (|b| + shift) / se, for all shifts that the p-value adds up.
    let mut p = vec![0.0; n * k];
    for (shift, weight) in threshold.shifts() {
        let mut z = Matrix::zeros(n, k);
        for g in 0..n {
            for j in 0..k {
                z[(g, j)] = (fit.coefficients[(g, j)].abs() + shift) / se(g, j);
            }
        }
        let tails = p_values(run, &z, &df_total)?;
        for ((p, tail), z) in p.iter_mut().zip(tails.entries()).zip(z.entries()) {
            *p += weight * if *z < 0.0 { 1.0 - 0.5 * tail } else { 0.5 * tail };
        }
    }
    let reported = if threshold.upshot { 0.5 * threshold.lfc } else { threshold.lfc };
    let mut t = Matrix::zeros(n, k);
    for g in 0..n {
        for j in 0..k {
            let b = fit.coefficients[(g, j)];
            if b.abs() > reported {
                t[(g, j)] = ((b.abs() - reported) / se(g, j)).max(0.0).copysign(b);
            }
        }
    }
    Ok(Moderated {
        s2_prior: squeezed.var_prior,
        df_prior: squeezed.df_prior,
        s2_post: squeezed.var_post,
        df_total,
        t,
        p_value: Matrix::from_rows(n, k, p),
        odds: None,
        f: None,
        threshold: Some(threshold),
    })
}

impl Threshold {
    /// The p-value is the sum of `weight P(T > (|b| + shift) / se)` over these `(shift, weight)`.
    fn shifts(self) -> Vec<(f64, f64)> {
        if !self.upshot {
            return vec![(-self.lfc, 1.0), (self.lfc, 1.0)];
        }
        gauss_legendre(NODES)[NODES / 2..]
            .iter()
            .flat_map(|&(node, weight)| {
                let u = self.lfc * (2.0 * node - 1.0);
                [(-u, 2.0 * weight), (u, 2.0 * weight)]
            })
            .collect()
    }

    /// The logarithm of the p-value of a coefficient, where the p-value itself may underflow.
    pub(crate) fn ln_p(self, coefficient: f64, se: f64, df: f64) -> f64 {
        let law = StudentT::new(df);
        let terms: Vec<f64> = self
            .shifts()
            .iter()
            .map(|(shift, weight)| weight.ln() + law.ln_upper((coefficient.abs() + shift) / se))
            .collect();
        let most = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if most.is_finite() { most + terms.iter().map(|l| (l - most).exp()).sum::<f64>().ln() } else { terms[0] }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::super::{EBayesOptions, e_bayes};
    use super::*;

    #[test]
    fn no_threshold_is_the_ordinary_test() -> Result<()> {
        let run = Run::new();
        let fit = example(300)?;
        let plain = e_bayes(&run, &fit, &EBayesOptions::default())?;
        for upshot in [false, true] {
            let zero = treat(&run, &fit, &TreatOptions { lfc: 0.0, upshot, ..TreatOptions::default() })?;
            for (a, b) in zero.p_value.entries().iter().zip(plain.p_value.entries()) {
                assert!((a / b - 1.0).abs() < 1e-13, "{a} {b}");
            }
        }
        Ok(())
    }

    #[test]
    fn upshot_lies_between_and_logarithms_agree() -> Result<()> {
        let run = Run::new();
        let mut fit = example(300)?;
        fit.coefficients[(5, 1)] = f64::NAN;
        let plain = e_bayes(&run, &fit, &EBayesOptions::default())?;
        let strict = treat(&run, &fit, &TreatOptions { lfc: -0.5, ..TreatOptions::default() })?;
        let mild = treat(&run, &fit, &TreatOptions { lfc: 0.5, upshot: true, ..TreatOptions::default() })?;
        assert!(strict.t[(5, 1)] == 0.0 && strict.p_value[(5, 1)].is_nan());
        for g in (0..300).filter(|&g| g != 5) {
            let [low, middle, high] = [&plain, &mild, &strict].map(|fit| fit.p_value[(g, 1)]);
            assert!(low <= middle && middle <= high, "{low} {middle} {high}");
            for found in [&mild, &strict] {
                let se = fit.stdev_unscaled[(g, 1)] * found.s2_post[g].sqrt();
                let ln_p = found.threshold.map(|h| h.ln_p(fit.coefficients[(g, 1)], se, found.df_total[g]));
                assert!(ln_p.is_some_and(|l| (l.exp() / found.p_value[(g, 1)] - 1.0).abs() < 1e-11));
            }
        }
        assert!(treat(&run, &fit, &TreatOptions { lfc: f64::NAN, ..TreatOptions::default() }).is_err());
        Ok(())
    }
}
