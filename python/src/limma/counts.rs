//! Counts before a fit.

use ferrocyte_limma::{
    CpmOptions, FilterOptions, Groups, NormMethod, NormOptions, ZeroLib, cpm, filter_by_expr, norm_factors, rpkm,
};
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

use super::fits::array;
use super::inputs::{Design, Values};
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};

type Numbers<'py> = PyReadonlyArray1<'py, f64>;

/// The numbers of an optional argument.
pub(super) fn slice<'a>(given: Option<&'a Numbers<'_>>) -> PyResult<Option<&'a [f64]>> {
    Ok(given.map(Numbers::as_slice).transpose()?)
}

/// How [`limma_norm_factors`] works: method, zero_lib, reference, trims of log ratios and sums, weighted, cut-off, quantile.
type NormManner = (String, String, Option<usize>, f64, f64, bool, f64, f64);

/// Normalisation factors of the samples.
#[pyfunction]
pub(crate) fn limma_norm_factors<'py>(
    py: Python<'py>,
    counts: Values<'py>,
    lib_size: Option<Numbers<'py>>,
    manner: NormManner,
    means: Means,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let (method, zero_lib, reference, log_ratio_trim, sum_trim, weighted, a_cutoff, quantile) = manner;
    let options = NormOptions {
        method: NormMethod::from_word(&method).or_raise(py)?,
        zero_lib: ZeroLib::from_word(&zero_lib).or_raise(py)?,
        reference,
        log_ratio_trim,
        sum_trim,
        weighted,
        a_cutoff,
        quantile,
    };
    let counts = counts.expression()?.or_raise(py)?;
    let lib_size = slice(lib_size.as_ref())?;
    Ok(attended(py, &means, |run| norm_factors(run, &counts, lib_size, &options))?.into_pyarray(py))
}

/// Counts per million; with lengths of the genes, also per thousand bases.
#[pyfunction]
pub(crate) fn limma_cpm<'py>(
    py: Python<'py>,
    counts: Values<'py>,
    lib_size: Option<Numbers<'py>>,
    lengths: Option<Numbers<'py>>,
    log: bool,
    prior_count: f64,
    means: Means,
) -> PyResult<Bound<'py, PyAny>> {
    let counts = counts.expression()?.or_raise(py)?;
    let (lib_size, lengths) = (slice(lib_size.as_ref())?, slice(lengths.as_ref())?);
    let options = CpmOptions { log, prior_count };
    let values = attended(py, &means, |run| match lengths {
        None => cpm(run, &counts, lib_size, &options),
        Some(lengths) => rpkm(run, &counts, lengths, lib_size, &options),
    })?;
    array(py, values)
}

/// Which genes have enough counts: `(min_count, min_total_count, large_n, min_prop)`.
#[pyfunction]
pub(crate) fn limma_filter_by_expr<'py>(
    py: Python<'py>,
    counts: Values<'py>,
    lib_size: Option<Numbers<'py>>,
    group: Option<Vec<usize>>,
    design: Option<Design<'py>>,
    limits: (f64, f64, f64, f64),
    means: Means,
) -> PyResult<Bound<'py, PyArray1<bool>>> {
    let counts = counts.expression()?.or_raise(py)?;
    let design = design.as_ref().map(Design::design).transpose()?.transpose().or_raise(py)?;
    let groups = match (&group, &design) {
        (Some(group), _) => Groups::Group(group),
        (None, Some(design)) => Groups::Design(design),
        (None, None) => Groups::None,
    };
    let (min_count, min_total_count, large_n, min_prop) = limits;
    let options = FilterOptions { min_count, min_total_count, large_n, min_prop };
    let lib_size = slice(lib_size.as_ref())?;
    Ok(attended(py, &means, |run| filter_by_expr(run, &counts, lib_size, groups, &options))?.into_pyarray(py))
}
