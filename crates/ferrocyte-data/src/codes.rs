//! [`Codes`]: small whole numbers, one per cell, in as few bytes as they need.
//!
//! A study has a label per cell for every factor of a model. Most factors have fewer than 255 levels, so that a byte
//! per cell will do; and all that look at a factor share one copy.

use std::fmt;
use std::sync::Arc;

use crate::Factor;

/// One code per row: a position in a list, or [`Factor::MISSING`]. Copies share their memory.
///
/// Held in one, two or four bytes per row, the fewest that the largest code needs.
///
/// ```
/// use ferrocyte_data::{Codes, Factor};
/// let codes: Codes = [1, Factor::MISSING, 300].into_iter().collect();
/// assert_eq!((codes.get(1), codes.get(2)), (Factor::MISSING, 300));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Codes(Arc<Held>);

/// The largest number of each type stands for a missing value. Equal codes have equal types.
#[derive(PartialEq, Eq)]
enum Held {
    One(Vec<u8>),
    Two(Vec<u16>),
    Four(Vec<u32>),
}

impl Codes {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match &*self.0 {
            Held::One(codes) => codes.len(),
            Held::Two(codes) => codes.len(),
            Held::Four(codes) => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code of a row, which must be one of them.
    #[inline]
    pub fn get(&self, row: usize) -> u32 {
        match &*self.0 {
            Held::One(codes) => wide(codes[row]),
            Held::Two(codes) => wide(codes[row]),
            Held::Four(codes) => codes[row],
        }
    }

    /// All codes, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }

    /// Whether some row has this code.
    pub fn contains(&self, code: u32) -> bool {
        self.iter().any(|c| c == code)
    }
}

/// A type in which codes are held.
trait Width: Copy + PartialEq + Into<u32> {
    const MISSING: Self;
    /// The code in this type, if there is room for it.
    fn narrow(code: u32) -> Option<Self>;
}

macro_rules! widths {
    ($($t:ty),*) => { $(
        impl Width for $t {
            const MISSING: Self = <$t>::MAX;
            fn narrow(code: u32) -> Option<Self> {
                if code == Factor::MISSING {
                    return Some(Self::MISSING);
                }
                Self::try_from(code).ok().filter(|narrow| *narrow != Self::MISSING)
            }
        }
    )* };
}

widths!(u8, u16);

#[inline]
fn wide<T: Width>(code: T) -> u32 {
    if code == T::MISSING { Factor::MISSING } else { code.into() }
}

/// Takes codes as long as there is room for them in the type; gives back the first one for which there is none.
fn fill<T: Width>(held: &mut Vec<T>, codes: &mut impl Iterator<Item = u32>) -> Option<u32> {
    for code in codes {
        match T::narrow(code) {
            Some(narrow) => held.push(narrow),
            None => return Some(code),
        }
    }
    None
}

impl FromIterator<u32> for Codes {
    fn from_iter<I: IntoIterator<Item = u32>>(codes: I) -> Self {
        let mut codes = codes.into_iter();
        let mut one: Vec<u8> = Vec::with_capacity(codes.size_hint().0);
        let Some(first) = fill(&mut one, &mut codes) else { return Self(Arc::new(Held::One(one))) };
        let mut two: Vec<u16> = Vec::with_capacity(one.len() + 1 + codes.size_hint().0);
        let mut codes = one.into_iter().map(wide).chain([first]).chain(codes);
        let Some(first) = fill(&mut two, &mut codes) else { return Self(Arc::new(Held::Two(two))) };
        Self(Arc::new(Held::Four(two.into_iter().map(wide).chain([first]).chain(codes).collect())))
    }
}

impl From<Vec<u32>> for Codes {
    fn from(codes: Vec<u32>) -> Self {
        codes.into_iter().collect()
    }
}

impl fmt::Debug for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<const N: usize> PartialEq<[u32; N]> for Codes {
    fn eq(&self, other: &[u32; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: u32 = Factor::MISSING;

    #[test]
    fn every_code_comes_back_whatever_the_width() {
        // On both sides of where a wider type begins, whichever comes first.
        for most in [0, 1, 253, 254, 255, 256, 65_533, 65_534, 65_535, 65_536, NONE - 1] {
            for codes in [vec![NONE, 0, most, 7 % (most + 1), NONE], vec![most, 0, NONE], vec![0, 254, 65_534, most]] {
                let held = Codes::from(codes.clone());
                assert_eq!(held.iter().collect::<Vec<_>>(), codes, "{most}");
                assert_eq!((held.len(), held.get(1)), (codes.len(), codes[1]));
            }
        }
        assert!(Codes::from(Vec::new()).is_empty());
    }

    #[test]
    fn the_width_is_the_least_that_will_do() {
        let width = |most| match &*Codes::from(vec![most, NONE]).0 {
            Held::One(_) => 1,
            Held::Two(_) => 2,
            Held::Four(_) => 4,
        };
        assert_eq!([0, 254, 255, 65_534, 65_535].map(width), [1, 1, 2, 2, 4]);
    }

    #[test]
    fn copies_share_and_equal_codes_are_equal() {
        let codes = Codes::from(vec![3, NONE]);
        assert!(Arc::ptr_eq(&codes.0, &codes.clone().0));
        assert_eq!(codes, [3, NONE].into_iter().collect::<Codes>());
        assert_eq!(codes, [3, NONE]);
        assert!(codes.contains(NONE) && !codes.contains(255));
    }
}
