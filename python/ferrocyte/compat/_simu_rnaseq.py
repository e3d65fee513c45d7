"""The simulator of the R package FLASHMM, by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core
from .._run import means
from ..errors import BadInputError
from ..lmm._simulate import frame_of

__all__ = ["simu_rnaseq"]


@dataclass
class _RnaseqRequest:
    """What is simulated, as the compiled module reads it."""

    n_genes: int
    n_cells: int
    samples_nested: bool
    n_samples: int
    n_clusters: int
    n_treatments: int
    n_de_genes: int
    beta: tuple[float, float]
    both_directions: bool
    sample_variance: float
    adjust_library_size: bool
    seed: int


def simu_rnaseq(
    counts: Any = None,
    nGenes: int | None = None,
    nCells: int | None = None,
    *,
    samples_nested: bool = True,
    nsam: int = 25,
    ncls: int = 10,
    ntrt: int = 2,
    nDEgenes: int | None = None,
    direction: str = "both",
    minbeta: float = 0.25,
    maxbeta: float = 1.0,
    var_randomeffects: float = 0.1,
    adjust_library_size: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """Simulate counts like those of a reference, with sample effects and treatment effects in clusters.

    Distributions are those of the R package's ``simuRNAseq``; its numbers, which depend on R's random streams, are not.

    Parameters
    ----------
    counts
        Reference counts, genes x cells; by default negative binomial with means and sizes of 1 + Poisson(1).
    nGenes, nCells
        Size of the result; by default that of the reference.
    samples_nested
        Whether a sample has one treatment.
    nsam, ncls, ntrt
        Number of samples, clusters, treatments (named A, B, ..; the last has the effects).
    nDEgenes
        Number of genes with a treatment effect (the last genes), divided over the clusters; by default `ncls`.
    direction
        ``"both"`` or ``"up"``.
    minbeta, maxbeta
        Range of the size of an effect (ln of a ratio).
    var_randomeffects
        Variance of the sample effects of ln of the mean.
    adjust_library_size
        Whether cells differ in library size as in the reference.
    seed
        The same seed gives the same counts.

    Returns
    -------
    dict
        `counts` (genes x cells, CSC), `metadata` (`sam`, `cls`, `trt`, `libsize`, which is that of the reference),
        `DEgenes` (gene, beta, cluster), `treatment`, `ref_mean_dispersion` (mean and size per gene).

    Raises
    ------
    BadInputError
        Numbers that do not go together.

    Examples
    --------
    >>> from ferrocyte.compat.flashmm import simu_rnaseq
    >>> made = simu_rnaseq(nGenes=50, nCells=400, nsam=10, ncls=4, seed=1)
    >>> made["counts"].shape, list(made["metadata"].columns)
    ((50, 400), ['sam', 'cls', 'trt', 'libsize'])
    """
    import pandas as pd
    from scipy import sparse

    from .._sources import matrix_of

    if direction not in ("both", "up"):
        message = f"there is no choice `{direction}`"
        raise BadInputError(message, place="direction", hint="it is one of `both`, `up`")
    reference = None
    if counts is not None:
        cells = sparse.csr_matrix(counts).T if sparse.issparse(counts) else np.ascontiguousarray(np.asarray(counts).T)
        reference = matrix_of(cells, "counts")
        nGenes, nCells = nGenes or reference.shape[1], nCells or reference.shape[0]
    if nGenes is None or nCells is None:
        message = "there is neither a reference nor a number of genes and cells"
        raise BadInputError(message, place="counts", hint="give counts, or nGenes and nCells")
    request = _RnaseqRequest(
        nGenes,
        nCells,
        samples_nested,
        nsam,
        ncls,
        ntrt,
        ncls if nDEgenes is None else nDEgenes,
        (minbeta, maxbeta),
        direction == "both",
        var_randomeffects,
        adjust_library_size,
        seed,
    )
    made = _core.lmm_simulate_rnaseq(request, reference, means(progress=False))
    genes, metadata = made["genes"], frame_of(made["obs"], nCells)
    by_cell = sparse.csr_matrix((made["data"], made["indices"], made["indptr"]), shape=(nCells, nGenes))
    clusters = list(metadata["cls"].cat.categories)
    affected = [(genes[gene], beta, clusters[cluster]) for gene, beta, cluster in made["de_genes"]]
    return {
        "counts": by_cell.T,
        "metadata": metadata,
        "DEgenes": pd.DataFrame(affected, columns=["gene", "beta", "cluster"]),
        "treatment": metadata["trt"].cat.categories[-1],
        "ref_mean_dispersion": pd.DataFrame({"mu": made["mean"], "dispersion": made["size"]}),
        "genes": genes,
    }
