//! A scaled F distribution from winsorised moments of its logarithm, robust against variances that are far too large
//! or far too small (Phipson et al. 2016).

use ferrocyte_base::{Fault, Result, Run};

use super::outliers::{Tails, ln_tails};
use super::{FDist, Hyper, check_lengths, finite_covariate, median, moments::fit_f_dist};
use crate::interpolate::Interpolator;
use crate::lowess::{LowessOptions, lowess};
use crate::quadrature::gauss_legendre;
use crate::trend::sorted_quantile;
use crate::{brent, f};

/// Shares of the smallest and of the largest values that are winsorised, as limma has them.
pub const WINSOR_TAILS: [f64; 2] = [0.05, 0.1];

/// Variances below this share of their median are raised to it.
const FLOOR: f64 = 1e-12;

/// Degrees of freedom up to here are none.
const NO_DF: f64 = 1e-6;

/// Share of the values that a place of the trend looks at.
const SPAN: f64 = 0.4;

/// Nodes of the quadrature of winsorised moments.
const NODES: usize = 128;

/// Estimates the distribution of `x / scale` as F on `(df1, df2)` robustly: as [`fit_f_dist`](super::fit_f_dist), with
/// the logarithms winsorised, shares `tails` of the smallest and of the largest.
///
/// `df2_shrunk` of the result holds for each value the prior degrees of freedom that it deserves: fewer for outliers.
/// Values of unequal `df1` are first mapped to the largest of these by their tails. With a covariate `ln scale` is a
/// lowess curve in it.
///
/// # Errors
/// Where lengths differ, the tails are no probabilities below 1/2, or half of the variances are zero.
pub fn fit_f_dist_robustly(
    run: &Run,
    x: &[f64],
    df1: &[f64],
    covariate: Option<&[f64]>,
    tails: [f64; 2],
) -> Result<FDist> {
    check_lengths(x, df1, covariate)?;
    if tails.iter().any(|p| !(0.0..0.5).contains(p)) {
        return Err(
            Fault::bad_input(format!("expected two probabilities below 0.5, found {tails:?}")).at("winsor_tail_p")
        );
    }
    let covariate = covariate.map(finite_covariate);
    let usable = |i: usize| x[i].is_finite() && df1[i] > NO_DF && covariate.as_ref().is_none_or(|c| !c[i].is_nan());
    let used: Vec<usize> = (0..x.len()).filter(|&i| usable(i)).collect();
    let chosen = |values: &[f64]| -> Vec<f64> { used.iter().map(|&i| values[i]).collect() };
    let (mut values, mut df) = (chosen(x), chosen(df1));
    let at = covariate.as_ref().map(|c| chosen(c));
    if used.len() > 2 {
        let m = median(values.clone());
        if !(m > 0.0) {
            return Err(Fault::bad_input(format!("the median of the variances is {m}: most of them are zero"))
                .hint("leave constant genes out, or do without robust="));
        }
        values.iter_mut().for_each(|v| *v = v.max(FLOOR * m));
    }
    let plain = fit_f_dist(run, &values, &df, at.as_deref())?;
    let few = tails.iter().all(|p| *p < 1.0 / values.len() as f64);
    let fit = if used.len() <= 2 || few {
        plain.without_outliers(used.len())
    } else {
        equalise(&mut values, &mut df, &plain);
        robust(&values, &df, at.as_deref(), tails, plain)?
    };
    Ok(spread(fit, &used, x.len(), covariate.as_deref()))
}

/// Maps values to the largest of the `df1` by their tails in the F distribution of `fit`.
fn equalise(values: &mut [f64], df1: &mut [f64], fit: &FDist) {
    let most = df1.iter().copied().fold(0.0, f64::max);
    for (i, (x, df)) in values.iter_mut().zip(df1.iter_mut()).enumerate() {
        if *df < most {
            let scale = fit.scale.at(i);
            let (ln_lower, ln_upper) = f::ln_tails(*x / scale, *df, fit.df2);
            // By the smaller tail, which keeps its digits.
            let statistic = if ln_upper < ln_lower {
                f::quantile_ln_upper(ln_upper, most, fit.df2)
            } else {
                1.0 / f::quantile_ln_upper(ln_lower, fit.df2, most)
            };
            *x = statistic * scale;
            *df = most;
        }
    }
}

