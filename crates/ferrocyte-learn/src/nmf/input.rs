//! [`Input`]: the matrix that is factorised, borrowed and checked.

use ferrocyte_base::{Fault, Result};

/// The numbers of a matrix, in either precision.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// 64-bit numbers.
    Double(&'a [f64]),
    /// 32-bit numbers.
    Single(&'a [f32]),
}

impl Values<'_> {
    fn len(self) -> usize {
        match self {
            Self::Double(x) => x.len(),
            Self::Single(x) => x.len(),
        }
    }

    #[inline]
    pub(super) fn get(self, at: usize) -> f64 {
        match self {
            Self::Double(x) => x[at],
            Self::Single(x) => f64::from(x[at]),
        }
    }
}

/// How the numbers lie.
#[derive(Debug, Clone, Copy)]
enum Layout<'a> {
    /// Row after row, or column after column.
    Dense { by_columns: bool },
    /// Compressed along `major`: rows, or columns where `by_columns`.
    Compressed { starts: &'a [usize], indices: &'a [u32], by_columns: bool },
}

/// A non-negative matrix of `n` rows and `g` columns. All its numbers are finite.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    n: usize,
    g: usize,
    values: Values<'a>,
    layout: Layout<'a>,
    /// The number of the first row, for messages.
    first: usize,
}

impl<'a> Input<'a> {
    /// Looks at `n * g` numbers, row after row.
    ///
    /// # Errors
    /// Another number of values; a value that is missing, infinite or negative: the fault counts them and names the first.
    pub fn dense(values: Values<'a>, n: usize, g: usize) -> Result<Self> {
        if n.checked_mul(g) != Some(values.len()) {
            let message = format!("{n} rows of {g} numbers were expected, found {} numbers", values.len());
            return Err(Fault::bad_input(message));
        }
        Self { n, g, values, layout: Layout::Dense { by_columns: false }, first: 0 }.checked()
    }

    /// Looks at compressed rows: the values of row `i` and their columns stand at `starts[i]..starts[i + 1]`.
    ///
    /// # Errors
    /// Arrays that do not fit one another, columns that do not rise within a row or lie outside, and bad values as
    /// [`Input::dense`] has them.
    pub fn rows(starts: &'a [usize], indices: &'a [u32], values: Values<'a>, n: usize, g: usize) -> Result<Self> {
        Self::rows_from(0, starts, indices, values, n, g)
    }

    /// [`Input::rows`] of a part of a matrix that begins with row `first`.
    pub(super) fn rows_from(
        first: usize,
        starts: &'a [usize],
        indices: &'a [u32],
        values: Values<'a>,
        n: usize,
        g: usize,
    ) -> Result<Self> {
        check_compressed(starts, indices, values.len(), n, g)?;
        Self { n, g, values, layout: Layout::Compressed { starts, indices, by_columns: false }, first }.checked()
    }

    /// Looks at compressed columns: the values of column `j` and their rows stand at `starts[j]..starts[j + 1]`.
    ///
    /// # Errors
    /// As [`Input::rows`].
    pub fn columns(starts: &'a [usize], indices: &'a [u32], values: Values<'a>, n: usize, g: usize) -> Result<Self> {
        check_compressed(starts, indices, values.len(), g, n)?;
        Self { n, g, values, layout: Layout::Compressed { starts, indices, by_columns: true }, first: 0 }.checked()
    }

    /// How many rows there are.
    pub fn n(&self) -> usize {
        self.n
    }

    /// How many columns there are.
    pub fn g(&self) -> usize {
        self.g
    }

    /// The matrix with rows and columns exchanged; nothing is copied.
    #[must_use]
    pub fn transposed(self) -> Self {
        let layout = match self.layout {
            Layout::Dense { by_columns } => Layout::Dense { by_columns: !by_columns },
            Layout::Compressed { starts, indices, by_columns } => {
                Layout::Compressed { starts, indices, by_columns: !by_columns }
            }
        };
        Self { n: self.g, g: self.n, values: self.values, layout, first: 0 }
    }

