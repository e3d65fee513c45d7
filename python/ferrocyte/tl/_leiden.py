"""Communities of a graph of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import categorical, close_to, natural, no_more, only, seed_of, target
from .._run import means
from ..errors import BadInputError, MissingKeyError
from ._graph import adjacency_of, graph_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import anndata as ad

    Find = Callable[[Any], dict[str, Any]]


def leiden(
    adata: ad.AnnData,
    resolution: float = 1.0,
    *,
    restrict_to: tuple[str, Sequence[str]] | None = None,
    random_state: int = 0,
    key_added: str = "leiden",
    adjacency: Any = None,
    directed: bool | None = None,
    use_weights: bool = True,
    n_iterations: int = -1,
    partition_type: Any = None,
    neighbors_key: str | None = None,
    obsp: str | None = None,
    copy: bool = False,
    flavor: str = "igraph",
    n_starts: int | None = None,
    allow_stale: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
    **clustering_args: Any,
) -> ad.AnnData | None:
    """Find clusters of cells: Leiden's communities of the graph of neighbours, for modularity with a resolution.

    Clusters are numbered by falling size and are all connected. They depend on graph, options and seed, not on threads.

    Parameters
    ----------
    adata
        Cells × genes, with a graph of neighbours.
    resolution
        The larger, the more clusters.
    restrict_to
        A column of obs and some of its categories: only these are divided. Labels are then those of the column, or
        ``"0-1,2"`` for part 2 of 0 and 1 together.
    random_state
        The seed, a whole number.
    key_added
        The column of obs that is written; ``leiden_R`` if `restrict_to` is given and no other name.
    adjacency, obsp, neighbors_key
        The graph: a matrix (cells × cells), a key of obsp, or the key of uns that describes it. Stored zeros are no
        edges.
    directed
        ``None`` or ``False``: edges have no direction.
    use_weights
        Whether edges have weights.
    n_iterations
        Runs through all levels, each from the clusters of the one before; -1: until modularity gains no more.
    flavor
        ``"igraph"`` or ``"leidenalg"``, which mean the same here.
    n_starts
        Random orders that are tried, of which the best clusters are taken; ``None`` is 3 up to 10,000 cells, 1 beyond.
    copy
        Whether a copy is changed and returned.
    allow_stale
        Whether the graph of more cells than there are now will do.
    partition_type, clustering_args
        ``objective_function="modularity"`` and ``beta``, the randomness of the refinement (0.01); no others.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    AnnData or None
        A copy if asked for. ``obs["leiden"]`` has the clusters (categories ``"0"``, ``"1"``, … in natural order),
        ``uns["leiden"]`` parameters and modularity (with the resolution).

    Raises
    ------
    MissingKeyError
        Where there is no graph, column or category of that name.
    BadInputError
        Where the graph is that of more cells, or has weights that are negative or missing.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> donor = cells.obs["donor"].cat.codes.to_numpy()
    >>> same = (donor[:, None] == donor).astype(float)
    >>> fe.tl.leiden(cells, adjacency=same - np.eye(240))
    >>> cells.obs["leiden"].value_counts().to_dict()
    {'0': 40, '1': 40, '2': 40, '3': 40, '4': 40, '5': 40}
    """
    only("directed", directed, [None, False], "edges of graphs of neighbours have no direction")
    only("partition_type", partition_type, [None], "clusters are those of modularity with a resolution")
    only("flavor", flavor, ["igraph", "leidenalg"], "there is one implementation")
    objective = clustering_args.pop("objective_function", "modularity")
    only("objective_function", objective, ["modularity"], "clusters are those of modularity with a resolution")
    randomness = float(clustering_args.pop("beta", 0.01))
    no_more(clustering_args, "clusters are those of modularity with a resolution")
    seed = seed_of(random_state)
    adata = target(adata, copy=copy)
    matrix = adjacency_of(adata, neighbors_key=neighbors_key, obsp=obsp, adjacency=adjacency, allow_stale=allow_stale)
    work = means(n_threads, max_memory, progress=progress)
    manner = (float(resolution), randomness, None if n_iterations < 0 else int(n_iterations), n_starts, seed)
    name = _divide(
        adata,
        matrix,
        lambda graph: _core.learn_leiden(graph, manner, work),
        restrict_to=restrict_to,
        use_weights=use_weights,
        key_added=key_added,
        default="leiden",
    )
    params = {"resolution": resolution, "random_state": random_state, "n_iterations": n_iterations}
    adata.uns[name] = {"params": params, **adata.uns[name]}
    return adata if copy else None


def louvain(
    adata: ad.AnnData,
    resolution: float | None = None,
    *,
    random_state: int = 0,
    restrict_to: tuple[str, Sequence[str]] | None = None,
    key_added: str = "louvain",
    adjacency: Any = None,
    flavor: str = "vtraag",
    directed: bool = True,
    use_weights: bool = False,
    partition_type: Any = None,
    partition_kwargs: Mapping[str, Any] | None = None,
    neighbors_key: str | None = None,
    obsp: str | None = None,
    copy: bool = False,
    allow_stale: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Find clusters of cells by the Louvain method; they need not be connected: prefer :func:`leiden`.

    Parameters
    ----------
    adata
        Cells × genes, with a graph of neighbours.
    resolution
        The larger, the more clusters; ``None`` is 1.
    random_state
        The seed, a whole number.
    restrict_to
        A column of obs and some of its categories: only these are divided.
    key_added
        The column of obs that is written; ``louvain_R`` if `restrict_to` is given and no other name.
    adjacency, obsp, neighbors_key
        The graph: a matrix (cells × cells), a key of obsp, or the key of uns that describes it.
    flavor
        ``"vtraag"`` or ``"igraph"``, which mean the same here.
    directed
        Without effect: the graph of neighbours has each edge in both directions.
    use_weights
        Whether edges have weights.
    partition_type, partition_kwargs
        None.
    copy
        Whether a copy is changed and returned.
    allow_stale
        Whether the graph of more cells than there are now will do.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    AnnData or None
        A copy if asked for. ``obs["louvain"]`` has the clusters, ``uns["louvain"]`` parameters and modularity.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> donor = cells.obs["donor"].cat.codes.to_numpy()
    >>> same = (donor[:, None] == donor).astype(float)
    >>> fe.tl.louvain(cells, adjacency=same - np.eye(240))
    >>> len(cells.obs["louvain"].cat.categories)
    6
    """
    only("flavor", flavor, ["vtraag", "igraph"], "there is one implementation, on processors")
    only("directed", directed, [True, False], "expected a truth value")
    only("partition_type", partition_type, [None], "clusters are those of modularity with a resolution")
    no_more(dict(partition_kwargs or {}), "clusters are those of modularity with a resolution")
    seed = seed_of(random_state)
    adata = target(adata, copy=copy)
    matrix = adjacency_of(adata, neighbors_key=neighbors_key, obsp=obsp, adjacency=adjacency, allow_stale=allow_stale)
    work = means(n_threads, max_memory, progress=progress)
    name = _divide(
        adata,
        matrix,
        lambda graph: _core.learn_louvain(graph, 1.0 if resolution is None else float(resolution), seed, work),
        restrict_to=restrict_to,
        use_weights=use_weights,
        key_added=key_added,
        default="louvain",
    )
    params = {"resolution": resolution, "random_state": random_state}
    adata.uns[name] = {"params": params, **adata.uns[name]}
    return adata if copy else None


