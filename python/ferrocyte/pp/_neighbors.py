"""Neighbours of cells, and the graph of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from .. import _core
from .._keys import FIRST_GRAPH, either, find, of_graph
from .._messages import info, warn
from .._run import means
from ..errors import BadInputError, UnsupportedError
from ._pca import pca
from ._study import points, refuse, seed_of, to_change, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    import anndata as ad

    from .._keys import Style

#: Without components, so many genes are few enough to be used themselves.
FEW_GENES = 50

_METRICS = {"l2": "euclidean", "l1": "manhattan", "cityblock": "manhattan"}
_SEARCHES = {None: "automatic", "exact": "exact", "sklearn": "exact", "approximate": "approximate"}
_SEARCHES["pynndescent"] = "approximate"
_METHODS = ("umap", "gauss", "jaccard")


@dataclass
class _How:
    """The options, as the compiled module reads them."""

    k: int
    metric: str
    search: str
    method: str
    seed: int


def neighbors(
    adata: ad.AnnData,
    n_neighbors: int = 15,
    n_pcs: int | None = None,
    *,
    use_rep: str | None = None,
    knn: bool = True,
    method: Literal["umap", "gauss", "jaccard"] = "umap",
    transformer: str | None = None,
    metric: str = "euclidean",
    metric_kwds: Mapping[str, Any] | None = None,
    random_state: int = 0,
    key_added: str | None = None,
    copy: bool = False,
    style: Style = "scanpy",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Find the nearest neighbours of every cell and join them to a graph.

    Neighbours are exact up to 30,000 cells; beyond, at least 0.99 of them are found, measured on a sample and logged.

    Parameters
    ----------
    adata
        An AnnData with components in obsm; without them they are computed, with a warning.
    n_neighbors
        Neighbours of each cell, itself included. More than there are cells are lowered, with a warning.
    n_pcs
        How many of the components; ``None`` is all, 0 is X.
    use_rep
        Entry of obsm, or ``"X"``; ``None`` is ``X_pca``, or X where there are at most 50 genes.
    knn
        Only ``True``.
    method
        Weights of the graph: ``"umap"`` is fuzzy and symmetric, ``"gauss"`` has widths of cells, ``"jaccard"`` counts
        shared neighbours.
    transformer
        ``"exact"`` or ``"approximate"`` (scanpy's ``"sklearn"``, ``"pynndescent"``) force a search.
    metric
        ``"euclidean"``, ``"cosine"``, ``"correlation"`` or ``"manhattan"``.
    metric_kwds
        Only empty.
    random_state
        Seed of the approximate search.
    key_added
        Name of this graph, if it is not the only one: ``KEY_connectivities`` and ``KEY_distances``.
    copy
        Whether a copy gains the results and is returned.
    style
        The dialect in which results are named; ``"exprmat"`` also keeps indices and distances of neighbours in obsm.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None or anndata.AnnData
        With `copy` the copy. obsp gains ``distances`` (compressed rows of `n_neighbors` − 1, 64 bits; a distance of 0
        between equal cells is stored) and ``connectivities`` (symmetric weights; 32 bits, for ``"gauss"`` 64), uns
        ``neighbors`` (their names and ``params``).

    Raises
    ------
    BadInputError
        Where cells have no coordinates, or a number is out of range.
    MissingKeyError
        Where the entry does not exist.
    UnsupportedError
        Where an argument of scanpy has another value than those above.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> fe.pp.log_normalize(cells)
    >>> fe.pp.pca(cells, n_comps=5)
    >>> fe.pp.neighbors(cells, n_neighbors=10)
    >>> cells.obsp["distances"].nnz, cells.uns["neighbors"]["params"]["n_neighbors"]
    (2160, 10)
    """
    refuse("knn", knn, "all cells would be joined", "method='gauss' weighs the nearest by a Gaussian", usual=True)
    if metric_kwds:
        message = f"{dict(metric_kwds)} is not supported: metrics have no parameters"
        raise UnsupportedError(message, place="metric_kwds")
    if method not in _METHODS:
        message = f"there is no method `{method}`"
        raise UnsupportedError(message, place="method", hint=f"it is one of {', '.join(_METHODS)}")
    if not (transformer is None or isinstance(transformer, str)) or transformer not in _SEARCHES:
        message = f"{transformer!r} is not supported: neighbours are searched for here"
        raise UnsupportedError(message, place="transformer", hint="leave it out, or give `exact` or `approximate`")
    k = whole(n_neighbors, "n_neighbors", 2)
    how = _How(k, _METRICS.get(metric, metric), _SEARCHES[transformer], method, seed_of(random_state))
    adata = to_change(adata, copy=copy)
    rep = _representation(adata, use_rep, n_pcs, style)
    cut = None if n_pcs in (None, 0) or rep == "X" else whole(n_pcs, "n_pcs")
    found = _core.cells_neighbors(
        points(adata, rep, cut, "n_pcs"), how, means(n_threads, max_memory, progress=progress)
    )
    if found["recall"] is not None:
        info(f"neighbours: {found['recall']:.4f} of the true ones were found on a sample")
    params: dict[str, Any] = {"n_neighbors": found["k"], "method": method, "random_state": how.seed, "metric": metric}
    if use_rep is not None:
        params["use_rep"] = use_rep
    if n_pcs is not None:
        params["n_pcs"] = n_pcs
    _write(adata, found, params, rep, key_added, style)
    return adata if copy else None


