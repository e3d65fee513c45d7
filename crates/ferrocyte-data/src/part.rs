//! [`Part`]: a header and named arrays, the form in which summaries and results are stored and sent.

use ferrocyte_base::{Fault, Result, Value};

/// The numbers of an array, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Real numbers.
    F64(Vec<f64>),
    /// Whole numbers.
    I64(Vec<i64>),
}

/// A named array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Its name within the part.
    pub name: String,
    /// Its extents; their product is the number of entries.
    pub shape: Vec<usize>,
    /// Its entries.
    pub data: Data,
}

/// A header and named arrays.
///
/// `kind` says what it is (`lmm.sums`), `version` the version of that layout. Crate `ferrocyte-io` writes parts as
/// `.npz` files, which numpy opens too.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// What is stored: `lmm.sums`, `lmm.fit`.
    pub kind: String,
    /// Version of the layout of this kind.
    pub version: i64,
    /// Everything that is not an array.
    pub header: Value,
    /// The arrays, in order.
    pub arrays: Vec<Array>,
}

impl Part {
    /// A part without arrays.
    pub fn new(kind: impl Into<String>, version: i64, header: Value) -> Self {
        Self { kind: kind.into(), version, header, arrays: Vec::new() }
    }

    /// Adds an array of real numbers.
    pub fn push_f64(&mut self, name: impl Into<String>, shape: &[usize], data: Vec<f64>) {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        self.arrays.push(Array { name: name.into(), shape: shape.to_vec(), data: Data::F64(data) });
    }

    /// Adds an array of whole numbers.
    pub fn push_i64(&mut self, name: impl Into<String>, shape: &[usize], data: Vec<i64>) {
        debug_assert_eq!(shape.iter().product::<usize>(), data.len());
        self.arrays.push(Array { name: name.into(), shape: shape.to_vec(), data: Data::I64(data) });
    }

    /// Fails unless this is a part of the given kind and of a version up to the given one.
    pub fn expect(&self, kind: &str, version: i64) -> Result<()> {
        if self.kind != kind {
            return Err(Fault::bad_input(format!("expected a part of kind `{kind}`, found `{}`", self.kind)));
        }
        if self.version > version {
            return Err(Fault::unsupported(format!(
                "layout {} of `{kind}` is newer than this version of ferrocyte, which knows {version}",
                self.version
            ))
            .hint("update ferrocyte"));
        }
        Ok(())
    }

    /// The real numbers of an array, after checking its shape.
    pub fn f64(&self, name: &str, shape: &[usize]) -> Result<&[f64]> {
        match &self.array(name, shape)?.data {
            Data::F64(v) => Ok(v),
            Data::I64(_) => Err(self.broken(format!("array `{name}` holds whole numbers, expected real numbers"))),
        }
    }

    /// The whole numbers of an array, after checking its shape.
    pub fn i64(&self, name: &str, shape: &[usize]) -> Result<&[i64]> {
        match &self.array(name, shape)?.data {
            Data::I64(v) => Ok(v),
            Data::F64(_) => Err(self.broken(format!("array `{name}` holds real numbers, expected whole numbers"))),
        }
    }

    /// A text of the header.
    pub fn text(&self, key: &str) -> Result<&str> {
        self.header
            .get(key)
            .and_then(Value::as_str)
            .ok_or_else(|| self.broken(format!("the header lacks the text `{key}`")))
    }

    /// A list of texts of the header.
    pub fn texts(&self, key: &str) -> Result<Vec<String>> {
        self.header
            .get(key)
            .and_then(Value::as_texts)
            .ok_or_else(|| self.broken(format!("the header lacks the texts `{key}`")))
    }

    /// A whole number of the header.
    pub fn int(&self, key: &str) -> Result<i64> {
        self.header
            .get(key)
            .and_then(Value::as_i64)
            .ok_or_else(|| self.broken(format!("the header lacks the number `{key}`")))
    }

    fn array(&self, name: &str, shape: &[usize]) -> Result<&Array> {
        let array = self
            .arrays
            .iter()
            .find(|a| a.name == name)
            .ok_or_else(|| self.broken(format!("array `{name}` is absent")))?;
        if array.shape != shape {
            return Err(self.broken(format!("array `{name}` has shape {:?}, expected {shape:?}", array.shape)));
        }
        Ok(array)
    }

    fn broken(&self, message: String) -> Fault {
        Fault::bad_file(message)
            .at(format!("part of kind `{}`", self.kind))
            .hint("the file is damaged or was not written by ferrocyte")
    }
}