def _divide(
    adata: ad.AnnData,
    matrix: Any,
    find: Find,
    *,
    restrict_to: tuple[str, Sequence[str]] | None,
    use_weights: bool,
    key_added: str,
    default: str,
) -> str:
    """Write the clusters of a graph, or of the part of it that is asked for; the name of their column."""
    import pandas as pd

    if restrict_to is None:
        found = find(graph_arrays(matrix, adata.n_obs, use_weights=use_weights))
        levels = [str(i) for i in range(found["n"])]
        adata.obs[key_added] = pd.Categorical.from_codes(found["labels"], categories=levels)
    else:
        inside, labels, parents = _restricted(adata, restrict_to)
        from scipy import sparse

        part = sparse.csr_matrix(matrix)[inside][:, inside]
        found = find(graph_arrays(part, len(inside), use_weights=use_weights))
        labels[inside] = [f"{parents},{label}" for label in found["labels"]]
        key_added = f"{default}_R" if key_added == default else key_added
        levels = natural({label for label in labels if label is not None})
        adata.obs[key_added] = pd.Categorical(labels, categories=levels)
    adata.uns[key_added] = {"modularity": found["modularity"]}
    return key_added


def _restricted(adata: ad.AnnData, restrict_to: tuple[str, Sequence[str]]) -> tuple[Any, Any, str]:
    """The cells of some categories, the labels of all cells, and the name of the categories together."""
    name, wanted = restrict_to
    wanted = [wanted] if isinstance(wanted, str) else [str(one) for one in wanted]
    series = categorical(adata, name, "restrict_to")
    levels = [str(level) for level in series.cat.categories]
    for one in wanted:
        if one not in levels:
            message = f"`{name}` has no category `{one}`"
            raise MissingKeyError(message, place="restrict_to", hint=close_to(one, levels))
    codes = np.asarray(series.cat.codes)
    labels = np.array([*levels, None], dtype=object)[codes]
    inside = np.flatnonzero(np.isin(codes, [levels.index(one) for one in wanted]))
    if not len(inside):
        message = f"no cell of `{name}` belongs to {', '.join(f'`{one}`' for one in wanted) or 'no category'}"
        raise BadInputError(message, place="restrict_to")
    return inside, labels, "-".join(wanted)
