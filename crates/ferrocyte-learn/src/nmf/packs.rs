//! [`Packs`]: packs of lanes that begin at cache lines, so that no pack lies across two of them.

use std::ops::{Deref, DerefMut};

use ferrocyte_math::fused::Real;

/// Bytes of a cache line, and of the widest registers.
const LINE: usize = 64;

/// A list of packs. Where it begins in memory changes times, no bits.
#[derive(Debug, Default)]
pub(super) struct Packs<T, const L: usize> {
    space: Vec<T>,
    /// The first number that begins a line.
    from: usize,
    length: usize,
}

impl<T: Real, const L: usize> Packs<T, L> {
    /// As many packs, all of 0.
    pub(super) fn zeros(length: usize) -> Self {
        let space = vec![T::ZERO; length * L + LINE / size_of::<T>()];
        // An offset that cannot be told is none at all.
        let from = space.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        Self { space, from, length }
    }

    /// Makes them as many, all with one number.
    pub(super) fn reset(&mut self, length: usize, x: T) {
        if self.length != length {
            *self = Self::zeros(length);
        }
        self.fill([x; L]);
    }
}

impl<T: Real, const L: usize> Deref for Packs<T, L> {
    type Target = [[T; L]];

    #[inline]
    fn deref(&self) -> &[[T; L]] {
        self.space[self.from..self.from + self.length * L].as_chunks().0
    }
}

impl<T: Real, const L: usize> DerefMut for Packs<T, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [[T; L]] {
        self.space[self.from..self.from + self.length * L].as_chunks_mut().0
    }
}

impl<T: Real, const L: usize> FromIterator<[T; L]> for Packs<T, L> {
    fn from_iter<I: IntoIterator<Item = [T; L]>>(packs: I) -> Self {
        let packs: Vec<[T; L]> = packs.into_iter().collect();
        let mut all = Self::zeros(packs.len());
        all.copy_from_slice(&packs);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_begin_at_lines() {
        for length in 0..9 {
            let mut packs = Packs::<f32, 16>::zeros(length);
            assert_eq!((packs.len(), packs.as_ptr() as usize % LINE), (length, 0));
            packs.reset(3, 2.0);
            assert_eq!(packs[..], [[2.0; 16]; 3]);
        }
        let few: Packs<f64, 2> = [[1.0, 2.0], [3.0, 4.0]].into_iter().collect();
        assert_eq!(few[..], [[1.0, 2.0], [3.0, 4.0]]);
        assert!(Packs::<f64, 8>::default().is_empty());
    }
}
