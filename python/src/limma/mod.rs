//! What `ferrocyte.limma` calls: arrays in, arrays out, one call each.
//!
//! Objects of the package (fits, voom's values) are plain arrays in Python and travel as such; nothing of a fit lives
//! here between two calls.

mod arrays;
mod batch;
mod bayes;
mod counts;
mod de;
mod enrichment;
mod fit;
mod fits;
mod inputs;
mod models;
mod normalize;
mod sets;
mod small;
mod smooth;
mod splice;
mod tables;
mod voom;

pub(crate) use arrays::{limma_array_weights, limma_array_weights_quick, limma_duplicate_correlation};
pub(crate) use batch::{limma_average, limma_average_duplicates, limma_remove_batch_effect, limma_wsva};
pub(crate) use bayes::{
    limma_e_bayes, limma_fit_f_dist, limma_fit_f_dist_unequal, limma_gamma_function, limma_squeeze_var, limma_tmixture,
    limma_treat,
};
pub(crate) use counts::{limma_cpm, limma_filter_by_expr, limma_norm_factors};
pub(crate) use de::{limma_de, limma_options, limma_statuses};
pub(crate) use enrichment::{limma_goana_trend, limma_over_representation};
pub(crate) use fit::{limma_contrasts_fit, limma_lm_fit};
pub(crate) use models::{
    limma_contrast_as_coef, limma_make_contrasts, limma_model_matrix, limma_non_estimable, limma_variables,
};
pub(crate) use normalize::{limma_mds, limma_normalize};
pub(crate) use sets::{
    limma_barcode, limma_camera, limma_camera_pr, limma_fry, limma_gene_set_test, limma_inter_gene_correlation,
    limma_mroast, limma_rank_sum, limma_romer, limma_tricube_moving_average,
};
pub(crate) use small::{
    limma_fit_gamma_intercept, limma_fit_mixture, limma_genas, limma_p_adjust, limma_pred_fcm, limma_prop_true_null,
    limma_zscore_t,
};
pub(crate) use smooth::{limma_interpolate, limma_loess_fit, limma_lowess, limma_lowess_span, limma_weighted_lowess};
pub(crate) use splice::limma_diff_splice;
pub(crate) use tables::{
    limma_call_p_values, limma_classify_tests_f, limma_decide_tests, limma_f_statistics, limma_top_table,
    limma_top_table_f,
};
pub(crate) use voom::{limma_voom, limma_voom_lm_fit, limma_vooma, limma_vooma_lm_fit};