/// The robust fit of values on equal `df1`.
fn robust(x: &[f64], df1: &[f64], covariate: Option<&[f64]>, tails: [f64; 2], plain: FDist) -> Result<FDist> {
    let n = x.len();
    let z: Vec<f64> = x.iter().map(|x| x.ln()).collect();
    let trend = match covariate {
        Some(c) => lowess(c, &z, &LowessOptions::new(SPAN))?.fitted(),
        None => vec![trimmed_mean(&z, tails[1]); n],
    };
    let (mean, variance) = winsorised(&z, &trend, tails);
    let law = Winsorised::new(df1[0], tails);
    let excess = |df2: f64| (variance / law.moments(df2).1).ln();
    let (df2, infinite) = if excess(f64::INFINITY) <= 0.0 {
        (f64::INFINITY, true)
    } else if plain.df2 == f64::INFINITY {
        return Ok(plain.without_outliers(n));
    } else {
        // On this scale infinity is 1.
        let low = plain.df2 / (1.0 + plain.df2);
        let root = brent::root(|u| excess(u / (1.0 - u)), low, 1.0, 0.0);
        (root.map_or(plain.df2, |u| u / (1.0 - u)), false)
    };
    let correction = mean - law.moments(df2).0;
    let scale: Vec<f64> = trend.iter().map(|t| (t + correction).exp()).collect();
    let statistic: Vec<f64> = z.iter().zip(&trend).map(|(z, t)| (z - (t + correction)).exp()).collect();
    let ln_p: Vec<f64> = ln_tails(&statistic, df1, df2).into_iter().map(|(_, upper)| upper).collect();
    let tails = Tails { statistic: &statistic, df1, ln_p: &ln_p };
    let found = if infinite {
        tails.shrink_from_infinity().map(|s| (s, None))
    } else {
        tails.shrink(df2).map(|(s, outlier)| (s, Some(outlier)))
    };
    let scale = if covariate.is_some() { Hyper::Each(scale) } else { Hyper::Common(scale[0]) };
    let fit = FDist::plain(scale, df2);
    Ok(match found {
        None => fit.without_outliers(n),
        Some((shrunk, outlier)) => {
            let outlier = outlier.or_else(|| shrunk.iter().copied().reduce(f64::min));
            FDist { df2_shrunk: Some(shrunk), df2_outlier: outlier, ..fit }
        }
    })
}

/// The mean without the shares `trim` at both ends.
fn trimmed_mean(z: &[f64], trim: f64) -> f64 {
    let mut sorted = z.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let cut = (z.len() as f64 * trim).floor() as usize;
    let kept = &sorted[cut..z.len() - cut];
    kept.iter().sum::<f64>() / kept.len() as f64
}

/// Mean and variance of `z - trend` with its tails moved to its quantiles.
fn winsorised(z: &[f64], trend: &[f64], tails: [f64; 2]) -> (f64, f64) {
    let residuals: Vec<f64> = z.iter().zip(trend).map(|(z, t)| z - t).collect();
    let mut sorted = residuals.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sorted_quantile(&sorted, tails[0]), sorted_quantile(&sorted, 1.0 - tails[1]));
    let n = residuals.len() as f64;
    let mean = residuals.iter().map(|r| r.clamp(low, high)).sum::<f64>() / n;
    let variance = residuals.iter().map(|r| (r.clamp(low, high) - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, variance)
}

/// The logarithm of an F variable, winsorised at its quantiles.
struct Winsorised {
    df1: f64,
    tails: [f64; 2],
    rule: Vec<(f64, f64)>,
}

impl Winsorised {
    fn new(df1: f64, tails: [f64; 2]) -> Self {
        Self { df1, tails, rule: gauss_legendre(NODES) }
    }

    /// Mean and variance with `df2` degrees of freedom: quadrature in `q = F / (1 + F)` between the quantiles, and the
    /// masses of the tails at these.
    fn moments(&self, df2: f64) -> (f64, f64) {
        let [p_low, p_high] = self.tails;
        let ends = [f::quantile(p_low, self.df1, df2), f::quantile_ln_upper(p_high.ln(), self.df1, df2)];
        let [q_low, q_high] = ends.map(|x| if x == f64::INFINITY { 1.0 } else { x / (1.0 + x) });
        let width = q_high - q_low;
        // Pairs of a probability and the logarithm there.
        let mut law: Vec<(f64, f64)> = self
            .rule
            .iter()
            .map(|&(node, weight)| {
                let q = q_low + width * node;
                let x = q / (1.0 - q);
                (width * weight * f::ln_density(x, self.df1, df2).exp() / ((1.0 - q) * (1.0 - q)), x.ln())
            })
            .collect();
        for (p, end) in self.tails.into_iter().zip(ends) {
            if p > 0.0 {
                law.push((p, end.ln()));
            }
        }
        let mean = law.iter().map(|(p, l)| p * l).sum::<f64>();
        (mean, law.iter().map(|(p, l)| p * (l - mean) * (l - mean)).sum())
    }
}

