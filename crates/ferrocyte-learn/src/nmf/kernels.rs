//! The loops of factorisation, over packs of lanes: sparse products, sweeps and Gram matrices.
//!
//! A lane is one replica. What belongs to a row or a column of the matrix is `k` packs, one for each component; a pack
//! holds that number of all lanes. Lanes never meet, so a replica has the same bits in any lane beside any others.

#![allow(clippy::inline_always)]

use ferrocyte_math::fused::{FusedKernel, Real, multiply_add};

use super::tiles::Piece;

/// Packs of a part. With more the compiler no longer keeps the sums in registers.
const MOST: usize = 8;

/// Calls `$body` with the constant `$P` equal to `$p`, which is between 1 and [`MOST`].
macro_rules! with_packs {
    ($p:expr, $P:ident => $body:expr) => {
        with_packs!($p, $P => $body; 1 2 3 4 5 6 7)
    };
    ($p:expr, $P:ident => $body:expr; $($known:literal)+) => {
        match $p {
            $($known => {
                const $P: usize = $known;
                $body
            })+
            _ => {
                const $P: usize = MOST;
                $body
            }
        }
    };
}

/// How `k` packs are divided into parts of nearly equal size that registers hold: the most packs of a part.
///
/// A part changes no bits: every pack has its own sum.
#[inline(always)]
fn part(k: usize, registers: usize) -> usize {
    let most = (registers * 3 / 4).clamp(1, MOST);
    k.div_ceil(k.div_ceil(most)).max(1)
}

/// `target[t] += sum over entries of value * source`, `k` packs each.
pub(super) struct Product<'a, T, const L: usize> {
    pub(super) piece: &'a Piece<T>,
    /// The packs of all sources, from source 0 of the matrix or block.
    pub(super) sources: &'a [[T; L]],
    pub(super) targets: &'a mut [[T; L]],
    pub(super) k: usize,
}

impl<T: Real, const L: usize> FusedKernel for Product<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, registers: usize) {
        let Self { piece, sources, targets, k } = self;
        let sources = &sources[piece.origin * k..];
        let width = part(k, registers);
        for (ends, target) in piece.starts.windows(2).zip(targets.chunks_exact_mut(k)) {
            let entries = ends[0] as usize..ends[1] as usize;
            let (which, values) = (&piece.sources[entries.clone()], &piece.values[entries]);
            let mut from = 0;
            while from < k {
                let p = width.min(k - from);
                with_packs!(p, P => add_products::<T, L, P, FUSED>(which, values, sources, k, from, target));
                from += p;
            }
        }
    }
}

/// Adds to packs `from..from + P` of one target.
#[inline(always)]
fn add_products<T: Real, const L: usize, const P: usize, const FUSED: bool>(
    which: &[u16],
    values: &[T],
    sources: &[[T; L]],
    k: usize,
    from: usize,
    target: &mut [[T; L]],
) {
    let Some(target) = target[from..].first_chunk_mut::<P>() else { return };
    let mut sums = *target;
    for (&source, &x) in which.iter().zip(values) {
        let Some(packs) = sources[(source as usize).wrapping_mul(k).wrapping_add(from)..].first_chunk::<P>() else {
            return;
        };
        for p in 0..P {
            for l in 0..L {
                sums[p][l] = multiply_add::<_, FUSED>(x, packs[p][l], sums[p][l]);
            }
        }
    }
    *target = sums;
}

/// One sweep of coordinate descent over rows: each component in turn is moved to its optimum given the others.
///
/// Returns, lane by lane, the sum of the sizes of projected gradients met on the way.
pub(super) struct Sweep<'a, T, const L: usize> {
    /// `k` packs for each row; they move.
    pub(super) rows: &'a mut [[T; L]],
    /// The products with the other factor, less the penalty on sums.
    pub(super) products: &'a [[T; L]],
    /// The Gram matrix of the other factor with the penalty on squares: `k * k` packs.
    pub(super) gram: &'a [[T; L]],
    /// One over its diagonal, 0 where that is 0: `k` packs.
    pub(super) inverse: &'a [[T; L]],
    pub(super) k: usize,
}

/// Rows that are swept side by side, so that the steps of one fill the waits of another.
const ABREAST: usize = 4;

impl<T: Real, const L: usize> FusedKernel for Sweep<'_, T, L> {
    type Output = [T; L];

    #[inline(always)]
    fn run<const FUSED: bool>(self, _: usize) -> [T; L] {
        let Self { rows, products, gram, inverse, k } = self;
        let mut violation = [T::ZERO; L];
        let whole = rows.len() / (ABREAST * k) * ABREAST * k;
        let (many, rest) = rows.split_at_mut(whole);
        let (many_products, rest_products) = products.split_at(whole);
        for (rows, products) in many.chunks_exact_mut(ABREAST * k).zip(many_products.chunks_exact(ABREAST * k)) {
            sweep_rows::<T, L, ABREAST, FUSED>(rows, products, gram, inverse, k, &mut violation);
        }
        for (row, products) in rest.chunks_exact_mut(k).zip(rest_products.chunks_exact(k)) {
            sweep_rows::<T, L, 1, FUSED>(row, products, gram, inverse, k, &mut violation);
        }
        violation
    }
}

