//! Gauss-Legendre and Gauss-Hermite quadrature, and tails of log-concave densities by the first.
//!
//! Where the series and fractions of the incomplete gamma and beta functions need many terms (large parameters), the
//! tail itself is easy: in the variable `u = ln x` or `logit x` both densities are log-concave, so that beyond the mode
//! the integrand falls at least exponentially and a fixed number of nodes suffices for full accuracy.

/// The integrand is cut where it has fallen to `exp(-CUT)`.
const CUT: f64 = 40.0;

/// Positive nodes and weights of the 32-point Gauss-Legendre rule on [-1, 1].
const RULE: [(f64, f64); 16] = [
    (0.048307665687738316235, 0.096540088514727800567),
    (0.14447196158279649349, 0.095638720079274859419),
    (0.23928736225213707454, 0.093844399080804565639),
    (0.33186860228212764978, 0.091173878695763884713),
    (0.42135127613063534536, 0.087652093004403811143),
    (0.50689990893222939002, 0.083311924226946755222),
    (0.58771575724076232904, 0.078193895787070306472),
    (0.66304426693021520098, 0.072345794108848506225),
    (0.73218211874028968039, 0.065822222776361846838),
    (0.79448379596794240696, 0.058684093478535547145),
    (0.84936761373256997013, 0.050998059262376176196),
    (0.89632115576605212397, 0.042835898022226680657),
    (0.93490607593773968917, 0.034273862913021433103),
    (0.96476225558750643077, 0.025392065309262059456),
    (0.9856115115452683354, 0.016274394730905670605),
    (0.99726386184948156354, 0.0070186100094700966004),
];

/// Nodes (rising) and weights of the Gauss-Legendre rule with `n` nodes on [0, 1]; the weights sum to 1.
///
/// Newton's method on the Legendre polynomial from Tricomi's first approximation of its roots.
pub fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let mut rule = vec![(0.5, 1.0); n];
    for i in 0..n.div_ceil(2) {
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (value, derivative) = legendre(n, x);
            slope = derivative;
            let step = value / derivative;
            x -= step;
            if step.abs() <= 2.0 * f64::EPSILON {
                slope = legendre(n, x).1;
                break;
            }
        }
        // The weight on [-1, 1] is twice that on [0, 1].
        let weight = 1.0 / ((1.0 - x) * (1.0 + x) * slope * slope);
        rule[i] = (0.5 * (1.0 - x), weight);
        rule[n - 1 - i] = (0.5 * (1.0 + x), weight);
    }
    if n % 2 == 1 {
        rule[n / 2].0 = 0.5;
    }
    rule
}

/// The Legendre polynomial of degree `n >= 1` and its derivative, by the three-term recurrence.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut here) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, here) = (here, ((2.0 * k - 1.0) * x * here - (k - 1.0) * before) / k);
    }
    (here, n as f64 * (before - x * here) / ((1.0 - x) * (1.0 + x)))
}

/// Nodes (rising) of the Gauss-Hermite rule with `n` nodes for the weight `exp(-x^2)`, and the logarithms of
/// `weight * exp(x^2)`: what a function that is not divided by `exp(-x^2)` is multiplied by.
///
/// Newton's method on the orthonormal Hermite functions, the largest root first, each from a point right of it.
pub fn gauss_hermite(n: usize) -> Vec<(f64, f64)> {
    let mut rule = vec![(0.0, 0.0); n];
    let mut found: Vec<f64> = Vec::with_capacity(n.div_ceil(2));
    for i in 0..n.div_ceil(2) {
        // All roots lie within this; right of the largest that is left, Newton's method with the roots known taken out
        // falls to it without passing it.
        let mut x = found.last().copied().unwrap_or_else(|| (2.0 * n as f64 + 1.0).sqrt());
        if i > 0 {
            x -= 1e-3 / (n as f64).sqrt();
        }
        if n % 2 == 1 && i == n / 2 {
            x = 0.0;
        }
        for _ in 0..200 {
            let (value, before) = hermite(n, x);
            let slope = (2.0 * n as f64).sqrt() * before - x * value;
            let known: f64 = found.iter().map(|r| 1.0 / (x - r)).sum();
            // The factor exp(-x^2/2) of the functions adds -x to the logarithmic derivative.
            let step = 1.0 / (slope / value + x - known);
            if !step.is_finite() {
                break;
            }
            x -= step;
            if step.abs() <= 4.0 * f64::EPSILON * x.abs().max(1.0) {
                break;
            }
        }
        found.push(x);
        let (_, before) = hermite(n, x);
        let ln_weight = -(n as f64).ln() - 2.0 * before.abs().ln();
        rule[i] = (-x, ln_weight);
        rule[n - 1 - i] = (x, ln_weight);
    }
    rule
}

