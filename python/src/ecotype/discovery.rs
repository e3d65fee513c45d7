//! Steps of discovery.

use ferrocyte_ecotype::discover::{
    Embedding, FoldChanges, FusionOptions, IntegrateOptions, MetacellOptions, fold_changes, fuse, integrate,
    preprocess, rank_columns, similarity_networks, spatial_metacells,
};
use ferrocyte_math::linalg::Matrix;
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::PyDict;

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
    let n = found.neighbourhoods.len();
    let values =
        found.values.into_iter().map(|view| matrix(py, n, n, view.into_entries())).collect::<PyResult<Vec<_>>>()?;
    Ok((found.neighbourhoods, values).into_pyobject(py)?.into_any())
}

/// Views of the same items as one.
#[pyfunction]
pub(crate) fn ecotype_fuse<'py>(
    py: Python<'py>,
    views: Vec<PyReadonlyArray2<'py, f64>>,
    k: usize,
    iterations: usize,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let views: Vec<Matrix> = views.iter().map(dense).collect();
    let fused = attended(py, &means, |run| fuse(run, &views, &FusionOptions { k, iterations }))?;
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
    columns: (Vec<String>, Vec<String>, Vec<String>),
    scale: bool,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let (cell_type, sample, cluster) = columns;
    let (source, named) = cells.parts().or_raise(py)?;
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| {
        let x = named.read(run, &mut *source)?;
        fold_changes(run, &x, &cell_type, &sample, &cluster, scale)
    })?;
    let (n, k) = (found.values.n_rows(), found.values.n_cols());
    let values = matrix(py, n, k, found.values.into_entries())?;
    Ok((found.cell_type, found.gene, found.clusters, found.samples, values).into_pyobject(py)?.into_any())
}

/// How much alike clusters are; `rows` is `(cell types, genes)`, `columns` `(clusters, samples)`, `options`
/// `(nfeatures, min_features, k, iterations)`.
#[pyfunction]
pub(crate) fn ecotype_integrate<'py>(
    py: Python<'py>,
    rows: (Vec<String>, Vec<String>),
    columns: (Vec<String>, Vec<String>),
    values: PyReadonlyArray2<'py, f64>,
    options: (usize, usize, usize, usize),
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let ((cell_type, gene), (clusters, samples)) = (rows, columns);
    let changes = FoldChanges { cell_type, gene, clusters, samples, values: dense(&values) };
    let (nfeatures, min_features, k, iterations) = options;
    let options = IntegrateOptions { nfeatures, min_features, fusion: FusionOptions { k, iterations } };
    let found = attended(py, &means, |run| integrate(run, &changes, &options))?;
    Ok(matrix(py, found.n_rows(), found.n_cols(), found.into_entries())?.into_any())
}
