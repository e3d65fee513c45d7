//! The program inside the package: the console script `ferrocyte` calls it here.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the program with the given arguments (the first is its name) and gives its exit code.
///
/// Ctrl-C is the program's own here: it stops the work and ends with code 130.
#[pyfunction]
pub(crate) fn run_program(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| ferrocyte_cli::run(arguments))
}

/// The options of the program's family `lmm`: verb, name, default, choices.
#[pyfunction]
pub(crate) fn lmm_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::lmm_arguments()
}

/// The options of `ferrocyte limma`, likewise.
#[pyfunction]
pub(crate) fn limma_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::limma_arguments()
}

/// The options of `ferrocyte cnmf`, likewise.
#[pyfunction]
pub(crate) fn cnmf_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::cnmf_arguments()
}

/// The options of `ferrocyte nmf`, likewise.
#[pyfunction]
pub(crate) fn nmf_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::nmf_arguments()
}

/// The options of `ferrocyte cells`, likewise.
#[pyfunction]
pub(crate) fn cells_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::cells_arguments()
}

/// The options of `ferrocyte nbmm`: verb, name, default, choices.
#[pyfunction]
pub(crate) fn nbmm_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::nbmm_arguments()
}

/// The options of `ferrocyte ctmm`, likewise.
#[pyfunction]
pub(crate) fn ctmm_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::ctmm_arguments()
}

/// The options of `ferrocyte gxemm`, likewise.
#[pyfunction]
pub(crate) fn gxemm_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::gxemm_arguments()
}

/// The options of `ferrocyte ecotype`, likewise.
#[pyfunction]
pub(crate) fn ecotype_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::ecotype_arguments()
}

/// The options of `ferrocyte report`, likewise.
#[pyfunction]
pub(crate) fn report_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::report_arguments()
}

/// The options of `ferrocyte simulate`, likewise.
#[pyfunction]
pub(crate) fn simulate_arguments() -> Vec<(String, String, String, Vec<String>)> {
    ferrocyte_cli::simulate_arguments()
}

/// The help of every command of the program: its words and its text.
#[pyfunction]
pub(crate) fn cli_help_pages() -> Vec<(String, String)> {
    ferrocyte_cli::help_pages()
}
