//! [`Best`]: what may be among the nearest of one point, from approximate gaps.

#![allow(clippy::inline_always)]

use ferrocyte_math::wide::Kernel;

use super::screen::Screen;

/// Gaps that are compared at once.
const STRETCH: usize = 32;

/// Candidates of one point. All whose gap may be among the `wanted` smallest are kept.
pub(super) struct Best {
    /// The point that asks.
    point: u32,
    wanted: usize,
    room: usize,
    /// No larger gap can be among the smallest.
    limit: f32,
    found: Vec<(f32, u32)>,
}

impl Best {
    pub(super) fn new(point: usize, wanted: usize) -> Self {
        let room = wanted + spare(wanted);
        Self { point: point as u32, wanted, room, limit: f32::INFINITY, found: Vec::with_capacity(room) }
    }

    /// The largest gap that may still be among the smallest.
    pub(super) fn limit(&self) -> f32 {
        self.limit
    }

    /// Approximate gaps and points that were kept.
    pub(super) fn candidates(&self) -> &[(f32, u32)] {
        &self.found
    }

    /// A candidate with a smaller gap is certainly among the smallest. For use after [`Best::tighten`].
    pub(super) fn certain(&mut self, screen: &Screen) -> f32 {
        if self.found.len() <= self.wanted {
            return f32::INFINITY;
        }
        if self.wanted == 0 {
            return f32::NEG_INFINITY;
        }
        let (_, last, _) = self.found.select_nth_unstable_by(self.wanted - 1, |a, b| a.0.total_cmp(&b.0));
        // The true gap of a candidate below is less than that of the last, less one error; fewer than `wanted` have one.
        last.0 - 2.0 * screen.error(self.point as usize, last.0.max(0.0))
    }

    #[inline]
    fn offer(&mut self, gap: f32, point: u32, screen: &Screen) {
        if point == self.point {
            return;
        }
        self.found.push((gap, point));
        if self.found.len() >= self.room {
            self.tighten(screen);
            // Many equal gaps: they all stay, and room is made for more.
            self.room = self.room.max(self.found.len() + spare(self.wanted) / 2);
        }
    }

    /// [`Best::tighten`], once enough candidates have come for it to pay.
    pub(super) fn tighten_now_and_then(&mut self, screen: &Screen) {
        if self.limit == f32::INFINITY || self.found.len() >= self.wanted + self.wanted / 4 {
            self.tighten(screen);
        }
    }

    /// Forgets candidates that cannot be among the smallest.
    pub(super) fn tighten(&mut self, screen: &Screen) {
        if self.wanted == 0 {
            self.found.clear();
            self.limit = f32::NEG_INFINITY;
            return;
        }
        if self.found.len() < self.wanted {
            return;
        }
        let (_, last, _) = self.found.select_nth_unstable_by(self.wanted - 1, |a, b| a.0.total_cmp(&b.0));
        let gap = last.0.max(0.0);
        // The true gap of the last is at most one error larger, and one that beats it may look one larger than it is.
        let limit = gap + 2.0 * screen.error(self.point as usize, gap);
        self.limit = self.limit.min(limit);
        let limit = self.limit;
        self.found.retain(|(gap, _)| *gap <= limit);
    }
}

/// Room for candidates beyond those that are wanted. All are looked through whenever it is full: with little room that is
/// often, with much of it the limit is old.
fn spare(wanted: usize) -> usize {
    if wanted <= 128 { wanted.clamp(16, 64) } else { wanted / 2 }
}

/// Offers a block of gaps, a row for each of `rows` into `bests`, the columns being points from `first` on.
pub(super) struct Offer<'a> {
    pub(super) gaps: &'a [f32],
    pub(super) bests: &'a mut [Best],
    pub(super) rows: &'a [u32],
    pub(super) first: usize,
    pub(super) width: usize,
    pub(super) screen: &'a Screen,
}

impl Kernel for Offer<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (gaps, row) in self.gaps.chunks_exact(self.width).zip(self.rows) {
            let best = &mut self.bests[*row as usize];
            let mut limit = best.limit;
            let mut at = self.first;
            for stretch in gaps.chunks(STRETCH) {
                let mut any = 0_u32;
                if let Ok(stretch) = <&[f32; STRETCH]>::try_from(stretch) {
                    for l in 0..STRETCH {
                        any |= u32::from(stretch[l] <= limit);
                    }
                } else {
                    any = 1;
                }
                if any != 0 {
                    for (l, gap) in stretch.iter().enumerate() {
                        if *gap <= limit {
                            best.offer(*gap, (at + l) as u32, self.screen);
                            limit = best.limit;
                        }
                    }
                }
                at += stretch.len();
            }
        }
    }
}
