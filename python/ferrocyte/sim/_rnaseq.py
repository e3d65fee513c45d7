"""Counts like those of a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import _core
from .._run import means
from ..errors import BadInputError
from ._frames import study_of

if TYPE_CHECKING:
    import anndata as ad

    from .._sources import Matrix

__all__ = ["rnaseq"]


@dataclass
class RnaseqRequest:
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


def request_of(
    reference: Matrix | None,
    n_genes: int | None,
    n_cells: int | None,
    *,
    samples_nested: bool,
    n_samples: int,
    n_clusters: int,
    n_treatments: int,
    n_de_genes: int | None,
    direction: str,
    effects: tuple[float, float],
    sample_variance: float,
    adjust_library_size: bool,
    seed: int,
) -> RnaseqRequest:
    """Resolve what a reference decides, and words."""
    if direction not in ("both", "up"):
        message = f"there is no choice `{direction}`"
        raise BadInputError(message, place="direction", hint="it is one of `both`, `up`")
    if reference is not None:
        n_genes, n_cells = n_genes or reference.shape[1], n_cells or reference.shape[0]
    if n_genes is None or n_cells is None:
        message = "there is neither a reference nor a number of genes and cells"
        raise BadInputError(message, place="reference", hint="give counts, or both numbers")
    return RnaseqRequest(
        n_genes,
        n_cells,
        samples_nested,
        n_samples,
        n_clusters,
        n_treatments,
        n_clusters if n_de_genes is None else n_de_genes,
        effects,
        direction == "both",
        sample_variance,
        adjust_library_size,
        seed,
    )


def rnaseq(
    reference: Any = None,
    n_genes: int | None = None,
    n_cells: int | None = None,
    *,
    layer: str | None = None,
    samples_nested: bool = True,
    n_samples: int = 25,
    n_clusters: int = 10,
    n_treatments: int = 2,
    n_de_genes: int | None = None,
    direction: str = "both",
    effect_min: float = 0.25,
    effect_max: float = 1.0,
    sample_variance: float = 0.1,
    adjust_library_size: bool = True,
    seed: int = 0,
    n_threads: int | None = None,
) -> ad.AnnData:
    """Simulate counts like those of a reference, with sample effects and treatment effects in clusters.

    Distributions are those of the R package FLASHMM's ``simuRNAseq``; its numbers, which depend on R's random streams,
    are not. Its names and its orientation are in :func:`ferrocyte.compat.flashmm.simu_rnaseq`.

    Parameters
    ----------
    reference
        Counts, cells x genes, each cell with some: an AnnData, a path to an .h5ad file, an array or a sparse matrix.
        Genes keep its means and negative binomial sizes, cells its library sizes. By default negative binomial counts
        with means and sizes of 1 + Poisson(1).
    n_genes, n_cells
        Size of the result; by default that of the reference.
    layer
        Which matrix of an AnnData or file.
    samples_nested
        Whether a sample has one treatment (and its name), or cells of all.
    n_samples, n_clusters, n_treatments
        Number of samples, clusters, treatments (named A, B, ..; the last has the effects).
    n_de_genes
        Number of genes with a treatment effect (the last genes), divided over the clusters; by default `n_clusters`.
    direction
        ``"both"`` or ``"up"``.
    effect_min, effect_max
        Range of the size of an effect (ln of a ratio).
    sample_variance
        Variance of the sample effects of ln of the mean.
    adjust_library_size
        Whether cells differ in library size as in the reference.
    seed
        The same seed gives the same counts, whatever the number of threads.
    n_threads
        Number of threads; by default all processors.

    Returns
    -------
    AnnData
        Counts, cells x genes, CSR float32; `obs`: `sam`, `cls`, `trt`, `libsize` (that of the reference, as in the R
        package); `var`: `mean` and `size` of the gene in the reference; ``uns["truth"]``: `gene`, `cluster`,
        `log_effect`.

    Raises
    ------
    BadInputError
        Numbers that do not go together, or neither a reference nor a size.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> adata = fe.sim.rnaseq(n_genes=50, n_cells=400, n_samples=10, n_clusters=4, seed=1)
    >>> adata.shape, len(adata.uns["truth"])
    ((400, 50), 4)
    """
    import os

    import anndata as ad
    import pandas as pd

    from .._sources import matrix_of, open_source

    matrix = None
    if isinstance(reference, (str, os.PathLike, ad.AnnData)):
        matrix = open_source(reference, layer).matrix
    elif reference is not None:
        matrix = matrix_of(reference, "reference")
    request = request_of(
        matrix,
        n_genes,
        n_cells,
        samples_nested=samples_nested,
        n_samples=n_samples,
        n_clusters=n_clusters,
        n_treatments=n_treatments,
        n_de_genes=n_de_genes,
        direction=direction,
        effects=(effect_min, effect_max),
        sample_variance=sample_variance,
        adjust_library_size=adjust_library_size,
        seed=seed,
    )
    made = _core.sim_rnaseq(request, matrix, means(n_threads, None, progress=False))
    return study_of(made, pd.DataFrame({"mean": made["mean"], "size": made["size"]}, index=made["genes"]))
