//! The loops of factorisation, over packs of lanes: sparse products, sweeps and Gram matrices.
//!
//! A lane is one replica. What belongs to a row or a column of the matrix is `k` packs, one for each component; a pack
//! holds that number of all lanes. Lanes never meet, so a replica has the same bits in any lane beside any others.

#![allow(clippy::inline_always)]

use ferrocyte_math::fused::{FusedKernel, Real, multiply_add};

use super::packs::Packs;
use super::pieces::{Piece, WIDTH};

/// Packs of a part. With more the compiler no longer keeps the sums in registers.
const MOST: usize = 8;

/// How many packs of a part these registers hold; even, as ranks are.
#[inline(always)]
const fn most(registers: usize) -> usize {
    let three_quarters = registers * 3 / 8 * 2;
    if three_quarters < MOST { three_quarters } else { MOST }
}

/// Calls `$body` with the constant `$P` equal to `$p`, which is even and at most [`most`] of the registers.
macro_rules! with_packs {
    ($p:expr, $registers:expr, $P:ident => $body:expr) => {
        match $p {
            2 => {
                const $P: usize = 2;
                $body
            }
            4 if most($registers) >= 4 => {
                const $P: usize = 4;
                $body
            }
            6 if most($registers) >= 6 => {
                const $P: usize = 6;
                $body
            }
            8 if most($registers) >= 8 => {
                const $P: usize = 8;
                $body
            }
            _ => {}
        }
    };
}

/// How `k` packs are divided into parts of nearly equal, even size that registers hold: the most packs of a part.
///
/// A part changes no bits: every pack has its own sum.
#[inline(always)]
fn part(k: usize, registers: usize) -> usize {
    debug_assert!(k.is_multiple_of(2), "ranks are padded");
    (k / 2).div_ceil(k.div_ceil(most(registers)).max(1)) * 2
}

/// Working memory of kernels.
#[derive(Debug, Default)]
pub(super) struct Work<T, const L: usize> {
    /// The packs of the sources of a piece.
    pub(super) packed: Packs<T, L>,
    /// Its values.
    pub(super) values: Vec<T>,
}

/// Writes a statement out for each of 0 to `n - 1`, at most 11, with the number as the constant `$i`.
///
/// Compilers do not write out loops that are nested, and a closure is not sure to be compiled for the registers at hand.
macro_rules! each {
    ($n:expr, $i:ident => $body:expr) => {
        each!($n, $i => $body; 0 1 2 3 4 5 6 7 8 9 10 11)
    };
    ($n:expr, $i:ident => $body:expr; $($number:literal)+) => {
        $(if $n > $number {
            const $i: usize = $number;
            $body
        })+
    };
}
pub(super) use each;

/// Adds a multiple of a pack to a pack.
#[inline(always)]
pub(super) fn add_multiple<T: Real, const L: usize, const FUSED: bool>(sum: &mut [T; L], x: [T; L], pack: &[T; L]) {
    for l in 0..L {
        sum[l] = multiply_add::<_, FUSED>(x[l], pack[l], sum[l]);
    }
}

/// `target[t] += sum over entries of value * source`, `k` packs each.
pub(super) struct Product<'a, T, const L: usize> {
    pub(super) piece: &'a Piece<T>,
    /// The packs of all sources, from source 0 of the matrix or block.
    pub(super) sources: &'a [[T; L]],
    /// What each source is multiplied with first, if anything.
    pub(super) units: Option<&'a [T]>,
    /// The packs of all targets, from target 0 of the matrix or block.
    pub(super) targets: &'a mut [[T; L]],
    pub(super) work: &'a mut Work<T, L>,
    pub(super) k: usize,
}

impl<T: Real, const L: usize> FusedKernel for Product<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, registers: usize) {
        let Self { piece, sources, units, targets, work, k } = self;
        let Work { packed, values } = work;
        let values = piece.values(values);
        let width = part(k, registers);
        let mut from = 0;
        while from < k {
            let p = width.min(k - from);
            with_packs!(p, registers, P => {
                pack::<T, L, P>(piece, sources, units, k, from, packed);
                add_products::<T, L, P, FUSED>(piece, values, packed, k, from, targets);
            });
            from += p;
        }
    }
}

