"""Consensus clusters of many k-means runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _core
from .._annotated import only, representation, seed_of, target
from .._keys import Style, keys
from .._run import means

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad


def sc3(
    adata: ad.AnnData,
    n_clusters: int | Sequence[int] = (5, 10, 20, 30),
    *,
    basis: str | None = None,
    d_range: int | Sequence[int] | None = None,
    n_runs: int = 5,
    n_facility: int | None = None,
    multiplier_facility: int = 3,
    batch_size: int = 100,
    random_state: int = 0,
    copy: bool = False,
    style: Style = "scanpy",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Cluster cells into given numbers of clusters: the consensus of many k-means runs (SC3).

    Parameters
    ----------
    adata
        Cells × genes, with coordinates in obsm.
    n_clusters
        Numbers of clusters.
    basis
        The coordinates: a key of obsm; ``None``: principal components.
    d_range
        Numbers of columns that runs use; ``None``: one number, 25, or all if there are fewer.
    n_runs
        Runs for each number of columns.
    n_facility, multiplier_facility
        Clusters with which a run begins, or how many for each of the largest number of clusters.
    batch_size
        Without effect: cells are clustered in full, not by batches.
    random_state
        The seed, a whole number.
    copy
        Whether a copy is changed and returned.
    style
        The dialect of keys: ``"scanpy"`` (obs ``sc3s_K``) or ``"exprmat"`` (obs ``sc3.K``).
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    AnnData or None
        A copy if asked for. ``obs["sc3s_K"]`` has the clusters (categories in natural order, ``"0"`` the largest), for
        each K; ``uns["sc3s_trials"]`` the parameters and, for each K, how far the runs agree (``agreement``): the K
        with the largest is the most stable.

    Raises
    ------
    BadInputError
        Where a number of clusters or columns is none, or more than there are cells or columns.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.obsm["X_pca"] = cells.X[:, :5].toarray()
    >>> fe.tl.sc3(cells, [2, 3])
    >>> len(cells.obs["sc3s_3"].cat.categories)
    3
    """
    import pandas as pd

    only("batch_size", batch_size, [100], "cells are clustered in full, not by batches")
    adata = target(adata, copy=copy)
    places, numbers = keys(style), _list(n_clusters)
    name, points = representation(adata, basis)
    columns = None if d_range is None else _list(d_range)
    manner = (int(n_runs), columns, n_facility, int(multiplier_facility), seed_of(random_state))
    found = _core.cells_sc3(points, numbers, manner, means(n_threads, max_memory, progress=progress))
    for k, codes, levels, _ in found:
        adata.obs[places.sc3.format(k)] = pd.Categorical.from_codes(codes, categories=levels)
    adata.uns[places.sc3_trials] = {
        "params": {"basis": name, "n_clusters": numbers, "n_runs": int(n_runs), "random_state": int(random_state)},
        "agreement": {str(k): agreement for k, _, _, agreement in found},
    }
    return adata if copy else None


def _list(numbers: int | Sequence[int]) -> list[int]:
    return [int(numbers)] if isinstance(numbers, int) else [int(number) for number in numbers]
