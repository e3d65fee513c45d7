//! A scaled F distribution by profile maximum likelihood, for variances on unequal degrees of freedom (edgeR v4).
//!
//! `ln scale` follows, for given `df2`, from the weighted mean (or a weighted trend) of `ln x`; the likelihood is then a
//! function of `df2` alone.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Fault, Result, Run};

use super::moments::Terms;
use super::outliers::{Tails, ln_tails};
use super::{FDist, Hyper, check_lengths, finite_covariate, median};
use crate::gamma::{ln_gamma, ln_minus_digamma};
use crate::lowess::choose_lowess_span;
use crate::trend::sorted_quantile;
use crate::weighted_lowess::loess_fit_within;
use crate::wide::{self, Kernel};
use crate::{brent, multiple};

/// Degrees of freedom below this are none.
const NO_DF: f64 = 0.01;

/// Variances below this share of their median are raised to it.
const FLOOR: f64 = 1e-12;

/// The search is over `u` with `df2 / 2 = u / (1 - u)`.
const SEARCH: (f64, f64) = (0.5, 0.9998);

/// Tolerance of the search in `u`. Coarse, but the steps are those of the classical routine, and so is where it ends.
const TOLERANCE: f64 = 1.0 / 8192.0;

/// The number of values at which the span of the trend is largest.
const SMALL: f64 = 500.0;

/// Limits of the weights of the trend over their upper quartile.
const WEIGHTS: (f64, f64) = (1e-8, 1e2);

/// False discovery rates above this make no outlier.
const NO_OUTLIER: f64 = 0.3;

/// How [`fit_f_dist_unequal_df1`] fits.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LikelihoodOptions<'a> {
    /// What the scale may depend on, one number per value.
    pub covariate: Option<&'a [f64]>,
    /// Share of the values that a place of the trend looks at; by default chosen by their number.
    pub span: Option<f64>,
    /// Whether outliers are found, weighted down, and given less prior information.
    pub robust: bool,
    /// How much each value counts, finite and not negative; by default all the same.
    pub weights: Option<&'a [f64]>,
}

