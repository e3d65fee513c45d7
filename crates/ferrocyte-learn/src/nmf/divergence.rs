//! The beta divergences: their quotients and terms, and the loops over values that are not 0, or over all.

#![allow(clippy::inline_always)]

use ferrocyte_math::fused::{FusedKernel, Real, multiply_add};
use ferrocyte_math::wide;

use super::kernels::{Work, add_multiple, each};
use super::packs::Packs;
use super::pieces::{Piece, WIDTH};

/// Fitted values are taken to be at least this where they are divided by; 2^-23 in both precisions.
pub(super) const FLOOR: f64 = 1.0 / 8_388_608.0;

/// What one divergence does with a value `x` and its fit.
pub(super) trait Law: Copy + Sync {
    /// Whether it is used so much that its loops are compiled for each rank.
    const COMMON: bool = false;

    /// `x fit^(beta - 2)`.
    fn quotient<T: Real>(self, x: T, fit: T) -> T;

    /// `fit^(beta - 1)`.
    fn weight<T: Real>(self, fit: T) -> T;

    /// The part of the loss that vanishes where `x` is 0.
    fn term(self, x: f64, fit: f64) -> f64;
}

#[inline(always)]
fn floored<T: Real>(fit: T) -> T {
    let floor = T::from_f64(FLOOR);
    if fit > floor { fit } else { floor }
}

/// Beta 2.
#[derive(Clone, Copy)]
pub(super) struct Frobenius;

impl Law for Frobenius {
    #[inline(always)]
    fn quotient<T: Real>(self, x: T, _: T) -> T {
        x
    }

    #[inline(always)]
    fn weight<T: Real>(self, fit: T) -> T {
        fit
    }

    #[inline(always)]
    fn term(self, x: f64, fit: f64) -> f64 {
        x * (x - 2.0 * fit)
    }
}

/// Beta 1.
#[derive(Clone, Copy)]
pub(super) struct KullbackLeibler;

impl Law for KullbackLeibler {
    const COMMON: bool = true;

    #[inline(always)]
    fn quotient<T: Real>(self, x: T, fit: T) -> T {
        x / floored(fit)
    }

    #[inline(always)]
    fn weight<T: Real>(self, _: T) -> T {
        T::ONE
    }

    #[inline(always)]
    fn term(self, x: f64, fit: f64) -> f64 {
        if x > FLOOR { x * wide::ln(x / floored(fit)) - x } else { 0.0 }
    }
}

/// Beta 0.
#[derive(Clone, Copy)]
pub(super) struct ItakuraSaito;

impl Law for ItakuraSaito {
    #[inline(always)]
    fn quotient<T: Real>(self, x: T, fit: T) -> T {
        let fit = floored(fit);
        x / (fit * fit)
    }

    #[inline(always)]
    fn weight<T: Real>(self, fit: T) -> T {
        T::ONE / floored(fit)
    }

    #[inline(always)]
    fn term(self, x: f64, fit: f64) -> f64 {
        let ratio = x / floored(fit);
        ratio - wide::ln(ratio)
    }
}

/// Any other beta.
#[derive(Clone, Copy)]
pub(super) struct Beta(pub(super) f64);

/// `x^power` for `x >= 0`.
#[inline(always)]
pub(super) fn power(x: f64, power: f64) -> f64 {
    if x == 0.0 && power > 0.0 { 0.0 } else { wide::exp(power * wide::ln(x)) }
}

impl Law for Beta {
    #[inline(always)]
    fn quotient<T: Real>(self, x: T, fit: T) -> T {
        x * T::from_f64(power(floored(fit).to_f64(), self.0 - 2.0))
    }

    #[inline(always)]
    fn weight<T: Real>(self, fit: T) -> T {
        let fit = if self.0 < 1.0 { floored(fit) } else { fit };
        T::from_f64(power(fit.to_f64(), self.0 - 1.0))
    }

    #[inline(always)]
    fn term(self, x: f64, fit: f64) -> f64 {
        let fit = floored(fit);
        power(x, self.0) - self.0 * x * power(fit, self.0 - 1.0)
    }
}