#[inline(always)]
fn sweep_rows<T: Real, const L: usize, const R: usize, const FUSED: bool>(
    rows: &mut [[T; L]],
    products: &[[T; L]],
    gram: &[[T; L]],
    inverse: &[[T; L]],
    k: usize,
    violation: &mut [T; L],
) {
    for (t, gram) in gram.chunks_exact(k).enumerate() {
        let mut gradients = [[T::ZERO; L]; R];
        for (s, q) in gram.iter().enumerate() {
            for r in 0..R {
                let w = &rows[r * k + s];
                for l in 0..L {
                    gradients[r][l] = multiply_add::<_, FUSED>(q[l], w[l], gradients[r][l]);
                }
            }
        }
        for r in 0..R {
            let (w, p) = (&mut rows[r * k + t], &products[r * k + t]);
            for l in 0..L {
                let gradient = gradients[r][l] - p[l];
                // At 0 only a gradient that would raise the entry counts.
                let counts = if w[l] == T::ZERO && gradient > T::ZERO { T::ZERO } else { gradient.size() };
                violation[l] += counts;
                let moved = multiply_add::<_, FUSED>(T::ZERO - gradient, inverse[t][l], w[l]);
                w[l] = if moved > T::ZERO { moved } else { T::ZERO };
            }
        }
    }
}

/// Adds the upper triangle of the Gram matrix of rows, `k * k` packs, in 64 bits.
pub(super) struct Gram<'a, T, const L: usize> {
    pub(super) rows: &'a [[T; L]],
    pub(super) total: &'a mut [[f64; L]],
    pub(super) k: usize,
}

/// Rows whose products are summed before they are added to the Gram matrix.
const GRAM_ROWS: usize = 64;

impl<T: Real, const L: usize> FusedKernel for Gram<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, registers: usize) {
        let Self { rows, total, k } = self;
        let width = part(k, registers);
        for rows in rows.chunks(GRAM_ROWS * k) {
            for t in 0..k {
                let mut from = t;
                while from < k {
                    let p = width.min(k - from);
                    let total = &mut total[t * k + from..t * k + from + p];
                    with_packs!(p, P => add_gram::<T, L, P, FUSED>(rows, k, t, from, total));
                    from += p;
                }
            }
        }
    }
}

#[inline(always)]
fn add_gram<T: Real, const L: usize, const P: usize, const FUSED: bool>(
    rows: &[[T; L]],
    k: usize,
    t: usize,
    from: usize,
    gram: &mut [[f64; L]],
) {
    let mut sums = [[T::ZERO; L]; P];
    for row in rows.chunks_exact(k) {
        let x = row[t];
        let Some(packs) = row[from..].first_chunk::<P>() else { return };
        for p in 0..P {
            for l in 0..L {
                sums[p][l] = multiply_add::<_, FUSED>(x[l], packs[p][l], sums[p][l]);
            }
        }
    }
    for p in 0..P {
        for l in 0..L {
            gram[p][l] += sums[p][l].to_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nmf::input::{Input, Values};
    use crate::nmf::tiles::Tiles;
    use ferrocyte_base::Result;
    use ferrocyte_math::fused::Level;

    fn numbers(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 37 + seed * 11) % 101) as f64 / 50.0).collect()
    }

    fn packs(x: &[f64]) -> Vec<[f64; 8]> {
        x.chunks_exact(8).map(|c| std::array::from_fn(|l| c[l])).collect()
    }

    #[test]
    fn products_sweeps_and_grams_are_those_of_plain_loops_at_every_level_and_rank() -> Result<()> {
        let (n, g) = (23, 31);
        let dense: Vec<f64> = numbers(n * g, 5).iter().map(|x| if *x > 1.5 { *x } else { 0.0 }).collect();
        let tiles = Tiles::<f64>::new(&Input::dense(Values::Double(&dense), n, g)?);
        for k in [1, 2, 5, 8, 12, 13, 25] {
            let (h, w) = (packs(&numbers(g * k * 8, 1)), packs(&numbers(n * k * 8, 2)));
            let mut expected = vec![[0.0; 8]; n * k];
            for (i, row) in expected.chunks_exact_mut(k).enumerate() {
                for j in 0..g {
                    (0..k).for_each(|t| (0..8).for_each(|l| row[t][l] += dense[i * g + j] * h[j * k + t][l]));
                }
            }
            let mut bits: Option<Vec<[f64; 8]>> = None;
            for level in Level::all() {
                let mut found = vec![[0.0; 8]; n * k];
                level.run(Product { piece: &tiles.blocks[0].to_rows[0], sources: &h, targets: &mut found, k });
                let near =
                    |a: &[f64; 8], b: &[f64; 8]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-11 * (1.0 + b.abs()));
                assert!(found.iter().zip(&expected).all(|(a, b)| near(a, b)));
                let mut gram = vec![[0.0; 8]; k * k];
                level.run(Gram { rows: &w, total: &mut gram, k });
                for t in 0..k {
                    for s in t..k {
                        let plain = std::array::from_fn(|l| (0..n).map(|i| w[i * k + t][l] * w[i * k + s][l]).sum());
                        assert!(near(&gram[t * k + s], &plain));
                        gram[s * k + t] = gram[t * k + s];
                    }
                }
                let inverse: Vec<[f64; 8]> = (0..k).map(|t| gram[t * k + t].map(|q| 1.0 / q)).collect();
                let mut swept = w.clone();
                level.run(Sweep { rows: &mut swept, products: &expected, gram: &gram, inverse: &inverse, k });
                // The last component ends at its optimum given the others.
                for i in 0..n {
                    for l in 0..8 {
                        let t = k - 1;
                        let gradient = (0..k).map(|s| gram[t * k + s][l] * swept[i * k + s][l]).sum::<f64>()
                            - expected[i * k + t][l];
                        let x = swept[i * k + t][l];
                        assert!(if x == 0.0 { gradient > -1e-9 } else { gradient.abs() < 1e-9 }, "{x} {gradient}");
                    }
                }
                swept.extend(found);
                if level != Level::Plain {
                    assert_eq!(bits.get_or_insert_with(|| swept.clone()), &swept);
                }
            }
        }
        Ok(())
    }
}