/// The orthonormal Hermite functions of degree `n >= 1` and `n - 1`, by the three-term recurrence.
fn hermite(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut here) = (0.0, std::f64::consts::PI.powf(-0.25) * (-0.5 * x * x).exp());
    for k in 0..n {
        let k = k as f64;
        (before, here) = (here, x * (2.0 / (k + 1.0)).sqrt() * here - (k / (k + 1.0)).sqrt() * before);
    }
    (here, before)
}

/// The integral of `exp(g(s))` over `s >= 0` for a concave `g` with `g(0) = 0` and `g'(0) <= 0`.
///
/// `g` returns the value and the slope; `curvature` is `-g''(0) > 0`. Two panels of 32 nodes.
pub(crate) fn log_concave_tail(curvature: f64, g: impl Fn(f64) -> (f64, f64)) -> f64 {
    let slope = -g(0.0).1.min(0.0);
    // The end of the parabola with the same slope and curvature; Newton's method then moves it to the end of g, from
    // the right after its first step, because g is concave.
    let mut end = 2.0 * CUT / (slope + (slope * slope + 2.0 * CUT * curvature).sqrt());
    for _ in 0..8 {
        let (value, slope) = g(end);
        let step = (value + CUT) / slope;
        end -= step;
        if step.abs() < 0.02 * end {
            break;
        }
    }
    let quarter = 0.25 * end;
    let mut sum = 0.0;
    for middle in [3.0 * quarter, quarter] {
        for &(node, weight) in RULE.iter().rev() {
            sum += weight * (g(middle - quarter * node).0.exp() + g(middle + quarter * node).0.exp());
        }
    }
    sum * quarter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_integrate_polynomials() {
        for n in [1, 2, 3, 5, 16, 128] {
            let rule = gauss_legendre(n);
            for degree in 0..2 * n.min(30) {
                let found: f64 = rule.iter().map(|(x, w)| w * x.powi(degree as i32)).sum();
                let expected = 1.0 / (degree as f64 + 1.0);
                assert!((found - expected).abs() < 2e-15, "{n} {degree}: {found}");
            }
            assert!(rule.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        // The rule of the table above, on the upper half of [-1, 1].
        for (&(node, weight), &(x, w)) in RULE.iter().zip(&gauss_legendre(32)[16..]) {
            assert!((2.0 * x - 1.0 - node).abs() < 1e-15 && (2.0 * w - weight).abs() < 1e-15);
        }
    }

    #[test]
    fn exponential_and_half_normal() {
        let exponential = log_concave_tail(1e-12, |s| (-3.0 * s, -3.0));
        assert!((exponential * 3.0 - 1.0).abs() < 4e-15, "{exponential}");
        let normal = log_concave_tail(1.0, |s| (-0.5 * s * s, -s));
        assert!((normal / (std::f64::consts::FRAC_PI_2).sqrt() - 1.0).abs() < 4e-15, "{normal}");
    }

    #[test]
    fn hermite_rules_integrate_polynomials_exactly() {
        for n in [1, 2, 3, 7, 11, 15, 31, 61] {
            let rule = gauss_hermite(n);
            assert!(rule.windows(2).all(|pair| pair[0].0 < pair[1].0), "{n}");
            // The even moments of exp(-x^2) are sqrt(pi) (2k - 1)!! / 2^k.
            let mut exact = std::f64::consts::PI.sqrt();
            for k in 0..n.min(12) {
                let found: f64 = rule.iter().map(|(x, l)| (l - x * x).exp() * x.powi(2 * k as i32)).sum();
                assert!((found / exact - 1.0).abs() < 1e-11, "{n} nodes, moment {k}: {found} {exact}");
                exact *= (2 * k + 1) as f64 / 2.0;
            }
        }
    }
}
