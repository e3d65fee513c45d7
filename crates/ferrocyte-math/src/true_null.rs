//! The share of true null hypotheses among many tests, from their p-values.

use ferrocyte_base::{Fault, Result, choice};

choice! {
    /// How the share is estimated.
    TrueNull, "method" {
        /// From local false discovery rates: `2 sum(i q_i) / (n (n + 1))`, `q_i = min(n p_(i) / i, 1)`.
        Lfdr = "lfdr",
        /// From the mean: `2 mean(min(p_(i), (i - 1/2) / n))`.
        Mean = "mean",
        /// From a histogram of 20 bins (Nettleton et al. 2006).
        Histogram = "hist",
        /// From a decreasing density, [`convest`].
        ConvexDecreasing = "convest",
    }
}

/// Bins of the histogram.
const BINS: usize = 20;

/// Cells of the grid of [`convest`].
const CELLS: usize = 100;

/// Iterations of [`convest`].
const ITERATIONS: usize = 100;

/// The share of true null hypotheses; NaN among the p-values is left out, and without any the share is NaN.
///
/// # Errors
/// Where a p-value is not between 0 and 1.
pub fn prop_true_null(p: &[f64], method: TrueNull) -> Result<f64> {
    let sorted = checked(p)?;
    let n = sorted.len() as f64;
    if sorted.is_empty() {
        return Ok(f64::NAN);
    }
    Ok(match method {
        TrueNull::Lfdr => {
            let sum: f64 =
                sorted.iter().enumerate().map(|(k, p)| (k + 1) as f64 * (n / (k + 1) as f64 * p).min(1.0)).sum();
            2.0 * sum / (n * (n + 1.0))
        }
        TrueNull::Mean => 2.0 * sorted.iter().enumerate().map(|(k, p)| p.min((k as f64 + 0.5) / n)).sum::<f64>() / n,
        TrueNull::Histogram => histogram(&sorted),
        TrueNull::ConvexDecreasing => convest_of(&sorted),
    })
}

/// The share of true null hypotheses as the end of a convex decreasing density of the p-values (M. Langaas, B. H.
/// Lindqvist, E. Ferkingstad, *Estimating the proportion of true null hypotheses, with application to DNA microarray
/// data*, 2005).
///
/// The density is a mixture of the uniform and of triangles `2 (theta - x)_+ / theta^2`, `theta = 0.01, .., 1`; each of
/// 100 steps adds the component along which the likelihood rises fastest.
///
/// # Errors
/// Where a p-value is not between 0 and 1.
pub fn convest(p: &[f64]) -> Result<f64> {
    prop_true_null(p, TrueNull::ConvexDecreasing)
}

/// The p-values that are there, rising.
fn checked(p: &[f64]) -> Result<Vec<f64>> {
    let mut sorted: Vec<f64> = p.iter().copied().filter(|p| !p.is_nan()).collect();
    if let Some(wrong) = sorted.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Fault::bad_input(format!("expected probabilities between 0 and 1, found {wrong}")).at("p"));
    }
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}

/// The mean count of the bins from the first that is no higher than those that follow, over that of all.
fn histogram(sorted: &[f64]) -> f64 {
    let mut counts = [0.0; BINS];
    for p in sorted {
        // Bins are closed on the right: (0, 0.05], (0.05, 0.1], ..
        let bin = (0..BINS).find(|&k| *p <= (k + 1) as f64 / BINS as f64).unwrap_or(BINS - 1);
        counts[bin] += 1.0;
    }
    let mean = |k: usize| counts[k..].iter().sum::<f64>() / (BINS - k) as f64;
    let place = (0..BINS).find(|&k| mean(k) >= counts[k]).unwrap_or(BINS - 1);
    mean(place) / mean(0)
}

/// `2 (theta - x)_+ / theta^2`.
fn triangle(theta: f64, x: f64) -> f64 {
    2.0 * (theta - x).max(0.0) / (theta * theta)
}

