"""Counts without the differences between batches, for programs that are not batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from .._messages import info
from .._run import means
from ..errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata as ad

__all__ = ["Corrected", "harmony_corrected"]

#: Cells that are corrected at a time.
_ROWS = 4096


class Corrected(NamedTuple):
    """What ``prepare(counts, tpm, genes)`` takes.

    Attributes
    ----------
    counts
        Cells × variable genes: counts over the standard deviations of their genes, capped and corrected, dense, at
        least 0.
    tpm
        Cells × all genes: counts per ten thousand, not corrected.
    genes
        The variable genes.
    """

    counts: ad.AnnData
    tpm: ad.AnnData
    genes: list[str]


def harmony_corrected(
    adata: ad.AnnData,
    key: str | Sequence[str],
    *,
    layer: str | None = None,
    n_genes: int = 2000,
    n_comps: int = 50,
    quantile: float = 0.9999,
    theta: float = 2.0,
    ridge: float = 1.0,
    max_iter_harmony: int = 20,
    seed: int = 0,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> Corrected:
    """Take the differences between batches out of variable genes, by the clusters that Harmony finds.

    Genes are chosen by the variance that their mean does not explain (`seurat_v3`), divided by their standard
    deviations and capped. Harmony (Korsunsky et al. 2019) brings the components of the cells together, from counts per
    ten thousand that are scaled alike; its soft clusters hold cells of one kind from all batches. In each cluster the
    genes are regressed on the batches, weighted by membership, with a ridge; what the batches explain beyond the
    intercept is subtracted, and what falls below 0 becomes 0. The matrix is dense, cells × `n_genes`.

    Parameters
    ----------
    adata
        Counts, cells × genes, in memory.
    key
        Column of obs with the batch of each cell, or several such columns.
    layer
        The layer of the counts; ``None`` is X.
    n_genes
        How many variable genes.
    n_comps
        Components for Harmony.
    quantile
        Values above this quantile of all that are not 0 are cut to it.
    theta
        Harmony's reward for clusters that hold all batches.
    ridge
        The penalty on what batches explain, in Harmony and for genes; the intercept has none.
    max_iter_harmony
        The most iterations of Harmony.
    seed
        Of Harmony's start.
    n_threads, max_memory, progress
        With what means.

    Returns
    -------
    Corrected
        `counts`, `tpm`, `genes`: what :meth:`cNMF.prepare` takes as ``counts_fn``, ``tpm_fn`` and ``genes_file``, and
        :func:`fit` as `data`, `tpm` and `genes`. `adata` is not touched.

    Raises
    ------
    BadInputError
        Where values are no counts, cells have no batch, or cells have no count in the variable genes.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> corrected = fe.cnmf.harmony_corrected(cells, "condition", n_genes=40, n_comps=5)
    >>> corrected.counts.shape, float(corrected.counts.X.min()) >= 0.0
    ((240, 40), True)
    >>> run = fe.cnmf.fit(corrected.counts, 3, n_iter=4, seed=1, tpm=corrected.tpm, genes=corrected.genes)
    """
    import anndata as ad

    from .. import pp
    from ..pp._harmony import _How
    from ..pp._study import levels

    wanted = [key] if isinstance(key, str) else list(key)
    batches = {name: levels(adata, name, "key") for name in wanted}
    if not 0.0 < quantile <= 1.0:
        message = f"expected a quantile above 0 and up to 1, found {quantile}"
        raise BadInputError(message, place="quantile")
    counts = _rows(adata.X if layer is None else adata.layers[layer])
    bare = ad.AnnData(counts, obs=adata.obs[wanted], var=adata.var[[]])
    table: Any = pp.highly_variable_genes(bare, n_top_genes=n_genes, flavor="seurat_v3", inplace=False)
    chosen = np.flatnonzero(table["highly_variable"].to_numpy())
    genes = [str(name) for name in adata.var_names[chosen]]
    tpm = _per_ten_thousand(counts)
    # Components of expression that is scaled as the counts are.
    scaled = ad.AnnData(_scaled(tpm[:, chosen], quantile).toarray(), obs=bare.obs)
    n_comps = min(n_comps, len(genes) - 1, len(counts.indptr) - 2)
    pp.pca(scaled, n_comps=n_comps, n_threads=n_threads, max_memory=max_memory, progress=progress)
    points = np.ascontiguousarray(scaled.obsm["X_pca"], dtype=np.float64)
    how = _How(
        n_clusters=None, theta=float(theta), sigma=0.1, tau=0.0, ridge=("fixed", float(ridge), 0.0),
        max_iter=max_iter_harmony, max_iter_kmeans=20, eps_cluster=1e-5, eps_harmony=1e-4, block_size=0.05,
        shuffle=True, start=None, seed=seed,
    )  # fmt: skip
    found = _core.cells_harmony(points, batches, how, means(n_threads, max_memory, progress=progress))
    info(f"Harmony: {len(found['rounds'])} iterations, converged: {found['converged']}")
    codes = [_indicator(adata.obs[name]) for name in wanted]
    values = _scaled(counts[:, chosen], quantile).toarray()
    _subtract(values, found["memberships"], np.hstack(codes), ridge)
    made = ad.AnnData(values, obs=adata.obs.copy(), var=adata.var.iloc[chosen].copy())
    return Corrected(made, ad.AnnData(tpm, obs=adata.obs.copy(), var=adata.var.copy()), genes)


def _rows(values: Any) -> Any:
    """Counts as compressed rows of 64 bits."""
    from scipy import sparse

    counts = sparse.csr_matrix(values, dtype=np.float64)
    if not np.isfinite(counts.data).all() or counts.data.min(initial=0.0) < 0.0:
        message = "expected counts, found values that are missing, infinite or negative"
        raise BadInputError(message, place="counts", hint="were centred or logarithmic data given?")
    return counts


def _per_ten_thousand(counts: Any) -> Any:
    """Counts, each cell scaled to the sum of ten thousand; a cell without counts stays."""
    from scipy import sparse

    totals = np.asarray(counts.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1e4 / np.where(totals > 0.0, totals, 1.0)) @ counts)


def _scaled(rows: Any, quantile: float) -> Any:
    """Each gene over its standard deviation (ddof 1), what is very large cut."""
    from scipy import sparse

    n = rows.shape[0]
    mean = np.asarray(rows.mean(axis=0)).ravel()
    square = np.asarray(rows.multiply(rows).sum(axis=0)).ravel()
    deviation = np.sqrt(np.maximum(square - n * mean**2, 0.0) / max(n - 1, 1))
    out = sparse.csr_matrix(rows @ sparse.diags(1.0 / np.where(deviation > 0.0, deviation, 1.0)))
    if len(out.data):
        np.minimum(out.data, np.quantile(out.data, quantile), out=out.data)
    return out


def _indicator(column: Any) -> np.ndarray[Any, Any]:
    """Which batch each cell is of: cells × batches, of those that have cells."""
    import pandas as pd

    return pd.get_dummies(column.astype("category").cat.remove_unused_categories()).to_numpy(dtype=np.float64)


def _subtract(values: Any, memberships: Any, batches: Any, ridge: float) -> None:
    """Subtract what batches explain of each gene within each cluster, but for the intercept; in place."""
    design = np.hstack([np.ones((len(values), 1)), batches])
    penalty = np.diag([0.0, *[float(ridge)] * batches.shape[1]])
    shifts = np.empty((memberships.shape[1], *values.shape[1:], batches.shape[1]))
    for shift, weight in zip(shifts, memberships.T, strict=True):
        weighted = design * weight[:, None]
        fit = np.linalg.solve(design.T @ weighted + penalty, weighted.T @ values)
        shift[:] = fit[1:].T
    for at in range(0, len(values), _ROWS):
        part = slice(at, at + _ROWS)
        values[part] -= np.einsum("ic,cgb,ib->ig", memberships[part], shifts, batches[part], optimize=True)
    np.maximum(values, 0.0, out=values)
