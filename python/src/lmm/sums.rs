//! The additive sums: made of cells or of arrays, kept, merged.

use std::path::Path;
use std::sync::Arc;

use ferrocyte_base::{Fault, Result};
use ferrocyte_data::{Additive, LOGNORM_TARGET, RowChunks, Transform, guard_counts};
use ferrocyte_design::{Coefficients, Model};
use ferrocyte_io::{part_from_bytes, part_to_bytes, read_part, write_part};
use ferrocyte_math::linalg::Matrix as Square;
use ferrocyte_mixed::lmm::{
    self, AliasedChoice, CellName, CheckOptions, Component, GeneMask, GroupSums, NaChoice, SumsOptions,
};
use numpy::{IntoPyArray, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::numbers;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::obs::frame;
use crate::sources::{Held, Matrix};
use crate::values::{matrix, table, to_python};

/// A transform from its word, `lognorm` with its target.
fn transform_of(word: &str, target: Option<f64>) -> Result<Transform> {
    match (Transform::from_word(word)?, target) {
        (Transform::LogNorm { .. }, target) => {
            let target = target.unwrap_or(LOGNORM_TARGET);
            if target > 0.0 && target.is_finite() {
                Ok(Transform::LogNorm { target })
            } else {
                Err(Fault::bad_input(format!("the target must be above zero and finite, found {target}"))
                    .at("target_sum"))
            }
        }
        (_, Some(_)) => {
            Err(Fault::bad_input(format!("`{word}` has no target")).at("target_sum").hint("use transform=\"lognorm\""))
        }
        (transform, None) => Ok(transform),
    }
}

/// What the sums are made of: `ferrocyte.lmm._sums.Request`.
#[derive(FromPyObject)]
pub(crate) struct Request {
    formula: String,
    random: Vec<String>,
    groups: Option<String>,
    transform: String,
    target_sum: Option<f64>,
    aliased: String,
    na: String,
    mask: Option<(Vec<bool>, String)>,
    trust_values: bool,
    rows: Option<(usize, usize)>,
    fingerprint: String,
}

/// The additive sums of a study.
#[pyclass(frozen, module = "ferrocyte._core")]
pub(crate) struct Sums(pub(super) lmm::Sums);

/// One pass over the cells. `alternatives` are matrices that may hold counts where `source` does not.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call of the package with everything that it knows")]
pub(crate) fn lmm_sums<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    alternatives: Vec<Matrix<'py>>,
    genes: Vec<String>,
    n_cells: usize,
    obs: &Bound<'py, PyDict>,
    cell_name: Py<PyAny>,
    request: Request,
    means: Means,
) -> PyResult<Sums> {
    let model = Model::parse(&request.formula, &request.random).or_raise(py)?;
    let transform = transform_of(&request.transform, request.target_sum).or_raise(py)?;
    let aliased = AliasedChoice::from_word(&request.aliased).or_raise(py)?;
    let na = NaChoice::from_word(&request.na).or_raise(py)?;
    let obs = frame(py, n_cells, obs)?;
    let source = Held::new(source)?;
    let alternatives = alternatives.into_iter().map(Held::new).collect::<PyResult<Vec<_>>>()?;
    let mut opened = source.open(py).or_raise(py)?;
    // An alternative that cannot be read is none.
    let mut others: Vec<Box<dyn RowChunks + '_>> = alternatives.iter().filter_map(|held| held.open(py).ok()).collect();
    let name_of: CellName = Arc::new(move |cell| name_of_cell(&cell_name, cell));
    let sums = attended(py, &means, |run| {
        if transform.wants_counts() && !request.trust_values {
            guard_counts(run, &mut opened, &genes, &*name_of, &mut others)?;
        }
        let options = SumsOptions {
            groups: request.groups.clone(),
            transform: Some(transform),
            aliased: Some(aliased),
            na: Some(na),
            mask: request.mask.clone().map(|(kept, name)| GeneMask { kept, name }),
            trust_values: request.trust_values,
            rows: request.rows.map(|(start, stop)| start..stop),
            cell_name: Some(name_of),
            fingerprint: request.fingerprint.clone(),
        };
        lmm::sums(run, &mut opened, &genes, &obs, &model, &options)
    })?;
    Ok(Sums(sums))
}

/// A look at a design without counts: the tables of terms and of coefficients, and what is worth knowing besides.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call of the package with everything that it knows")]
pub(crate) fn lmm_check<'py>(
    py: Python<'py>,
    n_cells: usize,
    obs: &Bound<'py, PyDict>,
    formula: &str,
    random: Vec<String>,
    groups: Option<String>,
    na: &str,
    means: Means,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>, Vec<String>)> {
    let model = Model::parse(formula, &random).or_raise(py)?;
    let options = CheckOptions { groups, na: Some(NaChoice::from_word(na).or_raise(py)?) };
    let obs = frame(py, n_cells, obs)?;
    let found = attended(py, &means, |run| lmm::check(run, &obs, &model, &options))?;
    Ok((table(py, found.terms)?, table(py, found.coefficients)?, found.warnings))
}

