"""Doublets: droplets with two cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._study import cells_and_genes, levels, matrix, refuse, seed_of, to_change, whole

if TYPE_CHECKING:
    import anndata as ad

    from .._run import Means


@dataclass
class _How:
    """The options, as the compiled module reads them."""

    expected_rate: float
    se_rate: float
    sim_ratio: float
    n_comps: int
    n_neighbors: int | None
    log_transform: bool
    threshold: float | None
    parents: list[tuple[int, int]] | None
    seed: int


def scrublet(
    adata: ad.AnnData,
    adata_sim: ad.AnnData | None = None,
    *,
    batch_key: str | None = None,
    sim_doublet_ratio: float = 2.0,
    expected_doublet_rate: float = 0.05,
    stdev_doublet_rate: float = 0.02,
    synthetic_doublet_umi_subsampling: float = 1.0,
    knn_dist_metric: str = "euclidean",
    normalize_variance: bool = True,
    log_transform: bool = False,
    mean_center: bool = True,
    n_prin_comps: int = 30,
    use_approx_neighbors: bool | None = None,
    get_doublet_neighbor_parents: bool = False,
    n_neighbors: int | None = None,
    threshold: float | None = None,
    verbose: bool = True,
    copy: bool = False,
    random_state: int = 0,
    layer: str | None = None,
    parents: Any = None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | None:
    """Score how much cells look like doublets: like the sums of pairs of other cells.

    Doublets form inside a sample: with several samples in one AnnData give `batch_key`. Cells with fewer than 3 genes
    are left out; their score is missing.

    Parameters
    ----------
    adata
        An AnnData of raw counts, cells × genes, in memory, a view or backed.
    adata_sim
        Not supported; `parents` says which pairs are added up.
    batch_key
        Column of obs with the sample of each cell: each is scored by itself.
    sim_doublet_ratio
        Simulated doublets per cell.
    expected_doublet_rate, stdev_doublet_rate
        Expected share of doublets, and its uncertainty.
    synthetic_doublet_umi_subsampling, knn_dist_metric, normalize_variance, mean_center, get_doublet_neighbor_parents
        Only scanpy's defaults.
    log_transform
        Whether logarithms of counts are taken before cells are brought to one total.
    n_prin_comps
        Components.
    use_approx_neighbors
        Has no effect: neighbours are exact up to 30,000 cells and simulated doublets, beyond found with a recall of at
        least 0.99.
    n_neighbors
        Neighbours among observed cells; ``None`` is half the root of their number.
    threshold
        Scores above it are doublets; ``None`` looks for the valley between the simulated ones.
    verbose
        Has no effect: decisions are logged.
    copy
        Whether a copy gains the results and is returned.
    random_state
        Seed of the pairs.
    layer
        The matrix; ``None`` is X.
    parents
        Pairs of cells to add up, pairs × 2, by their numbers among the cells that are scored, from 0 (without
        `batch_key`).
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None or anndata.AnnData
        With `copy` the copy. obs gains ``doublet_score`` and ``predicted_doublet``; ``uns["scrublet"]`` has
        ``doublet_scores_sim``, ``doublet_parents`` (pairs × 2), ``parameters`` and ``threshold``, or with `batch_key`
        these for every batch below ``batches``, and ``batched_by``. Without a valley nothing is called a doublet, there
        is no ``threshold``, and a warning says so.

    Raises
    ------
    BadInputError
        Where values are no counts, rates are out of range, or there are too few cells or variable genes.
    MissingKeyError
        Where a column or layer does not exist.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=300)
    >>> fe.pp.scrublet(cells, n_prin_comps=5, threshold=0.5)
    >>> cells.obs["doublet_score"].between(0, 1).all(), cells.obs["predicted_doublet"].dtype
    (np.True_, dtype('bool'))
    """
    refuse("adata_sim", adata_sim, "doublets are simulated here", "give the pairs of cells as parents=")
    subsampling = synthetic_doublet_umi_subsampling
    refuse("synthetic_doublet_umi_subsampling", float(subsampling), "all counts of a pair are added", usual=1.0)
    refuse("knn_dist_metric", knn_dist_metric, "distances are Euclidean", usual="euclidean")
    refuse("normalize_variance", normalize_variance, "genes are brought to one variance", usual=True)
    refuse("mean_center", mean_center, "genes are centred", usual=True)
    refuse("get_doublet_neighbor_parents", get_doublet_neighbor_parents, "neighbours are not kept", usual=False)
    adata = to_change(adata, copy=copy)
    how = _How(
        float(expected_doublet_rate),
        float(stdev_doublet_rate),
        float(sim_doublet_ratio),
        whole(n_prin_comps, "n_prin_comps"),
        None if n_neighbors is None else whole(n_neighbors, "n_neighbors"),
        bool(log_transform),
        None if threshold is None else float(threshold),
        None if parents is None else _pairs(parents),
        seed_of(random_state),
    )
    means_ = means(n_threads, max_memory, progress=progress)
    if batch_key is None:
        found = _one(adata, layer, how, means_)
        adata.obs["doublet_score"], adata.obs["predicted_doublet"] = found["score"], found["is_doublet"]
        adata.uns["scrublet"] = _record(found, how)
        return adata if copy else None
    if parents is not None:
        message = "pairs are of one sample, and batch_key names several"
        raise BadInputError(message, place="parents", hint="call it for each sample")
    codes, names = levels(adata, batch_key, "batch_key")
    if (codes < 0).any():
        message = f"{int((codes < 0).sum())} of {adata.n_obs} cells have no batch"
        raise BadInputError(message, place="batch_key", hint="leave these cells out, or give them a batch of their own")
    score, doublet = np.full(adata.n_obs, np.nan), np.zeros(adata.n_obs, dtype=bool)
    batches = {}
    for code, name in enumerate(names):
        mine = codes == code
        if not mine.any():
            continue
        found = _one(adata[mine], layer, how, means_)
        score[mine], doublet[mine] = found["score"], found["is_doublet"]
        batches[name] = _record(found, how)
    adata.obs["doublet_score"], adata.obs["predicted_doublet"] = score, doublet
    adata.uns["scrublet"] = {"batches": batches, "batched_by": batch_key}
    return adata if copy else None


def _one(adata: ad.AnnData, layer: str | None, how: _How, means_: Means) -> dict[str, Any]:
    return _core.cells_scrublet(matrix(adata, layer), cells_and_genes(adata), how, means_)


def _pairs(parents: Any) -> list[tuple[int, int]]:
    pairs = np.asarray(parents)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu" or (pairs < 0).any():
        message = f"pairs of numbers of cells are expected, found {pairs.dtype} of {pairs.shape}"
        raise BadInputError(message, place="parents", hint="an array of whole numbers, pairs x 2")
    return [(int(a), int(b)) for a, b in pairs]


def _record(found: dict[str, Any], how: _How) -> dict[str, Any]:
    """What uns keeps."""
    record: dict[str, Any] = {
        "doublet_scores_sim": found["simulated"],
        "doublet_parents": found["parents"].reshape(-1, 2).astype(np.int64),
        "parameters": {
            "expected_doublet_rate": how.expected_rate,
            "sim_doublet_ratio": how.sim_ratio,
            "n_neighbors": how.n_neighbors,
            "random_state": how.seed,
        },
    }
    if found["threshold"] is not None:
        record["threshold"] = found["threshold"]
    return record
