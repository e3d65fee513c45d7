//! Labels and names of cells on their way in and out.

use ferrocyte_base::{Fault, Result};
use ferrocyte_cells::Names;
use ferrocyte_data::Factor;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

/// Codes into levels, -1 where there is none.
#[derive(FromPyObject)]
pub(crate) struct Labels<'py>(PyReadonlyArray1<'py, i32>, Vec<String>);

impl Labels<'_> {
    pub(super) fn factor(&self) -> Result<Factor> {
        let n = self.1.len() as i64;
        let codes = self.0.as_array();
        if let Some(code) = codes.iter().find(|&&code| i64::from(code) >= n || code < -1) {
            return Err(Fault::bad_input(format!("code {code}, but there are {n} levels")));
        }
        // -1 is u32::MAX, which means missing.
        Ok(Factor { levels: self.1.clone(), codes: codes.iter().map(|&code| code as u32).collect() })
    }
}

/// Names of cells and of the genes that are used, for messages: `ferrocyte.pp._study.CellsAndGenes`, or any pair of lists.
#[derive(FromPyObject, Default)]
pub(crate) struct NameLists(Vec<String>, Vec<String>);

impl NameLists {
    /// As the crates take them.
    pub(crate) fn names(&self) -> Names<'_> {
        Names { cells: &self.0, genes: &self.1 }
    }
}

/// Codes and levels of a factor.
pub(super) fn factor(py: Python<'_>, factor: Factor) -> (Bound<'_, PyArray1<i32>>, Vec<String>) {
    let codes: Vec<i32> = factor.codes.iter().map(|code| code as i32).collect();
    (codes.into_pyarray(py), factor.levels)
}
