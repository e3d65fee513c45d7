//! [`Network`]: links between items, of which those that are not 0 are stored.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;

/// Items × items, row after row, columns rising.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
}

impl Network {
    /// A network from compressed rows: the links of item `i` are those from `starts[i]` to `starts[i + 1]`.
    ///
    /// # Errors
    /// Arrays that disagree, columns that do not rise or are beyond the items, values that are not finite.
    pub fn new(starts: Vec<usize>, columns: Vec<u32>, values: Vec<f64>) -> Result<Self> {
        let n = starts.len().saturating_sub(1);
        let fits = starts.first() == Some(&0) && starts.is_sorted() && starts.last() == Some(&columns.len());
        if !fits || columns.len() != values.len() {
            return Err(Fault::bad_input(format!(
                "a network has starts that rise from 0 to its number of links, and a value for each; found {} starts, {} \
                 columns and {} values",
                starts.len(),
                columns.len(),
                values.len()
            )));
        }
        let network = Self { starts, columns, values };
        for i in 0..n {
            let (columns, values) = network.row(i);
            let rise = columns.windows(2).all(|pair| pair[0] < pair[1]);
            if !rise || columns.last().is_some_and(|&j| j as usize >= n) || values.iter().any(|x| !x.is_finite()) {
                let message = format!("links of item {i} (from 0) are to rising items below {n}, with finite values");
                return Err(Fault::bad_input(message).at("networks"));
            }
        }
        Ok(network)
    }

    /// What is not 0 of a square matrix.
    ///
    /// # Errors
    /// A matrix that is not square, or has values that are not finite.
    pub fn of(matrix: &Matrix) -> Result<Self> {
        let n = matrix.n_rows();
        if matrix.n_cols() != n {
            return Err(
                Fault::bad_input(format!("a network is square, found {n} x {}", matrix.n_cols())).at("networks")
            );
        }
        let rows = (0..n).map(|i| {
            let stored = matrix.row(i).iter().enumerate().filter(|(_, x)| **x != 0.0);
            stored.map(|(j, &x)| (j as u32, x)).collect::<Vec<_>>()
        });
        let network = Self::from_rows(rows);
        match network.values.iter().find(|x| !x.is_finite()) {
            Some(x) => Err(Fault::bad_input(format!("links are finite, found {x}")).at("networks")),
            None => Ok(network),
        }
    }

    /// Rows that are known to be right.
    pub(super) fn from_rows(rows: impl IntoIterator<Item = Vec<(u32, f64)>>) -> Self {
        let mut network = Self { starts: vec![0], columns: Vec::new(), values: Vec::new() };
        for row in rows {
            network.columns.extend(row.iter().map(|link| link.0));
            network.values.extend(row.iter().map(|link| link.1));
            network.starts.push(network.columns.len());
        }
        network
    }

    /// How many items there are.
    pub fn n(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many links there are.
    pub fn n_links(&self) -> usize {
        self.columns.len()
    }

    /// The links of an item: to whom, and how strong.
    #[inline]
    pub fn row(&self, i: usize) -> (&[u32], &[f64]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// All of it, zeros included.
    pub fn dense(&self) -> Matrix {
        let n = self.n();
        let mut matrix = Matrix::zeros(n, n);
        for i in 0..n {
            let (columns, values) = self.row(i);
            let row = matrix.row_mut(i);
            columns.iter().zip(values).for_each(|(&j, &x)| row[j as usize] = x);
        }
        matrix
    }

    /// Columns as rows.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let mut rows = vec![Vec::new(); self.n()];
        for i in 0..self.n() {
            let (columns, values) = self.row(i);
            columns.iter().zip(values).for_each(|(&j, &x)| rows[j as usize].push((i as u32, x)));
        }
        Self::from_rows(rows)
    }

    /// Half a unit on the diagonal, the other half over the rest of each row, and the same both ways.
    #[must_use]
    pub(super) fn normalised(&self) -> Self {
        let scaled = Self::from_rows((0..self.n()).map(|i| self.scaled_row(i)));
        let turned = scaled.transpose();
        Self::from_rows((0..self.n()).map(|i| mean_of_rows(scaled.row(i), turned.row(i))))
    }

    /// A row whose entries off the diagonal sum to a half; on the diagonal it has the other half.
    fn scaled_row(&self, i: usize) -> Vec<(u32, f64)> {
        let (columns, values) = self.row(i);
        let own = columns.binary_search(&(i as u32));
        let rest = values.iter().sum::<f64>() - own.map_or(0.0, |at| values[at]);
        let rest = if rest == 0.0 { 1.0 } else { rest };
        let mut row: Vec<(u32, f64)> = columns.iter().zip(values).map(|(&j, &x)| (j, x / (2.0 * rest))).collect();
        match own {
            Ok(at) => row[at].1 = 0.5,
            Err(at) => row.insert(at, (i as u32, 0.5)),
        }
        row
    }

    /// The `k` largest entries of each row, of equal ones the last.
    #[must_use]
    pub(super) fn largest(&self, k: usize) -> Self {
        Self::from_rows((0..self.n()).map(|i| {
            let (columns, values) = self.row(i);
            let mut row: Vec<(u32, f64)> = columns.iter().copied().zip(values.iter().copied()).collect();
            row.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
            row.truncate(k);
            row.sort_by_key(|link| link.0);
            row
        }))
    }
}

/// The means of the entries of two rows.
fn mean_of_rows(a: (&[u32], &[f64]), b: (&[u32], &[f64])) -> Vec<(u32, f64)> {
    let (mut i, mut j, mut row) = (0, 0, Vec::with_capacity(a.0.len() + b.0.len()));
    while i < a.0.len() || j < b.0.len() {
        let (mine, theirs) = (a.0.get(i).copied().unwrap_or(u32::MAX), b.0.get(j).copied().unwrap_or(u32::MAX));
        let column = mine.min(theirs);
        let mut sum = 0.0;
        if mine == column {
            sum += a.1[i];
            i += 1;
        }
        if theirs == column {
            sum += b.1[j];
            j += 1;
        }
        row.push((column, 0.5 * sum));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_halved_and_the_same_both_ways() -> Result<()> {
        let network = Network::of(&Matrix::from_rows(2, 2, vec![5.0, 2.0, 0.0, 0.0]))?.normalised();
        // Row 0 has a half beside its diagonal, row 1 nothing: a quarter each way.
        assert_eq!(network.dense().entries(), [0.5, 0.25, 0.25, 0.5]);
        Ok(())
    }

    #[test]
    fn the_last_of_equal_entries_is_kept() -> Result<()> {
        let network = Network::of(&Matrix::from_rows(3, 3, vec![1.0, 1.0, 1.0, 0.0, 3.0, 2.0, 0.0, 0.0, 0.0]))?;
        assert_eq!(network.largest(2).row(0), (&[1, 2][..], &[1.0, 1.0][..]));
        assert_eq!((network.n_links(), network.largest(1).row(1).0), (5, &[1][..]));
        Ok(())
    }

    #[test]
    fn what_is_given_is_checked() {
        assert!(Network::new(vec![0, 1, 2], vec![1, 0], vec![1.0, 2.0]).is_ok());
        assert!(Network::new(vec![0, 1, 2], vec![1, 2], vec![1.0, 2.0]).is_err());
        assert!(Network::new(vec![0, 2, 2], vec![1, 0], vec![1.0, 2.0]).is_err());
        assert!(Network::new(vec![0, 1, 2], vec![1, 0], vec![1.0, f64::NAN]).is_err());
        assert!(Network::of(&Matrix::zeros(2, 3)).is_err());
    }
}
