//! Factors of cells, and values that are changed where they stand.

use ferrocyte_base::{Fault, Result, Run};
use ferrocyte_cells::in_place::{
    Float, Lines, check_log1p_in_place, divide_in_place, normalize_in_place, rises, size_factors_in_place,
};
use ferrocyte_cells::normalize::{NormalizeOptions, SizeFactors, Target, Then, check_log1p, size_factors};
use ferrocyte_data::Index;
use numpy::{IntoPyArray, PyReadonlyArray1, PyReadwriteArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::labels::NameLists;
use crate::faults::OrRaise;
use crate::monitor::{Means, attended};
use crate::sources::{Held, Matrix};

/// The values of a matrix that are changed, or looked at where they stand.
#[derive(FromPyObject)]
pub(crate) enum Changed<'py> {
    Single(PyReadwriteArray1<'py, f32>),
    Double(PyReadwriteArray1<'py, f64>),
}

/// To which line each value belongs: `("runs", pointers)`, `("each", lines)`, `("long", length)` or `("turns", lines)`,
/// which are the variants of [`Lines`].
enum Places<'py> {
    Runs(Vec<usize>),
    Each32(PyReadonlyArray1<'py, i32>),
    Each64(PyReadonlyArray1<'py, i64>),
    Long(usize),
    Turns(usize),
}

/// Pointers or lines, of either width.
#[derive(FromPyObject)]
pub(crate) enum Numbers<'py> {
    I32(PyReadonlyArray1<'py, i32>),
    I64(PyReadonlyArray1<'py, i64>),
}

impl<'py> FromPyObject<'_, 'py> for Places<'py> {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (tag, item): (String, Bound<'py, PyAny>) = object.extract()?;
        if tag == "runs" {
            return Ok(Self::Runs(bounds(&item)?));
        }
        Ok(match (tag.as_str(), item.extract::<Numbers<'py>>()) {
            (_, Ok(Numbers::I32(array))) => Self::Each32(array),
            (_, Ok(Numbers::I64(array))) => Self::Each64(array),
            ("long", Err(_)) => Self::Long(item.extract()?),
            (_, Err(_)) => Self::Turns(item.extract()?),
        })
    }
}

/// Where each line begins, and the end of all.
fn bounds(pointers: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    // A negative pointer is refused as one that does not fit.
    let bound = |b: i64| usize::try_from(b).unwrap_or(usize::MAX);
    Ok(match pointers.extract::<Numbers<'_>>()? {
        Numbers::I32(array) => array.as_array().iter().map(|&b| bound(i64::from(b))).collect(),
        Numbers::I64(array) => array.as_array().iter().map(|&b| bound(b)).collect(),
    })
}

/// Looks at values of either type.
macro_rules! looked_at {
    ($py:expr, $means:expr, $values:expr, |$run:ident, $slice:ident| $work:expr) => {
        match $values {
            Changed::Single(values) => {
                let $slice = values.as_slice().map_err(strided).or_raise($py)?;
                attended($py, &$means, |$run| $work)
            }
            Changed::Double(values) => {
                let $slice = values.as_slice().map_err(strided).or_raise($py)?;
                attended($py, &$means, |$run| $work)
            }
        }
    };
}

/// What is done to the values.
#[derive(Clone, Copy)]
enum Work<'a> {
    Normalize(Option<&'a [f64]>, Then),
    Divide(&'a [f64], Option<f64>),
}

impl Work<'_> {
    fn on<T: Float, I: Index>(self, run: &Run, values: &mut [T], lines: Lines<'_, I>) -> Result<()> {
        match self {
            Self::Normalize(factors, then) => normalize_in_place(run, values, lines, factors, then),
            Self::Divide(sd, most) => divide_in_place(run, values, lines, sd, most),
        }
    }
}

fn strided(_: impl std::fmt::Debug) -> Fault {
    Fault::internal("an array is not contiguous")
}

/// Changes values in place.
fn change(py: Python<'_>, means: &Means, values: Changed<'_>, places: &Places<'_>, work: Work<'_>) -> PyResult<()> {
    match values {
        Changed::Single(mut values) => {
            with_lines(py, means, values.as_slice_mut().map_err(strided).or_raise(py)?, places, work)
        }
        Changed::Double(mut values) => {
            with_lines(py, means, values.as_slice_mut().map_err(strided).or_raise(py)?, places, work)
        }
    }
}

fn with_lines<T: Float>(
    py: Python<'_>,
    means: &Means,
    values: &mut [T],
    places: &Places<'_>,
    work: Work<'_>,
) -> PyResult<()> {
    match places {
        Places::Runs(bounds) => attended(py, means, |run| work.on(run, values, Lines::<i32>::Runs(bounds))),
        Places::Long(n) => attended(py, means, |run| work.on(run, values, Lines::<i32>::Long(*n))),
        Places::Turns(n) => attended(py, means, |run| work.on(run, values, Lines::<i32>::Turns(*n))),
        Places::Each32(each) => {
            let each = each.as_slice().map_err(strided).or_raise(py)?;
            attended(py, means, |run| work.on(run, values, Lines::Each(each)))
        }
        Places::Each64(each) => {
            let each = each.as_slice().map_err(strided).or_raise(py)?;
            attended(py, means, |run| work.on(run, values, Lines::Each(each)))
        }
    }
}

/// The factors of all cells: a `dict` of `factors`, `totals`, `target` and the numbers of the genes that were left out
/// (`highly_expressed`). `target` is a total, `"median"` or `"mean"`.
#[pyfunction]
pub(crate) fn cells_size_factors<'py>(
    py: Python<'py>,
    source: Matrix<'py>,
    names: NameLists,
    target: TargetWord,
    exclude_highly_expressed: Option<f64>,
    means: Means,
) -> PyResult<Bound<'py, PyDict>> {
    let options = NormalizeOptions { target: target.0, exclude_highly_expressed };
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    let found = attended(py, &means, |run| size_factors(run, &mut *source, &names.names(), &options))?;
    factors_dict(py, found)
}

/// [`cells_size_factors`] of rows that stand where `pointers` say, from their values alone; `None` where some of them are
/// missing, infinite or negative, which that function says by name.
#[pyfunction]
pub(crate) fn cells_size_factors_in_place<'py>(
    py: Python<'py>,
    values: Changed<'py>,
    pointers: &Bound<'py, PyAny>,
    target: TargetWord,
    means: Means,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let bounds = bounds(pointers)?;
    let found = looked_at!(py, means, values, |run, values| size_factors_in_place(run, values, &bounds, target.0))?;
    found.map(|found| factors_dict(py, found)).transpose()
}

