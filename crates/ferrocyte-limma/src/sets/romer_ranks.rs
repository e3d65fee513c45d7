//! [`Ranker`]: ranks of some of many values and of their sizes, in time proportional to their number.

/// Steps of a power of 2 into which sizes are sorted.
const STEPS: u32 = 9;

/// Powers of 2 that are told apart, from `2^LOWEST` on; smaller and larger sizes share the first and the last bucket.
const POWERS: u64 = 60;

/// The power of 2 of the first bucket.
const LOWEST: u64 = 1023 - 40;

/// Number of buckets of one sign.
const BUCKETS: usize = (POWERS << STEPS) as usize;

/// Values sorted into buckets by sign and size: the leading bits of a number are a bucket.
///
/// Ranks are counted: whole buckets below, and the values of one bucket one by one. A rotation of thousands of genes is
/// ranked several times faster than by sorting it.
#[derive(Debug)]
pub(super) struct Ranker {
    /// Where each bucket starts in `sizes`: those of values that are not negative, then those of negative ones.
    starts: Vec<u32>,
    sizes: Vec<f64>,
    buckets: Vec<u32>,
}

impl Ranker {
    pub(super) fn new() -> Self {
        Self { starts: vec![0; 2 * BUCKETS + 1], sizes: Vec::new(), buckets: Vec::new() }
    }

    /// Takes the values that are ranked, none of them NaN.
    pub(super) fn fill(&mut self, values: &[f64]) {
        self.starts.fill(0);
        self.buckets.clear();
        self.buckets.extend(values.iter().map(|&x| (bucket(x.abs()) + if x < 0.0 { BUCKETS } else { 0 }) as u32));
        for &b in &self.buckets {
            self.starts[b as usize + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut self.starts {
            sum += *start;
            *start = sum;
        }
        self.sizes.resize(values.len(), 0.0);
        for (&x, &b) in values.iter().zip(&self.buckets) {
            let place = &mut self.starts[b as usize];
            self.sizes[*place as usize] = x.abs();
            *place += 1;
        }
        // Every start has moved to the start of the next bucket.
        self.starts.rotate_right(1);
        self.starts[0] = 0;
    }

    /// Twice the rank of a value among all, and twice that of its size among all sizes; from the smallest, ties sharing
    /// their mean rank. The value must be among those filled in.
    pub(super) fn twice(&self, value: f64) -> (u64, u64) {
        let size = value.abs();
        let b = bucket(size);
        let (n, n_positive) = (self.sizes.len() as u64, u64::from(self.starts[BUCKETS]));
        let (below_positive, equal_positive) = self.count(b, size);
        let (below_negative, equal_negative) = self.count(BUCKETS + b, size);
        let below_negative = below_negative - n_positive;
        // Below it stand `below` values and with it `equal`: the mean of the ranks below + 1 .. below + equal.
        let twice = |below: u64, equal: u64| 2 * below + equal + 1;
        let signed = if value < 0.0 {
            twice(n - n_positive - below_negative - equal_negative, equal_negative)
        } else {
            twice(n - n_positive + below_positive, equal_positive)
        };
        (signed, twice(below_positive + below_negative, equal_positive + equal_negative))
    }

    /// How many values stand before `size` in the order of buckets, and how many of its bucket equal it.
    fn count(&self, b: usize, size: f64) -> (u64, u64) {
        let (start, end) = (self.starts[b], self.starts[b + 1]);
        let (mut below, mut equal) = (u64::from(start), 0);
        for &other in &self.sizes[start as usize..end as usize] {
            below += u64::from(other < size);
            equal += u64::from(other == size);
        }
        (below, equal)
    }
}

/// The bucket of a size.
#[inline]
fn bucket(size: f64) -> usize {
    let leading = size.to_bits() >> (52 - STEPS);
    leading.saturating_sub(LOWEST << STEPS).min(BUCKETS as u64 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_math::random::Stream;
    use ferrocyte_math::ranks;

    #[test]
    fn ranks_are_those_of_sorting() {
        let mut stream = Stream::new(6, 0);
        let mut ranker = Ranker::new();
        for n in [1, 2, 300] {
            let mut values: Vec<f64> = (0..n).map(|_| stream.normal().powi(3)).collect();
            if n > 2 {
                // Ties, zeros, and what is beyond the buckets.
                values[..8].copy_from_slice(&[0.0, -0.0, 1e300, -1e300, 1e-200, 2e-200, 0.5, -0.5]);
                values[8..10].copy_from_slice(&[0.5, f64::INFINITY]);
            }
            ranker.fill(&values);
            let sizes: Vec<f64> = values.iter().map(|x| x.abs()).collect();
            let expected = (ranks::average(&values), ranks::average(&sizes));
            for (i, &x) in values.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                let (signed, size) = ranker.twice(x);
                assert_eq!((signed as f64 / 2.0, size as f64 / 2.0), (expected.0[i], expected.1[i]), "{x}");
            }
        }
    }
}