fn convest_of(sorted: &[f64]) -> f64 {
    // As in the reference, the triangle at k / 100 is looked up at the whole part of 100 (k / 100), which rounding
    // makes one too low for 29, 57 and 58.
    let grid: Vec<f64> = (0..=CELLS).map(|k| (100.0 * (k as f64 / 100.0)).floor() / 100.0).collect();
    let mut density = vec![1.0; CELLS + 1];
    let mut at: Vec<f64> = vec![1.0; sorted.len()];
    let mut component = vec![1.0; sorted.len()];
    for _ in 0..ITERATIONS {
        let theta = steepest(sorted, &at);
        for (c, &p) in component.iter_mut().zip(sorted) {
            *c = theta.map_or(1.0, |theta| triangle(theta, p));
        }
        let share = share_of(&at, &component);
        for (f, &x) in density.iter_mut().zip(&grid) {
            *f = (1.0 - share) * *f + share * theta.map_or(1.0, |theta| triangle(theta, x));
        }
        for (f, &p) in at.iter_mut().zip(sorted) {
            let (low, high) = ((100.0 * p).floor() as usize, (100.0 * p).ceil() as usize);
            *f = 100.0 * (density[low] - density[high]) * (high as f64 / 100.0 - p) + density[high];
        }
    }
    density[CELLS]
}

/// The triangle along which the likelihood rises fastest; `None` for the uniform.
fn steepest(sorted: &[f64], at: &[f64]) -> Option<f64> {
    // The sums of 1/f and p/f over the p-values below theta.
    let (mut ones, mut means, mut next) = (0.0, 0.0, 0);
    let (mut best, mut most) = (1.0, f64::NEG_INFINITY);
    for k in 1..=CELLS {
        let theta = k as f64 / 100.0;
        while next < sorted.len() && sorted[next] < theta {
            ones += 1.0 / at[next];
            means += sorted[next] / at[next];
            next += 1;
        }
        let rise = 2.0 * (theta * ones - means) / (theta * theta);
        if rise > most {
            (best, most) = (theta, rise);
        }
    }
    let uniform: f64 = at.iter().map(|f| 1.0 / f).sum();
    (most >= uniform).then_some(best)
}

/// How much of the component goes into the mixture: the maximum of the likelihood along it, by bisection.
fn share_of(at: &[f64], component: &[f64]) -> f64 {
    let slope =
        |share: f64| -> f64 { at.iter().zip(component).map(|(f, t)| (f - t) / ((1.0 - share) * f + share * t)).sum() };
    if slope(0.0) > 0.0 {
        return 0.0;
    }
    let (mut low, mut high, mut middle) = (0.0, 1.0, 0.0);
    while high - low > 1e-6 {
        middle = 0.5 * (low + high);
        if slope(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    const ALL: [TrueNull; 4] = [TrueNull::Lfdr, TrueNull::Mean, TrueNull::Histogram, TrueNull::ConvexDecreasing];

    #[test]
    fn shares_of_a_mixture() -> Result<()> {
        let mut stream = Stream::new(9, 0);
        let p: Vec<f64> = (0..5000).map(|i| stream.uniform().powi(if i % 5 == 0 { 8 } else { 1 })).collect();
        for method in ALL {
            let share = prop_true_null(&p, method)?;
            assert!(share > 0.75 && share < 0.95, "{method:?}: {share}");
        }
        Ok(())
    }

    #[test]
    fn by_hand() -> Result<()> {
        let p = [0.02, f64::NAN, 0.5, 0.9];
        assert!((prop_true_null(&p, TrueNull::Lfdr)? - 2.0 * (0.06 + 2.0 * 0.75 + 3.0 * 0.9) / 12.0).abs() < 1e-15);
        assert!((prop_true_null(&p, TrueNull::Mean)? - 2.0 * (0.02 + 0.5 + 2.5 / 3.0) / 3.0).abs() < 1e-15);
        let even: Vec<f64> = (1..=100).map(|i| f64::from(i) / 100.0).collect();
        assert_eq!(prop_true_null(&even, TrueNull::Histogram)?, 1.0);
        assert!(prop_true_null(&[f64::NAN], TrueNull::Mean)?.is_nan());
        assert!(ALL.iter().all(|&method| prop_true_null(&[0.5, 1.5], method).is_err()));
        Ok(())
    }
}
