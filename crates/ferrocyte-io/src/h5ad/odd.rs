//! What is odd about a matrix or about names: things that a reader should know before using them.
//!
//! A matrix is looked at in its first rows (columns, if it is stored by columns), as it is stored: unsorted indices and
//! places that are stored twice are gone once it has been read.

use std::collections::HashMap;

use ferrocyte_base::{Result, Run};

use crate::element::sparse::Header;
use crate::store::{Numbers, Store};

/// Rows or columns that are looked at.
const MAJOR: usize = 1024;
/// Stored values that are looked at.
const VALUES: usize = 1 << 22;

/// What is odd about the first rows of a sparse matrix, in words; nothing of what is no sparse matrix.
pub(super) fn about_matrix(run: &Run, store: &dyn Store, path: &str) -> Result<Vec<String>> {
    let Some(header) = Header::of(store, path)? else { return Ok(Vec::new()) };
    let (n_major, major, _) = header.major();
    let part = |name: &str, range| store.array(&format!("{path}/{name}"))?.numbers_with(run, range);
    let Ok(mut ends) = part("indptr", 0..n_major.min(MAJOR) + 1)?.into_sizes() else { return Ok(Vec::new()) };
    ends.truncate(ends.partition_point(|&end| end <= VALUES).max(1));
    let stored = ends.last().copied().unwrap_or(0);
    let (indices, data) = (part("indices", 0..stored)?, part("data", 0..stored)?);
    let Ok(indices) = indices.into_indices(usize::MAX) else { return Ok(Vec::new()) };
    let (mut unsorted, mut doubled) = (0, 0);
    for bounds in ends.windows(2) {
        let Some(row) = indices.get(bounds[0]..bounds[1]) else { continue };
        if row.is_sorted_by(|a, b| a < b) {
            continue;
        }
        let mut sorted = row.to_vec();
        sorted.sort_unstable();
        unsorted += usize::from(sorted != row);
        doubled += sorted.windows(2).filter(|pair| pair[0] == pair[1]).count();
    }
    let told = [
        (unsorted, format!("{unsorted} of {} {major}s unsorted", ends.len() - 1)),
        (doubled, format!("{doubled} places stored twice")),
        (zeros(&data), format!("{} zeros stored", zeros(&data))),
    ];
    Ok(told.into_iter().filter(|(n, _)| *n > 0).map(|(_, words)| words).collect())
}

/// How many of these numbers are zero.
fn zeros(numbers: &Numbers) -> usize {
    numbers.to_f64().into_iter().filter(|&x| x == 0.0).count()
}

/// Names that occur more than once, in words.
pub(super) fn about_names(names: &[String]) -> Option<String> {
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(names.len());
    for name in names {
        *seen.entry(name).or_default() += 1;
    }
    let first = names.iter().find(|name| seen.get(name.as_str()).is_some_and(|&n| n > 1))?;
    let doubled = seen.values().filter(|&&n| n > 1).count();
    Some(format!("{doubled} names occur more than once, the first is `{first}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_unique_are_told() {
        let names = ["a", "b", "c", "b", "a", "b"].map(str::to_owned);
        assert_eq!(about_names(&names).as_deref(), Some("2 names occur more than once, the first is `a`"));
        assert_eq!(about_names(&names[..3]), None);
    }
}
