//! `fe.report`: the page of a study, from a file.

use std::path::PathBuf;

use ferrocyte_base::OptionInfo;
use ferrocyte_report::{OPTIONS, ReportOptions, open, records, report};
use pyo3::prelude::*;

use crate::monitor::{Means, attended};

/// What a page shows: `ferrocyte._report.Request`.
#[derive(FromPyObject)]
pub(crate) struct Request {
    title: Option<String>,
    clusters: Option<String>,
    samples: Option<String>,
    layer: Option<String>,
    genes: Vec<String>,
    max_cells: usize,
    max_rows: usize,
    max_size: u64,
    seed: u64,
}

/// Writes the page of the study in a file to `out`, and tells its sections.
#[pyfunction]
pub(crate) fn report_page(
    py: Python<'_>,
    path: PathBuf,
    out: PathBuf,
    modality: Option<String>,
    request: Request,
    means: Means,
) -> PyResult<Vec<&'static str>> {
    attended(py, &means, |run| {
        let (file, study) = open(&path, modality.as_deref())?;
        let options = ReportOptions {
            title: request.title,
            clusters: request.clusters,
            samples: request.samples,
            layer: request.layer,
            genes: request.genes,
            max_cells: request.max_cells,
            max_rows: request.max_rows,
            max_size: request.max_size,
            seed: request.seed,
            records: records(&file),
        };
        let made = report(run, &study, &options)?;
        made.write(&out)?;
        Ok(made.sections)
    })
}

/// The options of the page: name, default, meaning.
#[pyfunction]
pub(crate) fn report_options() -> Vec<(&'static str, &'static str, &'static str)> {
    OPTIONS.iter().map(|OptionInfo { name, default, meaning, .. }| (*name, *default, *meaning)).collect()
}
