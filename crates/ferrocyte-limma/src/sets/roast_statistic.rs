//! [`SetStatistic`]: how the deviates of the genes of a set become one number.

#![allow(clippy::inline_always)]

use ferrocyte_base::choice;
use ferrocyte_math::wide::{self, Kernel};

/// Median of the absolute value of a standard normal deviate, below which `floormean` sees no gene.
const FLOOR: f64 = 0.674_489_750_196_081_7;

choice! {
    /// How the genes of a set are put together.
    SetStatistic, "set_statistic" {
        /// The mean: for sets most of whose genes respond.
        Mean = "mean",
        /// The mean of genes that rise, or of those that fall: for sets some of whose genes respond.
        FloorMean = "floormean",
        /// The mean of the upper half: for sets half of whose genes respond.
        Mean50 = "mean50",
        /// The mean square: for sets few of whose genes respond strongly.
        MeanSquare = "msq",
    }
}

/// Statistics of one set for several rotations.
#[derive(Debug, Clone, Default)]
pub(super) struct SetSums {
    pub(super) up: Vec<f64>,
    pub(super) down: Vec<f64>,
    pub(super) mixed: Vec<f64>,
    members: Vec<f64>,
}

impl SetSums {
    /// The larger of up and down.
    pub(super) fn either(&self, b: usize) -> f64 {
        self.up[b].max(self.down[b])
    }

    /// Puts together the genes of `set`: rows of `deviates` (genes × `columns` rotations) times their weights.
    ///
    /// Weights count as such, for [`SetStatistic::MeanSquare`] on the scale of squares; their signs turn genes.
    pub(super) fn fill(
        &mut self,
        statistic: SetStatistic,
        deviates: &[f64],
        columns: usize,
        set: &[usize],
        weights: Option<&[f64]>,
    ) {
        for sums in [&mut self.up, &mut self.down, &mut self.mixed] {
            sums.clear();
            sums.resize(columns, 0.0);
        }
        let weight = |g: usize| match weights {
            None => 1.0,
            Some(w) if statistic == SetStatistic::MeanSquare => w[g].abs().sqrt().copysign(w[g]),
            Some(w) => w[g],
        };
        if statistic == SetStatistic::Mean50 {
            for b in 0..columns {
                self.members.clear();
                self.members.extend(set.iter().map(|&g| deviates[g * columns + b] * weight(g)));
                self.halves(b);
            }
            return;
        }
        for &g in set {
            let row = &deviates[g * columns..(g + 1) * columns];
            wide::widest(Add { row, weight: weight(g), statistic, sums: self });
        }
        if statistic == SetStatistic::Mean {
            self.down.iter_mut().zip(&self.up).for_each(|(down, up)| *down = -up);
        }
        let share = 1.0 / set.len() as f64;
        for sums in [&mut self.up, &mut self.down, &mut self.mixed] {
            sums.iter_mut().for_each(|x| *x *= share);
        }
    }

    /// Means of the upper and the lower half of the members, and of the upper half of their absolute values; of an odd
    /// number the middle one belongs to both.
    fn halves(&mut self, b: usize) {
        let n = self.members.len();
        let half = n.div_ceil(2);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / half as f64;
        self.members.select_nth_unstable_by(half - 1, f64::total_cmp);
        self.down[b] = -mean(&self.members[..half]);
        self.members.select_nth_unstable_by(n - half, f64::total_cmp);
        self.up[b] = mean(&self.members[n - half..]);
        self.members.iter_mut().for_each(|x| *x = x.abs());
        self.members.select_nth_unstable_by(n - half, f64::total_cmp);
        self.mixed[b] = mean(&self.members[n - half..]);
    }
}

/// Adds one gene to the sums of a set.
struct Add<'a> {
    row: &'a [f64],
    weight: f64,
    statistic: SetStatistic,
    sums: &'a mut SetSums,
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let n = self.row.len();
        let (up, down, mixed) = (&mut self.sums.up[..n], &mut self.sums.down[..n], &mut self.sums.mixed[..n]);
        let (row, weight) = (&self.row[..n], self.weight);
        let floor = FLOOR * weight.abs();
        match self.statistic {
            SetStatistic::Mean | SetStatistic::Mean50 => {
                for b in 0..n {
                    let z = row[b] * weight;
                    up[b] += z;
                    mixed[b] += z.abs();
                }
            }
            SetStatistic::FloorMean => {
                for b in 0..n {
                    let z = row[b] * weight;
                    let size = z.abs();
                    up[b] += if z > 0.0 { z } else { 0.0 };
                    down[b] += if z < 0.0 { size } else { 0.0 };
                    mixed[b] += if size > floor { size } else { floor };
                }
            }
            SetStatistic::MeanSquare => {
                for b in 0..n {
                    let z = row[b] * weight;
                    let square = z * z;
                    up[b] += if z > 0.0 { square } else { 0.0 };
                    down[b] += if z < 0.0 { square } else { 0.0 };
                    mixed[b] += square;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Z: [f64; 5] = [1.0, -2.0, 0.3, 0.5, -0.1];

    fn sums(statistic: SetStatistic, set: &[usize], weights: Option<&[f64]>) -> [f64; 3] {
        let mut sums = SetSums::default();
        sums.fill(statistic, &Z, 1, set, weights);
        [sums.up[0], sums.down[0], sums.mixed[0]]
    }

    fn close(found: [f64; 3], expected: [f64; 3]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?} {expected:?}");
    }

    #[test]
    fn statistics_by_hand() {
        let set = [0, 1, 2];
        close(sums(SetStatistic::Mean, &set, None), [-0.7 / 3.0, 0.7 / 3.0, 3.3 / 3.0]);
        close(sums(SetStatistic::FloorMean, &set, None), [1.3 / 3.0, 2.0 / 3.0, (3.0 + FLOOR) / 3.0]);
        close(sums(SetStatistic::MeanSquare, &set, None), [1.09 / 3.0, 4.0 / 3.0, 5.09 / 3.0]);
        close(sums(SetStatistic::Mean50, &set, None), [0.65, 0.85, 1.5]);
        close(sums(SetStatistic::Mean50, &[0, 1, 2, 3], None), [0.75, 0.85, 1.5]);
    }

    #[test]
    fn weights_count_and_turn() {
        let weights = [2.0, -1.0, 0.0, 0.0, 0.0];
        let set = [0, 1];
        close(sums(SetStatistic::Mean, &set, Some(&weights)), [2.0, -2.0, 2.0]);
        close(sums(SetStatistic::MeanSquare, &set, Some(&weights)), [3.0, 0.0, 3.0]);
        close(sums(SetStatistic::FloorMean, &[3], Some(&[0.0, 0.0, 0.0, -2.0])), [0.0, 1.0, 2.0 * FLOOR]);
    }
}
