//! Cases and controls on the scale of liability: the response of phenotype-correlation-genotype-correlation regression
//! (Golan, Lander & Rosset, PNAS 2014), with covariates by a logistic regression.

use ferrocyte_math::linalg::{Matrix, dot, scaled_inverse};
use ferrocyte_math::normal;

use super::ground::{Ground, transposed_product};

/// What stands for the trait of each person, and how much it tells.
#[derive(Debug, Clone)]
pub(super) struct Liability {
    /// The standardised residual over its slope on the liability.
    pub(super) response: Vec<f64>,
    /// That slope: pairs count by the square of the product of two slopes where they are weighted.
    pub(super) slope: Vec<f64>,
}

/// Of cases (1) and controls (0) with a share `prev` of cases in the population; `None` where the logistic regression does
/// not settle, as where covariates tell cases from controls.
///
/// With a the share of cases among these people, p_i the fitted probability of person i and r = prev (1 - a) / (a (1 - prev)):
/// K_i = r p_i / (1 - p_i + r p_i) is the risk in the population and t_i its threshold, and the slope is
/// phi(t_i) (1 - p_i (a - prev) / (a (1 - prev))) / (sqrt(p_i (1 - p_i)) (K_i + (1 - K_i) r)).
pub(super) fn liability(ground: &Ground, cases: &[f64], prev: f64) -> Option<Liability> {
    let probabilities = logistic(&ground.q, cases)?;
    let a = cases.iter().sum::<f64>() / cases.len() as f64;
    let ratio = prev * (1.0 - a) / (a * (1.0 - prev));
    let mut out = Liability { response: Vec::new(), slope: Vec::new() };
    for (&y, &p) in cases.iter().zip(&probabilities) {
        let sd = (p * (1.0 - p)).sqrt();
        let risk = ratio * p / (1.0 - p + ratio * p);
        let threshold = -normal::quantile(risk);
        let chosen = 1.0 - p * (a - prev) / (a * (1.0 - prev));
        let slope = normal::ln_density(threshold).exp() * chosen / (sd * (risk + (1.0 - risk) * ratio));
        out.response.push((y - p) / sd / slope);
        out.slope.push(slope);
    }
    out.response.iter().all(|x| x.is_finite()).then_some(out)
}

/// Fitted probabilities of a logistic regression on the columns of `x`, by Newton steps.
fn logistic(x: &Matrix, y: &[f64]) -> Option<Vec<f64>> {
    let p = x.n_cols();
    let mut b = vec![0.0; p];
    for _ in 0..100 {
        let fitted: Vec<f64> = (0..y.len()).map(|i| 1.0 / (1.0 + (-dot(x.row(i), &b)).exp())).collect();
        if fitted.iter().any(|f| f.min(1.0 - f) < 1e-10) {
            return None;
        }
        let mut weighted = x.clone();
        for (i, f) in fitted.iter().enumerate() {
            weighted.row_mut(i).iter_mut().for_each(|x| *x *= f * (1.0 - f));
        }
        let inverse = scaled_inverse(&x.transpose().times(&weighted), 1e-14).ok()?;
        let left: Vec<f64> = y.iter().zip(&fitted).map(|(y, f)| y - f).collect();
        let pull = transposed_product(x, &left);
        let step: Vec<f64> = (0..p).map(|j| dot(inverse.row(j), &pull)).collect();
        b.iter_mut().zip(&step).for_each(|(b, s)| *b += s);
        if dot(&step, &pull) < 1e-20 * y.len() as f64 {
            return Some((0..y.len()).map(|i| 1.0 / (1.0 + (-dot(x.row(i), &b)).exp())).collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_covariates_probabilities_are_the_share_of_cases() {
        let x = Matrix::from_rows(4, 1, vec![0.5; 4]);
        let fitted = logistic(&x, &[1.0, 0.0, 0.0, 0.0]).unwrap_or_default();
        assert!(fitted.iter().all(|p| (p - 0.25).abs() < 1e-9));
        assert!(logistic(&x, &[1.0; 4]).is_none());
    }
}
