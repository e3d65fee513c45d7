//! Columns of cells on their way in.

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Factor, Frame, ObsColumn};
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;

/// A column as the package hands it over: numbers, or codes into levels (-1 where there is none), never texts per cell.
#[derive(FromPyObject)]
enum Handed<'py> {
    Level(PyReadonlyArray1<'py, i32>, Vec<String>),
    Number(PyReadonlyArray1<'py, f64>),
}

impl Handed<'_> {
    fn column(&self) -> Result<ObsColumn> {
        match self {
            Self::Number(numbers) => Ok(ObsColumn::Number(numbers.as_array().to_vec())),
            Self::Level(codes, levels) => {
                let n = levels.len() as i64;
                let codes = codes.as_array();
                if let Some(code) = codes.iter().find(|&&code| i64::from(code) >= n || code < -1) {
                    return Err(Fault::bad_input(format!("code {code}, but there are {n} levels")));
                }
                // -1 is u32::MAX, which means missing.
                Ok(ObsColumn::Factor(Factor {
                    levels: levels.clone(),
                    codes: codes.iter().map(|&code| code as u32).collect(),
                }))
            }
        }
    }
}

/// The columns of a `dict` as a frame of `n_rows` cells.
pub(crate) fn frame(py: Python<'_>, n_rows: usize, columns: &Bound<'_, PyDict>) -> PyResult<Frame> {
    let mut frame = Frame::new(n_rows);
    for (name, cells) in columns {
        let name: String = name.extract()?;
        let handed: Handed<'_> = cells.extract()?;
        let column = handed.column().map_err(|fault| fault.at(format!("obs column `{name}`"))).or_raise(py)?;
        frame.insert(name, column).or_raise(py)?;
    }
    Ok(frame)
}
