"""What a file holds.

.h5ad files are read by ferrocyte itself, by ranges of rows, so that a file larger than memory is no obstacle: give
the path to :func:`ferrocyte.lmm.fit` instead of an AnnData.
"""

from __future__ import annotations

from ._concat import concat
from ._info import info
from ._tenx import read_10x, read_mtx, read_text

__all__ = ["concat", "info", "read_10x", "read_mtx", "read_text"]
