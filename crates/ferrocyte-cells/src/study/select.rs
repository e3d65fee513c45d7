//! Samples and cells by what they are called.

use ferrocyte_base::{Fault, Result, listing, nearest};
use ferrocyte_data::Factor;

/// What stands for all samples together where results are listed by sample.
pub const INTEGRATED: &str = "integrated";

/// Refuses names that no sample has; the positions of the others, in the order of the samples.
///
/// ```
/// let known = ["ctrl", "stim"].map(str::to_owned);
/// assert_eq!(ferrocyte_cells::study::samples(&["stim"], &known)?, [1]);
/// let fault = ferrocyte_cells::study::samples(&["stem"], &known).err();
/// assert_eq!(fault.and_then(|f| f.way_out().map(str::to_owned)), Some("did you mean `stim`, `ctrl`?".to_owned()));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
///
/// # Errors
/// A name that no sample has, with those near it; no name at all.
pub fn samples<S: AsRef<str>>(wanted: &[S], known: &[String]) -> Result<Vec<usize>> {
    if wanted.is_empty() {
        return Err(Fault::bad_input("no sample is named").at("run_on_samples"));
    }
    for name in wanted.iter().map(AsRef::as_ref) {
        if !known.iter().any(|k| k == name) {
            return Err(no_such("sample", name, known).at("run_on_samples"));
        }
    }
    Ok((0..known.len()).filter(|&i| wanted.iter().any(|name| name.as_ref() == known[i])).collect())
}

/// What is said of a name that does not exist.
pub(crate) fn no_such<S: AsRef<str>>(what: &str, name: &str, known: &[S]) -> Fault {
    let near = nearest(name, known, 3);
    let hint = if near.is_empty() {
        format!("there are {}", listing(known, 20))
    } else {
        format!("did you mean {}?", listing(&near, 3))
    };
    Fault::missing(format!("there is no {what} `{name}`")).hint(hint)
}

/// Cells whose label is one of some values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Whether each cell is.
    pub cells: Vec<bool>,
    /// Values that no level has.
    pub unknown: Vec<String>,
}

/// The cells whose label is one of `values`. Cells without label are not.
///
/// # Errors
/// No values.
pub fn chosen<S: AsRef<str>>(labels: &Factor, values: &[S]) -> Result<Chosen> {
    if values.is_empty() {
        return Err(Fault::bad_input("no value is named"));
    }
    let is = |level: &String| values.iter().any(|value| value.as_ref() == level);
    let wanted: Vec<bool> = labels.levels.iter().map(is).collect();
    let cells = labels.codes.iter().map(|code| wanted.get(code as usize).copied().unwrap_or(false)).collect();
    let lacks = |value: &str| !labels.levels.iter().any(|level| level == value);
    let unknown = values.iter().map(AsRef::as_ref).filter(|value| lacks(value)).map(str::to_owned).collect();
    Ok(Chosen { cells, unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_their_order() -> Result<()> {
        let known = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(samples(&["c", "a", "c"], &known)?, [0, 2]);
        assert!(samples::<&str>(&[], &known).is_err());
        assert!(samples(&["zzz"], &known).is_err_and(|f| f.way_out() == Some("there are `a`, `b`, `c`")));
        Ok(())
    }

    #[test]
    fn cells_without_label_are_never_chosen() -> Result<()> {
        let labels = Factor::from_texts([Some("1"), None, Some("10"), Some("2")]);
        let found = chosen(&labels, &["1", "2", "x"])?;
        assert_eq!((found.cells, found.unknown), (vec![true, false, false, true], vec!["x".to_owned()]));
        assert!(chosen::<&str>(&labels, &[]).is_err());
        Ok(())
    }
}
