//! A scaled F distribution by the moments of its logarithm (Smyth 2004).
//!
//! `E ln x = ln scale + L(df2/2) - L(df1/2)` with `L(a) = ln a - digamma(a)`, and
//! `var ln x = trigamma(df1/2) + trigamma(df2/2)`.

use ferrocyte_base::{Result, Run};

use super::{FDist, Hyper, check_lengths, finite_covariate, median, trigamma_inverse};
use crate::gamma::{ln_minus_digamma, trigamma};
use crate::spline::{NaturalSpline, Smooth};

/// Variances below this share of their median are raised to it, so that their logarithms do not reign.
const FLOOR: f64 = 1e-5;

/// Estimates the distribution of `x / scale` as F on `(df1, df2)`, from moments of `ln x`.
///
/// `df1` has one entry per value; values that are not finite, or whose `df1` is not, or not positive, are left out. With
/// a covariate `ln scale` is a natural cubic spline in it, of dimension 4 (30 values and more), 3 (6), 2 (3).
///
/// Warns of variances that are exactly zero: they take part as 1e-5 of the median.
///
/// # Errors
/// Where lengths differ.
pub fn fit_f_dist(run: &Run, x: &[f64], df1: &[f64], covariate: Option<&[f64]>) -> Result<FDist> {
    check_lengths(x, df1, covariate)?;
    let covariate = covariate.map(finite_covariate);
    let usable = |i: usize| {
        x[i].is_finite()
            && x[i] > -1e-15
            && df1[i].is_finite()
            && df1[i] > 1e-15
            && covariate.as_ref().is_none_or(|c| !c[i].is_nan())
    };
    let used: Vec<usize> = (0..x.len()).filter(|&i| usable(i)).collect();
    if used.len() < 2 {
        let scale = used.first().map_or(f64::NAN, |&i| x[i]);
        return Ok(FDist::plain(Hyper::Common(scale), if used.is_empty() { f64::NAN } else { 0.0 }));
    }
    let values = raised(run, used.iter().map(|&i| x[i].max(0.0)).collect());
    let mut terms = Terms::default();
    let e: Vec<f64> = used.iter().zip(&values).map(|(&i, x)| x.ln() + terms.at(df1[i]).0).collect();
    let expected = used.iter().map(|&i| terms.at(df1[i]).1).sum::<f64>() / used.len() as f64;
    let curve = covariate.as_ref().map(|c| curve(&used, c, &e)).transpose()?.flatten();
    let (excess, level) = match &curve {
        Some(curve) => (curve.rss / (e.len() - curve.rank) as f64, 0.0),
        None => {
            let mean = e.iter().sum::<f64>() / e.len() as f64;
            (e.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / (e.len() - 1) as f64, mean)
        }
    };
    let excess = excess - expected;
    let (df2, shift) = if excess > 0.0 {
        let half = trigamma_inverse(excess);
        (2.0 * half, ln_minus_digamma(half))
    } else {
        (f64::INFINITY, 0.0)
    };
    let scale = match (&curve, &covariate) {
        (Some(curve), Some(covariate)) => Hyper::Each(covariate.iter().map(|&c| (curve.at(c) - shift).exp()).collect()),
        (_, covariate) => {
            let common = if df2.is_infinite() {
                values.iter().sum::<f64>() / values.len() as f64
            } else {
                (level - shift).exp()
            };
            // A covariate that is too poor for a trend still has one scale per value.
            covariate.as_ref().map_or(Hyper::Common(common), |c| {
                Hyper::Each(c.iter().map(|c| if c.is_nan() { f64::NAN } else { common }).collect())
            })
        }
    };
    Ok(FDist::plain(scale, df2))
}

/// The variances with those near zero raised.
fn raised(run: &Run, mut values: Vec<f64>) -> Vec<f64> {
    let mut m = median(values.clone());
    if m == 0.0 {
        run.warn("more than half of the residual variances are exactly zero: moderation is not to be relied on");
        m = 1.0;
    } else if values.contains(&0.0) {
        run.warn("some residual variances are exactly zero: they are offset from zero where the prior is estimated");
    }
    values.iter_mut().for_each(|x| *x = x.max(FLOOR * m));
    values
}

