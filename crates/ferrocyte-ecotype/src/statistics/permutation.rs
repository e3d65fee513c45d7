//! Do the states of an ecotype belong together? The mean of its block, against columns that are permuted.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::normal;

use super::States;
use crate::collate;
use crate::draws::Draws;

/// How far the states of each ecotype belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockTest {
    /// The ecotypes, sorted.
    pub ecotypes: Vec<String>,
    /// Means of blocks.
    pub mean: Vec<f64>,
    /// By how many standard deviations they are above those of permuted columns.
    pub z: Vec<f64>,
    /// Two-sided p-values of `z`.
    pub p: Vec<f64>,
}

/// Compares the mean of each ecotype's block with that after the columns are permuted `n_permutations` times.
///
/// A diagonal of which every entry is 1, or every entry is missing, is left out.
pub fn block_test(run: &Run, states: &States, n_permutations: usize, draws: &mut Draws) -> Result<BlockTest> {
    let n = states.names.len();
    if n_permutations < 2 || states.ecotypes.len() != n || states.values.n_rows() != n || states.values.n_cols() != n {
        return Err(Fault::bad_input(format!(
            "a test needs two permutations and a square matrix of states, found {n_permutations} and {} x {}",
            states.values.n_rows(),
            states.values.n_cols()
        )));
    }
    let mut values = states.values.clone();
    let diagonal = values.diagonal();
    if diagonal.iter().all(|x| *x == 1.0) || diagonal.iter().all(|x| x.is_nan()) {
        (0..n).for_each(|i| values[(i, i)] = f64::NAN);
    }
    let ecotypes = collate::sorted(&states.ecotypes);
    let members: Vec<Vec<usize>> =
        ecotypes.iter().map(|name| (0..n).filter(|&i| states.ecotypes[i] == *name).collect()).collect();
    let order: Vec<usize> = (0..n).collect();
    let means = |order: &[usize]| -> Vec<f64> { members.iter().map(|of| block_mean(&values, of, order)).collect() };
    let observed = means(&order);
    let task = run.task("permuting", n_permutations as u64);
    let mut null = Moments::new(ecotypes.len());
    for _ in 0..n_permutations {
        run.check()?;
        null.add(&means(&draws.sample(n, n)));
        task.advance(1);
    }
    let (mean, mut sd) = null.finish();
    let usual = median(&sd);
    sd.iter_mut().filter(|sd| **sd == 0.0).for_each(|sd| *sd = usual);
    let z: Vec<f64> = (0..ecotypes.len()).map(|i| (observed[i] - mean[i]) / sd[i]).collect();
    Ok(BlockTest { p: z.iter().map(|z| normal::two_sided(*z)).collect(), ecotypes, mean: observed, z })
}

fn block_mean(values: &Matrix, members: &[usize], order: &[usize]) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for &column in members {
        for &row in members {
            let x = values[(row, order[column])];
            if !x.is_nan() {
                (sum, n) = (sum + x, n + 1.0);
            }
        }
    }
    sum / n
}

fn median(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n == 0 { f64::NAN } else { f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]) }
}

/// Means and standard deviations (n - 1) of vectors that come one by one.
pub(super) struct Moments {
    n: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    pub(super) fn new(length: usize) -> Self {
        Self { n: 0.0, mean: vec![0.0; length], squares: vec![0.0; length] }
    }

    pub(super) fn add(&mut self, values: &[f64]) {
        self.n += 1.0;
        for ((mean, squares), x) in self.mean.iter_mut().zip(&mut self.squares).zip(values) {
            let off = x - *mean;
            *mean += off / self.n;
            *squares += off * (x - *mean);
        }
    }

    pub(super) fn finish(self) -> (Vec<f64>, Vec<f64>) {
        let sd = self.squares.iter().map(|s| (s / (self.n - 1.0)).sqrt()).collect();
        (self.mean, sd)
    }
}

/// Gives the cells of each type one another's states: types in the order given, cells in their order.
pub(super) fn shuffle_within(states: &[usize], cells_of_types: &[Vec<usize>], draws: &mut Draws, out: &mut [usize]) {
    for cells in cells_of_types {
        for (&cell, from) in cells.iter().zip(draws.sample(cells.len(), cells.len())) {
            out[cell] = states[cells[from]];
        }
    }
}

/// The cells of each type, types sorted.
pub(super) fn cells_of_types(types: &[String]) -> Vec<Vec<usize>> {
    let sorted = collate::sorted(types);
    sorted.iter().map(|of| (0..types.len()).filter(|&cell| types[cell] == *of).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Rng;

    #[test]
    fn blocks_that_stand_out_are_found() -> Result<()> {
        let ecotypes: Vec<String> = (0..12).map(|i| format!("SE{}", i / 4)).collect();
        let mut values = Matrix::zeros(12, 12);
        for i in 0..12 {
            for j in 0..12 {
                values[(i, j)] = if i == j || (i / 4 == 0 && j / 4 == 0) { 1.0 } else { 0.01 * ((i * j) % 5) as f64 };
            }
        }
        let states = States { names: ecotypes.clone(), ecotypes, values };
        let found = block_test(&Run::new(), &states, 300, &mut Draws::new(Rng::Native, 1, ""))?;
        assert!(found.z[0] > 3.0 && found.p[0] < 0.01 && found.z[1].abs() < 3.0, "{found:?}");
        Ok(())
    }

    #[test]
    fn states_stay_within_their_types() {
        let types = ["a", "b", "a", "b", "a"].map(str::to_owned);
        let cells = cells_of_types(&types);
        let mut out = vec![9; 5];
        shuffle_within(&[0, 1, 2, 3, 4], &cells, &mut Draws::new(Rng::R, 5, ""), &mut out);
        let mut of_a = [out[0], out[2], out[4]];
        of_a.sort_unstable();
        assert_eq!(of_a, [0, 2, 4]);
    }
}
