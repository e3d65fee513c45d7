//! Ranks of values, with ties sharing their mean rank.

/// Positions of `values` from the smallest to the largest; ties in the order given, NaN last.
pub fn rising(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].is_nan().cmp(&values[j].is_nan()).then(values[i].total_cmp(&values[j])));
    order
}

/// The rank of each value, 1 for the smallest; equal values have the mean of their ranks.
///
/// ```
/// assert_eq!(ferrocyte_math::ranks::average(&[3.0, 1.0, 3.0]), [2.5, 1.0, 2.5]);
/// ```
pub fn average(values: &[f64]) -> Vec<f64> {
    let order = rising(values);
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        let rank = 0.5 * (start + end + 1) as f64;
        order[start..end].iter().for_each(|&i| ranks[i] = rank);
        start = end;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_and_nan_come_last() {
        assert_eq!(average(&[2.0, 2.0, 0.5, 7.0, 2.0]), [3.0, 3.0, 1.0, 5.0, 3.0]);
        assert_eq!(rising(&[f64::NAN, 1.0, -1.0, 1.0]), [2, 1, 3, 0]);
        assert!(average(&[]).is_empty());
    }
}
