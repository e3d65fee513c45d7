//! [`Fault`] becomes a Python exception: one class per [`Kind`], in one `match`.

use ferrocyte_base::{Fault, Kind};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// The class of `ferrocyte.errors` for a kind; `None` where Python has its own word for it.
fn class_name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::BadInput => Some("BadInputError"),
        Kind::MissingKey => Some("MissingKeyError"),
        Kind::BadFile => Some("BadFileError"),
        Kind::Unsupported => Some("UnsupportedError"),
        Kind::TooLarge => Some("TooLargeError"),
        Kind::Cancelled => None,
        // Kinds that are added later are mistakes of ours until they have a class.
        _ => Some("InternalError"),
    }
}

/// The exception for a fault, with message, place and hint as attributes.
pub(crate) fn to_exception(py: Python<'_>, fault: &Fault) -> PyErr {
    let Some(name) = class_name(fault.kind()) else {
        return PyKeyboardInterrupt::new_err("interrupted");
    };
    let make = || -> PyResult<PyErr> {
        let class = py.import("ferrocyte.errors")?.getattr(name)?;
        let details = PyDict::new(py);
        details.set_item("place", fault.place())?;
        details.set_item("hint", fault.way_out())?;
        Ok(PyErr::from_value(class.call((fault.message(),), Some(&details))?))
    };
    make().unwrap_or_else(|failure| failure)
}

/// Results of the crates as results of Python.
pub(crate) trait OrRaise<T> {
    /// The value, or the exception for the fault.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for ferrocyte_base::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|fault| to_exception(py, &fault))
    }
}

/// A Python exception that was raised in the middle of our work, as a fault that keeps it as its cause.
///
/// [`original`] takes it out again at the border, so that users see what they raised.
pub(crate) fn from_exception(py: Python<'_>, exception: PyErr) -> Fault {
    let message = exception.value(py).to_string();
    Fault::bad_input(message).because(exception)
}

/// The Python exception behind a fault, if there is one.
pub(crate) fn original(py: Python<'_>, fault: &Fault) -> Option<PyErr> {
    std::error::Error::source(fault)?.downcast_ref::<PyErr>().map(|exception| exception.clone_ref(py))
}
