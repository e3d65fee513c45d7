//! Points move to the neighbouring community where modularity gains most, until none gains.

use ferrocyte_math::random::Stream;

use super::compact;
use super::level::{Level, Reached};

/// Gains below this part of the degree of a point are rounding.
const NOTHING: f64 = 1e-12;

/// Moves points of `level` between the communities of `labels` (below the number of points) and numbers these anew,
/// from 0 without gaps; says how many there are and whether any point moved.
///
/// All points wait in a queue, in random order; one that moves calls its neighbours in other communities back into it
/// (V. A. Traag, L. Waltman and N. J. van Eck, *From Louvain to Leiden: guaranteeing well-connected communities*,
/// 2019).
pub(super) fn settle(level: &Level, labels: &mut [u32], resolution: f64, draws: &mut Stream) -> (usize, bool) {
    let n = level.n();
    if level.total == 0.0 {
        return (compact(labels), false);
    }
    let pull = resolution / level.total;
    let mut degrees = vec![0.0; n];
    let mut sizes = vec![0_u32; n];
    for (label, k) in labels.iter().zip(&level.degrees) {
        degrees[*label as usize] += k;
        sizes[*label as usize] += 1;
    }
    let mut empty: Vec<u32> = (0..n as u32).rev().filter(|c| sizes[*c as usize] == 0).collect();
    let mut queue = Queue::new(draws.permutation(n));
    let mut reached = Reached::new(n);
    let mut any = false;
    while let Some(i) = queue.next() {
        let here = labels[i];
        let k = level.degrees[i];
        for (j, w) in level.row(i) {
            reached.add(labels[*j as usize], *w);
        }
        // What each community is worth to the point, once it has left its own.
        degrees[here as usize] -= k;
        let worth = |c: u32| reached.weight(c) - pull * k * degrees[c as usize];
        let (mut best, mut most) = (here, worth(here) + NOTHING * k);
        for c in reached.found() {
            let value = worth(*c);
            if value > most {
                (best, most) = (*c, value);
            }
        }
        // Alone it is worth nothing.
        if most < 0.0 && sizes[here as usize] > 1 {
            best = empty[empty.len() - 1];
        }
        degrees[best as usize] += k;
        if best != here {
            any = true;
            if sizes[best as usize] == 0 {
                empty.pop();
            }
            sizes[best as usize] += 1;
            sizes[here as usize] -= 1;
            if sizes[here as usize] == 0 {
                degrees[here as usize] = 0.0;
                empty.push(here);
            }
            labels[i] = best;
            for (j, _) in level.row(i) {
                queue.call(*j, labels[*j as usize] != best);
            }
        }
        reached.clear();
    }
    (compact(labels), any)
}

/// Points that wait for their turn, each at most once.
struct Queue {
    /// A ring with room for all and one more.
    ring: Vec<u32>,
    first: usize,
    end: usize,
    waits: Vec<bool>,
}

impl Queue {
    fn new(order: Vec<usize>) -> Self {
        let n = order.len();
        let mut ring: Vec<u32> = order.into_iter().map(|i| i as u32).collect();
        ring.push(0);
        Self { ring, first: 0, end: n, waits: vec![true; n] }
    }

    fn next(&mut self) -> Option<usize> {
        if self.first == self.end {
            return None;
        }
        let i = self.ring[self.first] as usize;
        self.first = if self.first + 1 == self.ring.len() { 0 } else { self.first + 1 };
        self.waits[i] = false;
        Some(i)
    }

    /// Lets a point wait if `it_should` and does not yet. Written without a branch, since half of the points should.
    #[inline]
    fn call(&mut self, i: u32, it_should: bool) {
        let waits = &mut self.waits[i as usize];
        let new = it_should && !*waits;
        *waits |= it_should;
        self.ring[self.end] = i;
        let end = self.end + usize::from(new);
        self.end = if end == self.ring.len() { 0 } else { end };
    }
}
