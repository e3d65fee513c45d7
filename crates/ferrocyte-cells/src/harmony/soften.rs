//! [`Soften`]: cosines between cells and centres become memberships.

#![allow(clippy::inline_always, reason = "kernels are compiled where they run")]

use ferrocyte_math::fused::{FusedKernel, exp, multiply_add};

/// Numbers that fill a register.
pub(super) const LANES: usize = 8;

/// Numbers side by side.
pub(super) type Pack = [f64; LANES];

/// Rows whose exponentials are taken together.
const ROWS: usize = 16;

/// How many packs hold a row of `k` numbers, the last filled up with zeros.
pub(super) fn packs(k: usize) -> usize {
    k.div_ceil(LANES)
}

/// Sums over cells and clusters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    /// Membership × squared distance.
    pub(super) distance: f64,
    /// Membership × its logarithm.
    pub(super) entropy: f64,
}

/// Cosines of cells to their memberships `r`: `w exp(-distance / sigma)`, with squared distance `2 (1 - cosine)` and `w`
/// how welcome the cell is, brought to the sum 1. They are added to `sums`.
///
/// As `ln r = scale (cosine - largest) + ln w - ln (sum before)`, the entropy needs no logarithm of each.
pub(super) struct Soften<'a> {
    /// Cells × packs of a row: cosines, then memberships.
    pub(super) rows: &'a mut [Pack],
    /// Clusters; what stands in the lanes behind them is of no cluster.
    pub(super) k: usize,
    /// The kind of each cell.
    pub(super) kinds: &'a [u32],
    /// Kinds × packs of a row.
    pub(super) welcome: &'a [Pack],
    /// Its logarithms; 0 where nobody is welcome: there is no member then, and no part in the entropy.
    pub(super) ln_welcome: &'a [Pack],
    /// Kinds × packs of a row.
    pub(super) sums: &'a mut [Pack],
    /// 2 / sigma.
    pub(super) scale: f64,
}

impl FusedKernel for Soften<'_> {
    type Output = Terms;

    #[inline(always)]
    fn run<const FUSED: bool>(self, _: usize) -> Terms {
        let Soften { rows, k, kinds, welcome, ln_welcome, sums, scale } = self;
        let width = packs(k) * LANES;
        let (welcome, ln_welcome) = (welcome.as_flattened(), ln_welcome.as_flattened());
        let sums = sums.as_flattened_mut();
        let mut terms = Terms::default();
        let mut room = vec![0.0; ROWS * width];
        let mut largest_of = [0.0; ROWS];
        for (rows, kinds) in rows.as_flattened_mut().chunks_mut(ROWS * width).zip(kinds.chunks(ROWS)) {
            // Plain loops, each with one thing to do: so they are turned into vector instructions.
            let room = &mut room[..rows.len()];
            for ((row, to), most) in rows.chunks_exact(width).zip(room.chunks_exact_mut(width)).zip(&mut largest_of) {
                *most = largest(&row[..k]);
                for (x, cosine) in to.iter_mut().zip(row) {
                    *x = (cosine - *most) * scale;
                }
            }
            for x in &mut *room {
                *x = exp::<FUSED>(*x);
            }
            let cells = rows.chunks_exact_mut(width).zip(room.chunks_exact_mut(width));
            for ((row, plain), (&kind, &largest)) in cells.zip(kinds.iter().zip(&largest_of)) {
                let of_kind = kind as usize * width..(kind as usize + 1) * width;
                for (x, w) in plain.iter_mut().zip(&welcome[of_kind.clone()]) {
                    *x *= w;
                }
                let [total, along, favour] = three_sums::<FUSED>(plain, row, &ln_welcome[of_kind.clone()]);
                let over = 1.0 / total;
                for ((r, x), sum) in row.iter_mut().zip(&*plain).zip(&mut sums[of_kind]) {
                    *r = x * over;
                    *sum += x * over;
                }
                let cosine = along * over;
                terms.distance += 2.0 * (1.0 - cosine);
                terms.entropy += scale * (cosine - largest) + favour * over - total.ln();
            }
        }
        terms
    }
}

/// The sum of `x`, and its products with two others, all of whole packs.
#[inline(always)]
fn three_sums<const FUSED: bool>(x: &[f64], a: &[f64], b: &[f64]) -> [f64; 3] {
    let (mut total, mut with_a, mut with_b) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let packs = x.as_chunks::<LANES>().0.iter().zip(a.as_chunks::<LANES>().0).zip(b.as_chunks::<LANES>().0);
    for ((x, a), b) in packs {
        for l in 0..LANES {
            total[l] += x[l];
        }
        for l in 0..LANES {
            with_a[l] = multiply_add::<_, FUSED>(x[l], a[l], with_a[l]);
        }
        for l in 0..LANES {
            with_b[l] = multiply_add::<_, FUSED>(x[l], b[l], with_b[l]);
        }
    }
    [added(total), added(with_a), added(with_b)]
}

