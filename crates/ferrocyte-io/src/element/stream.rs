//! [`Item::rows`]: a matrix in memory as a stream of rows.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Csc, Csr, Dense, Index, Number, RowChunks};

use crate::element::{Entries, Item, NdArray, Sparse};
use crate::h5ad::matrix::MatrixKind;
use crate::store::Numbers;

/// Calls `$work` with the vector of some numbers, whatever their type.
macro_rules! of_numbers {
    ($numbers:expr, $v:ident => $work:expr, $($variant:ident),+) => {
        match $numbers {
            $(Numbers::$variant($v) => $work,)+
            other => Err(Fault::unsupported(format!("values of type {} are no numbers", other.dtype().name()))),
        }
    };
}

impl Item {
    /// The rows of an array of two axes or of a sparse matrix; nothing is copied but pointers.
    ///
    /// # Errors
    /// Something else than a matrix of numbers; a sparse matrix whose parts do not fit.
    pub fn rows(&self) -> Result<Box<dyn RowChunks + '_>> {
        match self {
            Self::Array(NdArray { shape, cells: Entries::Numbers(numbers) }) => match shape[..] {
                [n, p] => of_numbers!(
                    numbers,
                    v => Ok(Box::new(Dense::row_major(n, p, v)?) as Box<dyn RowChunks + '_>),
                    I8, I16, I32, I64, U8, U16, U32, U64, F32, F64
                ),
                _ => Err(Fault::bad_input(format!("an array of {} axes is no matrix", shape.len()))),
            },
            Self::Sparse(matrix) => matrix.rows(),
            _ => Err(Fault::bad_input("it is no matrix of numbers")),
        }
    }
}

impl Sparse {
    fn rows(&self) -> Result<Box<dyn RowChunks + '_>> {
        of_numbers!(&self.data, v => self.of_values(v), I8, I16, I32, I64, U8, U16, U32, U64, F32, F64)
    }

    fn of_values<'a, V: Number>(&'a self, values: &'a [V]) -> Result<Box<dyn RowChunks + 'a>> {
        match &self.indices {
            Numbers::I32(indices) => self.of_indices(values, indices),
            Numbers::I64(indices) => self.of_indices(values, indices),
            other => Err(odd(other)),
        }
    }

    fn of_indices<'a, V: Number, I: Index>(
        &'a self,
        values: &'a [V],
        indices: &'a [I],
    ) -> Result<Box<dyn RowChunks + 'a>> {
        match &self.indptr {
            Numbers::I32(pointers) => self.of_pointers(values, indices, pointers),
            Numbers::I64(pointers) => self.of_pointers(values, indices, pointers),
            other => Err(odd(other)),
        }
    }

    fn of_pointers<'a, V: Number, I: Index, P: Index>(
        &'a self,
        values: &'a [V],
        indices: &'a [I],
        pointers: &[P],
    ) -> Result<Box<dyn RowChunks + 'a>> {
        let (n, p) = self.shape;
        Ok(if self.kind == MatrixKind::Csc {
            Box::new(Csc::new(n, p, values, indices, pointers)?)
        } else {
            Box::new(Csr::new(n, p, values, indices, pointers)?)
        })
    }
}

fn odd(numbers: &Numbers) -> Fault {
    Fault::bad_file(format!("indices of type {}", numbers.dtype().name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrocyte_base::Run;

    fn rows(item: &Item) -> Result<Vec<Vec<(usize, f64)>>> {
        let mut source = item.rows()?;
        let n = source.n_rows();
        let block = source.read(&Run::new(), 0..n)?;
        Ok((0..n).map(|i| block.row(i).collect()).collect())
    }

    #[test]
    fn every_kind_of_matrix_has_rows() -> Result<()> {
        let sparse = |kind, indices: Vec<i64>, indptr: Vec<i32>| {
            Item::Sparse(Sparse {
                kind,
                shape: (2, 2),
                data: Numbers::I16(vec![4, 5]),
                indices: Numbers::I64(indices),
                indptr: Numbers::I32(indptr),
            })
        };
        let expected = vec![vec![(1, 4.0)], vec![(0, 5.0)]];
        assert_eq!(rows(&sparse(MatrixKind::Csr, vec![1, 0], vec![0, 1, 2]))?, expected);
        // By columns the first value stands in the second row.
        let turned = vec![vec![(1, 5.0)], vec![(0, 4.0)]];
        assert_eq!(rows(&sparse(MatrixKind::Csc, vec![1, 0], vec![0, 1, 2]))?, turned);
        let dense = Numbers::F32(vec![0.0, 4.0, 5.0, 0.0]);
        assert_eq!(rows(&Item::Array(NdArray { shape: vec![2, 2], cells: Entries::Numbers(dense) }))?, expected);
        assert!(Item::Null.rows().is_err());
        Ok(())
    }
}
