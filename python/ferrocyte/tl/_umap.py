"""Layouts of a graph of cells in few dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._annotated import close_to, only, representation, seed_of, target
from .._keys import Style, either, keys
from .._run import means
from ..errors import BadInputError, MissingKeyError
from ._graph import adjacency_of, graph_arrays, neighbours_of, parameters

if TYPE_CHECKING:
    import anndata as ad


@dataclass
class Layout:
    """How a layout is made, as the compiled module reads it."""

    dims: int
    min_dist: float
    spread: float
    curve: tuple[float, float] | None
    n_epochs: int | None
    negatives: float
    learning_rate: float
    repulsion: float
    seed: int


def umap(
    adata: ad.AnnData,
    *,
    min_dist: float = 0.5,
    spread: float = 1.0,
    n_components: int = 2,
    maxiter: int | None = None,
    alpha: float = 1.0,
    gamma: float = 1.0,
    negative_sample_rate: int = 5,
    init_pos: str | np.ndarray[Any, Any] = "spectral",
    random_state: int = 0,
    a: float | None = None,
    b: float | None = None,
    method: str = "umap",
    key_added: str | None = None,
    neighbors_key: str = "neighbors",
    copy: bool = False,
    allow_stale: bool = False,
    style: Style = "scanpy",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Lay out the graph of neighbours in few dimensions (UMAP); the same bits for any number of threads.

    Parameters
    ----------
    adata
        Cells × genes, with a graph of neighbours.
    min_dist, spread
        How near points come to one another, and the scale of the layout.
    n_components
        Dimensions, 1 to 16.
    maxiter
        Rounds of moves; ``None`` is 500 up to 10,000 cells, 200 beyond.
    alpha, gamma, negative_sample_rate
        How far first moves go, how hard points push, and how many push for each that pulls.
    init_pos
        ``"spectral"``, ``"random"``, a key of obsm, or coordinates (cells × `n_components`).
    random_state
        The seed, a whole number.
    a, b
        The curve, if both are given, instead of that of `min_dist` and `spread`.
    method
        ``"umap"``.
    key_added
        Where the layout goes in obsm and its parameters in uns, instead of ``X_umap`` and ``umap``.
    neighbors_key
        The key of uns that describes the graph.
    copy
        Whether a copy is changed and returned.
    allow_stale
        Whether the graph of more cells than there are now will do.
    style
        The dialect of keys: ``"scanpy"``, or ``"exprmat"`` (obsm ``umap``).
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    AnnData or None
        A copy if asked for. ``obsm["X_umap"]`` has the layout (cells × `n_components`, float32), ``uns["umap"]`` the
        curve.

    Raises
    ------
    MissingKeyError
        Where there is no graph or start of that name.
    BadInputError
        Where the graph is that of more cells, or options are out of their range.

    Examples
    --------
    >>> import ferrocyte as fe, numpy as np
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study()
    >>> cells.obsp["connectivities"] = (np.corrcoef(cells.X.toarray()) > 0.7).astype(float) - np.eye(240)
    >>> fe.tl.umap(cells, maxiter=20)
    >>> cells.obsm["X_umap"].shape
    (240, 2)
    """
    only("method", method, ["umap"], "layouts are made on processors")
    seed = seed_of(random_state)
    adata = target(adata, copy=copy)
    place = keys(style).umap if key_added is None else key_added
    asked = None if neighbors_key == "neighbors" else neighbors_key
    neighbours = neighbours_of(adata, asked)
    matrix = adjacency_of(adata, neighbors_key=asked, obsp=None, adjacency=None, allow_stale=allow_stale)
    layout = Layout(
        dims=int(n_components),
        min_dist=float(min_dist),
        spread=float(spread),
        curve=None if a is None or b is None else (float(a), float(b)),
        n_epochs=None if maxiter is None else int(maxiter),
        negatives=float(negative_sample_rate),
        learning_rate=float(alpha),
        repulsion=float(gamma),
        seed=seed,
    )
    coordinates, a, b = _core.learn_umap(
        graph_arrays(matrix, adata.n_obs),
        _start(adata, init_pos, parameters(neighbours)),
        layout,
        means(n_threads, max_memory, progress=progress),
    )
    adata.obsm[place] = coordinates
    params: dict[str, Any] = {"a": a, "b": b}
    if seed != 0:
        params["random_state"] = seed
    adata.uns["umap" if key_added is None else key_added] = {"params": params}
    return adata if copy else None


def _start(adata: ad.AnnData, init_pos: Any, graph: dict[str, Any]) -> tuple[str, Any]:
    """Where cells are before they move; the coordinates behind the graph place components that hang apart."""
    if not isinstance(init_pos, str):
        given = np.ascontiguousarray(init_pos, dtype=np.float64)
        if given.ndim != 2:
            message = f"expected cells x dimensions, found an array of {given.ndim} dimensions"
            raise BadInputError(message, place="init_pos")
        return "given", given
    if init_pos == "random":
        return "random", None
    if init_pos == "spectral":
        use_rep = graph.get("use_rep")
        if use_rep in adata.obsm or (use_rep is None and any(name in adata.obsm for name in either("scanpy", "pca"))):
            return "spectral", representation(adata, use_rep)[1]
        return "spectral", None
    if init_pos in adata.obsm:
        return "given", representation(adata, init_pos)[1]
    message = f"there is no start `{init_pos}`"
    hint = f"it is `spectral`, `random`, coordinates, or a key of obsm: {close_to(init_pos, list(adata.obsm))}"
    raise MissingKeyError(message, place="init_pos", hint=hint)
