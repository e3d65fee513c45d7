//! Two variance components from the squares of uncorrelated values: a gamma regression with identity link.
//!
//! In the eigenvectors of the block effect, values u are independent with variance `β₁ + β₂ d`. So `u²` follows a gamma
//! distribution with that mean, and its likelihood is the restricted likelihood of the gene. It is maximised by Fisher
//! scoring, damped as by Levenberg and Marquardt, from the least squares of `u²` on d.

/// Squares that share an eigenvalue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Group {
    /// The eigenvalue d.
    pub(crate) eigenvalue: f64,
    /// How many squares there are.
    pub(crate) count: f64,
    /// Their sum.
    pub(crate) squares: f64,
}

/// Eigenvalues at or below this are zero.
pub(crate) const NO_EIGENVALUE: f64 = 1e-15;
/// Scoring steps at most: numbers of genes that do not converge depend on it.
const MOST_STEPS: usize = 21;
/// The gain in likelihood, as the scoring predicts it, below which it ends.
const ENOUGH: f64 = 1e-6;
/// Damping relative to the information beyond which there is no step.
const MOST_DAMPING: f64 = 1e15;

/// The correlation `β₂ / (β₁ + β₂)`; NaN where there is none.
pub(crate) fn correlation(groups: &[Group]) -> f64 {
    let Some(line) = least_squares(groups) else { return f64::NAN };
    let [residual, block] = if worth_refining(groups) { scoring(groups, line) } else { line };
    block / (residual + block)
}

/// The straight line through the squares.
fn least_squares(groups: &[Group]) -> Option<[f64; 2]> {
    let count: f64 = groups.iter().map(|g| g.count).sum();
    let mean_d = groups.iter().map(|g| g.count * g.eigenvalue).sum::<f64>() / count;
    let mean_y = groups.iter().map(|g| g.squares).sum::<f64>() / count;
    let centred = |g: &Group| g.eigenvalue - mean_d;
    let xx: f64 = groups.iter().map(|g| g.count * centred(g) * centred(g)).sum();
    let xy: f64 = groups.iter().map(|g| centred(g) * g.squares).sum();
    let slope = xy / xx;
    (xx > 0.0).then_some([mean_y - slope * mean_d, slope])
}

fn worth_refining(groups: &[Group]) -> bool {
    let count: f64 = groups.iter().map(|g| g.count).sum();
    let with_block: f64 = groups.iter().filter(|g| g.eigenvalue > NO_EIGENVALUE).map(|g| g.count).sum();
    let mean = groups.iter().map(|g| g.count * g.eigenvalue).sum::<f64>() / count;
    let squares: f64 = groups.iter().map(|g| g.count * (g.eigenvalue - mean).powi(2)).sum();
    count > 2.0 && with_block > 1.0 && squares / (count - 1.0) > 1e-15
}

fn scoring(groups: &[Group], line: [f64; 2]) -> [f64; 2] {
    let count: f64 = groups.iter().map(|g| g.count).sum();
    let mut beta = line;
    if groups.iter().any(|g| beta[0] + beta[1] * g.eigenvalue < 0.0) {
        beta = [groups.iter().map(|g| g.squares).sum::<f64>() / count, 0.0];
    }
    let mut deviance = deviance_of(groups, beta);
    let mut damping = f64::NAN;
    for step in 0..MOST_STEPS {
        let (information, gradient) = score(groups, beta);
        let most = information[0].max(information[2]);
        if step == 0 {
            damping = 0.25 * (information[0] + information[2]);
        }
        let mut tries = 0;
        let (change, next, next_deviance) = loop {
            tries += 1;
            let change = solve(information, damping, gradient);
            let next = [beta[0] + change[0], beta[1] + change[1]];
            let next_deviance = deviance_of(groups, next);
            // A difference in the last digits is none.
            if next_deviance <= deviance + 1e-14 * count {
                break (change, next, next_deviance);
            }
            // Also catches NaN.
            if !(damping / most <= MOST_DAMPING) {
                return beta;
            }
            damping *= 2.0;
        };
        (beta, deviance) = (next, next_deviance);
        if tries == 1 {
            damping /= 10.0;
        }
        if gradient[0] * change[0] + gradient[1] * change[1] < ENOUGH {
            break;
        }
    }
    beta
}

/// Fisher's information (three entries) and the gradient.
fn score(groups: &[Group], beta: [f64; 2]) -> ([f64; 3], [f64; 2]) {
    let mean = |g: &Group| beta[0] + beta[1] * g.eigenvalue;
    let largest = groups.iter().map(|g| mean(g) * mean(g)).fold(0.0, f64::max);
    let (mut information, mut gradient) = ([0.0; 3], [0.0; 2]);
    for g in groups {
        let mu = mean(g);
        // Means close to zero would outweigh all others.
        let precision = 1.0 / (mu * mu).max(largest / 1000.0);
        let d = g.eigenvalue;
        let excess = (g.squares - g.count * mu) * precision;
        gradient[0] += excess;
        gradient[1] += excess * d;
        information[0] += g.count * precision;
        information[1] += g.count * precision * d;
        information[2] += g.count * precision * d * d;
    }
    (information, gradient)
}

/// Solves `(A + damping) x = g`.
fn solve(a: [f64; 3], damping: f64, g: [f64; 2]) -> [f64; 2] {
    let (p, q, r) = (a[0] + damping, a[1], a[2] + damping);
    let determinant = p * r - q * q;
    [(r * g[0] - q * g[1]) / determinant, (p * g[1] - q * g[0]) / determinant]
}

/// The deviance up to a constant: infinite where a mean is negative.
fn deviance_of(groups: &[Group], beta: [f64; 2]) -> f64 {
    let mut deviance = 0.0;
    for g in groups {
        let mu = beta[0] + beta[1] * g.eigenvalue;
        let mean = g.squares / g.count;
        // Also catches NaN.
        if !(mu >= 0.0) {
            return f64::INFINITY;
        }
        if mean >= 1e-15 || mu >= 1e-15 {
            deviance += g.count * ((mean - mu) / mu - (mean.max(f64::MIN_POSITIVE) / mu).ln());
        }
    }
    2.0 * deviance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(eigenvalue: f64, count: f64, squares: f64) -> Group {
        Group { eigenvalue, count, squares }
    }

    #[test]
    fn two_eigenvalues_are_solved_exactly() {
        // Means 1 at d = 0 and 4 at d = 3: residual 1, block 1.
        let rho = correlation(&[group(0.0, 5.0, 5.0), group(3.0, 4.0, 16.0)]);
        assert!((rho - 0.5).abs() < 1e-14);
    }

    #[test]
    fn the_gradient_vanishes_at_the_estimate() {
        let groups = [group(0.0, 6.0, 7.0), group(1.0, 2.0, 9.0), group(2.5, 3.0, 10.0), group(3.0, 1.0, 8.0)];
        let beta = scoring(&groups, least_squares(&groups).unwrap_or_default());
        let (_, gradient) = score(&groups, beta);
        assert!(gradient.iter().all(|g| g.abs() < 1e-3), "{gradient:?}");
        let around = [[1e-2, 0.0], [-1e-2, 0.0], [0.0, 1e-2], [0.0, -1e-2]];
        for [a, b] in around {
            assert!(deviance_of(&groups, [beta[0] + a, beta[1] + b]) > deviance_of(&groups, beta));
        }
    }

    #[test]
    fn nothing_to_compare_gives_none() {
        assert!(correlation(&[group(2.0, 5.0, 5.0)]).is_nan());
    }
}
