//! Sums that do not depend on their order: numbers of twice the usual precision, as the unevaluated sum of two.
//!
//! The error of a floating-point addition is itself a floating-point number and can be computed ([`two_sum`], Knuth
//! 1969). A total kept as `high + low` therefore loses nothing as long as all that it has ever held are multiples of
//! one power of two, 2^k, and stay below 2^(k + 104): then every addition is exact, sums are associative and
//! commutative to the bit, and `high` is the total rounded once. Beyond that range an addition has a relative error of
//! at most 3 · 2^-106 (Joldes, Muller and Popescu 2017, doi 10.1145/3121432, algorithm 6).

/// `a + b` rounded, and what was lost by rounding.
///
/// ```
/// assert_eq!(ferrocyte_math::exact::two_sum(1e16, 1.0), (1e16, 1.0));
/// ```
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    let of_a = sum - of_b;
    (sum, (a - of_a) + (b - of_b))
}

/// The sum of two numbers, each as high and low part. A sum that is not finite has no low part.
///
/// ```
/// use ferrocyte_math::exact::add;
/// let total = [1e-3, 1e9, 0.7, -1e9].into_iter().fold((0.0, 0.0), |total, x| add(total, (x, 0.0)));
/// assert_eq!(total.0, 1e-3 + 0.7);
/// ```
pub fn add(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    let (high, lost) = two_sum(a.0, b.0);
    if !high.is_finite() {
        return (high, 0.0);
    }
    let (low, lost_low) = two_sum(a.1, b.1);
    let (high, rest) = two_sum(high, lost + low);
    two_sum(high, rest + lost_low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// Numbers over 14 decades, of both signs, all multiples of 2^-55.
    fn numbers(n: usize) -> Vec<f64> {
        let mut stream = Stream::new(7, 0);
        let unit = 2_f64.powi(-55);
        let mut number = || (stream.uniform() - 0.4) * 10_f64.powf(14.0 * stream.uniform() - 4.0);
        (0..n).map(|_| (number() / unit).round() * unit).collect()
    }

    fn total(numbers: &[f64]) -> (f64, f64) {
        numbers.iter().fold((0.0, 0.0), |total, &x| add(total, (x, 0.0)))
    }

    #[test]
    fn order_and_brackets_play_no_role() {
        let mut all = numbers(5000);
        let expected = total(&all);
        assert_ne!(expected.1, 0.0, "the low part is needed");
        for size in [1, 2, 7, 999] {
            let bracketed = all.chunks(size).map(total).fold((0.0, 0.0), add);
            assert_eq!(bracketed, expected, "brackets of {size}");
        }
        all.sort_by(f64::total_cmp);
        assert_eq!(total(&all), expected);
        all.reverse();
        assert_eq!(total(&all), expected);
        let plain: f64 = all.iter().sum();
        assert_ne!(plain, expected.0, "an ordinary sum depends on the order");
    }

    #[test]
    fn what_is_taken_away_leaves_nothing() {
        let all = numbers(100);
        let back = all.iter().fold(total(&all), |t, &x| add(t, (-x, 0.0)));
        assert_eq!(back, (0.0, 0.0));
    }

    #[test]
    fn sums_that_are_not_finite_stay_so() {
        assert_eq!(add((f64::MAX, 0.0), (f64::MAX, 0.0)), (f64::INFINITY, 0.0));
        assert_eq!(add((f64::INFINITY, 0.0), (1.0, 0.5)), (f64::INFINITY, 0.0));
        assert!(add((f64::NAN, 0.0), (1.0, 0.0)).0.is_nan());
    }
}
