"""Simulated studies, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

__all__ = ["simulate"]


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


def simulate(
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
        ratio, 0 for none) and the `cluster` that has it.

    Raises
    ------
    BadInputError
        Fewer cells than samples, or less than two samples.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> fe.lmm.simulate(50, 500, seed=1)
    AnnData object with n_obs × n_vars = 500 × 50
        obs: 'sample', 'cluster', 'treatment'
        var: 'effect', 'cluster'
    """
    import anndata as ad
    import pandas as pd
    from scipy import sparse

    request = StudyRequest(n_genes, n_cells, n_samples, n_clusters, de_share, sample_variance, seed)
    made = _core.lmm_simulate(request, means(n_threads, None, progress=False))
    counts = sparse.csr_matrix((made["data"], made["indices"], made["indptr"]), shape=(n_cells, n_genes))
    clusters = made["obs"]["cluster"][1]
    affected = [
        clusters[code] if effect else None for effect, code in zip(made["effect"], made["cluster"], strict=True)
    ]
    var = pd.DataFrame(
        {"effect": made["effect"], "cluster": pd.Categorical(affected, categories=clusters)}, index=made["genes"]
    )
    return ad.AnnData(counts, obs=frame_of(made["obs"], n_cells), var=var)


def frame_of(columns: dict[str, Any], n_cells: int) -> pd.DataFrame:
    """Columns of cells as a data frame; codes and levels are categorical."""
    import pandas as pd

    series = {
        name: pd.Categorical.from_codes(column[0], categories=column[1]) if isinstance(column, tuple) else column
        for name, column in columns.items()
    }
    return pd.DataFrame(series, index=[f"cell{i + 1}" for i in range(n_cells)])
