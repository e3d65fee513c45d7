//! Principal components of the metacells of one cell type.

use ferrocyte_base::{Result, Run};
use ferrocyte_learn::{fix_signs, largest_eigen};
use ferrocyte_math::linalg::{Matrix, cross_product, product};

use crate::scale::SCALE_MAX;

/// The most components of a type, and by how many they are fewer than its neighbourhoods.
const MOST: usize = 30;
const FEWER: usize = 3;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ComponentOptions {
    /// How many genes, those that vary most.
    pub(super) nfeatures: usize,
    /// Genes are found in at least so many metacells.
    pub(super) min_cells: usize,
    /// Metacells have at least so many of these genes.
    pub(super) min_features: usize,
}

/// Which metacells are kept, and their scores: metacells × components. Nothing where too few are.
///
/// Means of genes are taken off; the genes with the largest `ln(var(e^x - 1) / mean(e^x - 1))` are standardised, cut at 10,
/// and turned onto the axes along which they spread most.
pub(super) fn components(
    run: &Run,
    metacells: &[&[f64]],
    options: &ComponentOptions,
) -> Result<Option<(Vec<usize>, Matrix)>> {
    let n_genes = metacells.first().map_or(0, |row| row.len());
    let found = |gene: usize| metacells.iter().filter(|row| row[gene] > 0.0).count();
    let genes: Vec<usize> = (0..n_genes).filter(|&gene| found(gene) >= options.min_cells).collect();
    let enough = |row: &&[f64]| genes.iter().filter(|&&gene| row[gene] > 0.0).count() >= options.min_features;
    let kept: Vec<usize> = (0..metacells.len()).filter(|&i| enough(&metacells[i])).collect();
    if kept.len() <= FEWER + 1 {
        return Ok(None);
    }
    let columns: Vec<Vec<f64>> = most_variable(metacells, &kept, &genes, options.nfeatures);
    let g = columns.len();
    if g < 2 {
        return Ok(None);
    }
    let mut scaled = Matrix::zeros(kept.len(), g);
    for (gene, column) in columns.iter().enumerate() {
        let (mean, sd) = spread(column);
        for (i, x) in column.iter().enumerate() {
            scaled[(i, gene)] = if sd > 0.0 { ((x - mean) / sd).min(SCALE_MAX) } else { 0.0 };
        }
    }
    let k = MOST.min(kept.len() - FEWER).min(g);
    let mut gram = Matrix::zeros(g, g);
    cross_product(scaled.entries(), scaled.entries(), &mut gram);
    let mut axes = largest_eigen(run, &gram, k)?.vectors;
    fix_signs(&mut axes);
    let mut scores = Matrix::zeros(kept.len(), k);
    product(scaled.entries(), g, &axes.transpose(), scores.entries_mut());
    Ok(Some((kept, scores)))
}

/// Values of the genes that vary most over the metacells that are kept, less their means.
fn most_variable(metacells: &[&[f64]], kept: &[usize], genes: &[usize], most: usize) -> Vec<Vec<f64>> {
    let n = kept.len() as f64;
    let mut columns: Vec<(f64, Vec<f64>)> = Vec::with_capacity(genes.len());
    for &gene in genes {
        let mut column: Vec<f64> = kept.iter().map(|&i| metacells[i][gene]).collect();
        if column.iter().all(|x| *x == column[0]) {
            continue;
        }
        let mean = column.iter().sum::<f64>() / n;
        column.iter_mut().for_each(|x| *x -= mean);
        let back: Vec<f64> = column.iter().map(|x| x.exp_m1()).collect();
        let (mean, sd) = spread(&back);
        if mean != 0.0 {
            let dispersion = (sd * sd / mean).ln();
            columns.push((if dispersion.is_nan() { 0.0 } else { dispersion }, column));
        }
    }
    columns.sort_by(|a, b| b.0.total_cmp(&a.0));
    columns.into_iter().take(most).map(|(_, column)| column).collect()
}

/// Mean and standard deviation, with n - 1.
fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;

    #[test]
    fn the_first_component_is_what_tells_two_halves_apart() -> Result<()> {
        let mut draws = Stream::new(3, 0);
        let rows: Vec<Vec<f64>> = (0..40)
            .map(|i| (0..20).map(|g| 1.0 + f64::from(u8::from((i < 20) == (g < 10))) + 0.2 * draws.uniform()).collect())
            .collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let options = ComponentOptions { nfeatures: 15, min_cells: 5, min_features: 10 };
        let (kept, scores) = components(&Run::new(), &rows, &options)?.unwrap_or((Vec::new(), Matrix::zeros(0, 0)));
        assert_eq!((kept.len(), scores.n_rows(), scores.n_cols()), (40, 40, 15));
        let sign = scores[(0, 0)].signum();
        assert!((0..40).all(|i| (scores[(i, 0)] * sign > 1.0) == (i < 20)));
        // Rows without enough genes are passed over, and few rows have no components.
        let few = ComponentOptions { min_features: 21, ..options };
        assert!(components(&Run::new(), &rows, &few)?.is_none());
        Ok(())
    }
}
