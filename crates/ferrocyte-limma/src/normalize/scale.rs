//! [`normalize_median_values`]: the same median in all samples.

use ferrocyte_base::{Fault, Result};
use ferrocyte_math::linalg::Matrix;
use ferrocyte_math::selection::Selector;

use super::columns_of;
use crate::Expression;

/// Each sample divided by its median over the geometric mean of all medians; missing values are left out.
///
/// # Errors
/// Where a median is not above 0.
pub fn normalize_median_values(y: &Expression<'_>) -> Result<Matrix> {
    let mut selector = Selector::default();
    let mut logs = Vec::with_capacity(y.n_samples());
    for (j, mut column) in columns_of(y).into_iter().enumerate() {
        column.retain(|value| value.is_finite());
        let median = selector.median(&column);
        if !(median > 0.0) {
            return Err(Fault::bad_input(format!("{} has median {median}, expected one above 0", y.sample(j)))
                .at("values")
                .hint("this method divides by medians; take \"quantile\" or \"cyclicloess\""));
        }
        logs.push(median.ln());
    }
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let divisors: Vec<f64> = logs.iter().map(|log| (log - mean).exp()).collect();
    let mut out = Matrix::from_rows(y.n_genes(), y.n_samples(), y.values().entries().to_vec());
    for row in out.entries_mut().chunks_exact_mut(divisors.len().max(1)) {
        row.iter_mut().zip(&divisors).for_each(|(value, divisor)| *value /= divisor);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::linalg::MatrixRef;

    use super::*;

    #[test]
    fn medians_become_their_geometric_mean() -> Result<()> {
        let values = [1.0, 4.0, 2.0, f64::NAN, 3.0, 8.0, 9.0, 16.0];
        let out = normalize_median_values(&Expression::unnamed(MatrixRef::from_rows(4, 2, &values)))?;
        // Medians 2.5 and 8, with the geometric mean of both sqrt(20).
        assert!((out[(1, 0)] * 2.5 / 2.0 - 20.0_f64.sqrt()).abs() < 1e-14);
        assert!((out[(2, 1)] - 20.0_f64.sqrt()).abs() < 1e-14);
        assert!(out[(1, 1)].is_nan());
        let negative = [-1.0, 4.0];
        let fault = normalize_median_values(&Expression::unnamed(MatrixRef::from_rows(1, 2, &negative)));
        assert!(fault.is_err_and(|f| f.to_string().contains("sample 1")));
        Ok(())
    }
}
