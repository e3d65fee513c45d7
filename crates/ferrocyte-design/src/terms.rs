//! The terms of the fixed part: which coefficients belong to which, and the levels of its factors.

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::coefficients::{Coefficients, Part};
use crate::difference::part_variable;
use crate::source::written;

/// The name of the term without variables.
const INTERCEPT: &str = "(Intercept)";

impl Coefficients {
    /// The terms of the formula that have coefficients: name (`cell_type:condition`) and positions of the coefficients,
    /// in the order of the first of each. Where only names are known, every coefficient is a term of its own.
    ///
    /// ```
    /// use ferrocyte_design::Coefficients;
    /// let coefficients = Coefficients::from_names(&["(Intercept)".to_owned(), "dose".to_owned()])?;
    /// assert_eq!(coefficients.terms()[1], ("dose".to_owned(), vec![1]));
    /// # Ok::<(), ferrocyte_base::Fault>(())
    /// ```
    pub fn terms(&self) -> Vec<(String, Vec<usize>)> {
        let Some(all) = &self.parts else {
            return self.names.iter().enumerate().map(|(j, name)| (name.clone(), vec![j])).collect();
        };
        let mut terms: Vec<(Vec<&str>, String, Vec<usize>)> = Vec::new();
        for (j, parts) in all.iter().enumerate() {
            let key = variables(parts);
            match terms.iter_mut().find(|(known, ..)| *known == key) {
                Some((.., positions)) => positions.push(j),
                None => terms.push((key, term_name(parts), vec![j])),
            }
        }
        terms.into_iter().map(|(_, name, positions)| (name, positions)).collect()
    }

    /// The positions of the coefficients of a term, its variables in any order.
    ///
    /// A term whose columns were all left out is refused with the reason of the first, an unknown one with the terms
    /// that exist.
    pub fn term(&self, text: &str) -> Result<Vec<usize>> {
        let wanted = pieces(text);
        let terms = self.terms();
        if let Some((_, positions)) = terms.iter().find(|(name, _)| name == text.trim() || pieces(name) == wanted) {
            return Ok(positions.clone());
        }
        if let Some(dropped) = self.dropped.iter().find(|d| pieces(&term_name(&d.parts)) == wanted) {
            return Err(dropped.fault().at(format!("term `{text}`")));
        }
        let names: Vec<&str> = terms.iter().map(|(name, _)| name.as_str()).collect();
        let near = nearest(text, &names, 3);
        let hint = match near.as_slice() {
            [] => format!("the terms are {}", listing(&names, 20)),
            near => format!("did you mean {}? The terms are {}", listing(near, 3), listing(&names, 20)),
        };
        Err(Fault::missing(format!("there is no fixed term `{text}`")).hint(hint))
    }

    /// The levels of a factor of the fixed terms, the reference level first. A number, or a name that no fixed term
    /// has, is refused with the factors that exist.
    pub fn levels(&self, variable: &str) -> Result<&[String]> {
        self.levels_of(variable)
    }
}

/// The variables of a column, sorted.
fn variables(parts: &[Part]) -> Vec<&str> {
    let mut all: Vec<&str> = parts.iter().map(part_variable).collect();
    all.sort_unstable();
    all
}

/// The name of the term that a column belongs to, as it is written in a formula.
fn term_name(parts: &[Part]) -> String {
    if parts.is_empty() {
        return INTERCEPT.to_owned();
    }
    let names: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Part::Level { variable, .. } => written(variable),
            Part::Number(text) => text.clone(),
        })
        .collect();
    names.join(":")
}

/// The variables that a text names, sorted, without blanks and quotes around them.
fn pieces(text: &str) -> Vec<&str> {
    let mut all: Vec<&str> = text.split(':').map(|piece| piece.trim().trim_matches('`')).collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::coefficients::tests::{drop, example};

    #[test]
    fn coefficients_are_gathered_by_term() {
        let terms = example().terms();
        let names: Vec<&str> = terms.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["(Intercept)", "log(libsize)", "cell_type", "cell_type:condition"]);
        assert_eq!(terms[3].1, [3, 4]);
    }

    #[test]
    fn a_term_is_found_in_any_order() {
        let table = example();
        for text in ["cell_type:condition", " condition : cell_type", "`condition`:cell_type"] {
            assert_eq!(table.term(text).unwrap(), [3, 4], "{text}");
        }
        assert_eq!(table.term("(Intercept)").unwrap(), [0]);
    }

    #[test]
    fn an_unknown_term_comes_with_those_that_exist() {
        let fault = example().term("cell_type:conditions").unwrap_err();
        assert_eq!(fault.to_string(), "there is no fixed term `cell_type:conditions`");
        assert!(fault.way_out().unwrap().contains("`cell_type:condition`"));
    }

    #[test]
    fn a_term_without_columns_says_why() {
        let mut table = example();
        drop(&mut table, 2, "no cells", &[]);
        let fault = table.term("cell_type").unwrap_err();
        assert!(fault.to_string().contains("no cells"), "{fault}");
        assert_eq!(table.term("condition:cell_type").unwrap(), [2, 3]);
    }
}
