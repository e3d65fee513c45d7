"""Linear models with moderated statistics for expression matrices: limma's verbs and limma's numbers.

Matrices are genes × samples, as in R; an :class:`~anndata.AnnData` is read as its transpose. A missing value is NaN.
"""

from __future__ import annotations

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
from ._design import contrast_as_coef, is_fullrank, make_contrasts, model_matrix, non_estimable
from ._enrichment import goana, goana_trend, kegga, top_go, top_kegg
from ._fit import contrasts_fit, fitted, lm_fit, residuals
from ._gene_sets import ids2indices
from ._sets import (
    barcode_plot,
    camera,
    camera_pr,
    fry,
    gene_set_test,
    inter_gene_correlation,
    mroast,
    rank_sum_test_with_correlation,
    roast,
    romer,
    top_romer,
    tricube_moving_average,
    wilcox_gst,
)
from ._small import convest, fit_gamma_intercept, genas, p_adjust, pred_fcm, prop_true_null, zscore_t
from ._splice import diff_splice, top_splice
from ._tables import classify_tests_f, count_calls, decide_tests, top_table, top_table_f, top_treat

__all__ = [
    "DGEList",
    "EList",
    "MArrayLM",
    "barcode_plot",
    "camera",
    "camera_pr",
    "classify_tests_f",
    "contrast_as_coef",
    "contrasts_fit",
    "convest",
    "count_calls",
    "decide_tests",
    "diff_splice",
    "e_bayes",
    "fit_f_dist",
    "fit_f_dist_robustly",
    "fit_f_dist_unequal_df1",
    "fit_gamma_intercept",
    "fitted",
    "fry",
    "genas",
    "gene_set_test",
    "goana",
    "goana_trend",
    "ids2indices",
    "inter_gene_correlation",
    "is_fullrank",
    "kegga",
    "lm_fit",
    "logmdigamma",
    "make_contrasts",
    "model_matrix",
    "mroast",
    "non_estimable",
    "p_adjust",
    "pred_fcm",
    "prop_true_null",
    "rank_sum_test_with_correlation",
    "residuals",
    "roast",
    "romer",
    "squeeze_var",
    "tmixture",
    "top_go",
    "top_kegg",
    "top_romer",
    "top_splice",
    "top_table",
    "top_table_f",
    "top_treat",
    "treat",
    "tricube_moving_average",
    "trigamma_inverse",
    "wilcox_gst",
    "zscore_t",
]
