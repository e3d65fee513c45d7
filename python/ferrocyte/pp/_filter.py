"""Cells and genes within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._run import means
from ._study import cells_and_genes, in_memory, matrix, study, to_change, type_of_totals, whole

if TYPE_CHECKING:
    import anndata as ad

    Kept = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def filter_cells(
    data: ad.AnnData,
    *,
    min_counts: float | None = None,
    min_genes: int | None = None,
    max_counts: float | None = None,
    max_genes: int | None = None,
    inplace: bool = True,
    copy: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | Kept | None:
    """Keep the cells within one bound, which belongs to what is kept.

    Parameters
    ----------
    data
        An AnnData of counts, cells × genes.
    min_counts, max_counts
        Least or largest total of a cell.
    min_genes, max_genes
        Least or largest number of genes that a cell has. Exactly one of the four is given.
    inplace
        Whether the AnnData is cut, or what is kept is returned.
    copy
        Whether a copy is cut and returned.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None, anndata.AnnData, or tuple of arrays
        With `inplace` nothing: obs gains ``n_genes`` (with a bound of genes) or ``n_counts``, and the records of graphs
        in uns say ``stale`` if cells are lost. With `copy` the cut copy. Else which cells are kept, and the number or
        total of each.

    Raises
    ------
    BadInputError
        Where not exactly one bound is given, or values are missing, infinite or negative.
    UnsupportedError
        Where a backed AnnData would have to be cut.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> kept, n_genes = fe.pp.filter_cells(cells, min_genes=30, inplace=False)
    >>> bool((kept == (n_genes >= 30)).all())
    True
    """
    bounds = (min_genes, max_genes, min_counts, max_counts)
    means_ = means(n_threads, max_memory, progress=progress)
    return _filter(data, "cells", "n_genes", bounds, means_, inplace=inplace, copy=copy)


def filter_genes(
    data: ad.AnnData,
    *,
    min_counts: float | None = None,
    min_cells: int | None = None,
    max_counts: float | None = None,
    max_cells: int | None = None,
    inplace: bool = True,
    copy: bool = False,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    progress: bool | None = None,
) -> ad.AnnData | Kept | None:
    """Keep the genes within one bound, which belongs to what is kept.

    Parameters
    ----------
    data
        An AnnData of counts, cells × genes.
    min_counts, max_counts
        Least or largest total of a gene.
    min_cells, max_cells
        Least or largest number of cells that have a gene. Exactly one of the four is given.
    inplace
        Whether the AnnData is cut, or what is kept is returned.
    copy
        Whether a copy is cut and returned.
    n_threads, max_memory, progress
        With what means; none changes a number.

    Returns
    -------
    None, anndata.AnnData, or tuple of arrays
        With `inplace` nothing: var gains ``n_cells`` (with a bound of cells) or ``n_counts``. With `copy` the cut copy.
        Else which genes are kept, and the number or total of each.

    Raises
    ------
    BadInputError
        Where not exactly one bound is given, or values are missing, infinite or negative.
    UnsupportedError
        Where a backed AnnData would have to be cut.

    Examples
    --------
    >>> import ferrocyte as fe
    >>> from ferrocyte._examples import small_study
    >>> cells = small_study(n_genes=60)
    >>> fe.pp.filter_genes(cells, min_cells=1)
    >>> int(cells.var["n_cells"].min()) >= 1
    True
    """
    bounds = (min_cells, max_cells, min_counts, max_counts)
    means_ = means(n_threads, max_memory, progress=progress)
    return _filter(data, "genes", "n_cells", bounds, means_, inplace=inplace, copy=copy)


def _filter(
    data: ad.AnnData, of: str, number: str, bounds: tuple[Any, ...], means_: Any, *, inplace: bool, copy: bool
) -> ad.AnnData | Kept | None:
    least, most = (None if bound is None else whole(bound, number, 0) for bound in bounds[:2])
    adata = to_change(data, copy=copy) if inplace or copy else study(data)
    if inplace or copy:
        in_memory(adata, "the filter")
    kept, detected, total = _core.cells_filter(
        matrix(adata), cells_and_genes(adata), of, (least, most, bounds[2], bounds[3]), means_
    )
    by_number = bounds[0] is not None or bounds[1] is not None
    measured = detected.astype(np.int64) if by_number else total.astype(type_of_totals(adata.X))
    if not (inplace or copy):
        return kept, measured
    table = adata.obs if of == "cells" else adata.var
    table[number if by_number else "n_counts"] = measured
    if of == "cells":
        _mark_graphs(adata, all_kept=bool(kept.all()))
        adata._inplace_subset_obs(kept)
    else:
        adata._inplace_subset_var(kept)
    return adata if copy else None


def _mark_graphs(adata: ad.AnnData, *, all_kept: bool) -> None:
    """Graphs of neighbours that lose cells are no longer those of the cells that are left: their records say so.

    Numbers of neighbours, which would point at other cells, are dropped.
    """
    if all_kept:
        return
    for record in adata.uns.values():
        if isinstance(record, dict) and "connectivities_key" in record:
            record["stale"] = True
            for name in ("knn_key", "knn_distances_key"):
                adata.obsm.pop(record.get(name), None)
