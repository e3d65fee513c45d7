//! [`RStream`]: the random numbers of R since version 3.6, draw by draw.
//!
//! The generator is the Mersenne Twister, normal numbers come by inversion, and indices by rejection. Where published
//! results depend on `set.seed`, they can be met only with these; what is ferrocyte's own draws from
//! [`crate::random::Stream`].

use crate::mersenne_twister::MersenneTwister;

/// 2⁻³² as R has it, and the least number that it gives out.
const STEP: f64 = 2.328_306_436_538_696_3e-10;
const LEAST: f64 = 0.5 * 2.328_306_437_080_797e-10;

/// 2²⁷: a normal number takes two uniform ones.
const COARSE: f64 = 134_217_728.0;

/// Beyond this many items R draws a few of them by rejection instead of shuffling all.
const LARGE: usize = 10_000_000;

/// A stream of random numbers, as after `set.seed`.
///
/// ```
/// use ferrocyte_math::r_stream::RStream;
/// let mut draws = RStream::new(1);
/// assert_eq!(draws.uniform(), 0.265_508_663_142_099_98);
/// ```
#[derive(Debug, Clone)]
pub struct RStream(MersenneTwister);

impl RStream {
    /// `set.seed(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_mul(69069).wrapping_add(1);
            x
        };
        // Fifty to scramble the seed, and one for the position, which is overwritten.
        for _ in 0..51 {
            next();
        }
        Self(MersenneTwister::from_state(std::array::from_fn(|_| next())))
    }

    /// `runif(1)`: between 0 and 1, without these.
    pub fn uniform(&mut self) -> f64 {
        let u = f64::from(self.0.bits()) * STEP;
        if u <= 0.0 {
            LEAST
        } else if 1.0 - u <= 0.0 {
            1.0 - LEAST
        } else {
            u
        }
    }

    /// `rnorm(1)`.
    pub fn normal(&mut self) -> f64 {
        let u = (COARSE * self.uniform()).floor() + self.uniform();
        inverse_normal(u / COARSE)
    }

    /// An index below `n`, each with the same probability; 0 where `n` is 0 or 1.
    pub fn below(&mut self, n: usize) -> usize {
        if n < 2 {
            // One index still takes a draw where R draws for it: its number of bits is 0.
            if n == 1 {
                self.uniform();
            }
            return 0;
        }
        let bits = usize::BITS - (n - 1).leading_zeros();
        loop {
            let mut v: u64 = 0;
            let mut got = 0;
            while got <= bits {
                v = (v << 16) | (self.uniform() * 65536.0).floor() as u64;
                got += 16;
            }
            let v = v & ((1_u64 << bits) - 1);
            if (v as usize) < n {
                return v as usize;
            }
        }
    }

    /// `sample(n, k)`, counted from 0: `k` different indices in random order.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        let k = k.min(n);
        if n > LARGE && k <= n / 2 {
            let mut seen = std::collections::HashSet::with_capacity(k);
            let mut drawn = Vec::with_capacity(k);
            while drawn.len() < k {
                let j = self.below(n);
                if seen.insert(j) {
                    drawn.push(j);
                }
            }
            return drawn;
        }
        let mut rest: Vec<usize> = (0..n).collect();
        (0..k)
            .map(|taken| {
                let j = self.below(n - taken);
                let drawn = rest[j];
                rest[j] = rest[n - taken - 1];
                drawn
            })
            .collect()
    }
}

/// The normal quantile of M. J. Wichura, *Algorithm AS 241*, Applied Statistics 37 (1988): three rational functions.
fn inverse_normal(p: f64) -> f64 {
    const A: [f64; 8] = [
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ];
    const B: [f64; 8] = [
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ];
    const C: [f64; 8] = [
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ];
    const E: [f64; 8] = [
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ];
    let polynomial = |c: &[f64; 8], x: f64| c.iter().rev().fold(0.0, |sum, c| sum * x + c);
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * polynomial(&A, r) / polynomial(&B, r);
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let size = if r <= 5.0 {
        polynomial(&C, r - 1.6) / polynomial(&D, r - 1.6)
    } else {
        polynomial(&E, r - 5.0) / polynomial(&F, r - 5.0)
    };
    size.copysign(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_those_of_set_seed_1() {
        let mut draws = RStream::new(1);
        let found: Vec<f64> = (0..3).map(|_| draws.uniform()).collect();
        assert_eq!(found, [0.265_508_663_142_099_98, 0.372_123_899_636_790_16, 0.572_853_363_351_896_4]);
        assert_eq!(RStream::new(1).sample(100, 10), [67, 38, 0, 33, 86, 42, 13, 81, 58, 50]);
    }

    #[test]
    fn a_sample_has_no_repeats_and_no_more_than_there_are() {
        let mut draws = RStream::new(3);
        let mut all = draws.sample(20, 50);
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        let few = draws.sample(LARGE + 1, 5);
        assert!(few.iter().all(|&i| i <= LARGE));
        assert_eq!((draws.below(0), draws.below(1)), (0, 0));
    }

    #[test]
    fn quantiles_are_those_of_the_other_way() {
        for p in [1e-12, 1e-5, 0.02, 0.3, 0.5, 0.77, 0.999, 1.0 - 1e-9] {
            let (found, expected) = (inverse_normal(p), crate::normal::quantile(p));
            assert!((found - expected).abs() <= 4e-15 * expected.abs().max(1.0), "{p}: {found} {expected}");
        }
    }
}
