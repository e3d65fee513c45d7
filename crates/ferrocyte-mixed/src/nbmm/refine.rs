//! Curves on a coarse grid looked up on a finer one: cubic splines whose ends are not knots.

/// The spline through `y`, at equal steps, at `parts` points for each step: `parts * (n - 1) + 1` values. A value that is
/// not finite makes all of them NaN. At least five points are needed.
pub(in crate::nbmm) fn refine(y: &[f64], parts: usize) -> Vec<f64> {
    let n = y.len();
    if n < 5 || y.iter().any(|v| !v.is_finite()) {
        return vec![f64::NAN; parts * n.saturating_sub(1) + 1];
    }
    let curvatures = curvatures(y);
    let mut fine = Vec::with_capacity(parts * (n - 1) + 1);
    for i in 0..n - 1 {
        for part in 0..parts {
            let t = part as f64 / parts as f64;
            let s = 1.0 - t;
            fine.push(
                s * y[i] + t * y[i + 1] - s * t / 6.0 * ((1.0 + s) * curvatures[i] + (1.0 + t) * curvatures[i + 1]),
            );
        }
    }
    fine.push(y[n - 1]);
    fine
}

/// Second derivatives at the points, in units of the step.
///
/// At a point that is no knot the third derivative is continuous: `m_0 - 2 m_1 + m_2 = 0`, which with the equation of the
/// point gives `m_1`, so that what is left is a tridiagonal system between two known ends.
fn curvatures(y: &[f64]) -> Vec<f64> {
    let n = y.len();
    let difference = |i: usize| y[i - 1] - 2.0 * y[i] + y[i + 1];
    let mut m = vec![0.0; n];
    (m[1], m[n - 2]) = (difference(1), difference(n - 2));
    // Thomas' elimination of m_{i-1} + 4 m_i + m_{i+1} = 6 d_i for i = 2 .. n - 3.
    let mut upper = vec![0.0; n];
    for i in 2..n - 2 {
        let pivot = 4.0 - upper[i - 1];
        upper[i] = 1.0 / pivot;
        m[i] = (6.0 * difference(i) - m[i - 1]) / pivot;
    }
    for i in (2..n - 2).rev() {
        m[i] -= upper[i] * m[i + 1];
    }
    m[0] = 2.0 * m[1] - m[2];
    m[n - 1] = 2.0 * m[n - 2] - m[n - 3];
    m
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubics_are_met_exactly_and_smooth_curves_nearly() {
        let cubic = |x: f64| 1.0 - 2.0 * x + 0.3 * x * x - 0.05 * x * x * x;
        for n in [5, 6, 11, 15] {
            let y: Vec<f64> = (0..n).map(|i| cubic(f64::from(i))).collect();
            let fine = refine(&y, 4);
            assert_eq!(fine.len(), 4 * (n as usize - 1) + 1);
            for (k, found) in fine.iter().enumerate() {
                assert!((found - cubic(k as f64 / 4.0)).abs() < 1e-11, "{n} {k}");
            }
        }
        let y: Vec<f64> = (0..15).map(|i| (f64::from(i) * 0.5).sin()).collect();
        assert!(refine(&y, 6).iter().enumerate().all(|(k, f)| (f - (k as f64 / 12.0).sin()).abs() < 1e-3));
        assert!(refine(&[0.0, f64::NAN, 1.0, 2.0, 3.0], 2).iter().all(|f| f.is_nan()));
    }
}
