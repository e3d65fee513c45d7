//! [`DeStudy`]: values of samples, and what is known of samples and genes.

use ferrocyte_base::{Fault, Result, listing};
use ferrocyte_data::{Factor, Frame};

use crate::Expression;

/// Values of genes × samples with the tables of both.
#[derive(Debug, Clone, Copy)]
pub struct DeStudy<'a> {
    /// Counts, or log2 values.
    pub values: Expression<'a>,
    /// Columns of the samples, in the order of the values.
    pub samples: &'a Frame,
    /// The group of each sample (its cell type), each fitted with its own model; `None`: one group.
    pub groups: Option<&'a Factor>,
    /// Columns of the genes (name, one text per gene) that every table carries.
    pub annotation: &'a [(String, Vec<String>)],
    /// What it is called in provenance.
    pub name: &'a str,
    /// A hash or description of what went in.
    pub fingerprint: &'a str,
}

impl DeStudy<'_> {
    /// Fails where tables and values do not belong together.
    pub(super) fn check(&self) -> Result<()> {
        let n = self.values.n_samples();
        if self.samples.n_rows() != n {
            return Err(Fault::bad_input(format!("{} rows for {n} samples", self.samples.n_rows())).at("samples"));
        }
        if self.groups.is_some_and(|groups| groups.codes.len() != n) {
            return Err(Fault::internal("groups and samples differ in number"));
        }
        for (name, texts) in self.annotation {
            if texts.len() != self.values.n_genes() {
                return Err(Fault::internal(format!("column `{name}` of the genes has another length")));
            }
            if super::table::WORDS.contains(&name.as_str()) {
                return Err(Fault::bad_input(format!(
                    "a column of the genes is called `{name}`, which is a column of results"
                ))
                .at("genes")
                .hint("give it another name"));
            }
        }
        Ok(())
    }

    /// Name of each group and the positions of its samples; a level may have none.
    pub(super) fn parts(&self) -> Vec<(String, Vec<usize>)> {
        let n = self.values.n_samples();
        let Some(groups) = self.groups else { return vec![("all".to_owned(), (0..n).collect())] };
        let mut parts: Vec<(String, Vec<usize>)> =
            groups.levels.iter().map(|level| (level.clone(), Vec::new())).collect();
        for (sample, code) in groups.codes.iter().enumerate() {
            if code != Factor::MISSING {
                parts[code as usize].1.push(sample);
            }
        }
        parts
    }

    /// The block of each of some samples as a number from 0, and how many blocks there are.
    pub(super) fn blocks(&self, column: &str, samples: &[usize]) -> Result<Vec<usize>> {
        let whole = self.samples.column(column)?;
        let texts: Vec<String> = match whole {
            ferrocyte_data::ObsColumn::Factor(factor) => {
                samples.iter().map(|&i| factor.level(i).unwrap_or_default().to_owned()).collect()
            }
            ferrocyte_data::ObsColumn::Number(numbers) => samples
                .iter()
                .map(|&i| if numbers[i].is_nan() { String::new() } else { numbers[i].to_string() })
                .collect(),
        };
        let without: Vec<String> = samples
            .iter()
            .zip(&texts)
            .filter(|(_, text)| text.is_empty())
            .map(|(&i, _)| self.values.sample(i))
            .collect();
        if !without.is_empty() {
            return Err(Fault::bad_input(format!("no value in {}", listing(&without, 5)))
                .at(format!("block `{column}`"))
                .hint("leave the samples out, or give them a block"));
        }
        let mut levels: Vec<&String> = texts.iter().collect();
        levels.sort_unstable();
        levels.dedup();
        Ok(texts.iter().map(|text| levels.partition_point(|level| *level < text)).collect())
    }
}
