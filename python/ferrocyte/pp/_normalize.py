"""Cells of one depth, and logarithms, where the matrix stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from .. import _core
from .._messages import warn
from .._run import means
from .._sources import matrix_of
from ..errors import BadInputError, MissingKeyError
from ._study import cells_and_genes, in_memory, refuse, study, to_change

if TYPE_CHECKING:
    import anndata as ad

    from .._run import Means


def normalize_total(
    adata: ad.AnnData,
    *,
    target_sum: float | None = None,
    exclude_highly_expressed: bool = False,
    max_fraction: float = 0.05,
    key_added: str | None = None,
    layer: str | None = None,
    inplace: bool = True,
    copy: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | dict[str, Any] | None:
    """Scale the counts of each cell to one total, in place.

    The factor is computed in 64 bits, multiplied once and rounded once. Cells without counts stay as they are and are
    counted in a warning.

    Parameters
    ----------
    adata
        An AnnData of counts, cells × genes, in memory. Whole numbers become 32-bit floats.
    target_sum
        The total afterwards; ``None`` is the median total of the cells that have counts.
    exclude_highly_expressed, max_fraction
        Whether genes that have more than `max_fraction` of the counts of some cell are left out of the totals.
    key_added
        Column of obs for the factor by which each cell was divided.
    layer
        The layer that is scaled; ``None`` is X.
    inplace
        Whether the matrix is changed, or a scaled one returned.
    copy
        Whether a copy is changed and returned.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None, anndata.AnnData or dict
        With `copy` the changed copy. Without `inplace` a dict of ``X`` (cells × genes) and ``norm_factor`` (total /
        target).

    Raises
    ------
    BadInputError
        Where values are missing, infinite or negative, or the target is not above 0.
    UnsupportedError
        Where a backed AnnData would have to be changed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> fe.pp.normalize_total(cells, target_sum=1000)
    >>> [round(float(row.sum())) for row in cells.X[:3]]
    [1000, 1000, 1000]
    """
    if copy and not inplace:
        message = "copy=True and inplace=False ask for two things"
        raise BadInputError(message, place="copy", hint="give one of them")
    means_ = means(n_threads, max_memory, progress=progress)
    adata = to_change(adata, copy=copy) if inplace else study(adata)
    in_memory(adata, "normalising")
    values = _own(adata, layer, means_) if inplace else _floats(_values(adata, layer), means_, copy=True)
    found = _factors(adata, values, target_sum, max_fraction if exclude_highly_expressed else None, means_, layer)
    _core.cells_normalize(*_cells(values), found["factors"], None, means_)
    factor = _divisors(found).astype(values.dtype)
    if not inplace:
        return {"X": values, "norm_factor": factor}
    _put(adata, layer, values)
    if key_added is not None:
        adata.obs[key_added] = factor
    return adata if copy else None


def log1p(
    data: ad.AnnData,
    *,
    base: float | None = None,
    copy: bool = False,
    chunked: bool | None = None,
    chunk_size: int | None = None,
    layer: str | None = None,
    obsm: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Take ln(1 + x) of all values, in place; ``uns["log1p"]`` keeps the base.

    Warns where the values seem to be logarithms already.

    Parameters
    ----------
    data
        An AnnData, cells × genes, in memory. Whole numbers become 32-bit floats.
    base
        Base of the logarithm, above 1; ``None`` is e.
    copy
        Whether a copy is changed and returned.
    chunked, chunk_size
        Have no effect: no second matrix is made.
    layer
        The layer that is changed; ``None`` is X.
    obsm
        Not supported.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None or anndata.AnnData
        With `copy` the changed copy.

    Raises
    ------
    BadInputError
        Where values are missing, infinite or negative, or the base is not above 1.
    UnsupportedError
        Where a backed AnnData would have to be changed.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> fe.pp.normalize_total(cells, target_sum=1e4)
    >>> fe.pp.log1p(cells)
    >>> cells.uns["log1p"]
    {'base': None}
    """
    refuse("obsm", obsm, "logarithms are taken of X and of layers")
    means_ = means(n_threads, max_memory, progress=progress)
    adata = to_change(data, copy=copy)
    in_memory(adata, "taking logarithms")
    if "log1p" in adata.uns and layer is None:
        warn("X seems to hold logarithms already: there is uns['log1p']")
    values = _own(adata, layer, means_)
    array, cells = _cells(values)
    # Names are needed only for what is wrong.
    if not _core.cells_check_log1p_in_place(array, _name(layer), means_):
        _core.cells_check_log1p(matrix_of(values, _name(layer)), cells_and_genes(adata), means_)
    _core.cells_normalize(array, cells, None, (_base(base),), means_)
    _put(adata, layer, values)
    adata.uns["log1p"] = {"base": base}
    return adata if copy else None