    /// Calls `f(columns, values)` for every row in order, columns rising.
    pub(super) fn each_row(&self, mut f: impl FnMut(&[u32], &[f64])) {
        let (mut columns, mut numbers) = (Vec::new(), Vec::new());
        match self.layout {
            Layout::Dense { by_columns } => {
                columns.extend(0..self.g as u32);
                for i in 0..self.n {
                    numbers.clear();
                    let at = |j: usize| if by_columns { j * self.n + i } else { i * self.g + j };
                    numbers.extend((0..self.g).map(|j| self.values.get(at(j))));
                    f(&columns, &numbers);
                }
            }
            Layout::Compressed { starts, indices, by_columns: false } => {
                for ends in starts.windows(2) {
                    numbers.clear();
                    numbers.extend((ends[0]..ends[1]).map(|at| self.values.get(at)));
                    f(&indices[ends[0]..ends[1]], &numbers);
                }
            }
            Layout::Compressed { by_columns: true, .. } => {
                let mut next = vec![0_usize; self.n + 1];
                self.for_each(|i, _, _| next[i + 1] += 1);
                (0..self.n).for_each(|i| next[i + 1] += next[i]);
                let starts = next.clone();
                columns.resize(starts[self.n], 0);
                numbers.resize(starts[self.n], 0.0);
                self.for_each(|i, j, x| {
                    (columns[next[i]], numbers[next[i]]) = (j as u32, x);
                    next[i] += 1;
                });
                starts.windows(2).for_each(|ends| f(&columns[ends[0]..ends[1]], &numbers[ends[0]..ends[1]]));
            }
        }
    }

    /// Calls `f(row, column, value)` for every value that is not 0, in the order in which they are stored.
    pub(super) fn for_each(&self, mut f: impl FnMut(usize, usize, f64)) {
        match self.layout {
            Layout::Dense { .. } => {
                for at in 0..self.values.len() {
                    let x = self.values.get(at);
                    if x != 0.0 {
                        let (row, column) = self.place(at);
                        f(row, column, x);
                    }
                }
            }
            Layout::Compressed { starts, indices, by_columns } => {
                for (major, ends) in starts.windows(2).enumerate() {
                    for at in ends[0]..ends[1] {
                        let (minor, x) = (indices[at] as usize, self.values.get(at));
                        if x != 0.0 {
                            if by_columns { f(minor, major, x) } else { f(major, minor, x) }
                        }
                    }
                }
            }
        }
    }

    /// Row and column of a value by its place of storage.
    fn place(&self, at: usize) -> (usize, usize) {
        match self.layout {
            Layout::Dense { by_columns: false } => (at / self.g, at % self.g),
            Layout::Dense { by_columns: true } => (at % self.n, at / self.n),
            Layout::Compressed { starts, indices, by_columns } => {
                let (major, minor) = (starts.partition_point(|&s| s <= at) - 1, indices[at] as usize);
                if by_columns { (minor, major) } else { (major, minor) }
            }
        }
    }

    fn checked(self) -> Result<Self> {
        let bad = |x: f64| !(x >= 0.0 && x.is_finite());
        let n_bad = (0..self.values.len()).filter(|&at| bad(self.values.get(at))).count();
        let Some(first) = (0..self.values.len()).find(|&at| bad(self.values.get(at))) else {
            return Ok(self);
        };
        let (row, column) = self.place(first);
        let row = row + self.first;
        let x = self.values.get(first);
        let message = format!(
            "a matrix to factorise has finite values >= 0; {n_bad} of {} x {} are not, the first in row {row}, column \
             {column}: {x}",
            self.n, self.g
        );
        let hint = if x < 0.0 {
            "were centred or logarithmic data given? Counts are needed"
        } else {
            "leave out or repair the rows with missing values"
        };
        Err(Fault::bad_input(message).at(format!("row {row}, column {column}")).hint(hint))
    }
}

