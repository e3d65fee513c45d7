//! Coefficients shrunk towards zero ([`pred_fcm`]), and how two of them go together ([`genas`]).

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::chi_squared;
use ferrocyte_math::gamma_intercept::fit_gamma_intercept;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::optimise::{Evaluation, Stop, minimise};

use crate::{Fit, Moderated};

/// Smallest variance of true effects.
const LEAST: f64 = 1e-8;

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
fn variance(fit: &Fit, coef: usize) -> Result<f64> {
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

/// The correlation of two coefficients over genes, parted from that of their errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Genas {
    /// Correlation of the errors of the two coefficients, from the design.
    pub technical_correlation: f64,
    /// Correlation of the true effects.
    pub biological_correlation: f64,
    /// Covariance of the true effects over the residual variance: entries 11, 12, 22.
    pub covariance: [f64; 3],
    /// Twice the log-likelihood gained by the biological correlation.
    pub deviance: f64,
    /// Its p-value, chi-squared on 1.
    pub p_value: f64,
    /// Number of genes.
    pub n: usize,
}

/// Genuine association of two coefficients (Phipson 2013): the correlation of true effects, by maximum likelihood of
/// effects that are normal with covariance `V0` times the residual variance.
///
/// # Errors
/// Where a coefficient does not exist or cannot be estimated, or fewer than three genes have both.
pub fn genas(fit: &Fit, moderated: &Moderated, coef: [usize; 2]) -> Result<Genas> {
    let (v11, v22) = (variance(fit, coef[0])?, variance(fit, coef[1])?);
    let v12 = fit.cov_coefficients[(coef[0], coef[1])];
    let effects: Vec<Effect> = (0..fit.n_genes())
        .map(|g| {
            let s = moderated.s2_post[g].sqrt();
            let [x, y] = coef.map(|j| fit.coefficients[(g, j)] / s);
            Effect { x, y, df: moderated.df_total[g] }
        })
        .filter(|e| e.x.is_finite() && e.y.is_finite())
        .collect();
    if effects.len() < 3 {
        return Err(Fault::bad_input(format!("{} genes have both coefficients, expected at least 3", effects.len())));
    }
    let start = |v: f64, square: &dyn Fn(&Effect) -> f64| -> Result<f64> {
        let squares: Vec<f64> = effects.iter().map(square).collect();
        Ok(fit_gamma_intercept(&squares, &vec![v; effects.len()])?.max(LEAST).ln())
    };
    let start = [start(v11, &|e| e.x * e.x)?, start(v22, &|e| e.y * e.y)?, 0.0];
    let likelihood = Bivariate { effects: &effects, v: [v11, v12, v22] };
    let free = [30.0, 30.0, 1e4];
    let full = minimise(&start, &free.map(|b| -b), &free, Stop::default(), |x| Ok(likelihood.at([x[0], x[1], x[2]])))?;
    let null = minimise(&start[..2], &[-30.0; 2], &[30.0; 2], Stop::default(), |x| {
        let mut found = likelihood.at([x[0], x[1], 0.0]);
        found.gradient.truncate(2);
        Ok(found)
    })?;
    let [d1, d2, l] = [full.point[0].exp(), full.point[1].exp(), full.point[2]];
    let covariance = [d1, d1 * l, d1 * l * l + d2];
    let deviance = (2.0 * (null.value - full.value)).max(0.0);
    Ok(Genas {
        technical_correlation: v12 / (v11 * v22).sqrt(),
        biological_correlation: covariance[1] / (covariance[0] * covariance[2]).sqrt(),
        covariance,
        deviance,
        p_value: chi_squared::upper(deviance, 1.0),
        n: effects.len(),
    })
}

/// Two coefficients over the residual standard deviation.
struct Effect {
    x: f64,
    y: f64,
    df: f64,
}

/// The negative log-likelihood of effects that are t with covariance `V + V0`, `V0 = L diag(exp a, exp b) L'`, and its
/// gradient in `(a, b, L21)`.
struct Bivariate<'a> {
    effects: &'a [Effect],
    v: [f64; 3],
}

