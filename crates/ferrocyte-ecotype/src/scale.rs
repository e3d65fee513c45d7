//! Standardised genes: over cells, or with equal weight of groups of cells.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;

use crate::collate;
use crate::expression::Expression;

/// Standardised values above this are cut; those far below the mean are not.
pub const SCALE_MAX: f64 = 10.0;

/// Mean and spread of every gene over some cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// The means.
    pub mean: Vec<f64>,
    /// The standard deviations, with n - 1; exactly 0 where all values are equal, or there is one cell.
    pub sd: Vec<f64>,
}

impl Moments {
    /// Those over the given cells: squares are summed about the mean, zeros that are not stored included.
    pub fn of(x: &Expression, cells: &[usize]) -> Self {
        let mut sums = MomentSums::new(x.n_genes());
        cells.iter().for_each(|&cell| sums.add(x.cell(cell)));
        sums.turn();
        cells.iter().for_each(|&cell| sums.add_squares(x.cell(cell)));
        sums.moments()
    }

    /// The variance of each gene.
    pub fn variances(&self) -> Vec<f64> {
        self.sd.iter().map(|s| s * s).collect()
    }

    /// A value of a gene, standardised: 0 where the gene is constant, at most [`SCALE_MAX`].
    #[inline]
    pub fn z(&self, gene: usize, value: f64) -> f64 {
        if self.sd[gene] == 0.0 { 0.0 } else { ((value - self.mean[gene]) / self.sd[gene]).min(SCALE_MAX) }
    }
}

/// Moments in the making: cells pass twice, in the same order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MomentSums {
    /// How many cells passed.
    pub(crate) n: usize,
    /// Sums, after [`MomentSums::turn`] means.
    mean: Vec<f64>,
    squares: Vec<f64>,
    stored: Vec<usize>,
    first: Vec<f64>,
    differs: Vec<bool>,
    least: Vec<f64>,
    most: Vec<f64>,
}

impl MomentSums {
    pub(crate) fn new(n_genes: usize) -> Self {
        let zeros = || vec![0.0; n_genes];
        Self {
            n: 0,
            mean: zeros(),
            squares: zeros(),
            stored: vec![0; n_genes],
            first: zeros(),
            differs: vec![false; n_genes],
            least: vec![f64::INFINITY; n_genes],
            most: vec![f64::NEG_INFINITY; n_genes],
        }
    }

    /// A cell of the first pass: its genes and values that are stored.
    pub(crate) fn add(&mut self, (genes, values): (&[u32], &[f64])) {
        self.n += 1;
        for (&gene, &value) in genes.iter().zip(values) {
            let gene = gene as usize;
            if self.stored[gene] == 0 {
                self.first[gene] = value;
            }
            self.differs[gene] |= self.first[gene] != value;
            self.stored[gene] += 1;
            self.mean[gene] += value;
            self.least[gene] = self.least[gene].min(value);
            self.most[gene] = self.most[gene].max(value);
        }
    }

    /// Between the passes.
    pub(crate) fn turn(&mut self) {
        let n = self.n.max(1) as f64;
        self.mean.iter_mut().for_each(|m| *m /= n);
    }

    /// A cell of the second pass.
    pub(crate) fn add_squares(&mut self, (genes, values): (&[u32], &[f64])) {
        for (&gene, &value) in genes.iter().zip(values) {
            let from = value - self.mean[gene as usize];
            self.squares[gene as usize] += from * from;
        }
    }

    /// The moments of all that passed.
    pub(crate) fn moments(&self) -> Moments {
        let sd = |gene: usize| {
            let zeros = self.n - self.stored[gene];
            // Rounding gives equal values a tiny spread, and large standardised ones.
            let constant = self.n < 2 || self.stored[gene] == 0 || (!self.differs[gene] && zeros == 0);
            let squares = self.squares[gene] + zeros as f64 * self.mean[gene] * self.mean[gene];
            if constant { 0.0 } else { (squares / (self.n - 1) as f64).sqrt() }
        };
        Moments { mean: self.mean.clone(), sd: (0..self.mean.len()).map(sd).collect() }
    }

    /// The least and the largest value of a gene after the first pass, zeros that are not stored included.
    pub(crate) fn range(&self, gene: usize) -> (f64, f64) {
        if self.stored[gene] < self.n {
            (self.least[gene].min(0.0), self.most[gene].max(0.0))
        } else {
            (self.least[gene], self.most[gene])
        }
    }
}