fn factors_dict(py: Python<'_>, found: SizeFactors) -> PyResult<Bound<'_, PyDict>> {
    let SizeFactors { factors, totals, target, highly_expressed } = found;
    let out = PyDict::new(py);
    out.set_item("factors", factors.into_pyarray(py))?;
    out.set_item("totals", totals.into_pyarray(py))?;
    out.set_item("target", target)?;
    out.set_item("highly_expressed", highly_expressed)?;
    Ok(out)
}

/// A total, or how it is found.
pub(crate) struct TargetWord(Target);

impl<'py> FromPyObject<'_, 'py> for TargetWord {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(total) = object.extract::<f64>() {
            return Ok(Self(Target::To(total)));
        }
        Ok(Self(match object.extract::<String>()?.as_str() {
            "mean" => Target::Mean,
            _ => Target::Median,
        }))
    }
}

/// Looks at values before their logarithm is taken.
#[pyfunction]
pub(crate) fn cells_check_log1p(py: Python<'_>, source: Matrix<'_>, names: NameLists, means: Means) -> PyResult<()> {
    let held = Held::new(source)?;
    let mut source = held.open(py).or_raise(py)?;
    attended(py, &means, |run| check_log1p(run, &mut *source, &names.names()))
}

/// [`cells_check_log1p`] of all stored values of the matrix `name`; false where some of them are missing, infinite or
/// negative, which that function says by name.
#[pyfunction]
pub(crate) fn cells_check_log1p_in_place(
    py: Python<'_>,
    values: Changed<'_>,
    name: &str,
    means: Means,
) -> PyResult<bool> {
    looked_at!(py, means, values, |run, values| check_log1p_in_place(run, values, name))
}

/// Whether the indices of each run, which stand where `pointers` say, rise: no place has two values then.
#[pyfunction]
pub(crate) fn cells_rise(
    py: Python<'_>,
    indices: Numbers<'_>,
    pointers: &Bound<'_, PyAny>,
    means: Means,
) -> PyResult<bool> {
    let bounds = bounds(pointers)?;
    match indices {
        Numbers::I32(indices) => {
            let indices = indices.as_slice().map_err(strided).or_raise(py)?;
            attended(py, &means, |run| rises(run, indices, &bounds))
        }
        Numbers::I64(indices) => {
            let indices = indices.as_slice().map_err(strided).or_raise(py)?;
            attended(py, &means, |run| rises(run, indices, &bounds))
        }
    }
}

/// Multiplies the values of cells by factors, takes logarithms (`log` has their base), or both, where they stand. `cells`
/// are those of the values.
#[pyfunction]
pub(crate) fn cells_normalize<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    cells: &Bound<'py, PyAny>,
    factors: Option<PyReadonlyArray1<'py, f64>>,
    log: Option<(Option<f64>,)>,
    means: Means,
) -> PyResult<()> {
    let then = log.map_or(Then::Stop, |(base,)| Then::Log1p { base });
    let factors = factors.as_ref().map(|factors| factors.as_slice()).transpose().map_err(strided).or_raise(py)?;
    change(py, &means, values.extract()?, &cells.extract()?, Work::Normalize(factors, then))
}

/// Divides the values of genes by deviations and clips them, where they stand. `genes` are those of the values.
#[pyfunction]
pub(crate) fn cells_divide<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    genes: &Bound<'py, PyAny>,
    sd: PyReadonlyArray1<'py, f64>,
    most: Option<f64>,
    means: Means,
) -> PyResult<()> {
    let sd = sd.as_slice().map_err(strided).or_raise(py)?;
    change(py, &means, values.extract()?, &genes.extract()?, Work::Divide(sd, most))
}
