//! Loops over many numbers, with the widest instructions that the processor has.
//!
//! [`widest`] runs a [`Kernel`], which is compiled twice: for the processor that the release is built for, and for one with
//! 256-bit registers. Whatever is inlined into it follows. The compiler neither fuses nor reorders
//! floating-point operations, so that both give the same bits.
//!
//! [`exp`], [`exp_m1`], [`ln`], [`ln_1p`] and [`erfcx`] have no branches and no tables: a loop that calls them is turned into
//! vector instructions. They err by less than two units in the last place and give the same bits on every machine.

#![allow(clippy::inline_always)]

/// Adding and subtracting this rounds to an integer, which then stands in the lowest bits: 1.5 · 2⁵².
pub(crate) const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// ln 2 in two parts; the product of the first with any exponent is exact.
pub(crate) const LN_2: (f64, f64) = (0.693_147_180_369_123_816_490, 1.908_214_929_270_587_700_02e-10);

/// A loop, or a few, with what they work on.
///
/// `run` must be marked `#[inline(always)]`, and so must be what it calls in its loops: what is called and not inlined
/// stays as it was compiled. For the same reason loops are written with `for`: the standard library's `for_each` and
/// `collect`, and closures of any size, are functions of their own.
pub trait Kernel {
    /// What comes of it.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Runs `kernel` with the widest instructions that the processor has.
///
/// ```
/// use ferrocyte_math::wide::{self, Kernel};
///
/// struct Logarithms<'a>(&'a mut [f64]);
///
/// impl Kernel for Logarithms<'_> {
///     type Output = ();
///     #[inline(always)]
///     fn run(self) {
///         for x in self.0 {
///             *x = wide::ln(*x);
///         }
///     }
/// }
///
/// let mut x = [1.0, 2.0, 4.0];
/// wide::widest(Logarithms(&mut x));
/// assert_eq!(x[2], 2.0 * x[1]);
/// ```
#[inline]
pub fn widest<K: Kernel>(kernel: K) -> K::Output {
    pulp::Arch::new().dispatch(Dispatched(kernel))
}

struct Dispatched<K>(K);

impl<K: Kernel> pulp::WithSimd for Dispatched<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> K::Output {
        self.0.run()
    }
}

/// Turns numbers into their exponentials.
pub(crate) struct Exponentials<'a>(pub(crate) &'a mut [f64]);

impl Kernel for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for x in self.0 {
            *x = exp(*x);
        }
    }
}

/// 1/2!, 1/3!, .., 1/13!: the remainder is below 1e-17 for |r| <= ln 2 / 2.
pub(crate) const EXP: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5040.0,
    1.0 / 40320.0,
    1.0 / 362880.0,
    1.0 / 3628800.0,
    1.0 / 39916800.0,
    1.0 / 479001600.0,
    1.0 / 6227020800.0,
];

/// e to the power of `x`: infinite above 709.78, rounded to 0 below -745.13.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    // Not `clamp`: NaN must pass through comparisons that a vector register has.
    let bounded = if x < -746.0 { -746.0 } else { x };
    let bounded = if bounded > 710.0 { 710.0 } else { bounded };
    let whole = (bounded * std::f64::consts::LOG2_E + ROUNDER) - ROUNDER;
    let r = (bounded - whole * LN_2.0) - whole * LN_2.1;
    let value = 1.0 + (r + r * r * polynomial(&EXP, r));
    // In two steps, since neither very large nor subnormal results are reached in one.
    let half = (whole * 0.5 + ROUNDER) - ROUNDER;
    let scaled = value * power_of_two(half) * power_of_two(whole - half);
    if x.is_nan() { x } else { scaled }
}

/// e to the power of `x`, less 1, without losing digits near 0: infinite above 709.43, -1 below -40.
#[inline(always)]
pub fn exp_m1(x: f64) -> f64 {
    // Not `clamp`: NaN must pass through comparisons that a vector register has.
    let bounded = if x < -40.0 { -40.0 } else { x };
    let bounded = if bounded > 709.43 { 709.43 } else { bounded };
    let whole = (bounded * std::f64::consts::LOG2_E + ROUNDER) - ROUNDER;
    let r = (bounded - whole * LN_2.0) - whole * LN_2.1;
    // e^r - 1 is small, 2^whole exact: near 0 nothing is added to it.
    let rest = r + r * r * polynomial(&EXP, r);
    let scale = power_of_two(whole);
    let value = scale * rest + (scale - 1.0);
    let value = if x > 709.43 { f64::INFINITY } else { value };
    if x.is_nan() { x } else { value }
}

