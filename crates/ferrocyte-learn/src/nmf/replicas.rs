//! [`Replicas`]: the factors of as many replicas as there are lanes, and the arithmetic around the kernels.

use ferrocyte_math::fused::{Level, Real};

use super::kernels::{Gram, Work};
use super::packs::Packs;
use super::tiles::Tiles;

/// Packs of 64-bit numbers.
pub(super) type Wide<const L: usize> = Vec<[f64; L]>;

/// The factors of `L` replicas of one rank.
pub(super) struct Replicas<T, const L: usize> {
    pub(super) k: usize,
    /// `k` packs for each column of the matrix.
    pub(super) h: Packs<T, L>,
    /// The rows of the matrix, share by share.
    pub(super) shares: Vec<Share<T, L>>,
}

/// The rows of one share, and what is summed over them.
pub(super) struct Share<T, const L: usize> {
    /// `k` packs for each row.
    pub(super) w: Packs<T, L>,
    /// Sums over rows, `k` packs for each column.
    pub(super) by_column: Packs<T, L>,
    /// The Gram matrix of the rows.
    pub(super) gram: Wide<L>,
    /// Sizes of projected gradients, or the part of the objective of these rows.
    pub(super) sum: [f64; L],
    /// Working memory for one block of rows.
    pub(super) products: Packs<T, L>,
    /// Working memory of kernels.
    pub(super) work: Work<T, L>,
}

impl<T: Real, const L: usize> Replicas<T, L> {
    /// Of rank `k`, or the next even number: another component of 0 changes no bits, and kernels take them in pairs.
    pub(super) fn new(tiles: &Tiles<T>, k: usize) -> Self {
        let k = k.next_multiple_of(2);
        let share = |rows: usize| Share {
            w: Packs::zeros(rows * k),
            by_column: Packs::zeros(tiles.g * k),
            gram: vec![[0.0; L]; k * k],
            sum: [0.0; L],
            products: Packs::default(),
            work: Work::default(),
        };
        let shares = tiles.shares().map(|blocks| share(blocks.iter().map(|b| b.rows).sum())).collect();
        Self { k, h: Packs::zeros(tiles.g * k), shares }
    }

    /// The bytes of the factors and sums of as many lanes for a matrix.
    pub(super) fn bytes(tiles: &Tiles<T>, k: usize) -> u64 {
        let packs = tiles.n + tiles.g * (1 + tiles.shares().len());
        (packs * k * size_of::<[T; L]>()) as u64
    }

    /// Puts factors of rank `own <= k` into a lane: `w` of `n x own` and `h` of `own x g`, row after row.
    ///
    /// Components beyond are 0, and stay so: they change no bits of the others.
    pub(super) fn put(&mut self, lane: usize, own: usize, w: &[f64], h: &[f64]) {
        let (k, g) = (self.k, self.h.len() / self.k);
        let rows = self.shares.iter_mut().flat_map(|share| share.w.chunks_exact_mut(k));
        for (packs, row) in rows.zip(w.chunks_exact(own)) {
            packs.iter_mut().enumerate().for_each(|(t, p)| p[lane] = T::from_f64(row.get(t).copied().unwrap_or(0.0)));
        }
        for (j, packs) in self.h.chunks_exact_mut(k).enumerate() {
            packs
                .iter_mut()
                .enumerate()
                .for_each(|(t, p)| p[lane] = T::from_f64(h.get(t * g + j).copied().unwrap_or(0.0)));
        }
    }

    /// The factors of rank `own` of a lane, as [`Replicas::put`] takes them.
    pub(super) fn take(&self, lane: usize, own: usize) -> (Vec<f64>, Vec<f64>) {
        let (k, g) = (self.k, self.h.len() / self.k);
        let rows = self.shares.iter().flat_map(|share| share.w.chunks_exact(k));
        let w = rows.flat_map(|packs| packs[..own].iter().map(|pack| pack[lane].to_f64())).collect();
        let h = (0..own * g).map(|at| self.h[at % g * k + at / g][lane].to_f64()).collect();
        (w, h)
    }

    /// Some of the lanes, with only the first `k` components, or the next even number.
    pub(super) fn narrowed<const M: usize>(&self, tiles: &Tiles<T>, lanes: &[usize], k: usize) -> Replicas<T, M> {
        let mut narrow = Replicas::<T, M>::new(tiles, k);
        let k = narrow.k;
        let some = |from: &[[T; L]], to: &mut [[T; M]]| {
            for (from, to) in from.chunks_exact(self.k).zip(to.chunks_exact_mut(k)) {
                for (from, to) in from.iter().zip(to) {
                    lanes.iter().zip(to).for_each(|(&lane, x)| *x = from[lane]);
                }
            }
        };
        some(&self.h, &mut narrow.h);
        self.shares.iter().zip(&mut narrow.shares).for_each(|(from, to)| some(&from.w, &mut to.w));
        narrow
    }

