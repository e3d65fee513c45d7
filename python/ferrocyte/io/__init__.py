"""Files: what they hold, and all of them in memory.

.h5ad files are read by ferrocyte itself, by ranges of rows, so that a file larger than memory is no obstacle: give
the path to :func:`ferrocyte.lmm.fit` instead of an AnnData.

:func:`read` reads any file that is known here, :func:`read_h5ad` and :func:`read_h5mu` those of anndata and mudata, of
any age, :func:`read_10x`, :func:`read_mtx` and :func:`read_text` counts in other forms; :func:`concat` puts several
studies together; :func:`info` lists what a file holds. :func:`write`, :func:`write_h5ad` and :func:`write_h5mu` are the
way back: what they write, anndata and mudata read as it was. :func:`read_zarr` and :func:`write_zarr` are those of
Zarr.
"""

from __future__ import annotations

from ._concat import concat
from ._info import info
from ._read import read, read_h5ad, read_h5mu
from ._tenx import read_10x, read_mtx, read_text
from ._write import write, write_h5ad, write_h5mu
from ._zarr import read_zarr, write_zarr

__all__ = [
    "concat",
    "info",
    "read",
    "read_10x",
    "read_h5ad",
    "read_h5mu",
    "read_mtx",
    "read_text",
    "read_zarr",
    "write",
    "write_h5ad",
    "write_h5mu",
    "write_zarr",
]