/// 2 to the power of an integer between -1022 and 1023.
#[inline(always)]
pub(crate) fn power_of_two(whole: f64) -> f64 {
    f64::from_bits(((whole + ROUNDER).to_bits() << 52).wrapping_add(1.0_f64.to_bits()))
}

/// The natural logarithm: -inf at 0, NaN below.
///
/// With `x = 2^k (1 + f)`, `1 + f` between the roots of 1/2 and 2, and `s = f / (2 + f)`: `ln(1 + f) = 2 artanh s`,
/// written as `f - s (f - R)` with `R = 2 (s^2/3 + s^4/5 + ..)`, so that only a small term carries rounding.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    const TWO_52: u64 = 0x4330_0000_0000_0000;
    const MANTISSA: u64 = 0x000f_ffff_ffff_ffff;
    let subnormal = x < f64::MIN_POSITIVE;
    let (scaled, shift) = if subnormal { (x * 18_014_398_509_481_984.0, 54.0) } else { (x, 0.0) };
    let bits = scaled.to_bits();
    // The exponent of `x` in steps that begin at the root of 1/2 instead of 1, biased by 1023.
    let stepped = bits.wrapping_sub(std::f64::consts::FRAC_1_SQRT_2.to_bits()).wrapping_add(1.0_f64.to_bits());
    let exponent = (stepped & !MANTISSA).wrapping_sub(1.0_f64.to_bits());
    let k = (f64::from_bits(TWO_52 | (stepped >> 52)) - f64::from_bits(TWO_52)) - (1023.0 + shift);
    let f = f64::from_bits(bits.wrapping_sub(exponent)) - 1.0;
    let s = f / (2.0 + f);
    let value = k * LN_2.0 + (f - (s * (f - artanh_excess(s)) - k * LN_2.1));
    let value = if x == f64::INFINITY { x } else { value };
    let value = if x == 0.0 { f64::NEG_INFINITY } else { value };
    if x >= 0.0 { value } else { f64::NAN }
}

/// `2 (s^2/3 + s^4/5 + ..)` for `|s| <= 0.172`.
#[inline(always)]
fn artanh_excess(s: f64) -> f64 {
    const C: [f64; 11] = [
        2.0 / 3.0,
        2.0 / 5.0,
        2.0 / 7.0,
        2.0 / 9.0,
        2.0 / 11.0,
        2.0 / 13.0,
        2.0 / 15.0,
        2.0 / 17.0,
        2.0 / 19.0,
        2.0 / 21.0,
        2.0 / 23.0,
    ];
    let y = s * s;
    y * polynomial(&C, y)
}

/// `ln(1 + x)` for `x > -1`, with the digits of a small `x` kept.
#[inline(always)]
pub fn ln_1p(x: f64) -> f64 {
    let y = 1.0 + x;
    // What rounding took from 1 + x.
    let lost = (x - (y - 1.0)) / y;
    let value = ln(y) + lost;
    if x == f64::INFINITY { x } else { value }
}

/// `exp(x^2) erfc(x)` for finite `x >= 0`.
///
/// `(1 + 2x) erfcx(x)` varies between 1 and 1.24; it is a polynomial of degree 24 in `(x - 3.75) / (x + 3.75)` up to
/// 3e-18, its expansion in Chebyshev polynomials cut off (the variable: M. M. Shepherd and J. G. Laframboise,
/// *Chebyshev approximation of (1 + 2x) exp(x^2) erfc x*, 1981).
#[inline(always)]
pub fn erfcx(x: f64) -> f64 {
    const C: [f64; 25] = [
        1.2375126308378275796,
        -0.14024059858554696245,
        0.003585415485464429369,
        0.082276738490145207683,
        -0.10880393014174885723,
        0.09230432116037747776,
        -0.058693398589636774061,
        0.028362277418956404286,
        -0.0097465795580292755337,
        0.0017556258528952953569,
        0.00029371366559134481992,
        -0.00029015408054084171105,
        0.000051649098892682403449,
        0.00002238423915508222982,
        -0.000011444146237700523373,
        -9.7355989673677493407e-7,
        1.7516376488490621431e-6,
        -5.7218230603224087501e-8,
        -2.5866850716155885443e-7,
        2.3263508708859123732e-8,
        3.8675334242222356816e-8,
        -3.7442100809620186444e-9,
        -5.1739902140113096269e-9,
        3.1114333809799251993e-10,
        4.2514714447963897761e-10,
    ];
    polynomial(&C, (x - 3.75) / (x + 3.75)) / (1.0 + 2.0 * x)
}

