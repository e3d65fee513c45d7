"""Linear models with moderated statistics for expression matrices: limma's verbs and limma's numbers.

Matrices are genes × samples, as in R; an :class:`~anndata.AnnData` is read as its transpose. A missing value is NaN.
"""

from __future__ import annotations

from ._arrays import DuplicateCorrelation, array_weights, array_weights_quick, duplicate_correlation
from ._batch import ave_dups, ave_reps, aver_arrays, remove_batch_effect, wsva
from ._bayes import (
    e_bayes,
    fit_f_dist,
    fit_f_dist_robustly,
    fit_f_dist_unequal_df1,
    logmdigamma,
    squeeze_var,
    tmixture,
    treat,
    trigamma_inverse,
)
from ._containers import DGEList, EList, MArrayLM
from ._counts import calc_norm_factors, cpm, filter_by_expr, norm_lib_sizes, rpkm
from ._de import DeResult, de
from ._design import contrast_as_coef, is_fullrank, make_contrasts, model_matrix, non_estimable
from ._fit import contrasts_fit, fitted, lm_fit, residuals
from ._mds import mds_coords
from ._normalize import normalize_between_arrays, normalize_cyclic_loess, normalize_median_values, normalize_quantiles
from ._points import (
    density_curves,
    heatmap_values,
    library_sizes,
    md_points,
    sa_points,
    venn_counts,
    volcano_points,
    voom_points,
)
from ._small import convest, fit_gamma_intercept, genas, p_adjust, pred_fcm, prop_true_null, zscore_t
from ._smooth import approx_rule2, choose_lowess_span, loess_fit, lowess, weighted_lowess
from ._tables import classify_tests_f, count_calls, decide_tests, top_table, top_table_f, top_treat
from ._voom import (
    voom,
    voom_duplicate_correlation,
    voom_lm_fit,
    voom_with_quality_weights,
    vooma,
    vooma_by_group,
    vooma_lm_fit,
)

__all__ = [
    "DGEList",
    "DeResult",
    "DuplicateCorrelation",
    "EList",
    "MArrayLM",
    "approx_rule2",
    "array_weights",
    "array_weights_quick",
    "ave_dups",
    "ave_reps",
    "aver_arrays",
    "calc_norm_factors",
    "choose_lowess_span",
    "classify_tests_f",
    "contrast_as_coef",
    "contrasts_fit",
    "convest",
    "count_calls",
    "cpm",
    "de",
    "decide_tests",
    "density_curves",
    "duplicate_correlation",
    "e_bayes",
    "filter_by_expr",
    "fit_f_dist",
    "fit_f_dist_robustly",
    "fit_f_dist_unequal_df1",
    "fit_gamma_intercept",
    "fitted",
    "genas",
    "heatmap_values",
    "is_fullrank",
    "library_sizes",
    "lm_fit",
    "loess_fit",
    "logmdigamma",
    "lowess",
    "make_contrasts",
    "md_points",
    "mds_coords",
    "model_matrix",
    "non_estimable",
    "norm_lib_sizes",
    "normalize_between_arrays",
    "normalize_cyclic_loess",
    "normalize_median_values",
    "normalize_quantiles",
    "p_adjust",
    "pred_fcm",
    "prop_true_null",
    "remove_batch_effect",
    "residuals",
    "rpkm",
    "sa_points",
    "squeeze_var",
    "tmixture",
    "top_table",
    "top_table_f",
    "top_treat",
    "treat",
    "trigamma_inverse",
    "venn_counts",
    "volcano_points",
    "voom",
    "voom_duplicate_correlation",
    "voom_lm_fit",
    "voom_points",
    "voom_with_quality_weights",
    "vooma",
    "vooma_by_group",
    "vooma_lm_fit",
    "weighted_lowess",
    "wsva",
    "zscore_t",
]
