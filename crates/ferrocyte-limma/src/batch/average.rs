//! Means over replicates: of rows with the same name, of samples of the same kind, of duplicates within a sample.
//! Missing values are left out; a mean of none is NaN.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::{Matrix, MatrixRef};

use crate::fit::Duplicates;

/// Means of rows with the same code (`codes[i] < n_groups`), groups × columns.
pub fn average_rows(values: MatrixRef<'_>, codes: &[usize], n_groups: usize) -> Result<Matrix> {
    check(codes, values.n_rows(), n_groups, "rows")?;
    let (mut sums, mut counts) = (Matrix::zeros(n_groups, values.n_cols()), Matrix::zeros(n_groups, values.n_cols()));
    for (i, &code) in codes.iter().enumerate() {
        let row = values.row(i);
        for (((sum, count), x), seen) in
            sums.row_mut(code).iter_mut().zip(counts.row_mut(code)).zip(row).zip(row.iter().map(|x| x.is_finite()))
        {
            if seen {
                *sum += x;
                *count += 1.0;
            }
        }
    }
    sums.entries_mut().iter_mut().zip(counts.entries()).for_each(|(sum, count)| *sum /= count);
    Ok(sums)
}

/// Means of columns with the same code, rows × groups; weighted, where there are weights of all values.
pub fn average_columns(
    values: MatrixRef<'_>,
    weights: Option<MatrixRef<'_>>,
    codes: &[usize],
    n_groups: usize,
) -> Result<Matrix> {
    check(codes, values.n_cols(), n_groups, "columns")?;
    let mut means = Matrix::zeros(values.n_rows(), n_groups);
    let mut totals = vec![0.0; n_groups];
    for i in 0..values.n_rows() {
        totals.fill(0.0);
        for (j, (&x, &code)) in values.row(i).iter().zip(codes).enumerate() {
            let weight = weights.map_or(1.0, |w| w.row(i)[j]);
            if x.is_finite() && weight.is_finite() && weight > 0.0 {
                means[(i, code)] += weight * x;
                totals[code] += weight;
            }
        }
        means.row_mut(i).iter_mut().zip(&totals).for_each(|(mean, total)| *mean /= total);
    }
    Ok(means)
}

/// Means of the duplicates of each gene, genes × samples; weighted, where there are weights of all values.
pub fn average_duplicates(
    values: MatrixRef<'_>,
    weights: Option<MatrixRef<'_>>,
    ndups: usize,
    spacing: usize,
) -> Result<Matrix> {
    let layout = Duplicates::new(values.n_rows(), ndups, spacing)?;
    let beside = layout.side_by_side(values);
    let beside_weights = weights.map(|w| layout.side_by_side(w));
    let codes: Vec<usize> = (0..values.n_cols() * ndups).map(|k| k / ndups).collect();
    average_columns(beside.borrowed(), beside_weights.as_ref().map(Matrix::borrowed), &codes, values.n_cols())
}

fn check(codes: &[usize], expected: usize, n_groups: usize, what: &str) -> Result<()> {
    if codes.len() != expected {
        return Err(Fault::bad_input(format!("{} names for {expected} {what}", codes.len())).at("id"));
    }
    if let Some(code) = codes.iter().find(|&&code| code >= n_groups) {
        return Err(Fault::internal(format!("group {code} of {n_groups}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_are_left_out() -> Result<()> {
        let nan = f64::NAN;
        let values = [1.0, 2.0, 3.0, nan, 5.0, 6.0, nan, nan, 9.0];
        let values = MatrixRef::from_rows(3, 3, &values);
        let rows = average_rows(values, &[0, 1, 0], 2)?;
        assert_eq!(rows.entries()[..1], [1.0]);
        assert_eq!(rows.entries()[1..3], [2.0, 6.0]);
        assert!(rows[(1, 0)].is_nan());
        let columns = average_columns(values, None, &[0, 0, 1], 2)?;
        assert_eq!(columns.row(0), [1.5, 3.0]);
        assert_eq!(columns.row(1), [5.0, 6.0]);
        assert!(columns[(2, 0)].is_nan());
        let weights = MatrixRef::from_rows(3, 3, &[3.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(average_columns(values, Some(weights), &[0, 0, 1], 2)?[(0, 0)], 1.25);
        assert!(average_rows(values, &[0, 1], 2).is_err());
        Ok(())
    }

    #[test]
    fn duplicates_of_a_gene_are_averaged() -> Result<()> {
        let values = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0];
        let means = average_duplicates(MatrixRef::from_rows(4, 2, &values), None, 2, 2)?;
        assert_eq!(means.entries(), [2.0, 20.0, 3.0, 30.0]);
        Ok(())
    }
}
