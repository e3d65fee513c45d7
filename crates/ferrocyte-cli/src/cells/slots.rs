//! Where the additions of a step go in a study, and how a step finds what another has added.

use ferrocyte_base::Fault;
use ferrocyte_cells::keys::{Key, Style};
use ferrocyte_cells::steps::{Additions, Basis, Coordinates, Entry, Pairs, Values};
use ferrocyte_io::{ColumnData, Entries, Field, FrameData, Item, MatrixKind, NdArray, Numbers, Records, Sparse};

use super::study::{Study, absent, set};
use crate::faults::Failure;

impl Study {
    /// Puts everything into its place.
    pub(super) fn add(&mut self, additions: Additions) {
        for (name, values) in additions.obs {
            set(&mut self.tree.obs.columns, &name, column(values));
        }
        for (name, values) in additions.var {
            set(&mut self.tree.var.columns, &name, column(values));
        }
        for (name, found) in additions.obsm {
            set(&mut self.tree.obsm, &name, coordinates(found));
        }
        for (name, found) in additions.varm {
            set(&mut self.tree.varm, &name, coordinates(found));
        }
        for (name, found) in additions.obsp {
            set(&mut self.tree.obsp, &name, pairs(found));
        }
        for (name, entry) in additions.uns {
            set(&mut self.tree.uns, &name, item(entry));
        }
    }

    /// Coordinates of cells: an entry of obsm, or the first there is of the usual ones.
    pub(super) fn basis(&self, name: Option<&str>, style: Style) -> Result<Basis, Failure> {
        let usual: Vec<&str> = Key::Harmony.either(style).into_iter().chain(Key::Pca.either(style)).collect();
        let names = name.map_or(usual, |name| vec![name]);
        let found = names.iter().find_map(|name| self.tree.obsm.iter().find(|(known, _)| known == name));
        let Some((name, item)) = found else {
            let known: Vec<String> = self.tree.obsm.iter().map(|(name, _)| name.clone()).collect();
            let fault = absent("coordinates", names.first().copied().unwrap_or_default(), &known).at("obsm");
            return Err(fault.into());
        };
        let Item::Array(NdArray { shape, cells: Entries::Numbers(numbers) }) = item else {
            return Err(Fault::bad_input("it is no array of numbers").at(format!("obsm `{name}`")).into());
        };
        let [_, width] = shape[..] else {
            return Err(Fault::bad_input("coordinates have two axes").at(format!("obsm `{name}`")).into());
        };
        Ok(Basis { name: name.clone(), width, values: numbers.to_f64() })
    }

    /// A matrix of cells × cells.
    pub(super) fn pairs(&self, name: &str) -> Result<Pairs, Failure> {
        let Some((_, item)) = self.tree.obsp.iter().find(|(known, _)| known == name) else {
            let known: Vec<String> = self.tree.obsp.iter().map(|(name, _)| name.clone()).collect();
            return Err(absent("matrix", name, &known).at("obsp").into());
        };
        let mut rows = item.rows().map_err(|fault| fault.at(format!("obsp `{name}`")))?;
        let n = rows.n_rows();
        let block = rows.read(&ferrocyte_base::Run::new().threads(1), 0..n)?;
        let values = Values::F64((0..block.values().len()).map(|k| block.values().get(k)).collect());
        Ok(Pairs { starts: block.pointers().to_vec(), columns: block.indices().to_vec(), values })
    }
}

fn numbers(values: Values) -> Numbers {
    match values {
        Values::Bool(v) => Numbers::Bool(v),
        Values::I32(v) => Numbers::I32(v),
        Values::I64(v) => Numbers::I64(v),
        Values::F32(v) => Numbers::F32(v),
        Values::F64(v) => Numbers::F64(v),
        // Where numbers are asked for there are no others.
        Values::Texts(_) | Values::Labels(_) => Numbers::F64(Vec::new()),
    }
}

/// A column of a table.
pub(super) fn column(values: Values) -> ColumnData {
    let texts = |texts: Vec<String>| ColumnData::Texts { values: texts.into_iter().map(Some).collect(), na: None };
    match values {
        Values::Texts(v) => texts(v),
        Values::Labels(labels) => ColumnData::Categorical {
            codes: labels.codes.iter().collect(),
            levels: Box::new(texts(labels.levels)),
            ordered: false,
        },
        other => ColumnData::Numbers(numbers(other)),
    }
}

fn entries(values: Values) -> Entries {
    match values {
        Values::Texts(v) => Entries::Texts(v),
        other => Entries::Numbers(numbers(other)),
    }
}

fn length(values: &Values) -> usize {
    match values {
        Values::Bool(v) => v.len(),
        Values::I32(v) => v.len(),
        Values::I64(v) => v.len(),
        Values::F32(v) => v.len(),
        Values::F64(v) => v.len(),
        Values::Texts(v) => v.len(),
        Values::Labels(labels) => labels.codes.len(),
    }
}

fn coordinates(found: Coordinates) -> Item {
    let n = length(&found.values) / found.width.max(1);
    Item::Array(NdArray { shape: vec![n, found.width], cells: entries(found.values) })
}

fn pairs(found: Pairs) -> Item {
    let n = found.starts.len().saturating_sub(1);
    let narrow = i32::try_from(found.columns.len()).is_ok();
    Item::Sparse(Sparse {
        kind: MatrixKind::Csr,
        shape: (n, n),
        data: numbers(found.values),
        indices: Numbers::I32(found.columns.into_iter().map(|c| c as i32).collect()),
        indptr: if narrow {
            Numbers::I32(found.starts.into_iter().map(|s| s as i32).collect())
        } else {
            Numbers::I64(found.starts.into_iter().map(|s| s as i64).collect())
        },
    })
}

fn item(entry: Entry) -> Item {
    let scalar = |numbers| Item::Scalar(Entries::Numbers(numbers));
    match entry {
        Entry::Null => Item::Null,
        Entry::Bool(truth) => scalar(Numbers::Bool(vec![truth])),
        Entry::Int(number) => scalar(Numbers::I64(vec![number])),
        Entry::Float(number) => scalar(Numbers::F64(vec![number])),
        Entry::Text(text) => Item::Scalar(Entries::Texts(vec![text])),
        Entry::Array(shape, values) => Item::Array(NdArray { shape, cells: entries(values) }),
        Entry::Dict(entries) => Item::Dict(entries.into_iter().map(|(name, entry)| (name, item(entry))).collect()),
        Entry::Records(fields) => Item::Records(Records {
            n_rows: fields.first().map_or(0, |(_, values)| length(values)),
            fields: fields
                .into_iter()
                .map(|(name, values)| (name, Field { shape: Vec::new(), cells: entries(values) }))
                .collect(),
        }),
        Entry::Frame(rows, columns) => Item::Frame(FrameData {
            index_name: "_index".to_owned(),
            index: column(Values::Texts(rows)),
            columns: columns.into_iter().map(|(name, values)| (name, column(values))).collect(),
        }),
    }
}
