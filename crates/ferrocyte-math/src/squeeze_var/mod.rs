//! Many variances squeezed towards a common or trended prior (Smyth 2004).
//!
//! A residual variance `x` with `df1` degrees of freedom is a multiple `scale` of an F variable on `(df1, df2)`: the
//! variances themselves vary as scaled inverse chi-squared with `df2` degrees of freedom. Three estimators of `scale`
//! and `df2`:
//!
//! * [`fit_f_dist`]: moments of the logarithms, for equal `df1` (Smyth 2004);
//! * [`fit_f_dist_robustly`]: the same from winsorised logarithms, with less prior information for variances that
//!   stick out (Phipson et al. 2016);
//! * [`fit_f_dist_unequal_df1`]: profile maximum likelihood, for any `df1`, robust on request.
//!
//! [`squeeze_var`] chooses between them and gives the posterior variances.
//!
//! Sources: G. K. Smyth, *Linear models and empirical Bayes methods for assessing differential expression in
//! microarray experiments*, 2004; B. Phipson, S. Lee, I. J. Majewski, W. S. Alexander, G. K. Smyth, *Robust
//! hyperparameter estimation protects against hypervariable genes*, 2016; Y. Chen, L. Chen, A. T. L. Lun, P. L. Baldoni,
//! G. K. Smyth, *edgeR v4*, 2025.

mod likelihood;
mod moments;
mod outliers;
mod robust;

use ferrocyte_base::{Fault, Result, Run};

pub use likelihood::{LikelihoodOptions, fit_f_dist_unequal_df1};
pub use moments::fit_f_dist;
pub use robust::{WINSOR_TAILS, fit_f_dist_robustly};

use crate::gamma;

/// Below this many variances with information nothing is learnt of their distribution.
const LEAST: usize = 3;

/// A number that is common to all, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub enum Hyper {
    /// The same for all.
    Common(f64),
    /// One for each.
    Each(Vec<f64>),
}

impl Hyper {
    /// The number of item `i`.
    #[inline]
    pub fn at(&self, i: usize) -> f64 {
        match self {
            Self::Common(value) => *value,
            Self::Each(values) => values[i],
        }
    }

    /// The numbers: one if it is common.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::Common(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }

    /// The median, NaN left out.
    pub fn median(&self) -> f64 {
        match self {
            Self::Common(value) => *value,
            Self::Each(values) => median(values.iter().copied().filter(|x| !x.is_nan()).collect()),
        }
    }
}

/// A scaled F distribution for variances.
#[derive(Debug, Clone, PartialEq)]
pub struct FDist {
    /// The scale, `s0^2`; one for each value with a covariate.
    pub scale: Hyper,
    /// Degrees of freedom of the prior; infinite when the variances do not vary.
    pub df2: f64,
    /// Robust fits: the degrees of freedom for each value, smaller for outliers.
    pub df2_shrunk: Option<Vec<f64>>,
    /// Robust fits: the degrees of freedom of the most extreme outlier.
    pub df2_outlier: Option<f64>,
}

impl FDist {
    /// A fit without outliers.
    fn plain(scale: Hyper, df2: f64) -> Self {
        Self { scale, df2, df2_shrunk: None, df2_outlier: None }
    }

    /// A robust fit of `n` values that found no outliers.
    fn without_outliers(self, n: usize) -> Self {
        Self { df2_shrunk: Some(vec![self.df2; n]), df2_outlier: Some(self.df2), ..self }
    }
}

/// How variances are squeezed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SqueezeOptions<'a> {
    /// What the prior variance may depend on, one number per variance.
    pub covariate: Option<&'a [f64]>,
    /// Tail probabilities that are winsorised, `Some` for a robust fit; [`WINSOR_TAILS`] are the usual ones.
    pub robust: Option<[f64; 2]>,
    /// Share of the variances that the trend looks at; asks for maximum likelihood.
    pub span: Option<f64>,
    /// `Some(true)`: moments in any case; `Some(false)`: maximum likelihood in any case; `None`: moments where all
    /// degrees of freedom are equal.
    pub legacy: Option<bool>,
}

/// Variances squeezed.
#[derive(Debug, Clone, PartialEq)]
pub struct Squeezed {
    /// `(df var + df_prior var_prior) / (df + df_prior)`.
    pub var_post: Vec<f64>,
    /// Prior variances.
    pub var_prior: Hyper,
    /// Prior degrees of freedom.
    pub df_prior: Hyper,
}

