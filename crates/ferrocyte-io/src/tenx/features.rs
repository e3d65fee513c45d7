//! [`Features`]: what 10x files say of their features, and which of them become the genes of a study.

use std::collections::{HashMap, HashSet};

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::element::FrameData;
use crate::element::columns::ColumnData;
use crate::study::OpenOptions;

/// By what genes are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VarNames {
    /// Their symbols; of one that stands there several times the second is called `NAME-1`.
    #[default]
    Symbols,
    /// Their identifiers, such as those of Ensembl.
    Ids,
}

impl VarNames {
    /// The words by which fronts name them.
    pub const WORDS: [&'static str; 2] = ["symbols", "ids"];

    /// The choice of a word; scanpy's words are taken too.
    pub fn from_word(word: &str) -> Result<Self> {
        match word {
            "symbols" | "gene_symbols" => Ok(Self::Symbols),
            "ids" | "gene_ids" => Ok(Self::Ids),
            other => Err(Fault::bad_input(format!("genes are not called by `{other}`"))
                .at("var_names")
                .hint(format!("it is one of {}", listing(&Self::WORDS, 9)))),
        }
    }
}

/// The features of a 10x file, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) ids: Vec<String>,
    pub(crate) symbols: Vec<String>,
    /// `Gene Expression`, `Antibody Capture`, ..: one for each feature, where the file tells.
    pub(crate) types: Option<Vec<String>>,
    /// The genome of each feature, where the file tells.
    pub(crate) genomes: Option<Vec<String>>,
    /// What else the file says of them.
    pub(crate) others: Vec<(String, Vec<String>)>,
}

/// Features that became genes.
#[derive(Debug)]
pub(crate) struct Genes {
    /// Their names and columns.
    pub(crate) var: FrameData,
    /// Which features they are; all, in order, if absent.
    pub(crate) kept: Option<Vec<usize>>,
}

impl Features {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The genes that the options ask for. Names are made unique over all features, so that they do not depend on what
    /// is asked for.
    pub(crate) fn genes(self, options: &OpenOptions) -> Result<Genes> {
        let n = self.len();
        let mut kept: Vec<usize> = (0..n).collect();
        if let (Some(types), Some(wanted)) = (&self.types, &options.feature_type) {
            kept = chosen(kept, types, wanted, "features of type", "feature_types")?;
        }
        match (&self.genomes, &options.genome) {
            (Some(genomes), Some(wanted)) => kept = chosen(kept, genomes, wanted, "features of genome", "genome")?,
            (None, Some(wanted)) => {
                return Err(Fault::missing(format!("the file does not tell genomes, but `{wanted}` is asked for"))
                    .at("genome")
                    .hint("leave it out"));
            }
            (_, None) => {}
        }
        let pick = |all: &[String]| -> Vec<String> { kept.iter().map(|&i| all[i].clone()).collect() };
        let texts = |all: &[String]| texts(pick(all));
        let (index, other) = match options.var_names {
            VarNames::Symbols => (unique(&self.symbols), ("gene_ids", &self.ids)),
            VarNames::Ids => (unique(&self.ids), ("gene_symbols", &self.symbols)),
        };
        let mut columns = vec![(other.0.to_owned(), texts(other.1))];
        for (name, values) in [("feature_types", &self.types), ("genome", &self.genomes)] {
            columns.extend(values.as_ref().map(|values| (name.to_owned(), texts(values))));
        }
        columns.extend(self.others.iter().map(|(name, values)| (name.clone(), texts(values))));
        let var = FrameData { index_name: "_index".to_owned(), index: texts(&index), columns };
        Ok(Genes { var, kept: (kept.len() < n).then_some(kept) })
    }
}

/// Texts, all present, as a column.
pub(crate) fn texts(values: Vec<String>) -> ColumnData {
    ColumnData::Texts { values: values.into_iter().map(Some).collect(), na: None }
}

