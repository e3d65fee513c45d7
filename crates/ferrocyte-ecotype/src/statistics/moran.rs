//! Moran's I of ecotypes: are neighbours of the same ecotype more often than by chance?

use ferrocyte_base::{Fault, Result, Run};

use super::check_cells;
use super::colocalization::neighbours;
use super::permutation::{Moments, cells_of_types, shuffle_within};
use crate::collate::{self, Index};
use crate::draws::Draws;

/// Moran's I of each ecotype.
#[derive(Debug, Clone, PartialEq)]
pub struct Moran {
    /// The ecotypes, sorted.
    pub ecotypes: Vec<String>,
    /// Moran's I.
    pub i: Vec<f64>,
    /// By how many standard deviations it is above that of shuffled ecotypes.
    pub z: Vec<f64>,
}

/// Moran's I of the indicator of each ecotype, over the `k` nearest cells of each with equal weights, against ecotypes
/// that are shuffled within cell types.
#[expect(clippy::too_many_arguments, reason = "columns of cells and three numbers")]
pub fn moran(
    run: &Run,
    x: &[f64],
    y: &[f64],
    cell_type: &[String],
    ecotype: &[String],
    k: usize,
    n_permutations: usize,
    draws: &mut Draws,
) -> Result<Moran> {
    check_cells(x.len(), &[("cell_type", cell_type.len()), ("ecotype", ecotype.len())], &[x, y])?;
    if k == 0 || n_permutations < 2 || x.len() <= k {
        return Err(Fault::bad_input(format!(
            "k is at least 1 and below the number of cells, permutations are at least 2, found {k}, {} and {n_permutations}",
            x.len()
        )));
    }
    let ecotypes = collate::sorted(ecotype);
    let index = Index::of(&ecotypes);
    let codes: Vec<usize> = ecotype.iter().filter_map(|name| index.get(name)).collect();
    let near = neighbours(run, x, y, k + 1, None)?;
    let observed = indices(&near, &codes, ecotypes.len());
    let of_types = cells_of_types(cell_type);
    let (mut shuffled, mut null) = (codes.clone(), Moments::new(ecotypes.len()));
    let task = run.task("permuting", n_permutations as u64);
    for _ in 0..n_permutations {
        run.check()?;
        shuffle_within(&codes, &of_types, draws, &mut shuffled);
        null.add(&indices(&near, &shuffled, ecotypes.len()));
        task.advance(1);
    }
    let (mean, sd) = null.finish();
    let z = (0..ecotypes.len()).map(|e| (observed[e] - mean[e]) / if sd[e] == 0.0 { 1.0 } else { sd[e] }).collect();
    Ok(Moran { ecotypes, i: observed, z })
}

/// Moran's I of each code: `z' W z / z' z`, z the centred indicator, W with rows that sum to 1.
fn indices(near: &[Vec<u32>], codes: &[usize], n: usize) -> Vec<f64> {
    let cells = codes.len() as f64;
    let (mut of_code, mut same, mut met) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for (cell, others) in near.iter().enumerate() {
        of_code[codes[cell]] += 1.0;
        let share = 1.0 / others.len().max(1) as f64;
        for &other in others {
            met[codes[other as usize]] += share;
            same[codes[cell]] += if codes[other as usize] == codes[cell] { share } else { 0.0 };
        }
    }
    (0..n)
        .map(|e| {
            let p = of_code[e] / cells;
            // Of (a - p)(b - p), summed over pairs of neighbours: every cell has weight 1 as the first of a pair.
            let cross = same[e] - p * of_code[e] - p * met[e] + p * p * cells;
            cross / (of_code[e] * (1.0 - p))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Rng;

    #[test]
    fn halves_are_together_and_a_chessboard_is_apart() -> Result<()> {
        let side = 20_usize;
        let x: Vec<f64> = (0..side * side).map(|i| (i % side) as f64).collect();
        let y: Vec<f64> = (0..side * side).map(|i| (i / side) as f64).collect();
        let types = vec!["B".to_owned(); side * side];
        let of = |f: &dyn Fn(usize) -> bool| -> Vec<String> {
            (0..side * side).map(|i| if f(i) { "SE1" } else { "SE2" }.to_owned()).collect()
        };
        let i = |labels: &[String]| {
            let mut draws = Draws::new(Rng::Native, 1, "");
            moran(&Run::new(), &x, &y, &types, labels, 4, 50, &mut draws)
        };
        let halves = i(&of(&|i| i % side < side / 2))?;
        assert!(halves.i[0] > 0.8 && halves.z[0] > 10.0, "{halves:?}");
        let board = i(&of(&|i| (i % side + i / side).is_multiple_of(2)))?;
        assert!(board.i[0] < -0.8, "{board:?}");
        Ok(())
    }
}