/// Squeezes variances `var` on `df` degrees of freedom (one each) towards their prior.
///
/// Values without information (`df` 0, or no finite variance) have the prior for posterior. With fewer than three that
/// have information nothing is squeezed: `df_prior` is 0 and every variance its own prior. A value whose covariate is
/// NaN has no prior: all its results are NaN.
///
/// # Errors
/// Where no value has information, lengths differ, or the fit of the prior is impossible.
pub fn squeeze_var(run: &Run, var: &[f64], df: &[f64], options: &SqueezeOptions<'_>) -> Result<Squeezed> {
    check_lengths(var, df, options.covariate)?;
    let informed = |i: usize| df[i] > 0.0 && var[i].is_finite();
    let n_informed = (0..var.len()).filter(|&i| informed(i)).count();
    if n_informed == 0 {
        return Err(Fault::bad_input("no variance has residual degrees of freedom: there is no replication")
            .at("df")
            .hint("use a design with fewer coefficients than samples"));
    }
    if n_informed < LEAST {
        return Ok(Squeezed {
            var_post: var.to_vec(),
            var_prior: Hyper::Each(var.to_vec()),
            df_prior: Hyper::Common(0.0),
        });
    }
    let x: Vec<f64> = var.iter().zip(df).map(|(&v, &d)| if d > 0.0 { v } else { 0.0 }).collect();
    let fit = match options.robust {
        _ if uses_likelihood(df, options) => {
            let robust = options.robust.is_some();
            let options = LikelihoodOptions { covariate: options.covariate, span: options.span, robust, weights: None };
            fit_f_dist_unequal_df1(run, &x, df, &options)?
        }
        Some(tails) => fit_f_dist_robustly(run, &x, df, options.covariate, tails)?,
        None => fit_f_dist(run, &x, df, options.covariate)?,
    };
    let df_prior = fit.df2_shrunk.map_or(Hyper::Common(fit.df2), Hyper::Each);
    let var_post = (0..var.len()).map(|i| posterior(x[i], df[i], fit.scale.at(i), df_prior.at(i))).collect();
    Ok(Squeezed { var_post, var_prior: fit.scale, df_prior })
}

/// Whether the rule asks for maximum likelihood: a span, the wish, or unequal degrees of freedom.
fn uses_likelihood(df: &[f64], options: &SqueezeOptions<'_>) -> bool {
    if options.span.is_some() {
        return true;
    }
    options.legacy.map_or_else(
        || {
            let mut positive = df.iter().filter(|&&d| d > 0.0);
            let first = positive.next();
            positive.any(|d| Some(d) != first)
        },
        |legacy| !legacy,
    )
}

/// The mean of a variance and its prior, weighted by their degrees of freedom.
fn posterior(var: f64, df: f64, var_prior: f64, df_prior: f64) -> f64 {
    if df_prior == f64::INFINITY || !(df > 0.0) {
        return var_prior;
    }
    (df * var + df_prior * var_prior) / (df + df_prior)
}

/// The `y` with `trigamma(y) = x`, as limma rounds it: the leading terms `1 / sqrt(x)` and `1 / x` serve above 1e7 and
/// below 1e-6.
pub fn trigamma_inverse(x: f64) -> f64 {
    if x > 1e7 {
        1.0 / x.sqrt()
    } else if x > 0.0 && x < 1e-6 {
        1.0 / x
    } else {
        gamma::trigamma_inverse(x)
    }
}

/// Fails unless there are as many degrees of freedom and covariates as variances.
fn check_lengths(x: &[f64], df: &[f64], covariate: Option<&[f64]>) -> Result<()> {
    if df.len() != x.len() {
        return Err(Fault::bad_input(format!("{} degrees of freedom for {} variances", df.len(), x.len())).at("df"));
    }
    match covariate {
        Some(c) if c.len() != x.len() => {
            Err(Fault::bad_input(format!("{} values for {} variances", c.len(), x.len())).at("covariate"))
        }
        _ => Ok(()),
    }
}

/// A covariate with infinite values moved to one beyond the finite ones; NaN stays.
fn finite_covariate(covariate: &[f64]) -> Vec<f64> {
    let (low, high) = covariate
        .iter()
        .filter(|c| c.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &c| (low.min(c), high.max(c)));
    // Without any finite value all are alike but for their sign.
    let (low, high) = if low <= high { (low - 1.0, high + 1.0) } else { (-1.0, 1.0) };
    covariate.iter().map(|c| if c.is_infinite() { if *c > 0.0 { high } else { low } } else { *c }).collect()
}

