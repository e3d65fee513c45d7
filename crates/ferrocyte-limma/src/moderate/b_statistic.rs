//! Log-odds that a coefficient is not zero, the B-statistic (Smyth 2004, sections 3 and 6).
//!
//! A coefficient that is not zero is normal with variance `v0 sigma^2`. `v0` is estimated from the largest t: how much
//! larger they are than the quantiles that they would have if their coefficients were zero.

#![allow(clippy::inline_always)]

use std::f64::consts::LN_2;

use ferrocyte_base::Run;
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::squeeze_var::Squeezed;
use ferrocyte_math::student_t::StudentT;
use ferrocyte_math::wide::{self, Kernel};

use super::{EBayesOptions, Odds};
use crate::Fit;

/// Prior degrees of freedom above this count as infinite.
const INFINITE: f64 = 1e6;

/// Smallest and largest prior variance.
pub type MixtureLimits = Option<(f64, f64)>;

/// Prior variances and log-odds of all coefficients.
pub(super) fn odds(
    run: &Run,
    fit: &Fit,
    t: &Matrix,
    df_total: &[f64],
    squeezed: &Squeezed,
    options: &EBayesOptions<'_>,
) -> Odds {
    let s2 = squeezed.var_prior.median();
    let [low, high] = options.stdev_coef_lim;
    let limits = Some((low * low / s2, high * high / s2));
    let (n, k) = (fit.n_genes(), fit.n_coefficients());
    let mut lods = Matrix::zeros(n, k);
    let mut var_prior = Vec::with_capacity(k);
    let column = |m: &Matrix, j: usize| -> Vec<f64> { (0..n).map(|g| m[(g, j)]).collect() };
    let infinite: Vec<bool> = (0..n).map(|g| squeezed.df_prior.at(g) > INFINITE).collect();
    let mut values = vec![0.0; n];
    for j in 0..k {
        let (t, u) = (column(t, j), column(&fit.stdev_unscaled, j));
        let mut v0 = tmixture(&t, &u, df_total, options.proportion, limits);
        if v0.is_nan() {
            v0 = 1.0 / s2;
            run.warn("the prior variance of the coefficients could not be estimated: 1 / s2_prior is taken");
        }
        var_prior.push(v0);
        let prior = (options.proportion / (1.0 - options.proportion)).ln();
        wide::widest(LogOdds { t: &t, u: &u, df: df_total, infinite: &infinite, v0, prior, out: &mut values });
        for (g, value) in values.iter().enumerate() {
            lods[(g, j)] = *value;
        }
    }
    Odds { lods, var_prior, proportion: options.proportion }
}

/// The prior variance of coefficients that are not zero, over the residual variance, from moderated t.
///
/// `stdev_unscaled` and `df` have one entry per `t`; NaN is left out. `proportion` of the coefficients are assumed not
/// to be zero; the largest t, half as many, are used. NaN without any t.
pub fn tmixture(t: &[f64], stdev_unscaled: &[f64], df: &[f64], proportion: f64, limits: MixtureLimits) -> f64 {
    let there: Vec<usize> =
        (0..t.len()).filter(|&g| !(t[g].is_nan() || stdev_unscaled[g].is_nan() || df[g].is_nan())).collect();
    let m = there.len() as f64;
    let n_used = (0.5 * proportion * m).ceil() as usize;
    if n_used == 0 || there.is_empty() {
        return f64::NAN;
    }
    let share = (n_used as f64 / m).max(proportion);
    let most = there.iter().map(|&g| df[g]).fold(0.0, f64::max);
    let law = StudentT::new(most);
    let common = there.iter().all(|&g| df[g] == most);
    // The largest first: by t where the degrees of freedom are equal, else by the logarithms of the tails.
    let key = |g: usize| {
        if common {
            -t[g].abs()
        } else if df[g] == most {
            law.ln_two_sided(t[g])
        } else {
            StudentT::new(df[g]).ln_two_sided(t[g])
        }
    };
    let mut ranked: Vec<(f64, usize)> = there.iter().map(|&g| (key(g), g)).collect();
    let before = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if n_used < ranked.len() {
        ranked.select_nth_unstable_by(n_used - 1, before);
    }
    ranked.truncate(n_used);
    ranked.sort_by(before);
    let mut sum = 0.0;
    for (k, &(key, g)) in ranked.iter().enumerate() {
        let (size, ln_p) = if common {
            (t[g].abs(), law.ln_two_sided(t[g]))
        } else {
            (if df[g] == most { t[g].abs() } else { law.quantile_ln_upper(key - LN_2) }, key)
        };
        let p = ln_p.exp();
        let target = ((k as f64 + 0.5) / m - (1.0 - share) * p) / share;
        let mut v0 = 0.0;
        if target > p {
            let ratio = size / law.quantile_ln_upper(target.ln() - LN_2);
            v0 = stdev_unscaled[g] * stdev_unscaled[g] * (ratio * ratio - 1.0);
        }
        sum += limits.map_or(v0, |(low, high)| v0.max(low).min(high));
    }
    sum / n_used as f64
}

