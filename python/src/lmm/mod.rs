//! `fe.lmm`: sums and fits as opaque objects, their arrays and tables, and the words of the family.

mod fit;
mod inference;
mod sums;
mod words;

use numpy::PyReadonlyArray2;

pub(crate) use fit::{Asked, Fit, lmm_fit};
pub(crate) use inference::{
    lmm_compare, lmm_differences, lmm_inference_columns, lmm_random_effect_errors, lmm_terms, lmm_test_components,
    lmm_test_joint, lmm_variance_shares,
};
pub(crate) use sums::{Sums, lmm_blocks, lmm_check, lmm_plan, lmm_sums, lmm_sums_from_arrays};
pub(crate) use words::{
    OptionWords, lmm_contrast_weights, lmm_options, lmm_statuses, lmm_t_p_values, lmm_test_columns, lmm_variables,
};

/// Rows of numbers in row-major order, and their number of rows and columns.
fn numbers(array: &PyReadonlyArray2<'_, f64>) -> (Vec<f64>, usize, usize) {
    let view = array.as_array();
    (view.iter().copied().collect(), view.nrows(), view.ncols())
}
