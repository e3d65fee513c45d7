//! Columns that a covariate is expanded to: R's `poly`, `ns` and `bs`, to the sign.
//!
//! Knots stand at type-7 quantiles of the covariate, boundary knots at its ends.

use ferrocyte_base::{Fault, Result};

use crate::linalg::Matrix;
use crate::pivoted_qr::PivotedQr;
use crate::trend::sorted_quantile;

/// Cubic splines.
const CUBIC: usize = 3;

/// Polynomials of degree 1 to `degree`, orthonormal over the values and orthogonal to the constant, with positive leading
/// coefficients: values × degree.
///
/// # Errors
/// Where there are not more distinct values than the degree, or one is not finite.
pub fn orthogonal_polynomials(x: &[f64], degree: usize) -> Result<Matrix> {
    let sorted = sorted(x)?;
    let distinct = 1 + sorted.windows(2).filter(|w| w[0] < w[1]).count();
    if degree == 0 || degree >= distinct {
        return Err(Fault::bad_input(format!("degree {degree} over {distinct} distinct values"))
            .hint("the degree is at least 1 and less than the number of distinct values"));
    }
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let mut powers = PivotedQr::default();
    powers.factor(x.len(), degree + 1, |j, column| {
        column.iter_mut().zip(x).for_each(|(power, x)| *power = (x - mean).powi(j as i32));
    });
    if !powers.is_full_rank() {
        return Err(Fault::bad_input(format!("degree {degree} is too high to be told apart over these values")));
    }
    let basis = powers.basis();
    let mut columns = Matrix::zeros(x.len(), degree);
    for i in 0..x.len() {
        for j in 0..degree {
            columns[(i, j)] = basis[(i, j + 1)] * powers.r(j + 1, j + 1).signum();
        }
    }
    Ok(columns)
}

/// Natural cubic splines without constant: values × df, with `df - 1` interior knots.
///
/// # Errors
/// Where `df` is 0, a value is not finite, or all are equal.
pub fn natural_spline_columns(x: &[f64], df: usize) -> Result<Matrix> {
    let knots = Knots::new(x, df.checked_sub(1), CUBIC)?;
    let m = knots.n_functions();
    // Second derivatives at both ends of all functions but the first, which stands for the constant, must vanish.
    let (low, high) = knots.ends();
    let ends = [low, high].map(|end| knots.second_derivatives(end));
    let mut conditions = PivotedQr::default();
    conditions.factor(m - 1, 2, |j, column| column.copy_from_slice(&ends[j][1..]));
    let mut columns = Matrix::zeros(x.len(), df);
    for (i, &x) in x.iter().enumerate() {
        let mut values = knots.values(x, CUBIC);
        values.remove(0);
        conditions.apply_transposed(&mut values);
        columns.row_mut(i).copy_from_slice(&values[2..]);
    }
    Ok(columns)
}

/// Splines of a degree without constant: values × df, with `df - degree` interior knots.
///
/// # Errors
/// Where `df` is less than the degree or the degree 0, a value is not finite, or all are equal.
pub fn spline_columns(x: &[f64], df: usize, degree: usize) -> Result<Matrix> {
    let knots = Knots::new(x, df.checked_sub(degree).filter(|_| degree > 0), degree)?;
    let mut columns = Matrix::zeros(x.len(), df);
    for (i, &x) in x.iter().enumerate() {
        columns.row_mut(i).copy_from_slice(&knots.values(x, degree)[1..]);
    }
    Ok(columns)
}

fn sorted(x: &[f64]) -> Result<Vec<f64>> {
    if let Some(i) = x.iter().position(|x| !x.is_finite()) {
        return Err(Fault::bad_input(format!("value {} is {}, expected a number", i + 1, x[i])));
    }
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.first(), sorted.last()) {
        (Some(low), Some(high)) if low < high => Ok(sorted),
        _ => Err(Fault::bad_input("all values are equal, expected at least two").hint("leave the term out")),
    }
}

/// Knots of B-splines: the ends `degree + 1` times each, and those between.
struct Knots {
    at: Vec<f64>,
    degree: usize,
}

impl Knots {
    fn new(x: &[f64], interior: Option<usize>, degree: usize) -> Result<Self> {
        let interior = interior
            .ok_or_else(|| Fault::bad_input("too few degrees of freedom").hint("give at least 1, for bs the degree"))?;
        let sorted = sorted(x)?;
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        let mut at = vec![low; degree + 1];
        at.extend((1..=interior).map(|i| sorted_quantile(&sorted, i as f64 / (interior + 1) as f64)));
        at.extend(vec![high; degree + 1]);
        Ok(Self { at, degree })
    }

