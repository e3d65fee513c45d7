//! [`tricube_moving_average`]: a smooth mean over neighbours.

/// Means over the neighbours of each value, weighted by `(1 - |u|^3)^3`.
///
/// `floor(span n / 2)` neighbours on each side, fewer if they would be more than the others; at the ends the weights that
/// fall outside are left out and the others sum to 1. Too small a span gives the values themselves. Takes time in
/// proportion to the number of values that are not zero, times that of neighbours.
///
/// ```
/// use ferrocyte_math::moving_average::tricube_moving_average;
/// let smooth = tricube_moving_average(&[1.0; 9], 0.5);
/// assert!(smooth.iter().all(|x| (x - 1.0).abs() < 1e-15));
/// assert_eq!(tricube_moving_average(&[3.0, 4.0], 0.1), [3.0, 4.0]);
/// ```
pub fn tricube_moving_average(values: &[f64], span: f64) -> Vec<f64> {
    let n = values.len();
    let neighbours = ((0.5 * span * n as f64).floor().max(0.0) as usize).min(n.saturating_sub(1) / 2);
    if neighbours == 0 {
        return values.to_vec();
    }
    let kernel = kernel(neighbours);
    let mut smooth = vec![0.0; n];
    for (i, &x) in values.iter().enumerate().filter(|(_, x)| **x != 0.0) {
        let first = i.saturating_sub(neighbours);
        let last = (i + neighbours).min(n - 1);
        let weights = &kernel[first + neighbours - i..];
        smooth[first..=last].iter_mut().zip(weights).for_each(|(sum, w)| *sum += w * x);
    }
    // At the ends: the weight that falls inside.
    let mut inside: f64 = kernel[..neighbours].iter().sum();
    for i in 0..neighbours {
        inside += kernel[neighbours + i];
        smooth[i] /= inside;
        smooth[n - 1 - i] /= inside;
    }
    smooth
}

/// Weights of `2 neighbours + 1` values, which sum to 1.
fn kernel(neighbours: usize) -> Vec<f64> {
    let half = neighbours as f64;
    let width = 2.0 * half + 1.0;
    let shrink = width / (width + 1.0);
    let mut kernel: Vec<f64> = (0..=2 * neighbours)
        .map(|k| {
            let u = ((k as f64 - half) / half * shrink).abs();
            (1.0 - u * u * u).powi(3)
        })
        .collect();
    let total: f64 = kernel.iter().sum();
    kernel.iter_mut().for_each(|w| *w /= total);
    kernel
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weighted mean of each value's neighbours, as it is defined.
    fn direct(values: &[f64], neighbours: usize) -> Vec<f64> {
        let kernel = kernel(neighbours);
        (0..values.len())
            .map(|i| {
                let (mut sum, mut weight) = (0.0, 0.0);
                for (k, w) in kernel.iter().enumerate() {
                    if let Some(j) = (i + k).checked_sub(neighbours).filter(|&j| j < values.len()) {
                        sum += w * values[j];
                        weight += w;
                    }
                }
                sum / weight
            })
            .collect()
    }

    #[test]
    fn every_mean_is_over_the_neighbours_that_are_there() {
        let values: Vec<f64> = (0..23).map(|i| f64::from(i % 5) - f64::from(i % 3)).collect();
        for (span, neighbours) in [(0.1, 1), (0.5, 5), (0.9, 10), (1.0, 11), (3.0, 11)] {
            let found = tricube_moving_average(&values, span);
            assert!(found.iter().zip(direct(&values, neighbours)).all(|(a, b)| (a - b).abs() < 1e-14), "{span}");
        }
    }
}
