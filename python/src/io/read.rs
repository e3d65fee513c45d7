//! All of a file on its way to Python: items as tuples that begin with a word for what they are.
//!
//! | item | tuple |
//! | --- | --- |
//! | nothing | `("null",)` |
//! | single value | `("scalar", entries)` |
//! | array | `("array", shape, entries)` |
//! | column | `("column", column)` |
//! | sparse matrix | `("sparse", "csr" or "csc", shape, data, indices, indptr)` |
//! | data frame | `("frame", frame)`, where a frame is `(index name, index, [(name, column)])` |
//! | records | `("records", n, [(name, shape, entries)])` |
//! | named items | `("dict", [(name, item)])` |
//! | not read | `("opaque", encoding, why)` |
//!
//! Entries are a numpy array, a list of texts, or `(texts, width)`. A column is `("numbers", array)`,
//! `("nullable", array, missing)`, `("texts", list, None or "NaN" or "NA")` or
//! `("categorical", codes, column of levels, ordered)`. Numbers move into numpy, nothing is copied.

use ferrocyte_io::{
    AnnDataTree, ColumnData, Entries, FrameData, H5ad, H5mu, Item, Items, Kind, MuDataTree, NaValue, Numbers,
};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

/// The word for what a path holds.
#[pyfunction]
pub(crate) fn io_kind(py: Python<'_>, path: &str) -> PyResult<&'static str> {
    py.detach(|| Kind::of(path)).or_raise(py).map(Kind::word)
}

/// All of an .h5ad file, or of a modality of an .h5mu file.
#[pyfunction]
pub(crate) fn io_anndata<'py>(
    py: Python<'py>,
    path: &str,
    modality: Option<&str>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let read = attended(py, &means, |run| match modality {
        Some(name) => H5mu::open(path)?.modality(name)?.tree(run),
        None => H5ad::open(path)?.tree(run),
    })?;
    anndata(py, read)
}

/// All of an .h5mu file.
#[pyfunction]
pub(crate) fn io_mudata<'py>(py: Python<'py>, path: &str, means: Means) -> PyResult<Bound<'py, PyDict>> {
    let read = attended(py, &means, |run| H5mu::open(path)?.tree(run))?;
    mudata(py, read)
}

/// An annotated matrix as a dict of its parts.
pub(crate) fn anndata(py: Python<'_>, tree: AnnDataTree) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("X", tree.x.map(|x| item(py, x)).transpose()?)?;
    out.set_item("obs", frame(py, tree.obs)?)?;
    out.set_item("var", frame(py, tree.var)?)?;
    for (name, items) in [
        ("layers", tree.layers),
        ("obsm", tree.obsm),
        ("varm", tree.varm),
        ("obsp", tree.obsp),
        ("varp", tree.varp),
        ("uns", tree.uns),
    ] {
        out.set_item(name, named(py, items)?)?;
    }
    let raw = tree.raw.map(|raw| -> PyResult<_> { Ok((item(py, raw.x)?, frame(py, raw.var)?, named(py, raw.varm)?)) });
    out.set_item("raw", raw.transpose()?)?;
    Ok(out)
}

fn mudata(py: Python<'_>, tree: MuDataTree) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("axis", tree.axis)?;
    let mods = PyDict::new(py);
    for (name, modality) in tree.mods {
        mods.set_item(name, anndata(py, modality)?)?;
    }
    out.set_item("mods", mods)?;
    out.set_item("obs", frame(py, tree.obs)?)?;
    out.set_item("var", frame(py, tree.var)?)?;
    for (name, items) in [
        ("obsm", tree.obsm),
        ("varm", tree.varm),
        ("obsp", tree.obsp),
        ("varp", tree.varp),
        ("obsmap", tree.obsmap),
        ("varmap", tree.varmap),
        ("uns", tree.uns),
    ] {
        out.set_item(name, named(py, items)?)?;
    }
    Ok(out)
}

