"""Batches brought together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _core
from .._keys import either, find, keys
from .._messages import info
from .._run import means
from ..errors import BadInputError
from ._study import levels, points, seed_of, to_change, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

    from .._keys import Style


@dataclass
class _How:
    """The options, as the compiled module reads them."""

    n_clusters: int | None
    theta: float
    sigma: float
    tau: float
    ridge: tuple[str, float, float]
    max_iter: int
    max_iter_kmeans: int
    eps_cluster: float
    eps_harmony: float
    block_size: float
    shuffle: bool
    start: np.ndarray[Any, Any] | None
    seed: int


def harmony_integrate(
    adata: ad.AnnData,
    key: str | Sequence[str],
    *,
    basis: str | None = None,
    adjusted_basis: str | None = None,
    theta: float = 2.0,
    lamb: float | Literal["auto"] = 1.0,
    sigma: float = 0.1,
    nclust: int | None = None,
    tau: float = 0.0,
    alpha: float = 0.2,
    batch_prop_cutoff: float = 1e-5,
    block_size: float = 0.05,
    max_iter_harmony: int = 10,
    max_iter_kmeans: int = 20,
    epsilon_cluster: float = 1e-5,
    epsilon_harmony: float = 1e-4,
    random_state: int = 0,
    start: Any = None,
    shuffle: bool = True,
    copy: bool = False,
    style: Style = "scanpy",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Bring the batches of a study together in the space of their components (Harmony, Korsunsky et al. 2019).

    Two penalties are in use elsewhere and give different answers: the published one, ``lamb=1``, and the one of later
    versions of the R and Python packages, ``lamb="auto"``. Which was used is logged and kept in ``uns["harmony"]``.
    With one batch the components are copied, with a warning.

    Parameters
    ----------
    adata
        An AnnData with components in obsm.
    key
        Column of obs with the batch of each cell, or several such columns.
    basis
        Entry of obsm; ``None`` is ``X_pca``.
    adjusted_basis
        Entry of obsm for the result; ``None`` is ``X_pca_harmony``.
    theta
        Reward for clusters that hold all batches; 0 is none.
    lamb
        Penalty of shifts: a number, or ``"auto"``: `alpha` × the cells of the batch expected in the cluster.
    sigma
        Softness of clusters.
    nclust
        How many clusters; ``None`` is a thirtieth of the cells, at least 2 and at most 100.
    tau
        Protects small batches: theta is reduced where a cluster would have fewer than so many cells of a batch.
    alpha, batch_prop_cutoff
        With ``lamb="auto"``: the factor, and the least share of a cluster at which a batch is shifted by it.
    block_size
        Share of the cells whose memberships are renewed at a time.
    max_iter_harmony, max_iter_kmeans
        The most iterations, and the most rounds of clustering in each.
    epsilon_cluster, epsilon_harmony
        Relative changes of the objective below which clustering, and the whole, stop.
    random_state
        Seed of start centres and of the order of cells.
    start
        Start centres, clusters × components; their number is that of clusters.
    shuffle
        Whether cells are taken in random order, or in their own.
    copy
        Whether a copy gains the result and is returned.
    style
        The dialect in which entries are named.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None or anndata.AnnData
        With `copy` the copy. obsm gains ``X_pca_harmony`` (cells × components, 64 bits); ``uns["harmony"]`` has
        ``params``, ``objective`` (at the start and after every iteration), ``rounds`` of clustering in each iteration,
        and ``converged``.

    Raises
    ------
    BadInputError
        Where cells have no batch or no coordinates, or options are out of range.
    MissingKeyError
        Where a column or entry does not exist.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> fe.pp.log_normalize(cells)
    >>> fe.pp.pca(cells, n_comps=5)
    >>> fe.pp.harmony_integrate(cells, "condition")
    >>> cells.obsm["X_pca_harmony"].shape
    (240, 5)
    """
    adata = to_change(adata, copy=copy)
    wanted = [key] if isinstance(key, str) else list(key)
    batches = {name: levels(adata, name, "key") for name in wanted}
    basis = find(adata.obsm, [basis] if basis is not None else either(style, "pca"), "obsm")
    values = points(adata, basis)
    how = _How(
        None if nclust is None else whole(nclust, "nclust"),
        float(theta),
        float(sigma),
        float(tau),
        _ridge(lamb, float(alpha), float(batch_prop_cutoff)),
        whole(max_iter_harmony, "max_iter_harmony"),
        whole(max_iter_kmeans, "max_iter_kmeans"),
        float(epsilon_cluster),
        float(epsilon_harmony),
        float(block_size),
        bool(shuffle),
        None if start is None else np.ascontiguousarray(np.asarray(start), dtype=np.float64),
        seed_of(random_state),
    )
    found = _core.cells_harmony(values, batches, how, means(n_threads, max_memory, progress=progress))
    info(f"Harmony: lambda is {lamb}, {len(found['rounds'])} iterations, converged: {found['converged']}")
    adata.obsm[adjusted_basis or keys(style).harmony] = found["corrected"]
    params = {
        "key": wanted,
        "basis": basis,
        "theta": how.theta,
        "lambda": lamb if isinstance(lamb, str) else float(lamb),
        "sigma": how.sigma,
        "tau": how.tau,
        "n_clusters": int(found["observed"].shape[0]),
        "random_state": how.seed,
    }
    adata.uns["harmony"] = {
        "params": params,
        "objective": found["objective"],
        "rounds": np.asarray(found["rounds"], dtype=np.int64),
        "converged": bool(found["converged"]),
    }
    return adata if copy else None


def _ridge(lamb: Any, alpha: float, cutoff: float) -> tuple[str, float, float]:
    if isinstance(lamb, str) and lamb == "auto":
        return ("expected", alpha, cutoff)
    if isinstance(lamb, bool) or not isinstance(lamb, (int, float, np.integer, np.floating)):
        message = f"a number or `auto` is expected, found {lamb!r}"
        hint = "1.0 is the published penalty, `auto` that of later versions of the packages"
        raise BadInputError(message, place="lamb", hint=hint)
    return ("fixed", float(lamb), 0.0)
