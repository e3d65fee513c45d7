"""The simulator of the R package FLASHMM, by its name."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from .._run import means
from .._tables import frame
from ..sim._frames import frame_of
from ..sim._rnaseq import request_of

__all__ = ["simu_rnaseq"]


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

    reference = None
    if counts is not None:
        cells = sparse.csr_matrix(counts).T if sparse.issparse(counts) else np.ascontiguousarray(np.asarray(counts).T)
        reference = matrix_of(cells, "counts")
    request = request_of(
        reference,
        nGenes,
        nCells,
        samples_nested=samples_nested,
        n_samples=nsam,
        n_clusters=ncls,
        n_treatments=ntrt,
        n_de_genes=nDEgenes,
        direction=direction,
        effects=(minbeta, maxbeta),
        sample_variance=var_randomeffects,
        adjust_library_size=adjust_library_size,
        seed=seed,
    )
    made = _core.sim_rnaseq(request, reference, means(progress=False))
    genes, metadata = made["genes"], frame_of(made["obs"], request.n_cells)
    shape = (request.n_cells, request.n_genes)
    by_cell = sparse.csr_matrix((made["data"], made["indices"], made["indptr"]), shape=shape)
    truth = frame(made["truth"])
    return {
        "counts": by_cell.T,
        "metadata": metadata,
        "DEgenes": pd.DataFrame({"gene": truth["gene"], "beta": truth["log_effect"], "cluster": truth["cluster"]}),
        "treatment": metadata["trt"].cat.categories[-1],
        "ref_mean_dispersion": pd.DataFrame({"mu": made["mean"], "dispersion": made["size"]}),
        "genes": genes,
    }