/// `ln(p/(1-p)) - ln(rr)/2 + K`, `rr = 1 + v0 / v1`: the last term is the gain in log-likelihood.
struct LogOdds<'a> {
    t: &'a [f64],
    u: &'a [f64],
    df: &'a [f64],
    infinite: &'a [bool],
    v0: f64,
    prior: f64,
    out: &'a mut [f64],
}

impl Kernel for LogOdds<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for g in 0..self.out.len() {
            let v1 = self.u[g] * self.u[g];
            let ratio = (v1 + self.v0) / v1;
            let (t2, df) = (self.t[g] * self.t[g], self.df[g]);
            let finite = 0.5 * (1.0 + df) * wide::ln((t2 + df) / (t2 / ratio + df));
            let normal = 0.5 * t2 * (1.0 - 1.0 / ratio);
            let gain = if self.infinite[g] { normal } else { finite };
            self.out[g] = self.prior - 0.5 * wide::ln(ratio) + gain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::student_t;

    #[test]
    fn equal_and_unequal_df_agree_where_they_meet() {
        let t: Vec<f64> = (0..400).map(|i| student_t::quantile((f64::from(i) + 0.5) / 400.0, 8.0) * 1.7).collect();
        let u = vec![0.6; 400];
        let common = tmixture(&t, &u, &[8.0; 400], 0.1, None);
        // The same tails on other degrees of freedom.
        let mut df = vec![8.0; 400];
        let mut moved = t.clone();
        for g in (0..400).step_by(3) {
            df[g] = 5.0;
            moved[g] = student_t::quantile_ln_upper(student_t::ln_upper(t[g].abs(), 8.0), 5.0).copysign(t[g]);
        }
        let mixed = tmixture(&moved, &u, &df, 0.1, None);
        assert!(common > 0.0 && (mixed / common - 1.0).abs() < 1e-10, "{common} {mixed}");
    }

    #[test]
    fn limits_and_missing_values() {
        assert_eq!(tmixture(&[1e9; 50], &[1.0; 50], &[4.0; 50], 0.01, Some((0.1, 7.0))), 7.0);
        assert_eq!(tmixture(&[1e-9; 50], &[1.0; 50], &[4.0; 50], 0.01, Some((0.1, 7.0))), 0.1);
        assert!(tmixture(&[f64::NAN; 5], &[1.0; 5], &[4.0; 5], 0.01, None).is_nan());
        let with = tmixture(&[9.0, f64::NAN, 0.1], &[1.0; 3], &[4.0; 3], 0.5, None);
        assert_eq!(with, tmixture(&[9.0, 0.1], &[1.0; 2], &[4.0; 2], 0.5, None));
    }
}
