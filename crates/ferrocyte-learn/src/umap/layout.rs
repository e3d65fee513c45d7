//! Descent along sampled gradients, all points at once.
//!
//! An edge of weight w pulls its ends together, in proportion to `w / w_max`, and for each pull some other points,
//! drawn at random, push. In the published algorithm edges take turns, and each moves its ends before the next is
//! looked at. Here a point adds up all that pulls and pushes it, from the places after the last move, which gives the
//! mean of what the sampled edges would give; since its neighbours move towards it at the same time, the step is
//! divided by one and twice the stiffness of the pull (a semi-implicit step), so that two ends meet half way and do not
//! swap places. The balance of pull and push, and with it what the embedding comes to, stays that of the gradient.

#![allow(clippy::inline_always)]

use ferrocyte_base::{Result, Run};
use ferrocyte_math::wide::{Kernel, widest};

use super::UmapOptions;
use super::curve::Curve;
use crate::Graph;

/// Neighbours that are worked on together.
const LANES: usize = 8;

/// Points that a thread moves at a time.
const BLOCK: usize = 512;

/// Each push is at most so long in any direction.
const LONGEST: f32 = 4.0;

/// Adding this rounds to an integer, which then stands in the lowest bits: 1.5 · 2²³.
const ROUNDER: f32 = 12_582_912.0;

/// Squared distances count as at least this.
const NEAREST: f32 = 1e-12;

/// Moves in each epoch. The steps are shorter than those of the published algorithm where pulls are stiff: with one
/// move neighbourhoods are told a little less well than there, with two as well.
const MOVES: usize = 2;

/// Pushes are drawn for so many of those that the published algorithm draws; each counts for more accordingly.
const DRAWN: f64 = 0.5;

/// Moves the points from `places` on, in `n_epochs` rounds.
pub(super) fn improve(
    run: &Run,
    graph: &Graph,
    places: &mut Vec<f32>,
    curve: &Curve,
    n_epochs: usize,
    options: &UmapOptions,
) -> Result<()> {
    match options.dims {
        1 => rounds::<1>(run, graph, places, curve, n_epochs, options),
        2 => rounds::<2>(run, graph, places, curve, n_epochs, options),
        3 => rounds::<3>(run, graph, places, curve, n_epochs, options),
        4 => rounds::<4>(run, graph, places, curve, n_epochs, options),
        5..=8 => rounds::<8>(run, graph, places, curve, n_epochs, options),
        _ => rounds::<16>(run, graph, places, curve, n_epochs, options),
    }
}

/// With room for `D` coordinates, those beyond the dimensions asked for being 0.
fn rounds<const D: usize>(
    run: &Run,
    graph: &Graph,
    places: &mut Vec<f32>,
    curve: &Curve,
    n_epochs: usize,
    options: &UmapOptions,
) -> Result<()> {
    let n = graph.n();
    let dims = options.dims;
    if n == 0 || n_epochs == 0 {
        return Ok(());
    }
    let pulls = Pulls::new(graph, n_epochs, options.negatives);
    let mut old = vec![[0.0_f32; D]; n];
    for (place, row) in old.iter_mut().zip(places.chunks_exact(dims)) {
        place[..dims].copy_from_slice(row);
    }
    let mut new = old.clone();
    let n_moves = MOVES * n_epochs;
    let task = run.task("umap", n_moves as u64);
    for t in 0..n_moves {
        run.check()?;
        let step = options.learning_rate * (1.0 - t as f64 / n_moves as f64);
        let key = mix(mix(options.seed) ^ t as u64);
        run.for_each_chunk(&mut new, BLOCK, |block, part| {
            widest(Moves {
                first: block * BLOCK,
                old: &old,
                new: part,
                pulls: &pulls,
                a: curve.a as f32,
                b: curve.b as f32,
                push: options.repulsion as f32,
                step: step as f32,
                key,
            });
        })?;
        std::mem::swap(&mut old, &mut new);
        task.advance(1);
    }
    places.clear();
    places.extend(old.iter().flat_map(|place| &place[..dims]));
    Ok(())
}

/// What pulls each point: neighbours and rates, in whole lanes.
struct Pulls {
    starts: Vec<usize>,
    /// Neighbour, and twice the share of epochs in which the edge is drawn: it is stored at both ends, and moves both.
    ends: Vec<(u32, f32)>,
    /// How many pushes are drawn, in lanes, and what each counts.
    pushes: Vec<(u32, f32)>,
}

impl Pulls {
    fn new(graph: &Graph, n_epochs: usize, negatives: f64) -> Self {
        let largest = graph.weights().iter().copied().fold(0.0_f32, f32::max);
        // Edges that would never be drawn.
        let least = if n_epochs > 10 { largest / n_epochs as f32 } else { 0.0 };
        let drawn = |i: usize| graph.row(i).1.iter().filter(|w| **w >= least).count();
        let room = (0..graph.n()).map(|i| drawn(i).next_multiple_of(LANES)).sum();
        let (mut starts, mut ends, mut pushes) = (vec![0], Vec::with_capacity(room), Vec::new());
        for i in 0..graph.n() {
            let (neighbours, weights) = graph.row(i);
            let mut sum = 0.0;
            for (j, w) in neighbours.iter().zip(weights).filter(|(_, w)| **w >= least) {
                ends.push((*j, 2.0 * w / largest));
                sum += f64::from(w / largest);
            }
            ends.resize(ends.len().next_multiple_of(LANES), (i as u32, 0.0));
            starts.push(ends.len());
            let all = negatives * sum;
            let lanes = (all * DRAWN / LANES as f64).ceil();
            let each = if lanes > 0.0 { all / (lanes * LANES as f64) } else { 0.0 };
            pushes.push((lanes as u32, each as f32));
        }
        Self { starts, ends, pushes }
    }
}