/// Brings packs `from..from + P` of all sources of a piece together, so that they lie in the nearest cache.
#[inline(always)]
fn pack<T: Real, const L: usize, const P: usize>(
    piece: &Piece<T>,
    sources: &[[T; L]],
    units: Option<&[T]>,
    k: usize,
    from: usize,
    packed: &mut Packs<T, L>,
) {
    if packed.len() < WIDTH * MOST {
        *packed = Packs::zeros(WIDTH * MOST);
    }
    let (all, _) = packed.as_chunks_mut::<P>();
    let mine = sources[piece.source * k..].chunks_exact(k).take(piece.sources);
    for (s, (to, source)) in all.iter_mut().zip(mine).enumerate() {
        let Some(packs) = source[from..].first_chunk::<P>() else { return };
        *to = *packs;
        if let Some(units) = units {
            let unit = units[piece.source + s];
            to.iter_mut().flatten().for_each(|x| *x = unit * *x);
        }
    }
}

/// Adds to packs `from..from + P` of all targets of a piece.
#[inline(always)]
fn add_products<T: Real, const L: usize, const P: usize, const FUSED: bool>(
    piece: &Piece<T>,
    values: &[T],
    packed: &[[T; L]],
    k: usize,
    from: usize,
    targets: &mut [[T; L]],
) {
    let Some(packed) = packed.as_chunks::<P>().0.first_chunk::<WIDTH>() else { return };
    let targets = &mut targets[piece.target * k + from..];
    let (mut at, mut place) = (0, 0);
    for stretch in &piece.stretches {
        let length = stretch.entries as usize;
        for &target in &piece.targets[place..place + stretch.targets as usize] {
            let Some(target) = targets[target as usize * k..].first_chunk_mut::<P>() else { return };
            let mut sums = *target;
            let entries = at..at + length;
            for (&source, &x) in piece.which[entries.clone()].iter().zip(&values[entries]) {
                let packs = &packed[source as usize % WIDTH];
                each!(P, I => add_multiple::<T, L, FUSED>(&mut sums[I], [x; L], &packs[I]));
            }
            *target = sums;
            at += length;
        }
        place += stretch.targets as usize;
    }
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
            each!(R, I => add_multiple::<T, L, FUSED>(&mut gradients[I], *q, &rows[I * k + s]));
        }
        each!(R, I => {
            let (w, p) = (&mut rows[I * k + t], &products[I * k + t]);
            step::<T, L, FUSED>(w, p, &gradients[I], &inverse[t], violation);
        });
    }
}

/// Moves a component of a row to its optimum, given the product of the row with the Gram matrix.
#[inline(always)]
fn step<T: Real, const L: usize, const FUSED: bool>(
    w: &mut [T; L],
    p: &[T; L],
    product: &[T; L],
    inverse: &[T; L],
    violation: &mut [T; L],
) {
    for l in 0..L {
        let gradient = product[l] - p[l];
        // At 0 only a gradient that would raise the entry counts.
        let counts = if w[l] == T::ZERO && gradient > T::ZERO { T::ZERO } else { gradient.size() };
        violation[l] += counts;
        let moved = multiply_add::<_, FUSED>(T::ZERO - gradient, inverse[l], w[l]);
        w[l] = if moved > T::ZERO { moved } else { T::ZERO };
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
                let mut from = t / 2 * 2;
                while from < k {
                    let p = width.min(k - from);
                    let total = &mut total[t * k + from..t * k + from + p];
                    with_packs!(p, registers, P => add_gram::<T, L, P, FUSED>(rows, k, t, from, total));
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
        each!(P, I => add_multiple::<T, L, FUSED>(&mut sums[I], x, &packs[I]));
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
        let (n, g) = (23, 131);
        // Half of the pieces hold counts.
        let value = |at: usize, x: f64| if at % g < 64 { (3.0 * x).floor() } else { x };
        let dense: Vec<f64> =
            numbers(n * g, 5).iter().enumerate().map(|(at, &x)| if x > 1.5 { value(at, x) } else { 0.0 }).collect();
        let tiles = Tiles::<f64>::new(&Input::dense(Values::Double(&dense), n, g)?);
        for k in [2, 6, 8, 10, 12, 26] {
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
                let (units, work) = (Some(&tiles.units[..]), &mut Work::default());
                for piece in &tiles.blocks[0].to_rows {
                    level.run(Product { piece, sources: &h, units, targets: &mut found, work, k });
                }
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
