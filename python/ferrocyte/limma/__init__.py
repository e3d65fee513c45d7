"""Linear models with moderated statistics for expression matrices: limma's verbs and limma's numbers.

Matrices are genes × samples, as in R; an :class:`~anndata.AnnData` is read as its transpose. A missing value is NaN.
"""

from __future__ import annotations

from ._arrays import DuplicateCorrelation, array_weights, array_weights_quick, duplicate_correlation
from ._batch import ave_dups, ave_reps, aver_arrays, remove_batch_effect, wsva
from ._containers import DGEList, EList, MArrayLM
from ._counts import calc_norm_factors, cpm, filter_by_expr, norm_lib_sizes, rpkm
from ._design import contrast_as_coef, is_fullrank, make_contrasts, model_matrix, non_estimable
from ._fit import contrasts_fit, fitted, lm_fit, residuals
from ._mds import mds_coords
from ._normalize import (
    normalize_between_arrays,
    normalize_cyclic_loess,
    normalize_median_values,
    normalize_quantiles,
)
from ._smooth import approx_rule2, choose_lowess_span, loess_fit, lowess, weighted_lowess
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
    "DuplicateCorrelation",
    "EList",
    "MArrayLM",
    "approx_rule2",
    "calc_norm_factors",
    "choose_lowess_span",
    "contrast_as_coef",
    "contrasts_fit",
    "cpm",
    "filter_by_expr",
    "array_weights",
    "array_weights_quick",
    "ave_dups",
    "ave_reps",
    "aver_arrays",
    "contrast_as_coef",
    "contrasts_fit",
    "duplicate_correlation",
    "fitted",
    "is_fullrank",
    "lm_fit",
    "loess_fit",
    "lowess",
    "make_contrasts",
    "mds_coords",
    "model_matrix",
    "non_estimable",
    "norm_lib_sizes",
    "normalize_between_arrays",
    "normalize_cyclic_loess",
    "normalize_median_values",
    "normalize_quantiles",
    "residuals",
    "rpkm",
    "voom",
    "voom_duplicate_correlation",
    "voom_lm_fit",
    "voom_with_quality_weights",
    "vooma",
    "vooma_by_group",
    "vooma_lm_fit",
    "weighted_lowess",
    "remove_batch_effect",
    "residuals",
    "wsva",
]
