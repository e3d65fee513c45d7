//! Loops of fused multiply-adds over packs of numbers, with the widest registers that the processor has.
//!
//! A pack is an array that fills registers: its entries never meet. So a loop over packs gives each entry the same bits,
//! however wide the registers are, and whatever stands in the other entries. A fused multiply-add rounds once, by
//! definition the same everywhere: all processors that fuse (AVX-512, AVX2 with FMA, NEON) agree to the bit. On one that
//! does not, products are rounded first and the last bits differ; [`Level::word`] says which instructions ran.

#![allow(clippy::inline_always)]

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Sub, SubAssign};

use crate::wide::{EXP, LN_2, ROUNDER, power_of_two};

/// A floating-point number, of 32 or 64 bits.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The numbers from 0 to 255: a look is faster than a conversion.
    const COUNTS: &'static [Self; 256];

    /// The nearest number to `x`.
    fn from_f64(x: f64) -> Self;

    /// The number with 64 bits.
    fn to_f64(self) -> f64;

    /// `self * by + plus`, rounded once.
    #[must_use]
    fn fused(self, by: Self, plus: Self) -> Self;

    /// The size without the sign.
    #[must_use]
    fn size(self) -> Self;
}

macro_rules! real {
    ($type:ty) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const COUNTS: &'static [Self; 256] = &{
                let mut counts = [0.0; 256];
                let mut count = 1;
                while count < 256 {
                    counts[count] = count as $type;
                    count += 1;
                }
                counts
            };

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $type
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn fused(self, by: Self, plus: Self) -> Self {
                self.mul_add(by, plus)
            }

            #[inline(always)]
            fn size(self) -> Self {
                self.abs()
            }
        }
    };
}

real!(f32);
real!(f64);

/// `a * b + c`: rounded once where `FUSED`, else twice.
#[inline(always)]
pub fn multiply_add<T: Real, const FUSED: bool>(a: T, b: T, c: T) -> T {
    if FUSED { a.fused(b, c) } else { a * b + c }
}

/// e to the power of `x`, for `x` of at most 700; 0 below -708. It errs by less than two units in the last place.
///
/// [`crate::wide::exp`] with fused operations and without what large numbers and NaN need.
#[inline(always)]
pub fn exp<const FUSED: bool>(x: f64) -> f64 {
    let bounded = if x < -708.0 { -708.0 } else { x };
    let whole = multiply_add::<_, FUSED>(bounded, std::f64::consts::LOG2_E, ROUNDER) - ROUNDER;
    let r = multiply_add::<_, FUSED>(whole, -LN_2.0, bounded);
    let r = multiply_add::<_, FUSED>(whole, -LN_2.1, r);
    let mut value = EXP[EXP.len() - 1];
    for c in (0..EXP.len() - 1).rev() {
        value = multiply_add::<_, FUSED>(value, r, EXP[c]);
    }
    let value = multiply_add::<_, FUSED>(value, r * r, r) + 1.0;
    if x < -708.0 { 0.0 } else { value * power_of_two(whole) }
}

/// A loop over packs, with what it works on.
///
/// As with [`crate::wide::Kernel`], `run` and what it calls in its loops must be marked `#[inline(always)]`.
pub trait FusedKernel {
    /// What comes of it.
    type Output;

    /// Does the work. `registers` is how many packs of 64 bytes the registers hold: a loop that keeps about three
    /// quarters of them as sums is fast.
    fn run<const FUSED: bool>(self, registers: usize) -> Self::Output;
}

/// The instructions that a kernel runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Those that every processor of this kind has, without fused operations.
    Plain,
    /// 128-bit registers with fused operations.
    Neon,
    /// 256-bit registers with fused operations.
    Avx2,
    /// 512-bit registers with fused operations.
    Avx512,
}

