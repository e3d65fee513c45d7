//! [`mds`]: the samples as points of a plane whose distances are leading log fold changes.

use ferrocyte_base::{Fault, Result, Run, choice};
use ferrocyte_math::linalg::{Matrix, cross_product, symmetric_eigen};

use crate::Expression;

choice! {
    /// Which genes a distance is taken over.
    GeneSelection, "gene_selection" {
        /// Those that differ most between the two samples.
        Pairwise = "pairwise",
        /// Those that vary most over all samples.
        Common = "common",
    }
}

/// Options of [`mds`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MdsOptions {
    /// How many genes a distance is taken over.
    pub top: usize,
    /// Which.
    pub selection: GeneSelection,
}

impl Default for MdsOptions {
    fn default() -> Self {
        Self { top: 500, selection: GeneSelection::Pairwise }
    }
}

/// Coordinates of the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Mds {
    /// Distances, samples × samples: roots of mean squared differences.
    pub distances: Matrix,
    /// Eigenvalues of the centred squared distances, falling.
    pub eigen_values: Vec<f64>,
    /// Share of the sum of the positive eigenvalues that each has.
    pub var_explained: Vec<f64>,
    /// Coordinates, samples × dimensions, one for each eigenvalue; signs are arbitrary.
    pub coordinates: Matrix,
}

/// Classical scaling of the distances between samples. Genes with missing values are left out.
///
/// # Errors
/// Where there are fewer than three samples, or no gene is complete.
pub fn mds(run: &Run, y: &Expression<'_>, options: &MdsOptions) -> Result<Mds> {
    let n = y.n_samples();
    if n < 3 {
        return Err(Fault::bad_input(format!("{n} samples, expected at least 3")).at("data"));
    }
    let genes: Vec<usize> = (0..y.n_genes()).filter(|&g| y.row(g).iter().all(|v| v.is_finite())).collect();
    if genes.is_empty() || options.top == 0 {
        return Err(Fault::bad_input("no gene has values in all samples").at("data"));
    }
    let top = options.top.min(genes.len());
    let squares = match options.selection {
        GeneSelection::Pairwise => pairwise(run, y, &genes, top)?,
        GeneSelection::Common => common(y, &genes, top),
    };
    scaled(squares)
}

/// Means of the `top` largest squared differences of each pair.
fn pairwise(run: &Run, y: &Expression<'_>, genes: &[usize], top: usize) -> Result<Matrix> {
    let n = y.n_samples();
    let mut columns: Vec<Vec<f64>> = (0..n).map(|_| Vec::with_capacity(genes.len())).collect();
    for &g in genes {
        columns.iter_mut().zip(y.row(g)).for_each(|(column, &value)| column.push(value));
    }
    let rows = run.map_blocks("distances", n, 1, |i| {
        let mut squares = Vec::with_capacity(genes.len());
        let mean_of_largest = |j: usize| {
            squares.clear();
            squares.extend(columns[i].iter().zip(&columns[j]).map(|(a, b)| (a - b) * (a - b)));
            if top < squares.len() {
                squares.select_nth_unstable_by(top - 1, |a, b| b.total_cmp(a));
            }
            squares[..top].iter().sum::<f64>() / top as f64
        };
        Ok((0..i).map(mean_of_largest).collect::<Vec<f64>>())
    })?;
    let mut out = Matrix::zeros(n, n);
    for (i, row) in rows.into_iter().enumerate() {
        for (j, square) in row.into_iter().enumerate() {
            out[(i, j)] = square;
            out[(j, i)] = square;
        }
    }
    Ok(out)
}

/// Mean squared differences over the `top` genes with the largest variance, from products of centred values.
fn common(y: &Expression<'_>, genes: &[usize], top: usize) -> Matrix {
    let n = y.n_samples();
    let mean = |g: usize| y.row(g).iter().sum::<f64>() / n as f64;
    let mut ranked: Vec<(f64, usize)> = genes
        .iter()
        .map(|&g| {
            let mean = mean(g);
            (y.row(g).iter().map(|v| (v - mean) * (v - mean)).sum(), g)
        })
        .collect();
    // Ties in the order of the genes.
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut centred = Vec::with_capacity(top * n);
    for &(_, g) in &ranked[..top] {
        let mean = mean(g);
        centred.extend(y.row(g).iter().map(|v| v - mean));
    }
    let mut products = Matrix::zeros(n, n);
    cross_product(&centred, &centred, &mut products);
    let mut out = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            let square = products[(i, i)] + products[(j, j)] - 2.0 * products[(i, j)];
            out[(i, j)] = square.max(0.0) / top as f64;
        }
    }
    out
}

