//! The upper tail of a weighted sum of χ² variables about its mean, by the saddlepoint of Lugannani and Rice.
//!
//! Q = Σ λ_j (χ²_j - 1) has the cumulant generating function K(t) = -½ Σ ln(1 - 2tλ_j) - t Σ λ_j. With K'(t) = q, w = ±sqrt(2(tq - K)) and
//! v = t sqrt(K''), P(Q > q) ≈ Φ(-w + ln(w / v) / w) (Barndorff-Nielsen's form, which is never outside of [0, 1]).

use ferrocyte_math::normal;

/// ln P(Σ λ_j (χ²_j - 1) > q) for independent χ² on one degree of freedom.
pub(super) fn ln_upper(lambda: &[f64], q: f64) -> f64 {
    let square: f64 = lambda.iter().map(|l| l * l).sum();
    if !(square > 0.0) || !q.is_finite() {
        return f64::NAN;
    }
    let sd = (2.0 * square).sqrt();
    let z = q / sd;
    let skewness = 8.0 * lambda.iter().map(|l| l * l * l).sum::<f64>() / (sd * sd * sd);
    if z.abs() < 1e-3 {
        // At the mean w and v vanish together; their ratio has the limit that the skewness gives.
        return normal::ln_upper(z - skewness / 6.0 * (z * z - 1.0));
    }
    let Some((t, k, curvature)) = saddle(lambda, q) else {
        // Below all that Q can be.
        return 0.0;
    };
    let w = t.signum() * (2.0 * (t * q - k)).max(0.0).sqrt();
    let v = t * curvature.sqrt();
    normal::ln_upper(w - (w / v).ln() / w)
}

/// The root t of K'(t) = q with K(t) and K''(t).
fn saddle(lambda: &[f64], q: f64) -> Option<(f64, f64, f64)> {
    let (least, most) = lambda.iter().fold((0.0_f64, 0.0_f64), |(low, high), &l| (low.min(l), high.max(l)));
    let mut low = if least < 0.0 { 0.5 / least } else { f64::NEG_INFINITY };
    let mut high = if most > 0.0 { 0.5 / most } else { f64::INFINITY };
    let mut t = 0.0;
    for _ in 0..200 {
        let (mut k, mut slope, mut curvature) = (0.0, -q, 0.0);
        for &l in lambda {
            let rest = 1.0 - 2.0 * t * l;
            k -= 0.5 * rest.ln() + t * l;
            let ratio = l / rest;
            slope += ratio - l;
            curvature += 2.0 * ratio * ratio;
        }
        if slope.abs() <= 1e-10 * (q.abs() + curvature.sqrt()) {
            return Some((t, k, curvature));
        }
        if slope > 0.0 {
            high = t
        } else {
            low = t
        }
        let step = t - slope / curvature;
        t = if step > low && step < high {
            step
        } else if low.is_finite() && high.is_finite() {
            0.5 * (low + high)
        } else if low.is_finite() {
            2.0 * low.max(0.0) + 1.0
        } else {
            2.0 * high.min(0.0) - 1.0
        };
        if t.abs() > 1e12 {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use ferrocyte_math::chi_squared;

    use super::*;

    #[test]
    fn equal_weights_are_chi_squared() {
        for df in [5_usize, 40, 300] {
            let lambda = vec![0.7; df];
            for x in [0.5, 0.9, 1.0, 1.3, 2.0] {
                let x = x * df as f64;
                let exact = chi_squared::ln_upper(x, df as f64);
                let found = ln_upper(&lambda, 0.7 * (x - df as f64));
                assert!((found - exact).abs() < 0.01 * exact.abs().max(0.3), "{df} {x}: {found} {exact}");
            }
        }
    }

    #[test]
    fn signs_may_differ() {
        let lambda = [1.0, 1.0, 1.0, -1.0, -1.0, -1.0];
        assert!((ln_upper(&lambda, 0.0).exp() - 0.5).abs() < 1e-12);
        let both = ln_upper(&lambda, 3.0).exp() + ln_upper(&lambda, -3.0).exp();
        assert!((both - 1.0).abs() < 1e-9);
        assert!(ln_upper(&[0.0], 1.0).is_nan());
    }
}
