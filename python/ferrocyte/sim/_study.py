"""Cells of samples in two treatments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import _core
from .._run import means
from ._frames import study_of

if TYPE_CHECKING:
    import anndata as ad

__all__ = ["study"]


@dataclass
class StudyRequest:
    """What is simulated, as the compiled module reads it."""

    n_genes: int
    n_cells: int
    n_samples: int
    n_clusters: int
    de_share: float
    sample_variance: float | None
    seed: int


def study(
    n_genes: int = 200,
    n_cells: int = 2000,
    *,
    n_samples: int = 12,
    n_clusters: int = 4,
    de_share: float = 0.05,
    sample_variance: float | None = None,
    seed: int = 0,
    n_threads: int | None = None,
) -> ad.AnnData:
    """Simulate counts of cells from samples, with cluster, treatment and sample effects.

    Also known as ``fe.lmm.simulate``.

    Parameters
    ----------
    n_genes, n_cells
        Size of the matrix.
    n_samples
        Number of samples; every other one is treated.
    n_clusters
        Number of clusters (cell types).
    de_share
        Share of genes whose treatment effect is not zero, in one cluster.
    sample_variance
        Variance of the sample effect of ln of the mean; by default zero for a fifth of the genes, else
        Gamma(1.5, 0.06).
    seed
        The same seed gives the same counts, whatever the number of threads.
    n_threads
        Number of threads; by default all processors.

    Returns
    -------
    AnnData
        Counts, cells x genes, CSR float32; `obs`: `sample`, `cluster`, `treatment` (A, B); `var`: `effect` (ln of a
        ratio, 0 for none) and the `cluster` that has it; ``uns["truth"]``: the genes with effects.

    Raises
    ------
    BadInputError
        Fewer cells than samples, or less than two samples.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.sim.study(50, 500, seed=1)
    AnnData object with n_obs × n_vars = 500 × 50
        obs: 'sample', 'cluster', 'treatment'
        var: 'effect', 'cluster'
        uns: 'truth'
    """
    import pandas as pd

    request = StudyRequest(n_genes, n_cells, n_samples, n_clusters, de_share, sample_variance, seed)
    made = _core.sim_study(request, means(n_threads, None, progress=False))
    clusters = made["obs"]["cluster"][1]
    affected = [
        clusters[code] if effect else None for effect, code in zip(made["effect"], made["cluster"], strict=True)
    ]
    var = pd.DataFrame(
        {"effect": made["effect"], "cluster": pd.Categorical(affected, categories=clusters)}, index=made["genes"]
    )
    return study_of(made, var)
