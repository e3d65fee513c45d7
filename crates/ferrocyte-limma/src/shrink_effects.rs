//! [`pred_fcm`]: coefficients shrunk towards zero.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::gamma_intercept::fit_gamma_intercept;

use crate::{Fit, Moderated};

/// Smallest variance of true effects.
pub(crate) const LEAST: f64 = 1e-8;

/// Predictive log fold changes of one coefficient: estimates times the share of their variance that is not error,
/// `v0 / (v0 + v s2_post)` with `v` its unscaled variance and `v0` the variance of the true effects (Phipson 2013).
///
/// # Errors
/// Where there is no such coefficient or it cannot be estimated.
pub fn pred_fcm(fit: &Fit, moderated: &Moderated, coef: usize) -> Result<Vec<f64>> {
    let v = variance(fit, coef)?;
    let effect = |g: usize| fit.coefficients[(g, coef)];
    let there: Vec<usize> =
        (0..fit.n_genes()).filter(|&g| effect(g).is_finite() && moderated.s2_post[g].is_finite()).collect();
    let squares: Vec<f64> = there.iter().map(|&g| effect(g) * effect(g)).collect();
    let offsets: Vec<f64> = there.iter().map(|&g| v * moderated.s2_post[g]).collect();
    let v0 = fit_gamma_intercept(&squares, &offsets)?.max(LEAST);
    Ok((0..fit.n_genes()).map(|g| effect(g) * v0 / (v0 + v * moderated.s2_post[g])).collect())
}

/// The unscaled variance of a coefficient.
pub(crate) fn variance(fit: &Fit, coef: usize) -> Result<f64> {
    if coef >= fit.n_coefficients() {
        return Err(
            Fault::missing(format!("there is no coefficient {coef}; there are {}", fit.n_coefficients())).at("coef")
        );
    }
    if fit.cov_coefficients.n_rows() != fit.n_coefficients() {
        return Err(Fault::bad_input("some coefficients of the fit cannot be estimated")
            .at("coef")
            .hint("fit a design of full rank"));
    }
    Ok(fit.cov_coefficients[(coef, coef)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderate::tests::example;
    use crate::moderate::{EBayesOptions, e_bayes};
    use ferrocyte_base::Run;

    #[test]
    fn predicted_effects_are_shrunk() -> Result<()> {
        let mut fit = example(200)?;
        fit.coefficients[(3, 1)] = f64::NAN;
        let moderated = e_bayes(&Run::new(), &fit, &EBayesOptions::default())?;
        let found = pred_fcm(&fit, &moderated, 1)?;
        for (g, found) in found.iter().enumerate() {
            let ratio = found / fit.coefficients[(g, 1)];
            assert!(if g == 3 { ratio.is_nan() } else { ratio > 0.0 && ratio < 1.0 });
        }
        assert!(pred_fcm(&fit, &moderated, 2).is_err());
        Ok(())
    }
}