    /// The whole Gram matrix of the rows: the shares', added in order.
    pub(super) fn gram_of_rows(&self) -> Wide<L> {
        let mut gram = vec![[0.0; L]; self.k * self.k];
        self.shares.iter().for_each(|share| add(&mut gram, &share.gram));
        mirror(&mut gram, self.k);
        gram
    }

    /// The Gram matrix of `h`.
    pub(super) fn gram_of_columns(&self, level: Level) -> Wide<L> {
        let mut gram = vec![[0.0; L]; self.k * self.k];
        level.run(Gram { rows: &self.h, total: &mut gram, k: self.k });
        mirror(&mut gram, self.k);
        gram
    }

    /// Sums over all rows, `k` packs for each column: the shares', added in order, times the units of the columns.
    pub(super) fn by_column(&self, units: &[T]) -> Wide<L> {
        let mut total = vec![[0.0; L]; self.h.len()];
        for share in &self.shares {
            for (total, part) in total.iter_mut().zip(share.by_column.iter()) {
                (0..L).for_each(|l| total[l] += part[l].to_f64());
            }
        }
        for (total, unit) in total.chunks_exact_mut(self.k).zip(units) {
            total.iter_mut().flatten().for_each(|x| *x *= unit.to_f64());
        }
        total
    }

    /// The sums of the shares, added in order.
    pub(super) fn sum(&self) -> [f64; L] {
        let mut total = [0.0; L];
        self.shares.iter().for_each(|share| (0..L).for_each(|l| total[l] += share.sum[l]));
        total
    }
}

impl<T: Real, const L: usize> Share<T, L> {
    /// Sets all sums to 0.
    pub(super) fn clear(&mut self) {
        self.by_column.fill([T::ZERO; L]);
        self.gram.fill([0.0; L]);
        self.sum = [0.0; L];
    }
}

/// Adds packs to packs.
pub(super) fn add<const L: usize>(total: &mut [[f64; L]], part: &[[f64; L]]) {
    for (total, part) in total.iter_mut().zip(part) {
        (0..L).for_each(|l| total[l] += part[l]);
    }
}

/// Lane by lane, the sum of products of packs.
pub(super) fn inner<T: Real, const L: usize>(a: &[[f64; L]], b: &[[T; L]]) -> [f64; L] {
    let mut sums = [0.0; L];
    for (a, b) in a.iter().zip(b) {
        (0..L).for_each(|l| sums[l] += a[l] * b[l].to_f64());
    }
    sums
}

/// Copies the upper triangle to the lower one.
fn mirror<const L: usize>(gram: &mut [[f64; L]], k: usize) {
    for t in 0..k {
        for s in 0..t {
            gram[t * k + s] = gram[s * k + t];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nmf::{Input, Values};
    use ferrocyte_base::Result;

    #[test]
    fn what_is_put_into_a_lane_comes_back_and_touches_no_other() -> Result<()> {
        let (n, g, k) = (9000, 2, 3);
        let small = Input::dense(Values::Double(&[1.0]), 1, 1)?;
        let even = |k: usize| Replicas::<f64, 8>::new(&Tiles::new(&small), k).k;
        assert_eq!((even(3), even(4)), (4, 4));
        let tiles = Tiles::<f64>::new(&Input::dense(Values::Double(&vec![1.0; n * g]), n, g)?);
        let mut replicas = Replicas::<f64, 8>::new(&tiles, k);
        assert_eq!(replicas.shares.len(), 2);
        let w: Vec<f64> = (0..n * k).map(|i| i as f64).collect();
        let h: Vec<f64> = (0..k * g).map(|i| -(i as f64)).collect();
        replicas.put(5, k, &w, &h);
        assert_eq!(replicas.take(5, k), (w.clone(), h.clone()));
        assert!(replicas.take(4, k).0.iter().all(|x| *x == 0.0));
        // One of lower rank, and fewer lanes.
        replicas.put(2, 2, &w[..n * 2], &h[..2 * g]);
        let (padded, _) = replicas.take(2, k);
        assert!(padded.chunks_exact(k).all(|row| row[2] == 0.0));
        let narrow = replicas.narrowed::<4>(&tiles, &[2], 2);
        assert_eq!(narrow.take(0, 2), (w[..n * 2].to_vec(), h[..2 * g].to_vec()));
        Ok(())
    }
}