/// One move of some points.
struct Moves<'a, const D: usize> {
    first: usize,
    old: &'a [[f32; D]],
    new: &'a mut [[f32; D]],
    pulls: &'a Pulls,
    a: f32,
    b: f32,
    push: f32,
    step: f32,
    key: u64,
}

impl<const D: usize> Kernel for Moves<'_, D> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let n = self.old.len() as u64;
        let (two_ab, two_b) = (2.0 * self.a * self.b, 2.0 * self.b * self.push);
        let mut at = [0_u32; LANES];
        for l in 0..self.new.len() {
            let i = self.first + l;
            let here = self.old[i];
            let mut force = [[0.0_f32; LANES]; D];
            let mut stiffness = [0.0_f32; LANES];
            let ends = &self.pulls.ends[self.pulls.starts[i]..self.pulls.starts[i + 1]];
            for lanes in ends.as_chunks::<LANES>().0 {
                for t in 0..LANES {
                    at[t] = lanes[t].0;
                }
                let (away, square) = differences(self.old, &here, &at);
                for t in 0..LANES {
                    let power = power(square[t], self.b);
                    let pull = lanes[t].1 * two_ab * power / (square[t] * (1.0 + self.a * power));
                    stiffness[t] += pull;
                    for c in 0..D {
                        force[c][t] -= pull * away[c][t];
                    }
                }
            }
            let (n_lanes, each) = self.pulls.pushes[i];
            let mut state = self.key.wrapping_add((i as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
            for _ in 0..n_lanes {
                for t in 0..LANES / 2 {
                    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let bits = mix(state);
                    at[2 * t] = (((bits >> 32) * n) >> 32) as u32;
                    at[2 * t + 1] = (((bits & 0xffff_ffff) * n) >> 32) as u32;
                }
                let (away, square) = differences(self.old, &here, &at);
                for t in 0..LANES {
                    let power = power(square[t], self.b);
                    let push = two_b / ((0.001 + square[t]) * (1.0 + self.a * power));
                    for c in 0..D {
                        let moved = push * away[c][t];
                        let moved = if moved > LONGEST { LONGEST } else { moved };
                        let moved = if moved < -LONGEST { -LONGEST } else { moved };
                        force[c][t] += each * moved;
                    }
                }
            }
            let step = self.step / (1.0 + 2.0 * self.step * sum(&stiffness));
            let mut place = here;
            for c in 0..D {
                place[c] += step * sum(&force[c]);
            }
            self.new[l] = place;
        }
    }
}

/// From some points to `here`, coordinate by coordinate, and the squares of the distances.
#[inline(always)]
fn differences<const D: usize>(
    places: &[[f32; D]],
    here: &[f32; D],
    at: &[u32; LANES],
) -> ([[f32; LANES]; D], [f32; LANES]) {
    let mut away = [[0.0_f32; LANES]; D];
    for t in 0..LANES {
        let there = &places[at[t] as usize];
        for c in 0..D {
            away[c][t] = here[c] - there[c];
        }
    }
    let mut square = [0.0_f32; LANES];
    for c in 0..D {
        for t in 0..LANES {
            square[t] += away[c][t] * away[c][t];
        }
    }
    for t in 0..LANES {
        square[t] = if square[t] > NEAREST { square[t] } else { NEAREST };
    }
    (away, square)
}

/// `x` to the power of `b`, for positive normal `x`, to about six digits, without branches.
#[inline(always)]
fn power(x: f32, b: f32) -> f32 {
    // log2 x = exponent + log2 m with m in [1/sqrt 2, sqrt 2), by the series of artanh((m - 1) / (m + 1)).
    let bits = x.to_bits();
    let stepped = bits.wrapping_sub(0x3f35_04f3);
    let exponent = (stepped as i32) >> 23;
    let m = f32::from_bits(bits.wrapping_sub((exponent as u32) << 23));
    let s = (m - 1.0) / (m + 1.0);
    let y = s * s;
    let log = exponent as f32 + s * (2.885_390_1 + y * (0.961_796_7 + y * (0.577_078_04 + y * 0.412_198_6)));
    // 2 to the power of that.
    let z = b * log;
    let z = if z > 126.0 { 126.0 } else { z };
    let z = if z < -126.0 { -126.0 } else { z };
    let rounded = z + ROUNDER;
    let r = z - (rounded - ROUNDER);
    let fraction = 1.0
        + r * (std::f32::consts::LN_2
            + r * (0.240_226_5
                + r * (0.055_504_11 + r * (0.009_618_129 + r * (0.001_333_355_8 + r * 0.000_154_035_3)))));
    // The lowest bits of what was rounded are a whole number, to be the exponent.
    f32::from_bits(rounded.to_bits().wrapping_sub(ROUNDER.to_bits()).wrapping_add(127) << 23) * fraction
}

/// The sum of all lanes, in a fixed order.
#[inline(always)]
fn sum(lanes: &[f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = *lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// 64 bits that depend on all bits of `x`: the finaliser of G. L. Steele, D. Lea and C. H. Flood, *Fast splittable
/// pseudorandom number generators*, 2014.
#[inline(always)]
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_have_six_digits() {
        for b in [0.3_f32, 0.79, 1.0, 1.33, 1.9] {
            for t in -60..40 {
                for part in [1.0, 1.2, 1.4141, 1.4143, 1.9999] {
                    let x = (f64::from(t) * 0.5).exp2() * part;
                    let (found, expected) = (f64::from(power(x as f32, b)), x.powf(f64::from(b)));
                    assert!((found / expected - 1.0).abs() < 2e-5, "{x}^{b}: {found}, expected {expected}");
                }
            }
        }
    }
}