/// Coordinates from squared distances: eigenvectors of `-d²/2` centred in rows and columns.
fn scaled(squares: Matrix) -> Result<Mds> {
    let n = squares.n_rows();
    let row_means: Vec<f64> = (0..n).map(|i| squares.row(i).iter().sum::<f64>() / n as f64).collect();
    let mean = row_means.iter().sum::<f64>() / n as f64;
    let mut centred = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            centred[(i, j)] = -0.5 * (squares[(i, j)] - row_means[i] - row_means[j] + mean);
        }
    }
    let (values, vectors) = symmetric_eigen(&centred)?;
    let eigen_values: Vec<f64> = values.iter().rev().copied().collect();
    let positive: f64 = eigen_values.iter().map(|l| l.max(0.0)).sum();
    let mut coordinates = Matrix::zeros(n, n);
    for (k, value) in eigen_values.iter().enumerate() {
        let length = value.max(0.0).sqrt();
        for i in 0..n {
            coordinates[(i, k)] = vectors[(i, n - 1 - k)] * length;
        }
    }
    let mut distances = squares;
    distances.entries_mut().iter_mut().for_each(|d| *d = d.sqrt());
    let var_explained = eigen_values.iter().map(|l| l / positive).collect();
    Ok(Mds { distances, eigen_values, var_explained, coordinates })
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::*;

    fn example() -> Vec<f64> {
        (0..60 * 5).map(|i| ((i * i * 31 + i * 7) % 97) as f64 * 0.1 + if i % 5 < 2 { 3.0 } else { 0.0 }).collect()
    }

    #[test]
    fn coordinates_rebuild_distances() -> Result<()> {
        let values = example();
        let y = Expression::unnamed(MatrixRef::from_rows(60, 5, &values));
        // Over all genes distances are Euclidean, and five dimensions hold them.
        for selection in [GeneSelection::Pairwise, GeneSelection::Common] {
            let found = mds(&Run::new(), &y, &MdsOptions { top: 1000, selection })?;
            for i in 0..5 {
                for j in 0..5 {
                    let direct: f64 = (0..60).map(|g| (y.row(g)[i] - y.row(g)[j]).powi(2)).sum::<f64>() / 60.0;
                    let points = found.coordinates.row(i).iter().zip(found.coordinates.row(j));
                    let rebuilt: f64 = points.map(|(a, b)| (a - b) * (a - b)).sum();
                    assert!((rebuilt - direct).abs() < 1e-9 && (found.distances[(i, j)].powi(2) - direct).abs() < 1e-9);
                }
            }
            assert!((found.var_explained.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        Ok(())
    }

    #[test]
    fn largest_differences_are_those_of_a_sort() -> Result<()> {
        let mut values = example();
        values[7] = f64::NAN;
        let y = Expression::unnamed(MatrixRef::from_rows(60, 5, &values));
        let found = mds(&Run::new(), &y, &MdsOptions { top: 10, selection: GeneSelection::Pairwise })?;
        let mut squares: Vec<f64> =
            (0..60).map(|g| (y.row(g)[0] - y.row(g)[3]).powi(2)).filter(|s| s.is_finite()).collect();
        squares.remove(1);
        squares.sort_by(|a, b| b.total_cmp(a));
        assert!((found.distances[(0, 3)].powi(2) - squares[..10].iter().sum::<f64>() / 10.0).abs() < 1e-12);
        assert!(
            mds(&Run::new(), &Expression::unnamed(MatrixRef::from_rows(1, 2, &[1.0, 2.0])), &MdsOptions::default())
                .is_err()
        );
        Ok(())
    }
}
