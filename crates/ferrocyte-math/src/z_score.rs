//! Student's t as a normal deviate of the same tail probability.

use ferrocyte_base::choice;

use crate::{normal, student_t};

choice! {
    /// How t becomes z.
    Approximation, "method" {
        /// By the tail probabilities themselves.
        Exact = "exact",
        /// Bailey (1980).
        Bailey = "bailey",
        /// Hill (1970): closest of the formulas.
        Hill = "hill",
        /// Wallace (1959).
        Wallace = "wallace",
    }
}

/// The normal deviate with the tail probability of `t` on `df > 0` degrees of freedom, with the sign of `t`.
///
/// Infinite `df` give `t` itself. Far out the exact deviate goes through the logarithm of the tail, so that it never
/// becomes infinite.
pub fn z_score_t(t: f64, df: f64, method: Approximation) -> f64 {
    if t.is_nan() || !(df > 0.0) {
        return f64::NAN;
    }
    if df == f64::INFINITY || t == 0.0 {
        return t;
    }
    let square = t * t;
    let z = match method {
        Approximation::Exact => normal::quantile_ln_upper(student_t::ln_upper(t.abs(), df)),
        Approximation::Bailey => {
            (df + 0.125) / (df + 1.125) * ((df + 19.0 / 12.0) * (square / (df + 1.0 / 12.0)).ln_1p()).sqrt()
        }
        Approximation::Wallace => (df + 0.125) / (df + 0.375) * (df * (square / df).ln_1p()).sqrt(),
        Approximation::Hill => {
            let a = df - 0.5;
            let b = 48.0 * a * a;
            let z = a * (square / df).ln_1p();
            let tail = (((-0.4 * z - 3.3) * z - 24.0) * z - 85.5) / (0.8 * z * z + 100.0 + b);
            ((tail + z + 3.0) / b + 1.0) * z.sqrt()
        }
    };
    z.copysign(t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_approach_the_exact_deviate() {
        for df in [4.0, 9.5, 40.0] {
            for t in [-6.0, -0.3, 0.0, 0.01, 1.0, 2.5] {
                let exact = z_score_t(t, df, Approximation::Exact);
                for (method, tolerance) in
                    [(Approximation::Hill, 2e-3), (Approximation::Bailey, 2e-2), (Approximation::Wallace, 5e-2)]
                {
                    let found = z_score_t(t, df, method);
                    assert!((found - exact).abs() <= tolerance * exact.abs(), "{t} {df} {method:?}: {found} {exact}");
                }
            }
        }
    }

    #[test]
    fn far_out_and_at_the_edges() {
        assert!(z_score_t(-1e300, 3.0, Approximation::Exact).is_finite());
        assert_eq!(z_score_t(1.3, f64::INFINITY, Approximation::Bailey), 1.3);
        assert!(z_score_t(f64::NAN, 3.0, Approximation::Hill).is_nan());
        assert!(z_score_t(1.0, 0.0, Approximation::Hill).is_nan());
        let p = student_t::ln_upper(5.0, 7.0);
        assert!((normal::ln_upper(z_score_t(5.0, 7.0, Approximation::Exact)) - p).abs() < 1e-12);
    }
}
