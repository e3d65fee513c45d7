"""Linear models with moderated statistics for expression matrices: limma's verbs and limma's numbers.

Matrices are genes × samples, as in R; an :class:`~anndata.AnnData` is read as its transpose. A missing value is NaN.
"""

from __future__ import annotations

from ._containers import DGEList, EList, MArrayLM

__all__ = ["DGEList", "EList", "MArrayLM"]
