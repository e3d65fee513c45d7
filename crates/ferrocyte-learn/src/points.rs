//! [`Points`]: a dense matrix of observations, borrowed.

use ferrocyte_base::{Fault, Result};

/// Observations in a few dimensions: `n` rows of `d` 64-bit numbers, row after row. All are finite.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    values: &'a [f64],
    n: usize,
    d: usize,
}

impl<'a> Points<'a> {
    /// Looks at `values` as `n` rows of `d` numbers.
    ///
    /// # Errors
    ///
    /// There are not `n * d` values, or some are missing or infinite: the fault counts them and names the first row.
    pub fn new(values: &'a [f64], n: usize, d: usize) -> Result<Self> {
        if n.checked_mul(d) != Some(values.len()) {
            let message = format!("{n} rows of {d} numbers were expected, found {} numbers", values.len());
            return Err(Fault::bad_input(message));
        }
        let bad = values.iter().filter(|x| !x.is_finite()).count();
        if let Some(first) = values.iter().position(|x| !x.is_finite()) {
            let (row, column) = (first / d, first % d);
            let message =
                format!("{bad} of {n} x {d} values are missing or infinite, the first in row {row}, column {column}");
            return Err(Fault::bad_input(message).hint("leave out the rows that have no coordinates"));
        }
        Ok(Self { values, n, d })
    }

    /// How many rows there are.
    pub fn n(self) -> usize {
        self.n
    }

    /// How many numbers a row has.
    pub fn d(self) -> usize {
        self.d
    }

    /// One row.
    pub fn row(self, i: usize) -> &'a [f64] {
        &self.values[i * self.d..(i + 1) * self.d]
    }

    /// All numbers, row after row.
    pub fn values(self) -> &'a [f64] {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_checked_and_found() {
        let points = Points::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 2);
        assert!(points.is_ok_and(|p| p.row(1) == [3.0, 4.0]));
        assert!(Points::new(&[1.0; 5], 3, 2).is_err());
        let fault = Points::new(&[1.0, f64::NAN, 3.0, f64::INFINITY], 2, 2).map(|_| ());
        assert!(fault.is_err_and(|f| f.to_string().contains("2 of 2 x 2 values")));
    }
}
