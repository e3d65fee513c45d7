"""From cells to what is analysed: pseudobulk.

An :class:`~anndata.AnnData` is observations × variables, as always.
"""

from __future__ import annotations

from ._pseudobulk import pseudobulk

__all__ = ["pseudobulk"]
