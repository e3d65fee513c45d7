//! [`Names`]: what cells and genes are called, in messages and in results.

use std::collections::HashMap;

use ferrocyte_base::{Fault, Result, listing, nearest};

/// Names of cells (rows) and genes (columns). Genes must differ; cells may not, but then a table given beside the counts
/// cannot be brought into their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// One name per row.
    pub cells: Vec<String>,
    /// One name per column.
    pub genes: Vec<String>,
}

impl Names {
    /// Where genes of a list are, in the order of the list.
    ///
    /// # Errors
    /// Names that no gene has, and names that stand in the list twice.
    pub fn positions(&self, wanted: &[String]) -> Result<Vec<usize>> {
        let known: HashMap<&str, usize> = self.genes.iter().enumerate().map(|(j, name)| (name.as_str(), j)).collect();
        let missing: Vec<&str> = wanted.iter().map(String::as_str).filter(|name| !known.contains_key(name)).collect();
        if let Some(first) = missing.first() {
            let message =
                format!("{} of {} genes are not in the counts: {}", missing.len(), wanted.len(), listing(&missing, 10));
            let near = nearest(first, &self.genes, 3);
            return Err(Fault::missing(message)
                .at("genes")
                .hint(format!("the nearest names are {}", listing(&near, 3))));
        }
        let twice = repeated(wanted);
        if !twice.is_empty() {
            let message = format!("{} genes stand in the list more than once: {}", twice.len(), listing(&twice, 10));
            return Err(Fault::bad_input(message).at("genes"));
        }
        Ok(wanted.iter().map(|name| known[name.as_str()]).collect())
    }

    /// Refuses genes of one name.
    pub(crate) fn check_genes(&self) -> Result<()> {
        let twice = repeated(&self.genes);
        if twice.is_empty() {
            return Ok(());
        }
        let message = format!("{} names belong to several genes: {}", twice.len(), listing(&twice, 20));
        Err(Fault::bad_input(message).at("genes").hint("make them different, or add up their counts"))
    }
}

/// Names that come more than once, each once, in the order of their second coming.
pub(crate) fn repeated(names: &[String]) -> Vec<&str> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut twice = Vec::new();
    for name in names {
        let times = seen.entry(name).or_default();
        *times += 1;
        if *times == 2 {
            twice.push(name.as_str());
        }
    }
    twice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_their_order_and_strangers_are_named() -> Result<()> {
        let text = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let names = Names { cells: Vec::new(), genes: text(&["g1", "g2", "g3"]) };
        assert_eq!(names.positions(&text(&["g3", "g1"]))?, [2, 0]);
        assert!(names.positions(&text(&["g1", "nope"])).is_err_and(|f| f.message().contains("`nope`")));
        assert!(names.positions(&text(&["g1", "g1"])).is_err());
        let twins = Names { cells: Vec::new(), genes: text(&["a", "b", "a", "a"]) };
        assert!(twins.check_genes().is_err_and(|f| f.message().contains("1 names") && f.message().contains("`a`")));
        Ok(())
    }
}