/// The fit: the sum of products of `k` packs.
#[inline(always)]
fn fit<T: Real, const L: usize, const FUSED: bool>(own: &[[T; L]], source: &[[T; L]]) -> [T; L] {
    let mut sums = [T::ZERO; L];
    for (a, b) in own.iter().zip(source) {
        for l in 0..L {
            sums[l] = multiply_add::<_, FUSED>(a[l], b[l], sums[l]);
        }
    }
    sums
}

/// Adds a multiple of `k` packs.
#[inline(always)]
fn add_multiples<T: Real, const L: usize, const FUSED: bool>(target: &mut [[T; L]], by: [T; L], source: &[[T; L]]) {
    for (t, s) in target.iter_mut().zip(source) {
        add_multiple::<T, L, FUSED>(t, by, s);
    }
}

/// Which side of a piece the columns of the matrix are on: values are in their units.
#[derive(Clone, Copy)]
pub(super) enum Units<'a, T> {
    /// The sources are columns.
    Sources(&'a [T]),
    /// The targets are columns.
    Targets(&'a [T]),
}

impl<T: Real> Units<'_, T> {
    #[inline(always)]
    fn of(self, source: usize, target: usize) -> T {
        match self {
            Self::Sources(units) => units[source],
            Self::Targets(units) => units[target],
        }
    }

    /// What all entries of a target are multiplied with.
    #[inline(always)]
    fn of_target(self, target: usize) -> T {
        match self {
            Self::Sources(_) => T::ONE,
            Self::Targets(units) => units[target],
        }
    }
}

/// `target[t] += sum over entries of quotient * source`, the quotient from the fit of `own[t]` and the source.
///
/// With targets that are columns the sums are in their units.
pub(super) struct Quotients<'a, T, B, const L: usize> {
    pub(super) law: B,
    pub(super) piece: &'a Piece<T>,
    pub(super) units: Units<'a, T>,
    pub(super) sources: &'a [[T; L]],
    pub(super) own: &'a [[T; L]],
    pub(super) targets: &'a mut [[T; L]],
    pub(super) work: &'a mut Work<T, L>,
    pub(super) k: usize,
}

impl<T: Real, B: Law, const L: usize> Quotients<'_, T, B, L> {
    /// With `k` known when compiled, so that the packs of a target stay in registers.
    #[inline(always)]
    fn known<const K: usize, const FUSED: bool>(self) {
        let Self { law, piece, units, sources, own, targets, work, .. } = self;
        let Work { packed, values } = work;
        if packed.len() != WIDTH * K {
            *packed = Packs::zeros(WIDTH * K);
        }
        let mine = &sources[piece.source * K..(piece.source + piece.sources) * K];
        packed[..mine.len()].copy_from_slice(mine);
        let Some(packed) = packed.as_chunks::<K>().0.first_chunk::<WIDTH>() else { return };
        let values = piece.values(values);
        let of_source = match units {
            Units::Sources(units) => Some(&units[piece.source..piece.source + piece.sources]),
            Units::Targets(_) => None,
        };
        let (own, targets) = (own.as_chunks::<K>().0, targets.as_chunks_mut::<K>().0);
        for (target, entries) in piece.each() {
            let (mine, mut sums) = (own[target], targets[target]);
            let unit = units.of_target(target);
            for (&source, &x) in piece.which[entries.clone()].iter().zip(&values[entries]) {
                let packs = &packed[source as usize % WIDTH];
                let x = x * of_source.map_or(unit, |units| units[source as usize]);
                let mut by = [T::ZERO; L];
                each!(K, I => add_multiple::<T, L, FUSED>(&mut by, mine[I], &packs[I]));
                for l in 0..L {
                    by[l] = law.quotient(x, by[l]);
                }
                each!(K, I => add_multiple::<T, L, FUSED>(&mut sums[I], by, &packs[I]));
            }
            targets[target] = sums;
        }
    }

    #[inline(always)]
    fn any<const FUSED: bool>(self) {
        let k = self.k;
        for (target, entries) in self.piece.each() {
            let (own, sums) = (&self.own[target * k..][..k], &mut self.targets[target * k..][..k]);
            for at in entries {
                let (source, x) = self.piece.entry(at);
                let packs = &self.sources[source * k..][..k];
                let mut by = fit::<T, L, FUSED>(own, packs);
                let x = x * self.units.of(source, target);
                for l in 0..L {
                    by[l] = self.law.quotient(x, by[l]);
                }
                add_multiples::<T, L, FUSED>(sums, by, packs);
            }
        }
    }
}