/// The sum of `values`, in eight interleaved sums that are added in a fixed order.
#[inline(always)]
pub fn sum(values: &[f64]) -> f64 {
    let chunks = values.chunks_exact(8);
    let tail: f64 = chunks.remainder().iter().sum();
    let mut lanes = [0.0; 8];
    for chunk in chunks {
        for l in 0..8 {
            lanes[l] += chunk[l];
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + tail
}

/// `c[0] + c[1] x + c[2] x^2 + ..` by Horner's rule.
#[inline(always)]
pub(crate) fn polynomial<const N: usize>(c: &[f64; N], x: f64) -> f64 {
    let mut value = c[N - 1];
    for k in (0..N - 1).rev() {
        value = value * x + c[k];
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance * expected.abs(), "{found:e} should be {expected:e}");
    }

    #[test]
    fn exponentials_and_logarithms_are_those_of_the_standard_library() {
        for i in -70_900..70_970 {
            let x = f64::from(i) * 0.01 + 1e-3;
            if x > -708.0 {
                close(exp(x), x.exp(), 4e-16);
            }
            let y = (x * 0.99).exp();
            if y != 1.0 && y > 0.0 {
                close(ln(y), y.ln(), 4e-16);
            }
            close(ln_1p(y), y.ln_1p(), 4e-16);
        }
        for i in 1..10_000 {
            let x = 1.0 + (f64::from(i) - 5000.5) * 1e-5;
            close(ln(x), x.ln(), 4e-16);
            close(ln_1p(x - 1.0), (x - 1.0).ln_1p(), 4e-16);
        }
        for x in [1e-300, 1e-20, -1e-9, 0.999, -0.999] {
            close(ln_1p(x), x.ln_1p(), 4e-16);
        }
        close(ln(5e-324), 5e-324_f64.ln(), 4e-16);
        assert!((exp(-740.0) / (-740.0_f64).exp() - 1.0).abs() < 1e-2);
    }

    #[test]
    fn differences_from_one_keep_their_digits() {
        for i in -45_000..70_900 {
            let x = f64::from(i) * 0.01 + 1e-3;
            close(exp_m1(x), x.exp_m1(), 6e-16);
            let near = f64::from(i) * 1e-5;
            close(exp_m1(near), near.exp_m1(), 6e-16);
        }
        for x in [1e-300, -1e-20, 1e-9, 0.0, -39.9] {
            close(exp_m1(x), x.exp_m1(), 6e-16);
        }
        assert_eq!((exp_m1(-800.0), exp_m1(f64::NEG_INFINITY)), (-1.0, -1.0));
        assert_eq!((exp_m1(710.0), exp_m1(f64::INFINITY)), (f64::INFINITY, f64::INFINITY));
        assert!(exp_m1(f64::NAN).is_nan());
    }

    #[test]
    fn odd_arguments() {
        assert_eq!((exp(0.0), exp(-0.0), exp(-746.0), exp(f64::NEG_INFINITY)), (1.0, 1.0, 0.0, 0.0));
        assert_eq!((exp(710.0), exp(f64::INFINITY)), (f64::INFINITY, f64::INFINITY));
        assert_eq!((ln(1.0), ln(0.0), ln(f64::INFINITY)), (0.0, f64::NEG_INFINITY, f64::INFINITY));
        assert_eq!((ln_1p(0.0), ln_1p(f64::INFINITY)), (0.0, f64::INFINITY));
        assert!(exp(f64::NAN).is_nan() && ln(f64::NAN).is_nan() && ln(-1.0).is_nan() && ln_1p(f64::NAN).is_nan());
    }

    #[test]
    fn the_scaled_error_function() {
        for i in 0..2500 {
            let x = f64::from(i) * 0.01;
            close(erfcx(x) * (-x * x).exp(), libm::erfc(x), 1e-15 * (1.0 + x * x));
        }
        // Beyond the reach of erfc: the asymptotic series.
        let x = 1e4_f64;
        let series = (1.0 - 0.5 / (x * x) + 0.75 / (x * x * x * x)) / (x * std::f64::consts::PI.sqrt());
        close(erfcx(x), series, 5e-16);
    }

    struct Curve<'a>(&'a mut [f64]);

    impl Kernel for Curve<'_> {
        type Output = f64;

        #[inline(always)]
        fn run(self) -> f64 {
            for x in &mut *self.0 {
                *x = erfcx(x.abs()) + ln(exp(*x) + 0.5);
            }
            sum(self.0)
        }
    }

    #[test]
    fn wide_loops_give_the_bits_of_narrow_ones() {
        let mut narrow: Vec<f64> = (0..103).map(|i| f64::from(i) * 0.37 - 11.0).collect();
        let mut wide = narrow.clone();
        assert_eq!(widest(Curve(&mut wide)).to_bits(), Curve(&mut narrow).run().to_bits());
        assert_eq!(wide, narrow);
    }
}