fn named(py: Python<'_>, items: Items) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for (name, inner) in items {
        list.append((name, item(py, inner)?))?;
    }
    Ok(list)
}

fn item(py: Python<'_>, item: Item) -> PyResult<Bound<'_, PyTuple>> {
    match item {
        Item::Null => ("null",).into_pyobject(py),
        Item::Scalar(value) => ("scalar", entries(py, value)?).into_pyobject(py),
        Item::Array(array) => ("array", PyTuple::new(py, array.shape)?, entries(py, array.cells)?).into_pyobject(py),
        Item::Column(inner) => ("column", column(py, inner)?).into_pyobject(py),
        Item::Sparse(matrix) => {
            let arrays = (numbers(py, matrix.data), numbers(py, matrix.indices), numbers(py, matrix.indptr));
            ("sparse", matrix.kind.word(), matrix.shape, arrays.0, arrays.1, arrays.2).into_pyobject(py)
        }
        Item::Frame(inner) => ("frame", frame(py, inner)?).into_pyobject(py),
        Item::Records(records) => {
            let fields = PyList::empty(py);
            for (name, field) in records.fields {
                fields.append((name, PyTuple::new(py, field.shape)?, entries(py, field.cells)?))?;
            }
            ("records", records.n_rows, fields).into_pyobject(py)
        }
        Item::Dict(items) => ("dict", named(py, items)?).into_pyobject(py),
        Item::Opaque { encoding, why } => ("opaque", encoding, why).into_pyobject(py),
    }
}

fn frame(py: Python<'_>, frame: FrameData) -> PyResult<Bound<'_, PyTuple>> {
    let columns = PyList::empty(py);
    for (name, inner) in frame.columns {
        columns.append((name, column(py, inner)?))?;
    }
    (frame.index_name, column(py, frame.index)?, columns).into_pyobject(py)
}

fn column(py: Python<'_>, data: ColumnData) -> PyResult<Bound<'_, PyTuple>> {
    match data {
        ColumnData::Numbers(values) => ("numbers", numbers(py, values)).into_pyobject(py),
        ColumnData::NullableNumbers { values, missing } => {
            ("nullable", numbers(py, values), missing.into_pyarray(py)).into_pyobject(py)
        }
        ColumnData::Texts { values, na } => {
            let na = na.map(|na| if na == NaValue::Nan { "NaN" } else { "NA" });
            ("texts", PyList::new(py, values)?, na).into_pyobject(py)
        }
        ColumnData::Categorical { codes, levels, ordered } => {
            // A missing level is u32::MAX here and -1 in pandas: the same bits.
            let codes: Vec<i32> = codes.into_iter().map(|code| code as i32).collect();
            ("categorical", codes.into_pyarray(py), column(py, *levels)?, ordered).into_pyobject(py)
        }
    }
}

fn entries(py: Python<'_>, entries: Entries) -> PyResult<Bound<'_, PyAny>> {
    Ok(match entries {
        Entries::Numbers(values) => numbers(py, values),
        Entries::Texts(texts) => PyList::new(py, texts)?.into_any(),
        Entries::Fixed { texts, width } => (PyList::new(py, texts)?, width).into_pyobject(py)?.into_any(),
    })
}

fn numbers(py: Python<'_>, numbers: Numbers) -> Bound<'_, PyAny> {
    fn array<T: numpy::Element>(py: Python<'_>, values: Vec<T>) -> Bound<'_, PyAny> {
        PyArray1::from_vec(py, values).into_any()
    }
    match numbers {
        Numbers::Bool(v) => array(py, v),
        Numbers::I8(v) => array(py, v),
        Numbers::I16(v) => array(py, v),
        Numbers::I32(v) => array(py, v),
        Numbers::I64(v) => array(py, v),
        Numbers::U8(v) => array(py, v),
        Numbers::U16(v) => array(py, v),
        Numbers::U32(v) => array(py, v),
        Numbers::U64(v) => array(py, v),
        Numbers::F32(v) => array(py, v),
        Numbers::F64(v) => array(py, v),
    }
}
