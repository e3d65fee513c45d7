//! Brent's methods for one variable: a minimum and a root inside an interval, without derivatives.
//!
//! Both combine a safe step (golden section, bisection) with interpolation (R. P. Brent, *Algorithms for minimization
//! without derivatives*, 1973, chapters 4 and 5). The steps are those of the classical routines, so that a search that
//! ends at a coarse tolerance ends where those routines end.

/// `(3 - sqrt 5) / 2`: the golden section.
const GOLDEN: f64 = 0.381_966_011_250_105_1;

/// The root of the machine precision: a minimum is not determined any better.
const ROOT_EPSILON: f64 = 1.490_116_119_384_765_6e-8;

/// Steps of [`root`] at most; bisection alone would need about 60.
const MAX_STEPS: usize = 1000;

/// The place of a minimum of `f` inside `(a, b)`, to about `tolerance`: Brent's `localmin`.
///
/// `f` is never called at the ends.
///
/// ```
/// let x = ferrocyte_math::brent::minimum(|x| (x - 0.3) * (x - 0.3), 0.0, 1.0, 1e-6);
/// assert!((x - 0.3).abs() < 1e-6);
/// ```
pub fn minimum(mut f: impl FnMut(f64) -> f64, a: f64, b: f64, tolerance: f64) -> f64 {
    let (mut a, mut b) = (a, b);
    // The best point, the second best, and the one that was second before it.
    let mut x = a + GOLDEN * (b - a);
    let (mut w, mut v) = (x, x);
    let mut fx = f(x);
    let (mut fw, mut fv) = (fx, fx);
    // The last step and the one before it.
    let (mut d, mut e) = (0.0_f64, 0.0_f64);
    loop {
        let middle = 0.5 * (a + b);
        let least = ROOT_EPSILON * x.abs() + tolerance / 3.0;
        if (x - middle).abs() <= 2.0 * least - 0.5 * (b - a) {
            return x;
        }
        let mut parabola = None;
        if e.abs() > least {
            let r = (x - w) * (fx - fv);
            let q = (x - v) * (fx - fw);
            let p = (x - v) * q - (x - w) * r;
            let q = 2.0 * (q - r);
            let (p, q) = if q > 0.0 { (-p, q) } else { (p, -q) };
            if p.abs() < (0.5 * q * e).abs() && p > q * (a - x) && p < q * (b - x) {
                parabola = Some(p / q);
            }
            e = d;
        }
        if let Some(step) = parabola {
            d = step;
            let u = x + d;
            if u - a < 2.0 * least || b - u < 2.0 * least {
                d = if x >= middle { -least } else { least };
            }
        } else {
            e = if x < middle { b - x } else { a - x };
            d = GOLDEN * e;
        }
        let u = if d.abs() >= least { x + d } else { x + if d > 0.0 { least } else { -least } };
        let fu = f(u);
        if fu <= fx {
            if u < x {
                b = x;
            } else {
                a = x;
            }
            (v, fv, w, fw, x, fx) = (w, fw, x, fx, u, fu);
        } else {
            if u < x {
                a = u;
            } else {
                b = u;
            }
            if fu <= fw || w == x {
                (v, fv, w, fw) = (w, fw, u, fu);
            } else if fu <= fv || v == x || v == w {
                (v, fv) = (u, fu);
            }
        }
    }
}

