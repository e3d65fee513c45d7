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
from ._enrichment import goana, goana_trend, kegga, top_go, top_kegg
from ._fit import contrasts_fit, fitted, lm_fit, residuals
from ._gene_sets import ids2indices
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
from ._set_statistics import (
    barcode_plot,
    gene_set_test,
    rank_sum_test_with_correlation,
    tricube_moving_average,
    wilcox_gst,
)
from ._sets import camera, camera_pr, fry, inter_gene_correlation, mroast, roast, romer, top_romer
from ._small import convest, fit_gamma_intercept, genas, p_adjust, pred_fcm, prop_true_null, zscore_t
from ._smooth import approx_rule2, choose_lowess_span, loess_fit, lowess, weighted_lowess
from ._splice import diff_splice, top_splice
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
    "barcode_plot",
    "calc_norm_factors",
    "camera",
    "camera_pr",
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
    "diff_splice",
    "duplicate_correlation",
    "e_bayes",
    "filter_by_expr",
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
    "heatmap_values",
    "ids2indices",
    "inter_gene_correlation",
    "is_fullrank",
    "kegga",
    "library_sizes",
    "lm_fit",
    "loess_fit",
    "logmdigamma",
    "lowess",
    "make_contrasts",
    "md_points",
    "mds_coords",
    "model_matrix",
    "mroast",
    "non_estimable",
    "norm_lib_sizes",
    "normalize_between_arrays",
    "normalize_cyclic_loess",
    "normalize_median_values",
    "normalize_quantiles",
    "p_adjust",
    "pred_fcm",
    "prop_true_null",
    "rank_sum_test_with_correlation",
    "remove_batch_effect",
    "residuals",
    "roast",
    "romer",
    "rpkm",
    "sa_points",
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
    "wilcox_gst",
    "wsva",
    "zscore_t",
]