/// The name of a cell, asked of Python when a message needs it.
fn name_of_cell(names: &Py<PyAny>, cell: usize) -> String {
    Python::attach(|py| names.call1(py, (cell,)).and_then(|name| name.extract(py)))
        .unwrap_or_else(|_: PyErr| cell.to_string())
}

/// Sums that were made elsewhere. `xy` is genes × p, `zy` genes × q, `components` a list of names and columns.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arrays of the sums, by the names of the literature")]
pub(crate) fn lmm_sums_from_arrays(
    py: Python<'_>,
    genes: Vec<String>,
    coefficients: Vec<String>,
    components: Vec<(String, Vec<String>)>,
    n: u64,
    xx: PyReadonlyArray2<'_, f64>,
    zx: PyReadonlyArray2<'_, f64>,
    zz: PyReadonlyArray2<'_, f64>,
    xy: PyReadonlyArray2<'_, f64>,
    zy: PyReadonlyArray2<'_, f64>,
    y_norm: PyReadonlyArray1<'_, f64>,
    transform: &str,
) -> PyResult<Sums> {
    let square = |array: &PyReadonlyArray2<'_, f64>, name: &str, rows: usize, columns: usize| {
        let (entries, found_rows, found_columns) = numbers(array);
        if (found_rows, found_columns) == (rows, columns) {
            Ok(Square::from_rows(rows, columns, entries))
        } else {
            Err(Fault::bad_input(format!("{found_rows} x {found_columns} numbers, expected {rows} x {columns}"))
                .at(name))
        }
    };
    let make = || {
        let (p, q) = (coefficients.len(), components.iter().map(|(_, columns)| columns.len()).sum::<usize>());
        let components = components
            .iter()
            .map(|(name, columns)| Component { name: name.clone(), columns: columns.clone() })
            .collect();
        let mut group = GroupSums::empty("", Coefficients::from_names(&coefficients)?, components, genes.len());
        group.n_cells = n;
        group.xx = square(&xx, "XX", p, p)?;
        group.zx = square(&zx, "ZX", q, p)?;
        group.zz = square(&zz, "ZZ", q, q)?;
        group.xy = square(&xy, "XY", genes.len(), p)?.into_entries();
        group.zy = square(&zy, "ZY", genes.len(), q)?.into_entries();
        group.y_norm = y_norm.as_array().to_vec();
        // Left empty to be derived.
        group.y_sum = Vec::new();
        group.n_expressing = Vec::new();
        lmm::Sums::from_arrays(genes.clone(), transform_of(transform, None)?, group)
    };
    make().or_raise(py).map(Sums)
}

#[pymethods]
impl Sums {
    /// Back from `to_bytes`.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        lmm::Sums::from_part(&part_from_bytes(bytes).or_raise(py)?).or_raise(py).map(Self)
    }

    /// Reads a part file.
    #[staticmethod]
    fn load(py: Python<'_>, path: &str) -> PyResult<Self> {
        py.detach(|| lmm::Sums::from_part(&read_part(Path::new(path))?).map_err(|f| f.at(path))).or_raise(py).map(Self)
    }

    /// The bytes of the part file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &part_to_bytes(&self.0.to_part()).or_raise(py)?))
    }

    /// Writes a part file.
    fn save(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        py.detach(|| write_part(Path::new(path), &self.0.to_part())).or_raise(py)
    }

    /// The sum of these and others, added in the order given.
    fn merge(&self, py: Python<'_>, others: Vec<Py<Sums>>) -> PyResult<Self> {
        let mut total = self.0.clone();
        for other in &others {
            total.merge(&other.get().0).or_raise(py)?;
        }
        Ok(Self(total))
    }

    /// How many cells and units stand behind each coefficient, as a table.
    fn support<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        table(py, self.0.support())
    }

    /// Names, sizes and options, as plain data.
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0.to_part().header)
    }

    #[getter]
    fn genes(&self) -> Vec<String> {
        self.0.genes.clone()
    }

    #[getter]
    fn n_genes(&self) -> usize {
        self.0.n_genes()
    }

    #[getter]
    fn n_cells(&self) -> u64 {
        self.0.n_cells()
    }

    #[getter]
    fn n_groups(&self) -> usize {
        self.0.groups.len()
    }

    /// The arrays of a group, by the names of the literature: XX, ZX, ZZ; XY and ZY genes × columns; Ynorm.
    fn arrays<'py>(&self, py: Python<'py>, group: usize) -> PyResult<Bound<'py, PyDict>> {
        let out = PyDict::new(py);
        let Some(sums) = self.0.groups.get(group) else {
            return Err(Fault::missing(format!("there is no group {group}"))).or_raise(py);
        };
        let (p, q, m) = (sums.n_fixed(), sums.n_random(), self.0.n_genes());
        out.set_item("XX", matrix(py, p, p, sums.xx.entries().to_vec())?)?;
        out.set_item("ZX", matrix(py, q, p, sums.zx.entries().to_vec())?)?;
        out.set_item("ZZ", matrix(py, q, q, sums.zz.entries().to_vec())?)?;
        out.set_item("XY", matrix(py, m, p, sums.xy.clone())?)?;
        out.set_item("ZY", matrix(py, m, q, sums.zy.clone())?)?;
        out.set_item("Ynorm", sums.y_norm.clone().into_pyarray(py))?;
        Ok(out)
    }
}
