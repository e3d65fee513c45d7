"""How good layouts and divisions are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import labels_of, representation, seed_of, target
from .._run import means
from ..errors import BadInputError
from ._graph import adjacency_of, graph_arrays

if TYPE_CHECKING:
    import anndata as ad


def trustworthiness(
    adata: ad.AnnData,
    *,
    basis: str = "X_umap",
    use_rep: str | None = None,
    n_pcs: int | None = None,
    n_neighbors: int = 15,
    sample: int | None = None,
    random_state: int = 0,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> float:
    """How far cells that are near in a layout are near among their coordinates too: 1 is best.

    Parameters
    ----------
    adata
        Cells × genes.
    basis
        The layout: a key of obsm.
    use_rep, n_pcs
        The coordinates: a key of obsm (``None``: principal components), and how many columns of it.
    n_neighbors
        How many neighbours are looked at.
    sample, random_state
        How many cells are asked (``None``: all), and the seed by which they are drawn.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    float

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.obsm["X_pca"] = cells.X[:, :5].toarray()
    >>> fe.tl.trustworthiness(cells, basis="X_pca") > 0.99
    True
    """
    adata = target(adata)
    truth, layout = representation(adata, use_rep, n_pcs)[1], representation(adata, basis)[1]
    manner = (int(n_neighbors), adata.n_obs if sample is None else int(sample), seed_of(random_state))
    return float(_core.learn_trustworthiness(truth, layout, manner, means(n_threads, max_memory, progress=progress)))


def silhouette(
    adata: ad.AnnData,
    groupby: str,
    *,
    use_rep: str | None = None,
    n_pcs: int | None = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> float:
    """How far groups are apart: the mean silhouette of cells, from -1 to 1. Cells without label are left out.

    Parameters
    ----------
    adata
        Cells × genes.
    groupby
        The column of obs with the groups.
    use_rep, n_pcs
        The coordinates: a key of obsm (``None``: principal components), and how many columns of it.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    float

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.obsm["X_pca"] = cells.X[:, :5].toarray()
    >>> -1 <= fe.tl.silhouette(cells, "cell_type") <= 1
    True
    """
    adata = target(adata)
    labels, points = labels_of(adata, groupby), representation(adata, use_rep, n_pcs)[1]
    there = labels.codes >= 0
    work = means(n_threads, max_memory, progress=progress)
    codes = np.ascontiguousarray(labels.codes[there], dtype=np.uint32)
    return float(_core.learn_silhouette(np.ascontiguousarray(points[there]), codes, work))


def modularity(
    adata: ad.AnnData,
    groupby: str,
    *,
    resolution: float = 1.0,
    adjacency: Any = None,
    neighbors_key: str | None = None,
    obsp: str | None = None,
    use_weights: bool = True,
    allow_stale: bool = False,
) -> float:
    """The modularity of groups in the graph of neighbours, with a resolution.

    Parameters
    ----------
    adata
        Cells × genes, with a graph of neighbours.
    groupby
        The column of obs with the groups; every cell has one.
    resolution
        How much the weight that chance alone would give counts.
    adjacency, obsp, neighbors_key, use_weights, allow_stale
        The graph, as of :func:`leiden`.

    Returns
    -------
    float

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> donor = cells.obs["donor"].cat.codes.to_numpy()
    >>> same = (donor[:, None] == donor).astype(float)
    >>> round(fe.tl.modularity(cells, "donor", adjacency=same - np.eye(240)), 6)
    0.833333
    """
    adata = target(adata)
    labels = labels_of(adata, groupby)
    missing = int(np.sum(labels.codes < 0))
    if missing:
        message = f"{missing} cells have no group"
        raise BadInputError(message, place=f"groupby `{groupby}`")
    matrix = adjacency_of(adata, neighbors_key=neighbors_key, obsp=obsp, adjacency=adjacency, allow_stale=allow_stale)
    graph = graph_arrays(matrix, adata.n_obs, use_weights=use_weights)
    return float(_core.learn_modularity(graph, labels.codes.astype(np.uint32), float(resolution)))


def adjusted_rand(a: Any, b: Any) -> float:
    """How far two divisions of the same cells agree: the adjusted Rand index, 1 for the same groups, 0 by chance.

    Parameters
    ----------
    a, b
        A label for each cell: columns of obs, or any lists. Cells that lack one of the labels are left out.

    Returns
    -------
    float

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.tl.adjusted_rand(["x", "x", "y", "y"], [1, 1, 0, 0])
    1.0
    """
    import pandas as pd

    codes = [pd.factorize(np.asarray(labels))[0] for labels in (a, b)]
    if len(codes[0]) != len(codes[1]):
        message = f"{len(codes[0])} labels on one side, {len(codes[1])} on the other"
        raise BadInputError(message, place="b")
    there = (codes[0] >= 0) & (codes[1] >= 0)
    first, second = (np.ascontiguousarray(one[there], dtype=np.uint32) for one in codes)
    return float(_core.learn_agreement(first, second))
