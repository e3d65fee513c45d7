//! [`Draws`]: random choices, by R's generator or by ferrocyte's own.

use ferrocyte_math::r_stream::RStream;
use ferrocyte_math::random::Stream;

ferrocyte_base::choice! {
    /// Which generator random choices come from.
    Rng, "rng" {
        /// ferrocyte's own: keyed by seed, cell type and sample, so that the order of work does not matter.
        Native = "native",
        /// R's, draw by draw, to meet published seeds.
        R = "r",
    }
}

/// A stream of random choices.
#[derive(Debug, Clone)]
pub enum Draws {
    /// R's.
    R(Box<RStream>),
    /// ferrocyte's own.
    Native(Box<Stream>),
}

impl Draws {
    /// The stream of a seed. `task` tells apart what draws from one seed; R's generator knows the seed alone, of which
    /// it uses 32 bits.
    pub fn new(rng: Rng, seed: u64, task: &str) -> Self {
        match rng {
            Rng::R => Self::R(Box::new(RStream::new(seed as u32))),
            Rng::Native => Self::Native(Box::new(Stream::new(seed, fingerprint(task)))),
        }
    }

    /// `k` different indices below `n` (all of them where there are fewer), in random order.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        match self {
            Self::R(stream) => stream.sample(n, k),
            Self::Native(stream) => {
                let mut rest: Vec<usize> = (0..n).collect();
                let k = k.min(n);
                for taken in 0..k {
                    let j = taken + stream.below(n - taken);
                    rest.swap(taken, j);
                }
                rest.truncate(k);
                rest
            }
        }
    }

    /// An index below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        match self {
            Self::R(stream) => stream.below(n),
            Self::Native(stream) => stream.below(n),
        }
    }

    /// Uniform on (0, 1), or with 0.
    pub fn uniform(&mut self) -> f64 {
        match self {
            Self::R(stream) => stream.uniform(),
            Self::Native(stream) => stream.uniform(),
        }
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        match self {
            Self::R(stream) => stream.normal(),
            Self::Native(stream) => stream.normal(),
        }
    }
}

/// A number for a text, the same on every machine: FNV-1a.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_both_generators_have_no_repeats() {
        for rng in [Rng::R, Rng::Native] {
            let mut draws = Draws::new(rng, 7, "B");
            let mut all = draws.sample(30, 30);
            all.sort_unstable();
            assert_eq!(all, (0..30).collect::<Vec<_>>());
            assert_eq!(draws.sample(5, 9).len(), 5);
            assert!((0..50).all(|_| draws.below(3) < 3));
        }
    }

    #[test]
    fn tasks_tell_own_streams_apart() {
        let first = |rng, task| Draws::new(rng, 7, task).sample(1000, 5);
        assert_ne!(first(Rng::Native, "B"), first(Rng::Native, "T"));
        assert_eq!(first(Rng::R, "B"), first(Rng::R, "T"));
    }
}
