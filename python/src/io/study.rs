//! [`Study`]: a file of any kind, opened once and asked many times; and whole files on their way to `AnnData`.

use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Fault, Run};
use ferrocyte_data::{Join, JoinedColumns, OwnedCsr, RowChunks, Values};
use ferrocyte_io::{
    AnnotatedSource, ColumnKind, ConcatOptions, OpenOptions, VarNames, concat, open_matrix_market, open_study,
    open_table,
};
use ferrocyte_mixed::lmm::GeneMask;
use numpy::IntoPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::simulate::columns;
use crate::sources::{Held, Matrix};

/// How a file is opened: `ferrocyte._opening.Opening`.
#[derive(FromPyObject)]
pub(crate) struct Opening {
    modality: Option<String>,
    genome: Option<String>,
    feature_types: Option<String>,
    var_names: String,
    prefix: Option<String>,
    transpose: bool,
    delimiter: Option<String>,
}

impl Opening {
    fn options(&self) -> ferrocyte_base::Result<OpenOptions> {
        let delimiter = match self.delimiter.as_deref().map(str::as_bytes) {
            None => None,
            Some(&[one]) => Some(one),
            Some(_) => return Err(Fault::bad_input("expected one character of ASCII").at("delimiter")),
        };
        Ok(OpenOptions {
            modality: self.modality.clone(),
            genome: self.genome.clone(),
            feature_type: self.feature_types.clone(),
            var_names: VarNames::from_word(&self.var_names)?,
            prefix: self.prefix.clone(),
            transpose: self.transpose,
            delimiter,
        })
    }
}

/// A study, opened for reading.
#[pyclass(frozen, module = "ferrocyte._core")]
pub(crate) struct Study {
    pub(crate) source: Arc<dyn AnnotatedSource>,
}

/// Shape, names of genes, names of matrices.
type Index = ((usize, usize), Vec<String>, Vec<String>);

#[pymethods]
impl Study {
    /// What kind of file it is.
    #[getter]
    fn format(&self) -> &'static str {
        self.source.format()
    }

    /// Shape and gene names of a matrix, and the names of all matrices.
    fn index(&self, py: Python<'_>, element: &str) -> PyResult<Index> {
        let ask = || {
            let genes = self.source.var_names(element)?;
            Ok(((self.source.n_obs(), genes.len()), genes, self.source.matrices()))
        };
        py.detach(ask).or_raise(py)
    }

    /// What a matrix is: the same text as the program's, so that parts of both can be merged.
    fn fingerprint(&self, element: &str, means: Means, py: Python<'_>) -> PyResult<String> {
        attended(py, &means, |run| self.source.fingerprint(run, element))
    }

    /// The genes that a column of `var` chooses: a truth value for each.
    fn mask(&self, py: Python<'_>, name: &str) -> PyResult<Vec<bool>> {
        let read = || GeneMask::from_column(name, self.source.var(&[name])?.column(name)?);
        Ok(py.detach(read).or_raise(py)?.kept)
    }

    /// The names of the cells.
    fn obs_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.detach(|| self.source.obs_names()).or_raise(py)
    }

    /// Columns of `obs`: numbers, or codes (-1 where missing) and levels. Those of `optional` are given if they exist,
    /// all that are categorical if `all_factors` is true, and all that can be read if `all_columns` is.
    #[pyo3(signature = (names, optional, all_factors = false, all_columns = false))]
    fn obs<'py>(
        &self,
        py: Python<'py>,
        names: Vec<String>,
        optional: Vec<String>,
        all_factors: bool,
        all_columns: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let read = || {
            let mut frame = self.source.obs(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
            let mut more = optional;
            let wanted = |kind: &ColumnKind| match kind {
                ColumnKind::Unreadable(_) => false,
                ColumnKind::Category { .. } => all_factors || all_columns,
                _ => all_columns,
            };
            more.extend(self.source.obs_columns().into_iter().filter(|(_, kind)| wanted(kind)).map(|(name, _)| name));
            let more: Vec<&str> = more.iter().map(String::as_str).filter(|name| frame.get(name).is_none()).collect();
            let others = self.source.obs_if_present(&more)?;
            for name in others.names() {
                if let Some(column) = others.get(name) {
                    frame.insert(name, column.clone())?;
                }
            }
            Ok(frame)
        };
        columns(py, &py.detach(read).or_raise(py)?)
    }

    /// A matrix and all names, in memory: `data`, `indices`, `indptr`, `shape`, `obs_names`, `var_names`, and `var`,
    /// the columns of var as lists of texts. Values are 32-bit floats unless `wide`.
    #[pyo3(signature = (element, means, wide = false))]
    fn whole<'py>(&self, py: Python<'py>, element: &str, means: Means, wide: bool) -> PyResult<Bound<'py, PyDict>> {
        let matrix = attended(py, &means, |run| OwnedCsr::collect(run, &mut *self.source.matrix(element)?))?;
        let out = arrays(py, matrix, wide)?;
        out.set_item("obs_names", self.source.obs_names().or_raise(py)?)?;
        out.set_item("var_names", self.source.var_names(element).or_raise(py)?)?;
        let var = PyDict::new(py);
        for (name, _) in self.source.var_columns() {
            var.set_item(&name, self.source.var_column(&name).or_raise(py)?.to_texts())?;
        }
        out.set_item("var", var)?;
        Ok(out)
    }
}