/// The median of values without NaN; NaN if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return *middle;
    }
    0.5 * (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + *middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// Variances with prior `(d0, s0)` on `df` degrees of freedom.
    pub(super) fn variances(n: usize, df: f64, d0: f64, s0: f64) -> Result<Vec<f64>> {
        (0..n)
            .map(|i| {
                let mut stream = Stream::new(11, i as u64);
                let sigma2 = s0 * d0 / stream.gamma(0.5 * d0, 2.0)?;
                Ok(sigma2 * stream.gamma(0.5 * df, 2.0)? / df)
            })
            .collect()
    }

    #[test]
    fn three_estimators_find_the_same_prior() -> Result<()> {
        let run = Run::new();
        let x = variances(4000, 6.0, 8.0, 0.3)?;
        let df = vec![6.0; x.len()];
        for fit in [
            fit_f_dist(&run, &x, &df, None)?,
            fit_f_dist_robustly(&run, &x, &df, None, WINSOR_TAILS)?,
            fit_f_dist_unequal_df1(&run, &x, &df, &LikelihoodOptions::default())?,
        ] {
            assert!((fit.df2 / 8.0 - 1.0).abs() < 0.1 && (fit.scale.at(0) / 0.3 - 1.0).abs() < 0.05, "{fit:?}");
        }
        Ok(())
    }

    #[test]
    fn the_rule_that_chooses() {
        let options = SqueezeOptions::default();
        assert!(!uses_likelihood(&[3.0, 0.0, 3.0], &options) && uses_likelihood(&[3.0, 2.0], &options));
        assert!(!uses_likelihood(&[3.0, 2.0], &SqueezeOptions { legacy: Some(true), ..options }));
        assert!(uses_likelihood(&[3.0, 3.0], &SqueezeOptions { legacy: Some(false), ..options }));
        assert!(uses_likelihood(&[3.0], &SqueezeOptions { legacy: Some(true), span: Some(0.5), ..options }));
    }

    #[test]
    fn values_without_information_have_the_prior() -> Result<()> {
        let run = Run::new();
        let mut x = variances(50, 4.0, 5.0, 1.0)?;
        let mut df = vec![4.0; 50];
        (x[3], df[3]) = (f64::NAN, 0.0);
        let squeezed = squeeze_var(&run, &x, &df, &SqueezeOptions::default())?;
        assert_eq!(squeezed.var_post[3], squeezed.var_prior.at(3));
        let (d0, s0) = (squeezed.df_prior.at(0), squeezed.var_prior.at(0));
        assert_eq!(squeezed.var_post[0], (4.0 * x[0] + d0 * s0) / (4.0 + d0));
        let two = squeeze_var(&run, &x[2..5], &df[2..5], &SqueezeOptions::default())?;
        assert!(two.df_prior == Hyper::Common(0.0) && two.var_post[0] == x[2] && two.var_post[1].is_nan());
        assert!(squeeze_var(&run, &[f64::NAN], &[3.0], &SqueezeOptions::default()).is_err());
        assert!(squeeze_var(&run, &x, &df[1..], &SqueezeOptions::default()).is_err());
        Ok(())
    }

    #[test]
    fn a_covariate_of_nan_gives_nan() -> Result<()> {
        let run = Run::new();
        let x = variances(60, 4.0, 5.0, 1.0)?;
        let mut covariate: Vec<f64> = (0..60).map(f64::from).collect();
        covariate[7] = f64::NAN;
        covariate[8] = f64::INFINITY;
        for (legacy, robust) in [(true, None), (true, Some(WINSOR_TAILS)), (false, None), (false, Some(WINSOR_TAILS))] {
            let options = SqueezeOptions { covariate: Some(&covariate), legacy: Some(legacy), robust, span: None };
            let squeezed = squeeze_var(&run, &x, &[4.0; 60], &options)?;
            assert!(squeezed.var_post.iter().enumerate().all(|(i, v)| v.is_nan() == (i == 7)), "{legacy} {robust:?}");
        }
        Ok(())
    }

    #[test]
    fn medians() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0, 2.0, 9.0])), (2.0, 3.0));
        assert!(median(vec![]).is_nan());
        assert_eq!(Hyper::Each(vec![1.0, f64::NAN, 5.0]).median(), 3.0);
        assert_eq!(finite_covariate(&[1.0, f64::INFINITY, f64::NEG_INFINITY, 4.0]), [1.0, 5.0, 0.0, 4.0]);
    }
}
