"""Genes on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from .._sources import matrix_of
from ._normalize import _lines, _name, _own, _put, _values
from ._study import cells_and_genes, in_memory, refuse, to_change

if TYPE_CHECKING:
    import anndata as ad


def scale(
    data: ad.AnnData,
    *,
    zero_center: bool = True,
    max_value: float | None = None,
    copy: bool = False,
    layer: str | None = None,
    obsm: str | None = None,
    mask_obs: Any = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Bring genes to mean 0 and variance 1, in place.

    Genes that do not vary become 0 and are named in a warning. With `zero_center` the matrix becomes dense:
    :func:`pca` with ``scale=True`` gives the same components without it.

    Parameters
    ----------
    data
        An AnnData, cells × genes, in memory, usually of logarithms of variable genes.
    zero_center
        Whether the mean is taken away; without it a sparse matrix stays sparse.
    max_value
        Values above it become it; with `zero_center` those below its negative too.
    copy
        Whether a copy is changed and returned.
    layer
        The layer that is changed; ``None`` is X.
    obsm, mask_obs
        Not supported.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None or anndata.AnnData
        With `copy` the changed copy. var gains ``mean`` and ``std`` (of n − 1; 1 where a gene does not vary).

    Raises
    ------
    BadInputError
        Where values are missing or infinite, or `max_value` is not above 0.
    UnsupportedError
        Where a backed AnnData would have to be changed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=20)
    >>> fe.pp.log_normalize(cells)
    >>> fe.pp.scale(cells, max_value=10)
    >>> bool(abs(cells.X.mean(axis=0)).max() < 0.01)
    True
    """
    refuse("obsm", obsm, "X and layers are scaled")
    refuse("mask_obs", mask_obs, "all cells are measured", "scale a copy of those cells: adata[mask].copy()")
    means_ = means(n_threads, max_memory, progress=progress)
    adata = to_change(data, copy=copy)
    in_memory(adata, "scaling")
    values = _values(adata, layer)
    most = None if max_value is None else float(max_value)
    kind = ("double" if values.dtype == np.float64 else "single") if zero_center else "measures"
    found = _core.cells_scale(matrix_of(values, _name(layer)), cells_and_genes(adata), zero_center, most, kind, means_)
    if zero_center:
        _put(adata, layer, found["values"])
    else:
        values = _own(adata, layer, means_)
        _core.cells_divide(*_lines(values, 1), found["std"], most, means_)
        _put(adata, layer, values)
    adata.var["mean"] = found["mean"]
    adata.var["std"] = found["std"]
    return adata if copy else None
