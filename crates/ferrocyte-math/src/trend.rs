//! The quadratic trend on which variance priors may depend.

use ferrocyte_base::{Fault, Result};

/// The range of a covariate over genes: maps it to `z` in [-1, 1] and to the basis `(1, z, z^2)`.
///
/// `z = 2 (clip(t, q01, q99) - q01) / (q99 - q01) - 1`, with the 1 % and 99 % quantiles of the genes that a prior is
/// fitted to, so that extreme genes have no leverage. A covariate that does not vary has `z = 0` throughout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// The 1 % quantile of the covariate.
    pub q01: f64,
    /// The 99 % quantile.
    pub q99: f64,
}

impl Trend {
    /// The range of these values, none of which may be NaN; at least one value is needed.
    pub fn over(values: &[f64]) -> Result<Self> {
        if values.is_empty() {
            return Err(Fault::bad_input("a trend needs at least one gene, found none"));
        }
        if let Some(i) = values.iter().position(|t| !t.is_finite()) {
            return Err(Fault::bad_input(format!("the trend covariate must be finite, value {i} is {}", values[i])));
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Ok(Self { q01: sorted_quantile(&sorted, 0.01), q99: sorted_quantile(&sorted, 0.99) })
    }

    /// The covariate on the scale [-1, 1].
    pub fn scaled(&self, t: f64) -> f64 {
        if t.is_nan() {
            return f64::NAN;
        }
        let width = self.q99 - self.q01;
        if width > 0.0 { 2.0 * (t.clamp(self.q01, self.q99) - self.q01) / width - 1.0 } else { 0.0 }
    }

    /// `a_0 + a_1 z + a_2 z^2` at the covariate `t`.
    pub fn at(&self, coefficients: &[f64; 3], t: f64) -> f64 {
        let z = self.scaled(t);
        coefficients[0] + z * (coefficients[1] + z * coefficients[2])
    }
}

/// The quantile of values sorted upwards, linear between order statistics (type 7 of Hyndman and Fan 1996, the default
/// of R and NumPy); NaN if there are none.
pub fn sorted_quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = p.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(sorted_quantile(&sorted, 0.5), 3.0);
        assert_eq!((sorted_quantile(&sorted, 0.0), sorted_quantile(&sorted, 1.0)), (1.0, 8.0));
        assert!((sorted_quantile(&sorted, 0.9) - 6.8).abs() < 1e-12);
        assert!(sorted_quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn extremes_are_clipped_and_constants_centred() -> Result<()> {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        let trend = Trend::over(&values)?;
        assert_eq!((trend.q01, trend.q99), (1.0, 99.0));
        assert_eq!((trend.scaled(-7.0), trend.scaled(50.0), trend.scaled(f64::INFINITY)), (-1.0, 0.0, 1.0));
        assert_eq!(trend.at(&[1.0, 2.0, 3.0], 99.0), 6.0);
        assert_eq!(Trend::over(&[2.0, 2.0])?.scaled(5.0), 0.0);
        assert!(Trend::over(&[]).is_err() && Trend::over(&[f64::NAN]).is_err());
        Ok(())
    }
}
