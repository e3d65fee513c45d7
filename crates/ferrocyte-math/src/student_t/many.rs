//! Tails of Student's t for many arguments at once, without branches, so that loops over them become vector
//! instructions.
//!
//! With `x = n / (n + t^2) = exp(-L)` and `a = n / 2`, the substitution `exp(-s)` in the incomplete beta integral gives
//!
//! ```text
//! P(|T| > t) = 1 / B(a, 1/2)  integral from L of  exp(-v s) s^(-1/2) (sinh(s/2) / (s/2))^(-1/2) ds,    v = a - 1/4
//! ```
//!
//! and with the last factor expanded as `d_0 + d_1 s^2 + d_2 s^4 + ..` (which converges for `s < 2 pi`), each term is an
//! incomplete gamma function of `u = v L` that follows from the one before it: the first is `erfc(sqrt u)`. (The expansion
//! of A. R. DiDonato and A. H. Morris, *Algorithm 708*, 1992, for the parameter 1/2.) At `t = 0` the sum is 1, which
//! gives the constant in front of it as a series in `1 / v^2`.
//!
//! Ten terms suffice to the last digits for `n >= 24` and `L <= 1`; other arguments are left to [`StudentT`].

#![allow(clippy::inline_always)]

use super::StudentT;
use super::shared::Shared;
use crate::wide::{self, Kernel};

/// Degrees of freedom that the expansion serves.
const DF: std::ops::RangeInclusive<f64> = 24.0..=1e15;

/// Groups smaller than this are not worth a table of their own.
const FEW: usize = 8;

/// Largest `L`.
pub(super) const LARGEST_L: f64 = 1.0;

/// `d_n`: the coefficients of `(sinh(s/2) / (s/2))^(-1/2)` in powers of `s^2`.
const D: [f64; 10] = [
    1.0,
    -1.0 / 48.0,
    0.000_390_625,
    -7.879_670_965_608_465_608_5e-6,
    1.696_766_579_172_178_130_7e-7,
    -3.805_064_191_721_906_565_7e-9,
    8.748_377_596_315_407_304_1e-11,
    -2.044_523_359_411_973_817_6e-12,
    4.833_351_797_967_704_408_3e-14,
    -1.152_434_101_767_385_923_9e-15,
];

/// `d_n (1/2)(3/2)..(2n - 1/2)`: the terms at `t = 0`, in powers of `1 / v^2`.
const AT_ZERO: [f64; 10] = at_zero();

const fn at_zero() -> [f64; 10] {
    let mut out = D;
    let (mut n, mut factor) = (1, 1.0);
    while n < D.len() {
        let k = 2.0 * n as f64;
        factor *= (k - 1.5) * (k - 0.5);
        out[n] *= factor;
        n += 1;
    }
    out
}

/// What depends on the degrees of freedom alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    df: f64,
    v: f64,
    /// `1 / v^2`.
    over_v2: f64,
    /// The constant in front of the sum.
    scale: f64,
}

impl Shape {
    #[inline(always)]
    pub(super) fn new(df: f64) -> Self {
        let v = 0.5 * df - 0.25;
        let over_v2 = 1.0 / (v * v);
        Self { df, v, over_v2, scale: 1.0 / wide::polynomial(&AT_ZERO, over_v2) }
    }

    /// `(u, F)` with `P(|T| > |t|) = F exp(-u)`, and whether they can be trusted.
    #[inline(always)]
    fn tail(&self, t: f64) -> (f64, f64, bool) {
        self.tail_at(wide::ln_1p(t * t / self.df))
    }

    /// [`Shape::tail`] by `L`.
    #[inline(always)]
    pub(super) fn tail_at(&self, l: f64) -> (f64, f64, bool) {
        let u = self.v * l;
        let root = u.sqrt();
        // The incomplete gamma functions times exp(u) / Gamma(1/2), and the powers of L^2 that they take up.
        let mut gamma = wide::erfcx(root);
        let mut sum = gamma;
        let mut power = root * std::f64::consts::FRAC_2_SQRT_PI * 0.5 * self.over_v2;
        let l2 = l * l;
        for n in 1..D.len() {
            let c = 2.0 * n as f64 - 1.5;
            gamma = c * (c + 1.0) * self.over_v2 * gamma + power * (u + (c + 1.0));
            sum += D[n] * gamma;
            power *= l2;
        }
        (u, self.scale * sum, *DF.start() <= self.df && self.df <= *DF.end() && l <= LARGEST_L)
    }
}

/// `P(|T| > |t|) = factor exp(-exponent)` with `df` degrees of freedom, for each `t`: the exponent stays a number where
/// the probability underflows. NaN gives NaN.
#[inline(always)]
pub fn tails<const N: usize>(law: &StudentT, t: &[f64; N], exponent: &mut [f64; N], factor: &mut [f64; N]) {
    let shape = Shape::new(law.df());
    let mut all = true;
    for i in 0..N {
        let (u, f, trusted) = shape.tail(t[i]);
        (exponent[i], factor[i]) = (u, f);
        all &= trusted;
    }
    if !all {
        tails_one_by_one(law, t, exponent, factor);
    }
}

