//! Random numbers that depend on a seed and a task, never on threads.
//!
//! Every task (a gene, a donor, a run of an ensemble) draws from its own [`Stream`]: ChaCha with 8 rounds, keyed by the
//! seed, with the task as its stream number. Streams of one seed do not overlap.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution, Exp1, Gamma, Poisson, StandardNormal};

use ferrocyte_base::{Fault, Result};

/// The random stream of one task.
///
/// ```
/// use ferrocyte_math::random::Stream;
/// let mut a = Stream::new(7, 3);
/// let mut b = Stream::new(7, 3);
/// assert_eq!(a.normal(), b.normal());
/// assert_ne!(a.normal(), Stream::new(7, 4).normal());
/// ```
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of `task` under `seed`.
    pub fn new(seed: u64, task: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(task);
        Self(generator)
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.random()
    }

    /// Uniform on [0, 1).
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// A uniform index below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.0.random_range(0..n as u64) as usize }
    }

    /// True with probability `p`.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Standard normal.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// Exponential with mean 1.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }

    /// Gamma with the given shape and mean `shape * scale`. A shape or scale of 0 gives 0.
    pub fn gamma(&mut self, shape: f64, scale: f64) -> Result<f64> {
        if shape == 0.0 || scale == 0.0 {
            return Ok(0.0);
        }
        let law = Gamma::new(shape, scale).map_err(|e| {
            Fault::bad_input(format!("a gamma law needs shape and scale >= 0, found {shape} and {scale}")).because(e)
        })?;
        Ok(law.sample(&mut self.0))
    }

    /// Poisson with the given mean, 0 allowed.
    pub fn poisson(&mut self, mean: f64) -> Result<f64> {
        if mean == 0.0 {
            return Ok(0.0);
        }
        let law = Poisson::new(mean)
            .map_err(|e| Fault::bad_input(format!("a Poisson law needs a mean >= 0, found {mean}")).because(e))?;
        Ok(law.sample(&mut self.0))
    }

    /// Negative binomial with the given mean and variance `mean + mean^2 / size`; an infinite size is Poisson.
    pub fn negative_binomial(&mut self, mean: f64, size: f64) -> Result<f64> {
        if size == f64::INFINITY {
            return self.poisson(mean);
        }
        if size.is_nan() || size <= 0.0 {
            return Err(Fault::bad_input(format!("a negative binomial law needs a size > 0, found {size}")));
        }
        let rate = self.gamma(size, mean / size)?;
        self.poisson(rate)
    }

    /// Binomial: successes among `trials` with probability `p`.
    pub fn binomial(&mut self, trials: u64, p: f64) -> Result<u64> {
        let law = Binomial::new(trials, p)
            .map_err(|e| Fault::bad_input(format!("a binomial law needs 0 <= p <= 1, found {p}")).because(e))?;
        Ok(law.sample(&mut self.0))
    }

    /// Proportions from the Dirichlet law with the given concentrations (all >= 0, not all 0), which sum to 1.
    pub fn dirichlet(&mut self, concentrations: &[f64]) -> Result<Vec<f64>> {
        let mut draws = concentrations.iter().map(|&a| self.gamma(a, 1.0)).collect::<Result<Vec<f64>>>()?;
        let total: f64 = draws.iter().sum();
        if total > 0.0 {
            for draw in &mut draws {
                *draw /= total;
            }
            return Ok(draws);
        }
        // Tiny concentrations underflow together: in the limit all mass falls on one entry, in proportion to them.
        let winner = self.categorical(concentrations)?;
        draws.fill(0.0);
        draws[winner] = 1.0;
        Ok(draws)
    }

    /// An index with probability proportional to its weight.
    pub fn categorical(&mut self, weights: &[f64]) -> Result<usize> {
        let total = total_weight(weights)?;
        let mut rest = self.uniform() * total;
        let mut last = 0;
        for (i, &w) in weights.iter().enumerate().filter(|&(_, &w)| w > 0.0) {
            if rest < w {
                return Ok(i);
            }
            rest -= w;
            last = i;
        }
        Ok(last)
    }

    /// How `trials` independent draws fall on categories with the given weights: conditional binomials.
    pub fn multinomial(&mut self, trials: u64, weights: &[f64]) -> Result<Vec<u64>> {
        total_weight(weights)?;
        // What is left, summed from the end, so that the last category with weight takes exactly what remains.
        let mut left = vec![0.0; weights.len()];
        let mut sum = 0.0;
        for (l, &w) in left.iter_mut().zip(weights).rev() {
            sum += w;
            *l = sum;
        }
        let mut trials = trials;
        let mut counts = Vec::with_capacity(weights.len());
        for (&w, &l) in weights.iter().zip(&left) {
            let count = if w == 0.0 || trials == 0 { 0 } else { self.binomial(trials, (w / l).min(1.0))? };
            trials -= count;
            counts.push(count);
        }
        Ok(counts)
    }

    /// Puts the items into random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    /// The numbers `0..n` in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }
}