impl Level {
    /// Those that this processor has, from the plainest to the widest.
    pub fn all() -> Vec<Self> {
        let mut found = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            if pulp::x86::V3::try_new().is_some() {
                found.push(Self::Avx2);
            }
            if has_avx512() {
                found.push(Self::Avx512);
            }
        }
        if cfg!(target_arch = "aarch64") {
            found.push(Self::Neon);
        }
        found
    }

    /// The widest that this processor has.
    pub fn widest() -> Self {
        Self::all().last().copied().unwrap_or(Self::Plain)
    }

    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Neon => "NEON",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        }
    }

    /// Runs a kernel with these instructions; with plain ones where the processor lacks them.
    #[inline]
    pub fn run<K: FusedKernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if has_avx512() => {
                // SAFETY: the processor was found to have every instruction set that the function is compiled for.
                #[allow(unsafe_code, reason = "there is no safe way to call what is compiled for another processor")]
                unsafe {
                    with_avx512(kernel)
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => match pulp::x86::V3::try_new() {
                Some(v3) => pulp::Simd::vectorize(v3, Avx2(kernel)),
                None => kernel.run::<false>(4),
            },
            #[cfg(target_arch = "aarch64")]
            Self::Neon => kernel.run::<true>(8),
            _ => kernel.run::<false>(4),
        }
    }
}

/// Runs a kernel with the widest instructions that the processor has.
#[inline]
pub fn fused<K: FusedKernel>(kernel: K) -> K::Output {
    Level::widest().run(kernel)
}

/// Whether the processor has what [`with_avx512`] is compiled for. Asking is a look at a word in memory.
#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma")]
fn with_avx512<K: FusedKernel>(kernel: K) -> K::Output {
    kernel.run::<true>(32)
}

#[cfg(target_arch = "x86_64")]
struct Avx2<K>(K);

#[cfg(target_arch = "x86_64")]
impl<K: FusedKernel> pulp::WithSimd for Avx2<K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> K::Output {
        self.0.run::<true>(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of the entries of packs, summed.
    struct Powers<'a>(&'a [[f64; 8]], &'a mut [f64; 8]);

    impl FusedKernel for Powers<'_> {
        type Output = usize;

        #[inline(always)]
        fn run<const FUSED: bool>(self, registers: usize) -> usize {
            for pack in self.0 {
                for l in 0..8 {
                    self.1[l] = multiply_add::<_, FUSED>(self.1[l], pack[l], pack[l]);
                }
            }
            registers
        }
    }

    /// Exponentials of the entries of packs.
    struct Exponentials<'a>(&'a mut [[f64; 8]]);

    impl FusedKernel for Exponentials<'_> {
        type Output = ();

        #[inline(always)]
        fn run<const FUSED: bool>(self, _: usize) {
            for pack in self.0 {
                for l in 0..8 {
                    pack[l] = exp::<FUSED>(pack[l]);
                }
            }
        }
    }

    #[test]
    fn exponentials_are_those_of_the_standard_library() {
        let arguments: Vec<[f64; 8]> =
            (0..1760).map(|i| std::array::from_fn(|l| f64::from(8 * i + l as i32) * 0.1 - 707.9)).collect();
        for level in Level::all() {
            let mut found = arguments.clone();
            level.run(Exponentials(&mut found));
            for (x, found) in arguments.as_flattened().iter().zip(found.as_flattened()) {
                assert!((found / x.exp() - 1.0).abs() < 4e-16, "{}: {x}", level.word());
            }
            let mut odd = [[0.0, -0.0, -708.1, -1e300, f64::NEG_INFINITY, 1e-300, -1e-300, 700.0]];
            level.run(Exponentials(&mut odd));
            assert_eq!(odd[0][..7], [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        }
    }

    #[test]
    fn all_that_fuse_agree_to_the_bit_and_the_others_nearly() {
        let packs: Vec<[f64; 8]> =
            (0..100).map(|i| std::array::from_fn(|l| 1.0 / f64::from(3 + i + 7 * l as i32))).collect();
        let sums = |level: Level| {
            let mut sums = [0.0; 8];
            (level.run(Powers(&packs, &mut sums)), sums)
        };
        let (_, plain) = sums(Level::Plain);
        let mut expected = [0.0; 8];
        packs.iter().for_each(|pack| (0..8).for_each(|l| expected[l] = pack[l].mul_add(expected[l], pack[l])));
        for level in Level::all() {
            let (registers, found) = sums(level);
            assert!(registers >= 4);
            if level == Level::Plain {
                (0..8).for_each(|l| assert!((found[l] / expected[l] - 1.0).abs() < 1e-14));
            } else {
                assert_eq!(found, expected, "{}", level.word());
            }
        }
        let mut widest = [0.0; 8];
        fused(Powers(&packs, &mut widest));
        assert!(widest == expected || widest == plain);
    }
}
