//! Compressed sparse matrices in a file: what they say of themselves, and whether their arrays fit together.

use ferrocyte_base::{Fault, Result};

use crate::element::Sparse;
use crate::element::columns::encoding;
use crate::h5ad::matrix::MatrixKind;
use crate::store::{Attr, Node, Numbers, Store};

/// Layout and extents of a sparse matrix, as its attributes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: MatrixKind,
    pub(crate) shape: (usize, usize),
}

impl Header {
    /// The header of the group at a path; `None` if it is no sparse matrix of a kind that is read.
    pub(crate) fn of(store: &dyn Store, path: &str) -> Result<Option<Self>> {
        if store.node(path)? != Some(Node::Group) {
            return Ok(None);
        }
        let (word, extents) = match encoding(store, path)? {
            Some((kind, version)) if version == "0.1.0" => match kind.strip_suffix("_matrix") {
                Some(word) => (word.to_owned(), "shape"),
                None => return Ok(None),
            },
            Some(_) => return Ok(None),
            // anndata before 0.7.
            None => match store.attr(path, "h5sparse_format")? {
                Some(Attr::Text(word)) => (word, "h5sparse_shape"),
                _ => return Ok(None),
            },
        };
        let kind = match word.as_str() {
            "csr" => MatrixKind::Csr,
            "csc" => MatrixKind::Csc,
            _ => return Ok(None),
        };
        let shape = match store.attr(path, extents)? {
            Some(Attr::Numbers(shape)) => shape.into_sizes().ok(),
            _ => None,
        };
        match shape.as_deref() {
            Some(&[n_rows, n_cols]) => Ok(Some(Self { kind, shape: (n_rows, n_cols) })),
            _ => Err(Fault::bad_file(format!("attribute `{extents}` with rows and columns is absent"))
                .at(path)
                .at(store.place())),
        }
    }

    /// How many rows (of CSR; columns of CSC) are compressed, what one is called, and how many places each has.
    pub(crate) fn major(&self) -> (usize, &'static str, usize) {
        let (n_rows, n_cols) = self.shape;
        if self.kind == MatrixKind::Csc { (n_cols, "column", n_rows) } else { (n_rows, "row", n_cols) }
    }

    /// The matrix of these arrays, if they fit together: pointers that rise from zero to the number of values, and
    /// indices in range.
    pub(crate) fn checked(self, data: Numbers, indices: Numbers, indptr: Numbers) -> Result<Sparse> {
        let damaged = |message: String| Fault::bad_file(message).hint("the file is damaged");
        let (n_major, major, n_minor) = self.major();
        let stored = data.len();
        if indices.len() != stored {
            return Err(damaged(format!("{stored} values in `data`, but {} in `indices`", indices.len())));
        }
        if n_major.checked_add(1) != Some(indptr.len()) {
            return Err(damaged(format!(
                "`indptr` has {} entries, expected {n_major} + 1, one more than {major}s",
                indptr.len()
            )));
        }
        if let Some(at) = indptr.first_fall() {
            return Err(damaged("its pointers fall".to_owned()).at(format!("{major} {at}")));
        }
        let ends = [0, n_major].map(|at| indptr.slice(at..at + 1).into_sizes().map(|end| end[0]));
        if ends != [Ok(0), Ok(stored)] {
            let words = ends.map(|end| end.map_or_else(|bad| bad.value, |end| end.to_string()));
            let message = format!("`indptr` runs from {} to {}, but {stored} values are stored", words[0], words[1]);
            return Err(damaged(message));
        }
        if let Some(bad) = indices.first_outside(n_minor) {
            let other = if major == "row" { "column" } else { "row" };
            let message = format!("{other} index {}, but there are {n_minor} {other}s", bad.value);
            return Err(damaged(message).at(format!("value {}", bad.position)));
        }
        Ok(Sparse {
            kind: self.kind,
            shape: self.shape,
            data,
            indices: indices.into_signed(),
            indptr: indptr.into_signed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(indices: Numbers, indptr: Numbers) -> Result<Sparse> {
        let header = Header { kind: MatrixKind::Csr, shape: (2, 3) };
        header.checked(Numbers::U8(vec![1, 2, 3]), indices, indptr)
    }

    #[test]
    fn arrays_that_fit_are_kept_as_they_are() {
        let unsorted = Numbers::I64(vec![2, 0, 0]);
        let matrix = checked(unsorted.clone(), Numbers::I32(vec![0, 2, 3]));
        assert!(matrix.is_ok_and(|m| m.indices == unsorted && m.data == Numbers::U8(vec![1, 2, 3])));
        let narrow = checked(Numbers::U16(vec![2, 0, 0]), Numbers::U64(vec![0, 2, 3]));
        assert!(
            narrow.is_ok_and(|m| m.indices == Numbers::I32(vec![2, 0, 0]) && m.indptr == Numbers::I64(vec![0, 2, 3]))
        );
    }

    #[test]
    fn arrays_that_do_not_fit_are_told() {
        let good = || Numbers::I32(vec![0, 1, 2]);
        for (indices, indptr, words) in [
            (Numbers::I32(vec![0, 3, 1]), Numbers::I32(vec![0, 2, 3]), "value 1: column index 3, but there are 3"),
            (Numbers::I32(vec![0, -1, 1]), Numbers::I32(vec![0, 2, 3]), "column index -1"),
            (Numbers::F32(vec![0.0, 1.0, 1.0]), Numbers::I32(vec![0, 2, 3]), "column index a float32"),
            (Numbers::I32(vec![0]), Numbers::I32(vec![0, 2, 3]), "3 values in `data`, but 1"),
            (good(), Numbers::I32(vec![0, 3]), "2 entries, expected 2 + 1"),
            (good(), Numbers::I32(vec![0, 4, 3]), "row 1: its pointers fall"),
            (good(), Numbers::I32(vec![0, 2, 2]), "runs from 0 to 2, but 3 values"),
            (good(), Numbers::I32(vec![-1, 2, 3]), "runs from -1 to 3"),
        ] {
            let fault = checked(indices, indptr).err().map(|f| f.to_string()).unwrap_or_default();
            assert!(fault.contains(words), "`{words}` is not in: {fault}");
        }
    }
}
