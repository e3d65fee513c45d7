//! [`Replicas`]: the factors of as many replicas as there are lanes, and the arithmetic around the kernels.

use ferrocyte_math::fused::{Level, Real};

use super::kernels::Gram;
use super::tiles::Tiles;

/// Packs of 64-bit numbers.
pub(super) type Wide<const L: usize> = Vec<[f64; L]>;

/// The factors of `L` replicas of one rank.
pub(super) struct Replicas<T, const L: usize> {
    pub(super) k: usize,
    /// `k` packs for each column of the matrix.
    pub(super) h: Vec<[T; L]>,
    /// The rows of the matrix, share by share.
    pub(super) shares: Vec<Share<T, L>>,
}

/// The rows of one share, and what is summed over them.
pub(super) struct Share<T, const L: usize> {
    /// `k` packs for each row.
    pub(super) w: Vec<[T; L]>,
    /// Sums over rows, `k` packs for each column.
    pub(super) by_column: Vec<[T; L]>,
    /// The Gram matrix of the rows.
    pub(super) gram: Wide<L>,
    /// Sizes of projected gradients, or the part of the objective of these rows.
    pub(super) sum: [f64; L],
    /// Working memory for one block of rows.
    pub(super) products: Vec<[T; L]>,
}

impl<T: Real, const L: usize> Replicas<T, L> {
    pub(super) fn new(tiles: &Tiles<T>, k: usize) -> Self {
        let none = [T::ZERO; L];
        let share = |rows: usize| Share {
            w: vec![none; rows * k],
            by_column: vec![none; tiles.g * k],
            gram: vec![[0.0; L]; k * k],
            sum: [0.0; L],
            products: Vec::new(),
        };
        let shares = tiles.shares().map(|blocks| share(blocks.iter().map(|b| b.rows).sum())).collect();
        Self { k, h: vec![none; tiles.g * k], shares }
    }

    /// Puts factors into a lane: `w` of `n x k` and `h` of `k x g`, row after row.
    pub(super) fn put(&mut self, lane: usize, w: &[f64], h: &[f64]) {
        let (k, g) = (self.k, self.h.len() / self.k);
        let packs = self.shares.iter_mut().flat_map(|share| share.w.iter_mut());
        packs.zip(w).for_each(|(pack, x)| pack[lane] = T::from_f64(*x));
        for (at, pack) in self.h.iter_mut().enumerate() {
            pack[lane] = T::from_f64(h[at % k * g + at / k]);
        }
    }

    /// The factors of a lane, as [`Replicas::put`] takes them.
    pub(super) fn take(&self, lane: usize) -> (Vec<f64>, Vec<f64>) {
        let (k, g) = (self.k, self.h.len() / self.k);
        let w = self.shares.iter().flat_map(|share| share.w.iter().map(|pack| pack[lane].to_f64())).collect();
        let h = (0..k * g).map(|at| self.h[at % g * k + at / g][lane].to_f64()).collect();
        (w, h)
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

    /// Sums over all rows, `k` packs for each column: the shares', added in order.
    pub(super) fn by_column(&self) -> Wide<L> {
        let mut total = vec![[0.0; L]; self.h.len()];
        for share in &self.shares {
            for (total, part) in total.iter_mut().zip(&share.by_column) {
                (0..L).for_each(|l| total[l] += part[l].to_f64());
            }
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
        let tiles = Tiles::<f64>::new(&Input::dense(Values::Double(&vec![1.0; n * g]), n, g)?);
        let mut replicas = Replicas::<f64, 8>::new(&tiles, k);
        assert_eq!(replicas.shares.len(), 2);
        let w: Vec<f64> = (0..n * k).map(|i| i as f64).collect();
        let h: Vec<f64> = (0..k * g).map(|i| -(i as f64)).collect();
        replicas.put(5, &w, &h);
        assert_eq!(replicas.take(5), (w, h));
        assert!(replicas.take(4).0.iter().all(|x| *x == 0.0));
        Ok(())
    }
}