/// The sum of the lanes, in a fixed order.
#[inline(always)]
fn added([a, b, c, d, e, f, g, h]: Pack) -> f64 {
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// The largest of some numbers, several at a time.
#[inline(always)]
fn largest(values: &[f64]) -> f64 {
    let mut lanes = [f64::MIN; LANES];
    let (chunks, tail) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = if v > *lane { v } else { *lane };
        }
    }
    let mut largest = f64::MIN;
    for &v in lanes.iter().chain(tail) {
        largest = if v > largest { v } else { largest };
    }
    largest
}

/// Adds rows of memberships to the sums of their kinds, kinds × clusters.
pub(super) struct AddRows<'a> {
    /// Cells × clusters, of all cells.
    pub(super) memberships: &'a [f64],
    pub(super) k: usize,
    /// The cells whose rows are added.
    pub(super) cells: &'a [u32],
    /// The kind of each cell, of all.
    pub(super) kinds: &'a [u32],
    pub(super) sums: &'a mut [f64],
}

impl FusedKernel for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, _: usize) {
        for &cell in self.cells {
            let (cell, kind) = (cell as usize, self.kinds[cell as usize] as usize);
            let row = &self.memberships[cell * self.k..(cell + 1) * self.k];
            for (s, r) in self.sums[kind * self.k..(kind + 1) * self.k].iter_mut().zip(row) {
                *s += r;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::fused::Level;
    use ferrocyte_math::random::Stream;

    #[test]
    fn memberships_are_those_of_the_formula_whatever_the_instructions() {
        for k in [1, 7, 8, 19] {
            let width = packs(k);
            let mut stream = Stream::new(3, k as u64);
            let mut draw = |n: usize, low: f64, high: f64| -> Vec<Pack> {
                let row = |stream: &mut Stream| {
                    let mut row = vec![[0.0; LANES]; width];
                    row.as_flattened_mut()[..k].iter_mut().for_each(|x| *x = low + (high - low) * stream.uniform());
                    row
                };
                (0..n).flat_map(|_| row(&mut stream)).collect()
            };
            // All cosines may be below those of the lanes that are of no cluster.
            let (cosines, mut welcome) = (draw(4, -1.0, -0.2), draw(2, 0.1, 2.0));
            if k > 1 {
                welcome[0][0] = 0.0;
            }
            let ln_welcome: Vec<Pack> =
                welcome.iter().map(|p| p.map(|w| if w > 0.0 { f64::ln(w) } else { 0.0 })).collect();
            let (kinds, scale) = ([0, 1, 1, 0], 20.0);
            for level in Level::all() {
                let (mut rows, mut sums) = (cosines.clone(), vec![[0.0; LANES]; 2 * width]);
                let found = level.run(Soften {
                    rows: &mut rows,
                    k,
                    kinds: &kinds,
                    welcome: &welcome,
                    ln_welcome: &ln_welcome,
                    sums: &mut sums,
                    scale,
                });
                let (mut distance, mut entropy, mut expected_sums) = (0.0, 0.0, vec![0.0; 2 * width * LANES]);
                for (cell, &kind) in kinds.iter().enumerate() {
                    let row = |of: &[Pack], i: usize| of[i * width..(i + 1) * width].as_flattened().to_vec();
                    let (c, w) = (row(&cosines, cell), row(&welcome, kind as usize));
                    let plain: Vec<f64> = (0..k).map(|j| w[j] * (scale * c[j]).exp()).collect();
                    let total: f64 = plain.iter().sum();
                    for (j, r) in row(&rows, cell).into_iter().enumerate() {
                        let expected = if j < k { plain[j] / total } else { 0.0 };
                        assert!((r - expected).abs() < 1e-14, "{}: {r} {expected}", level.word());
                        expected_sums[kind as usize * width * LANES + j] += expected;
                        distance += expected * 2.0 * (1.0 - c[j]);
                        entropy += if expected > 0.0 { expected * expected.ln() } else { 0.0 };
                    }
                }
                assert!((found.distance - distance).abs() < 1e-13 && (found.entropy - entropy).abs() < 1e-13);
                for (found, expected) in sums.as_flattened().iter().zip(expected_sums) {
                    assert!((found - expected).abs() < 1e-14);
                }
            }
        }
    }
}
