//! The intercept of a gamma model with offsets on the scale of the mean.

use ferrocyte_base::{Fault, Result};

/// The `x` with `sum y / (offset + x) = n`: the maximum-likelihood intercept of gamma variables `y` with means
/// `offset + x`.
///
/// Newton's method from 0 until a step is below 1e-8 of its variable, kept where all means are positive. For a constant
/// offset the answer is `mean(y) - offset`, without iteration.
///
/// # Errors
/// Where lengths differ, a value is negative or not finite, or there is none.
pub fn fit_gamma_intercept(y: &[f64], offset: &[f64]) -> Result<f64> {
    if y.is_empty() || y.len() != offset.len() {
        return Err(Fault::bad_input(format!("{} values and {} offsets, expected as many", y.len(), offset.len())));
    }
    for (values, name) in [(y, "y"), (offset, "offset")] {
        if let Some(wrong) = values.iter().find(|v| !(v.is_finite() && **v >= 0.0)) {
            return Err(Fault::bad_input(format!("expected numbers that are not negative, found {wrong}")).at(name));
        }
    }
    let n = y.len() as f64;
    let least = offset.iter().copied().fold(f64::INFINITY, f64::min);
    if offset.iter().all(|o| *o == least) {
        return Ok(y.iter().sum::<f64>() / n - least);
    }
    if y.iter().all(|y| *y == 0.0) {
        return Ok(-least);
    }
    // With an offset of 0 the start is moved to where all means are positive.
    let mut x = if least > 0.0 { 0.0 } else { 1e-8 * y.iter().sum::<f64>() / n };
    for _ in 0..200 {
        let (mut sum, mut slope) = (0.0, 0.0);
        for (y, o) in y.iter().zip(offset) {
            let over = 1.0 / (o + x);
            sum += y * over;
            slope += y * over * over;
        }
        let step = (sum - n) / slope;
        let next = if x + step > -least { x + step } else { 0.5 * (x - least) };
        let moved = (next - x).abs();
        x = next;
        if moved <= 1e-8 * x.abs().max(1e-8) {
            break;
        }
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_its_equation() -> Result<()> {
        let y = [3.0, 0.5, 9.0, 0.0, 1.5];
        for offset in [[1.0, 2.0, 0.5, 1.0, 3.0], [10.0, 9.0, 8.0, 12.0, 11.0], [0.0, 1.0, 0.2, 0.1, 0.0]] {
            let x = fit_gamma_intercept(&y, &offset)?;
            let sum: f64 = y.iter().zip(&offset).map(|(y, o)| y / (o + x)).sum();
            assert!((sum - 5.0).abs() < 1e-6, "{x}: {sum}");
        }
        assert!((fit_gamma_intercept(&y, &[2.0; 5])? - 0.8).abs() < 1e-15);
        assert!(fit_gamma_intercept(&[], &[]).is_err() && fit_gamma_intercept(&[-1.0], &[1.0]).is_err());
        assert!(fit_gamma_intercept(&[f64::NAN], &[1.0]).is_err());
        Ok(())
    }
}