impl<T: Real, B: Law, const L: usize> FusedKernel for Quotients<'_, T, B, L> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, registers: usize) {
        let common = B::COMMON && L > 1 && registers >= 8;
        match self.k {
            4 if common => self.known::<4, FUSED>(),
            6 if common => self.known::<6, FUSED>(),
            8 if common => self.known::<8, FUSED>(),
            10 if common => self.known::<10, FUSED>(),
            12 if common => self.known::<12, FUSED>(),
            _ => self.any::<FUSED>(),
        }
    }
}

/// Lane by lane, the sum of the terms of the loss over values that are not 0; the sources are columns.
pub(super) struct Losses<'a, T, B, const L: usize> {
    pub(super) law: B,
    pub(super) piece: &'a Piece<T>,
    pub(super) units: &'a [T],
    pub(super) sources: &'a [[T; L]],
    pub(super) own: &'a [[T; L]],
    pub(super) k: usize,
}

impl<T: Real, B: Law, const L: usize> FusedKernel for Losses<'_, T, B, L> {
    type Output = [f64; L];

    #[inline(always)]
    fn run<const FUSED: bool>(self, _: usize) -> [f64; L] {
        let Self { law, piece, units, sources, own, k } = self;
        let mut total = [0.0; L];
        for (target, entries) in piece.each() {
            let own = &own[target * k..][..k];
            for at in entries {
                let (source, x) = piece.entry(at);
                let fits = fit::<T, L, FUSED>(own, &sources[source * k..][..k]);
                let x = x.to_f64() * units[source].to_f64();
                for l in 0..L {
                    total[l] += law.term(x, fits[l].to_f64());
                }
            }
        }
        total
    }
}

/// Lane by lane, the sum of `x ln fit` over values that are not 0, for the Kullback-Leibler divergence; the targets are
/// columns.
///
/// Entries of a column share its unit, so that the fits of small counts are multiplied and one logarithm is taken of some
/// of them together.
pub(super) struct LogFits<'a, T, const L: usize> {
    pub(super) piece: &'a Piece<T>,
    pub(super) units: &'a [T],
    pub(super) sources: &'a [[T; L]],
    pub(super) own: &'a [[T; L]],
    pub(super) k: usize,
}

impl<T: Real, const L: usize> FusedKernel for LogFits<'_, T, L> {
    type Output = [f64; L];

    #[inline(always)]
    fn run<const FUSED: bool>(self, _: usize) -> [f64; L] {
        /// Fits of a product: so few that it stays in the range of numbers.
        const TOGETHER: u32 = 4;
        let Self { piece, units, sources, own, k } = self;
        let mut total = [0.0; L];
        for (target, entries) in piece.each() {
            let (own, unit) = (&own[target * k..][..k], units[target].to_f64());
            let (mut product, mut n, mut sum) = ([1.0; L], 0, [0.0; L]);
            for at in entries {
                let (source, count) = piece.entry(at);
                let count = count.to_f64();
                if count * unit <= FLOOR {
                    continue;
                }
                let fits = fit::<T, L, FUSED>(own, &sources[source * k..][..k]);
                if count == 1.0 {
                    for l in 0..L {
                        product[l] *= floored(fits[l].to_f64());
                    }
                    n += 1;
                } else {
                    for l in 0..L {
                        sum[l] += count * wide::ln(floored(fits[l].to_f64()));
                    }
                }
                if n == TOGETHER {
                    for l in 0..L {
                        sum[l] += wide::ln(product[l]);
                    }
                    (product, n) = ([1.0; L], 0);
                }
            }
            for l in 0..L {
                total[l] += unit * (sum[l] + wide::ln(product[l]));
            }
        }
        total
    }
}

/// `target[t] += sum over all sources of weight * source`; the sums of `fit * weight` come back.
pub(super) struct Weights<'a, T, B, const L: usize> {
    pub(super) law: B,
    pub(super) sources: &'a [[T; L]],
    pub(super) own: &'a [[T; L]],
    pub(super) targets: &'a mut [[T; L]],
    pub(super) k: usize,
}