/// Those of `kept` whose label is the wanted one.
fn chosen(kept: Vec<usize>, labels: &[String], wanted: &str, what: &str, option: &str) -> Result<Vec<usize>> {
    let found: Vec<usize> = kept.into_iter().filter(|&i| labels[i] == wanted).collect();
    if !found.is_empty() || labels.is_empty() {
        return Ok(found);
    }
    Err(none_of(wanted, &distinct(labels), what, option))
}

/// What to say where nothing has the wanted label.
pub(crate) fn none_of(wanted: &str, known: &[String], what: &str, option: &str) -> Fault {
    let near = nearest(wanted, known, 1);
    let hint = match near.first() {
        Some(near) => format!("did you mean `{near}`? There are {}", listing(known, 20)),
        None => format!("there are {}", listing(known, 20)),
    };
    Fault::missing(format!("there are no {what} `{wanted}`")).at(option).hint(hint)
}

/// Distinct texts, in order of appearance.
fn distinct(labels: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    labels.iter().filter(|label| seen.insert(label.as_str())).cloned().collect()
}

/// Names of which each stands there once: the first `A` keeps its name, later ones become `A-1`, `A-2`, .., where
/// names that stand there already are passed over.
///
/// ```
/// let names = ["A", "A", "A-1", "A", "B"].map(str::to_owned);
/// assert_eq!(ferrocyte_io::unique_names(&names), ["A", "A-2", "A-1", "A-3", "B"]);
/// ```
pub fn unique(names: &[String]) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen: HashMap<&str, u64> = HashMap::new();
    names
        .iter()
        .map(|name| match seen.get_mut(name.as_str()) {
            None => {
                seen.insert(name, 0);
                name.clone()
            }
            Some(last) => loop {
                *last += 1;
                let candidate = format!("{name}-{last}");
                if taken.insert(candidate.clone()) {
                    break candidate;
                }
            },
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn features() -> Features {
        Features {
            ids: list("1 2 3 4"),
            symbols: list("A B A C"),
            types: Some(
                ["Gene Expression", "Antibody Capture", "Gene Expression", "Gene Expression"].map(str::to_owned).into(),
            ),
            genomes: Some(list("hg mm mm hg")),
            others: vec![("pattern".to_owned(), list("w x y z"))],
        }
    }

    fn names(genes: &Genes) -> Vec<String> {
        genes.var.index.to_texts().into_iter().flatten().collect()
    }

    #[test]
    fn genes_are_chosen_by_type_and_genome() {
        let genes = features().genes(&OpenOptions::default()).unwrap();
        assert_eq!((names(&genes), genes.kept), (list("A A-1 C"), Some(vec![0, 2, 3])));
        let columns: Vec<&str> = genes.var.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(columns, ["gene_ids", "feature_types", "genome", "pattern"]);
        let all = OpenOptions { feature_type: None, var_names: VarNames::Ids, ..OpenOptions::default() };
        let genes = features().genes(&all).unwrap();
        assert_eq!((names(&genes), genes.kept), (list("1 2 3 4"), None));
        let mouse = OpenOptions { genome: Some("mm".into()), ..OpenOptions::default() };
        assert_eq!(features().genes(&mouse).unwrap().kept, Some(vec![2]));
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let options = OpenOptions { genome: Some("hg19".into()), ..OpenOptions::default() };
        let fault = features().genes(&options).unwrap_err();
        assert_eq!(fault.to_string(), "genome: there are no features of genome `hg19`");
        assert!(fault.way_out().is_some_and(|hint| hint.contains("`hg`") && hint.contains("`mm`")));
        let options = OpenOptions { feature_type: Some("Antibody".into()), ..OpenOptions::default() };
        assert!(features().genes(&options).unwrap_err().way_out().is_some_and(|h| h.contains("`Antibody Capture`")));
        let untold = Features { genomes: None, ..features() };
        assert!(untold.genes(&OpenOptions { genome: Some("hg".into()), ..OpenOptions::default() }).is_err());
    }
}
