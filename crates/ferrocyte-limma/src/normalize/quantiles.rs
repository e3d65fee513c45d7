//! [`normalize_quantiles`]: the same distribution in all samples (Bolstad et al. 2003).

use ferrocyte_base::{Result, Run};
use ferrocyte_math::linalg::Matrix;

use super::{columns_of, from_columns};
use crate::Expression;

/// Each value replaced by what the mean of all samples has at its rank.
///
/// The mean is that of the sorted samples; one with missing values has its quantiles stretched over as many places as
/// there are genes. With `ties`, values that tie have their mean rank and stay tied; else they are ranked as they come.
pub fn normalize_quantiles(run: &Run, y: &Expression<'_>, ties: bool) -> Result<Matrix> {
    let (n_genes, n) = (y.n_genes(), y.n_samples());
    if n_genes < 2 || n < 2 {
        return Ok(Matrix::from_rows(n_genes, n, y.values().entries().to_vec()));
    }
    let mut columns = columns_of(y);
    let orders = run.map_blocks("sorting", n, 1, |j| Ok(rising(&columns[j])))?;
    let mut mean = vec![0.0; n_genes];
    for (column, order) in columns.iter().zip(&orders) {
        if order.is_empty() {
            continue;
        }
        if order.len() == n_genes {
            mean.iter_mut().zip(order).for_each(|(sum, &i)| *sum += column[i as usize]);
        } else {
            let sorted: Vec<f64> = order.iter().map(|&i| column[i as usize]).collect();
            let stretch = (sorted.len() - 1) as f64 / (n_genes - 1) as f64;
            mean.iter_mut().enumerate().for_each(|(k, sum)| *sum += between(&sorted, k as f64 * stretch));
        }
    }
    let seen = orders.iter().filter(|order| !order.is_empty()).count() as f64;
    mean.iter_mut().for_each(|sum| *sum /= seen);
    for (column, order) in columns.iter_mut().zip(&orders) {
        replace(column, order, &mean, ties);
    }
    Ok(from_columns(&columns, n_genes))
}

/// Positions of the values that are there, rising; ties as they come.
fn rising(column: &[f64]) -> Vec<u32> {
    let mut pairs: Vec<(f64, u32)> =
        column.iter().zip(0..).filter(|(v, _)| v.is_finite()).map(|(&v, i)| (v, i)).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    pairs.into_iter().map(|(_, i)| i).collect()
}

fn replace(column: &mut [f64], order: &[u32], mean: &[f64], ties: bool) {
    let n = order.len();
    let last = (mean.len() - 1) as f64;
    // A single value stands in the middle.
    let place = |rank: f64| if n > 1 { rank / (n - 1) as f64 * last } else { 0.5 * last };
    let mut start = 0;
    while start < n {
        let value = column[order[start] as usize];
        let tied = order[start..].iter().take_while(|&&i| column[i as usize] == value).count();
        let common = between(mean, place(start as f64 + (tied - 1) as f64 / 2.0));
        for k in start..start + tied {
            column[order[k] as usize] = if ties { common } else { between(mean, place(k as f64)) };
        }
        start += tied;
    }
}

/// The value between two places of a sequence.
fn between(values: &[f64], place: f64) -> f64 {
    // Places that are whole but for rounding are whole.
    let nearest = place.round();
    if (place - nearest).abs() < 1e-9 {
        return values[(nearest as usize).min(values.len() - 1)];
    }
    let below = place.floor() as usize;
    values[below] + (values[below + 1] - values[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::*;

    #[test]
    fn samples_share_a_distribution() -> Result<()> {
        let values = [5.0, 4.0, 3.0, 2.0, 1.0, 4.0, 3.0, 4.0, 6.0, 4.0, 2.0, 8.0];
        let y = Expression::unnamed(MatrixRef::from_rows(4, 3, &values));
        let out = normalize_quantiles(&Run::new(), &y, true)?;
        // Sorted columns: 2 3 4 5, 1 2 4 4, 3 4 6 8; their means: 2, 3, 14/3, 17/3.
        let expected =
            [17.0 / 3.0, 31.0 / 6.0, 2.0, 2.0, 2.0, 3.0, 3.0, 31.0 / 6.0, 14.0 / 3.0, 14.0 / 3.0, 3.0, 17.0 / 3.0];
        for (found, expected) in out.entries().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
        let apart = normalize_quantiles(&Run::new(), &y, false)?;
        assert_eq!((apart[(0, 1)], apart[(2, 1)]), (14.0 / 3.0, 17.0 / 3.0));
        Ok(())
    }

    #[test]
    fn missing_values_stay_missing() -> Result<()> {
        let values = [1.0, 10.0, f64::NAN, 20.0, 3.0, 30.0];
        let out = normalize_quantiles(&Run::new(), &Expression::unnamed(MatrixRef::from_rows(3, 2, &values)), true)?;
        assert_eq!(out.entries()[0], 5.5);
        assert!(out.entries()[2].is_nan());
        assert_eq!(out.entries()[3..], [11.0, 16.5, 16.5]);
        let empty = [1.0, f64::NAN, 2.0, f64::NAN];
        let out = normalize_quantiles(&Run::new(), &Expression::unnamed(MatrixRef::from_rows(2, 2, &empty)), true)?;
        assert_eq!((out[(0, 0)], out[(1, 0)]), (1.0, 2.0));
        Ok(())
    }
}