/// A matrix as scipy's three arrays: 32-bit indices wherever they do.
fn arrays(py: Python<'_>, matrix: OwnedCsr, wide: bool) -> PyResult<Bound<'_, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("shape", (matrix.n_rows(), matrix.n_cols()))?;
    let small = i32::try_from(matrix.indices().len().max(matrix.n_cols())).is_ok();
    let (pointers, indices, values) = matrix.into_parts();
    if small {
        out.set_item("indptr", pointers.into_iter().map(|p| p as i32).collect::<Vec<_>>().into_pyarray(py))?;
        out.set_item("indices", indices.into_iter().map(|i| i as i32).collect::<Vec<_>>().into_pyarray(py))?;
    } else {
        out.set_item("indptr", pointers.into_iter().map(|p| p as i64).collect::<Vec<_>>().into_pyarray(py))?;
        out.set_item("indices", indices.into_iter().map(i64::from).collect::<Vec<_>>().into_pyarray(py))?;
    }
    match (values, wide) {
        (Values::F32(v), false) => out.set_item("data", v.into_owned().into_pyarray(py))?,
        (Values::F64(v), true) => out.set_item("data", v.into_owned().into_pyarray(py))?,
        (Values::F64(v), false) => {
            out.set_item("data", v.iter().map(|&x| x as f32).collect::<Vec<_>>().into_pyarray(py))?;
        }
        (Values::F32(v), true) => {
            out.set_item("data", v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>().into_pyarray(py))?;
        }
    }
    Ok(out)
}

/// Opens a study: of any kind, or as `mtx` or `table`.
#[pyfunction]
pub(crate) fn io_open(py: Python<'_>, path: &str, form: &str, opening: Opening, means: Means) -> PyResult<Study> {
    let options = opening.options().or_raise(py)?;
    let path = Path::new(path);
    let source = attended(py, &means, |run: &Run| match form {
        "mtx" => open_matrix_market(path, options.transpose),
        "table" => open_table(run, path, &options),
        _ => open_study(run, path, &options),
    })?;
    Ok(Study { source })
}

/// Several studies as one.
#[pyfunction]
pub(crate) fn io_concat(
    py: Python<'_>,
    studies: Vec<Py<Study>>,
    join: &str,
    key: Option<String>,
    labels: Option<Vec<String>>,
) -> PyResult<Study> {
    let parts = studies.iter().map(|study| Arc::clone(&study.get().source)).collect();
    let make = || {
        let options = ConcatOptions { join: Join::from_word(join)?, key, labels, ..ConcatOptions::default() };
        concat(parts, options)
    };
    Ok(Study { source: py.detach(make).or_raise(py)? })
}

/// The names of the columns of several matrices, joined: the names, and where each column of each matrix goes (-1:
/// nowhere).
#[pyfunction]
pub(crate) fn io_join(
    py: Python<'_>,
    names: Vec<Vec<String>>,
    labels: Vec<String>,
    join: &str,
) -> PyResult<(Vec<String>, Vec<Vec<i64>>)> {
    let join = || JoinedColumns::of(Join::from_word(join)?, &names, &labels);
    let joined = py.detach(join).or_raise(py)?;
    let places = joined
        .places
        .into_iter()
        .map(|places| places.into_iter().map(|place| if place == u32::MAX { -1 } else { i64::from(place) }).collect());
    Ok((joined.names, places.collect()))
}

/// The rows of several matrices as those of one, in memory: `data`, `indices`, `indptr`, `shape`. `names` are those of
/// the columns of each.
#[pyfunction]
#[pyo3(signature = (matrices, names, labels, join, means, wide = false))]
pub(crate) fn io_stack<'py>(
    py: Python<'py>,
    matrices: Vec<Matrix<'py>>,
    names: Vec<Vec<String>>,
    labels: Vec<String>,
    join: &str,
    means: Means,
    wide: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let held = matrices.into_iter().map(Held::new).collect::<PyResult<Vec<_>>>()?;
    let sources = held.iter().map(|held| held.open(py)).collect::<ferrocyte_base::Result<Vec<_>>>().or_raise(py)?;
    let matrix = attended(py, &means, |run| {
        let columns = JoinedColumns::of(Join::from_word(join)?, &names, &labels)?;
        let mut whole = ferrocyte_data::ConcatRows::new(sources, &columns)?;
        OwnedCsr::collect(run, &mut whole as &mut dyn RowChunks)
    })?;
    arrays(py, matrix, wide)
}
