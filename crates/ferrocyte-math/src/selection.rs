//! [`Selector`]: values at given ranks without sorting, by counting in bins.
//!
//! A bin is a monotone function of the value, so that the value at a rank lies in the bin where the running count
//! reaches it, and only that bin is searched. Three passes that the compiler turns into vector instructions, and one
//! that counts.

#![allow(clippy::inline_always)]

use crate::wide::{self, Kernel};

const BINS: usize = 2048;

/// The last of them.
const LAST: f64 = (BINS - 1) as f64;

/// Bins that are looked through at once.
const STRETCH: usize = 16;

/// About how many values tell the range of all.
const SAMPLE: usize = 512;

/// Adding this rounds to an integer that stands in the lowest bits: 2⁵².
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// Finds values by rank; keeps its room between calls.
///
/// ```
/// use ferrocyte_math::selection::Selector;
/// let mut selector = Selector::default();
/// assert_eq!(selector.pick(&[5.0, -1.0, 3.0, 3.0], [0, 2]), [-1.0, 3.0]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Selector {
    bins: Vec<u16>,
    counts: Vec<u32>,
    room: Vec<f64>,
}

/// How values become bins.
#[derive(Clone, Copy)]
enum Scale {
    /// Evenly from a value on, with so many bins per unit.
    Even(f64, f64),
    /// By the logarithm of 1 + value, 64 bins per doubling: for counts, whose range is wide.
    Doubling,
}

impl Selector {
    /// The values at two ranks (from 0, in any order) of finite `values`.
    ///
    /// # Panics
    /// When a rank is beyond the values: a mistake in the code, not in data.
    pub fn pick(&mut self, values: &[f64], ranks: [usize; 2]) -> [f64; 2] {
        // Some of the values tell their range well enough: bins at the ends take what lies beyond.
        let seen = values.iter().step_by((values.len() / SAMPLE).max(1));
        let (least, most) = seen.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
        let scale = (BINS - 1) as f64 / (most - least);
        // A range that overflows, or underflows, leaves one bin.
        let scale = if scale.is_finite() { scale } else { 0.0 };
        self.search(values, Scale::Even(least, scale), ranks)
    }

    /// [`Selector::pick`] for values that are not negative and spread over orders of magnitude.
    pub fn pick_counts(&mut self, counts: &[f64], ranks: [usize; 2]) -> [f64; 2] {
        self.search(counts, Scale::Doubling, ranks)
    }

    /// The quantile of `counts` at `share`, interpolated between ranks around `share (n - 1)` (type 7 of R), with
    /// `zeros` more zeros (fewer, where negative) than there are in `counts`. NaN if nothing is left.
    pub fn quantile_of_counts(&mut self, counts: &[f64], share: f64, zeros: isize) -> f64 {
        let Some(n) = counts.len().checked_add_signed(zeros).filter(|n| *n > 0) else { return f64::NAN };
        let place = (n - 1) as f64 * share;
        let ranks = [place.floor(), place.ceil()].map(|rank| rank as isize - zeros);
        let below = [0, 1].map(|k| ranks[k] < 0);
        let picked = self.pick_counts(counts, ranks.map(|rank| rank.max(0) as usize));
        let [low, high] = [0, 1].map(|k| if below[k] { 0.0 } else { picked[k] });
        let part = place - place.floor();
        if low == high || part == 0.0 { low } else { (1.0 - part) * low + part * high }
    }

    /// The median of finite `values`; NaN if there are none.
    pub fn median(&mut self, values: &[f64]) -> f64 {
        let n = values.len();
        if n == 0 {
            return f64::NAN;
        }
        let [low, high] = self.pick(values, [(n - 1) / 2, n / 2]);
        if n % 2 == 1 { low } else { 0.5 * (low + high) }
    }

    fn search(&mut self, values: &[f64], scale: Scale, ranks: [usize; 2]) -> [f64; 2] {
        self.bins.resize(values.len(), 0);
        wide::widest(Binned { values, scale, bins: &mut self.bins });
        self.counts.clear();
        self.counts.resize(2 * BINS, 0);
        // Two sets of counts, so that equal neighbours do not wait for one another.
        let (even, odd) = self.counts.split_at_mut(BINS);
        let (pairs, last) = self.bins.as_chunks::<2>();
        for [a, b] in pairs {
            even[*a as usize] += 1;
            odd[*b as usize] += 1;
        }
        for bin in last {
            even[*bin as usize] += 1;
        }
        let [first, second] = ranks.map(|rank| self.bin_of(rank));
        let low = self.within(values, first, ranks[0]);
        if ranks[1] == ranks[0] {
            return [low; 2];
        }
        [low, self.within(values, second, ranks[1])]
    }

