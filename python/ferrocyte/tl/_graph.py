"""Graphs of cells on their way in: from obsp and uns as scanpy writes them, or from a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .._annotated import close_to
from .._messages import info, warn
from ..errors import BadInputError, MissingKeyError

if TYPE_CHECKING:
    import anndata as ad

    Arrays: TypeAlias = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]

#: The share of cells that may lack neighbours, as cells in one place do, before a graph is held for that of a subset.
_LACKING = 0.05


def neighbours_of(adata: ad.AnnData, neighbors_key: str | None) -> dict[str, Any]:
    """What ``uns`` says of a graph: its keys and parameters, in either dialect."""
    name = "neighbors" if neighbors_key is None else neighbors_key
    for place in (name, f"neighbors.{name}"):
        if place in adata.uns:
            return dict(adata.uns[place])
    if neighbors_key is None and "connectivities" in adata.obsp:
        return {"connectivities_key": "connectivities", "distances_key": "distances"}
    message = f"there is no graph of neighbours `{name}`"
    known = [key for key, held in adata.uns.items() if isinstance(held, dict) and "connectivities_key" in held]
    hint = close_to(name, known) if known else "call fe.pp.neighbors first"
    raise MissingKeyError(message, place="uns", hint=hint)


def parameters(neighbours: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a graph: scanpy keeps them in a dict of their own, exprmat beside the keys."""
    return dict(neighbours.get("params", neighbours))


def adjacency_of(
    adata: ad.AnnData, *, neighbors_key: str | None, obsp: str | None, adjacency: Any, allow_stale: bool
) -> Any:
    """The matrix that is meant: `adjacency`, or the one `obsp` names, or that of `neighbors_key`."""
    if adjacency is not None:
        return adjacency
    if obsp is not None:
        if neighbors_key is not None:
            message = f"there is obsp=`{obsp}` and neighbors_key=`{neighbors_key}`"
            raise BadInputError(message, place="obsp", hint="name one of them")
        return _stored(adata, obsp)
    neighbours = neighbours_of(adata, neighbors_key)
    if not allow_stale:
        _refuse_stale(adata, neighbours)
    return _stored(adata, str(neighbours.get("connectivities_key", "connectivities")))


def _stored(adata: ad.AnnData, key: str) -> Any:
    if key in adata.obsp:
        return adata.obsp[key]
    message = f"there is no matrix `{key}`"
    raise MissingKeyError(message, place="obsp", hint=close_to(key, list(adata.obsp)))


def _refuse_stale(adata: ad.AnnData, neighbours: dict[str, Any]) -> None:
    """A graph of more cells than there are now has lost neighbours: that of the cells that are left is another one."""
    stale = bool(neighbours.get("stale", False))
    k = parameters(neighbours).get("n_neighbors")
    distances = neighbours.get("distances_key")
    if not stale and k is not None and distances in adata.obsp and hasattr(adata.obsp[distances], "tocsr"):
        found = np.diff(adata.obsp[distances].tocsr().indptr)
        stale = bool(np.mean(found < min(int(k), adata.n_obs) - 1) > _LACKING)
    if stale:
        message = "the graph is that of more cells: neighbours of these cells were left out after it was made"
        raise BadInputError(
            message, place="uns['neighbors']", hint="call fe.pp.neighbors again, or say allow_stale=True"
        )


def graph_arrays(matrix: Any, n_cells: int, *, use_weights: bool = True) -> Arrays:
    """A symmetric matrix without diagonal and zeros as the compiled module reads it.

    A matrix that is not symmetric is taken for edges without direction: weights of both directions are added (halved,
    which leaves communities and layouts as they are).
    """
    from scipy import sparse

    graph = sparse.csr_matrix(matrix, copy=True)
    if graph.shape != (n_cells, n_cells):
        message = f"expected {n_cells} x {n_cells} for as many cells, found {graph.shape[0]} x {graph.shape[1]}"
        raise BadInputError(message, place="adjacency")
    graph = graph.astype(np.float32)
    bad = int(np.sum(~np.isfinite(graph.data)))
    if bad:
        message = f"{bad} of {graph.nnz} weights are missing or infinite"
        raise BadInputError(message, place="adjacency")
    graph.sum_duplicates()
    loops = int(np.count_nonzero(graph.diagonal()))
    if loops:
        graph.setdiag(0)
        warn(f"{loops} cells are joined to themselves: these edges are left out")
    graph.eliminate_zeros()
    graph.sort_indices()
    back = graph.T.tocsr()
    parts = ("indptr", "indices", "data")
    if not all(np.array_equal(getattr(graph, part), getattr(back, part)) for part in parts):
        info("the graph is not symmetric: edges are taken without direction")
        graph = ((graph + back) * np.float32(0.5)).tocsr()
        graph.eliminate_zeros()
        graph.sort_indices()
    weights = graph.data if use_weights else np.ones(graph.nnz)
    return (
        np.ascontiguousarray(graph.indptr, dtype=np.int64),
        np.ascontiguousarray(graph.indices, dtype=np.int32),
        np.ascontiguousarray(weights, dtype=np.float32),
    )
