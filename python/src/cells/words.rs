//! The words of the family: its options, and the names of results in both dialects.

use ferrocyte_cells::keys::TABLE;
use ferrocyte_cells::steps::OPTIONS;
use pyo3::prelude::*;

/// Name, verbs, default, choices, meaning, and the argument of the package (`pp.pca:n_comps`) if it is one.
type OptionWords = (&'static str, Vec<&'static str>, &'static str, Vec<&'static str>, &'static str, &'static str);

/// The options of `ferrocyte cells`.
#[pyfunction]
pub(crate) fn cells_options() -> Vec<OptionWords> {
    let words = |o: &ferrocyte_cells::steps::CellsOption| {
        (o.info.name, o.info.verbs.to_vec(), o.info.default, o.info.choices.to_vec(), o.info.meaning, o.of)
    };
    OPTIONS.iter().map(words).collect()
}

/// A word, the name in scanpy's dialect, that in exprmat's, and what it is.
type KeyWords = (&'static str, Option<&'static str>, Option<&'static str>, &'static str);

/// The names of results in both dialects.
#[pyfunction]
pub(crate) fn cells_keys() -> Vec<KeyWords> {
    TABLE.iter().map(|row| (row.word, row.scanpy, row.exprmat, row.meaning)).collect()
}
