"""Linear models with moderated statistics for expression matrices: limma's verbs and limma's numbers.

Matrices are genes × samples, as in R; an :class:`~anndata.AnnData` is read as its transpose. A missing value is NaN.
"""

from __future__ import annotations

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
from ._splice import diff_splice, top_splice

__all__ = [
    "DGEList",
    "EList",
    "MArrayLM",
    "barcode_plot",
    "camera",
    "camera_pr",
    "contrast_as_coef",
    "contrasts_fit",
    "diff_splice",
    "fitted",
    "fry",
    "gene_set_test",
    "goana",
    "goana_trend",
    "ids2indices",
    "inter_gene_correlation",
    "is_fullrank",
    "kegga",
    "lm_fit",
    "make_contrasts",
    "model_matrix",
    "mroast",
    "non_estimable",
    "rank_sum_test_with_correlation",
    "residuals",
    "roast",
    "romer",
    "top_go",
    "top_kegg",
    "top_romer",
    "top_splice",
    "tricube_moving_average",
    "wilcox_gst",
]
