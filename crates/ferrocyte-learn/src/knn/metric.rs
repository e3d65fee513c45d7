//! [`Metric`]: what near means.

#![allow(clippy::inline_always)]

use std::borrow::Cow;

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::dot;
use ferrocyte_math::wide::Kernel;

use crate::Points;

/// Coordinates up to here have squares whose sums are finite.
const LARGEST: f64 = 1e150;

/// A distance between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// The root of the sum of squared differences.
    #[default]
    Euclidean,
    /// One minus the cosine of the angle between the rows.
    Cosine,
    /// One minus the correlation of the rows.
    Correlation,
    /// The sum of absolute differences.
    Manhattan,
}

impl Metric {
    /// The word of this metric.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Euclidean => "euclidean",
            Self::Cosine => "cosine",
            Self::Correlation => "correlation",
            Self::Manhattan => "manhattan",
        }
    }

    /// Rows between which squared Euclidean distances (for Manhattan: sums of absolute differences) order neighbours.
    ///
    /// Angles become distances between rows of length 1: half their square is one minus the cosine.
    pub(super) fn prepare(self, points: Points<'_>) -> Result<Cow<'_, [f64]>> {
        let d = points.d();
        if matches!(self, Self::Euclidean | Self::Manhattan) || d == 0 {
            if let Some(x) = points.values().iter().find(|x| x.abs() > LARGEST) {
                let message = format!("the squares of coordinates must stay finite, found a coordinate of {x:e}");
                return Err(Fault::bad_input(message).hint("scale the columns"));
            }
            return Ok(Cow::Borrowed(points.values()));
        }
        let mut rows = points.values().to_vec();
        let mut without = Vec::new();
        for (i, row) in rows.chunks_exact_mut(d).enumerate() {
            // Powers of two first, so that squares neither overflow nor vanish.
            let largest = row.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            row.iter_mut().for_each(|x| *x /= largest);
            if self == Self::Correlation {
                let mean = row.iter().sum::<f64>() / d as f64;
                row.iter_mut().for_each(|x| *x -= mean);
            }
            let length = dot(row, row).sqrt();
            // Also catches a row of zeros, whose entries are now NaN, and a constant row up to rounding.
            if !(length > 1e-14) {
                without.push(i);
                continue;
            }
            row.iter_mut().for_each(|x| *x /= length);
        }
        if let Some(first) = without.first() {
            let what = if self == Self::Cosine { "zero throughout" } else { "constant" };
            let message = format!(
                "{} of {} rows are {what} and have no {} distance, the first is row {first}",
                without.len(),
                points.n(),
                self.word()
            );
            return Err(Fault::bad_input(message).hint("leave them out, or use the euclidean metric"));
        }
        Ok(Cow::Owned(rows))
    }

    /// What is compared between two prepared rows: a squared length, or a sum of absolute differences.
    pub(super) fn gap(self, a: &[f64], b: &[f64]) -> f64 {
        if self == Self::Manhattan { gap::<true>(a, b) } else { gap::<false>(a, b) }
    }

    /// The distance that belongs to a [`Metric::gap`].
    pub(super) fn distance(self, gap: f64) -> f64 {
        match self {
            Self::Euclidean => gap.sqrt(),
            Self::Cosine | Self::Correlation => 0.5 * gap,
            Self::Manhattan => gap,
        }
    }

    /// The gap that belongs to a distance.
    pub(super) fn gap_at(self, distance: f64) -> f64 {
        match self {
            Self::Euclidean => distance * distance,
            Self::Cosine | Self::Correlation => 2.0 * distance,
            Self::Manhattan => distance,
        }
    }
}

/// The gap of two rows: a sum of absolute differences, or of squared ones.
#[inline(always)]
pub(super) fn gap<const ABSOLUTE: bool>(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (chunks_a, tail_a) = a.as_chunks::<LANES>();
    let (chunks_b, tail_b) = b.as_chunks::<LANES>();
    let mut lanes = [0.0_f64; LANES];
    for (x, y) in chunks_a.iter().zip(chunks_b) {
        for l in 0..LANES {
            let difference = x[l] - y[l];
            lanes[l] += if ABSOLUTE { difference.abs() } else { difference * difference };
        }
    }
    let mut tail = 0.0;
    for (x, y) in tail_a.iter().zip(tail_b) {
        let difference = x - y;
        tail += if ABSOLUTE { difference.abs() } else { difference * difference };
    }
    lanes.iter().sum::<f64>() + tail
}

/// The gaps of one row and some others of an array with rows of `d` numbers.
pub(super) struct Gaps<'a> {
    pub(super) metric: Metric,
    pub(super) values: &'a [f64],
    pub(super) d: usize,
    pub(super) from: u32,
    /// The others: their numbers, beside approximate gaps.
    pub(super) to: &'a [(f32, u32)],
}

impl Kernel for Gaps<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn run(self) -> Vec<f64> {
        let (d, from) = (self.d, self.from as usize);
        let a = &self.values[from * d..(from + 1) * d];
        let mut out = Vec::with_capacity(self.to.len());
        for &(_, to) in self.to {
            let b = &self.values[to as usize * d..(to as usize + 1) * d];
            out.push(if self.metric == Metric::Manhattan { gap::<true>(a, b) } else { gap::<false>(a, b) });
        }
        out
    }
}
