//! The terms of a model, as the coefficients know them: which columns belong together.

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::Coefficients;
use crate::coefficients::Part;

/// A fixed term and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Its variables, as a formula joins them: `cell_type:condition`, `log(libsize)`; `(Intercept)`.
    pub name: String,
    /// The positions of its coefficients.
    pub columns: Vec<usize>,
    /// Columns of it that were left out because they depend on others: name and reason.
    pub dropped: Vec<(String, String)>,
}

impl Coefficients {
    /// The fixed terms in the order of their first columns, those that were left out last. Where only names are known,
    /// each is a term of its own.
    ///
    /// ```
    /// use ferrocyte_design::Coefficients;
    /// let names = ["(Intercept)", "age"].map(String::from);
    /// let terms = Coefficients::from_names(&names)?.terms();
    /// assert_eq!((terms[1].name.as_str(), &terms[1].columns[..]), ("age", &[1][..]));
    /// # Ok::<(), ferrocyte_base::Fault>(())
    /// ```
    pub fn terms(&self) -> Vec<Term> {
        let mut terms: Vec<Term> = Vec::new();
        for (column, name) in self.names.iter().enumerate() {
            let name = self.parts.as_ref().map_or_else(|| name.clone(), |parts| term_name(&parts[column]));
            find_or_add(&mut terms, name).columns.push(column);
        }
        for dropped in &self.dropped {
            let term = find_or_add(&mut terms, term_name(&dropped.parts));
            term.dropped.push((dropped.name.clone(), dropped.why.clone()));
        }
        terms
    }

    /// The positions of the coefficients of a term, its variables in any order.
    ///
    /// A term whose columns were all left out is refused with the reason of the first, an unknown one with the terms
    /// that exist.
    pub fn term(&self, text: &str) -> Result<Vec<usize>> {
        let wanted = pieces(text);
        let terms = self.terms();
        if let Some(term) = terms.iter().find(|term| term.name == text.trim() || pieces(&term.name) == wanted) {
            return match term.dropped.first() {
                Some((name, why)) if term.columns.is_empty() => {
                    Err(Fault::bad_input(format!("`{name}` has no estimate, its column was dropped: {why}"))
                        .at(format!("term `{text}`")))
                }
                _ => Ok(term.columns.clone()),
            };
        }
        let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
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

    /// What the column at `position` is the product of; nothing for the intercept. `None` if only names are known.
    pub fn parts(&self, position: usize) -> Option<&[Part]> {
        self.parts.as_ref()?.get(position).map(Vec::as_slice)
    }
}

fn find_or_add(terms: &mut Vec<Term>, name: String) -> &mut Term {
    let at = terms.iter().position(|t| t.name == name).unwrap_or_else(|| {
        terms.push(Term { name, columns: Vec::new(), dropped: Vec::new() });
        terms.len() - 1
    });
    &mut terms[at]
}

fn term_name(parts: &[Part]) -> String {
    let variables: Vec<&str> = parts
        .iter()
        .map(|part| match part {
            Part::Level { variable, .. } => variable.as_str(),
            Part::Number(text) => text.as_str(),
        })
        .collect();
    if variables.is_empty() { "(Intercept)".to_owned() } else { variables.join(":") }
}

/// The variables that a text names, sorted, without blanks and quotes around them.
fn pieces(text: &str) -> Vec<&str> {
    let mut all: Vec<&str> = text.split(':').map(|piece| piece.trim().trim_matches('`')).collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use ferrocyte_base::Result;
    use ferrocyte_data::{Factor, Frame, ObsColumn};

    use crate::coefficients::tests::{drop, example};
    use crate::{Aliased, BindOptions, Design, Model};

    #[test]
    fn a_term_is_found_in_any_order() -> Result<()> {
        let table = example();
        for text in ["cell_type:condition", " condition : cell_type", "`condition`:cell_type"] {
            assert_eq!(table.term(text)?, [3, 4], "{text}");
        }
        assert_eq!(table.term("(Intercept)")?, [0]);
        Ok(())
    }

    #[test]
    fn a_term_that_cannot_be_tested_says_why() {
        let mut table = example();
        let unknown = table.term("cell_type:conditions").err();
        assert!(unknown.is_some_and(|f| f.way_out().is_some_and(|hint| hint.contains("`cell_type:condition`"))));
        drop(&mut table, 2, "no cells", &[]);
        assert!(table.term("cell_type").is_err_and(|f| f.to_string().contains("no cells")));
        assert!(table.term("condition:cell_type").is_ok_and(|columns| columns == [2, 3]));
    }

    #[test]
    fn columns_are_gathered_by_term_and_dropped_ones_keep_theirs() -> Result<()> {
        let texts = |all: &str| ObsColumn::Factor(Factor::from_texts(all.split(' ').map(Some)));
        let mut obs = Frame::new(8);
        obs.insert("type", texts("B B T T N N B T"))?;
        obs.insert("condition", texts("c s c s c s s c"))?;
        obs.insert("batch", texts("c s c s c s s c"))?;
        let model = Model::parse("~ type + condition + batch + type:condition", &[])?;
        let design =
            Design::bind(&model, &obs, None, &BindOptions { aliased: Aliased::Drop, ..BindOptions::default() })?;
        let terms = design.coefficients().terms();
        let found: Vec<(&str, usize)> = terms.iter().map(|t| (t.name.as_str(), t.columns.len())).collect();
        assert_eq!(found, [("(Intercept)", 1), ("type", 2), ("condition", 1), ("type:condition", 2), ("batch", 0)]);
        assert_eq!(terms[4].dropped[0].0, "batchs");
        Ok(())
    }
}
