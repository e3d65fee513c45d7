//! The valley between two modes of a histogram (J. M. S. Prewitt and M. L. Mendelsohn, 1966).

/// Bins of the histogram.
const BINS: usize = 256;

/// The most rounds of smoothing.
const ROUNDS: usize = 10_000;

/// The centre of the lowest bin between the two modes of the values: their histogram is smoothed, by the mean of three
/// neighbours with reflected edges, until it has two maxima. `None` if it never has.
pub(super) fn between_modes(values: &[f64]) -> Option<f64> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !(high > low) {
        return None;
    }
    let width = (high - low) / BINS as f64;
    let mut histogram = vec![0.0; BINS];
    for value in values {
        let bin = ((value - low) / width) as usize;
        histogram[bin.min(BINS - 1)] += 1.0;
    }
    for _ in 0..ROUNDS {
        let last = BINS - 1;
        let at = |i: usize| histogram[i];
        histogram = (0..BINS).map(|i| (at(i.saturating_sub(1)) + at(i) + at((i + 1).min(last))) / 3.0).collect();
        let maxima = maxima(&histogram);
        if maxima.len() < 2 {
            return None;
        }
        if let [first, second] = maxima[..] {
            let between = &histogram[first..=second];
            let least = (0..between.len()).fold(0, |least, i| if between[i] < between[least] { i } else { least });
            return Some(low + (first + least) as f64 * width + 0.5 * width);
        }
    }
    None
}

/// Where values stop rising and begin to fall; of a flat top its end.
fn maxima(values: &[f64]) -> Vec<usize> {
    let mut rising = true;
    let mut found = Vec::new();
    for i in 0..values.len() - 1 {
        if rising && values[i + 1] < values[i] {
            rising = false;
            found.push(i);
        } else if !rising && values[i + 1] > values[i] {
            rising = true;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valley_lies_between_two_heaps() {
        let heap = |centre: f64, n: i32| (0..n).map(move |i| centre + 0.2 * f64::from(i * i % 101 - 50) / 50.0);
        let values: Vec<f64> = heap(0.0, 500).chain(heap(1.0, 200)).collect();
        let found = between_modes(&values);
        assert!(found.is_some_and(|t| 0.2 < t && t < 0.8), "{found:?}");
        assert_eq!(between_modes(&[1.0; 5]), None);
        assert_eq!(between_modes(&[]), None);
    }

    #[test]
    fn flat_tops_count_once() {
        assert_eq!(maxima(&[0.0, 2.0, 2.0, 1.0, 3.0, 0.0]), [2, 4]);
    }
}
