//! Tables of genes × samples in text files, with columns of annotation between them.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use ferrocyte_base::{Fault, Result, listing, nearest};

use crate::h5ad::fingerprint::Hash;
use crate::text::{broken, delimiter, number, open, refuse_repeats};

/// Genes × samples, and what else the file says of the genes.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueTable {
    /// Names of the genes, the first column. They need not be unique.
    pub genes: Vec<String>,
    /// Names of the samples, in the order of the file's columns.
    pub samples: Vec<String>,
    /// The values, genes × samples, row-major; NaN where there is none.
    pub values: Vec<f64>,
    /// Columns that are no samples: their names and texts, one per gene.
    pub annotation: Vec<(String, Vec<String>)>,
}

impl ValueTable {
    /// What the values are: shape, and a hash of all of them.
    pub fn fingerprint(&self) -> String {
        let mut hash = Hash::new();
        self.values.iter().for_each(|x| hash.word(x.to_bits()));
        format!("{} x {}, all {:016x}", self.genes.len(), self.samples.len(), hash.value())
    }
}

/// Where a column goes.
enum Goal {
    Sample(usize),
    Annotation(usize),
}

/// Reads counts or values of genes × samples, tab- or comma-separated (by the ending), plain or compressed.
///
/// With `samples` these columns are the samples, in the order of the file whatever that of `samples`, and every other
/// is annotation; without, columns that hold no number in the first row are annotation. A header with one name less
/// than the rows have fields has no name for the first column.
pub fn read_value_table(path: &Path, samples: Option<&[String]>) -> Result<ValueTable> {
    let input = open(path)?;
    read(input, delimiter(path), samples).map_err(|fault| fault.at(path.display().to_string()))
}

fn read(input: impl Read, delimiter: u8, samples: Option<&[String]>) -> Result<ValueTable> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(1 << 18)
        .from_reader(input);
    let mut record = csv::StringRecord::new();
    if !reader.read_record(&mut record).map_err(broken)? {
        return Err(Fault::bad_input("the file is empty, expected a header line"));
    }
    let header: Vec<String> = record.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let mut table = ValueTable { genes: vec![], samples: vec![], values: vec![], annotation: vec![] };
    let mut goals: Vec<Goal> = Vec::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        if table.genes.is_empty() {
            let named = usize::from(header.len() == record.len());
            let names = &header[named.min(header.len())..];
            if names.len() + 1 == record.len() {
                goals = divide(names, &record, samples, &mut table)?;
            }
        }
        if record.len() != goals.len() + 1 {
            return Err(Fault::bad_input(format!("{} fields, expected {}", record.len(), header.len()))
                .at(format!("line {line}"))
                .hint("fields are separated by tabs, or by commas in files that end in .csv"));
        }
        table.genes.push(record[0].to_owned());
        let start = table.values.len();
        table.values.resize(start + table.samples.len(), f64::NAN);
        for (field, goal) in record.iter().skip(1).zip(&goals) {
            match *goal {
                Goal::Annotation(place) => table.annotation[place].1.push(field.to_owned()),
                Goal::Sample(place) => {
                    table.values[start + place] = number(field).ok_or_else(|| {
                        Fault::bad_input(format!("a number was expected, found `{field}`"))
                            .at(format!("gene `{}`, sample `{}`", &record[0], table.samples[place]))
                    })?;
                }
            }
        }
    }
    if table.genes.is_empty() {
        return Err(Fault::bad_input("a header, but no genes"));
    }
    Ok(table)
}

/// Which column is a sample, and which annotation.
fn divide(
    names: &[String],
    first: &csv::StringRecord,
    samples: Option<&[String]>,
    table: &mut ValueTable,
) -> Result<Vec<Goal>> {
    refuse_repeats(names, "column")?;
    let wanted: HashSet<&String> = match samples {
        Some(samples) => samples.iter().collect(),
        None => {
            let fields = names.iter().zip(first.iter().skip(1));
            fields.filter(|(_, field)| number(field).is_some()).map(|(name, _)| name).collect()
        }
    };
    let missing: Vec<&String> = samples.unwrap_or_default().iter().filter(|s| !names.contains(s)).collect();
    if let Some(&one) = missing.first() {
        let near = nearest(one, names, 3);
        let shown = listing(if near.is_empty() { names } else { &[] }, 6);
        let hint = if near.is_empty() {
            format!("its columns are {shown}")
        } else {
            format!("did you mean {}?", listing(&near, 3))
        };
        return Err(Fault::missing(format!(
            "{} of {} samples have no column: {}",
            missing.len(),
            wanted.len(),
            listing(&missing, 5)
        ))
        .hint(hint));
    }
    let mut goals = Vec::with_capacity(names.len());
    for name in names {
        goals.push(if wanted.contains(name) {
            table.samples.push(name.clone());
            Goal::Sample(table.samples.len() - 1)
        } else {
            table.annotation.push((name.clone(), Vec::new()));
            Goal::Annotation(table.annotation.len() - 1)
        });
    }
    Ok(goals)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: &str = "id\tsymbol\ts1\ts2\tlength\nE1\tTP53\t5\t7\t2000\nE2\t\t0\tNA\t1500\n";

    fn table(text: &str, samples: Option<&[&str]>) -> Result<ValueTable> {
        let folder = tempfile::tempdir().map_err(|e| Fault::internal(e.to_string()))?;
        let path = folder.path().join("counts.tsv");
        std::fs::write(&path, text).map_err(|e| Fault::internal(e.to_string()))?;
        let samples: Option<Vec<String>> = samples.map(|s| s.iter().map(|&s| s.to_owned()).collect());
        read_value_table(&path, samples.as_deref())
    }

    #[test]
    fn samples_are_matched_by_name_and_the_rest_is_annotation() -> Result<()> {
        let found = table(COUNTS, Some(&["s2", "s1"]))?;
        assert_eq!((found.genes.join(" "), found.samples.join(" ")), ("E1 E2".to_owned(), "s1 s2".to_owned()));
        assert_eq!(found.values[..2], [5.0, 7.0]);
        assert!(found.values[3].is_nan());
        assert_eq!(found.annotation[0], ("symbol".to_owned(), vec!["TP53".to_owned(), String::new()]));
        assert_eq!(found.annotation[1].0, "length");
        Ok(())
    }

    #[test]
    fn without_names_numbers_are_samples() -> Result<()> {
        let found = table(COUNTS, None)?;
        assert_eq!(found.samples, ["s1", "s2", "length"]);
        let bare = table("s1\ts2\nE1\t1\t2\n", None)?;
        assert_eq!((bare.genes.join(""), bare.values), ("E1".to_owned(), vec![1.0, 2.0]));
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, samples, words) in [
            (COUNTS, &["s3", "s1"][..], "1 of 2 samples have no column: `s3`"),
            ("id\ts1\nE1\tx\n", &["s1"], "gene `E1`, sample `s1`: a number was expected, found `x`"),
            ("id\ts1\nE1\t1\nE2\t1\t2\n", &["s1"], "line 3: 3 fields, expected 2"),
            ("id\ts1\n", &["s1"], "a header, but no genes"),
            ("", &["s1"], "the file is empty"),
            ("id\ts1\ts1\nE1\t1\t2\n", &["s1"], "column names appear more than once"),
        ] {
            let fault = table(text, Some(samples)).err().map(|f| f.to_string()).unwrap_or_default();
            assert!(fault.contains(words), "{fault}");
        }
    }
}