/// A fit of the values at `used` as a fit of all `n`: the others have the common `df2`, and a scale along the trend.
fn spread(fit: FDist, used: &[usize], n: usize, covariate: Option<&[f64]>) -> FDist {
    if used.len() == n {
        return fit;
    }
    let df2 = fit.df2;
    let df2_shrunk = fit.df2_shrunk.map(|shrunk| placed(&shrunk, used, n, |_| df2));
    let scale = match (fit.scale, covariate) {
        (Hyper::Each(scale), Some(covariate)) => {
            let at: Vec<f64> = used.iter().map(|&i| covariate[i]).collect();
            let logs: Vec<f64> = scale.iter().map(|s| s.ln()).collect();
            let curve = Interpolator::new(&at, &logs);
            Hyper::Each(placed(&scale, used, n, |i| curve.at(covariate[i]).exp()))
        }
        (scale, _) => scale,
    };
    FDist { scale, df2_shrunk, ..fit }
}

/// `values` at the places `used` of `n`, elsewhere what `other` says.
fn placed(values: &[f64], used: &[usize], n: usize, other: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut out: Vec<Option<f64>> = vec![None; n];
    for (&i, &value) in used.iter().zip(values) {
        out[i] = Some(value);
    }
    out.into_iter().enumerate().map(|(i, value)| value.unwrap_or_else(|| other(i))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::variances;
    use super::*;
    use crate::random::Stream;

    #[test]
    fn outliers_do_not_move_the_rest() -> Result<()> {
        let run = Run::new();
        let mut x = variances(1000, 5.0, 10.0, 1.0)?;
        let df1 = vec![5.0; 1000];
        let clean = fit_f_dist_robustly(&run, &x, &df1, None, WINSOR_TAILS)?;
        x.iter_mut().take(10).for_each(|x| *x *= 1e3);
        let soiled = fit_f_dist_robustly(&run, &x, &df1, None, WINSOR_TAILS)?;
        let moments = fit_f_dist(&run, &x, &df1, None)?;
        assert!(
            (soiled.df2 / clean.df2).ln().abs() < 0.15 && moments.df2 < 0.7 * clean.df2,
            "{} {}",
            clean.df2,
            soiled.df2
        );
        let shrunk = soiled.df2_shrunk.unwrap_or_default();
        assert!(shrunk[..10].iter().all(|&d| d < 1.0) && shrunk[500] > 0.9 * soiled.df2);
        Ok(())
    }

    #[test]
    fn winsorised_moments_are_those_of_a_sample() -> Result<()> {
        let mut logs = Vec::new();
        for i in 0..40_000 {
            let mut stream = Stream::new(5, i);
            let (a, b) = (stream.gamma(2.0, 0.5)?, stream.gamma(3.0, 1.0 / 3.0)?);
            logs.push((a / b).ln());
        }
        let (mean, variance) = Winsorised::new(4.0, WINSOR_TAILS).moments(6.0);
        let (sample_mean, sample_variance) = winsorised(&logs, &vec![0.0; logs.len()], WINSOR_TAILS);
        assert!((mean - sample_mean).abs() < 0.02 && (variance / sample_variance - 1.0).abs() < 0.02);
        Ok(())
    }

    #[test]
    fn values_of_equal_df_stay_and_others_keep_their_tails() {
        let fit = FDist::plain(Hyper::Common(2.0), 7.0);
        let (mut x, mut df1) = (vec![1.0, 30.0, 0.1], vec![5.0, 3.0, 3.0]);
        equalise(&mut x, &mut df1, &fit);
        assert_eq!((x[0], df1.as_slice()), (1.0, &[5.0; 3][..]));
        for (now, then) in [(x[1], 30.0), (x[2], 0.1)] {
            let (p, q) = (f::ln_upper(now / 2.0, 5.0, 7.0), f::ln_upper(then / 2.0, 3.0, 7.0));
            assert!((p - q).abs() < 1e-11, "{p} {q}");
        }
    }

    #[test]
    fn unusable_values_and_bad_tails() -> Result<()> {
        let run = Run::new();
        let mut x = variances(100, 5.0, 10.0, 1.0)?;
        x[4] = f64::NAN;
        let covariate: Vec<f64> = (0..100).map(f64::from).collect();
        let fit = fit_f_dist_robustly(&run, &x, &[5.0; 100], Some(&covariate), WINSOR_TAILS)?;
        assert!((fit.scale.at(4).ln() - 0.5 * (fit.scale.at(3) * fit.scale.at(5)).ln()).abs() < 1e-12);
        assert!(fit.df2_shrunk.is_some_and(|shrunk| shrunk[4] == fit.df2));
        assert!(fit_f_dist_robustly(&run, &x, &[5.0; 100], None, [0.1, 0.5]).is_err());
        assert!(fit_f_dist_robustly(&run, &[0.0; 9], &[5.0; 9], None, WINSOR_TAILS).is_err());
        Ok(())
    }
}