/// Estimates the distribution of `x / scale` as F on `(df1, df2)` by profile maximum likelihood, with `df2` between 2
/// and 9998.
///
/// Values that are not finite or whose `df1` is below 0.01 have no part in the likelihood. As in limma they have the
/// smallest weight in a trend, and where outliers are looked for they are counted among the tests.
///
/// # Errors
/// Where lengths differ, no value with information is positive, or the span is no share.
pub fn fit_f_dist_unequal_df1(run: &Run, x: &[f64], df1: &[f64], options: &LikelihoodOptions<'_>) -> Result<FDist> {
    check_lengths(x, df1, options.covariate)?;
    run.check()?;
    if options.span.is_some_and(|span| !(span > 0.0 && span <= 1.0)) {
        return Err(Fault::bad_input(format!("expected a share between 0 and 1, found {:?}", options.span)).at("span"));
    }
    check_weights(options.weights, x.len())?;
    let covariate = options.covariate.map(finite_covariate);
    let informed: Vec<bool> = (0..x.len())
        .map(|i| x[i].is_finite() && df1[i] >= NO_DF && covariate.as_ref().is_none_or(|c| !c[i].is_nan()))
        .collect();
    let used: Vec<usize> = (0..x.len()).filter(|&i| informed[i]).collect();
    let m = median(used.iter().map(|&i| x[i]).filter(|&x| x > 0.0).collect());
    if used.len() < 2 {
        let scale = used.first().map_or(f64::NAN, |&i| x[i]);
        return Ok(FDist::plain(Hyper::Common(scale), if used.is_empty() { f64::NAN } else { 0.0 }));
    }
    if m.is_nan() {
        return Err(Fault::bad_input("all variances are zero").hint("leave constant genes out"));
    }
    let plenty = used.len() > 2;
    let mut values = Values::new(x, df1, &informed, m);
    values.covariate = covariate.filter(|_| plenty);
    values.span = options.span;
    let weights: Vec<f64> = informed.iter().map(|&i| f64::from(u8::from(i))).collect();
    let first = match options.weights.filter(|_| plenty) {
        Some(given) => values.fit(&weights.iter().zip(given).map(|(w, given)| w * given).collect::<Vec<f64>>())?,
        None => values.fit(&weights)?,
    };
    if !(options.robust && plenty) {
        return Ok(first);
    }
    // Values without information are counted among the tests, on one degree of freedom; they have no weight.
    let (statistic, df): (Vec<f64>, Vec<f64>) = (0..x.len())
        .map(|i| {
            let statistic = x[i].max(0.0) / first.scale.at(i);
            (if statistic.is_finite() { statistic } else { 0.0 }, if informed[i] { df1[i] } else { 1.0 })
        })
        .unzip();
    let tails = ln_tails(&statistic, &df, first.df2);
    let p: Vec<f64> = tails.iter().map(|(lower, upper)| 2.0 * lower.min(*upper).exp()).collect();
    let mut rates = multiple::benjamini_hochberg(&p);
    rates.iter_mut().for_each(|rate| *rate = if *rate > NO_OUTLIER { 1.0 } else { *rate });
    if used.iter().all(|&i| rates[i] >= 1.0) {
        return Ok(first.without_outliers(x.len()));
    }
    let weights: Vec<f64> = weights.iter().zip(&rates).map(|(w, rate)| w * rate).collect();
    let second = values.fit(&weights)?;
    // A tail that underflows as a probability counts as none.
    let ln_p: Vec<f64> =
        tails.iter().map(|&(_, upper)| if upper.exp() > 0.0 { upper } else { f64::NEG_INFINITY }).collect();
    Ok(match (Tails { statistic: &statistic, df1: &df, ln_p: &ln_p }).shrink(second.df2) {
        None => second.without_outliers(x.len()),
        Some((shrunk, outlier)) => FDist { df2_shrunk: Some(shrunk), df2_outlier: Some(outlier), ..second },
    })
}

/// Fails unless weights are as many as values, finite, not negative, and not all zero.
fn check_weights(weights: Option<&[f64]>, n: usize) -> Result<()> {
    let Some(weights) = weights else { return Ok(()) };
    if weights.len() != n {
        return Err(Fault::bad_input(format!("{} weights for {n} variances", weights.len())).at("prior_weights"));
    }
    if let Some(i) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        let message = format!("weight {} is {}, expected a number that is not negative", i + 1, weights[i]);
        return Err(Fault::bad_input(message).at("prior_weights"));
    }
    if weights.iter().all(|w| *w == 0.0) {
        return Err(Fault::bad_input("all weights are zero").at("prior_weights"));
    }
    Ok(())
}

/// Variances and what of them does not depend on the prior.
struct Values {
    /// Variances, none of them zero.
    x: Vec<f64>,
    /// Half the degrees of freedom; 1/2 without information.
    half: Vec<f64>,
    /// `ln x + L(df1/2)`.
    e: Vec<f64>,
    /// `1 / trigamma(df1/2)`.
    precision: Vec<f64>,
    covariate: Option<Vec<f64>>,
    span: Option<f64>,
    /// The distinct `half`, and which of them each value has.
    distinct: Vec<f64>,
    which: Vec<u32>,
}

impl Values {
    fn new(x: &[f64], df1: &[f64], informed: &[bool], m: f64) -> Self {
        let mut terms = Terms::default();
        let n = x.len();
        // Without information a value still takes part in the trend, with the smallest weight.
        let x: Vec<f64> = x.iter().map(|x| if x.is_finite() { x.max(FLOOR * m) } else { FLOOR * m }).collect();
        let half: Vec<f64> = (0..n).map(|i| if informed[i] { 0.5 * df1[i] } else { 0.5 }).collect();
        let (mut e, mut precision) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for (x, half) in x.iter().zip(&half) {
            let (shift, variance) = terms.at(2.0 * half);
            e.push(x.ln() + shift);
            precision.push(1.0 / variance);
        }
        let mut distinct = half.clone();
        distinct.sort_unstable_by(f64::total_cmp);
        distinct.dedup();
        let which = half.iter().map(|h| distinct.partition_point(|d| d < h) as u32).collect();
        Self { x, half, e, precision, covariate: None, span: None, distinct, which }
    }