/// [`tails`] of those arguments that the expansion does not serve.
#[cold]
fn tails_one_by_one(law: &StudentT, t: &[f64], exponent: &mut [f64], factor: &mut [f64]) {
    let shape = Shape::new(law.df());
    for i in 0..t.len() {
        if !shape.tail(t[i]).2 {
            (exponent[i], factor[i]) = (-law.ln_two_sided(t[i]), 1.0);
        }
    }
}

/// `P(|T| > |t|)` for each `t` and its degrees of freedom.
///
/// What the expansion does not serve is done in groups of the same degrees of freedom, with [`Shared`].
///
/// # Panics
/// When the lengths differ: a mistake in the code, not in data.
pub fn two_sided(t: &[f64], df: &[f64]) -> Vec<f64> {
    assert_eq!(t.len(), df.len(), "every t needs its degrees of freedom");
    let mut p = vec![0.0; t.len()];
    wide::widest(Expand { p: &mut p, t, df });
    let mut left: Vec<usize> = (0..t.len()).filter(|&i| p[i] < 0.0).collect();
    left.sort_by(|&i, &j| df[i].total_cmp(&df[j]));
    let (mut arguments, mut tails) = (Vec::new(), Vec::new());
    for group in left.chunk_by(|&i, &j| df[i] == df[j]) {
        arguments.clear();
        arguments.extend(group.iter().map(|&i| t[i]));
        tails.resize(group.len(), 0.0);
        if group.len() < FEW {
            let law = StudentT::new(df[group[0]]);
            tails.iter_mut().zip(&arguments).for_each(|(p, &t)| *p = law.two_sided(t));
        } else {
            Shared::new(df[group[0]]).two_sided(&arguments, &mut tails);
        }
        group.iter().zip(&tails).for_each(|(&i, &tail)| p[i] = tail);
    }
    for p in &mut p {
        // Not `min`: NaN must pass.
        *p = if *p > 1.0 { 1.0 } else { *p };
    }
    p
}

/// [`two_sided`] where the expansion serves; -1 marks what is left to do.
struct Expand<'a> {
    p: &'a mut [f64],
    t: &'a [f64],
    df: &'a [f64],
}

impl Kernel for Expand<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((p, &t), &df) in self.p.iter_mut().zip(self.t).zip(self.df) {
            let (u, f, trusted) = Shape::new(df).tail(t);
            let value = f * wide::exp(-u);
            *p = if trusted { value } else { -1.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_one_at_a_time() {
        let (mut t, mut df) = (Vec::new(), Vec::new());
        for n in [0.3, 5.0, 23.9, 24.0, 25.0, 31.7, 60.0, 213.0, 1e3, 2e4, 1e5, 1e7, 1e12] {
            for i in 0..600 {
                t.push((f64::from(i) * 0.02 - 7.0).exp().copysign(f64::from(i % 3) - 0.5));
                df.push(n);
            }
        }
        let mut worst = 0.0_f64;
        for ((p, &t), &df) in two_sided(&t, &df).iter().zip(&t).zip(&df) {
            let ln_p = StudentT::new(df).ln_two_sided(t);
            if ln_p > -700.0 {
                // One at a time takes the centre from one up to p = 0.005.
                let error = (p / ln_p.exp() - 1.0).abs() / (1.0 - ln_p);
                assert!(error < 3e-14, "{t} {df}: {p:e}, {error:e}");
                worst = worst.max(error);
            } else {
                assert!(*p < 1e-300);
            }
        }
        assert!(worst > 0.0);
    }

    #[test]
    fn scaled_tails_go_on_below_the_smallest_number() {
        let t = [0.0, -1.7, 37.0, 60.0, 1e3, 1e200, f64::NAN, f64::INFINITY];
        for df in [3.0, 30.0, 5e3, 1e5, 2e5 + 19_983.0] {
            let law = StudentT::new(df);
            let (mut exponent, mut factor) = ([0.0; 8], [0.0; 8]);
            tails(&law, &t, &mut exponent, &mut factor);
            for i in 0..6 {
                let (found, expected) = (factor[i].ln() - exponent[i], law.ln_two_sided(t[i]));
                assert!((found - expected).abs() <= 1e-14 * expected.abs().max(1.0), "{} {df}: {found}", t[i]);
            }
            assert!((factor[6] - exponent[6]).is_nan() && exponent[7] == f64::INFINITY);
        }
    }

    #[test]
    fn nonsense_is_nan() {
        let p = two_sided(&[1.0, f64::NAN, 1.0, 0.0, f64::INFINITY], &[f64::NAN, 50.0, -3.0, 50.0, 50.0]);
        assert!(p[0].is_nan() && p[1].is_nan() && p[2].is_nan());
        assert_eq!((p[3], p[4]), (1.0, 0.0));
        let normal = two_sided(&[1.959_963_984_540_054], &[f64::INFINITY]);
        assert!((normal[0] - 0.05).abs() < 1e-15);
    }
}
