//! What is made of the candidates of a point: its neighbours by distance ([`Row`]), or which they are ([`Set`]).

use super::best::Best;
use super::exact::Rows;
use super::screen::Screen;

/// The neighbours of one point, from candidates among which they certainly are.
pub(super) trait Settled: Sized + Send {
    /// The nearest `k` of the row `place`, itself among them; `point` tells what point stands in a place.
    fn settle(
        best: &mut Best,
        rows: &Rows<'_>,
        screen: &Screen,
        place: u32,
        k: usize,
        point: impl Fn(u32) -> u32,
    ) -> Self;

    /// The point itself.
    fn point(&self) -> u32;

    /// Whether a point is among its neighbours.
    fn has(&self, other: u32) -> bool;
}

/// The neighbours of one point: itself, then the others by distance and index.
pub(super) type Row = Vec<(f64, u32)>;

impl Settled for Row {
    fn settle(
        best: &mut Best,
        rows: &Rows<'_>,
        screen: &Screen,
        place: u32,
        k: usize,
        point: impl Fn(u32) -> u32,
    ) -> Self {
        best.tighten(screen);
        let gaps = rows.gaps(place, best.candidates());
        let mut found: Self = gaps.into_iter().zip(best.candidates()).map(|(gap, &(_, j))| (gap, point(j))).collect();
        found.sort_unstable_by(by_gap);
        found.truncate(k - 1);
        let mut row = Self::with_capacity(k);
        row.push((0.0, point(place)));
        row.extend(found.into_iter().map(|(gap, j)| (rows.distance(gap), j)));
        row
    }

    fn point(&self) -> u32 {
        self[0].1
    }

    fn has(&self, other: u32) -> bool {
        self.iter().any(|(_, i)| *i == other)
    }
}

/// The points of a [`Row`]: itself, then the others in no order. Distances are measured only where the screen does not
/// decide, which is seldom.
pub(super) struct Set(pub(super) Vec<u32>);

impl Settled for Set {
    fn settle(
        best: &mut Best,
        rows: &Rows<'_>,
        screen: &Screen,
        place: u32,
        k: usize,
        point: impl Fn(u32) -> u32,
    ) -> Self {
        best.tighten(screen);
        let certain = best.certain(screen);
        let mut set = Vec::with_capacity(k);
        set.push(point(place));
        let mut others = Vec::new();
        for &(gap, j) in best.candidates() {
            if gap < certain {
                set.push(point(j));
            } else {
                others.push((rows.gap(place, j), point(j)));
            }
        }
        let missing = k - set.len();
        if missing < others.len() {
            others.select_nth_unstable_by(missing, by_gap);
            others.truncate(missing);
        }
        set.extend(others.into_iter().map(|(_, j)| j));
        Self(set)
    }

    fn point(&self) -> u32 {
        self.0[0]
    }

    fn has(&self, other: u32) -> bool {
        self.0.contains(&other)
    }
}

fn by_gap(a: &(f64, u32), b: &(f64, u32)) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}
