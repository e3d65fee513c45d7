//! Which genes of a matrix are modelled.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::ObsColumn;

/// The new column of a gene that is left out.
const NONE: u32 = u32::MAX;

/// Which genes are modelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeneMask {
    /// One truth value per gene of the matrix.
    pub kept: Vec<bool>,
    /// Where they came from: the name of a column of var; empty if they were given as they are.
    pub name: String,
}

impl GeneMask {
    /// The truth values of a column of var.
    pub fn from_column(name: &str, column: &ObsColumn) -> Result<Self> {
        let refuse = |gene: usize, found: &str| {
            Fault::bad_input(format!("gene {gene} has `{found}`, expected truth values"))
                .at(format!("mask_var `{name}`"))
                .hint("give a column of var that is true for the genes to model, such as highly_variable")
        };
        let kept: Result<Vec<bool>> = match column {
            ObsColumn::Factor(factor) => (0..factor.codes.len())
                .map(|gene| match factor.level(gene).map(str::to_lowercase).as_deref() {
                    Some("true") => Ok(true),
                    Some("false") => Ok(false),
                    found => Err(refuse(gene, found.unwrap_or("no value"))),
                })
                .collect(),
            ObsColumn::Number(values) => values
                .iter()
                .enumerate()
                .map(|(gene, &x)| if x == 0.0 || x == 1.0 { Ok(x == 1.0) } else { Err(refuse(gene, &x.to_string())) })
                .collect(),
        };
        Ok(Self { kept: kept?, name: name.to_owned() })
    }

    /// The new column of each gene, `NONE` for those left out, and the names of those kept.
    pub(crate) fn apply(&self, genes: &[String]) -> Result<(Vec<u32>, Vec<String>)> {
        let place = || if self.name.is_empty() { "mask_var".to_owned() } else { format!("mask_var `{}`", self.name) };
        if self.kept.len() != genes.len() {
            return Err(Fault::bad_input(format!("{} truth values for {} genes", self.kept.len(), genes.len()))
                .at(place())
                .hint("give one per gene of the matrix that is modelled"));
        }
        let mut names = Vec::new();
        let mut new_column = Vec::with_capacity(genes.len());
        for (gene, &kept) in genes.iter().zip(&self.kept) {
            new_column.push(if kept { names.len() as u32 } else { NONE });
            names.extend(kept.then(|| gene.clone()));
        }
        if names.is_empty() {
            return Err(Fault::bad_input(format!("none of {} genes is kept", genes.len())).at(place()));
        }
        Ok((new_column, names))
    }
}

#[cfg(test)]
mod tests {
    use ferrocyte_data::Factor;

    use super::*;

    #[test]
    fn truth_values_choose_genes() -> Result<()> {
        let column = ObsColumn::Factor(Factor::from_texts(["TRUE", "FALSE", "True"].map(Some)));
        let mask = GeneMask::from_column("good", &column)?;
        let genes = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(mask.apply(&genes)?, (vec![0, NONE, 1], vec!["a".to_owned(), "c".to_owned()]));
        assert!(mask.apply(&genes[..2]).is_err_and(|f| f.to_string().contains("3 truth values for 2 genes")));
        let none = GeneMask::from_column("none", &ObsColumn::Number(vec![0.0; 3]))?;
        assert!(none.apply(&genes).is_err_and(|f| f.to_string().contains("none of 3 genes")));
        let other = GeneMask::from_column("x", &ObsColumn::Number(vec![0.0, 2.0]));
        assert!(other.is_err_and(|f| f.to_string().contains("gene 1 has `2`")));
        Ok(())
    }
}