impl Bivariate<'_> {
    fn at(&self, [a, b, l]: [f64; 3]) -> Evaluation {
        let (d1, d2) = (a.exp(), b.exp());
        let s = Matrix::from_rows(
            2,
            2,
            vec![self.v[0] + d1, self.v[1] + d1 * l, self.v[1] + d1 * l, self.v[2] + d1 * l * l + d2],
        );
        let determinant = s[(0, 0)] * s[(1, 1)] - s[(0, 1)] * s[(0, 1)];
        let [i11, i12, i22] = [s[(1, 1)] / determinant, -s[(0, 1)] / determinant, s[(0, 0)] / determinant];
        let n = self.effects.len() as f64;
        let mut value = 0.5 * n * determinant.ln();
        // The derivative by S: n/2 S^-1 - sum c z z', z = S^-1 effect.
        let (mut g11, mut g12, mut g22) = (0.5 * n * i11, 0.5 * n * i12, 0.5 * n * i22);
        for e in self.effects {
            let (zx, zy) = (i11 * e.x + i12 * e.y, i12 * e.x + i22 * e.y);
            let form = e.x * zx + e.y * zy;
            // Infinite degrees of freedom are the normal limit.
            let c = if e.df.is_finite() {
                value += 0.5 * (2.0 + e.df) * (form / e.df).ln_1p();
                0.5 * (2.0 + e.df) / (e.df + form)
            } else {
                value += 0.5 * form;
                0.5
            };
            g11 -= c * zx * zx;
            g12 -= c * zx * zy;
            g22 -= c * zy * zy;
        }
        let gradient = vec![d1 * (g11 + 2.0 * l * g12 + l * l * g22), d2 * g22, 2.0 * d1 * (g12 + l * g22)];
        Evaluation { value, gradient, hessian: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderate::tests::example;
    use crate::moderate::{EBayesOptions, e_bayes};
    use ferrocyte_base::Run;
    use ferrocyte_math::random::Stream;

    #[test]
    fn gradients_are_slopes() {
        let effects: Vec<Effect> = (0..20)
            .map(|i| {
                let mut stream = Stream::new(1, i);
                Effect { x: stream.normal(), y: stream.normal(), df: if i % 2 == 0 { 7.0 } else { f64::INFINITY } }
            })
            .collect();
        let likelihood = Bivariate { effects: &effects, v: [0.3, -0.1, 0.4] };
        let at = [0.2, -0.7, 0.4];
        let found = likelihood.at(at);
        for i in 0..3 {
            let (mut low, mut high) = (at, at);
            low[i] -= 1e-5;
            high[i] += 1e-5;
            let slope = (likelihood.at(high).value - likelihood.at(low).value) / 2e-5;
            assert!((found.gradient[i] - slope).abs() < 1e-6, "{i}: {} {slope}", found.gradient[i]);
        }
    }

    #[test]
    fn the_correlation_of_true_effects_is_found() -> Result<()> {
        let mut fit = example(2000)?;
        for g in 0..2000 {
            let mut stream = Stream::new(8, g as u64);
            let shared = stream.normal();
            // Errors of the two are correlated by -0.7, true effects by 0.8.
            let noise = stream.normal() * fit.sigma[g];
            fit.coefficients[(g, 0)] = shared + 0.5 * noise;
            fit.coefficients[(g, 1)] =
                0.8 * shared + 0.6 * stream.normal() - 0.5 * noise + 0.5 * stream.normal() * fit.sigma[g];
        }
        let moderated = e_bayes(&Run::new(), &fit, &EBayesOptions::default())?;
        let found = genas(&fit, &moderated, [0, 1])?;
        assert!((found.technical_correlation + 0.5_f64.sqrt()).abs() < 1e-12);
        assert!((found.biological_correlation - 0.8).abs() < 0.05 && found.p_value < 1e-10, "{found:?}");
        assert!(genas(&fit, &moderated, [0, 2]).is_err());
        Ok(())
    }

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
