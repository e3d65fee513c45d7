//! Clusters that get names: [`annotate`], [`merge_levels`], [`paste`].

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::Factor;

/// Labels under new names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The new labels; levels are sorted as text and all used.
    pub labels: Factor,
    /// Cells of each level.
    pub counts: Vec<usize>,
    /// Old levels that were not named and keep their own name.
    pub kept: Vec<String>,
    /// Names of old levels that do not exist.
    pub unknown: Vec<String>,
}

/// Gives clusters names: each name with the clusters that get it. Clusters that are not named keep their own name.
///
/// ```
/// use ferrocyte_cells::study::annotate;
/// use ferrocyte_data::Factor;
/// let clusters = Factor::from_texts(["0", "2", "1", "0"].map(Some));
/// let mapping = [("T".to_owned(), vec!["0".to_owned(), "2".to_owned()])];
/// let found = annotate(&clusters, &mapping)?;
/// assert_eq!((found.labels.levels, found.counts, found.kept), (vec!["1".into(), "T".into()], vec![1, 3], vec!["1".into()]));
/// # Ok::<(), ferrocyte_base::Fault>(())
/// ```
///
/// # Errors
/// A cluster that two names claim; an empty name; a mapping without names.
pub fn annotate(clusters: &Factor, mapping: &[(String, Vec<String>)]) -> Result<Renamed> {
    if mapping.is_empty() {
        return Err(Fault::bad_input("no cluster is given a name").at("mapping"));
    }
    let mut name_of: HashMap<&str, &str> = HashMap::new();
    for (name, ids) in mapping {
        if name.is_empty() {
            return Err(Fault::bad_input("a name is empty").at("mapping"));
        }
        for id in ids {
            let before = name_of.insert(id, name);
            if let Some(before) = before.filter(|before| before != name) {
                return Err(Fault::bad_input(format!("cluster `{id}` is called both `{before}` and `{name}`"))
                    .at("mapping")
                    .hint("name it once"));
            }
        }
    }
    let counts = clusters.counts();
    let unnamed = |level: &&String| !name_of.contains_key(level.as_str());
    let used = clusters.levels.iter().zip(&counts).filter(|(_, n)| **n > 0).map(|(level, _)| level);
    let kept = used.filter(unnamed).cloned().collect();
    let ids = mapping.iter().flat_map(|(_, ids)| ids);
    let unknown = ids.filter(|id| !clusters.levels.contains(id)).cloned().collect();
    let new = |level: &String| name_of.get(level.as_str()).map_or_else(|| level.clone(), |name| (*name).to_owned());
    Ok(renamed(clusters, new, kept, unknown))
}

/// Gives some levels one name.
///
/// # Errors
/// No levels, or none that exists.
pub fn merge_levels(labels: &Factor, merge: &[String], into: &str) -> Result<Renamed> {
    if !merge.iter().any(|level| labels.levels.contains(level)) {
        let first = merge.first().map_or_else(String::new, |first| format!("; `{first}` is no level"));
        return Err(Fault::missing(format!("no level to merge{first}")).at("merge"));
    }
    let unknown = merge.iter().filter(|level| !labels.levels.contains(level)).cloned().collect();
    let new = |level: &String| if merge.contains(level) { into.to_owned() } else { level.clone() };
    Ok(renamed(labels, new, Vec::new(), unknown))
}

/// Labels of several columns as one, with `sep` between them. A cell that lacks one of them has none.
///
/// # Errors
/// No column, or columns of different lengths.
pub fn paste(columns: &[&Factor], sep: &str) -> Result<Factor> {
    let Some(first) = columns.first() else {
        return Err(Fault::bad_input("no column is named").at("froms"));
    };
    let n = first.codes.len();
    if let Some(other) = columns.iter().find(|column| column.codes.len() != n) {
        return Err(Fault::bad_input(format!("{n} labels on one side, {} on the other", other.codes.len())).at("froms"));
    }
    let texts = (0..n).map(|row| {
        let parts: Option<Vec<&str>> = columns.iter().map(|column| column.level(row)).collect();
        parts.map(|parts| parts.join(sep))
    });
    Ok(Factor::from_texts(texts))
}

fn renamed(labels: &Factor, new: impl Fn(&String) -> String, kept: Vec<String>, unknown: Vec<String>) -> Renamed {
    let names: Vec<String> = labels.levels.iter().map(new).collect();
    let texts = labels.codes.iter().map(|code| names.get(code as usize));
    let labels = Factor::from_texts(texts);
    let counts = labels.counts();
    Renamed { labels, counts, kept, unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(pairs: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        pairs.iter().map(|(name, ids)| ((*name).to_owned(), ids.iter().map(|&id| id.to_owned()).collect())).collect()
    }

    fn clusters() -> Factor {
        Factor::from_texts([Some("0"), Some("10"), None, Some("2"), Some("10")])
    }

    #[test]
    fn names_are_sorted_as_text_and_missing_ones_stay() -> Result<()> {
        let found = annotate(&clusters(), &mapping(&[("B", &["2"]), ("A", &["0", "7"])]))?;
        assert_eq!(found.labels.levels, ["10", "A", "B"]);
        assert_eq!(found.labels.codes, [1, 0, Factor::MISSING, 2, 0]);
        assert_eq!((found.counts, found.kept, found.unknown), (vec![2, 1, 1], vec!["10".into()], vec!["7".into()]));
        Ok(())
    }

    #[test]
    fn a_cluster_has_one_name() {
        let fault = annotate(&clusters(), &mapping(&[("A", &["0", "2"]), ("B", &["2"])]));
        assert!(fault.is_err_and(|f| f.to_string() == "mapping: cluster `2` is called both `A` and `B`"));
        assert!(annotate(&clusters(), &mapping(&[("A", &["0", "0"])])).is_ok(), "said twice, once meant");
        assert!(annotate(&clusters(), &[]).is_err() && annotate(&clusters(), &mapping(&[("", &["0"])])).is_err());
    }

    #[test]
    fn levels_are_merged_and_pasted() -> Result<()> {
        let found = merge_levels(&clusters(), &["0".to_owned(), "9".to_owned()], "10")?;
        assert_eq!((found.labels.levels, found.counts), (vec!["10".to_owned(), "2".to_owned()], vec![3, 1]));
        assert_eq!(found.unknown, ["9"]);
        assert!(merge_levels(&clusters(), &["9".to_owned()], "x").is_err());
        let sample = Factor::from_texts(["a", "b", "a", "b", "a"].map(Some));
        let both = paste(&[&sample, &clusters()], ".")?;
        assert_eq!(both.levels, ["a.0", "a.10", "b.10", "b.2"]);
        assert_eq!(both.codes, [0, 2, Factor::MISSING, 3, 1]);
        assert!(paste(&[], ".").is_err() && paste(&[&sample, &Factor::from_texts([Some("x")])], ".").is_err());
        Ok(())
    }
}
