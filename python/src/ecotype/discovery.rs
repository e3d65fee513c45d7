//! Steps of discovery.

use std::path::PathBuf;

use ferrocyte_base::Result;
use ferrocyte_ecotype::discover::{
    Embedding, FoldChanges, FusionOptions, IntegrateOptions, MetacellOptions, Network, Precision, fold_changes, fuse,
    integrate, preprocess, rank_columns, similarity_networks, spatial_metacells,
};
use ferrocyte_math::linalg::Matrix;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::discovery_calls::room;
use super::inputs::{Cells, dense};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::Held;
use crate::values::matrix;

/// Places of the genes and cells that are kept.
#[pyfunction]
pub(crate) fn ecotype_preprocess<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    min_cells: usize,
    min_features: usize,
    means: Means,
) -> PyResult<(Vec<usize>, Vec<usize>)> {
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    attended(py, &means, |run| Ok(preprocess(&named.read(run, &mut *source)?, min_cells, min_features)))
}

/// A `dict` of `names`, `neighbourhood`, `cell_type` and `values` (metacells × genes); `options` is `(k, radius, grid_size,
/// min_cells)`.
#[pyfunction]
pub(crate) fn ecotype_metacells<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    places: (Vec<f64>, Vec<f64>),
    cell_type: Vec<String>,
    options: (usize, f64, f64, usize),
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let (k, radius, grid_size, min_cells) = options;
    let options = MetacellOptions { k, radius, grid_size, min_cells };
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        spatial_metacells(run, &x, (&places.0, &places.1), &cell_type, &options)
    })?;
    let (n, g) = (found.expression.n_cells(), found.expression.n_genes());
    let mut values = Matrix::zeros(n, g);
    for cell in 0..n {
        let (genes, stored) = found.expression.cell(cell);
        genes.iter().zip(stored).for_each(|(&gene, &value)| values[(cell, gene as usize)] = value);
    }
    let out = PyDict::new(py);
    out.set_item("names", found.expression.cells())?;
    out.set_item("neighbourhood", found.neighbourhood)?;
    out.set_item("cell_type", found.cell_type)?;
    out.set_item("values", matrix(py, n, g, values.into_entries())?)?;
    Ok(out)
}

/// Neighbourhoods, and the network of each type; embeddings are `(cell type, neighbourhoods, scores)`.
#[pyfunction]
pub(crate) fn ecotype_networks<'py>(
    py: Python<'py>,
    embeddings: Vec<(String, Vec<String>, PyReadonlyArray2<'py, f64>)>,
    n_components: usize,
    k: usize,
    min_types: usize,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let embeddings: Vec<Embedding> = embeddings
        .into_iter()
        .map(|(cell_type, neighbourhoods, scores)| Embedding { cell_type, neighbourhoods, scores: dense(&scores) })
        .collect();
    let found = attended(py, &means, |run| similarity_networks(run, &embeddings, n_components, k, min_types))?;
    let values: Vec<_> = found.values.iter().map(|view| rows_out(py, view)).collect();
    Ok((found.neighbourhoods, values).into_pyobject(py)?.into_any())
}

/// Compressed rows: where each begins, columns, values.
type RowsIn<'py> = (PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, i64>, PyReadonlyArray1<'py, f64>);

/// The links of a network as compressed rows.
fn rows_out<'py>(
    py: Python<'py>,
    view: &Network,
) -> (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>) {
    let (mut starts, mut columns, mut values) = (vec![0_i64], Vec::new(), Vec::new());
    for i in 0..view.n() {
        let (to, strength) = view.row(i);
        columns.extend(to.iter().map(|&j| i64::from(j)));
        values.extend_from_slice(strength);
        starts.push(values.len() as i64);
    }
    (starts.into_pyarray(py), columns.into_pyarray(py), values.into_pyarray(py))
}

/// A network from compressed rows.
fn rows_in((starts, columns, values): &RowsIn<'_>) -> Result<Network> {
    let starts = starts.as_array().iter().map(|&at| at as usize).collect();
    let columns = columns.as_array().iter().map(|&j| j as u32).collect();
    Network::new(starts, columns, values.as_array().to_vec())
}

/// Views of the same items as one; `options` is `(k, iterations, precision)`, `scratch` the folder for what memory does not
/// hold.
#[pyfunction]
pub(crate) fn ecotype_fuse<'py>(
    py: Python<'py>,
    views: Vec<RowsIn<'py>>,
    options: (usize, usize, String),
    scratch: Option<PathBuf>,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let (k, iterations, precision) = options;
    let options = FusionOptions { k, iterations, precision: Precision::from_word(&precision).or_raise(py)? };
    let views: Vec<Network> = views.iter().map(rows_in).collect::<Result<_>>().or_raise(py)?;
    let room = room(scratch);
    let fused = attended(py, &means, |run| fuse(run, &views, &options, Some(&room))?.dense())?;
    Ok(matrix(py, fused.n_rows(), fused.n_cols(), fused.into_entries())?.into_any())
}

/// Ranks within columns.
#[pyfunction]
pub(crate) fn ecotype_rank_columns<'py>(
    py: Python<'py>,
    values: PyReadonlyArray2<'py, f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let ranked = rank_columns(&dense(&values));
    Ok(matrix(py, ranked.n_rows(), ranked.n_cols(), ranked.into_entries())?.into_any())
}

/// `(cell types of rows, genes of rows, clusters, samples of clusters, values)`.
#[pyfunction]
pub(crate) fn ecotype_fold_changes<'py>(
    py: Python<'py>,
    cells: Cells<'py>,
    columns: (Vec<String>, Vec<String>, Vec<String>, Option<Vec<String>>),
    scale: bool,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let (cell_type, sample, cluster, region) = columns;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        fold_changes(run, &x, &cell_type, &sample, &cluster, region.as_deref(), scale)
    })?;
    let (n, k) = (found.values.n_rows(), found.values.n_cols());
    let values = matrix(py, n, k, found.values.into_entries())?;
    Ok((found.cell_type, found.gene, found.clusters, found.samples, values).into_pyobject(py)?.into_any())
}

/// How much alike clusters are; `rows` is `(cell types, genes)`, `columns` `(clusters, samples, regions)`, `options`
/// `(nfeatures, min_features, k, iterations)`.
#[pyfunction]
pub(crate) fn ecotype_integrate<'py>(
    py: Python<'py>,
    rows: (Vec<String>, Vec<String>),
    columns: (Vec<String>, Vec<String>, Option<Vec<String>>),
    values: PyReadonlyArray2<'py, f64>,
    options: (usize, usize, usize, usize),
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let ((cell_type, gene), (clusters, samples, regions)) = (rows, columns);
    let changes = FoldChanges { cell_type, gene, clusters, samples, values: dense(&values) };
    let (nfeatures, min_features, k, iterations) = options;
    let options = IntegrateOptions {
        nfeatures,
        min_features,
        fusion: FusionOptions { k, iterations, ..FusionOptions::default() },
    };
    let found = attended(py, &means, |run| integrate(run, &changes, regions.as_deref(), &options, Some(&room(None))))?;
    Ok(matrix(py, found.n_rows(), found.n_cols(), found.into_entries())?.into_any())
}
