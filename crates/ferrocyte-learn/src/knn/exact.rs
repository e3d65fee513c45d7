//! All pairs, in blocks that fit the processor's memory.

use std::ops::Range;

use ferrocyte_base::{Result, Run};
use ferrocyte_math::wide::widest;

use super::best::{Best, Offer};
use super::metric::{Gaps, Metric};
use super::screen::Screen;
use super::settled::Settled;

/// Points that ask together.
pub(super) const ASKING: usize = 128;

/// Points that are asked together.
const ASKED: usize = 1024;

/// Prepared rows, and between which gaps are measured.
pub(super) struct Rows<'a> {
    values: &'a [f64],
    n: usize,
    d: usize,
    metric: Metric,
}

impl<'a> Rows<'a> {
    pub(super) fn new(values: &'a [f64], n: usize, d: usize, metric: Metric) -> Self {
        Self { values, n, d, metric }
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// The screen of these rows in an order.
    pub(super) fn screen(&self, order: &[u32]) -> Screen {
        Screen::new(self.values, self.d, self.metric, order)
    }

    /// A distance on the scale of the screen.
    pub(super) fn shrunk(&self, screen: &Screen, distance: f64) -> f32 {
        (self.metric.gap_at(distance) / screen.unit()).sqrt() as f32
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.d..(i + 1) * self.d]
    }

    /// The same rows in an order, so that points that are looked at together stand together.
    pub(super) fn ordered(&self, order: &[u32]) -> Vec<f64> {
        order.iter().flat_map(|i| self.row(*i as usize)).copied().collect()
    }

    /// These rows where they stand in `values`, see [`Rows::ordered`].
    pub(super) fn standing_in<'b>(&self, values: &'b [f64]) -> Rows<'b> {
        Rows { values, ..*self }
    }

    /// The gap between two rows.
    pub(super) fn gap(&self, a: u32, b: u32) -> f64 {
        self.metric.gap(self.row(a as usize), self.row(b as usize))
    }

    /// The gaps between a row and others, which stand beside their approximate gaps.
    pub(super) fn gaps(&self, from: u32, to: &[(f32, u32)]) -> Vec<f64> {
        widest(Gaps { metric: self.metric, values: self.values, d: self.d, from, to })
    }

    /// The distance that belongs to a gap.
    pub(super) fn distance(&self, gap: f64) -> f64 {
        self.metric.distance(gap)
    }
}

/// What `pack` makes of the nearest `k` of some points at a time, in the order of the points.
pub(super) fn all<R: Settled, B: Send>(
    run: &Run,
    rows: &Rows<'_>,
    k: usize,
    pack: impl Fn(Vec<R>) -> B + Sync,
) -> Result<Vec<B>> {
    let order: Vec<u32> = (0..rows.n as u32).collect();
    let screen = rows.screen(&order);
    run.map_ranges("neighbours", rows.n, ASKING, |range| Ok(pack(of(rows, &screen, &range.collect::<Vec<_>>(), k))))
}

/// The nearest `k` of a few points among all; the screen is in the order of the rows.
pub(super) fn of<R: Settled>(rows: &Rows<'_>, screen: &Screen, points: &[usize], k: usize) -> Vec<R> {
    let mut bests: Vec<Best> = points.iter().map(|i| Best::new(*i, k - 1)).collect();
    let lefts: Vec<f32> = points.iter().flat_map(|i| screen.left(*i)).copied().collect();
    let asking: Vec<u32> = (0..points.len() as u32).collect();
    let mut gaps = vec![0.0; points.len() * ASKED.min(screen.n())];
    for first in (0..screen.n()).step_by(ASKED) {
        let columns = first..(first + ASKED).min(screen.n());
        offer(screen, &lefts, columns, &mut bests, &asking, &mut gaps);
    }
    let settle = |(best, point): (&mut Best, &usize)| R::settle(best, rows, screen, *point as u32, k, |j| j);
    bests.iter_mut().zip(points).map(settle).collect()
}

/// Offers the points of `columns` to the rows that ask.
pub(super) fn offer(
    screen: &Screen,
    lefts: &[f32],
    columns: Range<usize>,
    bests: &mut [Best],
    asking: &[u32],
    gaps: &mut [f32],
) {
    let (first, width) = (columns.start, columns.len());
    let gaps = &mut gaps[..asking.len() * width];
    if gaps.is_empty() {
        return;
    }
    screen.fill(lefts, columns, gaps);
    widest(Offer { gaps, bests, rows: asking, first, width, screen });
}