/// All genes standardised over all cells: cells × genes.
pub fn scale(x: &Expression) -> Matrix {
    let cells: Vec<usize> = (0..x.n_cells()).collect();
    let moments = Moments::of(x, &cells);
    let mut scaled = Matrix::zeros(x.n_cells(), x.n_genes());
    for cell in cells {
        let row = scaled.row_mut(cell);
        for (gene, z) in row.iter_mut().enumerate() {
            *z = moments.z(gene, 0.0);
        }
        let (genes, values) = x.cell(cell);
        genes.iter().zip(values).for_each(|(&gene, &value)| row[gene as usize] = moments.z(gene as usize, value));
    }
    scaled
}

/// All genes standardised with the same weight for every group of cells, nothing cut: cells × genes.
///
/// A cell weighs 1 / (cells of its group); variances divide by the number of groups less one, so that there must be
/// two. Constant genes are 0.
pub fn scale_by_groups(x: &Expression, groups: &[String]) -> Result<Matrix> {
    if groups.len() != x.n_cells() {
        return Err(Fault::bad_input(format!("{} groups for {} cells", groups.len(), x.n_cells())).at("groups"));
    }
    let levels = collate::first_seen(groups);
    if levels.len() < 2 {
        return Err(Fault::bad_input(format!("scaling by groups needs at least two, found {}", levels.len()))
            .at("groups")
            .hint("scale over all cells instead"));
    }
    let codes: Vec<usize> = collate::codes(groups, &levels).into_iter().flatten().collect();
    let mut sizes = vec![0.0; levels.len()];
    codes.iter().for_each(|&code| sizes[code] += 1.0);
    let q = levels.len() as f64;
    let mut scaled = Matrix::zeros(x.n_cells(), x.n_genes());
    for cell in 0..x.n_cells() {
        let (genes, values) = x.cell(cell);
        let row = scaled.row_mut(cell);
        genes.iter().zip(values).for_each(|(&gene, &value)| row[gene as usize] = value);
    }
    for gene in 0..x.n_genes() {
        let column = |cell: usize| scaled[(cell, gene)];
        let first = column(0);
        let constant = (1..x.n_cells()).all(|cell| column(cell) == first);
        let mean = codes.iter().enumerate().map(|(cell, &code)| column(cell) / sizes[code]).sum::<f64>() / q;
        let squares = codes.iter().enumerate().map(|(cell, &code)| (column(cell) - mean).powi(2) / sizes[code]);
        let variance = squares.sum::<f64>() / (q - 1.0);
        let sd = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        for cell in 0..x.n_cells() {
            scaled[(cell, gene)] = if constant { 0.0 } else { (scaled[(cell, gene)] - mean) / sd };
        }
    }
    Ok(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[f64]) -> Result<Expression> {
        let cells = (0..values.len()).map(|i| format!("c{i}")).collect();
        Expression::from_rows(cells, vec!["g".into()], &values.iter().map(|&v| vec![v]).collect::<Vec<_>>())
    }

    #[test]
    fn zeros_count_whether_stored_or_not() -> Result<()> {
        let x = column(&[0.0, 1.0, 2.0, 0.0, 7.0])?;
        let moments = Moments::of(&x, &[0, 1, 2, 3, 4]);
        assert_eq!(moments.mean, [2.0]);
        assert!((moments.sd[0] - (34.0_f64 / 4.0).sqrt()).abs() < 1e-15);
        assert_eq!(scale(&x)[(2, 0)], 0.0);
        Ok(())
    }

    #[test]
    fn constant_genes_are_exactly_0_and_large_values_cut() -> Result<()> {
        let constant = column(&[0.1; 7])?;
        assert!(scale(&constant).entries().iter().all(|&z| z == 0.0));
        let mut values = vec![0.0; 200];
        values[0] = 1.0;
        assert_eq!(scale(&column(&values)?)[(0, 0)], SCALE_MAX);
        assert_eq!(Moments::of(&constant, &[3]).sd, [0.0]);
        Ok(())
    }

    #[test]
    fn groups_weigh_the_same() -> Result<()> {
        let x = column(&[1.0, 1.0, 1.0, 3.0])?;
        let groups = ["a", "a", "a", "b"].map(str::to_owned);
        let z = scale_by_groups(&x, &groups)?;
        // The mean of group means is 2, the variance 2.
        assert!((z[(3, 0)] - 0.5_f64.sqrt()).abs() < 1e-15);
        assert!(scale_by_groups(&x, &["a"; 4].map(str::to_owned)).is_err());
        Ok(())
    }
}
