"""Groups of cells, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import categorical, combinations_of, only, target, values_of
from .._run import means
from ..errors import BadInputError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import anndata as ad

_FUNCTIONS = ("count_nonzero", "mean", "sum", "var")


def aggregate(
    adata: ad.AnnData,
    by: str | Iterable[str],
    func: str | Iterable[str],
    *,
    axis: str | int | None = None,
    mask: np.ndarray[Any, Any] | str | None = None,
    dof: int = 1,
    layer: str | None = None,
    obsm: str | None = None,
    varm: str | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData:
    """Sums, means, variances or numbers of cells that have a gene, of groups of cells, in one pass.

    Parameters
    ----------
    adata
        Cells × genes.
    by
        The column of obs with the groups, or several: their combinations that occur.
    func
        ``"sum"``, ``"mean"``, ``"var"``, ``"count_nonzero"``, or several of them.
    axis
        ``None``, ``"obs"`` or 0: cells are added up.
    mask
        The cells that count: truth values, or a column of obs.
    dof
        What is taken from the number of cells for the variance.
    layer
        The matrix: ``None`` is X.
    obsm, varm
        None: genes are added up.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    AnnData
        Groups × genes: a layer (float64) for each function; obs has the columns `by` and the number of cells
        (``n_obs_aggregated``).

    Raises
    ------
    MissingKeyError
        Where a column or layer does not exist.
    BadInputError
        Where values are missing or infinite.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> made = fe.get.aggregate(small_study(), ["condition", "cell_type"], ["mean", "sum"])
    >>> made.obs_names.to_list()
    ['ctrl_B', 'ctrl_T', 'stim_B', 'stim_T']
    """
    import anndata as ad

    only("axis", axis, [None, "obs", 0], "cells are added up")
    only("obsm", obsm, [None], "genes are added up")
    only("varm", varm, [None], "genes are added up")
    functions = [func] if isinstance(func, str) else list(func)
    for function in functions:
        if function not in _FUNCTIONS:
            message = f"`{function}` is not supported"
            hint = f"it is one of {', '.join(f'`{name}`' for name in _FUNCTIONS)}"
            raise UnsupportedError(message, place="func", hint=hint)
    adata = target(adata)
    by = [by] if isinstance(by, str) else list(by)
    columns = [categorical(adata, name, "by") for name in by]
    there = np.all([column.notna().to_numpy() for column in columns], axis=0) & _mask(adata, mask)
    obs, codes = combinations_of(columns, there)
    obs.insert(len(by), "n_obs_aggregated", np.bincount(codes[there], minlength=len(obs)))
    values = values_of(adata, layer, use_raw=False)
    found = _core.cells_aggregate(
        values.matrix,
        (values.cells, values.genes),
        (codes, [str(name) for name in obs.index]),
        float(dof),
        means(n_threads, max_memory, progress=progress),
    )
    return ad.AnnData(obs=obs, var=adata.var.copy(), layers={name: found[name] for name in functions})


def _mask(adata: ad.AnnData, mask: Any) -> np.ndarray[Any, Any]:
    if mask is None:
        return np.ones(adata.n_obs, dtype=bool)
    from .._obs import require

    truths = np.asarray(require(adata.obs, mask) if isinstance(mask, str) else mask)
    if truths.dtype != np.bool_ or truths.shape != (adata.n_obs,):
        message = f"expected {adata.n_obs} truth values, found {truths.shape} of type {truths.dtype}"
        raise BadInputError(message, place="mask")
    return truths
