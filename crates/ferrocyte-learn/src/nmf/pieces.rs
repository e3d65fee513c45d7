//! [`Piece`]: a part of a sparse matrix small enough that what it reads stays in the nearest cache.
//!
//! A sparse product adds, to what belongs to a target, multiples of what belongs to its sources: rows to columns, or
//! columns to rows. A piece has at most [`WIDTH`] sources. Its targets stand in the order of how many entries they have,
//! so that the processor foresees where their loops end; targets without entries do not appear. Within a target the
//! sources rise, so that the order of pieces and targets changes no bits.

use ferrocyte_math::fused::Real;

/// Sources of a piece.
pub(super) const WIDTH: usize = 64;

/// Targets side by side that have the same number of entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) targets: u32,
    pub(super) entries: u32,
}

/// The values of a piece, target by target.
#[derive(Debug)]
pub(super) enum Numbers<T> {
    /// Whole numbers up to 255, as counts are.
    Counts(Vec<u8>),
    /// Any.
    Reals(Vec<T>),
}

/// An entry on its way into a piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) target: u16,
    pub(super) source: u8,
    pub(super) value: f64,
}

/// Some sources, all their entries in some targets.
#[derive(Debug)]
pub(super) struct Piece<T> {
    /// The first source, counted in the matrix (columns) or the block (rows).
    pub(super) source: usize,
    /// How many sources there are.
    pub(super) sources: usize,
    /// The target from which targets count.
    pub(super) target: usize,
    pub(super) targets: Vec<u16>,
    pub(super) stretches: Vec<Stretch>,
    /// The source of each entry, counted from the first of the piece.
    pub(super) which: Vec<u8>,
    /// The value of each entry.
    pub(super) numbers: Numbers<T>,
}

impl<T: Real> Piece<T> {
    /// From entries in the order of their targets, and of their sources within them; nothing without entries.
    pub(super) fn new(source: usize, sources: usize, target: usize, entries: &[Entry]) -> Option<Self> {
        if entries.is_empty() {
            return None;
        }
        let mut lists: Vec<&[Entry]> = entries.chunk_by(|a, b| a.target == b.target).collect();
        lists.sort_by_key(|list| list.len());
        let targets = lists.iter().map(|list| list[0].target).collect();
        let stretch = |alike: &[&[Entry]]| Stretch { targets: alike.len() as u32, entries: alike[0].len() as u32 };
        let stretches = lists.chunk_by(|a, b| a.len() == b.len()).map(stretch).collect();
        let in_order = lists.iter().flat_map(|list| list.iter());
        let is_count = |e: &Entry| e.value <= 255.0 && e.value.fract() == 0.0;
        let which = in_order.clone().map(|e| e.source).collect();
        let numbers = if entries.iter().all(is_count) {
            Numbers::Counts(in_order.map(|e| e.value as u8).collect())
        } else {
            Numbers::Reals(in_order.map(|e| T::from_f64(e.value)).collect())
        };
        Some(Self { source, sources, target, targets, stretches, which, numbers })
    }

    /// Source, counted as [`Piece::source`] is, and value of an entry.
    #[inline]
    pub(super) fn entry(&self, at: usize) -> (usize, T) {
        let value = match &self.numbers {
            Numbers::Counts(counts) => T::COUNTS[counts[at] as usize],
            Numbers::Reals(values) => values[at],
        };
        (self.source + self.which[at] as usize, value)
    }

    /// The values of all entries; counts are written into `space` first.
    #[inline]
    pub(super) fn values<'a>(&'a self, space: &'a mut Vec<T>) -> &'a [T] {
        match &self.numbers {
            Numbers::Counts(counts) => {
                space.clear();
                space.extend(counts.iter().map(|&count| T::from_f64(f64::from(count))));
                space
            }
            Numbers::Reals(values) => values,
        }
    }

    /// Each target with the range of its entries, in the order in which they stand.
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let lengths = self.stretches.iter().flat_map(|s| std::iter::repeat_n(s.entries as usize, s.targets as usize));
        self.targets.iter().zip(lengths).scan(0, |at, (&target, length)| {
            let range = *at..*at + length;
            *at += length;
            Some((self.target + target as usize, range))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        [(0, 3, 2.0), (0, 5, 1.0), (2, 1, 7.0), (3, 0, 1.0), (3, 9, 255.0)]
            .map(|(target, source, value)| Entry { target, source, value })
            .to_vec()
    }

    #[test]
    fn targets_stand_by_their_numbers_of_entries_and_keep_their_order() {
        let found = Piece::<f64>::new(64, 64, 100, &entries()).map(|piece| {
            assert!(matches!(piece.numbers, Numbers::Counts(_)));
            assert_eq!(piece.values(&mut Vec::new())[..3], [7.0, 2.0, 1.0]);
            let entries = |range: std::ops::Range<usize>| range.map(|at| piece.entry(at)).collect::<Vec<_>>();
            piece.each().map(|(target, range)| (target, entries(range))).collect::<Vec<_>>()
        });
        let expected =
            vec![(102, vec![(65, 7.0)]), (100, vec![(67, 2.0), (69, 1.0)]), (103, vec![(64, 1.0), (73, 255.0)])];
        assert_eq!(found, Some(expected));
        assert!(Piece::<f64>::new(0, 64, 0, &[]).is_none());
    }

    #[test]
    fn what_is_no_small_count_is_kept_as_it_is() {
        for odd in [256.0, 0.5, 1.0 + 1e-9] {
            let mut all = entries();
            all[2].value = odd;
            let piece = Piece::<f64>::new(0, 64, 0, &all);
            assert!(piece.is_some_and(|p| matches!(p.numbers, Numbers::Reals(_)) && p.entry(0) == (1, odd)));
        }
    }
}