/// A root of `f` between `a` and `b`, to about `tolerance` (0: to the last digits): Brent's `zeroin`.
///
/// `None` unless `f` has different signs at the two ends.
///
/// ```
/// let x = ferrocyte_math::brent::root(|x| x * x - 2.0, 0.0, 2.0, 0.0);
/// assert!(x.is_some_and(|x| (x - 2.0_f64.sqrt()).abs() < 1e-15));
/// ```
pub fn root(mut f: impl FnMut(f64) -> f64, a: f64, b: f64, tolerance: f64) -> Option<f64> {
    let (mut a, mut b) = (a, b);
    let (mut fa, mut fb) = (f(a), f(b));
    if fa == 0.0 {
        return Some(a);
    }
    if fb == 0.0 {
        return Some(b);
    }
    // Also where either is NaN.
    if !(fa * fb < 0.0 || (fa.is_infinite() || fb.is_infinite()) && fa.signum() != fb.signum()) {
        return None;
    }
    // The root lies between b, the better one, and c.
    let (mut c, mut fc) = (a, fa);
    let (mut d, mut e) = (b - a, b - a);
    for _ in 0..MAX_STEPS {
        if fc.abs() < fb.abs() {
            (a, b, c) = (b, c, b);
            (fa, fb, fc) = (fb, fc, fb);
        }
        let least = 2.0 * f64::EPSILON * b.abs() + 0.5 * tolerance;
        let half = 0.5 * (c - b);
        if half.abs() <= least || fb == 0.0 {
            break;
        }
        let mut step = None;
        if e.abs() >= least && fa.abs() > fb.abs() {
            let s = fb / fa;
            let (p, q) = if a == c {
                (2.0 * half * s, 1.0 - s)
            } else {
                let (q, r) = (fa / fc, fb / fc);
                (s * (2.0 * half * q * (q - r) - (b - a) * (r - 1.0)), (q - 1.0) * (r - 1.0) * (s - 1.0))
            };
            let (p, q) = if p > 0.0 { (p, -q) } else { (-p, q) };
            if 2.0 * p < (3.0 * half * q - (least * q).abs()).min((e * q).abs()) {
                step = Some(p / q);
            }
        }
        (e, d) = match step {
            Some(step) => (d, step),
            None => (half, half),
        };
        (a, fa) = (b, fb);
        b += if d.abs() > least { d } else { least.copysign(half) };
        fb = f(b);
        if (fb > 0.0) == (fc > 0.0) {
            (c, fc) = (a, fa);
            d = b - a;
            e = d;
        }
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minima_of_smooth_and_kinked_functions() {
        for (found, expected) in [
            (minimum(|x| (x - 2.0).powi(2) + 1.0, 0.0, 10.0, 1e-9), 2.0),
            (minimum(|x| (x - 0.7).abs(), 0.0, 1.0, 1e-9), 0.7),
            (minimum(f64::cos, 0.0, 6.0, 1e-9), std::f64::consts::PI),
            // A minimum at an end is approached.
            (minimum(|x| x, 3.0, 4.0, 1e-9), 3.0),
        ] {
            assert!((found - expected).abs() < 1e-7, "{found} should be {expected}");
        }
    }

    #[test]
    fn a_coarse_search_stops_early() {
        let (mut coarse, mut fine) = (0, 0);
        let curve = |x: f64| (x - 0.7).powi(4) + (x - 0.7).powi(2);
        minimum(|x| (coarse += 1, curve(x)).1, 0.0, 1.0, 1e-2);
        minimum(|x| (fine += 1, curve(x)).1, 0.0, 1.0, 1e-10);
        assert!(coarse < fine && fine < 60, "{coarse} {fine}");
    }

    #[test]
    fn roots_to_the_last_digits() {
        let mut calls = 0;
        let cubic = root(|x| (calls += 1, x * x * x - 5.0).1, 0.0, 4.0, 0.0);
        assert!(cubic.is_some_and(|x| (x - 5.0_f64.cbrt()).abs() < 1e-15) && calls < 20, "{cubic:?} {calls}");
        let flat = root(|x| (x - 0.3).powi(3), 0.0, 1.0, 1e-12);
        assert!(flat.is_some_and(|x| (x - 0.3).abs() < 1e-5));
        let steep = root(|x| 2.0 - 1.0 / (1.0 - x), 0.0, 1.0, 0.0);
        assert!(steep.is_some_and(|x| (x - 0.5).abs() < 1e-15), "{steep:?}");
        assert_eq!(root(|x| x, 0.0, 1.0, 0.0), Some(0.0));
        assert_eq!(root(|x| x + 2.0, 0.0, 1.0, 0.0), None);
        assert_eq!(root(|_| f64::NAN, 0.0, 1.0, 0.0), None);
    }
}
