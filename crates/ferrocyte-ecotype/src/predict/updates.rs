//! The multiplicative updates of the reference for one cell (or one feature) with the other factor held.
//!
//! `h_k <- h_k / c_k sum_f w_fk v_f / (w_f'h)`. Eight features at a time, all classes of them together: fits, ratios and
//! sums stay in registers, and what is read of the weights is read once for each update. Sums run in eight lanes, so that
//! all processors with fused multiply-adds agree to the bit.

#![allow(clippy::inline_always, clippy::needless_range_loop)]

use ferrocyte_math::fused::{FusedKernel, fused, multiply_add};

/// Features side by side.
const LANES: usize = 8;

/// In place of a fit of 0, which only padding has.
const TINY: f64 = 1e-300;

/// A number for each of some features.
type Pack = [f64; LANES];

/// Values of features and their weights, packed for updates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Updates {
    /// Sums of the weights of each class over all features.
    c: Vec<f64>,
    /// Values, 0 in the padding.
    v: Vec<Pack>,
    /// Weights, pack after pack, and within one class after class; 0 in the padding.
    w: Vec<Pack>,
}

impl Updates {
    /// No features yet, with the sums of the weights of each class.
    pub(crate) fn new(c: Vec<f64>) -> Self {
        Self { c, ..Self::default() }
    }

    /// Sets the values and weights: values that are above 0 with the weights of their features.
    pub(crate) fn set<'a>(&mut self, features: impl Iterator<Item = (f64, &'a [f64])>) {
        let k = self.c.len();
        self.v.clear();
        self.w.clear();
        for (f, (value, weights)) in features.enumerate() {
            let (pack, lane) = (f / LANES, f % LANES);
            if lane == 0 {
                self.v.push([0.0; LANES]);
                self.w.resize((pack + 1) * k, [0.0; LANES]);
            }
            self.v[pack][lane] = value;
            for (w, &weight) in self.w[pack * k..].iter_mut().zip(weights) {
                w[lane] = weight;
            }
        }
    }

    /// `times` updates of `h`.
    pub(crate) fn update(&self, h: &mut [f64], times: usize) {
        // Sums of up to sixteen classes fit the registers; the loop is compiled for each number.
        macro_rules! compiled {
            ($($k:literal)*) => {
                match self.c.len() {
                    $($k => fused(Fixed::<$k> { of: self, h, times }),)*
                    _ => fused(Any { of: self, h, times }),
                }
            };
        }
        compiled!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    }
}

/// `v / fit`.
#[inline(always)]
fn ratios(v: &Pack, fit: &Pack) -> Pack {
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        out[lane] = v[lane] / if fit[lane] > TINY { fit[lane] } else { TINY };
    }
    out
}

/// The sum of a pack, lane after lane.
#[inline(always)]
fn total(pack: &Pack) -> f64 {
    let mut sum = 0.0;
    for lane in 0..LANES {
        sum += pack[lane];
    }
    sum
}

/// Updates of a number of classes that the compiler knows.
struct Fixed<'a, const K: usize> {
    of: &'a Updates,
    h: &'a mut [f64],
    times: usize,
}

impl<const K: usize> FusedKernel for Fixed<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, _registers: usize) {
        let Self { of, h, times } = self;
        let (packs, _) = of.w.as_chunks::<K>();
        for _ in 0..times {
            let mut sums = [[0.0; LANES]; K];
            for (v, w) in of.v.iter().zip(packs) {
                let mut fit = [0.0; LANES];
                for k in 0..K {
                    for lane in 0..LANES {
                        fit[lane] = multiply_add::<_, FUSED>(h[k], w[k][lane], fit[lane]);
                    }
                }
                let ratio = ratios(v, &fit);
                for k in 0..K {
                    for lane in 0..LANES {
                        sums[k][lane] = multiply_add::<_, FUSED>(w[k][lane], ratio[lane], sums[k][lane]);
                    }
                }
            }
            for k in 0..K {
                h[k] = h[k] * total(&sums[k]) / of.c[k];
            }
        }
    }
}

/// Updates of any number of classes, with the same order of operations.
struct Any<'a> {
    of: &'a Updates,
    h: &'a mut [f64],
    times: usize,
}

impl FusedKernel for Any<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, _registers: usize) {
        let Self { of, h, times } = self;
        let classes = of.c.len();
        let mut sums = vec![[0.0; LANES]; classes];
        for _ in 0..times {
            sums.fill([0.0; LANES]);
            for (v, w) in of.v.iter().zip(of.w.chunks_exact(classes)) {
                let mut fit = [0.0; LANES];
                for (h, w) in h.iter().zip(w) {
                    for lane in 0..LANES {
                        fit[lane] = multiply_add::<_, FUSED>(*h, w[lane], fit[lane]);
                    }
                }
                let ratio = ratios(v, &fit);
                for (sum, w) in sums.iter_mut().zip(w) {
                    for lane in 0..LANES {
                        sum[lane] = multiply_add::<_, FUSED>(w[lane], ratio[lane], sum[lane]);
                    }
                }
            }
            for k in 0..classes {
                h[k] = h[k] * total(&sums[k]) / of.c[k];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    /// Random values and weights of 43 features in `k` classes.
    fn drawn(k: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
        let mut draws = Stream::new(k as u64, 0);
        let values = (0..43).map(|_| draws.uniform() * 4.0 + 0.1).collect();
        (values, (0..43).map(|_| (0..k).map(|_| draws.uniform()).collect()).collect())
    }

    #[test]
    fn updates_are_those_of_plain_sums_for_any_number_of_classes() {
        for k in [1, 2, 5, 9, 16, 17, 23] {
            let (values, weights) = drawn(k);
            let c: Vec<f64> = (0..k).map(|t| weights.iter().map(|w| w[t]).sum::<f64>() + 1.0).collect();
            let mut updates = Updates::new(c.clone());
            updates.set(values.iter().zip(&weights).map(|(v, w)| (*v, &w[..])));
            let mut h: Vec<f64> = (0..k).map(|t| 0.2 + t as f64 * 0.1).collect();
            let mut plain = h.clone();
            updates.update(&mut h, 3);
            for _ in 0..3 {
                let fits: Vec<f64> = weights.iter().map(|w| w.iter().zip(&plain).map(|(w, h)| w * h).sum()).collect();
                for t in 0..k {
                    let of_class = weights.iter().zip(&values).zip(&fits).map(|((w, v), fit)| w[t] * v / fit);
                    let sum: f64 = of_class.sum();
                    plain[t] *= sum / c[t];
                }
            }
            for (found, expected) in h.iter().zip(&plain) {
                assert!((found / expected - 1.0).abs() < 1e-12, "{k}: {h:?} {plain:?}");
            }
        }
    }

    #[test]
    fn what_was_set_before_is_forgotten() {
        let (values, weights) = drawn(4);
        let mut updates = Updates::new(vec![20.0; 4]);
        let all = || values.iter().zip(&weights).map(|(v, w)| (*v, &w[..]));
        updates.set(all());
        updates.set(all().take(5));
        let mut once = vec![1.0; 4];
        updates.update(&mut once, 2);
        let mut fresh = Updates::new(vec![20.0; 4]);
        fresh.set(all().take(5));
        let mut expected = vec![1.0; 4];
        fresh.update(&mut expected, 2);
        assert_eq!(once, expected);
    }
}
