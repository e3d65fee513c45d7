//! Matrices, designs and weights on their way in.

use ferrocyte_base::Result;
use ferrocyte_limma::{DesignMatrix, Expression, Weights};
use ferrocyte_math::linalg::{Matrix, MatrixRef};
use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// A matrix of float64, rows contiguous, borrowed from numpy.
pub(crate) struct Grid<'py>(PyReadonlyArray2<'py, f64>);

impl<'py> FromPyObject<'_, 'py> for Grid<'py> {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let array: PyReadonlyArray2<'py, f64> = object.extract()?;
        if array.is_c_contiguous() {
            Ok(Self(array))
        } else {
            Err(PyTypeError::new_err("expected a float64 matrix whose rows are contiguous"))
        }
    }
}

impl Grid<'_> {
    /// The matrix.
    pub(crate) fn view(&self) -> PyResult<MatrixRef<'_>> {
        let shape = self.0.shape();
        Ok(MatrixRef::from_rows(shape[0], shape[1], self.0.as_slice()?))
    }

    /// A copy of the matrix.
    pub(crate) fn owned(&self) -> PyResult<Matrix> {
        let view = self.view()?;
        Ok(Matrix::from_rows(view.n_rows(), view.n_cols(), view.entries().to_vec()))
    }
}

/// Genes × samples with their names: `(values, genes, samples)`; lists may be empty.
#[derive(FromPyObject)]
pub(crate) struct Values<'py>(Grid<'py>, Vec<String>, Vec<String>);

impl Values<'_> {
    /// Number of genes.
    pub(crate) fn n_genes(&self) -> PyResult<usize> {
        Ok(self.0.view()?.n_rows())
    }

    /// The matrix and its names.
    pub(crate) fn expression(&self) -> PyResult<Result<Expression<'_>>> {
        Ok(Expression::new(self.0.view()?, &self.1, &self.2))
    }
}

/// A design: `(matrix, names of columns, names of rows)`; the last may be empty.
#[derive(FromPyObject)]
pub(crate) struct Design<'py>(Grid<'py>, Vec<String>, Vec<String>);

impl Design<'_> {
    /// The design, checked.
    pub(crate) fn design(&self) -> PyResult<Result<DesignMatrix>> {
        Ok(DesignMatrix::new(self.0.owned()?, self.1.clone(), self.2.clone()))
    }
}

/// Weights: `("samples", vector)`, `("genes", vector)`, `("values", matrix)`, or `None`.
pub(crate) enum Weighing<'py> {
    Samples(PyReadonlyArray1<'py, f64>),
    Genes(PyReadonlyArray1<'py, f64>),
    Values(Grid<'py>),
}

impl<'py> FromPyObject<'_, 'py> for Weighing<'py> {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let weights = object.get_item(1)?;
        match object.get_item(0)?.extract::<&str>()? {
            "samples" => Ok(Self::Samples(weights.extract()?)),
            "genes" => Ok(Self::Genes(weights.extract()?)),
            _ => Ok(Self::Values(weights.extract()?)),
        }
    }
}

/// The weights of an optional argument.
pub(crate) fn weights<'a>(given: Option<&'a Weighing<'_>>) -> PyResult<Weights<'a>> {
    Ok(match given {
        None => Weights::None,
        Some(Weighing::Samples(w)) => Weights::Samples(w.as_slice()?),
        Some(Weighing::Genes(w)) => Weights::Genes(w.as_slice()?),
        Some(Weighing::Values(w)) => Weights::Values(w.view()?),
    })
}
