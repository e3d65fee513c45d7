//! The order of names: that of Unicode's root collation, in which published class orders were sorted.
//!
//! Names are compared by classes of characters, without regard to case: white space, punctuation, symbols, digits,
//! letters. Where they tie, a lower case letter comes before its capital. So `nonSE` is before `SE1`.

use std::cmp::Ordering;
use std::collections::HashMap;

/// Characters before digits, in their order.
const BEFORE: &str = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// The order of two names.
///
/// ```
/// use ferrocyte_ecotype::collate;
/// let mut names = ["SE10", "nonSE", "se1", "SE1", "_x"];
/// names.sort_by(|a, b| collate(a, b));
/// assert_eq!(names, ["_x", "nonSE", "se1", "SE1", "SE10"]);
/// ```
pub fn collate(a: &str, b: &str) -> Ordering {
    let by_letters = a.chars().map(rank).cmp(b.chars().map(rank));
    by_letters.then_with(|| a.chars().map(char::is_uppercase).cmp(b.chars().map(char::is_uppercase))).then(a.cmp(b))
}

/// The class of a character, and its place within it.
fn rank(c: char) -> (u8, u32) {
    if c.is_whitespace() {
        return (0, c as u32);
    }
    if let Some(place) = BEFORE.chars().position(|known| known == c) {
        return (1, place as u32);
    }
    let class = if c.is_numeric() { 2 } else { 3 };
    (class, c.to_lowercase().next().unwrap_or(c) as u32)
}

/// The distinct names, sorted.
pub fn sorted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut distinct = first_seen(names);
    distinct.sort_by(|a, b| collate(a, b));
    distinct
}

/// The distinct names, in the order in which they first appear.
pub fn first_seen<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<String> {
    Index::of(names).0
}

/// Distinct names in the order in which they first appear, and the place of each among them.
pub(crate) struct Index(pub(crate) Vec<String>, HashMap<String, usize>);

impl Index {
    /// The distinct ones of `names`.
    pub(crate) fn of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let (mut distinct, mut places) = (Vec::new(), HashMap::new());
        for name in names {
            let name = name.as_ref();
            if !places.contains_key(name) {
                places.insert(name.to_owned(), distinct.len());
                distinct.push(name.to_owned());
            }
        }
        Self(distinct, places)
    }

    /// The place of a name.
    pub(crate) fn get(&self, name: &str) -> Option<usize> {
        self.1.get(name).copied()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The code of each name among `levels`; a name that is not there has none.
pub(crate) fn codes<S: AsRef<str>>(names: &[S], levels: &[String]) -> Vec<Option<usize>> {
    let index = Index::of(levels);
    names.iter().map(|name| index.get(name.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_characters_come_in_their_order() {
        let names = ["b", "a", "B", "A", "1", "$", "-", "_", " ", "a b", "a_b", "ab"];
        assert_eq!(sorted(names), [" ", "_", "-", "$", "1", "a", "A", "a b", "a_b", "ab", "b", "B"]);
    }

    #[test]
    fn case_only_breaks_ties() {
        assert_eq!(sorted(["SE1", "se2", "SE2", "nonSE", "NonSE"]), ["nonSE", "NonSE", "SE1", "se2", "SE2"]);
        assert_eq!(collate("x", "x"), Ordering::Equal);
    }

    #[test]
    fn codes_are_places() {
        let levels = ["b".to_owned(), "a".to_owned()];
        assert_eq!(codes(&["a", "c", "b"], &levels), [Some(1), None, Some(0)]);
    }
}
