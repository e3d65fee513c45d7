//! What `ferrocyte.pp`, `ferrocyte.tl` and `ferrocyte.get` call of the steps on cells: matrices in, tables and arrays out.
//!
//! * `qc`: measures of cells and genes, and filters; `normalize`: factors, and values changed where they stand.
//! * `hvg`: variable genes; `scale`: genes on one scale; `pca`: components.
//! * `markers`, `score`, `sc3`, `composition`, `aggregate`: what is asked of groups of cells.
//! * `scrublet`: doublets; `harmony`: batches brought together; `neighbors`: neighbours and their graph.
//! * `words`: options of the command, and names of results in both dialects.
//! * `study`: several samples: their table, their folder, and what is decided about their cells.

mod aggregate;
mod composition;
mod harmony;
mod hvg;
mod labels;
mod markers;
mod neighbors;
mod normalize;
mod pca;
mod qc;
mod sc3;
mod scale;
mod score;
mod scrublet;
mod study;
mod words;

pub(crate) use aggregate::cells_aggregate;
pub(crate) use composition::{cells_composition, cells_proportion};
pub(crate) use harmony::cells_harmony;
pub(crate) use hvg::cells_hvg;
pub(crate) use labels::NameLists;
pub(crate) use markers::cells_markers;
pub(crate) use neighbors::cells_neighbors;
pub(crate) use normalize::{
    cells_check_log1p, cells_check_log1p_in_place, cells_divide, cells_normalize, cells_rise, cells_size_factors,
    cells_size_factors_in_place,
};
pub(crate) use pca::cells_pca;
pub(crate) use qc::{cells_filter, cells_qc};
pub(crate) use sc3::cells_sc3;
pub(crate) use scale::cells_scale;
pub(crate) use score::{cells_cycle_phase, cells_score_genes};
pub(crate) use scrublet::cells_scrublet;
pub(crate) use study::{
    PySampleTable, study_annotate, study_check_spec, study_chosen, study_classes, study_command_id, study_gene_flags,
    study_good_cells, study_merge_column, study_merge_levels, study_paste, study_paths, study_plain_class,
    study_sample_path, study_samples, study_sidecar, study_subset_path, study_summary,
};
pub(crate) use words::{cells_keys, cells_options};

use ferrocyte_base::Fault;
use ferrocyte_data::{Factor, ObsColumn};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::faults::OrRaise;
use crate::obs::frame;

/// Columns of cells, all of levels, in their order.
pub(crate) fn factors(py: Python<'_>, n_cells: usize, columns: &Bound<'_, PyDict>) -> PyResult<Vec<Factor>> {
    let frame = frame(py, n_cells, columns)?;
    let mut factors = Vec::with_capacity(columns.len());
    for name in columns.keys() {
        let name: String = name.extract()?;
        let factor = match frame.column(&name).or_raise(py)? {
            ObsColumn::Factor(factor) => factor.clone(),
            ObsColumn::Number(_) => {
                return Err(Fault::bad_input("levels are expected, found numbers").at(name)).or_raise(py);
            }
        };
        factors.push(factor);
    }
    Ok(factors)
}