def log_normalize(
    adata: ad.AnnData,
    *,
    target_sum: float | None = None,
    exclude_highly_expressed: bool = False,
    max_fraction: float = 0.05,
    base: float | None = None,
    layer: str | None = None,
    key_added: str | None = None,
    copy: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Scale cells to one total and take ln(1 + x), in one pass, in place: nothing is rounded in between.

    What :func:`normalize_total` and :func:`log1p` do one after the other, with one rounding instead of two.

    Parameters
    ----------
    adata
        An AnnData of counts, cells × genes, in memory.
    target_sum, exclude_highly_expressed, max_fraction, key_added
        As in :func:`normalize_total`.
    base
        As in :func:`log1p`.
    layer
        The layer that is changed; ``None`` is X.
    copy
        Whether a copy is changed and returned.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None or anndata.AnnData
        With `copy` the changed copy.

    Raises
    ------
    BadInputError
        Where values are missing, infinite or negative, or target or base are out of range.
    UnsupportedError
        Where a backed AnnData would have to be changed.

    Examples
    --------
    >>> import numpy as np
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> fe.pp.log_normalize(cells, target_sum=1e4)
    >>> round(float(np.expm1(cells.X[0].toarray()).sum()))
    10000
    """
    means_ = means(n_threads, max_memory, progress=progress)
    adata = to_change(adata, copy=copy)
    in_memory(adata, "normalising")
    values = _own(adata, layer, means_)
    found = _factors(adata, values, target_sum, max_fraction if exclude_highly_expressed else None, means_, layer)
    _core.cells_normalize(*_cells(values), found["factors"], (_base(base),), means_)
    _put(adata, layer, values)
    if key_added is not None:
        adata.obs[key_added] = _divisors(found).astype(values.dtype)
    adata.uns["log1p"] = {"base": base}
    return adata if copy else None


def _factors(
    adata: ad.AnnData, values: Any, target_sum: float | None, share: float | None, means_: Means, layer: str | None
) -> dict[str, Any]:
    target = "median" if target_sum is None else float(target_sum)
    if share is None and sparse.issparse(values) and values.format == "csr":
        found = _core.cells_size_factors_in_place(values.data, values.indptr, target, means_)
        # Names are needed only for what is wrong.
        if found is not None:
            return found
    return _core.cells_size_factors(matrix_of(values, _name(layer)), cells_and_genes(adata), target, share, means_)


def _divisors(found: dict[str, Any]) -> Any:
    """Total / target of each cell."""
    return found["totals"] / found["target"]


def _base(base: float | None) -> float | None:
    return None if base is None else float(base)


def _name(layer: str | None) -> str:
    return "X of AnnData" if layer is None else f"layers['{layer}'] of AnnData"


# Matrices that are changed where they stand


def _values(adata: ad.AnnData, layer: str | None) -> Any:
    """X or a layer."""
    if layer is not None and layer not in adata.layers:
        message = f"there is no layer `{layer}`"
        raise MissingKeyError(message, place="layer", hint=f"there are {', '.join(['X', *adata.layers])}")
    values = adata.X if layer is None else adata.layers[layer]
    if values is None:
        message = "there is no X"
        raise MissingKeyError(message, place="AnnData", hint=f"its layers: {', '.join(adata.layers) or 'none'}")
    return values


def _own(adata: ad.AnnData, layer: str | None, means_: Means) -> Any:
    """X or a layer as floats that may be changed: no other matrix of the study lies in the same memory."""
    values = _values(adata, layer)
    others = [adata.layers[name] for name in adata.layers if name is not None and name != layer]
    if layer is not None and adata.X is not None:
        others.append(adata.X)
    if adata.raw is not None:
        others.append(adata.raw.X)
    shared = any(np.may_share_memory(_array(values), _array(other)) for other in others)
    return _floats(values, means_, copy=shared)


def _array(values: Any) -> Any:
    """The numbers of a matrix."""
    return values.data if sparse.issparse(values) else np.asarray(values)


def _floats(values: Any, means_: Means, *, copy: bool) -> Any:
    """A matrix of native floats that can be written, by rows, by columns or dense; a copy only if needed.

    Values that are stored twice for one place are added up: the logarithm of a sum is not a sum.
    """
    if not sparse.issparse(values) and not isinstance(values, np.ndarray):
        message = f"{type(values).__name__} cannot be changed in place"
        raise BadInputError(message, place="adata", hint="load it first, as a numpy array or scipy sparse matrix")
    if sparse.issparse(values) and values.format not in ("csr", "csc"):
        values, copy = values.tocsr(), False
    dtype = values.dtype.newbyteorder("=")
    wanted = dtype if dtype in (np.dtype(np.float32), np.dtype(np.float64)) else np.dtype(np.float32)
    array = _array(values)
    if values.dtype != wanted or not values.dtype.isnative:
        values = values.astype(wanted)
    elif copy or not array.flags.writeable or not (array.flags.c_contiguous or array.flags.f_contiguous):
        values = values.copy()
    if sparse.issparse(values):
        if not _core.cells_rise(values.indices, values.indptr, means_):
            values.sum_duplicates()
    elif type(values) is not np.ndarray:
        values = np.asarray(values)
    return values


def _cells(values: Any) -> tuple[Any, tuple[str, Any]]:
    """The numbers of a matrix in memory order, and to which cell each belongs."""
    return _lines(values, 0)


def _lines(values: Any, axis: int) -> tuple[Any, tuple[str, Any]]:
    """The numbers of a matrix in memory order, and to which row (axis 0) or column (axis 1) each belongs."""
    if sparse.issparse(values):
        along = values.format == ("csr" if axis == 0 else "csc")
        return values.data, ("runs", values.indptr) if along else ("each", values.indices)
    by_rows = values.flags.c_contiguous
    flat = values.reshape(-1) if by_rows else values.T.reshape(-1)
    if by_rows == (axis == 0):
        return flat, ("long", int(values.shape[1 - axis]))
    return flat, ("turns", int(values.shape[axis]))


def _put(adata: ad.AnnData, layer: str | None, values: Any) -> None:
    """Puts a matrix into its place, unless it is there."""
    if values is _values(adata, layer):
        return
    if layer is None:
        adata.X = values
    else:
        adata.layers[layer] = values