/// Refuses compressed arrays that do not fit one another.
fn check_compressed(starts: &[usize], indices: &[u32], n_values: usize, majors: usize, minors: usize) -> Result<()> {
    let fits = starts.len() == majors + 1
        && starts[0] == 0
        && starts[majors] == n_values
        && indices.len() == n_values
        && starts.windows(2).all(|w| w[0] <= w[1]);
    if !fits {
        return Err(Fault::bad_input(format!(
            "a compressed matrix of {majors} x {minors} needs {} rising starts from 0 to the number of values, found {} \
             starts, {} indices and {n_values} values",
            majors + 1,
            starts.len(),
            indices.len()
        )));
    }
    for (major, ends) in starts.windows(2).enumerate() {
        let mine = &indices[ends[0]..ends[1]];
        let rising = mine.windows(2).all(|w| w[0] < w[1]);
        if !rising || mine.last().is_some_and(|&last| last as usize >= minors) {
            return Err(Fault::bad_input(format!(
                "the indices of a compressed row or column must rise and be below {minors}; those of {major} do not"
            ))
            .hint("sort the indices and sum duplicates first"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(input: &Input) -> Vec<(usize, usize, f64)> {
        let mut found = Vec::new();
        input.for_each(|i, j, x| found.push((i, j, x)));
        found.sort_by_key(|e| (e.0, e.1));
        found
    }

    #[test]
    fn three_layouts_of_one_matrix() -> Result<()> {
        let dense = [1.0, 0.0, 2.0, 0.0, 0.0, 3.0];
        let expected = vec![(0, 0, 1.0), (0, 2, 2.0), (1, 2, 3.0)];
        assert_eq!(entries(&Input::dense(Values::Double(&dense), 2, 3)?), expected);
        let single = [1.0_f32, 2.0, 3.0];
        assert_eq!(entries(&Input::rows(&[0, 2, 3], &[0, 2, 2], Values::Single(&single), 2, 3)?), expected);
        assert_eq!(entries(&Input::columns(&[0, 1, 1, 3], &[0, 0, 1], Values::Single(&single), 2, 3)?), expected);
        Ok(())
    }

    #[test]
    fn rows_of_every_layout_and_of_its_transpose() -> Result<()> {
        let dense = [1.0, 0.0, 2.0, 0.0, 0.0, 3.0];
        let single = [1.0_f32, 2.0, 3.0];
        let inputs = [
            Input::dense(Values::Double(&dense), 2, 3)?,
            Input::rows(&[0, 2, 3], &[0, 2, 2], Values::Single(&single), 2, 3)?,
            Input::columns(&[0, 1, 1, 3], &[0, 0, 1], Values::Single(&single), 2, 3)?,
        ];
        let rows = |input: &Input| {
            let mut found = Vec::new();
            input.each_row(|columns, values| {
                found
                    .push(columns.iter().zip(values).filter(|e| *e.1 != 0.0).map(|e| (*e.0, *e.1)).collect::<Vec<_>>());
            });
            found
        };
        for input in inputs {
            assert_eq!(rows(&input), [vec![(0, 1.0), (2, 2.0)], vec![(2, 3.0)]]);
            assert_eq!(rows(&input.transposed()), [vec![(0, 1.0)], vec![], vec![(0, 2.0), (1, 3.0)]]);
        }
        Ok(())
    }

    #[test]
    fn bad_values_are_counted_and_the_first_is_named() {
        for (value, hint) in [(f64::NAN, "repair"), (f64::INFINITY, "repair"), (-2.0, "centred")] {
            let values = [1.0, 1.0, 1.0, value, 1.0, value];
            let fault = Input::dense(Values::Double(&values), 2, 3).map(|_| ());
            assert!(fault.is_err_and(|f| f.message().contains("2 of 2 x 3")
                && f.place() == Some("row 1, column 0")
                && f.way_out().is_some_and(|h| h.contains(hint))));
            let fault = Input::columns(&[0, 0, 1], &[1], Values::Double(&[value]), 2, 2).map(|_| ());
            assert!(fault.is_err_and(|f| f.message().contains("row 1, column 1")));
        }
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused() {
        let values = Values::Double(&[1.0, 1.0]);
        assert!(Input::dense(values, 2, 2).is_err());
        assert!(Input::rows(&[0, 1], &[0, 1], values, 2, 2).is_err());
        assert!(Input::rows(&[0, 2, 2], &[1, 0], values, 2, 2).is_err());
        assert!(Input::rows(&[0, 1, 2], &[0, 2], values, 2, 2).is_err());
    }
}