    /// The fit for given weights of the values.
    fn fit(&self, weights: &[f64]) -> Result<FDist> {
        let level = self.level(weights)?;
        // The values, their weights and levels without those that have no weight.
        let seen: Vec<usize> = (0..self.x.len()).filter(|&i| weights[i] > 0.0).collect();
        let total: f64 = seen.iter().map(|&i| weights[i]).sum();
        let mut data = Data::default();
        let mut shares = vec![0.0; self.distinct.len()];
        for &i in &seen {
            data.weight.push(weights[i]);
            data.half.push(self.half[i]);
            data.level.push(level.at(i));
            data.ratio.push(self.x[i] / level.at(i).exp());
            shares[self.which[i] as usize] += weights[i];
        }
        let minus_twice = |u: f64| {
            let d2 = u / (1.0 - u);
            let gammas: f64 = self.distinct.iter().zip(&shares).map(|(d1, share)| share * ln_gamma(d1 + d2)).sum();
            -2.0 * (wide::widest(Likelihood { data: &data, d2 }) + gammas - total * ln_gamma(d2))
        };
        let u = brent::minimum(minus_twice, SEARCH.0, SEARCH.1, TOLERANCE);
        let d2 = u / (1.0 - u);
        let shift = ln_minus_digamma(d2);
        let scale = match level {
            Hyper::Common(level) => Hyper::Common((level - shift).exp()),
            Hyper::Each(level) => Hyper::Each(level.iter().map(|l| (l - shift).exp()).collect()),
        };
        Ok(FDist::plain(scale, 2.0 * d2))
    }

    /// The mean of `e`, weighted, or its trend.
    fn level(&self, weights: &[f64]) -> Result<Hyper> {
        let w: Vec<f64> = self.precision.iter().zip(weights).map(|(p, w)| p * w).collect();
        let Some(covariate) = &self.covariate else {
            let total: f64 = w.iter().sum();
            return Ok(Hyper::Common(self.e.iter().zip(&w).map(|(e, w)| e * w).sum::<f64>() / total));
        };
        let mut sorted = w.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let quartile = sorted_quantile(&sorted, 0.75);
        let w: Vec<f64> = w.iter().map(|w| w / quartile).collect();
        let span = self.span.unwrap_or_else(|| choose_lowess_span(w.len(), SMALL, 0.3, 1.0 / 3.0));
        Ok(Hyper::Each(loess_fit_within(&self.e, covariate, Some(&w), span, 1, WEIGHTS)?.fitted))
    }
}

/// What the likelihood runs over, value by value.
#[derive(Default)]
struct Data {
    weight: Vec<f64>,
    half: Vec<f64>,
    level: Vec<f64>,
    /// `x / exp(level)`.
    ratio: Vec<f64>,
}

/// The logarithm of the likelihood without its gamma functions:
/// `sum w (-(d1 + d2) ln(1 + d1 x / D) - d1 ln D)`, `D = d2 exp(level - L(d2))`.
struct Likelihood<'a> {
    data: &'a Data,
    d2: f64,
}