def _representation(adata: ad.AnnData, use_rep: str | None, n_pcs: int | None, style: str) -> str:
    """The coordinates that are used: X, or an entry of obsm, which is computed if need be."""
    if use_rep == "X" or (use_rep is None and n_pcs == 0):
        if n_pcs not in (None, 0):
            message = f"use_rep='X' has no components, and n_pcs is {n_pcs}"
            raise BadInputError(message, place="n_pcs", hint="leave one of them out")
        return "X"
    if use_rep is not None:
        return find(adata.obsm, [use_rep], "obsm")
    known = either(style, "pca")
    if n_pcs is None and adata.n_vars <= FEW_GENES:
        return "X"
    if any(name in adata.obsm for name in known):
        return find(adata.obsm, known, "obsm")
    warn(f"there are no components yet ({known[0]}): they are computed with the usual options")
    pca(adata, n_pcs, style=style)  # type: ignore[arg-type]
    return known[0]


def _write(
    adata: ad.AnnData, found: dict[str, Any], params: dict[str, Any], rep: str, key_added: str | None, style: str
) -> None:
    """Puts the graph and what tells of it into their places."""
    n, k = adata.n_obs, found["k"]
    indices, far = found["indices"].reshape(n, k), found["distances"].reshape(n, k)
    names = {part: of_graph(style, key_added, part) for part in ("connectivities", "distances", "knn", "knn.d")}
    weights = found["weights"].astype(np.float64) if params["method"] == "gauss" else found["weights"]
    adata.obsp[names["distances"]] = _rows(indices[:, 1:], far[:, 1:], n)
    graph = (weights, found["neighbours"].astype(np.int32), found["starts"].astype(_pointer(len(weights))))
    adata.obsp[names["connectivities"]] = sparse.csr_matrix(graph, shape=(n, n))
    record: dict[str, Any] = {
        "connectivities_key": names["connectivities"],
        "distances_key": names["distances"],
        "params": params,
    }
    if style == "exprmat":
        adata.obsm[names["knn"]] = indices.astype(np.int64)
        adata.obsm[names["knn.d"]] = far
        del record["params"]
        record.update({"knn_key": names["knn"], "knn_distances_key": names["knn.d"], "knn": True, "metric_kwds": {}})
        record.update(params)
        record.update({"use_rep": rep, "n_comps": params.get("n_pcs", _width(adata, rep))})
        record.pop("n_pcs", None)
    adata.uns["neighbors" if key_added in FIRST_GRAPH else _record_name(style, key_added)] = record


def _record_name(style: str, key_added: str | None) -> str:
    """What the record of a second graph is called in uns."""
    return str(key_added) if style == "scanpy" else of_graph(style, key_added, "neighbors")


def _width(adata: ad.AnnData, rep: str) -> int:
    return int(adata.n_vars if rep == "X" else adata.obsm[rep].shape[1])


def _rows(indices: np.ndarray[Any, Any], far: np.ndarray[Any, Any], n: int) -> Any:
    """Distances to the others as compressed rows, columns rising."""
    order = np.argsort(indices, axis=1, kind="stable")
    columns = np.take_along_axis(indices, order, axis=1).astype(np.int32).reshape(-1)
    values = np.take_along_axis(far, order, axis=1).reshape(-1)
    pointers = np.arange(0, len(values) + 1, max(indices.shape[1], 1), dtype=_pointer(len(values)))
    return sparse.csr_matrix((values, columns, pointers), shape=(n, n))


def _pointer(n: int) -> Any:
    return np.int64 if n > np.iinfo(np.int32).max else np.int32
