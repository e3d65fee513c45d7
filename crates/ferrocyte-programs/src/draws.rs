//! Laws of random numbers as `numpy.random.RandomState` draws them, so that a seed of it gives the same study here.
//!
//! Gamma numbers of shapes below 1: J. H. Ahrens and U. Dieter, *Computing* 1974 (with exponential numbers in the place
//! of the second uniform one). Poisson numbers: products of uniform numbers below a mean of 10, transformed rejection
//! above (W. Hörmann, *Insurance: Mathematics and Economics* 1993).

use ferrocyte_math::mersenne_twister::MersenneTwister;

/// From this mean on, Poisson numbers are drawn by rejection.
const LARGE: f64 = 10.0;

/// A gamma number of a shape below 1 and scale 1.
pub(crate) fn gamma(draws: &mut MersenneTwister, shape: f64) -> f64 {
    loop {
        let u = draws.uniform();
        let v = -libm::log(1.0 - draws.uniform());
        if u <= 1.0 - shape {
            let x = libm::pow(u, 1.0 / shape);
            if x <= v {
                return x;
            }
        } else {
            let y = -libm::log((1.0 - u) / shape);
            let x = libm::pow(1.0 - shape + shape * y, 1.0 / shape);
            if x <= v + y {
                return x;
            }
        }
    }
}

/// A whole number from 0 to `n - 1`, each as likely: bits that reach no further, drawn again while they are too large.
pub(crate) fn below(draws: &mut MersenneTwister, n: u32) -> u32 {
    let most = n - 1;
    if most == 0 {
        return 0;
    }
    let mask = u32::MAX >> most.leading_zeros();
    loop {
        let value = draws.bits() & mask;
        if value <= most {
            return value;
        }
    }
}

/// A place among sums that rise to 1, each as likely as its step.
pub(crate) fn place(draws: &mut MersenneTwister, sums: &[f64]) -> usize {
    let u = draws.uniform();
    sums.partition_point(|sum| *sum <= u).min(sums.len() - 1)
}

/// A Poisson number.
pub(crate) fn poisson(draws: &mut MersenneTwister, mean: f64) -> u64 {
    if mean >= LARGE {
        by_rejection(draws, mean)
    } else if mean > 0.0 {
        by_products(draws, mean)
    } else {
        0
    }
}

fn by_products(draws: &mut MersenneTwister, mean: f64) -> u64 {
    let least = libm::exp(-mean);
    let (mut count, mut product) = (0, draws.uniform());
    while product > least {
        count += 1;
        product *= draws.uniform();
    }
    count
}

fn by_rejection(draws: &mut MersenneTwister, mean: f64) -> u64 {
    let (root, log_mean) = (mean.sqrt(), libm::log(mean));
    let b = 0.931 + 2.53 * root;
    let a = -0.059 + 0.024_83 * b;
    let inverse = 1.1239 + 1.1328 / (b - 3.4);
    let easy = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = draws.uniform() - 0.5;
        let v = draws.uniform();
        let near = 0.5 - u.abs();
        let k = ((2.0 * a / near + b) * u + mean + 0.43).floor();
        if near >= 0.07 && v <= easy {
            return k as u64;
        }
        if k < 0.0 || (near < 0.013 && v > near) {
            continue;
        }
        let left = libm::log(v) + libm::log(inverse) - libm::log(a / (near * near) + b);
        if left <= -mean + k * log_mean - libm::lgamma(k + 1.0) {
            return k as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (mean, values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n)
    }

    #[test]
    fn laws_have_their_moments() {
        let mut draws = MersenneTwister::new(7);
        let gammas: Vec<f64> = (0..40_000).map(|_| gamma(&mut draws, 0.35)).collect();
        let (mean, variance) = moments(&gammas);
        assert!((mean - 0.35).abs() < 0.01 && (variance - 0.35).abs() < 0.03, "{mean} {variance}");
        for rate in [0.2, 4.0, 10.0, 250.0] {
            let counts: Vec<f64> = (0..40_000).map(|_| poisson(&mut draws, rate) as f64).collect();
            let (mean, variance) = moments(&counts);
            assert!(
                (mean / rate - 1.0).abs() < 0.02 && (variance / rate - 1.0).abs() < 0.05,
                "{rate}: {mean} {variance}"
            );
        }
        assert_eq!(poisson(&mut draws, 0.0), 0);
    }

    #[test]
    fn whole_numbers_and_places_are_as_likely_as_they_should_be() {
        let mut draws = MersenneTwister::new(8);
        let mut seen = [0_i32; 5];
        (0..50_000).for_each(|_| seen[below(&mut draws, 5) as usize] += 1);
        assert!(seen.iter().all(|n| (n - 10_000).abs() < 400), "{seen:?}");
        let mut seen = [0_i32; 2];
        (0..50_000).for_each(|_| seen[place(&mut draws, &[0.2, 1.0])] += 1);
        assert!((seen[0] - 10_000).abs() < 400, "{seen:?}");
    }

    #[test]
    fn one_value_alone_takes_no_bits() {
        let (mut draws, mut other) = (MersenneTwister::new(9), MersenneTwister::new(9));
        assert_eq!(below(&mut draws, 1), 0);
        assert_eq!(draws.bits(), other.bits());
    }
}