impl Kernel for Likelihood<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Data { weight, half, level, ratio } = self.data;
        let shift = self.d2.ln() - ln_minus_digamma(self.d2);
        let over = (-shift).exp();
        let n = weight.len();
        let mut lanes = [0.0; 8];
        for start in (0..n).step_by(8) {
            for lane in 0..8.min(n - start) {
                let i = start + lane;
                let d1 = half[i];
                let log = wide::ln_1p(d1 * ratio[i] * over);
                lanes[lane] -= weight[i] * ((d1 + self.d2) * log + d1 * (level[i] + shift));
            }
        }
        lanes.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::variances;
    use super::*;
    use crate::f;

    #[test]
    fn the_likelihood_is_that_of_scaled_f() -> Result<()> {
        // With d1, d2 half the degrees of freedom, ln f(x) up to terms without d2 and the scale.
        let x = variances(40, 3.0, 5.0, 2.0)?;
        let df1: Vec<f64> = (0..40).map(|i| f64::from(1 + i % 4)).collect();
        let values = Values::new(&x, &df1, &[true; 40], 1e-300);
        let (d2, scale) = (2.3, 1.7_f64);
        let level = scale.ln() + ln_minus_digamma(d2);
        let data = Data {
            weight: vec![1.0; 40],
            half: values.half.clone(),
            level: vec![level; 40],
            ratio: x.iter().map(|x| x / level.exp()).collect(),
        };
        let gammas: f64 = values.half.iter().map(|d1| ln_gamma(d1 + d2) - ln_gamma(d2)).sum();
        let found = wide::widest(Likelihood { data: &data, d2 }) + gammas;
        let expected: f64 = x
            .iter()
            .zip(&df1)
            .map(|(x, df)| {
                let constant = 0.5 * df * (0.5 * df).ln() + (0.5 * df - 1.0) * x.ln() - ln_gamma(0.5 * df);
                f::ln_density(x / scale, *df, 2.0 * d2) - scale.ln() - constant
            })
            .sum();
        assert!((found - expected).abs() < 1e-9 * expected.abs(), "{found} {expected}");
        Ok(())
    }

    #[test]
    fn values_without_information_do_not_matter() -> Result<()> {
        let run = Run::new();
        let mut x = variances(200, 4.0, 6.0, 1.0)?;
        let mut df1: Vec<f64> = (0..200).map(|i| f64::from(2 + i % 3)).collect();
        let options = LikelihoodOptions::default();
        let alone = fit_f_dist_unequal_df1(&run, &x, &df1, &options)?;
        x.extend([f64::NAN, 3.0, 0.0]);
        df1.extend([4.0, 0.0, 0.001]);
        let together = fit_f_dist_unequal_df1(&run, &x, &df1, &options)?;
        assert_eq!((alone.scale, alone.df2), (together.scale, together.df2));
        let robust = fit_f_dist_unequal_df1(&run, &x, &df1, &LikelihoodOptions { robust: true, ..options })?;
        assert!(robust.df2_shrunk.is_some_and(|shrunk| shrunk.len() == 203 && shrunk[200] == robust.df2));
        assert!(fit_f_dist_unequal_df1(&run, &[0.0; 4], &[2.0; 4], &options).is_err());
        // Weights count like repeated values.
        let twice: Vec<f64> = (0..200).map(|i| f64::from(1 + i % 2)).collect();
        let weighted = LikelihoodOptions { weights: Some(&twice), ..options };
        let weighted = fit_f_dist_unequal_df1(&run, &x[..200], &df1[..200], &weighted)?;
        let repeated = |v: &[f64]| -> Vec<f64> { (0..200).flat_map(|i| vec![v[i]; 1 + i % 2]).collect() };
        let repeated = fit_f_dist_unequal_df1(&run, &repeated(&x), &repeated(&df1), &options)?;
        assert!((weighted.df2 / repeated.df2 - 1.0).abs() < 1e-6, "{} {}", weighted.df2, repeated.df2);
        let negative = LikelihoodOptions { weights: Some(&[-1.0; 203]), ..options };
        assert!(fit_f_dist_unequal_df1(&run, &x, &df1, &negative).is_err());
        let span = LikelihoodOptions { span: Some(1.5), ..options };
        assert!(fit_f_dist_unequal_df1(&run, &x, &df1, &span).is_err());
        Ok(())
    }
}
