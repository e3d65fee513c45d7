//! Quantiles: the positive argument at which the logarithm of a tail has a given value.

/// Newton steps after which the search ends, whatever happened.
const MAX_STEPS: usize = 60;

/// A tail at `x`: the logarithm of its probability, and the derivative of that with respect to `ln x`.
pub(crate) struct Tail {
    pub(crate) ln_p: f64,
    pub(crate) slope: f64,
}

/// The `x > 0` with `ln_p(x) = target`, for a tail that is monotone in `x`.
///
/// Newton's method in `ln x`, kept inside a bracket that every evaluation shrinks. The tails of this crate are concave
/// in `ln x`, so that from a fair start the steps converge quadratically and from one side. Where they do not (a bad
/// start), the search widens while one side is open and bisects in `ln x` afterwards. Ends after 60 steps at the
/// latest. Returns 0 or infinity where the answer underflows or overflows.
pub(crate) fn solve(target: f64, start: f64, tail: impl Fn(f64) -> Tail) -> f64 {
    let (mut low, mut high) = (0.0_f64, f64::INFINITY);
    let mut x = if start.is_finite() && start > 0.0 { start } else { 1.0 };
    let (mut previous, mut reach) = (f64::INFINITY, 2.0);
    for _ in 0..MAX_STEPS {
        let Tail { ln_p, slope } = tail(x);
        let missing = target - ln_p;
        let step = missing / slope;
        if missing == 0.0 || step.abs() <= 2.0 * f64::EPSILON {
            return x * (1.0 + step.clamp(-1e-15, 1e-15));
        }
        // A falling tail that is still too large, or a rising one still too small, has its root above.
        let above = (missing < 0.0) == (slope < 0.0);
        if above {
            low = x;
        } else {
            high = x;
        }
        let newton = x * step.exp();
        let converging = step.abs() < 1e-3 || missing.abs() < 0.2 * previous;
        previous = missing.abs();
        let closed = low > 0.0 && high < f64::INFINITY;
        x = if newton > low && newton < high && step.abs() < reach && (converging || !closed) {
            newton
        } else if closed {
            low.sqrt() * high.sqrt()
        } else {
            reach *= 2.0;
            x * if above { reach } else { -reach }.exp()
        };
        if x == 0.0 || x == f64::INFINITY {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_roots_from_absurd_starts() {
        // ln P(X > x) = -x of the exponential distribution.
        for start in [1e-300, 1e-3, 1.0, 50.0, 1e6, f64::NAN, 0.0] {
            let x = solve(-3.0, start, |x| Tail { ln_p: -x, slope: -x });
            assert!((x - 3.0).abs() < 1e-14, "from {start}: {x}");
        }
    }
}
