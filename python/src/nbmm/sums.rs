//! The additive sums of counts: one pass, merging, storing, and the likelihood at given parameters.

use std::borrow::Cow;
use std::path::Path as FilePath;
use std::sync::Arc;

use ferrocyte_base::Fault;
use ferrocyte_data::Additive;
use ferrocyte_design::Model;
use ferrocyte_io::{part_from_bytes, part_to_bytes, read_part, write_part};
use ferrocyte_mixed::lmm::{CellName, GeneMask, PartRows};
use ferrocyte_mixed::nbmm::{self, AliasedChoice, Effect, FitOptions, NaChoice, Offset, Path, SumsOptions};
use numpy::{IntoPyArray, PyArrayMethods, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::obs::frame;
use crate::sources::{Held, Matrix};
use crate::values::{matrix, to_python};

/// What the sums are made of: `ferrocyte.nbmm._sums.Request`.
#[derive(FromPyObject)]
pub(crate) struct Request {
    formula: String,
    random: Vec<String>,
    groups: Option<String>,
    offset: Option<String>,
    path: String,
    nodes: Option<usize>,
    aliased: String,
    na: String,
    mask: Option<(Vec<bool>, String)>,
    rows: Option<(usize, usize)>,
    fingerprint: String,
}

/// The additive sums of a study of counts.
#[pyclass(frozen, module = "ferrocyte._core")]
pub(crate) struct NbSums(pub(super) nbmm::Sums);

/// One pass over the cells, or two where the offset is their total.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call of the package with everything that it knows")]
pub(crate) fn nbmm_sums<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    genes: Vec<String>,
    n_cells: usize,
    obs: &Bound<'py, PyDict>,
    cell_name: Py<PyAny>,
    request: Request,
    means: Means,
) -> PyResult<NbSums> {
    let model = Model::parse(&request.formula, &request.random).or_raise(py)?;
    let obs = frame(py, n_cells, obs)?;
    let source = Held::new(source)?;
    let mut opened = source.open(py).or_raise(py)?;
    let name_of: CellName = Arc::new(move |cell| {
        Python::attach(|py| cell_name.call1(py, (cell,)).and_then(|name| name.extract(py)))
            .unwrap_or_else(|_: PyErr| cell.to_string())
    });
    let options = SumsOptions {
        groups: request.groups.clone(),
        offset: request.offset.clone().map_or(Offset::Total, Offset::Column),
        path: Some(Path::from_word(&request.path).or_raise(py)?),
        nodes: request.nodes,
        aliased: Some(AliasedChoice::from_word(&request.aliased).or_raise(py)?),
        na: Some(NaChoice::from_word(&request.na).or_raise(py)?),
        mask: request.mask.clone().map(|(kept, name)| GeneMask { kept, name }),
        rows: request.rows.map(|(start, stop)| start..stop),
        cell_name: Some(name_of),
        fingerprint: request.fingerprint.clone(),
    };
    attended(py, &means, |run| nbmm::sums(run, &mut opened, &genes, &obs, &model, &options)).map(NbSums)
}

#[pymethods]
impl NbSums {
    /// Back from `to_bytes`.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        nbmm::Sums::from_part(&part_from_bytes(bytes).or_raise(py)?).or_raise(py).map(Self)
    }

    /// Reads a part file.
    #[staticmethod]
    fn load(py: Python<'_>, path: &str) -> PyResult<Self> {
        py.detach(|| nbmm::Sums::from_part(&read_part(FilePath::new(path))?).map_err(|f| f.at(path)))
            .or_raise(py)
            .map(Self)
    }

    /// The bytes of the part file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &part_to_bytes(&self.0.to_part()).or_raise(py)?))
    }

    /// Writes a part file.
    fn save(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        py.detach(|| write_part(FilePath::new(path), &self.0.to_part())).or_raise(py)
    }

    /// The sum of these and others, added in the order of their rows.
    fn merge(&self, py: Python<'_>, others: Vec<Py<NbSums>>) -> PyResult<Self> {
        let parts: Vec<&nbmm::Sums> =
            std::iter::once(&self.0).chain(others.iter().map(|other| &other.get().0)).collect();
        let row =
            |(i, part): (usize, &&nbmm::Sums)| PartRows { place: format!("part {i}"), inputs: part.inputs.clone() };
        let rows: Vec<PartRows> = parts.iter().enumerate().map(row).collect();
        py.detach(|| nbmm::Sums::merge_all(&rows, |i| Ok(Cow::Borrowed(parts[i])))).or_raise(py).map(Self)
    }

    /// The likelihood of genes (positions) at parameters, genes × (p + 2): coefficients, tau, s2. A `dict` of
    /// `log_likelihood`, `gradient` (in coefficients, ln tau, ln s2), `information` (minus second derivatives) and
    /// `effects` (posterior means of the donors).
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        group: usize,
        genes: Vec<usize>,
        parameters: PyReadonlyArray2<'py, f64>,
        re: &str,
        quad: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let options = FitOptions { effect: Effect::from_word(re).or_raise(py)?, ..FitOptions::default() };
        let Some(sums) = self.0.groups.get(group) else {
            return Err(Fault::missing(format!("there is no group {group}"))).or_raise(py);
        };
        let p = sums.n_fixed();
        let view = parameters.as_array();
        if view.ncols() != p + 2 || view.nrows() != genes.len() {
            let message = format!(
                "{} x {} parameters for {} genes and {p} coefficients",
                view.nrows(),
                view.ncols(),
                genes.len()
            );
            return Err(Fault::bad_input(message).at("parameters")).or_raise(py);
        }
        let (mut values, mut gradients, mut informations, mut effects) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (&gene, row) in genes.iter().zip(view.rows()) {
            let row: Vec<f64> = row.to_vec();
            let found = sums.evaluate(gene, (&row[..p], row[p], row[p + 1]), &options, quad).or_raise(py)?;
            values.push(found.log_likelihood);
            gradients.extend(found.gradient);
            informations.extend(found.information);
            effects.extend(found.effects);
        }
        let (m, width) = (genes.len(), p + 2);
        let out = PyDict::new(py);
        out.set_item("log_likelihood", values.into_pyarray(py))?;
        out.set_item("gradient", matrix(py, m, width, gradients)?)?;
        out.set_item("information", informations.into_pyarray(py).reshape([m, width, width])?)?;
        out.set_item("effects", matrix(py, m, sums.donors.len(), effects)?)?;
        Ok(out)
    }

    /// Rows of sources that no part has seen, for people.
    fn missing_rows(&self) -> Vec<String> {
        self.0.missing_rows()
    }

    /// Names, sizes and options, as plain data.
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.0.to_part().header)
    }

    /// A few lines for people.
    fn describe(&self) -> String {
        self.0.describe()
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
}
