"""Genes that vary more than their mean explains."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from .. import _core
from .._keys import keys
from .._run import means
from ..errors import FerrocyteWarning
from ._study import cells_and_genes, frame, in_memory, levels, matrix, study, to_change, whole

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

    from .._keys import Style


@dataclass
class _How:
    """The options, as the compiled module reads them."""

    flavor: str
    n_top: int | None
    mean: tuple[float, float]
    disp: tuple[float, float]
    span: float
    n_bins: int
    base: float | None


def highly_variable_genes(
    adata: ad.AnnData,
    *,
    layer: str | None = None,
    n_top_genes: int | None = None,
    min_disp: float = 0.5,
    max_disp: float = float("inf"),
    min_mean: float = 0.0125,
    max_mean: float = 3,
    span: float = 0.3,
    n_bins: int = 20,
    flavor: Literal["seurat", "cell_ranger", "seurat_v3", "seurat_v3_paper"] = "seurat",
    subset: bool = False,
    inplace: bool = True,
    batch_key: str | None = None,
    check_values: bool = True,
    style: Style = "scanpy",
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame | None:
    """Find the genes that vary more than their mean explains.

    With batches, genes are chosen inside each and the choices combined. Batches from which nothing can be learnt are
    left out with a warning; a fit that is nearly singular goes on with the pseudo-inverse, and says so.

    Parameters
    ----------
    adata
        An AnnData, cells × genes: logarithms of normalised counts for ``"seurat"`` and ``"cell_ranger"``, raw counts
        for ``"seurat_v3"`` and ``"seurat_v3_paper"``.
    layer
        The matrix; ``None`` is X, or with ``style="exprmat"`` the layer ``counts`` where `flavor` takes counts.
    n_top_genes
        How many; ``None`` is 2000 for ``"seurat_v3"``, and the cut-offs below for the others.
    min_disp, max_disp, min_mean, max_mean
        Cut-offs of normalised dispersions and of means, without `n_top_genes`.
    span
        Share of the genes that a local parabola looks at (``"seurat_v3"``).
    n_bins
        Bins of means (``"seurat"``).
    flavor
        ``"seurat"`` and ``"cell_ranger"`` compare dispersions with those of similar means; ``"seurat_v3"`` takes
        variances of clipped, standardised counts, batches by rank; ``"seurat_v3_paper"`` batches by number.
    subset
        Whether the AnnData is cut to the genes found.
    inplace
        Whether var gains the columns, or they are returned.
    batch_key
        Column of obs with the batch of each cell.
    check_values
        Whether to warn of values that are no counts (``"seurat_v3"``).
    style
        The dialect in which columns are named.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    pandas.DataFrame or None
        Per gene ``highly_variable``, ``means``, and ``dispersions``, ``dispersions_norm``, or ``variances``,
        ``variances_norm``, ``highly_variable_rank``; with batches ``highly_variable_nbatches`` and for dispersions
        ``highly_variable_intersection``. ``uns["hvg"]`` keeps the flavour.

    Raises
    ------
    BadInputError
        Where values are missing, infinite or (counts) negative, cells have no batch, or options are out of range.
    MissingKeyError
        Where a layer or column does not exist.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=200)
    >>> fe.pp.highly_variable_genes(cells, flavor="seurat_v3", n_top_genes=20)
    >>> int(cells.var["highly_variable"].sum())
    20
    """
    names = keys(style)
    adata = to_change(adata) if inplace or subset else study(adata)
    if subset and inplace:
        in_memory(adata, "cutting it to the genes found")
    if layer is None and flavor.startswith("seurat_v3") and names.counts in adata.layers:
        layer = names.counts
    logged = adata.uns.get("log1p", {})
    base = logged.get("base") if hasattr(logged, "get") else None
    how = _How(
        flavor,
        None if n_top_genes is None else whole(n_top_genes, "n_top_genes"),
        (float(min_mean), float(max_mean)),
        (float(min_disp), float(max_disp)),
        float(span),
        whole(n_bins, "n_bins"),
        None if base is None else float(base),
    )
    batch = {} if batch_key is None else {batch_key: levels(adata, batch_key, "batch_key")}
    with warnings.catch_warnings():
        if not check_values:
            warnings.filterwarnings("ignore", message=".*not whole", category=FerrocyteWarning)
        table = _core.cells_hvg(
            matrix(adata, layer), cells_and_genes(adata), batch, how, means(n_threads, max_memory, progress=progress)
        )
    found = _types(frame(table, adata.var_names)).rename(columns=names.hvg)
    chosen = found[names.hvg["highly_variable"]].to_numpy()
    if not inplace:
        return found[chosen] if subset else found
    adata.uns["hvg"] = {"flavor": flavor}
    adata.var[found.columns] = found
    if subset:
        adata._inplace_subset_var(chosen)
    return None


def _types(found: pd.DataFrame) -> pd.DataFrame:
    """The types that scanpy has: ranks in 32 bits."""
    if "highly_variable_rank" in found:
        found["highly_variable_rank"] = found["highly_variable_rank"].astype(np.float32)
    return found
