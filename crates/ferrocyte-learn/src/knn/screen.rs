//! [`Screen`]: blocks of approximate distances in single precision, and how far they may be off.

#![allow(clippy::inline_always)]

use ferrocyte_math::linalg::product_of_rows;
use ferrocyte_math::wide::{Kernel, widest};

use super::metric::Metric;

/// Rows of sums of absolute differences that are worked on together.
const LANES: usize = 16;

/// Points centred and shrunk to a largest length of 1, so that single precision neither overflows nor loses digits to
/// a common offset.
///
/// A squared distance is one product of rows: `(-2a, 1, |a|²) · (b, |b|², 1)`.
pub(super) struct Screen {
    /// The rows that ask.
    left: Vec<f32>,
    /// The rows that are asked.
    right: Vec<f32>,
    width: usize,
    absolute: bool,
    /// What one gap of the screen is in true gaps.
    unit: f64,
    /// Lengths of the shrunk rows.
    lengths: Vec<f32>,
}

impl Screen {
    /// Rows of `d` numbers, in the given order.
    pub(super) fn new(rows: &[f64], d: usize, metric: Metric, order: &[u32]) -> Self {
        let n = order.len();
        let row = |i: u32| &rows[i as usize * d..(i as usize + 1) * d];
        let mut centre = vec![0.0; d];
        for x in rows.chunks_exact(d.max(1)) {
            centre.iter_mut().zip(x).for_each(|(c, x)| *c += x / n as f64);
        }
        let spread = |x: &[f64]| x.iter().zip(&centre).fold(0.0_f64, |m, (x, c)| m.max((x - c).abs()));
        // No row is longer than this.
        let longest = order.iter().map(|&i| spread(row(i))).fold(0.0, f64::max) * (d as f64).sqrt();
        // A power of two keeps all digits.
        let shrink = if longest > 0.0 { (-longest.log2().ceil()).exp2() } else { 1.0 };
        let absolute = metric == Metric::Manhattan;
        let width = if absolute { d } else { d + 2 };
        let (mut left, mut right) = (Vec::with_capacity(n * width), Vec::with_capacity(n * width));
        let mut lengths = Vec::with_capacity(n);
        for &i in order {
            let (mut squares, mut sum) = (0.0, 0.0_f64);
            for (x, c) in row(i).iter().zip(&centre) {
                let y = (x - c) * shrink;
                squares += y * y;
                sum += y.abs();
                left.push(if absolute { y as f32 } else { (-2.0 * y) as f32 });
                right.push(y as f32);
            }
            if !absolute {
                left.extend([1.0, squares as f32]);
                right.extend([squares as f32, 1.0]);
            }
            lengths.push(if absolute { sum as f32 } else { squares.sqrt() as f32 });
        }
        let unit = if absolute { 1.0 / shrink } else { 1.0 / (shrink * shrink) };
        Self { left, right, width, absolute, unit, lengths }
    }

    pub(super) fn n(&self) -> usize {
        self.lengths.len()
    }

    /// The row of point `i` that asks.
    pub(super) fn left(&self, i: usize) -> &[f32] {
        &self.left[i * self.width..(i + 1) * self.width]
    }

    /// The row of point `i` that is asked.
    pub(super) fn right(&self, i: usize) -> &[f32] {
        &self.right[i * self.width..(i + 1) * self.width]
    }

    /// The rows of a range of points that ask.
    pub(super) fn lefts(&self, range: std::ops::Range<usize>) -> &[f32] {
        &self.left[range.start * self.width..range.end * self.width]
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Gaps of the screen, as gaps between the rows themselves.
    pub(super) fn unit(&self) -> f64 {
        self.unit
    }

    /// A bound of the error of a gap, as large as `gap`, seen from point `i`.
    ///
    /// A sum of m products in single precision, in any order, is off by at most m + 1 half units in the last place of
    /// the sum of absolute products, here `(|a| + |b|)²`; entries rounded beforehand add four. A point that near is at
    /// most the root of `gap` further out than `i`.
    pub(super) fn error(&self, i: usize, gap: f32) -> f32 {
        let terms = (self.width + 6) as f32 * f32::EPSILON;
        let reach = if self.absolute {
            2.0 * self.lengths[i] + gap
        } else {
            let both = 2.0 * self.lengths[i] + gap.sqrt();
            both * both
        };
        // The last term covers what underflows.
        terms * reach + 1e-30
    }

    /// `out = gaps` between rows that ask and a range of points that are asked.
    pub(super) fn fill(&self, lefts: &[f32], range: std::ops::Range<usize>, out: &mut [f32]) {
        let rights = &self.right[range.start * self.width..range.end * self.width];
        if self.absolute {
            widest(Absolute { lefts, rights, width: self.width, out });
        } else {
            product_of_rows(lefts, rights, self.width, out);
        }
    }
}

/// Sums of absolute differences.
struct Absolute<'a> {
    lefts: &'a [f32],
    rights: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Absolute<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let width = self.width;
        if width == 0 {
            self.out.fill(0.0);
            return;
        }
        let n = self.rights.len() / width;
        let mut turned = vec![0.0_f32; LANES * width];
        for first in (0..n).step_by(LANES) {
            let here = LANES.min(n - first);
            for l in 0..here {
                for t in 0..width {
                    turned[t * LANES + l] = self.rights[(first + l) * width + t];
                }
            }
            for (i, left) in self.lefts.chunks_exact(width).enumerate() {
                let mut sums = [0.0_f32; LANES];
                for (x, lanes) in left.iter().zip(turned.chunks_exact(LANES)) {
                    for l in 0..LANES {
                        sums[l] += (x - lanes[l]).abs();
                    }
                }
                self.out[i * n + first..i * n + first + here].copy_from_slice(&sums[..here]);
            }
        }
    }
}
