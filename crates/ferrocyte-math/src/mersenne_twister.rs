//! The Mersenne Twister MT19937, seeded with one number: the generator of most published seeds.
//!
//! Where results of other programs are to be met digit for digit, their random numbers must be drawn in their order
//! (M. Matsumoto and T. Nishimura, *Mersenne Twister*, 1998; normal numbers by the polar method of G. Marsaglia and
//! T. A. Bray, 1964). What is ferrocyte's own draws from [`crate::random::Stream`] instead.

/// Words of state.
const N: usize = 624;

/// How far apart the words are that make a new one.
const M: usize = 397;

/// A stream of random numbers from one 32-bit seed.
///
/// ```
/// use ferrocyte_math::mersenne_twister::MersenneTwister;
/// let mut draws = MersenneTwister::new(5489);
/// assert_eq!(draws.bits(), 3_499_211_612);
/// ```
#[derive(Debug, Clone)]
pub struct MersenneTwister {
    state: [u32; N],
    /// The next word to give out; all are used up at `N`.
    next: usize,
    /// The second normal number of a pair.
    spare: Option<f64>,
}

impl MersenneTwister {
    /// The generator of a seed, by the rule for one number (not that for arrays).
    pub fn new(seed: u32) -> Self {
        let mut state = [0; N];
        state[0] = seed;
        for i in 1..N {
            let before: u32 = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N, spare: None }
    }

    /// The generator that goes on from 624 words of state, the first of which makes the next draw.
    pub fn from_state(state: [u32; N]) -> Self {
        Self { state, next: N, spare: None }
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        if self.next == N {
            self.renew();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// Makes all words of state anew.
    fn renew(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let turned = if y & 1 == 0 { y >> 1 } else { (y >> 1) ^ 0x9908_b0df };
            self.state[i] = self.state[(i + M) % N] ^ turned;
        }
        self.next = 0;
    }

    /// Uniform on [0, 1), with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        let (high, low) = (self.bits() >> 5, self.bits() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// Standard normal, by the polar method: of each pair the second is given out first.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x1 = 2.0 * self.uniform() - 1.0;
            let x2 = 2.0 * self.uniform() - 1.0;
            let r = x1 * x1 + x2 * x2;
            if r > 0.0 && r < 1.0 {
                let f = (-2.0 * libm::log(r) / r).sqrt();
                self.spare = Some(f * x1);
                return f * x2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_first_words() {
        let mut draws = MersenneTwister::new(5489);
        let first: Vec<u32> = (0..3).map(|_| draws.bits()).collect();
        assert_eq!(first, [3_499_211_612, 581_869_302, 3_890_346_734]);
        // The 10,000th word, the check value of the C++ standard for this generator.
        let mut draws = MersenneTwister::new(5489);
        let last = (0..10_000).map(|_| draws.bits()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn uniform_and_normal_numbers_have_their_moments() {
        let mut draws = MersenneTwister::new(1);
        let n = 20_000;
        let uniform: Vec<f64> = (0..n).map(|_| draws.uniform()).collect();
        assert!(uniform.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((uniform.iter().sum::<f64>() / f64::from(n) - 0.5).abs() < 0.01);
        let normal: Vec<f64> = (0..n).map(|_| draws.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let variance = normal.iter().map(|z| (z - mean) * (z - mean)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "{mean} {variance}");
    }
}