    /// The bin that holds a rank, and how many values are in the bins before it.
    fn bin_of(&self, rank: usize) -> (u16, usize) {
        let (even, odd) = self.counts.split_at(BINS);
        let mut before = 0;
        for bin in 0..BINS {
            let here = (even[bin] + odd[bin]) as usize;
            if rank < before + here {
                return (bin as u16, before);
            }
            before += here;
        }
        (BINS as u16, before)
    }

    fn within(&mut self, values: &[f64], (bin, before): (u16, usize), rank: usize) -> f64 {
        self.room.clear();
        let (stretches, tail) = self.bins.as_chunks::<STRETCH>();
        let of_bin = |values: &[f64], bins: &[u16], room: &mut Vec<f64>| {
            room.extend(values.iter().zip(bins).filter(|(_, b)| **b == bin).map(|(v, _)| *v));
        };
        for (values, bins) in values.chunks(STRETCH).zip(stretches) {
            // All are compared, at once: mostly none is in the bin.
            if bins.iter().fold(0, |any, b| any | u16::from(*b == bin)) != 0 {
                of_bin(values, bins, &mut self.room);
            }
        }
        of_bin(&values[values.len() - tail.len()..], tail, &mut self.room);
        *self.room.select_nth_unstable_by(rank - before, f64::total_cmp).1
    }
}

/// Bins of values.
struct Binned<'a> {
    values: &'a [f64],
    scale: Scale,
    bins: &'a mut [u16],
}

impl Kernel for Binned<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.scale {
            Scale::Even(least, scale) => {
                for (bin, x) in self.bins.iter_mut().zip(self.values) {
                    let place = (x - least) * scale;
                    let place = if place > 0.0 { place } else { 0.0 };
                    let place = if place < LAST { place } else { LAST };
                    *bin = (place + WHOLE).to_bits() as u16;
                }
            }
            Scale::Doubling => {
                let one = 1.0_f64.to_bits() >> 46;
                for (bin, x) in self.bins.iter_mut().zip(self.values) {
                    let step = ((x + 1.0).to_bits() >> 46).wrapping_sub(one);
                    *bin = (if step < BINS as u64 { step } else { BINS as u64 - 1 }) as u16;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_sorted_values() {
        let mut selector = Selector::default();
        for n in [1_usize, 2, 3, 17, 1000, 5001] {
            let values: Vec<f64> = (0..n).map(|i| ((i * 7919) % 1009) as f64 * 0.01 - 3.0).collect();
            let counts: Vec<f64> =
                (0..n).map(|i| ((i * 7919) % 1009) as f64).map(|x| (x * x * x / 1e4).floor()).collect();
            let (mut sorted, mut risen) = (values.clone(), counts.clone());
            sorted.sort_by(f64::total_cmp);
            risen.sort_by(f64::total_cmp);
            for rank in [0, n / 3, n / 2, n - 1] {
                assert_eq!(selector.pick(&values, [rank, n - 1 - rank]), [sorted[rank], sorted[n - 1 - rank]]);
                assert_eq!(selector.pick_counts(&counts, [rank, n - 1]), [risen[rank], risen[n - 1]]);
            }
        }
    }

    #[test]
    fn values_far_apart_share_a_bin() {
        let mut selector = Selector::default();
        assert_eq!(selector.pick(&[1e-300, 0.0, 1e300, 1e-299], [1, 2]), [1e-300, 1e-299]);
        assert_eq!(selector.pick(&[-1e308, 5.0, 1e308], [1, 2]), [5.0, 1e308]);
        assert_eq!(selector.pick_counts(&[1e18, 1e17, 3.0], [1, 2]), [1e17, 1e18]);
    }

    #[test]
    fn quantiles_with_more_and_fewer_zeros() {
        let mut selector = Selector::default();
        let counts = [0.0, 0.0, 4.0, 1.0, 9.0];
        assert_eq!(selector.quantile_of_counts(&counts, 0.75, 0), 4.0);
        // Without the two zeros 1, 4, 9.
        assert_eq!(selector.quantile_of_counts(&counts, 0.75, -2), 6.5);
        // With two zeros more 0, 0, 0, 0, 1, 4, 9.
        assert_eq!(selector.quantile_of_counts(&counts, 0.75, 2), 2.5);
        assert!(selector.quantile_of_counts(&[0.0], 0.5, -1).is_nan());
        assert_eq!(selector.median(&[4.0, 1.0, 9.0, 2.0]), 3.0);
        assert!(selector.median(&[]).is_nan());
    }
}
