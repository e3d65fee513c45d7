//! Abundance of ecotypes over a tissue, numbers of cells in spots, and parts of a tissue.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;

use super::nearest::Tree;
use super::{check_cells, side_by_side};
use crate::collate::{self, Index, collate};

/// Places on a tissue and shares of ecotypes there.
#[derive(Debug, Clone, PartialEq)]
pub struct Spots {
    /// The spots: `X0_Y1`.
    pub names: Vec<String>,
    /// Their coordinates.
    pub x: Vec<f64>,
    /// Their coordinates.
    pub y: Vec<f64>,
    /// The ecotypes, sorted.
    pub ecotypes: Vec<String>,
    /// Spots × ecotypes.
    pub shares: Matrix,
}

/// What is counted where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbundanceOptions {
    /// Cells that are not nearer than this do not count.
    pub radius: f64,
    /// The width of the grid whose squares are the spots.
    pub grid_size: f64,
    /// The most cells of a spot.
    pub k: usize,
    /// Spots with fewer cells are left out.
    pub min_cells: usize,
}

/// The squares of a grid that hold points: their names sorted, and the medians of the coordinates of their points.
pub fn grid_spots(x: &[f64], y: &[f64], grid_size: f64) -> Result<(Vec<String>, Vec<f64>, Vec<f64>)> {
    check_cells(x.len(), &[], &[x, y])?;
    if !(grid_size > 0.0) {
        return Err(Fault::bad_input(format!("the grid is wider than 0, found {grid_size}")).at("grid_size"));
    }
    let square = |x: f64| (x / grid_size).round_ties_even() as i64;
    let of: Vec<String> = x.iter().zip(y).map(|(&x, &y)| format!("X{}_Y{}", square(x), square(y))).collect();
    let mut index = Index::of(&of);
    let mut members = vec![Vec::new(); index.len()];
    of.iter().enumerate().for_each(|(i, name)| members[index.get(name).unwrap_or(0)].push(i));
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|&a, &b| collate(&index.0[a], &index.0[b]));
    let median = |values: &[f64], spot: usize| {
        let mut sorted: Vec<f64> = members[spot].iter().map(|&i| values[i]).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        0.5 * (sorted[(n - 1) / 2] + sorted[n / 2])
    };
    let (cx, cy) = order.iter().map(|&spot| (median(x, spot), median(y, spot))).unzip();
    Ok((order.into_iter().map(|spot| std::mem::take(&mut index.0[spot])).collect(), cx, cy))
}

/// Shares of ecotypes among the cells around each square of a grid.
pub fn abundance(x: &[f64], y: &[f64], ecotype: &[String], options: &AbundanceOptions) -> Result<Spots> {
    check_cells(x.len(), &[("ecotype", ecotype.len())], &[x, y])?;
    let ecotypes = collate::sorted(ecotype);
    let codes: Vec<usize> = collate::codes(ecotype, &ecotypes).into_iter().flatten().collect();
    let (names, cx, cy) = grid_spots(x, y, options.grid_size)?;
    let tree = Tree::new(side_by_side(x, y), 2);
    let k = ecotypes.len();
    let mut spots = Spots { names: Vec::new(), x: Vec::new(), y: Vec::new(), ecotypes, shares: Matrix::zeros(0, k) };
    let mut shares = Vec::new();
    for ((name, x), y) in names.into_iter().zip(cx).zip(cy) {
        let near = tree.nearest(&[x, y], options.k);
        let near: Vec<usize> = near.into_iter().filter(|(_, far)| *far < options.radius).map(|(i, _)| i).collect();
        if near.len() < options.min_cells.max(1) {
            continue;
        }
        let mut row = vec![0.0; k];
        near.iter().for_each(|&cell| row[codes[cell]] += 1.0);
        shares.extend(row.iter().map(|n| n / near.len() as f64));
        spots.names.push(name);
        spots.x.push(x);
        spots.y.push(y);
    }
    spots.shares = Matrix::from_rows(spots.names.len(), k, shares);
    Ok(spots)
}

