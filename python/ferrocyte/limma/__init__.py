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
from ._de import DeResult, de
from ._design import contrast_as_coef, is_fullrank, make_contrasts, model_matrix, non_estimable
from ._fit import contrasts_fit, fitted, lm_fit, residuals
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
from ._tables import classify_tests_f, count_calls, decide_tests, top_table, top_table_f, top_treat

__all__ = [
    "DGEList",
    "DeResult",
    "DuplicateCorrelation",
    "EList",
    "MArrayLM",
    "array_weights",
    "array_weights_quick",
    "ave_dups",
    "ave_reps",
    "aver_arrays",
    "contrast_as_coef",
    "contrasts_fit",
    "de",
    "density_curves",
    "duplicate_correlation",
    "fitted",
    "heatmap_values",
    "classify_tests_f",
    "contrast_as_coef",
    "contrasts_fit",
    "convest",
    "count_calls",
    "decide_tests",
    "e_bayes",
    "fit_f_dist",
    "fit_f_dist_robustly",
    "fit_f_dist_unequal_df1",
    "fit_gamma_intercept",
    "fitted",
    "genas",
    "is_fullrank",
    "library_sizes",
    "lm_fit",
    "logmdigamma",
    "make_contrasts",
    "md_points",
    "model_matrix",
    "non_estimable",
    "remove_batch_effect",
    "residuals",
    "sa_points",
    "venn_counts",
    "volcano_points",
    "voom_points",
    "wsva",
    "p_adjust",
    "pred_fcm",
    "prop_true_null",
    "residuals",
    "squeeze_var",
    "tmixture",
    "top_table",
    "top_table_f",
    "top_treat",
    "treat",
    "trigamma_inverse",
    "zscore_t",
]
