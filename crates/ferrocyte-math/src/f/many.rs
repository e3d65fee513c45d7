//! Upper tails of F for many arguments on the same degrees of freedom, the first of them a whole number.
//!
//! With `r = x df1 / df2`, `y = 1 / (1 + r)` and `a = df2 / 2`, `P(X > x) = I_y(a, df1/2)` follows by the steps
//! `I_y(a, b + 1) = I_y(a, b) + y^a (1 - y)^b / (b B(a, b))` (DLMF 8.17.21), all positive, from `I_y(a, 1) = y^a`, or
//! from `I_y(a, 1/2)`, which is a tail of Student's t.

#![allow(clippy::inline_always)]

use crate::student_t::shared::{Shared, scaled};
use crate::wide::{self, Kernel};

/// Steps of the recurrence at most.
const STEPS: usize = 32;

/// Degrees of freedom from here on are infinite: the tail differs by less than one in 1e16 down to the smallest number.
const INFINITE: f64 = 1e22;

/// Probabilities between these give their logarithm, and the complement its own, with all digits.
const PLAIN: std::ops::Range<f64> = 1e-290..0.999;

/// `P(X > x)` for each `x` with `df1` and `df2` degrees of freedom, into `p`. NaN gives NaN.
///
/// Fast for `df1` up to 64.
///
/// # Panics
/// When the lengths differ: a mistake in the code, not in data.
pub fn upper(x: &[f64], df1: usize, df2: f64, p: &mut [f64]) {
    assert_eq!(x.len(), p.len(), "a place for every tail");
    if df1 == 0 || df1 > 2 * STEPS || !(df2 > 0.0) {
        p.iter_mut().zip(x).for_each(|(p, &x)| *p = super::upper(x, df1 as f64, df2));
        return;
    }
    let df2 = df2.min(INFINITE);
    let law = Shared::new(df2);
    let odd = df1 % 2 == 1;
    // Factors of powers of a (1 - y) instead of 1 - y, which neither overflow nor vanish for large a.
    let mut steps = [0.0; STEPS];
    let (mut b, mut factor) = if odd { (0.5, 2.0 * law.half * law.scale) } else { (1.0, law.half) };
    for step in steps.iter_mut().take((df1 - 1) / 2) {
        *step = factor;
        factor *= (1.0 + b / law.half) / (b + 1.0);
        b += 1.0;
    }
    let ratio = df1 as f64 / df2;
    wide::widest(Upper { law: &law, odd, steps: &steps[..(df1 - 1) / 2], ratio, x, p });
}

/// `(ln P(X <= x), ln P(X > x))` for each `x`, as [`ln_tails`](super::ln_tails).
pub fn ln_tails(x: &[f64], df1: usize, df2: f64) -> Vec<(f64, f64)> {
    let mut p = vec![0.0; x.len()];
    upper(x, df1, df2, &mut p);
    let one = |(&x, &p): (&f64, &f64)| {
        if PLAIN.contains(&p) { ((-p).ln_1p(), p.ln()) } else { super::ln_tails(x, df1 as f64, df2) }
    };
    x.iter().zip(&p).map(one).collect()
}

struct Upper<'a> {
    law: &'a Shared,
    odd: bool,
    steps: &'a [f64],
    /// `df1 / df2`.
    ratio: f64,
    x: &'a [f64],
    p: &'a mut [f64],
}

impl Kernel for Upper<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (p, &x) in self.p.iter_mut().zip(self.x) {
            let r = if x < 0.0 { 0.0 } else { x * self.ratio };
            let l = wide::ln_1p(r);
            let y = 1.0 / (1.0 + r);
            // 1 - y, 1 where r is infinite.
            let other = if y == 0.0 { 1.0 } else { r * y };
            let mut sum = 0.0;
            for &step in self.steps.iter().rev() {
                sum = sum * (self.law.half * other) + step;
            }
            let factor = if self.odd { self.law.factor(r, l, y) + other.sqrt() * sum } else { 1.0 + other * sum };
            let value = scaled(factor, self.law.half * l);
            *p = if r == 0.0 { 1.0 } else { value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::f;

    #[test]
    fn agrees_with_one_at_a_time() {
        let x: Vec<f64> = (0..400).map(|i| (f64::from(i) * 0.04 - 8.0).exp()).collect();
        let mut p = vec![0.0; x.len()];
        for df1 in [1, 2, 3, 4, 7, 20, 63, 64, 65] {
            for df2 in [0.3, 2.0, 9.4, 13.695, 40.0, 1e4, 1e7, 1e12, f64::INFINITY] {
                upper(&x, df1, df2, &mut p);
                for (p, &x) in p.iter().zip(&x) {
                    let ln_p = f::ln_upper(x, df1 as f64, df2);
                    if ln_p > -700.0 {
                        let error = (p / ln_p.exp() - 1.0).abs() / (1.0 - ln_p);
                        assert!(error < 1e-13, "{x} {df1} {df2}: {p:e} {:e}, {error:e}", ln_p.exp());
                    }
                }
            }
        }
    }

    #[test]
    fn logarithms_reach_further() {
        let x: Vec<f64> = (0..400).map(|i| (f64::from(i) * 0.08 - 12.0).exp()).collect();
        for (df1, df2) in [(1, 3.0), (6, 9.4), (7, 1e4), (5, f64::INFINITY)] {
            for (found, &x) in ln_tails(&x, df1, df2).iter().zip(&x) {
                let expected = f::ln_tails(x, df1 as f64, df2);
                for (found, expected) in [(found.0, expected.0), (found.1, expected.1)] {
                    assert!(
                        (found - expected).abs() <= 1e-12 * expected.abs().max(1e-3) || found == expected,
                        "{x} {df1} {df2}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn odd_arguments() {
        let mut p = [0.0; 4];
        for df1 in [2, 3] {
            upper(&[0.0, f64::NAN, f64::INFINITY, -1.0], df1, 5.0, &mut p);
            assert!(p[0] == 1.0 && p[1].is_nan() && p[2] == 0.0 && p[3] == 1.0, "{p:?}");
        }
        upper(&[1e14, 1e300, 1.0, 2.0], 63, 1e13, &mut p);
        assert!(p[0] == 0.0 && p[1] == 0.0 && p[2] > p[3], "{p:?}");
    }
}