/// Shares averaged over the `k` spots nearest to each, itself among them; without it, over the `k - 1` others.
pub fn smooth_abundance(spots: &Spots, k: usize, include_self: bool) -> Result<Spots> {
    if k < 1 + usize::from(!include_self) {
        return Err(Fault::bad_input(format!("{k} spots are too few to average over")).at("k"));
    }
    let tree = Tree::new(side_by_side(&spots.x, &spots.y), 2);
    let mut smooth = spots.clone();
    for spot in 0..spots.names.len() {
        let near = tree.nearest(&[spots.x[spot], spots.y[spot]], k);
        let near: Vec<usize> = near.into_iter().map(|(i, _)| i).filter(|&i| include_self || i != spot).collect();
        for ecotype in 0..spots.ecotypes.len() {
            let sum: f64 = near.iter().map(|&i| spots.shares[(i, ecotype)]).sum();
            smooth.shares[(spot, ecotype)] = sum / near.len() as f64;
        }
    }
    Ok(smooth)
}

/// How many cells spots hold, from the sums of their values: the least sum is one cell, the mean sum `average` cells.
pub fn infer_ncells(sums: &[f64], average: f64) -> Vec<i64> {
    let mean = sums.iter().sum::<f64>() / sums.len() as f64;
    let least = sums.iter().fold(f64::INFINITY, |a, &b| a.min(b));
    // Sums without spread say nothing: every spot is an average one.
    let slope = if mean > least { (average - 1.0) / (mean - least) } else { 0.0 };
    let intercept = if mean > least { 1.0 - slope * least } else { average };
    sums.iter().map(|sum| ((intercept + slope * sum).round_ties_even() as i64).max(1)).collect()
}

/// The part of a tissue that each point is in, `a_b`: `n_rows` parts along x, `n_columns` along y.
pub fn partition_tissue(x: &[f64], y: &[f64], n_rows: usize, n_columns: usize) -> Result<Vec<String>> {
    check_cells(x.len(), &[], &[x, y])?;
    if n_rows == 0 || n_columns == 0 {
        return Err(Fault::bad_input(format!("a tissue has at least one part, found {n_rows} x {n_columns}")));
    }
    let (a, b) = (parts(x, n_rows), parts(y, n_columns));
    Ok(a.into_iter().zip(b).map(|(a, b)| format!("{a}_{b}")).collect())
}

fn parts(values: &[f64], n: usize) -> Vec<i64> {
    let (least, most) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    // A little wider, so that the largest value is in the last part.
    let width = (most - least) * 1.000001 / n as f64;
    values.iter().map(|x| if width > 0.0 { ((x - least) / width).floor() as i64 } else { 0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_hold_the_cells_around_them() -> Result<()> {
        let x = [0.0, 1.0, 2.0, 10.0, 11.0];
        let ecotype = ["SE1", "SE1", "SE2", "SE2", "SE2"].map(str::to_owned);
        let options = AbundanceOptions { radius: 3.0, grid_size: 10.0, k: 10, min_cells: 2 };
        let spots = abundance(&x, &[0.0; 5], &ecotype, &options)?;
        assert_eq!((&spots.names[..], &spots.x[..]), (&["X0_Y0".to_owned(), "X1_Y0".to_owned()][..], &[1.0, 10.5][..]));
        assert_eq!(spots.shares.row(0), [2.0 / 3.0, 1.0 / 3.0]);
        let smooth = smooth_abundance(&spots, 2, true)?;
        assert_eq!(smooth.shares.row(0), [1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(smooth_abundance(&spots, 2, false)?.shares.row(0), [0.0, 1.0]);
        Ok(())
    }

    #[test]
    fn parts_and_cells_of_spots() -> Result<()> {
        assert_eq!(partition_tissue(&[0.0, 5.0, 10.0], &[0.0, 0.0, 1.0], 2, 2)?, ["0_0", "0_0", "1_1"]);
        assert_eq!(infer_ncells(&[1.0, 2.0, 3.0], 5.0), [1, 5, 9]);
        assert_eq!(infer_ncells(&[2.0, 2.0], 4.0), [4, 4]);
        Ok(())
    }
}
