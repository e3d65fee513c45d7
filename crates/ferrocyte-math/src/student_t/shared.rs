//! Tails of Student's t for many arguments on the same degrees of freedom, whatever these are.
//!
//! With `r = t^2 / n`, `x = 1 / (1 + r)` and `a = n / 2` the tail `P(|T| > t)` is the incomplete beta function
//! `I_x(a, 1/2)`. What depends on `n` alone is computed once; the rest is two fixed sums without branches:
//!
//! * far out, `ln(1 + r) > 1`: `I_x(a, 1/2) = K x^a sum a/(a + j) (1/2)_j / j! x^j` (DLMF 8.17.7), 36 terms of one sign;
//! * else the steps `I_x(a, b) = I_x(a + 1, b) + x^a (1 - x)^b / (a B(a, b))` (DLMF 8.17.20), all positive, up to 24
//!   degrees of freedom, and there the expansion of [`many`](super::many).

#![allow(clippy::inline_always)]

use super::StudentT;
use super::many::{LARGEST_L, Shape};
use crate::normal;
use crate::wide::{self, Kernel};

/// Degrees of freedom at which the steps end.
const ENOUGH: f64 = 24.0;

/// Degrees of freedom from here on are infinite.
const INFINITE: f64 = 1e15;

/// Steps at most: `(24 - n) / 2`, rounded up.
const STEPS: usize = 12;

/// Terms of the sum far out: the next one is below `exp(-36) / 10`.
const TERMS: usize = 36;

/// Student's distribution on fixed degrees of freedom, ready for arrays.
///
/// ```
/// use ferrocyte_math::student_t::shared::Shared;
/// let mut p = [0.0; 3];
/// Shared::new(4.2).two_sided(&[0.0, -2.0, 30.0], &mut p);
/// assert!(p[0] == 1.0 && (p[1] - 0.112_8).abs() < 1e-3 && p[2] < 1e-4);
/// ```
#[derive(Debug, Clone)]
pub struct Shared {
    /// Degrees of freedom; NaN where they make no sense.
    df: f64,
    /// `a = n / 2`.
    pub(crate) half: f64,
    /// Factors of `x^j` in the steps, then 0.
    near: [f64; STEPS],
    /// The number of steps, less a quarter.
    steps: f64,
    /// The expansion after them.
    shape: Shape,
    /// Factors of `x^j` far out.
    far: [f64; TERMS],
    /// `1 / (a B(a, 1/2))`.
    pub(crate) scale: f64,
}

impl Shared {
    /// The distribution with `df > 0` degrees of freedom, which may be infinite; any other makes all results NaN.
    pub fn new(df: f64) -> Self {
        let law = StudentT::new(df);
        let (df, half, scale) = (law.df, law.half, law.scale);
        let steps = if df < ENOUGH { ((ENOUGH - df) / 2.0).ceil() } else { 0.0 };
        let mut near = [0.0; STEPS];
        let mut factor = scale;
        for (j, near) in near.iter_mut().enumerate().take(steps as usize) {
            *near = factor;
            let a = half + j as f64;
            factor *= (a + 0.5) / (a + 1.0);
        }
        let mut far = [0.0; TERMS];
        let mut binomial = 1.0;
        for (j, far) in far.iter_mut().enumerate() {
            let j = j as f64;
            *far = scale * binomial * (half / (half + j));
            binomial *= (j + 0.5) / (j + 1.0);
        }
        Self { df, half, near, steps: steps - 0.25, shape: Shape::new(df + 2.0 * steps), far, scale }
    }

    /// `P(|T| > |t|)` for each `t`, into `p`. NaN gives NaN.
    ///
    /// # Panics
    /// When the lengths differ: a mistake in the code, not in data.
    pub fn two_sided(&self, t: &[f64], p: &mut [f64]) {
        assert_eq!(t.len(), p.len(), "a place for every tail");
        if self.df > INFINITE {
            p.iter_mut().zip(t).for_each(|(p, &t)| *p = normal::two_sided(t));
        } else {
            wide::widest(TwoSided { law: self, t, p });
        }
    }

    /// `I_x(a, 1/2) / x^a` at `r = 1/x - 1`, `l = ln(1 + r)`, `x`.
    #[inline(always)]
    pub(crate) fn factor(&self, r: f64, l: f64, x: f64) -> f64 {
        let (_, expansion, _) = self.shape.tail_at(l);
        let near = expansion * wide::exp(-self.steps * l) + (r * x).sqrt() * wide::polynomial(&self.near, x);
        let far = wide::polynomial(&self.far, x);
        if l <= LARGEST_L { near } else { far }
    }
}

/// `factor exp(-exponent)`, at most 1, with all its digits where the exponential alone is below the smallest number.
#[inline(always)]
pub(crate) fn scaled(factor: f64, exponent: f64) -> f64 {
    let root = wide::exp(-0.5 * exponent);
    let value = if root == 0.0 { 0.0 } else { factor * root * root };
    // Not `min`: NaN must pass.
    if value > 1.0 { 1.0 } else { value }
}

struct TwoSided<'a> {
    law: &'a Shared,
    t: &'a [f64],
    p: &'a mut [f64],
}

impl Kernel for TwoSided<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (p, &t) in self.p.iter_mut().zip(self.t) {
            let r = t * t / self.law.df;
            let l = wide::ln_1p(r);
            let value = scaled(self.law.factor(r, l, 1.0 / (1.0 + r)), self.law.half * l);
            *p = if r == 0.0 { 1.0 } else { value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_one_at_a_time() {
        let t: Vec<f64> =
            (0..900).map(|i| (f64::from(i) * 0.02 - 9.0).exp().copysign(f64::from(i % 3) - 0.5)).collect();
        let mut p = vec![0.0; t.len()];
        for df in [0.01, 0.3, 1.0, 2.0, 3.7, 13.695, 22.0, 23.9, 24.0, 31.7, 213.0, 1e4, 1e7, 1e12, f64::INFINITY] {
            Shared::new(df).two_sided(&t, &mut p);
            let law = StudentT::new(df);
            for (p, &t) in p.iter().zip(&t) {
                let ln_p = law.ln_two_sided(t);
                if ln_p > -700.0 {
                    let error = (p / ln_p.exp() - 1.0).abs() / (1.0 - ln_p);
                    assert!(error < 3e-14, "{t} {df}: {p:e} {:e}, {error:e}", ln_p.exp());
                } else {
                    assert!(*p < 1e-300);
                }
            }
        }
    }

    #[test]
    fn odd_arguments() {
        let mut p = [0.0; 4];
        Shared::new(5.0).two_sided(&[0.0, f64::NAN, f64::INFINITY, -1e200], &mut p);
        assert!(p[0] == 1.0 && p[1].is_nan() && p[2] == 0.0 && p[3] == 0.0, "{p:?}");
        Shared::new(-1.0).two_sided(&[0.0, 1.0, 2.0, 3.0], &mut p);
        assert!(p.iter().all(|p| p.is_nan()));
    }
}
