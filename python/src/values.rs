//! Plain data, tables and arrays on their way out.

use ferrocyte_base::{Cells, Table, Value};
use numpy::{IntoPyArray, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Plain data as `dict`, `list`, `str`, `int`, `float`, `bool` and `None`.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(b) => b.into_pyobject(py)?.to_owned().into_any(),
        Value::Int(i) => i.into_pyobject(py)?.into_any(),
        Value::Float(x) => x.into_pyobject(py)?.into_any(),
        Value::Text(text) => text.into_pyobject(py)?.into_any(),
        Value::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Map(pairs) => {
            let map = PyDict::new(py);
            for (key, item) in pairs {
                map.set_item(key, to_python(py, item)?)?;
            }
            map.into_any()
        }
    })
}

/// A table as `{"name", "columns": {name: cells}, "units": {..}, "meanings": {..}}`; cells are numpy arrays, lists of
/// texts, or `(codes, levels)`. Numbers move, nothing is copied.
pub(crate) fn table(py: Python<'_>, table: Table) -> PyResult<Bound<'_, PyDict>> {
    let (columns, units, meanings) = (PyDict::new(py), PyDict::new(py), PyDict::new(py));
    let out = PyDict::new(py);
    out.set_item("name", table.name())?;
    for column in table.columns().iter().cloned() {
        units.set_item(&column.name, column.unit)?;
        meanings.set_item(&column.name, column.meaning)?;
        let cells = match column.cells {
            Cells::Text(texts) => PyList::new(py, texts)?.into_any(),
            Cells::Float(numbers) => numbers.into_pyarray(py).into_any(),
            Cells::Int(numbers) => numbers.into_pyarray(py).into_any(),
            Cells::Bool(truths) => truths.into_pyarray(py).into_any(),
            Cells::Level { codes, levels } => {
                // A missing level is u32::MAX here and -1 in pandas: the same bits.
                let codes: Vec<i32> = codes.into_iter().map(|code| code as i32).collect();
                (codes.into_pyarray(py), levels).into_pyobject(py)?.into_any()
            }
        };
        columns.set_item(column.name, cells)?;
    }
    out.set_item("columns", columns)?;
    out.set_item("units", units)?;
    out.set_item("meanings", meanings)?;
    Ok(out)
}

/// Numbers as an array of rows × columns.
pub(crate) fn matrix(
    py: Python<'_>,
    rows: usize,
    columns: usize,
    numbers: Vec<f64>,
) -> PyResult<Bound<'_, PyArray2<f64>>> {
    numbers.into_pyarray(py).reshape([rows, columns])
}