impl<T: Real, B: Law, const L: usize> FusedKernel for Weights<'_, T, B, L> {
    type Output = [f64; L];

    #[inline(always)]
    fn run<const FUSED: bool>(self, _: usize) -> [f64; L] {
        let mut total = [0.0; L];
        for (own, target) in self.own.chunks_exact(self.k).zip(self.targets.chunks_exact_mut(self.k)) {
            for source in self.sources.chunks_exact(self.k) {
                let mut by = fit::<T, L, FUSED>(own, source);
                for l in 0..L {
                    let fit = by[l];
                    by[l] = self.law.weight(fit);
                    total[l] += fit.to_f64() * by[l].to_f64();
                }
                add_multiples::<T, L, FUSED>(target, by, source);
            }
        }
        total
    }
}

/// `row *= (numerator / denominator)^gamma`, penalties added to the denominators.
pub(super) struct Update<'a, T, const L: usize> {
    pub(super) rows: &'a mut [[T; L]],
    pub(super) numerators: &'a [[T; L]],
    pub(super) denominators: Denominators<'a, T, L>,
    /// Penalties on sums and on squares.
    pub(super) penalty: (f64, f64),
    pub(super) gamma: f64,
    /// What is smaller becomes 0.
    pub(super) smallest: f64,
    pub(super) k: usize,
}

/// What numerators are divided by.
#[derive(Clone, Copy)]
pub(super) enum Denominators<'a, T, const L: usize> {
    /// `k` packs for each row.
    Each(&'a [[T; L]]),
    /// `k` packs for all rows.
    Same(&'a [[T; L]]),
    /// The product of a row with this Gram matrix.
    Gram(&'a [[T; L]]),
}

impl<T: Real, const L: usize> FusedKernel for Update<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self, _: usize) {
        let k = self.k;
        let (l1, l2) = (T::from_f64(self.penalty.0), T::from_f64(self.penalty.1));
        let (floor, smallest) = (T::from_f64(FLOOR), T::from_f64(self.smallest));
        let mut old = vec![[T::ZERO; L]; k];
        for (i, row) in self.rows.chunks_exact_mut(k).enumerate() {
            old.copy_from_slice(row);
            for t in 0..k {
                let mut below = match self.denominators {
                    Denominators::Each(all) => all[i * k + t],
                    Denominators::Same(all) => all[t],
                    Denominators::Gram(gram) => fit::<T, L, FUSED>(&old, &gram[t * k..][..k]),
                };
                let above = &self.numerators[i * k + t];
                for l in 0..L {
                    below[l] = multiply_add::<_, FUSED>(l2, old[t][l], below[l] + l1);
                    let ratio = above[l] / if below[l] == T::ZERO { floor } else { below[l] };
                    let ratio = if self.gamma == 1.0 { ratio } else { T::from_f64(power(ratio.to_f64(), self.gamma)) };
                    let new = old[t][l] * ratio;
                    row[t][l] = if new < smallest { T::ZERO } else { new };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Derivatives of the divergence, so that terms, quotients and weights belong together.
    #[test]
    fn terms_quotients_and_weights_are_of_one_divergence() {
        fn check(law: impl Law, beta: f64) {
            let (x, fit, step) = (1.7, 0.9, 1e-6);
            // The loss is (term + rest) / scale, its derivative by the fit: weight - quotient.
            let (scale, rest): (f64, fn(f64, f64) -> f64) = match beta {
                2.0 => (2.0, |fit, _| fit * fit),
                1.0 => (1.0, |fit, _| fit),
                0.0 => (1.0, |_, _| 0.0),
                _ => (beta * (beta - 1.0), |fit, beta| (beta - 1.0) * fit.powf(beta)),
            };
            let loss = |fit: f64| (law.term(x, fit) + rest(fit, beta)) / scale;
            let slope = (loss(fit + step) - loss(fit - step)) / (2.0 * step);
            let expected = law.weight(fit) - law.quotient(x, fit);
            assert!((slope - expected).abs() < 1e-7, "beta {beta}: {slope} and {expected}");
        }
        check(Frobenius, 2.0);
        check(KullbackLeibler, 1.0);
        check(ItakuraSaito, 0.0);
        [-1.0, 0.5, 1.5, 3.0].into_iter().for_each(|beta| check(Beta(beta), beta));
    }
}
