//! [`Additions`]: what a step adds to a study, under the names of a dialect.
//!
//! A step takes streams, arrays and labels and gives these; whoever holds the study puts them into their places. The
//! types are those that the study has in a file, to the bit.

use std::ops::AddAssign;

use ferrocyte_data::Factor;

/// Numbers, truth values, texts or labels, in the type in which they are stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Truth values.
    Bool(Vec<bool>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Texts.
    Texts(Vec<String>),
    /// Labels of categories.
    Labels(Factor),
}

impl Values {
    /// 64-bit floats as they are, or rounded once to 32 bits.
    pub fn floats(values: Vec<f64>, single: bool) -> Self {
        if single { Self::F32(values.into_iter().map(|v| v as f32).collect()) } else { Self::F64(values) }
    }

    /// Numbers as 64-bit floats, as a reader of the file would have them; nothing for texts and labels.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::Bool(v) => v.iter().map(|&x| f64::from(u8::from(x))).collect(),
            Self::I32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::I64(v) => v.iter().map(|&x| x as f64).collect(),
            Self::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
            Self::F64(v) => v.clone(),
            Self::Texts(_) | Self::Labels(_) => Vec::new(),
        }
    }
}

/// A named column of cells or genes.
pub type Named<T> = (String, T);

/// Numbers with a row for each cell, or each gene, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Coordinates {
    /// Columns.
    pub width: usize,
    /// Rows × columns numbers.
    pub values: Values,
}

/// A sparse matrix of cells × cells, columns rising in each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// Where the row of each cell begins, and the end of all.
    pub starts: Vec<usize>,
    /// The column of each value.
    pub columns: Vec<u32>,
    /// The values.
    pub values: Values,
}

/// Anything else that a step tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// An array and its extents.
    Array(Vec<usize>, Values),
    /// Named entries.
    Dict(Vec<Named<Entry>>),
    /// Records: one named field after the other, all of one length.
    Records(Vec<Named<Values>>),
    /// A table whose rows have names.
    Frame(Vec<String>, Vec<Named<Values>>),
}

impl Entry {
    /// A number, or nothing.
    pub fn of(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Float)
    }

    /// An array of one axis.
    pub fn array(values: Vec<f64>) -> Self {
        Self::Array(vec![values.len()], Values::F64(values))
    }

    /// Named entries.
    pub fn dict<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Dict(entries.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect())
    }
}

/// What a step adds to a study.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Additions {
    /// Columns of cells.
    pub obs: Vec<Named<Values>>,
    /// Columns of genes.
    pub var: Vec<Named<Values>>,
    /// Coordinates of cells.
    pub obsm: Vec<Named<Coordinates>>,
    /// Coordinates of genes.
    pub varm: Vec<Named<Coordinates>>,
    /// Matrices of cells × cells.
    pub obsp: Vec<Named<Pairs>>,
    /// What the step tells of itself.
    pub uns: Vec<Named<Entry>>,
}

impl AddAssign for Additions {
    /// What came later stands last, and takes the place of what has its name.
    fn add_assign(&mut self, other: Self) {
        put_all(&mut self.obs, other.obs);
        put_all(&mut self.var, other.var);
        put_all(&mut self.obsm, other.obsm);
        put_all(&mut self.varm, other.varm);
        put_all(&mut self.obsp, other.obsp);
        put_all(&mut self.uns, other.uns);
    }
}

fn put_all<T>(these: &mut Vec<Named<T>>, more: Vec<Named<T>>) {
    for (name, item) in more {
        match these.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = item,
            None => these.push((name, item)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_takes_the_place() {
        let column =
            |value: f64| Additions { obs: vec![("a".into(), Values::F64(vec![value]))], ..Additions::default() };
        let mut all = column(1.0);
        all += Additions { uns: vec![("b".into(), Entry::Null)], ..column(2.0) };
        assert_eq!(all.obs, [("a".to_owned(), Values::F64(vec![2.0]))]);
        assert_eq!(all.uns.len(), 1);
    }

    #[test]
    fn numbers_are_read_as_they_are_stored() {
        assert_eq!(Values::floats(vec![0.1], true).to_f64(), [f64::from(0.1_f32)]);
        assert_eq!(Values::floats(vec![0.1], false).to_f64(), [0.1]);
        assert_eq!(Values::Bool(vec![true]).to_f64(), [1.0]);
    }
}