    fn ends(&self) -> (f64, f64) {
        (self.at[0], self.at[self.at.len() - 1])
    }

    fn n_functions(&self) -> usize {
        self.at.len() - self.degree - 1
    }

    /// All B-splines of a degree (at most the full one) on these knots, by the recursion of de Boor and Cox.
    fn values(&self, x: f64, degree: usize) -> Vec<f64> {
        let t = &self.at;
        // The last interval that is not empty holds its right end.
        let inside = |i: usize| t[i] < t[i + 1] && t[i] <= x && (x < t[i + 1] || (x == t[i + 1] && x == self.ends().1));
        let mut values: Vec<f64> = (0..t.len() - 1).map(|i| f64::from(u8::from(inside(i)))).collect();
        for k in 1..=degree {
            for i in 0..t.len() - 1 - k {
                let left = ratio(x - t[i], t[i + k] - t[i]) * values[i];
                let right = ratio(t[i + k + 1] - x, t[i + k + 1] - t[i + 1]) * values[i + 1];
                values[i] = left + right;
            }
            values.pop();
        }
        values
    }

    fn second_derivatives(&self, x: f64) -> Vec<f64> {
        let mut values = self.values(x, self.degree - 2);
        for k in [self.degree - 1, self.degree] {
            let slope = |i: usize| k as f64 * ratio(values[i], self.at[i + k] - self.at[i]);
            values = (0..values.len() - 1).map(|i| slope(i) - slope(i + 1)).collect();
        }
        values
    }
}

/// A quotient, or 0 where knots coincide.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::dot;

    const X: [f64; 9] = [0.3, 1.0, 1.7, 2.0, 2.2, 3.9, 4.5, 6.0, 7.1];

    fn column(a: &Matrix, j: usize) -> Vec<f64> {
        (0..a.n_rows()).map(|i| a[(i, j)]).collect()
    }

    #[test]
    fn polynomials_are_orthonormal_and_rise() -> Result<()> {
        let columns = orthogonal_polynomials(&X, 3)?;
        for j in 0..3 {
            let a = column(&columns, j);
            assert!(a.iter().sum::<f64>().abs() < 1e-14);
            assert!(a[8] > 0.0);
            for k in 0..3 {
                let expected = f64::from(u8::from(j == k));
                assert!((dot(&a, &column(&columns, k)) - expected).abs() < 1e-13);
            }
        }
        assert!(orthogonal_polynomials(&[1.0, 2.0, 2.0], 2).is_err());
        Ok(())
    }

    #[test]
    fn natural_splines_have_straight_ends() -> Result<()> {
        let knots = Knots::new(&X, Some(2), CUBIC)?;
        // Second derivatives against differences of the values.
        let (low, high) = knots.ends();
        let x = 0.5 * (low + high);
        let h = 1e-4;
        let values = [x - h, x, x + h].map(|x| knots.values(x, CUBIC));
        for (i, second) in knots.second_derivatives(x).into_iter().enumerate() {
            let difference = (values[0][i] - 2.0 * values[1][i] + values[2][i]) / (h * h);
            assert!((second - difference).abs() < 1e-5, "{second} {difference}");
        }
        // The columns hold all straight lines, and with the constant have the dimension of natural splines.
        let columns = natural_spline_columns(&X, 3)?;
        let mut qr = PivotedQr::default();
        qr.factor(9, 5, |j, out| {
            out.iter_mut().enumerate().for_each(|(i, o)| {
                *o = match j {
                    0 => 1.0,
                    4 => X[i],
                    j => columns[(i, j - 1)],
                }
            });
        });
        assert_eq!((qr.rank(), qr.pivot()[4]), (4, 4));
        Ok(())
    }

    #[test]
    fn splines_add_up_to_one() -> Result<()> {
        for degree in 1..=3 {
            let knots = Knots::new(&X, Some(3), degree)?;
            assert_eq!(knots.n_functions(), 4 + degree);
            for x in X {
                let sum: f64 = knots.values(x, degree).iter().sum();
                assert!((sum - 1.0).abs() < 1e-14);
            }
        }
        assert_eq!(spline_columns(&X, 5, 3)?.n_cols(), 5);
        assert!(spline_columns(&X, 2, 3).is_err() && natural_spline_columns(&[1.0, 1.0], 2).is_err());
        Ok(())
    }
}