/// The spline through `e`, unless the covariate has too few distinct values.
fn curve(used: &[usize], covariate: &[f64], e: &[f64]) -> Result<Option<Smooth>> {
    let at: Vec<f64> = used.iter().map(|&i| covariate[i]).collect();
    let wanted = 1 + [3, 6, 30].iter().filter(|&&least| at.len() >= least).count();
    let df = wanted.min(distinct(&at, wanted));
    if df < 2 {
        return Ok(None);
    }
    Ok(Some(Smooth::fit(NaturalSpline::over(&at, df)?, &at, e)))
}

/// The number of distinct values, counted up to `enough`.
fn distinct(values: &[f64], enough: usize) -> usize {
    let mut seen: Vec<f64> = Vec::with_capacity(enough);
    for value in values {
        if !seen.contains(value) {
            seen.push(*value);
            if seen.len() == enough {
                break;
            }
        }
    }
    seen.len()
}

/// `L(df1/2)` and `trigamma(df1/2)`, computed anew only where `df1` changes.
#[derive(Default)]
pub(super) struct Terms {
    last: Option<(f64, (f64, f64))>,
}

impl Terms {
    pub(super) fn at(&mut self, df1: f64) -> (f64, f64) {
        match self.last {
            Some((df, terms)) if df == df1 => terms,
            _ => {
                let terms = (ln_minus_digamma(0.5 * df1), trigamma(0.5 * df1));
                self.last = Some((df1, terms));
                terms
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::variances;
    use super::*;

    #[test]
    fn moments_agree() -> Result<()> {
        let run = Run::new();
        let x = variances(300, 5.0, 6.0, 2.0)?;
        let fit = fit_f_dist(&run, &x, &[5.0; 300], None)?;
        let logs: Vec<f64> = x.iter().map(|x| x.ln()).collect();
        let mean = logs.iter().sum::<f64>() / 300.0;
        let var = logs.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 299.0;
        let half = 0.5 * fit.df2;
        assert!((trigamma(half) + trigamma(2.5) - var).abs() < 1e-9);
        assert!((fit.scale.at(0).ln() + ln_minus_digamma(half) - ln_minus_digamma(2.5) - mean).abs() < 1e-9);
        Ok(())
    }

    #[test]
    fn a_trend_is_found_and_scales_are_equivariant() -> Result<()> {
        let run = Run::new();
        let mut x = variances(500, 5.0, 6.0, 2.0)?;
        let covariate: Vec<f64> = (0..500).map(|i| f64::from(i) * 0.01).collect();
        x.iter_mut().zip(&covariate).for_each(|(x, c)| *x *= (-c).exp());
        let fit = fit_f_dist(&run, &x, &[5.0; 500], Some(&covariate))?;
        assert!((fit.scale.at(400) / fit.scale.at(100) / (-3.0_f64).exp() - 1.0).abs() < 0.4);
        let moved: Vec<f64> = covariate.iter().map(|c| 7.0 - 3.0 * c).collect();
        let other = fit_f_dist(&run, &x.iter().map(|x| 10.0 * x).collect::<Vec<_>>(), &[5.0; 500], Some(&moved))?;
        assert!((other.df2 / fit.df2 - 1.0).abs() < 1e-9);
        assert!((0..500).all(|i| (other.scale.at(i) / fit.scale.at(i) / 10.0 - 1.0).abs() < 1e-9));
        Ok(())
    }

    #[test]
    fn poor_data() -> Result<()> {
        let run = Run::new();
        let constant = fit_f_dist(&run, &[2.0; 10], &[4.0; 10], None)?;
        assert_eq!((constant.df2, constant.scale), (f64::INFINITY, Hyper::Common(2.0)));
        let flat = fit_f_dist(&run, &[1.0, 5.0, 2.0], &[4.0; 3], Some(&[1.0; 3]))?;
        assert_eq!(flat.scale.at(0), fit_f_dist(&run, &[1.0, 5.0, 2.0], &[4.0; 3], None)?.scale.at(0));
        assert!(fit_f_dist(&run, &[f64::NAN], &[4.0], None)?.df2.is_nan());
        assert_eq!(fit_f_dist(&run, &[f64::NAN, 3.0], &[4.0; 2], None)?, FDist::plain(Hyper::Common(3.0), 0.0));
        Ok(())
    }
}
