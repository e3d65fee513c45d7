"""Linear models with moderated statistics for expression matrices: limma's verbs and limma's numbers.

Matrices are genes × samples, as in R; an :class:`~anndata.AnnData` is read as its transpose. A missing value is NaN.
"""

from __future__ import annotations

from ._containers import DGEList, EList, MArrayLM
from ._design import contrast_as_coef, is_fullrank, make_contrasts, model_matrix, non_estimable
from ._fit import contrasts_fit, fitted, lm_fit, residuals

__all__ = [
    "DGEList",
    "EList",
    "MArrayLM",
    "contrast_as_coef",
    "contrasts_fit",
    "fitted",
    "is_fullrank",
    "lm_fit",
    "make_contrasts",
    "model_matrix",
    "non_estimable",
    "residuals",
]