/// So that a stream can feed any law of `rand_distr`.
impl TryRng for Stream {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Self::Error> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Self::Error> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Self::Error> {
        self.0.try_fill_bytes(bytes)
    }
}

/// The sum of non-negative weights that are not all zero.
fn total_weight(weights: &[f64]) -> Result<f64> {
    if let Some((i, w)) = weights.iter().enumerate().find(|&(_, &w)| !(w >= 0.0 && w.is_finite())) {
        return Err(Fault::bad_input(format!("weights must be finite and >= 0, weight {i} is {w}")));
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 { Ok(total) } else { Err(Fault::bad_input("at least one weight must be positive, all are 0")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(n: usize, mut draw: impl FnMut() -> Result<f64>) -> Result<(f64, f64)> {
        let draws = (0..n).map(|_| draw()).collect::<Result<Vec<f64>>>()?;
        let mean = draws.iter().sum::<f64>() / n as f64;
        Ok((mean, draws.iter().map(|d| (d - mean) * (d - mean)).sum::<f64>() / (n - 1) as f64))
    }

    fn near(found: (f64, f64), mean: f64, variance: f64, n: usize) {
        let error = (found.0 - mean).abs() / (variance / n as f64).sqrt();
        assert!(error < 5.0 && (found.1 / variance - 1.0).abs() < 0.1, "{found:?}, expected {mean}, {variance}");
    }

    #[test]
    fn moments_are_right() -> Result<()> {
        let n = 20_000;
        let mut s = Stream::new(1, 2);
        near(moments(n, || Ok(s.uniform()))?, 0.5, 1.0 / 12.0, n);
        near(moments(n, || Ok(s.normal()))?, 0.0, 1.0, n);
        near(moments(n, || Ok(s.exponential()))?, 1.0, 1.0, n);
        near(moments(n, || s.gamma(2.5, 3.0))?, 7.5, 22.5, n);
        near(moments(n, || s.poisson(4.0))?, 4.0, 4.0, n);
        near(moments(n, || s.negative_binomial(5.0, 2.0))?, 5.0, 17.5, n);
        near(moments(n, || Ok(s.multinomial(10, &[1.0, 3.0])?[0] as f64))?, 2.5, 1.875, n);
        near(moments(n, || Ok(s.dirichlet(&[2.0, 3.0])?[0]))?, 0.4, 0.04, n);
        near(moments(n, || Ok(s.categorical(&[1.0, 0.0, 1.0])? as f64))?, 1.0, 1.0, n);
        Ok(())
    }

    #[test]
    fn edges() -> Result<()> {
        let mut s = Stream::new(1, 2);
        assert_eq!((s.poisson(0.0)?, s.gamma(0.0, 1.0)?, s.below(0)), (0.0, 0.0, 0));
        assert_eq!(s.multinomial(7, &[0.0, 1.0, 0.0])?, [0, 7, 0]);
        assert!((s.dirichlet(&[1e-12; 4])?.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(s.poisson(-1.0).is_err() && s.categorical(&[0.0]).is_err() && s.categorical(&[f64::NAN]).is_err());
        assert!(s.negative_binomial(1.0, 0.0).is_err() && s.binomial(3, 1.5).is_err());
        let mut order = s.permutation(50);
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
        Ok(())
    }

    #[test]
    fn the_first_draws_never_change() {
        let mut s = Stream::new(2026, 5);
        let found = [s.bits(), s.bits()];
        assert_eq!(
            found,
            [16047156849571320540, 14618550461432462495],
            "streams are part of the results of seeded runs"
        );
    }
}
